//! Looking back on a live session, while it goes on.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{playback::PlaybackCommand, replay, source::FromSource};
use crate::{
    event::Nanos,
    model::{Limits, Model, Overview},
    record::{Kept, Past, ReadError},
};

/// How many commands of the keys may wait.
const COMMANDS: usize = 64;
/// How many batches of events may wait.
const QUEUE: usize = 64;

/// What is looked at instead of now.
pub struct LookBack {
    /// As it was then.
    pub model: Model,
    /// The whole of what is kept.
    pub overview: Overview,
    /// The keys' commands.
    pub playback: Sender<PlaybackCommand>,
    /// Whether time goes on there.
    pub moves: bool,
    /// Its speed, as a factor of real time.
    pub speed: f64,
    /// The oldest moment that is kept.
    pub since: Nanos,
    /// The newest.
    pub until: Nanos,
}

/// A replay that is to be begun.
#[derive(Debug)]
pub struct Departure {
    past: Past,
    commands: Receiver<PlaybackCommand>,
    at: Nanos,
}

impl LookBack {
    /// At a moment of what is kept, paused; the replay has yet to be begun.
    pub fn new(kept: &Kept, overview: Overview, at: Nanos) -> Result<(Self, Departure), ReadError> {
        let past = kept.read()?;
        let (since, until) = kept.span().unwrap_or((at, at));
        let (playback, commands) = channel(COMMANDS);
        let model = Model::new(Limits::default());
        let departure = Departure { past, commands, at: at.clamp(since, until) };
        Ok((Self { model, overview, playback, moves: false, speed: 1.0, since, until }, departure))
    }

    /// Takes what the replay sends.
    pub fn take(&mut self, from: FromSource) {
        match from {
            FromSource::Events(events) => self.model.apply_all(&events),
            FromSource::Restart => self.model = Model::new(Limits::default()),
            FromSource::Ended(_) => self.moves = false,
            FromSource::Overview(_) | FromSource::Note(_) => {}
        }
    }
}

impl Departure {
    /// Begins the replay; its events come out here. Needs a runtime.
    pub fn depart(self) -> Receiver<FromSource> {
        let (out, events) = channel(QUEUE);
        let options = replay::Options { paused_at: Some(self.at), ..replay::Options::default() };
        replay::spawn(Box::new(self.past), out, self.commands, options);
        events
    }
}
