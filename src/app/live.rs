//! The screen with a source: this host's datapath, a recording, or the bundled one.

use std::{
    cell::RefCell,
    io::{self, IsTerminal as _},
    rc::Rc,
    time::Duration,
};

use anyhow::bail;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

use super::{
    cli::{DemoArgs, LiveArgs, LookArgs, ReplayArgs},
    export, replay,
    screen::{self, Inputs, Mode},
    session::{Session, prepare},
    source::FromSource,
    tape::{Shared, Tape},
};
use crate::record::Reader;

/// Batches between a source and the screen.
const QUEUE: usize = 64;
/// Commands of the keys to a replay.
const COMMANDS: usize = 64;
/// Between two rounds of the demo.
const DEMO_PAUSE: Duration = Duration::from_secs(3);
/// A recording of a real storm in the lab (`lab/run demo`).
const DEMO: &[u8] = include_bytes!("demo.mcap");

/// `ovscope`.
pub async fn live(args: &LiveArgs) -> anyhow::Result<()> {
    need_terminal("to watch without one, a line per second: ovscope stat; to record: ovscope record -o FILE")?;
    let prepared = prepare()?;
    let config = args.probes.config()?;
    eprint!("ovscope: attaching the probes …");
    let started = Session::start(prepared, config, Some(&args.daemon)).await;
    // The line has done its work.
    eprint!("\r\x1b[K");
    let mut session = started?;
    let tape = Rc::new(RefCell::new(Tape::default()));
    let (out, events) = mpsc::channel(QUEUE);
    let inputs = Inputs {
        events,
        asks: Some(session.asks.clone()),
        recorder: Some(Box::new(Shared(tape.clone()))),
        playback: None,
        mode: Mode::Live,
        theme: args.look.choice(),
        ascii: args.look.ascii_only(),
        own_cpu: Some(own_cpu()),
    };
    let forward = async {
        while let Some(from) = session.events.recv().await {
            tape.borrow_mut().see(&from);
            if out.send(from).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let shown = tokio::select! {
        shown = screen::run(inputs) => shown,
        () = forward => Ok(()),
    };
    session.stop(|events| tape.borrow_mut().see_events(&events)).await;
    let recorded = tape.borrow_mut().finish();
    match recorded {
        Some(Ok(told)) => eprintln!("ovscope: {told}"),
        Some(Err(why)) => {
            shown?;
            bail!(why);
        }
        None => {}
    }
    shown
}

/// `ovscope demo`.
pub async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    need_terminal("the demo is a screen")?;
    let reader = Reader::from_bytes("the bundled recording", DEMO)?;
    let options = replay::Options { looped: Some(DEMO_PAUSE), ..replay::Options::default() };
    play(reader, options, Mode::Demo, &args.look).await
}

/// `ovscope replay`.
pub async fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    need_terminal("to read a recording without one: ovscope export FILE")?;
    let reader = export::open(&args.file)?;
    let options = replay::Options { speed: args.speed, ..replay::Options::default() };
    play(reader, options, Mode::Replay { file: args.file.display().to_string() }, &args.look).await
}

async fn play(reader: Reader, options: replay::Options, mode: Mode, look: &LookArgs) -> anyhow::Result<()> {
    let (out, events) = mpsc::channel::<FromSource>(QUEUE);
    let (playback, commands) = mpsc::channel(COMMANDS);
    let player = replay::spawn(Box::new(reader), out, commands, options);
    let inputs = Inputs {
        events,
        asks: None,
        recorder: None,
        playback: Some(playback),
        mode,
        theme: look.choice(),
        ascii: look.ascii_only(),
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
