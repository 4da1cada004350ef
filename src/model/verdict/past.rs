//! Verdicts that are over: as they were when it was worst, the last that fit.

use std::{collections::VecDeque, sync::Arc};

use super::{Case, Finding, Verdict};
use crate::event::Nanos;

/// A verdict that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct PastVerdict {
    /// As it was at its worst, and of equals where most went up; with the last rules that were named.
    pub verdict: Verdict,
    /// The last second that its rule held in.
    pub until: Nanos,
    /// Nothing but the counters was known of that time: before the first packet that was seen, or behind a seek.
    pub by_counters: bool,
}

/// A finding when it was worst.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Peak {
    pub(super) finding: Finding,
    /// Upcalls per second then.
    upcalls: f64,
    by_counters: bool,
}

impl Peak {
    pub(super) fn new(finding: Finding, upcalls: f64, by_counters: bool) -> Self {
        Self { finding, upcalls, by_counters }
    }

    /// Looks at the finding of a later second.
    pub(super) fn see(&mut self, finding: &Finding, upcalls: f64, by_counters: bool) {
        let (rules, unnamed) = (self.finding.rules.clone(), self.finding.unnamed.clone());
        // What is known in detail says who; what is not does not.
        let rank = |by_counters: bool, of: &Finding, upcalls: f64| (!by_counters, of.severity, upcalls);
        if rank(by_counters, finding, upcalls) >= rank(self.by_counters, &self.finding, self.upcalls) {
            *self = Self::new(finding.clone(), upcalls, by_counters);
        }
        // The daemon names rules when it is asked, which may be after the worst, and never takes one back.
        if !finding.rules.is_empty() {
            self.finding.rules.clone_from(&finding.rules);
        } else if self.finding.rules.is_empty() {
            self.finding.rules = rules;
            let unnamed = finding.unnamed.clone().or(unnamed);
            self.finding.unnamed = unnamed.filter(|_| self.finding.rules.is_empty());
        }
    }
}

/// Those that are over, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Past(VecDeque<Arc<PastVerdict>>);

impl Past {
    /// Takes one that is over; gives how many had to go for it.
    pub(super) fn add(&mut self, case: &Case, most: usize) -> u64 {
        let Peak { finding, by_counters, .. } = case.peak.clone();
        let (verdict, until) = (finding.verdict(case.since), case.last.saturating_mul(super::SECOND));
        self.0.push_back(Arc::new(PastVerdict { verdict, until, by_counters }));
        let more = self.0.len().saturating_sub(most.max(1));
        self.0.drain(..more);
        more as u64
    }

    /// The last to end first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &PastVerdict> + ExactSizeIterator {
        self.0.iter().rev().map(Arc::as_ref)
    }
}
