//! The screen on a terminal: the loop that joins keys, events, signals and frames.

use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    flight::FlightControl,
    marks::MarkKeeper,
    past::Departure,
    playback::PlaybackCommand,
    source::FromSource,
    state::{Effect, State},
    terminal::Guard,
};
pub use crate::ui::{Choice, Mode, RecordState};
use crate::{event::Bookmark, ovs_rpc::Ask, ui::Theme};

/// Time between two frames at least: ten a second are enough for eyes.
const FRAME: Duration = Duration::from_millis(100);
/// Bytes per second that go to the terminal for what happens by itself, on average. Lists that change altogether are
/// drawn less often, as a slow line could not keep up and the keys would wait; what a key does shows at once.
const LINE: f64 = 16_000.0;
/// Time between two looks at the program's own use of CPU.
const OWN_CPU: Duration = Duration::from_secs(1);
/// Batches of events taken between two looks at the keys.
const BATCHES: usize = 16;

/// A recorder, as far as the screen steers it.
pub trait RecordControl {
    /// How it stands.
    fn state(&self) -> RecordState;
    /// Begins a recording, or ends it; what happened, or why not, to be shown.
    fn toggle(&mut self) -> Result<String, String>;
}

/// What a screen is made of.
pub struct Inputs {
    /// The events.
    pub events: mpsc::Receiver<FromSource>,
    /// Where questions about flows go; answers come back as events.
    pub asks: Option<mpsc::Sender<Ask>>,
    /// The recorder, where there can be one.
    pub recorder: Option<Box<dyn RecordControl>>,
    /// The replay to steer.
    pub playback: Option<mpsc::Sender<PlaybackCommand>>,
    /// The flight recorder, where there is one.
    pub flight: Option<Box<dyn FlightControl>>,
    /// Who keeps marks, and those that there are.
    pub marks: (Option<Box<dyn MarkKeeper>>, Vec<Bookmark>),
    /// Where the events come from.
    pub mode: Mode,
    /// Which colours.
    pub theme: Choice,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    /// The program's own use of CPU since it was last called, in percent of one.
    pub own_cpu: Option<Box<dyn FnMut() -> Option<f64>>>,
}

/// Shows the screen until the user leaves, or SIGTERM, SIGINT or SIGHUP comes. The terminal is as before then, also
/// after an error or a panic.
pub async fn run(inputs: Inputs) -> anyhow::Result<()> {
    let Inputs { mut events, asks, recorder, playback, flight, marks, mode, theme, ascii, mut own_cpu } = inputs;
    let state = State::new(mode, Theme::new(theme), ascii).with(asks, playback, recorder);
    let mut state = state.with_flight(flight).with_marks(marks.0, marks.1);
    // Of what is looked back on.
    let mut past: Option<mpsc::Receiver<FromSource>> = None;
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let mut continued = signal(SignalKind::from_raw(nix::libc::SIGCONT)).context("cannot listen for SIGCONT")?;
    let mut terminal =
        Guard::take().context("cannot use this terminal for a screen: is standard output a terminal?")?;
    let mut keys = EventStream::new();
    let mut batches = Vec::with_capacity(BATCHES);
    let mut more = true;
    let mut dirty = true;
    let mut next_frame = Instant::now();
    // The time from which on a key's frame may be drawn.
    let mut earliest = next_frame;
    let mut cpu = None;
    let mut next_cpu = Instant::now();
    loop {
        // In this order: whoever wants to leave is let go in any storm, and a key does not wait for events.
        tokio::select! {
            biased;
            _ = terminated.recv() => return Ok(()),
            _ = interrupted.recv() => return Ok(()),
            _ = hung_up.recv() => return Ok(()),
            _ = continued.recv() => {
                // Stopped by somebody else than its own Ctrl-Z, it finds a terminal that others used.
                terminal.resume().context("cannot take the terminal again")?;
                (dirty, next_frame) = (true, earliest);
            }
            key = keys.next() => {
                let Some(event) = key else { return Ok(()) };
                match event.context("cannot read keys from the terminal")? {
                    TerminalEvent::Key(key) => match state.key(key) {
                        Effect::Nothing => {}
                        Effect::Draw => (dirty, next_frame) = (true, earliest),
                        Effect::LookBack => {
                            past = state.departure().map(Departure::depart);
                            (dirty, next_frame) = (true, earliest);
                        }
                        Effect::Quit => return Ok(()),
                        Effect::Suspend => {
                            terminal.suspend().context("cannot take the terminal again")?;
                            (dirty, next_frame) = (true, earliest);
                        }
                    },
                    TerminalEvent::Resize(..) => (dirty, next_frame) = (true, earliest),
                    _ => {}
                }
            }
            () = sleep_until(next_frame), if dirty => {
                let now = Instant::now();
                if now >= next_cpu {
                    cpu = own_cpu.as_mut().and_then(|own_cpu| own_cpu());
                    next_cpu = now + OWN_CPU;
                }
                let bytes = terminal
                    .draw(|frame| {
                        let area = frame.area();
                        state.draw(frame.buffer_mut(), area, cpu);
                    })
                    .context("cannot write to the terminal")?;
                dirty = state.wants_another_frame();
                earliest = now + FRAME;
                next_frame = now + FRAME.max(Duration::from_secs_f64(bytes as f64 / LINE));
            }
            from = next_of(&mut past), if past.is_some() => {
                match from.filter(|_| state.is_past()) {
                    Some(from) => state.take_past(from),
                    None => past = None,
                }
                dirty = true;
            }
            taken = events.recv_many(&mut batches, BATCHES), if more => {
                if taken == 0 {
                    more = false;
                    state.source_gone();
                    dirty = true;
                }
                for batch in batches.drain(..) {
                    dirty |= state.take(batch);
                }
            }
        }
    }
}

async fn next_of(past: &mut Option<mpsc::Receiver<FromSource>>) -> Option<FromSource> {
    past.as_mut()?.recv().await
}
