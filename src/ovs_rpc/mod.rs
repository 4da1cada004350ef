//! The daemon's control socket: finds it, asks a few questions that only read, rarely, and tells the answers as events.
//!
//! [`spawn`] is all of it as a service. Underneath: [`Search`] finds the socket, [`Client`] speaks over it, and
//! [`Command`] is everything that can be said. The wire is `lib/unixctl.c` and `lib/jsonrpc.c` of Open vSwitch.

mod client;
mod command;
mod daemon;
mod figures;
mod frame;
mod pace;
mod search;
mod service;
mod traces;
mod wanted;

use std::{path::PathBuf, time::Duration};

use crate::event::{DpIfindex, Field, FlowPtr, PacketId, Ufid};

pub use client::{CallError, Client};
pub use command::{Command, FlowPlace, KeyText, KeyTextError, NO_PMD, Word, WordError};
pub use frame::{FrameError, Framer, MAX_REPLY, Reply};
pub use search::{Found, NotFound, Search};
pub use service::spawn;

/// Ask the daemon about a flow. Answers come back as events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The flow.
    pub ufid: Ufid,
    /// Its datapath.
    pub dp: DpIfindex,
    /// The datapath's name; empty where it is not known.
    pub datapath: String,
    /// Its actions now: an answer belongs to one generation of the flow.
    pub sf_acts: Option<FlowPtr>,
}

/// Ask the daemon for the way of a packet through its OpenFlow rules. The answer comes back as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskTrace {
    /// The datapath.
    pub dp: DpIfindex,
    /// Its name; empty where it is not known.
    pub datapath: String,
    /// What the packet has.
    pub key: KeyText,
    /// The flow that the key is of.
    pub ufid: Option<Ufid>,
    /// The packet that the key is of.
    pub packet: Option<PacketId>,
    /// Nobody asked for it: a sample of flows that differ in this field.
    pub sample_of: Option<Field>,
}

/// What the daemon can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// About a flow. Only the newest of these counts.
    Flow(Ask),
    /// For a trace. Each is answered, as far as there is room for it to wait.
    Trace(Box<AskTrace>),
}

impl From<Ask> for Question {
    fn from(ask: Ask) -> Self {
        Self::Flow(ask)
    }
}

impl From<AskTrace> for Question {
    fn from(ask: AskTrace) -> Self {
        Self::Trace(Box::new(ask))
    }
}

/// How the daemon is asked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where its socket is looked for.
    pub search: Search,
    /// Requests a second at most, of any kind. 0: the daemon is left alone altogether.
    pub rate: u32,
    /// How long one request may take. The daemon works requests off in its main thread, between everything else.
    pub deadline: Duration,
    /// How often it is asked for its version, which says that it lives and how fast it answers.
    pub health: Duration,
    /// How often it is asked what it counts of itself: two requests.
    pub figures: Duration,
}

impl Config {
    /// 20 requests a second at most, one second for each, its health and its figures every 5 seconds; `rundir` is `--ovs-rundir`, a
    /// directory or the socket itself.
    pub fn new(rundir: Option<PathBuf>) -> Self {
        let [deadline, health] = [1, 5].map(Duration::from_secs);
        Self { search: Search::new(rundir), rate: 20, deadline, health, figures: health }
    }
}
