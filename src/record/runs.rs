//! Runs: the ways that packets went, written once in a message, and the times.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{
    columns,
    decode::{TOO_MANY, at},
    dictionary::Malformed,
    encode::{Encoder, varint, zigzag},
    proto,
};
use crate::event::{Body, Event, Nanos, PacketId, Route, Run, Step, UpcallId};

/// The ways of the runs of one message.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// The index of each, or none for one that cannot be written. Each is kept alive, so that no other takes its address.
    routes: HashMap<usize, (Route, Option<u32>), RandomState>,
    /// The one that was asked for last.
    last: Option<(Route, Option<u32>)>,
    count: u32,
    /// By their addresses; they are held by their routes.
    steps: HashMap<usize, u32, RandomState>,
    /// The steps as the events of a message of their own.
    encoder: Option<Box<Encoder>>,
}

impl Ways {
    /// Roughly how many bytes they will have.
    pub(super) fn size(&self) -> usize {
        self.encoder.as_ref().map_or(0, |steps| steps.size())
    }

    /// The index of a way, which is added where it is new; none where it has a step that is not written so.
    pub(super) fn index(&mut self, route: &Route, runs: &mut columns::Runs) -> Option<u32> {
        if let Some((last, index)) = &self.last
            && Arc::ptr_eq(last, route)
        {
            return *index;
        }
        let address = Arc::as_ptr(route).cast::<()>().addr();
        let known = self.routes.get(&address).map(|(_, index)| *index);
        let index = known.unwrap_or_else(|| {
            let index = route.iter().all(|step| can_be_step(&step.body)).then(|| self.add(route, runs));
            self.routes.insert(address, (route.clone(), index));
            index
        });
        self.last = Some((route.clone(), index));
        index
    }

    fn add(&mut self, route: &Route, runs: &mut columns::Runs) -> u32 {
        let encoder = self.encoder.get_or_insert_default();
        varint(&mut runs.length, route.len() as u32);
        for step in &**route {
            let next = encoder.events() as u32;
            let index = *self.steps.entry(Arc::as_ptr(step).addr()).or_insert_with(|| {
                encoder.push(&bare(step));
                next
            });
            varint(&mut runs.step, index);
        }
        self.count += 1;
        self.count - 1
    }

    /// All the steps, as a message of their own; none where there are none.
    pub(super) fn steps(self) -> Option<columns::Events> {
        self.encoder.and_then(|steps| steps.finish())
    }
}

/// A step as an event without its time and its packet.
fn bare(step: &Step) -> Event {
    let Step { cpu, tid, pid, comm, ref body } = *step;
    Event { ts: 0, cpu, tid, pid, comm, packet: None, upcall: None, body: body.clone() }
}

/// Only a short event may be a step of a way: a few bytes of a run are expanded to all its events again.
fn can_be_step(body: &Body) -> bool {
    matches!(body, Body::FlowLookup(_) | Body::ActionExecute(_) | Body::Drop(_) | Body::Dev(_))
}

/// One more row.
pub(super) fn push(c: &mut columns::Runs, index: u32, run: &Run) {
    varint(&mut c.route, index);
    let mut before = 0;
    for &after in run.after() {
        zigzag(&mut c.after, after.wrapping_sub(before));
        before = after;
    }
}

/// The runs of a message that is read.
#[derive(Debug, Default)]
pub(super) struct Runs<'a> {
    /// None is a step of a kind that is not known here.
    steps: Vec<Option<Event>>,
    /// Of each way, the indices of its steps.
    routes: Vec<&'a [u32]>,
    route: &'a [u32],
    after: &'a [i32],
    /// How many of the runs and of the times were handed out.
    row: usize,
    given: usize,
    /// How many events they are.
    pub events: usize,
}

impl<'a> Runs<'a> {
    /// The runs of a message, `limit` events at most. `steps` decodes the message of steps.
    pub(super) fn new(
        runs: Option<&'a proto::Runs>,
        rows: usize,
        limit: usize,
        steps: impl FnOnce(&proto::Events) -> Result<Vec<Option<Event>>, Malformed>,
    ) -> Result<Self, Malformed> {
        const RAGGED: Malformed = Malformed("ways and runs that do not fit together");
        let Some(c) = runs else { return if rows == 0 { Ok(Self::default()) } else { Err(RAGGED) } };
        let mut rest = &*c.step;
        let mut routes = Vec::with_capacity(c.length.len());
        for &length in &c.length {
            let (route, more) = rest.split_at_checked(length as usize).ok_or(RAGGED)?;
            routes.push(route);
            rest = more;
        }
        if !rest.is_empty() || !(c.route.len() == rows || c.route.is_empty()) {
            return Err(RAGGED);
        }
        let mut events = 0usize;
        for row in 0..rows {
            events += routes.get(at(&c.route, row) as usize).ok_or(RAGGED)?.len();
            if events > limit {
                return Err(TOO_MANY);
            }
        }
        if !(c.after.len() == events || c.after.is_empty()) {
            return Err(RAGGED);
        }
        let steps = c.steps.as_ref().map_or(Ok(vec![]), |message| steps(message))?;
        if steps.iter().flatten().any(|step| !can_be_step(&step.body)) {
            return Err(Malformed("a step of a kind that is none"));
        }
        Ok(Self { steps, routes, route: &c.route, after: &c.after, row: 0, given: 0, events })
    }

    /// The events of the next run; none is one of a kind that is not known here.
    pub(super) fn expand(
        &mut self,
        ts: Nanos,
        packet: Option<PacketId>,
        upcall: Option<UpcallId>,
        mut give: impl FnMut(Option<Event>),
    ) -> Result<(), Malformed> {
        let mut after = 0i32;
        for &index in self.routes.get(at(self.route, self.row) as usize).copied().unwrap_or_default() {
            after = after.wrapping_add(at(self.after, self.given));
            self.given += 1;
            let step = self.steps.get(index as usize).ok_or(Malformed("a step that is not there"))?;
            let ts = ts.wrapping_add_signed(after.into());
            give(step.as_ref().map(|step| Event { ts, packet, upcall, ..step.clone() }));
        }
        self.row += 1;
        Ok(())
    }
}
