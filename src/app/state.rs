//! The screen without a terminal: what keys and events make of it, and what it draws. Knows no clock but the events'.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{buffer::Buffer, layout::Rect};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::{
    actions::{self, Action, Scene},
    keys, navigate,
    playback::{PlaybackCommand, SPEEDS},
    screen::RecordControl,
    source::FromSource,
};
use crate::{
    event::{Body, Event, FlowPtr, Nanos, Ufid},
    model::{FlowKey, Limits, Model},
    ovs_rpc::Ask,
    ui::{self, Asked, Drawn, Ended, Mode, Pace, RecordState, Screen, Status, Theme, View, ViewState},
};

const SECOND: i64 = 1_000_000_000;

/// What the loop must do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changed.
    Nothing,
    /// Draw.
    Draw,
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
    view: ViewState,
    status: Status,
    drawn: Drawn,
    /// Where Esc goes from a flow that was opened from a packet.
    came_from: Option<View>,
    /// The last question put to the daemon.
    asked: Option<(Ufid, Option<FlowPtr>)>,
    asks: Option<Sender<Ask>>,
    playback: Option<Sender<PlaybackCommand>>,
    recorder: Option<Box<dyn RecordControl>>,
    theme: Theme,
    ascii: bool,
}

impl State {
    /// A screen on an empty model.
    pub fn new(mode: Mode, theme: Theme, ascii: bool) -> Self {
        Self {
            model: Model::new(Limits::default()),
            held: None,
            view: ViewState::default(),
            status: Status { help: actions::help(), ..Status::new(mode) },
            drawn: Drawn::default(),
            came_from: None,
            asked: None,
            asks: None,
            playback: None,
            recorder: None,
            theme,
            ascii,
        }
    }

    /// With somebody to ask about flows, a replay to steer, and a recorder, where there are any.
    #[must_use]
    pub fn with(
        self,
        asks: Option<Sender<Ask>>,
        playback: Option<Sender<PlaybackCommand>>,
        recorder: Option<Box<dyn RecordControl>>,
    ) -> Self {
        Self { asks, playback, recorder, ..self }
    }

    /// What is on the screen: the model, or as it was when it was held.
    fn shown(&self) -> &Model {
        self.held.as_deref().unwrap_or(&self.model)
    }

    /// Takes what the source sends. Says whether the screen changes by it.
    pub fn take(&mut self, from: FromSource) -> bool {
        match from {
            FromSource::Events(events) => {
                self.model.apply_all(&events);
                let answered = self.answer_held(&events);
                return self.held.is_none() || answered || self.seconds_behind_changed();
            }
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
        let Some(held) = &mut self.held else { return false };
        let mut answered = false;
        for event in events.iter().filter(|e| matches!(e.body, Body::DaemonAnswer(_))) {
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
            Pace::Held { behind } => behind,
            _ => 0,
        };
        shown / SECOND as u64 != self.behind() / SECOND as u64
    }

    fn behind(&self) -> Nanos {
        self.held.as_ref().map_or(0, |held| self.model.now().saturating_sub(held.now()))
    }

    /// What the screen shows, as far as keys depend on it.
    pub fn scene(&self) -> Scene {
        let help = self.view.help.is_some();
        let open = self.view.is_open();
        Scene {
            rows: help || self.view.view != View::Storm,
            openable: navigate::can_open(&self.view, self.shown()),
            opened: help || open,
            sortable: !help && !open && matches!(self.view.view, View::Flows | View::Handlers | View::Ports),
            recordable: self.recorder.is_some(),
            replay: self.playback.is_some(),
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
        let Some(action) = keys::action(event, self.scene()) else { return Effect::Nothing };
        self.status.note = None;
        match action {
            Action::Quit => return Effect::Quit,
            Action::Suspend => return Effect::Suspend,
            Action::Show(view) => self.show(view),
            Action::NextView => self.show(self.view.view.turned(1)),
            Action::PreviousView => self.show(self.view.view.turned(-1)),
            Action::Help => self.view.help = if self.view.help.is_some() { None } else { Some(0) },
            Action::Open => {
                let model = self.held.as_deref().unwrap_or(&self.model);
                if let Some(from) = navigate::open(&mut self.view, model) {
                    self.came_from = Some(from);
                }
            }
            Action::Close => self.close(),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last => {
                let model = self.held.as_deref().unwrap_or(&self.model);
                navigate::go(&mut self.view, model, action, self.drawn);
            }
            Action::Sort | Action::Reverse => navigate::sort(&mut self.view, action),
            Action::Pause => self.pause(),
            Action::Record => self.record(),
            Action::StepBack => self.step(-SECOND),
            Action::StepOn => self.step(SECOND),
            Action::JumpBack => self.step(-10 * SECOND),
            Action::JumpOn => self.step(10 * SECOND),
            Action::Slower => self.speed(self.status.speed / 2.0),
            Action::Faster => self.speed(self.status.speed * 2.0),
        }
        Effect::Draw
    }

    fn show(&mut self, view: View) {
        self.view.help = None;
        self.view.view = view;
        self.view.scroll = 0;
        self.came_from = None;
    }

    fn close(&mut self) {
        if self.view.help.is_some() {
            self.view.help = None;
            return;
        }
        // Back in the packet, its timeline stands where it was left.
        if let (View::Flows, Some(from)) = (self.view.view, self.came_from.take()) {
            self.view.opened[View::Flows.index()] = false;
            self.view.view = from;
            return;
        }
        self.view.set_open(false);
    }

    fn pause(&mut self) {
        if self.playback.is_some() {
            let hold = self.status.pace == Pace::Running;
            if self.play(PlaybackCommand::Pause(hold)) {
                self.status.pace = if hold { Pace::Stopped } else { Pace::Running };
            }
        } else if self.held.take().is_none() {
            self.held = Some(Box::new(self.model.clone()));
        }
    }

    /// Tells the replay; whether it could be told.
    fn play(&mut self, command: PlaybackCommand) -> bool {
        let told = self.playback.as_ref().map(|playback| playback.try_send(command));
        match told {
            Some(Ok(())) => return true,
            Some(Err(TrySendError::Full(_))) => {
                self.status.note = Some("the replay is still busy with what it was asked before".to_owned());
            }
            Some(Err(TrySendError::Closed(_))) | None => {
                self.status.note = Some("the replay is over: open the recording again to go back".to_owned());
            }
        }
        false
    }

    fn step(&mut self, ns: i64) {
        self.play(PlaybackCommand::Step { ns });
    }

    fn speed(&mut self, speed: f64) {
        let speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        if self.play(PlaybackCommand::Speed(speed)) {
            self.status.speed = speed;
        }
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
        if self.playback.is_none() {
            self.status.pace = if self.held.is_some() { Pace::Held { behind: self.behind() } } else { Pace::Running };
        }
        let model = self.held.as_deref().unwrap_or(&self.model);
        navigate::let_go(&mut self.view, model);
        self.status.asked = self.ask();
        self.status.hints = actions::hints(self.scene());
        let screen = Screen {
            model: self.held.as_deref().unwrap_or(&self.model),
            view: &self.view,
            status: &self.status,
            theme: &self.theme,
            ascii: self.ascii,
        };
        self.drawn = ui::draw(buffer, area, &screen);
    }

    /// The flow that the user looks at.
    fn looked_at(&self) -> Option<FlowKey> {
        let model = self.shown();
        match navigate::open_packet(model, &self.view) {
            Some(packet) => navigate::flow_at_cursor(&self.view, model, packet),
            None if self.view.view == View::Flows => self.view.flows.selected,
            None => None,
        }
    }

    /// Asks the daemon about the flow that is looked at, once for each of its generations as long as it is. At most
    /// once a frame, so that going through a list asks for what the eye rests on.
    fn ask(&mut self) -> Option<Asked> {
        let flow = self.looked_at().and_then(|key| self.shown().flow(key));
        let Some((flow, ufid)) = flow.and_then(|flow| Some((flow, flow.ufid?))) else {
            self.asked = None;
            return None;
        };
        let question = (ufid, flow.sf_acts);
        // Of a deleted flow the daemon knows nothing any more.
        if flow.deleted.is_some() {
            self.asked = None;
            return None;
        }
        let Some(asks) = &self.asks else { return Some(Asked::Nobody) };
        if self.asked == Some(question) {
            return Some(Asked::Waiting(ufid));
        }
        let datapath = self.shown().datapath(flow.dp).map_or_else(String::new, |datapath| datapath.name.clone());
        match asks.try_send(Ask { ufid, datapath, sf_acts: flow.sf_acts }) {
            Ok(()) => {
                self.asked = Some(question);
                Some(Asked::Waiting(ufid))
            }
            Err(TrySendError::Full(_)) => Some(Asked::Busy),
            Err(TrySendError::Closed(_)) => Some(Asked::Nobody),
        }
    }

    /// Whether another frame is needed although nothing happened: a question waits for room in the queue.
    pub fn wants_another_frame(&self) -> bool {
        self.status.asked == Some(Asked::Busy)
    }
}
