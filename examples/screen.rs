//! The screen on made-up events, for looking at it:
//! `screen [dark|light|colour-blind|mono] [16] [quiet|losing|idle|empty] [ascii] [mouse] [panic]`.

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use std::time::Duration;

use made_up::{BUSY, Host, LOSING, QUIET, STORM};
use ovscope::{
    app::{
        look::Look,
        screen::{Choice, Inputs, Mode, RecordControl, RecordState, run},
        source::FromSource,
    },
    ovs_rpc::Question,
    ui::{Depth, Theme},
};
use tokio::{sync::mpsc, time::interval};

/// A recorder that writes nothing.
struct Pretended {
    on: bool,
}

impl RecordControl for Pretended {
    fn state(&self) -> RecordState {
        if !self.on {
            return RecordState::Off;
        }
        RecordState::On { file: "hv-17.mcap".to_owned(), bytes: 3_140_000, seconds: 42, lost: 0 }
    }

    fn toggle(&mut self) -> Result<String, String> {
        self.on = !self.on;
        Ok(if self.on { "recording to hv-17.mcap" } else { "recorded 3.1 MB in hv-17.mcap" }.to_owned())
    }
}

/// Shows it until the user leaves.
#[tokio::main(flavor = "current_thread")]
pub async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let theme = match () {
        () if has("dark") => Choice::Dark,
        () if has("light") => Choice::Light,
        () if has("colour-blind") => Choice::ColourBlind,
        () if has("mono") => Choice::Mono,
        () => Choice::Auto,
    };
    let theme = theme.for_terminal(|name| std::env::var(name).ok());
    let theme = Theme::with(theme, if has("16") { Depth::Sixteen } else { Depth::Indexed });
    let (to, events) = mpsc::channel(16);
    let (asks, mut asked) = mpsc::channel::<Question>(8);
    let ascii = has("ascii");
    let (quiet, losing, idle, empty) = (has("quiet"), has("losing"), has("idle"), has("empty"));
    tokio::spawn(async move {
        let mut host = Host::default();
        to.send(FromSource::Events(host.begin())).await?;
        let weather = if losing { LOSING } else { STORM };
        if !empty {
            let first = if idle { host.seconds(2, QUIET) } else { host.seconds(60, BUSY) };
            to.send(FromSource::Events(first)).await?;
            if !quiet && !idle {
                to.send(FromSource::Events(host.seconds(40, STORM))).await?;
                to.send(FromSource::Events(host.seconds(20, weather))).await?;
            }
        }
        let mut ticks = interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                _ = ticks.tick(), if !empty => {
                    let weather = if quiet || idle { QUIET } else { weather };
                    to.send(FromSource::Events(host.quarter(weather))).await?;
                }
                Some(Question::Flow(ask)) = asked.recv() => {
                    to.send(FromSource::Events(host.answers(ask.ufid, ask.sf_acts))).await?;
                }
                else => return Ok::<(), mpsc::error::SendError<FromSource>>(()),
            }
        }
    });
    let panics = has("panic");
    run(Inputs {
        events,
        asks: Some(asks),
        recorder: Some(Box::new(Pretended { on: true })),
        playback: None,
        speed: 1.0,
        flight: None,
        marks: (None, Vec::new()),
        mode: Mode::Live,
        look: Look { theme, ascii, mouse: has("mouse"), fps: 10, ..Look::default() },
        own_cpu: Some(Box::new(move || {
            assert!(!panics, "made to panic while drawing");
            Some(0.8)
        })),
    })
    .await
}
