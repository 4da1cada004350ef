//! What a reader has to know before a recording's first event, and at a keyframe: the state so far, as events.

use std::collections::VecDeque;

use indexmap::IndexMap;

use super::{counted_flows::CountedFlows, readings::Readings};
use crate::event::{Body, DpIfindex, Event, FlowPtr, Query, Run, Session, Ufid};

/// The daemon's answers that are kept, the latest to each question …
const ANSWERS: usize = 1024;
/// … and their bytes together.
const ANSWER_BYTES: usize = 1 << 20;
/// The daemon's traces that are kept, the latest …
const TRACES: usize = 64;
/// … and their bytes together.
const TRACE_BYTES: usize = 512 << 10;
/// What the daemon counted of itself, the latest: more than a minute of it.
const FIGURES: usize = 16;
/// The marks that are kept, the latest …
const MARKS: usize = 1000;
/// … and the bytes of their notes together.
const MARK_BYTES: usize = 256 << 10;

/// What an answer is about: a flow of a datapath, its generation, and what was asked.
type Question = (Option<DpIfindex>, Ufid, Option<FlowPtr>, Query);

/// Keeps the state of a stream, so that a recording begun in its middle is whole, and a seek in a recording starts with
/// the full state: the latest session, datapaths, probes, daemon and losses; the daemon's last figures, answers and traces;
/// what was counted of all flows, and which of them were put since or are deleted; the readings of the counters of the last
/// ten minutes; and the marks that somebody made.
///
/// Bounded, as the model is: 100 000 flows, 1024 answers, 64 traces, 1000 marks, about 40 000 rows of older readings.
#[derive(Debug, Clone, Default)]
pub struct Preamble {
    session: Option<Event>,
    datapaths: Option<Event>,
    probes: Option<Event>,
    daemon: Option<Event>,
    /// Of one process, the latest last.
    figures: VecDeque<Event>,
    loss: Option<Event>,
    readings: Readings,
    flows: CountedFlows,
    answers: IndexMap<Question, Event>,
    answer_bytes: usize,
    /// The latest last.
    traces: VecDeque<Event>,
    trace_bytes: usize,
    /// In the order they were made.
    marks: VecDeque<Event>,
    mark_bytes: usize,
}

impl Preamble {
    /// Looks at an event and keeps what of it is state.
    pub fn see(&mut self, event: &Event) {
        match &event.body {
            Body::FlowLookup(e) if e.flow.is_some() => self.flows.live(event.ts, e.dp, e.ufid),
            Body::FlowPut(e) => self.flows.put(event, &e.op),
            Body::FlowDel(e) => self.flows.delete(event, e),
            Body::Counters(c) => {
                self.flows.tables(&c.datapaths);
                self.readings.read(event, |flow| self.flows.count(flow));
            }
            Body::Session(session) => {
                self.begin(session);
                self.session = Some(event.clone());
            }
            Body::Datapaths { datapaths } => {
                self.readings.datapaths(event, datapaths);
                self.datapaths = Some(event.clone());
            }
            Body::Probes { .. } => self.probes = Some(event.clone()),
            Body::Daemon(_) => self.daemon = Some(event.clone()),
            Body::DaemonFigures(figures) => self.figures(event, figures.pid),
            Body::Loss(_) => self.loss = Some(event.clone()),
            Body::DaemonAnswer(answer) => {
                self.answer((answer.dp, answer.ufid, answer.sf_acts, answer.query), event);
            }
            Body::DaemonTrace(_) => self.trace(event),
            Body::Mark(_) => self.mark(event),
            _ => {}
        }
    }

    /// The same for a packet's events, of which only lookups are about state.
    pub(super) fn see_run(&mut self, run: &Run) {
        if !self.flows.any_deleted() {
            return;
        }
        for (step, &after) in std::iter::zip(&**run.route(), run.after()) {
            if let Body::FlowLookup(e) = &step.body
                && e.flow.is_some()
            {
                self.flows.live(run.ts().wrapping_add_signed(after.into()), e.dp, e.ufid);
            }
        }
    }

    /// Probes that are attached anew count from 0.
    fn begin(&mut self, session: &Session) {
        if self.session().is_some_and(|before| !before.is_same(session)) {
            self.readings = Readings::default();
            self.flows = CountedFlows::default();
        }
    }

    fn answer(&mut self, question: Question, event: &Event) {
        // The latest come last.
        if let Some(before) = self.answers.shift_remove(&question) {
            self.answer_bytes -= bytes(&before);
        }
        self.answer_bytes += bytes(event);
        self.answers.insert(question, event.clone());
        while self.answers.len() > 1 && (self.answers.len() > ANSWERS || self.answer_bytes > ANSWER_BYTES) {
            if let Some((_, gone)) = self.answers.shift_remove_index(0) {
                self.answer_bytes -= bytes(&gone);
            }
        }
    }

    /// Keeps the latest answer to each question.
    fn trace(&mut self, event: &Event) {
        let question = |event: &Event| match &event.body {
            Body::DaemonTrace(trace) => Some((event.packet, trace.dp, trace.key.clone())),
            _ => None,
        };
        let of = question(event);
        let before = self.traces.iter().position(|before| question(before) == of);
        if let Some(before) = before.and_then(|before| self.traces.remove(before)) {
            self.trace_bytes -= bytes(&before);
        }
        self.trace_bytes += bytes(event);
        self.traces.push_back(event.clone());
        while self.traces.len() > 1 && (self.traces.len() > TRACES || self.trace_bytes > TRACE_BYTES) {
            let Some(gone) = self.traces.pop_front() else { break };
            self.trace_bytes -= bytes(&gone);
        }
    }

    fn figures(&mut self, event: &Event, pid: u32) {
        let is_same = |before: &Event| matches!(&before.body, Body::DaemonFigures(before) if before.pid == pid);
        if !self.figures.back().is_none_or(is_same) {
            self.figures.clear();
        }
        while self.figures.len() >= FIGURES {
            self.figures.pop_front();
        }
        self.figures.push_back(event.clone());
    }

    /// Where there are too many, the first ones made go.
    fn mark(&mut self, event: &Event) {
        self.mark_bytes += bytes(event);
        self.marks.push_back(event.clone());
        while self.marks.len() > MARKS || self.mark_bytes > MARK_BYTES {
            let Some(gone) = self.marks.pop_front() else { break };
            self.mark_bytes -= bytes(&gone);
        }
    }

    /// What is looked at, and with what.
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.session.as_ref()?.body {
            Body::Session(session) => Some(session),
            _ => None,
        }
    }

    /// The latest of what a recording's header has: datapaths, probes and the daemon.
    pub(super) fn surroundings(&self) -> [Option<&Body>; 3] {
        [&self.datapaths, &self.probes, &self.daemon].map(|event| event.as_ref().map(|event| &event.body))
    }

    /// The state as events, the session first. Applied to an empty model they give what is counted, and the rates and
    /// graphs of it. Single packets and upcalls are not in them.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.visit(|event| events.push(event.clone()));
        events
    }

    /// The same, one by one.
    pub(super) fn visit(&self, mut with: impl FnMut(&Event)) {
        self.session.iter().for_each(&mut with);
        self.readings.visit(self.flows.twice(), &mut with);
        self.flows.puts().into_iter().chain(self.flows.deletes()).for_each(&mut with);
        self.figures.iter().for_each(&mut with);
        self.answers.values().for_each(&mut with);
        self.traces.iter().for_each(&mut with);
        self.marks.iter().for_each(&mut with);
        for state in [&self.datapaths, &self.probes, &self.daemon, &self.loss] {
            state.iter().for_each(&mut with);
        }
    }
}

/// Bytes of the text in an event.
fn bytes(event: &Event) -> usize {
    match &event.body {
        Body::DaemonAnswer(answer) => match &answer.answer {
            Ok(text) | Err(text) => text.len(),
        },
        Body::DaemonTrace(trace) => {
            let (Ok(text) | Err(text)) = &trace.answer;
            text.len()
        }
        Body::Mark(mark) => mark.note.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Bookmark, DaemonTrace, DpIfindex, Field};

    fn marks(of: impl Iterator<Item = (u64, usize)>) -> Vec<u64> {
        let mut preamble = Preamble::default();
        for (at, bytes) in of {
            preamble.see(&Event::host(at + 1, Body::Mark(Bookmark { at, note: "x".repeat(bytes) })));
        }
        let events = preamble.events();
        events
            .iter()
            .filter_map(|event| if let Body::Mark(mark) = &event.body { Some(mark.at) } else { None })
            .collect()
    }

    #[test]
    fn the_latest_trace_to_each_question_is_kept_within_bounds() {
        let mut preamble = Preamble::default();
        let mut tell = |key: u64, bytes: usize, at| {
            let (key, answer) = (format!("in_port({key})"), Ok("x".repeat(bytes)));
            let trace =
                DaemonTrace { dp: DpIfindex(1), ufid: None, key, sample_of: Some(Field::UdpSrc), answer, took_ns: 1 };
            preamble.see(&Event::host(at, Body::DaemonTrace(Box::new(trace))));
            preamble.events().iter().map(|event| event.ts).collect::<Vec<_>>()
        };
        assert_eq!(tell(1, 5, 10), [10]);
        assert_eq!(tell(2, 5, 11), [10, 11]);
        assert_eq!(tell(1, 5, 12), [11, 12], "the same question");
        let many = (100..300).map(|key| tell(key, 5, key)).last();
        assert_eq!(many, Some((300 - TRACES as u64..300).collect::<Vec<_>>()));
        assert_eq!(tell(1, TRACE_BYTES, 400), [400]);
    }

    #[test]
    fn of_too_many_marks_the_first_go() {
        assert_eq!(marks((0..7).map(|at| (at, 9))), (0..7).collect::<Vec<_>>());
        assert_eq!(marks((0..1700).map(|at| (at, 0))), (700..1700).collect::<Vec<_>>());
        let large = MARK_BYTES / 4;
        assert_eq!(marks((0..9).map(|at| (at, large))), [5, 6, 7, 8]);
        assert!(marks([(0, 1), (1, MARK_BYTES + 1)].into_iter()).is_empty());
    }
}
