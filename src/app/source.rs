//! Where events come from, as the rest of the program sees it: a channel of batches.

use crate::{event::Event, model::Overview};

/// What a source sends: events, or runs that stand for them ([`Told`](crate::event::Told)). Bounded channels of this connect
/// its thread to the loop that applies the events.
#[derive(Debug)]
pub enum FromSource<T = Event> {
    /// Events, mostly in the order of their times.
    Events(Vec<T>),
    /// Forget everything: the events that follow begin anew, like those of a new session.
    Restart,
    /// What the whole recording looks like, as far as it has been surveyed.
    Overview(Box<Overview>),
    /// Something to tell the user.
    Note(String),
    /// There will be no more: the recording is at its end, or the source failed with this message.
    Ended(Result<(), String>),
}
