//! A packet's steps, which the kernel side tells together, and the tasks, devices and flows they name by numbers.

use std::collections::HashMap;

use super::{
    reasons::Reasons,
    symbols::Symbols,
    wire::{
        STEP_ACTION, STEP_DROP, STEP_LOOKUP, STEPS_SHORT, WireDevice, WireFlow, WireLongTrace, WireStep, WireTask,
        WireTrace, read,
    },
};
use crate::event::{
    ActionExecute, Attribute, Body, Comm, DevPoint, DevStep, DpIfindex, Drop, Event, FlowLookup, FlowPtr, Name, Nanos,
    PacketId, PortNo, Ufid, UpcallId, decode_action,
};

/// Most names of a kind that are remembered at a time. A CPU tells a name again when another took its place, so what
/// is forgotten at once when there are more was told long ago.
const NAMES: usize = 1 << 18;

type ByNumber<T> = HashMap<u32, T, foldhash::fast::RandomState>;

/// What the numbers in steps stand for.
#[derive(Debug, Default)]
pub struct Names {
    tasks: ByNumber<Task>,
    devices: ByNumber<Device>,
    flows: ByNumber<Flow>,
    /// Of drops.
    pub reasons: Reasons,
    symbols: Symbols,
}

#[derive(Debug, Clone, Copy, Default)]
struct Task {
    tid: u32,
    pid: u32,
    comm: Comm,
}

#[derive(Debug, Clone, Copy, Default)]
struct Device {
    name: Name,
    ifindex: u32,
    netns: u32,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    at: u64,
    sf_acts: u64,
    ufid: Option<Ufid>,
}

fn remember<T>(names: &mut ByNumber<T>, number: u32, what: T) -> Option<()> {
    if number == 0 {
        return None;
    }
    if names.len() >= NAMES && !names.contains_key(&number) {
        names.clear();
    }
    names.insert(number, what);
    Some(())
}

impl Names {
    /// From here on this number is this task.
    pub fn task(&mut self, e: &WireTask) -> Option<()> {
        remember(&mut self.tasks, e.number, Task { tid: e.tid, pid: e.pid, comm: Name(e.comm) })
    }

    /// From here on this number is this device.
    pub fn device(&mut self, e: &WireDevice) -> Option<()> {
        let device = Device { name: Name(e.name), ifindex: e.ifindex, netns: e.netns };
        remember(&mut self.devices, e.number, device)
    }

    /// From here on this number is this flow with these actions.
    pub fn flow(&mut self, e: &WireFlow) -> Option<()> {
        let ufid = (e.ufid_len != 0).then_some(Ufid(e.ufid));
        remember(&mut self.flows, e.number, Flow { at: e.flow, sf_acts: e.sf_acts, ufid })
    }

    /// An event of a task that is known by its number; where it could not be told, for want of room, it has no name.
    pub fn event(&self, ts: Nanos, cpu: u32, task: u32) -> impl FnOnce(Body) -> Event + use<> {
        let Task { tid, pid, comm } = self.tasks.get(&task).copied().unwrap_or_default();
        move |body| Event { ts, cpu, tid, pid, comm, packet: None, upcall: None, body }
    }

    /// All steps of a trace; none when it is not one.
    pub fn trace(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Option<()> {
        let trace: WireTrace = read(bytes)?;
        let count = trace.count as usize;
        if count <= STEPS_SHORT {
            return self.steps(&trace, &trace.steps[..count], events);
        }
        let long: WireLongTrace = read(bytes)?;
        self.steps(&trace, &trace.steps, events)?;
        self.steps(&trace, long.more.get(..count - STEPS_SHORT)?, events)
    }

    fn steps(&mut self, trace: &WireTrace, steps: &[WireStep], events: &mut Vec<Event>) -> Option<()> {
        let packet = (trace.packet != 0).then_some(PacketId(trace.packet));
        let upcall = (trace.upcall != 0).then_some(UpcallId(trace.upcall));
        for step in steps {
            let ts = trace.ts.wrapping_add_signed(step.after.into());
            let body = match step.what {
                STEP_LOOKUP => self.lookup(trace, step),
                STEP_ACTION => action(trace, step)?,
                STEP_DROP => self.drop(step),
                _ => self.dev(step)?,
            };
            let event = self.event(ts, step.cpu.into(), step.task);
            events.push(Event { packet, upcall, ..event(body) });
        }
        Some(())
    }

    fn lookup(&self, trace: &WireTrace, step: &WireStep) -> Body {
        let hit = (step.a != 0).then(|| self.flows.get(&step.a)).flatten();
        Body::FlowLookup(FlowLookup {
            dp: DpIfindex(trace.dp),
            in_port: Some(PortNo(trace.in_port)),
            recirc_id: trace.recirc_id,
            flow: hit.map(|f| FlowPtr(f.at)),
            sf_acts: hit.map(|f| FlowPtr(f.sf_acts)),
            ufid: hit.and_then(|f| f.ufid),
            n_mask_hit: step.b,
            n_cache_hit: step.c,
        })
    }

    fn drop(&mut self, step: &WireStep) -> Body {
        let address = u64::from(step.c) << 32 | u64::from(step.b);
        let (name, location) = (self.reasons.name(step.a), self.symbols.name(address));
        Body::Drop(Drop { reason: step.a, name, location })
    }

    fn dev(&self, step: &WireStep) -> Option<Body> {
        let point = DevPoint::from_number(step.what.into())?;
        let Device { name, ifindex, netns } = self.devices.get(&step.a).copied().unwrap_or_default();
        Some(Body::Dev(DevStep { point, dev: name, ifindex, netns, len: step.b, ret: step.c.cast_signed() }))
    }
}

fn action(trace: &WireTrace, step: &WireStep) -> Option<Body> {
    let args = [step.b.to_ne_bytes(), step.c.to_ne_bytes()].concat();
    let args = args.get(..step.a as usize)?;
    let attribute = Attribute { nla_type: step.detail.into(), args, cut: false, set_to_masked: None };
    Some(Body::ActionExecute(ActionExecute {
        dp: DpIfindex(trace.dp),
        in_port: PortNo(trace.in_port),
        recirc_id: trace.recirc_id,
        queue_id: trace.queue_id,
        action: decode_action(&attribute).ok()?,
    }))
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::probes::wire::WIRE_TRACE;

    fn names() -> Names {
        let mut names = Names::default();
        let comm = *b"handler3\0\0\0\0\0\0\0\0";
        names.task(&WireTask { number: 4, tid: 12, pid: 11, comm, ..Zeroable::zeroed() });
        names.flow(&WireFlow {
            number: 5,
            flow: 0xf00,
            sf_acts: 0xac,
            ufid_len: 16,
            ufid: [1; 4],
            ..Zeroable::zeroed()
        });
        names
    }

    #[test]
    fn steps_are_events_of_their_packet_with_the_names_that_their_numbers_stand_for() {
        let mut e: WireLongTrace = Zeroable::zeroed();
        e.trace = WireTrace { ts: 1000, packet: 7, kind: WIRE_TRACE, count: 12, dp: 3, in_port: 2, ..e.trace };
        e.trace.steps[1] = WireStep { after: -10, what: STEP_LOOKUP, task: 4, a: 5, b: 2, ..Zeroable::zeroed() };
        e.more[1] = WireStep { after: 90, cpu: 1, what: STEP_ACTION, detail: 1, a: 4, b: 9, ..Zeroable::zeroed() };
        let mut events = Vec::new();
        names().trace(bytemuck::bytes_of(&e), &mut events).expect("whole");
        assert_eq!(events.len(), 12);
        let lookup = &events[1];
        assert_eq!((lookup.ts, lookup.tid, lookup.pid, lookup.packet), (990, 12, 11, Some(PacketId(7))));
        let Body::FlowLookup(FlowLookup { flow, ufid, n_mask_hit: 2, in_port, .. }) = lookup.body else {
            panic!("{lookup:?}")
        };
        assert_eq!((flow, ufid, in_port), (Some(FlowPtr(0xf00)), Some(Ufid([1; 4])), Some(PortNo(2))));
        let output = crate::event::Action::Output { port: 9 };
        assert!(matches!(&events[11].body, Body::ActionExecute(a) if a.action == output), "{:?}", events[11]);
        assert_eq!((events[11].ts, events[11].cpu, events[11].tid), (1090, 1, 0));
    }

    #[test]
    fn a_trace_that_says_it_is_longer_than_it_is_is_refused() {
        let e = WireTrace { kind: WIRE_TRACE, count: 11, ..Zeroable::zeroed() };
        assert_eq!(names().trace(bytemuck::bytes_of(&e), &mut Vec::new()), None);
        let long = WireLongTrace { trace: WireTrace { count: u32::MAX, ..e }, ..Zeroable::zeroed() };
        assert_eq!(names().trace(bytemuck::bytes_of(&long), &mut Vec::new()), None);
    }
}
