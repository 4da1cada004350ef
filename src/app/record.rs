//! `ovscope record`: a recording without a screen.

use std::{
    collections::HashMap,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::bail;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    cli::RecordArgs,
    sampler::Sampler,
    session::{Session, after, asked_to_end, prepare},
    source::FromSource,
};
use crate::{
    event::{Query, Told},
    model::{Flow, FlowKey, FlowSort, Limits, Model, grouped},
    ovs_rpc::{Ask, AskTrace},
    probes,
    record::{Files, Header, Preamble, Progress, RecordError, Recorder, Stream, Summary},
};

/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_millis(500);

/// Records until it is asked to end, the duration is over, or nothing can be written any more.
pub async fn run(args: &RecordArgs) -> anyhow::Result<()> {
    let files = args.files()?;
    // Before a file is made: a host that cannot be traced leaves none behind.
    let prepared = prepare()?;
    let config = args.probes.config()?;
    let host = probes::session(&config.command);
    // From here on a signal ends what has begun.
    let asked = asked_to_end();
    tokio::pin!(asked);
    let (recorder, name) = create(args, files, &Header::from(&host))?;
    let started = tokio::select! {
        started = Session::start_told(prepared, config, Some(&args.daemon)) => started,
        () = &mut asked => Err(anyhow::anyhow!("asked to end before the probes were attached: nothing was recorded")),
    };
    let mut session = match started {
        Ok(session) => session,
        Err(error) => {
            drop(recorder);
            if let Some(first) = name.path {
                let _ = fs::remove_file(first);
            }
            return Err(error);
        }
    };
    eprintln!("recording {} (Linux {}) to {name}: Ctrl-C ends it", host.host, host.kernel);
    let end = async {
        tokio::select! {
            () = asked => {}
            () = after(args.duration) => {}
        }
    };
    let failed = follow(&mut session, &recorder, Asking::new(args.ask), end).await;
    session.stop(|told| recorder.give(told)).await;
    clear_line();
    seal(recorder, &name).await?;
    failed.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
}

/// Records what comes until `end`, or until nothing more comes or can be written. Returns why the session failed, if it
/// did.
async fn follow(
    session: &mut Session<Told>,
    recorder: &Recorder,
    mut asking: Asking,
    end: impl Future<Output = ()>,
) -> Option<String> {
    let began = Instant::now();
    tokio::pin!(end);
    let mut ticks = interval(PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            from = session.events.recv() => match from {
                Some(FromSource::Events(told)) => {
                    asking.see(&told);
                    recorder.give(told);
                }
                Some(FromSource::Ended(Err(why))) => return Some(why),
                _ => return None,
            },
            _ = ticks.tick() => {
                let progress = recorder.progress();
                show(began, &progress);
                if progress.failed.is_some() {
                    return None;
                }
                if let Some(ask) = asking.next(began.elapsed()) {
                    // The service keeps the newest question: one that finds no room is asked again later.
                    let _ = session.asks.try_send(ask.into());
                }
                if let Some(ask) = asking.next_sample()
                    && session.asks.try_send(ask.into()).is_err()
                {
                    asking.sampler.take_back();
                }
            }
            () = &mut end => return None,
        }
    }
}

/// Ends the recording, and says what is in it.
async fn seal(mut recorder: Recorder, name: &Name) -> anyhow::Result<()> {
    let sealing = tokio::task::spawn_blocking(move || {
        let sealed = recorder.seal();
        (sealed, recorder.progress())
    });
    let (sealed, progress) = sealing.await?;
    match sealed {
        Ok(summary) => {
            eprintln!("{}", told(name, &summary, &progress));
            if name.path.is_some() && progress.deleted == 0 {
                eprintln!("look at it, anywhere and without root: ovscope replay {name}");
            }
        }
        // As with any pipe: a reader that has seen enough closes it.
        Err(error @ RecordError::Unread { .. }) => eprintln!("{error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Where it is recorded to.
struct Name {
    /// The first file; none for a stream.
    path: Option<PathBuf>,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}

fn create(args: &RecordArgs, files: Files, header: &Header) -> anyhow::Result<(Recorder, Name)> {
    let preamble = Preamble::default();
    if !args.is_stream() {
        let (recorder, first) =
            Recorder::create_files(&args.output, files, header, &preamble).map_err(|error| match error {
                RecordError::Exists { .. } => anyhow::anyhow!("{error}, or say --force"),
                error => error.into(),
            })?;
        return Ok((recorder, Name { path: Some(first) }));
    }
    if io::stdout().is_terminal() {
        bail!("standard output is a terminal, and a recording is no text: pipe it somewhere, or name a file with -o");
    }
    let name = Name { path: None };
    Ok((Recorder::to_sink(&name.to_string(), Box::new(Stream(io::stdout())), header, &preamble)?, name))
}

fn show(began: Instant, progress: &Progress) {
    let mut err = io::stderr();
    if !err.is_terminal() {
        return;
    }
    let lost = if progress.lost > 0 { format!(", {} not recorded", progress.lost) } else { String::new() };
    let seconds = began.elapsed().as_secs();
    let megabytes = progress.bytes as f64 / 1e6;
    let files = if progress.files > 1 { format!(" in {} files", progress.files) } else { String::new() };
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let _ =
        write!(err, "\r\x1b[K{minutes:02}:{seconds:02}  {} events, {megabytes:.1} MB{files}{lost}", progress.events);
    let _ = err.flush();
}

fn clear_line() {
    let mut err = io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K");
    }
}

fn told(name: &Name, summary: &Summary, progress: &Progress) -> String {
    let seconds = summary.span.map_or(0.0, |(first, last)| last.saturating_sub(first) as f64 / 1e9);
    let lost = match summary.not_recorded {
        0 => "nothing lost on the way to it".to_owned(),
        lost => format!("{lost} events did not make it into it"),
    };
    let row = match (progress.files, progress.deleted) {
        (0 | 1, _) => String::new(),
        (files, 0) => format!(" and {} more files", files - 1),
        (files, deleted) => format!(" and {} more files, of which the first {deleted} are deleted", files - 1),
    };
    let megabytes = summary.bytes as f64 / 1e6;
    format!("recorded {} events of {seconds:.1} s in {megabytes:.1} MB to {name}{row}; {lost}", grouped(summary.events))
}

/// Asks the daemon about the busiest flows while they are there, so that a replay can show what it said.
struct Asking {
    per_second: u32,
    model: Model,
    /// How often it was asked about each.
    asked: HashMap<FlowKey, u8>,
    count: u64,
    sampler: Sampler,
}

/// How many flows are asked about in one recording, at most.
const ASKED_MAX: usize = 10_000;
/// How often to ask about one flow: detrace has an answer only some time after the flow was put.
const TRIES: u8 = 4;

impl Asking {
    fn new(per_second: u32) -> Self {
        // Only the flows are used.
        let model = Model::new(Limits { packets: 64, upcalls: 64, ..Limits::default() });
        Self { per_second, model, asked: HashMap::new(), count: 0, sampler: Sampler::default() }
    }

    /// The events of runs are skipped: which flows packets hit, and how often, is in the counters.
    fn see(&mut self, told: &[Told]) {
        if self.per_second == 0 {
            return;
        }
        for told in told {
            if let Told::Event(event) = told {
                self.model.apply(event);
            }
        }
    }

    /// The next flow of a storm to be traced.
    fn next_sample(&mut self) -> Option<AskTrace> {
        if self.per_second == 0 { None } else { self.sampler.next(&self.model) }
    }

    /// The next question, if it is time for one: in turn about the flow with the most hits and the newest.
    fn next(&mut self, elapsed: Duration) -> Option<Ask> {
        if self.count >= elapsed.as_secs() * u64::from(self.per_second) || self.asked.len() >= ASKED_MAX {
            return None;
        }
        let sort = if self.count.is_multiple_of(2) { FlowSort::HitRate } else { FlowSort::FirstSeen };
        let fresh = |flow: &Flow| {
            flow.ufid.is_some()
                && flow.deleted.is_none()
                && self.asked.get(&flow.key).is_none_or(|tries| *tries < TRIES)
                && self.model.answer(flow, Query::Detrace).is_none_or(|a| a.answer.is_err())
        };
        let keys = self.model.flow_order(fresh, sort, true).keys(0, 1);
        let flow = self.model.flow(*keys.first()?)?;
        let ask = Ask {
            ufid: flow.ufid?,
            dp: flow.dp,
            datapath: self.model.datapath(flow.dp).map(|d| d.name.clone()).unwrap_or_default(),
            sf_acts: flow.sf_acts,
        };
        *self.asked.entry(flow.key).or_default() += 1;
        self.count += 1;
        Some(ask)
    }
}
