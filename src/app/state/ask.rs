//! Asks the daemon about the flow that is looked at.

use tokio::sync::mpsc::error::TrySendError;

use super::State;
use crate::{
    app::navigate,
    model::Flow,
    ovs_rpc::Ask,
    ui::{Asked, View},
};

impl State {
    /// The flow that the user looks at.
    fn looked_at(&self) -> Option<&Flow> {
        let model = self.shown();
        match self.view.view {
            View::Flows if self.view.is_open() => self.pins.flow_of(&self.view).map(|(flow, _)| flow),
            View::Flows => model.flow(self.view.flows.selected?),
            _ => model.flow(navigate::flow_at_cursor(&self.view, &self.pins, model)?),
        }
    }

    /// Asks the daemon about the flow that is looked at, once for each of its generations as long as it is. At most
    /// once a frame, so that going through a list asks for what the eye rests on.
    pub(super) fn ask(&mut self) -> Option<Asked> {
        let Some((flow, ufid)) = self.looked_at().and_then(|flow| Some((flow, flow.ufid?))) else {
            self.asked = None;
            return None;
        };
        let question = (ufid, flow.sf_acts);
        // Of a deleted flow the daemon knows nothing any more.
        if flow.deleted.is_some() {
            self.asked = None;
            return None;
        }
        let Some(asks) = &self.asks else { return Some(Asked::Nobody) };
        if self.asked == Some(question) {
            return Some(Asked::Waiting(ufid));
        }
        let datapath = self.shown().datapath(flow.dp).map_or_else(String::new, |datapath| datapath.name.clone());
        match asks.try_send(Ask { ufid, datapath, sf_acts: flow.sf_acts }) {
            Ok(()) => {
                self.asked = Some(question);
                Some(Asked::Waiting(ufid))
            }
            Err(TrySendError::Full(_)) => Some(Asked::Busy),
            Err(TrySendError::Closed(_)) => Some(Asked::Nobody),
        }
    }

    /// Whether another frame is needed although nothing happened: a question waits for room in the queue, or a filter
    /// has more rows to go through.
    pub fn wants_another_frame(&self) -> bool {
        self.status.asked == Some(Asked::Busy) || self.matches.pending() > 0
    }
}
