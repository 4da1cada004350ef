//! An OpenFlow rule as `ofproto/detrace` and `ovs-ofctl dump-flows` write it: what is counted, its priority, its match, its
//! actions (`flow_stats_ds` in `ofproto/ofproto.c`). What is read is written back as it was, to the letter.

use std::fmt;

use super::split::split;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// The parts before the actions, in their order.
    pub parts: Vec<RulePart>,
    /// What separates the match from the actions: `,` in detrace, a space in dump-flows, nothing where one of them is missing.
    gap: String,
    /// The actions, each as text; none where there are none in the text.
    pub actions: Option<Vec<String>>,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePart {
    /// What separates it from the one before: a comma, spaces, both.
    gap: String,
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
    /// Reads a line. Takes any text: what is nothing else is part of the match.
    pub fn read(line: &str) -> Self {
        let (before, actions) = match line.split_once("actions=") {
            Some((before, actions)) => (before, Some(actions)),
            None => (line, None),
        };
        let end = before.trim_end_matches([',', ' ']).len();
        let (parts, gap) = before.split_at(end);
        let mut read = Vec::new();
        for (at, part) in split(parts).into_iter().enumerate() {
            let mut rest = part.trim_start();
            let mut gap = format!("{}{}", if at == 0 { "" } else { "," }, &part[..part.len() - rest.len()]);
            // Flags have spaces behind them: `send_flow_rem check_overlap priority=7`.
            while let Some((flag, behind)) = rest.split_once(' ').filter(|(flag, _)| LIFE.contains(flag)) {
                read.push(RulePart::new(std::mem::replace(&mut gap, " ".to_owned()), flag));
                rest = behind;
            }
            read.push(RulePart::new(gap, rest));
        }
        let actions = actions.map(|actions| split(actions).into_iter().map(str::to_owned).collect());
        Self { parts: read, gap: gap.to_owned(), actions }
    }

    /// Whether the text looks like a rule.
    pub fn is_rule(text: &str) -> bool {
        text.contains("actions=") || text.contains("priority=")
    }

    /// The first value of this kind.
    pub fn value(&self, what: What) -> Option<&str> {
        self.parts.iter().find(|part| part.what == what)?.value.as_deref()
    }

    /// The parts of its match.
    pub fn matches(&self) -> impl Iterator<Item = &RulePart> {
        self.parts.iter().filter(|part| part.what == What::Match && !part.name.is_empty())
    }
}

impl RulePart {
    fn new(gap: String, text: &str) -> Self {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        Self { gap, what: What::of(name), name: name.to_owned(), value }
    }

    /// `tp_src=5`, without the space before it.
    pub fn text(&self) -> String {
        self.value.as_ref().map_or_else(|| self.name.clone(), |value| format!("{}={value}", self.name))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            write!(f, "{}{}", part.gap, part.text())?;
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

    /// Rules in the forms that OVS writes them in, each with how many parts its match and its actions have.
    const RULES: &[(&str, usize, usize)] = &[
        ("priority=0,actions=NORMAL", 0, 1),
        (
            "duration=3s, n_packets=0, n_bytes=0, priority=7,ip,nw_src=10.0.0.0/8,nw_frag=not_later,nw_tos=16,actions=dec_ttl,output:2",
            4,
            2,
        ),
        (
            "table_id=3, duration=3s, n_packets=1, n_bytes=60, priority=9,tcp6,ipv6_src=fe80::/64,tp_dst=0x1f00/0xff00,tcp_flags=+syn-ack,actions=drop",
            4,
            1,
        ),
        (
            "table_id=4, duration=3s, idle_timeout=5, hard_timeout=60, importance=7, send_flow_rem check_overlap priority=7,arp,arp_tpa=10.0.0.7,arp_op=1,actions=CONTROLLER:65535",
            3,
            1,
        ),
        (
            "cookie=0x5, priority=7,ct_state=+trk+new-rpl,ct_zone=5,ct_mark=0x1/0xff,ct_label=0x1/0xff,ct_nw_src=10.0.0.1,ip,actions=ct(commit,zone=NXM_NX_REG6[0..15],nat(src=10.0.0.7:1024-2047),exec(move:NXM_NX_REG0[]->NXM_NX_CT_MARK[],set_field:0x1/0xff->ct_label)),resubmit(,9)",
            6,
            2,
        ),
        (
            "priority=7,tun_id=0x7,tun_src=10.0.0.1,tun_metadata0=0x1/0xff,tun_flags=+oam,reg0=0x1/0xff,xreg1=0x7,metadata=0x2,in_port=5,actions=set_field:0x9->tun_id,learn(table=1,hard_timeout=5,priority=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),group:7,meter:3",
            8,
            4,
        ),
        (
            "priority=7,dl_vlan=9,dl_vlan_pcp=3,dl_src=02:00:00:00:00:01/ff:ff:ff:00:00:00,actions=pop_vlan,mod_vlan_vid:7,push_vlan:0x88a8,push_mpls:0x8847,pop_mpls:0x0800,load:0x5->OXM_OF_MPLS_LABEL[]",
            3,
            6,
        ),
        (
            "priority=7,packet_type=(1,0x894f),nsh_mdtype=1,nsh_spi=0x7,nsh_c1=0x1/0xff,actions=decap(),encap(nsh(md_type=2,tlv(0x1000,10,0x12))),encap(ethernet),goto_table:4",
            4,
            4,
        ),
        (
            "priority=7,mpls,mpls_label=9,mpls_tc=1,mpls_bos=1,actions=check_pkt_larger(1500)->NXM_NX_REG0[0],clone(output:2,trunc),output(port=3,max_len=100)",
            4,
            3,
        ),
        (
            "priority=7,icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::7,nd_sll=02:00:00:00:00:01,actions=write_actions(set_field:7->nd_target,output:1),clear_actions,write_metadata:0x5",
            5,
            3,
        ),
        (
            "priority=7,conj_id=9,sctp,tp_src=7,actions=multipath(symmetric_l4,1024,modulo_n,16,0,NXM_NX_REG0[0..3]),bundle(eth_src,50,active_backup,ofport,members:4,8),note:00.01,sample(probability=9,collector_set_id=1,obs_domain_id=0,obs_point_id=0)",
            3,
            4,
        ),
        ("priority=7,ip,actions=conjunction(9,1/2),conjunction(8,2/3)", 1, 2),
        ("group_id=7,bucket=bucket_id:0,weight:100,actions=output:1", 3, 1),
    ];

    #[test]
    fn every_form_of_a_rule_is_written_back_with_its_parts_apart() {
        for (text, matches, actions) in RULES {
            let rule = Rule::read(text);
            assert_eq!(rule.to_string(), *text);
            let parts: Vec<String> = rule.matches().map(RulePart::text).collect();
            assert_eq!(parts.len(), *matches, "{text}: {parts:?}");
            assert_eq!(rule.value(What::Priority).is_some(), text.contains("priority="), "{text}");
            assert_eq!(rule.actions.as_ref().map(Vec::len), Some(*actions), "{text}: {:?}", rule.actions);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_back_as_it_was(text in "( ?(cookie|table_id|priority|[a-z]{1,4})?(=[0-9a-fx]{0,4})?,? ?){0,8}(actions=[a-z(),:]{0,12})?|\\PC{0,50}") {
            prop_assert_eq!(Rule::read(&text).to_string(), text);
        }
    }
}
