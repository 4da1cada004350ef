//! Whole screens, as they are drawn, of a made-up host: texts and styles as snapshots, and any size without a panic.

mod made_up;

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use made_up::{BUSY, Host, LOSING, QUIET, STORM};
use ovscope::{
    app::{
        flight::Recorder,
        marks::MarkKeeper,
        playback::{PlaybackCommand, Until},
        source::FromSource,
        state::{Effect, State},
    },
    event::{
        Body, Bookmark, Capability, CapabilityState, DaemonState, DelReason, Event, FlowResult, RevalResult,
        Revalidation, Told,
    },
    model::Overview,
    ovs_rpc::Question,
    ui::{Choice, Mode, Theme},
};
use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use tokio::{sync::mpsc, time::timeout};

fn state(choice: Choice, ascii: bool, events: Vec<Event>) -> State {
    let mut state = State::new(Mode::Live, Theme::new(choice), ascii);
    state.take(FromSource::Events(events));
    state
}

fn storm() -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(20, BUSY));
    events.extend(host.seconds(10, STORM));
    events
}

fn losing() -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, BUSY));
    events.extend(host.seconds(5, LOSING));
    events
}

fn press(state: &mut State, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            c => KeyCode::Char(c),
        };
        let _ = frame(state, 120, 40);
        state.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

fn frame(state: &mut State, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    state.draw(&mut buffer, area, Some(0.8));
    buffer
}

fn text(buffer: &Buffer) -> String {
    let wide = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(wide).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text, and below it the styles: for each row a letter a run, with how many columns it is long.
fn dump(state: &mut State, width: u16, height: u16) -> String {
    let buffer = frame(state, width, height);
    let mut out = text(&buffer);
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

#[test]
fn a_storm_at_every_size() {
    let mut state = state(Choice::Auto, false, storm());
    insta::assert_snapshot!("storm_80x24", dump(&mut state, 80, 24));
    insta::assert_snapshot!("storm_120x40", dump(&mut state, 120, 40));
    insta::assert_snapshot!("storm_200x60", dump(&mut state, 200, 60));
}

#[test]
fn losing_upcalls_in_mono_and_in_ascii() {
    insta::assert_snapshot!("losing_mono_80x24", dump(&mut state(Choice::Mono, false, losing()), 80, 24));
    let mut ascii = state(Choice::Mono, true, losing());
    for view in "1234567?".chars() {
        press(&mut ascii, &view.to_string());
        let shown = text(&frame(&mut ascii, 120, 40));
        assert!(shown.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "view {view}:\n{shown}");
    }
    press(&mut ascii, "1");
    insta::assert_snapshot!("losing_ascii_80x24", text(&frame(&mut ascii, 80, 24)));
}

#[test]
fn nothing_and_little_to_see() {
    let mut empty = state(Choice::Auto, false, Host::default().begin());
    insta::assert_snapshot!("empty_80x24", dump(&mut empty, 80, 24));
    for view in "23456".chars() {
        press(&mut empty, &view.to_string());
        insta::assert_snapshot!(format!("empty_view_{view}"), text(&frame(&mut empty, 80, 24)));
    }
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, QUIET));
    let mut idle = state(Choice::Auto, false, events);
    insta::assert_snapshot!("idle_80x24", dump(&mut idle, 80, 24));
}

#[test]
fn every_view_of_a_storm() {
    let mut state = state(Choice::Dark, false, storm());
    for view in "234567".chars() {
        press(&mut state, &view.to_string());
        insta::assert_snapshot!(format!("view_{view}_80x24"), text(&frame(&mut state, 80, 24)));
        insta::assert_snapshot!(format!("view_{view}_120x40"), text(&frame(&mut state, 120, 40)));
    }
}

#[test]
fn a_flow_with_what_the_daemon_says() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(20, BUSY));
    let (asks, mut asked) = mpsc::channel(4);
    let mut state = State::new(Mode::Live, Theme::new(Choice::Auto), false).with(Some(asks), None, None);
    state.take(FromSource::Events(events));
    press(&mut state, "2j\n");
    let asking = text(&frame(&mut state, 80, 24));
    assert!(asking.contains("asking…"), "{asking}");
    let Ok(Question::Flow(ask)) = asked.try_recv() else { panic!("the selected flow is asked about") };
    assert_eq!(ask.datapath, "ovs-system");
    let _ = frame(&mut state, 80, 24);
    assert!(asked.try_recv().is_err(), "once is enough");
    state.take(FromSource::Events(host.answers(ask.ufid, ask.sf_acts)));
    insta::assert_snapshot!("flow_80x24", dump(&mut state, 80, 24));
    insta::assert_snapshot!("flow_120x40", text(&frame(&mut state, 120, 40)));
}

#[test]
fn a_packets_timeline() {
    let mut state = state(Choice::Auto, false, losing());
    press(&mut state, "4jj\n");
    insta::assert_snapshot!("timeline_80x24", dump(&mut state, 80, 24));
    press(&mut state, "jjjjjjj");
    insta::assert_snapshot!("timeline_at_put_120x40", dump(&mut state, 120, 40));
    press(&mut state, "\n");
    assert!(text(&frame(&mut state, 80, 24)).contains("flow  ufid"), "Enter on a put goes to its flow");
    press(&mut state, "\u{1b}");
    let back = text(&frame(&mut state, 80, 24));
    assert!(back.contains("flow_lookup"), "Esc comes back to the timeline:\n{back}");
}

#[test]
fn esc_and_a_key_that_come_together_are_two_keys() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "?");
    assert_eq!(state.key(KeyEvent::new(KeyCode::Char('4'), KeyModifiers::ALT)), Effect::Draw);
    let shown = text(&frame(&mut state, 80, 24));
    assert!(shown.contains("packets  ") && !shown.contains("Shift-Tab"), "{shown}");
}

#[test]
fn help() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "?");
    insta::assert_snapshot!("help_120x40", dump(&mut state, 120, 40));
    press(&mut state, "?");
    assert!(text(&frame(&mut state, 80, 24)).contains("STORM"));
}

#[test]
fn a_held_screen_stands_still_and_says_for_how_long() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(10, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "2 ");
    let before = text(&frame(&mut state, 80, 24));
    state.take(FromSource::Events(host.seconds(3, LOSING)));
    let after = text(&frame(&mut state, 80, 24));
    assert!(after.contains("PAUSED 0:03"), "{after}");
    let body = |shown: &str| shown.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&before), body(&after));
    press(&mut state, " ");
    assert_ne!(body(&before), body(&text(&frame(&mut state, 80, 24))));
}

#[test]
fn the_selection_follows_the_packet() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "4jjj");
    let selected = |state: &mut State| {
        let shown = text(&frame(state, 80, 24));
        let (y, line) = shown.lines().enumerate().find(|(_, line)| line.starts_with('▸')).expect("one is selected");
        (y, line.split_whitespace().find(|word| word.starts_with('#')).map(str::to_owned))
    };
    let before = selected(&mut state);
    state.take(FromSource::Events(host.seconds(1, STORM)));
    assert_eq!(selected(&mut state), before);
}

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
    let shown = text(&frame(&mut state, 80, 24));
    assert!(shown.contains("PAUSED") && shown.contains("storm.mcap") && shown.contains("×2"), "{shown}");
    press(&mut state, "\n");
    let shown = text(&frame(&mut state, 80, 24));
    assert!(shown.contains("not asked while this was recorded"), "{shown}");
    press(&mut state, "\u{1b}1");
    state.take(FromSource::Restart);
    assert!(text(&frame(&mut state, 80, 24)).contains("WAITING"));
    state.take(FromSource::Ended(Ok(())));
    assert!(text(&frame(&mut state, 80, 24)).contains("ends here"));
    assert_eq!(state.key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE)), Effect::Quit);
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
    assert!(text(&frame(&mut state, 80, 24)).contains("still being gone through"));
    let overview = overview(&events);
    let trouble = overview.next_trouble(0).expect("a storm");
    let until = trouble.ts - 1_000_000_000;
    state.take(FromSource::Events(events.into_iter().filter(|event| event.ts < until).collect()));
    state.take(FromSource::Overview(Box::new(overview)));
    insta::assert_snapshot!("line_of_time_80x24", dump(&mut state, 80, 24));
    press(&mut state, "a");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Seek { ts: trouble.ts }));
    assert!(text(&frame(&mut state, 80, 24)).contains(&trouble.to_string()), "what is there is said");
    press(&mut state, ")");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Seek { ts: end - 3_000_000_000 }));
    assert!(text(&frame(&mut state, 80, 24)).contains("here it begins"));
    press(&mut state, "A(");
    assert!(text(&frame(&mut state, 80, 24)).contains("no mark before this"));
    press(&mut state, "u.");
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Next(Until::Upcall)));
    assert_eq!(commands.try_recv(), Ok(PlaybackCommand::Next(Until::Event)));
    assert!(text(&frame(&mut state, 80, 24)).contains("PAUSED"));
    press(&mut state, "<<<<<<");
    assert!(text(&frame(&mut state, 80, 24)).contains("×1/16"));
    press(&mut state, "mq!\n");
    assert!(text(&frame(&mut state, 80, 24)).contains("kept: q!"));
    press(&mut state, "T");
    assert!(text(&frame(&mut state, 80, 24)).contains("go to 14:02"));
    press(&mut state, "-1h\n");
    while let Ok(PlaybackCommand::Speed(_)) = commands.try_recv() {}
    press(&mut state, "T25:00\n");
    assert!(text(&frame(&mut state, 80, 24)).contains("▲ «25:00» is no moment"));
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
    let flight = Recorder::new(8 << 20, notes.downgrade()).expect("memory");
    flight.see(&told(&events)).expect("memory");
    let mut state = state(Choice::Auto, false, events).with_flight(Some(Box::new(flight.clone())));
    let shown = text(&frame(&mut state, 120, 40));
    assert!(shown.contains("kept 0:30"), "{shown}");
    let step = |state: &mut State, c| state.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    assert_eq!(step(&mut state, '['), Effect::LookBack);
    let mut past = state.departure().expect("a replay to begin").depart();
    let mut arrived = async |state: &mut State, seconds: u64| {
        let said = format!("LOOKING BACK 0:{seconds:02}");
        loop {
            let from = timeout(Duration::from_secs(10), past.recv()).await.expect(&said).expect("it goes on");
            state.take_past(from);
            if text(&frame(state, 80, 24)).contains(&said) {
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
    let drawn = text(&frame(&mut state, 80, 24));
    state.take(FromSource::Events(later.filter(|event| !matches!(event.body, Body::Session(_))).collect()));
    let table = |drawn: &str| drawn.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&text(&frame(&mut state, 80, 24))), table(&drawn), "the past stands still");
    press(&mut state, "2\n");
    assert!(state.is_past());
    press(&mut state, "\u{1b}1\u{1b}");
    assert!(!state.is_past(), "Esc leads back to now");
    assert!(!text(&frame(&mut state, 80, 24)).contains("LOOKING BACK"));
}

#[test]
fn failures_are_said() {
    let mut state = state(Choice::Auto, false, storm());
    let why = "connection refused: is ovs-vswitchd running?".to_owned();
    state.take(FromSource::Events(vec![Event::host(u64::MAX / 4, Body::Daemon(DaemonState::Down { why }))]));
    state.take(FromSource::Ended(Err("the ring buffer is gone\u{1b}[31m".to_owned())));
    let shown = text(&frame(&mut state, 80, 24));
    assert!(shown.contains("daemon: not answering"), "{shown}");
    assert!(shown.contains("no more events: the ring buffer is gone?[31m"), "{shown}");
}

#[test]
fn a_missing_probe_is_said_where_its_numbers_would_be() {
    let mut state = state(Choice::Auto, false, storm());
    let missing = Capability {
        name: "flow_lookup".to_owned(),
        state: CapabilityState::Missing,
        probe: "fexit ovs_flow_tbl_lookup_stats".to_owned(),
        why: "the function is not in this kernel".to_owned(),
        cost: None,
    };
    let probes = Body::Probes { capabilities: vec![missing] };
    state.take(FromSource::Events(vec![Event::host(0, probes)]));
    let shown = text(&frame(&mut state, 80, 24));
    let line = shown.lines().find(|line| line.starts_with(" lookups")).expect("the rate's line");
    assert!(line.contains("no probe flow_lookup"), "{line}");
}

#[test]
fn what_a_daemon_tells_of_its_revalidators_is_a_line_above_its_handlers() {
    let mut events = storm();
    let now = events.iter().map(|event| event.ts).max().expect("events");
    let gone = FlowResult { ufid: None, result: RevalResult::Delete, reason: DelReason::FlowIdle, sweep: false };
    let round = Revalidation { took_ns: 28_000_000, n_flows: 3000, interval_ms: 500 };
    events.push(Event::host(now, Body::FlowResult(gone)));
    events.push(Event::host(now - 2_028_000_000, Body::Revalidation(round)));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "5");
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = text(&frame(&mut state, width, height));
        let line = shown.lines().find(|line| line.starts_with(" revalidators")).unwrap_or_else(|| panic!("{shown}"));
        assert!(line.contains("28 ms for 3 000 flows, 2 s ago · deleted: 1 idle"), "{line}");
        assert!(shown.contains("handler3/130"), "{shown}");
    }
}

#[test]
fn too_small_a_terminal_says_what_it_needs() {
    let mut state = state(Choice::Auto, false, storm());
    let words = "ovscope needs 60×15, this is 59×15";
    assert!(text(&frame(&mut state, 59, 15)).starts_with(words));
    assert!(text(&frame(&mut state, 60, 15)).contains("STORM"));
}

thread_local! {
    static STATES: RefCell<Vec<State>> = RefCell::new(
        [(Choice::Auto, false, storm()), (Choice::Mono, true, losing()), (Choice::Light, false, Vec::new())]
            .map(|(choice, ascii, events)| state(choice, ascii, events))
            .into(),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_size_and_any_keys_draw_without_a_panic(
        width in 1u16..=250,
        height in 1u16..=80,
        which in 0usize..3,
        keys in "[1-7\n\u{1b}\tjkgGsS ?lh]{0,12}",
    ) {
        STATES.with_borrow_mut(|states| {
            let state = &mut states[which];
            for c in keys.chars() {
                let code = match c {
                    '\n' => KeyCode::Enter,
                    '\u{1b}' => KeyCode::Esc,
                    '\t' => KeyCode::Tab,
                    c => KeyCode::Char(c),
                };
                state.key(KeyEvent::new(code, KeyModifiers::NONE));
                frame(state, width, height);
            }
            for view in '1'..='7' {
                state.key(KeyEvent::new(KeyCode::Char(view), KeyModifiers::NONE));
                frame(state, width, height);
            }
        });
    }
}
