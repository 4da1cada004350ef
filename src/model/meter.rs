//! A cumulative count with its recent rate.

use crate::event::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// A count that only grows, and how fast it did over the last second or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meter {
    value: u64,
    /// When `value` was set.
    at: Nanos,
    /// The rate is measured from here.
    from: (Nanos, u64),
    /// The next `from`.
    mark: (Nanos, u64),
}

impl Meter {
    /// The count.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Per second, as of `now`: over the last one to two seconds. 0 when it did not grow for two.
    pub fn rate(&self, now: Nanos) -> f64 {
        let span = now.saturating_sub(self.from.0);
        if span == 0 || now.saturating_sub(self.at) >= 2 * SECOND {
            return 0.0;
        }
        self.value.saturating_sub(self.from.1) as f64 * SECOND as f64 / span as f64
    }
}
