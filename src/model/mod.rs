//! Events in, state out: what the screen shows is read from here.
//!
//! A [`Model`] is a pure function of the events applied to it: it reads no clock, no file and no socket, so a replay is
//! the live session. "Now" is the largest time of any event. Everything is bounded ([`Limits`]), and what had to go is
//! counted ([`Evicted`]).

mod condition;
mod flows;
mod host;
mod latency;
mod limits;
mod meter;
mod packets;
mod rates;
mod summary;
mod tables;
mod talkers;
mod upcalls;

pub use condition::{BUSY_LOOKUPS, BUSY_UPCALLS, Condition, STORM_MISS_SHARE, STORM_MISSES, STORM_UPCALLS, State};
pub use flows::{Flow, FlowKey, FlowSort, LastPut};
pub use latency::{HEAT_BUCKETS, HEAT_SECONDS, HeatColumn, Percentiles, Stage, Window, heat_bound};
pub use limits::{Evicted, Limits};
pub use packets::{Fate, Packet};
pub use rates::{DatapathRow, Metric, Rates, Totals};
pub use summary::{L4Summary, MacAddr, NetSummary, PacketSummary};
pub use tables::{HandlerRow, PortRow};
pub use talkers::{Dimension, Talker, TalkerKey, Talkers};
pub use upcalls::{Enqueued, ExecDone, PutDone, Received, Upcall, UpcallEnd};

use crate::event::{
    Body, Capability, Clock, DaemonAnswer, DaemonState, Datapath, DpIfindex, Event, Loss, Nanos, PacketId, Port,
    PortNo, Query, Session, UpcallId,
};
use host::Host;

/// The state that events make. Cloned, it is a snapshot: that is what a paused screen shows.
#[derive(Debug, Clone, Default)]
pub struct Model {
    limits: Limits,
    evicted: Evicted,
    now: Nanos,
    started: Option<Nanos>,
    events_seen: u64,
    host: Host,
}

impl Model {
    /// An empty model within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Applies one event. Any event is taken: what does not fit together is kept as it came, nothing panics.
    pub fn apply(&mut self, event: &Event) {
        self.events_seen += 1;
        self.now = self.now.max(event.ts);
        match &event.body {
            Body::Session(session) => self.host.session = Some(session.clone()),
            Body::Datapaths { datapaths } => self.host.set_datapaths(datapaths),
            Body::Probes { capabilities } => self.host.capabilities.clone_from(capabilities),
            Body::Daemon(state) => self.host.daemon = Some(state.clone()),
            Body::Loss(loss) => self.host.loss = *loss,
            _ => {}
        }
    }

    /// Applies events in their order.
    pub fn apply_all(&mut self, events: &[Event]) {
        for event in events {
            self.apply(event);
        }
    }

    /// The largest time of any event; 0 before the first.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The time of the first event of a packet, an upcall or the counters.
    pub fn started(&self) -> Option<Nanos> {
        self.started
    }

    /// Events applied.
    pub fn events_seen(&self) -> u64 {
        self.events_seen
    }

    /// The bounds it was made with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was let go to stay within the bounds.
    pub fn evicted(&self) -> Evicted {
        self.evicted
    }

    /// What is looked at, and with what.
    pub fn session(&self) -> Option<&Session> {
        self.host.session.as_deref()
    }

    /// How the events' clock stands to the wall.
    pub fn clock(&self) -> Option<Clock> {
        self.session().map(|s| s.clock)
    }

    /// An event's time as nanoseconds since 1970 UTC; none before the session is known.
    pub fn wall(&self, ts: Nanos) -> Option<u64> {
        let clock = self.clock()?;
        let wall = i128::from(clock.wall) + i128::from(ts) - i128::from(clock.monotonic);
        u64::try_from(wall).ok()
    }

    /// The datapaths there are now.
    pub fn datapaths(&self) -> &[Datapath] {
        &self.host.datapaths
    }

    /// A datapath by its number.
    pub fn datapath(&self, dp: DpIfindex) -> Option<&Datapath> {
        self.datapaths().iter().find(|d| d.dp == dp)
    }

    /// A port by its number in a datapath.
    pub fn port(&self, dp: DpIfindex, port: PortNo) -> Option<&Port> {
        self.host.port(dp, port)
    }

    /// A port's name. From outside: may hold anything.
    pub fn port_name(&self, dp: DpIfindex, port: PortNo) -> Option<&str> {
        self.port(dp, port).map(|p| p.name.as_str())
    }

    /// A port by its name: with its datapath.
    pub fn port_by_name(&self, name: &str) -> Option<(DpIfindex, &Port)> {
        self.datapaths().iter().find_map(|d| Some((d.dp, d.ports.iter().find(|p| p.name == name)?)))
    }

    /// What can be seen, and with what.
    pub fn capabilities(&self) -> &[Capability] {
        &self.host.capabilities
    }

    /// Whether the daemon answers; none where nobody has asked.
    pub fn daemon(&self) -> Option<&DaemonState> {
        self.host.daemon.as_ref()
    }

    /// What is missing in the events.
    pub fn loss(&self) -> &Loss {
        &self.host.loss
    }

    /// What happened since the probes were attached; none before the first counters.
    pub fn totals(&self) -> Option<Totals> {
        None
    }

    /// The same per second, over the last two seconds of counters; none before there are two of them.
    pub fn rates(&self) -> Option<Rates> {
        None
    }

    /// A value for each monotonic second, the oldest first, at most 600, the running second not among them; empty
    /// before there is a whole second of counters. The second of the last value is [`Model::series_end`].
    ///
    /// Counters come about four times a second. What was counted between two of them is spread evenly over the time
    /// between, so a value is exact but for what lies a quarter second around its boundaries, and nothing is lost or
    /// counted twice: all values, and [`Model::running`], add up to the growth since the first counters.
    pub fn series(&self, _metric: Metric) -> impl ExactSizeIterator<Item = u64> + DoubleEndedIterator + '_ {
        std::iter::empty::<u64>()
    }

    /// The monotonic second (`ts / 1_000_000_000`) of the last value of every series; none while they are empty.
    pub fn series_end(&self) -> Option<u64> {
        None
    }

    /// What the running second has so far; for [`Metric::Flows`] and [`Metric::Masks`] the number now.
    pub fn running(&self, _metric: Metric) -> Option<u64> {
        None
    }

    /// The figures of each datapath, by number.
    pub fn datapath_rows(&self) -> Vec<DatapathRow> {
        Vec::new()
    }

    /// How long a stage takes; none where no upcall had it in that time.
    pub fn latency(&self, _stage: Stage, _window: Window) -> Option<Percentiles> {
        None
    }

    /// The whole latency over the last 120 seconds, one column for each second since the first that has any, the oldest
    /// first, up to and with the running one.
    pub fn heat(&self) -> Vec<HeatColumn> {
        Vec::new()
    }

    /// A packet.
    pub fn packet(&self, _id: PacketId) -> Option<&Packet> {
        None
    }

    /// All packets kept, in the order in which they were first heard of: the newest last.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = &Packet> + DoubleEndedIterator {
        [].iter()
    }

    /// A packet's events in the order of their times, but for its bytes, which are in [`Packet::bytes`].
    pub fn timeline(&self, _packet: &Packet) -> impl ExactSizeIterator<Item = &Event> + DoubleEndedIterator {
        [].iter()
    }

    /// What became of a packet so far.
    pub fn fate(&self, _packet: &Packet) -> Fate {
        Fate::InFlight
    }

    /// An upcall.
    pub fn upcall(&self, _id: UpcallId) -> Option<&Upcall> {
        None
    }

    /// All upcalls kept, in the order in which they were first heard of: the newest last.
    pub fn upcalls(&self) -> impl ExactSizeIterator<Item = &Upcall> + DoubleEndedIterator {
        [].iter()
    }

    /// How an upcall ended, or where it stands.
    pub fn upcall_end(&self, _upcall: &Upcall) -> UpcallEnd {
        UpcallEnd::InProgress
    }

    /// What an upcall took in a stage; none where that was not seen.
    pub fn stage(&self, _upcall: &Upcall, _stage: Stage) -> Option<Nanos> {
        None
    }

    /// A flow.
    pub fn flow(&self, _key: FlowKey) -> Option<&Flow> {
        None
    }

    /// How many flows are kept, the deleted ones among them.
    pub fn flow_count(&self) -> usize {
        0
    }

    /// All flows, in no order.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = &Flow> {
        [].iter()
    }

    /// `n` flows from place `offset` of the order: quick also with very many flows. Equal ones keep one order.
    pub fn top_flows(&self, _sort: FlowSort, _descending: bool, _offset: usize, _n: usize) -> Vec<FlowKey> {
        Vec::new()
    }

    /// The same among those that `keep` holds on to, and how many those are.
    pub fn top_flows_of(
        &self,
        _keep: impl Fn(&Flow) -> bool,
        _sort: FlowSort,
        _descending: bool,
        _offset: usize,
        _n: usize,
    ) -> (Vec<FlowKey>, usize) {
        (Vec::new(), 0)
    }

    /// A flow's hits per second, over the last second or two.
    pub fn hit_rate(&self, _flow: &Flow) -> f64 {
        0.0
    }

    /// What the daemon said about this generation of a flow; none where it was not asked, or asked about another.
    pub fn answer(&self, _flow: &Flow, _query: Query) -> Option<&DaemonAnswer> {
        None
    }

    /// The upcalls by port: every port that is there or made upcalls, by datapath and number.
    pub fn ports(&self) -> Vec<PortRow> {
        Vec::new()
    }

    /// The handlers' threads that were seen to receive, by name and thread id.
    pub fn handlers(&self) -> Vec<HandlerRow> {
        Vec::new()
    }

    /// Who makes the upcalls of the last ten seconds: the `n` biggest.
    pub fn talkers(&self, _dimension: Dimension, _n: usize) -> Talkers {
        Talkers::default()
    }

    /// How bad it is.
    pub fn condition(&self) -> Condition {
        Condition { state: State::Waiting, rates: None, miss_share: None }
    }
}
