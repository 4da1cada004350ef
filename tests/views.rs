//! What the views show of a made-up host, and what keys make of it: what is open stays, filters, orders, ways from one
//! view to another.

mod drawn;
#[allow(dead_code, reason = "shared with other tests")]
mod made_up;

use drawn::{press, state, text};
use made_up::{BUSY, Host, QUIET, STORM, Weather};
use ovscope::{
    app::source::FromSource,
    event::{Body, Event, Session},
    ui::Choice,
};

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
fn an_open_upcall_and_an_open_flow_stay_too() {
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
