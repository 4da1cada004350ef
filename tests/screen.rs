//! Whole screens, as they are drawn, of a made-up host: texts and styles as snapshots, and any size without a panic.

mod drawn;
mod made_up;
#[path = "screen/situations.rs"]
mod situations;
#[path = "screen/time.rs"]
mod time;

use std::cell::RefCell;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use drawn::{code, dump, frame, key, press, state, text};
use made_up::{BUSY, Host, LOSING, QUIET, STORM};
use ovscope::{
    app::{
        source::FromSource,
        state::{Effect, State},
    },
    event::{Body, Capability, CapabilityState, DaemonState, DelReason, Event, FlowResult, RevalResult, Revalidation},
    ovs_rpc::Question,
    ui::{Choice, Mode, Theme},
};
use proptest::prelude::*;
use tokio::sync::mpsc;

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
        let shown = text(&mut ascii, 120, 40);
        assert!(shown.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "view {view}:\n{shown}");
    }
    press(&mut ascii, "1");
    insta::assert_snapshot!("losing_ascii_80x24", text(&mut ascii, 80, 24));
}

#[test]
fn nothing_and_little_to_see() {
    let mut empty = state(Choice::Auto, false, Host::default().begin());
    insta::assert_snapshot!("empty_80x24", dump(&mut empty, 80, 24));
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, QUIET));
    let mut idle = state(Choice::Auto, false, events);
    insta::assert_snapshot!("idle_80x24", dump(&mut idle, 80, 24));
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
    let asking = text(&mut state, 80, 24);
    assert!(asking.contains("asking…"), "{asking}");
    let Ok(Question::Flow(ask)) = asked.try_recv() else { panic!("the selected flow is asked about") };
    assert_eq!(ask.datapath, "ovs-system");
    let _ = frame(&mut state, 80, 24);
    assert!(asked.try_recv().is_err(), "once is enough");
    state.take(FromSource::Events(host.answers(ask.ufid, ask.sf_acts)));
    insta::assert_snapshot!("flow_80x24", dump(&mut state, 80, 24));
    insta::assert_snapshot!("flow_120x40", text(&mut state, 120, 40));
}

#[test]
fn a_packets_timeline() {
    let mut state = state(Choice::Auto, false, losing());
    press(&mut state, "4jj\n");
    insta::assert_snapshot!("timeline_80x24", dump(&mut state, 80, 24));
    press(&mut state, "jjjjjjj");
    insta::assert_snapshot!("timeline_at_put_120x40", dump(&mut state, 120, 40));
    press(&mut state, "\n");
    assert!(text(&mut state, 80, 24).contains("flow  ufid"), "Enter on a put goes to its flow");
    press(&mut state, "\u{1b}");
    let back = text(&mut state, 80, 24);
    assert!(back.contains("flow_lookup"), "Esc comes back to the timeline:\n{back}");
}

#[test]
fn esc_and_a_key_that_come_together_are_two_keys() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "?");
    assert_eq!(state.key(KeyEvent::new(KeyCode::Char('4'), KeyModifiers::ALT)), Effect::Draw);
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("packets  ") && !shown.contains("Shift-Tab"), "{shown}");
}

#[test]
fn help() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "?");
    insta::assert_snapshot!("help_120x40", dump(&mut state, 120, 40));
    press(&mut state, "?");
    assert!(text(&mut state, 80, 24).contains("STORM"));
}

#[test]
fn a_held_screen_stands_still_and_says_for_how_long() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(10, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "2 ");
    let before = text(&mut state, 80, 24);
    state.take(FromSource::Events(host.seconds(3, LOSING)));
    let after = text(&mut state, 80, 24);
    assert!(after.contains("PAUSED 0:03"), "{after}");
    let body = |shown: &str| shown.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(body(&before), body(&after));
    press(&mut state, " ");
    assert_ne!(body(&before), body(&text(&mut state, 80, 24)));
}

#[test]
fn the_selection_follows_the_packet() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "4jjj");
    let selected = |state: &mut State| {
        let shown = text(state, 80, 24);
        let (y, line) = shown.lines().enumerate().find(|(_, line)| line.starts_with('▸')).expect("one is selected");
        (y, line.split_whitespace().find(|word| word.starts_with('#')).map(str::to_owned))
    };
    let before = selected(&mut state);
    state.take(FromSource::Events(host.seconds(1, STORM)));
    assert_eq!(selected(&mut state), before);
}

#[test]
fn failures_are_said() {
    let mut state = state(Choice::Auto, false, storm());
    let why = "connection refused: is ovs-vswitchd running?".to_owned();
    state.take(FromSource::Events(vec![Event::host(u64::MAX / 4, Body::Daemon(DaemonState::Down { why }))]));
    state.take(FromSource::Ended(Err("the ring buffer is gone\u{1b}[31m".to_owned())));
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("daemon: not answering"), "{shown}");
    assert!(shown.contains("no more events: the ring buffer is gone?[31m"), "{shown}");
}

#[test]
fn a_slow_daemon_is_said_in_the_first_line_and_a_quick_one_is_not() {
    for (round_trip_ns, slow) in [(99_000_000, false), (640_000_000, true)] {
        let mut state = state(Choice::Auto, false, storm());
        let version = "ovs-vswitchd (Open vSwitch) 3.5.0".to_owned();
        let up = DaemonState::Up { pid: 812, version, round_trip_ns, missing: vec![] };
        state.take(FromSource::Events(vec![Event::host(u64::MAX / 4, Body::Daemon(up))]));
        let shown = text(&mut state, 120, 40);
        let first = shown.lines().next().unwrap_or_default();
        assert_eq!(first.contains("OVS 3.5.0 · daemon: answers in 640 ms"), slow, "{first}");
        assert_eq!(first.contains("daemon"), slow, "{first}");
    }
}

#[test]
fn a_daemon_that_is_not_asked_is_not_said_to_be_silent() {
    let mut state = state(Choice::Auto, false, storm());
    let down = DaemonState::Down { why: DaemonState::NOT_ASKED.to_owned() };
    state.take(FromSource::Events(vec![Event::host(u64::MAX / 4, Body::Daemon(down))]));
    press(&mut state, "7");
    let shown = text(&mut state, 200, 60);
    assert!(shown.contains("daemon: not asked") && shown.contains("is not asked anything"), "{shown}");
    assert!(!shown.contains("not answer"), "{shown}");
}

#[test]
fn a_missing_probe_is_said_where_its_numbers_would_be() {
    let mut state = state(Choice::Auto, false, storm());
    let missing = |name: &str, state| Capability {
        name: name.to_owned(),
        state,
        probe: String::new(),
        why: "the function is not in this kernel".to_owned(),
        cost: None,
    };
    let mut shown = |capabilities| {
        state.take(FromSource::Events(vec![Event::host(0, Body::Probes { capabilities })]));
        text(&mut state, 80, 24)
    };
    let line = |shown: &str, of: &str| shown.lines().find(|line| line.starts_with(of)).expect("its line").to_owned();
    // Of single lookups no counter is made.
    let counted = shown(vec![missing("flow_lookup", CapabilityState::Missing)]);
    assert!(!counted.contains("no probe"), "{counted}");
    let hits = shown(vec![missing("flow_hit", CapabilityState::Missing), missing("flow_put", CapabilityState::Off)]);
    for of in [" lookups", " hits"] {
        assert!(line(&hits, of).contains("no probe flow_hit"), "{hits}");
    }
    assert!(!line(&hits, " misses").contains("no probe") && line(&hits, " puts").contains("not counted"), "{hits}");
    // No share of what is not counted.
    let words = hits.lines().nth(3).expect("what the eye lands on");
    assert!(words.contains("why lookups are not counted") && !words.contains('%'), "{hits}");
    let upcalls = shown(vec![missing("upcall_return", CapabilityState::Missing)]);
    assert!(upcalls.contains("NOT COUNTED") && !upcalls.contains("upcalls/s;"), "{upcalls}");
    for of in [" misses", " upcalls", " lost"] {
        assert!(line(&upcalls, of).contains("no probe upcall_return"), "{upcalls}");
    }
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
        let shown = text(&mut state, width, height);
        let line = shown.lines().find(|line| line.starts_with(" revalidators")).unwrap_or_else(|| panic!("{shown}"));
        assert!(line.contains("28 ms for 3 000 flows, 2 s ago · deleted: 1 idle"), "{line}");
        assert!(shown.contains("handler3/130"), "{shown}");
    }
}

#[test]
fn too_small_a_terminal_says_what_it_needs() {
    let mut state = state(Choice::Auto, false, storm());
    let words = "ovscope needs 60×15, this is 59×15";
    assert!(text(&mut state, 59, 15).starts_with(words));
    assert!(text(&mut state, 60, 15).contains("STORM"));
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
                key(state, code(c));
                frame(state, width, height);
            }
            for view in '1'..='7' {
                key(state, code(view));
                frame(state, width, height);
            }
        });
    }
}
