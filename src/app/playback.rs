//! What can be asked of a recording that is being replayed.

use crate::event::{Body, Event, Nanos};

/// The slowest and the fastest a replay goes by the clock, as a factor of real time.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 1.0 / 64.0..=1000.0;

/// What a replay goes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The next event of a packet, an upcall or a flow.
    Event,
    /// The next upcall's begin.
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
    /// Go by so many nanoseconds, forwards or (below 0) backwards; at once, also when paused. Back in a stream cannot
    /// be, see [`crate::record::Recorded::can_seek`].
    Step {
        /// How far.
        ns: i64,
    },
    /// Go to a time of the recording, on the traced host's monotonic clock; before its begin is its begin.
    Seek {
        /// Where to.
        ts: Nanos,
    },
    /// On to the next of these, and stand still.
    Next(Until),
    /// So many times as fast as it was; infinity is as fast as can be. What else is outside of [`SPEEDS`] is brought
    /// inside; what is no number is passed over.
    Speed(f64),
}
