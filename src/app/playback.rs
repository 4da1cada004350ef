//! What can be asked of a recording that is being replayed.

use crate::event::{Body, Event, Nanos};

/// The slowest and the fastest finite speed of a replay, as factors of real time.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 1.0 / 64.0..=1000.0;

/// What a replay goes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The next event of a packet, an upcall or a flow.
    Event,
    /// The beginning of the next upcall.
    Upcall,
}

impl Until {
    /// Whether it is this one.
    pub fn is_met_by(self, event: &Event) -> bool {
        match self {
            Self::Event => event.packet.is_some() || event.upcall.is_some() || matches!(event.body, Body::FlowDel(_)),
            Self::Upcall => matches!(event.body, Body::Upcall(_)),
        }
    }
}

/// What to do with the recording's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlaybackCommand {
    /// Stop the time, or let it go on.
    Pause(bool),
    /// Go by so many nanoseconds, forwards or (below 0) backwards; at once, also when paused. In a stream one cannot go back, see
    /// [`crate::record::Recorded::can_seek`].
    Step {
        /// How far.
        ns: i64,
    },
    /// Go to a time of the recording, on the traced host's monotonic clock; what is before its beginning means its beginning.
    Seek {
        /// Where to.
        ts: Nanos,
    },
    /// On to the next of these, and stand still.
    Next(Until),
    /// The speed, as a factor of real time; infinity is as fast as possible. Other values are clamped to [`SPEEDS`]; what is not a
    /// number is ignored.
    Speed(f64),
}
