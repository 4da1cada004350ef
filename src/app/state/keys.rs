//! What a key does: who receives it, and which action it means in the present scene.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Effect, SECOND, State, shown};
use crate::{
    app::{
        actions::{Action, Scene},
        navigate,
        palette::{Choice, Palette},
        playback::Until,
        prompt::{Answer, Prompt, Question},
        ways::To,
    },
    event::Bookmark,
    ui::{Pace, StormPage, View, filter::Filter},
};

impl State {
    /// What the screen shows, as far as keys depend on it.
    pub fn scene(&self) -> Scene {
        let help = self.view.help.is_some();
        let open = self.view.is_open();
        let in_time = self.playback.is_some() || self.past.is_some();
        Scene {
            rows: help || self.view.view != View::Storm || !open || self.view.shows_verdicts(),
            openable: navigate::can_open(&self.view, &self.pins, &self.matches, self.shown()),
            opened: help
                || open
                || !self.trail.is_empty()
                || self.past.is_some()
                || (self.view.is_list() && !self.view.filter().is_empty()),
            sortable: !help && self.view.is_list(),
            filterable: !help && self.view.is_list(),
            related: !help && matches!(self.view.view, View::Flows | View::Upcalls | View::Packets),
            traffic: !help && matches!(self.view.view, View::Upcalls | View::Packets),
            packet: !help && open && matches!(self.view.view, View::Upcalls | View::Packets),
            storm: !help && self.view.view == View::Storm,
            recordable: self.recorder.is_some(),
            replay: in_time,
            back: in_time || self.flight.is_some(),
            markable: self.marks.is_some(),
            held: match self.status.pace {
                Pace::Held { .. } | Pace::Stopped => true,
                Pace::Past { moves, .. } => !moves,
                Pace::Running => false,
            },
        }
    }

    /// Does what a key asks for. A key with Alt is taken as Esc and that key: the two look like that when they arrive together, as
    /// over a slow line, and no key has a meaning with Alt.
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
        // A key applies to the rows as they are now, which may differ from those that were drawn.
        self.judge();
        match self.keymap.action(event, self.scene()) {
            Some(action) => self.act(action),
            None => Effect::Nothing,
        }
    }

    /// Does an action.
    pub(super) fn act(&mut self, action: Action) -> Effect {
        (self.status.note, self.noted) = (None, None);
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
            Action::Latency => self.view.turn_page(StormPage::Latency),
            Action::Verdicts => self.view.turn_page(StormPage::Verdicts),
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

    fn record(&mut self) {
        let Some(recorder) = &mut self.recorder else { return };
        self.status.note = Some(match recorder.toggle() {
            Ok(words) => words,
            Err(why) => format!("▲ {why}"),
        });
    }
}
