//! A whole recording at a glance: how much went up and was lost in each stretch of its time, and where somebody marked it.

use super::{
    anomalies::{Anomaly, AnomalyKind},
    condition::{Condition, State},
    incidents::Incidents,
    meter::SECOND,
    rates::{Metric, Rates, Values, values_of},
};
use crate::event::{Body, Bookmark, Event, Nanos};

/// Most stretches; when there would be more, two become one.
const COLUMNS: usize = 2048;
/// Most marks; of more than that the last moments' are kept, as keyframes keep those that were made last.
const MARKS: usize = 1000;

/// What happened in one stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Upcalls.
    pub upcalls: u64,
    /// Upcalls that failed.
    pub upcalls_lost: u64,
    /// Events that were lost on their way into the recording.
    pub events_lost: u64,
    /// The worst condition in it; waiting where nothing was counted.
    pub worst: State,
}

impl Column {
    const EMPTY: Self = Self { upcalls: 0, upcalls_lost: 0, events_lost: 0, worst: State::Waiting };

    fn add(&mut self, other: Self) {
        self.upcalls = self.upcalls.saturating_add(other.upcalls);
        self.upcalls_lost = self.upcalls_lost.saturating_add(other.upcalls_lost);
        self.events_lost = self.events_lost.saturating_add(other.events_lost);
        self.worst = self.worst.max(other.worst);
    }

    /// Whether somebody who looks for trouble would stop here.
    fn is_notable(self) -> bool {
        self.worst >= State::Storm || self.events_lost > 0
    }
}

/// The overview that counters, losses and marks make, in the order of their times. It need not see all of them: what was
/// counted between two that it sees is spread over the time between.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// Of all that was seen.
    span: Option<(Nanos, Nanos)>,
    /// Nanoseconds in a column; 0 before the first.
    width: Nanos,
    columns: Vec<Column>,
    counted: Option<(Nanos, Values)>,
    lost: Option<(Nanos, u64)>,
    marks: Vec<Bookmark>,
    incidents: Incidents,
    /// The probes of hits or misses are known not to be there.
    lookups_uncounted: bool,
    partial: bool,
}

impl Overview {
    /// Extends the time up to this moment, whatever happened in it.
    pub fn extend(&mut self, until: Nanos) {
        if self.span.is_some() {
            self.reach(until);
        }
    }

    /// Says whether there is more of the recording than it has seen.
    pub fn set_partial(&mut self, partial: bool) {
        self.partial = partial;
    }

    /// Whether there is more of the recording than it has seen.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// The part of it that begins with the column of `from`, and the marks from there on.
    #[must_use]
    pub fn since(&self, from: Nanos) -> Self {
        let Some((begin, end)) = self.span.filter(|_| self.width > 0) else { return self.clone() };
        let first = ((from.saturating_sub(begin) / self.width) as usize).min(self.columns.len());
        let mut part = Self {
            span: Some((begin + first as u64 * self.width, end)),
            columns: self.columns[first..].to_vec(),
            ..self.clone()
        };
        part.drop_marks_before(from);
        part
    }

    /// The times of the first and the last event; none before the first.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        self.span
    }

    /// The marks, in the order of the moments they are about.
    pub fn marks(&self) -> &[Bookmark] {
        &self.marks
    }

    /// Leaves out the marks of moments before this and before its own begin: where a recording began in the middle of a
    /// session, nobody can go there.
    pub fn drop_marks_before(&mut self, ts: Nanos) {
        let from = self.span.map_or(ts, |(begin, _)| begin.min(ts));
        self.marks.drain(..self.marks.partition_point(|mark| mark.at < from));
    }

    /// Looks at an event.
    pub fn see(&mut self, event: &Event) {
        match &event.body {
            Body::Counters(counters) => {
                // A keyframe repeats what came before it.
                if self.counted.is_some_and(|(last, _)| event.ts <= last) {
                    return;
                }
                let now = values_of(counters);
                self.reach(event.ts);
                self.incidents.count(event.ts, counters);
                if let Some((since, before)) = self.counted.replace((event.ts, now)) {
                    self.count(since, event.ts, &before, &now);
                }
            }
            Body::Loss(loss) => {
                if self.lost.is_some_and(|(last, _)| event.ts <= last) {
                    return;
                }
                let now = loss.lost();
                self.reach(event.ts);
                let (since, before) = self.lost.replace((event.ts, now)).unwrap_or((event.ts, 0));
                let more = now.saturating_sub(before);
                if more > 0 {
                    self.spread(since, event.ts, |share| Column { events_lost: share(more), ..Column::EMPTY });
                }
            }
            Body::Mark(mark) => self.mark(mark.clone()),
            Body::Session(_) | Body::Datapaths { .. } | Body::Daemon(_) => self.incidents.see(event),
            Body::Probes { capabilities } => {
                self.lookups_uncounted = Metric::Lookups.uncounted(capabilities).is_some();
            }
            Body::DaemonFigures(_) | Body::DaemonAnswer(_) | Body::DaemonTrace(_) => {}
            _ => self.reach(event.ts),
        }
    }

    /// Adds a mark; adding the same one again changes nothing.
    pub fn mark(&mut self, mark: Bookmark) {
        let at = self.marks.partition_point(|m| (m.at, &m.note) < (mark.at, &mark.note));
        if self.marks.get(at) != Some(&mark) {
            self.marks.insert(at, mark);
        }
        if self.marks.len() > MARKS {
            self.marks.remove(0);
        }
    }

    /// The whole time in so many columns for a picture, first to last. What lies in several columns is divided among them by time,
    /// and the parts add up to the whole.
    pub fn picture(&self, count: usize) -> Vec<Column> {
        let Some((begin, end)) = self.span.filter(|_| self.width > 0 && count > 0) else {
            return vec![Column::EMPTY; count];
        };
        let long = end.saturating_sub(begin).max(1);
        let edge = |cell: usize| (u128::from(long) * cell as u128 / count as u128) as u64;
        let mut sums = vec![[0u64; 3]];
        for column in &self.columns {
            let [upcalls, upcalls_lost, events_lost] = sums[sums.len() - 1];
            sums.push([
                upcalls.saturating_add(column.upcalls),
                upcalls_lost.saturating_add(column.upcalls_lost),
                events_lost.saturating_add(column.events_lost),
            ]);
        }
        // Everything up to a time after the beginning; the column around that time counts in part.
        let up_to = |after: Nanos, what: usize| {
            let column = (after / self.width) as usize;
            let Some(next) = sums.get(column + 1) else { return sums[sums.len() - 1][what] };
            let start = column as u64 * self.width;
            let lasts = self.width.min(long.saturating_sub(start)).max(1);
            let within = u128::from(next[what] - sums[column][what]) * u128::from(after - start) / u128::from(lasts);
            sums[column][what].saturating_add(within as u64)
        };
        let cell = |cell: usize| {
            let (from, to) = (edge(cell), edge(cell + 1));
            let of = |what| up_to(to, what).saturating_sub(up_to(from, what));
            let last = (to.saturating_sub(1).max(from) / self.width) as usize;
            let within = self.columns.iter().take(last + 1).skip((from / self.width) as usize);
            Column {
                upcalls: of(0),
                upcalls_lost: of(1),
                events_lost: of(2),
                worst: within.map(|column| column.worst).max().unwrap_or(State::Waiting),
            }
        };
        (0..count).map(cell).collect()
    }

    /// Where a moment is in a picture of so many columns.
    pub fn place(&self, ts: Nanos, count: usize) -> Option<usize> {
        let (begin, end) = self.span.filter(|_| count > 0)?;
        let at = u128::from(ts.saturating_sub(begin)) * count as u128 / u128::from(end.saturating_sub(begin).max(1));
        Some((at as usize).min(count - 1))
    }

    /// What begins next after `ts` that somebody who looks for trouble would stop at: a storm, lost upcalls or lost events
    /// where there were none before; failed puts and executes; the daemon and datapaths coming and going.
    pub fn next_trouble(&self, ts: Nanos) -> Option<Anomaly> {
        self.troubles().filter(|trouble| trouble.ts > ts).min_by_key(|trouble| trouble.ts)
    }

    /// What of that began last before `ts`.
    pub fn previous_trouble(&self, ts: Nanos) -> Option<Anomaly> {
        self.troubles().filter(|trouble| trouble.ts < ts).max_by_key(|trouble| trouble.ts)
    }

    fn troubles(&self) -> impl Iterator<Item = Anomaly> {
        let (begin, end) = self.span.unwrap_or_default();
        let before = std::iter::once(Column::EMPTY).chain(self.columns.iter().copied());
        let begins = self.columns.iter().zip(before).enumerate();
        let of_columns = begins.filter(|(_, (column, before))| column.is_notable() && !before.is_notable());
        let told = of_columns.map(move |(i, (column, before))| {
            let ts = begin.saturating_add((i as u64).saturating_mul(self.width));
            let (kind, count) = if column.worst >= State::Storm {
                (AnomalyKind::Condition(before.worst, column.worst), 1)
            } else {
                (AnomalyKind::EventsLost, column.events_lost)
            };
            Anomaly { ts, kind, count, longest: 0 }
        });
        // What is known of the time before has no column.
        told.chain(self.incidents.iter().filter(move |incident| (begin..=end).contains(&incident.ts)).copied())
    }

    /// Extends the time up to this moment.
    fn reach(&mut self, ts: Nanos) {
        let (begin, end) = self.span.unwrap_or((ts, ts));
        if ts < begin {
            // What came late belongs to the first column.
            return;
        }
        self.span = Some((begin, end.max(ts)));
        self.width = self.width.max(SECOND);
        while (end.max(ts) - begin) / self.width >= COLUMNS as u64 {
            self.width *= 2;
            self.columns = self
                .columns
                .chunks(2)
                .map(|two| {
                    let mut one = two[0];
                    two.iter().skip(1).for_each(|other| one.add(*other));
                    one
                })
                .collect();
        }
        let need = ((ts - begin) / self.width) as usize + 1;
        if self.columns.len() < need {
            self.columns.resize(need, Column::EMPTY);
        }
    }

    fn count(&mut self, since: Nanos, ts: Nanos, before: &Values, now: &Values) {
        let span = ts.saturating_sub(since);
        // Counters that went back are those of probes attached anew.
        if span == 0 || now.iter().zip(before).any(|(now, before)| now < before) {
            return;
        }
        let more = |metric: Metric| now[metric as usize] - before[metric as usize];
        let rate = |metric: Metric| more(metric) as f64 * SECOND as f64 / span as f64;
        let rates = Rates {
            lookups: rate(Metric::Lookups),
            misses: rate(Metric::Misses),
            upcalls: rate(Metric::Upcalls),
            upcalls_lost: rate(Metric::UpcallsLost),
            span,
            ..Rates::default()
        };
        let worst = Condition::of(Some(rates), !self.lookups_uncounted).state;
        let (upcalls, upcalls_lost) = (more(Metric::Upcalls), more(Metric::UpcallsLost));
        self.spread(since, ts, |share| Column {
            upcalls: share(upcalls),
            upcalls_lost: share(upcalls_lost),
            events_lost: 0,
            worst,
        });
    }

    /// Divides what happened in a stretch of time among the columns that it lies in, by time; the parts add up to the whole.
    fn spread(&mut self, since: Nanos, until: Nanos, what: impl Fn(&dyn Fn(u64) -> u64) -> Column) {
        let Some((begin, _)) = self.span.filter(|_| self.width > 0) else { return };
        let since = since.clamp(begin, until.max(begin));
        let long = u128::from(until.saturating_sub(since).max(1));
        let column = |ts: Nanos| (ts.saturating_sub(begin) / self.width) as usize;
        // A reading at the very beginning of a column is about the time before it.
        let (first, last) = (column(since), column(until.saturating_sub(1).max(since)));
        for i in first..=last {
            let edge = |i: usize| begin.saturating_add((i as u64).saturating_mul(self.width));
            let from = edge(i).max(since) - since;
            let to = (edge(i + 1).saturating_sub(since)).min(until.saturating_sub(since).max(1));
            let to = if i == last { long } else { u128::from(to) };
            let share = |n: u64| (u128::from(n) * to / long - u128::from(n) * u128::from(from) / long) as u64;
            if let Some(to) = self.columns.get_mut(i) {
                to.add(what(&share));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Counters, DpIfindex, Loss, PortNo, UpcallCmd, UpcallCounter};

    fn counted(second: u64, upcalls: u64, lost: u64) -> Event {
        let counter = |ret, count| UpcallCounter {
            dp: DpIfindex(1),
            in_port: PortNo(1),
            cmd: UpcallCmd::Miss,
            port: 7,
            cpu: Some(0),
            ret,
            count,
        };
        let upcalls = vec![counter(0, upcalls), counter(-11, lost)];
        Event::host(second * SECOND, Body::Counters(Box::new(Counters { upcalls, ..Counters::default() })))
    }

    fn of(events: &[Event]) -> Overview {
        let mut overview = Overview::default();
        for event in events {
            overview.see(event);
        }
        overview
    }

    fn upcalls(picture: &[Column]) -> Vec<u64> {
        picture.iter().map(|column| column.upcalls).collect()
    }

    #[test]
    fn what_was_counted_between_two_readings_is_spread_over_their_time() {
        let overview = of(&[counted(100, 7, 0), counted(110, 107, 0), counted(114, 107, 0)]);
        assert_eq!(overview.span(), Some((100 * SECOND, 114 * SECOND)));
        assert_eq!(upcalls(&overview.picture(14)), [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0, 0, 0, 0]);
        assert_eq!(upcalls(&overview.picture(7)), [20, 20, 20, 20, 20, 0, 0]);
        assert_eq!(upcalls(&overview.picture(28)).iter().sum::<u64>(), 100);
        assert_eq!(overview.place(107 * SECOND, 14), Some(7));
    }

    #[test]
    fn nothing_is_lost_when_columns_are_put_together() {
        let events: Vec<Event> = (0..5000).map(|n| counted(100 + n, n * 3, n / 1000)).collect();
        let overview = of(&events);
        assert!(overview.columns.len() <= COLUMNS);
        for count in [1, 7, 80, 200] {
            let picture = overview.picture(count);
            assert_eq!(upcalls(&picture).iter().sum::<u64>(), 4999 * 3 + 4);
            assert_eq!(picture.iter().map(|column| column.upcalls_lost).sum::<u64>(), 4);
        }
    }

    #[test]
    fn a_part_of_it_is_as_the_whole() {
        let events: Vec<Event> = (0..100).map(|n| counted(100 + n, n * n, 0)).collect();
        let overview = of(&events);
        let part = overview.since(150 * SECOND);
        assert_eq!(part.span(), Some((150 * SECOND, 199 * SECOND)));
        assert_eq!(upcalls(&part.picture(49)), upcalls(&overview.picture(99)[50..]));
    }

    #[test]
    fn what_is_told_twice_counts_once() {
        let once = of(&[counted(100, 0, 0), counted(101, 7, 0), counted(102, 9, 0)]);
        let twice =
            [counted(100, 0, 0), counted(101, 7, 0), counted(100, 0, 0), counted(101, 7, 0), counted(102, 9, 0)];
        assert_eq!(of(&twice), once);
    }

    #[test]
    fn trouble_is_where_it_begins() {
        let rates = [10, 10, 5000, 5000, 10, 10, 5000, 10];
        let mut sum = 0;
        let mut events = vec![counted(100, 0, 0)];
        for (second, rate) in rates.into_iter().enumerate() {
            sum += rate;
            events.push(counted(101 + second as u64, sum, 0));
        }
        let overview = of(&events);
        let at = |second: u64| Some((second * SECOND, "storm after quiet".to_owned()));
        let next = |ts| overview.next_trouble(ts).map(|trouble| (trouble.ts, trouble.to_string()));
        let previous = |ts| overview.previous_trouble(ts).map(|trouble| (trouble.ts, trouble.to_string()));
        assert_eq!([next(0), next(102 * SECOND), next(106 * SECOND)], [at(102), at(106), None]);
        assert_eq!([previous(106 * SECOND), previous(102 * SECOND)], [at(102), None]);
    }

    #[test]
    fn counters_that_went_back_say_nothing() {
        let overview = of(&[counted(100, 1000, 0), counted(101, 5, 0), counted(102, 8, 0)]);
        assert_eq!(upcalls(&overview.picture(2)), [0, 3]);
    }

    #[test]
    fn marks_are_in_order_and_bounded() {
        let mark = |at: u64| Event::host(9, Body::Mark(Bookmark { at, note: format!("at {at}") }));
        let overview = of(&[mark(5), mark(3), mark(5)]);
        assert_eq!(overview.marks().iter().map(|m| m.at).collect::<Vec<_>>(), [3, 5]);
        let many: Vec<Event> = (0..2000).map(mark).collect();
        let kept = of(&many);
        assert_eq!(kept.marks().iter().map(|m| m.at).collect::<Vec<_>>(), (1000..2000).collect::<Vec<_>>());
        // Told again by a keyframe, they are the same.
        assert_eq!(of(&[many.clone(), many].concat()), kept);
    }

    #[test]
    fn marks_before_the_begin_are_of_another_recording() {
        let mark = |at: u64| Event::host(100 * SECOND, Body::Mark(Bookmark { at: at * SECOND, note: String::new() }));
        let mut overview = of(&[mark(50), mark(99), mark(102), mark(105)]);
        (100..109).for_each(|second| overview.see(&counted(second, 0, 0)));
        let moments = |overview: &Overview| overview.marks().iter().map(|m| m.at / SECOND).collect::<Vec<_>>();
        // What came first may be something else than counters.
        overview.drop_marks_before(99 * SECOND);
        assert_eq!(moments(&overview), [99, 102, 105]);
        overview.drop_marks_before(103 * SECOND);
        assert_eq!(moments(&overview), [102, 105], "its own begin is at 100");
        assert_eq!(moments(&overview.since(104 * SECOND)), [105]);
    }

    #[test]
    fn any_events_are_borne() {
        let loss = |ts, n| Event::host(ts, Body::Loss(Loss { ring_full: n, ..Loss::default() }));
        let overview = of(&[counted(100, u64::MAX, 0), loss(u64::MAX, 5), counted(3, 0, 0), loss(0, u64::MAX)]);
        assert_eq!(overview.picture(10).len(), 10);
        assert_eq!(Overview::default().picture(3), [Column::EMPTY; 3]);
    }
}
