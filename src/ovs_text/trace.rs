//! What `ofproto/trace` says: the way of a packet through the OpenFlow rules, the flow it makes, and its actions.

use crate::event::Field;

use super::{Names, names};

/// A whole trace: first the way of the packet that was asked about, then of each recirculation on it. Lines that are not
/// understood are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The passes, at least one where anything was understood.
    pub passes: Vec<Pass>,
    /// Lines that were not understood.
    pub unknown: usize,
}

/// One pass through the bridges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pass {
    /// `recirc(0x1) - resume conntrack with …`; none for the first.
    pub resumed: Option<String>,
    /// The packet, as OpenFlow has it.
    pub flow: String,
    /// The tables that it was looked up in, in their order.
    pub met: Vec<Met>,
    /// Warnings and errors on the way.
    pub warnings: Vec<String>,
    /// The packet in the end; `unchanged` where it is.
    pub final_flow: String,
    /// What the flow that it makes matches. An OpenFlow match: no more than the fields that count.
    pub megaflow: String,
    /// The datapath's actions.
    pub actions: String,
    /// Why the packet is dropped or takes the slow path, where it does.
    pub remarks: Vec<String>,
}

/// A table that a packet was looked up in, and the rule that it met there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Met {
    /// The bridge's name; empty where it is not given.
    pub bridge: String,
    /// The table's number.
    pub table: u32,
    /// The rule's priority; none where no rule matched.
    pub priority: Option<u32>,
    /// Its cookie, `0x1f`; empty where it is 0.
    pub cookie: String,
    /// Its match; empty where it matches everything. Where no rule matched, what the table says.
    pub matches: String,
    /// Its actions that were executed, each by itself.
    pub actions: Vec<String>,
}

impl Met {
    /// How the rule speaks of a field.
    pub fn names(&self, field: Field) -> Vec<Names> {
        if self.priority.is_some() { names(field, &self.matches, &self.actions) } else { Vec::new() }
    }
}

impl Pass {
    /// Whether the flow that it makes matches this field.
    pub fn matches(&self, field: Field) -> bool {
        !names(field, &self.megaflow, &[]).is_empty()
    }
}

/// How the last line of a pass begins.
const ACTIONS: &str = "Datapath actions: ";
/// What the lines are indented by for each level.
const INDENT: usize = 4;

impl Trace {
    /// Reads a trace. Takes any text: lines that are not understood are counted.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader.trace
    }
}

#[derive(Debug, Default)]
struct Reader {
    trace: Trace,
    /// The bridges around this line.
    bridges: Vec<Bridge>,
    /// The rules around this line, each with its level and its place in the pass.
    rules: Vec<(usize, usize)>,
    /// Behind the actions of the datapath.
    is_over: bool,
}

#[derive(Debug)]
struct Bridge {
    level: usize,
    name: String,
    /// Its tables stand further in than itself, which those of one that is its parent's last do not.
    is_wide: bool,
}

impl Reader {
    fn pass(&mut self) -> &mut Pass {
        if self.trace.passes.is_empty() {
            self.trace.passes.push(Pass::default());
        }
        self.trace.passes.last_mut().expect("one was just made")
    }

    fn line(&mut self, line: &str) {
        let words = line.trim();
        if words.is_empty() || words.chars().all(|c| c == '-') || words.chars().all(|c| c == '=') {
            return;
        }
        if words.starts_with("recirc(") && self.is_over {
            self.begin(Some(words.to_owned()));
            return;
        }
        for head in ["Flow: ", "Final flow: ", "Megaflow: ", ACTIONS] {
            let Some(said) = line.strip_prefix(head) else { continue };
            let pass = self.pass();
            let place = match head {
                "Flow: " => &mut pass.flow,
                "Final flow: " => &mut pass.final_flow,
                "Megaflow: " => &mut pass.megaflow,
                _ => &mut pass.actions,
            };
            said.clone_into(place);
            self.is_over = head == ACTIONS;
            return;
        }
        if self.is_over {
            self.pass().remarks.push(words.to_owned());
            return;
        }
        let level = (line.len() - line.trim_start().len()) / INDENT;
        self.step(level, words);
    }

    fn begin(&mut self, resumed: Option<String>) {
        self.trace.passes.push(Pass { resumed, ..Pass::default() });
        (self.bridges, self.rules, self.is_over) = (Vec::new(), Vec::new(), false);
    }

    fn step(&mut self, level: usize, words: &str) {
        if let Some(name) = words.strip_prefix("bridge(\"").and_then(|rest| rest.strip_suffix("\")")) {
            self.bridges.retain(|bridge| bridge.level < level);
            self.bridges.push(Bridge { level, name: name.to_owned(), is_wide: false });
            return;
        }
        if words.starts_with(">>") {
            let warning = words.trim_matches(['>', '<', ' ']).to_owned();
            self.pass().warnings.push(warning);
            return;
        }
        // Details of an action, and where a packet goes on after a recirculation.
        let is_detail = ["-> ", "bucket ", "Resuming from ", "Replacing ", "Initial flow: ", "Modified flow: "];
        if words == "thaw" || is_detail.iter().any(|head| words.starts_with(head)) {
            return;
        }
        self.rules.retain(|(of, _)| *of < level);
        let met = table(words);
        let is_in = |bridge: &Bridge| bridge.level < level || bridge.level == level && met.is_some() && !bridge.is_wide;
        self.bridges.retain(is_in);
        if let Some(met) = met {
            let around = self.bridges.last_mut();
            let bridge = around.map_or_else(String::new, |around| {
                around.is_wide |= around.level < level;
                around.name.clone()
            });
            let pass = self.pass();
            pass.met.push(Met { bridge, ..met });
            let place = pass.met.len() - 1;
            self.rules.push((level, place));
            return;
        }
        match self.rules.last().copied() {
            Some((_, place)) => {
                if let Some(met) = self.pass().met.get_mut(place) {
                    met.actions.push(words.to_owned());
                }
            }
            None => self.trace.unknown += 1,
        }
    }
}

/// `0. udp,in_port=1, priority 100, cookie 0x1f` (`xlate_report_table` in `ofproto/ofproto-dpif-xlate.c`).
fn table(words: &str) -> Option<Met> {
    let (number, said) = words.split_once(". ")?;
    let table = number.parse().ok()?;
    let rule = || {
        let (matches, rest) = match said.rsplit_once(", priority ") {
            Some(parts) => parts,
            None => ("", said.strip_prefix("priority ")?),
        };
        let (priority, cookie) = rest.split_once(", cookie ").unwrap_or((rest, ""));
        let priority = Some(priority.parse().ok()?);
        let (cookie, matches) = (cookie.to_owned(), matches.to_owned());
        Some(Met { table, priority, cookie, matches, ..Met::default() })
    };
    Some(rule().unwrap_or_else(|| Met { table, matches: said.to_owned(), ..Met::default() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As OVS 3.1 says it.
    const TRACKED: &str = "\
Flow: tcp,in_port=2,vlan_tci=0x0000,nw_src=192.0.2.1,nw_dst=192.0.2.2,tp_src=5,tp_dst=0,tcp_flags=0

bridge(\"br0\")
-------------
 0. tcp, priority 90, cookie 0x1f
    ct(table=2,zone=5)
    drop
     -> Sets the packet to an untracked state, and clears all the conntrack fields.

Final flow: unchanged
Megaflow: recirc_id=0,eth,tcp,in_port=2,nw_frag=no
Datapath actions: ct(zone=5),recirc(0x2)

===============================================================================
recirc(0x2) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)
===============================================================================

Flow: recirc_id=0x2,ct_state=new|trk,ct_zone=5,eth,tcp,in_port=2,tp_src=5,tp_dst=0

bridge(\"br0\")
-------------
    thaw
        Resuming from table 2
 2. ct_state=+new+trk,tcp,tp_src=0x5/0xff, priority 10
    ct(commit,zone=5)
    output:3

bridge(\"br1\")
-------------
 0. priority 0
    NORMAL
     -> no learned MAC for destination, flooding
     >> skipping output to input port

Final flow: unchanged
Megaflow: recirc_id=0x2,ct_state=+new+trk,eth,tcp,in_port=2,dl_src=50:54:00:00:00:05,nw_frag=no,tp_src=0x5/0xff
Datapath actions: ct(commit,zone=5),101
This flow is handled by the userspace slow path because it:
  - Consists of BFD packets.
";

    fn rule(bridge: &str, table: u32, priority: u32, matches: &str, actions: &[&str]) -> Met {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        let (bridge, matches, cookie) = (bridge.to_owned(), matches.to_owned(), String::new());
        Met { bridge, table, priority: Some(priority), cookie, matches, actions }
    }

    #[test]
    fn a_trace_is_its_passes_with_the_rules_that_were_met() {
        let trace = Trace::read(TRACKED);
        let [first, second] = &trace.passes[..] else { panic!("{trace:?}") };
        let ct = rule("br0", 0, 90, "tcp", &["ct(table=2,zone=5)", "drop"]);
        assert_eq!(first.met, [Met { cookie: "0x1f".to_owned(), ..ct }]);
        assert_eq!(first.megaflow, "recirc_id=0,eth,tcp,in_port=2,nw_frag=no");
        assert_eq!(first.actions, "ct(zone=5),recirc(0x2)");
        assert!(first.matches(Field::IpProto) && !first.matches(Field::TcpSrc));
        assert!(second.resumed.as_ref().is_some_and(|said| said.starts_with("recirc(0x2) - resume")));
        let to_br1 = rule("br0", 2, 10, "ct_state=+new+trk,tcp,tp_src=0x5/0xff", &["ct(commit,zone=5)", "output:3"]);
        assert_eq!(second.met, [to_br1, rule("br1", 0, 0, "", &["NORMAL"])]);
        assert_eq!(second.met[0].names(Field::TcpSrc), [Names::Match]);
        assert_eq!(second.met[1].names(Field::EthSrc), [Names::Action("NORMAL".to_owned())]);
        assert!(second.matches(Field::TcpSrc));
        assert_eq!(second.warnings, ["skipping output to input port"]);
        assert_eq!(second.remarks.len(), 2, "{:?}", second.remarks);
        assert_eq!(trace.unknown, 0);
    }

    #[test]
    fn an_action_behind_another_rule_is_of_the_rule_around_it() {
        let trace = Trace::read(
            "Flow: udp\n\nbridge(\"br0\")\n-------------\n 0. udp, priority 5\n    resubmit(,1)\n     1. tp_src=7, \
             priority 9\n            move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]\n    output:4\n\n    bridge(\"br1\")\n    \
             -------------\n         0. No match.\n            drop\n    resubmit(,2)\n     2. priority 1\n            drop\n    NORMAL\n\nFinal flow: unchanged\n",
        );
        let met = &trace.passes[0].met;
        assert_eq!(met[0], rule("br0", 0, 5, "udp", &["resubmit(,1)", "output:4", "resubmit(,2)", "NORMAL"]));
        assert_eq!(met[1], rule("br0", 1, 9, "tp_src=7", &["move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]"]));
        assert_eq!((met[2].bridge.as_str(), met[2].priority, met[2].matches.as_str()), ("br1", None, "No match."));
        assert_eq!(met[2].names(Field::EthSrc), [], "no rule names nothing");
        assert_eq!(met[3], rule("br0", 2, 1, "", &["drop"]), "back from the other bridge");
    }

    #[test]
    fn what_is_no_trace_is_counted() {
        assert_eq!(Trace::read(""), Trace::default());
        let odd = Trace::read("what\nis this\n");
        assert_eq!((odd.passes.len(), odd.unknown), (0, 2));
    }

    proptest! {
        #[test]
        fn any_text_is_read(words in "((Flow: |Megaflow: |Datapath actions: |bridge\\(\"b\"\\)|recirc\\(0x1\\)|=|-)?( {0,9})([0-9]{1,3}\\. )?[a-z=, ]{0,9}(, priority [0-9]{1,2})?\n){0,12}|\\PC{0,60}") {
            let trace = Trace::read(&words);
            let met: usize = trace.passes.iter().map(|pass| pass.met.len()).sum();
            prop_assert!(met + trace.unknown <= words.lines().count());
        }
    }
}
