//! Ways from one view to another, and back.

use std::path::Path;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ovscope::{
    event::{Body, Event},
    model::{Cause, Culprit, Model},
    record::Reader,
    ui::{Choice, who},
};

use crate::{
    drawn::{press, state, text},
    rows_with, storm,
};

#[test]
fn storm_leads_to_the_upcalls_of_whom_is_marked_and_esc_leads_back() {
    let mut state = state(Choice::Auto, false, storm());
    // Before them stand the two that the verdict names.
    press(&mut state, "jj");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("▸in port"), "{shown}");
    press(&mut state, "\n");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("/=p1_l hides") && rows_with(&shown, "p7_l").is_empty(), "{shown}");
    press(&mut state, "\n");
    assert!(text(&mut state, 120, 40).contains("upcall_recv"), "its packet");
    press(&mut state, "\u{1b}\u{1b}");
    assert!(text(&mut state, 120, 40).contains("who makes them"), "back in Storm");
    press(&mut state, "3");
    assert!(!text(&mut state, 120, 40).contains("hides"), "the filter went with the way back");
    // The marked one keeps its mark while the rows change, and another leads elsewhere.
    press(&mut state, "1jj");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("▸from     ") || shown.contains("▸from"), "{shown}");
    press(&mut state, "\n");
    assert!(text(&mut state, 120, 40).contains("/172.200.0.1 udp hides"));
    press(&mut state, "\u{1b}jj\n");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("/=ok hides 0") && !rows_with(&shown, "p1_l").is_empty(), "{shown}");
    press(&mut state, "\u{1b}G");
    assert!(text(&mut state, 120, 40).contains("▸made on   cpu 0"));
    press(&mut state, "\n");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("/=cpu_0 hides 0") && !rows_with(&shown, "p1_l").is_empty(), "{shown}");
}

#[test]
fn an_upcall_leads_to_its_packet_its_flow_and_its_handler() {
    let mut state = state(Choice::Auto, false, storm());
    for (key, there) in [("P", "total "), ("F", "flow  ufid"), ("H", "▸handler3/130")] {
        press(&mut state, "3");
        press(&mut state, key);
        let shown = text(&mut state, 120, 40);
        assert!(shown.contains(there), "{key}: {shown}");
        press(&mut state, "\u{1b}");
        assert!(text(&mut state, 120, 40).contains("upcalls  "), "Esc comes back from {key}");
    }
    // From a flow to its packet, on to its handler, and all the way back.
    press(&mut state, "2jPH");
    assert!(text(&mut state, 120, 40).contains("handlers  "));
    press(&mut state, "\u{1b}");
    assert!(text(&mut state, 120, 40).contains("flow_lookup"));
    press(&mut state, "\u{1b}");
    assert!(text(&mut state, 120, 40).contains("flows  "));
    press(&mut state, "H");
    assert!(text(&mut state, 120, 40).contains("▸handler3/130"), "of a flow that of its last packet");
}

#[test]
fn a_port_and_a_handler_lead_to_their_upcalls() {
    let mut state = state(Choice::Auto, false, storm());
    for (view, words, back) in [("6", "/=p1_l hides", "ports  "), ("5", "/=handler3/130 hides", "handlers  ")] {
        press(&mut state, &format!("{view}\n"));
        let shown = text(&mut state, 120, 40);
        assert!(shown.contains(words) && !rows_with(&shown, "p1_l").is_empty(), "{shown}");
        assert!(rows_with(&shown, "p7_l").is_empty() && rows_with(&shown, "handler4").is_empty(), "{shown}");
        press(&mut state, "\u{1b}");
        let shown = text(&mut state, 120, 40);
        assert!(shown.contains(back) && shown.contains("Enter open"), "{shown}");
    }
}

#[test]
fn what_lost_no_upcall_hides_those_that_did() {
    let mut host = crate::made_up::Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, crate::made_up::LOSING));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "3/=ok\n");
    let shown = text(&mut state, 200, 60);
    assert!(rows_with(&shown, "LOST").is_empty() && !shown.contains("hides 0"), "{shown}");
    press(&mut state, "\u{1b}/=eagain\n");
    let shown = text(&mut state, 200, 60);
    assert!(rows_with(&shown, "flow and packet").is_empty() && !rows_with(&shown, "LOST").is_empty(), "{shown}");
}

#[test]
fn whom_the_verdict_names_is_a_click_or_a_key_away() {
    let mut state = state(Choice::Auto, false, storm());
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("who ▸field udp_src   port p1_l"), "{shown}");
    press(&mut state, "\n");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("flow  ufid"), "a flow that matches the field:\n{shown}");
    press(&mut state, "\u{1b}j\n");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("ports  ") && shown.contains("▸p1_l"), "{shown}");
    press(&mut state, "\u{1b}");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("  field udp_src  ▸port p1_l"), "it is still selected: {shown}");
    let mut click = |words: &str| {
        let shown = text(&mut state, 80, 24);
        let (row, line) = shown.lines().enumerate().find(|(_, line)| line.contains(words)).expect(words);
        let column = line[..line.find(words).expect(words)].chars().count() as u16;
        let kind = MouseEventKind::Down(MouseButton::Left);
        state.mouse(MouseEvent { kind, column, row: row as u16, modifiers: KeyModifiers::NONE });
        text(&mut state, 80, 24)
    };
    assert!(click("field udp_src").contains("▸field udp_src"));
    assert!(click("outcome   ok").contains("▸outcome   ok"));
    assert!(click("port p1_l").contains("▸port p1_l"));
}

/// What was recorded of a cause, up to when it was named.
fn named(cause: Cause) -> Option<(Vec<Event>, Model)> {
    let path = Path::new("tests/verdicts").join(cause.name().replace('-', "_")).with_extension("mcap");
    let mut model = Model::default();
    let mut events = Vec::new();
    for event in Reader::open(&path).ok()?.flat_map(|batch| batch.expect("it is whole")) {
        model.apply(&event);
        let is_count = matches!(event.body, Body::Counters(_));
        events.push(event);
        if is_count && model.verdicts().first().is_some_and(|worst| worst.cause == cause) {
            return Some((events, model));
        }
    }
    panic!("{cause} is not named");
}

#[test]
fn every_culprit_of_every_recorded_cause_leads_to_what_it_is_and_back() {
    let mut met = 0;
    for cause in Cause::ALL {
        let Some((events, model)) = named(*cause) else { continue };
        let mut state = state(Choice::Auto, false, events);
        let verdicts = model.verdicts();
        for (at, culprit) in who::culprits(&verdicts).iter().enumerate() {
            press(&mut state, &format!("1g{}\n", "j".repeat(at)));
            let shown = text(&mut state, 120, 40);
            let there = match culprit {
                Culprit::Port(..) => "ports  ",
                Culprit::Talker(_) => "upcalls  ",
                Culprit::Handler(_) => "handlers  ",
                // One that was put by hand may have no UFID.
                Culprit::Flow(_) if shown.contains("flow  known by its key alone") => {
                    "flow  known by its key alone, no ufid"
                }
                Culprit::Field(_) | Culprit::Flow(_) => "flow  ufid",
            };
            assert!(shown.contains(there), "{cause}, {culprit:?}:\n{shown}");
            assert!(!shown.contains("no row has"), "{cause}, {culprit:?}:\n{shown}");
            press(&mut state, "\u{1b}");
            assert!(text(&mut state, 120, 40).contains("who makes them"), "{cause}: Esc leads back");
            met += 1;
        }
    }
    assert!(met >= 15, "{met} culprits");
}
