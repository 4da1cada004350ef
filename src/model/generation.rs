//! Generations of a flow: its UFID stays, its actions change.
//!
//! A put that went well always gives new actions. Who sees a flow by its hits alone sees that its actions lie elsewhere.
//! Both tell of the same generation, and either may come first.

use super::meter::SECOND;
use crate::event::{FlowPtr, Nanos};

/// A generation of a flow that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// When it began: it was put, or first hit where that was not seen.
    pub since: Nanos,
    /// Its actions, where a packet hit it. They may lie where those of a later generation do: the kernel uses memory again.
    pub sf_acts: Option<FlowPtr>,
    /// When it was deleted; none when it got new actions as it was.
    pub deleted: Option<Nanos>,
}

/// A generation with what is known of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    since: Nanos,
    /// Whether `since` is a put's time, else a hit's.
    by_put: bool,
    actions: Option<(FlowPtr, FlowPtr)>,
    /// When a packet first met those; no earlier than `since`.
    hit: Nanos,
    deleted: Option<Nanos>,
}

impl Known {
    fn new(since: Nanos, by_put: bool, actions: Option<(FlowPtr, FlowPtr)>) -> Self {
        Self { since, by_put, actions, hit: since, deleted: None }
    }

    /// It was hit with these actions.
    fn met(&mut self, ts: Nanos, actions: (FlowPtr, FlowPtr)) {
        self.hit = if self.actions.is_some() { self.hit.min(ts) } else { ts };
        self.actions = Some(actions);
        if !self.by_put {
            self.since = self.since.min(ts);
        }
    }

    /// Whether these are its actions: a flow at another address has others, also where they lie in the same memory.
    fn has(&self, actions: (FlowPtr, FlowPtr)) -> bool {
        self.actions == Some(actions)
    }

    /// The put that began it.
    fn begun_by_put(&mut self, ts: Nanos) {
        self.since = ts;
        self.by_put = true;
    }
}

/// The generation of now, the one before it, and how many there were before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Generations {
    /// Generations before the one of now.
    pub before: u32,
    now: Option<Known>,
    /// Most flows have but one.
    last: Option<Box<Known>>,
    /// An end that was told before any begin.
    early: Option<Nanos>,
}

impl Generations {
    /// When the one of now began; none before the flow was put or hit.
    pub fn since(&self) -> Option<Nanos> {
        self.now.map(|now| now.since)
    }

    /// The addresses of the flow and of its actions, where the generation of now was hit.
    pub fn actions(&self) -> Option<(FlowPtr, FlowPtr)> {
        self.now?.actions
    }

    /// The one before.
    pub fn previous(&self) -> Option<Generation> {
        let &Known { since, actions, deleted, .. } = self.last.as_deref()?;
        Some(Generation { since, sf_acts: actions.map(|(_, sf_acts)| sf_acts), deleted })
    }

    fn follow(&mut self, next: Known) {
        self.before = self.before.saturating_add(u32::from(self.now.is_some()));
        // An end that is behind its begin is the new one's, and was told before it.
        let (own, later) = match self.now.map_or(self.early.take(), |now| now.deleted) {
            Some(deleted) if deleted > next.since => (None, Some(deleted)),
            deleted => (deleted, None),
        };
        self.last = self.now.map(|now| Box::new(Known { deleted: own, ..now }));
        self.now = Some(Known { deleted: later, ..next });
    }

    /// An earlier one that was not known of.
    fn came_before(&mut self, earlier: Known) {
        self.before = self.before.saturating_add(1);
        if self.last.as_ref().is_none_or(|last| last.since < earlier.since) {
            self.last = Some(Box::new(earlier));
        }
    }

    /// It came back at `ts` after its end.
    pub fn begin(&mut self, ts: Nanos) {
        self.follow(Known::new(ts, false, None));
    }

    /// It was put at `ts`.
    pub fn put(&mut self, ts: Nanos) {
        let put = Known::new(ts, true, None);
        match (&mut self.now, &mut self.last) {
            (Some(now), last) if ts < now.since => match last {
                // Told after the hits of what it made.
                _ if !now.by_put && last.as_ref().is_none_or(|last| last.since <= ts) => now.begun_by_put(ts),
                Some(last) if !last.by_put && ts <= last.since => last.begun_by_put(ts),
                _ => self.came_before(put),
            },
            _ => self.follow(put),
        }
    }

    /// Packets hit it with these actions at `ts`; where that is not `exact`, a second before it at most.
    pub fn seen(&mut self, ts: Nanos, flow: FlowPtr, sf_acts: FlowPtr, exact: bool) {
        let actions = (flow, sf_acts);
        let seen = Known::new(ts, false, Some(actions));
        let Some(now) = &mut self.now else {
            self.follow(seen);
            return;
        };
        if ts >= now.since {
            // A put takes a while, and a count is of the time before its reading: those may be the actions before.
            let is_last = self.last.as_ref().is_some_and(|last| last.has(actions) && last.deleted.is_none());
            let is_ended = now.deleted.is_some_and(|deleted| (deleted..=deleted.saturating_add(SECOND)).contains(&ts));
            if now.actions.is_none() || now.has(actions) {
                if !is_last {
                    now.met(ts, actions);
                }
            } else if ts < now.hit && !is_ended {
                // Told after the hits of what came after it.
                if !is_last {
                    let later = Known::new(now.hit, false, now.actions);
                    (now.hit, now.actions) = (ts, Some(actions));
                    self.follow(later);
                }
            } else if (exact || !is_last) && !is_ended {
                self.follow(seen);
            }
            return;
        }
        if !now.by_put && (now.has(actions) || now.actions.is_none()) {
            now.met(ts, actions);
            return;
        }
        match &mut self.last {
            Some(last) if last.has(actions) || last.actions.is_none() => last.met(ts, actions),
            _ => self.came_before(seen),
        }
    }

    /// It was deleted at `ts`.
    pub fn deleted(&mut self, ts: Nanos) {
        let Some(now) = &mut self.now else {
            self.early = self.early.max(Some(ts));
            return;
        };
        // Of the latest that began before it.
        let known = [Some(now), self.last.as_deref_mut()].into_iter().flatten().find(|known| known.since <= ts);
        if let Some(known) = known {
            known.deleted = known.deleted.max(Some(ts));
        }
    }
}
