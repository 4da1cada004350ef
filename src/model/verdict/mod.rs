//! What is wrong, by name: each cause of upcall storms that is known has a rule, and a rule that holds is a verdict.
//!
//! Rules look at the figures of the last ten seconds ([`Evidence`]), once a second. A verdict is one when its rule held
//! for two seconds in a row, and is over when it did not hold for four. What makes storms and how each cause shows:
//! the table in docs/verdicts.md.

mod advice;
mod cause;
mod crowd;
mod daemon;
mod errno;
mod evidence;
mod flows;
mod fragments;
mod handlers;
mod past;
mod punts;
mod rules;
mod words;

use super::{FlowKey, Model, SECOND, Spreads, TalkerKey};
use crate::event::{DpIfindex, Field, Nanos, PortNo};

pub use cause::Cause;
pub use evidence::Evidence;
pub use past::PastVerdict;
use past::{Past, Peak};
use rules::Explosion;
pub use rules::{NamedRule, Sample};
pub use words::count as grouped;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; all is done in time.
    Note,
    /// It costs: packets take the slow way.
    Warning,
    /// Packets are lost, or soon will be.
    Critical,
}

impl Severity {
    /// A word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// The figures fit, and something that would say more is missing or was left out.
    Likely,
    /// The figures say so.
    Sure,
}

impl Certainty {
    /// A word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Sure => "sure",
        }
    }
}

/// Who or what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    /// A port of a datapath.
    Port(DpIfindex, PortNo),
    /// One of those who make upcalls.
    Talker(TalkerKey),
    /// A field that flows match.
    Field(Field),
    /// A handler's thread.
    Handler(u32),
    /// A flow.
    Flow(FlowKey),
}

/// A figure that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it says, with its unit and its time. Names in it are from outside: may hold anything.
    pub text: String,
    /// Whether it speaks for the verdict, or against it.
    pub is_for: bool,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Which.
    pub cause: Cause,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Since when its rule holds: the beginning of the second it first held in.
    pub since: Nanos,
    /// In one line, with the culprit. From outside in parts: may hold anything.
    pub headline: String,
    /// Who or what, the first the most.
    pub culprits: Vec<Culprit>,
    /// The figures for and against it.
    pub figures: Vec<Figure>,
    /// The OpenFlow rules that make it, as far as the daemon's traces name them.
    pub rules: Vec<NamedRule>,
    /// Why there are none, where some were looked for. From outside in parts: may hold anything.
    pub unnamed: Option<String>,
    /// What to try, in the order of trying.
    pub tries: &'static [&'static str],
    /// What to read about it: manual pages and chapters of Open vSwitch's documentation.
    pub reads: &'static [&'static str],
}

/// Which verdict: the same as long as it stands, and when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictId {
    /// Its cause.
    pub cause: Cause,
    /// Since when.
    pub since: Nanos,
}

impl Verdict {
    /// Which it is.
    pub fn id(&self) -> VerdictId {
        VerdictId { cause: self.cause, since: self.since }
    }
}

/// What a rule found, without its time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    cause: Cause,
    severity: Severity,
    certainty: Certainty,
    headline: String,
    culprits: Vec<Culprit>,
    figures: Vec<Figure>,
    rules: Vec<NamedRule>,
    unnamed: Option<String>,
    /// It is a verdict after so many seconds in a row.
    holds: u64,
}

impl Finding {
    fn new(cause: Cause, severity: Severity, headline: String) -> Self {
        let (culprits, figures) = (Vec::new(), Vec::new());
        Self {
            cause,
            severity,
            certainty: Certainty::Sure,
            headline,
            culprits,
            figures,
            rules: Vec::new(),
            unnamed: None,
            holds: HOLDS,
        }
    }

    fn culprit(mut self, culprit: Option<Culprit>) -> Self {
        self.culprits.extend(culprit);
        self
    }

    fn figure(mut self, text: String) -> Self {
        self.figures.push(Figure { text, is_for: true });
        self
    }

    /// A figure that puts another one right, if there is one.
    fn note(mut self, text: Option<String>) -> Self {
        self.figures.extend(text.map(|text| Figure { text, is_for: true }));
        self
    }

    /// A figure that speaks against it, if there is one: then it is not sure.
    fn against(mut self, text: Option<String>) -> Self {
        if let Some(text) = text {
            self.figures.push(Figure { text, is_for: false });
            self.certainty = Certainty::Likely;
        }
        self
    }

    /// As a verdict since this second.
    fn verdict(self, since: u64) -> Verdict {
        let Self { cause, severity, certainty, headline, culprits, figures, rules, unnamed, holds: _ } = self;
        let since = since.saturating_mul(SECOND);
        let (tries, reads) = (advice::tries(cause), advice::reads(cause));
        Verdict { cause, severity, certainty, since, headline, culprits, figures, rules, unnamed, tries, reads }
    }
}

/// A rule: what it finds, if it holds.
type Rule = fn(&Evidence<'_>) -> Option<Finding>;

/// In the order in which verdicts of one severity are shown: what is nearer to the root first.
const RULES: &[Rule] = &[
    daemon::gone,
    daemon::stalled,
    flows::emergency_kill,
    flows::flow_limit,
    flows::put_failures,
    handlers::too_big,
    fragments::fragments,
    handlers::starved,
    flows::slow_revalidator,
    crowd::mac_flapping,
    crowd::broadcast_flood,
    crowd::unknown_port,
    crowd::short_connections,
    crowd::field_explosion,
    punts::controller,
    punts::slow_path,
    punts::sampling,
    flows::openflow_churn,
    flows::flapping,
    handlers::overflow,
    handlers::imbalance,
    crowd::tuple_space,
];

/// What leads to something worse, or makes it worse, is told as its evidence, and not beside it: the one that is told, and
/// what is with it.
const LEADS_TO: [(Cause, Cause); 21] = [
    (Cause::NetlinkOverflow, Cause::HandlerImbalance),
    (Cause::BroadcastFlood, Cause::HandlerImbalance),
    (Cause::ShortConnections, Cause::HandlerImbalance),
    (Cause::FieldExplosion, Cause::HandlerImbalance),
    (Cause::ControllerPunts, Cause::HandlerImbalance),
    (Cause::SlowPath, Cause::HandlerImbalance),
    (Cause::Sampling, Cause::HandlerImbalance),
    (Cause::EmergencyKill, Cause::FlowLimit),
    (Cause::EmergencyKill, Cause::FieldExplosion),
    (Cause::FlowLimit, Cause::FieldExplosion),
    (Cause::ShortConnections, Cause::FieldExplosion),
    // More than half of the upcalls, and more than half of the flows: they are the same.
    (Cause::BroadcastFlood, Cause::FieldExplosion),
    (Cause::TooBig, Cause::Fragments),
    (Cause::NetlinkOverflow, Cause::Fragments),
    (Cause::EmergencyKill, Cause::Fragments),
    (Cause::FlowLimit, Cause::Fragments),
    (Cause::ShortConnections, Cause::Fragments),
    (Cause::FieldExplosion, Cause::Fragments),
    (Cause::ControllerPunts, Cause::Fragments),
    (Cause::SlowPath, Cause::Fragments),
    (Cause::Sampling, Cause::Fragments),
];

fn absorb(found: &mut Vec<(usize, Finding)>) {
    let place = |found: &[(usize, Finding)], cause| found.iter().position(|(_, finding)| finding.cause == cause);
    for (worse, lead) in LEADS_TO {
        let (Some(at), Some(lead)) = (place(found, worse), place(found, lead)) else { continue };
        // What costs more than where it leads to stands for itself.
        if found[lead].1.severity > found[at].1.severity {
            continue;
        }
        let (_, lead) = found.remove(lead);
        if let Some((_, finding)) = found.iter_mut().find(|(_, finding)| finding.cause == worse) {
            finding.figures.insert(0, Figure { text: lead.headline, is_for: true });
            for culprit in lead.culprits {
                if !finding.culprits.contains(&culprit) {
                    finding.culprits.push(culprit);
                }
            }
            finding.rules.extend(lead.rules);
            finding.unnamed = finding.unnamed.take().or(lead.unnamed);
        }
    }
}

/// A verdict is one after so many seconds in a row …
const HOLDS: u64 = 2;
/// … and over after so many without.
const OVER: u64 = 4;

/// A rule that held.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    finding: Finding,
    /// The first second of those in a row.
    since: u64,
    /// The last second it held in.
    last: u64,
    /// The place of its rule.
    place: usize,
    /// As it was when it was worst.
    peak: Peak,
}

impl Case {
    /// Whether it held for long enough to be a verdict.
    fn stands(&self) -> bool {
        self.last.saturating_sub(self.since).saturating_add(1) >= self.finding.holds
    }
}

/// What is wrong now, and since when.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdicts {
    second: u64,
    cases: Vec<Case>,
    /// The field that flows differ in, also where something worse is told instead.
    explosion: Option<Explosion>,
    /// How the new flows differ.
    spreads: Spreads,
    past: Past,
    /// Verdicts that are over and no longer kept.
    forgotten: u64,
}

impl Verdicts {
    /// Whether this second has not been looked at.
    pub(super) fn is_due(&self, second: u64) -> bool {
        second > self.second
    }

    /// What the rules find in this second. So many of those that are over are kept at most.
    pub(super) fn after(&self, second: u64, evidence: &Evidence<'_>, most: usize) -> Self {
        let mut next = self.clone();
        next.second = second;
        next.spreads = evidence.spreads.clone();
        let is_over = |case: &mut Case| second.saturating_sub(case.last) >= OVER;
        let over: Vec<Case> = next.cases.extract_if(.., is_over).collect();
        for case in over.iter().filter(|case| case.stands()) {
            next.forgotten += next.past.add(case, most);
        }
        next.explosion = Explosion::after(self.explosion, second, crowd::exploding(evidence));
        let found = RULES.iter().enumerate().filter_map(|(at, rule)| Some((at, rule(evidence)?)));
        let mut found: Vec<(usize, Finding)> = found.collect();
        absorb(&mut found);
        for (place, finding) in found {
            next.hold(evidence, place, finding);
        }
        // It answers only where nothing else does.
        let explains = |case: &Case| case.place != RULES.len() && case.finding.severity > Severity::Note;
        let is_explained = next.cases.iter().any(explains);
        if !is_explained && let Some(finding) = crowd::unknown(evidence) {
            next.hold(evidence, RULES.len(), finding);
        } else if is_explained {
            next.cases.retain(|case| case.place != RULES.len());
        }
        next
    }

    fn hold(&mut self, evidence: &Evidence<'_>, place: usize, finding: Finding) {
        let (second, upcalls, by_counters) = (evidence.second, evidence.rates.upcalls, evidence.by_counters());
        if let Some(case) = self.cases.iter_mut().find(|case| case.place == place) {
            case.peak.see(&finding, upcalls, by_counters);
            (case.finding, case.last) = (finding, second);
        } else {
            let peak = Peak::new(finding.clone(), upcalls, by_counters);
            self.cases.push(Case { finding, since: second, last: second, place, peak });
        }
    }

    /// The worst first; of equals what is nearer to the root.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let mut cases: Vec<&Case> = self.cases.iter().filter(|case| case.stands()).collect();
        cases.sort_by_key(|case| (std::cmp::Reverse(case.finding.severity), case.place));
        cases.into_iter().map(|case| case.finding.clone().verdict(case.since)).collect()
    }
}

impl Model {
    /// What is wrong, as of the last second: the worst first. Empty where nothing is.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.verdicts()
    }

    /// How the flows that were made in the ten seconds before differ, as of the last second.
    pub fn spreads(&self) -> &Spreads {
        &self.verdicts.spreads
    }

    /// What was wrong and is over, the last to end first: as many as [`Limits::verdicts`](super::Limits::verdicts).
    pub fn past_verdicts(&self) -> impl DoubleEndedIterator<Item = &PastVerdict> + ExactSizeIterator {
        self.verdicts.past.iter()
    }

    /// Looks at the second that is over, after a reading of the counters.
    pub(super) fn examine(&mut self, ts: Nanos) {
        let second = ts / SECOND;
        if self.verdicts.is_due(second) {
            let evidence = Evidence::new(self, second);
            let next = self.verdicts.after(second, &evidence, self.limits.verdicts);
            self.evicted.verdicts += next.forgotten - self.verdicts.forgotten;
            self.verdicts = next;
        }
    }
}
