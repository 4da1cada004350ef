//! What keys change about the view: the selection, the order, what is open. Selections are by identity, in the lists that are
//! drawn.

use super::actions::Action;
use crate::{
    event::{PacketId, UpcallId},
    model::{Dimension, FlowKey, FlowSort, Model, Stage},
    ui::{
        Drawn, HandlerSort, ListState, Order, PacketSort, Pins, PortSort, UpcallSort, View, ViewState, line_flow,
        lists, matches::Matches, verdicts, who,
    },
};

/// Orders of the table of flows, in the order of its columns.
const FLOW_SORTS: [FlowSort; 14] = [
    FlowSort::HitRate,
    FlowSort::Hits,
    FlowSort::Bytes,
    FlowSort::Upcalls,
    FlowSort::LastPut,
    FlowSort::LastHit,
    FlowSort::FirstSeen,
    FlowSort::MasksTried,
    FlowSort::Generations,
    FlowSort::Returns,
    FlowSort::Deleted,
    FlowSort::InPort,
    FlowSort::LastPacket,
    FlowSort::Ufid,
];
/// Orders of the table of upcalls, in the order of its columns and of the stages.
const UPCALL_SORTS: [UpcallSort; 8] = [
    UpcallSort::Time,
    UpcallSort::Stage(Stage::Whole),
    UpcallSort::Stage(Stage::Lookup),
    UpcallSort::Stage(Stage::Enqueue),
    UpcallSort::Stage(Stage::Wait),
    UpcallSort::Stage(Stage::Translate),
    UpcallSort::Stage(Stage::Put),
    UpcallSort::Stage(Stage::Execute),
];
/// Orders of the table of packets, in the order of its columns.
const PACKET_SORTS: [PacketSort; 7] = [
    PacketSort::Time,
    PacketSort::Port,
    PacketSort::Fate,
    PacketSort::Upcalls,
    PacketSort::Steps,
    PacketSort::Length,
    PacketSort::Total,
];
const HANDLER_SORTS: [HandlerSort; 3] = [HandlerSort::Rate, HandlerSort::Wait, HandlerSort::Name];
const PORT_SORTS: [PortSort; 3] = [PortSort::Rate, PortSort::Lost, PortSort::Number];

/// Moves in the current list or text.
pub fn go(view: &mut ViewState, pins: &Pins, matches: &Matches, model: &Model, motion: Action, drawn: Drawn) {
    if let Some(scroll) = view.help {
        view.help = Some(scrolled(scroll, motion, drawn));
        return;
    }
    if view.is_open() && matches!(view.view, View::Packets | View::Upcalls) {
        let lines: Vec<usize> =
            pins.packet_of(view).map_or_else(Vec::new, |(packet, _)| (0..packet.events.len()).collect());
        step(&mut view.timeline, &lines, motion, drawn.page);
        return;
    }
    match view.view {
        View::Storm if view.shows_verdicts() => {
            if matches!(motion, Action::PageUp | Action::PageDown) {
                view.scroll = scrolled(view.scroll, motion, drawn);
                return;
            }
            let choices = verdicts::choices(&verdicts::all(model));
            let to = moved(verdicts::place(view.verdict, &choices), motion, 1).min(choices.len().saturating_sub(1));
            view.verdict = choices.get(to).copied().filter(|_| motion != Action::First);
            view.scroll = 0;
        }
        View::Storm => {
            let all = who::all(model, drawn.page);
            let to = moved(who::place(view.who, &all), motion, drawn.page).min(all.len().saturating_sub(1));
            view.who = all.get(to).copied().filter(|_| motion != Action::First);
        }
        View::Flows if view.is_open() => view.scroll = scrolled(view.scroll, motion, drawn),
        View::Probes => view.scroll = scrolled(view.scroll, motion, drawn),
        View::Flows => step_flows(view, matches, model, motion, drawn.page),
        View::Upcalls => {
            let ids = lists::upcalls(model, view, matches).rows;
            step(&mut view.upcalls, &ids, motion, drawn.page);
        }
        View::Packets => {
            let ids = lists::packets(model, view, matches).rows;
            step(&mut view.packets, &ids, motion, drawn.page);
        }
        View::Handlers => {
            let ids: Vec<u32> = lists::handlers(model, view).rows.iter().map(|row| row.tid).collect();
            step(&mut view.handlers, &ids, motion, drawn.page);
        }
        View::Ports => {
            let ids: Vec<_> = lists::ports(model, view).rows.iter().map(|row| (row.dp, row.port)).collect();
            step(&mut view.ports, &ids, motion, drawn.page);
        }
    }
}

fn step<Id: Copy + PartialEq>(list: &mut ListState<Id>, ids: &[Id], motion: Action, page: usize) {
    if motion == Action::First || ids.is_empty() {
        *list = ListState::default();
        return;
    }
    let window = lists::window(ids, list, page);
    let to = moved(window.selected, motion, page).min(ids.len() - 1);
    list.select(ids[to], to, window, page);
}

/// Like [`step`], without sorting the whole list.
fn step_flows(view: &mut ViewState, matches: &Matches, model: &Model, motion: Action, page: usize) {
    let shown = lists::flows(model, view, matches, page);
    let to = moved(shown.window.selected, motion, page).min(shown.count.saturating_sub(1));
    match lists::flow_at(model, view, matches, to) {
        Some(id) if motion != Action::First => view.flows.select(id, to, shown.window, page),
        _ => view.flows = ListState::default(),
    }
}

fn scrolled(scroll: usize, motion: Action, drawn: Drawn) -> usize {
    let from = scroll.min(drawn.scroll_max);
    moved(from, motion, drawn.page).min(drawn.scroll_max)
}

fn moved(from: usize, motion: Action, page: usize) -> usize {
    let page = page.saturating_sub(1).max(1);
    match motion {
        Action::Up => from.saturating_sub(1),
        Action::Down => from.saturating_add(1),
        Action::PageUp => from.saturating_sub(page),
        Action::PageDown => from.saturating_add(page),
        Action::First => 0,
        Action::Last => usize::MAX,
        _ => from,
    }
}

/// Whether there is something that opens.
pub fn can_open(view: &ViewState, pins: &Pins, matches: &Matches, model: &Model) -> bool {
    if view.help.is_some() {
        return false;
    }
    if view.shows_verdicts() {
        let choices = verdicts::choices(&verdicts::all(model));
        return choices.get(verdicts::place(view.verdict, &choices)).is_some_and(|(_, culprit)| culprit.is_some());
    }
    if view.is_open() {
        return flow_at_cursor(view, pins, model).is_some();
    }
    match view.view {
        // The makers of upcalls: every upcall came in by a port, so there is one where there are upcalls.
        View::Storm => {
            !who::culprits(&model.verdicts()).is_empty() || !model.talkers(Dimension::InPort, 1).top.is_empty()
        }
        View::Flows => model.flow_count() > 0 && (view.filter().is_empty() || matches.any_flow()),
        View::Upcalls => model.upcalls().len() > 0 && (view.filter().is_empty() || matches.upcalls().next().is_some()),
        View::Packets => model.packets().len() > 0 && (view.filter().is_empty() || matches.packets().next().is_some()),
        // These go to their upcalls.
        View::Handlers => !lists::handlers(model, view).rows.is_empty(),
        View::Ports => !lists::ports(model, view).rows.is_empty(),
        View::Probes => false,
    }
}

/// The flow that the cursor in an open packet's timeline is on.
pub fn flow_at_cursor(view: &ViewState, pins: &Pins, model: &Model) -> Option<FlowKey> {
    let (packet, _) = pins.packet_of(view)?;
    line_flow(model, packet, view.timeline.selected.unwrap_or(0))
}

/// The flow that is marked: the selected one, or the first where none is, or the filter hides it.
pub fn marked_flow(view: &ViewState, matches: &Matches, model: &Model) -> Option<FlowKey> {
    let shown = lists::flows(model, view, matches, 1);
    shown.keys.first().copied()
}

/// The upcall that is marked, likewise.
pub fn marked_upcall(view: &ViewState, matches: &Matches, model: &Model) -> Option<UpcallId> {
    let ids = lists::upcalls(model, view, matches).rows;
    ids.get(lists::window(&ids, &view.upcalls, 1).selected).copied()
}

/// The packet that is marked, likewise.
pub fn marked_packet(view: &ViewState, matches: &Matches, model: &Model) -> Option<PacketId> {
    let ids = lists::packets(model, view, matches).rows;
    ids.get(lists::window(&ids, &view.packets, 1).selected).copied()
}

/// Opens what is marked, which is selected by its identity from now on.
pub fn open(view: &mut ViewState, matches: &Matches, model: &Model) {
    match view.view {
        View::Flows => {
            let marked = marked_flow(view, matches, model);
            choose(&mut view.flows, marked);
        }
        View::Upcalls => {
            let marked = marked_upcall(view, matches, model);
            choose(&mut view.upcalls, marked);
        }
        View::Packets => {
            let marked = marked_packet(view, matches, model);
            choose(&mut view.packets, marked);
        }
        _ => return,
    }
    view.set_open(true);
}

/// Selects the row that is marked: the first where nothing is selected, or what was is hidden by the filter.
fn choose<Id: PartialEq>(list: &mut ListState<Id>, marked: Option<Id>) {
    if list.selected != marked && marked.is_some() {
        *list = ListState { selected: marked, row: 0 };
    }
}

/// Deselects what is gone from the model: the list begins at its top again.
pub fn let_go(view: &mut ViewState, model: &Model) {
    if view.is_open() {
        return;
    }
    if view.flows.selected.is_some_and(|key| model.flow(key).is_none()) {
        view.flows = ListState::default();
    }
    if view.upcalls.selected.is_some_and(|id| model.upcall(id).is_none()) {
        view.upcalls = ListState::default();
    }
    if view.packets.selected.is_some_and(|id| model.packet(id).is_none()) {
        view.packets = ListState::default();
    }
}

/// Sorts by the next column, or the other way round.
pub fn sort(view: &mut ViewState, action: Action) {
    match view.view {
        // A user who sorts wants to see what comes first: go to the top, and stay there.
        View::Flows => {
            turn(&mut view.flow_order, &FLOW_SORTS, action);
            view.flows = ListState::default();
        }
        View::Upcalls => {
            turn(&mut view.upcall_order, &UPCALL_SORTS, action);
            view.upcalls = ListState::default();
        }
        View::Packets => {
            turn(&mut view.packet_order, &PACKET_SORTS, action);
            view.packets = ListState::default();
        }
        View::Handlers => {
            turn(&mut view.handler_order, &HANDLER_SORTS, action);
            view.handlers = ListState::default();
        }
        View::Ports => {
            turn(&mut view.port_order, &PORT_SORTS, action);
            view.ports = ListState::default();
        }
        View::Storm | View::Probes => {}
    }
}

fn turn<Sort: Copy + PartialEq>(order: &mut Order<Sort>, all: &[Sort], action: Action) {
    if action == Action::Reverse {
        order.largest_first = !order.largest_first;
    } else if let Some(at) = all.iter().position(|sort| *sort == order.by) {
        *order = Order { by: all[(at + 1) % all.len()], largest_first: true };
    }
}
