//! The kernel side's histograms of all upcalls: readings become the last ten seconds and the session.

use super::latency::{Percentiles, Stage, Window};
use crate::event::{STAGE_BUCKETS, StageCounter, bucket_bounds};

/// Seconds of [`Window::Last10`].
const SECONDS: usize = 10;

/// One stage's counts, as last read and as they grew second by second.
#[derive(Debug, Clone, PartialEq)]
struct Counts {
    max: u64,
    total: Box<[u64; STAGE_BUCKETS]>,
    /// By second modulo ten.
    seconds: Vec<(u64, Box<[u64; STAGE_BUCKETS]>)>,
}

impl Counts {
    fn new() -> Self {
        let none = || Box::new([0; STAGE_BUCKETS]);
        Self { max: 0, total: none(), seconds: vec![(0, none()); SECONDS] }
    }
}

/// All stages' counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted(Vec<Counts>);

impl Counted {
    pub fn new() -> Self {
        Self(Stage::ALL.iter().map(|_| Counts::new()).collect())
    }

    /// Takes a stage's counts as read. They grew in `second`; where that is not known they count for the session alone.
    /// Calls `grown` with each bucket that grew in the second, and by how much.
    pub fn apply(&mut self, counter: &StageCounter, second: Option<u64>, mut grown: impl FnMut(usize, u64)) {
        let counts = &mut self.0[counter.stage as usize];
        counts.max = counts.max.max(counter.max);
        for &(bucket, count) in &counter.buckets {
            let bucket = usize::from(bucket).min(STAGE_BUCKETS - 1);
            let grew = count.saturating_sub(counts.total[bucket]);
            counts.total[bucket] = count;
            let Some(second) = second.filter(|_| grew > 0) else { continue };
            let (of, values) = &mut counts.seconds[(second % SECONDS as u64) as usize];
            if *of != second {
                *of = second;
                values.fill(0);
            }
            values[bucket] = values[bucket].saturating_add(grew);
            grown(bucket, grew);
        }
    }

    /// Percentiles as of the running second; none where nothing was counted.
    pub fn percentiles(&self, stage: Stage, window: Window, now: u64) -> Option<Percentiles> {
        let counts = &self.0[stage as usize];
        let Window::Last10 = window else { return of(&counts.total, counts.max) };
        let mut sum = [0u64; STAGE_BUCKETS];
        for (_, values) in counts.seconds.iter().filter(|(of, _)| now.saturating_sub(*of) < SECONDS as u64) {
            sum.iter_mut().zip(values.iter()).for_each(|(sum, n)| *sum = sum.saturating_add(*n));
        }
        of(&sum, counts.max)
    }
}

/// Each is the longest time of its bucket, or the longest of all where that is shorter.
fn of(counts: &[u64; STAGE_BUCKETS], max: u64) -> Option<Percentiles> {
    let count = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    if count == 0 {
        return None;
    }
    let longest = |bucket: usize| bucket_bounds(bucket).1.min(max);
    let at = |percent: u64| {
        let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
        let mut below = 0u128;
        let bucket = counts.iter().position(|n| {
            below += u128::from(*n);
            below >= rank
        });
        longest(bucket.unwrap_or(STAGE_BUCKETS - 1))
    };
    let last = counts.iter().rposition(|n| *n > 0).unwrap_or(0);
    Some(Percentiles { count, p50: at(50), p90: at(90), p99: at(99), max: longest(last) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::bucket_of;

    fn reading(times: &[(u64, u64)]) -> StageCounter {
        let mut buckets: Vec<(u16, u64)> = times.iter().map(|&(ns, n)| (bucket_of(ns) as u16, n)).collect();
        buckets.sort_unstable();
        StageCounter { stage: Stage::Wait, max: times.iter().map(|t| t.0).max().unwrap_or(0), buckets }
    }

    #[test]
    fn percentiles_are_within_an_eighth_above_and_the_longest_of_the_session_is_exact() {
        let mut counted = Counted::new();
        counted.apply(&reading(&[(1_000, 50), (20_000, 40), (300_000, 9), (7_654_321, 1)]), None, |_, _| {});
        let p = counted.percentiles(Stage::Wait, Window::Session, 5).expect("counted");
        assert_eq!((p.count, p.max), (100, 7_654_321));
        for (is, exact) in [(p.p50, 1_000), (p.p90, 20_000), (p.p99, 300_000)] {
            assert!(is >= exact && is <= exact * 9 / 8, "{is} for {exact}");
        }
        assert_eq!(counted.percentiles(Stage::Wait, Window::Last10, 5), None, "when those were is not known");
        assert_eq!(counted.percentiles(Stage::Put, Window::Session, 5), None);
    }

    #[test]
    fn what_grew_is_in_its_second_for_ten() {
        let mut counted = Counted::new();
        counted.apply(&reading(&[(1_000, 50)]), None, |_, _| {});
        let mut told = 0;
        counted.apply(&reading(&[(1_000, 53), (9_000, 2)]), Some(20), |_, n| told += n);
        counted.apply(&reading(&[(1_000, 53), (9_000, 6)]), Some(22), |_, n| told += n);
        assert_eq!(told, 9);
        let count = |now| counted.percentiles(Stage::Wait, Window::Last10, now).map(|p| p.count);
        assert_eq!((count(22), count(29), count(30), count(31), count(32)), (Some(9), Some(9), Some(4), Some(4), None));
    }
}
