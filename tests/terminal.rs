//! The screen on a real terminal (a pty): however it is left, the terminal is whole again.

mod pty;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pty::{LONG, Line, Screen};

fn start(args: &[&str]) -> Screen {
    Screen::start(&program(), args, (80, 24))
}

/// `target/PROFILE/examples/screen`, beside this test's own `target/PROFILE/deps/…`.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test is a file");
    own.ancestors().nth(2).expect("in target/PROFILE/deps").join("examples/screen")
}

#[test]
fn keys_go_through_the_views_and_q_leaves() {
    let mut screen = start(&["losing"]);
    screen.wait_for("LOSING UPCALLS");
    assert!(screen.terminal.screen().alternate_screen() && screen.terminal.screen().hide_cursor());
    for (key, words) in
        [("2", "last packet"), ("\t", "how it ended"), ("\u{1b}[Z", "hits/s"), ("7", "attached"), ("?", "shift")]
    {
        screen.press(key);
        screen.wait_for(if words == "shift" { "Shift-Tab" } else { words });
    }
    screen.press("q");
    screen.ended();
}

#[test]
fn a_key_that_comes_with_another_size_is_not_lost() {
    let mut screen = start(&["quiet"]);
    screen.wait_for("lookups");
    for n in 0..40 {
        let (key, words) = if n % 2 == 0 { ("2", "last packet") } else { ("1", "who makes them") };
        screen.resize(100 + n % 2 * 20, 30);
        screen.press(key);
        screen.wait_for(words);
    }
    screen.press("q");
    screen.ended();
}

#[test]
fn ctrl_c_leaves() {
    let mut screen = start(&["empty"]);
    screen.wait_for("WAITING");
    screen.press("\u{3}");
    screen.ended();
}

#[test]
fn signals_end_it_and_leave_the_terminal_whole() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut screen = start(&["quiet"]);
        screen.wait_for("lookups");
        screen.signal(signal);
        screen.ended();
    }
}

#[test]
fn ctrl_z_without_a_shell_stops_nothing() {
    let mut screen = start(&["quiet"]);
    screen.wait_for("lookups");
    screen.press("\u{1a}");
    let mut given_back = false;
    while !given_back {
        let bytes = screen.output.recv_timeout(LONG).expect("it gives the terminal back");
        for byte in bytes {
            screen.take(&[byte]);
            given_back |= !screen.terminal.screen().alternate_screen();
        }
    }
    // In a session of its own nobody could wake it, so it goes on by itself.
    screen.wait_for("no shell here could wake it");
    assert!(screen.terminal.screen().alternate_screen());
    screen.press("q");
    screen.ended();
}

#[test]
fn a_panic_is_told_on_a_whole_terminal() {
    let mut screen = start(&["empty", "panic"]);
    screen.wait_for("panicked");
    let (told, _) = screen.ended();
    assert!(told.contains("made to panic"), "{told}");
}

#[test]
fn it_stops_for_a_shell_and_comes_back() {
    let mut shell = Screen::start(Path::new("/bin/bash"), &["--norc", "--noprofile", "-i"], (80, 24));
    // The sign must not stand in what is typed, which is shown as well.
    shell.press("PS1=ready; PS1=$PS1'$ '\n");
    shell.wait_for("ready$");
    // A pipe to it stops with it.
    shell.press(&format!("sleep 1000 | {} quiet\n", program().display()));
    shell.wait_for("lookups");
    let on_screen = |screen: &vt100::Screen| screen.alternate_screen() && screen.contents().contains("lookups");
    let own_stop: &dyn Fn(&mut Screen) = &|shell| shell.press("\u{1a}");
    let from_outside: &dyn Fn(&mut Screen) = &|shell| {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.pid())).expect("it runs");
        let last = children.split_whitespace().last().expect("two of them").parse().expect("a number");
        kill(Pid::from_raw(last), Signal::SIGTSTP).expect("a signal reaches it");
    };
    for stop in [own_stop, own_stop, from_outside, from_outside] {
        shell.wait_until("the screen", on_screen);
        stop(&mut shell);
        shell.wait_until("the shell", |screen| !screen.alternate_screen() && screen.contents().contains("Stopped"));
        assert!(!shell.terminal.screen().hide_cursor(), "the cursor is shown");
        shell.press("clear; fg\n");
    }
    shell.wait_until("the screen", on_screen);
    shell.press("q");
    shell.wait_until("the shell", |screen| !screen.alternate_screen());
    shell.press("\u{3}");
    shell.wait_for("ready$");
    shell.press("exit\n");
    shell.ended();
}

#[test]
fn without_its_terminal_it_ends_whether_it_is_told_or_not() {
    let mut line = Line::start(&program(), &["quiet"]);
    line.wait_for("lookups");
    line.hang_up().ended();
    let script = format!("trap '' HUP; {} quiet; exit 7", program().display());
    let mut line = Line::start(Path::new("/bin/sh"), &["-c", &script]);
    line.wait_for("lookups");
    let status = line.hang_up().ended();
    assert_eq!(status.exit_code(), 7, "the shell saw it end");
}

#[test]
fn it_ends_when_told_although_the_terminal_takes_nothing() {
    let mut line = Line::start(&program(), &["losing"]);
    line.wait_for("LOSING UPCALLS");
    let main = format!("/proc/{}/syscall", line.pid());
    // Until its main thread is held in the same write.
    let mut before = String::new();
    loop {
        line.press("?1");
        thread::sleep(Duration::from_millis(100));
        let now = fs::read_to_string(&main).expect("it runs");
        let writes = now.split_whitespace().nth(1) == Some("0x1");
        if writes && now == before {
            break;
        }
        before = now;
    }
    let pid = line.pid();
    let ending = line.die();
    kill(pid, Signal::SIGTERM).expect("a signal reaches it");
    assert!(ending.ended().success());
}

#[test]
fn it_writes_only_what_changes_and_clears_nothing() {
    let mut screen = start(&["storm"]);
    screen.wait_for("STORM");
    for (cols, rows) in [(120, 40), (59, 14), (100, 30)] {
        screen.resize(cols, rows);
        let words = if cols < 60 { "ovscope needs 60×15, this is 59×14" } else { "STORM" };
        screen.wait_for(words);
    }
    for key in ["2", "?", "?", "4", "\u{1b}", "1"] {
        screen.press(key);
    }
    screen.wait_for("STORM");
    let shown = String::from_utf8_lossy(&screen.shown).into_owned();
    assert!(!shown.contains("\u{1b}[2J") && !shown.contains("\u{1b}[J"), "nothing is cleared");
    let (_, updates) = shown.split_once("\u{1b}[?2026h").expect("an update");
    for update in updates.split("\u{1b}[?2026h").filter_map(|update| update.strip_suffix("\u{1b}[?2026l")) {
        assert!(update.contains("\u{1b}[") && update.ends_with('m'), "{update:?} draws");
        let drawn = update
            .split('\u{1b}')
            .any(|part| part.trim_start_matches(|c: char| c.is_ascii_digit() || ";[".contains(c)).len() > 1);
        assert!(drawn, "{update:?} draws nothing");
    }
    screen.press("q");
    screen.ended();
}

#[test]
fn the_mouse_is_taken_only_when_asked_and_given_back() {
    let mut screen = start(&["losing"]);
    screen.wait_for("LOSING UPCALLS");
    assert!(!String::from_utf8_lossy(&screen.shown).contains("[?1000h"));
    screen.press("q");
    screen.ended();
    let mut screen = start(&["losing", "mouse"]);
    screen.wait_for("LOSING UPCALLS");
    assert_eq!(screen.terminal.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::PressRelease);
    screen.press("\u{1b}[<0;12;2M\u{1b}[<0;12;2m");
    screen.wait_for("last packet");
    screen.press("\u{1b}[<0;5;8M");
    screen.wait_until("the row that was clicked on", |screen| {
        screen.rows(0, 80).nth(7).is_some_and(|row| row.starts_with('▸'))
    });
    screen.press("\u{3}");
    screen.wait_until("the mouse given back", |screen| screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None);
    screen.ended();
}

#[test]
fn what_is_copied_goes_to_the_terminal() {
    let mut screen = start(&["losing"]);
    screen.wait_for("LOSING UPCALLS");
    screen.press("6y");
    screen.wait_for("copied port p1_l");
    screen.press("q");
    let shown = String::from_utf8_lossy(&screen.shown).into_owned();
    let (_, copied) = shown.split_once("\u{1b}]52;c;").expect("a sequence");
    let (copied, _) = copied.split_once('\u{7}').expect("its end");
    let text = STANDARD.decode(copied).expect("base64");
    let text = String::from_utf8(text).expect("text");
    assert!(text.lines().count() == 2 && text.contains("upcalls/s") && text.contains("p1_l"), "{text}");
    screen.ended();
}

#[test]
fn the_configuration_says_which_keys_do_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("c.toml");
    fs::write(&file, "[options]\ntheme = \"mono\"\n[keys]\nquit = \"X\"\nhelp = \"F1\"\n").expect("room");
    let ovscope = Path::new(env!("CARGO_BIN_EXE_ovscope"));
    let mut screen = Screen::start(ovscope, &["demo", "--config", &file.to_string_lossy()], (80, 24));
    screen.wait_for("F1 help");
    screen.press("q?\u{1b}OP");
    screen.wait_for("everywhere");
    assert!(!String::from_utf8_lossy(&screen.shown).contains("[38;5;"), "mono has no colours");
    screen.press("X");
    screen.ended();
    fs::write(&file, "[keys]\nhlep = \"F1\"\n").expect("room");
    let mut screen = Screen::start(ovscope, &["demo", "--config", &file.to_string_lossy()], (200, 24));
    screen.wait_for("c.toml:2: keys.hlep: there is no such action: did you mean help?");
    let (_, status) = screen.ended();
    assert_eq!(status.exit_code(), 2);
}
