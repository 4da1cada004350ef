//! Loads and attaches the kernel side, reads its ring buffer and counters, and makes events of them.
//!
//! [`start`] does all of it in a thread of its own; what comes out is a stream of batches of [`Event`]s. When the
//! thread ends, or the process dies, nothing stays in the kernel: no map or program is pinned.

mod capability;
mod collect;
mod counters;
mod datapaths;
mod decode;
mod decode_action;
mod host;
mod reasons;
mod skeleton;
mod symbols;
mod told;
mod trace;
mod usdt;
mod wire;

use std::{sync::mpsc, thread};

use crate::{
    event::{Capability, Event},
    filter::Programs,
};

pub use capability::{Missing, Prerequisite, look, look_all};
pub use datapaths::read_datapaths;
pub use host::{monotonic_now, session};

/// What the probes are to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// Follow upcalls through the daemon's threads.
    pub follow: bool,
    /// While it does, listen to daemons that were built with USDT probes.
    pub usdt: Usdt,
    /// Of so many packets that are not upcalled one is recorded; 0: none, and the points before and after OVS are not
    /// attached at all.
    pub sample: u32,
    /// Bytes of each recorded packet that are kept, at most [`SNAPLEN_MAX`].
    pub snaplen: u32,
    /// Events per second at most.
    pub event_budget: u64,
    /// What is recorded one by one; none: everything.
    pub filter: Option<Programs>,
    /// Bytes of the ring buffer: a power of two, within [`BUFFER_RANGE`].
    pub buffer: u32,
    /// The session's command line, for the record.
    pub command: String,
}

/// Whether daemons that were built with USDT probes are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usdt {
    /// Not at all.
    Off,
    /// Where there is one, and as long as it costs little.
    WhereThereIs,
    /// It is asked for: what is not there is missing, and it costs what it costs.
    Wanted,
}

/// The most bytes of a packet that are kept; `SNAPLEN_MAX` in bpf/events.h.
pub const SNAPLEN_MAX: u32 = wire::SNAPLEN_MAX as u32;

/// Bytes of the ring buffer, if nobody says more or less: the events of a full-speed storm for a second.
pub const BUFFER: u32 = 16 << 20;
/// The fewest and the most: less holds no storm for the 40 ms between two readings, more is what the kernel can map.
pub const BUFFER_RANGE: std::ops::RangeInclusive<u32> = 256 << 10..=1 << 30;

impl Default for Config {
    fn default() -> Self {
        Self {
            follow: true,
            usdt: Usdt::WhereThereIs,
            sample: 1,
            snaplen: 128,
            event_budget: 100_000,
            filter: None,
            buffer: BUFFER,
            command: String::new(),
        }
    }
}

/// Why the probes cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something without which nothing can be seen is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The kernel refused a program that nothing can be seen without.
    #[error(
        "the kernel refused {probe}: {why}\nWhat to do: send this line with the output of ovscope doctor to the project"
    )]
    Refused {
        /// What the program attaches to.
        probe: &'static str,
        /// The verifier's last words.
        why: String,
    },
    /// The kernel refused; the message says what it said.
    #[error("{what}: {source}")]
    Kernel {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        source: libbpf_rs::Error,
    },
}

/// Where the events go: called in the probes' thread with each batch, in the order of their arrival (their times may
/// be out of order across CPUs). While it blocks, the ring buffer fills and the kernel side counts what is lost.
/// Returning `false` ends the thread.
pub type Sink = Box<dyn FnMut(Vec<Event>) -> bool + Send>;

/// The running probes. Dropping it detaches them.
#[derive(Debug)]
pub struct Running {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    capabilities: Vec<Capability>,
}

impl Running {
    /// What was attached, and what not and why.
    pub fn capabilities(&self) -> &[Capability] {
        &self.capabilities
    }

    /// Detaches everything after a last look at the ring buffer and the counters.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

/// Loads and attaches, and begins to send events to `sink`. Returns when everything is attached that can be.
pub fn start(config: Config, sink: Sink) -> Result<Running, Error> {
    look()?;
    let (stop, stopped) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("ovscope-probes".to_owned())
        .spawn(move || collect::run(&config, sink, &stopped, &ready))
        .map_err(|e| Error::Kernel { what: "starting the probes' thread", source: e.into() })?;
    match is_ready.recv() {
        Ok(Ok(capabilities)) => Ok(Running { stop: Some(stop), thread: Some(thread), capabilities }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Kernel {
            what: "attaching the probes",
            source: std::io::Error::other("their thread ended unexpectedly").into(),
        }),
    }
}
