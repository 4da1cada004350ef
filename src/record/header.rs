//! What a recording says of itself beside its events: MCAP metadata, which other tools show as well.

use std::collections::BTreeMap;

use mcap::records::Metadata;

use super::{HEADER, Preamble, TOTALS, writer::Summary};
use crate::event::{Body, Capability, Clock, DaemonState, Datapath, Session};

/// The form of the file: what is said of it holds from this version on. Files before it say none.
///
/// 2: a keyframe has the number of the message that follows it, and metadata has a checksum.
pub(super) const VERSION: u32 = 2;

/// Who recorded and what, to be read without any of the events.
///
/// It is written when a recording begins, and again as soon as more of it is known: datapaths, probes and the daemon
/// become known a moment later. The last one counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// The program and its version.
    pub program: String,
    /// The traced host's name.
    pub host: String,
    /// Its kernel's release.
    pub kernel: String,
    /// Its machine, as `uname -m`.
    pub machine: String,
    /// How many CPUs it can have; 0 where that was not recorded.
    pub cpus: u32,
    /// The daemon's version; empty where it did not answer.
    pub ovs_version: String,
    /// The session's command line, with all its options.
    pub command: String,
    /// One moment on the traced host's monotonic clock, which events have, and on the wall's.
    pub clock: Clock,
    /// The datapaths with their ports, without statistics.
    pub datapaths: Vec<Datapath>,
    /// How the probes are attached, or why not; without what they cost.
    pub probes: Vec<Capability>,
}

impl From<&Session> for Header {
    fn from(session: &Session) -> Self {
        Self {
            program: session.program.clone(),
            host: session.host.clone(),
            kernel: session.kernel.clone(),
            machine: session.machine.clone(),
            cpus: session.cpus,
            ovs_version: session.ovs_version.clone(),
            command: session.command.clone(),
            clock: session.clock,
            datapaths: Vec::new(),
            probes: Vec::new(),
        }
    }
}

/// Which parts of a header are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    datapaths: bool,
    probes: bool,
    daemon: bool,
}

impl Header {
    /// The header with what the state adds to it.
    pub(super) fn with(&self, state: &Preamble) -> Self {
        let mut header = state.session().map_or_else(|| self.clone(), Self::from);
        let [datapaths, probes, daemon] = state.surroundings();
        header.datapaths = match datapaths {
            Some(Body::Datapaths { datapaths }) => {
                datapaths.iter().map(|d| Datapath { stats: None, ..d.clone() }).collect()
            }
            _ => self.datapaths.clone(),
        };
        header.probes = match probes {
            Some(Body::Probes { capabilities }) => {
                capabilities.iter().map(|c| Capability { cost: None, ..c.clone() }).collect()
            }
            _ => self.probes.clone(),
        };
        if let Some(Body::Daemon(DaemonState::Up { version, .. })) = daemon {
            header.ovs_version.clone_from(version);
        } else if header.ovs_version.is_empty() {
            header.ovs_version.clone_from(&self.ovs_version);
        }
        header
    }

    pub(super) fn to_metadata(&self) -> Metadata {
        let json = |value: Result<String, serde_json::Error>| value.expect("plain data is always JSON");
        let facts = [
            ("version", VERSION.to_string()),
            ("program", self.program.clone()),
            ("host", self.host.clone()),
            ("kernel", self.kernel.clone()),
            ("machine", self.machine.clone()),
            ("cpus", self.cpus.to_string()),
            ("ovs_version", self.ovs_version.clone()),
            ("command", self.command.clone()),
            ("clock_monotonic_ns", self.clock.monotonic.to_string()),
            ("clock_wall_ns", self.clock.wall.to_string()),
            ("clock_utc_offset_s", self.clock.utc_offset.to_string()),
            ("datapaths", json(serde_json::to_string(&self.datapaths))),
            ("probes", json(serde_json::to_string(&self.probes))),
        ];
        checked(HEADER, facts.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// Reads it; what an older version did not write is empty.
    pub(super) fn from_facts(facts: &BTreeMap<String, String>) -> Self {
        let fact = |key: &str| facts.get(key).cloned().unwrap_or_default();
        let number = |key: &str| facts.get(key).and_then(|n| n.parse().ok()).unwrap_or(0);
        Self {
            program: fact("program"),
            host: fact("host"),
            kernel: fact("kernel"),
            machine: fact("machine"),
            cpus: number("cpus") as u32,
            ovs_version: fact("ovs_version"),
            command: fact("command"),
            clock: Clock {
                monotonic: number("clock_monotonic_ns"),
                wall: number("clock_wall_ns"),
                utc_offset: fact("clock_utc_offset_s").parse().unwrap_or(0),
            },
            datapaths: serde_json::from_str(&fact("datapaths")).unwrap_or_default(),
            probes: serde_json::from_str(&fact("probes")).unwrap_or_default(),
        }
    }
}

impl Known {
    pub(super) fn of(state: &Preamble) -> Self {
        let [datapaths, probes, daemon] = state.surroundings();
        Self {
            datapaths: datapaths.is_some(),
            probes: probes.is_some(),
            daemon: matches!(daemon, Some(Body::Daemon(DaemonState::Up { .. }))),
        }
    }
}

/// The version of the format that these facts are in; 0 before there was a number for it.
pub(super) fn version(facts: &BTreeMap<String, String>) -> u32 {
    facts.get("version").and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// What a recording says at its end. `messages` are those of events.
pub(super) fn totals_to_metadata(totals: &Summary, messages: u32) -> Metadata {
    let mut facts = BTreeMap::from([
        ("events".to_owned(), totals.events.to_string()),
        ("not_recorded".to_owned(), totals.not_recorded.to_string()),
        ("messages".to_owned(), messages.to_string()),
    ]);
    if let Some((first, last)) = totals.span {
        facts.insert("first_ts".to_owned(), first.to_string());
        facts.insert("last_ts".to_owned(), last.to_string());
    }
    checked(TOTALS, facts)
}

/// The same, read from a file of `bytes`, with the number of messages where it is given.
pub(super) fn totals_from_facts(facts: &BTreeMap<String, String>, bytes: u64) -> Option<(Summary, Option<u32>)> {
    let number = |key: &str| facts.get(key)?.parse().ok();
    let totals = Summary {
        events: number("events")?,
        bytes,
        span: number("first_ts").zip(number("last_ts")),
        not_recorded: number("not_recorded").unwrap_or(0),
    };
    Some((totals, facts.get("messages").and_then(|n| n.parse().ok())))
}

/// The checksum's key.
const CRC: &str = "crc32";

/// With a checksum: MCAP has none for a metadata record.
fn checked(name: &str, mut facts: BTreeMap<String, String>) -> Metadata {
    let crc = checksum(name, &facts);
    facts.insert(CRC.to_owned(), crc);
    Metadata { name: name.to_owned(), metadata: facts }
}

/// CRC-32 over the name, then every key and value but the checksum's in the order of the keys, each with a zero byte
/// behind it.
fn checksum(name: &str, facts: &BTreeMap<String, String>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    let parts = facts.iter().filter(|(key, _)| *key != CRC).flat_map(|(key, value)| [key.as_str(), value]);
    for part in std::iter::once(name).chain(parts) {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    format!("{:08x}", hasher.finalize())
}

/// Whether the checksum is right. Only facts of versions before there was one may lack it.
pub(super) fn is_whole(metadata: &Metadata) -> bool {
    let old = ["program", "host", "kernel", "ovs_version", "events", "not_recorded", "first_ts", "last_ts"];
    match metadata.metadata.get(CRC) {
        Some(crc) => *crc == checksum(&metadata.name, &metadata.metadata),
        None => metadata.metadata.keys().all(|key| old.contains(&key.as_str())),
    }
}
