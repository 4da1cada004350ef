//! The screen on a real terminal (a pty): however it is left, the terminal is whole again.

use std::{
    io::{Read, Write},
    path::PathBuf,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Longer than anything here takes: a test that waits for so long has failed.
const LONG: Duration = Duration::from_secs(60);

/// The screen of `examples/screen.rs` in a pty, and a terminal that shows it.
struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    terminal: vt100::Parser,
}

impl Screen {
    fn start(args: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 80, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(program());
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        command.env_remove("NO_COLOR");
        let child = pty.slave.spawn_command(command).expect("examples/screen.rs is built with the tests");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("its output");
        let (to, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if to.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pty.master.take_writer().expect("its input");
        Self { child, master: pty.master, keys, output, terminal: vt100::Parser::default() }
    }

    /// Reads until the terminal shows it.
    fn wait_for(&mut self, words: &str) {
        while !self.terminal.screen().contents().contains(words) {
            let bytes = self.output.recv_timeout(LONG);
            let bytes = bytes.unwrap_or_else(|_| panic!("no «{words}» in\n{}", self.terminal.screen().contents()));
            self.terminal.process(&bytes);
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads keys");
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.process_id().expect("it runs");
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("a signal reaches it");
    }

    /// Waits for its end; the terminal must be as it was.
    fn ended(mut self) -> String {
        let raw = |screen: &Self| {
            let modes = screen.master.get_termios().expect("a pty has modes");
            !format!("{:?}", modes.local_flags).contains("ICANON")
        };
        let status = self.child.wait().expect("it ends");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.terminal.process(&bytes);
        }
        let screen = self.terminal.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left ({status:?})");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!raw(&self), "lines can be typed");
        screen.contents()
    }
}

/// `target/PROFILE/examples/screen`, beside this test's own `target/PROFILE/deps/…`.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test is a file");
    own.ancestors().nth(2).expect("in target/PROFILE/deps").join("examples/screen")
}

#[test]
fn keys_go_through_the_views_and_q_leaves() {
    let mut screen = Screen::start(&["losing"]);
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
    let mut screen = Screen::start(&["empty"]);
    screen.wait_for("WAITING");
    screen.press("\u{3}");
    screen.ended();
}

#[test]
fn signals_end_it_and_leave_the_terminal_whole() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut screen = Screen::start(&["quiet"]);
        screen.wait_for("lookups");
        screen.signal(signal);
        screen.ended();
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let mut screen = Screen::start(&["quiet"]);
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
    let mut screen = Screen::start(&["empty", "panic"]);
    screen.wait_for("panicked");
    let told = screen.ended();
    assert!(told.contains("made to panic"), "{told}");
}
