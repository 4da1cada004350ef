//! What can be asked of a recording that is being replayed.

use crate::event::Nanos;

/// The slowest and the fastest a replay goes, as a factor of real time.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;

/// What to do with the recording's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlaybackCommand {
    /// Stop the time, or let it go on.
    Pause(bool),
    /// Go by so many nanoseconds, forwards or (below 0) backwards; at once, also when paused. Back in a stream cannot
    /// be, see [`crate::record::Reader::can_seek`].
    Step {
        /// How far.
        ns: i64,
    },
    /// Go to a time of the recording, on the traced host's monotonic clock; before its begin is its begin.
    Seek {
        /// Where to.
        ts: Nanos,
    },
    /// So many times as fast as it was. What is outside of [`SPEEDS`] is brought inside; what is no number is passed
    /// over.
    Speed(f64),
}
