//! How often: never above the rate, and ever more rarely while it is in vain.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// Spaces requests evenly, so that no second ever holds more than the rate.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    ready: Instant,
}

impl Throttle {
    /// So many a second.
    pub fn new(rate: NonZeroU32, now: Instant) -> Self {
        // Rounded up: a nanosecond too few would be one request too many now and then.
        let interval = Duration::from_nanos(1_000_000_000_u64.div_ceil(u64::from(rate.get())));
        Self { interval, ready: now }
    }

    /// When the next one may go.
    pub fn ready(&self) -> Instant {
        self.ready
    }

    /// One goes now.
    pub fn spend(&mut self, now: Instant) {
        self.ready = now + self.interval;
    }
}

/// Waits that double up to a bound.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    wait: Duration,
}

impl Backoff {
    /// From `first` up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, wait: first }
    }

    /// How long to wait now; the next time it is twice that.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (wait * 2).min(self.most);
        wait
    }

    /// It was not in vain.
    pub fn reset(&mut self) {
        self.wait = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_doubles_to_its_bound_and_begins_again() {
        let mut backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(1));
        let waits: Vec<u128> = (0..4).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [300, 600, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next_wait().as_millis(), 300);
    }

    #[test]
    fn a_throttle_spaces_by_at_least_its_share_of_a_second() {
        let now = Instant::now();
        for rate in [1, 3, 7, 20, u32::MAX] {
            let rate = NonZeroU32::new(rate).expect("not 0");
            let mut throttle = Throttle::new(rate, now);
            throttle.spend(now);
            assert!((throttle.ready() - now) * rate.get() >= Duration::from_secs(1));
        }
    }
}
