//! What was wrong over the time of a recording.

use std::collections::BTreeMap;

use super::facts::{Figure, Rule, Verdict};
use crate::{
    event::Nanos,
    model::{self, Cause, Model, NamedRule, SECOND},
};

/// The verdicts of a recording, second by second.
#[derive(Debug, Default)]
pub struct History {
    /// The worst verdict of each cause, since when, and until when.
    seen: BTreeMap<Cause, Seen>,
    second: u64,
}

#[derive(Debug)]
struct Seen {
    worst: model::Verdict,
    /// The last rules that were named, or why none were.
    rules: Result<Vec<NamedRule>, Option<String>>,
    /// Its place among those of its second.
    place: usize,
    since: u64,
    last: u64,
    seconds: u64,
}

impl History {
    /// Looks at the model after a reading of the counters.
    pub fn see(&mut self, ts: Nanos, model: &Model) {
        let second = ts / SECOND;
        if second <= self.second {
            return;
        }
        self.second = second;
        for (place, verdict) in model.verdicts().into_iter().enumerate() {
            let since = verdict.since / SECOND;
            let Some(seen) = self.seen.get_mut(&verdict.cause) else {
                let cause = verdict.cause;
                let rules = rules(&verdict);
                self.seen.insert(cause, Seen { worst: verdict, rules, place, since, last: second, seconds: 1 });
                continue;
            };
            (seen.last, seen.seconds) = (second, seen.seconds + 1);
            let rules = rules(&verdict);
            if rules.is_ok() || seen.rules.is_err() && rules != Err(None) {
                seen.rules = rules;
            }
            // The later figures are of a longer time.
            if verdict.severity >= seen.worst.severity {
                (seen.worst, seen.place) = (verdict, place);
            }
        }
    }

    /// The worst first; of equals the one that lasted longest. `at` turns the model's seconds into the report's.
    pub fn verdicts(&self, at: impl Fn(u64) -> u64) -> Vec<Verdict> {
        let mut all: Vec<&Seen> = self.seen.values().collect();
        all.sort_by_key(|seen| {
            (std::cmp::Reverse(seen.worst.severity), seen.place, std::cmp::Reverse(seen.seconds), seen.worst.cause)
        });
        let verdict = |seen: &&Seen| {
            let of = &seen.worst;
            let figure = |figure: &model::Figure| Figure { text: figure.text.clone(), is_for: figure.is_for };
            Verdict {
                cause: of.cause.name(),
                severity: of.severity.name(),
                certainty: of.certainty.name(),
                from_second: at(seen.since),
                to_second: at(seen.last),
                headline: of.headline.clone(),
                figures: of.figures.iter().map(figure).collect(),
                rules: seen.rules.iter().flatten().map(rule).collect(),
                rule_unknown: seen.rules.as_ref().err().cloned().flatten(),
                tries: of.tries.to_vec(),
                reads: of.reads.to_vec(),
            }
        };
        all.iter().map(verdict).collect()
    }
}

fn rules(verdict: &model::Verdict) -> Result<Vec<NamedRule>, Option<String>> {
    let rules: Vec<NamedRule> = verdict.rules.clone();
    if rules.is_empty() { Err(verdict.unnamed.clone()) } else { Ok(rules) }
}

fn rule(named: &NamedRule) -> Rule {
    let of = &named.rule;
    Rule {
        bridge: of.bridge.clone(),
        table: of.table,
        priority: of.priority,
        cookie: of.cookie.clone(),
        matches: of.matches.clone(),
        field: named.field,
        says: named.says(),
        line: named.to_string(),
        met_by: named.met_by,
        of: named.of,
    }
}
