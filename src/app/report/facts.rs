//! What a report says, as plain data: its JSON form.

use serde::Serialize;

use super::new_flows::NewFlows;
use crate::event::{Capability, Comm, DaemonState, DelReason, Field, Nanos, Session};

/// A report. Counts without another word are of the time that the recording spans; times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of the format: it grows when a field changes its meaning or is removed, not when one is added.
    pub version: u32,
    /// Who recorded and what; none where the recording does not say.
    pub session: Option<Session>,
    /// What the recording spans.
    pub span: Option<Span>,
    /// Events read.
    pub events: u64,
    /// What was wrong: the worst first; empty where no rule held.
    pub verdicts: Vec<Verdict>,
    /// How bad it was.
    pub condition: Condition,
    /// What somebody marked.
    pub marks: Vec<Mark>,
    /// What was counted, over time; empty where there are no counters.
    pub rates: Vec<Rate>,
    /// The datapaths.
    pub datapaths: Vec<Datapath>,
    /// Whether the daemon answered, as it last was.
    pub daemon: Option<DaemonState>,
    /// What could be seen, and by which probes.
    pub probes: Vec<Capability>,
    /// How long the stages of upcalls took, since the session began.
    pub stages: Stages,
    /// Upcalls by what `ovs_dp_upcall` returned. Exact.
    pub outcomes: Vec<Outcome>,
    /// Ports by their upcalls, since the probes were attached. Exact.
    pub in_ports: Vec<InPort>,
    /// Upcalls that were seen one by one: what `sources`, `destinations` and `punted_by` are of.
    pub upcalls_seen: u64,
    /// Where the packets of upcalls came from.
    pub sources: Top,
    /// Where they were going.
    pub destinations: Top,
    /// What in the daemon's actions made upcalls.
    pub punted_by: Top,
    /// Flows known, including the deleted ones.
    pub flow_count: u64,
    /// The flows with the most hits.
    pub flows_by_hits: Vec<Flow>,
    /// The flows that were put for the most upcalls.
    pub flows_by_upcalls: Vec<Flow>,
    /// The flows that came back most often after they were deleted.
    pub flows_by_returns: Vec<Flow>,
    /// How flows came and went.
    pub lives: Lives,
    /// How new flows differed when most were made; none where the matches of fewer than two were known at once.
    pub new_flows: Option<NewFlows>,
    /// What the datapath dropped for reasons of its own, since the probes were attached. Exact.
    pub drops: Vec<DropCount>,
    /// Drops of recorded packets anywhere in the kernel, by reason and place.
    pub drops_seen: Top,
    /// The handlers.
    pub handlers: Vec<Handler>,
    /// The revalidators; none where the daemon has no probes for them.
    pub revalidators: Option<Revalidators>,
    /// What is missing, by kind; empty where nothing is.
    pub missing: Vec<Missing>,
    /// What is wrong with the recording.
    pub remarks: Vec<String>,
}

/// How flows came and went, including those that were let go of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lives {
    /// Flows that were put, as far as it was seen.
    pub put: u64,
    /// Those that no packet ever hit; none where hits are not counted by flow.
    pub unused: Option<u64>,
    /// Hits that are counted for no flow, for want of room: the flows' hits may lack as many.
    pub hits_uncounted: u64,
    /// Flows that came back after they were deleted.
    pub returned: u64,
    /// How often, all of them together.
    pub returns: u64,
    /// How long they were gone each time, on average; none where none came back.
    pub gone: Option<Nanos>,
    /// Whether puts or deletions may be missing: then these numbers are lower bounds.
    pub at_least: bool,
}

/// From the first event on a packet's way or of the counters to the last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// On the traced host's monotonic clock.
    pub first: Nanos,
    /// Likewise.
    pub last: Nanos,
    /// By the traced host's wall clock, RFC 3339; none where the clocks are not known.
    pub from: Option<String>,
    /// Likewise.
    pub to: Option<String>,
    /// Nanoseconds in it.
    pub ns: Nanos,
}

/// Something that was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Its name, as `--trigger verdict=NAME` takes it.
    pub cause: &'static str,
    /// At its worst: note, warning, critical.
    pub severity: &'static str,
    /// How sure: likely, sure.
    pub certainty: &'static str,
    /// The first second, from the beginning of the span.
    pub from_second: u64,
    /// The last one.
    pub to_second: u64,
    /// In one line, at its worst, with who or what it is.
    pub headline: String,
    /// The figures for and against it.
    pub figures: Vec<Figure>,
    /// The OpenFlow rules behind it, as far as traces of a few flows name them.
    pub rules: Vec<Rule>,
    /// Why none is named, where one was looked for.
    pub rule_unknown: Option<String>,
    /// What to try, in the order of trying.
    pub tries: Vec<&'static str>,
    /// What to read about it: manual pages and chapters of Open vSwitch's documentation.
    pub reads: Vec<&'static str>,
}

/// An OpenFlow rule that uses the field in which flows differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// Its bridge; empty where it is not told.
    pub bridge: String,
    /// Its table.
    pub table: u32,
    /// Its priority.
    pub priority: Option<u32>,
    /// Its cookie, `0x1f`; empty where it is 0.
    pub cookie: String,
    /// Its match; empty where it matches everything.
    pub matches: String,
    /// The field that flows differ in.
    pub field: Field,
    /// How the rule uses it: `matches udp_src`.
    pub says: String,
    /// All of this in one line.
    pub line: String,
    /// Traced flows that met it …
    pub met_by: usize,
    /// … of so many.
    pub of: usize,
}

/// A figure that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it says.
    pub text: String,
    /// Whether it speaks for the verdict, or against it.
    pub is_for: bool,
}

/// How bad it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// The worst of all seconds: waiting (no counters), quiet, busy, storm, losing.
    pub worst: &'static str,
    /// The first second that was as bad as that, from the beginning of the span; none where there are no counters.
    pub second: Option<u64>,
    /// Seconds in each state, of those that have counters: the least bad first.
    pub seconds: Vec<(&'static str, u64)>,
}

/// A moment that somebody marked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// The moment, in seconds from the beginning of the span.
    pub second: u64,
    /// What they wrote; may be empty.
    pub note: String,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// What.
    pub name: &'static str,
    /// How many, within the span.
    pub total: u64,
    /// Per second, over the span.
    pub mean: f64,
    /// In the second that had the most.
    pub peak: u64,
    /// That second, from the beginning of the span.
    pub peak_second: Option<u64>,
}

/// A datapath, as it last was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Datapath {
    /// Its number.
    pub dp: u32,
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: usize,
    /// Flows in the kernel's table, where the kernel was asked.
    pub flows: Option<u64>,
    /// Masks.
    pub masks: Option<u32>,
    /// Lookups that hit, since the probes were attached.
    pub hits: u64,
    /// Lookups that missed.
    pub misses: u64,
    /// Masks tried in all of them.
    pub masks_tried: u64,
    /// Lookups whose mask came from the mask cache.
    pub cache_hits: u64,
}

/// The stages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stages {
    /// Which upcalls: all, seen, filtered, sampled.
    pub of: &'static str,
    /// The stages that were seen, in their order.
    pub stages: Vec<StageTimes>,
}

/// A stage's times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTimes {
    /// Which.
    pub stage: &'static str,
    /// Upcalls.
    pub upcalls: u64,
    /// Half of them took at most this.
    pub p50: Nanos,
    /// 90 % of them.
    pub p90: Nanos,
    /// 99 % of them.
    pub p99: Nanos,
    /// All of them.
    pub max: Nanos,
}

/// Upcalls that ended alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// 0, or minus an errno.
    pub ret: i32,
    /// In words.
    pub meaning: String,
    /// How many.
    pub upcalls: u64,
}

/// A port's upcalls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InPort {
    /// Its name, or its number in words.
    pub port: String,
    /// Its datapath.
    pub datapath: String,
    /// Misses.
    pub misses: u64,
    /// By a `userspace` action.
    pub actions: u64,
    /// For other reasons.
    pub others: u64,
    /// Those of all these that were lost.
    pub lost: u64,
}

/// The most frequent of something.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Top {
    /// What and how often, the most frequent first.
    pub top: Vec<(String, u64)>,
    /// What is not among them.
    pub others: u64,
}

/// A flow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flow {
    /// Its UFID; none where it is known by its key alone.
    pub ufid: Option<String>,
    /// Its datapath.
    pub datapath: String,
    /// Packets that hit it.
    pub hits: u64,
    /// Bytes of them, where they are counted.
    pub bytes: Option<u64>,
    /// Upcalls answered with a put of it.
    pub upcalls: u64,
    /// Puts of it that failed.
    pub puts_failed: u32,
    /// The port that a recorded packet of it came in by.
    pub in_port: Option<String>,
    /// What such a packet looked like.
    pub packet: Option<String>,
    /// Whether it was put and no packet ever hit it, as far as hits are counted.
    pub unused: bool,
    /// How often it came back after it was deleted; none where it never did.
    pub returned: Option<Returned>,
    /// Whether it was deleted when the recording ended.
    pub deleted: bool,
    /// Why, where the daemon told.
    pub deleted_because: Option<String>,
    /// Its match and actions, as the daemon said; none where it was not asked, or had no answer.
    pub dpctl: Option<String>,
    /// The OpenFlow rules it comes from, as the daemon said.
    pub openflow: Option<String>,
    /// Why the daemon had no answer, where it was asked and had none.
    pub no_answer: Option<String>,
}

/// How often a flow was deleted and put again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Returned {
    /// How often, as far as it was seen.
    pub times: u32,
    /// From one return to the next, on average; none where there was only one.
    pub period: Option<Nanos>,
    /// How long it was gone, on average.
    pub gone: Nanos,
    /// Why it was deleted before it last came back, where the daemon told.
    pub because: Option<String>,
}

/// Drops for a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DropCount {
    /// Its name, or its number in words.
    pub reason: String,
    /// Packets.
    pub packets: u64,
}

/// A handler's thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Handler {
    /// Its thread id.
    pub tid: u32,
    /// Its name.
    pub comm: Comm,
    /// Upcalls to its sockets. Exact.
    pub upcalls: u64,
    /// Those that could not be queued.
    pub lost: u64,
    /// Messages seen to be received.
    pub received: u64,
    /// Messages in a batch, on average.
    pub batch_mean: f64,
    /// Messages in the largest batch.
    pub batch_max: u32,
    /// The longest it had to run and got no CPU, in nanoseconds; none where that is not looked at.
    pub runnable_max: Option<Nanos>,
}

/// The revalidators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Revalidators {
    /// Rounds.
    pub rounds: u64,
    /// The longest.
    pub longest: Nanos,
    /// Flows when the last one began.
    pub flows: u64,
    /// Flows deleted, by reason.
    pub deleted: Vec<(DelReason, u64)>,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// How much.
    pub count: u64,
    /// What.
    pub what: String,
    /// Whether it was lost; otherwise it was left out on purpose, or to stay within bounds.
    pub lost: bool,
}
