//! The daemon's control socket.

use crate::event::{FlowPtr, Ufid};

/// Ask the daemon about a flow. Answers come back as events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The flow.
    pub ufid: Ufid,
    /// Its datapath's name; empty where it is not known.
    pub datapath: String,
    /// Its actions now: an answer belongs to one generation of the flow.
    pub sf_acts: Option<FlowPtr>,
}
