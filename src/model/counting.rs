//! Readings of the counters become totals, rates and seconds.

use std::collections::VecDeque;

use super::{
    meter::{Meter, SECOND},
    rates::{COUNTED, DatapathRow, Metric, Rates, SERIES_SECONDS, Totals, Values, values_of},
};
use crate::event::{Counters, Datapath, DpIfindex, DpStats, Nanos};

/// Readings of the counters that are closer together are taken as one.
const SAMPLE_GAP: Nanos = SECOND / 10;
/// How far rates look back.
const RATE_SPAN: Nanos = 2 * SECOND;

/// How a reading relates to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The first of these probes: nothing is known of the time before.
    First,
    /// It follows the one at this time.
    After(Nanos),
    /// It is older than one that was applied.
    Stale,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct DpFigures {
    dp: DpIfindex,
    hits: Meter,
    misses: Meter,
    masks_tried: u64,
    cache_hits: u64,
}

/// Everything that is derived from the counters' sums.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counting {
    /// The last reading.
    last: Option<(Nanos, Values)>,
    /// Readings of the last two seconds and the one before them.
    samples: VecDeque<(Nanos, Values)>,
    /// Complete seconds, up to the one before that of `spread_to`.
    seconds: VecDeque<Values>,
    /// The counts of the running second so far.
    running: Values,
    /// Up to when the seconds are: the last reading, also of probes that are gone.
    spread_to: Option<Nanos>,
    /// Flows and masks now; none while no datapath said so.
    gauges: Option<[u64; 2]>,
    /// The same at the end of each of the last `seconds`, of fewer where they were not known yet.
    gauge_seconds: VecDeque<[u64; 2]>,
    datapaths: Vec<DpFigures>,
    /// Each datapath's statistics as they were first read, and as last.
    kernel: Vec<(DpIfindex, DpStats, DpStats)>,
}

impl Counting {
    /// When the counters were last read.
    pub fn read_at(&self) -> Option<Nanos> {
        self.last.map(|(ts, _)| ts)
    }

    /// Other probes count from now on.
    pub fn restart(&mut self) {
        self.last = None;
        self.samples.clear();
        self.datapaths.clear();
    }

    /// Takes a reading, with figures of at most `most` datapaths. Returns how it relates to those before, and how many datapaths
    /// had no room. A value that went back is a sign of new probes: counting begins with their first reading.
    pub fn apply(&mut self, ts: Nanos, counters: &Counters, most: usize) -> (Reading, u64) {
        let values = values_of(counters);
        let went_back = |before: &Values| values.iter().zip(before).any(|(now, before)| now < before);
        let reading = match &self.last {
            None => Reading::First,
            Some((at, _)) if ts < *at => return (Reading::Stale, 0),
            Some((_, before)) if went_back(before) => Reading::First,
            Some((at, _)) => Reading::After(*at),
        };
        let mut grown = Values::default();
        match (reading, self.last) {
            (Reading::After(_), Some((_, before))) => {
                grown = values;
                grown.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
            }
            // The time between the old probes and the new has no counts.
            _ => self.restart(),
        }
        if let Some(from) = self.spread_to {
            self.spread(from, ts.max(from), &grown);
        }
        self.spread_to = self.spread_to.max(Some(ts));
        self.last = Some((ts, values));
        self.sample(ts, values);
        (reading, self.count_datapaths(reading, ts, counters, most))
    }

    /// Distributes what was counted between two times over their seconds, evenly, to the last one.
    fn spread(&mut self, from: Nanos, to: Nanos, grown: &Values) {
        let (first, last) = (from / SECOND, to / SECOND);
        let until = |boundary: Nanos, n: u64| {
            (u128::from(n) * u128::from(boundary - from) / u128::from((to - from).max(1))) as u64
        };
        let mut done = Values::default();
        // What is before the oldest second that can be kept need not be pushed one by one.
        let begin = (first + 1).max(last.saturating_sub(SERIES_SECONDS as u64));
        for second in begin..=last {
            let boundary = second * SECOND;
            for (at, &n) in grown.iter().enumerate() {
                let part = until(boundary, n);
                self.running[at] = self.running[at].saturating_add(part - done[at]);
                done[at] = part;
            }
            let whole = std::mem::take(&mut self.running);
            push_bounded(&mut self.seconds, whole);
            if let Some(gauges) = self.gauges {
                push_bounded(&mut self.gauge_seconds, gauges);
            }
        }
        for (at, &n) in grown.iter().enumerate() {
            self.running[at] = self.running[at].saturating_add(n - done[at]);
        }
    }

    fn sample(&mut self, ts: Nanos, values: Values) {
        // The first of several close ones stays, so that the distance grows.
        let is_close = |at: Nanos| ts.saturating_sub(at) < SAMPLE_GAP;
        let len = self.samples.len();
        if len >= 2 && is_close(self.samples[len - 2].0) {
            self.samples.pop_back();
        }
        self.samples.push_back((ts, values));
        while self.samples.len() > 2 && ts.saturating_sub(self.samples[1].0) >= RATE_SPAN {
            self.samples.pop_front();
        }
    }

    fn count_datapaths(&mut self, reading: Reading, ts: Nanos, counters: &Counters, most: usize) -> u64 {
        let mut without_room: Vec<DpIfindex> = Vec::new();
        let mut sums: Vec<DpFigures> = Vec::new();
        let mut hits_misses: Vec<(u64, u64)> = Vec::new();
        for counter in &counters.datapaths {
            let at = sums.iter().position(|sum| sum.dp == counter.dp).unwrap_or(sums.len());
            if at == sums.len() {
                if at == most {
                    // A reading may have a hostile number of them: no more are told apart here either.
                    if without_room.len() < most && !without_room.contains(&counter.dp) {
                        without_room.push(counter.dp);
                    }
                    continue;
                }
                let old = self.datapaths.iter().find(|old| old.dp == counter.dp).cloned().unwrap_or_default();
                sums.push(DpFigures { dp: counter.dp, masks_tried: 0, cache_hits: 0, ..old });
                hits_misses.push((0, 0));
            }
            let (sum, (hits, misses)) = (&mut sums[at], &mut hits_misses[at]);
            *hits = hits.saturating_add(counter.hits);
            *misses = misses.saturating_add(counter.misses);
            sum.masks_tried = sum.masks_tried.saturating_add(counter.mask_hits);
            sum.cache_hits = sum.cache_hits.saturating_add(counter.cache_hits);
        }
        for (sum, (hits, misses)) in sums.iter_mut().zip(hits_misses) {
            if let Reading::After(before) = reading {
                sum.hits.set(before, ts, hits);
                sum.misses.set(before, ts, misses);
            } else {
                sum.hits.start(ts, hits);
                sum.misses.start(ts, misses);
            }
        }
        sums.sort_by_key(|sum| sum.dp);
        self.datapaths = sums;
        without_room.len() as u64
    }

    /// Takes the kernel's own counts of at most `most` datapaths. Returns how many had no room.
    pub fn datapaths(&mut self, datapaths: &[Datapath], most: usize) -> u64 {
        let known: Vec<(DpIfindex, DpStats)> =
            datapaths.iter().filter_map(|d| Some((d.dp, d.stats?))).take(most).collect();
        if !known.is_empty() {
            self.gauges = Some(known.iter().fold([0; 2], |[flows, masks], (_, s)| {
                [s.n_flows.saturating_add(flows), u64::from(s.n_masks).saturating_add(masks)]
            }));
        }
        self.kernel = known
            .into_iter()
            .map(|(dp, now)| {
                let first = self.kernel.iter().find(|(of, ..)| *of == dp).map_or(now, |&(_, first, _)| first);
                let went_back = now.n_hit < first.n_hit || now.n_missed < first.n_missed || now.n_lost < first.n_lost;
                (dp, if went_back { now } else { first }, now)
            })
            .collect();
        datapaths.len().saturating_sub(most) as u64
    }

    pub fn totals(&self) -> Option<Totals> {
        self.last.map(|(_, values)| values.into())
    }

    pub fn rates(&self) -> Option<Rates> {
        let (&(from, before), &(to, now)) = (self.samples.front()?, self.samples.back()?);
        let span = to.checked_sub(from).filter(|&span| span > 0)?;
        let of = |metric: Metric| {
            let at = metric as usize;
            now[at].saturating_sub(before[at]) as f64 * SECOND as f64 / span as f64
        };
        Some(Rates {
            lookups: of(Metric::Lookups),
            hits: of(Metric::Hits),
            misses: of(Metric::Misses),
            masks_tried: of(Metric::MasksTried),
            cache_hits: of(Metric::CacheHits),
            upcalls: of(Metric::Upcalls),
            upcalls_lost: of(Metric::UpcallsLost),
            puts: of(Metric::Puts),
            puts_failed: of(Metric::PutsFailed),
            execs: of(Metric::Execs),
            execs_failed: of(Metric::ExecsFailed),
            dels: of(Metric::Dels),
            received: of(Metric::Received),
            span,
        })
    }

    pub fn series(&self, metric: Metric) -> impl ExactSizeIterator<Item = u64> + DoubleEndedIterator + '_ {
        let at = metric as usize;
        let len = if at < COUNTED { self.seconds.len() } else { self.gauge_seconds.len() };
        (0..len).map(move |i| if at < COUNTED { self.seconds[i][at] } else { self.gauge_seconds[i][at - COUNTED] })
    }

    pub fn series_end(&self) -> Option<u64> {
        let running = self.spread_to? / SECOND;
        (!self.seconds.is_empty()).then(|| running.saturating_sub(1))
    }

    pub fn running(&self, metric: Metric) -> Option<u64> {
        match (metric as usize).checked_sub(COUNTED) {
            None => self.last.as_ref().map(|_| self.running[metric as usize]),
            Some(at) => self.gauges.map(|gauges| gauges[at]),
        }
    }

    pub fn rows(&self) -> Vec<DatapathRow> {
        let now = self.read_at().unwrap_or(0);
        let mut dps: Vec<DpIfindex> =
            self.datapaths.iter().map(|d| d.dp).chain(self.kernel.iter().map(|(dp, ..)| *dp)).collect();
        dps.sort_unstable();
        dps.dedup();
        let row = |dp: DpIfindex| {
            let figures = self.datapaths.iter().find(|d| d.dp == dp).cloned().unwrap_or_default();
            let kernel = self.kernel.iter().find(|(of, ..)| *of == dp);
            DatapathRow {
                dp,
                hits: figures.hits.value(),
                misses: figures.misses.value(),
                masks_tried: figures.masks_tried,
                cache_hits: figures.cache_hits,
                hit_rate: figures.hits.rate(now),
                miss_rate: figures.misses.rate(now),
                kernel: kernel.map(|(.., now)| *now),
                kernel_delta: kernel.map(|(_, first, now)| DpStats {
                    n_hit: now.n_hit.saturating_sub(first.n_hit),
                    n_missed: now.n_missed.saturating_sub(first.n_missed),
                    n_lost: now.n_lost.saturating_sub(first.n_lost),
                    ..*now
                }),
            }
        };
        dps.into_iter().map(row).collect()
    }
}

fn push_bounded<T>(to: &mut VecDeque<T>, value: T) {
    if to.len() == SERIES_SECONDS {
        to.pop_front();
    }
    to.push_back(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::DpCounters;

    fn reading(hits: u64, misses: u64, received: u64) -> Counters {
        let dp = DpCounters { dp: DpIfindex(2), table: 7, hits, misses, mask_hits: hits, cache_hits: 0 };
        Counters { datapaths: vec![dp], received, ..Counters::default() }
    }

    fn sum(counting: &Counting, metric: Metric) -> u64 {
        counting.series(metric).sum::<u64>() + counting.running(metric).unwrap_or(0)
    }

    #[test]
    fn nothing_is_known_before_the_first_reading() {
        let counting = Counting::default();
        assert_eq!((counting.totals(), counting.rates(), counting.running(Metric::Hits)), (None, None, None));
        assert_eq!((counting.series(Metric::Hits).len(), counting.series_end()), (0, None));
    }

    #[test]
    fn a_second_gets_what_was_counted_in_it() {
        let mut counting = Counting::default();
        for quarter in 0..=40u64 {
            counting.apply(100 * SECOND + quarter * SECOND / 4, &reading(quarter * 25, 0, quarter), 9);
        }
        assert_eq!(counting.series(Metric::Hits).collect::<Vec<_>>(), [100; 10]);
        assert_eq!((counting.series_end(), counting.running(Metric::Hits)), (Some(109), Some(0)));
        let rates = counting.rates().expect("there are readings");
        assert!((rates.hits - 100.0).abs() < 1e-9 && (rates.received - 4.0).abs() < 1e-9);
        assert_eq!(rates.span, 2 * SECOND);
    }

    #[test]
    fn what_was_counted_between_two_readings_is_spread_over_their_seconds() {
        let mut counting = Counting::default();
        counting.apply(SECOND / 2, &reading(0, 0, 0), 9);
        counting.apply(3 * SECOND + SECOND / 2, &reading(300, 1, 0), 9);
        assert_eq!(counting.series(Metric::Hits).collect::<Vec<_>>(), [50, 100, 100]);
        assert_eq!(counting.running(Metric::Hits), Some(50));
        assert_eq!(sum(&counting, Metric::Misses), 1);
    }

    #[test]
    fn counters_that_go_back_are_those_of_new_probes() {
        let mut counting = Counting::default();
        counting.apply(SECOND, &reading(0, 0, 0), 9);
        counting.apply(2 * SECOND, &reading(1000, 10, 5), 9);
        assert_eq!(counting.apply(4 * SECOND, &reading(3, 0, 0), 9).0, Reading::First);
        assert_eq!(counting.rates(), None);
        counting.apply(5 * SECOND, &reading(13, 0, 0), 9);
        assert_eq!(counting.series(Metric::Hits).collect::<Vec<_>>(), [1000, 0, 0, 10]);
        assert_eq!(counting.totals().map(|t| (t.hits, t.misses)), Some((13, 0)));
        assert!((counting.rates().expect("two readings").hits - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_reading_that_comes_late_is_passed_over() {
        let mut counting = Counting::default();
        counting.apply(2 * SECOND, &reading(10, 0, 0), 9);
        assert_eq!(counting.apply(SECOND, &reading(5, 0, 0), 9).0, Reading::Stale);
        assert_eq!(counting.totals().map(|t| t.hits), Some(10));
    }

    #[test]
    fn flows_and_masks_are_as_many_as_there_were() {
        let mut counting = Counting::default();
        let said = |n_flows| Datapath {
            dp: DpIfindex(2),
            stats: Some(DpStats { n_hit: n_flows * 2, n_flows, n_masks: 3, ..DpStats::default() }),
            ..Datapath::default()
        };
        counting.apply(SECOND, &reading(0, 0, 0), 9);
        counting.apply(2 * SECOND, &reading(0, 0, 0), 9);
        assert_eq!((counting.series(Metric::Flows).len(), counting.running(Metric::Flows)), (0, None));
        counting.datapaths(&[said(40)], 9);
        counting.apply(3 * SECOND, &reading(0, 0, 0), 9);
        counting.datapaths(&[said(50)], 9);
        counting.apply(4 * SECOND, &reading(0, 0, 0), 9);
        assert_eq!(counting.series(Metric::Flows).collect::<Vec<_>>(), [40, 50]);
        assert_eq!(counting.running(Metric::Masks), Some(3));
        let row = counting.rows()[0];
        assert_eq!(row.kernel_delta.map(|d| (d.n_hit, d.n_flows)), Some((20, 50)));
    }

    proptest! {
        #[test]
        fn the_seconds_add_up_to_the_totals(
            steps in prop::collection::vec((0u64..3 * SECOND, 0u64..100_000, 0u64..50, 0u64..2), 1..150),
            begin in 0u64..5 * SECOND,
        ) {
            let mut counting = Counting::default();
            let (mut ts, mut hits, mut misses, mut received) = (begin, 0, 0, 0);
            counting.apply(ts, &reading(0, 0, 0), 9);
            for (later, more_hits, more_misses, more_received) in steps {
                ts += later;
                (hits, misses, received) = (hits + more_hits, misses + more_misses, received + more_received);
                counting.apply(ts, &reading(hits, misses, received), 9);
                prop_assert_eq!(sum(&counting, Metric::Hits), hits);
                prop_assert_eq!(sum(&counting, Metric::Misses), misses);
                prop_assert_eq!(sum(&counting, Metric::Lookups), hits + misses);
                prop_assert_eq!(sum(&counting, Metric::Received), received);
                prop_assert_eq!(counting.series(Metric::Hits).len() as u64, ts / SECOND - begin / SECOND);
            }
            prop_assert_eq!(counting.totals().map(|t| t.lookups), Some(hits + misses));
        }

        #[test]
        fn huge_times_and_counts_are_borne(
            steps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 1..20),
        ) {
            let mut counting = Counting::default();
            for (ts, hits, misses) in steps {
                counting.apply(ts, &reading(hits, misses, hits), 9);
                prop_assert!(counting.series(Metric::Hits).len() <= SERIES_SECONDS);
                let _ = (counting.rates(), counting.rows(), counting.series_end());
            }
        }
    }
}
