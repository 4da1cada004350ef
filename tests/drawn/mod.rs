//! A screen without a terminal, for tests: its keys, its frames as text and with their styles.

use std::{collections::BTreeMap, fmt::Write as _};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ovscope::{
    app::{
        source::FromSource,
        state::{Effect, State},
    },
    event::Event,
    ui::{Choice, Mode, Theme},
};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

/// A live screen of these events.
pub fn state(choice: Choice, ascii: bool, events: Vec<Event>) -> State {
    let mut state = State::new(Mode::Live, Theme::new(choice), ascii);
    state.take(FromSource::Events(events));
    state
}

/// The key that a character stands for.
pub fn code(c: char) -> KeyCode {
    match c {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\u{8}' => KeyCode::Backspace,
        '\t' => KeyCode::Tab,
        c => KeyCode::Char(c),
    }
}

/// Presses a key without anything beside it.
pub fn key(state: &mut State, code: KeyCode) -> Effect {
    state.key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// Presses keys, with a frame of 120×40 before each. Gives what the last one asks for.
pub fn press(state: &mut State, keys: &str) -> Effect {
    keys.chars().fold(Effect::Nothing, |_, c| {
        let _ = frame(state, 120, 40);
        key(state, code(c))
    })
}

/// A frame.
pub fn frame(state: &mut State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    state.draw(&mut buffer, area, Some(0.8));
    buffer
}

/// A frame's text.
pub fn text(state: &mut State, width: u16, height: u16) -> String {
    text_of(&frame(state, width, height))
}

/// The text of a frame, without the spaces at the ends of its rows.
pub fn text_of(buffer: &Buffer) -> String {
    let wide = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(wide).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text, and below it the styles: for each row a letter a run, with how many columns it is long.
pub fn dump(state: &mut State, width: u16, height: u16) -> String {
    let buffer = frame(state, width, height);
    let mut names = Names::default();
    let rows = runs(&buffer, &mut names);
    format!("{}\n\n{}{rows}", text_of(&buffer), names.legend())
}

/// Letters for styles, in the order in which they were met.
#[derive(Default)]
pub struct Names(BTreeMap<String, char>);

impl Names {
    fn of(&mut self, style: Style) -> char {
        let key = format!("{:?} on {:?} {:?}", style.fg, style.bg, style.add_modifier);
        let next = char::from(b'a' + u8::try_from(self.0.len()).expect("few styles"));
        *self.0.entry(key).or_insert(next)
    }

    /// What each stands for.
    pub fn legend(&self) -> String {
        let mut legend: Vec<_> = self.0.iter().map(|(style, name)| (*name, style)).collect();
        legend.sort();
        legend.iter().fold(String::new(), |mut out, (name, style)| {
            let _ = writeln!(out, "{name} {style}");
            out
        })
    }
}

/// The styles of a frame: for each row a letter a run, with how many columns it is long.
pub fn runs(buffer: &Buffer, names: &mut Names) -> String {
    let mut rows = String::new();
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let _ = write!(rows, "\n{y:>3} ");
        for run in row.chunk_by(|a, b| a.style() == b.style()) {
            let _ = write!(rows, " {}{}", names.of(run[0].style()), run.len());
        }
    }
    rows
}
