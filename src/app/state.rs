//! The screen without a terminal: what keys and events do to it, and what it draws. Its only clock is that of the events.

mod ask;
mod keys;
mod lists;
mod pointing;
mod time;

use ratatui::{buffer::Buffer, layout::Rect};
use tokio::sync::mpsc::Sender;

use super::{
    actions,
    flight::FlightControl,
    keys::Keymap,
    marks::MarkKeeper,
    navigate,
    palette::Palette,
    past::{Departure, LookBack},
    playback::PlaybackCommand,
    prompt::Prompt,
    sampler::Sampler,
    screen::RecordControl,
    source::FromSource,
    ways::Step,
};
use crate::{
    event::{Body, Bookmark, DpIfindex, Event, FlowPtr, Nanos, Ufid},
    model::{Limits, Model},
    ovs_rpc::Question as ToDaemon,
    ui::{self, Drawn, Ended, Hits, Mode, Pace, Pins, RecordState, Screen, Status, Theme, ViewState, matches::Matches},
};

const SECOND: i64 = 1_000_000_000;
/// How long a note is shown.
const NOTE: Nanos = 10_000_000_000;

/// What the loop must do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed.
    Nothing,
    /// Draw.
    Draw,
    /// Copy text: see [`State::copied`].
    Copy,
    /// Begin the replay that looks back: see [`State::departure`].
    LookBack,
    /// Give the terminal to the shell for a while.
    Suspend,
    /// Leave.
    Quit,
}

/// The screen's state.
pub struct State {
    model: Model,
    /// The model as it was when the screen was held.
    held: Option<Box<Model>>,
    /// The past that is looked at instead of the present.
    past: Option<Box<LookBack>>,
    departure: Option<Departure>,
    view: ViewState,
    /// What is open.
    pins: Pins,
    matches: Matches,
    status: Status,
    drawn: Drawn,
    hits: Hits,
    /// The text to be copied.
    copied: Option<String>,
    /// The steps from view to view that Esc takes back.
    trail: Vec<Step>,
    /// The note that is shown, and since when.
    noted: Option<(String, Nanos)>,
    /// The last question put to the daemon.
    asked: Option<(DpIfindex, Ufid, Option<FlowPtr>)>,
    asks: Option<Sender<ToDaemon>>,
    sampler: Sampler,
    playback: Option<Sender<PlaybackCommand>>,
    recorder: Option<Box<dyn RecordControl>>,
    flight: Option<Box<dyn FlightControl>>,
    marks: Option<Box<dyn MarkKeeper>>,
    /// Marks from beside the recording.
    marked: Vec<Bookmark>,
    prompt: Option<Prompt>,
    palette: Option<Palette>,
    keymap: Keymap,
    theme: Theme,
    ascii: bool,
}

impl State {
    /// A screen on an empty model.
    pub fn new(mode: Mode, theme: Theme, ascii: bool) -> Self {
        Self {
            model: Model::new(Limits::default()),
            held: None,
            past: None,
            departure: None,
            view: ViewState::default(),
            pins: Pins::default(),
            matches: Matches::default(),
            status: Status::new(mode),
            drawn: Drawn::default(),
            hits: Hits::default(),
            copied: None,
            trail: Vec::new(),
            noted: None,
            asked: None,
            asks: None,
            sampler: Sampler::default(),
            playback: None,
            recorder: None,
            flight: None,
            marks: None,
            marked: Vec::new(),
            prompt: None,
            palette: None,
            keymap: Keymap::default(),
            theme,
            ascii,
        }
    }

    /// With a queue of questions to the daemon, a replay to steer, and a recorder, where there are any.
    #[must_use]
    pub fn with(
        self,
        asks: Option<Sender<ToDaemon>>,
        playback: Option<Sender<PlaybackCommand>>,
        recorder: Option<Box<dyn RecordControl>>,
    ) -> Self {
        Self { asks, playback, recorder, ..self }
    }

    /// With a replay that already goes at this speed, as a factor of real time.
    #[must_use]
    pub fn at_speed(mut self, speed: f64) -> Self {
        self.status.speed = speed;
        self
    }

    /// With other keys.
    #[must_use]
    pub fn with_keys(self, keymap: Keymap) -> Self {
        Self { keymap, ..self }
    }

    /// With a flight recorder to look back on.
    #[must_use]
    pub fn with_flight(self, flight: Option<Box<dyn FlightControl>>) -> Self {
        Self { flight, ..self }
    }

    /// With a keeper of marks, and those that there are.
    #[must_use]
    pub fn with_marks(self, marks: Option<Box<dyn MarkKeeper>>, marked: Vec<Bookmark>) -> Self {
        Self { marks, marked, ..self }
    }

    /// What is on the screen: the past that is looked at, the model as it was when it was held, or the model.
    fn shown(&self) -> &Model {
        shown(self.past.as_deref(), self.held.as_deref(), &self.model)
    }

    /// Takes what the source sends. Returns whether the screen changes.
    pub fn take(&mut self, from: FromSource) -> bool {
        match from {
            FromSource::Events(events) => {
                self.model.apply_all(&events);
                self.sample();
                let answered = self.answer_held(&events);
                let still = self.held.is_some() || self.past.is_some();
                let gone = self.let_note_go(&events);
                return !still || answered || gone || self.seconds_behind_changed();
            }
            FromSource::Overview(mut overview) => {
                self.marked.iter().for_each(|mark| overview.mark(mark.clone()));
                self.status.overview = Some(*overview);
            }
            FromSource::Note(note) => self.status.note = Some(note),
            FromSource::Restart => {
                self.model = Model::new(Limits::default());
                self.status.ended = None;
                self.asked = None;
                // Nothing to show yet: the events that follow draw.
                return false;
            }
            FromSource::Ended(Ok(())) => self.status.ended = Some(Ended::Complete),
            FromSource::Ended(Err(why)) => self.status.ended = Some(Ended::Failed(why)),
        }
        true
    }

    /// Takes a note away that has stood for long enough, so that the keys show again; a failure stands until the next key. In
    /// a replay time may jump, and nothing does this.
    fn let_note_go(&mut self, events: &[Event]) -> bool {
        let Some(note) = self.status.note.as_ref().filter(|note| !note.starts_with('▲') && self.playback.is_none())
        else {
            self.noted = None;
            return false;
        };
        let now = self.model.now();
        if self.noted.as_ref().is_none_or(|(noted, _)| noted != note) {
            self.noted = Some((note.clone(), now));
        }
        let is_old = self.noted.as_ref().is_some_and(|(_, since)| now.saturating_sub(*since) >= NOTE);
        let is_answered = note == ask::ASKING && events.iter().any(|event| matches!(event.body, Body::DaemonTrace(_)));
        if is_old || is_answered {
            self.status.note = None;
        }
        is_old || is_answered
    }

    /// Gives the daemon's answers to a held screen too: the user who reads there has asked for them. Its time stands still.
    fn answer_held(&mut self, events: &[Event]) -> bool {
        let held = self.past.as_mut().map(|past| &mut past.model).or(self.held.as_deref_mut());
        let Some(held) = held else { return false };
        let mut answered = false;
        for event in events.iter().filter(|e| matches!(e.body, Body::DaemonAnswer(_) | Body::DaemonTrace(_))) {
            held.apply(&Event { ts: held.now(), ..event.clone() });
            answered = true;
        }
        answered
    }

    /// The source is gone without having said why.
    pub fn source_gone(&mut self) {
        if self.status.ended.is_none() {
            self.status.ended = Some(Ended::Failed("the source of events stopped without saying why".to_owned()));
        }
    }

    /// A held screen shows for how long it has been held: that changes once a second.
    fn seconds_behind_changed(&self) -> bool {
        let shown = match self.status.pace {
            Pace::Held { behind } | Pace::Past { behind, .. } => behind,
            _ => 0,
        };
        shown / SECOND as u64 != self.behind() / SECOND as u64
    }

    fn behind(&self) -> Nanos {
        self.model.now().saturating_sub(self.shown().now())
    }

    /// Draws a frame. `own_cpu` is the program's own use, in percent of one CPU.
    pub fn draw(&mut self, buffer: &mut Buffer, area: Rect, own_cpu: Option<f64>) {
        self.status.record = self.recorder.as_ref().map_or(RecordState::Off, |recorder| recorder.state());
        self.status.own_cpu = own_cpu;
        self.status.flight = self.flight.as_ref().and_then(|flight| flight.held());
        self.status.prompt = self.prompt.as_ref().map(Prompt::shown);
        if self.playback.is_none() {
            let behind = self.behind();
            let past = self.past.as_deref();
            self.status.overview = past.map(|past| past.overview.clone());
            self.status.speed = past.map_or(1.0, |past| past.speed);
            self.status.pace = match past {
                Some(past) => Pace::Past { behind, moves: past.moves },
                None if self.held.is_some() => Pace::Held { behind },
                None => Pace::Running,
            };
        }
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        navigate::let_go(&mut self.view, model);
        self.pin();
        self.judge();
        self.status.asked = self.ask();
        let scene = self.scene();
        self.status.hints = actions::hints(&self.keymap, scene);
        self.status.help = if self.view.help.is_some() { actions::help(&self.keymap, scene) } else { Vec::new() };
        self.status.palette = self.palette.as_ref().map(|palette| palette.shown(&self.keymap, scene));
        let screen = Screen {
            model: shown(self.past.as_deref(), self.held.as_deref(), &self.model),
            view: &self.view,
            pins: &self.pins,
            matches: &self.matches,
            status: &self.status,
            theme: &self.theme,
            ascii: self.ascii,
        };
        (self.drawn, self.hits) = ui::draw(buffer, area, &screen);
    }
}

fn shown<'a>(past: Option<&'a LookBack>, held: Option<&'a Model>, now: &'a Model) -> &'a Model {
    past.map(|past| &past.model).or(held).unwrap_or(now)
}
