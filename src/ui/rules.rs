//! `ofproto/detrace`'s answer made readable: the OpenFlow rules in their order, each with its bridge where the daemon
//! names it, its table, its match and its actions.

use super::{Lines, Theme, text};
use crate::ovs_text::{self, What};

/// Columns of what stands before a rule's match and actions.
const NAME: usize = 9;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rule {
    /// `table 0  priority 100  cookie 0x1f`.
    table: String,
    priority: Option<String>,
    cookie: Option<String>,
    /// `3657 packets`, `8s` and such, as the daemon counts.
    counts: Vec<String>,
    matched: Vec<String>,
    actions: Option<String>,
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `bridge("br0")`, and whatever else is no rule.
    Words(String),
    Rule(Rule),
}

/// The lines of an answer.
pub fn lines(theme: &Theme, words: &str, columns: usize) -> Lines {
    let mut lines: Lines = Vec::new();
    let mut push = |name: &str, words: &str, style| {
        for (i, line) in text::wrap(words, columns.saturating_sub(NAME + 8)).into_iter().enumerate() {
            let name = if i == 0 { name } else { "" };
            lines.push(vec![(format!("     {name:<NAME$}"), theme.quiet), (line, style)]);
        }
    };
    for part in read(words) {
        let rule = match part {
            Part::Words(words) => {
                push("", &words, theme.text);
                continue;
            }
            Part::Rule(rule) => rule,
        };
        let known = [("priority", &rule.priority), ("cookie", &rule.cookie)];
        let said = known.into_iter().filter_map(|(name, value)| Some(format!("  {name} {}", value.as_ref()?)));
        let head = format!("table {}{}", rule.table, said.collect::<String>());
        push("rule", &head, theme.strong);
        let matched = if rule.matched.is_empty() { "everything".to_owned() } else { rule.matched.join(", ") };
        push("match", &matched, theme.text);
        push("actions", rule.actions.as_deref().unwrap_or("none"), theme.heading);
        if !rule.counts.is_empty() {
            push("", &rule.counts.join(" · "), theme.quiet);
        }
    }
    lines
}

fn read(words: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in words.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let is_rule = ovs_text::Rule::is_rule(line);
        match parts.last_mut() {
            // The actions of a rule may have a line of their own.
            Some(Part::Rule(rule)) if rule.actions.is_none() && line.starts_with("actions=") => {
                rule.actions = line.strip_prefix("actions=").map(str::to_owned);
            }
            _ if is_rule => parts.push(Part::Rule(read_rule(line))),
            _ => parts.push(Part::Words(line.to_owned())),
        }
    }
    parts
}

/// A rule's line. A table of number 0 is not named in it.
fn read_rule(line: &str) -> Rule {
    let read = ovs_text::Rule::read(line);
    let actions = read.actions.map(|actions| actions.join(","));
    let mut rule = Rule { table: "0".to_owned(), actions, ..Rule::default() };
    for part in read.parts.iter().filter(|part| !part.text().is_empty()) {
        let value = part.value.clone().unwrap_or_default();
        let counted = |what: &str| (!matches!(value.as_str(), "0" | "")).then(|| format!("{value} {what}"));
        match (part.what, part.name.as_str()) {
            (What::Cookie, _) => rule.cookie = Some(value),
            (What::Table, _) => rule.table = value,
            (What::Priority, _) => rule.priority = Some(value),
            (What::Count, "duration") => rule.counts.push(format!("duration {value}")),
            (What::Count, "n_packets") => rule.counts.push(format!("{value} packets")),
            (What::Count, "n_bytes") => rule.counts.push(format!("{value} bytes")),
            (What::Count, "n_offload_packets") => rule.counts.extend(counted("packets offloaded")),
            (What::Count, "n_offload_bytes") => rule.counts.extend(counted("bytes offloaded")),
            (What::Count | What::Life, _) => rule.counts.push(part.text()),
            (What::Match, _) => rule.matched.push(part.text()),
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::Choice;

    fn plain(words: &str) -> Vec<String> {
        let lines = lines(&Theme::new(Choice::Mono), words, 80);
        let line = |pieces: &Vec<(String, ratatui::style::Style)>| -> String {
            pieces.iter().map(|(words, _)| words.as_str()).collect()
        };
        lines.iter().map(|pieces| line(pieces).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn rules_as_ovs_3_5_tells_them() {
        let words = "cookie=0x1f, duration=8s, n_packets=3657, n_bytes=1383628, n_offload_packets=0, n_offload_bytes=0, \
                     priority=100,udp,in_port=1,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],resubmit(,1)\n\
                     table_id=1, duration=8s, n_packets=1, n_bytes=98, n_offload_packets=1, n_offload_bytes=98, \
                     priority=0,actions=NORMAL\n";
        assert_eq!(
            plain(words),
            [
                "rule table 0 priority 100 cookie 0x1f",
                "match udp, in_port=1",
                "actions move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],resubmit(,1)",
                "duration 8s · 3657 packets · 1383628 bytes",
                "rule table 1 priority 0",
                "match everything",
                "actions NORMAL",
                "duration 8s · 1 packets · 98 bytes · 1 packets offloaded · 98",
                "bytes offloaded",
            ]
        );
    }

    #[test]
    fn a_bridge_is_named_where_the_daemon_names_it() {
        let words = "bridge(\"br0\")\n 0. in_port=1, priority 5\npriority=5\n  actions=output:2\n";
        let told = plain(words);
        assert_eq!(told[0], "bridge(\"br0\")");
        assert_eq!(told[told.len() - 1], "actions output:2");
    }

    proptest! {
        #[test]
        fn any_answer_is_laid_out(words in "([a-z]{0,8}=?[a-z0-9]{0,4},? ?|actions=|\n){0,12}|\\PC{0,40}", columns in 0usize..100) {
            let _ = lines(&Theme::new(Choice::Mono), &words, columns);
        }
    }
}
