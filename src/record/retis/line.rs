//! A line of an event file, as far as it is used, in the forms of all versions: until 1.5 a packet's bytes, device and
//! namespace stand within `skb`, later beside it.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};

use crate::event::{OpType, Ufid};

/// One event.
#[derive(Debug)]
pub struct Line {
    pub common: Common,
    pub kernel: Option<Kernel>,
    pub userspace: Option<Userspace>,
    /// Of the original packet, in a sorted file.
    pub tracking: Option<Tracking>,
    pub skb_tracking: Option<SkbTracking>,
    pub skb_drop: Option<SkbDrop>,
    pub packet: Option<Packet>,
    pub meta: Option<Meta>,
    pub netns: Option<Netns>,
    pub dev: Option<Dev>,
    pub ovs: Option<Ovs>,
    pub detrace: Option<Detrace>,
    pub startup: Option<Startup>,
    /// Names of the sections that are not used.
    pub others: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Common {
    pub timestamp: u64,
    pub smp_id: Option<u32>,
    pub task: Option<Task>,
}

#[derive(Debug, Deserialize)]
pub struct Task {
    /// Named the other way round in the files: the process …
    pub pid: i64,
    /// … and the thread.
    pub tgid: i64,
    pub comm: String,
}

#[derive(Debug, Deserialize)]
pub struct Kernel {
    pub symbol: String,
    /// The innermost first.
    pub stack_trace: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub struct Userspace {
    pub symbol: String,
    pub pid: i64,
    pub tid: i64,
}

#[derive(Debug, Deserialize)]
pub struct Tracking {
    pub skb: SkbTracking,
}

/// A packet's identity: the buffer's address when it was first seen, and when that was.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SkbTracking {
    pub orig_head: u64,
    pub timestamp: u64,
}

#[derive(Debug, Deserialize)]
pub struct SkbDrop {
    /// None for the kernel's common reasons.
    pub subsys: Option<String>,
    pub drop_reason: String,
}

#[derive(Debug, Deserialize)]
pub struct Packet {
    pub len: u32,
    /// Base64: `packet` in 1.5, `raw` shortly after, `data` since.
    #[serde(alias = "packet", alias = "raw")]
    pub data: String,
}

#[derive(Debug, Deserialize)]
pub struct Meta {
    pub len: u32,
    #[serde(default)]
    pub hash: u32,
}

#[derive(Debug, Deserialize)]
pub struct Netns {
    /// `netns` in 1.5.
    #[serde(alias = "netns")]
    pub inum: u32,
}

#[derive(Debug, Deserialize)]
pub struct Dev {
    #[serde(default)]
    pub name: String,
    pub ifindex: u32,
}

/// `event_type` tells which.
#[derive(Debug, Deserialize)]
#[serde(tag = "event_type", rename_all = "snake_case")]
pub enum Ovs {
    Upcall {
        cmd: u8,
        port: u32,
        cpu: u32,
    },
    UpcallEnqueue {
        ret: i32,
        cmd: u8,
        port: u32,
        upcall_ts: u64,
        upcall_cpu: u32,
        queue_id: u32,
    },
    UpcallReturn {
        upcall_ts: u64,
        upcall_cpu: u32,
        ret: i32,
    },
    RecvUpcall {
        /// `enum dpif_upcall_type`, from 0.
        r#type: u32,
        pkt_size: u32,
        key_size: u64,
        queue_id: u32,
        batch_ts: u64,
        batch_idx: u32,
    },
    FlowOperation {
        op_type: OpType,
        queue_id: u32,
        batch_ts: u64,
        batch_idx: u32,
    },
    ActionExecute(Box<ActionExecute>),
    FlowLookup {
        #[serde(flatten)]
        flow: Detrace,
        n_mask_hit: u32,
        n_cache_hit: u32,
    },
    #[serde(other)]
    Unknown,
}

/// An action with the arguments of those that have any in the file.
#[derive(Debug, Deserialize)]
pub struct ActionExecute {
    pub action: Option<String>,
    pub recirc_id: u32,
    pub queue_id: Option<u32>,
    pub port: Option<u32>,
    pub id: Option<u32>,
    pub reason: Option<u32>,
    pub flags: Option<u32>,
    pub zone_id: Option<u16>,
    pub nat: Option<Nat>,
}

#[derive(Debug, Deserialize)]
pub struct Nat {
    pub dir: Option<crate::event::NatDir>,
    pub min_addr: Option<String>,
    pub max_addr: Option<String>,
    pub min_port: Option<u16>,
    pub max_port: Option<u16>,
}

/// A flow, with what the daemon said about it.
#[derive(Debug, Deserialize)]
pub struct Detrace {
    pub ufid: [u32; 4],
    pub flow: u64,
    pub sf_acts: u64,
    #[serde(default)]
    pub dpflow: String,
    #[serde(default)]
    pub ofpflows: Vec<String>,
}

impl Detrace {
    /// None where it is all 0, as on a miss.
    pub fn ufid(&self) -> Option<Ufid> {
        (self.ufid != [0; 4]).then_some(Ufid(self.ufid))
    }
}

#[derive(Debug, Deserialize)]
pub struct Startup {
    pub retis_version: String,
    #[serde(default)]
    pub cmdline: String,
    pub clock_monotonic_offset: TimeSpec,
    /// Since 1.7.
    pub machine: Option<Machine>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct TimeSpec {
    pub sec: i64,
    pub nsec: i64,
}

#[derive(Debug, Deserialize)]
pub struct Machine {
    pub kernel_release: String,
    pub hardware_name: String,
}

/// The events of a line: one, or all of an array. Each by itself may be none that can be read.
pub fn events(text: &[u8]) -> Result<Vec<Result<Line, String>>, String> {
    let wrong = |error: serde_json::Error| format!("it is not an event in JSON ({error})");
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => {
            let series: Vec<Map<String, Json>> = serde_json::from_slice(text).map_err(wrong)?;
            Ok(series.into_iter().map(line).collect())
        }
        _ => Ok(vec![line(serde_json::from_slice(text).map_err(wrong)?)]),
    }
}

fn line(mut event: Map<String, Json>) -> Result<Line, String> {
    let mut skb = match event.remove("skb") {
        Some(Json::Object(skb)) => skb,
        _ => Map::new(),
    };
    for (old, new) in [("packet", "packet"), ("dev", "dev"), ("ns", "netns")] {
        if let (Some(section), false) = (skb.remove(old), event.contains_key(new)) {
            event.insert(new.to_owned(), section);
        }
    }
    Ok(Line {
        common: section(&mut event, "common")?.ok_or("it has no section 'common'")?,
        kernel: section(&mut event, "kernel")?,
        userspace: section(&mut event, "userspace")?,
        tracking: section(&mut event, "tracking")?,
        skb_tracking: section(&mut event, "skb-tracking")?,
        skb_drop: section(&mut event, "skb-drop")?,
        packet: section(&mut event, "packet")?,
        meta: section(&mut skb, "meta")?,
        netns: section(&mut event, "netns")?,
        dev: section(&mut event, "dev")?,
        ovs: section(&mut event, "ovs")?,
        detrace: section(&mut event, "ovs-detrace")?,
        startup: section(&mut event, "startup")?,
        others: event.into_iter().map(|(name, _)| name).collect(),
    })
}

fn section<T: DeserializeOwned>(event: &mut Map<String, Json>, name: &str) -> Result<Option<T>, String> {
    match event.remove(name) {
        None | Some(Json::Null) => Ok(None),
        Some(section) => serde_json::from_value(section)
            .map(Some)
            .map_err(|error| format!("its section '{name}' is wrong ({error})")),
    }
}

/// The first two numbers of `v1.6.0-…`.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_two_numbers() {
        for (text, expected) in
            [("v1.6.4", Some((1, 6))), ("1.5.0-3158-dirty", Some((1, 5))), ("unspec", None), ("v2", None), ("", None)]
        {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
