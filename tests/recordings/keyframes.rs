//! A seek gives the state that a play from the begin gives: by what a model tells of it.

use ovscope::{
    event::{
        Body, Capability, CapabilityState, Clock, Counters, DaemonAnswer, DaemonState, Datapath, DpCounters, DpIfindex,
        DpStats, DropCounter, ErrnoCounter, Event, FlowCounter, FlowOp, FlowPtr, FlowPut, HandlerSched, Loss, Port,
        PortNo, PutKind, Query, Session, Stage, StageCounter, Ufid, UpcallCmd, UpcallCounter,
    },
    model::{Dimension, Metric, Model, Window},
    record::{Preamble, Reader, Writer},
};

use crate::header;

const SECOND: u64 = 1_000_000_000;
const DP: DpIfindex = DpIfindex(6);
const TABLE: u64 = 0xffff_8b2a_0000_1000;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n.max(1)
    }
}

/// A host that is counted, and does things by chance.
struct Host {
    random: Random,
    now: u64,
    counters: Counters,
    flows: Vec<FlowCounter>,
    stages: Vec<StageCounter>,
    loss: Loss,
    events: Vec<Event>,
}

impl Host {
    fn new(seed: u64, kinds: u64) -> Self {
        let mut host = Self {
            random: Random(seed),
            now: 1000 * SECOND + 123_456_789,
            counters: Counters {
                datapaths: vec![DpCounters { dp: DP, table: TABLE, ..DpCounters::default() }],
                upcalls: (0..kinds).map(upcalls).collect(),
                puts: vec![ErrnoCounter { ret: 0, count: 0 }, ErrnoCounter { ret: -17, count: 0 }],
                drops: vec![DropCounter { reason: 3, name: "OVS_DROP_METER".to_owned(), count: 0 }],
                handlers: vec![HandlerSched { tid: 1300, ..HandlerSched::default() }],
                ..Counters::default()
            },
            flows: Vec::new(),
            stages: [Stage::Wait, Stage::Whole]
                .map(|stage| StageCounter { stage, max: 0, buckets: (20..60).map(|bucket| (bucket, 1)).collect() })
                .into(),
            loss: Loss::default(),
            events: Vec::new(),
        };
        let clock = Clock { monotonic: host.now, wall: 1_795_392_000 * SECOND, utc_offset: 3600 };
        let session = Session { host: "hv-17".to_owned(), cpus: 8, clock, ..Session::default() };
        host.tell(Body::Session(Box::new(session)));
        host.datapaths(3);
        host.probes(0);
        host
    }

    fn tell(&mut self, body: Body) {
        self.now += 1000;
        self.events.push(Event::host(self.now, body));
    }

    fn probes(&mut self, runs: u64) {
        let capability = Capability {
            name: "upcall".to_owned(),
            state: CapabilityState::Attached,
            probe: "tp_btf ovs_dp_upcall".to_owned(),
            why: String::new(),
            cost: Some(ovscope::event::ProbeCost { runs, ns: runs * 90 }),
        };
        self.tell(Body::Probes { capabilities: vec![capability] });
    }

    fn datapaths(&mut self, ports: u32) {
        let port = |n| Port { port: PortNo(n), name: format!("tap{n}"), kind: "netdev".to_owned(), ifindex: 20 + n };
        let c = self.counters.datapaths[0];
        let n_flows = self.flows.len() as u64;
        let stats =
            DpStats { n_hit: 9000 + c.hits, n_missed: 70 + c.misses, n_flows, n_masks: 4, ..DpStats::default() };
        let datapath = Datapath {
            dp: DP,
            name: "ovs-system".to_owned(),
            ports: (0..ports).map(port).collect(),
            stats: Some(stats),
        };
        self.tell(Body::Datapaths { datapaths: vec![datapath] });
    }

    /// About a quarter second.
    fn quarter(&mut self, n: u64) {
        self.now += SECOND / 4 + self.random.below(9_000_000);
        self.flows();
        let now = self.now;
        let random = &mut self.random;
        let c = &mut self.counters;
        let dp = &mut c.datapaths[0];
        dp.hits += random.below(5000);
        dp.misses += random.below(90);
        dp.mask_hits += random.below(9000);
        dp.cache_hits += random.below(3000);
        for upcall in &mut c.upcalls {
            upcall.count += random.below(30);
        }
        c.puts.iter_mut().for_each(|c| c.count += random.below(9));
        c.received += random.below(90);
        c.drops[0].count += random.below(7);
        if n > 90 && c.drops.len() == 1 {
            c.drops.push(DropCounter { reason: 9, name: "OVS_DROP_LAST_ACTION".to_owned(), count: 5 });
        }
        for handler in &mut c.handlers {
            handler.asleep_ns += 100_000_000 + random.below(100_000_000);
            handler.running_ns += random.below(100_000_000);
            handler.runnable_max_ns = handler.runnable_max_ns.max(random.below(1_000_000));
        }
        c.stages = Vec::new();
        if n.is_multiple_of(4) {
            for stage in &mut self.stages {
                for (_, count) in &mut stage.buckets {
                    *count += random.below(3);
                }
                stage.max = stage.max.max(random.below(1_000_000));
            }
            c.stages.clone_from(&self.stages);
        }
        c.flows = self.flows.iter().filter(|flow| flow.last == now).copied().collect();
        let counters = Box::new(c.clone());
        self.tell(Body::Counters(counters));
        if n.is_multiple_of(4) {
            self.datapaths(3 + (n / 100) as u32);
        }
        if n.is_multiple_of(40) {
            self.probes(n);
            self.loss.over_budget += self.random.below(900);
            self.tell(Body::Loss(self.loss));
        }
        if n.is_multiple_of(60) {
            self.daemon(n);
        }
    }

    /// Flows come, are hit, get other actions or another address, and go.
    fn flows(&mut self) {
        let now = self.now;
        if self.flows.len() < 40 {
            let id = self.flows.len() as u64;
            let flow = FlowPtr(0xffff_8b2a_4c00_0000 + id * 0x340);
            let ufid = Some(Ufid([id as u32, 7, 8, 9]));
            let sf_acts = FlowPtr(0xffff_8b2a_5d00_0000 + id * 0x340);
            self.flows.push(FlowCounter { table: TABLE, flow, sf_acts, ufid, hits: 3, bytes: Some(300), last: now });
        }
        for at in 0..self.flows.len() {
            // Some all the time, some now and then, some never again.
            let often = [1, 1, 1, 3, 7, 50, 400, 100_000][at % 8];
            if self.random.below(often) == 0 {
                let grown = 1 + at as u64;
                let flow = &mut self.flows[at];
                flow.hits += grown;
                flow.bytes = flow.bytes.map(|bytes| bytes + grown * 100);
                flow.last = now;
            }
            let (dice, flow) = (self.random.below(4000), &mut self.flows[at]);
            let op = FlowOp { dp: DP, ret: 0, ufid: flow.ufid, took_ns: 7, batch_ts: 0, batch_idx: 0, queue_id: 0 };
            match dice {
                0 => flow.sf_acts.0 += 0x40,
                // Deleted and put again: at another address, counted from 0.
                1 => {
                    flow.flow.0 += 0x10_0000;
                    (flow.hits, flow.bytes) = (0, Some(0));
                    self.events.push(Event::host(now - 3000, Body::FlowDel(op.clone())));
                    let put = FlowPut { kind: PutKind::New, op };
                    self.events.push(Event::host(now - 2000, Body::FlowPut(put)));
                }
                // Deleted: it may be put again some time.
                2 => self.events.push(Event::host(now - 1000, Body::FlowDel(op))),
                _ => {}
            }
        }
    }

    fn daemon(&mut self, n: u64) {
        let version = "3.5.0".to_owned();
        self.tell(Body::Daemon(DaemonState::Up { pid: 812, version, round_trip_ns: n, missing: vec![] }));
        for query in [Query::GetFlow, Query::Detrace] {
            let flow = self.flows[self.random.below(self.flows.len() as u64) as usize];
            let (ufid, sf_acts) = (flow.ufid.expect("all have one"), Some(flow.sf_acts));
            let answer =
                DaemonAnswer { dp: Some(DP), ufid, sf_acts, query, answer: Ok(format!("answer {n}")), took_ns: 9 };
            self.tell(Body::DaemonAnswer(Box::new(answer)));
        }
    }
}

fn upcalls(n: u64) -> UpcallCounter {
    UpcallCounter {
        dp: DP,
        in_port: PortNo(n as u32 % 3),
        cmd: UpcallCmd::Miss,
        port: 2_809_249_300 + n as u32,
        cpu: Some(n as u32 % 5),
        ret: [0, 0, 0, -11][n as usize % 4],
        count: 0,
    }
}

/// The recording of a host over so many quarters of a second, and its events.
fn recorded(seed: u64, kinds: u64, quarters: u64) -> (Vec<u8>, Vec<Event>) {
    let mut host = Host::new(seed, kinds);
    (0..quarters).for_each(|n| host.quarter(n));
    let mut writer = Writer::new(Vec::new(), &header(), &Preamble::default()).expect("memory");
    for part in host.events.chunks(100) {
        writer.write(part).expect("memory");
    }
    writer.finish().expect("memory");
    (writer.into_sink(), host.events)
}

/// What a model tells of what is counted, as text: one line for each thing.
fn told(model: &Model) -> Vec<String> {
    let metrics = [
        Metric::Lookups,
        Metric::Hits,
        Metric::Misses,
        Metric::MasksTried,
        Metric::CacheHits,
        Metric::Upcalls,
        Metric::UpcallsLost,
        Metric::Puts,
        Metric::PutsFailed,
        Metric::Received,
        Metric::Flows,
        Metric::Masks,
    ];
    let mut lines = vec![
        format!("now {} totals {:?} rates {:?}", model.now(), model.totals(), model.rates()),
        format!("session {:?} started {:?}", model.session(), model.started()),
        format!("datapaths {:?}", model.datapaths()),
        format!("probes {:?}", model.capabilities()),
        format!("daemon {:?} loss {:?} {:?}", model.daemon(), model.loss(), model.condition()),
        format!("series end {:?}", model.series_end()),
        format!("counts stages {}", model.counts_stages()),
        format!("heat {:?}", model.heat()),
    ];
    for metric in metrics {
        let series: Vec<u64> = model.series(metric).collect();
        lines.push(format!("{metric:?} {:?} {series:?}", model.running(metric)));
    }
    for stage in Stage::ALL {
        let of = |window| model.latency(stage, window);
        lines.push(format!("{stage:?} {:?} {:?}", of(Window::Last10), of(Window::Session)));
    }
    for dimension in [Dimension::InPort, Dimension::Cmd, Dimension::Errno, Dimension::Cpu, Dimension::Handler] {
        lines.push(format!("{:?}", model.talkers(dimension, 100)));
    }
    for row in model.datapath_rows() {
        lines.push(format!("{row:?}"));
    }
    for row in model.ports() {
        lines.push(format!("{row:?}"));
    }
    for row in model.drops() {
        lines.push(format!("{row:?}"));
    }
    let mut flows: Vec<_> = model.flows().filter(|flow| flow.hits() > 0).collect();
    flows.sort_by_key(|flow| flow.key);
    for flow in flows {
        let answers = [Query::GetFlow, Query::Detrace].map(|query| model.answer(flow, query));
        lines.push(format!(
            "{:?} {:?} {:?} hits {} bytes {:?} first {} last {:?} deleted {:?} changed {} {answers:?}",
            flow.key,
            flow.flow,
            flow.sf_acts,
            flow.hits(),
            flow.bytes(),
            flow.first_seen,
            flow.last_hit,
            flow.deleted,
            flow.generations > 0,
        ));
    }
    lines
}

/// What a model tells that was given the events of a recording from a seek to `ts` on, up to `ts`.
fn sought(reader: &mut Reader, ts: u64) -> Model {
    reader.seek(ts).expect("memory");
    let mut model = Model::default();
    let mut applied = 0;
    while let Some(batch) = reader.next_batch() {
        let batch = batch.expect("memory");
        for event in batch.events {
            if !batch.keyframe && event.ts > ts {
                assert!(applied < 200_000, "{applied} events between the keyframe and the moment");
                return model;
            }
            applied += u64::from(!batch.keyframe);
            model.apply(&event);
        }
    }
    model
}

/// Flows' rates are measured over a second or two, and not from the same moment on: those of flows that are hit in every
/// quarter second are near one another, and none is more than its hits can make.
fn check_rates(whole: &Model, sought: &Model) {
    for flow in sought.flows().filter(|flow| flow.hits() > 0) {
        let grown = f64::from(flow.ufid.expect("all have one").0[0] + 1);
        let rate = sought.hit_rate(flow);
        assert!(rate <= grown * 4.0 + 12.0, "{:?}: {rate} hits/s", flow.key);
        let expected = whole.flow(flow.key).map(|flow| whole.hit_rate(flow)).expect("it is there");
        let is_steady = flow.ufid.expect("all have one").0[0] % 8 < 3 && flow.generations == 0 && flow.hits() > 100;
        assert!(!is_steady || (rate / expected - 1.0).abs() < 0.05, "{:?}: {rate} and {expected} hits/s", flow.key);
    }
}

fn check(seed: u64, kinds: u64, quarters: u64) {
    let (bytes, events) = recorded(seed, kinds, quarters);
    let mut reader = Reader::from_bytes("memory", bytes).expect("a recording");
    let (first, last) = (events[0].ts, events[events.len() - 1].ts);
    let mut random = Random(seed);
    let mut moments: Vec<u64> = (0..10).map(|_| first + random.below(last - first)).collect();
    moments.sort_unstable();
    let mut whole = Model::default();
    let mut rest = events.iter().peekable();
    for ts in moments {
        while let Some(event) = rest.next_if(|event| event.ts <= ts) {
            whole.apply(event);
        }
        let (expected, got) = (told(&whole), told(&sought(&mut reader, ts)));
        for (expected, got) in expected.iter().zip(&got) {
            assert_eq!(got, expected, "seed {seed}, {} s after the begin", (ts - first) / SECOND);
        }
        assert_eq!(got.len(), expected.len());
        check_rates(&whole, &sought(&mut reader, ts));
    }
    assert_eq!(reader.remarks(), None);
}

#[test]
fn a_seek_gives_what_a_play_from_the_begin_gives() {
    for seed in 1..6 {
        check(seed, 6, 400);
    }
}

#[test]
fn also_after_more_than_the_graphs_show() {
    check(77, 3, 4000);
}

#[test]
fn with_very_many_counters_there_are_fewer_readings_and_nothing_is_lost_of_the_sums() {
    let (bytes, events) = recorded(5, 300, 1600);
    let mut reader = Reader::from_bytes("memory", bytes).expect("a recording");
    let ts = events[events.len() - 1].ts;
    let mut whole = Model::default();
    whole.apply_all(&events);
    let sought = sought(&mut reader, ts);
    let sums = |model: &Model| {
        let series = [Metric::Lookups, Metric::Upcalls, Metric::Puts];
        let series = series.map(|of| model.series(of).sum::<u64>() + model.running(of).unwrap_or(0));
        // A port's rates are measured from another moment where readings are missing.
        let ports: Vec<_> = model.ports().iter().map(|row| (row.port, row.misses, row.lost)).collect();
        format!("{:?} {:?} {ports:?} {series:?}", model.totals(), model.rates())
    };
    assert_eq!(sums(&sought), sums(&whole));
    reader.seek(ts).expect("memory");
    let mut rows = 0;
    while let Some(Ok(batch)) = reader.next_batch()
        && batch.keyframe
    {
        let counters = batch.events.iter().filter_map(|e| if let Body::Counters(c) = &e.body { Some(c) } else { None });
        rows += counters.map(|c| c.upcalls.len()).sum::<usize>();
    }
    // The window of twelve seconds has 48 readings and more, whole.
    assert!((20_000..60_000).contains(&rows), "{rows} rows of upcalls");
}
