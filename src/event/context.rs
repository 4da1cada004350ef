//! What surrounds the packets: counters, losses, datapaths and ports, probes, the daemon and its answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comm, DpIfindex, DropCounter, Field, FlowPtr, HandlerSched, Nanos, PortNo, StageCounter, Ufid, UpcallCmd};

/// The kernel side's exact counters since the probes were attached (not since the datapath was made: what `ovs-dpctl show`
/// counted before that is not in them). All but the upcalls are summed over CPUs. They are exact however few events are
/// recorded one by one.
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
    /// Flows whose hits grew since the previous reading, with their hits so far.
    pub flows: Vec<FlowCounter>,
    /// Hits of flows that had no room in the kernel side's table, or whose entry another flow took over.
    pub flow_hits_uncounted: u64,
    /// What the datapath dropped, by its own reasons; always empty before Linux 6.6, which has none.
    #[serde(default)]
    pub drops: Vec<DropCounter>,
    /// What the scheduler did with each handler's thread; empty where that is not observed.
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
    /// Its flow table's address, which tells datapaths of unknown number apart; in JSON hex, as flows' addresses are.
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
    /// The CPU that they were made on; none in recordings that do not tell CPUs apart.
    #[serde(default)]
    pub cpu: Option<u32>,
    /// What `ovs_dp_upcall` returned: 0, or minus an errno where the packet was lost.
    pub ret: i32,
    /// How many.
    pub count: u64,
}

/// How often an operation ended with one outcome.
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
    /// When the hits were last seen to have grown: the last hit is at most one reading (a second) older than this.
    pub last: Nanos,
}

/// What is missing from the events, by reason, since the session began. Only ever grows within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// Events that did not fit into the ring buffer.
    pub ring_full: u64,
    /// Packets left out because the event budget was spent. Their counters are right.
    pub over_budget: u64,
    /// Upcalls left out because the event budget was spent. Their counters are right.
    pub upcalls_over_budget: u64,
    /// Events of the daemon's USDT probes that belong to no recorded upcall, left out because the event budget was spent.
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
    /// Runs of a probe that the kernel left out because the same probe was already running on that CPU
    /// (`recursion_misses`): what they would have seen or counted is missing. Also the steps of packets that were chosen
    /// late (`--where 'reason = …'`), beyond those that were held back for them.
    #[serde(default)]
    pub missed_runs: u64,
    /// Events that arrived and could not be decoded.
    pub undecoded: u64,
    /// Events that the recorder could not keep up with.
    pub not_recorded: u64,
}

impl Loss {
    /// In a word, how the upcalls that are seen one by one were picked from all of them; none where they are all.
    pub fn upcalls_are(&self) -> Option<&'static str> {
        match self {
            Self { upcalls_filtered_out: 1.., .. } => Some("filtered"),
            Self { upcalls_over_budget: 1.., .. } => Some("sampled"),
            _ => None,
        }
    }

    /// How much was lost, as opposed to left out on purpose by the budget, a filter or `--sample`.
    pub fn lost(&self) -> u64 {
        // A recording from elsewhere may hold any numbers.
        [self.ring_full, self.untracked, self.missed_runs, self.undecoded, self.not_recorded]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Whether anything was lost, as opposed to left out on purpose.
    pub fn any(&self) -> bool {
        self.lost() > 0
    }
}

/// The traced host and the program that traces it: what it takes to read a recording on another machine.
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
    /// How many CPUs it can have.
    pub cpus: u32,
    /// The daemon's version, as it reports it; empty where it did not answer.
    pub ovs_version: String,
    /// The command line of the session.
    pub command: String,
    /// How the monotonic clock relates to the wall clock.
    pub clock: Clock,
}

impl Session {
    /// Whether the other is this same session, said again. The probes of another one count from 0 and give identities
    /// from 1.
    pub fn is_same(&self, other: &Self) -> bool {
        self.host == other.host && self.clock.monotonic == other.clock.monotonic
    }
}

/// One moment on both clocks, by which events' times become times of day.
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
    /// The kernel's own counts since the datapath was made; none where it was not asked.
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

/// Something that can be observed, and the probe that observes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capability {
    /// What: `flow_lookup`, `upcall`, … as the events' `type`, or `counters`.
    pub name: String,
    /// Whether it works.
    pub state: CapabilityState,
    /// What it is attached to, or would be: `fexit ovs_flow_tbl_lookup_stats`.
    pub probe: String,
    /// Why it is degraded, missing or off, and what to do; empty when attached.
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

/// Whether a capability works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapabilityState {
    /// Attached in the best way there is.
    Attached,
    /// Attached in a lesser way: at higher cost, or seeing less.
    Degraded,
    /// Asked for, and could not be attached.
    Missing,
    /// Not asked for.
    Off,
}

/// What a BPF program has cost (`run_time_ns` and `run_cnt` of `struct bpf_prog_info`, while the kernel's BPF statistics
/// are on).
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
        /// What it answers to `version`.
        version: String,
        /// How long `version` took, in nanoseconds.
        round_trip_ns: u64,
        /// Commands that ovscope would use and the daemon does not have.
        missing: Vec<String>,
    },
    /// It is not there, or does not answer.
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

/// How [`DaemonAnswer::answer`] begins where a flow has no rules yet: that is usual for a new one, and nothing is wrong.
pub const NO_RULES_YET: &str = "ovs-vswitchd has no rules";

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
    /// The program asked by itself, for a sample of flows that differ in this field; none where somebody asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample_of: Option<Field>,
    /// The text, or why there is none. From outside: may hold anything.
    pub answer: Result<String, String>,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
}

/// A moment that somebody marked, with a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bookmark {
    /// The moment it is about, which may be long before the event's own time.
    pub at: Nanos,
    /// What they wrote; may be empty.
    pub note: String,
}

/// A task as it is named on the screen, `handler3/130`.
pub fn task_name(comm: Comm, tid: u32) -> String {
    format!("{comm}/{tid}")
}
