//! An upcall's steps, whatever order they come in, and when it is certain how long its stages took.

use super::{Enqueued, ExecDone, PutDone, Received, Upcall};
use crate::{
    event::{
        ActionExecute, Body, Event, FlowOp, FlowPut, Nanos, OpType, PacketExec, UpcallCmd, UpcallEnqueue, UpcallRecv,
    },
    model::latency::{Latency, Stage},
};

/// What a stage took, and whether an event that is still to come could change that.
#[derive(Debug, Clone, Copy)]
struct Span {
    over: Nanos,
    took: Nanos,
    certain: bool,
}

/// Messages are numbered in the order in which they are made; one without a number comes after all others.
fn rank(queue_id: u64) -> u64 {
    queue_id.wrapping_sub(1)
}

impl Upcall {
    /// What it took in a stage; none where that was not seen, or where the times contradict each other.
    pub fn stage(&self, stage: Stage) -> Option<Nanos> {
        self.span(stage).map(|span| span.took)
    }

    /// When it was made, where that is known.
    pub(in crate::model) fn made(&self) -> Option<Nanos> {
        self.ts_known.then_some(self.ts)
    }

    /// Whether something belongs to the first message; none where it is not known which that is.
    fn is_of_first(&self, queue_id: u64) -> Option<bool> {
        self.enqueue.filter(|_| self.index == 0).map(|first| first.queue_id == queue_id)
    }

    fn span(&self, stage: Stage) -> Option<Span> {
        let made = self.made();
        let is_first = |queue_id| self.is_of_first(queue_id) == Some(true);
        let recv = self.recv.filter(|recv| self.is_of_first(recv.queue_id) != Some(false));
        // An action on the CPU of its execute is the first one: a CPU's events come in order.
        let acted = |exec: ExecDone| is_first(exec.queue_id) && self.action == (rank(exec.queue_id), exec.cpu);
        let span = |from: Nanos, over: Nanos, certain| Some(Span { over, took: over.checked_sub(from)?, certain });
        match stage {
            Stage::Lookup => span(self.lookup?, made?, true),
            Stage::Enqueue => span(made?, self.enqueue.filter(|e| e.ret == 0)?.ts, self.index == 0),
            Stage::Wait => Some(Span { over: recv?.ts, took: recv?.wait_ns, certain: is_first(recv?.queue_id) }),
            Stage::Translate => {
                let answered = self.put.map(|p| p.ts).into_iter().chain(self.exec.map(|e| e.ts)).min()?;
                // An execute may be reported before the put that preceded it.
                span(recv?.ts, answered, is_first(recv?.queue_id) && self.put.is_some_and(|p| is_first(p.queue_id)))
            }
            Stage::Put => {
                let put = self.put?;
                let over = put.ts.saturating_add(put.took_ns);
                Some(Span { over, took: put.took_ns, certain: is_first(put.queue_id) })
            }
            Stage::Execute => span(self.exec?.ts, self.first_action?, acted(self.exec?)),
            Stage::Whole => {
                let over = self.first_action.or(self.exec.map(|e| e.ts.saturating_add(e.took_ns)))?;
                let begin_is_known = self.lookup.is_some() || self.cmd.is_some_and(|cmd| cmd != UpcallCmd::Miss);
                let end_is_known = |exec: ExecDone| {
                    if self.first_action.is_some() { acted(exec) } else { exec.ret != 0 && is_first(exec.queue_id) }
                };
                span(self.lookup.or(made)?, over, begin_is_known && self.exec.is_some_and(end_is_known))
            }
        }
    }

    fn made_at(&mut self, ts: Nanos) {
        if !self.begun && ts != 0 {
            self.ts = ts;
            self.ts_known = true;
        }
    }

    fn enqueued(&mut self, ts: Nanos, e: &UpcallEnqueue) {
        self.made_at(e.upcall_ts);
        self.cmd = self.cmd.or(Some(e.cmd));
        self.port = self.port.or(Some(e.port));
        let count = if e.ret == 0 { &mut self.messages } else { &mut self.messages_refused };
        *count = count.saturating_add(1);
        if self.enqueue.is_none_or(|first| (e.index, ts) < (self.index, first.ts)) {
            self.enqueue = Some(Enqueued { ts, ret: e.ret, queue_id: e.queue_id });
            self.index = e.index;
        }
    }

    fn received(&mut self, event: &Event, e: &UpcallRecv) {
        self.port = self.port.or(Some(e.port));
        if self.recv.is_none_or(|first| (rank(e.queue_id), event.ts) < (rank(first.queue_id), first.ts)) {
            self.recv = Some(Received {
                ts: event.ts,
                tid: event.tid,
                comm: event.comm,
                wait_ns: e.wait_ns,
                batch_ts: e.batch_ts,
                batch_idx: e.batch_idx,
                queue_id: e.queue_id,
            });
        }
    }

    fn asked(&mut self, ts: Nanos, op: OpType) {
        let first = match op {
            OpType::Put => &mut self.asked.put,
            OpType::Exec => &mut self.asked.exec,
            OpType::Del => return,
        };
        *first = Some(first.map_or(ts, |first| first.min(ts)));
    }

    fn put(&mut self, ts: Nanos, e: &FlowPut) {
        let FlowOp { took_ns, ret, ufid, queue_id, .. } = e.op;
        if self.put.is_none_or(|first| (rank(queue_id), ts) < (rank(first.queue_id), first.ts)) {
            self.put = Some(PutDone { ts, took_ns, ret, ufid, kind: e.kind, queue_id });
        }
    }

    fn executed(&mut self, event: &Event, e: &PacketExec) {
        if self.exec.is_none_or(|first| (rank(e.queue_id), event.ts) < (rank(first.queue_id), first.ts)) {
            let (ts, cpu) = (event.ts, event.cpu);
            self.exec = Some(ExecDone { ts, took_ns: e.took_ns, ret: e.ret, queue_id: e.queue_id, cpu });
        }
    }

    fn acted(&mut self, event: &Event, e: &ActionExecute) {
        let is_first = |first: Nanos| (rank(e.queue_id), event.ts, event.cpu) < (self.action.0, first, self.action.1);
        if self.first_action.is_none_or(is_first) {
            self.first_action = Some(event.ts);
            self.action = (rank(e.queue_id), event.cpu);
        }
    }

    /// Applies an event. `miss` is the lookup that the upcall comes from, if the event is its [`Body::Upcall`]. Returns whether it
    /// has to be settled now ([`Upcall::settle`]) and had not before.
    pub(in crate::model) fn note(&mut self, event: &Event, miss: Option<Nanos>, latency: &mut Latency) -> bool {
        if !self.ts_known {
            self.ts = self.ts.min(event.ts);
        }
        // The stages that this event may complete.
        let stages: &[Stage] = match &event.body {
            Body::Upcall(e) => {
                self.ts = event.ts;
                self.begun = true;
                self.ts_known = true;
                self.dp = Some(e.dp);
                self.in_port = Some(e.in_port);
                self.cmd = Some(e.cmd);
                self.made_by = e.cookie.as_ref().map(|cookie| cookie.name());
                self.port = Some(e.port);
                self.len = e.len;
                self.lookup = miss.filter(|_| e.cmd == UpcallCmd::Miss);
                &[Stage::Lookup, Stage::Enqueue, Stage::Whole]
            }
            Body::UpcallEnqueue(e) => {
                self.enqueued(event.ts, e);
                if self.recv.is_none() { &[Stage::Enqueue] } else { &Stage::ALL }
            }
            Body::UpcallReturn(e) => {
                self.made_at(e.upcall_ts);
                self.returned = Some((event.ts, e.ret));
                &[]
            }
            Body::UpcallRecv(e) => {
                self.received(event, e);
                &[Stage::Wait, Stage::Translate]
            }
            Body::FlowPut(e) => {
                self.put(event.ts, e);
                &[Stage::Translate, Stage::Put]
            }
            Body::FlowExec(e) => {
                self.executed(event, e);
                &[Stage::Translate, Stage::Execute, Stage::Whole]
            }
            Body::ActionExecute(e) => {
                self.acted(event, e);
                &[Stage::Execute, Stage::Whole]
            }
            Body::FlowOperation(e) => {
                self.asked(event.ts, e.op_type);
                &[]
            }
            _ => &[],
        };
        self.packet = self.packet.or(event.packet);
        self.last = self.last.max(event.ts);
        self.record(stages, latency)
    }

    /// Takes the lookup that it comes from, where that is reported after it.
    pub(in crate::model) fn late_miss(&mut self, miss: Nanos, latency: &mut Latency) -> bool {
        if !self.begun || self.cmd != Some(UpcallCmd::Miss) || miss > self.ts {
            return false;
        }
        self.lookup = self.lookup.max(Some(miss));
        self.record(&[Stage::Lookup, Stage::Whole], latency)
    }

    /// Each upcall counts once in each stage, as soon as no event that is still to come can change what it took. Returns whether
    /// one could, and the upcall was not yet waiting to be settled.
    fn record(&mut self, stages: &[Stage], latency: &mut Latency) -> bool {
        let mut in_doubt = false;
        for &stage in stages {
            let bit = 1 << stage as u8;
            if self.recorded & bit == 0
                && let Some(span) = self.span(stage)
            {
                if span.certain {
                    self.recorded |= bit;
                    latency.record(stage, span.over, span.took);
                } else {
                    in_doubt = true;
                }
            }
        }
        in_doubt && !std::mem::replace(&mut self.doubted, true)
    }

    /// All events up to `until` have come: stages that were over by then are final. Returns whether there are others.
    pub(in crate::model) fn settle(&mut self, until: Nanos, latency: &mut Latency) -> bool {
        self.doubted = false;
        for stage in Stage::ALL {
            let bit = 1 << stage as u8;
            if self.recorded & bit == 0
                && let Some(span) = self.span(stage)
            {
                if span.over <= until {
                    self.recorded |= bit;
                    latency.record(stage, span.over, span.took);
                } else {
                    self.doubted = true;
                }
            }
        }
        self.doubted
    }
}
