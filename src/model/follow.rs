//! Events on a packet's way and of a handler's hand: which packet, upcall, flow and handler they are told to.

use super::{Model, SECOND, talkers, upcalls, upcalls::Upcall};
use crate::event::{Body, Event, Nanos, PacketId, UpcallId};

/// Events that came later than [`Limits::lateness`](super::Limits::lateness) allows for, since the start of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Late {
    /// All of them.
    pub events: u64,
    /// Those of them whose packet or upcall is not kept (any more): they are in no packet's timeline and no upcall.
    pub left_out: u64,
}

impl Model {
    /// An event on a packet's way, or of a handler's hand.
    pub(super) fn follow(&mut self, event: &Event) {
        let is_late = self.now.saturating_sub(event.ts) > self.limits.lateness();
        if is_late {
            self.late.events += 1;
        }
        let packet = event.packet.filter(|&id| !is_late || self.packets.get(id).is_some());
        let concerned = event.upcall.filter(|_| upcalls::concerns_upcall(event));
        let upcall = concerned.filter(|&id| !is_late || self.upcalls.get(id).is_some());
        // What a packet or an upcall is begun with has to be of its time: such a one would be taken for a new one.
        if packet != event.packet || upcall != concerned {
            self.late.left_out += 1;
        }
        if let Some(id) = packet {
            self.packets.apply(id, event, &self.limits, &mut self.evicted);
        }
        if let Some(id) = upcall {
            self.follow_upcall(id, packet, event);
        }
        let kept = packet.and_then(|id| self.packets.get(id));
        let (limits, evicted) = (&self.limits, &mut self.evicted);
        match &event.body {
            Body::FlowLookup(e) if e.flow.is_none() => self.late_miss(event),
            Body::FlowLookup(e) => {
                let dp = self.host.known_datapath(e.dp);
                self.flows.hit(event.ts, dp, e, kept, limits, evicted);
            }
            Body::FlowPut(e) => self.flows.put(event.ts, e, event.upcall.is_some(), kept, limits, evicted),
            Body::FlowDel(e) => self.flows.del(event.ts, e),
            Body::FlowResult(e) => {
                self.revalidators.result(e);
                self.flows.result(event.ts, e, &self.host.datapaths);
            }
            Body::Revalidation(e) => self.revalidators.round(event.ts, e),
            Body::UpcallRecv(e) => self.handlers.apply(event, e, limits, evicted),
            Body::Upcall(_) => self.count_ends(event),
            _ => {}
        }
    }

    fn follow_upcall(&mut self, id: UpcallId, packet: Option<PacketId>, event: &Event) {
        if self.upcalls.get(id).is_none() {
            while self.upcalls.len() >= self.limits.upcalls.max(1)
                && let Some(mut gone) = self.upcalls.pop_front()
            {
                gone.settle(Nanos::MAX, &mut self.latency);
                self.evicted.upcalls += 1;
            }
            self.upcalls.push(id, Upcall::new(id, event.ts), self.limits.upcalls);
        }
        let miss = match &event.body {
            Body::Upcall(_) => packet.and_then(|id| self.packets.miss_of(id, event)),
            _ => None,
        };
        if self.upcalls.get_mut(id).is_some_and(|upcall| upcall.note(event, miss, &mut self.latency)) {
            self.unsettle(id);
        }
    }

    /// A lookup that missed may be told after the upcall that comes from it.
    fn late_miss(&mut self, event: &Event) {
        let id = event.packet.and_then(|id| self.packets.upcall_of_miss(id, event));
        if let Some(id) = id
            && self.upcalls.get_mut(id).is_some_and(|upcall| upcall.late_miss(event.ts, &mut self.latency))
        {
            self.unsettle(id);
        }
    }

    /// A stage of this upcall has an end, and events that are still to come could say otherwise.
    fn unsettle(&mut self, id: UpcallId) {
        while self.unsettled.len() >= self.limits.upcalls.max(1) {
            self.settle_first(Nanos::MAX);
        }
        self.unsettled.push_back((self.now, id));
    }

    /// Settles the upcalls that no event is to be waited for any more.
    pub(super) fn settle(&mut self) {
        let lateness = self.limits.lateness();
        while self.unsettled.front().is_some_and(|(since, _)| self.now.saturating_sub(*since) > lateness) {
            self.settle_first(self.now - lateness);
        }
    }

    /// Settles all there are, whatever may still come.
    pub(super) fn settle_all(&mut self) {
        while !self.unsettled.is_empty() {
            self.settle_first(Nanos::MAX);
        }
    }

    fn settle_first(&mut self, until: Nanos) {
        let Some((_, id)) = self.unsettled.pop_front() else { return };
        if self.upcalls.get_mut(id).is_some_and(|upcall| upcall.settle(until, &mut self.latency)) {
            self.unsettled.push_back((self.now, id));
        }
    }

    /// Where the packet of an upcall comes from and goes.
    fn count_ends(&mut self, event: &Event) {
        let second = event.ts / SECOND;
        let summary = event.packet.and_then(|id| self.packets.get(id)).and_then(|packet| packet.summary);
        let Some((source, destination)) = summary.as_ref().map(talkers::ends_of) else {
            self.sources.add_unknown(second);
            self.destinations.add_unknown(second);
            return;
        };
        for (sketch, key) in [(&mut self.sources, source), (&mut self.destinations, destination)] {
            self.evicted.talkers += u64::from(!sketch.add(key, second, self.limits.talkers));
        }
    }
}
