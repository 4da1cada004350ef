//! Events on a packet's way and from a handler's work: which packet, upcall, flow and handler they belong to.

use super::{AnomalyKind, FlowKey, Model, Packet, SECOND, upcalls, upcalls::Upcall};
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
    /// An event on a packet's way, or from a handler's work.
    pub(super) fn follow(&mut self, event: &Event) {
        let is_late = self.now.saturating_sub(event.ts) > self.limits.lateness();
        if is_late {
            self.late.events += 1;
        }
        let packet = event.packet.filter(|&id| !is_late || self.packets.get(id).is_some());
        let concerned = event.upcall.filter(|_| upcalls::concerns_upcall(event));
        let upcall = concerned.filter(|&id| !is_late || self.upcalls.get(id).is_some());
        // An event that comes too late begins no packet and no upcall: one that has been let go of would seem to be new.
        if packet != event.packet || upcall != concerned {
            self.late.left_out += 1;
        }
        if let Some(id) = packet {
            let before = self.packets.get(id);
            let is_seen_late = matches!(event.body, Body::PacketBytes(_)) && before.is_some_and(Packet::is_unseen);
            self.packets.apply(id, event, &self.limits, &mut self.evicted);
            if is_seen_late {
                self.count_late_ends(id);
            }
        }
        if let Some(id) = upcall {
            self.follow_upcall(id, packet, event);
        }
        self.note_failure(event);
        let kept = packet.and_then(|id| self.packets.get(id));
        let (limits, evicted) = (&self.limits, &mut self.evicted);
        match &event.body {
            Body::FlowLookup(e) if e.flow.is_none() => self.late_miss(event),
            Body::FlowLookup(e) => {
                let dp = self.host.known_datapath(e.dp);
                self.flows.hit(event, dp, e, kept, limits, evicted);
            }
            Body::FlowPut(e) => {
                self.returns.put(event.ts, e, &self.flows);
                self.flows.put(event.ts, e, event.upcall.is_some(), kept, limits, evicted);
            }
            Body::FlowDel(e) => self.flows.del(event.ts, e),
            Body::FlowResult(e) => {
                self.revalidators.result(e, limits, evicted);
                self.flows.result(event.ts, e, &self.host.datapaths);
            }
            Body::Revalidation(e) => self.revalidators.round(event.ts, e),
            Body::UpcallRecv(e) => self.handlers.apply(event, e, limits, evicted),
            Body::Upcall(_) => self.count_ends(event),
            _ => {}
        }
        if matches!(event.body, Body::PacketBytes(_) | Body::FlowLookup(_) | Body::Upcall(_)) {
            self.say_packet(event);
        }
    }

    /// What a packet looks like and where it came in may be reported after the flow that it hit or made.
    fn say_packet(&mut self, event: &Event) {
        let Some(packet) = event.packet.and_then(|id| self.packets.get(id)) else { return };
        // A lookup has just done so itself.
        let hit = packet.flow.zip(packet.dp).filter(|_| matches!(event.body, Body::PacketBytes(_)));
        let hit = hit.map(|((flow, ufid), dp)| FlowKey::new(self.host.known_datapath(dp), ufid, flow));
        let made = packet.upcalls.iter().filter_map(|&id| {
            let upcall = self.upcalls.get(id)?;
            Some(FlowKey::Ufid(upcall.dp?, upcall.put?.ufid?))
        });
        self.flows.say_packet(hit.into_iter().chain(made), packet);
    }

    /// Notes what went wrong or took long, and counts what belongs to no upcall.
    fn note_failure(&mut self, event: &Event) {
        let (limits, evicted) = (&self.limits, &mut self.evicted);
        let (kind, ret) = match &event.body {
            Body::UpcallReturn(e) => (AnomalyKind::UpcallFailed(e.ret), e.ret),
            Body::FlowPut(e) => (AnomalyKind::PutFailed(e.op.ret), e.op.ret),
            Body::FlowExec(e) => (AnomalyKind::ExecFailed(e.ret), e.ret),
            Body::UpcallRecv(e) => {
                self.strays.receives += u64::from(event.upcall.is_none());
                return self.anomalies.waited(event.ts, e.wait_ns, limits, evicted);
            }
            _ => return,
        };
        if ret != 0 {
            self.anomalies.add(event.ts, kind, 1, limits, evicted);
        }
        if event.upcall.is_none() {
            self.strays.puts += u64::from(matches!(event.body, Body::FlowPut(_)));
            self.strays.execs += u64::from(matches!(event.body, Body::FlowExec(_)));
        }
    }

    fn follow_upcall(&mut self, id: UpcallId, packet: Option<PacketId>, event: &Event) {
        if self.upcalls.get(id).is_none() {
            while self.upcalls.len() >= self.limits.upcalls.max(1)
                && let Some(mut gone) = self.upcalls.pop_front()
            {
                self.gaps.evict(gone.id);
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

    /// A lookup that missed may be reported after the upcall that comes from it.
    fn late_miss(&mut self, event: &Event) {
        let id = event.packet.and_then(|id| self.packets.upcall_of_miss(id, event));
        if let Some(id) = id
            && self.upcalls.get_mut(id).is_some_and(|upcall| upcall.late_miss(event.ts, &mut self.latency))
        {
            self.unsettle(id);
        }
    }

    /// A stage of this upcall has ended, but events that are still to come could change what it took.
    fn unsettle(&mut self, id: UpcallId) {
        while self.unsettled.len() >= self.limits.upcalls.max(1) {
            self.settle_first(Nanos::MAX);
        }
        self.unsettled.push_back((self.now, id));
    }

    /// Settles the upcalls for which no more events can come in time.
    pub(super) fn settle(&mut self) {
        let lateness = self.limits.lateness();
        while self.unsettled.front().is_some_and(|(since, _)| self.now.saturating_sub(*since) > lateness) {
            self.settle_first(self.now - lateness);
        }
    }

    /// Settles all upcalls, whatever may still come.
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

    /// Who makes an upcall, by what is known of its packet.
    fn count_ends(&mut self, event: &Event) {
        let Body::Upcall(upcall) = &event.body else { return };
        let summary = event.packet.and_then(|id| self.packets.get(id)).and_then(|packet| packet.summary.as_ref());
        let second = event.ts / SECOND;
        self.evicted.talkers += self.makers.add(second, summary, self.limits.talkers);
        self.matters.add(second, upcall, summary);
        self.evicted.talkers += self.makers.add_punt(second, upcall, self.limits.talkers);
    }

    /// A packet's bytes come after upcalls of it.
    fn count_late_ends(&mut self, packet: PacketId) {
        let Some(packet) = self.packets.get(packet) else { return };
        let Some(summary) = &packet.summary else { return };
        for upcall in packet.upcalls.iter().filter_map(|&id| self.upcalls.get(id)).filter(|upcall| upcall.begun) {
            self.matters.packet(upcall.ts / SECOND, summary);
            self.evicted.talkers += self.makers.tell(upcall.ts / SECOND, summary, self.limits.talkers);
        }
    }
}
