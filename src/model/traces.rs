//! The daemon's traces: what was asked last, and of those that are samples of a storm which rules they met.

use std::collections::VecDeque;

use super::limits::{Evicted, Limits};
use crate::{
    event::{DaemonTrace, Field, Nanos, PacketId},
    ovs_text,
};

/// Traces that are kept: samples of some minutes, and what somebody asked for beside them.
const KEPT: usize = 64;

/// What was said when somebody, or nobody, asked for a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// When.
    pub at: Nanos,
    /// The packet that it is about.
    pub packet: Option<PacketId>,
    /// What was said.
    pub trace: DaemonTrace,
    /// The same, understood; empty where there is no text.
    pub read: ovs_text::Trace,
}

/// The last ones, the latest last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traces {
    traces: VecDeque<Traced>,
    bytes: usize,
}

fn size(trace: &DaemonTrace) -> usize {
    let (Ok(text) | Err(text)) = &trace.answer;
    // What is read of it is about as much again.
    2 * text.len() + trace.key.len()
}

impl Traces {
    /// The latest to a question is the one that is kept.
    pub fn add(
        &mut self,
        at: Nanos,
        packet: Option<PacketId>,
        trace: &DaemonTrace,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let is_same =
            |before: &Traced| before.packet == packet && before.trace.key == trace.key && before.trace.dp == trace.dp;
        if let Some(before) = self.traces.iter().position(is_same).and_then(|before| self.traces.remove(before)) {
            self.bytes -= size(&before.trace);
        }
        self.bytes += size(trace);
        let read = trace.answer.as_deref().map(ovs_text::Trace::read).unwrap_or_default();
        self.traces.push_back(Traced { at, packet, trace: trace.clone(), read });
        while self.traces.len() > 1
            && (self.traces.len() > KEPT || self.bytes > limits.answer_bytes.max(1))
            && let Some(gone) = self.traces.pop_front()
        {
            self.bytes -= size(&gone.trace);
            evicted.answers += 1;
        }
    }

    /// Samples of flows that differ in this field, the latest first.
    pub fn samples(&self, field: Field) -> impl Iterator<Item = &Traced> {
        self.traces.iter().rev().filter(move |traced| traced.trace.sample_of == Some(field))
    }

    /// The latest that fits.
    pub fn latest(&self, fits: impl Fn(&Traced) -> bool) -> Option<&Traced> {
        self.traces.iter().rev().find(|traced| fits(traced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DpIfindex;

    fn trace(key: &str, text: &str) -> DaemonTrace {
        let (key, answer) = (key.to_owned(), Ok(text.to_owned()));
        DaemonTrace { dp: DpIfindex(1), ufid: None, key, sample_of: Some(Field::UdpSrc), answer, took_ns: 1 }
    }

    #[test]
    fn the_latest_to_each_question_are_kept_within_bounds() {
        let (mut traces, mut evicted) = (Traces::default(), Evicted::default());
        let limits = Limits { answer_bytes: 1000, ..Limits::default() };
        let mut add = |traces: &mut Traces, at, key: &str, text: &str| {
            traces.add(at, None, &trace(key, text), &limits, &mut evicted);
        };
        add(&mut traces, 1, "a", "Megaflow: udp\n");
        add(&mut traces, 2, "b", "");
        add(&mut traces, 3, "a", "Megaflow: tcp\n");
        let found: Vec<_> = traces.samples(Field::UdpSrc).map(|traced| (traced.at, traced.read.passes.len())).collect();
        assert_eq!(found, [(3, 1), (2, 0)]);
        assert_eq!(traces.samples(Field::TcpSrc).count(), 0);
        add(&mut traces, 4, "c", &"x".repeat(990));
        assert_eq!(traces.samples(Field::UdpSrc).map(|traced| traced.at).collect::<Vec<_>>(), [4]);
        for at in 5..200 {
            add(&mut traces, at, &format!("{at}"), "");
        }
        assert_eq!((traces.traces.len(), traces.bytes < 1000), (KEPT, true));
        assert!(traces.latest(|traced| traced.trace.key == "199").is_some_and(|traced| traced.at == 199));
        assert_eq!(evicted.answers as usize, 199 - 1 - KEPT);
    }
}
