//! A program on a pseudo-terminal, and the screen that a terminal would show of it.
#![allow(dead_code, reason = "each test that has this uses another part of it")]

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    path::Path,
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// Longer than anything here takes: a test that waits for so long has failed.
pub const LONG: Duration = Duration::from_secs(120);

/// A program in a pty, and a terminal that shows it.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    /// What it writes, piece by piece.
    pub output: Receiver<Vec<u8>>,
    /// The terminal.
    pub terminal: vt100::Parser,
    /// All that it has been shown.
    pub shown: Vec<u8>,
}

impl Screen {
    /// Starts the program on a terminal of this size that knows UTF-8 and 256 colours.
    pub fn start(program: &Path, args: &[&str], (cols, rows): (u16, u16)) -> Self {
        let size = PtySize { rows, cols, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let command = command(program, args);
        let child = pty.slave.spawn_command(command).expect("the program starts");
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
        let terminal = vt100::Parser::new(cells(rows), cells(cols), 0);
        Self { child, master: pty.master, keys, output, terminal, shown: Vec::new() }
    }

    /// Reads until the terminal shows it.
    pub fn wait_for(&mut self, words: &str) {
        self.wait_until(words, |screen| screen.contents().contains(words));
    }

    /// Reads until the terminal is so.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + LONG;
        while !holds(self.terminal.screen()) {
            let bytes = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let bytes = bytes.unwrap_or_else(|_| panic!("no «{what}» in\n{}", self.terminal.screen().contents()));
            self.take(&bytes);
        }
    }

    /// Shows it to the terminal.
    pub fn take(&mut self, bytes: &[u8]) {
        self.terminal.process(bytes);
        self.shown.extend_from_slice(bytes);
    }

    /// The program's process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().expect("it runs").cast_signed())
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("it reads keys");
    }

    /// Makes the terminal another size.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.terminal.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(PtySize { rows, cols, ..PtySize::default() }).expect("another size");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a signal reaches it");
    }

    /// Waits for its end; the terminal must be as it was. What it shows then, and how the program ended.
    pub fn ended(mut self) -> (String, ExitStatus) {
        let raw = |screen: &Self| {
            let modes = screen.master.get_termios().expect("a pty has modes");
            !format!("{:?}", modes.local_flags).contains("ICANON")
        };
        let status = self.child.wait().expect("it ends");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.take(&bytes);
        }
        let screen = self.terminal.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left ({status:?})");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!raw(&self), "lines can be typed");
        (screen.contents(), status)
    }
}

/// The program, on a terminal that knows UTF-8 and 256 colours.
fn command(program: &Path, args: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(program);
    command.args(args);
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("RUST_BACKTRACE", "0");
    // No configuration but what is named.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    for name in ["LC_ALL", "NO_COLOR", "COLORTERM", "TMUX", "STY"] {
        command.env_remove(name);
    }
    command
}

/// A program on a line that can break: what it writes is read only when that is asked for.
pub struct Line {
    child: Box<dyn Child + Send + Sync>,
    ends: (Box<dyn MasterPty + Send>, Box<dyn Read + Send>, Box<dyn Write + Send>),
}

impl Line {
    /// Starts the program.
    pub fn start(program: &Path, args: &[&str]) -> Self {
        let pty = native_pty_system().openpty(PtySize::default()).expect("a pty");
        let child = pty.slave.spawn_command(command(program, args)).expect("the program starts");
        let reader = pty.master.try_clone_reader().expect("its output");
        let keys = pty.master.take_writer().expect("its input");
        Self { child, ends: (pty.master, reader, keys) }
    }

    /// Reads until the terminal shows it.
    pub fn wait_for(&mut self, words: &str) {
        let mut terminal = vt100::Parser::default();
        let mut bytes = [0; 4096];
        while !terminal.screen().contents().contains(words) {
            let n = self.ends.1.read(&mut bytes).expect("it writes");
            terminal.process(&bytes[..n]);
        }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.ends.2.write_all(keys.as_bytes()).expect("it reads keys");
    }

    /// The program's process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().expect("it runs").cast_signed())
    }

    /// The line breaks.
    pub fn hang_up(self) -> Ending {
        drop(self.ends);
        Ending { child: self.child, _line: None }
    }

    /// Nothing is read any more, and nothing is told of that.
    pub fn die(self) -> Ending {
        Ending { child: self.child, _line: Some(self.ends.0) }
    }
}

/// A program that is to end.
pub struct Ending {
    child: Box<dyn Child + Send + Sync>,
    _line: Option<Box<dyn MasterPty + Send>>,
}

impl Ending {
    /// Waits for it.
    pub fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn cells(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("a size")
}
