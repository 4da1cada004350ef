//! The options that say what is recorded: read from the command line and made into the probes' programs.

use std::{collections::BTreeMap, fmt};

use anyhow::Context as _;

use super::cli::{ProbeArgs, Track};
use crate::{
    filter::{self, Condition, Field, Known, Programs, Where, Wrong, classic::Insn},
    probes::{BUFFER_RANGE, read_datapaths, read_drop_reasons},
};

/// An error in the command line that its syntax does not show: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(String);

impl BadUsage {
    /// Says why.
    pub fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// The program of `-f`.
#[derive(Debug, Clone)]
pub struct Bytes(Vec<Insn>);

/// A size of the ring buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// The bytes, a power of two.
    pub bytes: u32,
    /// Fewer were asked for.
    pub rounded: bool,
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            bytes if bytes < 1 << 20 => write!(f, "{}k", bytes >> 10),
            bytes => write!(f, "{}M", bytes >> 20),
        }
    }
}

/// `-f`'s.
pub const FILTER_HELP: &str = "Record only packets that match, in the syntax of pcap-filter(7).

A packet's first 256 bytes are matched once, where it is first seen, as it would be on the wire: with its VLAN tag, before \
any encapsulation or translation by this host. What is left out is counted, and counters are still of all packets. \
Needs libpcap on this host.

Examples: -f 'udp port 4789'   -f 'vlan 5 and host 10.0.0.1'   -f 'arp or icmp6'";

/// `--where`'s.
pub const WHERE_HELP: &str = "Record only packets with these fields. Comparisons: = != < <= > >=, in {a,b}; joined by and, or, not, ( ).

At a lookup that hit, and at an upcall:
  in_port     the port it came in by, a number or a name
  dp          the datapath, a number or a name
  ufid        the flow it hit last
  recirc_id   0 on the first pass
  cpu, comm   the CPU, and the thread that ran there
  len         bytes
At an upcall only:
  cmd         miss or action
  portid      the netlink port it is sent to
At a drop, wherever on this host, of a packet that came through Open vSwitch:
  reason      why, as this kernel calls it: NO_SOCKET, OVS_DROP_METER (since Linux 6.6), or its number
The fields of a lookup are then those of its last one, as far as they are known. Of the way to a drop the first 20 steps \
are recorded, of an action the first 8 bytes of its arguments, and of a packet that was upcalled what follows its \
re-injection.

A packet is recorded from the first of these places where the whole expression is true, and with what came before. A \
comparison with a field that is not known at a place is not true there, not even under a not. What is left out is counted, \
and counters are still of all packets.

Examples: --where 'in_port in {p1_l, 7} and len > 1000'   --where 'cmd = action'
--where 'reason in {OVS_DROP_METER, NO_SOCKET}'
--where 'ufid = 4f1d2a3b-0000-1111-2222-333344445555'";

/// The programs of `-f`, `--where` and `--datapath`; none where none of them is given. Names are looked up among those
/// of the host.
pub fn programs(args: &ProbeArgs) -> anyhow::Result<Option<Programs>> {
    if args.filter.is_none() && args.fields.is_none() && args.datapath.is_none() {
        return Ok(None);
    }
    if args.track == Track::Off {
        let why = "-f, --where and --datapath choose what is recorded, and --track off records nothing: drop one";
        return Err(BadUsage(why.to_owned()).into());
    }
    let mut all = Vec::new();
    if args.fields.is_some() || args.datapath.is_some() {
        let datapaths = read_datapaths().context("asking the kernel for its datapaths")?;
        if let Some(name) = &args.datapath {
            let dp = filter::datapath(name, &datapaths).map_err(|why| BadUsage(format!("--datapath: {why}")))?;
            all.push(Condition::in_datapath(dp));
        }
        if let Some(fields) = &args.fields {
            let wrong = |wrong: Wrong| BadUsage(format!("--where: {}", wrong.shown(&fields.text)));
            let reasons = if fields.expr.has(Field::Reason) { read_drop_reasons() } else { BTreeMap::new() };
            all.push(fields.resolve(&Known { datapaths, reasons }).map_err(wrong)?);
        }
    }
    let condition = (!all.is_empty()).then_some(Condition::All(all));
    let bytes = args.filter.as_ref().map(|bytes| bytes.0.clone()).unwrap_or_default();
    let programs = Programs::of(bytes, condition.as_ref(), args.sample > 0);
    Ok(Some(programs.map_err(|why| BadUsage(why.to_string()))?))
}

/// `-f`'s.
pub fn parse_filter(text: &str) -> Result<Bytes, String> {
    filter::bytes::compile(text).map(Bytes)
}

/// `--where`'s.
pub fn parse_where(text: &str) -> Result<Where, String> {
    Where::parse(text).map_err(|wrong| wrong.shown(text))
}

/// Bytes, rounded up to a power of two, which the kernel wants.
pub fn parse_buffer(text: &str) -> Result<Buffer, String> {
    let Some(asked) = parse_bytes(text) else { return Err(format!("'{text}' is no size: try 16M")) };
    let size = asked.checked_next_power_of_two().and_then(|n| u32::try_from(n).ok());
    let size = size.filter(|size| BUFFER_RANGE.contains(size));
    size.map(|bytes| Buffer { bytes, rounded: u64::from(bytes) != asked }).ok_or_else(|| {
        let (least, most) = (BUFFER_RANGE.start() >> 10, BUFFER_RANGE.end() >> 30);
        format!("'{text}' is not between {least}k and {most}G")
    })
}

/// Bytes, with k, M or G.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "" => Some(1u64),
        "k" | "K" => Some(1 << 10),
        "m" | "M" => Some(1 << 20),
        "g" | "G" => Some(1 << 30),
        _ => None,
    };
    unit.zip(text[..at].parse::<u64>().ok()).and_then(|(unit, n)| unit.checked_mul(n))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{super::cli::Cli, *};

    #[test]
    fn a_buffer_is_rounded_up_and_bounded() {
        for (text, bytes, shown) in [
            ("16M", 16 << 20, "16M"),
            ("256k", 256 << 10, "256k"),
            ("20m", 32 << 20, "32M"),
            ("1G", 1 << 30, "1024M"),
            ("262144", 1 << 18, "256k"),
        ] {
            let buffer = parse_buffer(text).expect("a good size");
            assert_eq!((buffer.bytes, buffer.rounded), (bytes, text == "20m"), "{text}");
            assert_eq!(buffer.to_string(), shown);
        }
        for bad in ["", "M", "0", "1k", "2G", "16MB", "-1", "1.5M", "99999999999999999999", "18446744073709551615"] {
            assert!(parse_buffer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nonsense_in_where_is_pointed_at() {
        let error = Cli::try_parse_from(["ovscope", "--where", "in_prt = 3"]).expect_err("bad usage");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("\n  in_prt = 3\n  ^^^^^^ no such field"), "{error}");
    }

    #[test]
    fn a_filter_without_recording_is_refused() {
        let cli = Cli::try_parse_from(["ovscope", "--track", "off", "--where", "cpu = 0"]).expect("good syntax");
        let error = cli.live.probes.config().expect_err("bad usage");
        assert!(error.is::<BadUsage>() && error.to_string().contains("--track off"), "{error}");
    }
}
