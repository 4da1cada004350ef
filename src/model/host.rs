//! What surrounds the packets, as it stands.

use std::collections::HashMap;

use crate::event::{Capability, DaemonState, Datapath, DpIfindex, Loss, Port, PortNo, Session};

/// The host's state. Bounded by what the host has.
#[derive(Debug, Clone, Default)]
pub struct Host {
    pub session: Option<Box<Session>>,
    pub datapaths: Vec<Datapath>,
    pub capabilities: Vec<Capability>,
    pub daemon: Option<DaemonState>,
    pub loss: Loss,
    /// Places in `datapaths` and in their `ports`.
    ports: HashMap<(DpIfindex, PortNo), (usize, usize)>,
}

impl Host {
    pub fn set_datapaths(&mut self, datapaths: &[Datapath]) {
        self.datapaths = datapaths.to_vec();
        self.ports.clear();
        for (at, datapath) in datapaths.iter().enumerate() {
            for (port_at, port) in datapath.ports.iter().enumerate() {
                self.ports.insert((datapath.dp, port.port), (at, port_at));
            }
        }
    }

    pub fn port(&self, dp: DpIfindex, port: PortNo) -> Option<&Port> {
        let &(at, port_at) = self.ports.get(&(dp, port))?;
        self.datapaths.get(at)?.ports.get(port_at)
    }
}
