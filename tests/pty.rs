//! The program on a real terminal, read back through a terminal's own parser.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    bytes: Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Terminal {
    fn open(args: &[&str], cols: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_ovscope"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env_remove("LC_ALL");
        command.env_remove("NO_COLOR");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let (sender, bytes) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = reader.read(&mut buffer)
                && n > 0
                && sender.send(buffer[..n].to_vec()).is_ok()
            {}
        });
        let keys = pair.master.take_writer().expect("its input");
        Self { child, master: pair.master, keys, bytes, parser: vt100::Parser::new(size_of(rows), size_of(cols), 0) }
    }

    fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal takes keys");
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("a new size");
        self.parser.screen_mut().set_size(size_of(rows), size_of(cols));
    }

    /// Reads until the screen is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.parser.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(_) => panic!("never came: {what}. The screen:\n{}", self.screen()),
            }
        }
    }

    fn shows(&mut self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    /// Waits for its end, and gives its exit code; the screen is the one that it leaves behind.
    fn ends(mut self) -> (u32, vt100::Parser) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(20)) {
                self.parser.process(&bytes);
            }
            if let Some(status) = self.child.try_wait().expect("its status") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end. The screen:\n{}", self.screen());
        };
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(200)) {
            self.parser.process(&bytes);
        }
        (status.exit_code(), self.parser)
    }
}

fn size_of(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a size")
}

fn is_whole(parser: &vt100::Parser) {
    let screen = parser.screen();
    assert!(!screen.alternate_screen(), "the alternate screen is left");
    assert!(!screen.hide_cursor(), "the cursor is back");
    assert!(!screen.bracketed_paste(), "bracketed paste is off");
}

#[test]
fn the_demo_opens_on_a_storm_and_leaves_the_terminal_whole() {
    for (cols, rows) in [(80, 24), (120, 40)] {
        let mut terminal = Terminal::open(&["demo"], cols, rows);
        terminal.until("the alternate screen", vt100::Screen::alternate_screen);
        terminal.shows("upcalls");
        terminal.shows("1 Storm");
        terminal.press("2");
        terminal.shows("hits");
        terminal.press("?");
        terminal.shows("quit");
        terminal.press("\x1b");
        terminal.press("4");
        terminal.shows("net_dev_queue");
        terminal.press("q");
        let (code, parser) = terminal.ends();
        assert_eq!(code, 0);
        is_whole(&parser);
    }
}

#[test]
fn a_resize_is_followed_at_once() {
    let mut terminal = Terminal::open(&["demo"], 80, 24);
    terminal.shows("1 Storm");
    terminal.resize(30, 8);
    terminal.shows("60");
    terminal.resize(120, 40);
    terminal.shows("7 Probes");
    terminal.press("q");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn ctrl_c_and_sigterm_end_it_cleanly() {
    let mut terminal = Terminal::open(&["demo"], 80, 24);
    terminal.shows("1 Storm");
    terminal.press("\x03");
    let (code, parser) = terminal.ends();
    assert_eq!(code, 0);
    is_whole(&parser);

    let mut terminal = Terminal::open(&["demo"], 80, 24);
    terminal.shows("1 Storm");
    let pid = terminal.child.process_id().expect("it runs");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGTERM)
        .expect("it is ours");
    let (_, parser) = terminal.ends();
    is_whole(&parser);
}
