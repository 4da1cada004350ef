//! Flows: hits, rates, who put them and when they went.

use super::{
    limits::{Evicted, Limits},
    meter::Meter,
    ordered::Ordered,
    packets::Packet,
    summary::PacketSummary,
};
use crate::event::{
    Datapath, DelReason, DpIfindex, FlowCounter, FlowLookup, FlowOp, FlowPtr, FlowPut, FlowResult, Nanos, PacketId,
    PortNo, PutKind, RevalResult, Ufid,
};

/// A flow's identity on the screen: it stays the same when the flow gets new actions, or is deleted and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowKey {
    /// By its UFID, in a datapath (0 where that is not known).
    Ufid(DpIfindex, Ufid),
    /// One that is known by its key alone: by its address.
    Ptr(DpIfindex, FlowPtr),
}

/// The last put of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPut {
    /// When it began.
    pub ts: Nanos,
    /// New, or changed.
    pub kind: PutKind,
    /// 0, or minus an errno.
    pub ret: i32,
    /// Nanoseconds in the kernel.
    pub took_ns: u64,
}

/// A flow of the datapath (megaflow).
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its identity.
    pub key: FlowKey,
    /// Its UFID; none when it is known by its key alone.
    pub ufid: Option<Ufid>,
    /// Its datapath; 0 where that is not known.
    pub dp: DpIfindex,
    /// Its address, as soon as a packet hit it.
    pub flow: Option<FlowPtr>,
    /// Its actions, as of the last hit: another address is another generation.
    pub sf_acts: Option<FlowPtr>,
    /// Times that its actions were seen to have changed.
    pub generations: u32,
    /// When it was first seen: put, hit or counted.
    pub first_seen: Nanos,
    /// When its hits were last seen to have grown: at most a second after the hit.
    pub last_hit: Option<Nanos>,
    /// Upcalls that were answered with a put of it.
    pub upcalls: u64,
    /// Its last put.
    pub last_put: Option<LastPut>,
    /// Puts of it that failed.
    pub puts_failed: u32,
    /// When it was deleted, if it was not put or hit since.
    pub deleted: Option<Nanos>,
    /// Why, where the daemon told.
    pub deleted_because: Option<DelReason>,
    /// Masks that were tried when a recorded packet last hit it.
    pub masks_tried: Option<u32>,
    /// The last recorded packet that hit it or made it.
    pub last_packet: Option<PacketId>,
    /// The port that packet came in by.
    pub in_port: Option<PortNo>,
    /// What that packet looked like.
    pub summary: Option<PacketSummary>,
    hits: Meter,
    /// Of the packets that hit it; none where they are not counted.
    bytes: Option<Meter>,
    /// Hits of those that had this UFID before: another address, or the same counted anew.
    hits_before: u64,
    /// The same of their bytes.
    bytes_before: u64,
    /// What the kernel side last counted, and for which address.
    counted: Option<(FlowPtr, u64)>,
    /// Distinguishes flows by when they came, so that equal ones keep one order.
    serial: u64,
    /// A revalidator decided to delete it: when, and why.
    doomed: Option<(Nanos, DelReason)>,
    /// Met since the evicting hand last passed.
    touched: bool,
}

impl FlowKey {
    /// The identity of a flow with this UFID, else with this address.
    pub fn new(dp: DpIfindex, ufid: Option<Ufid>, flow: FlowPtr) -> Self {
        ufid.map_or(Self::Ptr(dp, flow), |ufid| Self::Ufid(dp, ufid))
    }

    /// Its datapath; 0 where that is not known.
    pub fn dp(self) -> DpIfindex {
        match self {
            Self::Ufid(dp, _) | Self::Ptr(dp, _) => dp,
        }
    }

    /// Its UFID; none when it is known by its key alone.
    pub fn ufid(self) -> Option<Ufid> {
        match self {
            Self::Ufid(_, ufid) => Some(ufid),
            Self::Ptr(..) => None,
        }
    }
}

impl Flow {
    fn new(key: FlowKey, ts: Nanos, serial: u64) -> Self {
        Self {
            key,
            ufid: key.ufid(),
            dp: key.dp(),
            flow: None,
            sf_acts: None,
            generations: 0,
            first_seen: ts,
            last_hit: None,
            upcalls: 0,
            last_put: None,
            puts_failed: 0,
            deleted: None,
            deleted_because: None,
            masks_tried: None,
            last_packet: None,
            in_port: None,
            summary: None,
            hits: Meter::default(),
            bytes: None,
            bytes_before: 0,
            hits_before: 0,
            counted: None,
            serial,
            doomed: None,
            touched: true,
        }
    }

    /// Hits per second as of the counters' reading at `now`.
    pub(super) fn hit_rate(&self, now: Nanos) -> f64 {
        self.hits.rate(now)
    }

    /// Bytes per second, likewise; none where they are not counted.
    pub(super) fn byte_rate(&self, now: Nanos) -> Option<f64> {
        self.bytes.map(|bytes| bytes.rate(now))
    }

    fn set_actions(&mut self, flow: FlowPtr, sf_acts: FlowPtr) {
        if self.sf_acts.is_some_and(|before| before != sf_acts) {
            self.generations = self.generations.saturating_add(1);
        }
        self.flow = Some(flow);
        self.sf_acts = Some(sf_acts);
    }

    fn set_packet(&mut self, packet: Option<&Packet>) {
        if let Some(packet) = packet {
            self.last_packet = Some(packet.id);
            self.in_port = packet.in_port.or(self.in_port);
            self.summary = packet.summary.or(self.summary);
        }
    }

    /// As a number that is the larger, the further it comes behind.
    fn rank(&self, sort: FlowSort, now: Nanos) -> u64 {
        match sort {
            FlowSort::Hits => self.hits(),
            // Rates are not negative: their bits are in their order.
            FlowSort::HitRate => self.hit_rate(now).to_bits(),
            FlowSort::Upcalls => self.upcalls,
            FlowSort::LastHit => self.last_hit.unwrap_or(0),
            FlowSort::FirstSeen => self.first_seen,
            FlowSort::LastPut => self.last_put.map_or(0, |put| put.ts),
            FlowSort::MasksTried => self.masks_tried.map_or(0, |masks| u64::from(masks) + 1),
            FlowSort::Deleted => self.deleted.unwrap_or(0),
        }
    }

    /// Hits since the probes were attached, exact but for
    /// [`Counters::flow_hits_uncounted`](crate::event::Counters::flow_hits_uncounted).
    pub fn hits(&self) -> u64 {
        self.hits.value()
    }

    /// Bytes of the packets that hit it, likewise; none where they are not counted.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes.value())
    }
}

/// What flows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowSort {
    /// Hits since the probes were attached.
    Hits,
    /// Hits per second.
    HitRate,
    /// Upcalls answered with a put of it.
    Upcalls,
    /// When it was last hit.
    LastHit,
    /// When it was first seen.
    FirstSeen,
    /// When it was last put.
    LastPut,
    /// Masks tried at its last recorded hit.
    MasksTried,
    /// When it was deleted; those that were not come as the smallest.
    Deleted,
}

/// All flows kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flows {
    by_key: Ordered<FlowKey, Flow>,
    serial: u64,
    /// Where the search for one to evict goes on.
    hand: usize,
}

/// So many flows the evicting hand looks at, at most, before it takes the next.
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
        }
        let serial = self.serial;
        let flow = self.by_key.entry(key).or_insert_with(|| Flow::new(key, ts, serial));
        flow.touched = true;
        flow.first_seen = flow.first_seen.min(ts);
        flow
    }

    /// The first that was not met since the hand last passed, or is deleted (CLOCK).
    fn evict(&mut self) {
        for _ in 0..HAND_STEPS {
            self.hand = if self.hand + 1 < self.by_key.len() { self.hand + 1 } else { 0 };
            match self.by_key.get_index_mut(self.hand) {
                Some((_, flow)) if flow.touched && flow.deleted.is_none() => flow.touched = false,
                _ => break,
            }
        }
        self.by_key.swap_remove_index(self.hand);
    }

    /// A recorded packet hit a flow of a datapath.
    pub fn hit(
        &mut self,
        ts: Nanos,
        dp: DpIfindex,
        e: &FlowLookup,
        packet: Option<&Packet>,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let Some(ptr) = e.flow else { return };
        let flow = self.entry(FlowKey::new(dp, e.ufid, ptr), ts, limits, evicted);
        if let Some(sf_acts) = e.sf_acts {
            flow.set_actions(ptr, sf_acts);
        }
        flow.last_hit = flow.last_hit.max(Some(ts));
        flow.deleted = flow.deleted.filter(|&deleted| deleted >= ts);
        flow.masks_tried = Some(e.n_mask_hit);
        flow.set_packet(packet);
    }

    /// A flow was put, by an upcall (`answers`) or without one. One that is named by its key alone is not known here.
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
        if flow.last_put.is_none_or(|last| last.ts <= ts) {
            flow.last_put = Some(LastPut { ts, kind: e.kind, ret: e.op.ret, took_ns: e.op.took_ns });
        }
        if e.op.ret == 0 {
            flow.doomed = flow.doomed.filter(|(decided, _)| *decided > ts);
            flow.deleted = flow.deleted.filter(|&deleted| deleted > ts);
        } else {
            flow.puts_failed = flow.puts_failed.saturating_add(1);
        }
        flow.upcalls = flow.upcalls.saturating_add(u64::from(answers));
        flow.set_packet(packet);
    }

    /// A flow was deleted, or could not be.
    pub fn del(&mut self, ts: Nanos, e: &FlowOp) {
        if let Some(ufid) = e.ufid
            && e.ret == 0
            && let Some(flow) = self.by_key.get_mut(&FlowKey::Ufid(e.dp, ufid))
        {
            flow.deleted = Some(ts);
            flow.deleted_because = flow.doomed.take_if(|(decided, _)| *decided <= ts).map(|(_, reason)| reason);
        }
    }

    /// A revalidator decided about a flow. It does not say of which datapath; a UFID is of one.
    pub fn result(&mut self, ts: Nanos, e: &FlowResult, datapaths: &[Datapath]) {
        let Some(ufid) = e.ufid.filter(|_| e.result == RevalResult::Delete) else { return };
        for dp in datapaths.iter().map(|datapath| datapath.dp).chain([DpIfindex(0)]) {
            if let Some(flow) = self.by_key.get_mut(&FlowKey::Ufid(dp, ufid)) {
                flow.doomed = Some((ts, e.reason));
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
        let complete = evicted.flows == 0;
        let flow = self.entry(FlowKey::new(dp, e.ufid, e.flow), e.last.min(ts), limits, evicted);
        let is_same = |&(ptr, hits): &(FlowPtr, u64)| ptr == e.flow && hits <= e.hits;
        if !flow.counted.as_ref().is_none_or(is_same) {
            flow.hits_before = flow.hits.value();
            flow.bytes_before = flow.bytes.map_or(0, |bytes| bytes.value());
        }
        let hits = flow.hits_before.saturating_add(e.hits);
        match before {
            // Where nothing was evicted, a flow that is new here had no hits at the reading before.
            Some(before) if flow.counted.is_some() || complete => flow.hits.set(before, ts, hits),
            _ => flow.hits.start(ts, hits),
        }
        if let Some(bytes) = e.bytes {
            let bytes = flow.bytes_before.saturating_add(bytes);
            let meter = flow.bytes.get_or_insert_default();
            match before {
                Some(before) if flow.counted.is_some() || complete => meter.set(before, ts, bytes),
                _ => meter.start(ts, bytes),
            }
        }
        flow.counted = Some((e.flow, e.hits));
        flow.last_hit = flow.last_hit.max(Some(e.last));
        flow.set_actions(e.flow, e.sf_acts);
    }

    /// The probes were attached anew: what they count begins at 0.
    pub fn restart(&mut self) {
        for flow in self.by_key.values_mut() {
            flow.hits = Meter::default();
            flow.bytes = None;
            flow.bytes_before = 0;
            flow.hits_before = 0;
            flow.counted = None;
        }
    }

    /// The number of a datapath became known: its flows come back under it.
    pub fn forget_unknown_datapath(&mut self) {
        self.by_key.retain(|key, _| key.dp() != DpIfindex(0));
        self.hand = 0;
    }

    /// The place of a flow in the order of [`Flows::top`].
    pub fn place(&self, key: FlowKey, (sort, descending): (FlowSort, bool), now: Nanos) -> Option<usize> {
        let rank = |flow: &Flow| {
            let rank = flow.rank(sort, now);
            (if descending { !rank } else { rank }, flow.serial)
        };
        let own = rank(self.by_key.get(&key)?);
        Some(self.by_key.values().filter(|flow| rank(flow) < own).count())
    }

    pub fn top(
        &self,
        keep: impl Fn(&Flow) -> bool,
        (sort, descending): (FlowSort, bool),
        now: Nanos,
        offset: usize,
        n: usize,
    ) -> (Vec<FlowKey>, usize) {
        let ranked = self.by_key.values().enumerate().filter(|(_, flow)| keep(flow));
        let mut order: Vec<(u64, u64, usize)> = ranked
            .map(|(at, flow)| {
                let rank = flow.rank(sort, now);
                (if descending { !rank } else { rank }, flow.serial, at)
            })
            .collect();
        let count = order.len();
        let (offset, end) = (offset.min(count), offset.saturating_add(n).min(count));
        // Only what is shown is put in order: the rest is parted off.
        if end < count {
            order.select_nth_unstable(end);
        }
        let order = &mut order[..end];
        if offset > 0 && offset < end {
            order.select_nth_unstable(offset);
        }
        let shown = &mut order[offset..];
        shown.sort_unstable();
        (shown.iter().filter_map(|&(.., at)| Some(*self.by_key.get_index(at)?.0)).collect(), count)
    }
}
