//! A screen in time: a replay that is steered, its line of time, and a live session that looks back.

use std::time::Duration;

use crossterm::event::KeyCode;
use ovscope::{
    app::{
        flight::FlightRecorder,
        marks::MarkKeeper,
        playback::{PlaybackCommand, Until},
        source::FromSource,
        state::{Effect, State},
    },
    event::{Body, Bookmark, Event, Told},
    model::Overview,
    ui::{Choice, Mode, Theme},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    drawn::{dump, key, press, state, text},
    losing,
    made_up::{Host, QUIET},
    storm,
};

#[test]
fn a_replay_is_steered_and_starts_again() {
    let (playback, mut commands) = mpsc::channel(8);
    let mode = Mode::Replay { file: "storm.mcap".to_owned() };
    let mut state = State::new(mode, Theme::new(Choice::Auto), false).with(None, Some(playback), None);
    state.take(FromSource::Events(storm()));
    press(&mut state, " [}>2j");
    let sent: Vec<_> = std::iter::from_fn(|| commands.try_recv().ok()).collect();
    assert_eq!(
        sent,
        [
            PlaybackCommand::Pause(true),
            PlaybackCommand::Step { ns: -1_000_000_000 },
            PlaybackCommand::Step { ns: 60_000_000_000 },
            PlaybackCommand::Speed(2.0)
        ]
    );
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("PAUSED") && shown.contains("storm.mcap") && shown.contains("×2"), "{shown}");
    press(&mut state, "\n");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("not asked while this was recorded"), "{shown}");
    press(&mut state, "\u{1b}1");
    state.take(FromSource::Restart);
    assert!(text(&mut state, 80, 24).contains("WAITING"));
    state.take(FromSource::Ended(Ok(())));
    assert!(text(&mut state, 80, 24).contains("ends here"));
    assert_eq!(key(&mut state, KeyCode::Char('q')), Effect::Quit);
}

#[test]
fn the_speed_a_replay_begins_at_is_shown_and_is_what_the_keys_go_on_from() {
    let begun = |speed| {
        let (playback, commands) = mpsc::channel(8);
        let mode = Mode::Replay { file: "storm.mcap".to_owned() };
        let state = State::new(mode, Theme::new(Choice::Auto), false).with(None, Some(playback), None);
        (state.at_speed(speed), commands)
    };
    let (mut fast, mut commands) = begun(4.0);
    fast.take(FromSource::Events(storm()));
    assert!(text(&mut fast, 80, 24).contains("×4"));
    press(&mut fast, "><<<");
    let sent: Vec<_> = std::iter::from_fn(|| commands.try_recv().ok()).collect();
    assert_eq!(sent, [8.0, 4.0, 2.0, 1.0].map(PlaybackCommand::Speed));
    // Slower than the keys go.
    let (mut slow, mut commands) = begun(1.0 / 64.0);
    press(&mut slow, "<>");
    let sent: Vec<_> = std::iter::from_fn(|| commands.try_recv().ok()).collect();
    assert_eq!(sent, [1.0 / 64.0, 1.0 / 32.0].map(PlaybackCommand::Speed));
}

fn told(events: &[Event]) -> Vec<Told> {
    events.iter().cloned().map(Told::Event).collect()
}

fn overview(events: &[Event]) -> Overview {
    let mut overview = Overview::default();
    for event in events {
        overview.see(event);
    }
    overview
}

#[test]
fn a_replay_has_a_line_of_time_with_its_troubles_and_marks() {
    let (playback, mut commands) = mpsc::channel(8);
    let mode = Mode::Replay { file: "storm.mcap".to_owned() };
    let events = losing();
    let end = events.iter().map(|event| event.ts).max().expect("events");
    let marked = vec![Bookmark { at: end - 3_000_000_000, note: "here it begins".to_owned() }];
    let state = State::new(mode, Theme::new(Choice::Auto), false).with(None, Some(playback), None);
    let mut state = state.with_marks(Some(Box::new(Marks)), marked);
    press(&mut state, ")");
    assert!(text(&mut state, 80, 24).contains("still being read"));
    let overview = overview(&events);
    let trouble = overview.next_trouble(0).expect("a storm");
    let until = trouble.ts - 1_000_000_000;
    state.take(FromSource::Events(events.into_iter().filter(|event| event.ts < until).collect()));
    let mut partial = Overview::default();
    partial.set_partial(true);
    state.take(FromSource::Overview(Box::new(partial)));
    press(&mut state, "a");
    assert!(text(&mut state, 80, 24).contains("no trouble after this; so far: the recording is still being read"));
    state.take(FromSource::Overview(Box::new(overview)));
    press(&mut state, "1");
    insta::assert_snapshot!("line_of_time_80x24", dump(&mut state, 80, 24));
    press(&mut state, "a");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Seek { ts: trouble.ts }));
    assert!(text(&mut state, 80, 24).contains(&trouble.to_string()), "what is there is said");
    press(&mut state, ")");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Seek { ts: end - 3_000_000_000 }));
    assert!(text(&mut state, 80, 24).contains("here it begins"));
    press(&mut state, "A(");
    assert!(text(&mut state, 80, 24).contains("no mark before this"));
    press(&mut state, "u.");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Next(Until::Upcall)));
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Next(Until::Event)));
    assert!(text(&mut state, 80, 24).contains("PAUSED"));
    press(&mut state, "<<<<<<");
    assert!(text(&mut state, 80, 24).contains("×1/16"));
    press(&mut state, "mq!\n");
    assert!(text(&mut state, 80, 24).contains("kept: q!"));
    press(&mut state, "T");
    assert!(text(&mut state, 80, 24).contains("go to 14:02"));
    press(&mut state, "-1h\n");
    while let Ok(PlaybackCommand::Speed(_)) = commands.try_recv() {}
    press(&mut state, "T25:00\n");
    assert!(text(&mut state, 80, 24).contains("▲ '25:00' is no moment"));
}

/// Keeps no mark, and says which it was.
struct Marks;

impl MarkKeeper for Marks {
    fn keep(&mut self, mark: &Bookmark) -> Result<String, String> {
        Ok(format!("kept: {}", mark.note))
    }
}

#[tokio::test]
async fn live_one_looks_back_while_it_goes_on() {
    let events = storm();
    let end = events.iter().map(|event| event.ts).max().expect("events");
    let (notes, _noted) = mpsc::channel(8);
    let flight = FlightRecorder::new(8 << 20, notes.downgrade()).expect("memory");
    flight.see(&told(&events)).expect("memory");
    let mut state = state(Choice::Auto, false, events).with_flight(Some(Box::new(flight.clone())));
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("kept 0:30"), "{shown}");
    let step = |state: &mut State, c| key(state, KeyCode::Char(c));
    assert_eq!(step(&mut state, '['), Effect::LookBack);
    let mut past = state.departure().expect("a replay to begin").depart();
    let mut arrived = async |state: &mut State, seconds: u64| {
        let said = format!("LOOKING BACK 0:{seconds:02}");
        loop {
            let from = timeout(Duration::from_secs(10), past.recv()).await.expect(&said).expect("it goes on");
            state.take_past(from);
            if text(state, 80, 24).contains(&said) {
                return;
            }
        }
    };
    arrived(&mut state, 1).await;
    assert_eq!(step(&mut state, '{'), Effect::Draw);
    arrived(&mut state, 30).await;
    // Meanwhile it goes on.
    let mut host = Host::default();
    let later = host
        .begin()
        .into_iter()
        .chain(host.seconds(1, QUIET))
        .map(|event| Event { ts: end + event.ts % 4_000_000_000, ..event });
    let drawn = text(&mut state, 80, 24);
    state.take(FromSource::Events(later.filter(|event| !matches!(event.body, Body::Session(_))).collect()));
    let table = |drawn: &str| drawn.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&text(&mut state, 80, 24)), table(&drawn), "the past stands still");
    press(&mut state, "2\n");
    assert!(state.is_past());
    press(&mut state, "\u{1b}1\u{1b}");
    assert!(!state.is_past(), "Esc leads back to now");
    assert!(!text(&mut state, 80, 24).contains("LOOKING BACK"));
}
