//! What is open, as it was last known: it stays on the screen when the model has let go of it.

use crate::{
    event::{PacketId, UpcallId},
    model::{Flow, FlowKey, PacketSnapshot},
};

use super::{View, ViewState};

/// One thing that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin<Id, T> {
    /// What was opened.
    pub id: Id,
    /// As it is now, or as it was when the model let go of it.
    pub value: T,
    /// Whether the model still has it.
    pub kept: bool,
}

/// What is open, by view. At most as many events as are kept of three packets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pins {
    /// In Flows.
    pub flow: Option<Pin<FlowKey, Flow>>,
    /// In Upcalls: the packet of the upcall.
    pub upcall: Option<Pin<UpcallId, PacketSnapshot>>,
    /// In Packets.
    pub packet: Option<Pin<PacketId, PacketSnapshot>>,
}

impl Pins {
    /// The packet that is open in the current view, in Packets or through its upcall, and whether the model still has it.
    pub fn packet_of(&self, view: &ViewState) -> Option<(&PacketSnapshot, bool)> {
        match view.view {
            View::Packets => self.packet.as_ref().map(|pin| (&pin.value, pin.kept)),
            View::Upcalls => self.upcall.as_ref().map(|pin| (&pin.value, pin.kept)),
            _ => None,
        }
    }

    /// The flow that is open in the current view, and whether the model still has it.
    pub fn flow_of(&self, view: &ViewState) -> Option<(&Flow, bool)> {
        let pin = self.flow.as_ref().filter(|_| view.view == View::Flows)?;
        Some((&pin.value, pin.kept))
    }
}
