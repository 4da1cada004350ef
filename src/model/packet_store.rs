//! The packets kept, and their timelines.
//!
//! All packets' events lie in one queue in the order in which they came, and a packet has the places of its own in the
//! order of their times: memory is bounded to the byte, and in a storm nothing is allocated for an event. The queue
//! begins at the oldest packet's first event.
//!
//! What is known of a packet follows from its timeline: when an event comes late, the whole timeline is applied anew, so
//! that the order in which events of several CPUs came makes no difference.

use std::collections::VecDeque;

use super::{
    limits::{Evicted, Limits},
    packets::Packet,
    recent::{Recent, reserve_within},
    summary::PacketSummary,
};
use crate::event::{Body, Cookie, Event, Nanos, PacketBytes, PacketId, UpcallId};

/// A packet, with the places of its events in the queue.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    packet: Packet,
    /// The queue's end when it came: all its events are from here on.
    from: u64,
    /// Its events, counted from `from`, in the order of their times.
    places: Vec<u32>,
    /// Bytes on the heap that count against [`Limits::packet_bytes`].
    bytes: usize,
}

/// All packets kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packets {
    recent: Recent<PacketId, Kept>,
    events: VecDeque<Event>,
    /// The place of the first of `events`, counted from the first ever.
    base: u64,
    bytes: usize,
    /// A list of places that is free to be used again, which saves an allocation.
    spare: Vec<u32>,
}

impl Packets {
    pub fn get(&self, id: PacketId) -> Option<&Packet> {
        self.recent.get(id).map(|kept| &kept.packet)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Packet> + DoubleEndedIterator {
        self.recent.iter().map(|kept| &kept.packet)
    }

    pub fn timeline(&self, id: PacketId) -> impl ExactSizeIterator<Item = &Event> + DoubleEndedIterator {
        let (places, from) = self.recent.get(id).map_or((&[][..], self.base), |kept| (&kept.places[..], kept.from));
        let before = from - self.base;
        places.iter().map(move |&place| &self.events[(before + u64::from(place)) as usize])
    }

    /// Takes an event of a packet.
    pub fn apply(&mut self, id: PacketId, event: &Event, limits: &Limits, evicted: &mut Evicted) {
        if self.recent.get(id).is_none() {
            while self.recent.len() >= limits.packets.max(1) {
                self.evict(evicted);
            }
            let mut places = std::mem::take(&mut self.spare);
            places.clear();
            let from = self.base + self.events.len() as u64;
            let kept = Kept { packet: Packet::new(id, event.ts), from, places, bytes: 0 };
            self.recent.push(id, kept, limits.packets);
        }
        if let Body::PacketBytes(bytes) = &event.body {
            self.keep_bytes(id, event.ts, bytes, limits);
        } else {
            self.keep_event(id, event, limits, evicted);
        }
        while self.bytes > limits.packet_bytes.max(1) && self.recent.len() > 1 {
            self.evict(evicted);
        }
    }

    fn keep_bytes(&mut self, id: PacketId, ts: Nanos, bytes: &PacketBytes, limits: &Limits) {
        let Some(kept) = self.recent.get_mut(id) else { return };
        let packet = &mut kept.packet;
        if packet.bytes.is_some() {
            return;
        }
        let data = &bytes.data[..bytes.data.len().min(limits.packet_bytes.max(1))];
        packet.note_bytes(ts, PacketBytes { len: bytes.len, data: data.into() }, PacketSummary::read(data));
        kept.bytes += data.len();
        self.bytes += data.len();
    }

    fn keep_event(&mut self, id: PacketId, event: &Event, limits: &Limits, evicted: &mut Evicted) {
        let heap = match &event.body {
            Body::ActionExecute(e) => e.action.heap_bytes(),
            Body::Upcall(e) => e.cookie.as_ref().map_or(0, |cookie| size_of::<Cookie>() + cookie.heap_bytes()),
            Body::Drop(e) => e.name.len() + e.location.len(),
            _ => 0,
        };
        // Room is made before the event is placed: it may be the packet itself that goes.
        while self.events.len() >= limits.packet_events.clamp(1, u32::MAX as usize) && self.recent.len() > 1 {
            self.evict(evicted);
        }
        let end = self.base + self.events.len() as u64;
        let Some(kept) = self.recent.get_mut(id) else {
            // It was the oldest and has just gone: this event is too late for it.
            return;
        };
        let is_room = self.events.len() < limits.packet_events.clamp(1, u32::MAX as usize)
            && kept.places.len() < limits.events_per_packet.max(1)
            && heap <= limits.packet_bytes.max(1);
        let Some(place) = u32::try_from(end - kept.from).ok().filter(|_| is_room) else {
            // What has no place in the timeline takes effect as it comes.
            kept.packet.note(event);
            kept.packet.events_cut = kept.packet.events_cut.saturating_add(1);
            return;
        };
        let before = (kept.from - self.base) as usize;
        let at = |place: u32| before + place as usize;
        // Events of one CPU at the same moment stay in their order.
        let order = |event: &Event| (event.ts, event.cpu);
        let of = |place: u32| order(&self.events[at(place)]);
        let is_late = kept.places.last().is_some_and(|&last| of(last) > order(event));
        if is_late {
            let to = kept.places.partition_point(|&place| of(place) <= order(event));
            kept.places.insert(to, place);
        } else {
            kept.places.push(place);
        }
        kept.bytes += heap;
        self.bytes += heap;
        reserve_within(&mut self.events, limits.packet_events);
        self.events.push_back(event.clone());
        if is_late && kept.packet.events_cut == 0 && !kept.packet.can_be_late(event) {
            kept.packet.unsay();
            for &place in &kept.places {
                kept.packet.note(&self.events[at(place)]);
            }
        } else {
            kept.packet.note(event);
        }
    }

    /// The lookup that an upcall comes from: the last one before it, on its CPU, of its packet, if that missed and no
    /// other upcall is between. The kernel does both in one go, with nothing of another packet's between.
    pub fn miss_of(&self, id: PacketId, upcall: &Event) -> Option<Nanos> {
        let events = self.timeline(id).rev().skip_while(|e| e.ts > upcall.ts);
        let mut same_cpu = events.filter(|e| e.cpu == upcall.cpu);
        let found = same_cpu.find(|e| match &e.body {
            Body::FlowLookup(_) => true,
            Body::Upcall(_) => e.upcall != upcall.upcall,
            _ => false,
        })?;
        matches!(&found.body, Body::FlowLookup(e) if e.flow.is_none()).then_some(found.ts)
    }

    /// The same from the other end: the upcall of a lookup that missed, where the lookup is reported after the upcall.
    pub fn upcall_of_miss(&self, id: PacketId, lookup: &Event) -> Option<UpcallId> {
        let behind = self.timeline(id).rev().take_while(|e| e.ts >= lookup.ts).filter(|e| e.cpu == lookup.cpu);
        // From the last one back: the one that remains is the first after the lookup.
        let first = behind.fold(None, |first, e| match &e.body {
            Body::FlowLookup(_) if e.ts > lookup.ts => Some(e),
            Body::Upcall(_) => Some(e),
            _ => first,
        });
        first.filter(|e| matches!(e.body, Body::Upcall(_)))?.upcall
    }

    fn evict(&mut self, evicted: &mut Evicted) {
        let Some(kept) = self.recent.pop_front() else { return };
        evicted.packets += 1;
        self.bytes -= kept.bytes;
        self.spare = kept.places;
        let end = self.base + self.events.len() as u64;
        let from = self.recent.front().map_or(end, |front| front.from);
        self.events.drain(..(from - self.base) as usize);
        self.base = from;
    }

    /// Lets go of all of them.
    pub fn clear(&mut self, evicted: &mut Evicted) {
        while self.recent.len() > 0 {
            self.evict(evicted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Action, ActionExecute, DevPoint, DevStep, DpIfindex, Name, PortNo},
        model::Fate,
    };

    fn step(id: u64, ts: Nanos) -> Event {
        let step = DevStep { point: DevPoint::NetifRx, dev: Name::new("p1_l"), ifindex: 1, netns: 1, len: 98, ret: 0 };
        Event { packet: Some(PacketId(id)), ..Event::host(ts, Body::Dev(step)) }
    }

    fn times(packets: &Packets, id: u64) -> Vec<Nanos> {
        packets.timeline(PacketId(id)).map(|e| e.ts).collect()
    }

    #[test]
    fn what_the_datapath_drops_for_a_reason_of_its_own_is_dropped_for_that() {
        let drop = |reason: u32, name: &str| {
            let drop = crate::event::Drop { reason, name: name.to_owned(), location: "f+0x1".to_owned() };
            Event { packet: Some(PacketId(1)), ..Event::host(5, Body::Drop(drop)) }
        };
        let fate = |events: &[Event]| {
            let (mut packets, mut evicted) = (Packets::default(), Evicted::default());
            for event in events {
                packets.apply(PacketId(1), event, &Limits::default(), &mut evicted);
            }
            packets.get(PacketId(1)).map(|packet| packet.fate(None, 5))
        };
        assert_eq!(fate(&[step(1, 4), drop(2, "NOT_SPECIFIED")]), Some(Fate::InFlight));
        assert_eq!(fate(&[step(1, 4), drop(0x3_0005, "OVS_DROP_METER")]), Some(Fate::DroppedFor));
        let output = ActionExecute {
            dp: DpIfindex(3),
            in_port: PortNo(1),
            recirc_id: 0,
            queue_id: 0,
            action: Action::Output { port: 2 },
        };
        let output = Event { packet: Some(PacketId(1)), ..Event::host(4, Body::ActionExecute(output)) };
        // A clone of it went out.
        assert_eq!(fate(&[output, drop(0x3_0001, "OVS_DROP_LAST_ACTION")]), Some(Fate::Forwarded));
    }

    #[test]
    fn a_timeline_is_in_the_order_of_its_times() {
        let (mut packets, mut evicted) = (Packets::default(), Evicted::default());
        for ts in [5, 3, 9, 4, 9, 1] {
            packets.apply(PacketId(1), &step(1, ts), &Limits::default(), &mut evicted);
            packets.apply(PacketId(2), &step(2, ts), &Limits::default(), &mut evicted);
        }
        assert_eq!((times(&packets, 1), times(&packets, 2)), (vec![1, 3, 4, 5, 9, 9], vec![1, 3, 4, 5, 9, 9]));
        let packet = packets.get(PacketId(1)).expect("it was applied");
        assert_eq!((packet.first, packet.last, packet.total()), (1, 9, 8));
    }

    #[test]
    fn the_oldest_packet_goes_with_its_events() {
        let (mut packets, mut evicted) = (Packets::default(), Evicted::default());
        let limits = Limits { packets: 100, packet_events: 5, ..Limits::default() };
        for ts in 0..12 {
            packets.apply(PacketId(ts / 3), &step(ts / 3, ts), &limits, &mut evicted);
        }
        assert_eq!(packets.iter().map(|p| p.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(times(&packets, 3), [9, 10, 11]);
        assert_eq!((evicted.packets, packets.events.len()), (3, 3));
        assert!(times(&packets, 0).is_empty());
    }

    #[test]
    fn a_packet_with_too_many_events_says_how_many_are_cut() {
        let (mut packets, mut evicted) = (Packets::default(), Evicted::default());
        let limits = Limits { events_per_packet: 4, ..Limits::default() };
        for ts in 0..10 {
            packets.apply(PacketId(1), &step(1, ts), &limits, &mut evicted);
        }
        let packet = packets.get(PacketId(1)).expect("it was applied");
        assert_eq!((packet.events_cut, packet.last, times(&packets, 1)), (6, 9, vec![0, 1, 2, 3]));
    }

    #[test]
    fn an_event_whose_packet_goes_to_make_room_for_it_is_no_harm() {
        let (mut packets, mut evicted) = (Packets::default(), Evicted::default());
        let limits = Limits { packet_events: 4, ..Limits::default() };
        for (id, ts) in [(1, 1), (2, 2), (2, 3), (2, 4), (1, 5), (1, 6), (2, 7)] {
            packets.apply(PacketId(id), &step(id, ts), &limits, &mut evicted);
        }
        assert_eq!((times(&packets, 2), times(&packets, 1)), (vec![], vec![6]));
    }
}
