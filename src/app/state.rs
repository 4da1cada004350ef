//! The screen without a terminal: what keys and events make of it, and what it draws. Knows no clock but the events'.

mod ask;
mod lists;
mod pointing;
mod time;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{buffer::Buffer, layout::Rect};
use tokio::sync::mpsc::Sender;

use super::{
    actions::{self, Action, Scene},
    flight::FlightControl,
    keys::Keymap,
    marks::MarkKeeper,
    moment, navigate,
    palette::{Choice, Palette},
    past::{Departure, LookBack},
    playback::{PlaybackCommand, Until},
    prompt::{Answer, Prompt, Question},
    sampler::Sampler,
    screen::RecordControl,
    source::FromSource,
    ways::{Step, To},
};
use crate::{
    event::{Body, Bookmark, Event, FlowPtr, Nanos, Ufid},
    model::{Limits, Model},
    ovs_rpc::Question as ToDaemon,
    ui::{
        self, Drawn, Ended, Hits, Mode, Pace, Pins, RecordState, Screen, Status, Theme, View, ViewState,
        filter::Filter, matches::Matches,
    },
};

const SECOND: i64 = 1_000_000_000;
/// A replay goes at these speeds by the keys, and beyond the last as fast as can be.
const SLOWEST: f64 = 1.0 / 16.0;
const FASTEST: f64 = 64.0;

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
    /// What is looked at instead of now.
    past: Option<Box<LookBack>>,
    departure: Option<Departure>,
    view: ViewState,
    /// What is open.
    pins: Pins,
    matches: Matches,
    status: Status,
    drawn: Drawn,
    hits: Hits,
    /// What is to be copied.
    copied: Option<String>,
    /// The steps from view to view that Esc takes back.
    trail: Vec<Step>,
    /// The last question put to the daemon.
    asked: Option<(Ufid, Option<FlowPtr>)>,
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

    /// With somebody to ask about flows, a replay to steer, and a recorder, where there are any.
    #[must_use]
    pub fn with(
        self,
        asks: Option<Sender<ToDaemon>>,
        playback: Option<Sender<PlaybackCommand>>,
        recorder: Option<Box<dyn RecordControl>>,
    ) -> Self {
        Self { asks, playback, recorder, ..self }
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

    /// With somebody who keeps marks, and those that there are.
    #[must_use]
    pub fn with_marks(self, marks: Option<Box<dyn MarkKeeper>>, marked: Vec<Bookmark>) -> Self {
        Self { marks, marked, ..self }
    }

    /// What is on the screen: the past that is looked at, the model as it was when it was held, or the model.
    fn shown(&self) -> &Model {
        shown(self.past.as_deref(), self.held.as_deref(), &self.model)
    }

    /// Takes what the source sends. Says whether the screen changes by it.
    pub fn take(&mut self, from: FromSource) -> bool {
        match from {
            FromSource::Events(events) => {
                self.model.apply_all(&events);
                self.sample();
                let answered = self.answer_held(&events);
                let still = self.held.is_some() || self.past.is_some();
                return !still || answered || self.seconds_behind_changed();
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

    /// Gives the daemon's answers to a held screen too: who reads there has asked for them. Its time stands still.
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

    /// The source is gone without a word.
    pub fn source_gone(&mut self) {
        if self.status.ended.is_none() {
            self.status.ended = Some(Ended::Failed("the source of events stopped without saying why".to_owned()));
        }
    }

    /// A held screen shows for how long: it changes once a second.
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

    /// What the screen shows, as far as keys depend on it.
    pub fn scene(&self) -> Scene {
        let help = self.view.help.is_some();
        let open = self.view.is_open();
        let in_time = self.playback.is_some() || self.past.is_some();
        Scene {
            rows: help || self.view.view != View::Storm || !open,
            openable: navigate::can_open(&self.view, &self.pins, &self.matches, self.shown()),
            opened: help
                || open
                || !self.trail.is_empty()
                || self.past.is_some()
                || (self.view.is_list() && !self.view.filter().is_empty()),
            sortable: !help && self.view.is_list() && self.view.view != View::Packets,
            filterable: !help && self.view.is_list(),
            related: !help && matches!(self.view.view, View::Flows | View::Upcalls | View::Packets),
            packet: !help && open && matches!(self.view.view, View::Upcalls | View::Packets),
            storm: !help && self.view.view == View::Storm,
            recordable: self.recorder.is_some(),
            replay: in_time,
            back: in_time || self.flight.is_some(),
            markable: self.marks.is_some(),
        }
    }

    /// Does what a key asks for. A key with Alt is Esc and that key: so they look when they come quickly, as over a
    /// slow line, and no key has a meaning with Alt.
    pub fn key(&mut self, event: KeyEvent) -> Effect {
        if !event.modifiers.contains(KeyModifiers::ALT) {
            return self.one_key(event);
        }
        let escaped = self.one_key(KeyEvent { code: KeyCode::Esc, modifiers: KeyModifiers::NONE, ..event });
        let plain = KeyEvent { modifiers: event.modifiers.difference(KeyModifiers::ALT), ..event };
        match self.one_key(plain) {
            Effect::Nothing => escaped,
            effect => effect,
        }
    }

    fn one_key(&mut self, event: KeyEvent) -> Effect {
        if self.prompt.is_some() {
            return self.write(event);
        }
        if self.palette.is_some() {
            return self.choose(event);
        }
        // A key is about the rows as they are now, which may be others than were drawn.
        self.judge();
        match self.keymap.action(event, self.scene()) {
            Some(action) => self.act(action),
            None => Effect::Nothing,
        }
    }

    fn act(&mut self, action: Action) -> Effect {
        self.status.note = None;
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Copy => return self.copy(),
            Action::Show(view) => self.show(view),
            Action::NextView => self.show(self.view.view.turned(1)),
            Action::PreviousView => self.show(self.view.view.turned(-1)),
            Action::Palette => self.palette = Some(Palette::default()),
            Action::Help => self.view.help = if self.view.help.is_some() { None } else { Some(0) },
            Action::Open => self.open(),
            Action::GoPacket => self.go(To::Packet),
            Action::GoFlow => self.go(To::Flow),
            Action::GoHandler => self.go(To::Handler),
            Action::Trace => self.trace(),
            Action::Hex => self.view.hex = !self.view.hex,
            Action::Latency => self.view.set_open(!self.view.is_open()),
            Action::Close => self.close(),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last => {
                let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
                navigate::go(&mut self.view, &self.pins, &self.matches, model, action, self.drawn);
            }
            Action::Filter => self.prompt = Some(Prompt::with(Question::Filter, self.view.filter().text())),
            Action::Sort | Action::Reverse => navigate::sort(&mut self.view, action),
            Action::Pause => self.pause(),
            Action::Record => self.record(),
            Action::Save => self.save(),
            Action::Mark => self.prompt = Some(Prompt::new(Question::Mark { at: self.shown().now() })),
            Action::GoTo => self.prompt = Some(Prompt::new(Question::Time)),
            Action::StepBack => return self.step(-SECOND),
            Action::StepOn => return self.step(SECOND),
            Action::JumpBack => return self.step(-60 * SECOND),
            Action::JumpOn => return self.step(60 * SECOND),
            Action::NextEvent => self.stop_at_next(Until::Event),
            Action::NextUpcall => self.stop_at_next(Until::Upcall),
            Action::NextTrouble | Action::PreviousTrouble | Action::NextMark | Action::PreviousMark => {
                self.seek(action);
            }
            Action::Slower => self.speed(-1),
            Action::Faster => self.speed(1),
        }
        self.pin();
        Effect::Draw
    }

    /// A key while the user writes.
    fn write(&mut self, event: KeyEvent) -> Effect {
        let Some(prompt) = &mut self.prompt else { return Effect::Nothing };
        let question = prompt.question;
        match prompt.key(event) {
            Answer::Writing => {
                // The rows follow what is written as it is written.
                if question == Question::Filter {
                    self.view.filters[self.view.view.index()] = Filter::new(prompt.text());
                }
                return Effect::Draw;
            }
            Answer::Cancelled if question == Question::Filter => self.show_all(),
            Answer::Cancelled => {}
            Answer::Given(text) => {
                self.prompt = None;
                match question {
                    Question::Mark { at } => self.mark(Bookmark { at, note: text }),
                    Question::Time => return self.go_to(&text),
                    Question::Filter => {}
                }
            }
        }
        self.prompt = None;
        Effect::Draw
    }

    /// A key while the user chooses an action.
    fn choose(&mut self, event: KeyEvent) -> Effect {
        self.judge();
        let scene = self.scene();
        let Some(palette) = &mut self.palette else { return Effect::Nothing };
        match palette.key(event, &self.keymap, scene) {
            Choice::Choosing => return Effect::Draw,
            Choice::Left => {}
            Choice::Chosen(action) => {
                self.palette = None;
                return self.act(action);
            }
            Choice::Elsewhere(name, place) => self.status.note = Some(format!("{name} works only {place}")),
        }
        self.palette = None;
        Effect::Draw
    }

    fn show(&mut self, view: View) {
        self.view.help = None;
        self.view.view = view;
        self.view.scroll = 0;
        self.trail.clear();
    }

    fn close(&mut self) {
        if self.view.help.is_some() {
            self.view.help = None;
            return;
        }
        if self.trail.last().is_some_and(|step| step.back(&mut self.view)) {
            self.trail.pop();
            return;
        }
        if self.view.is_list() && !self.view.filter().is_empty() {
            self.show_all();
            return;
        }
        if self.past.is_some() && !self.view.is_open() {
            self.past = None;
            return;
        }
        self.view.set_open(false);
    }

    fn record(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        self.status.note = Some(match recorder.toggle() {
            Ok(words) => words,
            Err(why) => format!("▲ {why}"),
        });
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
