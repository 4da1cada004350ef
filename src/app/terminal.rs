//! Takes the terminal for a screen, and restores it however the program ends.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossterm::{
    Command,
    cursor::{Hide, Show},
    queue,
    terminal::{
        BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode, size,
    },
};
use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Modifier, Style},
};

/// Whether the terminal is taken, for the panic hook, which knows no guard.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the mouse is, too.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Since when a write has been waiting for the terminal, in milliseconds from [`began`]; 0 where none is waiting.
static WRITING: AtomicU64 = AtomicU64::new(0);

/// A taken terminal: raw, on its alternate screen, without a cursor. Dropped, it is as it was before.
#[derive(Debug)]
pub struct Guard {
    /// What the terminal shows.
    shown: Buffer,
}

impl Guard {
    /// Takes the terminal of standard output, and its mouse, if that is wanted.
    pub fn take(mouse: bool) -> io::Result<Self> {
        began();
        hook_panics();
        MOUSE.store(mouse, Ordering::SeqCst);
        enter()?;
        Ok(Self { shown: Buffer::default() })
    }

    /// Draws what a frame changes of the one before. Terminals with synchronized updates show it all at once. Returns the bytes
    /// it took: 0 where nothing changed.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Buffer, Rect)) -> io::Result<usize> {
        if !TAKEN.load(Ordering::SeqCst) {
            // A panic of another thread gave the terminal back to print its report; the screen goes on.
            self.resume()?;
        }
        let (width, height) = size()?;
        let area = Rect::new(0, 0, width, height);
        if self.shown.area != area {
            self.shown = unknown(area);
        }
        let mut next = Buffer::empty(area);
        draw(&mut next, area);
        let changed = self.shown.diff(&next);
        if changed.is_empty() {
            return Ok(0);
        }
        // All of it in one write. After a panic it is dropped: it would come after the terminal was given back.
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate)?;
        CrosstermBackend::new(&mut bytes).draw(changed.into_iter())?;
        queue!(bytes, EndSynchronizedUpdate)?;
        self.shown = next;
        write(&bytes)?;
        Ok(bytes.len())
    }

    /// Gives the terminal to others for a while, and takes it again when they are done.
    pub fn lend<T>(&mut self, meanwhile: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        leave();
        let done = meanwhile();
        self.resume()?;
        done
    }

    /// Takes the terminal again after something else wrote on it.
    pub fn resume(&mut self) -> io::Result<()> {
        enter()?;
        self.shown = unknown(self.shown.area);
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

/// A screen of which nothing is known, so that every cell is drawn: nothing has to be cleared first, and nothing flickers. It
/// differs from every frame, as no frame has a hidden cell.
fn unknown(area: Rect) -> Buffer {
    let mut hidden = Cell::default();
    hidden.set_style(Style::new().add_modifier(Modifier::HIDDEN));
    Buffer::filled(area, hidden)
}

/// Reports clicks and the wheel (1000), with columns and rows of any number (1006), but no movement.
struct Mouse(bool);

impl Command for Mouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(if self.0 { "\x1b[?1000h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1000l" })
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut bytes = Vec::new();
    queue!(bytes, EnterAlternateScreen, Hide)?;
    if MOUSE.load(Ordering::SeqCst) {
        queue!(bytes, Mouse(true))?;
    }
    write(&bytes).inspect_err(|_| leave())
}

/// Gives the terminal back, once. Errors are ignored: there is nowhere left to show them.
fn leave() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut bytes = Vec::new();
        let _ = queue!(bytes, EndSynchronizedUpdate);
        if MOUSE.load(Ordering::SeqCst) {
            let _ = queue!(bytes, Mouse(false));
        }
        let _ = queue!(bytes, LeaveAlternateScreen, Show);
        // This comes first: a user who sees the shell's screen may press Ctrl-C.
        let _ = disable_raw_mode();
        let _ = write(&bytes);
    }
}

/// Writes to the terminal all at once, and notes since when it has been waiting.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let since = began().elapsed().as_millis() as u64 + 1;
    WRITING.store(since, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    WRITING.store(0, Ordering::SeqCst);
    written
}

/// Whether a write has been waiting for the terminal for that long.
pub fn is_stuck(patience: Duration) -> bool {
    let since = WRITING.load(Ordering::SeqCst);
    since != 0 && began().elapsed() > Duration::from_millis(since) + patience
}

/// A moment before anything was written.
fn began() -> Instant {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGAN.get_or_init(Instant::now)
}

/// Before a panic is reported, the terminal is given back: the report would vanish with the alternate screen.
fn hook_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
    });
}
