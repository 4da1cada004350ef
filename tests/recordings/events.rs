//! Any events at all, for the properties.

use std::sync::Arc;

use ovscope::event::{
    Action, ActionExecute, Attribute, Body, Bookmark, Capability, CapabilityState, Clock, Cookie, Counters, Ct,
    DaemonAnswer, DaemonFigures, DaemonState, DaemonTrace, Datapath, DelReason, DevPoint, DevStep, DpCounters,
    DpIfindex, DpStats, Drop, DropCounter, ErrnoCounter, Event, Family, Field, FieldMatch, FlowCounter, FlowLookup,
    FlowMatch, FlowOp, FlowOperation, FlowPtr, FlowPut, FlowResult, FlowShape, HandlerSched, Labels, Loss, Mark, Name,
    Nat, NatDir, OpType, PacketBytes, PacketExec, PacketId, Port, PortNo, ProbeCost, PutKind, Query, RecvUpcall,
    RevalResult, Revalidation, Route, Run, STAGE_BUCKETS, Session, Stage, StageCounter, Step, Told, UdpifFigures, Ufid,
    Upcall, UpcallCmd, UpcallCounter, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn, Userspace, decode_action,
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample,
};

/// Numbers of every size, small ones often.
fn long() -> BoxedStrategy<u64> {
    prop_oneof![0..4u64, any::<u64>(), Just(u64::MAX), (0..3u64, 0..99u64).prop_map(|(cpu, n)| cpu << 40 | n)].boxed()
}

fn int() -> BoxedStrategy<u32> {
    prop_oneof![0..4u32, any::<u32>(), Just(u32::MAX)].boxed()
}

fn errno() -> BoxedStrategy<i32> {
    prop_oneof![Just(0), any::<i32>(), Just(-11)].boxed()
}

fn name() -> BoxedStrategy<Name> {
    prop_oneof![Just(Name::default()), Just(Name::new("handler3")), any::<[u8; 16]>().prop_map(Name)].boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![".{0,12}", Just("\u{1b}[31m \"\\\u{0}".to_owned())].boxed()
}

fn ufid() -> BoxedStrategy<Ufid> {
    prop_oneof![Just(Ufid([1, 2, 3, 4])), any::<[u32; 4]>().prop_map(Ufid)].boxed()
}

fn pointer() -> BoxedStrategy<FlowPtr> {
    long().prop_map(FlowPtr).boxed()
}

fn port() -> BoxedStrategy<PortNo> {
    int().prop_map(PortNo).boxed()
}

fn dp() -> BoxedStrategy<DpIfindex> {
    int().prop_map(DpIfindex).boxed()
}

fn cmd() -> BoxedStrategy<UpcallCmd> {
    any::<u8>().prop_map(UpcallCmd::from).boxed()
}

/// What the kernel gives: bytes of netlink attributes, and others.
fn decoded() -> BoxedStrategy<Action> {
    let attribute = (0..30u16, vec(any::<u8>(), 0..60)).prop_map(|(kind, value)| {
        let mut bytes = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    });
    let args = prop_oneof![vec(attribute, 0..4).prop_map(|list| list.concat()), vec(any::<u8>(), 0..100)];
    let action = |(nla_type, args, cut): (u16, Vec<u8>, bool)| {
        decode_action(&Attribute { nla_type, args: &args, cut, set_to_masked: Some(27) }).ok()
    };
    (0..30u16, args, any::<bool>()).prop_filter_map("too short", action).boxed()
}

fn conntrack() -> BoxedStrategy<Action> {
    let nat =
        (any::<(bool, [u8; 4], [u8; 16])>(), option::of(any::<u16>())).prop_map(|((v6, short, long), min_port)| Nat {
            dir: min_port.map(|port| if port % 2 == 0 { NatDir::Src } else { NatDir::Dst }),
            min_addr: Some(if v6 { long.into() } else { short.into() }),
            max_addr: None,
            min_port,
            max_port: min_port,
            persistent: v6,
            random: false,
            fully_random: !v6,
        });
    (any::<(u16, bool, bool, u16)>(), option::of(text()), any::<(u32, u128)>(), option::of(nat))
        .prop_map(|((zone, commit, force, family), helper, (mark, labels), nat)| Ct {
            zone,
            commit,
            force,
            family: Family::from(family),
            mark: Some(Mark { value: mark, mask: u32::MAX }).filter(|_| commit),
            labels: Some(Labels { value: labels, mask: u128::MAX }).filter(|_| force),
            timeout: helper.clone(),
            helper,
            nat,
        })
        .prop_map(|ct| Action::Ct { args: Some(Box::new(ct)) })
        .boxed()
}

fn cookie() -> BoxedStrategy<Cookie> {
    let known = (0..7u16, any::<[u8; 16]>(), any::<[u8; 28]>()).prop_map(|(kind, first, second)| {
        let bytes = [&kind.to_ne_bytes()[..], &[0; 2], &first, &second].concat();
        Cookie::read(&bytes)
    });
    prop_oneof![known, vec(any::<u8>(), 0..64).prop_map(|bytes| Cookie::read(&bytes))].boxed()
}

fn action() -> BoxedStrategy<Action> {
    prop_oneof![
        1 => int().prop_map(|port| Action::Output { port }),
        1 => (option::of(int()), option::of(text()), option::of(cookie()), any::<bool>()).prop_map(
            |(pid, userdata, cookie, actions)| {
                let to = Userspace { pid, userdata, cookie, egress_tun_port: pid, actions };
                Action::Userspace(Box::new(to))
            }
        ),
        1 => conntrack(),
        8 => decoded(),
        // As older versions recorded them.
        1 => sample::select(vec![
            Action::Set { to: None },
            Action::Sample { args: None },
            Action::SetMasked { to: None },
            Action::Ct { args: None },
            Action::PushEth { addresses: None },
            Action::PushNsh { header: None },
            Action::Clone { actions: None },
            Action::CheckPktLen { args: None },
            Action::AddMpls { args: None },
            Action::DecTtl { actions: None },
            Action::Psample { args: None },
        ]),
    ]
    .boxed()
}

fn operation() -> BoxedStrategy<FlowOp> {
    (dp(), errno(), option::of(ufid()), long(), long(), int(), long())
        .prop_map(|(dp, ret, ufid, took_ns, batch_ts, batch_idx, queue_id)| FlowOp {
            dp,
            ret,
            ufid,
            took_ns,
            batch_ts,
            batch_idx,
            queue_id,
        })
        .boxed()
}

fn path() -> BoxedStrategy<Body> {
    let points = sample::select(vec![
        DevPoint::NetDevQueue,
        DevPoint::NetDevStartXmit,
        DevPoint::NetDevXmit,
        DevPoint::NetifRx,
        DevPoint::NetifReceiveSkb,
        DevPoint::SkbScrubPacket,
    ]);
    prop_oneof![
        (
            dp(),
            option::of(port()),
            int(),
            option::of(pointer()),
            option::of(pointer()),
            option::of(ufid()),
            int(),
            int()
        )
            .prop_map(|(dp, in_port, recirc_id, flow, sf_acts, ufid, n_mask_hit, n_cache_hit)| {
                Body::FlowLookup(FlowLookup { dp, in_port, recirc_id, flow, sf_acts, ufid, n_mask_hit, n_cache_hit })
            }),
        (dp(), port(), int(), cmd(), int(), int(), int(), int(), option::of(cookie().prop_map(Box::new))).prop_map(
            |(dp, in_port, recirc_id, cmd, port, mru, len, skb_hash, cookie)| {
                Body::Upcall(Upcall { dp, in_port, recirc_id, cmd, port, mru, len, skb_hash, cookie })
            }
        ),
        (errno(), cmd(), int(), long(), int(), long(), int()).prop_map(
            |(ret, cmd, port, upcall_ts, upcall_cpu, queue_id, index)| {
                Body::UpcallEnqueue(UpcallEnqueue { ret, cmd, port, upcall_ts, upcall_cpu, queue_id, index })
            }
        ),
        (errno(), long(), int()).prop_map(|(ret, upcall_ts, upcall_cpu)| Body::UpcallReturn(UpcallReturn {
            ret,
            upcall_ts,
            upcall_cpu
        })),
        (int(), int(), int(), long(), long(), long(), int()).prop_map(
            |(port, pkt_size, key_size, queue_id, wait_ns, batch_ts, batch_idx)| {
                Body::UpcallRecv(UpcallRecv { port, pkt_size, key_size, queue_id, wait_ns, batch_ts, batch_idx })
            }
        ),
        (any::<bool>(), operation()).prop_map(|(set, op)| {
            Body::FlowPut(FlowPut { kind: if set { PutKind::Set } else { PutKind::New }, op })
        }),
        (dp(), errno(), int(), long(), long(), int(), long()).prop_map(
            |(dp, ret, len, took_ns, batch_ts, batch_idx, queue_id)| {
                Body::FlowExec(PacketExec { dp, ret, len, took_ns, batch_ts, batch_idx, queue_id })
            }
        ),
        operation().prop_map(Body::FlowDel),
        (dp(), port(), int(), long(), action()).prop_map(|(dp, in_port, recirc_id, queue_id, action)| {
            Body::ActionExecute(ActionExecute { dp, in_port, recirc_id, queue_id, action })
        }),
        (int(), vec(any::<u8>(), 0..40))
            .prop_map(|(len, data)| Body::PacketBytes(PacketBytes { len, data: data.into() })),
        (int(), text(), text()).prop_map(|(reason, name, location)| Body::Drop(Drop { reason, name, location })),
        (points, name(), int(), int(), int(), errno()).prop_map(|(point, dev, ifindex, netns, len, ret)| Body::Dev(
            DevStep { point, dev, ifindex, netns, len, ret }
        )),
    ]
    .boxed()
}

fn counters() -> BoxedStrategy<Counters> {
    let errnos = || vec((errno(), long()).prop_map(|(ret, count)| ErrnoCounter { ret, count }), 0..3);
    let datapaths = vec(
        (dp(), long(), long(), long(), long(), long()).prop_map(|(dp, table, hits, misses, mask_hits, cache_hits)| {
            DpCounters { dp, table, hits, misses, mask_hits, cache_hits }
        }),
        0..3,
    );
    let upcalls = vec(
        (dp(), port(), cmd(), int(), option::of(int()), errno(), long()).prop_map(
            |(dp, in_port, cmd, port, cpu, ret, count)| UpcallCounter { dp, in_port, cmd, port, cpu, ret, count },
        ),
        0..3,
    );
    let flows = vec(
        (long(), pointer(), pointer(), option::of(ufid()), long(), option::of(0..u64::MAX), long()).prop_map(
            |(table, flow, sf_acts, ufid, hits, bytes, last)| FlowCounter {
                table,
                flow,
                sf_acts,
                ufid,
                hits,
                bytes,
                last,
            },
        ),
        0..4,
    );
    let drops =
        vec((int(), text(), long()).prop_map(|(reason, name, count)| DropCounter { reason, name, count }), 0..3);
    let handlers = vec(
        (int(), long(), long(), long(), long(), long()).prop_map(
            |(tid, asleep_ns, runnable_ns, running_ns, runnable_max_ns, switches)| HandlerSched {
                tid,
                asleep_ns,
                runnable_ns,
                running_ns,
                runnable_max_ns,
                switches,
            },
        ),
        0..3,
    );
    let buckets = btree_map(0..STAGE_BUCKETS as u16, long(), 0..9);
    let stages = vec(
        (sample::select(&Stage::ALL[..]), long(), buckets).prop_map(|(stage, max, buckets)| StageCounter {
            stage,
            max,
            buckets: buckets.into_iter().collect(),
        }),
        0..3,
    );
    let new = (drops, handlers, stages);
    (datapaths, upcalls, errnos(), errnos(), errnos(), long(), flows, long(), new)
        .prop_map(|(datapaths, upcalls, puts, execs, dels, received, flows, flow_hits_uncounted, new)| Counters {
            datapaths,
            upcalls,
            puts,
            execs,
            dels,
            received,
            flows,
            flow_hits_uncounted,
            drops: new.0,
            handlers: new.1,
            stages: new.2,
        })
        .boxed()
}

fn context() -> BoxedStrategy<Body> {
    let ports = vec(
        (port(), text(), text(), int()).prop_map(|(port, name, kind, ifindex)| Port { port, name, kind, ifindex }),
        0..3,
    );
    let stats =
        option::of((long(), long(), long(), long(), int()).prop_map(|(n_hit, n_missed, n_lost, n_flows, n_masks)| {
            DpStats { n_hit, n_missed, n_lost, n_flows, n_masks, n_mask_hit: n_hit, n_cache_hit: n_lost }
        }));
    let datapath =
        (dp(), text(), ports, stats).prop_map(|(dp, name, ports, stats)| Datapath { dp, name, ports, stats });
    let conditions = sample::select(vec![
        CapabilityState::Attached,
        CapabilityState::Degraded,
        CapabilityState::Missing,
        CapabilityState::Off,
    ]);
    let cost = option::of((long(), long()).prop_map(|(runs, ns)| ProbeCost { runs, ns }));
    let capability = (text(), conditions, text(), text(), cost)
        .prop_map(|(name, state, probe, why, cost)| Capability { name, state, probe, why, cost });
    let clock =
        (long(), long(), errno()).prop_map(|(monotonic, wall, utc_offset)| Clock { monotonic, wall, utc_offset });
    let session = (text(), text(), text(), text(), int(), text(), text(), clock).prop_map(
        |(program, host, kernel, machine, cpus, ovs_version, command, clock)| Session {
            program,
            host,
            kernel,
            machine,
            cpus,
            ovs_version,
            command,
            clock,
        },
    );
    let answer = prop_oneof![text().prop_map(Ok), text().prop_map(Err)];
    let query = prop_oneof![Just(Query::GetFlow), Just(Query::Detrace)];
    let told = prop_oneof![text().prop_map(Ok), text().prop_map(Err)];
    let sample_of = option::of(sample::select(Field::NAMED));
    let trace = (int(), option::of(ufid()), text(), sample_of, told, long());
    let trace = trace.prop_map(|(dp, ufid, key, sample_of, answer, took_ns)| {
        Body::DaemonTrace(Box::new(DaemonTrace { dp: DpIfindex(dp), ufid, key, sample_of, answer, took_ns }))
    });
    prop_oneof![
        counters().prop_map(|counters| Body::Counters(Box::new(counters))),
        (long(), long(), long(), [long(), long(), long()], long(), long(), long(), long(), long()).prop_map(
            |(
                ring_full,
                over_budget,
                upcalls_over_budget,
                [told_over_budget, filtered_out, upcalls_filtered_out],
                not_sampled,
                untracked,
                missed_runs,
                undecoded,
                not_recorded,
            )| {
                Body::Loss(Loss {
                    ring_full,
                    over_budget,
                    upcalls_over_budget,
                    told_over_budget,
                    filtered_out,
                    upcalls_filtered_out,
                    not_sampled,
                    untracked,
                    missed_runs,
                    undecoded,
                    not_recorded,
                })
            }
        ),
        session.prop_map(|session| Body::Session(Box::new(session))),
        vec(datapath, 0..3).prop_map(|datapaths| Body::Datapaths { datapaths }),
        vec(capability, 0..3).prop_map(|capabilities| Body::Probes { capabilities }),
        (int(), text(), long(), vec(text(), 0..3)).prop_map(|(pid, version, round_trip_ns, missing)| {
            Body::Daemon(DaemonState::Up { pid, version, round_trip_ns, missing })
        }),
        trace,
        (long(), text()).prop_map(|(at, note)| Body::Mark(Bookmark { at, note })),
        text().prop_map(|why| Body::Daemon(DaemonState::Down { why })),
        (option::of(dp()), ufid(), option::of(pointer()), query, answer, long()).prop_map(
            |(dp, ufid, sf_acts, query, answer, took_ns)| {
                Body::DaemonAnswer(Box::new(DaemonAnswer { dp, ufid, sf_acts, query, answer, took_ns }))
            }
        ),
    ]
    .boxed()
}

/// What a daemon with USDT probes tells.
fn told() -> BoxedStrategy<Body> {
    let operations = prop_oneof![Just(OpType::Put), Just(OpType::Exec), Just(OpType::Del)];
    prop_oneof![
        (cmd(), int(), int(), long(), long(), int()).prop_map(
            |(cmd, pkt_size, key_size, queue_id, batch_ts, batch_idx)| {
                Body::RecvUpcall(RecvUpcall { cmd, pkt_size, key_size, queue_id, batch_ts, batch_idx })
            }
        ),
        (operations, option::of(ufid()), long(), long(), int()).prop_map(
            |(op_type, ufid, queue_id, batch_ts, batch_idx)| {
                Body::FlowOperation(FlowOperation { op_type, ufid, queue_id, batch_ts, batch_idx })
            }
        ),
        (option::of(ufid()), int(), int(), any::<bool>()).prop_map(|(ufid, result, reason, sweep)| {
            let (result, reason) = (RevalResult::from(result), DelReason::from(reason));
            Body::FlowResult(FlowResult { ufid, result, reason, sweep })
        }),
        (long(), long(), int()).prop_map(|(took_ns, n_flows, interval_ms)| {
            Body::Revalidation(Revalidation { took_ns, n_flows, interval_ms })
        }),
        (
            int(),
            option::of(ufid()),
            vec((sample::select(Field::NAMED), any::<u128>(), any::<u128>()), 0..5),
            int(),
            long()
        )
            .prop_map(|(dp, ufid, fields, actions_len, left_out)| {
                let fields = fields.into_iter().map(|(field, value, mask)| FieldMatch { field, value, mask });
                let matches = FlowMatch::new(fields);
                Body::FlowShape(Box::new(FlowShape { dp: DpIfindex(dp), ufid, matches, actions_len, left_out }))
            }),
        (
            int(),
            vec((text(), long(), long(), long()), 0..3),
            btree_map(text(), long(), 0..3),
            btree_map(text(), text(), 0..2)
        )
            .prop_map(|(pid, udpifs, coverage, dispatch)| {
                let udpif = |(name, flows, limit, dump_ms)| UdpifFigures {
                    name,
                    flows,
                    flows_average: flows,
                    flows_max: flows,
                    limit,
                    dump_ms,
                };
                let udpifs = udpifs.into_iter().map(udpif).collect();
                Body::DaemonFigures(Box::new(DaemonFigures { pid, udpifs, coverage, dispatch }))
            }),
    ]
    .boxed()
}

/// Any event; most are of the packet path.
pub fn event() -> BoxedStrategy<Event> {
    let body = prop_oneof![4 => path(), 1 => told(), 1 => context()];
    let ids = (option::of(long().prop_map(PacketId)), option::of(long().prop_map(UpcallId)));
    (long(), int(), int(), int(), name(), ids, body)
        .prop_map(|(ts, cpu, tid, pid, comm, (packet, upcall), body)| Event {
            ts,
            cpu,
            tid,
            pid,
            comm,
            packet,
            upcall,
            body,
        })
        .boxed()
}

/// Some events.
pub fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    vec(event(), 0..most)
}

/// Up to `most` events and runs in a row. Some of the runs go the same way, and some ways have steps in common.
pub fn with_runs(most: usize) -> BoxedStrategy<Vec<Told>> {
    let ways = vec(vec(0..12usize, 1..8), 1..4);
    (vec(step(), 12), ways)
        .prop_flat_map(move |(steps, ways)| {
            let ways: Vec<Route> =
                ways.into_iter().map(|way| way.into_iter().map(|at| steps[at].clone()).collect()).collect();
            let run = (any::<sample::Index>(), long(), option::of(long()), option::of(long()), vec(after(), 8));
            let run = run.prop_map(move |(way, ts, packet, upcall, after)| {
                let route = way.get(&ways).clone();
                let after = after[..route.len()].into();
                let run = Run::new(ts, packet.map(PacketId), upcall.map(UpcallId), route, after);
                Told::Run(run.expect("a time for each step"))
            });
            vec(prop_oneof![2 => run, 1 => event().prop_map(Told::Event)], 0..most)
        })
        .boxed()
}

fn after() -> BoxedStrategy<i32> {
    prop_oneof![4 => 0..2000i32, 1 => any::<i32>(), 1 => Just(i32::MIN)].boxed()
}

fn step() -> BoxedStrategy<Arc<Step>> {
    let step = |Event { cpu, tid, pid, comm, body, .. }: Event| Arc::new(Step { cpu, tid, pid, comm, body });
    let short =
        |body: &Body| matches!(body, Body::FlowLookup(_) | Body::ActionExecute(_) | Body::Drop(_) | Body::Dev(_));
    prop_oneof![
        8 => event().prop_filter("short", move |event| short(&event.body)).prop_map(step),
        // What no run has now, it may have.
        1 => event().prop_map(step),
    ]
    .boxed()
}
