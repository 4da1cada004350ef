//! How much goes to the terminal: bytes and frames over the last seconds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::ui::Output;

/// How far back «lately» goes.
const LATELY: Duration = Duration::from_secs(10);

/// Counts bytes and frames. The caller gives the time.
#[derive(Debug, Default)]
pub struct Meter {
    /// At most a minute's worth of frames at the highest rate there is, and those that keys ask for.
    frames: VecDeque<(Instant, usize)>,
    since: Option<Instant>,
}

impl Meter {
    /// A frame of `bytes` was written; of none when nothing had changed.
    pub fn wrote(&mut self, now: Instant, bytes: usize) {
        self.since.get_or_insert(now);
        if bytes > 0 {
            self.frames.push_back((now, bytes));
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while self.frames.front().is_some_and(|(at, _)| now.duration_since(*at) > LATELY) {
            self.frames.pop_front();
        }
    }

    /// What was written in the last 10 s, or since the beginning; none in the first second, which is too short for a rate.
    pub fn lately(&mut self, now: Instant) -> Option<Output> {
        self.forget(now);
        let seconds = now.duration_since(self.since?).min(LATELY).as_secs();
        let bytes = self.frames.iter().map(|(_, bytes)| *bytes as u64).sum();
        (seconds > 0).then_some(Output { bytes, frames: self.frames.len() as u64, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_ten_seconds_does_not_count() {
        let begin = Instant::now();
        let at = |tenths: u64| begin + Duration::from_millis(100 * tenths);
        let mut meter = Meter::default();
        assert_eq!(meter.lately(at(0)), None);
        meter.wrote(at(0), 5000);
        assert_eq!(meter.lately(at(9)), None);
        assert_eq!(meter.lately(at(10)), Some(Output { bytes: 5000, frames: 1, seconds: 1 }));
        for second in 1..=20 {
            meter.wrote(at(second * 10), 100);
            meter.wrote(at(second * 10 + 1), 0);
        }
        assert_eq!(meter.lately(at(205)), Some(Output { bytes: 1000, frames: 10, seconds: 10 }));
        assert_eq!(meter.lately(at(1000)), Some(Output { bytes: 0, frames: 0, seconds: 10 }));
    }
}
