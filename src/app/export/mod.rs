//! `ovscope export`: a recording in other formats.

mod comment;
mod json;
mod output;
mod pcapng;

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

pub use json::json;
use output::Output;
pub use pcapng::pcapng;

use crate::record::Recording;

/// `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The recording, or an event file of retis (1.5 and later); - reads a stream from standard input
    pub file: PathBuf,
    /// The format
    #[arg(long, value_name = "NAME", default_value = "json")]
    pub format: ExportFormat,
    /// The file to write; without it, or with -, standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite a file that exists
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// A format to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object per line: docs/events.md, docs/events.schema.json.
    Json,
    /// The recorded packets, for Wireshark and its like: their first bytes, with what became of them as comments.
    Pcapng,
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Events read.
    pub events: u64,
    /// Packets written, where the format is one of packets.
    pub packets: u64,
    /// What is missing, because the recording is damaged or newer than this program, or because it has no place in the
    /// format; in words.
    pub remarks: Option<String>,
}

/// Exports, and says on standard error what is missing.
pub fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let summary = export(&args.file, args.format, args.output.as_deref(), args.force)?;
    if let Some(remarks) = summary.remarks {
        eprintln!("ovscope: {remarks}");
    }
    Ok(())
}

/// Exports the recording in a file (`-`: from stdin) to a new file or to stdout (none, or `-`); with `force`, to one that
/// is there.
pub fn export(
    recording: &Path,
    format: ExportFormat,
    output: Option<&Path>,
    force: bool,
) -> anyhow::Result<ExportSummary> {
    let mut reader = open(recording)?;
    let mut to = |output: &mut dyn Write| match format {
        ExportFormat::Json => json(&mut reader, output),
        ExportFormat::Pcapng => pcapng(&mut reader, output),
    };
    match output.filter(|path| *path != Path::new("-")) {
        None => {
            let mut stdout = io::stdout().lock();
            if format == ExportFormat::Pcapng && stdout.is_terminal() {
                bail!("pcapng is not for a terminal: name a file with -o FILE, or pipe it on: | tshark -r -");
            }
            to(&mut stdout).context("writing to standard output")
        }
        Some(path) => {
            let mut file = Output::create(path, force, recording)?;
            let summary = to(&mut file).with_context(|| format!("writing {}", path.display()))?;
            file.finish().with_context(|| format!("writing {}", path.display()))?;
            Ok(summary)
        }
    }
}

/// Opens a recording of any kind by its name; `-` is stdin.
pub fn open(recording: &Path) -> anyhow::Result<Recording> {
    Ok(if recording == Path::new("-") {
        Recording::from_stream("standard input", io::stdin())?
    } else {
        Recording::open(recording)?
    })
}

/// Writes through a buffer. A reader that closes the output early is no error.
fn written<W: Write>(output: W, write: impl FnOnce(&mut BufWriter<W>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let written = write(&mut output).and_then(|()| Ok(output.flush()?));
    match written {
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            // Nobody reads what is still in the buffer.
            let _ = output.into_parts();
            Ok(())
        }
        written => written,
    }
}
