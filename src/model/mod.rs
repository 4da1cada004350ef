//! Events in, state out: what the screen shows is read from here.
//!
//! A [`Model`] is a pure function of the events applied to it: it reads no clock, no file and no socket, so a replay is
//! the live session. "Now" is the largest time of any event. Everything is bounded ([`Limits`]), and what had to go is
//! counted ([`Evicted`]).

mod anomalies;
mod answers;
mod comings;
mod condition;
mod counted;
mod counting;
mod counts;
mod drops;
mod flow;
mod flows;
mod follow;
mod generation;
mod host;
mod incidents;
mod kinds;
mod latency;
mod limits;
mod makers;
mod meter;
mod ordered;
mod overview;
mod packet_key;
mod packet_store;
mod packets;
mod rates;
mod read;
mod recent;
mod revalidators;
mod shapes;
mod summary;
mod tables;
mod talkers;
mod traces;
mod unlinked;
mod upcalls;
mod verdict;
mod windows;

pub use crate::event::MacAddr;
pub use anomalies::{Anomaly, AnomalyKind};
pub use comings::{Lives, Returned};
pub use condition::{
    BUSY_LOOKUPS, BUSY_UPCALLS, Condition, OVER_BELOW, STORM_MISS_SHARE, STORM_MISSES, STORM_UPCALLS, State,
};
pub use drops::DropRow;
pub use flow::{Flow, FlowKey, FlowSort, LastPut};
pub use flows::FlowOrder;
pub use follow::Late;
pub use generation::Generation;
pub use latency::{HEAT_BUCKETS, HEAT_SECONDS, HeatColumn, Percentiles, Stage, Window, heat_bound};
pub use limits::{Evicted, Limits};
pub use meter::SECOND;
pub use overview::{Column, Overview};
pub use packet_key::packet_key;
pub use packets::{Fate, Packet, PacketSnapshot};
pub use rates::{DatapathRow, Metric, Rates, SERIES_SECONDS, Totals};
pub use revalidators::Revalidators;
pub use shapes::{FieldSpread, Spreads};
pub use summary::{L4Summary, NetSummary, PacketSummary, proto_name};
pub use tables::{HandlerRow, PortRow, Scheduled};
pub use talkers::{Dimension, Talker, TalkerKey, Talkers};
pub use traces::Traced;
pub use unlinked::{Missing, Strays, Unlinked};
pub use upcalls::{Asked, Enqueued, ExecDone, PutDone, Received, Upcall, UpcallEnd};
pub use verdict::{
    Cause, Certainty, Culprit, Figure, NamedRule, PastVerdict, Sample, Severity, Verdict, VerdictId, grouped,
};

use std::collections::VecDeque;

use crate::event::{Body, Counters, DaemonState, Datapath, Event, Nanos, Session, UpcallId};
use anomalies::{Anomalies, daemon_change, datapath_changes};
use answers::Answers;
use condition::Levels;
use counting::{Counting, Reading};
use drops::Drops;
use flows::Flows;
use host::Host;
use kinds::UpcallKinds;
use latency::Latency;
use makers::Makers;
use packet_store::Packets;
use recent::Recent;
use shapes::Shapes;
use tables::Handlers;
use traces::Traces;
use unlinked::Gaps;
use verdict::Verdicts;
use windows::{Matters, Outcomes, Returns, ToldFigures};

/// The state that events make. Cloned, it is a snapshot: that is what a paused screen shows.
///
/// Two models are equal where all of their state is, to the bit and in its order: then nothing that is read of them, now
/// or after further events, tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    limits: Limits,
    evicted: Evicted,
    now: Nanos,
    /// The monotonic second of `now`.
    second: u64,
    started: Option<Nanos>,
    /// The first event of a packet or an upcall.
    detailed_from: Option<Nanos>,
    events_seen: u64,
    host: Host,
    counting: Counting,
    kinds: UpcallKinds,
    /// The first reading of the counters that the ten seconds of `kinds` can begin with.
    counted_from: Option<Nanos>,
    latency: Latency,
    drops: Drops,
    packets: Packets,
    upcalls: Recent<UpcallId, Upcall>,
    /// Upcalls of which a stage is over and not certain, and since when.
    unsettled: VecDeque<(Nanos, UpcallId)>,
    late: Late,
    gaps: Gaps,
    strays: Strays,
    levels: Levels,
    /// The rates that `levels` are of.
    judged: Option<Rates>,
    anomalies: Anomalies,
    flows: Flows,
    answers: Answers,
    handlers: Handlers,
    revalidators: Revalidators,
    makers: Makers,
    shapes: Shapes,
    outcomes: Outcomes,
    matters: Matters,
    returns: Returns,
    told: ToldFigures,
    traces: Traces,
    verdicts: Verdicts,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Model {
    /// An empty model within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            evicted: Evicted::default(),
            now: 0,
            second: 0,
            started: None,
            detailed_from: None,
            events_seen: 0,
            host: Host::default(),
            counting: Counting::default(),
            kinds: UpcallKinds::default(),
            counted_from: None,
            latency: Latency::new(),
            drops: Drops::default(),
            packets: Packets::default(),
            upcalls: Recent::default(),
            unsettled: VecDeque::new(),
            late: Late::default(),
            gaps: Gaps::default(),
            strays: Strays::default(),
            levels: Levels::default(),
            judged: None,
            anomalies: Anomalies::default(),
            flows: Flows::default(),
            answers: Answers::default(),
            handlers: Handlers::default(),
            revalidators: Revalidators::default(),
            makers: Makers::default(),
            shapes: Shapes::default(),
            outcomes: Outcomes::default(),
            matters: Matters::default(),
            returns: Returns::default(),
            told: ToldFigures::default(),
            traces: Traces::default(),
            verdicts: Verdicts::default(),
        }
    }

    /// Applies events in their order.
    pub fn apply_all(&mut self, events: &[Event]) {
        for event in events {
            self.apply(event);
        }
    }

    /// Applies one event. Any event is taken: what does not fit together is kept as it came, nothing panics.
    ///
    /// Events may come out of the order of their times, as those of several CPUs and those that are told at the end of a
    /// call do. Within [`Limits::lateness`] the order in which different CPUs' events came makes no difference to packets,
    /// upcalls, flows and histograms, as long as nothing is evicted; what comes later is counted ([`Model::late`]).
    pub fn apply(&mut self, event: &Event) {
        self.events_seen += 1;
        if event.ts > self.now {
            self.now = event.ts;
            if event.ts / SECOND > self.second {
                self.begin_second(event.ts / SECOND);
            }
            self.settle();
        }
        match &event.body {
            Body::Session(session) => self.begin_session(event.ts, session),
            Body::Datapaths { datapaths } => {
                self.set_datapaths(event.ts, datapaths);
                let most = self.limits.datapaths.max(1);
                let without_room = self.counting.datapaths(datapaths, most);
                self.evicted.datapaths = self.evicted.datapaths.max(without_room);
            }
            Body::Probes { capabilities } => self.host.set_capabilities(capabilities),
            Body::Daemon(state) => self.set_daemon(event.ts, state),
            Body::DaemonFigures(figures) => self.told.add(event.ts, figures),
            Body::FlowShape(shape) => self.shapes.add(event.ts, shape, self.limits.shapes),
            Body::DaemonAnswer(answer) => self.answers.insert(event.ts, answer, &self.limits, &mut self.evicted),
            Body::DaemonTrace(trace) => {
                self.traces.add(event.ts, event.packet, trace, &self.limits, &mut self.evicted);
            }
            // Of the recording, not of what was recorded: see [`Overview`].
            Body::Mark(_) => {}
            Body::Loss(loss) => {
                self.host.loss = *loss;
                let more = self.gaps.lose(event.ts, loss, self.limits.lateness());
                if more > 0 {
                    self.note(event.ts, AnomalyKind::EventsLost, more);
                }
            }
            Body::Counters(counters) => {
                self.started.get_or_insert(event.ts);
                self.count(event.ts, counters);
            }
            _ => {
                self.started = Some(self.started.map_or(event.ts, |started| started.min(event.ts)));
                self.detailed_from = Some(self.detailed_from.map_or(event.ts, |from| from.min(event.ts)));
                self.follow(event);
            }
        }
    }

    fn begin_second(&mut self, second: u64) {
        self.second = second;
        self.latency.advance(second);
        self.evicted.talkers += self.makers.advance(second, self.limits.talkers);
        let waits = self.latency.percentiles(Stage::Wait, Window::Last10);
        self.anomalies.usual_wait(waits.map(|waits| (waits.p99, waits.count)));
    }

    /// Something happened that is worth a look.
    fn note(&mut self, ts: Nanos, kind: AnomalyKind, count: u64) {
        self.anomalies.add(ts, kind, count, &self.limits, &mut self.evicted);
    }

    fn set_datapaths(&mut self, ts: Nanos, datapaths: &[Datapath]) {
        let numbers = |datapaths: &[Datapath]| datapaths.iter().map(|datapath| datapath.dp).collect::<Vec<_>>();
        let changes = datapath_changes(&numbers(&self.host.datapaths), &numbers(datapaths));
        self.host.set_datapaths(datapaths);
        for kind in changes {
            if let AnomalyKind::DatapathGone(dp) = kind {
                self.flows.datapath_is_gone(ts, dp);
            }
            self.note(ts, kind, 1);
        }
    }

    fn set_daemon(&mut self, ts: Nanos, state: &DaemonState) {
        let kind = daemon_change(self.host.daemon.as_ref(), state);
        self.host.daemon = Some(state.clone());
        if let Some(kind) = kind {
            self.note(ts, kind, 1);
        }
    }

    /// The first session; the same one said again, which the clock's moment shows; or another.
    fn begin_session(&mut self, ts: Nanos, session: &Session) {
        if let Some(before) = &self.host.session {
            let is_same_host = before.host == session.host;
            let is_same = before.is_same(session);
            let went_back = self.now.saturating_sub(ts) > SECOND;
            if !is_same && (!is_same_host || went_back) {
                // Recordings one behind the other: nothing of the first means anything in the second.
                *self = Self { events_seen: self.events_seen, now: ts, second: ts / SECOND, ..Self::new(self.limits) };
            } else if !is_same {
                // Probes attached anew on the same host: they count from 0, and give identities from 1.
                self.packets.clear(&mut self.evicted);
                self.settle_all();
                self.evicted.upcalls += self.upcalls.len() as u64;
                self.upcalls = Recent::default();
                self.flows.restart();
                self.counting.restart();
                self.gaps.restart();
                (self.shapes, self.returns) = (Shapes::default(), Returns::default());
                self.note(ts, AnomalyKind::ProbesRestarted, 1);
            }
        }
        self.host.session = Some(Box::new(session.clone()));
    }

    /// How bad it is, after a reading of the counters.
    fn judge(&mut self, ts: Nanos) {
        let lookups_counted = self.uncounted(Metric::Lookups).is_none();
        let before = self.levels.condition(self.judged, lookups_counted).state;
        self.judged = self.rates();
        self.levels = self.levels.after(self.judged, lookups_counted);
        let after = self.levels.condition(self.judged, lookups_counted).state;
        if before != after && before != State::Waiting && after != State::Waiting {
            self.note(ts, AnomalyKind::Condition(before, after), 1);
        }
    }

    fn count(&mut self, ts: Nanos, counters: &Counters) {
        let most = self.limits.datapaths.max(1);
        let (reading, without_room) = self.counting.apply(ts, counters, most);
        self.evicted.datapaths = self.evicted.datapaths.max(without_room);
        let before = match reading {
            Reading::Stale => return,
            Reading::First => {
                self.counted_from = Some(ts);
                None
            }
            Reading::After(before) => Some(before),
        };
        self.gaps.look(ts);
        self.anomalies.count(before, ts, counters, &self.limits, &mut self.evicted);
        self.judge(ts);
        self.latency.count(before.is_none(), ts, &counters.stages);
        self.drops.apply(before, ts, &counters.drops, &self.limits, &mut self.evicted);
        self.handlers.schedule(before, ts, &counters.handlers);
        self.kinds.apply(reading, ts, &counters.upcalls, &self.limits, &mut self.evicted);
        if self.host.learn_tables(&counters.datapaths, most.saturating_mul(2)) {
            self.flows.forget_unknown_datapath();
        }
        self.flows.set_hits_uncounted(counters.flow_hits_uncounted);
        for flow in &counters.flows {
            let dp = self.host.datapath_of_table(flow.table);
            self.flows.count(before, ts, dp, flow, &self.limits, &mut self.evicted);
        }
        self.outcomes.apply(before.is_none(), ts, counters);
        self.examine(ts);
    }
}
