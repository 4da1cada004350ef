//! `cargo bench --bench recording`: events per second written and read, and bytes per event, on an upcall storm; with
//! `-- seek`, how long a seek takes in a recording of 1 GB, which it makes in the folder for temporary files.
//!
//! The storm is made here, the same in every run: 4 CPUs in softirq, 4 handlers that receive batches, one new flow
//! per packet, packets of 5 UDP sources with their first 128 bytes, counters four times a second, and about as many
//! packets that hit one of 200 flows. Written as events, and with the packets that hit a flow told as runs.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ovscope::{
    event::{
        Action, ActionExecute, Body, Counters, DevPoint, DevStep, DpCounters, DpIfindex, Event, FlowCounter,
        FlowLookup, FlowOp, FlowPtr, FlowPut, Name, PacketBytes, PacketExec, PacketId, PortNo, PutKind, Route, Run,
        Step, Told, Ufid, Upcall, UpcallCmd, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn,
    },
    model::Model,
    record::{Header, Preamble, Reader, Writer, create_new},
};

const EVENTS: usize = 2_000_000;
const CPUS: u64 = 4;
const DP: DpIfindex = DpIfindex(6);
const SNAPLEN: usize = 128;

fn main() {
    let events = storm(EVENTS);
    println!("{} events, {} bytes each in memory", events.len(), size_of::<Event>());
    let one_by_one: Vec<Told> = events.iter().cloned().map(Told::Event).collect();
    measure("events", &one_by_one, events.len());
    drop(one_by_one);
    let runs = with_runs(&events);
    measure("runs", &runs, events.len());
    let only: Vec<Told> = runs.into_iter().filter(|told| matches!(told, Told::Run(_))).collect();
    measure("runs alone", &only, only.iter().map(Told::count).sum());
    by_kind(&events);
    if std::env::args().any(|argument| argument == "seek") {
        seek(events);
    }
}

/// Writes and reads all of it, some times over.
fn measure(what: &str, told: &[Told], events: usize) {
    for round in 1..=3 {
        let begun = Instant::now();
        let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
        for batch in told.chunks(1000) {
            writer.write_told(batch).expect("memory");
        }
        let summary = writer.finish().expect("memory");
        let wrote = begun.elapsed().as_secs_f64();
        let bytes = writer.into_sink();
        let begun = Instant::now();
        let mut read = 0;
        for batch in Reader::from_bytes("memory", bytes).expect("just written") {
            read += batch.expect("memory").len();
        }
        let took = begun.elapsed().as_secs_f64();
        assert_eq!(read, events, "all that was written is read");
        let millions = events as f64 / 1e6;
        println!(
            "{what}, round {round}: {:.2} bytes per event, written at {:.2} million/s, read at {:.2} million/s",
            summary.bytes as f64 / events as f64,
            millions / wrote,
            millions / took,
        );
    }
}

/// The same events, with those of each packet that hits a flow as a run.
fn with_runs(events: &[Event]) -> Vec<Told> {
    let mut steps: HashMap<String, Arc<Step>> = HashMap::new();
    let mut routes: HashMap<Vec<usize>, Route> = HashMap::new();
    let goes_on = |a: &Event, b: &Event| a.upcall.is_none() && b.upcall.is_none() && a.packet == b.packet;
    let mut told = Vec::new();
    for packet in events.chunk_by(goes_on) {
        if packet.len() < 6 || packet.iter().any(|event| matches!(event.body, Body::PacketBytes(_))) {
            told.extend(packet.iter().cloned().map(Told::Event));
            continue;
        }
        let route: Vec<Arc<Step>> = packet
            .iter()
            .map(|Event { cpu, tid, pid, comm, body, .. }| {
                let step = Step { cpu: *cpu, tid: *tid, pid: *pid, comm: *comm, body: body.clone() };
                steps.entry(format!("{step:?}")).or_insert_with(|| Arc::new(step)).clone()
            })
            .collect();
        let key = route.iter().map(|step| Arc::as_ptr(step).addr()).collect();
        let route = routes.entry(key).or_insert_with(|| route.into()).clone();
        let ts = packet[0].ts;
        let after = packet.iter().map(|event| (event.ts - ts) as i32).collect();
        told.push(Told::Run(Run::new(ts, packet[0].packet, None, route, after).expect("a time for each step")));
    }
    told
}

/// Opens a recording of 1 GB and goes to moments all over it, each time to the full state: a model that has the
/// keyframe before the moment and all events from there up to it.
fn seek(mut events: Vec<Event>) {
    let path = std::env::temp_dir().join(format!("ovscope-bench-{}.mcap", std::process::id()));
    let mut writer = Writer::new(create_new(&path).expect("room"), &Header::default(), &Preamble::default())
        .expect("room for 1 GB in the folder for temporary files");
    let first = events[0].ts;
    let span = events[events.len() - 1].ts - first;
    let counters = |event: &Event| if let Body::Counters(c) = &event.body { Some((**c).clone()) } else { None };
    let round = events.iter().rev().find_map(counters).expect("there are counters");
    while writer.sealed().bytes < 1_000_000_000 {
        writer.write(&events).expect("room for 1 GB in the folder for temporary files");
        for event in &mut events {
            event.ts += span;
            if let Body::Counters(c) = &mut event.body {
                go_on(c, &round, span);
            }
        }
    }
    let summary = writer.finish().expect("room for 1 GB in the folder for temporary files");
    let last = summary.span.expect("there are events").1;
    let begun = Instant::now();
    let mut reader = Reader::open(&path).expect("just written");
    println!("{} bytes, {} events: opened in {:?}", summary.bytes, summary.events, begun.elapsed());
    let (mut random, mut slowest) = (Random(3), Duration::ZERO);
    for _ in 0..20 {
        let ts = first + random.below(last - first);
        let begun = Instant::now();
        let (state, applied) = full_state(&mut reader, ts);
        let took = begun.elapsed();
        slowest = slowest.max(took);
        let second = (ts - first) as f64 / 1e9;
        println!("second {second:6.1}: {took:?} with {state} events of state and {applied} up to the moment");
    }
    println!("the slowest of 20 seeks to the full state: {slowest:?}");
    std::fs::remove_file(path).expect("it is there");
}

/// The events of a keyframe, and those up to a moment, applied to a model: how many there were.
fn full_state(reader: &mut Reader, ts: u64) -> (usize, usize) {
    let (mut state, mut applied) = (0, 0);
    reader.seek(reader.warm(ts)).expect("a file");
    let mut model = Model::default();
    while let Some(batch) = reader.next_batch() {
        let batch = batch.expect("whole");
        if batch.keyframe {
            state += batch.events.len();
            model.apply_all(&batch.events);
            continue;
        }
        let until = batch.events.iter().position(|event| event.ts > ts).unwrap_or(batch.events.len());
        model.apply_all(&batch.events[..until]);
        applied += until;
        if until < batch.events.len() {
            break;
        }
    }
    assert!(model.totals().is_some(), "the state has the counters");
    (state, applied)
}

/// Counters that go on after a round of the storm.
fn go_on(c: &mut Counters, round: &Counters, span: u64) {
    for (dp, more) in c.datapaths.iter_mut().zip(&round.datapaths) {
        dp.hits += more.hits;
        dp.misses += more.misses;
    }
    c.received += round.received;
    for (flow, more) in c.flows.iter_mut().zip(&round.flows) {
        flow.hits += more.hits;
        flow.last += span;
    }
}

/// What each kind costs when it is alone.
fn by_kind(events: &[Event]) {
    let mut kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let alone: Vec<Event> = events.iter().filter(|e| e.kind() == kind).cloned().collect();
        let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
        writer.write(&alone).expect("memory");
        let bytes = writer.finish().expect("memory").bytes;
        println!("{kind:20} {:7} events, {:6.2} bytes each", alone.len(), bytes as f64 / alone.len() as f64);
    }
}

/// xorshift64*: numbers that no compressor knows, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

struct Storm {
    random: Random,
    events: Vec<Event>,
    ts: u64,
    packets: [u64; CPUS as usize],
    upcalls: [u64; CPUS as usize],
    /// Messages that wait at each handler.
    waiting: Vec<Vec<Message>>,
}

/// Packet, upcall, message, time of the enqueue, length.
type Message = (PacketId, UpcallId, u64, u64, u32);

/// The storm's first events.
fn storm(count: usize) -> Vec<Event> {
    let mut storm = Storm {
        random: Random(7),
        events: Vec::with_capacity(count + 100),
        ts: 5_000_000_000_000,
        packets: [0; CPUS as usize],
        upcalls: [0; CPUS as usize],
        waiting: vec![Vec::new(); CPUS as usize],
    };
    let mut counters = storm.ts;
    while storm.events.len() < count {
        let cpu = storm.random.below(CPUS) as usize;
        storm.hit(cpu);
        storm.miss(cpu);
        let handler = storm.random.below(CPUS) as usize;
        if storm.waiting[handler].len() as u64 > storm.random.below(24) {
            storm.handle(handler);
        }
        if storm.ts - counters > 250_000_000 {
            counters = storm.ts;
            storm.counters();
        }
    }
    storm.events.truncate(count);
    storm.events
}

impl Storm {
    /// One event, so many nanoseconds after the one before.
    fn emit(&mut self, within: u64, cpu: u32, handler: bool, packet: PacketId, upcall: Option<UpcallId>, body: Body) {
        self.ts += 150 + self.random.below(within);
        let (tid, pid, comm) = if handler {
            (1300 + cpu, 1290, Name::new(&format!("handler{cpu}")))
        } else {
            (0, 0, Name::new(&format!("swapper/{cpu}")))
        };
        self.events.push(Event { ts: self.ts, cpu, tid, pid, comm, packet: Some(packet), upcall, body });
    }

    fn packet(&mut self, cpu: usize) -> PacketId {
        self.packets[cpu] += 1;
        PacketId((cpu as u64) << 40 | self.packets[cpu])
    }

    fn dev(point: DevPoint, port: u32, len: u32) -> Body {
        let dev = Name::new(&format!("tap{port}"));
        Body::Dev(DevStep { point, dev, ifindex: 20 + port, netns: 4_026_531_840, len, ret: 0 })
    }

    fn bytes(&mut self, len: u32) -> Body {
        let mut data = vec![0u8; (len as usize).min(SNAPLEN)];
        data[..14].copy_from_slice(&[0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x54, 0, 0xab, 0xcd, 0xef, 8, 0]);
        let source = self.random.below(5) as u8 + 1;
        data[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 172, 200, 0, source, 10, 0, 0, 2]);
        let random = self.random.next().to_be_bytes();
        // IP id and checksum, UDP source port and checksum.
        for (at, byte) in [18, 19, 24, 25, 34, 35, 40, 41].into_iter().zip(random) {
            data[at] = byte;
        }
        data[36..40].copy_from_slice(&[0, 53, 0, 26]);
        Body::PacketBytes(PacketBytes { len, data: data.into() })
    }

    fn hit(&mut self, cpu: usize) {
        let (packet, on) = (self.packet(cpu), cpu as u32);
        let flow = self.random.below(200);
        self.emit(800, on, false, packet, None, Self::dev(DevPoint::NetifReceiveSkb, 1, 1460));
        let ufid = Ufid([(flow as u32).wrapping_mul(0x9e37_79b9), 7, 8, 9]);
        let pointer = |base: u64| Some(FlowPtr(base + flow * 0x340));
        let lookup = FlowLookup {
            dp: DP,
            in_port: Some(PortNo(1)),
            recirc_id: 0,
            flow: pointer(0xffff_8b2a_4c00_0000),
            sf_acts: pointer(0xffff_8b2a_5d00_0000),
            ufid: Some(ufid),
            n_mask_hit: 3,
            n_cache_hit: 1,
        };
        self.emit(400, on, false, packet, None, Body::FlowLookup(lookup));
        self.emit(300, on, false, packet, None, Self::output(0));
        self.emit(300, on, false, packet, None, Self::dev(DevPoint::NetDevQueue, 2, 1460));
        self.emit(300, on, false, packet, None, Self::dev(DevPoint::NetDevStartXmit, 2, 1460));
        self.emit(600, on, false, packet, None, Self::dev(DevPoint::NetDevXmit, 2, 1460));
    }

    fn output(queue_id: u64) -> Body {
        let action = Action::Output { port: 2 };
        Body::ActionExecute(ActionExecute { dp: DP, in_port: PortNo(1), recirc_id: 0, queue_id, action })
    }

    fn miss(&mut self, cpu: usize) {
        let (packet, on, len) = (self.packet(cpu), cpu as u32, 60);
        self.emit(800, on, false, packet, None, Self::dev(DevPoint::NetifReceiveSkb, 1, len));
        let bytes = self.bytes(len);
        self.emit(100, on, false, packet, None, bytes);
        let lookup = FlowLookup {
            dp: DP,
            in_port: Some(PortNo(1)),
            recirc_id: 0,
            flow: None,
            sf_acts: None,
            ufid: None,
            n_mask_hit: 14,
            n_cache_hit: 0,
        };
        self.emit(400, on, false, packet, None, Body::FlowLookup(lookup));
        self.upcalls[cpu] += 1;
        let id = (cpu as u64) << 40 | self.upcalls[cpu];
        let (upcall, queue_id, port) = (Some(UpcallId(id)), id, 3_400_000_000 + on);
        let body = Upcall {
            dp: DP,
            in_port: PortNo(1),
            recirc_id: 0,
            cmd: UpcallCmd::Miss,
            port,
            mru: 0,
            len,
            skb_hash: self.random.next() as u32,
            cookie: None,
        };
        self.emit(300, on, false, packet, upcall, Body::Upcall(body));
        let upcall_ts = self.ts;
        let full = self.waiting[cpu].len() > 200;
        let enqueue = UpcallEnqueue {
            ret: if full { -11 } else { 0 },
            cmd: UpcallCmd::Miss,
            port,
            upcall_ts,
            upcall_cpu: on,
            queue_id,
            index: 0,
        };
        self.emit(900, on, false, packet, upcall, Body::UpcallEnqueue(enqueue));
        if !full {
            self.waiting[cpu].push((packet, UpcallId(id), queue_id, self.ts, len));
        }
        let done = UpcallReturn { ret: if full { -11 } else { 0 }, upcall_ts, upcall_cpu: on };
        self.emit(400, on, false, packet, upcall, Body::UpcallReturn(done));
    }

    /// A handler receives a batch, then puts and executes it.
    fn handle(&mut self, handler: usize) {
        let on = handler as u32;
        let count = self.waiting[handler].len().min(64);
        let batch: Vec<_> = self.waiting[handler].drain(..count).collect();
        let batch_ts = self.ts + 150;
        for (place, &(packet, upcall, queue_id, queued, len)) in batch.iter().enumerate() {
            let recv = UpcallRecv {
                port: 3_400_000_000 + on,
                pkt_size: len,
                key_size: 176,
                queue_id,
                wait_ns: self.ts - queued,
                batch_ts,
                batch_idx: place as u32,
            };
            self.emit(900, on, true, packet, Some(upcall), Body::UpcallRecv(recv));
        }
        for (place, &(packet, upcall, queue_id, _, len)) in batch.iter().enumerate() {
            let place = place as u32;
            let ufid = Ufid([0; 4].map(|_: u32| self.random.next() as u32));
            let took_ns = 2000 + self.random.below(3000);
            let op = FlowOp { dp: DP, ret: 0, ufid: Some(ufid), took_ns, batch_ts, batch_idx: place, queue_id };
            self.emit(3000, on, true, packet, Some(upcall), Body::FlowPut(FlowPut { kind: PutKind::New, op }));
            let took_ns = 2500 + self.random.below(3000);
            let exec = PacketExec { dp: DP, ret: 0, len, took_ns, batch_ts, batch_idx: place, queue_id };
            self.emit(900, on, true, packet, Some(upcall), Body::FlowExec(exec));
            self.emit(300, on, true, packet, Some(upcall), Self::output(queue_id));
            for (point, within) in
                [(DevPoint::NetDevQueue, 300), (DevPoint::NetDevStartXmit, 300), (DevPoint::NetDevXmit, 600)]
            {
                self.emit(within, on, true, packet, Some(upcall), Self::dev(point, 2, len));
            }
        }
    }

    fn counters(&mut self) {
        let flows = (0..200).map(|flow| FlowCounter {
            table: 0xffff_8b2a_0000_1000,
            flow: FlowPtr(0xffff_8b2a_4c00_0000 + flow * 0x340),
            sf_acts: FlowPtr(0xffff_8b2a_5d00_0000 + flow * 0x340),
            ufid: Some(Ufid([(flow as u32).wrapping_mul(0x9e37_79b9), 7, 8, 9])),
            hits: self.packets[0] + flow,
            bytes: None,
            last: self.ts,
        });
        let misses = self.upcalls.iter().sum();
        let counters = Counters {
            datapaths: vec![DpCounters { dp: DP, misses, hits: misses, ..DpCounters::default() }],
            received: misses,
            flows: flows.collect(),
            ..Counters::default()
        };
        self.events.push(Event::host(self.ts, Body::Counters(Box::new(counters))));
    }
}
