//! The program: joins a source, the model, the daemon's control socket and a screen.

pub mod actions;
pub mod cli;
pub mod config;
pub mod copy;
mod doctor;
pub mod export;
pub mod filters;
pub mod flight;
pub mod keys;
mod live;
pub mod look;
mod manual;
pub mod marks;
mod moment;
mod navigate;
mod output;
mod palette;
pub mod past;
mod pins;
pub mod playback;
mod prompt;
mod pump;
mod record;
mod record_args;
pub mod replay;
pub mod report;
mod sampler;
pub mod screen;
mod session;
mod signals;
pub mod source;
mod stat;
pub mod state;
mod survey;
mod tape;
mod terminal;
mod traced;
pub mod trigger;
mod ways;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;

use cli::{Cli, Command};

/// Does what the command line asks for. An error is what to print, and means exit code 1.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Live(cli.live));
    // One thread serves the screen and the daemon's socket; the probes and the recorder have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let good = runtime.block_on(obey(command))?;
    // A thread that still waits for standard input must not delay the end.
    runtime.shutdown_background();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `Ok(false)` means failure, of which the command has told the user itself.
async fn obey(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Live(args) => live::live(&args).await?,
        Command::Demo(args) => live::demo(&args).await?,
        Command::Replay(args) => live::replay(&args).await?,
        Command::Record(args) => record::run(&args).await?,
        Command::Stat(args) => stat::run(&args).await?,
        Command::Doctor(args) => return doctor::run(&args).await,
        Command::Export(args) => export::run(&args)?,
        Command::Report(args) => report::run(&args)?,
        Command::Config => to_stdout(config::sample().as_bytes())?,
        Command::Completions { shell } => to_stdout(&manual::completions(shell))?,
        Command::Man => to_stdout(&manual::page()?)?,
    }
    Ok(true)
}

/// Says something on standard error, on a terminal in lines of whole words. Where that is a terminal that is gone, nobody is
/// there to hear it.
pub fn say(words: &str) {
    let columns = crossterm::terminal::size().ok().filter(|(columns, _)| *columns >= 40 && io::stderr().is_terminal());
    let words = format!("ovscope: {words}");
    let words = match columns {
        // What has lines of its own may point at something in them.
        Some((columns, _)) if !words.contains('\n') => {
            crate::ui::text::wrap(&words, usize::from(columns).min(100)).join("\n")
        }
        _ => words,
    };
    let _ = writeln!(io::stderr(), "{words}");
}

/// A reader that closes the output early is no error.
fn to_stdout(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("writing to standard output"),
        _ => Ok(()),
    }
}
