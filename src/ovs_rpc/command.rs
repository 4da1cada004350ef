//! What may be said to the daemon: commands that only read, and nothing else.

use std::fmt;

use serde_json::json;

use crate::event::Ufid;

/// A command of `ovs-vswitchd`'s control socket. The variants are all that this program can send; each of them only
/// reads, and none of them walks all flows: a slow command would stall the bridges, as commands run in the daemon's
/// main thread. (The form of each: `ovs-appctl list-commands`.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `version`: what the daemon is. The cheapest one; its round trip is the daemon's health.
    Version,
    /// `list-commands`: what it can be asked.
    ListCommands,
    /// `dpctl/get-flow`: one flow as the kernel has it.
    GetFlow {
        /// Where, and how it is printed.
        place: FlowPlace,
        /// Which.
        ufid: Ufid,
    },
    /// `ofproto/detrace`: the `OpenFlow` rules that a flow comes from. OVS 3.4 and later.
    Detrace {
        /// Which flow.
        ufid: Ufid,
        /// The poll mode driver's core that made the flow; see [`NO_PMD`].
        pmd: Option<u32>,
    },
    /// `ofproto/trace`: the way of a packet with this key through the `OpenFlow` rules. In this form, with neither a
    /// packet nor `-generate`, nothing comes of it: no action is executed, nothing is learned.
    Trace {
        /// The key's datapath; none: the only one. Refused where there are several.
        datapath: Option<Word>,
        /// What a packet is to have.
        key: KeyText,
    },
    /// `dpctl/show`: the datapaths, their counts and ports.
    DpctlShow,
    /// `dpctl/dump-dps`: the datapaths' names.
    DumpDps,
    /// `dpif/show`: the bridges on the datapaths.
    DpifShow,
    /// `upcall/show`: flows, their limit, and how long the revalidators take.
    UpcallShow,
    /// `coverage/show`: the daemon's own event counters.
    CoverageShow,
    /// `dpif-netlink/dispatch-mode`: whether each CPU or each port has a handler of its own, in each datapath of the
    /// kernel. Only to a daemon that has one: another never replies (`dpif_netlink_unixctl_dispatch_mode` in
    /// `lib/dpif-netlink.c`).
    DispatchMode,
    /// `fdb/stats-show`: a bridge's MAC learning counts.
    FdbStats {
        /// The bridge's name.
        bridge: Word,
    },
}

/// `PMD_ID_NULL` (`lib/dpif.h`): not made by a poll mode driver. Without a `pmd=`, OVS 3.4.0 and 3.4.1 look for
/// another number than their own kernel flows have.
pub const NO_PMD: u32 = 0x7fff_ffff;

/// How a flow is asked for: the command takes two arguments at most, options included, so it is one or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowPlace {
    /// In the only datapath, with ports as names. Refused where there are several.
    OnlyDatapath,
    /// In this datapath of the kernel, with ports as numbers.
    Datapath(Word),
}

impl Command {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::ListCommands => "list-commands",
            Self::GetFlow { .. } => "dpctl/get-flow",
            Self::Detrace { .. } => "ofproto/detrace",
            Self::Trace { .. } => "ofproto/trace",
            Self::DpctlShow => "dpctl/show",
            Self::DumpDps => "dpctl/dump-dps",
            Self::DpifShow => "dpif/show",
            Self::UpcallShow => "upcall/show",
            Self::CoverageShow => "coverage/show",
            Self::DispatchMode => "dpif-netlink/dispatch-mode",
            Self::FdbStats { .. } => "fdb/stats-show",
        }
    }

    /// Its arguments on the wire.
    pub fn params(&self) -> Vec<String> {
        match self {
            Self::GetFlow { place: FlowPlace::OnlyDatapath, ufid } => {
                vec!["--names".to_owned(), format!("ufid:{ufid}")]
            }
            Self::GetFlow { place: FlowPlace::Datapath(name), ufid } => {
                let kind = if name.0.contains('@') { "" } else { "system@" };
                vec![format!("{kind}{name}"), format!("ufid:{ufid}")]
            }
            Self::Detrace { ufid, pmd } => {
                [format!("ufid:{ufid}")].into_iter().chain(pmd.map(|pmd| format!("pmd={pmd}"))).collect()
            }
            Self::Trace { datapath, key } => {
                datapath.iter().map(|name| name.0.clone()).chain([key.0.clone()]).collect()
            }
            Self::FdbStats { bridge } => vec![bridge.0.clone()],
            _ => Vec::new(),
        }
    }

    /// The request as it is sent. It must not have a `jsonrpc` member, and nothing ends it.
    pub fn request(&self, id: u64) -> Vec<u8> {
        json!({"method": self.name(), "params": self.params(), "id": id}).to_string().into_bytes()
    }
}

impl fmt::Display for Command {
    /// As one would type it behind `ovs-appctl`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.params().iter().try_for_each(|param| write!(f, " {param}"))
    }
}

/// An argument that cannot be anything but one name: 1 to 64 ASCII letters, digits and `_ . : @ + -`, not beginning
/// with `-`, so it is never an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

/// A text that is no [`Word`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name that can be sent to the daemon: 1 to 64 letters, digits and _ . : @ + -, not beginning with -"
)]
pub struct WordError(String);

impl Word {
    /// The text as a word, when it is one.
    pub fn new(text: &str) -> Result<Self, WordError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:@+-".contains(&b);
        let good = (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-');
        if good { Ok(Self(text.to_owned())) } else { Err(WordError(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A datapath flow's key, as one argument that can be nothing else: up to 4096 ASCII letters, digits and
/// `_ . : @ + - ( ) { } = , / |`, beginning with a letter, with an `in_port(`. So it is neither an option nor the packet
/// in hex that would be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyText(String);

/// A text that is no [`KeyText`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} … is no key of a flow that can be sent to the daemon")]
pub struct KeyTextError(String);

/// Longer than any key that `ovs-dpctl` writes.
const KEY_MAX: usize = 4096;

impl KeyText {
    /// The text as a key, when it can be one.
    pub fn new(text: &str) -> Result<Self, KeyTextError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:@+-(){}=,/|".contains(&b);
        let good = text.len() <= KEY_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.contains("in_port(")
            && text.bytes().all(allowed);
        if good { Ok(Self(text.to_owned())) } else { Err(KeyTextError(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UFID: Ufid = Ufid([0x5f74_d01b, 0x0102_0304, 0xa0b0_c0d0, 0x0000_00ff]);

    fn typed(command: &Command) -> String {
        command.to_string()
    }

    #[test]
    fn a_flow_is_asked_for_in_one_of_two_ways() {
        let in_place = |place| typed(&Command::GetFlow { place, ufid: UFID });
        let name = |text| FlowPlace::Datapath(Word::new(text).expect("a word"));
        let id = "ufid:5f74d01b-0102-0304-a0b0-c0d0000000ff";
        assert_eq!(in_place(FlowPlace::OnlyDatapath), format!("dpctl/get-flow --names {id}"));
        assert_eq!(in_place(name("ovs-system")), format!("dpctl/get-flow system@ovs-system {id}"));
        assert_eq!(in_place(name("netdev@ovs-netdev")), format!("dpctl/get-flow netdev@ovs-netdev {id}"));
        assert_eq!(typed(&Command::Detrace { ufid: UFID, pmd: None }), format!("ofproto/detrace {id}"));
        assert_eq!(
            typed(&Command::Detrace { ufid: UFID, pmd: Some(NO_PMD) }),
            format!("ofproto/detrace {id} pmd=2147483647")
        );
    }

    #[test]
    fn a_request_is_what_the_daemon_reads() {
        let request = Command::FdbStats { bridge: Word::new("br0").expect("a word") }.request(7);
        let request: serde_json::Value = serde_json::from_slice(&request).expect("JSON");
        assert_eq!(request, json!({"method": "fdb/stats-show", "params": ["br0"], "id": 7}));
    }

    #[test]
    fn what_is_no_name_is_no_word() {
        for bad in ["", "-m", "--names", "a b", "br0\n", "br\u{e9}", "a\"b", "a,b", "a/b", &"a".repeat(65)] {
            let error = Word::new(bad).expect_err("no word").to_string();
            assert!(error.contains("is no name"), "{error}");
        }
    }

    #[test]
    fn a_trace_is_of_a_key_and_of_no_packet() {
        let key = KeyText::new("in_port(1),eth(src=02:00:00:00:00:01),eth_type(0x0800)").expect("a key");
        let datapath = Some(Word::new("ovs-system").expect("a word"));
        let typed = [datapath, None].map(|datapath| typed(&Command::Trace { datapath, key: key.clone() }));
        assert_eq!(typed[0], format!("ofproto/trace ovs-system {key}"));
        assert_eq!(typed[1], format!("ofproto/trace {key}"));
        let long = format!("in_port(1),{}", "a".repeat(KEY_MAX));
        for bad in [
            "",
            "-generate",
            "--l7 in_port(1)",
            "0200000000010200000000020800",
            "eth(src=02:00:00:00:00:01)",
            "in_port(1) -generate",
            "in_port(p1\n)",
            "(in_port(1))",
            &long,
        ] {
            let error = KeyText::new(bad).expect_err("no key").to_string();
            assert!(error.contains("is no key of a flow"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_key_never_is_an_option_or_a_packet(text in "\\PC{0,70}|-[a-z]{1,9}in_port\\(1\\)|[0-9a-f]{0,70}|[a-z(),=]{0,20}in_port\\([0-9]\\)") {
            if let Ok(key) = KeyText::new(&text) {
                prop_assert_eq!(key.to_string(), text.clone());
                prop_assert!(!text.starts_with('-') && !text.contains(char::is_whitespace));
                prop_assert!(!text.bytes().all(|b| b.is_ascii_hexdigit()), "a packet in hex");
            }
        }

        #[test]
        fn a_word_never_is_an_option_or_two_words(text in "\\PC{0,70}|-[a-z]{1,9}|[a-z@.:]{1,70}") {
            if let Ok(word) = Word::new(&text) {
                prop_assert_eq!(word.to_string(), text.clone());
                prop_assert!(!text.starts_with('-') && text.is_ascii() && !text.contains(char::is_whitespace));
            }
        }
    }
}
