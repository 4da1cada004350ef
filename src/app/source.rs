//! Where events come from, as the rest of the program sees it: a channel of batches.

use crate::{event::Event, model::Overview};

/// What a source sends. Bounded channels of this join its thread to the loop that applies the events.
#[derive(Debug)]
pub enum FromSource {
    /// Events, mostly in the order of their times.
    Events(Vec<Event>),
    /// Forget everything: the events that follow start again, as of a new session.
    Restart,
    /// What the whole recording looks like, as far as it has been gone through.
    Overview(Box<Overview>),
    /// Something to tell the user.
    Note(String),
    /// There will be no more: the recording is at its end, or the source failed with this message.
    Ended(Result<(), String>),
}
