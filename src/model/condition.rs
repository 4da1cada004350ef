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
    /// There are no rates yet.
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
