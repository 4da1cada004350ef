//! How bad it is: one word, and the figures it rests on.

use super::rates::Rates;

/// Above this many upcalls per second it is a storm.
pub const STORM_UPCALLS: f64 = 1000.0;
/// Above this share of misses among lookups it is a storm too …
pub const STORM_MISS_SHARE: f64 = 0.5;
/// … if there are at least this many misses per second.
pub const STORM_MISSES: f64 = 200.0;
/// Above this many lookups or upcalls per second it is not quiet.
pub const BUSY_LOOKUPS: f64 = 1000.0;
/// See [`BUSY_LOOKUPS`].
pub const BUSY_UPCALLS: f64 = 50.0;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There are no rates, or none of the last three seconds.
    Waiting,
    /// Little to do: at most [`BUSY_LOOKUPS`] and [`BUSY_UPCALLS`].
    Quiet,
    /// Work, and it is done.
    Busy,
    /// More than [`STORM_UPCALLS`], or more than [`STORM_MISS_SHARE`] of misses at more than [`STORM_MISSES`].
    Storm,
    /// Upcalls were lost in the last two seconds, however many.
    Losing,
}

/// The state with its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// How bad it is.
    pub state: State,
    /// The rates it is based on; none while waiting.
    pub rates: Option<Rates>,
    /// Misses among lookups, 0 to 1; none without lookups.
    pub miss_share: Option<f64>,
}

impl Condition {
    /// The state that rates mean.
    pub fn of(rates: Option<Rates>) -> Self {
        let Some(r) = rates else { return Self { state: State::Waiting, rates: None, miss_share: None } };
        let miss_share = (r.lookups > 0.0).then(|| r.misses / r.lookups);
        let state = if r.upcalls_lost > 0.0 {
            State::Losing
        } else if r.upcalls > STORM_UPCALLS
            || (r.misses > STORM_MISSES && miss_share.is_some_and(|share| share > STORM_MISS_SHARE))
        {
            State::Storm
        } else if r.lookups > BUSY_LOOKUPS || r.upcalls > BUSY_UPCALLS {
            State::Busy
        } else {
            State::Quiet
        };
        Self { state, rates, miss_share }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lookups: f64, misses: f64, upcalls: f64, upcalls_lost: f64) -> State {
        Condition::of(Some(Rates { lookups, misses, upcalls, upcalls_lost, ..Rates::default() })).state
    }

    #[test]
    fn thresholds_are_as_documented() {
        assert_eq!(Condition::of(None).state, State::Waiting);
        assert_eq!(state(1000.0, 10.0, 50.0, 0.0), State::Quiet);
        assert_eq!(state(1001.0, 10.0, 10.0, 0.0), State::Busy);
        assert_eq!(state(100.0, 10.0, 51.0, 0.0), State::Busy);
        assert_eq!(state(400.0, 201.0, 201.0, 0.0), State::Storm);
        assert_eq!(state(402.0, 201.0, 201.0, 0.0), State::Busy);
        assert_eq!(state(1e6, 1001.0, 1001.0, 0.0), State::Storm);
        assert_eq!(state(0.0, 0.0, 0.0, 0.5), State::Losing);
    }
}
