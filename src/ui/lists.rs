//! What each list has, in which order: for drawing it and for moving in it.

use std::cmp::Ordering;

use super::view::{HandlerSort, ListState, Order, PortSort, ViewState, Window};
use crate::{
    event::{PacketId, UpcallId},
    model::{FlowKey, HandlerRow, Model, PortRow},
};

/// The packets, the newest first.
pub fn packets(model: &Model) -> Vec<PacketId> {
    model.packets().rev().map(|packet| packet.id).collect()
}

/// The upcalls, the newest first.
pub fn upcalls(model: &Model) -> Vec<UpcallId> {
    model.upcalls().rev().map(|upcall| upcall.id).collect()
}

/// The flows of the window of `height` rows, their window, and how many flows there are. Only the window's part of the
/// order is made: there may be very many flows.
pub fn flow_window(model: &Model, state: &ViewState, height: usize) -> (Vec<FlowKey>, Window, usize) {
    let count = model.flow_count();
    let Order { by, largest_first } = state.flow_order;
    let place = state.flows.selected.and_then(|key| model.flow_place(key, by, largest_first));
    let window = state.flows.window(place, count, height);
    (model.top_flows(by, largest_first, window.first, height), window, count)
}

/// The handlers in the order asked for; equal ones by thread.
pub fn handlers(model: &Model, order: Order<HandlerSort>) -> Vec<HandlerRow> {
    let mut rows = model.handlers();
    sort(&mut rows, order.largest_first, |a, b| match order.by {
        HandlerSort::Rate => a.upcall_rate.total_cmp(&b.upcall_rate).then(a.upcalls.cmp(&b.upcalls)),
        HandlerSort::Wait => a.wait_p99.cmp(&b.wait_p99),
        HandlerSort::Name => (a.comm, a.tid).cmp(&(b.comm, b.tid)),
    });
    rows
}

/// The ports in the order asked for; equal ones by number.
pub fn ports(model: &Model, order: Order<PortSort>) -> Vec<PortRow> {
    let mut rows = model.ports();
    sort(&mut rows, order.largest_first, |a, b| match order.by {
        PortSort::Rate => port_rate(a).total_cmp(&port_rate(b)).then(port_total(a).cmp(&port_total(b))),
        PortSort::Lost => a.lost_rate.total_cmp(&b.lost_rate).then(a.lost.cmp(&b.lost)),
        PortSort::Number => (a.dp, a.port).cmp(&(b.dp, b.port)),
    });
    rows
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
