//! A recording's events as JSON, one object per line; docs/events.schema.json is its schema.

use std::io::Write;

use anyhow::Context as _;
use serde::Serialize;

use super::{ExportSummary, written};
use crate::{
    event::{Comm, Event, Nanos, PacketId, UpcallId},
    record::Recording,
};

/// Writes every event as one JSON object per line: `ts`, `cpu`, `type`, `tid`, `comm`, `packet`, `upcall` (the last two
/// only where the event has them), `pid`, then the event's own fields. A reader of `output` that closes it early is no error.
pub fn json(recording: &mut Recording, output: impl Write) -> anyhow::Result<ExportSummary> {
    let mut events = 0;
    written(output, |output| {
        for batch in &mut *recording {
            for event in batch? {
                line(&event, output)?;
                events += 1;
            }
        }
        Ok(())
    })?;
    Ok(ExportSummary { events, packets: 0, remarks: recording.remarks() })
}

/// The fields that every line begins with.
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
    // The event's own object begins with its type, which has been written already.
    let own = serde_json::to_string(body)?;
    let rest =
        own.strip_prefix(&format!("{{\"type\":\"{kind}\"")).context("an event whose JSON begins with no type")?;
    line.pop();
    line.push_str(rest);
    line.push('\n');
    Ok(output.write_all(line.as_bytes())?)
}
