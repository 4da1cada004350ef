//! How long each stage of an upcall takes.

use hdrhistogram::Histogram;

use super::{counted::Counted, meter::SECOND};
pub use crate::event::Stage;
use crate::event::{Nanos, StageCounter, bucket_bounds};

/// Over which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last ten monotonic seconds, the running one among them.
    Last10,
    /// Since the session began.
    Session,
}

/// Percentiles in nanoseconds (capped at 100 s).
///
/// Where the kernel side counts the stages ([`Model::counts_stages`](super::Model::counts_stages)) they are of all
/// upcalls, within an eighth; `max` too, but for that of the session, which is exact. Else they are of the upcalls that
/// were seen in detail, within 1 %, and where the event budget left some out
/// ([`Loss::upcalls_over_budget`](crate::event::Loss::upcalls_over_budget)), that is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// Upcalls.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 90 % of them.
    pub p90: u64,
    /// 99 % of them.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

/// Buckets of [`HeatColumn`].
pub const HEAT_BUCKETS: usize = 23;

/// Seconds of [`HeatColumn`]s kept.
pub const HEAT_SECONDS: usize = 120;

/// One second of the heat map: how many upcalls took the whole way in about so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatColumn {
    /// The monotonic second, `ts / 1_000_000_000`, in which they were done. What the kernel side counted in two of them and
    /// was read once is half in each.
    pub second: u64,
    /// Counts. Bucket 0 is below 1 µs, bucket 22 from 10 s on; between them three to a decade: see [`heat_bound`].
    pub counts: [u32; HEAT_BUCKETS],
}

/// The lower bound of a heat map's bucket in nanoseconds: 0, 1 µs, 2.154 µs, 4.642 µs, 10 µs, … 10 s.
pub fn heat_bound(bucket: usize) -> u64 {
    const DECADE: [u64; 3] = [1000, 2154, 4642];
    match bucket.min(HEAT_BUCKETS - 1).checked_sub(1) {
        None => 0,
        Some(step) => DECADE[step % 3] * 10u64.pow((step / 3) as u32),
    }
}

/// The kernel side's counts are read about so often, and not seldomer.
const READ_EVERY: Nanos = SECOND + SECOND / 4;

/// The longest time that is told apart: 100 s.
const LONGEST: u64 = 100 * SECOND;

/// An empty histogram of nanoseconds within 1 %, of fixed size: 16 kB.
pub fn nanos_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are in order and two digits are few")
}

/// The values of one second.
#[derive(Debug, Clone, PartialEq)]
struct OneSecond {
    second: u64,
    values: Histogram<u32>,
    max: u64,
}

/// One stage's times: of the last ten seconds, and of all.
#[derive(Debug, Clone, PartialEq)]
struct StageTimes {
    session: Histogram<u32>,
    session_max: u64,
    /// The sum of `seconds`.
    last10: Histogram<u32>,
    seconds: Vec<OneSecond>,
}

impl StageTimes {
    fn new() -> Self {
        let empty = OneSecond { second: 0, values: nanos_histogram(), max: 0 };
        Self { session: nanos_histogram(), session_max: 0, last10: nanos_histogram(), seconds: vec![empty; 10] }
    }

    fn record(&mut self, now: u64, second: u64, took: u64) {
        self.session.saturating_record(took);
        self.session_max = self.session_max.max(took);
        if now.saturating_sub(second) >= 10 {
            return;
        }
        let one = &mut self.seconds[(second % 10) as usize];
        if one.second != second {
            drop_second(&mut self.last10, one);
            one.second = second;
        }
        one.values.saturating_record(took);
        one.max = one.max.max(took);
        self.last10.saturating_record(took);
    }

    fn advance(&mut self, now: u64) {
        for one in &mut self.seconds {
            if now.saturating_sub(one.second) >= 10 {
                drop_second(&mut self.last10, one);
            }
        }
    }

    fn percentiles(&self, window: Window) -> Option<Percentiles> {
        let (values, max) = match window {
            Window::Session => (&self.session, self.session_max),
            Window::Last10 => (&self.last10, self.seconds.iter().map(|one| one.max).max().unwrap_or(0)),
        };
        percentiles(values, max)
    }
}

fn drop_second(from: &mut Histogram<u32>, one: &mut OneSecond) {
    if one.values.is_empty() {
        return;
    }
    if from.subtract(&one.values).is_err() {
        // Fails only where a bucket was full: then there is nothing to subtract from.
        from.reset();
    }
    one.values.reset();
    one.max = 0;
}

/// The percentiles of a histogram of [`nanos_histogram`]'s form; none of an empty one.
pub fn percentiles(values: &Histogram<u32>, max: u64) -> Option<Percentiles> {
    if values.is_empty() {
        return None;
    }
    let at = |quantile| values.value_at_quantile(quantile).min(max);
    Some(Percentiles { count: values.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), max })
}

/// All stages' times and the heat map.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    stages: Vec<StageTimes>,
    /// What the kernel side counted, from its first reading on.
    counted: Option<Counted>,
    /// When that was read last.
    read: Nanos,
    /// By second modulo their number.
    heat: Vec<HeatColumn>,
    /// The first second that has any.
    first: Option<u64>,
    now: u64,
}

impl Latency {
    pub fn new() -> Self {
        let stages = Stage::ALL.iter().map(|_| StageTimes::new()).collect();
        let column = HeatColumn { second: 0, counts: [0; HEAT_BUCKETS] };
        Self { stages, counted: None, read: 0, heat: vec![column; HEAT_SECONDS], first: None, now: 0 }
    }

    /// A stage took so long, and was over at `ts`.
    pub fn record(&mut self, stage: Stage, ts: Nanos, took: Nanos) {
        let second = ts / SECOND;
        self.advance(second);
        self.stages[stage as usize].record(self.now, second, took);
        if stage == Stage::Whole && self.counted.is_none() {
            self.heat_up(second, took, 1);
        }
    }

    fn heat_up(&mut self, second: u64, took: Nanos, count: u64) {
        if self.now.saturating_sub(second) >= HEAT_SECONDS as u64 {
            return;
        }
        self.first = Some(self.first.map_or(second, |first| first.min(second)));
        let column = &mut self.heat[(second % HEAT_SECONDS as u64) as usize];
        if column.second != second {
            *column = HeatColumn { second, counts: [0; HEAT_BUCKETS] };
        }
        let cell = &mut column.counts[heat_bucket(took)];
        *cell = cell.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// The kernel side's counts of all upcalls, read at `ts`. When those of a `first` reading were is not known.
    pub fn count(&mut self, first: bool, ts: Nanos, stages: &[StageCounter]) {
        if first {
            self.counted = None;
        }
        if stages.is_empty() {
            return;
        }
        let mut counted = self.counted.take().unwrap_or_else(|| {
            // From here on the map is of all upcalls.
            self.heat.fill(HeatColumn { second: 0, counts: [0; HEAT_BUCKETS] });
            self.first = None;
            Counted::new()
        });
        // What is read now was counted in the second before.
        let second = ts.saturating_sub(SECOND / 2) / SECOND;
        let seconds = self.seconds_until(ts);
        self.advance(second);
        for counter in stages {
            counted.apply(counter, (!first).then_some(second), |bucket, grown| {
                if counter.stage == Stage::Whole {
                    let (from, to) = bucket_bounds(bucket);
                    let took = from + (to.min(LONGEST).saturating_sub(from)) / 2;
                    let each = grown / seconds;
                    (1..seconds).filter(|_| each > 0).for_each(|back| self.heat_up(second - back, took, each));
                    self.heat_up(second, took, grown - each * (seconds - 1));
                }
            });
        }
        self.read = ts;
        self.counted = Some(counted);
    }

    /// How many seconds a reading is of, 1 or 2: those whose middle lies between it and the one before. Readings are a bit
    /// more than a second apart, so that now and then one is of two; all of it in one of them would leave a hole in
    /// the map where there was none in the traffic.
    fn seconds_until(&self, ts: Nanos) -> u64 {
        // A reading of nothing is not told.
        let from = self.read.max(ts.saturating_sub(READ_EVERY));
        let middles = |until: Nanos| until.saturating_add(SECOND / 2) / SECOND;
        middles(ts).saturating_sub(middles(from)).max(1)
    }

    /// Whether percentiles and heat map are of all upcalls, as the kernel side counted them.
    pub fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// The running second is at least this.
    pub fn advance(&mut self, second: u64) {
        if second > self.now {
            self.now = second;
            for stage in &mut self.stages {
                stage.advance(second);
            }
        }
    }

    pub fn percentiles(&self, stage: Stage, window: Window) -> Option<Percentiles> {
        match &self.counted {
            Some(counted) => counted.percentiles(stage, window, self.now),
            None => self.stages[stage as usize].percentiles(window),
        }
    }

    pub fn heat(&self) -> Vec<HeatColumn> {
        let Some(first) = self.first else { return Vec::new() };
        let first = first.max(self.now.saturating_sub(HEAT_SECONDS as u64 - 1));
        (first..=self.now)
            .map(|second| match self.heat[(second % HEAT_SECONDS as u64) as usize] {
                column if column.second == second => column,
                _ => HeatColumn { second, counts: [0; HEAT_BUCKETS] },
            })
            .collect()
    }
}

fn heat_bucket(took: Nanos) -> usize {
    (1..HEAT_BUCKETS).rev().find(|&bucket| took >= heat_bound(bucket)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_bounds_are_three_to_a_decade_and_values_are_under_theirs() {
        assert_eq!((heat_bound(0), heat_bound(1), heat_bound(4), heat_bound(22)), (0, 1000, 10_000, 10 * SECOND));
        for bucket in 1..HEAT_BUCKETS {
            assert!(heat_bound(bucket) > heat_bound(bucket - 1));
            assert_eq!(heat_bucket(heat_bound(bucket)), bucket);
            assert_eq!(heat_bucket(heat_bound(bucket) - 1), bucket - 1);
        }
        assert_eq!((heat_bucket(0), heat_bucket(u64::MAX)), (0, 22));
    }

    #[test]
    fn percentiles_are_within_one_percent_and_the_maximum_is_exact() {
        let mut latency = Latency::new();
        for took in 1..=10_000u64 {
            latency.record(Stage::Wait, 5 * SECOND, took * 1000);
        }
        let p = latency.percentiles(Stage::Wait, Window::Last10).expect("there are values");
        assert_eq!((p.count, p.max), (10_000, 10_000_000));
        for (is, exact) in [(p.p50, 5_000_000.0), (p.p90, 9_000_000.0), (p.p99, 9_900_000.0)] {
            assert!((is as f64 / exact - 1.0).abs() <= 0.01, "{is} for {exact}");
        }
        assert_eq!(latency.percentiles(Stage::Put, Window::Session), None);
    }

    #[test]
    fn after_ten_seconds_only_the_session_remembers() {
        let mut latency = Latency::new();
        latency.record(Stage::Whole, 5 * SECOND, 70);
        latency.record(Stage::Whole, 12 * SECOND, 7_000_000);
        let of = |l: &Latency, w| l.percentiles(Stage::Whole, w).map(|p| (p.count, p.max));
        assert_eq!(of(&latency, Window::Last10), Some((2, 7_000_000)));
        latency.advance(15);
        assert_eq!(of(&latency, Window::Last10), Some((1, 7_000_000)));
        latency.advance(22);
        assert_eq!(of(&latency, Window::Last10), None);
        assert_eq!(of(&latency, Window::Session), Some((2, 7_000_000)));
        // One that comes late counts in its own second, if that is still shown.
        latency.record(Stage::Whole, 14 * SECOND, 9);
        assert_eq!(of(&latency, Window::Last10), Some((1, 9)));
        latency.record(Stage::Whole, 3 * SECOND, 9);
        assert_eq!(of(&latency, Window::Last10), Some((1, 9)));
    }

    #[test]
    fn the_heat_map_has_a_column_for_every_second_since_the_first() {
        let mut latency = Latency::new();
        assert!(latency.heat().is_empty());
        latency.record(Stage::Whole, 1000 * SECOND, 1500);
        latency.advance(1003);
        let heat = latency.heat();
        assert_eq!(heat.iter().map(|c| c.second).collect::<Vec<_>>(), [1000, 1001, 1002, 1003]);
        assert_eq!((heat[0].counts[1], heat[1].counts[1]), (1, 0));
        latency.advance(1_000_000);
        assert_eq!(latency.heat().len(), HEAT_SECONDS);
        assert!(latency.heat().iter().all(|c| c.counts == [0; HEAT_BUCKETS]));
    }

    #[test]
    fn a_reading_of_two_seconds_leaves_no_hole_in_the_map() {
        let mut latency = Latency::new();
        let mut count = 0;
        let mut read = |latency: &mut Latency, ms: u64, more: u64| {
            count += more;
            let stages = [StageCounter { stage: Stage::Whole, max: 1500, buckets: vec![(11, count)] }];
            latency.count(more == 0, ms * 1_000_000, &stages);
        };
        read(&mut latency, 15_440, 0);
        for (ms, more) in [(16_448, 10), (17_488, 20), (18_553, 31), (19_600, 40)] {
            read(&mut latency, ms, more);
        }
        // Quiet, and of a reading of nothing nothing is told: it is not of all that time.
        read(&mut latency, 30_600, 50);
        let heat = latency.heat();
        let sums: Vec<u32> = heat.iter().map(|column| column.counts.iter().sum()).collect();
        assert_eq!(heat[0].second, 15);
        assert_eq!(sums[..5], [10, 20, 15, 16, 40]);
        assert_eq!(sums.iter().sum::<u32>(), count as u32);
        assert_eq!(sums.iter().rposition(|sum| *sum > 0), Some(30 - 15));
    }
}
