//! Steps of an upcall's way that are missing, and why: as far as that is known, and never guessed.

use std::collections::{BTreeMap, VecDeque};

use super::{Model, SECOND, upcalls::Upcall};
use crate::event::{CapabilityState, Loss, Nanos, UpcallCmd, UpcallId};

/// Why a step of an upcall is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// It was before the first event that the model was given.
    BeforeTracing,
    /// Events of that time are counted as lost ([`Loss::any`]).
    Lost,
    /// It may still come: nothing was lost since.
    StillWaiting,
    /// Its probe is not attached.
    NotTraced,
    /// It was here, and let go to stay within the [`Limits`](super::Limits).
    Evicted,
    /// None of these, or any of several.
    Unknown,
}

impl Missing {
    /// A few words for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeTracing => "before tracing began",
            Self::Lost => "lost",
            Self::StillWaiting => "still waiting",
            Self::NotTraced => "not traced",
            Self::Evicted => "let go of",
            Self::Unknown => "unknown",
        }
    }
}

/// What is missing of an upcall, step by step: none where the step is there, or is not due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unlinked {
    /// The upcall itself.
    pub begin: Option<Missing>,
    /// Its message's way to the socket, or the failure of that.
    pub enqueue: Option<Missing>,
    /// The handler's receive.
    pub recv: Option<Missing>,
    /// The first answer, a put or an execute. None is due to an upcall by an action, and none is missed there.
    pub answer: Option<Missing>,
    /// The packet given back after a put. It is not missed where nothing says that it should be there: the flow may drop
    /// the packet ([`UpcallEnd::FlowOnly`](super::UpcallEnd::FlowOnly)).
    pub exec: Option<Missing>,
}

/// What came from handlers and belongs to no upcall that was followed, since the start of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strays {
    /// Messages received.
    pub receives: u64,
    /// Flows put: by a revalidator or another program, or for an upcall that was received before tracing began or left
    /// out.
    pub puts: u64,
    /// Packets given with actions, likewise.
    pub execs: u64,
}

/// How many stretches of time with losses are kept.
const STRETCHES: usize = 256;
/// How many CPUs' evicted upcalls are remembered.
const CPUS: usize = 4096;

/// When events were lost, and which upcalls were let go of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gaps {
    /// From and to, in their order.
    lost: VecDeque<(Nanos, Nanos)>,
    /// What was before this is forgotten.
    known_from: Nanos,
    /// When losses were last checked, and how many there were.
    looked: Option<Nanos>,
    sum: u64,
    /// The last upcall that was let go of, by CPU: identities are `cpu << 40 | sequence`.
    evicted: BTreeMap<u64, u64>,
}

impl Gaps {
    /// The counters were read: had more been lost, that would have been reported.
    pub fn look(&mut self, ts: Nanos) {
        self.looked = self.looked.max(Some(ts));
    }

    /// Takes how much is lost so far. Events come up to `lateness` after their time. Returns how many more are lost.
    pub fn lose(&mut self, ts: Nanos, loss: &Loss, lateness: Nanos) -> u64 {
        let sum = loss.lost();
        let more = sum.saturating_sub(self.sum);
        self.sum = sum;
        if more > 0 {
            let from = self.looked.unwrap_or(0).saturating_sub(lateness);
            match self.lost.back_mut() {
                Some((_, to)) if from <= *to => *to = ts.max(*to),
                _ => self.lost.push_back((from, ts.max(from))),
            }
            if self.lost.len() > STRETCHES
                && let Some((_, to)) = self.lost.pop_front()
            {
                self.known_from = to + 1;
            }
        }
        self.look(ts);
        more
    }

    /// Whether events of this time were lost; none where that is not known any more.
    fn lost(&self, from: Nanos, to: Nanos) -> Option<bool> {
        (from >= self.known_from).then(|| self.lost.iter().any(|(begin, end)| *begin <= to && *end >= from))
    }

    /// An upcall is let go of.
    pub fn evict(&mut self, id: UpcallId) {
        let (cpu, sequence) = (id.0 >> 40, id.0 & ((1 << 40) - 1));
        if self.evicted.len() < CPUS || self.evicted.contains_key(&cpu) {
            let last = self.evicted.entry(cpu).or_default();
            *last = sequence.max(*last);
        }
    }

    /// Whether it may have been here: an upcall of its CPU with a higher number has been let go of.
    fn may_be_evicted(&self, id: UpcallId) -> bool {
        self.evicted.get(&(id.0 >> 40)).is_some_and(|last| id.0 & ((1 << 40) - 1) <= *last)
    }

    /// Other probes: they give identities from 1, and count losses from 0.
    pub fn restart(&mut self) {
        self.evicted.clear();
        self.sum = 0;
    }
}

impl Model {
    /// What is missing of an upcall, and why. For what was not handled, see [`Model::upcall_end`] too.
    pub fn unlinked(&self, upcall: &Upcall) -> Unlinked {
        let answered = upcall.put.map(|put| put.ts).into_iter().chain(upcall.exec.map(|exec| exec.ts)).min();
        let answered = answered.or(upcall.first_action);
        let refused = matches!(upcall.returned, Some((_, ret)) if ret != 0)
            || upcall.enqueue.is_some_and(|first| first.ret != 0 && upcall.messages == 0);
        let queued = upcall.messages > 0 || matches!(upcall.returned, Some((_, 0)));
        let enqueue = (upcall.begun && upcall.enqueue.is_none()).then(|| {
            let until = upcall.recv.map(|recv| recv.ts).or(answered);
            self.why("upcall_enqueue", upcall.ts, until.or(upcall.returned.map(|(ts, _)| ts)))
        });
        let sent = upcall.enqueue.map_or(upcall.ts, |enqueue| enqueue.ts);
        let recv = (upcall.recv.is_none() && !refused && (queued || (upcall.begun && answered.is_some())))
            .then(|| self.why("upcall_recv", sent, answered));
        let answer = upcall.recv.filter(|_| answered.is_none() && upcall.cmd != Some(UpcallCmd::Action)).map(|recv| {
            let untraced = ["flow_put", "flow_exec"].into_iter().find(|probe| !self.is_traced(probe));
            self.why(untraced.unwrap_or("flow_put"), recv.ts, None)
        });
        let exec = upcall.put.filter(|put| put.ret == 0 && upcall.exec.is_none()).and_then(|put| {
            let why = self.why("flow_exec", put.ts, Some(put.ts.saturating_add(SECOND)));
            match why {
                Missing::Unknown if upcall.first_action.is_none() && self.now().saturating_sub(put.ts) < SECOND => {
                    Some(Missing::StillWaiting)
                }
                Missing::Unknown if upcall.first_action.is_none() => None,
                why => Some(why),
            }
        });
        Unlinked { begin: (!upcall.begun).then(|| self.why_no_begin(upcall)), enqueue, recv, answer, exec }
    }

    /// Why something is missing that was due from `from` on, and by `until` where what follows it was seen.
    fn why(&self, probe: &str, from: Nanos, until: Option<Nanos>) -> Missing {
        if !self.is_traced(probe) {
            return Missing::NotTraced;
        }
        match (self.gaps.lost(from, until.unwrap_or(self.now())), until) {
            (Some(true), _) => Missing::Lost,
            (Some(false), None) => Missing::StillWaiting,
            // Events of other CPUs may not have come yet.
            (Some(false), Some(until)) if self.now().saturating_sub(until) < self.limits().lateness => {
                Missing::StillWaiting
            }
            _ => Missing::Unknown,
        }
    }

    fn why_no_begin(&self, upcall: &Upcall) -> Missing {
        if !self.is_traced("upcall") {
            return Missing::NotTraced;
        }
        let made = upcall.made().or(upcall.enqueue.map(|enqueue| enqueue.ts));
        let made = made.or(upcall.recv.map(|recv| recv.ts.saturating_sub(recv.wait_ns)));
        let started = self.started().unwrap_or(0);
        if made.is_some_and(|made| made < started) {
            return Missing::BeforeTracing;
        }
        let lost = self.gaps.lost(made.unwrap_or(started), made.unwrap_or(upcall.ts));
        match (lost, self.gaps.may_be_evicted(upcall.id), made) {
            (Some(true), false, Some(_)) => Missing::Lost,
            (Some(false), true, _) => Missing::Evicted,
            (Some(false), false, _) if self.now().saturating_sub(upcall.ts) < self.limits().lateness => {
                Missing::StillWaiting
            }
            // Nothing was lost since tracing began, and nothing was let go of.
            (Some(false), false, None) => Missing::BeforeTracing,
            _ => Missing::Unknown,
        }
    }

    /// Whether a probe is there, as far as is known.
    fn is_traced(&self, name: &str) -> bool {
        let of = self.capabilities().iter().find(|capability| capability.name == name);
        of.is_none_or(|of| !matches!(of.state, CapabilityState::Missing | CapabilityState::Off))
    }

    /// What came from handlers and belongs to no upcall that was followed.
    pub fn strays(&self) -> Strays {
        self.strays
    }
}
