//! Takes the terminal for a screen, and gives it back whole however the program ends.

use std::{
    cell::Cell,
    io::{self, Write},
    rc::Rc,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use crossterm::{
    cursor::{Hide, Show},
    execute, queue,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode,
    },
};
use nix::sys::signal::{Signal, raise};
use ratatui::{Frame, Terminal, backend::CrosstermBackend};

/// Whether the terminal is taken, for the panic hook, which knows no guard.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A taken terminal: raw, on its alternate screen, without a cursor. Dropped, it is as it was before.
pub struct Guard {
    terminal: Terminal<CrosstermBackend<Metered>>,
    written: Rc<Cell<usize>>,
}

/// Standard output, a whole frame at a time, and counted. What a panic leaves in it is dropped and not written: it would
/// come after the terminal was given back.
struct Metered {
    frame: Vec<u8>,
    written: Rc<Cell<usize>>,
}

impl Metered {
    fn terminal(written: &Rc<Cell<usize>>) -> io::Result<Terminal<CrosstermBackend<Self>>> {
        Terminal::new(CrosstermBackend::new(Self { frame: Vec::new(), written: written.clone() }))
    }
}

impl Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(&self.frame)?;
        out.flush()?;
        self.written.set(self.written.get() + self.frame.len());
        self.frame.clear();
        Ok(())
    }
}

impl Guard {
    /// Takes the terminal of standard output.
    pub fn take() -> io::Result<Self> {
        hook_panics();
        enter()?;
        let written = Rc::new(Cell::new(0));
        let terminal = Metered::terminal(&written).inspect_err(|_| leave())?;
        Ok(Self { terminal, written })
    }

    /// Draws a frame; the terminal shows it at once, where it knows synchronized updates. Gives the bytes it took.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<usize> {
        if !TAKEN.load(Ordering::SeqCst) {
            // Another thread's panic gave it back to tell its story there; the screen goes on.
            self.resume()?;
        }
        self.written.set(0);
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(draw).map(|_| ());
        // Also after an error: a terminal that waits for the end of an update shows nothing.
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        drawn.map(|()| self.written.get())
    }

    /// Gives the terminal back and stops, as Ctrl-Z does to other programs; returns when the shell says `fg`.
    /// SIGTSTP and not SIGSTOP: where no shell could wake the program again, the kernel passes over it.
    pub fn suspend(&mut self) -> io::Result<()> {
        leave();
        raise(Signal::SIGTSTP)?;
        self.resume()
    }

    /// Takes the terminal again after something else wrote on it.
    pub fn resume(&mut self) -> io::Result<()> {
        enter()?;
        // A new one, as it knows nothing of what the terminal shows and so draws everything. `Terminal::clear` would
        // ask the terminal for its cursor and wait for an answer among the user's keys.
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = Metered::terminal(&self.written)?;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide).inspect_err(|_| leave())
}

/// Gives the terminal back, once. Errors are passed over: there is nobody left to show them to.
fn leave() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, EndSynchronizedUpdate, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
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
