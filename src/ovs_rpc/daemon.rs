//! What the daemon's texts mean: its version, its commands, and answers that are no answers.

use std::collections::HashSet;

use crate::event::{NO_RULES_YET, Query};

use super::NO_PMD;

/// What a daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Daemon {
    /// The first line of `version`, `ovs-vswitchd (Open vSwitch) 3.1.0`. From outside: may hold anything.
    pub version: String,
    /// Its commands; none while, or where, it does not tell.
    commands: Option<HashSet<String>>,
}

impl Daemon {
    /// Of what `version` said. More lines can follow the first, such as DPDK's version.
    pub fn new(version: &str) -> Self {
        Self { version: version.lines().next().unwrap_or_default().trim().to_owned(), commands: None }
    }

    /// Takes what `list-commands` said: a heading, then a command and its arguments in each line. A daemon that does
    /// not tell is taken to have them all: it says itself what it lacks when asked.
    pub fn learn_commands(&mut self, listed: Option<&str>) {
        let names =
            |text: &str| text.lines().skip(1).filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect();
        self.commands = Some(listed.map(names).unwrap_or_default());
    }

    /// Whether [`Self::learn_commands`] was called.
    pub fn is_known(&self) -> bool {
        self.commands.is_some()
    }

    /// The commands this program uses about flows and the daemon has not.
    pub fn missing(&self) -> Vec<String> {
        [command_of(Query::GetFlow), command_of(Query::Detrace), "ofproto/trace"]
            .into_iter()
            .filter(|c| self.lacks(c))
            .map(str::to_owned)
            .collect()
    }

    /// Why the daemon cannot be asked this; none when it can.
    pub fn cannot(&self, query: Query) -> Option<String> {
        let command = command_of(query);
        let since = match query {
            Query::GetFlow => "",
            Query::Detrace => ": it came with OVS 3.4",
        };
        self.lacks(command).then(|| {
            let version = self
                .numbers()
                .map_or_else(|| self.version.clone(), |(major, minor, _)| format!("ovs-vswitchd {major}.{minor}"));
            format!("{version} has no {command}{since}")
        })
    }

    /// What `ofproto/detrace` must be given as `pmd=`.
    pub fn detrace_pmd(&self) -> Option<u32> {
        matches!(self.numbers(), Some((3, 4, 0 | 1))).then_some(NO_PMD)
    }

    /// Whether it has no such command.
    pub fn lacks(&self, command: &str) -> bool {
        self.commands.as_ref().is_some_and(|all| !all.is_empty() && !all.contains(command))
    }

    /// The version's three numbers, whatever stands around them.
    fn numbers(&self) -> Option<(u32, u32, u32)> {
        let word = self.version.split_whitespace().rfind(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some((next()?, next()?, next().unwrap_or(0)))
    }
}

fn command_of(query: Query) -> &'static str {
    match query {
        Query::GetFlow => "dpctl/get-flow",
        Query::Detrace => "ofproto/detrace",
    }
}

/// What a success text is worth. Both commands report some failures in what looks like an answer.
pub fn judge(query: Query, text: String) -> Result<String, String> {
    match query {
        // `dpctl_error` in `lib/dpctl.c` begins its lines with the program's name; no flow does.
        Query::GetFlow if text.starts_with("ovs-vswitchd:") => Err(text.trim_end().to_owned()),
        Query::GetFlow => Ok(text),
        Query::Detrace => judge_detrace(text),
    }
}

/// `upcall_unixctl_ofproto_detrace` in `ofproto/ofproto-dpif-upcall.c` asks every datapath and reports a line for each
/// that does not know the flow or has no cache of its rules: only one can know it, so its rules are the answer.
fn judge_detrace(text: String) -> Result<String, String> {
    let soft = |line: &&str| line.starts_with("UFID was not found for") || line.starts_with("Cache was not found for");
    let failures: Vec<&str> = text.lines().filter(soft).collect();
    if text.lines().any(|line| !soft(&line) && !line.trim().is_empty()) {
        let rules = |text: String| text.split_inclusive('\n').filter(|line| !soft(line)).collect();
        return Ok(if failures.is_empty() { text } else { rules(text) });
    }
    Err(if failures.iter().any(|line| line.starts_with("Cache")) || failures.is_empty() {
        let said = if failures.is_empty() { "an empty answer".to_owned() } else { failures.join("; ") };
        format!("{NO_RULES_YET} for it yet ({said}): its next revalidation fills them in")
    } else {
        format!("ovs-vswitchd does not know this flow ({}): it is gone, or not put yet", failures.join("; "))
    })
}

/// Whether `dpctl/get-flow` refused because it must be told the datapath (`get_one_dp` in `lib/dpctl.c`).
pub fn wants_datapath(refusal: &str) -> bool {
    refusal.contains("multiple datapaths")
}

/// Whether it refused because it knows no datapath by that name.
pub fn wrong_datapath(refusal: &str) -> bool {
    refusal.contains("datapath not found") || refusal.contains("opening datapath")
}

/// A refusal's meaning, where it is known: `dpif_flow_get` says ENOENT for a flow that is gone.
pub fn explain_refusal(query: Query, refusal: &str) -> String {
    let said = refusal.trim();
    if query == Query::GetFlow && said.contains("No such file or directory") {
        return format!("the datapath has no such flow any more ({said})");
    }
    format!("ovs-vswitchd refuses {}: {said}", command_of(query))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn daemon(version: &str, commands: &str) -> Daemon {
        let mut daemon = Daemon::new(version);
        daemon.learn_commands(Some(commands));
        daemon
    }

    const OLD: &str = "The available commands are:\n  dpctl/get-flow          [dp] ufid\n  ofproto/trace           \n  version                 \n";

    #[test]
    fn an_old_daemon_says_what_it_lacks() {
        let old = daemon("ovs-vswitchd (Open vSwitch) 3.1.0\nDPDK 22.11.1\n", OLD);
        assert_eq!(old.version, "ovs-vswitchd (Open vSwitch) 3.1.0");
        assert_eq!(old.missing(), ["ofproto/detrace"]);
        assert_eq!(
            old.cannot(Query::Detrace).as_deref(),
            Some("ovs-vswitchd 3.1 has no ofproto/detrace: it came with OVS 3.4")
        );
        assert_eq!(old.cannot(Query::GetFlow), None);
    }

    #[test]
    fn a_daemon_that_does_not_list_is_taken_to_have_all() {
        let mut silent = Daemon::new("ovs-vswitchd (Open vSwitch) 3.5.1");
        assert!(!silent.is_known());
        silent.learn_commands(None);
        assert_eq!((silent.is_known(), silent.missing()), (true, vec![]));
    }

    #[test]
    fn only_two_releases_need_the_pmd() {
        let pmd = |version: &str| Daemon::new(&format!("ovs-vswitchd (Open vSwitch) {version}")).detrace_pmd();
        assert_eq!(
            [pmd("3.4.0"), pmd("3.4.1-1.el9"), pmd("3.4.2"), pmd("3.5.0"), pmd("13.4.0")],
            [Some(NO_PMD), Some(NO_PMD), None, None, None]
        );
        assert_eq!([pmd("odd"), pmd("3"), pmd("3.4"), pmd("9999999999.4.0")], [None, None, Some(NO_PMD), None]);
    }

    #[test]
    fn a_detrace_that_found_nothing_is_no_answer() {
        let why = |text: &str| judge(Query::Detrace, text.to_owned()).expect_err("nothing in it");
        assert!(why("").contains("no rules for it yet (an empty answer)"));
        assert!(why("\n").contains("an empty answer"));
        assert!(
            why("Cache was not found for system@ovs-system\n").contains("(Cache was not found for system@ovs-system)")
        );
        assert!(why("UFID was not found for system@ovs-system\n").contains("does not know this flow"));
        let both = why("UFID was not found for netdev@ovs-netdev\nCache was not found for system@ovs-system\n");
        assert!(both.starts_with(NO_RULES_YET), "{both}");
    }

    #[test]
    fn rules_beside_another_datapaths_failure_are_the_answer() {
        let rules = "br0:\n  table_id=0, priority=1,actions=NORMAL\n";
        let judged = judge(Query::Detrace, format!("UFID was not found for netdev@ovs-netdev\n{rules}"));
        assert_eq!(judged.as_deref(), Ok(rules));
        assert_eq!(judge(Query::Detrace, rules.to_owned()).as_deref(), Ok(rules));
    }

    #[test]
    fn a_flow_that_dpctl_complains_about_is_no_flow() {
        assert!(judge(Query::GetFlow, "ovs-vswitchd: parsing flow ufid\n".to_owned()).is_err());
        assert!(judge(Query::GetFlow, "recirc_id(0),in_port(1), packets:0, actions:2\n".to_owned()).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_rules_are_never_lost(
            lines in prop::collection::vec("UFID was not found for [a-z@]{1,9}|Cache was not found for x|\\PC{0,30}| {0,3}", 0..6),
        ) {
            let rules = |line: &&String| !line.contains("was not found for") && !line.trim().is_empty();
            match judge(Query::Detrace, lines.join("\n")) {
                Ok(text) => lines.iter().filter(rules).for_each(|rule| assert!(text.contains(rule.as_str()))),
                Err(why) => {
                    prop_assert_eq!(lines.iter().find(rules), None);
                    prop_assert!(why.starts_with("ovs-vswitchd "));
                }
            }
        }

        #[test]
        fn any_version_and_list_are_read(version in "\\PC{0,40}|[0-9. v\n-]{0,40}", listed in "(\\PC|\n){0,60}") {
            let read = daemon(&version, &listed);
            prop_assert!(read.missing().len() <= 3 && read.is_known());
            prop_assert!(read.detrace_pmd().is_none() || version.contains('3'));
            prop_assert_eq!(read.cannot(Query::Detrace).is_some(), read.missing().contains(&"ofproto/detrace".to_owned()));
        }
    }
}
