//! A packet's steps, which the kernel side tells together, and the tasks, devices and flows they name by numbers.

use std::collections::HashMap;

use super::{
    packet_bytes::packet_bytes,
    reasons::Reasons,
    routes::Routes,
    symbols::Symbols,
    wire::{
        STEP_ACTION, STEP_DROP, STEP_LOOKUP, STEP_PLACE, STEPS_MAX, WireBytes, WireDevice, WireFlow, WireStep,
        WireTask, WireTrace, WireWholeTrace,
    },
};
use crate::event::{
    Action, ActionExecute, Afters, Attribute, Body, Comm, DevPoint, DevStep, DpIfindex, Drop, Event, FlowLookup,
    FlowPtr, Name, Nanos, PacketId, PortNo, Route, Run, Step, Told, Ufid, UpcallId, decode_action,
};

/// Most names of a kind that are remembered at a time. A CPU tells a name again when another took its place, so what
/// is forgotten at once when there are more was told long ago.
const NAMES: usize = 1 << 18;

/// Where a trace's steps begin; those that are too many for a short one follow on them.
const STEPS_AT: usize = std::mem::offset_of!(WireTrace, steps);
/// Where the packet's bytes are, in a trace that has them.
const BYTES_AT: usize = std::mem::offset_of!(WireWholeTrace, bytes);

type ByNumber<T> = HashMap<u32, T, foldhash::fast::RandomState>;

/// What the numbers in steps stand for.
#[derive(Debug, Default)]
pub struct Names {
    tasks: ByNumber<Task>,
    devices: ByNumber<Device>,
    flows: ByNumber<Flow>,
    /// Of drops.
    pub reasons: Reasons,
    /// Of places in the kernel.
    pub symbols: Symbols,
    /// Ways of packets, as long as all that they name stays as it is.
    routes: Routes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Task {
    tid: u32,
    pid: u32,
    comm: Comm,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Device {
    name: Name,
    ifindex: u32,
    netns: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Flow {
    at: u64,
    sf_acts: u64,
    ufid: Option<Ufid>,
}

/// Whether another name, of this number or of others, is not what it was.
fn remember<T: PartialEq>(names: &mut ByNumber<T>, number: u32, what: T) -> Option<bool> {
    if number == 0 {
        return None;
    }
    let full = names.len() >= NAMES && !names.contains_key(&number);
    if full {
        names.clear();
    }
    let other = names.get(&number).is_some_and(|before| *before != what);
    names.insert(number, what);
    Some(full || other)
}

impl Names {
    /// From here on this number is this task.
    pub fn task(&mut self, e: &WireTask) -> Option<()> {
        let changed = remember(&mut self.tasks, e.number, Task { tid: e.tid, pid: e.pid, comm: Name(e.comm) })?;
        self.forget_routes(changed);
        Some(())
    }

    /// From here on this number is this device.
    pub fn device(&mut self, e: &WireDevice) -> Option<()> {
        let device = Device { name: Name(e.name), ifindex: e.ifindex, netns: e.netns };
        let changed = remember(&mut self.devices, e.number, device)?;
        self.forget_routes(changed);
        Some(())
    }

    /// From here on this number is this flow with these actions.
    pub fn flow(&mut self, e: &WireFlow) -> Option<()> {
        let ufid = (e.ufid_len != 0).then_some(Ufid(e.ufid));
        let changed = remember(&mut self.flows, e.number, Flow { at: e.flow, sf_acts: e.sf_acts, ufid })?;
        self.forget_routes(changed);
        Some(())
    }

    fn forget_routes(&mut self, changed: bool) {
        if changed {
            self.routes.clear();
        }
    }

    /// An event of a task that is known by its number; where it could not be told, for want of room, it has no name.
    pub fn event(&self, ts: Nanos, cpu: u32, task: u32) -> impl FnOnce(Body) -> Event + use<> {
        let Task { tid, pid, comm } = self.tasks.get(&task).copied().unwrap_or_default();
        move |body| Event { ts, cpu, tid, pid, comm, packet: None, upcall: None, body }
    }

    /// A packet's first bytes; `packet` is 0 where it is not known which.
    pub fn bytes(&self, e: &WireBytes, packet: u64) -> Event {
        let event = self.event(e.ts, e.cpu, e.task);
        let packet = (packet != 0).then_some(PacketId(packet));
        Event { packet, ..event(Body::PacketBytes(packet_bytes(e))) }
    }

    /// The packet's bytes, where a trace has them, and all of its steps; none when it is not one. `bytes` begin where the
    /// ring buffer has them, at a multiple of 8.
    pub fn trace(&mut self, bytes: &[u8], told: &mut Vec<Told>) -> Option<()> {
        let trace: &WireTrace = bytemuck::try_from_bytes(bytes.get(..size_of::<WireTrace>())?).ok()?;
        let count = trace.count as usize;
        if count > STEPS_MAX {
            return None;
        }
        let steps = bytes.get(STEPS_AT..STEPS_AT + count * size_of::<WireStep>())?;
        let steps: &[WireStep] = bytemuck::try_cast_slice(steps).ok()?;
        if trace.has_bytes != 0 {
            let kept = bytes.get(BYTES_AT..BYTES_AT + size_of::<WireBytes>())?;
            told.push(self.bytes(bytemuck::try_from_bytes(kept).ok()?, trace.packet).into());
        }
        if steps.is_empty() {
            return Some(());
        }
        // What belongs to one message goes no way that others go.
        let run = if trace.queue_id == 0 { self.run(trace, steps) } else { None };
        match run {
            Some(run) => told.push(Told::Run(run)),
            None => self.steps(trace, steps, told)?,
        }
        Some(())
    }

    /// The steps of a trace as one; none where that cannot be.
    fn run(&mut self, trace: &WireTrace, steps: &[WireStep]) -> Option<Run> {
        let route = match self.routes.get(trace, steps) {
            Some(route) => route.clone(),
            // A run is of one place.
            None if steps.iter().any(|step| step.what == STEP_PLACE) => return None,
            None => self.route(trace, steps)?,
        };
        let (packet, upcall) = whose(trace);
        let mut after = [0; STEPS_MAX];
        for (to, step) in std::iter::zip(&mut after, steps) {
            *to = step.after;
        }
        Run::new(trace.ts, packet, upcall, route, Afters::from_buf_and_len(after, steps.len()))
    }

    /// The way of these steps, to be remembered; none where something in it is not known, or not yet.
    fn route(&mut self, trace: &WireTrace, steps: &[WireStep]) -> Option<Route> {
        // Taken out meanwhile: their steps are made with the rest of this.
        let mut routes = std::mem::take(&mut self.routes);
        let readings = self.symbols.readings();
        let made = steps.iter().map(|step| routes.step(trace, step, || self.step(trace, step)));
        let route: Option<Route> = made.collect();
        if self.symbols.readings() != readings {
            // Places have other names now than when some of these steps were made.
            routes.clear();
        } else if let Some(route) = &route {
            routes.put(trace, steps, route);
        }
        self.routes = routes;
        route
    }

    /// One step for all who come by it; none where a number in it is not known.
    fn step(&mut self, trace: &WireTrace, step: &WireStep) -> Option<Step> {
        let named = match step.what {
            STEP_LOOKUP => step.a == 0 || self.flows.contains_key(&step.a),
            STEP_ACTION | STEP_DROP => true,
            _ => step.a == 0 || self.devices.contains_key(&step.a),
        };
        if !named || !(step.task == 0 || self.tasks.contains_key(&step.task)) {
            return None;
        }
        let Task { tid, pid, comm } = self.tasks.get(&step.task).copied().unwrap_or_default();
        Some(Step { cpu: step.cpu.into(), tid, pid, comm, body: self.body(trace, step)? })
    }

    /// The steps of a trace one by one.
    fn steps(&mut self, trace: &WireTrace, steps: &[WireStep], told: &mut Vec<Told>) -> Option<()> {
        let (packet, upcall) = whose(trace);
        let mut trace = *trace;
        for step in steps {
            if step.what == STEP_PLACE {
                trace = WireTrace { dp: step.a, in_port: step.b, recirc_id: step.c, ..trace };
                continue;
            }
            let ts = trace.ts.wrapping_add_signed(step.after.into());
            let body = self.body(&trace, step)?;
            let event = self.event(ts, step.cpu.into(), step.task);
            told.push(Event { packet, upcall, ..event(body) }.into());
        }
        Some(())
    }

    fn body(&mut self, trace: &WireTrace, step: &WireStep) -> Option<Body> {
        Some(match step.what {
            STEP_LOOKUP => self.lookup(trace, step),
            STEP_ACTION => action(trace, step)?,
            STEP_DROP => self.drop(step),
            _ => self.dev(step)?,
        })
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

fn whose(trace: &WireTrace) -> (Option<PacketId>, Option<UpcallId>) {
    let packet = (trace.packet != 0).then_some(PacketId(trace.packet));
    (packet, (trace.upcall != 0).then_some(UpcallId(trace.upcall)))
}

fn action(trace: &WireTrace, step: &WireStep) -> Option<Body> {
    let args = [step.b.to_ne_bytes(), step.c.to_ne_bytes()].concat();
    let len = step.a as usize;
    let cut = len > args.len();
    let args = args.get(..len).unwrap_or(&args);
    let attribute = Attribute { nla_type: step.detail.into(), args, cut, set_to_masked: None };
    let action = match decode_action(&attribute) {
        Ok(action) => action,
        // Which one it was is known all the same.
        Err(_) if cut => Action::Unknown { number: step.detail.into() },
        Err(_) => return None,
    };
    Some(Body::ActionExecute(ActionExecute {
        dp: DpIfindex(trace.dp),
        in_port: PortNo(trace.in_port),
        recirc_id: trace.recirc_id,
        queue_id: trace.queue_id,
        action,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytemuck::Zeroable;
    use proptest::prelude::*;

    use super::*;
    use crate::probes::wire::{WIRE_TRACE, WireLongTrace};

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
        let mut told = Vec::new();
        names().trace(bytemuck::bytes_of(&e), &mut told).expect("whole");
        let events = Told::expanded(told);
        assert_eq!(events.len(), 12);
        let lookup = &events[1];
        assert_eq!((lookup.ts, lookup.tid, lookup.pid, lookup.packet), (990, 12, 11, Some(PacketId(7))));
        let Body::FlowLookup(FlowLookup { flow, ufid, n_mask_hit: 2, in_port, .. }) = lookup.body else {
            panic!("{lookup:?}")
        };
        assert_eq!((flow, ufid, in_port), (Some(FlowPtr(0xf00)), Some(Ufid([1; 4])), Some(PortNo(2))));
        let output = Action::Output { port: 9 };
        assert!(matches!(&events[11].body, Body::ActionExecute(a) if a.action == output), "{:?}", events[11]);
        assert_eq!((events[11].ts, events[11].cpu, events[11].tid), (1090, 1, 0));
    }

    #[test]
    fn what_was_held_back_is_of_the_places_it_was_at_and_its_actions_of_what_was_kept_of_them() {
        let at = |recirc_id| WireStep { what: STEP_PLACE, a: 3, b: 2, c: recirc_id, ..Zeroable::zeroed() };
        let action = |detail, a, b| WireStep { what: STEP_ACTION, detail, a, b, c: 0x0b0a, ..Zeroable::zeroed() };
        let mut e: WireTrace = Zeroable::zeroed();
        e = WireTrace { packet: 7, kind: WIRE_TRACE, count: 7, dp: 3, in_port: 2, ..e };
        e.steps[0] = WireStep { what: STEP_LOOKUP, ..Zeroable::zeroed() };
        e.steps[1] = action(7, 4, 9);
        e.steps[2] = at(9);
        // push_eth has two addresses, recirculation an id, ct a struct of the kernel's own.
        e.steps[3] = action(14, 12, 0x0504_0302);
        e.steps[4] = action(12, 200, 1);
        e.steps[5] = at(0);
        e.steps[6] = action(7, 4, 8);
        let mut told = Vec::new();
        names().trace(bytemuck::bytes_of(&e), &mut told).expect("whole");
        let places: Vec<(u32, Option<Action>)> = Told::expanded(told)
            .into_iter()
            .map(|event| match event.body {
                Body::FlowLookup(lookup) => (lookup.recirc_id, None),
                Body::ActionExecute(a) => (a.recirc_id, Some(a.action)),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            (0, None),
            (0, Some(Action::Recirc { id: 9 })),
            (9, Some(Action::Unknown { number: 14 })),
            (9, Some(Action::Ct { args: None })),
            (0, Some(Action::Recirc { id: 8 })),
        ];
        assert_eq!(places, expected);
        // Arguments that are whole and yet too few are none of the kernel's.
        e.steps[3].a = 7;
        assert_eq!(names().trace(bytemuck::bytes_of(&e), &mut Vec::new()), None);
    }

    #[test]
    fn a_trace_that_says_it_is_longer_than_it_is_is_refused() {
        let e = WireTrace { kind: WIRE_TRACE, count: 11, ..Zeroable::zeroed() };
        assert_eq!(names().trace(bytemuck::bytes_of(&e), &mut Vec::new()), None);
        let long = WireLongTrace { trace: WireTrace { count: u32::MAX, ..e }, ..Zeroable::zeroed() };
        assert_eq!(names().trace(bytemuck::bytes_of(&long), &mut Vec::new()), None);
    }

    #[test]
    fn the_bytes_that_a_trace_has_come_before_its_steps() {
        let mut e: WireWholeTrace = Zeroable::zeroed();
        e.steps.trace = WireTrace { packet: 7, kind: WIRE_TRACE, ts: 50, count: 12, has_bytes: 1, ..e.steps.trace };
        e.bytes = WireBytes { ts: 60, task: 4, cpu: 3, captured: 2, len: 99, ..Zeroable::zeroed() };
        e.bytes.data[..3].copy_from_slice(&[1, 2, 3]);
        let all_of = |e: &WireWholeTrace, len: usize| {
            let mut told = Vec::new();
            names().trace(&bytemuck::bytes_of(e)[..len], &mut told).map(|()| Told::expanded(told))
        };
        let events = all_of(&e, size_of_val(&e)).expect("whole");
        assert_eq!(events.len(), 13);
        let Body::PacketBytes(bytes) = &events[0].body else { panic!("{:?}", events[0]) };
        assert_eq!((&*bytes.data, bytes.len), (&[1, 2][..], 99));
        assert_eq!((events[0].ts, events[0].cpu, events[0].tid, events[0].packet), (60, 3, 12, Some(PacketId(7))));
        assert!(events[1..].iter().all(|event| event.packet == Some(PacketId(7)) && event.ts == 50));
        assert_eq!(all_of(&e, size_of_val(&e) - 1), None);
        // A packet whose steps were told before.
        e.steps.trace.count = 0;
        assert_eq!(all_of(&e, size_of_val(&e)).expect("whole").len(), 1);
    }

    fn run_of(names: &mut Names, e: &WireTrace) -> Option<Run> {
        let mut told = Vec::new();
        names.trace(bytemuck::bytes_of(e), &mut told).expect("whole");
        match told.pop() {
            Some(Told::Run(run)) => Some(run),
            _ => None,
        }
    }

    #[test]
    fn packets_that_go_the_same_way_share_it_until_what_it_names_is_another() {
        let mut names = names();
        let mut e = WireTrace { kind: WIRE_TRACE, packet: 1, count: 2, ..Zeroable::zeroed() };
        e.steps[1] = WireStep { after: 20, what: STEP_LOOKUP, task: 4, a: 5, ..Zeroable::zeroed() };
        let first = run_of(&mut names, &e).expect("a run");
        let second = run_of(&mut names, &WireTrace { packet: 2, ts: 50, ..e }).expect("a run");
        assert!(Arc::ptr_eq(first.route(), second.route()));
        assert_eq!((second.packet(), second.ts(), second.after()), (Some(PacketId(2)), 50, &[0, 20][..]));

        let flow = WireFlow { number: 5, flow: 0xf00, sf_acts: 0xac, ufid_len: 16, ufid: [1; 4], ..Zeroable::zeroed() };
        names.flow(&flow).expect("a number");
        let told_again = run_of(&mut names, &e).expect("a run");
        assert!(Arc::ptr_eq(first.route(), told_again.route()));
        names.flow(&WireFlow { sf_acts: 0xad, ..flow }).expect("a number");
        let changed = run_of(&mut names, &e).expect("a run");
        let actions = |run: &Run| match run.events().nth(1).map(|event| event.body) {
            Some(Body::FlowLookup(lookup)) => lookup.sf_acts,
            _ => None,
        };
        assert_eq!((actions(&first), actions(&changed)), (Some(FlowPtr(0xac)), Some(FlowPtr(0xad))));
    }

    #[test]
    fn what_belongs_to_one_message_or_names_what_is_not_told_yet_goes_no_known_way() {
        let mut names = names();
        let mut e = WireTrace { kind: WIRE_TRACE, count: 1, ..Zeroable::zeroed() };
        assert!(run_of(&mut names, &WireTrace { queue_id: 9, ..e }).is_none());
        e.steps[0].task = 77;
        assert!(run_of(&mut names, &e).is_none());
        names.task(&WireTask { number: 77, tid: 3, ..Zeroable::zeroed() }).expect("a number");
        assert_eq!(run_of(&mut names, &e).expect("a run").route()[0].tid, 3);
    }

    /// What the kernel side may tell, with few numbers, so that they meet; but for drops, whose names are the host's.
    #[derive(Debug, Clone)]
    enum Record {
        Task(WireTask),
        Device(WireDevice),
        Flow(WireFlow),
        Trace(Box<WireLongTrace>),
    }

    fn record() -> impl Strategy<Value = Record> {
        let few = || 0..4u32;
        let step = (any::<i32>(), 0..3u16, prop_oneof![0..7u8, STEP_LOOKUP..STEP_DROP], few(), few(), 0..9u32);
        let step = step.prop_map(|(after, cpu, what, task, a, b)| WireStep {
            after,
            cpu,
            what,
            detail: 1,
            task,
            a: if what == STEP_ACTION { 4 } else { a },
            b,
            c: 0,
        });
        let trace = (few(), few(), 0..2u64, prop::collection::vec(step, 0..STEPS_MAX));
        let trace = trace.prop_map(|(ts, dp, queue_id, steps)| {
            let mut e: WireLongTrace = Zeroable::zeroed();
            e.trace = WireTrace { ts: ts.into(), dp, queue_id, count: steps.len() as u32, ..e.trace };
            let (short, more) = steps.split_at(steps.len().min(e.trace.steps.len()));
            e.trace.steps[..short.len()].copy_from_slice(short);
            e.more[..more.len()].copy_from_slice(more);
            Record::Trace(Box::new(e))
        });
        prop_oneof![
            1 => (1..4u32, few()).prop_map(|(number, tid)| Record::Task(WireTask { number, tid, ..Zeroable::zeroed() })),
            1 => (1..4u32, few())
                .prop_map(|(number, ifindex)| Record::Device(WireDevice { number, ifindex, ..Zeroable::zeroed() })),
            1 => (1..4u32, 0..4u64)
                .prop_map(|(number, sf_acts)| Record::Flow(WireFlow { sf_acts, number, ..Zeroable::zeroed() })),
            6 => trace,
        ]
    }

    proptest! {
        #[test]
        fn runs_tell_just_the_events_that_are_told_one_by_one(
            records in prop::collection::vec(record(), 1..20),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (mut names, mut plain) = (Names::default(), Names::default());
            for at in order {
                match at.get(&records) {
                    Record::Task(e) => prop_assert_eq!(names.task(e), plain.task(e)),
                    Record::Device(e) => prop_assert_eq!(names.device(e), plain.device(e)),
                    Record::Flow(e) => prop_assert_eq!(names.flow(e), plain.flow(e)),
                    Record::Trace(e) => {
                        let steps: Vec<WireStep> = [e.trace.steps, e.more].concat();
                        let (mut runs, mut events) = (Vec::new(), Vec::new());
                        let whole = names.trace(bytemuck::bytes_of(&**e), &mut runs);
                        prop_assert_eq!(whole, plain.steps(&e.trace, &steps[..e.trace.count as usize], &mut events));
                        prop_assert_eq!(Told::expanded(runs), Told::expanded(events));
                    }
                }
            }
        }
    }
}
