//! What the screen reads of a model.

use super::{
    Anomaly, Condition, DatapathRow, Dimension, DropRow, Evicted, Fate, Flow, FlowKey, FlowOrder, FlowSort, HandlerRow,
    HeatColumn, Late, Limits, Metric, Model, Packet, PacketSnapshot, Percentiles, PortRow, Rates, Revalidators, SECOND,
    Stage, TalkerKey, Talkers, Totals, Traced, Upcall, UpcallEnd, Window, tables::Handler, talkers::Sketch,
};
use crate::event::{
    Capability, Clock, DaemonAnswer, DaemonState, Datapath, DpIfindex, Event, FlowShape, Loss, Nanos, PacketId, Port,
    PortNo, Query, Session, Ufid, UpcallId,
};

/// Rates whose last reading is older than this say nothing about the present.
const STALE: Nanos = 3 * SECOND;

impl Model {
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

    /// Events that came so late that their place may be wrong.
    pub fn late(&self) -> Late {
        self.late
    }

    /// What happened that is worth a look, in the order of the times: the last [`Limits::anomalies`] of them.
    pub fn anomalies(&self) -> impl ExactSizeIterator<Item = &Anomaly> + DoubleEndedIterator {
        self.anomalies.iter()
    }

    /// A copy of a packet with everything that is kept of it: it stays when the model lets go of the packet.
    pub fn packet_snapshot(&self, id: PacketId) -> Option<PacketSnapshot> {
        let packet = self.packet(id)?;
        let upcalls = packet.upcalls.iter().filter_map(|&id| self.upcall(id).copied()).collect();
        Some(PacketSnapshot {
            packet: packet.clone(),
            events: self.timeline(packet).cloned().collect(),
            upcalls,
            fate: self.fate(packet),
        })
    }

    /// What is looked at, and with what.
    pub fn session(&self) -> Option<&Session> {
        self.host.session.as_deref()
    }

    /// How the events' clock relates to the wall clock.
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

    /// What can be seen, and by which probes.
    pub fn capabilities(&self) -> &[Capability] {
        &self.host.capabilities
    }

    /// What keeps this from being counted: the first of its capabilities that is missing or off, as far as is known.
    pub fn uncounted(&self, metric: Metric) -> Option<&Capability> {
        metric.uncounted(self.capabilities())
    }

    /// Whether the daemon answers; none where nobody has asked.
    pub fn daemon(&self) -> Option<&DaemonState> {
        self.host.daemon.as_ref()
    }

    /// What the revalidators did, as far as a daemon with USDT probes tells.
    pub fn revalidators(&self) -> &Revalidators {
        &self.revalidators
    }

    /// What is missing in the events.
    pub fn loss(&self) -> &Loss {
        &self.host.loss
    }

    /// What happened since the probes were attached; none before the first counters.
    pub fn totals(&self) -> Option<Totals> {
        self.counting.totals()
    }

    /// The same per second, over the last two seconds of counters; none before there are two of
    /// them, and none when the last is more than three seconds old.
    pub fn rates(&self) -> Option<Rates> {
        self.counting.rates().filter(|_| self.now().saturating_sub(self.counted_at()) <= STALE)
    }

    /// A value for each monotonic second, the oldest first, at most 600, the running second not among them; empty
    /// before there is a whole second of counters. The second of the last value is [`Model::series_end`].
    ///
    /// Counters come about four times a second. What was counted between two of them is spread evenly over the time
    /// between, so a value is exact but for what lies a quarter second around its boundaries, and nothing is lost or
    /// counted twice: all values, and [`Model::running`], add up to the growth since the first counters.
    pub fn series(&self, metric: Metric) -> impl ExactSizeIterator<Item = u64> + DoubleEndedIterator + '_ {
        self.counting.series(metric)
    }

    /// The mean of the last whole seconds' values, of at most `seconds`, and of how many it is; none before there is one.
    pub fn mean(&self, metric: Metric, seconds: usize) -> Option<(f64, usize)> {
        let (sum, count) = self
            .series(metric)
            .rev()
            .take(seconds)
            .fold((0u64, 0), |(sum, n), value| (sum.saturating_add(value), n + 1));
        (count > 0).then(|| (sum as f64 / count as f64, count))
    }

    /// The monotonic second (`ts / 1_000_000_000`) of the last value of every series; none while they are empty.
    pub fn series_end(&self) -> Option<u64> {
        self.counting.series_end()
    }

    /// What the running second has so far; for [`Metric::Flows`] and [`Metric::Masks`] the number now.
    pub fn running(&self, metric: Metric) -> Option<u64> {
        self.counting.running(metric)
    }

    /// The figures of each datapath, by number.
    pub fn datapath_rows(&self) -> Vec<DatapathRow> {
        self.counting.rows()
    }

    /// How long a stage takes; none where no upcall had it in that time.
    pub fn latency(&self, stage: Stage, window: Window) -> Option<Percentiles> {
        self.latency.percentiles(stage, window)
    }

    /// Whether [`Model::latency`] and [`Model::heat`] are of all upcalls, as the kernel side counted them; else they are
    /// of those that were seen in detail.
    pub fn counts_stages(&self) -> bool {
        self.latency.is_counted()
    }

    /// What the datapath dropped for reasons of its own, the most of them first. Exact.
    pub fn drops(&self) -> Vec<DropRow<'_>> {
        self.drops.rows(self.counted_at())
    }

    /// The whole latency over the last 120 seconds, one column for each second since the first that has any, the oldest
    /// first, up to and with the running one.
    pub fn heat(&self) -> Vec<HeatColumn> {
        self.latency.heat()
    }

    /// A packet.
    pub fn packet(&self, id: PacketId) -> Option<&Packet> {
        self.packets.get(id)
    }

    /// All packets kept, in the order in which they were first heard of: the newest last.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = &Packet> + DoubleEndedIterator {
        self.packets.iter()
    }

    /// A packet's events in the order of their times, but for its bytes, which are in [`Packet::bytes`].
    pub fn timeline(&self, packet: &Packet) -> impl ExactSizeIterator<Item = &Event> + DoubleEndedIterator {
        self.packets.timeline(packet.id)
    }

    /// What became of a packet so far.
    pub fn fate(&self, packet: &Packet) -> Fate {
        let upcall = packet.upcalls.last().and_then(|&id| self.upcall(id));
        packet.fate(upcall, self.now)
    }

    /// An upcall.
    pub fn upcall(&self, id: UpcallId) -> Option<&Upcall> {
        self.upcalls.get(id)
    }

    /// All upcalls kept, in the order in which they were first heard of: the newest last.
    pub fn upcalls(&self) -> impl ExactSizeIterator<Item = &Upcall> + DoubleEndedIterator {
        self.upcalls.iter()
    }

    /// How an upcall ended, or where it stands.
    pub fn upcall_end(&self, upcall: &Upcall) -> UpcallEnd {
        upcall.end(self.now)
    }

    /// What an upcall took in a stage; none where that was not seen.
    pub fn stage(&self, upcall: &Upcall, stage: Stage) -> Option<Nanos> {
        upcall.stage(stage)
    }

    /// A flow.
    pub fn flow(&self, key: FlowKey) -> Option<&Flow> {
        self.flows.get(key)
    }

    /// How many flows are kept, the deleted ones among them.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// All flows, in no order.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.flows.iter()
    }

    /// The flows that `keep` says yes to, in this order. It is called once with each of [`Model::flows`], in their order.
    pub fn flow_order(&self, keep: impl FnMut(&Flow) -> bool, sort: FlowSort, descending: bool) -> FlowOrder<'_> {
        self.flows.order(keep, (sort, descending), self.counted_at())
    }

    /// A flow's hits per second, over the last second or two.
    pub fn hit_rate(&self, flow: &Flow) -> f64 {
        flow.hit_rate(self.counted_at())
    }

    /// Bytes per second of the packets that hit a flow, likewise; none where they are not counted.
    pub fn byte_rate(&self, flow: &Flow) -> Option<f64> {
        flow.byte_rate(self.counted_at())
    }

    /// What the daemon said about this generation of a flow; none where it was not asked, or asked about another.
    pub fn answer(&self, flow: &Flow, query: Query) -> Option<&DaemonAnswer> {
        self.answered(flow, query).map(|(_, answer)| answer)
    }

    /// The same with when it came.
    pub fn answered(&self, flow: &Flow, query: Query) -> Option<(Nanos, &DaemonAnswer)> {
        let ufid = flow.ufid?;
        // The daemon may have been asked before the actions were known, and older recordings do not tell the datapath.
        let places = [Some(flow.dp), None].into_iter().flat_map(|dp| [(dp, flow.sf_acts), (dp, None)]);
        places.into_iter().find_map(|(dp, sf_acts)| self.answers.get((dp, ufid, sf_acts, query), flow.since))
    }

    /// What the daemon said last when it was asked to trace a packet of this generation of a flow.
    pub fn trace_of_flow(&self, flow: &Flow) -> Option<&Traced> {
        let ufid = flow.ufid?;
        self.traces.latest(|traced| {
            let of = &traced.trace;
            traced.packet.is_none() && of.ufid == Some(ufid) && of.dp == flow.dp && traced.at >= flow.since
        })
    }

    /// What the daemon said last when it was asked to trace this packet.
    pub fn trace_of_packet(&self, packet: &Packet) -> Option<&Traced> {
        self.traces.latest(|traced| traced.packet == Some(packet.id) && traced.at >= packet.first)
    }

    /// What a flow matches that was put in the last seconds.
    pub fn shape(&self, dp: DpIfindex, ufid: Ufid) -> Option<&FlowShape> {
        self.shapes.of(dp, ufid)
    }

    /// Whether the daemon has said anything when it was asked to trace a packet with this key.
    pub fn is_key_traced(&self, key: &str) -> bool {
        self.traces.latest(|traced| traced.trace.key == key).is_some()
    }

    /// When the counters were last read; 0 before.
    pub(super) fn counted_at(&self) -> Nanos {
        self.counting.read_at().unwrap_or(0)
    }

    /// The upcalls by port: every port that is there or made upcalls, by datapath and number.
    pub fn ports(&self) -> Vec<PortRow> {
        let there = self.datapaths().iter().flat_map(|d| d.ports.iter().map(|p| (d.dp, p.port)));
        let mut keys: Vec<(DpIfindex, PortNo)> = there.chain(self.kinds.ports().map(|(key, _)| key)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(|(dp, port)| self.port_row(dp, port)).collect()
    }

    fn port_row(&self, dp: DpIfindex, port: PortNo) -> PortRow {
        let tally = self.kinds.port(dp, port);
        let ([misses, actions, lost], others) = tally.map(|t| t.figures(self.counted_at())).unwrap_or_default();
        let known = self.port(dp, port);
        PortRow {
            dp,
            port,
            name: known.map(|p| p.name.clone()),
            kind: known.map(|p| p.kind.clone()),
            misses: misses.0,
            actions: actions.0,
            others,
            lost: lost.0,
            miss_rate: misses.1,
            action_rate: actions.1,
            lost_rate: lost.1,
        }
    }

    /// The handlers' threads that were seen to receive, by name and thread id.
    pub fn handlers(&self) -> Vec<HandlerRow> {
        let mut rows: Vec<HandlerRow> = self.handlers.iter().map(|handler| self.handler_row(handler)).collect();
        rows.sort_by_key(|row| (row.comm, row.tid));
        rows
    }

    fn handler_row(&self, handler: &Handler) -> HandlerRow {
        let (mut upcalls, mut upcall_rate, mut lost) = (0u64, 0.0, 0u64);
        for port in self.handlers.ports_of(handler.tid) {
            let (sum, rate, of_those) = self.kinds.socket(port, self.counted_at());
            upcalls = upcalls.saturating_add(sum);
            upcall_rate += rate;
            lost = lost.saturating_add(of_those);
        }
        let waits = handler.waits(self.now);
        let (batches, batch_sum, batch_max) = handler.batches();
        let seconds = window_seconds(self.now, self.started);
        let recent = handler.received_recently(self.now) as f64;
        HandlerRow {
            tid: handler.tid,
            comm: handler.comm,
            port: handler.port,
            upcalls,
            upcall_rate,
            lost,
            received: handler.received,
            receive_rate: if seconds > 0.0 { recent / seconds } else { 0.0 },
            batches,
            batch_mean: if batches > 0 { batch_sum as f64 / batches as f64 } else { 0.0 },
            batch_max,
            wait_p50: waits.map(|(p50, _)| p50),
            wait_p99: waits.map(|(_, p99)| p99),
            last: handler.last,
            scheduled: self.handlers.scheduled(handler.tid, self.counted_at()),
        }
    }

    /// Who makes the upcalls of the last ten seconds: the `n` biggest.
    pub fn talkers(&self, dimension: Dimension, n: usize) -> Talkers {
        let second = self.counted_at() / SECOND;
        let counts = match dimension {
            Dimension::InPort => self.kinds.by_port(second),
            Dimension::Cmd => self.kinds.by_cmd(second),
            Dimension::Errno => self.kinds.by_outcome(second),
            Dimension::Cpu => self.kinds.by_cpu(second),
            Dimension::Handler => {
                let key = |port| TalkerKey::Handler { port, task: self.handlers.of_port(port) };
                self.kinds.by_socket(second).map(|(port, count)| (key(port), count)).collect()
            }
            dimension => return self.makers.of(dimension).map(|of| self.talkers_in_detail(of, n)).unwrap_or_default(),
        };
        let seconds = window_seconds(self.counted_at(), self.counted_from);
        Talkers::new(counts.into_iter(), (0, 0), seconds, n, true)
    }

    fn talkers_in_detail(&self, sketch: &Sketch, n: usize) -> Talkers {
        let seconds = window_seconds(self.now, self.started);
        let besides = (sketch.others(self.second), sketch.unknown(self.second));
        Talkers::new(sketch.iter(self.second), besides, seconds, n, false)
    }

    /// How bad it is: the state as of the last reading of the counters.
    pub fn condition(&self) -> Condition {
        self.levels.condition(self.rates(), self.uncounted(Metric::Lookups).is_none())
    }
}

/// The length of the last ten seconds: the running one is not over, and counting may have begun only after `from`.
fn window_seconds(now: Nanos, from: Option<Nanos>) -> f64 {
    let begin = (now / SECOND).saturating_sub(9).saturating_mul(SECOND);
    now.saturating_sub(begin.max(from.unwrap_or(now))) as f64 / SECOND as f64
}
