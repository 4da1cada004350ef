//! What was counted of flows, summed up: each as it was first and as it is now, and which are deleted.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{DpCounters, DpIfindex, Event, FlowCounter, FlowOp, FlowPtr, Nanos, Ufid};

/// Flows that are kept; as many as a model keeps.
const FLOWS: usize = 100_000;
/// When there are so many more, the oldest go.
const SLACK: usize = FLOWS / 16;
/// Deletes that are looked through at once for those that say nothing.
const DELETES: usize = 8192;
/// A deleted flow's last count may come so much later.
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
    /// What was counted under other addresses, or before it was counted anew.
    before: Option<FlowCounter>,
    /// Its actions before the last change.
    other_actions: Option<FlowPtr>,
}

/// All flows that were counted.
#[derive(Debug, Clone, Default)]
pub(super) struct CountedFlows {
    flows: HashMap<Key, Counted, RandomState>,
    /// The deletes of flows that have not come back, some of which were never counted.
    deleted: HashMap<(DpIfindex, Ufid), Event, RandomState>,
    /// How many deletes were left when they were last looked through.
    looked_through: usize,
    /// Which table is which datapath's; 0 where that is not known.
    tables: Vec<(u64, DpIfindex)>,
}

fn key(c: &FlowCounter) -> Key {
    c.ufid.map_or(Key::Ptr(c.table, c.flow), |ufid| Key::Ufid(c.table, ufid))
}

impl CountedFlows {
    /// A flow was counted.
    pub(super) fn count(&mut self, c: &FlowCounter) {
        let new = || Counted { now: *c, first: c.last, before: None, other_actions: None };
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
        if self.flows.len() > FLOWS + SLACK {
            self.shrink();
        }
    }

    /// Which table is which datapath's.
    pub(super) fn tables(&mut self, datapaths: &[DpCounters]) {
        self.tables.clear();
        self.tables.extend(datapaths.iter().map(|c| (c.table, c.dp)));
    }

    /// A flow was deleted.
    pub(super) fn delete(&mut self, event: &Event, op: &FlowOp) {
        let Some(ufid) = op.ufid.filter(|_| op.ret == 0) else { return };
        self.deleted.insert((op.dp, ufid), event.clone());
        if self.deleted.len() > self.looked_through + DELETES {
            let mut deleted = std::mem::take(&mut self.deleted);
            deleted.retain(|key, deleted| event.ts.saturating_sub(deleted.ts) < LATE || self.is_counted(*key));
            self.looked_through = deleted.len();
            self.deleted = deleted;
        }
    }

    fn is_counted(&self, (dp, ufid): (DpIfindex, Ufid)) -> bool {
        let mut tables = self.tables.iter().filter(|(_, of)| *of == dp || *of == DpIfindex(0));
        tables.any(|&(table, _)| self.flows.contains_key(&Key::Ufid(table, ufid)))
    }

    /// Whether any flow is deleted.
    pub(super) fn any_deleted(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// A flow was put, or hit by a packet, at this time.
    pub(super) fn live(&mut self, ts: Nanos, dp: DpIfindex, ufid: Option<Ufid>) {
        if let Some(ufid) = ufid.filter(|_| !self.deleted.is_empty())
            && self.deleted.get(&(dp, ufid)).is_some_and(|deleted| deleted.ts < ts)
        {
            self.deleted.remove(&(dp, ufid));
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
            let then = FlowCounter { last: flow.first, ..flow.now };
            let others = flow.other_actions.unwrap_or(flow.now.sf_acts);
            earlier.extend(flow.before.map(|before| FlowCounter { last: flow.first, sf_acts: others, ..before }));
            earlier.push(FlowCounter { sf_acts: others, ..then });
            if flow.now.last != flow.first || others != flow.now.sf_acts {
                later.push(flow.now);
            }
        }
        (earlier, later)
    }

    /// The deletes of flows that are still deleted, in the order of their times.
    pub(super) fn deletes(&self) -> Vec<&Event> {
        let mut deletes: Vec<&Event> = self.deleted.values().collect();
        deletes.sort_by_key(|event| (event.ts, event.cpu));
        deletes
    }
}
