//! A recording that comes through a pipe, on a real terminal (a pty): `ssh host ovscope record -o - | ovscope replay -`.

mod pty;

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::mpsc::{Sender, channel},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use pty::Screen;

/// A replay behind a pipe into which half of a recording goes, and the rest when it is asked for; hung up on, the pipe ends
/// there. The folder goes with the last of these.
fn replay() -> (Screen, Sender<()>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipe");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe");
    let command = format!("cat '{}' | '{}' replay -", path.display(), env!("CARGO_BIN_EXE_ovscope"));
    let screen = Screen::start(Path::new("/bin/sh"), &["-c", &command], (80, 24));
    let (ask, asked) = channel();
    std::thread::spawn(move || {
        let recording = fs::read("src/app/demo.mcap").expect("it is there");
        let (half, rest) = recording.split_at(recording.len() / 2);
        let mut into = File::options().write(true).open(path).expect("who reads opens it");
        into.write_all(half).expect("it is read");
        if asked.recv().is_ok() {
            // Who has seen enough goes.
            let _ = into.write_all(rest);
        }
    });
    (screen, ask, folder)
}

#[test]
fn it_is_shown_while_it_comes_steered_by_the_keys_and_ends_with_its_end() {
    let (mut screen, ask, _folder) = replay();
    screen.wait_for("p50");
    screen.press(" ");
    screen.wait_for("PAUSED");
    screen.press(" ");
    screen.wait_until("it goes on", |s| !s.contents().contains("PAUSED"));
    ask.send(()).expect("it waits for that");
    // As fast as can be.
    screen.press(">>>>>>>>>>");
    screen.wait_for("ends here");
    screen.press("q");
    let (_, status) = screen.ended();
    assert!(status.success(), "{status:?}");
}

#[test]
fn where_the_other_end_is_gone_in_the_middle_it_says_so() {
    let (mut screen, ask, _folder) = replay();
    screen.wait_for("p50");
    drop(ask);
    screen.press(">>>>>>>>>>");
    screen.wait_for("cut off");
    screen.press("q");
    screen.ended();
}
