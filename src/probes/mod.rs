//! Loads and attaches the kernel side, reads its ring buffer and counters, and makes events of them.
//!
//! [`Prepared::start`] does all of it in a thread of its own; what comes out is a stream of batches of what
//! they tell, which is [`Event`](crate::event::Event)s. When the
//! thread ends, or the process dies, nothing stays in the kernel: no map or program is pinned.

mod attach;
mod capability;
mod collect;
mod cost;
mod counters;
mod datapaths;
pub(crate) mod decode;
mod decode_action;
mod filter;
mod host;
mod ladder;
mod load;
mod packet_bytes;
mod prerequisite;
mod reasons;
mod routes;
mod skeleton;
mod survey;
mod symbols;
mod told;
mod trace;
mod usdt;
mod wire;

use std::{sync::mpsc, thread};

use crate::{
    event::{Capability, Told},
    filter::Programs,
    privileges,
};

pub use datapaths::read_datapaths;
pub use host::{monotonic_now, session};
pub use ladder::Attach;
pub use prerequisite::{Missing, Prerequisite, look, look_all};
pub use reasons::read_drop_reasons;
pub use survey::survey;

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
    /// What the probes may be attached with.
    pub attach: Attach,
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
            attach: Attach::Auto,
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
    /// The kernel refused every probe.
    #[error(
        "nothing can be attached here; {why}\nWhat to do: look at the output of ovscope doctor, and send it to the project"
    )]
    Nothing {
        /// The first one and why.
        why: String,
    },
    /// The privileges that are not needed any more could not be given up.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// The kernel refused; the message says what it said.
    #[error("{what}: {answer}")]
    Kernel {
        /// What was asked of it.
        what: &'static str,
        /// Its answer. Not called the source: the message has it already.
        answer: libbpf_rs::Error,
    },
    /// The kernel refused a program that every capability needs.
    #[error("loading the probes: {0}")]
    Refused(String),
}

/// Where the events go: called in the probes' thread with each batch, in the order of their arrival (their times may
/// be out of order across CPUs). While it blocks, the ring buffer fills and the kernel side counts what is lost.
/// Returning `false` ends the thread.
pub type Sink = Box<dyn FnMut(Vec<Told>) -> bool + Send>;

/// The thread of the probes, before it does anything. It has every privilege that this program has, so it is made before
/// the others give theirs up. Dropped, it ends.
#[derive(Debug)]
pub struct Prepared {
    orders: mpsc::Sender<Orders>,
    thread: thread::JoinHandle<()>,
}

/// What the thread is told to do.
struct Orders {
    config: Config,
    sink: Sink,
    stopped: mpsc::Receiver<()>,
    ready: mpsc::Sender<Result<Vec<Capability>, Error>>,
}

impl Prepared {
    /// Makes the thread, where the probes can start at all.
    pub fn new() -> Result<Self, Error> {
        look()?;
        let (orders, ordered) = mpsc::channel::<Orders>();
        let work = move || {
            if let Ok(Orders { config, sink, stopped, ready }) = ordered.recv() {
                collect::run(&config, sink, &stopped, &ready);
            }
        };
        let thread = thread::Builder::new()
            .name("ovscope-probes".to_owned())
            .spawn(work)
            .map_err(|e| Error::Kernel { what: "starting the probes' thread", answer: e.into() })?;
        Ok(Self { orders, thread })
    }

    /// Loads and attaches, and begins to send events to `sink`. Returns when everything is attached that can be.
    pub fn start(self, config: Config, sink: Sink) -> Result<Running, Error> {
        let (stop, stopped) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        // A thread that is gone hangs up.
        let _ = self.orders.send(Orders { config, sink, stopped, ready });
        match is_ready.recv() {
            Ok(Ok(capabilities)) => Ok(Running { stop: Some(stop), thread: Some(self.thread), capabilities }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Kernel {
                what: "attaching the probes",
                answer: std::io::Error::other("their thread ended unexpectedly").into(),
            }),
        }
    }
}

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
