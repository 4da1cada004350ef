//! Flows: hits, rates, who put them and when they went.

use std::collections::VecDeque;

use super::{
    comings::Lives,
    flow::{Flow, FlowKey, FlowSort, LastPut},
    limits::{Evicted, Limits},
    ordered::Ordered,
    packets::Packet,
};
use crate::event::{
    Datapath, DpIfindex, Event, FlowCounter, FlowLookup, FlowOp, FlowPut, FlowResult, Nanos, RevalResult,
};

/// All flows kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flows {
    by_key: Ordered<FlowKey, Flow>,
    serial: u64,
    /// Where the search for one to evict goes on.
    hand: usize,
    /// The last ends of flows that were not known: their beginnings may be reported after them.
    early: VecDeque<(FlowKey, Nanos)>,
    /// How the evicted flows came and went.
    let_go: Lives,
    /// Hits of flows that the kernel side has no room for, as last read.
    hits_uncounted: u64,
}

/// How many ends of unknown flows are kept.
const EARLY_ENDS: usize = 64;

/// How many flows the evicting hand looks at, at most, before it takes the next.
const HAND_STEPS: usize = 64;

impl Flows {
    pub fn get(&self, key: FlowKey) -> Option<&Flow> {
        self.by_key.get(&key)
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.by_key.values()
    }

    fn entry(&mut self, key: FlowKey, ts: Nanos, limits: &Limits, evicted: &mut Evicted) -> &mut Flow {
        if !self.by_key.contains_key(&key) {
            while self.by_key.len() >= limits.flows.max(1) {
                self.evict();
                evicted.flows += 1;
            }
            self.serial += 1;
            let mut flow = Flow::new(key, ts, self.serial);
            for (_, end) in self.early.iter().filter(|(of, _)| *of == key) {
                flow.del(*end);
            }
            self.early.retain(|(of, _)| *of != key);
            self.by_key.insert(key, flow);
        }
        let flow = &mut self.by_key[&key];
        flow.touched = true;
        flow.first_seen = flow.first_seen.min(ts);
        flow
    }

    /// Evicts the first that was not met since the hand last passed, or is deleted (the CLOCK algorithm).
    fn evict(&mut self) {
        for _ in 0..HAND_STEPS {
            self.hand = if self.hand + 1 < self.by_key.len() { self.hand + 1 } else { 0 };
            match self.by_key.get_index_mut(self.hand) {
                Some((_, flow)) if flow.touched && flow.deleted.is_none() => flow.touched = false,
                _ => break,
            }
        }
        if let Some((_, flow)) = self.by_key.swap_remove_index(self.hand) {
            self.let_go.add(&flow, Nanos::MAX);
        }
    }

    /// What the kernel side could not count by flow.
    pub fn set_hits_uncounted(&mut self, hits: u64) {
        self.hits_uncounted = hits;
    }

    pub fn hits_uncounted(&self) -> u64 {
        self.hits_uncounted
    }

    /// How those that were evicted came and went.
    pub fn let_go(&self) -> Lives {
        self.let_go
    }

    /// A recorded packet hit a flow of a datapath.
    pub fn hit(
        &mut self,
        event: &Event,
        dp: DpIfindex,
        e: &FlowLookup,
        packet: Option<&Packet>,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let Some(ptr) = e.flow else { return };
        let flow = self.entry(FlowKey::new(dp, e.ufid, ptr), event.ts, limits, evicted);
        flow.hit((event.ts, event.cpu), ptr, e.sf_acts, e.n_mask_hit);
        flow.set_packet(event.ts, packet);
    }

    /// A flow was put, for an upcall (`answers`) or without one. One that is named by its key alone is not known here.
    pub fn put(
        &mut self,
        ts: Nanos,
        e: &FlowPut,
        answers: bool,
        packet: Option<&Packet>,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let Some(ufid) = e.op.ufid else { return };
        let flow = self.entry(FlowKey::Ufid(e.op.dp, ufid), ts, limits, evicted);
        flow.put(LastPut { ts, kind: e.kind, ret: e.op.ret, took_ns: e.op.took_ns });
        flow.upcalls = flow.upcalls.saturating_add(u64::from(answers));
        flow.set_packet(ts, packet);
    }

    /// A flow was deleted, or could not be.
    pub fn del(&mut self, ts: Nanos, e: &FlowOp) {
        if let Some(ufid) = e.ufid
            && e.ret == 0
        {
            let key = FlowKey::Ufid(e.dp, ufid);
            if let Some(flow) = self.by_key.get_mut(&key) {
                flow.del(ts);
            } else {
                self.early.truncate(EARLY_ENDS - 1);
                self.early.push_front((key, ts));
            }
        }
    }

    /// A datapath is gone, with all its flows. One that is made after it, with whatever number, has others.
    pub fn datapath_is_gone(&mut self, ts: Nanos, dp: DpIfindex) {
        for flow in self.by_key.values_mut().filter(|flow| flow.dp == dp && flow.deleted.is_none()) {
            flow.del(ts);
        }
    }

    /// More is known of a packet that may have hit or made flows: passes it on to them.
    pub fn say_packet(&mut self, keys: impl Iterator<Item = FlowKey>, packet: &Packet) {
        for key in keys {
            if let Some(flow) = self.by_key.get_mut(&key) {
                flow.say_packet(packet);
            }
        }
    }

    /// A revalidator decided about a flow. It does not say of which datapath; a UFID is of one.
    pub fn result(&mut self, ts: Nanos, e: &FlowResult, datapaths: &[Datapath]) {
        let Some(ufid) = e.ufid.filter(|_| e.result == RevalResult::Delete) else { return };
        for dp in datapaths.iter().map(|datapath| datapath.dp).chain([DpIfindex(0)]) {
            if let Some(flow) = self.by_key.get_mut(&FlowKey::Ufid(dp, ufid)) {
                flow.doom(ts, e.reason);
            }
        }
    }

    /// The kernel side counted hits. `before` is the reading before this one, at `ts`; none if there was none.
    pub fn count(
        &mut self,
        before: Option<Nanos>,
        ts: Nanos,
        dp: DpIfindex,
        e: &FlowCounter,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        // Where nothing was evicted, a flow that is new here had no hits at the reading before.
        let forgotten = evicted.flows > 0;
        self.entry(FlowKey::new(dp, e.ufid, e.flow), e.last.min(ts), limits, evicted).count(before, ts, e, forgotten);
    }

    /// The probes were attached anew: what they count begins at 0.
    pub fn restart(&mut self) {
        self.by_key.values_mut().for_each(Flow::forget_counts);
    }

    /// The number of a datapath became known: its flows come back under it.
    pub fn forget_unknown_datapath(&mut self) {
        self.by_key.retain(|key, _| key.dp() != DpIfindex(0));
        self.hand = 0;
    }

    pub fn order(
        &self,
        mut keep: impl FnMut(&Flow) -> bool,
        (sort, descending): (FlowSort, bool),
        now: Nanos,
    ) -> FlowOrder<'_> {
        let kept = self.by_key.values().enumerate().filter(|(_, flow)| keep(flow));
        let ranked = kept.map(|(at, flow)| {
            let rank = flow.rank(sort, now);
            // Of those that nobody hits now the deleted ones come last: in a storm they are most.
            let gone = sort == FlowSort::HitRate && flow.deleted.is_some();
            let tie = u64::from(gone) << 63 | flow.serial;
            (if descending { !rank } else { rank }, tie, at)
        });
        FlowOrder { flows: self, order: ranked.collect() }
    }
}

/// Flows in an order, of which only the part that is asked for is sorted, so that it is quick even with very many. Flows that
/// compare equal always have the same order.
#[derive(Debug)]
pub struct FlowOrder<'a> {
    flows: &'a Flows,
    /// Rank, serial behind whether it is deleted, and place in the map.
    order: Vec<(u64, u64, usize)>,
}

impl FlowOrder<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The place of a flow, from 0; none where it is not among them.
    pub fn place(&self, key: FlowKey) -> Option<usize> {
        let at = self.flows.by_key.get_index_of(&key)?;
        let own = self.order.iter().find(|(.., place)| *place == at)?;
        Some(self.order.iter().filter(|other| *other < own).count())
    }

    /// `n` of them from place `offset` on.
    pub fn keys(&mut self, offset: usize, n: usize) -> Vec<FlowKey> {
        let count = self.order.len();
        let (offset, end) = (offset.min(count), offset.saturating_add(n).min(count));
        // Only what is shown is sorted; the rest is partitioned off.
        if end < count {
            self.order.select_nth_unstable(end);
        }
        let order = &mut self.order[..end];
        if offset > 0 && offset < end {
            order.select_nth_unstable(offset);
        }
        let shown = &mut order[offset..];
        shown.sort_unstable();
        shown.iter().filter_map(|&(.., at)| Some(*self.flows.by_key.get_index(at)?.0)).collect()
    }
}
