//! Which rows of the long lists a filter takes. What was judged once is not judged again until it changes, as a frame has
//! no time to put a hundred thousand rows into words.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::{
    View, ViewState,
    filter::{Filter, Row},
};
use crate::{
    event::{DelReason, PacketId, PortNo, PutKind, UpcallCmd, UpcallId},
    model::{Fate, FlowKey, Model, UpcallEnd},
};

/// Rows that are judged in one look at most: a few milliseconds. The others' turn comes with the next frames.
const AT_ONCE: usize = 10_000;

/// Of a flow's words what may change.
type FlowStamp =
    (Option<PacketId>, bool, Option<PortNo>, Option<(i32, PutKind)>, bool, Option<DelReason>, (bool, bool));
/// The same of a packet.
type PacketStamp = (Fate, bool, Option<PortNo>, usize, bool);
/// The same of an upcall.
type UpcallStamp = (UpcallEnd, bool, Option<PortNo>, Option<UpcallCmd>, Option<u32>, Option<i32>);

/// A row: its identity, what its words may change by, and whether it is taken; none where that is not known yet.
#[derive(Debug, Clone, PartialEq)]
struct Judged<Id, Stamp> {
    id: Id,
    stamp: Stamp,
    taken: Option<bool>,
}

/// The rows of one list, in the order in which the model has them.
#[derive(Debug, Clone, PartialEq)]
struct Verdicts<Id, Stamp> {
    filter: Filter,
    names: u64,
    rows: VecDeque<Judged<Id, Stamp>>,
    pending: usize,
}

impl<Id, Stamp> Default for Verdicts<Id, Stamp> {
    fn default() -> Self {
        Self { filter: Filter::default(), names: 0, rows: VecDeque::new(), pending: 0 }
    }
}

impl<Id: Copy + PartialEq, Stamp: PartialEq> Verdicts<Id, Stamp> {
    /// Another filter, or other names of ports: what was taken so far may not be. What was not taken is not taken by a
    /// narrower filter either.
    fn begin(&mut self, filter: &Filter, names: u64) {
        if self.names != names || !filter.narrows(&self.filter) {
            self.rows.clear();
        } else if self.filter != *filter {
            for row in self.rows.iter_mut().filter(|row| row.taken == Some(true)) {
                row.taken = None;
            }
        }
        if self.filter != *filter {
            self.filter = filter.clone();
        }
        self.names = names;
    }

    /// Lets go of those before `first`, in a list that is a queue.
    fn drop_before(&mut self, first: Option<Id>) {
        while self.rows.front().is_some_and(|row| Some(row.id) != first) {
            self.rows.pop_front();
        }
    }

    fn judge<T>(&mut self, rows: impl ExactSizeIterator<Item = (Id, Stamp, T)>, mut judge: impl FnMut(T) -> bool) {
        let mut left = AT_ONCE;
        self.pending = 0;
        self.rows.truncate(rows.len());
        for (at, (id, stamp, row)) in rows.enumerate() {
            let known = self.rows.get_mut(at);
            if known.as_ref().is_some_and(|row| row.id == id && row.stamp == stamp && row.taken.is_some()) {
                continue;
            }
            let taken = (left > 0).then(|| judge(row));
            left = left.saturating_sub(1);
            self.pending += usize::from(taken.is_none());
            match known {
                Some(row) => *row = Judged { id, stamp, taken },
                None => self.rows.push_back(Judged { id, stamp, taken }),
            }
        }
    }
}

/// Which rows are taken, of the list that is looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matches {
    flows: Verdicts<FlowKey, FlowStamp>,
    upcalls: Verdicts<UpcallId, UpcallStamp>,
    packets: Verdicts<PacketId, PacketStamp>,
}

impl Matches {
    /// Judges the rows of the current view's list, as far as they are new or changed.
    pub fn look(&mut self, view: &ViewState, model: &Model) {
        let filter = view.filter();
        let of = |of: View| view.view == of && !filter.is_empty();
        let mut row = Row::new(filter);
        if of(View::Flows) {
            self.flows.begin(filter, names(model));
            let stamped = model.flows().map(|flow| {
                let put = flow.last_put.map(|put| (put.ret, put.kind));
                let gone = flow.deleted.is_some();
                let seen = flow.summary.is_some();
                let life = (flow.returned().is_some(), model.is_unused(flow));
                (flow.key, (flow.last_packet, seen, flow.in_port, put, gone, flow.deleted_because, life), flow)
            });
            self.flows.judge(stamped, |flow| {
                row.flow(model, flow);
                row.take(|words| filter.takes(words))
            });
        } else {
            self.flows = Verdicts::default();
        }
        if of(View::Upcalls) {
            self.upcalls.begin(filter, names(model));
            self.upcalls.drop_before(model.upcalls().next().map(|upcall| upcall.id));
            let stamped = model.upcalls().map(|upcall| {
                let packet = upcall.packet.and_then(|id| model.packet(id));
                let seen = packet.is_some_and(|packet| packet.summary.is_some());
                let by = upcall.recv.map(|recv| recv.tid);
                let came_to = upcall.returned.map(|(_, ret)| ret);
                (upcall.id, (model.upcall_end(upcall), seen, upcall.in_port, upcall.cmd, by, came_to), upcall)
            });
            self.upcalls.judge(stamped, |upcall| {
                row.upcall(model, upcall);
                row.take(|words| filter.takes(words))
            });
        } else {
            self.upcalls = Verdicts::default();
        }
        if of(View::Packets) {
            self.packets.begin(filter, names(model));
            self.packets.drop_before(model.packets().next().map(|packet| packet.id));
            let stamped = model.packets().map(|packet| {
                let outputs = packet.outputs.len();
                let seen = packet.summary.is_some();
                (packet.id, (model.fate(packet), seen, packet.in_port, outputs, packet.upcalls.is_empty()), packet)
            });
            self.packets.judge(stamped, |packet| {
                row.packet(model, packet);
                row.take(|words| filter.takes(words))
            });
        } else {
            self.packets = Verdicts::default();
        }
    }

    /// Rows that could not be judged yet: another frame is needed.
    pub fn pending(&self) -> usize {
        self.flows.pending + self.upcalls.pending + self.packets.pending
    }

    /// Whether any flow is taken.
    pub fn any_flow(&self) -> bool {
        self.flows.rows.iter().any(|row| row.taken == Some(true))
    }

    /// Whether the flow at a place of [`Model::flows`] is taken.
    pub fn takes_flow(&self, place: usize, key: FlowKey) -> bool {
        self.flows.rows.get(place).is_some_and(|row| row.id == key && row.taken == Some(true))
    }

    /// The upcalls that are taken, in the model's order.
    pub fn upcalls(&self) -> impl DoubleEndedIterator<Item = UpcallId> {
        self.upcalls.rows.iter().filter(|row| row.taken == Some(true)).map(|row| row.id)
    }

    /// The packets that are taken, in the model's order.
    pub fn packets(&self) -> impl DoubleEndedIterator<Item = PacketId> {
        self.packets.rows.iter().filter(|row| row.taken == Some(true)).map(|row| row.id)
    }
}

/// A number that changes with the names of ports and datapaths.
fn names(model: &Model) -> u64 {
    let mut hasher = DefaultHasher::new();
    for datapath in model.datapaths() {
        (datapath.dp, &datapath.name).hash(&mut hasher);
        for port in &datapath.ports {
            (port.port, &port.name).hash(&mut hasher);
        }
    }
    hasher.finish()
}
