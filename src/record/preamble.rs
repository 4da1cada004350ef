//! What has to be known before a recording's first event: the latest of each kind of state.

use crate::event::{Body, Event};

/// Keeps the latest session, datapaths, probes, daemon, counters and losses of a stream, so that a recording begun in
/// its middle is whole, and a seek in a recording starts with full state. Of the counters only what the last reading
/// has: flows that were not hit in it are not there.
#[derive(Debug, Clone, Default)]
pub struct Preamble {
    latest: [Option<Event>; 6],
}

impl Preamble {
    /// Looks at an event and keeps it if it is a state.
    pub fn see(&mut self, event: &Event) {
        let place = match &event.body {
            Body::Session(_) => 0,
            Body::Datapaths { .. } => 1,
            Body::Probes { .. } => 2,
            Body::Daemon(_) => 3,
            Body::Counters(_) => 4,
            Body::Loss(_) => 5,
            _ => return,
        };
        let before = self.latest[place].replace(event.clone());
        // Stages are not in every reading: the last one that has them holds on.
        if let (Some(Body::Counters(now)), Some(Body::Counters(before))) =
            (self.latest[place].as_mut().map(|e| &mut e.body), before.map(|e| e.body))
            && now.stages.is_empty()
        {
            now.stages = before.stages;
        }
    }

    /// The latest of each, the session first.
    pub fn events(&self) -> Vec<Event> {
        self.latest.iter().flatten().cloned().collect()
    }
}
