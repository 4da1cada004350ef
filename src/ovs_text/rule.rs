//! An OpenFlow rule as `ofproto/detrace` and `ovs-ofctl dump-flows` write it: what is counted, its priority, its match, its
//! actions (`flow_stats_ds` in `ofproto/ofproto.c`). What is read is written back as it was, to the letter.

use std::fmt;

use super::split::split;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// What stands before the actions, in its order.
    pub parts: Vec<RulePart>,
    /// What stands between the match and the actions: `,` in detrace, a space in dump-flows, nothing where there is
    /// neither.
    gap: String,
    /// The actions, each as it is; none where the text does not tell.
    pub actions: Option<Vec<String>>,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePart {
    /// White space before it.
    space: String,
    /// What it is.
    pub what: What,
    /// Its name, `n_packets`, `tp_src`; the whole of it where there is no `=`.
    pub name: String,
    /// What it says.
    pub value: Option<String>,
}

/// What a part of a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The table's number; where none is named it is 0.
    Table,
    /// The cookie.
    Cookie,
    /// The priority.
    Priority,
    /// What is counted, and how old it is.
    Count,
    /// How it ends, and what happens then: `idle_timeout=5`, `send_flow_rem`.
    Life,
    /// What a packet must have.
    Match,
}

const COUNTS: [&str; 7] =
    ["duration", "n_packets", "n_bytes", "n_offload_packets", "n_offload_bytes", "idle_age", "hard_age"];
const LIFE: [&str; 8] = [
    "idle_timeout",
    "hard_timeout",
    "importance",
    "send_flow_rem",
    "check_overlap",
    "reset_counts",
    "no_packet_counts",
    "no_byte_counts",
];

impl What {
    fn of(name: &str) -> Self {
        match name {
            "table" | "table_id" => Self::Table,
            "cookie" => Self::Cookie,
            "priority" => Self::Priority,
            _ if COUNTS.contains(&name) => Self::Count,
            _ if LIFE.contains(&name) => Self::Life,
            _ => Self::Match,
        }
    }
}

impl Rule {
    /// Reads a line. Any text is taken: what is nothing else is a part of the match.
    pub fn read(line: &str) -> Self {
        let (before, actions) = match line.split_once("actions=") {
            Some((before, actions)) => (before, Some(actions)),
            None => (line, None),
        };
        let end = before.trim_end_matches([',', ' ']).len();
        let (parts, gap) = before.split_at(end);
        let parts = split(parts).into_iter().map(|part| {
            let trimmed = part.trim_start();
            let space = &part[..part.len() - trimmed.len()];
            let (name, value) = match trimmed.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (trimmed, None),
            };
            RulePart { space: space.to_owned(), what: What::of(name), name: name.to_owned(), value }
        });
        let actions = actions.map(|actions| split(actions).into_iter().map(str::to_owned).collect());
        Self { parts: parts.collect(), gap: gap.to_owned(), actions }
    }

    /// Whether the text has what a rule has.
    pub fn is_rule(text: &str) -> bool {
        text.contains("actions=") || text.contains("priority=")
    }

    /// What it says of itself: the first value of this kind.
    pub fn value(&self, what: What) -> Option<&str> {
        self.parts.iter().find(|part| part.what == what)?.value.as_deref()
    }

    /// The parts of its match.
    pub fn matches(&self) -> impl Iterator<Item = &RulePart> {
        self.parts.iter().filter(|part| part.what == What::Match && !part.name.is_empty())
    }
}

impl RulePart {
    /// `tp_src=5`, without the space before it.
    pub fn text(&self) -> String {
        self.value.as_ref().map_or_else(|| self.name.clone(), |value| format!("{}={value}", self.name))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            write!(f, "{}{}{}", if i == 0 { "" } else { "," }, part.space, part.text())?;
        }
        f.write_str(&self.gap)?;
        self.actions.iter().try_for_each(|actions| write!(f, "actions={}", actions.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rule_as_detrace_tells_it() {
        let text = "cookie=0x1f, table_id=1, duration=8s, n_packets=3657, n_bytes=1383628, n_offload_packets=0, \
                    priority=100,udp,in_port=1,ct_state=+trk,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],ct(commit,zone=5)";
        let rule = Rule::read(text);
        assert_eq!(rule.to_string(), text);
        let said = [What::Table, What::Cookie, What::Priority].map(|what| rule.value(what));
        assert_eq!(said, [Some("1"), Some("0x1f"), Some("100")]);
        assert_eq!(rule.matches().map(RulePart::text).collect::<Vec<_>>(), ["udp", "in_port=1", "ct_state=+trk"]);
        let counts: Vec<String> =
            rule.parts.iter().filter(|part| part.what == What::Count).map(RulePart::text).collect();
        assert_eq!(counts, ["duration=8s", "n_packets=3657", "n_bytes=1383628", "n_offload_packets=0"]);
        let actions = ["move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]", "ct(commit,zone=5)"].map(str::to_owned);
        assert_eq!(rule.actions, Some(actions.to_vec()));
    }

    #[test]
    fn a_rule_as_dump_flows_tells_it_and_what_is_none() {
        let text =
            " cookie=0x0, duration=3.2s, table=0, n_packets=0, n_bytes=0, idle_timeout=5, priority=7,tcp actions=drop";
        let rule = Rule::read(text);
        assert_eq!((rule.to_string().as_str(), rule.value(What::Table)), (text, Some("0")));
        assert_eq!(rule.matches().map(RulePart::text).collect::<Vec<_>>(), ["tcp"]);
        for (text, is_rule) in [("bridge(\"br0\")", false), ("", false), ("priority=5", true), ("actions=drop", true)] {
            assert_eq!((Rule::read(text).to_string().as_str(), Rule::is_rule(text)), (text, is_rule));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_back_as_it_was(text in "( ?(cookie|table_id|priority|[a-z]{1,4})?(=[0-9a-fx]{0,4})?,? ?){0,8}(actions=[a-z(),:]{0,12})?|\\PC{0,50}") {
            prop_assert_eq!(Rule::read(&text).to_string(), text);
        }
    }
}
