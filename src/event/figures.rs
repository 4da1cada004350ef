//! The daemon's own counters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `upcall/show` and `coverage/show` answered, asked one right after the other, and `dpif-netlink/dispatch-mode`
/// before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DaemonFigures {
    /// The process that answered, by its socket's name. Another process counts from 0.
    #[serde(rename = "daemon_pid")]
    pub pid: u32,
    /// Its datapaths; empty where it has no `upcall/show`.
    pub udpifs: Vec<UdpifFigures>,
    /// Its event counters by name since it began, those that are not 0. Empty where it has no `coverage/show`. From
    /// outside: may hold anything.
    pub coverage: BTreeMap<String, u64>,
    /// How upcalls find a handler, by the datapath's name: `per-cpu` or `per-vport`. Empty where it has no
    /// `dpif-netlink/dispatch-mode`, and in recordings of earlier versions. From outside: may hold anything.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub dispatch: BTreeMap<String, String>,
}

/// One kind of datapath, as `upcall/show` has it (`upcall_unixctl_show` in `ofproto/ofproto-dpif-upcall.c`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct UdpifFigures {
    /// Its name, `system@ovs-system`. From outside: may hold anything.
    pub name: String,
    /// Flows in the datapath when the revalidators last looked.
    pub flows: u64,
    /// Their average over time.
    pub flows_average: u64,
    /// The most there have ever been.
    pub flows_max: u64,
    /// The flow limit now: it shrinks while dumps take long.
    pub limit: u64,
    /// How long the last dump of all flows took, in milliseconds.
    pub dump_ms: u64,
}
