//! The daemon's answers about flows.

use lru::LruCache;

use super::limits::{Evicted, Limits};
use crate::event::{DaemonAnswer, DpIfindex, FlowPtr, Nanos, Query, Ufid};

/// The datapath, the flow, its generation, and what was asked. A UFID is of a flow's key: datapaths can have the same ones.
type Key = (Option<DpIfindex>, Ufid, Option<FlowPtr>, Query);

/// The last answers, by datapath, flow, generation and question.
#[derive(Debug, Clone)]
pub struct Answers {
    answers: LruCache<Key, (Nanos, DaemonAnswer)>,
    bytes: usize,
}

/// Which one goes next is part of their state.
impl PartialEq for Answers {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.answers.iter().eq(other.answers.iter())
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { answers: LruCache::unbounded(), bytes: 0 }
    }
}

fn size(answer: &DaemonAnswer) -> usize {
    match &answer.answer {
        Ok(text) | Err(text) => text.len(),
    }
}

impl Answers {
    pub fn insert(&mut self, ts: Nanos, answer: &DaemonAnswer, limits: &Limits, evicted: &mut Evicted) {
        self.bytes += size(answer);
        let key = (answer.dp, answer.ufid, answer.sf_acts, answer.query);
        if let Some((_, before)) = self.answers.put(key, (ts, answer.clone())) {
            self.bytes -= size(&before);
        }
        while self.answers.len() > 1
            && (self.answers.len() > limits.answers.max(1) || self.bytes > limits.answer_bytes.max(1))
            && let Some((_, (_, gone))) = self.answers.pop_lru()
        {
            self.bytes -= size(&gone);
            evicted.answers += 1;
        }
    }

    /// What was said since a time: what is older is about another generation, whose actions may have been at the same address.
    pub fn get(&self, key: Key, since: Nanos) -> Option<(Nanos, &DaemonAnswer)> {
        self.answers.peek(&key).filter(|(ts, _)| *ts >= since).map(|(ts, answer)| (*ts, answer))
    }
}
