//! The screen on a real terminal (a pty): however it is left, the terminal is whole again.

mod pty;

use std::path::PathBuf;

use nix::sys::signal::Signal;
use pty::{LONG, Screen};

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
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let mut screen = start(&["quiet"]);
    screen.wait_for("lookups");
    screen.press("\u{1a}");
    let mut given_back = false;
    while !given_back {
        let bytes = screen.output.recv_timeout(LONG).expect("it gives the terminal back");
        for byte in bytes {
            screen.terminal.process(&[byte]);
            given_back |= !screen.terminal.screen().alternate_screen();
        }
    }
    // In a session of its own nobody could wake it, so the kernel does not stop it; else this does.
    screen.signal(Signal::SIGCONT);
    screen.wait_for("lookups");
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
