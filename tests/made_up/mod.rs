//! A made-up host in a made-up storm, as events: the same ones every time. For tests of the screen and for looking at it.

use ovscope::event::{
    Action, ActionExecute, Body, Capability, CapabilityState, Clock, Comm, Counters, DaemonAnswer, DaemonState,
    Datapath, DevPoint, DevStep, DpCounters, DpIfindex, DpStats, ErrnoCounter, Event, Field, FieldMatch, FlowCounter,
    FlowLookup, FlowMatch, FlowOp, FlowPtr, FlowPut, FlowShape, Loss, Name, Nanos, PacketBytes, PacketExec, PacketId,
    Port, PortNo, ProbeCost, PutKind, Query, Session, Ufid, Upcall, UpcallCmd, UpcallCounter, UpcallEnqueue, UpcallId,
    UpcallRecv, UpcallReturn,
};

const SECOND: Nanos = 1_000_000_000;
const QUARTER: Nanos = SECOND / 4;
/// The datapath.
pub const DP: DpIfindex = DpIfindex(7);

/// Makes events, a quarter second at a time.
pub struct Host {
    now: Nanos,
    random: u64,
    sequence: u64,
    counters: Counters,
    flows: Vec<FlowCounter>,
    lost: u64,
    over_budget: u64,
}

/// What happens in a quarter second.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Lookups that hit.
    pub hits: u64,
    /// Lookups that miss.
    pub misses: u64,
    /// Of those, upcalls that find the handler's socket full.
    pub lost: u64,
    /// Packets seen in detail.
    pub seen: u64,
    /// Nanoseconds that upcalls wait for their handler, about.
    pub wait: Nanos,
}

/// Every packet hits a flow.
pub const QUIET: Weather = Weather { hits: 310, misses: 0, lost: 0, seen: 2, wait: 40_000 };
/// A few new flows.
pub const BUSY: Weather = Weather { hits: 3900, misses: 30, lost: 0, seen: 12, wait: 60_000 };
/// Every packet of a flood is a new flow.
pub const STORM: Weather = Weather { hits: 3082, misses: 1228, lost: 0, seen: 60, wait: 900_000 };
/// More of them than the handlers can take.
pub const LOSING: Weather = Weather { hits: 2950, misses: 2400, lost: 310, seen: 60, wait: 6_000_000 };

impl Default for Host {
    fn default() -> Self {
        Self {
            now: 1000 * SECOND,
            random: 0x9e37_79b9_7f4a_7c15,
            sequence: 0,
            counters: Counters::default(),
            flows: Vec::new(),
            lost: 0,
            over_budget: 0,
        }
    }
}

impl Host {
    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % n.max(1)
    }

    /// What a session begins with.
    pub fn begin(&mut self) -> Vec<Event> {
        let clock = Clock { monotonic: self.now, wall: 1_795_392_000 * SECOND + 39_871 * SECOND, utc_offset: 0 };
        let session = Session {
            program: "ovscope 0.1.0".to_owned(),
            host: "hv-17".to_owned(),
            kernel: "6.12.48".to_owned(),
            machine: "x86_64".to_owned(),
            cpus: 8,
            ovs_version: "3.5.0".to_owned(),
            command: "ovscope".to_owned(),
            clock,
        };
        let daemon = DaemonState::Up {
            pid: 812,
            version: "ovs-vswitchd (Open vSwitch) 3.5.0".to_owned(),
            round_trip_ns: 310_000,
            missing: vec![],
        };
        let mut events =
            vec![Event::host(self.now, Body::Session(Box::new(session))), Event::host(self.now, Body::Daemon(daemon))];
        events.push(Event::host(self.now, Body::Probes { capabilities: probes() }));
        events.push(self.datapaths());
        events
    }

    fn datapaths(&self) -> Event {
        let port = |number: u32, name: &str, kind: &str| Port {
            port: PortNo(number),
            name: name.to_owned(),
            kind: kind.to_owned(),
            ifindex: 10 + number,
        };
        let of = |pick: fn(&DpCounters) -> u64| self.counters.datapaths.iter().map(pick).sum::<u64>();
        let stats = DpStats {
            n_hit: of(|dp| dp.hits),
            n_missed: of(|dp| dp.misses),
            n_lost: self.lost,
            n_flows: self.flows.len() as u64,
            n_masks: 5,
            ..DpStats::default()
        };
        let ports = vec![
            port(0, "ovs-system", "internal"),
            port(1, "br-int", "internal"),
            port(2, "p1_l", "netdev"),
            port(3, "p2_l", "netdev"),
            port(7, "p7_l", "netdev"),
            port(9, "vxlan_sys_4789", "vxlan"),
        ];
        let datapath = Datapath { dp: DP, name: "ovs-system".to_owned(), ports, stats: Some(stats) };
        Event::host(self.now, Body::Datapaths { datapaths: vec![datapath] })
    }

    /// A quarter second of this weather.
    pub fn quarter(&mut self, weather: Weather) -> Vec<Event> {
        let mut events = Vec::new();
        let seen = weather.seen.min(weather.hits + weather.misses);
        for i in 0..seen {
            let at = self.now + QUARTER / (seen + 1) * (i + 1);
            let missed =
                weather.misses * 4 >= weather.hits || self.below(weather.hits + weather.misses) < weather.misses;
            self.packet(at, weather, missed && weather.misses > 0, &mut events);
        }
        self.now += QUARTER;
        self.count(weather);
        events.push(Event::host(self.now, Body::Counters(Box::new(self.counters.clone()))));
        if weather.misses > seen {
            self.over_budget += weather.misses - seen;
            let loss = Loss { upcalls_over_budget: self.over_budget, ..Loss::default() };
            events.push(Event::host(self.now, Body::Loss(loss)));
        }
        if self.now.is_multiple_of(SECOND) {
            events.push(self.datapaths());
        }
        events.sort_by_key(|event| event.ts);
        events
    }

    fn count(&mut self, weather: Weather) {
        let jitter = self.below(40) + 80;
        let hits = weather.hits * jitter / 100;
        let misses = weather.misses * (self.below(20) + 90) / 100;
        let lost = weather.lost.min(misses);
        if self.counters.datapaths.is_empty() {
            self.counters.datapaths.push(DpCounters { dp: DP, table: 1, ..DpCounters::default() });
        }
        let dp = &mut self.counters.datapaths[0];
        dp.hits += hits;
        dp.misses += misses;
        dp.mask_hits += hits * 2 + misses * 5;
        dp.cache_hits += hits * 9 / 10;
        self.lost += lost;
        let small = misses / 50;
        for (port, ret, count) in [(2, 0, misses - small - lost), (7, 0, small), (2, -11, lost)] {
            self.upcalled(PortNo(port), ret, count);
        }
        let failed = misses / 100;
        for (ret, count) in [(0, misses - lost - failed.min(misses - lost)), (-17, failed)] {
            let place = self.counters.puts.iter_mut().find(|counter| counter.ret == ret);
            match place {
                Some(counter) => counter.count += count,
                None if count > 0 => self.counters.puts.push(ErrnoCounter { ret, count }),
                None => {}
            }
        }
        self.counters.execs = vec![ErrnoCounter { ret: 0, count: self.counters.received }];
        self.counters.received += misses - lost;
        let now = self.now;
        let (mut left, flows) = (hits, self.flows.len() as u64);
        for flow in &mut self.flows {
            let part = left / 3 + u64::from(flows < 3);
            if part == 0 {
                break;
            }
            flow.hits += part;
            flow.last = now;
            left -= part.min(left);
        }
        self.counters.flows = self.flows.iter().filter(|flow| flow.last == now).copied().collect();
    }

    fn upcalled(&mut self, in_port: PortNo, ret: i32, count: u64) {
        let port = if in_port.0 == 2 { 2_809_249_329 } else { 2_809_249_330 };
        let same = |u: &&mut UpcallCounter| u.in_port == in_port && u.ret == ret;
        match self.counters.upcalls.iter_mut().find(same) {
            Some(counter) => counter.count += count,
            None if count > 0 => {
                self.counters.upcalls.push(UpcallCounter {
                    dp: DP,
                    in_port,
                    cmd: UpcallCmd::Miss,
                    port,
                    cpu: Some(0),
                    ret,
                    count,
                });
            }
            None => {}
        }
    }

    /// A packet seen in detail, upcalled or not.
    fn packet(&mut self, at: Nanos, weather: Weather, missed: bool, events: &mut Vec<Event>) {
        self.sequence += 1;
        let id = PacketId(self.sequence);
        let from = if self.below(50) == 0 { 7 } else { 2 };
        let source_port = (1000 + self.sequence % 60_000) as u16;
        let ufid = Ufid([0x5f74_d01b ^ self.sequence as u32, 0x0102_0304, 0xa0b0_c0d0, self.sequence as u32]);
        let mut ts = at;
        let comm = Name::new("ping");
        let mut tell = |ts: Nanos, upcall: Option<UpcallId>, task: Option<(u32, &str)>, body: Body| {
            let (tid, comm) = task.map_or((544, comm), |(tid, name)| (tid, Comm::new(name)));
            events.push(Event { ts, cpu: 2, tid, pid: tid, comm, packet: Some(id), upcall, body });
        };
        let dev = |point, name: &str, netns| {
            Body::Dev(DevStep { point, dev: Name::new(name), ifindex: 5, netns, len: 114, ret: 0 })
        };
        tell(ts, None, None, dev(DevPoint::NetDevQueue, if from == 2 { "p1_r" } else { "p7_r" }, 4_026_532_281));
        ts += 19_000 + self.below_static(3000);
        tell(ts, None, None, dev(DevPoint::NetifReceiveSkb, if from == 2 { "p1_l" } else { "p7_l" }, 4_026_531_840));
        let bytes = PacketBytes { len: 114, data: udp(from, source_port) };
        tell(ts, None, None, Body::PacketBytes(bytes));
        ts += 8_000;
        let known = self.flows.first().copied();
        let hit = known.filter(|_| !missed);
        let lookup = FlowLookup {
            dp: DP,
            in_port: Some(PortNo(from)),
            recirc_id: 0,
            flow: hit.map(|flow| flow.flow),
            sf_acts: hit.map(|flow| flow.sf_acts),
            ufid: hit.and_then(|flow| flow.ufid),
            n_mask_hit: if hit.is_some() { 1 } else { 5 },
            n_cache_hit: u32::from(hit.is_some()),
        };
        tell(ts, None, None, Body::FlowLookup(lookup));
        let mut upcall = None;
        let mut queue_id = 0;
        let mut shape = None;
        if hit.is_none() {
            upcall = Some(UpcallId(self.sequence));
            queue_id = self.sequence;
            let portid = if from == 2 { 2_809_249_329 } else { 2_809_249_330 };
            let handler = if from == 2 { (130, "handler3") } else { (131, "handler4") };
            ts += 4_000;
            let (upcall_ts, upcall_cpu) = (ts, 2);
            let begun = Upcall {
                dp: DP,
                in_port: PortNo(from),
                recirc_id: 0,
                cmd: UpcallCmd::Miss,
                port: portid,
                mru: 0,
                len: 114,
                skb_hash: 0,
                cookie: None,
            };
            tell(ts, upcall, None, Body::Upcall(begun));
            let refused = weather.lost > 0 && self.sequence.is_multiple_of(8);
            let ret = if refused { -11 } else { 0 };
            ts += 9_000 + self.below_static(20_000);
            let queued_at = ts;
            let cmd = UpcallCmd::Miss;
            let queued = UpcallEnqueue { ret, cmd, port: portid, upcall_ts, upcall_cpu, queue_id, index: 0 };
            tell(ts, upcall, None, Body::UpcallEnqueue(queued));
            ts += 1_500;
            tell(ts, upcall, None, Body::UpcallReturn(UpcallReturn { ret, upcall_ts, upcall_cpu }));
            if refused {
                return;
            }
            ts += weather.wait / 4 + self.below_static(weather.wait * 2);
            let recv = UpcallRecv {
                port: portid,
                pkt_size: 114,
                key_size: 120,
                queue_id,
                wait_ns: ts - queued_at,
                batch_ts: ts - 3000,
                batch_idx: (self.sequence % 5) as u32,
            };
            let (batch_ts, batch_idx) = (recv.batch_ts, recv.batch_idx);
            tell(ts, upcall, Some(handler), Body::UpcallRecv(recv));
            ts += 95_000 + self.below_static(80_000);
            let took_ns = 28_000 + self.below_static(9_000);
            let ret = if self.sequence.is_multiple_of(97) { -17 } else { 0 };
            let op = FlowOp { dp: DP, ret, ufid: Some(ufid), took_ns, batch_ts, batch_idx, queue_id };
            tell(ts, upcall, Some(handler), Body::FlowPut(FlowPut { kind: PutKind::New, op }));
            // The kernel side tells it with the put, of the flow and not of the packet.
            shape = (ret == 0).then(|| Event::host(ts, Body::FlowShape(Box::new(self.shape(ufid, from, source_port)))));
            ts += took_ns + 3_000;
            let took_ns = 21_000 + self.below_static(5_000);
            let exec = PacketExec { dp: DP, ret: 0, len: 114, took_ns, batch_ts, batch_idx, queue_id };
            tell(ts, upcall, Some(handler), Body::FlowExec(exec));
            ts += 12_000;
            self.flows.push(FlowCounter {
                table: 1,
                flow: FlowPtr(0xffff_0000 + self.sequence * 64),
                sf_acts: FlowPtr(0xfff0_0000 + self.sequence * 64),
                ufid: Some(ufid),
                hits: 0,
                bytes: None,
                last: 0,
            });
        }
        let task = upcall.map(|_| (130, "handler3"));
        let action =
            ActionExecute { dp: DP, in_port: PortNo(from), recirc_id: 0, queue_id, action: Action::Output { port: 3 } };
        ts += 2_000;
        tell(ts, upcall, task, Body::ActionExecute(action));
        ts += 11_000;
        tell(ts, upcall, task, dev(DevPoint::NetDevQueue, "p2_l", 4_026_531_840));
        ts += 9_000;
        tell(ts, upcall, task, dev(DevPoint::NetifRx, "p2_r", 4_026_532_399));
        events.extend(shape);
    }

    /// What the flow of a packet matches: all of them differ in the source port.
    fn shape(&self, ufid: Ufid, from: u32, source_port: u16) -> FlowShape {
        let exact = |field: Field, value: u128| FieldMatch { field, value, mask: u128::MAX };
        let matches = FlowMatch::new([
            exact(Field::InPort, from.into()),
            exact(Field::EthType, 0x0800),
            exact(Field::Ipv4Src, u128::from(0xacc8_0000 + from)),
            exact(Field::UdpSrc, source_port.into()),
        ]);
        FlowShape { dp: DP, ufid: Some(ufid), matches, actions_len: 8, left_out: self.over_budget }
    }

    /// [`Host::below`] from the sequence alone, while events are borrowed.
    fn below_static(&self, n: u64) -> u64 {
        (self.sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17) % n.max(1)
    }

    /// What the daemon says of a flow.
    pub fn answers(&self, ufid: Ufid, sf_acts: Option<FlowPtr>) -> Vec<Event> {
        let flow = format!(
            "ufid:{ufid}, recirc_id(0),dp_hash(0/0),skb_priority(0/0),in_port(p1_l),skb_mark(0/0),ct_state(0/0),\
             eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=172.200.0.1,\
             dst=172.200.0.2/0.0.0.0,proto=17,tos=0/0,ttl=64/0,frag=no),udp(src=1000,dst=9/0), packets:12, bytes:1368, \
             used:0.310s, dp:ovs, actions:p2_l"
        );
        // As OVS 3.5 tells them.
        let rules = "duration=312s, n_packets=48120, n_bytes=5485680, n_offload_packets=0, n_offload_bytes=0, \
                     priority=100,udp,in_port=1,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],resubmit(,1)\n\
                     cookie=0x5e1f, table_id=1, duration=312s, n_packets=12, n_bytes=1368, n_offload_packets=0, \
                     n_offload_bytes=0, priority=50,reg0=0x3e8,actions=output:2\n";
        [(Query::GetFlow, flow, 1_210_000), (Query::Detrace, rules.to_owned(), 2_480_000)]
            .into_iter()
            .map(|(query, answer, took_ns)| {
                let answer = DaemonAnswer { dp: Some(DP), ufid, sf_acts, query, answer: Ok(answer), took_ns };
                Event::host(self.now, Body::DaemonAnswer(Box::new(answer)))
            })
            .collect()
    }

    /// Seconds of this weather.
    pub fn seconds(&mut self, seconds: u64, weather: Weather) -> Vec<Event> {
        (0..seconds * 4).flat_map(|_| self.quarter(weather)).collect()
    }
}

fn probes() -> Vec<Capability> {
    let attached = |name: &str, probe: &str, runs: u64, each: u64| Capability {
        name: name.to_owned(),
        state: CapabilityState::Attached,
        probe: probe.to_owned(),
        why: String::new(),
        cost: Some(ProbeCost { runs, ns: runs * each }),
    };
    vec![
        attached("flow_lookup", "fexit ovs_flow_tbl_lookup_stats", 1_240_311, 96),
        attached("upcall", "tp_btf openvswitch:ovs_dp_upcall", 48_120, 410),
        attached("upcall_enqueue", "fexit queue_userspace_packet", 48_120, 280),
        attached("upcall_return", "fexit ovs_dp_upcall", 48_120, 120),
        attached("upcall_recv", "fexit skb_recv_datagram", 47_998, 350),
        Capability {
            name: "flow_put".to_owned(),
            state: CapabilityState::Degraded,
            probe: "kretprobe ovs_flow_cmd_new".to_owned(),
            why: "the kernel has no BTF for the openvswitch module: kprobes are used, which cost more; install the \
                  kernel's debug package or boot a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y"
                .to_owned(),
            cost: Some(ProbeCost { runs: 47_000, ns: 47_000 * 900 }),
        },
        attached("flow_exec", "fexit ovs_packet_cmd_execute", 47_998, 300),
        attached("action_execute", "tp_btf openvswitch:ovs_do_execute_action", 95_122, 140),
        Capability {
            name: "skb_scrub_packet".to_owned(),
            state: CapabilityState::Missing,
            probe: "fentry skb_scrub_packet".to_owned(),
            why: "this kernel has inlined the function: packets that cross a namespace show without this step"
                .to_owned(),
            cost: None,
        },
    ]
}

/// An Ethernet frame with IPv4 and UDP, as much of it as is taken.
fn udp(from: u32, source_port: u16) -> Box<[u8]> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([172, 200, 0, if from == 2 { 1 } else { 7 }], [172, 200, 0, 2], 64)
        .udp(source_port, 9);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[0x2a; 72]).expect("a vector takes it");
    frame.truncate(96);
    frame.into_boxed_slice()
}
