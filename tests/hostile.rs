//! Text from outside: names, processes, the daemon's answers. Whatever is in them, it stays in its cell.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod drawn;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod made_up;

use drawn::{code, frame, key};
use made_up::{Host, LOSING};
use ovscope::{
    app::{
        source::FromSource,
        state::{Effect, State},
    },
    event::{Body, Bookmark, Comm, DaemonState, Drop, Event, Name, Query},
    model::Overview,
    ui::{Mode, Theme, clean},
};
use proptest::prelude::*;
use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::Buffer,
};
use unicode_width::UnicodeWidthStr as _;

/// What has broken terminals and layouts.
const HOSTILE: [&str; 24] = [
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[31mred",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;cm0gLXJm\u{7}",
    "\u{1b}P$q\"p\u{1b}\\",
    "\u{1b}c",
    "\u{9b}2J",
    "\u{9d}0;t\u{9c}",
    "a\r\nb",
    "a\tb\u{8}\u{8}",
    "\u{e}\u{f}\u{5}\u{7f}\0",
    "\u{202e}gnp.exe",
    "\u{2066}a\u{2069}\u{200f}",
    "שלום",
    "مرحبا ٣",
    "漢字かな",
    "e\u{301}\u{300}\u{302}\u{303}",
    "Z\u{351}\u{36b}\u{343}\u{36a}a\u{35b}",
    "👩\u{200d}👩\u{200d}👧",
    "🇩🇪🇫🇷",
    "☺\u{fe0f}❤\u{fe0e}",
    "\u{200b}\u{feff}\u{ad}\u{115f}\u{3164}",
    "กำ\u{e33}한글\u{1160}",
    "\u{d7ff}\u{fffd}\u{10ffff}",
];

/// The events of a storm in which everything that has a name has this one.
fn named(name: &str) -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, LOSING));
    let now = events.iter().map(|event| event.ts).max().expect("events");
    // With a drop on the last packet, and answers about every flow.
    let last = events.iter().rev().find(|event| event.packet.is_some()).expect("a packet").clone();
    let drop = Drop { reason: 3, name: name.to_owned(), location: name.to_owned() };
    events.push(Event { body: Body::Drop(drop), ..last });
    let puts: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::FlowPut(put) => put.op.ufid,
            _ => None,
        })
        .collect();
    for ufid in puts {
        for mut event in host.answers(ufid, None) {
            event.ts = now;
            if let Body::DaemonAnswer(answer) = &mut event.body {
                let text = answer.answer.clone().unwrap_or_default().replace("p1_l", name).replace("reg0", name);
                answer.answer = if answer.query == Query::Detrace { Err(name.to_owned()) } else { Ok(text) };
            }
            events.push(event);
        }
    }
    for event in &mut events {
        event.comm = Comm::new(name);
        match &mut event.body {
            Body::Session(session) => {
                for text in [&mut session.host, &mut session.kernel, &mut session.machine, &mut session.command] {
                    name.clone_into(text);
                }
            }
            Body::Daemon(DaemonState::Up { version, missing, .. }) => {
                *version = format!("3.5.0{name}");
                *missing = vec![name.to_owned()];
            }
            Body::Datapaths { datapaths } => {
                for datapath in datapaths {
                    name.clone_into(&mut datapath.name);
                    for port in &mut datapath.ports {
                        name.clone_into(&mut port.name);
                        name.clone_into(&mut port.kind);
                    }
                }
            }
            Body::Probes { capabilities } => {
                for capability in capabilities {
                    for text in [&mut capability.name, &mut capability.probe, &mut capability.why] {
                        name.clone_into(text);
                    }
                }
            }
            Body::Dev(step) => step.dev = Name::new(name),
            _ => {}
        }
    }
    events
}

fn state(name: &str, ascii: bool) -> State {
    let mode = Mode::Replay { file: name.to_owned() };
    let (playback, _) = tokio::sync::mpsc::channel(1);
    let mut state = State::new(mode, Theme::default(), ascii).with(None, Some(playback), None);
    let events = named(name);
    let mut overview = Overview::default();
    for event in &events {
        overview.see(event);
    }
    let at = events[events.len() / 2].ts;
    state.take(FromSource::Events(events));
    let mut state = state.with_marks(None, vec![Bookmark { at, note: name.to_owned() }]);
    state.take(FromSource::Overview(Box::new(overview)));
    state
}

fn press(state: &mut State, c: char) -> Effect {
    let effect = key(state, code(c));
    frame(state, 80, 24);
    effect
}

/// Every view, its lists and what opens in them; a mark's note; a note; what went wrong.
const WALK: &str = "1234\njjjj\u{1b}3\n\u{1b}2\n\u{1b}567(1";

/// What a terminal makes of a frame is what was drawn, cell by cell.
fn stays_in_its_cells(buffer: &Buffer, why: &str) {
    let mut bytes = Vec::new();
    let (width, height) = (buffer.area.width, buffer.area.height);
    let blank = Buffer::empty(buffer.area);
    CrosstermBackend::new(&mut bytes).draw(blank.diff(buffer).into_iter()).expect("memory");
    let size = |n| std::num::NonZeroU16::new(n).expect("a size");
    let mut terminal = vt100::Parser::new(size(height), size(width), 0);
    terminal.process(&bytes);
    let screen = terminal.screen();
    assert!(!screen.alternate_screen() && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None, "{why}");
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            let wide = symbol.width();
            assert!(matches!(wide, 1 | 2) && !symbol.chars().any(char::is_control), "{why}: {symbol:?} at {x},{y}");
            let cell = screen.cell(y, x).expect("a cell");
            let shown = if cell.contents().is_empty() { " " } else { cell.contents() };
            assert_eq!(shown, symbol, "{why}: at {x},{y}");
            x += wide as u16;
        }
    }
}

/// All frames of a walk through the views.
fn walk(name: &str, ascii: bool, (width, height): (u16, u16)) -> Vec<Buffer> {
    let mut state = state(name, ascii);
    let mut frames: Vec<Buffer> = WALK
        .chars()
        .map(|c| {
            press(&mut state, c);
            frame(&mut state, width, height)
        })
        .collect();
    for told in [FromSource::Note(name.to_owned()), FromSource::Ended(Err(name.to_owned()))] {
        state.take(told);
        frames.push(frame(&mut state, width, height));
    }
    frames
}

#[test]
fn the_hostile_set_changes_nothing_outside_its_cells() {
    for name in HOSTILE {
        for size in [(80, 24), (200, 60)] {
            let frames = walk(name, false, size);
            for (frame, key) in frames.iter().zip(WALK.chars().chain(['\0', '\0'])) {
                stays_in_its_cells(frame, &format!("{name:?} after {key:?}"));
            }
        }
        for frame in walk(name, true, (80, 24)) {
            let ascii = frame.content.iter().all(|cell| matches!(cell.symbol().as_bytes(), [b' '..=b'~']));
            assert!(ascii, "{name:?} in ASCII");
        }
    }
}

#[test]
fn it_is_the_same_screen_as_with_what_is_harmless_of_it() {
    // White space is left out: where a text is laid out in words, that of the text counts; and so is what ends a name.
    for name in
        HOSTILE.into_iter().filter(|name| !name.contains(|c: char| c.is_whitespace() || c == '\0') && name.len() <= 15)
    {
        assert_eq!(walk(name, false, (120, 40)), walk(&clean(name), false, (120, 40)), "{name:?}");
    }
}

#[test]
fn ten_thousand_characters_leave_the_numbers_beside_them_alone() {
    let parts = |name: &str, view: char, first: &str, width: u16| {
        let mut state = state(name, false);
        press(&mut state, view);
        let buffer = frame(&mut state, width, 24);
        let lines: Vec<String> = buffer
            .content
            .chunks(usize::from(width))
            .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
            .collect();
        let (head, at) = lines.iter().enumerate().find_map(|(y, line)| Some((y, line.find(first)?))).expect("headings");
        let column = lines[head][..at].chars().count();
        // From the first number's column to that of the next words.
        let rows = buffer.content.chunks(usize::from(width)).skip(head);
        let numbers = rows.take_while(|row| row[column..column + 6].iter().any(|cell| cell.symbol() != " "));
        numbers
            .map(|row| row[column..column + 6].iter().map(|cell| cell.symbol().to_owned()).collect::<String>())
            .collect::<Vec<_>>()
    };
    for long in ["x".repeat(10_000), "網".repeat(5_000), "e\u{301}".repeat(5_000), "\u{1b}[1m".repeat(2_500)] {
        for (view, first) in [('5', "upcalls/s"), ('6', "upcalls/s"), ('2', "hits/s")] {
            let (with, without) = (parts(&long, view, first, 80), parts("p", view, first, 80));
            assert!(without.len() > 1, "{without:?}");
            assert_eq!(with, without, "view {view}");
        }
        for frame in walk(&long, false, (80, 24)) {
            stays_in_its_cells(&frame, "10 kB");
        }
    }
}

#[test]
fn what_is_copied_has_nothing_in_it_that_could_steer() {
    for name in HOSTILE {
        let mut state = state(name, false);
        for view in '1'..='7' {
            press(&mut state, view);
            if press(&mut state, 'y') == Effect::Copy {
                let text = state.copied().expect("text");
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "view {view}: {text:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_at_all_leaves_its_cells(name in "\\PC{0,40}|[\\x00-\\xff]{0,40}|.{0,40}") {
        for frame in walk(&name, false, (80, 24)) {
            stays_in_its_cells(&frame, &format!("{name:?}"));
        }
    }
}
