//! How long a frame takes, by view, with full tables in a storm: `cargo bench --bench screen`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use divan::Bencher;
use ovscope::{
    app::{source::FromSource, state::State},
    event::{Body, Counters, Event, FlowCounter, FlowPtr, Ufid},
    ui::{Choice, Mode, Theme},
};
use ratatui::{buffer::Buffer, layout::Rect};

#[path = "../tests/events/storm.rs"]
mod storm;

/// The largest terminal that is measured.
const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 60 };

fn main() {
    divan::main();
}

/// 100 000 flows, and packets and upcalls as many as are kept.
fn full() -> State {
    let mut state = State::new(Mode::Live, Theme::new(Choice::Auto), false);
    for first in (0..25_000).step_by(1000) {
        let events =
            (first..first + 1000).flat_map(|n| storm::upcalled_packet(n, 1_000_000_000 + n * 200_000)).collect();
        state.take(FromSource::Events(events));
    }
    for round in 40..50 {
        state.take(FromSource::Events(vec![counters(round)]));
    }
    state
}

fn counters(round: u64) -> Event {
    let flow = |n: u32| FlowCounter {
        table: 1,
        flow: FlowPtr(u64::from(n) << 6),
        sf_acts: FlowPtr(u64::from(n) << 8),
        ufid: Some(Ufid([n, 7, 7, 7])),
        hits: round * u64::from(n % 1000 + 1),
        bytes: None,
        last: round * 250_000_000,
    };
    let flows = (0..100_000).map(flow).collect();
    Event::host(round * 250_000_000, Body::Counters(Box::new(Counters { flows, ..Counters::default() })))
}

fn press(state: &mut State, buffer: &mut Buffer, keys: &str) {
    for c in keys.chars() {
        state.draw(buffer, AREA, None);
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        state.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

/// A frame of the view behind each key; `2j` has a flow selected, `4\n` a packet open, behind `/` is a filter, and `s`
/// sorts by the next column.
#[divan::bench(args = ["1", "2", "2j", "2/10.0.7 udp", "3", "3ssss", "3/p1_l", "4", "4\n", "4/9 udp", "5", "6", "7"])]
fn frame(bencher: Bencher<'_, '_>, keys: &str) {
    let mut state = full();
    let mut buffer = Buffer::empty(AREA);
    press(&mut state, &mut buffer, keys);
    // A new filter goes through many rows in several frames.
    while state.wants_another_frame() {
        state.draw(&mut buffer, AREA, None);
    }
    bencher.bench_local(|| {
        buffer.reset();
        state.draw(&mut buffer, AREA, None);
    });
}

/// A frame after each letter of a filter of the flows: none of its rows is judged yet.
#[divan::bench(args = ["u", "10.0", "07"])]
fn typing(bencher: Bencher<'_, '_>, words: &str) {
    let mut state = full();
    let mut buffer = Buffer::empty(AREA);
    press(&mut state, &mut buffer, "2/");
    bencher.bench_local(|| {
        press(&mut state, &mut buffer, words);
        state.draw(&mut buffer, AREA, None);
        state.key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        state.key(KeyEvent::new(KeyCode::Char('/'), KeyModifiers::NONE));
    });
}
