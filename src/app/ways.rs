//! Ways from one view to another: from the marked row to its packet, its flow or its handler; in Storm from those whom the
//! verdict names or who make the upcalls. And the way back.

use super::navigate;
use crate::{
    event::{DpIfindex, PacketId, PortNo, UpcallId, task_name},
    model::{Culprit, Dimension, FlowKey, Model, Packet, TalkerKey, Upcall},
    ui::{
        ListState, Pins, View, ViewState, Who,
        filter::{Filter, whole},
        label, lists,
        matches::Matches,
        verdicts, who,
    },
};

/// Where one can go from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Its packet.
    Packet,
    /// Its flow.
    Flow,
    /// Its handler.
    Handler,
}

/// A step that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The view it began in.
    from: View,
    /// The view it led to.
    to: View,
    /// Whether something was opened there.
    open: bool,
    /// Whether it filtered the list there.
    filtered: bool,
}

impl Step {
    /// A step to a view, with what it opens and filters there.
    pub fn new(view: &mut ViewState, to: View, open: bool, filter: Option<Filter>) -> Self {
        let step = Self { from: view.view, to, open, filtered: filter.is_some() };
        view.view = to;
        view.opened[to.index()] = open;
        view.scroll = 0;
        // The timeline that it comes from stands where it was left.
        if to == View::Packets {
            view.timeline = ListState::default();
        }
        if let Some(filter) = filter {
            view.filters[to.index()] = filter;
        }
        step
    }

    /// Goes back, if the view is as the step left it. Returns whether it was.
    pub fn back(self, view: &mut ViewState) -> bool {
        if view.view != self.to || view.is_open() != self.open {
            return false;
        }
        view.opened[self.to.index()] = false;
        if self.filtered {
            view.filters[self.to.index()] = Filter::default();
        }
        view.view = self.from;
        true
    }
}

/// What is marked or open.
enum Subject<'a> {
    Flow(&'a crate::model::Flow),
    Upcall(Upcall, Option<&'a Packet>),
    Packet(&'a Packet, Option<Upcall>),
}

fn subject<'a>(view: &ViewState, pins: &'a Pins, matches: &Matches, model: &'a Model) -> Option<Subject<'a>> {
    let known = |id: UpcallId, pinned: &[Upcall]| {
        model.upcall(id).copied().or_else(|| pinned.iter().find(|upcall| upcall.id == id).copied())
    };
    match view.view {
        View::Flows => {
            let open = pins.flow_of(view).map(|(flow, _)| flow);
            let marked = || model.flow(navigate::marked_flow(view, matches, model)?);
            open.or_else(marked).map(Subject::Flow)
        }
        View::Upcalls => {
            let marked = || navigate::marked_upcall(view, matches, model);
            let id = view.upcalls.selected.filter(|_| view.is_open()).or_else(marked)?;
            let pin = pins.packet_of(view).map(|(whole, _)| whole);
            let upcall = known(id, pin.map_or(&[], |whole| &whole.upcalls))?;
            let packet = upcall.packet.and_then(|id| model.packet(id)).or(pin.map(|whole| &whole.packet));
            Some(Subject::Upcall(upcall, packet))
        }
        View::Packets => {
            let pin = pins.packet_of(view).map(|(whole, _)| whole);
            let marked = || model.packet(navigate::marked_packet(view, matches, model)?);
            let packet = pin.map(|whole| &whole.packet).or_else(marked)?;
            let last = packet.upcalls.last().and_then(|id| known(*id, pin.map_or(&[], |whole| &whole.upcalls)));
            Some(Subject::Packet(packet, last))
        }
        _ => None,
    }
}

/// Goes to what belongs to the row that is marked or open; an error says why it cannot.
pub fn go(view: &mut ViewState, pins: &Pins, matches: &Matches, model: &Model, to: To) -> Result<Step, &'static str> {
    let nothing = "nothing is selected";
    let subject = subject(view, pins, matches, model).ok_or(nothing)?;
    match to {
        To::Packet => {
            let id = packet_of(&subject).ok_or("its packet was not seen")?;
            model.packet(id).ok_or("its packet was let go, as newer ones took its room")?;
            let step = Step::new(view, View::Packets, true, None);
            view.packets = ListState { selected: Some(id), row: 0 };
            Ok(step)
        }
        To::Flow => {
            let key = navigate::flow_at_cursor(view, pins, model)
                .or_else(|| flow_of(&subject))
                .ok_or("no flow of it was seen")?;
            let key = model.flow(key).ok_or("its flow was let go, as newer ones took its room")?.key;
            Ok(to_flow(view, key))
        }
        To::Handler => {
            let upcall = match subject {
                Subject::Upcall(upcall, _) => Some(upcall),
                Subject::Packet(_, upcall) => upcall,
                Subject::Flow(flow) => {
                    let last = flow.last_packet.and_then(|id| model.packet(id));
                    last.and_then(|packet| packet.upcalls.last()).and_then(|id| model.upcall(*id)).copied()
                }
            };
            let recv = upcall.and_then(|upcall| upcall.recv).ok_or("no handler was seen to receive it")?;
            Ok(to_handler(view, recv.tid))
        }
    }
}

fn packet_of(subject: &Subject<'_>) -> Option<PacketId> {
    match subject {
        Subject::Flow(flow) => flow.last_packet,
        Subject::Upcall(upcall, _) => upcall.packet,
        Subject::Packet(packet, _) => Some(packet.id),
    }
}

/// What is marked or open that can be traced: a flow, or else the packet.
pub enum ToTrace<'a> {
    /// A flow.
    Flow(&'a crate::model::Flow),
    /// A packet.
    Packet(&'a Packet),
}

/// The flow or the packet that is marked or open; an error says why there is none.
pub fn to_trace<'a>(
    view: &ViewState,
    pins: &'a Pins,
    matches: &Matches,
    model: &'a Model,
) -> Result<ToTrace<'a>, &'static str> {
    match subject(view, pins, matches, model).ok_or("nothing is selected")? {
        Subject::Flow(flow) => Ok(ToTrace::Flow(flow)),
        Subject::Upcall(_, packet) => packet.map(ToTrace::Packet).ok_or("its packet was not seen"),
        Subject::Packet(packet, _) => Ok(ToTrace::Packet(packet)),
    }
}

/// The flow that an upcall put, or that its packet hit.
fn flow_of(subject: &Subject<'_>) -> Option<FlowKey> {
    let put = |upcall: &Upcall| Some(FlowKey::Ufid(upcall.dp?, upcall.put?.ufid?));
    let hit = |packet: &Packet| packet.flow.map(|(flow, ufid)| FlowKey::new(packet.dp.unwrap_or_default(), ufid, flow));
    match subject {
        Subject::Flow(flow) => Some(flow.key),
        Subject::Upcall(upcall, packet) => put(upcall).or_else(|| packet.and_then(hit)),
        Subject::Packet(packet, upcall) => hit(packet).or_else(|| upcall.as_ref().and_then(put)),
    }
}

/// Goes to what belongs to the marked one in Storm, where those who make upcalls have so many rows; why not, where it
/// cannot.
pub fn from_storm(view: &mut ViewState, model: &Model, rows: usize) -> Result<Step, &'static str> {
    let all = who::all(model, rows);
    match *all.get(who::place(view.who, &all)).ok_or("nobody makes upcalls")? {
        Who::Talker(dimension, key) => Ok(to_upcalls(view, &words(model, Some(dimension), key)?)),
        Who::Culprit(culprit) => to_culprit(view, model, culprit),
    }
}

/// Goes to what belongs to the marked culprit of the selected verdict; an error says why it cannot.
pub fn from_verdicts(view: &mut ViewState, model: &Model) -> Result<Step, &'static str> {
    let choices = verdicts::choices(&verdicts::all(model));
    let (_, culprit) = choices.get(verdicts::place(view.verdict, &choices)).ok_or("there is no verdict")?;
    to_culprit(view, model, culprit.ok_or("it names nobody")?)
}

fn to_culprit(view: &mut ViewState, model: &Model, culprit: Culprit) -> Result<Step, &'static str> {
    match culprit {
        Culprit::Talker(key) => Ok(to_upcalls(view, &words(model, None, key)?)),
        Culprit::Port(dp, port) => {
            let known = model.ports().iter().any(|row| (row.dp, row.port) == (dp, port));
            known.then(|| to_port(view, dp, port)).ok_or("its port is gone")
        }
        Culprit::Handler(tid) => {
            let known = model.handlers().iter().any(|row| row.tid == tid);
            known.then(|| to_handler(view, tid)).ok_or("its thread was let go")
        }
        Culprit::Flow(key) => {
            let known = model.flow(key).ok_or("its flow was let go, as newer ones took its room")?;
            Ok(to_flow(view, known.key))
        }
        // A field leads to a flow, which says which rule makes it match the field.
        Culprit::Field(field) => {
            let key = model.flow_matching(field).ok_or("no flow that matches it is still known")?;
            Ok(to_flow(view, key))
        }
    }
}

/// Goes to the upcalls of the marked port, or of the marked handler.
pub fn to_own_upcalls(view: &mut ViewState, model: &Model) -> Result<Step, &'static str> {
    let nothing = "nothing is selected";
    let words = if view.view == View::Ports {
        let rows = lists::ports(model, view).rows;
        let ids: Vec<_> = rows.iter().map(|row| (row.dp, row.port)).collect();
        let &(dp, port) = ids.get(lists::window(&ids, &view.ports, 1).selected).ok_or(nothing)?;
        label::talker(model, TalkerKey::Port(dp, port))
    } else {
        let rows = lists::handlers(model, view).rows;
        let ids: Vec<u32> = rows.iter().map(|row| row.tid).collect();
        let row = rows.get(lists::window(&ids, &view.handlers, 1).selected).ok_or(nothing)?;
        task_name(row.comm, row.tid)
    };
    Ok(to_upcalls(view, &whole(&words)))
}

fn to_upcalls(view: &mut ViewState, words: &str) -> Step {
    Step::new(view, View::Upcalls, false, Some(Filter::new(words)))
}

fn to_flow(view: &mut ViewState, key: FlowKey) -> Step {
    let step = Step::new(view, View::Flows, true, None);
    view.flows = ListState { selected: Some(key), row: 0 };
    step
}

fn to_port(view: &mut ViewState, dp: DpIfindex, port: PortNo) -> Step {
    // As of a handler.
    let step = Step::new(view, View::Ports, false, Some(Filter::default()));
    view.ports = ListState { selected: Some((dp, port)), row: 0 };
    step
}

fn to_handler(view: &mut ViewState, tid: u32) -> Step {
    // A filter may hide it.
    let step = Step::new(view, View::Handlers, false, Some(Filter::default()));
    view.handlers = ListState { selected: Some(tid), row: 0 };
    step
}

/// Words that the rows of one maker's upcalls have, and as far as words can tell no others.
fn words(model: &Model, dimension: Option<Dimension>, key: TalkerKey) -> Result<String, &'static str> {
    Ok(match key {
        TalkerKey::Handler { task: None, .. } => return Err("nobody was seen to receive these"),
        TalkerKey::Handler { task: Some((tid, comm)), .. } => whole(&task_name(comm, tid)),
        // The outcome of the upcall itself; that of a verdict may be the outcome of its put.
        TalkerKey::Errno(ret) if dimension.is_some() => whole(&label::outcome(ret)),
        TalkerKey::Errno(ret) => label::outcome(ret),
        TalkerKey::Port(..) | TalkerKey::Cmd(_) | TalkerKey::Cpu(_) | TalkerKey::Cookie(_) => {
            whole(&label::talker(model, key))
        }
        TalkerKey::Tuple { .. } => label::talker(model, key).replace('→', " "),
        TalkerKey::Ip(..) | TalkerKey::Mac(_) => label::talker(model, key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_taken_back_from_where_it_led_and_from_nowhere_else() {
        let mut view = ViewState::default();
        let step = Step::new(&mut view, View::Upcalls, false, Some(Filter::new("p1")));
        assert_eq!((view.view, view.filter().text()), (View::Upcalls, "p1"));
        view.set_open(true);
        assert!(!step.back(&mut view), "what was opened there is closed first");
        view.set_open(false);
        assert!(step.back(&mut view) && view.view == View::Storm);
        assert!(view.filter_of(View::Upcalls).is_empty());
        assert!(!step.back(&mut view));
    }
}
