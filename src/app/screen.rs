//! The screen on a terminal: the loop that joins keys, events, signals and frames.

use std::time::Duration;

use anyhow::Context as _;
use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::StreamExt as _;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    flight::FlightControl,
    look::Look,
    marks::MarkKeeper,
    output::Meter,
    past::Departure,
    playback::PlaybackCommand,
    signals::{Signals, Wanted, end_although_stuck, stop_job},
    source::FromSource,
    state::{Effect, State},
    terminal::{Guard, write},
};
pub use crate::ui::{Choice, Mode, RecordState};
use crate::{event::Bookmark, ovs_rpc::Question};

/// The least time between two frames that keys ask for: a held key must not fill a slow line, and to fingers 50 ms is at
/// once.
const KEY_FRAME: Duration = Duration::from_millis(25);
/// Bytes per second, on average, that go to the terminal for what happens without a key. Lists that change altogether are
/// drawn less often, as a slow line could not keep up and keys would have to wait; what a key does shows at once.
const LINE: f64 = 16_000.0;
/// Time between two looks at the program's own use of CPU and of the terminal's line.
const OWN: Duration = Duration::from_secs(1);
/// Batches of events taken between two looks at the keys.
const BATCHES: usize = 16;

/// A recorder, as far as the screen controls it.
pub trait RecordControl {
    /// Its state.
    fn state(&self) -> RecordState;
    /// Begins a recording, or ends it. Returns what happened, or why it could not, to be shown.
    fn toggle(&mut self) -> Result<String, String>;
}

/// What a screen is made of.
pub struct Inputs {
    /// The events.
    pub events: mpsc::Receiver<FromSource>,
    /// Where questions to the daemon go; answers come back as events.
    pub asks: Option<mpsc::Sender<Question>>,
    /// The recorder, where there can be one.
    pub recorder: Option<Box<dyn RecordControl>>,
    /// The replay to steer.
    pub playback: Option<mpsc::Sender<PlaybackCommand>>,
    /// The speed that it begins with, as a factor of real time; 1 where there is none.
    pub speed: f64,
    /// The flight recorder, where there is one.
    pub flight: Option<Box<dyn FlightControl>>,
    /// The keeper of marks, and those that there are.
    pub marks: (Option<Box<dyn MarkKeeper>>, Vec<Bookmark>),
    /// Where the events come from.
    pub mode: Mode,
    /// How it looks and behaves.
    pub look: Look,
    /// The program's own use of CPU since it was last called, in percent of one.
    pub own_cpu: Option<Box<dyn FnMut() -> Option<f64>>>,
}

/// Shows the screen until the user leaves, or SIGTERM, SIGINT or SIGHUP comes, or the terminal is gone. The terminal is
/// as before then, also after an error or a panic.
pub async fn run(inputs: Inputs) -> anyhow::Result<()> {
    let Inputs { mut events, asks, recorder, playback, speed, flight, marks, mode, look, mut own_cpu } = inputs;
    let Look { theme, ascii, mouse, fps, keys: keymap, clipboard } = look;
    let frame = Duration::from_secs(1) / fps.max(1);
    let state = State::new(mode, theme, ascii).with(asks, playback, recorder).with_keys(keymap).at_speed(speed);
    let mut state = state.with_flight(flight).with_marks(marks.0, marks.1);
    // The events of the past that is looked at.
    let mut past: Option<mpsc::Receiver<FromSource>> = None;
    let mut signals = Signals::listen()?;
    end_although_stuck().context("starting a thread")?;
    let mut terminal =
        Guard::take(mouse).context("cannot use this terminal for a screen: is standard output a terminal?")?;
    let mut keys = EventStream::new();
    let mut batches = Vec::with_capacity(BATCHES);
    let mut more = true;
    let mut dirty = true;
    let mut next_frame = Instant::now();
    // The time from which on a key's frame may be drawn.
    let mut earliest = next_frame;
    let mut cpu = None;
    let mut meter = Meter::default();
    let mut next_own = Instant::now();
    loop {
        // In this order: the user can leave in any storm, and a key does not wait for events.
        let effect = tokio::select! {
            biased;
            wanted = signals.next() => match wanted {
                Wanted::End => return Ok(()),
                Wanted::Stop => Effect::Suspend,
                Wanted::GoOn => {
                    terminal.resume().context("cannot take the terminal again")?;
                    Effect::Draw
                }
            },
            key = keys.next() => {
                let Some(event) = key else { return Ok(()) };
                match event.context("cannot read keys from the terminal")? {
                    TerminalEvent::Key(key) => state.key(key),
                    TerminalEvent::Mouse(event) => state.mouse(event),
                    TerminalEvent::Resize(..) => Effect::Draw,
                    _ => Effect::Nothing,
                }
            }
            () = sleep_until(next_frame), if dirty => {
                let now = Instant::now();
                if now >= next_own {
                    cpu = own_cpu.as_mut().and_then(|own_cpu| own_cpu());
                    state.tell_output(meter.lately(now.into_std()));
                    next_own = now + OWN;
                }
                let bytes =
                    terminal.draw(|buffer, area| state.draw(buffer, area, cpu)).context("cannot write to the terminal")?;
                meter.wrote(now.into_std(), bytes);
                dirty = state.wants_another_frame();
                earliest = now + KEY_FRAME;
                next_frame = now + frame.max(Duration::from_secs_f64(bytes as f64 / LINE));
                continue;
            }
            from = next_of(&mut past), if past.is_some() => {
                match from.filter(|_| state.is_past()) {
                    Some(from) => state.take_past(from),
                    None => past = None,
                }
                dirty = true;
                continue;
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
                continue;
            }
        };
        match effect {
            Effect::Nothing => continue,
            Effect::Draw => {}
            Effect::LookBack => past = state.departure().map(Departure::depart),
            Effect::Copy => {
                if let Some(text) = state.copied() {
                    write(&clipboard.sequence(&text)).context("cannot write to the terminal")?;
                }
            }
            Effect::Quit => return Ok(()),
            Effect::Suspend => {
                let stopped = terminal.lend(stop_job).context("cannot stop, or take the terminal again")?;
                if !stopped {
                    state.tell("▲ no shell here could wake it again: it goes on".to_owned());
                }
            }
        }
        (dirty, next_frame) = (true, earliest);
    }
}

async fn next_of(past: &mut Option<mpsc::Receiver<FromSource>>) -> Option<FromSource> {
    past.as_mut()?.recv().await
}
