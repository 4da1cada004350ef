//! Asks the daemon about the flow that is looked at, and for traces of a storm's flows.

use tokio::sync::mpsc::error::TrySendError;

use super::{State, shown};
use crate::{
    app::{
        navigate, traced,
        ways::{self, ToTrace},
    },
    model::Flow,
    ovs_rpc::Ask,
    ui::{Asked, View},
};

/// What is shown until a trace comes.
pub(super) const ASKING: &str = "asking ovs-vswitchd for a trace of it";

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

    /// Asks the daemon about the flow that is looked at, once for each of its generations. At most once a frame, so that going
    /// through a list asks only for what the eye rests on.
    pub(super) fn ask(&mut self) -> Option<Asked> {
        let Some((flow, ufid)) = self.looked_at().and_then(|flow| Some((flow, flow.ufid?))) else {
            self.asked = None;
            return None;
        };
        let question = (flow.dp, ufid, flow.sf_acts);
        // The daemon no longer knows a deleted flow.
        if flow.deleted.is_some() {
            self.asked = None;
            return None;
        }
        let Some(asks) = &self.asks else { return Some(Asked::Nobody) };
        if self.asked == Some(question) {
            return Some(Asked::Waiting(ufid));
        }
        let datapath = self.shown().datapath(flow.dp).map_or_else(String::new, |datapath| datapath.name.clone());
        match asks.try_send(Ask { ufid, dp: flow.dp, datapath, sf_acts: flow.sf_acts }.into()) {
            Ok(()) => {
                self.asked = Some(question);
                Some(Asked::Waiting(ufid))
            }
            Err(TrySendError::Full(_)) => Some(Asked::Busy),
            Err(TrySendError::Closed(_)) => Some(Asked::Nobody),
        }
    }

    /// Asks for a trace of what is marked or open, and opens it: the answer shows there.
    pub(in crate::app) fn trace(&mut self) {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        let to_trace = ways::to_trace(&self.view, &self.pins, &self.matches, model);
        let (ask, was_traced) = match to_trace {
            Ok(ToTrace::Flow(flow)) => (traced::of_flow(model, flow), model.trace_of_flow(flow).is_some()),
            Ok(ToTrace::Packet(packet)) => (traced::of_packet(model, packet), model.trace_of_packet(packet).is_some()),
            Err(why) => (Err(why.to_owned()), false),
        };
        let note = match (ask, &self.asks) {
            (_, None) if was_traced => {
                "as it was traced while this was recorded: there is no daemon to ask now".to_owned()
            }
            (_, None) => "not traced while this was recorded, and there is no daemon to ask now".to_owned(),
            (Err(why), Some(_)) => format!("not traced: {why}"),
            (Ok(ask), Some(asks)) => match asks.try_send(ask.into()) {
                Ok(()) => ASKING.to_owned(),
                Err(TrySendError::Full(_)) => "not traced: many questions are under way; press it again".to_owned(),
                Err(TrySendError::Closed(_)) => "not traced: nobody asks the daemon any more".to_owned(),
            },
        };
        if !self.view.is_open() {
            self.open();
        }
        self.status.note = Some(note);
    }

    /// Asks for traces of a storm's flows; also while the screen is held, as the storm goes on.
    pub(super) fn sample(&mut self) {
        let Some(asks) = &self.asks else { return };
        if let Some(ask) = self.sampler.next(&self.model)
            && asks.try_send(ask.into()).is_err()
        {
            self.sampler.take_back();
        }
    }

    /// Whether another frame is needed although nothing happened: a question waits for room in the queue, or a filter
    /// has more rows to go through.
    pub fn wants_another_frame(&self) -> bool {
        self.status.asked == Some(Asked::Busy) || self.matches.pending() > 0
    }
}
