//! A packet's events given together: the way it went, which it shares with other packets, and when each step was.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Body, Comm, Event, Nanos, PacketId, UpcallId};

/// One step of a way: an event without its time and its packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// As in [`Event`].
    pub cpu: u32,
    /// As in [`Event`].
    pub tid: u32,
    /// As in [`Event`].
    pub pid: u32,
    /// As in [`Event`].
    pub comm: Comm,
    /// What happened.
    pub body: Body,
}

/// The steps of a way. Packets that go the same way share it, and ways that have steps in common share those.
pub type Route = Arc<[Arc<Step>]>;

/// When each step was, in nanoseconds after the run's own time; negative before it.
pub type Afters = SmallVec<[i32; 20]>;

/// A packet's events, in order. [`Run::events`] gives exactly the events that would otherwise come one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    ts: Nanos,
    packet: Option<PacketId>,
    upcall: Option<UpcallId>,
    route: Route,
    after: Afters,
}

impl Run {
    /// The events of a packet that went this way: `after` has one time for each step, in nanoseconds after `ts`. None
    /// where the route is empty or the two differ in length.
    pub fn new(
        ts: Nanos,
        packet: Option<PacketId>,
        upcall: Option<UpcallId>,
        route: Route,
        after: Afters,
    ) -> Option<Self> {
        (!route.is_empty() && route.len() == after.len()).then_some(Self { ts, packet, upcall, route, after })
    }

    /// The time that [`Run::after`] counts from; mostly that of the first event.
    pub fn ts(&self) -> Nanos {
        self.ts
    }

    /// The packet that all its events belong to.
    pub fn packet(&self) -> Option<PacketId> {
        self.packet
    }

    /// The upcall that all its events belong to.
    pub fn upcall(&self) -> Option<UpcallId> {
        self.upcall
    }

    /// The way it went.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// When each step was, in nanoseconds after [`Run::ts`].
    pub fn after(&self) -> &[i32] {
        &self.after
    }

    /// The earliest and the latest time of its events.
    pub fn span(&self) -> (Nanos, Nanos) {
        let (first, last) = self.after.iter().fold((i32::MAX, i32::MIN), |(a, b), &t| (a.min(t), b.max(t)));
        let at = |after: i32| self.ts.wrapping_add_signed(after.into());
        if at(first) <= at(last) {
            return (at(first), at(last));
        }
        // The 64-bit clock wrapped in between.
        self.after.iter().fold((Nanos::MAX, 0), |(a, b), &t| (a.min(at(t)), b.max(at(t))))
    }

    /// Its events one by one.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        std::iter::zip(&*self.route, &self.after).map(|(step, &after)| {
            let Step { cpu, tid, pid, comm, ref body } = **step;
            let (packet, upcall) = (self.packet, self.upcall);
            let ts = self.ts.wrapping_add_signed(after.into());
            Event { ts, cpu, tid, pid, comm, packet, upcall, body: body.clone() }
        })
    }
}

/// What the probes give, in order: an event, or a packet's events together.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// One event.
    Event(Event),
    /// A packet's events.
    Run(Run),
}

impl Told {
    /// How many events it is.
    pub fn count(&self) -> usize {
        match self {
            Self::Event(_) => 1,
            Self::Run(run) => run.route.len(),
        }
    }

    /// The event, where it is one. States and counters always are.
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Run(_) => None,
        }
    }

    /// The event's time, or what the times of the run count from.
    pub fn ts(&self) -> Nanos {
        match self {
            Self::Event(event) => event.ts,
            Self::Run(run) => run.ts,
        }
    }

    /// The events one by one, in order.
    pub fn expanded(told: Vec<Self>) -> Vec<Event> {
        let mut events = Vec::with_capacity(told.iter().map(Self::count).sum());
        for told in told {
            match told {
                Self::Event(event) => events.push(event),
                Self::Run(run) => events.extend(run.events()),
            }
        }
        events
    }
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DevPoint, DevStep, Loss, Name};

    fn step(point: DevPoint) -> Arc<Step> {
        let body = Body::Dev(DevStep { point, dev: Name::new("p1"), ifindex: 3, netns: 9, len: 60, ret: 0 });
        Arc::new(Step { cpu: 1, tid: 5, pid: 4, comm: Name::new("flood"), body })
    }

    fn run(after: &[i32]) -> Option<Run> {
        let route: Route = [DevPoint::NetifRx, DevPoint::NetDevQueue].map(step).into();
        Run::new(100, Some(PacketId(7)), None, route, after.into())
    }

    #[test]
    fn the_events_of_a_run_are_those_of_its_steps_at_their_times_in_their_place_among_others() {
        let run = run(&[0, -30]).expect("two steps, two times");
        assert_eq!(run.span(), (70, 100));
        let other = Event::host(80, Body::Loss(Loss::default()));
        let told = vec![other.clone().into(), Told::Run(run), other.clone().into()];
        assert_eq!(told.iter().map(Told::count).sum::<usize>(), 4);
        let [first, rx, queue, last] = Told::expanded(told).try_into().expect("four events");
        assert_eq!([first, last], [other.clone(), other]);
        assert_eq!((rx.ts, rx.kind(), queue.ts, queue.kind()), (100, "netif_rx", 70, "net_dev_queue"));
        for event in [rx, queue] {
            assert_eq!((event.cpu, event.tid, event.pid, event.comm), (1, 5, 4, Name::new("flood")));
            assert_eq!((event.packet, event.upcall), (Some(PacketId(7)), None));
        }
    }

    #[test]
    fn a_run_has_a_time_for_each_step_and_at_least_one() {
        assert_eq!(run(&[0]), None);
        assert_eq!(run(&[0, 1, 2]), None);
        assert_eq!(Run::new(1, None, None, [].into(), Afters::new()), None);
    }
}
