//! A recording's events in other formats: JSON, one object per line.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    event::{Comm, Event, Nanos, PacketId, UpcallId},
    record::{Reader, create_new},
};

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Events written.
    pub events: u64,
    /// What is missing because the recording is damaged or newer than this program; for people.
    pub remarks: Option<String>,
}

/// Exports the recording in a file (`-`: from stdin) as JSON, to a new file or to stdout.
pub fn to_json(recording: &Path, output: Option<&Path>) -> anyhow::Result<ExportSummary> {
    let mut reader = open(recording)?;
    match output {
        None => json(&mut reader, io::stdout().lock()).context("writing to standard output"),
        Some(path) => {
            let mut file = create_new(path)?;
            let summary = json(&mut reader, &mut file).with_context(|| format!("writing {}", path.display()))?;
            file.sync_all().with_context(|| format!("writing {}", path.display()))?;
            Ok(summary)
        }
    }
}

/// Opens a recording by its name; `-` is stdin.
pub fn open(recording: &Path) -> anyhow::Result<Reader> {
    Ok(if recording == Path::new("-") {
        Reader::from_stream("standard input", io::stdin())?
    } else {
        Reader::open(recording)?
    })
}

/// Writes every event as one JSON object per line: `ts`, `cpu`, `type`, `tid`, `comm`, `packet`, `upcall` (the last two
/// only where the event has them), `pid`, then the event's own fields. Who reads and goes away early has what he wanted.
pub fn json(reader: &mut Reader, output: impl Write) -> anyhow::Result<ExportSummary> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let mut events = 0;
    let written = lines(reader, &mut output, &mut events).and_then(|()| Ok(output.flush()?));
    match written {
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            // What is still in the buffer has no reader.
            let _ = output.into_parts();
        }
        written => written?,
    }
    Ok(ExportSummary { events, remarks: reader.remarks() })
}

fn lines(reader: &mut Reader, output: &mut impl Write, events: &mut u64) -> anyhow::Result<()> {
    for batch in reader {
        for event in batch? {
            line(&event, output)?;
            *events += 1;
        }
    }
    Ok(())
}

/// What every line begins with.
#[derive(Serialize)]
struct Head<'a> {
    ts: Nanos,
    cpu: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    tid: u32,
    comm: Comm,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<PacketId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upcall: Option<UpcallId>,
    pid: u32,
}

fn line(event: &Event, output: &mut impl Write) -> anyhow::Result<()> {
    let &Event { ts, cpu, tid, pid, comm, packet, upcall, ref body } = event;
    let kind = event.kind();
    let mut line = serde_json::to_string(&Head { ts, cpu, kind, tid, comm, packet, upcall, pid })?;
    // The event's own object begins with its type, which stands further ahead here.
    let own = serde_json::to_string(body)?;
    let rest =
        own.strip_prefix(&format!("{{\"type\":\"{kind}\"")).context("an event whose JSON begins with no type")?;
    line.pop();
    line.push_str(rest);
    line.push('\n');
    Ok(output.write_all(line.as_bytes())?)
}
