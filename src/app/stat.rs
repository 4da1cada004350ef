//! `ovscope stat`: one line per interval, for a log or a script.

use std::io::{self, IsTerminal as _, Write};

use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval_at};

use super::{
    cli::StatArgs,
    session::{Session, asked_to_end, prepare},
    source::FromSource,
};
use crate::{
    event::{Body, Event, Loss, Nanos},
    model::{Limits, Metric, Model, Percentiles, Stage, Totals, Window},
};

/// Lines between two headings on a terminal.
const HEADING_EVERY: u64 = 20;

/// Prints until it is asked to end, or has printed as many lines as were asked for.
pub async fn run(args: &StatArgs) -> anyhow::Result<()> {
    let prepared = prepare()?;
    let mut session = Session::start(prepared, args.probes.config()?, None).await?;
    let mut stat = Stat::default();
    let mut ticks = interval_at(tokio::time::Instant::now() + args.interval, args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = asked_to_end();
    tokio::pin!(end);
    let mut lines = 0;
    let mut out = io::stdout();
    let repeat = out.is_terminal();
    let mut failed = None;
    while args.count.is_none_or(|count| lines < count) {
        tokio::select! {
            from = session.events.recv() => match from {
                Some(FromSource::Events(events)) => stat.see(&events),
                Some(FromSource::Ended(Err(why))) => {
                    failed = Some(why);
                    break;
                }
                _ => break,
            },
            _ = ticks.tick() => {
                let Some(line) = stat.line() else { continue };
                let heading = !args.json && (lines == 0 || (repeat && lines % HEADING_EVERY == 0));
                if !print(&mut out, &line, args.json, heading)? {
                    break;
                }
                lines += 1;
            }
            () = &mut end => break,
        }
    }
    // What came since the last line gets a line of its own, so that the lines add up to the totals.
    let cut_short = args.count.is_none_or(|count| lines < count);
    session.stop(|events| stat.see(&events)).await;
    if cut_short && let Some(line) = stat.line() {
        print(&mut out, &line, args.json, !args.json && lines == 0)?;
    }
    failed.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
}

/// Whether somebody still reads the output.
fn print(out: &mut impl Write, line: &Line, json: bool, heading: bool) -> io::Result<bool> {
    let mut write = || {
        if json {
            serde_json::to_writer(&mut *out, line)?;
            writeln!(out)?;
        } else {
            if heading {
                writeln!(out, "{HEADING}")?;
            }
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}

/// What the lines are made from.
#[derive(Debug)]
struct Stat {
    model: Model,
    /// The time of the newest counters, which the totals are of.
    counted: Option<Nanos>,
    /// The totals of the last line, and their time.
    before: Option<(Nanos, Totals)>,
}

impl Default for Stat {
    fn default() -> Self {
        Self { model: Model::new(Limits::default()), counted: None, before: None }
    }
}

impl Stat {
    fn see(&mut self, events: &[Event]) {
        for event in events {
            self.model.apply(event);
            if matches!(event.body, Body::Counters(_)) {
                if self.before.is_none() {
                    self.before = self.model.totals().map(|totals| (event.ts, totals));
                }
                self.counted = Some(event.ts);
            }
        }
    }

    /// What happened since the last line; none where there are no newer counters.
    fn line(&mut self) -> Option<Line> {
        let (counted, totals) = (self.counted?, self.model.totals()?);
        let (since, before) = self.before?;
        if counted <= since {
            return None;
        }
        self.before = Some((counted, totals));
        let offset = self.model.clock().and_then(|c| FixedOffset::east_opt(c.utc_offset));
        let time = self
            .model
            .wall(counted)
            .and_then(|ns| DateTime::from_timestamp((ns / 1_000_000_000).cast_signed(), (ns % 1_000_000_000) as u32))
            .zip(offset)
            .map(|(utc, offset)| utc.with_timezone(&offset));
        Some(Line {
            ts: counted,
            time: time.map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, false)),
            clock: time.map(|t| t.format("%H:%M:%S").to_string()).unwrap_or_default(),
            seconds: (counted - since) as f64 / 1e9,
            count: Counts::between(&self.model, &before, &totals),
            total: Counts::between(&self.model, &Totals::default(), &totals),
            flows: self.model.running(Metric::Flows),
            latency_10s: self.model.latency(Stage::Whole, Window::Last10).map(Latency::from),
            loss: *self.model.loss(),
        })
    }
}

/// One line. In JSON `count` is what happened within the line's seconds, `total` since the probes were attached.
#[derive(Debug, Serialize)]
struct Line {
    ts: Nanos,
    time: Option<String>,
    #[serde(skip)]
    clock: String,
    seconds: f64,
    count: Counts,
    total: Counts,
    flows: Option<u64>,
    /// How long the whole way of an upcall took in the last ten seconds, in nanoseconds; of all upcalls where the kernel side
    /// counts the stages, else of those seen in detail.
    latency_10s: Option<Latency>,
    loss: Loss,
}

/// None of what no probe counts.
#[derive(Debug, Serialize)]
struct Counts {
    lookups: Option<u64>,
    hits: Option<u64>,
    misses: Option<u64>,
    upcalls: Option<u64>,
    lost: Option<u64>,
    puts: Option<u64>,
    puts_failed: Option<u64>,
    execs: Option<u64>,
    dels: Option<u64>,
}

impl Counts {
    fn between(model: &Model, before: &Totals, after: &Totals) -> Self {
        let grown = |metric: Metric, of: fn(&Totals) -> u64| {
            model.uncounted(metric).is_none().then(|| of(after).saturating_sub(of(before)))
        };
        Self {
            lookups: grown(Metric::Lookups, |t| t.lookups),
            hits: grown(Metric::Hits, |t| t.hits),
            misses: grown(Metric::Misses, |t| t.misses),
            upcalls: grown(Metric::Upcalls, |t| t.upcalls),
            lost: grown(Metric::UpcallsLost, |t| t.upcalls_lost),
            puts: grown(Metric::Puts, |t| t.puts),
            puts_failed: grown(Metric::PutsFailed, |t| t.puts_failed),
            execs: grown(Metric::Execs, |t| t.execs),
            dels: grown(Metric::Dels, |t| t.dels),
        }
    }
}

#[derive(Debug, Serialize)]
struct Latency {
    upcalls: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl From<Percentiles> for Latency {
    fn from(p: Percentiles) -> Self {
        Self { upcalls: p.count, p50: p.p50, p90: p.p90, p99: p.p99, max: p.max }
    }
}

const HEADING: &str =
    "time      lookups/s    hits/s  misses/s upcalls/s    lost/s    puts/s    dels/s     flows   p50 10s   p99 10s";

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:8}", self.clock)?;
        let c = &self.count;
        for (width, count) in
            [(11, c.lookups), (10, c.hits), (10, c.misses), (10, c.upcalls), (10, c.lost), (10, c.puts), (10, c.dels)]
        {
            match count {
                Some(count) => write!(f, "{:width$.0}", count as f64 / self.seconds)?,
                None => write!(f, "{:>width$}", "-")?,
            }
        }
        match self.flows {
            Some(flows) => write!(f, "{flows:10}")?,
            None => write!(f, "{:>10}", "-")?,
        }
        for ns in [self.latency_10s.as_ref().map(|l| l.p50), self.latency_10s.as_ref().map(|l| l.p99)] {
            write!(f, "{:>10}", ns.map_or_else(|| "-".to_owned(), duration))?;
        }
        if self.loss.any() {
            write!(f, "  events lost")?;
        }
        Ok(())
    }
}

/// Three digits and a unit.
fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Capability, CapabilityState, Counters, DpCounters};

    fn counters(ts: Nanos, hits: u64, misses: u64) -> Event {
        let datapaths = vec![DpCounters { hits, misses, ..DpCounters::default() }];
        Event::host(ts, Body::Counters(Box::new(Counters { datapaths, ..Counters::default() })))
    }

    #[test]
    fn lines_add_up_to_the_totals() {
        let mut stat = Stat::default();
        stat.see(&[counters(1_000_000_000, 5, 5)]);
        assert!(stat.line().is_none(), "nothing is known of the time before the first counters");
        stat.see(&[counters(2_000_000_000, 105, 15), counters(3_000_000_000, 205, 15)]);
        let line = stat.line().expect("newer counters");
        assert_eq!((line.count.hits, line.count.misses, line.count.lookups), (Some(200), Some(10), Some(210)));
        assert!((line.seconds - 2.0).abs() < 1e-9);
        assert_eq!(line.total.hits, Some(205));
        assert!(stat.line().is_none(), "no newer counters");
    }

    #[test]
    fn what_no_probe_counts_is_no_nought() {
        let mut stat = Stat::default();
        let [missing, off] =
            [("flow_hit", CapabilityState::Missing), ("flow_put", CapabilityState::Off)].map(|(name, state)| {
                Capability { name: name.to_owned(), state, probe: String::new(), why: String::new(), cost: None }
            });
        stat.see(&[Event::host(0, Body::Probes { capabilities: vec![missing, off] })]);
        stat.see(&[counters(1_000_000_000, 0, 5), counters(2_000_000_000, 0, 12)]);
        let line = stat.line().expect("newer counters");
        let Counts { lookups, hits, misses, puts, dels, .. } = line.count;
        assert_eq!((lookups, hits, misses, puts, dels), (None, None, Some(7), None, Some(0)));
        let line = line.to_string();
        assert!(line.contains("         -         -         7 "), "{line}");
        assert_eq!(line.chars().count(), HEADING.chars().count(), "\n{HEADING}\n{line}");
    }

    #[test]
    fn columns_stand_below_their_heading() {
        let mut stat = Stat::default();
        stat.see(&[counters(1_000_000_000, 0, 0), counters(2_000_000_000, 1_234_567, 0)]);
        let line = stat.line().expect("newer counters").to_string();
        assert_eq!(line.chars().count(), HEADING.chars().count(), "\n{HEADING}\n{line}");
    }

    #[test]
    fn durations_have_three_digits() {
        let of = |ns| duration(ns);
        assert_eq!(
            [of(999), of(1_234), of(12_345), of(123_456), of(1_234_567_890)],
            ["999 ns", "1.23 µs", "12.3 µs", "123 µs", "1.23 s"]
        );
    }
}
