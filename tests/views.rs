//! What the views show of a made-up host, and what keys make of it: what is open stays, filters, orders, ways from one
//! view to another.

#[allow(dead_code, reason = "shared with other tests")]
mod drawn;
#[path = "views/links.rs"]
mod links;
#[allow(dead_code, reason = "shared with other tests")]
mod made_up;
#[path = "views/orders.rs"]
mod orders;
#[path = "views/verdicts.rs"]
mod verdicts;

use std::cell::RefCell;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use drawn::{dump, press, state, text};
use made_up::{BUSY, Host, QUIET, STORM, Weather};
use ovscope::{
    app::{source::FromSource, state::State},
    event::{Body, Capability, CapabilityState, Event, Session},
    ui::Choice,
};
use proptest::prelude::*;

/// So many packets in a second that the model lets go of all that it had.
const FLOOD: Weather = Weather { seen: 5500, hits: 6000, misses: 6000, ..STORM };

/// A frame's text from the body on, without what follows the clock.
fn body(shown: &str) -> Vec<&str> {
    shown.lines().skip(3).collect()
}

#[test]
fn an_open_packet_stays_when_newer_ones_take_its_room() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "4jj\njjjjjjj");
    let before = text(&mut state, 120, 40);
    assert!(before.contains("▸") && before.contains("flow_put") && before.contains(" · now"), "{before}");
    state.take(FromSource::Events(host.seconds(1, FLOOD)));
    state.take(FromSource::Events(host.seconds(6, QUIET)));
    let after = text(&mut state, 120, 40);
    assert!(after.contains("held while it is open") && after.contains("7 s ago"), "{after}");
    // The same timeline with the cursor where it was, and the same bytes.
    let lines = |shown: &str| -> Vec<String> {
        body(shown).into_iter().skip(3).take_while(|line| !line.starts_with(" Tab")).map(str::to_owned).collect()
    };
    assert_eq!(lines(&before)[..12], lines(&after)[..12]);
    assert!(lines(&after).iter().any(|line| line.contains("IPv4")), "{after}");
    press(&mut state, "k");
    assert!(text(&mut state, 120, 40).contains("▸  +"), "its timeline is gone through all the same");
    press(&mut state, "\u{1b}");
    let list = text(&mut state, 120, 40);
    assert!(list.contains("packets  20 000") && !list.contains("held while"), "{list}");
}

#[test]
fn an_open_upcall_stays_too() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "3jj\n");
    let before = text(&mut state, 80, 24);
    state.take(FromSource::Events(host.seconds(1, FLOOD)));
    let after = text(&mut state, 80, 24);
    assert!(after.contains("held while it is open"), "{after}");
    assert_eq!(body(&before)[3..9], body(&after)[3..9]);
}

#[test]
fn another_packet_with_the_same_identity_does_not_take_the_place_of_the_open_one() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let now = events.iter().map(|event| event.ts).max().expect("events");
    let Some(Body::Session(session)) = events.first().map(|event| event.body.clone()) else { panic!("no session") };
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "4\n");
    let before = text(&mut state, 120, 40);
    // The probes are attached anew, and identities begin again.
    let mut again = Host::default();
    let begin = again.begin();
    let shift = now + 5_000_000_000 - begin[0].ts;
    let clock = ovscope::event::Clock { monotonic: session.clock.monotonic + shift, ..session.clock };
    let session = Session { clock, ..*session };
    let mut events = vec![Event::host(now + 5_000_000_000, Body::Session(Box::new(session)))];
    events.extend(again.seconds(4, BUSY).into_iter().map(|event| Event { ts: event.ts + shift, ..event }));
    state.take(FromSource::Events(events));
    let after = text(&mut state, 120, 40);
    assert!(after.contains("held while it is open"), "{after}");
    assert_eq!(body(&before)[3..12], body(&after)[3..12]);
}

/// The rows of a list that have a word.
fn rows_with<'a>(shown: &'a str, word: &str) -> Vec<&'a str> {
    shown.lines().skip(5).filter(|line| line.contains(word)).collect()
}

fn storm() -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, BUSY));
    events.extend(host.seconds(5, STORM));
    events
}

#[test]
fn a_filter_shows_its_rows_as_it_is_written_and_says_what_it_hides() {
    let mut state = state(Choice::Dark, false, storm());
    press(&mut state, "4/P7");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("show only rows with: P7") && shown.contains("/p7 hides"), "{shown}");
    assert!(rows_with(&shown, "p1_l      172").is_empty() && !rows_with(&shown, "p7_l").is_empty(), "{shown}");
    press(&mut state, "_l ud\n");
    insta::assert_snapshot!("packets_filtered_80x24", dump(&mut state, 80, 24));
    press(&mut state, "/x");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("no row has 'p7_l udx': Esc shows all"), "{shown}");
    press(&mut state, "\n");
    assert!(!text(&mut state, 80, 24).contains("Enter"), "there is nothing to open");
    press(&mut state, "\u{1b}");
    let shown = text(&mut state, 80, 24);
    assert!(!shown.contains("hides") && !rows_with(&shown, "p1_l").is_empty(), "{shown}");
    press(&mut state, "/p7\u{1b}");
    assert!(!text(&mut state, 80, 24).contains("hides"), "Esc while writing shows all again");
}

#[test]
fn esc_and_a_key_that_come_together_leave_a_filter_and_are_that_key() {
    let mut state = state(Choice::Dark, false, storm());
    press(&mut state, "4/p7");
    state.key(KeyEvent::new(KeyCode::Char('6'), KeyModifiers::ALT));
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("ports  ") && !shown.contains("show only"), "{shown}");
    press(&mut state, "4");
    assert!(!text(&mut state, 80, 24).contains("hides"));
}

#[test]
fn every_list_is_filtered_by_what_its_rows_show() {
    let mut state = state(Choice::Dark, false, storm());
    for (view, words, has, not) in [
        ("2", "EEXIST", "▲ EEXIST", "new  "),
        ("2", "02:00:00:00:00:01 172.200.0.7", "172.200.0.7", "172.200.0.1:"),
        ("3", "handler4", "handler4", "handler3"),
        ("3", "put failed", "PUT FAILED", "flow and packet"),
        ("4", "p2_l p7", "p7_l", "p1_l      172"),
        ("5", "handler4", "handler4", "handler3"),
        ("6", "vxlan", "vxlan_sys_4789", "p1_l"),
    ] {
        press(&mut state, &format!("{view}/{words}\n"));
        let shown = text(&mut state, 120, 40);
        // What is below the list is of the selected row, which it takes too.
        assert!(!rows_with(&shown, has).is_empty() && rows_with(&shown, not).is_empty(), "{words}:\n{shown}");
        assert!(shown.contains("hides"), "{shown}");
        press(&mut state, "\u{1b}");
    }
    // Each list has its own.
    press(&mut state, "2/p7\n4");
    assert!(!text(&mut state, 80, 24).contains("hides"));
    press(&mut state, "2");
    assert!(text(&mut state, 80, 24).contains("/p7 hides"));
}

#[test]
fn a_filter_follows_what_changes() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(3, STORM));
    let mut state = state(Choice::Dark, false, events);
    press(&mut state, "4/p7_l\n");
    let count = |shown: &str| -> (usize, usize) {
        let (of, hides) = shown.lines().nth(3).and_then(|title| title.split_once("hides")).expect("a filter");
        let digits =
            |words: &str| words.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a number");
        (digits(of.split('·').next().unwrap_or_default()), digits(hides.split('·').next().unwrap_or_default()))
    };
    let before = count(&text(&mut state, 80, 24));
    state.take(FromSource::Events(host.seconds(3, STORM)));
    let after = count(&text(&mut state, 80, 24));
    assert_eq!(before.0 + before.1, 720);
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
    // Enter opens what is marked, not what was selected before the filter hid it.
    press(&mut state, "\u{1b}/p1_l\n\n");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("in by p1_l"), "{shown}");
    press(&mut state, "\u{1b}\u{1b}/p7_l\n\n");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("in by p7_l"), "{shown}");
}

#[test]
fn storm_says_since_when_and_how_much_over_the_last_minutes() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(130, BUSY));
    events.extend(host.seconds(10, STORM));
    let mut state = state(Choice::Auto, false, events);
    insta::assert_snapshot!("storm_after_minutes_80x24", text(&mut state, 80, 24));
    press(&mut state, "z");
    let map = text(&mut state, 120, 40);
    assert!(map.contains("p50 1.") && map.contains("last 10 s") && !map.contains("who makes"), "{map}");
    press(&mut state, "z");
    assert!(text(&mut state, 120, 40).contains("who makes"));
}

#[test]
fn a_packets_bytes_are_shown_on_demand() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "4\n");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("IPv4") && !shown.contains("0000  02 00") && shown.contains("x hex"), "{shown}");
    press(&mut state, "x");
    insta::assert_snapshot!("packet_hex_80x24", dump(&mut state, 80, 24));
    press(&mut state, "x");
    assert!(!text(&mut state, 80, 24).contains("0000  02 00"));
}

#[test]
fn an_empty_list_says_why_and_what_to_do() {
    let off = |name: &str| Capability {
        name: name.to_owned(),
        state: CapabilityState::Off,
        probe: String::new(),
        why: "--track off".to_owned(),
        cost: None,
    };
    let mut host = Host::default();
    let mut events = host.begin();
    let capabilities = ["packet_end", "upcall", "upcall_recv"].map(off).to_vec();
    events.push(Event::host(0, Body::Probes { capabilities }));
    events.extend(host.seconds(3, STORM).into_iter().filter(|event| event.packet.is_none()));
    let mut state = state(Choice::Auto, false, events);
    for view in ["3", "4", "5"] {
        press(&mut state, view);
        let shown = text(&mut state, 80, 24);
        assert!(shown.contains("because of --track off: start without it"), "{shown}");
    }
    let mut events = host.begin();
    events.push(Event::host(u64::MAX / 4, Body::Datapaths { datapaths: Vec::new() }));
    events.extend(host.seconds(1, QUIET).into_iter().filter(|event| matches!(event.body, Body::Counters(_))));
    events.retain(|event| !matches!(event.body, Body::Datapaths { ref datapaths } if !datapaths.is_empty()));
    let mut state = drawn::state(Choice::Auto, false, events);
    press(&mut state, "4");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("no datapath on this host"), "{shown}");
}

#[test]
fn every_list_at_every_size_with_its_styles() {
    let mut state = state(Choice::Dark, false, storm());
    let views =
        [("2", "flows"), ("3", "upcalls"), ("4", "packets"), ("5", "handlers"), ("6", "ports"), ("7", "probes")];
    for (key, view) in views {
        press(&mut state, key);
        for (width, height) in [(80, 24), (120, 40), (200, 60)] {
            let shown = dump(&mut state, width, height);
            insta::assert_snapshot!(format!("{view}_dark_{width}x{height}"), shown);
        }
    }
}

thread_local! {
    static STATES: RefCell<Vec<State>> =
        RefCell::new([storm(), Vec::new()].map(|events| state(Choice::Auto, false, events)).into());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_way_through_the_views_and_any_filter_draws_without_a_panic(
        width in 60u16..=220,
        height in 16u16..=70,
        which in 0usize..2,
        keys in "[1-7\n\u{1b}jkgGsSxzvPFH/p_u0é\u{8}]{0,20}",
    ) {
        STATES.with_borrow_mut(|states| {
            let state = &mut states[which];
            press(state, &keys);
            drawn::frame(state, width, height);
            press(state, "\u{1b}\u{1b}\u{1b}1");
        });
    }
}
