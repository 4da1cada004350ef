//! Reads a recording for a report: into a model, and beside it what the model keeps too briefly for a summary.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, SecondsFormat};

use super::{
    facts::{Condition, Mark, Outcome, Rate, Report, Span, Top},
    new_flows::Most,
    tables::{self, ROWS},
    tally::Tally,
    verdicts::History,
};
use crate::{
    event::{Body, Bookmark, Counters, Event, Nanos},
    model::{self, FlowSort, Metric, Model, NetSummary, Rates, SECOND, State, TalkerKey, Totals},
    ui::label,
};

/// Keys that a tally tells apart.
const KEYS: usize = 4096;
/// Marks that are listed; the report says how many more there are.
const MARKS: usize = 100;
/// Outcomes of upcalls that are told apart; the kernel returns few.
const OUTCOMES: usize = 256;

/// Something that is counted: its name, its seconds, and its total.
type Counted = (&'static str, Metric, fn(&Totals) -> u64);

/// What is shown over time.
const RATES: [Counted; 11] = [
    ("lookups", Metric::Lookups, |t| t.lookups),
    ("hits", Metric::Hits, |t| t.hits),
    ("misses", Metric::Misses, |t| t.misses),
    ("upcalls", Metric::Upcalls, |t| t.upcalls),
    ("upcalls lost", Metric::UpcallsLost, |t| t.upcalls_lost),
    ("puts", Metric::Puts, |t| t.puts),
    ("puts failed", Metric::PutsFailed, |t| t.puts_failed),
    ("executes", Metric::Execs, |t| t.execs),
    ("executes failed", Metric::ExecsFailed, |t| t.execs_failed),
    ("deletes", Metric::Dels, |t| t.dels),
    ("received", Metric::Received, |t| t.received),
];

/// The states, the least bad first.
const STATES: [(State, &str); 4] =
    [(State::Quiet, "quiet"), (State::Busy, "busy"), (State::Storm, "storm"), (State::Losing, "losing")];

/// Takes the events of a recording.
pub struct Collector {
    model: Model,
    /// Sessions that were met; the report is of the last one alone.
    sessions: u64,
    session_events: u64,
    /// The last second whose series were seen.
    last_second: Option<u64>,
    history: History,
    new_flows: Most,
    peaks: [(u64, Option<u64>); RATES.len()],
    worst: Option<(State, u64)>,
    states: [u64; STATES.len()],
    first_totals: Option<(Nanos, Totals)>,
    last_totals: Option<(Nanos, Totals)>,
    first_outcomes: Option<BTreeMap<i32, u64>>,
    last_outcomes: BTreeMap<i32, u64>,
    first: Option<Nanos>,
    last: Nanos,
    upcalls_seen: u64,
    sources: Tally<TalkerKey>,
    destinations: Tally<TalkerKey>,
    punted_by: Tally<String>,
    drops_seen: Tally<String>,
    /// When the first event of any kind was that is not part of the state at the recording's beginning.
    begin: Option<Nanos>,
    /// The moments that were marked, and what was noted.
    marks: Vec<(Nanos, String)>,
    marks_unlisted: u64,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            model: Model::default(),
            sessions: 0,
            session_events: 0,
            last_second: None,
            history: History::default(),
            new_flows: Most::default(),
            peaks: [(0, None); RATES.len()],
            worst: None,
            states: [0; STATES.len()],
            first_totals: None,
            last_totals: None,
            first_outcomes: None,
            last_outcomes: BTreeMap::new(),
            first: None,
            last: 0,
            upcalls_seen: 0,
            sources: Tally::new(KEYS),
            destinations: Tally::new(KEYS),
            punted_by: Tally::new(KEYS),
            drops_seen: Tally::new(KEYS),
            begin: None,
            marks: Vec::new(),
            marks_unlisted: 0,
        }
    }
}

impl Collector {
    /// Takes the next event; one of a keyframe is the state that the recording began with.
    pub fn take(&mut self, event: &Event, keyframe: bool) {
        if let Body::Session(session) = &event.body {
            let same = self.model.session().is_none_or(|before| before.is_same(session));
            if !same {
                let (sessions, events) = (self.sessions, self.session_events);
                *self = Self { sessions, session_events: events, ..Self::default() };
            }
            if self.sessions == 0 || !same {
                self.sessions += 1;
            }
        }
        self.model.apply(event);
        if keyframe {
            // What was counted until then is from before the recording.
            if let Body::Counters(counters) = &event.body {
                self.count(event.ts, counters);
            }
            return;
        }
        self.session_events += 1;
        self.begin = Some(self.begin.map_or(event.ts, |begin| begin.min(event.ts)));
        match &event.body {
            Body::Mark(mark) => return self.mark(mark),
            Body::Loss(_) => return,
            body if body.is_state() => return,
            Body::Counters(counters) => self.count(event.ts, counters),
            Body::Upcall(upcall) => {
                self.upcalls_seen += 1;
                let known = event.packet.and_then(|id| self.model.packet(id)).and_then(|packet| packet.summary);
                if let Some(summary) = known {
                    let (source, destination) = match summary.net {
                        NetSummary::Ip { src, dst, proto, .. } => {
                            (TalkerKey::Ip(src, proto), TalkerKey::Ip(dst, proto))
                        }
                        _ => (TalkerKey::Mac(summary.eth_src), TalkerKey::Mac(summary.eth_dst)),
                    };
                    self.sources.add(source);
                    self.destinations.add(destination);
                }
                if let Some(cookie) = &upcall.cookie {
                    self.punted_by.add(cookie.brief());
                }
            }
            Body::Drop(drop) => {
                let place = if drop.location.is_empty() { String::new() } else { format!(" in {}", drop.location) };
                self.drops_seen.add(format!("{}{place}", label::drop_reason(drop.reason, &drop.name)));
            }
            _ => {}
        }
        self.first = Some(self.first.map_or(event.ts, |first| first.min(event.ts)));
        self.last = self.last.max(event.ts);
    }

    /// Takes a mark, wherever it was kept.
    pub fn mark(&mut self, mark: &Bookmark) {
        if self.marks.len() >= MARKS {
            self.marks_unlisted += 1;
            return;
        }
        let at = self.marks.partition_point(|(at, _)| *at <= mark.at);
        self.marks.insert(at, (mark.at, mark.note.clone()));
    }

    fn count(&mut self, ts: Nanos, counters: &Counters) {
        let Some(totals) = self.model.totals() else { return };
        self.first_totals.get_or_insert((ts, totals));
        if self.last_totals.is_none_or(|(before, _)| before <= ts) {
            self.last_totals = Some((ts, totals));
        }
        let mut outcomes: BTreeMap<i32, u64> = BTreeMap::new();
        for upcall in &counters.upcalls {
            if outcomes.len() < OUTCOMES || outcomes.contains_key(&upcall.ret) {
                let count = outcomes.entry(upcall.ret).or_default();
                *count = count.saturating_add(upcall.count);
            }
        }
        self.first_outcomes.get_or_insert_with(|| outcomes.clone());
        self.last_outcomes = outcomes;
        self.seconds();
        self.history.see(ts, &self.model);
        self.new_flows.see(ts / SECOND, &self.model);
    }

    /// Takes the seconds that are over since the last time.
    fn seconds(&mut self) {
        let Some(end) = self.model.series_end() else { return };
        let new = match self.last_second {
            Some(last) => end.saturating_sub(last),
            None => self.model.series(Metric::Lookups).len() as u64,
        };
        let new = new.min(model::SERIES_SECONDS as u64);
        let mut values = [[0u64; RATES.len()]; 1].repeat(new as usize);
        for (i, (_, metric, _)) in RATES.iter().enumerate() {
            let of: Vec<u64> = self.model.series(*metric).rev().take(new as usize).collect();
            for (row, value) in values.iter_mut().zip(of.into_iter().rev()) {
                row[i] = value;
            }
        }
        for (row, second) in values.into_iter().zip(end.saturating_sub(new).saturating_add(1)..) {
            self.second(second, &row);
        }
        self.last_second = Some(end);
    }

    fn second(&mut self, second: u64, values: &[u64; RATES.len()]) {
        for (peak, value) in self.peaks.iter_mut().zip(values) {
            if *value > peak.0 {
                *peak = (*value, Some(second));
            }
        }
        let [lookups, hits, misses, upcalls, upcalls_lost, ..] = values.map(|value| value as f64);
        let rates = Rates { lookups, hits, misses, upcalls, upcalls_lost, span: SECOND, ..Rates::default() };
        let state = model::Condition::of(Some(rates), self.model.uncounted(Metric::Lookups).is_none()).state;
        if let Some(at) = STATES.iter().position(|(known, _)| *known == state) {
            self.states[at] += 1;
        }
        if self.worst.is_none_or(|(worst, _)| state > worst) {
            self.worst = Some((state, second));
        }
    }

    /// The report of everything taken so far.
    pub fn report(&self, remarks: Option<&str>) -> Report {
        let model = &self.model;
        let begin = self.first.unwrap_or(0) / SECOND;
        let since = |second: u64| second.saturating_sub(begin);
        let name = |state: State| STATES.iter().find(|(known, _)| *known == state).map_or("waiting", |(_, name)| name);
        let condition = Condition {
            worst: self.worst.map_or("waiting", |(state, _)| name(state)),
            second: self.worst.map(|(_, second)| since(second)),
            seconds: STATES.iter().zip(self.states).map(|((_, name), seconds)| (*name, seconds)).collect(),
        };
        let mut remarks: Vec<String> = remarks.into_iter().flat_map(str::lines).map(str::to_owned).collect();
        if self.sessions > 1 {
            remarks.push(format!("the recording has {} sessions; this is of the last one", self.sessions));
        }
        match self.marks_unlisted {
            0 => {}
            1 => remarks.push("one more mark is not listed".to_owned()),
            more => remarks.push(format!("{more} more marks are not listed")),
        }
        Report {
            version: 1,
            session: model.session().cloned(),
            span: self.span(),
            events: self.session_events,
            verdicts: self.history.verdicts(since),
            condition,
            marks: self
                .marks
                .iter()
                // A moment before the recording's beginning is not in it.
                .filter(|(at, _)| self.begin.is_none_or(|begin| *at >= begin))
                .map(|(at, note)| Mark { second: since(at / SECOND), note: note.clone() })
                .collect(),
            rates: self.rates(&since),
            datapaths: tables::datapaths(model),
            daemon: model.daemon().cloned(),
            probes: model.capabilities().to_vec(),
            stages: tables::stages(model),
            outcomes: self.outcomes(),
            in_ports: tables::in_ports(model),
            upcalls_seen: self.upcalls_seen,
            sources: top(&self.sources, |key| label::talker(model, *key)),
            destinations: top(&self.destinations, |key| label::talker(model, *key)),
            punted_by: top(&self.punted_by, Clone::clone),
            flow_count: model.flow_count() as u64,
            flows_by_hits: tables::flows(model, FlowSort::Hits, |flow| flow.hits() > 0),
            flows_by_upcalls: tables::flows(model, FlowSort::Upcalls, |flow| flow.upcalls > 0),
            flows_by_returns: tables::flows(model, FlowSort::Returns, |flow| flow.returned().is_some()),
            lives: tables::lives(model),
            new_flows: self.new_flows.facts(since),
            drops: tables::drops(model),
            drops_seen: top(&self.drops_seen, Clone::clone),
            handlers: tables::handlers(model),
            revalidators: tables::revalidators(model),
            missing: tables::missing(model),
            remarks,
        }
    }

    fn span(&self) -> Option<Span> {
        let first = self.first?;
        let offset = self.model.clock().and_then(|clock| FixedOffset::east_opt(clock.utc_offset));
        let wall = |ts| {
            let ns = self.model.wall(ts)?;
            let utc = DateTime::from_timestamp((ns / SECOND).cast_signed(), (ns % SECOND) as u32)?;
            Some(utc.with_timezone(&offset?).to_rfc3339_opts(SecondsFormat::Millis, false))
        };
        Some(Span { first, last: self.last, from: wall(first), to: wall(self.last), ns: self.last - first })
    }

    fn rates(&self, since: &impl Fn(u64) -> u64) -> Vec<Rate> {
        let (Some((from, before)), Some((to, after))) = (self.first_totals, self.last_totals) else {
            return Vec::new();
        };
        let seconds = to.saturating_sub(from) as f64 / SECOND as f64;
        let rate = |(&(name, _, of), (peak, second)): (&Counted, (u64, Option<u64>))| {
            let total = of(&after).saturating_sub(of(&before));
            let mean = if seconds > 0.0 { total as f64 / seconds } else { 0.0 };
            Rate { name, total, mean, peak, peak_second: second.map(since) }
        };
        RATES.iter().zip(self.peaks).map(rate).collect()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let grown = self.last_outcomes.iter().map(|(ret, count)| {
            let before = self.first_outcomes.as_ref().and_then(|first| first.get(ret)).copied().unwrap_or(0);
            Outcome { ret: *ret, meaning: label::outcome_meaning(*ret), upcalls: count.saturating_sub(before) }
        });
        let mut outcomes: Vec<Outcome> = grown.filter(|outcome| outcome.upcalls > 0).collect();
        outcomes.sort_by_key(|outcome| (std::cmp::Reverse(outcome.upcalls), outcome.ret));
        outcomes
    }
}

fn top<K: std::hash::Hash + Eq + Ord + Clone>(tally: &Tally<K>, name: impl Fn(&K) -> String) -> Top {
    let (top, others) = tally.top(ROWS);
    Top { top: top.into_iter().map(|(key, count)| (name(&key), count)).collect(), others }
}
