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
/// A state that has begun is over when all figures are at or below this part of their bounds, so that a figure close to its
/// bound does not make the word change with every reading.
pub const OVER_BELOW: f64 = 0.8;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There are no rates, or none of the last three seconds.
    Waiting,
    /// Little to do: at most [`BUSY_LOOKUPS`] and [`BUSY_UPCALLS`].
    Quiet,
    /// Work, and all of it gets done.
    Busy,
    /// More than [`STORM_UPCALLS`], or more than [`STORM_MISS_SHARE`] of misses at more than [`STORM_MISSES`].
    Storm,
    /// Upcalls were lost in the last two seconds, however many.
    Losing,
}

impl State {
    /// Its name for the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Quiet => "quiet",
            Self::Busy => "busy",
            Self::Storm => "storm",
            Self::Losing => "losing upcalls",
        }
    }
}

/// The state with its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// How bad it is.
    pub state: State,
    /// The rates it is based on; none while waiting.
    pub rates: Option<Rates>,
    /// Misses among lookups, 0 to 1; none without lookups, and where not all of them are counted.
    pub miss_share: Option<f64>,
}

impl Condition {
    /// The state that rates mean by themselves, without regard to what was before. `lookups_counted`: all of them are.
    pub fn of(rates: Option<Rates>, lookups_counted: bool) -> Self {
        Levels::default().after(rates, lookups_counted).condition(rates, lookups_counted)
    }
}

/// Which levels have begun and are not over, by all readings of the counters so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Levels {
    storm: bool,
    busy: bool,
}

impl Levels {
    /// The levels after a reading with these rates. Where not all lookups are counted, no share of them means anything.
    pub fn after(self, rates: Option<Rates>, lookups_counted: bool) -> Self {
        let Some(r) = rates else { return Self::default() };
        let part = |has_begun: bool| if has_begun { OVER_BELOW } else { 1.0 };
        let (storm, busy) = (part(self.storm), part(self.busy));
        let many_misses =
            lookups_counted && r.misses > STORM_MISSES * storm && r.misses > r.lookups * STORM_MISS_SHARE * storm;
        Self {
            storm: r.upcalls > STORM_UPCALLS * storm || many_misses,
            busy: r.lookups > BUSY_LOOKUPS * busy || r.upcalls > BUSY_UPCALLS * busy,
        }
    }

    /// The state that the levels and the rates of the last reading mean.
    pub fn condition(self, rates: Option<Rates>, lookups_counted: bool) -> Condition {
        let Some(r) = rates else { return Condition { state: State::Waiting, rates: None, miss_share: None } };
        let state = match self {
            _ if r.upcalls_lost > 0.0 => State::Losing,
            Self { storm: true, .. } => State::Storm,
            Self { busy: true, .. } => State::Busy,
            _ => State::Quiet,
        };
        let known = lookups_counted && r.lookups > 0.0;
        Condition { state, rates, miss_share: known.then(|| r.misses / r.lookups) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as a reading gives them")]
    fn rates(lookups: f64, misses: f64, upcalls: f64, upcalls_lost: f64) -> Option<Rates> {
        Some(Rates { lookups, misses, upcalls, upcalls_lost, ..Rates::default() })
    }

    /// The states after these readings, one after the other.
    fn states(readings: &[Option<Rates>]) -> Vec<State> {
        let mut levels = Levels::default();
        let next = |rates: &Option<Rates>| {
            levels = levels.after(*rates, true);
            levels.condition(*rates, true).state
        };
        readings.iter().map(next).collect()
    }

    #[test]
    fn thresholds_are_as_documented() {
        let state = |lookups, misses, upcalls, lost| Condition::of(rates(lookups, misses, upcalls, lost), true).state;
        assert_eq!(Condition::of(None, true).state, State::Waiting);
        assert_eq!(state(1000.0, 10.0, 50.0, 0.0), State::Quiet);
        assert_eq!(state(1001.0, 10.0, 10.0, 0.0), State::Busy);
        assert_eq!(state(100.0, 10.0, 51.0, 0.0), State::Busy);
        assert_eq!(state(400.0, 201.0, 201.0, 0.0), State::Storm);
        assert_eq!(state(402.0, 201.0, 201.0, 0.0), State::Busy);
        assert_eq!(state(1e6, 1001.0, 1001.0, 0.0), State::Storm);
        assert_eq!(state(0.0, 0.0, 0.0, 0.5), State::Losing);
    }

    #[test]
    fn a_share_of_what_is_not_counted_is_none() {
        let busy = Condition::of(rates(201.0, 201.0, 201.0, 0.0), false);
        assert_eq!((busy.state, busy.miss_share), (State::Busy, None));
        assert_eq!(Condition::of(rates(1001.0, 1001.0, 1001.0, 0.0), false).state, State::Storm);
    }

    #[test]
    fn half_of_the_lookups_missing_is_one_storm_and_not_many() {
        let around: Vec<Option<Rates>> =
            (0..20).map(|n| rates(600.0, if n % 2 == 0 { 301.0 } else { 299.0 }, 300.0, 0.0)).collect();
        assert_eq!(states(&around), [State::Storm; 20]);
        // It is over where it is well below, and the next one begins at the bound again.
        let over = [rates(600.0, 301.0, 300.0, 0.0), rates(600.0, 240.0, 240.0, 0.0), rates(600.0, 299.0, 299.0, 0.0)];
        assert_eq!(states(&over), [State::Storm, State::Busy, State::Busy]);
    }

    #[test]
    fn busy_is_left_below_its_bound_and_not_at_it() {
        let readings = [1001.0, 999.0, 1001.0, 801.0, 800.0, 999.0].map(|lookups| rates(lookups, 0.0, 0.0, 0.0));
        let [busy, quiet] = [State::Busy, State::Quiet];
        assert_eq!(states(&readings), [busy, busy, busy, busy, quiet, quiet]);
    }

    #[test]
    fn what_was_before_a_pause_says_nothing_of_what_comes_after_it() {
        let at_bound = rates(600.0, 299.0, 299.0, 0.0);
        let readings = [rates(600.0, 301.0, 301.0, 0.0), at_bound, None, at_bound];
        assert_eq!(states(&readings), [State::Storm, State::Storm, State::Waiting, State::Busy]);
    }
}
