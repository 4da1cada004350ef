//! Holds on to what is open, so that it can be read to its end: in a storm the model keeps a packet for a few seconds only.

use crate::{
    model::{Model, PacketSnapshot},
    ui::{Pin, Pins, View, ViewState},
};

/// Refreshes what is open from the model; what the model has let go of stays as it was.
pub fn refresh(pins: &mut Pins, view: &ViewState, model: &Model) {
    let open = |of: View| view.opened[of.index()];
    let flow = view.flows.selected.filter(|_| open(View::Flows));
    hold(&mut pins.flow, flow, |key| model.flow(key).cloned(), |_, _| true);
    let packet = view.packets.selected.filter(|_| open(View::Packets));
    hold(&mut pins.packet, packet, |id| model.packet_snapshot(id), is_same);
    let upcall = view.upcalls.selected.filter(|_| open(View::Upcalls));
    hold(&mut pins.upcall, upcall, |id| model.packet_snapshot(model.upcall(id)?.packet?), is_same);
}

/// Whether these are the same packet. Probes that are attached anew give the same identities again, and of a packet that was
/// let go of the model may have later events only: neither may replace what the user reads.
fn is_same(now: &PacketSnapshot, before: &PacketSnapshot) -> bool {
    now.packet.first <= before.packet.last && now.packet.last >= before.packet.first
}

fn hold<Id: Copy + PartialEq, T>(
    pin: &mut Option<Pin<Id, T>>,
    id: Option<Id>,
    find: impl FnOnce(Id) -> Option<T>,
    is_same: impl FnOnce(&T, &T) -> bool,
) {
    let before = pin.take().filter(|pin| Some(pin.id) == id);
    let Some(id) = id else { return };
    *pin = match (find(id), before) {
        (Some(now), Some(before)) if !is_same(&now, &before.value) => Some(Pin { kept: false, ..before }),
        (Some(value), _) => Some(Pin { id, value, kept: true }),
        (None, before) => before.map(|before| Pin { kept: false, ..before }),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Body, DpIfindex, Event, FlowOp, FlowPut, PutKind, Ufid},
        model::{FlowKey, Limits},
    };

    fn put(ts: u64, n: u32) -> Event {
        let ufid = Some(Ufid([n, 0, 0, 0]));
        let op = FlowOp { dp: DpIfindex(3), ret: 0, ufid, took_ns: 5, batch_ts: 0, batch_idx: 0, queue_id: 0 };
        Event::host(ts, Body::FlowPut(FlowPut { kind: PutKind::New, op }))
    }

    #[test]
    fn an_open_flow_stays_when_the_model_lets_go_of_it_and_goes_when_it_is_closed() {
        let mut model = Model::new(Limits { flows: 2, ..Limits::default() });
        model.apply(&put(10, 1));
        let key = FlowKey::Ufid(DpIfindex(3), Ufid([1, 0, 0, 0]));
        let mut view = ViewState { view: View::Flows, ..ViewState::default() };
        view.flows.selected = Some(key);
        let mut pins = Pins::default();
        refresh(&mut pins, &view, &model);
        assert_eq!(pins.flow_of(&view), None, "nothing is open");
        view.set_open(true);
        refresh(&mut pins, &view, &model);
        assert_eq!(pins.flow_of(&view).map(|(flow, kept)| (flow.key, kept)), Some((key, true)));
        (2..9).for_each(|n| model.apply(&put(u64::from(n) * 10, n)));
        assert!(model.flow(key).is_none());
        refresh(&mut pins, &view, &model);
        assert_eq!(pins.flow_of(&view).map(|(flow, kept)| (flow.first_seen, kept)), Some((10, false)));
        // It is met again.
        model.apply(&put(100, 1));
        refresh(&mut pins, &view, &model);
        assert_eq!(pins.flow_of(&view).map(|(flow, kept)| (flow.first_seen, kept)), Some((100, true)));
        view.set_open(false);
        refresh(&mut pins, &view, &model);
        assert_eq!(pins, Pins::default());
    }
}
