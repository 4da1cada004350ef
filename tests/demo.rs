//! The program itself on a real terminal (a pty): the bundled recording of a real storm.

mod pty;

use std::path::Path;

use pty::Screen;

fn demo(size: (u16, u16)) -> Screen {
    Screen::start(Path::new(env!("CARGO_BIN_EXE_ovscope")), &["demo"], size)
}

#[test]
fn the_demo_shows_a_storm_its_flows_and_its_packets_and_leaves_the_terminal_whole() {
    for size in [(80, 24), (120, 40)] {
        let mut screen = demo(size);
        screen.wait_until("the alternate screen", vt100::Screen::alternate_screen);
        screen.wait_for("p50");
        // Eight times as fast, to the storm in its middle.
        screen.press(">>>");
        screen.wait_for("STORM");
        screen.wait_for("p4_l");
        screen.press("2");
        screen.wait_for("hits/s");
        screen.press("4");
        screen.wait_for("172.200.0.4");
        screen.press("\r");
        screen.wait_for("flow_lookup");
        screen.press("?");
        screen.wait_for("the next view");
        screen.press("q");
        let (_, status) = screen.ended();
        assert!(status.success(), "{status:?}");
    }
}

#[test]
fn another_size_is_followed_at_once() {
    let mut screen = demo((80, 24));
    screen.wait_for("1 Storm");
    screen.resize(30, 8);
    screen.wait_until("what it needs", |s| !s.contents().contains("1 Storm") && s.contents().contains("60"));
    screen.resize(120, 40);
    screen
        .wait_until("the hints on the last line", |s| s.contents().lines().nth(39).is_some_and(|l| l.contains("help")));
    screen.press("q");
    screen.ended();
}
