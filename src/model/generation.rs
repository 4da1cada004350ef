//! Generations of a flow: its UFID stays, its actions change.
//!
//! A put that succeeded always gives new actions. From hits alone one sees that the flow's actions are at another address.
//! Both are signs of the same generation, and either may come first.

use super::meter::SECOND;
use crate::event::{FlowPtr, Nanos};

/// A generation of a flow that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// When it began: it was put, or first hit where that was not seen.
    pub since: Nanos,
    /// The address of its actions, where a packet hit it. A later generation's may be at the same one: the kernel reuses memory.
    pub sf_acts: Option<FlowPtr>,
    /// When it was deleted; none when it got new actions as it was.
    pub deleted: Option<Nanos>,
}

/// A generation, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    since: Nanos,
    /// Whether `since` is the time of a put; else it is that of a hit.
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

    /// Whether these are its actions: a flow at another address has other actions, even where they are in the same memory.
    fn has(&self, actions: (FlowPtr, FlowPtr)) -> bool {
        self.actions == Some(actions)
    }

    /// The put that began it.
    fn begun_by_put(&mut self, ts: Nanos) {
        self.since = ts;
        self.by_put = true;
    }
}

/// The present generation, the one before it, and how many there were before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Generations {
    /// Generations before the present one.
    pub before: u32,
    now: Option<Known>,
    /// Boxed, as most flows have only one generation.
    last: Option<Box<Known>>,
    /// An end that was reported before any beginning.
    early: Option<Nanos>,
}

impl Generations {
    /// When the present one began; none before the flow was put or hit.
    pub fn since(&self) -> Option<Nanos> {
        self.now.map(|now| now.since)
    }

    /// The addresses of the flow and of its actions, where the present generation was hit.
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
        // An end that is later than this beginning is that of the new generation, and was reported before it.
        let (own, later) = match self.now.map_or(self.early.take(), |now| now.deleted) {
            Some(deleted) if deleted > next.since => (None, Some(deleted)),
            deleted => (deleted, None),
        };
        self.last = self.now.map(|now| Box::new(Known { deleted: own, ..now }));
        self.now = Some(Known { deleted: later, ..next });
    }

    /// An earlier generation that was not known of.
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
                // The put is reported after hits of the generation that it made.
                _ if !now.by_put && last.as_ref().is_none_or(|last| last.since <= ts) => now.begun_by_put(ts),
                Some(last) if !last.by_put && ts <= last.since => last.begun_by_put(ts),
                _ => self.came_before(put),
            },
            _ => self.follow(put),
        }
    }

    /// Packets hit it with these actions at `ts`, or where that is not `exact`, at most a second before it.
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
                // The hit is reported after hits of a later generation.
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
        // It ends the latest generation that began before it.
        let known = [Some(now), self.last.as_deref_mut()].into_iter().flatten().find(|known| known.since <= ts);
        if let Some(known) = known {
            known.deleted = known.deleted.max(Some(ts));
        }
    }
}
