//! The readings of the counters that a keyframe has: as many as it takes for rates and graphs to go on as if all had
//! been read from the begin.

use std::collections::VecDeque;

use crate::event::{Body, Counters, Datapath, Event, FlowCounter, Nanos, Stage};

pub(super) const SECOND: Nanos = 1_000_000_000;
/// How far back readings are kept: the graphs show ten minutes.
const HISTORY: Nanos = 602 * SECOND;
/// Readings of this time are kept whole but for their flows: what is shown of the last ten seconds comes from them.
const WINDOW: Nanos = 12 * SECOND;
/// The whole way's times are kept for so long: the heat map shows two minutes.
const HEAT: Nanos = 122 * SECOND;
/// Readings of this time are kept with the flows that changed in them: flows' rates come from them.
const FLOW_SPAN: Nanos = 3 * SECOND;
/// … but no more rows of flows than this, apart from those of the last two readings.
const FLOW_ROWS: usize = 50_000;
/// Rates are measured between readings that are so far apart.
const RATE: Nanos = SECOND;
/// Rows of all readings before the window, together.
const ROWS: usize = 40_000;

/// A reading, or the datapaths' own statistics, which come once a second.
#[derive(Debug, Clone)]
struct Entry {
    event: Event,
    /// Counters in it, without those of flows.
    rows: usize,
    /// The number of a reading that rates are measured between; none for the readings among them.
    mark: Option<u64>,
}

impl Entry {
    fn is_reading(&self) -> bool {
        matches!(self.event.body, Body::Counters(_))
    }

    /// Whether rates are measured from here.
    fn is_mark(&self) -> bool {
        self.is_reading() && self.mark.is_some()
    }

    /// Whether it stays where only every so many marks do.
    fn is_kept(&self, stride: u64) -> bool {
        stride == 0 || self.mark.is_some_and(|mark| mark.is_multiple_of(stride))
    }
}

/// The last ten minutes of readings, the older with less in them, and the very first.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    /// The datapaths' statistics as they were first told.
    first_stats: Option<Event>,
    /// The first reading of the counters.
    first: Option<Event>,
    entries: VecDeque<Entry>,
    /// How many of `entries` are before the window.
    older: usize,
    /// The rows of those.
    rows: usize,
    /// How many of `entries` have been behind the heat map.
    cold: usize,
    /// How many of `entries` have their flows no more.
    without_flows: usize,
    /// Rows of flows in the others.
    flow_rows: usize,
    /// The sums of the last reading.
    last: Option<(Nanos, Sums)>,
    /// The last reading that rates are measured from, and its number.
    mark: (Nanos, u64),
    /// Before the window only every so many marks are kept; 0: all readings.
    stride: u64,
}

/// What tells that new probes count anew: a sum that went back.
type Sums = [u64; 11];

fn sums(c: &Counters) -> Sums {
    let add = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
    let mut sums = Sums::default();
    let [hits, misses, masks, cached, upcalls, lost, puts, execs, dels, received, failed] = &mut sums;
    for dp in &c.datapaths {
        add(hits, dp.hits);
        add(misses, dp.misses);
        add(masks, dp.mask_hits);
        add(cached, dp.cache_hits);
    }
    for upcall in &c.upcalls {
        add(upcalls, upcall.count);
        add(lost, if upcall.ret == 0 { 0 } else { upcall.count });
    }
    for (sum, outcomes) in [(puts, &c.puts), (execs, &c.execs), (dels, &c.dels)] {
        for outcome in outcomes {
            add(sum, outcome.count);
            add(failed, if outcome.ret == 0 { 0 } else { outcome.count });
        }
    }
    add(received, c.received);
    sums
}

fn counters(event: &mut Event) -> Option<&mut Counters> {
    if let Body::Counters(counters) = &mut event.body { Some(counters) } else { None }
}

impl Readings {
    /// Takes a reading. `settled` is given the flows of readings that are so old that only their sum is of use.
    pub(super) fn read(&mut self, event: &Event, mut settled: impl FnMut(&FlowCounter)) {
        let (ts, Body::Counters(c)) = (event.ts, &event.body) else { return };
        let sums = sums(c);
        match &self.last {
            // The model passes over it as well.
            Some((last, _)) if ts < *last => return,
            Some((_, before)) if sums.iter().zip(before).any(|(now, before)| now < before) => self.restart(),
            _ => {}
        }
        self.last = Some((ts, sums));
        if self.first.is_none() {
            self.first = Some(event.clone());
            self.mark = (ts, 0);
            return;
        }
        let is_mark = ts.saturating_sub(self.mark.0) >= RATE;
        if is_mark {
            self.mark = (ts, self.mark.1 + 1);
        }
        let rows = [c.datapaths.len(), c.upcalls.len(), c.puts.len(), c.execs.len(), c.dels.len(), c.drops.len()];
        let rows = rows.iter().sum();
        self.entries.push_back(Entry { event: event.clone(), rows, mark: is_mark.then_some(self.mark.1) });
        self.flow_rows += c.flows.len();
        self.settle(ts, &mut settled);
        self.age(ts);
    }

    /// Takes what the datapaths are and their statistics.
    pub(super) fn datapaths(&mut self, event: &Event, datapaths: &[Datapath]) {
        if datapaths.iter().all(|d| d.stats.is_none()) {
            return;
        }
        // Their ports are in the latest event of them.
        let bare = datapaths.iter().map(|d| Datapath { ports: Vec::new(), ..d.clone() }).collect();
        let event = Event { body: Body::Datapaths { datapaths: bare }, ..*event };
        if self.first_stats.is_none() {
            self.first_stats = Some(event);
        } else if self.first.is_some() {
            // There are about as many of them as of marks.
            self.entries.push_back(Entry { event, rows: datapaths.len(), mark: Some(self.mark.1) });
        }
    }

    /// Other probes count from now on.
    pub(super) fn restart(&mut self) {
        *self = Self { first_stats: self.first_stats.take(), ..Self::default() };
    }

    /// Gives away the flows of the first of the readings that still have theirs, until the rest is few and young.
    fn settle(&mut self, now: Nanos, settled: &mut impl FnMut(&FlowCounter)) {
        let age = |entry: &Entry| now.saturating_sub(entry.event.ts);
        if self.without_flows == 0 {
            // What is given away is told in two of the readings before, so there must be some.
            if self.entries.front().is_none_or(|oldest| age(oldest) <= FLOW_SPAN + 2 * RATE) {
                return;
            }
            if let Some(c) = self.first.as_mut().and_then(counters) {
                std::mem::take(&mut c.flows).iter().for_each(&mut *settled);
            }
        }
        while self.without_flows + 2 < self.entries.len() {
            let entry = &mut self.entries[self.without_flows];
            if self.flow_rows <= FLOW_ROWS && age(entry) <= FLOW_SPAN {
                break;
            }
            self.without_flows += 1;
            if let Some(c) = counters(&mut entry.event) {
                self.flow_rows -= c.flows.len();
                std::mem::take(&mut c.flows).iter().for_each(&mut *settled);
            }
        }
    }

    /// Thins what has come to an age.
    fn age(&mut self, now: Nanos) {
        let age = |entry: &Entry| now.saturating_sub(entry.event.ts);
        while self.older < self.without_flows && age(&self.entries[self.older]) > WINDOW {
            let entry = &mut self.entries[self.older];
            if let Some(c) = counters(&mut entry.event) {
                c.handlers = Vec::new();
                c.stages.retain(|stage| stage.stage == Stage::Whole);
            }
            if !entry.is_kept(self.stride) {
                self.entries.remove(self.older);
                self.without_flows -= 1;
                continue;
            }
            self.rows += entry.rows;
            self.older += 1;
        }
        while self.cold < self.older && age(&self.entries[self.cold]) > HEAT {
            if let Some(c) = counters(&mut self.entries[self.cold].event) {
                c.stages = Vec::new();
            }
            self.cold += 1;
        }
        // The first of them is one that rates are measured from, as it would be with all before it.
        if self.older > 0 && age(&self.entries[0]) > HISTORY {
            let next = (1..self.older).find(|&at| self.entries[at].is_mark());
            if let Some(next) = next.filter(|&next| age(&self.entries[next]) > HISTORY) {
                self.rows -= self.entries.drain(..next).map(|entry| entry.rows).sum::<usize>();
                self.older -= next;
                self.without_flows -= next;
                self.cold = self.cold.saturating_sub(next);
            }
        }
        while self.rows > ROWS && self.stride < 1 << 10 {
            self.stride = (self.stride * 2).max(1);
            self.thin();
        }
    }

    fn thin(&mut self) {
        let (stride, older) = (self.stride, self.older);
        let (mut at, mut gone, mut rows) = (0, 0, 0);
        self.entries.retain(|entry| {
            let keep = at >= older || entry.is_kept(stride);
            at += 1;
            if !keep {
                gone += 1;
                rows += entry.rows;
            }
            keep
        });
        self.older -= gone;
        self.without_flows -= gone;
        self.rows -= rows;
        // What has been through it bears it again.
        self.cold = 0;
    }

    /// Gives the readings in their order. Those of the last seconds have their flows with them; what was settled is told
    /// in some before: `earlier`, in the order of the times they were first counted, and then `later`, as they are.
    pub(super) fn visit(&self, (earlier, later): (Vec<FlowCounter>, Vec<FlowCounter>), mut with: impl FnMut(&Event)) {
        let with_flows = |event: &Event, flows: &mut dyn Iterator<Item = FlowCounter>| {
            let mut event = event.clone();
            if let Some(c) = counters(&mut event) {
                c.flows.extend(flows);
            }
            event
        };
        self.first_stats.iter().for_each(&mut with);
        let (mut earlier, mut later) = (earlier.into_iter().peekable(), later.into_iter());
        let places = self.places_of_flows();
        match &self.first {
            Some(first) if places.is_none() && earlier.peek().is_some() => {
                with(&with_flows(first, &mut earlier.by_ref().chain(later.by_ref())));
            }
            first => first.iter().for_each(&mut with),
        }
        for (at, entry) in self.entries.iter().enumerate() {
            match places {
                Some((_, to)) if at == to => {
                    with(&with_flows(&entry.event, &mut earlier.by_ref().chain(later.by_ref())));
                }
                // None is told before it was there.
                Some((from, to)) if (from..to).contains(&at) && entry.is_reading() => {
                    let until_now = std::iter::from_fn(|| earlier.next_if(|flow| flow.last <= entry.event.ts));
                    with(&with_flows(&entry.event, &mut { until_now }));
                }
                _ => with(&entry.event),
            }
        }
    }

    /// The readings that tell of the flows of before: up to the last that has no flows of its own, from one that is so
    /// much earlier that a rate between them is none of what was counted before.
    fn places_of_flows(&self) -> Option<(usize, usize)> {
        let mut readings = (0..self.without_flows).rev().filter(|&at| self.entries[at].is_reading());
        let to = readings.next()?;
        let before = self.entries[readings.next()?].event.ts;
        Some((readings.find(|&at| before.saturating_sub(self.entries[at].event.ts) >= RATE)?, to))
    }
}
