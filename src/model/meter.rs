//! Counts over time: a cumulative one with its recent rate, and one over the last ten seconds.

use crate::event::Nanos;

/// Nanoseconds in a second.
pub const SECOND: Nanos = 1_000_000_000;

/// A count that only grows, and how fast it did over the last second or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    value: u64,
    /// When `value` was last set.
    at: Nanos,
    /// The rate is measured from here: a time, and the value then.
    from: (Nanos, u64),
    /// The next `from`.
    mark: (Nanos, u64),
}

impl Meter {
    /// The count.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Sets the count at `ts` without a rate: nothing is known of how it came to it.
    pub fn start(&mut self, ts: Nanos, value: u64) {
        *self = Self { value, at: ts, from: (ts, value), mark: (ts, value) };
    }

    /// The count is `value` at `ts`, and still was what it is here at `before`, the reading before it.
    pub fn set(&mut self, before: Nanos, ts: Nanos, value: u64) {
        if before.saturating_sub(self.at) >= SECOND {
            self.from = (before, self.value);
            self.mark = self.from;
        }
        self.value = value;
        self.at = ts;
        if ts.saturating_sub(self.mark.0) >= SECOND {
            self.from = self.mark;
            self.mark = (ts, value);
        }
    }

    /// Per second, as of its last reading: over one to two seconds before that. 0 when it did not grow for two until `now`.
    pub fn rate(&self, now: Nanos) -> f64 {
        let span = self.at.saturating_sub(self.from.0);
        if span == 0 || now.saturating_sub(self.at) >= 2 * SECOND {
            return 0.0;
        }
        self.value.saturating_sub(self.from.1) as f64 * SECOND as f64 / span as f64
    }
}

/// A count over the last ten monotonic seconds, the running one among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastTen {
    /// By second modulo ten.
    counts: [u32; 10],
    /// The newest second that was counted in.
    newest: u64,
}

impl LastTen {
    /// Counts `n` in a second. What is too old is passed over.
    pub fn add(&mut self, second: u64, n: u64) {
        if second > self.newest {
            let gap = (second - self.newest).min(10);
            for passed in 0..gap {
                self.counts[((second - passed) % 10) as usize] = 0;
            }
            self.newest = second;
        } else if self.newest - second >= 10 {
            return;
        }
        let count = &mut self.counts[(second % 10) as usize];
        *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Takes one back that was counted in a second. What is too old is gone with its second.
    pub fn take(&mut self, second: u64) {
        if second <= self.newest && self.newest - second < 10 {
            let count = &mut self.counts[(second % 10) as usize];
            *count = count.saturating_sub(1);
        }
    }

    /// The sum over the ten seconds up to and with `now`.
    pub fn total(&self, now: u64) -> u64 {
        let oldest = now.saturating_sub(9);
        (oldest.max(self.newest.saturating_sub(9))..=self.newest.min(now))
            .map(|second| u64::from(self.counts[(second % 10) as usize]))
            .sum()
    }

    /// Adds what another counted, second by second.
    pub fn merge(&mut self, other: &Self) {
        for second in other.newest.saturating_sub(9)..=other.newest {
            self.add(second, u64::from(other.counts[(second % 10) as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_count_has_its_rate() {
        let mut meter = Meter::default();
        meter.start(0, 100);
        for quarter in 1..=20u64 {
            meter.set((quarter - 1) * SECOND / 4, quarter * SECOND / 4, 100 + quarter * 25);
            let rate = meter.rate(quarter * SECOND / 4);
            assert!((rate - 100.0).abs() < 1e-6, "{quarter}: {rate}");
        }
        assert!((meter.rate(6 * SECOND) - 100.0).abs() < 1e-6, "flows are read once a second: until the next reading");
        assert!(meter.rate(7 * SECOND) == 0.0);
    }

    #[test]
    fn after_a_pause_the_rate_is_of_what_followed_it() {
        let mut meter = Meter::default();
        meter.start(0, 0);
        meter.set(59 * SECOND, 60 * SECOND, 500);
        assert!((meter.rate(60 * SECOND) - 500.0).abs() < 1e-6);
    }

    #[test]
    fn ten_seconds_are_summed_and_no_more() {
        let mut ten = LastTen::default();
        for second in 100..125 {
            ten.add(second, second);
        }
        assert_eq!(ten.total(124), (115..=124).sum::<u64>());
        assert_eq!(ten.total(126), (117..=124).sum::<u64>());
        assert_eq!(ten.total(134), 0);
        ten.add(114, 1000);
        assert_eq!(ten.total(124), (115..=124).sum::<u64>());
        ten.add(120, 5);
        assert_eq!(ten.total(124), (115..=124).sum::<u64>() + 5);
    }

    #[test]
    fn two_of_them_add_up() {
        let (mut a, mut b) = (LastTen::default(), LastTen::default());
        a.add(20, 1);
        b.add(15, 2);
        b.add(22, 4);
        a.merge(&b);
        assert_eq!((a.total(22), a.total(25)), (7, 5));
    }
}
