//! What surrounds the packets, as it stands.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{
    Capability, CapabilityState, DaemonState, Datapath, DpCounters, DpIfindex, Loss, Port, PortNo, Session,
};

/// The host's state. Bounded by what the host has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Host {
    pub session: Option<Box<Session>>,
    pub datapaths: Vec<Datapath>,
    pub capabilities: Vec<Capability>,
    pub daemon: Option<DaemonState>,
    pub loss: Loss,
    /// Where each port is: its place in `datapaths` and in their `ports`.
    ports: HashMap<(DpIfindex, PortNo), (usize, usize), RandomState>,
    /// The datapaths of flow tables, as the counters last said.
    tables: Vec<(u64, DpIfindex)>,
    /// The probe that counts hits by flow is known not to be there.
    no_flow_hits: bool,
}

impl Host {
    /// Takes the datapaths there are now.
    pub fn set_datapaths(&mut self, datapaths: &[Datapath]) {
        self.datapaths = datapaths.to_vec();
        self.ports.clear();
        for (at, datapath) in datapaths.iter().enumerate() {
            for (port_at, port) in datapath.ports.iter().enumerate() {
                self.ports.insert((datapath.dp, port.port), (at, port_at));
            }
        }
    }

    /// Takes the capabilities.
    pub fn set_capabilities(&mut self, capabilities: &[Capability]) {
        let is_off = |state| matches!(state, CapabilityState::Missing | CapabilityState::Off);
        self.no_flow_hits = capabilities.iter().any(|of| of.name == "flow_hit" && is_off(of.state));
        self.capabilities = capabilities.to_vec();
    }

    /// Whether hits are counted by flow, as far as is known.
    pub fn counts_flow_hits(&self) -> bool {
        !self.no_flow_hits
    }

    pub fn port(&self, dp: DpIfindex, port: PortNo) -> Option<&Port> {
        let &(at, port_at) = self.ports.get(&(dp, port))?;
        self.datapaths.get(at)?.ports.get(port_at)
    }

    /// Takes which datapath each table belongs to. Returns whether one became known that was not.
    pub fn learn_tables(&mut self, counters: &[DpCounters], most: usize) -> bool {
        let was_unknown = |c: &DpCounters| self.datapath_of_table(c.table) == DpIfindex(0);
        let learned = !self.tables.is_empty() && counters.iter().any(|c| c.dp != DpIfindex(0) && was_unknown(c));
        self.tables.clear();
        self.tables.extend(counters.iter().take(most).map(|c| (c.table, c.dp)));
        learned
    }

    /// The datapath of a flow table: the newest of those that had one at its address; where none is known and there is only one
    /// datapath, that one; else 0.
    pub fn datapath_of_table(&self, table: u64) -> DpIfindex {
        let known = self.tables.iter().rev().find(|(of, _)| *of == table).map(|(_, dp)| *dp).filter(|dp| dp.0 != 0);
        self.known_datapath(known.unwrap_or_default())
    }

    /// The datapath itself; where it is not known and there is only one, that one; else 0.
    pub fn known_datapath(&self, dp: DpIfindex) -> DpIfindex {
        match &self.datapaths[..] {
            [only] if dp == DpIfindex(0) => only.dp,
            _ => dp,
        }
    }
}
