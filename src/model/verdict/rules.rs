//! Which OpenFlow rule lets flows differ in a field, by the traces of a few of them; and which flows to trace for it.

use std::{collections::BTreeMap, fmt};

use super::super::{Model, SECOND, Traced};
use super::{Evidence, Finding, HOLDS, OVER};
use crate::{
    event::{DpIfindex, Field, FlowShape, Nanos, PortNo, Ufid},
    ovs_text::{Met, Names, write_key},
};

/// So many traces are enough …
const SAMPLES: usize = 3;
/// … and so many tries, where they fail.
const TRIES: usize = 8;
/// After so long they are made anew: rules change.
const HOLD_SECONDS: u64 = 60;
/// Those of before a storm's begin, as a replay that is gone into has them, are taken up to so long before now.
const OLD_SECONDS: u64 = 120;
/// Rules that are named.
const NAMED: usize = 3;

/// Fields that every flow matches, whatever the rules are (`xlate_wc_init` in `ofproto/ofproto-dpif-xlate.c`).
const ALWAYS: [Field; 5] = [Field::RecircId, Field::InPort, Field::PacketType, Field::EthType, Field::IpFrag];

/// A field that flows differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Explosion {
    field: Field,
    /// The port that they come in by.
    port: Option<(DpIfindex, PortNo)>,
    /// The first second of those in a row.
    since: u64,
    /// The last second.
    last: u64,
}

impl Explosion {
    /// What it is after this second, in which this field and port were found, if any.
    pub fn after(
        before: Option<Self>,
        second: u64,
        found: Option<(Field, Option<(DpIfindex, PortNo)>)>,
    ) -> Option<Self> {
        let before = before.filter(|before| second.saturating_sub(before.last) < OVER);
        match (before, found) {
            (before, None) => before,
            (Some(before), Some((field, port))) if before.field == field => {
                Some(Self { port: port.or(before.port), last: second, ..before })
            }
            (_, Some((field, port))) => Some(Self { field, port, since: second, last: second }),
        }
    }
}

/// An OpenFlow rule that speaks of the field that flows differ in: it is why they match the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRule {
    /// The field.
    pub field: Field,
    /// The rule, with the actions of it that were executed. From outside: may hold anything.
    pub rule: Met,
    /// How it speaks of the field.
    pub names: Names,
    /// Traced flows that met it …
    pub met_by: usize,
    /// … of so many.
    pub of: usize,
}

impl NamedRule {
    /// What it says of the field: `matches udp_src`.
    pub fn says(&self) -> String {
        let name = self.field.name();
        match &self.names {
            Names::Match => format!("matches {name}"),
            Names::Action(action) => format!("uses {name}: {action}"),
        }
    }
}

impl fmt::Display for NamedRule {
    /// `br0 table=10 priority=100 udp,in_port=1  matches udp_src`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Met { bridge, table, priority, cookie, matches, actions: _ } = &self.rule;
        if !bridge.is_empty() {
            write!(f, "{bridge} ")?;
        }
        write!(f, "table={table} priority={}", priority.unwrap_or_default())?;
        if !cookie.is_empty() {
            write!(f, " cookie={cookie}")?;
        }
        let matches = if matches.is_empty() { "any packet" } else { matches };
        write!(f, " {matches}  {}", self.says())
    }
}

impl Finding {
    /// The OpenFlow rules that make it, or why none is named.
    pub(super) fn rules(mut self, named: Result<Vec<NamedRule>, Option<String>>) -> Self {
        match named {
            Ok(rules) => self.rules = rules,
            Err(why) => self.unnamed = why,
        }
        self
    }
}

/// The rules that the traced flows met and that speak of the field, that of most of them first; or why there are none:
/// nothing where nothing was traced yet.
pub fn named(e: &Evidence<'_>, field: Field) -> Result<Vec<NamedRule>, Option<String>> {
    if ALWAYS.contains(&field) {
        return Err(Some(format!("none: every flow matches {}, whatever the rules are", field.name())));
    }
    let samples = samples(e.model, field, e.now().saturating_add(SECOND));
    let read: Vec<&Traced> =
        samples.iter().copied().filter(|traced| traced.trace.answer.is_ok()).take(SAMPLES).collect();
    if read.is_empty() {
        let why = samples.first().and_then(|traced| traced.trace.answer.as_ref().err());
        let why = why.map(|why| format!("not traced: {why}"));
        return Err(why.or_else(|| untraceable(e)));
    }
    let name = field.name();
    let (mut rules, mut met, mut making) = (BTreeMap::<&Met, (usize, usize, Names)>::new(), Vec::new(), 0);
    for pass in read.iter().filter_map(|traced| traced.read.passes.first()).filter(|pass| pass.matches(field)) {
        making += 1;
        let mut seen = Vec::new();
        for rule in &pass.met {
            met.push(rule);
            if let Some(names) = rule.names(field).into_iter().next()
                && !seen.contains(&rule)
            {
                seen.push(rule);
                let place = met.len();
                rules.entry(rule).or_insert((0, place, names)).0 += 1;
            }
        }
    }
    if making == 0 {
        return Err(Some(format!(
            "not known: the flows that {} traced packets make do not match {name}; rules changed since",
            read.len()
        )));
    }
    if rules.is_empty() {
        met.sort();
        met.dedup();
        let mut tables: Vec<String> = met.iter().map(|rule| format!("{} {}", rule.bridge, rule.table)).collect();
        tables.dedup();
        return Err(Some(format!(
            "not known: none of the {} that {making} traced flows met names {name}. One that they did not match \
             does, in a table they passed ({}), or a group's hash: a trace does not tell",
            met.len(),
            tables.join(", ")
        )));
    }
    let mut rules: Vec<(&Met, (usize, usize, Names))> = rules.into_iter().collect();
    rules.sort_by_key(|(_, (count, place, _))| (std::cmp::Reverse(*count), *place));
    let rule = |(rule, (met_by, _, names)): (&Met, (usize, usize, Names))| NamedRule {
        field,
        rule: rule.clone(),
        names,
        met_by,
        of: making,
    };
    Ok(rules.into_iter().take(NAMED).map(rule).collect())
}

/// The traces of this storm's flows, the latest first; where there are none yet, those of shortly before.
fn samples(model: &Model, field: Field, now: Nanos) -> Vec<&Traced> {
    let after = |begin: Nanos| move |traced: &&Traced| traced.at >= begin && traced.at <= now;
    if let Some(explosion) = model.verdicts.explosion.filter(|explosion| explosion.field == field) {
        let begin = explosion.since.saturating_mul(SECOND);
        let of_this: Vec<&Traced> = model.traces.samples(field).filter(after(begin)).collect();
        if !of_this.is_empty() {
            return of_this;
        }
    }
    model.traces.samples(field).filter(after(now.saturating_sub(OLD_SECONDS * SECOND))).collect()
}

/// Why the newest flows cannot be traced, if they cannot.
fn untraceable(e: &Evidence<'_>) -> Option<String> {
    let newest = e.model.shapes.recent(e.now()).next_back()?;
    let why = write_key(&newest.matches).err()?;
    Some(format!("not known: a new flow cannot be traced, {why}"))
}

/// A flow to be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its datapath.
    pub dp: DpIfindex,
    /// It.
    pub ufid: Option<Ufid>,
    /// The field that it is a sample for.
    pub field: Field,
    /// Its key, as `ovs-dpctl` writes them.
    pub key: String,
}

impl Model {
    /// A new flow whose trace would help to name the OpenFlow rule that lets flows differ in a field; none where they do
    /// not, or enough of them are traced.
    pub fn sample_to_trace(&self) -> Option<Sample> {
        let explosion = self.verdicts.explosion.filter(|explosion| !ALWAYS.contains(&explosion.field))?;
        let second = self.verdicts.second;
        if explosion.last != second || explosion.last.saturating_sub(explosion.since).saturating_add(1) < HOLDS {
            return None;
        }
        let begin = explosion.since.max(second.saturating_sub(HOLD_SECONDS)).saturating_mul(SECOND);
        let lately = || self.traces.samples(explosion.field).filter(|traced| traced.at >= begin);
        let good = lately().filter(|traced| traced.trace.answer.is_ok()).count();
        if good >= SAMPLES || lately().count() >= TRIES {
            return None;
        }
        let is_of_it = |shape: &&FlowShape| {
            let port = shape.matches.get(Field::InPort).map(|of| of.value as u32);
            shape.matches.get(explosion.field).is_some()
                && explosion.port.is_none_or(|(dp, of)| shape.dp == dp && port == Some(of.0))
        };
        self.shapes.recent(self.now).rev().filter(is_of_it).find_map(|shape| {
            let key = write_key(&shape.matches).ok()?;
            let is_new = !lately().any(|traced| traced.trace.key == key);
            is_new.then_some(Sample { dp: shape.dp, ufid: shape.ufid, field: explosion.field, key })
        })
    }
}
