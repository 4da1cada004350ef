//! Every view in every situation as text, and in every theme as styles: a file for each, so that what a change does to all
//! of them is seen side by side.

use std::fmt::Write as _;

use ovscope::{
    app::{source::FromSource, state::State},
    event::{Body, DaemonState, Event},
    ui::{Choice, Depth, Mode, Theme, View},
};

use crate::{
    drawn::{Names, frame, press, runs, state, text_of},
    losing,
    made_up::{Host, QUIET},
    storm,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// What leads to each view, and into what opens in some.
const PLACES: [(&str, &str); 13] = [
    ("Storm", "1"),
    ("Storm, a talker selected", "1jjjj"),
    ("Storm, latency", "1z"),
    ("Storm, verdicts", "v"),
    ("Flows", "v2"),
    ("a flow", "2\n"),
    ("Upcalls", "\u{1b}3"),
    ("Packets", "4"),
    ("a packet", "4jj\njj"),
    ("Handlers", "\u{1b}5"),
    ("Ports", "6"),
    ("Probes", "7"),
    ("help", "?"),
];

/// The text of every view.
fn views(state: &mut State, (width, height): (u16, u16)) -> String {
    let mut out = String::new();
    for view in View::ALL {
        press(state, &(view.index() + 1).to_string());
        let _ = writeln!(out, "\n══ {}\n{}", view.title(), text_of(&frame(state, width, height)));
    }
    out
}

/// The styles of every place.
fn styles(theme: Theme, (width, height): (u16, u16)) -> String {
    let mut state = State::new(Mode::Live, theme, false);
    state.take(FromSource::Events(losing()));
    let (mut names, mut out) = (Names::default(), String::new());
    for (place, keys) in PLACES {
        press(&mut state, keys);
        let _ = writeln!(out, "\n══ {place}{}", runs(&frame(&mut state, width, height), &mut names));
    }
    format!("{}{out}", names.legend())
}

#[test]
fn every_theme_styles_every_view() {
    for (name, choice, depth) in [
        ("dark", Choice::Dark, Depth::Indexed),
        ("light", Choice::Light, Depth::Indexed),
        ("colour_blind", Choice::ColourBlind, Depth::Indexed),
        ("mono", Choice::Mono, Depth::Indexed),
        ("sixteen", Choice::Auto, Depth::Sixteen),
        ("true_colour", Choice::Auto, Depth::True),
    ] {
        for size in SIZES {
            let name = format!("theme_{name}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(name, styles(Theme::with(choice, depth), size));
        }
    }
}

#[test]
fn every_view_in_every_situation() {
    let mut quiet = Host::default();
    let mut idle = quiet.begin();
    idle.extend(quiet.seconds(5, QUIET));
    let mut gone = losing();
    let now = gone.iter().map(|event| event.ts).max().expect("events");
    let why = "no socket in /run/openvswitch: is ovs-vswitchd running?".to_owned();
    gone.push(Event::host(now, Body::Daemon(DaemonState::Down { why })));
    for (name, ascii, events) in [
        ("nothing_at_all", false, Vec::new()),
        ("before_any_packet", false, Host::default().begin()),
        ("quiet", false, idle),
        ("storm", false, storm()),
        ("storm_in_ascii", true, storm()),
        ("without_a_daemon", false, gone),
    ] {
        for size in SIZES {
            let name = format!("{name}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(name, views(&mut state(Choice::Mono, ascii, events.clone()), size));
        }
    }
}
