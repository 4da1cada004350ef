//! What the kernel side counted of a flow.

use super::meter::Meter;
use crate::event::{FlowCounter, FlowPtr, Nanos};

/// Hits and bytes over all addresses that a flow had, each of which counted from 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counts {
    hits: Meter,
    /// None where they are not counted.
    bytes: Option<Meter>,
    /// Hits counted before under this UFID: at another address, or at the same before it was counted anew.
    hits_before: u64,
    /// The same for bytes.
    bytes_before: u64,
    /// What was last counted, and for which address.
    last: Option<(FlowPtr, u64)>,
}

impl Counts {
    /// It was counted at `ts`. `before` is the time of the reading before this one; none if there was none. What the flow had then
    /// may have been `forgotten`.
    pub fn count(&mut self, before: Option<Nanos>, ts: Nanos, e: &FlowCounter, forgotten: bool) {
        let goes_on = |(ptr, hits): (FlowPtr, u64)| ptr == e.flow && hits <= e.hits;
        if !self.last.is_none_or(goes_on) {
            self.hits_before = self.hits.value();
            self.bytes_before = self.bytes().unwrap_or(0);
        }
        let before = before.filter(|_| self.last.is_some() || !forgotten);
        let set = |meter: &mut Meter, value| match before {
            Some(before) => meter.set(before, ts, value),
            None => meter.start(ts, value),
        };
        set(&mut self.hits, self.hits_before.saturating_add(e.hits));
        if let Some(bytes) = e.bytes {
            set(self.bytes.get_or_insert_default(), self.bytes_before.saturating_add(bytes));
        }
        self.last = Some((e.flow, e.hits));
    }

    pub fn hits(&self) -> u64 {
        self.hits.value()
    }

    pub fn bytes(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes.value())
    }

    /// Per second as of the counters' reading at `now`.
    pub fn hit_rate(&self, now: Nanos) -> f64 {
        self.hits.rate(now)
    }

    /// Likewise; none where they are not counted.
    pub fn byte_rate(&self, now: Nanos) -> Option<f64> {
        self.bytes.map(|bytes| bytes.rate(now))
    }
}
