//! What was counted of flows, for keyframes: each as it was first and as it is now, and which are deleted.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{DpCounters, DpIfindex, Event, FlowCounter, FlowOp, FlowPtr, Nanos, Ufid};

/// Flows that are kept; as many as a model keeps.
const FLOWS: usize = 100_000;
/// When there are this many more than that, the oldest go.
const SLACK: usize = FLOWS / 16;
/// How many puts and deletes are kept before those that have become meaningless are removed.
const OPERATIONS: usize = 8192;
/// How much later than its put or its delete a flow's first or last count may come.
const LATE: Nanos = 10_000_000_000;

/// A flow of a table: by its UFID, else by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Ufid(u64, Ufid),
    Ptr(u64, FlowPtr),
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    now: FlowCounter,
    /// When it was first counted.
    first: Nanos,
    /// When it was first counted at this address, with these actions.
    since: Nanos,
    /// What was counted under other addresses, or before it was counted anew.
    before: Option<FlowCounter>,
    /// Its actions before the last change.
    other_actions: Option<FlowPtr>,
}

/// All flows that were counted.
#[derive(Debug, Clone, Default)]
pub(super) struct CountedFlows {
    flows: HashMap<Key, Counted, RandomState>,
    /// The last puts of flows, some of which were never counted.
    put: Operations,
    /// The deletes of flows that have not come back, likewise.
    deleted: Operations,
    /// Which table is which datapath's; 0 where that is not known.
    tables: Vec<(u64, DpIfindex)>,
}

/// The last operation of one kind on each flow.
#[derive(Debug, Clone, Default)]
struct Operations {
    events: HashMap<(DpIfindex, Ufid), Event, RandomState>,
    /// How many were left when they were last cleaned up.
    looked_through: usize,
}

impl Operations {
    /// An operation was done. Those on flows that are not counted are removed after a while.
    fn add(&mut self, event: &Event, op: &FlowOp, is_counted: impl Fn((DpIfindex, Ufid)) -> bool) {
        let Some(ufid) = op.ufid.filter(|_| op.ret == 0) else { return };
        self.events.insert((op.dp, ufid), event.clone());
        if self.events.len() > self.looked_through + OPERATIONS {
            let may_be_counted = |at: Nanos| event.ts.saturating_sub(at) < LATE;
            self.events.retain(|key, done| may_be_counted(done.ts) || is_counted(*key));
            if self.events.len() > 2 * FLOWS {
                self.events.retain(|key, _| is_counted(*key));
            }
            self.looked_through = self.events.len();
        }
    }

    /// In the order of their times.
    fn in_order(&self, keep: impl Fn((DpIfindex, Ufid), Nanos) -> bool) -> Vec<&Event> {
        let kept = self.events.iter().filter(|(key, event)| keep(**key, event.ts));
        let mut events: Vec<&Event> = kept.map(|(_, event)| event).collect();
        events.sort_by_key(|event| (event.ts, event.cpu));
        events
    }
}

fn key(c: &FlowCounter) -> Key {
    c.ufid.map_or(Key::Ptr(c.table, c.flow), |ufid| Key::Ufid(c.table, ufid))
}

impl CountedFlows {
    /// A flow was counted.
    pub(super) fn count(&mut self, c: &FlowCounter) {
        let new = || Counted { now: *c, first: c.last, since: c.last, before: None, other_actions: None };
        let flow = self.flows.entry(key(c)).or_insert_with(new);
        let last = std::mem::replace(&mut flow.now, *c);
        flow.first = flow.first.min(c.last);
        if last.flow != c.flow || last.hits > c.hits {
            let sum = |before: u64, n: u64| before.saturating_add(n);
            flow.before = Some(FlowCounter {
                hits: sum(flow.before.map_or(0, |b| b.hits), last.hits),
                bytes: last.bytes.map(|n| sum(flow.before.and_then(|b| b.bytes).unwrap_or(0), n)),
                ..last
            });
        }
        if last.sf_acts != c.sf_acts {
            flow.other_actions = Some(last.sf_acts);
        }
        if (last.flow, last.sf_acts) != (c.flow, c.sf_acts) {
            flow.since = c.last;
        }
        if self.flows.len() > FLOWS + SLACK {
            self.shrink();
        }
    }

    /// Which table is which datapath's.
    pub(super) fn tables(&mut self, datapaths: &[DpCounters]) {
        self.tables.clear();
        self.tables.extend(datapaths.iter().map(|c| (c.table, c.dp)));
    }

    /// A flow was put.
    pub(super) fn put(&mut self, event: &Event, op: &FlowOp) {
        self.put.add(event, op, |key| counted(&self.flows, &self.tables, key).is_some());
        if op.ret == 0 {
            self.live(event.ts, op.dp, op.ufid);
        }
    }

    /// A flow was deleted.
    pub(super) fn delete(&mut self, event: &Event, op: &FlowOp) {
        self.deleted.add(event, op, |key| counted(&self.flows, &self.tables, key).is_some());
    }

    /// Whether any flow is deleted.
    pub(super) fn any_deleted(&self) -> bool {
        !self.deleted.events.is_empty()
    }

    /// A flow was put, or hit by a packet, at this time.
    pub(super) fn live(&mut self, ts: Nanos, dp: DpIfindex, ufid: Option<Ufid>) {
        if let Some(ufid) = ufid.filter(|_| self.any_deleted())
            && self.deleted.events.get(&(dp, ufid)).is_some_and(|deleted| deleted.ts < ts)
        {
            self.deleted.events.remove(&(dp, ufid));
        }
    }

    /// Those that were not counted for the longest go.
    fn shrink(&mut self) {
        let mut times: Vec<Nanos> = self.flows.values().map(|flow| flow.now.last).collect();
        let oldest = *times.select_nth_unstable(SLACK).1;
        let mut left = SLACK;
        self.flows.retain(|_, flow| {
            let keep = flow.now.last > oldest || left == 0;
            left -= usize::from(!keep);
            keep
        });
    }

    /// All of them twice: with the time they were first counted, and with the time they were last counted, where that
    /// is another. Between the two nothing is counted.
    pub(super) fn twice(&self) -> (Vec<FlowCounter>, Vec<FlowCounter>) {
        let (mut earlier, mut later) = (Vec::with_capacity(self.flows.len()), Vec::new());
        let mut flows: Vec<&Counted> = self.flows.values().collect();
        // As they came, and so the same in every run.
        flows.sort_unstable_by_key(|flow| (flow.first, flow.now.flow, flow.now.ufid));
        for flow in flows {
            let others = flow.other_actions.unwrap_or(flow.now.sf_acts);
            let begin = FlowCounter { last: flow.first, sf_acts: others, ..flow.before.unwrap_or(flow.now) };
            let since = FlowCounter { last: flow.since, ..flow.now };
            earlier.push(begin);
            if since != begin {
                earlier.push(since);
            }
            if since != flow.now {
                later.push(flow.now);
            }
        }
        (earlier, later)
    }

    /// The last puts of flows that were counted before them: from there on they are other generations.
    pub(super) fn puts(&self) -> Vec<&Event> {
        self.put.in_order(|key, ts| counted(&self.flows, &self.tables, key).is_some_and(|flow| flow.first < ts))
    }

    /// The deletes of flows that are still deleted.
    pub(super) fn deletes(&self) -> Vec<&Event> {
        self.deleted.in_order(|_, _| true)
    }
}

/// What was counted of a flow, in the tables of its datapath.
fn counted<'a>(
    flows: &'a HashMap<Key, Counted, RandomState>,
    tables: &[(u64, DpIfindex)],
    (dp, ufid): (DpIfindex, Ufid),
) -> Option<&'a Counted> {
    let mut tables = tables.iter().filter(|(_, of)| *of == dp || *of == DpIfindex(0));
    tables.find_map(|&(table, _)| flows.get(&Key::Ufid(table, ufid)))
}
