//! The ways that packets went lately, by what the kernel side tells of them: who goes the same way is told in short.

use std::{collections::HashMap, sync::Arc};

use super::wire::{WireStep, WireTrace};
use crate::event::{Route, Step};

/// Ways that are remembered, at most: one for each value of a hash, the latest.
const ROUTES: usize = 1 << 12;
/// Steps that are remembered, at most, so that ways share them.
const STEPS: usize = 1 << 14;

/// What a step says in numbers, but for its time; and where in the datapath, for those that are in it.
type Key = ([u32; 5], [u32; 3]);

/// Remembers ways and steps. What the numbers in them stand for must be the same for as long: [`Routes::clear`].
#[derive(Debug, Default)]
pub struct Routes {
    /// Empty until the first one is remembered.
    known: Vec<Option<Known>>,
    /// Where the last one was: mostly the next packet goes the same.
    last: usize,
    steps: HashMap<Key, Arc<Step>, foldhash::fast::RandomState>,
}

#[derive(Debug, Clone)]
struct Known {
    place: [u32; 3],
    steps: Box<[WireStep]>,
    route: Route,
}

impl Routes {
    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.known.clear();
        self.steps.clear();
    }

    /// The way of these steps, if it is known.
    pub fn get(&mut self, trace: &WireTrace, steps: &[WireStep]) -> Option<&Route> {
        if !self.is(self.last, trace, steps) {
            let slot = slot(trace, steps);
            if !self.is(slot, trace, steps) {
                return None;
            }
            self.last = slot;
        }
        self.known[self.last].as_ref().map(|known| &known.route)
    }

    /// Whether it is the one in this place.
    fn is(&self, slot: usize, trace: &WireTrace, steps: &[WireStep]) -> bool {
        self.known.get(slot).and_then(Option::as_ref).is_some_and(|known| {
            known.place == place(trace)
                && known.steps.len() == steps.len()
                && std::iter::zip(&known.steps, steps).all(|(a, b)| numbers(a) == numbers(b))
        })
    }

    /// Remembers the way of these steps, over another one if need be.
    pub fn put(&mut self, trace: &WireTrace, steps: &[WireStep], route: &Route) {
        self.known.resize(ROUTES, None);
        let known = Known { place: place(trace), steps: steps.into(), route: route.clone() };
        self.known[slot(trace, steps)] = Some(known);
    }

    /// A step that is the same on every way.
    pub fn step(
        &mut self,
        trace: &WireTrace,
        step: &WireStep,
        make: impl FnOnce() -> Option<Step>,
    ) -> Option<Arc<Step>> {
        let key = (numbers(step), place(trace));
        if let Some(known) = self.steps.get(&key) {
            return Some(known.clone());
        }
        if self.steps.len() >= STEPS {
            self.steps.clear();
        }
        let shared = Arc::new(make()?);
        self.steps.insert(key, shared.clone());
        Some(shared)
    }
}

fn place(trace: &WireTrace) -> [u32; 3] {
    [trace.dp, trace.in_port, trace.recirc_id]
}

/// All of a step but its time.
fn numbers(step: &WireStep) -> [u32; 5] {
    let [_, numbers @ ..] = bytemuck::cast::<WireStep, [u32; 6]>(*step);
    numbers
}

/// Where a way is looked for. Not seeded: that two ways meet costs only time, and no more than without all this.
fn slot(trace: &WireTrace, steps: &[WireStep]) -> usize {
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pair = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
    let mut hash = mix(pair(trace.dp, trace.in_port), trace.recirc_id.into());
    for step in steps {
        let [what, task, a, b, c] = numbers(step);
        hash = mix(hash ^ pair(what, c), pair(a, b.wrapping_add(task)));
    }
    (hash >> 40) as usize % ROUTES
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::event::{Body, Comm, Loss};

    fn step() -> Step {
        Step { cpu: 0, tid: 0, pid: 0, comm: Comm::default(), body: Body::Loss(Loss::default()) }
    }

    #[test]
    fn a_way_is_known_by_all_of_its_numbers_but_the_times() {
        let mut routes = Routes::default();
        let (trace, steps) = (WireTrace { dp: 1, ..Zeroable::zeroed() }, [WireStep { a: 1, ..Zeroable::zeroed() }; 3]);
        assert!(routes.get(&trace, &steps).is_none());
        let route: Route = [Arc::new(step())].into();
        routes.put(&trace, &steps, &route);
        let mut later = steps;
        later[1].after = 77;
        let other_packet = WireTrace { ts: 5, packet: 9, upcall: 3, ..trace };
        assert!(routes.get(&other_packet, &later).is_some_and(|known| Arc::ptr_eq(known, &route)));
        for at in 1..6 {
            let mut words = bytemuck::cast::<WireStep, [u32; 6]>(steps[2]);
            words[at] ^= 1;
            let other = [steps[0], steps[1], bytemuck::cast(words)];
            assert!(routes.get(&trace, &other).is_none(), "word {at}");
            // Also where it is looked for at the same place.
            let known = routes.known[slot(&trace, &steps)].clone();
            routes.known.fill(known);
            assert!(routes.get(&trace, &other).is_none(), "word {at}");
        }
        assert!(routes.get(&trace, &steps[..2]).is_none());
        for elsewhere in
            [WireTrace { dp: 2, ..trace }, WireTrace { in_port: 1, ..trace }, WireTrace { recirc_id: 1, ..trace }]
        {
            assert!(routes.get(&elsewhere, &steps).is_none());
        }
        routes.clear();
        assert!(routes.get(&trace, &steps).is_none());
    }

    #[test]
    fn no_more_steps_are_remembered_than_have_room_and_none_that_could_not_be_made() {
        let (mut routes, trace) = (Routes::default(), WireTrace::zeroed());
        let numbered = |a| WireStep { a, ..Zeroable::zeroed() };
        assert!(routes.step(&trace, &numbered(1), || None).is_none());
        let first = routes.step(&trace, &numbered(1), || Some(step())).expect("made");
        let again = routes.step(&trace, &numbered(1), || panic!("it is known")).expect("known");
        assert!(Arc::ptr_eq(&first, &again));
        for a in 0..STEPS as u32 + 9 {
            routes.step(&trace, &numbered(a), || Some(step())).expect("made");
            assert!(routes.steps.len() <= STEPS);
        }
    }
}
