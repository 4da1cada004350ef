//! The revalidators, as far as a daemon with USDT probes tells: their rounds, and why they delete flows.

use std::collections::BTreeMap;

use super::limits::{Evicted, Limits};
use crate::event::{DelReason, FlowResult, Nanos, RevalResult, Revalidation};

/// What the revalidators did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Revalidators {
    /// The last round that is over, and when it began.
    pub last: Option<(Nanos, Revalidation)>,
    /// The longest round, in nanoseconds.
    pub longest: u64,
    /// Rounds seen.
    pub rounds: u64,
    deleted: BTreeMap<DelReason, u64>,
}

impl Revalidators {
    /// A round is over.
    pub(super) fn round(&mut self, ts: Nanos, e: &Revalidation) {
        self.rounds += 1;
        self.longest = self.longest.max(e.took_ns);
        if self.last.as_ref().is_none_or(|(before, _)| *before <= ts) {
            self.last = Some((ts, e.clone()));
        }
    }

    /// They decided about a flow.
    pub(super) fn result(&mut self, e: &FlowResult, limits: &Limits, evicted: &mut Evicted) {
        if e.result != RevalResult::Delete {
            return;
        }
        if self.deleted.len() < limits.drop_reasons.max(1) || self.deleted.contains_key(&e.reason) {
            *self.deleted.entry(e.reason).or_default() += 1;
        } else {
            evicted.drop_reasons += 1;
        }
    }

    /// Flows that were deleted, by reason, the most frequent first. Those over the event budget are not among them
    /// ([`Loss::told_over_budget`](crate::event::Loss::told_over_budget)).
    pub fn deleted(&self) -> Vec<(DelReason, u64)> {
        let mut reasons: Vec<(DelReason, u64)> = self.deleted.iter().map(|(reason, count)| (*reason, *count)).collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        reasons
    }
}
