//! What is the same in every view: help, the actions by name, what is copied, the mouse, the themes.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod drawn;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod made_up;

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use drawn::{code, frame, key, text};
use made_up::{BUSY, Host, LOSING};
use ovscope::{
    app::{
        actions::ACTIONS,
        keys::{Key, Keymap},
        source::FromSource,
        state::{Effect, State},
    },
    ui::{Choice, Depth, Mode, Theme, View},
};

fn state(theme: Theme, ascii: bool) -> State {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(20, BUSY));
    events.extend(host.seconds(5, LOSING));
    let mut state = State::new(Mode::Live, theme, ascii);
    state.take(FromSource::Events(events));
    state
}

fn press_one(state: &mut State, code: KeyCode) -> Effect {
    let effect = key(state, code);
    frame(state, 80, 24);
    effect
}

fn press(state: &mut State, keys: &str) -> Effect {
    keys.chars().fold(Effect::Nothing, |_, c| press_one(state, code(c)))
}

fn mouse(state: &mut State, kind: MouseEventKind, column: u16, row: u16) -> Effect {
    let effect = state.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    frame(state, 80, 24);
    effect
}

#[test]
fn the_help_is_whole_at_80x24() {
    for theme in [Theme::default(), Theme::new(Choice::Mono)] {
        let mut state = state(theme, false);
        press(&mut state, "?");
        let mut seen = String::new();
        loop {
            let shown = text(&mut state, 80, 24);
            seen.push_str(&shown);
            if !shown.contains(" more lines") {
                break;
            }
            press_one(&mut state, KeyCode::PageDown);
        }
        for entry in ACTIONS {
            assert!(seen.contains(entry.says), "«{}» is cut or missing in\n{seen}", entry.says);
        }
        assert!(seen.contains("there was no room for the rest"), "the signs are explained:\n{seen}");
    }
    let mut state = state(Theme::default(), false);
    press(&mut state, "?");
    insta::assert_snapshot!("help_80x24", text(&mut state, 80, 24));
    insta::assert_snapshot!("help_200x60", text(&mut state, 200, 60));
}

#[test]
fn every_action_is_found_by_its_name_and_done() {
    let mut state = state(Theme::default(), false);
    press(&mut state, ":");
    insta::assert_snapshot!("actions_80x24", text(&mut state, 80, 24));
    press(&mut state, "up");
    insta::assert_snapshot!("actions_up_80x24", text(&mut state, 80, 24));
    press(&mut state, "calls\n");
    assert!(text(&mut state, 80, 24).contains("how it ended"), "it goes to Upcalls");
    press(&mut state, ":record\n");
    assert!(text(&mut state, 80, 24).contains("record works only on a live datapath"));
    press(&mut state, ":\u{1b}");
    assert!(!text(&mut state, 80, 24).contains("do (Enter, or Esc)"));
    press(&mut state, ":nothing like it\n");
    assert!(text(&mut state, 80, 24).contains("no action has this in its name"));
    press(&mut state, "\u{1b}");
    assert_eq!(press(&mut state, ":quit\n"), Effect::Quit);
}

#[test]
fn other_keys_are_shown_wherever_keys_are() {
    let mut keymap = Keymap::default();
    let help = ACTIONS.iter().find(|entry| entry.name == "help").expect("there is help");
    keymap.rebind(help.action, vec!["F1".parse::<Key>().expect("a key")]);
    let mut state = state(Theme::default(), false).with_keys(keymap);
    assert!(text(&mut state, 80, 24).contains("F1 help"));
    press(&mut state, "?");
    assert!(!text(&mut state, 80, 24).contains("everywhere"));
    press_one(&mut state, KeyCode::F(1));
    assert!(text(&mut state, 80, 24).contains("F1         what the keys do"));
    press(&mut state, ":help");
    assert!(text(&mut state, 80, 24).contains("help  F1"));
}

#[test]
fn a_note_gives_the_keys_their_line_back_and_a_failure_stays() {
    let mut host = Host::default();
    let mut state = State::new(Mode::Live, Theme::default(), false);
    let mut events = host.begin();
    events.extend(host.seconds(5, BUSY));
    state.take(FromSource::Events(events));
    let last = |state: &mut State| text(state, 80, 24).lines().last().expect("a line").to_owned();
    press(&mut state, "y");
    for seconds in [1, 8, 2] {
        assert!(last(&mut state).contains("copied"), "{}", last(&mut state));
        state.take(FromSource::Events(host.seconds(seconds, BUSY)));
    }
    assert!(last(&mut state).contains("q quit"), "{}", last(&mut state));
    state.tell("▲ it failed".to_owned());
    state.take(FromSource::Events(host.seconds(30, BUSY)));
    assert!(last(&mut state).contains("it failed"));
    press(&mut state, "2");
    assert!(last(&mut state).contains("q quit"));
}

#[test]
fn a_replay_says_how_to_go_in_as_well_as_how_to_go_in_time() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, LOSING));
    let (playback, _commands) = tokio::sync::mpsc::channel(1);
    let mode = Mode::Replay { file: "a-recording-with-a-long-name-of-a-host-and-a-time-kept.mcap".to_owned() };
    let mut state = State::new(mode, Theme::default(), false).with(None, Some(playback), None);
    state.take(FromSource::Events(events));
    state.take(FromSource::Ended(Ok(())));
    for (keys, hints) in [
        ("1", " Enter open  v verdicts  Space pause  [ -1 s  ] +1 s"),
        ("4\n", " Esc back  Space pause  [ -1 s  ] +1 s"),
    ] {
        press(&mut state, keys);
        let shown = text(&mut state, 80, 24);
        assert!(shown.lines().last().is_some_and(|line| line.starts_with(hints)), "{shown}");
        assert!(shown.contains("ends here"), "the name of the file is cut, and not this: {shown}");
    }
}

#[test]
fn what_is_selected_is_copied_as_text() {
    let mut state = state(Theme::default(), false);
    for (keys, what, parts) in [
        ("1y", "the view Storm", &["LOSING UPCALLS", "p50", "p1_l"][..]),
        ("2jy", "flow ", &["flow  ufid", "hits", "megaflow"]),
        ("3jy", "upcall #", &["how it ended", "flow_lookup", "upcall_enqueue"]),
        ("4jjy", "packet #", &["netif_receive_skb", "flow_lookup", "+0.000 ms", "IPv4", "0010 "]),
        ("5y", "handler handler3/130", &["thread", "upcalls/s", "handler3/130"]),
        ("6y", "port p1_l", &["port", "upcalls/s", "p1_l", "netdev"]),
        ("7y", "the view Probes", &["skb_scrub_packet", "this kernel has inlined"]),
    ] {
        assert_eq!(press(&mut state, keys), Effect::Copy, "{keys}");
        let note = text(&mut state, 80, 24).lines().last().expect("a line").to_owned();
        assert!(note.contains(&format!("copied {what}")), "{keys}: {note}");
        let copied = state.copied().expect("text");
        assert!(note.contains(&format!("{} lines, {} bytes", copied.lines().count(), copied.len())), "{note}");
        assert!(copied.chars().all(|c| c == '\n' || !c.is_control()), "{copied}");
        for part in parts {
            assert!(copied.contains(part), "{keys}: no «{part}» in\n{copied}");
        }
        assert!(state.copied().is_none(), "it is copied once");
    }
    // Open, it is the same thing; and looking has changed nothing.
    press(&mut state, "4");
    let list = text(&mut state, 80, 24);
    press(&mut state, "y");
    let copied = state.copied();
    press(&mut state, "\ny");
    assert_eq!(state.copied(), copied);
    press(&mut state, "\u{1b}");
    let rows = |shown: &str| shown.lines().take(23).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&text(&mut state, 80, 24)), rows(&list));
    let mut empty = State::new(Mode::Live, Theme::default(), false);
    assert_eq!(press(&mut empty, "4y"), Effect::Draw);
    assert!(text(&mut empty, 80, 24).contains("there is nothing to copy here"));
}

#[test]
fn the_mouse_goes_to_views_and_rows() {
    let mut state = state(Theme::default(), false);
    frame(&mut state, 80, 24);
    let click = MouseEventKind::Down(MouseButton::Left);
    for view in View::ALL {
        let shown = text(&mut state, 80, 24);
        let tabs = shown.lines().nth(1).expect("a line").to_owned();
        let title = &view.title()[..3];
        let x = tabs.find(title).unwrap_or_else(|| panic!("{title} in {tabs}")) as u16;
        assert_eq!(mouse(&mut state, click, x, 1), Effect::Draw);
        let shown = text(&mut state, 80, 24);
        assert!(shown.lines().nth(1).is_some_and(|tabs| tabs.contains(view.title())), "{shown}");
    }
    mouse(&mut state, click, 35, 1);
    let chosen = |state: &mut State| text(state, 80, 24).lines().position(|line| line.starts_with('▸'));
    let first = chosen(&mut state).expect("a row");
    let at = |row: usize| u16::try_from(row).expect("a row");
    assert_eq!(mouse(&mut state, click, 20, at(first + 9)), Effect::Draw);
    assert_eq!(chosen(&mut state), Some(first + 9));
    mouse(&mut state, click, 20, at(first + 2));
    assert_eq!(chosen(&mut state), Some(first + 2));
    mouse(&mut state, MouseEventKind::ScrollDown, 1, 1);
    assert_eq!(chosen(&mut state), Some(first + 5));
    mouse(&mut state, MouseEventKind::ScrollUp, 1, 1);
    assert_eq!(chosen(&mut state), Some(first + 2));
    // Neither the headings nor the last line are rows, and while something is written the mouse rests.
    assert_eq!(mouse(&mut state, click, 20, at(first - 1)), Effect::Nothing);
    assert_eq!(mouse(&mut state, click, 20, 23), Effect::Nothing);
    press(&mut state, ":");
    assert_eq!(mouse(&mut state, click, 5, 1), Effect::Nothing);
}

#[test]
fn the_themes_differ_in_colours_alone() {
    let plain = text(&mut state(Theme::default(), false), 80, 24);
    for choice in [Choice::Auto, Choice::Dark, Choice::Light, Choice::ColourBlind, Choice::Mono] {
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            let theme = Theme::with(choice, depth);
            assert_eq!(text(&mut state(theme, false), 80, 24), plain, "{choice:?} {depth:?}");
        }
    }
}

#[test]
fn the_smallest_screen_there_is_has_every_view() {
    let mut state = state(Theme::default(), false);
    for view in "1234567?:".chars() {
        press(&mut state, &view.to_string());
        let shown = text(&mut state, 60, 15);
        assert!(shown.contains("q quit") || shown.contains("do (Enter"), "view {view}:\n{shown}");
    }
    assert!(text(&mut state, 60, 14).starts_with("ovscope needs 60×15, this is 60×14"));
}
