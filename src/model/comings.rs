//! How often a flow was deleted and came back: by the times of its puts and deletions, in whatever order they are told.

use std::collections::VecDeque;

use super::{Model, flow::Flow};
use crate::event::{DelReason, Nanos};

/// Steps that are kept in their order: more than come of one flow within [`Limits::lateness`](super::Limits::lateness),
/// unless it comes and goes more than twice a second; of one that does, what is told late may count wrongly.
const STEPS: usize = 16;

/// A flow that was deleted and put again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// How often, of the puts and deletions that were seen.
    pub times: u32,
    /// How long it was gone, all of them together, in nanoseconds.
    pub gone: Nanos,
    /// When it first came back.
    pub first: Nanos,
    /// When it last did.
    pub last: Nanos,
    /// Why it was deleted before it last came back, where the daemon told.
    pub because: Option<DelReason>,
}

impl Returned {
    /// From one return to the next, on average; none where there was but one.
    pub fn period(&self) -> Option<Nanos> {
        let spans = Nanos::from(self.times.checked_sub(1).filter(|spans| *spans > 0)?);
        Some(self.last.saturating_sub(self.first) / spans)
    }

    /// How long it was gone, on average.
    pub fn gone_each(&self) -> Nanos {
        self.gone / Nanos::from(self.times.max(1))
    }
}

/// A step: a deletion comes before a put of the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Deleted,
    Put,
}

/// What steps amount to, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    times: u32,
    gone: Nanos,
    first: Nanos,
    last: Nanos,
    /// The deletion before it last came back, and the put before that.
    ended: Nanos,
    begun: Nanos,
    /// The last put.
    put: Nanos,
    /// The last deletion, if no put followed.
    deleted: Option<Nanos>,
}

impl Sum {
    fn after(mut self, (ts, step): (Nanos, Step)) -> Self {
        match step {
            Step::Deleted => self.deleted = Some(ts),
            Step::Put => {
                if let Some(deleted) = self.deleted.take() {
                    self.first = if self.times == 0 { ts } else { self.first };
                    self.times = self.times.saturating_add(1);
                    self.gone = self.gone.saturating_add(ts - deleted);
                    (self.last, self.ended, self.begun) = (ts, deleted, self.put);
                }
                self.put = ts;
            }
        }
        self
    }
}

/// The puts and deletions of a flow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comings {
    /// Boxed, as most flows have a single put.
    put: Option<Nanos>,
    steps: Option<Box<Steps>>,
}

/// The last steps, and the sum of those before.
#[derive(Debug, Clone, PartialEq, Default)]
struct Steps {
    before: Sum,
    last: VecDeque<(Nanos, Step)>,
}

impl Comings {
    /// It was put as a new one.
    pub fn put(&mut self, ts: Nanos) {
        if self.put.is_none() && self.steps.is_none() {
            self.put = Some(ts);
        } else {
            self.step((ts, Step::Put));
        }
    }

    /// It was deleted.
    pub fn deleted(&mut self, ts: Nanos) {
        self.step((ts, Step::Deleted));
    }

    fn step(&mut self, step: (Nanos, Step)) {
        let Steps { before, last } = &mut **self.steps.get_or_insert_default();
        last.extend(self.put.take().map(|ts| (ts, Step::Put)));
        let at = last.partition_point(|other| *other <= step);
        last.insert(at, step);
        if last.len() > STEPS
            && let Some(first) = last.pop_front()
        {
            *before = before.after(first);
        }
    }

    fn sum(&self) -> Option<Sum> {
        let Steps { before, last } = &**self.steps.as_ref()?;
        Some(last.iter().fold(*before, |sum, step| sum.after(*step))).filter(|sum| sum.times > 0)
    }

    /// How often it came back.
    pub fn times(&self) -> u32 {
        self.sum().map_or(0, |sum| sum.times)
    }

    /// What is known of that, with why it was deleted by `decided`: what was decided and when.
    pub fn returned(&self, decided: impl Iterator<Item = (Nanos, DelReason)>) -> Option<Returned> {
        let Sum { times, gone, first, last, ended, begun, .. } = self.sum()?;
        let because = decided.filter(|(at, _)| (begun..=ended).contains(at)).max().map(|(_, reason)| reason);
        Some(Returned { times, gone, first, last, because })
    }
}

/// How flows come and go, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lives {
    /// Flows that came back after they were deleted.
    pub returned: u64,
    /// How often, all of them together.
    pub returns: u64,
    /// How long they were gone, all of it together, in nanoseconds.
    pub gone: Nanos,
    /// Flows that were put.
    pub put: u64,
    /// Those of them that no packet ever hit until the hits were last read.
    pub unused: u64,
}

impl Lives {
    /// Takes one more flow, whose hits were last read at `read`.
    pub(super) fn add(&mut self, flow: &Flow, read: Nanos) {
        if let Some(returned) = flow.returned() {
            self.returned += 1;
            self.returns += u64::from(returned.times);
            self.gone = self.gone.saturating_add(returned.gone);
        }
        if flow.was_put_before(Nanos::MAX) {
            self.put += 1;
            self.unused += u64::from(flow.is_unhit() && flow.was_put_before(read));
        }
    }
}

impl Model {
    /// Whether a flow that was put was never hit until the hits were last read. Not so where they are not counted, or not
    /// read since the put.
    pub fn is_unused(&self, flow: &Flow) -> bool {
        self.counts_flow_hits() && flow.is_unhit() && flow.was_put_before(self.counted_at())
    }

    /// Whether hits are counted by flow.
    pub fn counts_flow_hits(&self) -> bool {
        self.host.counts_flow_hits() && self.counted_at() > 0
    }

    /// Hits that are counted for no flow, for want of room: the flows' hits may lack as many.
    pub fn flow_hits_uncounted(&self) -> u64 {
        self.flows.hits_uncounted()
    }

    /// How all flows came and went, including those that were let go of.
    pub fn lives(&self) -> Lives {
        let mut lives = self.flows.let_go();
        let read = self.counted_at();
        self.flows().for_each(|flow| lives.add(flow, read));
        lives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(steps: &[(Nanos, Step)]) -> Comings {
        let mut comings = Comings::default();
        for (ts, step) in steps {
            match step {
                Step::Put => comings.put(*ts),
                Step::Deleted => comings.deleted(*ts),
            }
        }
        comings
    }

    #[test]
    fn returns_are_counted_in_whatever_order_they_are_told() {
        use Step::{Deleted, Put};
        let steps = [(10, Put), (20, Deleted), (23, Put), (40, Deleted), (43, Put), (50, Deleted), (59, Put)];
        let decided = || [(38, DelReason::FlowIdle), (49, DelReason::FlowLimit), (61, DelReason::Purge)].into_iter();
        let expected = Returned { times: 3, gone: 15, first: 23, last: 59, because: Some(DelReason::FlowLimit) };
        assert_eq!(told(&steps).returned(decided()), Some(expected));
        assert_eq!((expected.period(), expected.gone_each()), (Some(18), 5));
        let mut other = steps;
        for n in 0..5040usize {
            // Every order: the n-th permutation.
            let (mut rest, mut n) = (steps.to_vec(), n);
            for place in &mut other {
                let at = n % rest.len();
                n /= rest.len();
                *place = rest.remove(at);
            }
            assert_eq!(told(&other).returned(decided()), Some(expected), "{other:?}");
        }
    }

    #[test]
    fn a_flow_that_only_changes_or_only_ends_has_not_come_back() {
        use Step::{Deleted, Put};
        assert_eq!(told(&[(10, Put), (20, Put)]).returned(std::iter::empty()), None);
        assert_eq!(told(&[(10, Put), (20, Deleted), (21, Deleted)]).times(), 0);
        assert_eq!(told(&[(20, Deleted), (20, Put)]).times(), 1, "what is put in the moment of its end is back");
    }

    #[test]
    fn what_is_long_ago_is_counted_and_not_kept() {
        let mut comings = Comings::default();
        for n in 0..1000 {
            comings.put(n * 10);
            comings.deleted(n * 10 + 5);
        }
        let returned = comings.returned(std::iter::empty()).expect("it came back");
        assert_eq!((returned.times, returned.gone, returned.period()), (999, 999 * 5, Some(10)));
        assert_eq!(comings.steps.map(|steps| steps.last.len()), Some(STEPS));
    }
}
