//! `ovscope report`: a summary of a recording, fit for a ticket.

mod collect;
mod document;
mod facts;
mod new_flows;
mod pages;
mod tables;
mod tally;
mod verdicts;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{export::open, marks::Beside, to_stdout};
use crate::{event::Bookmark, record::Recording};
pub use facts::Report;

/// `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The recording, or an event file of retis (1.5 and later); - reads a stream from standard input
    pub file: PathBuf,
    /// The format
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub format: ReportFormat,
}

/// A format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text of at most 80 columns.
    Text,
    /// Markdown with tables, for a ticket.
    Markdown,
    /// One JSON object with all the figures: docs/report.md.
    Json,
}

/// Prints the report on standard output.
pub fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let mut recording = open(&args.file)?;
    let marks = if recording.can_seek() { Beside::of(&args.file).load() } else { Ok(Vec::new()) };
    let mut report = report(&mut recording, marks.as_deref().unwrap_or_default())?;
    report.remarks.extend(marks.err());
    to_stdout(report.in_format(args.format)?.as_bytes())
}

/// Reads a recording to its end; `beside` are marks that are not in it. The same recording gives the same report, and memory
/// is bounded as the model's is.
pub fn report(recording: &mut Recording, beside: &[Bookmark]) -> anyhow::Result<Report> {
    let mut collector = collect::Collector::default();
    while let Some(batch) = recording.next_batch() {
        let batch = batch?;
        for event in &batch.events {
            collector.take(event, batch.keyframe);
        }
    }
    for mark in beside {
        collector.mark(mark);
    }
    Ok(collector.report(recording.remarks().as_deref()))
}

impl Report {
    /// As it is printed.
    pub fn in_format(&self, format: ReportFormat) -> anyhow::Result<String> {
        Ok(match format {
            ReportFormat::Text => document::text(&pages::pages(self)),
            ReportFormat::Markdown => document::markdown(&pages::pages(self)),
            ReportFormat::Json => serde_json::to_string_pretty(self)? + "\n",
        })
    }
}
