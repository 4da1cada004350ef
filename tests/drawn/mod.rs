//! A screen without a terminal, for tests: its keys, its frames as text and with their styles.

use std::{collections::BTreeMap, fmt::Write as _};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ovscope::{
    app::{source::FromSource, state::State},
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

/// Presses keys, with a frame of 120×40 before each.
pub fn press(state: &mut State, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\u{8}' => KeyCode::Backspace,
            '\t' => KeyCode::Tab,
            c => KeyCode::Char(c),
        };
        let _ = frame(state, 120, 40);
        state.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
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

fn text_of(buffer: &Buffer) -> String {
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
    let mut out = text_of(&buffer);
    let mut names: BTreeMap<String, char> = BTreeMap::new();
    let mut rows = String::new();
    for (y, row) in buffer.content.chunks(usize::from(width)).enumerate() {
        let _ = write!(rows, "\n{y:>3} ");
        for run in row.chunk_by(|a, b| a.style() == b.style()) {
            let style: Style = run[0].style();
            let key = format!("{:?} on {:?} {:?}", style.fg, style.bg, style.add_modifier);
            let next = char::from(b'a' + u8::try_from(names.len()).expect("few styles"));
            let name = *names.entry(key).or_insert(next);
            let _ = write!(rows, " {name}{}", run.len());
        }
    }
    out.push_str("\n\n");
    let mut legend: Vec<_> = names.into_iter().map(|(style, name)| (name, style)).collect();
    legend.sort();
    for (name, style) in legend {
        let _ = writeln!(out, "{name} {style}");
    }
    out.push_str(&rows);
    out
}
