//! The list of all verdicts: those that stand, those that are over, and what each rests on.

use ovscope::{
    event::Event,
    model::{Cause, Limits, Model, Severity},
    ui::{Choice, verdicts},
};

use crate::{
    drawn::{dump, press, state, text},
    made_up::{BUSY, Host, LOSING, QUIET, STORM, Weather},
};

fn weather(parts: &[(usize, Weather)]) -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    for (seconds, weather) in parts {
        events.extend(host.seconds(*seconds as _, *weather));
    }
    events
}

/// Two that stand.
fn losing() -> Vec<Event> {
    weather(&[(5, BUSY), (8, LOSING)])
}

/// The same, and a while after it.
fn over() -> Vec<Event> {
    weather(&[(5, BUSY), (8, LOSING), (20, QUIET)])
}

fn model(events: &[Event], limits: Limits) -> Model {
    let mut model = Model::new(limits);
    model.apply_all(events);
    model
}

#[test]
fn what_is_over_is_kept_as_it_was_when_it_was_worst() {
    let stood = model(&losing(), Limits::default()).verdicts();
    assert!(stood.len() > 1 && stood[0].severity == Severity::Critical, "{stood:?}");
    let after = model(&over(), Limits::default());
    assert!(after.verdicts().is_empty());
    let past: Vec<_> = after.past_verdicts().collect();
    for verdict in &stood {
        let of = past.iter().find(|past| past.verdict.id() == verdict.id()).unwrap_or_else(|| panic!("{verdict:?}"));
        assert!(of.verdict.severity >= verdict.severity && of.verdict.culprits == verdict.culprits, "{of:?}");
        assert!(of.until > verdict.since && !of.by_counters, "{of:?}");
    }
    assert!(past.is_sorted_by_key(|past| std::cmp::Reverse(past.until)), "the last to end comes first");
}

#[test]
fn what_only_the_counters_tell_of_says_so() {
    let events: Vec<Event> = over().into_iter().filter(|event| event.packet.is_none()).collect();
    let after = model(&events, Limits::default());
    assert!(after.past_verdicts().len() > 0 && after.past_verdicts().all(|past| past.by_counters));
    let mut state = state(Choice::Auto, false, events);
    press(&mut state, "v");
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("nothing but the counters is known of that time"), "{shown}");
}

#[test]
fn the_oldest_goes_first_and_is_counted() {
    let events = weather(&[(8, LOSING), (20, QUIET), (8, STORM), (20, QUIET)]);
    let all = model(&events, Limits::default());
    let few = model(&events, Limits { verdicts: 1, ..Limits::default() });
    let (all, kept): (Vec<_>, Vec<_>) = (all.past_verdicts().collect(), few.past_verdicts().collect());
    assert!(all.len() > 2, "{all:?}");
    assert_eq!((kept.len(), kept[0]), (1, all[0]));
    assert_eq!(few.evicted().verdicts as usize, all.len() - 1);
    let none = model(&events, Limits { verdicts: 0, ..Limits::default() });
    assert_eq!(none.past_verdicts().len(), 1, "a bound of 0 is taken as 1");
}

#[test]
fn the_list_at_every_size() {
    let mut stand = state(Choice::Auto, false, losing());
    press(&mut stand, "v");
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("verdicts_{width}x{height}"), dump(&mut stand, width, height));
    }
    let mut gone = state(Choice::Mono, true, over());
    press(&mut gone, "v");
    insta::assert_snapshot!("verdicts_over_ascii_80x24", dump(&mut gone, 80, 24));
    let mut nothing = state(Choice::Auto, false, weather(&[(5, QUIET)]));
    press(&mut nothing, "v");
    let shown = text(&mut nothing, 80, 24);
    assert!(shown.contains("nothing is wrong, and nothing was since 11:04:31"), "{shown}");
    let mut waiting = state(Choice::Auto, false, Vec::new());
    press(&mut waiting, "v");
    assert!(text(&mut waiting, 80, 24).contains("waiting for the first counters"));
}

#[test]
fn whom_any_verdict_names_is_a_key_away_and_esc_leads_back_to_it() {
    let events = losing();
    let all = verdicts::all(&model(&events, Limits::default()));
    let choices = verdicts::choices(&all);
    assert!(all.len() > 1 && choices.len() > all.len(), "{all:?}");
    let mut state = state(Choice::Auto, false, events);
    assert!(text(&mut state, 80, 24).contains("v verdicts"));
    press(&mut state, "v");
    let mut shown = text(&mut state, 80, 24);
    for (at, _) in choices.iter().enumerate() {
        assert!(shown.contains("Enter open"), "{shown}");
        press(&mut state, "\n");
        let there = text(&mut state, 80, 24);
        assert!(!there.contains("verdicts  2 now"), "{at}: {there}");
        press(&mut state, "\u{1b}");
        assert_eq!(text(&mut state, 80, 24), shown, "{at}");
        press(&mut state, "j");
        let next = text(&mut state, 80, 24);
        assert_eq!(next == shown, at + 1 == choices.len(), "{at}: {next}");
        shown = next;
    }
    press(&mut state, "g");
    assert!(text(&mut state, 80, 24).contains("▸▲ critical"));
    press(&mut state, "z");
    assert!(text(&mut state, 80, 24).contains("upcall time, the whole way"), "the other page of Storm");
    press(&mut state, "vv");
    assert!(text(&mut state, 80, 24).contains("who makes them"));
    press(&mut state, "v\u{1b}");
    assert!(text(&mut state, 80, 24).contains("who makes them"));
}

#[test]
fn all_that_a_verdict_rests_on_is_read_on_a_small_screen_and_copied() {
    let mut state = state(Choice::Auto, false, losing());
    press(&mut state, "v");
    let verdict = model(&losing(), Limits::default()).verdicts().remove(0);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let mut seen = String::new();
    for _ in 0..20 {
        let shown = text(&mut state, 60, 15);
        seen.push_str(&shown);
        if !shown.contains(" more lines") {
            break;
        }
        state.key(crossterm::event::KeyEvent::from(crossterm::event::KeyCode::PageDown));
    }
    // Lines are broken anywhere: what a verdict says begins somewhere.
    let begins = |text: &str| text.chars().take(30).collect::<String>();
    for part in verdict.figures.iter().map(|figure| figure.text.as_str()).chain(verdict.tries.iter().copied()) {
        assert!(words(&seen).contains(begins(part).trim_end()), "«{part}» in\n{seen}");
    }
    press(&mut state, "y");
    let copied = state.copied().expect("text");
    for part in verdict.tries {
        assert!(words(&copied).contains(part), "«{part}» in\n{copied}");
    }
    assert!(text(&mut state, 80, 24).contains("copied the verdicts"));
}

#[test]
fn it_is_known_by_its_cause_and_begin_when_it_is_over() {
    let mut state = state(Choice::Auto, false, losing());
    press(&mut state, "vG");
    let last = model(&losing(), Limits::default()).verdicts().pop().expect("a verdict");
    assert_ne!(last.cause, Cause::Unknown);
    let selected = |shown: &str| shown.lines().find(|line| line.starts_with('▸')).map(|line| line[..24].to_owned());
    let before = selected(&text(&mut state, 120, 40)).expect("one is selected");
    let later = over().into_iter().skip(losing().len()).collect();
    state.take(ovscope::app::source::FromSource::Events(later));
    let shown = text(&mut state, 120, 40);
    assert!(shown.contains("0 now"), "{shown}");
    assert_eq!(selected(&shown), Some(before), "{shown}");
}
