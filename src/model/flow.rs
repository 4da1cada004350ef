//! A flow: what its puts, hits, counts and its end say about it, in whatever order they come.

use super::{
    comings::{Comings, Returned},
    counts::Counts,
    generation::{Generation, Generations},
    meter::SECOND,
    packets::Packet,
    summary::PacketSummary,
};
use crate::event::{DelReason, DpIfindex, FlowCounter, FlowPtr, Nanos, PacketId, PortNo, PutKind, Ufid};

/// A flow's identity on the screen: it stays the same when the flow gets new actions, or is deleted and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowKey {
    /// By its UFID, in a datapath (0 where that is not known).
    Ufid(DpIfindex, Ufid),
    /// By its address: a flow without a UFID.
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
    /// Its actions, as soon as a packet hit this generation of it: another address is another generation.
    pub sf_acts: Option<FlowPtr>,
    /// How many generations there were before this one: how often it was put with new actions, or came back after its end.
    pub generations: u32,
    /// When this generation began: it was put, or first hit where that was not seen.
    pub since: Nanos,
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
    /// When it was deleted, or its datapath was gone, if it was not put or hit since.
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
    /// What the kernel side counted. Boxed, and none before the first hit: in a storm most flows are never hit.
    counts: Option<Box<Counts>>,
    /// Distinguishes flows by when they came, so that equal ones keep one order.
    pub(super) serial: u64,
    /// Met since the evicting hand last passed.
    pub(super) touched: bool,
    /// When a recorded packet last hit it, on which CPU.
    hit_at: Option<(Nanos, u32)>,
    /// When it was last put with success.
    put_at: Option<Nanos>,
    /// When it was last deleted.
    del_at: Option<Nanos>,
    /// A revalidator decided to delete it: when, and why; the last two times.
    doomed: Option<Box<[(Nanos, DelReason); 2]>>,
    /// When `last_packet` hit it or made it.
    packet_at: Nanos,
    state: Generations,
    comings: Comings,
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
    pub(super) fn new(key: FlowKey, ts: Nanos, serial: u64) -> Self {
        Self {
            key,
            ufid: key.ufid(),
            dp: key.dp(),
            flow: None,
            sf_acts: None,
            generations: 0,
            since: ts,
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
            counts: None,
            serial,
            touched: true,
            hit_at: None,
            put_at: None,
            del_at: None,
            doomed: None,
            packet_at: 0,
            state: Generations::default(),
            comings: Comings::default(),
        }
    }

    /// Hits per second as of the counters' reading at `now`.
    pub(super) fn hit_rate(&self, now: Nanos) -> f64 {
        self.counts.as_ref().map_or(0.0, |counts| counts.hit_rate(now))
    }

    /// Bytes per second, likewise; none where they are not counted.
    pub(super) fn byte_rate(&self, now: Nanos) -> Option<f64> {
        self.counts.as_ref()?.byte_rate(now)
    }

    /// A recorded packet hit it.
    pub(super) fn hit(&mut self, at: (Nanos, u32), flow: FlowPtr, sf_acts: Option<FlowPtr>, masks_tried: u32) {
        let (ts, _) = at;
        // A flow that is hit after its end has come back, though its put was not seen.
        if self.deleted.is_some_and(|deleted| deleted < ts) && self.state.since() < self.deleted {
            self.state.begin(ts);
        }
        if self.hit_at <= Some(at) {
            self.hit_at = Some(at);
            self.masks_tried = Some(masks_tried);
        }
        self.last_hit = self.last_hit.max(Some(ts));
        if let Some(sf_acts) = sf_acts {
            self.state.seen(ts, flow, sf_acts, true);
        }
        self.say();
    }

    /// The kernel side counted it at `ts`: see [`Counts::count`].
    pub(super) fn count(&mut self, before: Option<Nanos>, ts: Nanos, e: &FlowCounter, forgotten: bool) {
        self.counts.get_or_insert_default().count(before, ts, e, forgotten);
        self.last_hit = self.last_hit.max(Some(e.last));
        self.state.seen(e.last, e.flow, e.sf_acts, false);
        self.say();
    }

    /// The probes were attached anew: what they count begins at 0.
    pub(super) fn forget_counts(&mut self) {
        self.counts = None;
    }

    /// The generation before this one.
    pub fn previous(&self) -> Option<Generation> {
        self.state.previous()
    }

    /// It was put, or could not be.
    pub(super) fn put(&mut self, put: LastPut) {
        if self.last_put.is_none_or(|last| last.ts <= put.ts) {
            self.last_put = Some(put);
        }
        if put.ret == 0 {
            self.put_at = self.put_at.max(Some(put.ts));
            if put.kind == PutKind::New {
                self.comings.put(put.ts);
            }
            self.state.put(put.ts);
            self.say();
        } else {
            self.puts_failed = self.puts_failed.saturating_add(1);
        }
    }

    /// It was deleted.
    pub(super) fn del(&mut self, ts: Nanos) {
        self.del_at = self.del_at.max(Some(ts));
        self.comings.deleted(ts);
        self.state.deleted(ts);
        self.say();
    }

    /// How often it was deleted and came back; none where it never did.
    pub fn returned(&self) -> Option<Returned> {
        self.comings.returned(self.doomed.iter().flat_map(|doomed| doomed.iter().copied()))
    }

    /// Whether it was put, and that before `ts`.
    pub(super) fn was_put_before(&self, ts: Nanos) -> bool {
        self.put_at.is_some_and(|put| put < ts)
    }

    /// Whether no packet is known to have hit it.
    pub(super) fn is_unhit(&self) -> bool {
        self.hits() == 0 && self.last_hit.is_none()
    }

    /// A revalidator decided to delete it.
    pub(super) fn doom(&mut self, ts: Nanos, reason: DelReason) {
        let decided = (ts, reason);
        let [last, before] = self.doomed.as_deref().copied().unwrap_or([decided; 2]);
        self.doomed = Some(Box::new(if last > decided { [last, before.max(decided)] } else { [decided, last] }));
        self.say();
    }

    /// Works out the flow's end from all of that: by the times, not by what came last.
    fn say(&mut self) {
        let is_back = |deleted: Nanos| {
            self.hit_at.is_some_and(|(hit, _)| hit > deleted)
                || self.put_at.is_some_and(|put| put >= deleted)
                || self.last_hit.is_some_and(|counted| counted > deleted.saturating_add(SECOND))
        };
        self.deleted = self.del_at.filter(|&deleted| !is_back(deleted));
        self.deleted_because = self.deleted.and_then(|deleted| {
            let of_this = |decided: Nanos| decided <= deleted && self.put_at.is_none_or(|put| put < decided);
            self.doomed
                .iter()
                .flat_map(|doomed| &**doomed)
                .filter(|(at, _)| of_this(*at))
                .max()
                .map(|(_, reason)| *reason)
        });
        self.generations = self.state.before;
        self.since = self.state.since().unwrap_or(self.first_seen);
        if let Some((flow, sf_acts)) = self.state.actions() {
            (self.flow, self.sf_acts) = (Some(flow), Some(sf_acts));
        } else {
            self.sf_acts = None;
        }
    }

    /// A packet hit it or made it.
    pub(super) fn set_packet(&mut self, ts: Nanos, packet: Option<&Packet>) {
        if let Some(packet) = packet.filter(|_| self.last_packet.is_none() || ts >= self.packet_at) {
            self.last_packet = Some(packet.id);
            self.packet_at = ts;
            self.in_port = packet.in_port.or(self.in_port);
            self.summary = packet.summary.or(self.summary);
        }
    }

    /// More is known of its last packet.
    pub(super) fn say_packet(&mut self, packet: &Packet) {
        if self.last_packet == Some(packet.id) {
            self.in_port = packet.in_port.or(self.in_port);
            self.summary = packet.summary.or(self.summary);
        }
    }

    /// Its place in an order as a number: the larger, the later it comes.
    pub(super) fn rank(&self, sort: FlowSort, now: Nanos) -> u64 {
        match sort {
            FlowSort::Hits => self.hits(),
            // Rates are not negative: their bits are in their order.
            FlowSort::HitRate => self.hit_rate(now).to_bits(),
            FlowSort::Upcalls => self.upcalls,
            FlowSort::LastHit => self.last_hit.unwrap_or(0),
            FlowSort::FirstSeen => self.first_seen,
            FlowSort::Bytes => self.bytes().map_or(0, |bytes| bytes.saturating_add(1)),
            // Times of the monotonic clock leave the highest bit to what failed.
            FlowSort::LastPut => {
                self.last_put.map_or(0, |put| put.ts & !FAILED | if put.ret == 0 { 0 } else { FAILED })
            }
            FlowSort::MasksTried => self.masks_tried.map_or(0, |masks| u64::from(masks) + 1),
            FlowSort::Deleted => self.deleted.unwrap_or(0),
            FlowSort::Generations => u64::from(self.generations),
            FlowSort::Returns => u64::from(self.comings.times()),
            FlowSort::InPort => self.in_port.map_or(0, |port| u64::from(port.0) + 1),
            FlowSort::LastPacket => self.packet_at,
            FlowSort::Ufid => {
                self.ufid.map_or(0, |Ufid([first, second, ..])| u64::from(first) << 32 | u64::from(second))
            }
        }
    }

    /// Hits since the probes were attached, exact but for
    /// [`Counters::flow_hits_uncounted`](crate::event::Counters::flow_hits_uncounted).
    pub fn hits(&self) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.hits())
    }

    /// Bytes of the packets that hit it, likewise; none where they are not counted.
    pub fn bytes(&self) -> Option<u64> {
        self.counts.as_ref()?.bytes()
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
    /// Bytes of the packets that hit it; where they are not counted they come as the smallest.
    Bytes,
    /// When it was last put, those of which that failed before all others.
    LastPut,
    /// Masks tried at its last recorded hit.
    MasksTried,
    /// When it was deleted; those that were not come as the smallest.
    Deleted,
    /// Generations before this one.
    Generations,
    /// How often it came back after it was deleted.
    Returns,
    /// The number of the port that its last recorded packet came in by.
    InPort,
    /// When its last recorded packet hit it or made it.
    LastPacket,
    /// Its UFID, by the first half of it.
    Ufid,
}

/// The bit of a rank that puts failed puts after all that succeeded.
const FAILED: u64 = 1 << 63;
