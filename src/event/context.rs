//! What surrounds the packets: counters, losses, datapaths and ports, probes, the daemon and its answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comm, DpIfindex, DropCounter, Field, FlowPtr, HandlerSched, Nanos, PortNo, StageCounter, Ufid, UpcallCmd};

/// The kernel side's exact counters, summed over CPUs but for upcalls, since the probes were attached (not since the datapath was
/// made: what `ovs-dpctl show` counted before that is not in them). Kept in per-CPU maps, whatever the detail.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Lookups, by datapath.
    pub datapaths: Vec<DpCounters>,
    /// Upcalls by datapath, port, reason, handler, CPU and outcome.
    pub upcalls: Vec<UpcallCounter>,
    /// `ovs_flow_cmd_new` and `_set` by outcome.
    pub puts: Vec<ErrnoCounter>,
    /// `ovs_packet_cmd_execute` by outcome.
    pub execs: Vec<ErrnoCounter>,
    /// `ovs_flow_cmd_del` by outcome.
    pub dels: Vec<ErrnoCounter>,
    /// Messages received by handlers.
    pub received: u64,
    /// Flows whose hits changed since the last of these events, with their hits so far.
    pub flows: Vec<FlowCounter>,
    /// Hits of flows that had no room in the kernel's table, or whose entry was taken by another.
    pub flow_hits_uncounted: u64,
    /// What the datapath dropped, by its own reasons; always empty before Linux 6.6, which has none.
    #[serde(default)]
    pub drops: Vec<DropCounter>,
    /// What the scheduler did with each handler's thread; empty where that is not looked at.
    #[serde(default)]
    pub handlers: Vec<HandlerSched>,
    /// How long the stages of all upcalls took so far. Read once a second, and empty in between.
    #[serde(default)]
    pub stages: Vec<StageCounter>,
}

/// What one datapath looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DpCounters {
    /// The datapath; 0 where its number is not known yet.
    pub dp: DpIfindex,
    /// Its flow table's address, which tells two datapaths of unknown number apart; in JSON hex, as flows are.
    #[serde(with = "super::ids::hex")]
    #[schemars(with = "FlowPtr")]
    pub table: u64,
    /// Lookups that found a flow.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Masks tried.
    pub mask_hits: u64,
    /// Lookups whose mask came from the cache.
    pub cache_hits: u64,
}

/// Upcalls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpcallCounter {
    /// The datapath.
    pub dp: DpIfindex,
    /// The port the packets came in by.
    pub in_port: PortNo,
    /// Why they went up.
    pub cmd: UpcallCmd,
    /// The handler's netlink port.
    pub port: u32,
    /// The CPU that they were made on; none in recordings that did not tell CPUs apart.
    #[serde(default)]
    pub cpu: Option<u32>,
    /// 0, or minus an errno: what `ovs_dp_upcall` returned. What is not 0 was lost.
    pub ret: i32,
    /// How many.
    pub count: u64,
}

/// How often something ended with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrnoCounter {
    /// 0, or minus an errno.
    pub ret: i32,
    /// How often.
    pub count: u64,
}

/// One flow's hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowCounter {
    /// The flow table it was found in, as in [`DpCounters`].
    #[serde(with = "super::ids::hex")]
    #[schemars(with = "FlowPtr")]
    pub table: u64,
    /// The flow.
    pub flow: FlowPtr,
    /// Its actions at the last hit.
    pub sf_acts: FlowPtr,
    /// Its UFID.
    pub ufid: Option<Ufid>,
    /// Hits so far.
    pub hits: u64,
    /// Bytes of the packets that hit it, as the kernel counts them for a flow; none where they are not counted.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// When the hits were seen to have grown: the last hit is at most one reading (a second) older.
    pub last: Nanos,
}

/// What is missing in the events, since the start, by reason. Never resets within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// Events that did not fit into the ring buffer.
    pub ring_full: u64,
    /// Packets left out because the event budget was spent. Their counters are right.
    pub over_budget: u64,
    /// Upcalls left out because the event budget was spent. Their counters are right.
    pub upcalls_over_budget: u64,
    /// What the daemon told by its USDT probes that belongs to no recorded upcall, left out because the event budget was
    /// spent.
    #[serde(default)]
    pub told_over_budget: u64,
    /// Packets that hit a flow, left out by `-f`, `--where` or `--datapath`. Their counters are right.
    #[serde(default)]
    pub filtered_out: u64,
    /// Upcalls left out by `-f`, `--where` or `--datapath`. Their counters are right.
    #[serde(default)]
    pub upcalls_filtered_out: u64,
    /// Packets that are not upcalled, left out by `--sample`.
    pub not_sampled: u64,
    /// Packets that had no room in the kernel's tracking table.
    pub untracked: u64,
    /// Runs of a probe that the kernel left out, as the same probe was just at work on that CPU (`recursion_misses`):
    /// what it would have seen or counted is missing. With them the steps of a packet before it was chosen that there was
    /// no room for.
    #[serde(default)]
    pub missed_runs: u64,
    /// Events that came but could not be decoded.
    pub undecoded: u64,
    /// Events that the recorder could not keep up with.
    pub not_recorded: u64,
}

impl Loss {
    /// What the upcalls that are seen one by one are of all, in a word; none where they are all.
    pub fn upcalls_are(&self) -> Option<&'static str> {
        match self {
            Self { upcalls_filtered_out: 1.., .. } => Some("filtered"),
            Self { upcalls_over_budget: 1.., .. } => Some("sampled"),
            _ => None,
        }
    }

    /// Whether anything was lost, other than left out on purpose.
    pub fn any(&self) -> bool {
        self.ring_full + self.untracked + self.missed_runs + self.undecoded + self.not_recorded > 0
    }
}

/// What is looked at, and with what. Enough to read a recording on another machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The program and its version.
    pub program: String,
    /// The traced host's name.
    pub host: String,
    /// Its kernel's release, as `uname -r`.
    pub kernel: String,
    /// Its machine, as `uname -m`.
    pub machine: String,
    /// CPUs that can be.
    pub cpus: u32,
    /// The daemon's version as it says itself; empty where it did not answer.
    pub ovs_version: String,
    /// The command line of the session.
    pub command: String,
    /// How the monotonic clock stands to the wall.
    pub clock: Clock,
}

impl Session {
    /// Whether it is this one said again, and not one before or after it: the probes of each count from 0 and give
    /// identities from 1.
    pub fn is_same(&self, other: &Self) -> bool {
        self.host == other.host && self.clock.monotonic == other.clock.monotonic
    }
}

/// One moment on both clocks, to read events' times as times of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// The moment on `CLOCK_MONOTONIC`.
    pub monotonic: Nanos,
    /// The same moment as nanoseconds since 1970 UTC.
    pub wall: u64,
    /// The traced host's offset from UTC then, in seconds.
    pub utc_offset: i32,
}

/// A datapath.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Datapath {
    /// Its number.
    pub dp: DpIfindex,
    /// Its name, `ovs-system` mostly. From outside: may hold anything.
    pub name: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The kernel's own counts since the datapath was made (`struct ovs_dp_stats`): hit, missed, lost, flows.
    pub stats: Option<DpStats>,
}

/// `struct ovs_dp_stats` and the mask count of `struct ovs_dp_megaflow_stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DpStats {
    /// Lookups that hit.
    pub n_hit: u64,
    /// Lookups that missed.
    pub n_missed: u64,
    /// Upcalls lost, for any reason.
    pub n_lost: u64,
    /// Flows now.
    pub n_flows: u64,
    /// Masks now.
    pub n_masks: u32,
    /// Masks tried in all lookups.
    #[serde(default)]
    pub n_mask_hit: u64,
    /// Lookups whose mask came from the cache.
    #[serde(default)]
    pub n_cache_hit: u64,
}

/// A port of a datapath.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// Its number in the datapath.
    pub port: PortNo,
    /// Its name. From outside: may hold anything.
    pub name: String,
    /// `enum ovs_vport_type` as a word: netdev, internal, gre, vxlan, geneve, …
    pub kind: String,
    /// The device's interface index; 0 where it has none.
    pub ifindex: u32,
}

/// Something the program can see, with what it sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// What: `flow_lookup`, `upcall`, … as the events' `type`, or `counters`.
    pub name: String,
    /// How it stands.
    pub state: CapabilityState,
    /// What it is attached to, or would be: `fexit ovs_flow_tbl_lookup_stats`.
    pub probe: String,
    /// Why it is not as it should be, and what to do; empty when attached.
    pub why: String,
    /// What it has cost so far, where the kernel says so.
    pub cost: Option<ProbeCost>,
}

impl Capability {
    /// Whether it was asked for and is not there.
    pub fn is_missing(&self) -> bool {
        self.state == CapabilityState::Missing
    }
}

/// How a capability stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapabilityState {
    /// As it should be.
    Attached,
    /// Attached, with less than it could.
    Degraded,
    /// Not there.
    Missing,
    /// Not asked for.
    Off,
}

/// What a BPF program has cost (`run_time_ns` and `run_cnt` of its info; only while the kernel's BPF statistics are on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProbeCost {
    /// Runs since it was loaded.
    pub runs: u64,
    /// Nanoseconds in all of them.
    pub ns: u64,
}

/// Whether ovs-vswitchd is there and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DaemonState {
    /// It answers on its control socket.
    Up {
        /// Its process id, as the socket's name has it.
        #[serde(rename = "daemon_pid")]
        pid: u32,
        /// What it says it is.
        version: String,
        /// How long `version` took, in nanoseconds.
        round_trip_ns: u64,
        /// Commands this program would use and the daemon lacks.
        missing: Vec<String>,
    },
    /// It does not.
    Down {
        /// Why, and what to do.
        why: String,
    },
}

impl DaemonState {
    /// Why it is [`DaemonState::Down`] where nobody wants it asked.
    pub const NOT_ASKED: &str =
        "ovs-vswitchd is not asked anything: the rate is 0. What to do: give --rpc-rate another number";
}

/// What was asked about a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// `dpctl/get-flow`: the datapath flow as the kernel has it.
    GetFlow,
    /// `ofproto/detrace`: the OpenFlow rules it comes from.
    Detrace,
}

/// What the daemon said about a flow, at the event's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonAnswer {
    /// The flow's datapath; none where that is not told: event files of retis, recordings of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dp: Option<DpIfindex>,
    /// Which flow.
    pub ufid: Ufid,
    /// The actions the flow had when it was asked: an answer belongs to one generation.
    pub sf_acts: Option<FlowPtr>,
    /// What was asked.
    pub query: Query,
    /// The text, or why there is none. From outside: may hold anything.
    pub answer: Result<String, String>,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
}

/// What `ofproto/trace` said at the event's time: the OpenFlow rules that a packet with this key meets. About a packet
/// where the event has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonTrace {
    /// The datapath.
    pub dp: DpIfindex,
    /// The flow that the key is of; none where it is about a packet, or the flow has none.
    pub ufid: Option<Ufid>,
    /// What was asked: a key as `ovs-dpctl` writes them.
    pub key: String,
    /// Asked without anybody's doing, as a sample of flows that differ in this field.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample_of: Option<Field>,
    /// The text, or why there is none. From outside: may hold anything.
    pub answer: Result<String, String>,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
}

/// A note that somebody made while they looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bookmark {
    /// The moment it is about, which may be long before the event's own time.
    pub at: Nanos,
    /// What they wrote; may be empty.
    pub note: String,
}

/// Names a task for messages, `handler3/130`.
pub fn task_name(comm: Comm, tid: u32) -> String {
    format!("{comm}/{tid}")
}
