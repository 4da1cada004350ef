//! A session on this host: the probes and the daemon, joined into one stream of events.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{cli::DaemonArgs, source::FromSource};
use crate::{
    event::{Event, Told},
    ovs_rpc::{self, Question},
    privileges,
    probes::{Config, Prepared, Running, Usdt, monotonic_now},
};

/// How many batches may wait for their reader: some seconds of a storm.
const QUEUE: usize = 256;
/// How many questions may wait for the daemon; the service itself keeps only the newest.
const ASKS: usize = 64;

/// Starts the thread of the probes, and drops the privileges that no other thread needs. Has to be called before there are
/// others.
pub fn prepare() -> anyhow::Result<Prepared> {
    let prepared = Prepared::new()?;
    privileges::keep(privileges::SCREEN)?;
    Ok(prepared)
}

/// A running session, and where its events come out: as single events, or in runs.
pub struct Session<T = Event> {
    /// Events of the probes and the daemon. [`FromSource::Ended`] comes only when the probes stopped by themselves.
    pub events: mpsc::Receiver<FromSource<T>>,
    /// Questions to the daemon.
    pub asks: mpsc::Sender<Question>,
    /// For whatever else has to go the way of the events.
    pub notes: mpsc::WeakSender<FromSource<T>>,
    probes: Option<Running>,
    daemon: Option<JoinHandle<()>>,
}

impl Session {
    /// Attaches the probes, and looks for the daemon where `daemon` is given. Needs a runtime.
    pub async fn start(prepared: Prepared, config: Config, daemon: Option<&DaemonArgs>) -> anyhow::Result<Self> {
        Self::start_with(prepared, config, daemon, Told::expanded).await
    }
}

impl Session<Told> {
    /// The same for a reader who takes packets' events in runs.
    pub async fn start_told(prepared: Prepared, config: Config, daemon: Option<&DaemonArgs>) -> anyhow::Result<Self> {
        Self::start_with(prepared, config, daemon, |told| told).await
    }
}

impl<T: From<Event> + Send + 'static> Session<T> {
    async fn start_with(
        prepared: Prepared,
        config: Config,
        daemon: Option<&DaemonArgs>,
        wanted: fn(Vec<Told>) -> Vec<T>,
    ) -> anyhow::Result<Self> {
        let usdt_asked = config.usdt == Usdt::Wanted;
        let (out, events) = mpsc::channel(QUEUE);
        let (asks, asked) = mpsc::channel(ASKS);
        let daemon = daemon.map(|args| ask_daemon(args.ovs_rundir.clone(), Some(args.rpc_rate), asked, &out));
        let notes = out.downgrade();
        let last = Last(out);
        let sink = Box::new(move |told| last.0.blocking_send(FromSource::Events(wanted(told))).is_ok());
        let starting = tokio::task::spawn_blocking(move || prepared.start(config, sink));
        let probes = starting.await.context("starting the probes")??;
        if usdt_asked
            && let Some(missing) = probes.capabilities().iter().find(|c| c.is_missing() && c.name.starts_with("usdt"))
        {
            eprintln!("ovscope: --track usdt: {}", missing.why);
        }
        Ok(Self { events, asks, notes, probes: Some(probes), daemon })
    }

    /// The events, for somebody else to take: until [`Session::stop`] and what was still to be said then.
    pub fn take_events(&mut self) -> mpsc::Receiver<FromSource<T>> {
        std::mem::replace(&mut self.events, mpsc::channel(1).1)
    }

    /// Detaches the probes, and gives `rest` what they still had to say: the last events and counters.
    pub async fn stop(mut self, mut rest: impl FnMut(Vec<T>)) {
        if let Some(daemon) = self.daemon.take() {
            daemon.abort();
        }
        let probes = self.probes.take();
        let mut stopping = tokio::task::spawn_blocking(move || drop(probes));
        loop {
            tokio::select! {
                biased;
                Some(from) = self.events.recv() => {
                    if let FromSource::Events(events) = from {
                        rest(events);
                    }
                }
                _ = &mut stopping => break,
            }
        }
        while let Ok(from) = self.events.try_recv() {
            if let FromSource::Events(events) = from {
                rest(events);
            }
        }
    }
}

/// Starts the service that asks the daemon; its answers go to `out` as events.
pub fn ask_daemon<T: From<Event> + Send + 'static>(
    rundir: Option<PathBuf>,
    rate: Option<u32>,
    asked: mpsc::Receiver<Question>,
    out: &mpsc::Sender<FromSource<T>>,
) -> JoinHandle<()> {
    let mut config = ovs_rpc::Config::new(rundir);
    if let Some(rate) = rate {
        config.rate = rate;
    }
    let (answers, mut answered) = mpsc::channel(16);
    let out = out.clone();
    let service = ovs_rpc::spawn(config, asked, answers, monotonic_now);
    tokio::spawn(async move {
        while let Some(events) = answered.recv().await {
            let events = events.into_iter().map(T::from).collect();
            if out.send(FromSource::Events(events)).await.is_err() {
                break;
            }
        }
        service.abort();
    })
}

/// Says that the probes are gone when their thread drops it, for whatever reason.
struct Last<T>(mpsc::Sender<FromSource<T>>);

impl<T> Drop for Last<T> {
    fn drop(&mut self) {
        let why = "the probes stopped: their thread ended".to_owned();
        let _ = self.0.try_send(FromSource::Ended(Err(why)));
    }
}

/// Waits until the user or the system asks the program to end: Ctrl-C, SIGTERM or SIGHUP. Signals count from the call on, even
/// before the future is first polled. Needs a runtime.
pub fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn came(signal: Option<Signal>) {
        match signal {
            Some(mut signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
    let [interrupt, terminate, hangup] =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| signal(kind).ok());
    async {
        tokio::select! {
            () = came(interrupt) => {}
            () = came(terminate) => {}
            () = came(hangup) => {}
        }
    }
}

/// Sleeps until `duration` is over; for ever without one.
pub async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
