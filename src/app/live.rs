//! The screen with a source: this host's datapath, a recording, or the bundled one.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

use super::{
    cli::{DemoArgs, LiveArgs, LookArgs, ReplayArgs},
    export,
    flight::{FlightControl, FlightRecorder, LiveMarks, Watch},
    marks::{Beside, MarkKeeper},
    pump, replay,
    screen::{self, Inputs, Mode},
    session::{Session, prepare},
    source::FromSource,
    survey,
    tape::{Shared, Tape},
};
use crate::record::{Reader, Recording};

/// How many batches may wait between a source and the screen.
const QUEUE: usize = 64;
/// How many commands of the keys to a replay may wait.
const COMMANDS: usize = 64;
/// The pause between two rounds of the demo.
const DEMO_PAUSE: Duration = Duration::from_secs(3);
/// A recording of a real storm in the lab (`lab/run demo`).
const DEMO: &[u8] = include_bytes!("demo.mcap");

/// `ovscope`.
pub async fn live(args: &LiveArgs) -> anyhow::Result<()> {
    need_terminal("to watch without one, a line per second: ovscope stat; to record: ovscope record -o FILE")?;
    let prepared = prepare()?;
    let config = args.probes.config()?;
    let waiting = io::stderr().is_terminal();
    if waiting {
        eprint!("ovscope: attaching the probes …");
    }
    let started = Session::start_told(prepared, config, Some(&args.daemon)).await;
    if waiting {
        // The screen, or why there is none, takes the place of this line.
        eprint!("\r\x1b[K");
    }
    let mut session = started?;
    let tape = Arc::new(Mutex::new(Tape::default()));
    let flight = match args.flight.buffer {
        0 => None,
        bytes => Some(FlightRecorder::new(bytes, session.notes.clone()).context("the flight recorder")?),
    };
    let (out, events) = mpsc::channel(QUEUE);
    let watch = Watch::new(&args.flight);
    let pump = pump::spawn(session.take_events(), out, tape.clone(), flight.clone(), watch)?;
    let inputs = Inputs {
        events,
        asks: Some(session.asks.clone()),
        recorder: Some(Box::new(Shared(tape.clone()))),
        playback: None,
        speed: 1.0,
        flight: flight.clone().map(|flight| -> Box<dyn FlightControl> { Box::new(flight) }),
        marks: (Some(Box::new(LiveMarks(session.notes.clone()))), Vec::new()),
        mode: Mode::Live,
        look: args.look.look(),
        own_cpu: Some(own_cpu()),
    };
    let shown = screen::run(inputs).await;
    // What the probes still had to say passes the pump, which ends when they are gone.
    session.stop(|_| {}).await;
    let _ = tokio::task::spawn_blocking(move || pump.join()).await;
    // A file that is being written is finished, whatever made the screen end.
    let saved = tokio::task::spawn_blocking(move || flight.map_or_else(Vec::new, |flight| flight.finish())).await;
    saved.unwrap_or_default().iter().for_each(|told| super::say(told));
    let mut failed = Vec::new();
    for recorded in tape.lock().unwrap_or_else(PoisonError::into_inner).finish() {
        match recorded {
            Ok(told) => super::say(&told),
            Err(why) => failed.push(why),
        }
    }
    shown?;
    ensure!(failed.is_empty(), failed.join("\n"));
    Ok(())
}

/// `ovscope demo`.
pub async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    need_terminal("the demo is a screen")?;
    let open = || Reader::from_bytes("the bundled recording", DEMO).map(Recording::from);
    let (reader, again) = (open()?, open()?);
    let options = replay::Options { looped: Some(DEMO_PAUSE), ..replay::Options::default() };
    play(reader, Some(again), options, Mode::Demo, None, &args.look).await
}

/// `ovscope replay`.
pub async fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    need_terminal("to read a recording without one: ovscope report FILE, or ovscope export FILE")?;
    let reader = export::open(&args.file)?;
    let again = if reader.can_seek() { Some(export::open(&args.file)?) } else { None };
    let options = replay::Options { speed: args.speed, ..replay::Options::default() };
    let marks = reader.can_seek().then(|| Beside::of(&args.file));
    play(reader, again, options, Mode::Replay { file: args.file.display().to_string() }, marks, &args.look).await
}

/// `again` is the same recording once more, to be surveyed for its line of time.
async fn play(
    reader: Recording,
    again: Option<Recording>,
    options: replay::Options,
    mode: Mode,
    marks: Option<Beside>,
    look: &LookArgs,
) -> anyhow::Result<()> {
    let (out, events) = mpsc::channel::<FromSource>(QUEUE);
    let (playback, commands) = mpsc::channel(COMMANDS);
    if let Some(again) = again {
        survey::spawn(again, out.downgrade());
    }
    let marked = marks.as_ref().map_or_else(|| Ok(Vec::new()), Beside::load).map_err(anyhow::Error::msg)?;
    let player = replay::spawn(Box::new(reader), out, commands, options);
    let inputs = Inputs {
        events,
        asks: None,
        recorder: None,
        playback: Some(playback),
        speed: options.speed,
        flight: None,
        marks: (marks.map(|marks| -> Box<dyn MarkKeeper> { Box::new(marks) }), marked),
        mode,
        look: look.look(),
        own_cpu: Some(own_cpu()),
    };
    let shown = screen::run(inputs).await;
    player.abort();
    shown
}

fn need_terminal(instead: &str) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        bail!("standard output is not a terminal, and the screen needs one; {instead}");
    }
    Ok(())
}

/// The program's own use of CPU since the last call, in percent of one.
fn own_cpu() -> Box<dyn FnMut() -> Option<f64>> {
    let mut last: Option<(f64, f64)> = None;
    Box::new(move || {
        let seconds = |clock| clock_gettime(clock).ok().map(|t| t.tv_sec() as f64 + t.tv_nsec() as f64 / 1e9);
        let now = (seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)?, seconds(ClockId::CLOCK_MONOTONIC)?);
        let used = last.filter(|before| now.1 > before.1).map(|before| (now.0 - before.0) / (now.1 - before.1) * 100.0);
        last = Some(now);
        used
    })
}
