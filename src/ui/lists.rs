//! What each list has, in which order: for drawing it and for moving in it.

use std::cmp::Ordering;

use super::{
    filter::Row,
    matches::Matches,
    view::{HandlerSort, ListState, Order, PacketSort, PortSort, UpcallSort, View, ViewState, Who, Window},
};
use crate::{
    event::{PacketId, UpcallId},
    model::{Dimension, Flow, FlowKey, FlowOrder, HandlerRow, Model, Packet, PortRow, Talker, TalkerKey},
};

/// The rows that are shown, and how many the filter hides.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<T> {
    /// In the order asked for.
    pub rows: Vec<T>,
    /// Hidden by the filter.
    pub hidden: usize,
}

/// The part of the flows that is on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownFlows {
    /// The flows of the window.
    pub keys: Vec<FlowKey>,
    /// Where it is.
    pub window: Window,
    /// Flows that are shown, in the window and outside of it.
    pub count: usize,
    /// Hidden by the filter.
    pub hidden: usize,
}

/// The packets in the order asked for; equal ones the newest first. Those of which it is not known come as the smallest.
pub fn packets(model: &Model, state: &ViewState, matches: &Matches) -> Shown<PacketId> {
    let mut rows: Vec<PacketId> = if state.filter_of(View::Packets).is_empty() {
        model.packets().rev().map(|packet| packet.id).collect()
    } else {
        matches.packets().rev().collect()
    };
    let Order { by, largest_first } = state.packet_order;
    match by {
        PacketSort::Time if largest_first => {}
        PacketSort::Time => rows.reverse(),
        by => {
            let rank = |id: &PacketId| model.packet(*id).map_or(0, |packet| packet_rank(model, packet, by));
            rows.sort_by_cached_key(|id| if largest_first { u64::MAX - rank(id) } else { rank(id) });
        }
    }
    Shown { hidden: model.packets().len().saturating_sub(rows.len()), rows }
}

fn packet_rank(model: &Model, packet: &Packet, by: PacketSort) -> u64 {
    match by {
        PacketSort::Time => packet.first,
        PacketSort::Port => packet.in_port.map_or(0, |port| u64::from(port.0) + 1),
        PacketSort::Fate => model.fate(packet).badness().into(),
        PacketSort::Upcalls => packet.upcalls.len() as u64,
        PacketSort::Steps => steps(model, packet),
        PacketSort::Length => packet.len.map_or(0, |len| u64::from(len) + 1),
        PacketSort::Total => packet.total(),
    }
}

/// Events of a packet, with those that are not kept.
pub fn steps(model: &Model, packet: &Packet) -> u64 {
    model.timeline(packet).len() as u64 + u64::from(packet.events_cut)
}

/// The upcalls in the order asked for; equal ones the newest first. Those that did not have the stage come as the
/// smallest.
pub fn upcalls(model: &Model, view: &ViewState, matches: &Matches) -> Shown<UpcallId> {
    let mut rows: Vec<UpcallId> = if view.filter_of(View::Upcalls).is_empty() {
        model.upcalls().rev().map(|upcall| upcall.id).collect()
    } else {
        matches.upcalls().rev().collect()
    };
    let Order { by, largest_first } = view.upcall_order;
    match by {
        UpcallSort::Time if largest_first => {}
        UpcallSort::Time => rows.reverse(),
        UpcallSort::Stage(stage) => {
            let took =
                |id: &UpcallId| model.upcall(*id).and_then(|upcall| model.stage(upcall, stage)).map_or(0, |ns| ns + 1);
            rows.sort_by_cached_key(|id| if largest_first { u64::MAX - took(id) } else { took(id) });
        }
    }
    Shown { hidden: model.upcalls().len().saturating_sub(rows.len()), rows }
}

/// The flows of the window of `height` rows. Only the window's part of the order is made: there may be very many flows.
pub fn flows(model: &Model, state: &ViewState, matches: &Matches, height: usize) -> ShownFlows {
    let mut order = flow_order(model, state, matches);
    let selected = state.flows.selected.and_then(|key| order.place(key));
    let count = order.len();
    let window = state.flows.window(selected, count, height);
    ShownFlows {
        keys: order.keys(window.first, height),
        window,
        count,
        hidden: model.flow_count().saturating_sub(count),
    }
}

/// The flow at a place of the order.
pub fn flow_at(model: &Model, state: &ViewState, matches: &Matches, place: usize) -> Option<FlowKey> {
    flow_order(model, state, matches).keys(place, 1).first().copied()
}

fn flow_order<'a>(model: &'a Model, state: &ViewState, matches: &Matches) -> FlowOrder<'a> {
    let Order { by, largest_first } = state.flow_order;
    let all = state.filter_of(View::Flows).is_empty();
    let mut place = 0..;
    let keep = |flow: &Flow| all || place.next().is_some_and(|place| matches.takes_flow(place, flow.key));
    model.flow_order(keep, by, largest_first)
}

/// The dimensions in the order of their use to somebody who looks for a culprit.
const DIMENSIONS: [(Dimension, &str); 8] = [
    (Dimension::InPort, "in port"),
    (Dimension::Source, "from"),
    (Dimension::Errno, "outcome"),
    (Dimension::Cookie, "punted by"),
    (Dimension::Handler, "handler"),
    (Dimension::Destination, "to"),
    (Dimension::Cmd, "reason"),
    (Dimension::Cpu, "made on"),
];

/// One of those who make upcalls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TalkerRow {
    /// By what they are told apart.
    pub dimension: Dimension,
    /// The dimension's name, in its first row.
    pub name: Option<&'static str>,
    /// Who.
    pub talker: Talker,
    /// Its place in its dimension, from 0.
    pub place: usize,
    /// Whether its numbers are of all upcalls; else of those seen in detail.
    pub exact: bool,
}

impl TalkerRow {
    /// Its identity in the list.
    pub fn who(&self) -> Who {
        Who::Talker(self.dimension, self.talker.key)
    }
}

/// The biggest of each dimension in so many rows: one each where there is little room, more of the first where there is
/// more. What went wrong is never hidden behind what went well.
pub fn talkers(model: &Model, rows: usize) -> Vec<TalkerRow> {
    let found = DIMENSIONS.map(|(dimension, name)| {
        let mut talkers = model.talkers(dimension, rows.max(8));
        talkers.top.sort_by_key(|talker| !matches!(talker.key, TalkerKey::Errno(ret) if ret != 0));
        (dimension, name, talkers)
    });
    let counts = shares_of_room(&found.each_ref().map(|(.., talkers)| talkers.top.len()), rows);
    let rows_of = |((dimension, name, talkers), count): (&(Dimension, &'static str, crate::model::Talkers), usize)| {
        let (dimension, name, exact) = (*dimension, *name, talkers.exact);
        let row = move |(place, talker): (usize, &Talker)| TalkerRow {
            dimension,
            name: (place == 0).then_some(name),
            talker: *talker,
            place,
            exact,
        };
        talkers.top.iter().take(count).enumerate().map(row).collect::<Vec<_>>()
    };
    found.iter().zip(counts).flat_map(rows_of).collect()
}

/// How many rows each dimension gets: one each in their order, then a second each, and so on.
fn shares_of_room(wanted: &[usize], rows: usize) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    let mut left = rows;
    // More than a handful of one kind pushes the others out of sight.
    for round in 1..=5 {
        for (given, wanted) in given.iter_mut().zip(wanted) {
            if left > 0 && *wanted >= round {
                *given = round;
                left -= 1;
            }
        }
    }
    given
}

/// The handlers in the order asked for; equal ones by thread.
pub fn handlers(model: &Model, state: &ViewState) -> Shown<HandlerRow> {
    let order = state.handler_order;
    let mut shown = filtered(model.handlers(), state, View::Handlers, Row::handler);
    sort(&mut shown.rows, order.largest_first, |a, b| match order.by {
        HandlerSort::Rate => a.upcall_rate.total_cmp(&b.upcall_rate).then(a.upcalls.cmp(&b.upcalls)),
        HandlerSort::Wait => a.wait_p99.cmp(&b.wait_p99),
        HandlerSort::Name => (a.comm, a.tid).cmp(&(b.comm, b.tid)),
    });
    shown
}

/// The ports in the order asked for; equal ones by number.
pub fn ports(model: &Model, state: &ViewState) -> Shown<PortRow> {
    let order = state.port_order;
    let mut shown = filtered(model.ports(), state, View::Ports, |row, port| row.port(model, port));
    sort(&mut shown.rows, order.largest_first, |a, b| match order.by {
        PortSort::Rate => port_rate(a).total_cmp(&port_rate(b)).then(port_total(a).cmp(&port_total(b))),
        PortSort::Lost => a.lost_rate.total_cmp(&b.lost_rate).then(a.lost.cmp(&b.lost)),
        PortSort::Number => (a.dp, a.port).cmp(&(b.dp, b.port)),
    });
    shown
}

/// What the filter of a short list takes.
fn filtered<T>(mut rows: Vec<T>, state: &ViewState, view: View, words: impl Fn(&mut Row, &T)) -> Shown<T> {
    let filter = state.filter_of(view);
    let all = rows.len();
    if !filter.is_empty() {
        let mut row = Row::new(filter);
        rows.retain(|of| {
            words(&mut row, of);
            row.take(|words| filter.takes(words))
        });
    }
    Shown { hidden: all - rows.len(), rows }
}

/// Upcalls per second that a port makes, for any reason that is told apart.
pub fn port_rate(row: &PortRow) -> f64 {
    row.miss_rate + row.action_rate
}

/// Upcalls that a port made.
pub fn port_total(row: &PortRow) -> u64 {
    row.misses.saturating_add(row.actions).saturating_add(row.others)
}

/// A stable sort either way round: equal ones keep the order they came in, whichever end is first.
fn sort<T>(rows: &mut [T], largest_first: bool, by: impl Fn(&T, &T) -> Ordering) {
    rows.sort_by(|a, b| if largest_first { by(b, a) } else { by(a, b) });
}

/// The window of `height` rows on a list of identities.
pub fn window<Id: Copy + PartialEq>(ids: &[Id], state: &ListState<Id>, height: usize) -> Window {
    let index = state.selected.and_then(|id| ids.iter().position(|other| *other == id));
    state.window(index, ids.len(), height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_a_row_before_anyone_gets_two() {
        assert_eq!(shares_of_room(&[9, 9, 1], 2), [1, 1, 0]);
        assert_eq!(shares_of_room(&[9, 0, 1], 4), [3, 0, 1]);
        assert_eq!(shares_of_room(&[9], 40), [5]);
    }
}
