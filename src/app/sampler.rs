//! Asks for traces of a few flows of a storm, so that the OpenFlow rule that makes them can be named.

use crate::{
    event::Nanos,
    model::{Model, SECOND},
    ovs_rpc::{AskTrace, KeyText},
};

/// The least time between two looks.
const APART: Nanos = SECOND / 2;
/// How long to wait for an answer before asking about another flow.
const PATIENCE: Nanos = 10 * SECOND;

/// Decides what to ask, and when. Its time is that of the events.
#[derive(Debug, Default)]
pub struct Sampler {
    /// When it looked last for something to ask.
    looked: Nanos,
    /// When it asked last, and for which key.
    last: Option<(Nanos, String)>,
}

impl Sampler {
    /// The next question, where there is one and it is time for it.
    pub fn next(&mut self, model: &Model) -> Option<AskTrace> {
        let now = model.now();
        // When the events begin anew, the time may be earlier than before.
        if now.abs_diff(self.looked) < APART {
            return None;
        }
        self.looked = now;
        if let Some((at, key)) = &self.last
            && now.abs_diff(*at) < PATIENCE
            && !model.is_key_traced(key)
        {
            return None;
        }
        let sample = model.sample_to_trace()?;
        let key = KeyText::new(&sample.key).ok()?;
        self.last = Some((now, sample.key));
        let datapath = model.datapath(sample.dp).map_or_else(String::new, |datapath| datapath.name.clone());
        Some(AskTrace { dp: sample.dp, datapath, key, ufid: sample.ufid, packet: None, sample_of: Some(sample.field) })
    }

    /// The question found no room in the queue: it is to be asked again.
    pub fn take_back(&mut self) {
        self.last = None;
    }
}
