//! What a screen may ask of a replay.

/// A wish about the replay's pace or place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlaybackCommand {
    /// Hold, or go on.
    Pause(bool),
    /// Go so many nanoseconds of the recording's time on, or back where negative.
    Step {
        /// How far.
        ns: i64,
    },
    /// Replay so many times as fast as it was recorded; above 0.
    Speed(f64),
}
