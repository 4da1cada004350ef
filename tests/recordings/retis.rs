//! Event files of retis: the forms that its versions write, made here from the format's fields.

use std::io::{Cursor, Read};

use ovscope::{
    app::export,
    event::{Action, Body, DevPoint, Event, OpType, PacketId, PortNo, Query, UpcallCmd, UpcallId},
    model::{Asked, Fate, Missing, Model, Stage, UpcallEnd},
    record::Recording,
};
use proptest::prelude::*;

const STARTUP_1_5: &str = r#"{"common":{"timestamp":1000},"startup":{"retis_version":"v1.5.2","clock_monotonic_offset":{"sec":1700000000,"nsec":5}}}"#;
const STARTUP_1_6: &str = r#"{"common":{"timestamp":1000},"startup":{"retis_version":"v1.6.4","clock_monotonic_offset":{"sec":1700000000,"nsec":5}}}"#;
const STARTUP_1_7: &str = r#"{"common":{"timestamp":1000,"smp_id":null,"task":null},"startup":{"retis_version":"v1.7.0-3-g12ab-dirty","cmdline":"retis collect -c ovs","clock_monotonic_offset":{"sec":1700000000,"nsec":5},"machine":{"kernel_release":"6.12.0","kernel_version":"1 SMP","hardware_name":"x86_64"},"split_file":{"id":0,"policy":{"kind":"size","limit":1000}}}}"#;

/// Where the upcalls of these are made: it is in their identities.
const CPU: u64 = 3;
/// A packet on its way up and back, as 1.6 tells it: ping 192.0.2.1 > 192.0.2.2, given back as another buffer.
const WAY: &str = r#"
{"common":{"timestamp":2000,"smp_id":3,"task":{"pid":50,"tgid":51,"comm":"ping"}},"kernel":{"symbol":"net:netif_receive_skb","probe_type":"raw_tracepoint"},"skb-tracking":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7},"packet":{"len":98,"capture_len":34,"data":"AgAAAAACAgAAAAABCABFAABUAABAAEABAADAAAIBwAACAg=="},"skb":{"meta":{"len":84,"data_len":0,"hash":0,"ip_summed":0,"csum":0,"csum_level":0,"priority":0}},"netns":{"cookie":1,"inum":4026531840},"dev":{"name":"veth-a","ifindex":10,"rx_ifindex":10}}
{"common":{"timestamp":2100,"smp_id":3,"task":{"pid":50,"tgid":51,"comm":"ping"}},"kernel":{"symbol":"ovs_flow_tbl_lookup_stats","probe_type":"kretprobe"},"skb-tracking":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7},"ovs":{"event_type":"flow_lookup","flow":0,"sf_acts":0,"ufid":[0,0,0,0],"n_mask_hit":2,"n_cache_hit":1,"dpflow":"","ofpflows":[]}}
{"common":{"timestamp":2200,"smp_id":3,"task":{"pid":50,"tgid":51,"comm":"ping"}},"kernel":{"symbol":"openvswitch:ovs_dp_upcall","probe_type":"raw_tracepoint"},"skb-tracking":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7},"skb":{"meta":{"len":98,"data_len":0,"hash":77,"ip_summed":0,"csum":0,"csum_level":0,"priority":0}},"ovs":{"event_type":"upcall","cmd":1,"port":900,"cpu":3}}
{"common":{"timestamp":2300,"smp_id":3,"task":{"pid":50,"tgid":51,"comm":"ping"}},"kernel":{"symbol":"queue_userspace_packet","probe_type":"kretprobe"},"skb-tracking":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7},"ovs":{"event_type":"upcall_enqueue","ret":0,"cmd":1,"port":900,"upcall_ts":2200,"upcall_cpu":3,"queue_id":3316322986}}
{"common":{"timestamp":2400,"smp_id":3,"task":{"pid":50,"tgid":51,"comm":"ping"}},"kernel":{"symbol":"ovs_dp_upcall","probe_type":"kretprobe"},"skb-tracking":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7},"ovs":{"event_type":"upcall_return","upcall_ts":2200,"upcall_cpu":3,"ret":0}}
{"common":{"timestamp":5300,"smp_id":1,"task":{"pid":900,"tgid":905,"comm":"handler3"}},"userspace":{"probe_type":"usdt","symbol":"dpif_recv:recv_upcall","ip":1,"path":"/usr/sbin/ovs-vswitchd","pid":900,"tid":905},"ovs":{"event_type":"recv_upcall","type":0,"pkt_size":98,"key_size":132,"queue_id":3316322986,"batch_ts":5250,"batch_idx":2}}
{"common":{"timestamp":6000,"smp_id":1,"task":{"pid":900,"tgid":905,"comm":"handler3"}},"userspace":{"probe_type":"usdt","symbol":"dpif_netlink_operate__:op_flow_put","ip":1,"path":"/usr/sbin/ovs-vswitchd","pid":900,"tid":905},"ovs":{"event_type":"flow_operation","op_type":"put","queue_id":3316322986,"batch_ts":5250,"batch_idx":2}}
{"common":{"timestamp":6100,"smp_id":1,"task":{"pid":900,"tgid":905,"comm":"handler3"}},"userspace":{"probe_type":"usdt","symbol":"dpif_netlink_operate__:op_flow_execute","ip":1,"path":"/usr/sbin/ovs-vswitchd","pid":900,"tid":905},"ovs":{"event_type":"flow_operation","op_type":"exec","queue_id":3316322986,"batch_ts":5250,"batch_idx":2}}
{"common":{"timestamp":7000,"smp_id":1,"task":{"pid":900,"tgid":905,"comm":"handler3"}},"kernel":{"symbol":"openvswitch:ovs_do_execute_action","probe_type":"raw_tracepoint"},"skb-tracking":{"orig_head":18446619377637402112,"timestamp":6900,"skb":8},"packet":{"len":98,"capture_len":4,"data":"AgAAAA=="},"ovs":{"event_type":"action_execute","action":"output","port":4,"recirc_id":0,"queue_id":3316322986}}
{"common":{"timestamp":7100,"smp_id":1,"task":{"pid":900,"tgid":905,"comm":"handler3"}},"kernel":{"symbol":"net:net_dev_start_xmit","probe_type":"raw_tracepoint"},"skb-tracking":{"orig_head":18446619377637402112,"timestamp":6900,"skb":8},"dev":{"name":"veth-b","ifindex":12},"netns":{"inum":4026531840}}
"#;

fn file(startup: &str, lines: &str) -> Vec<u8> {
    format!("{startup}\n{}\n", lines.trim()).into_bytes()
}

fn read(bytes: Vec<u8>) -> (Vec<Event>, Option<String>) {
    let mut recording = Recording::from_bytes("retis.data", bytes).expect("an event file");
    let events = recording.by_ref().flat_map(|batch| batch.expect("memory")).collect();
    (events, recording.remarks())
}

/// Without what the startup tells.
fn on_the_way(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|e| !matches!(e.body, Body::Session(_) | Body::Probes { .. })).collect()
}

#[test]
fn a_packet_is_one_from_its_device_through_the_upcall_to_the_output() {
    let (events, remarks) = read(file(STARTUP_1_6, WAY));
    assert_eq!(remarks, None);
    let way = on_the_way(&events);
    let kinds: Vec<&str> = way.iter().map(|e| e.kind()).collect();
    let expected = "packet_bytes netif_receive_skb flow_lookup upcall upcall_enqueue upcall_return upcall_recv \
                    flow_operation flow_operation action_execute net_dev_start_xmit";
    assert_eq!(kinds.join(" "), expected);
    assert!(way.iter().all(|e| e.packet == Some(PacketId(1))), "{way:#?}");
    let of_upcall =
        way.iter().filter(|e| e.upcall == Some(UpcallId(CPU << 40 | 1))).map(|e| e.kind()).collect::<Vec<_>>();
    assert_eq!(of_upcall.len(), 7, "{of_upcall:?}");
    assert_eq!((way[0].ts, way[0].cpu, way[0].pid, way[0].tid), (2000, 3, 50, 51));
    assert_eq!(way[0].comm.to_string(), "ping");
    match &way[0].body {
        Body::PacketBytes(bytes) => assert_eq!((bytes.len, bytes.data.len()), (98, 34)),
        other => panic!("{other:?}"),
    }
    match &way[1].body {
        Body::Dev(e) => assert_eq!(
            (e.point, e.dev.to_string().as_str(), e.ifindex, e.netns, e.len),
            (DevPoint::NetifReceiveSkb, "veth-a", 10, 4_026_531_840, 84)
        ),
        other => panic!("{other:?}"),
    }
    match &way[2].body {
        Body::FlowLookup(e) => assert_eq!((e.flow, e.ufid, e.in_port, e.n_mask_hit), (None, None, None, 2)),
        other => panic!("{other:?}"),
    }
    match &way[3].body {
        Body::Upcall(e) => {
            assert_eq!((e.cmd, e.port, e.in_port, e.len), (UpcallCmd::Miss, 900, PortNo::NONE, 98));
            assert_eq!(e.skb_hash, 77);
        }
        other => panic!("{other:?}"),
    }
    match &way[6].body {
        Body::UpcallRecv(e) => {
            assert_eq!((e.port, e.wait_ns, e.queue_id), (900, 3000, 3_316_322_986));
            assert_eq!((e.batch_ts, e.batch_idx, way[6].tid), (5250, 2, 905));
        }
        other => panic!("{other:?}"),
    }
    let operations = way[7..9].iter().map(|e| match &e.body {
        Body::FlowOperation(e) => (e.op_type, e.queue_id),
        other => panic!("{other:?}"),
    });
    assert_eq!(operations.collect::<Vec<_>>(), [(OpType::Put, 3_316_322_986), (OpType::Exec, 3_316_322_986)]);

    let mut model = Model::default();
    model.apply_all(&events);
    let packet = model.packets().next().expect("there is one");
    assert_eq!(packet.outputs, [PortNo(4)]);
    assert_eq!(model.latency(Stage::Wait, ovscope::model::Window::Session).map(|p| p.count), Some(1));
    assert_eq!(model.wall(2000), Some(1_700_000_000_000_002_005));
}

/// What the model makes of the lines of [`WAY`] but some, a second later: the upcall's end, and the packet's fate.
fn end_without(left_out: &[&str]) -> (UpcallEnd, Fate) {
    let keep = |line: &&str| !left_out.iter().any(|word| line.contains(word));
    let later = r#"{"common":{"timestamp":2000000000},"skb-drop":{"drop_reason":"X"}}"#;
    let lines: Vec<&str> = WAY.trim().lines().filter(keep).chain([later]).collect();
    let mut model = Model::default();
    model.apply_all(&read(file(STARTUP_1_6, &lines.join("\n"))).0);
    let upcall = model.upcalls().next().expect("there is one");
    let packet = upcall.packet.and_then(|id| model.packet(id)).expect("and its packet");
    (model.upcall_end(upcall), model.fate(packet))
}

#[test]
fn what_the_daemon_asks_for_is_an_answer_of_which_the_outcome_is_not_known() {
    let mut model = Model::default();
    model.apply_all(&read(file(STARTUP_1_6, WAY)).0);
    let upcall = model.upcalls().next().expect("there is one");
    assert_eq!(upcall.asked, Asked { put: Some(6000), exec: Some(6100) });
    assert_eq!((upcall.put, upcall.exec, upcall.first_action), (None, None, Some(7000)));
    let unlinked = model.unlinked(upcall);
    assert_eq!((unlinked.begin, unlinked.enqueue, unlinked.recv, unlinked.answer), (None, None, None, None));

    let (put, exec, action) = (r#""op_type":"put""#, r#""op_type":"exec""#, "action_execute");
    let asked = |put, exec| UpcallEnd::Asked { put, exec };
    assert_eq!(end_without(&[]), (asked(true, true), Fate::Forwarded));
    assert_eq!(end_without(&[action]), (asked(true, true), Fate::InFlight));
    assert_eq!(end_without(&[put, action]), (asked(false, true), Fate::InFlight));
    assert_eq!(end_without(&[exec, action]), (asked(true, false), Fate::NotGivenBack));
    assert_eq!(end_without(&[put]), (UpcallEnd::ExecOnly, Fate::Forwarded));
    assert_eq!(end_without(&[put, exec, action]), (UpcallEnd::ReceivedNotAnswered, Fate::NotAnsweredYet));
}

#[test]
fn that_the_kernels_answers_are_not_in_the_file_is_told() {
    let lines: Vec<&str> = WAY.trim().lines().take(6).collect();
    let mut model = Model::default();
    model.apply_all(&read(file(STARTUP_1_6, &lines.join("\n"))).0);
    let upcall = model.upcalls().next().expect("there is one");
    assert_eq!(model.unlinked(upcall).answer, Some(Missing::NotTraced));
}

/// The lines of two packets that begin alike: the second's are a little later, on another buffer.
fn alike(apart: bool) -> String {
    let second = WAY.trim().lines().map(|line| {
        let line = line.replace(r#""timestamp":"#, r#""timestamp":1"#).replace(r#""upcall_ts":"#, r#""upcall_ts":1"#);
        line.replace("18446619372617628672", "18446619372617628999").replace(r#""batch_idx":2"#, r#""batch_idx":3"#)
    });
    let mut lines: Vec<String> = WAY.trim().lines().map(str::to_owned).chain(second).collect();
    if !apart {
        // Both are queued before a handler receives one.
        let (first, second) = lines.split_at(10);
        lines = [&first[..5], &second[..5], &first[5..], &second[5..]].concat();
    }
    lines.join("\n")
}

#[test]
fn what_could_be_of_two_messages_is_tied_to_none_and_told() {
    let (events, remarks) = read(file(STARTUP_1_6, &alike(true)));
    assert_eq!(remarks, None);
    let upcalls = |events: &[Event]| {
        let mut model = Model::default();
        model.apply_all(events);
        model
            .upcalls()
            .map(|u| (u.id.0 - (CPU << 40), u.recv.is_some(), u.asked != Asked::default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(upcalls(&events), [(1, true, true), (2, true, true)]);

    let (events, remarks) = read(file(STARTUP_1_6, &alike(false)));
    assert_eq!(upcalls(&events), [(1, false, false), (2, false, false)]);
    assert_eq!(
        remarks.as_deref(),
        Some(
            "retis.data: 2 receives, 2 puts, 2 executes and 2 actions are of no upcall: the message that they name \
             (queue_id) is not in the file, or several have that name"
        )
    );
    assert!(events.iter().filter(|e| e.kind() == "action_execute").all(|e| e.upcall.is_none()));
}

#[test]
fn until_1_5_the_packet_the_device_and_the_namespace_are_parts_of_the_buffer() {
    let line = r#"{"common":{"timestamp":2000,"smp_id":3},"kernel":{"symbol":"net:netif_rx","probe_type":"raw_tracepoint","stack_trace":null},"skb-tracking":{"orig_head":9,"timestamp":2000,"skb":7},"skb":{"eth":null,"dev":{"name":"eth0","ifindex":2},"ns":{"netns":4026531840},"meta":{"len":60,"data_len":0,"hash":0,"ip_summed":0,"csum":0,"csum_level":0,"priority":0},"packet":{"len":60,"capture_len":4,"packet":"AgAAAA=="}}}"#;
    let (events, remarks) = read(file(STARTUP_1_5, line));
    assert_eq!(remarks, None);
    match on_the_way(&events)[..] {
        [Event { body: Body::PacketBytes(bytes), .. }, Event { body: Body::Dev(dev), .. }] => {
            assert_eq!((bytes.len, &bytes.data[..]), (60, &[2, 0, 0, 0][..]));
            assert_eq!((dev.dev.to_string().as_str(), dev.netns, dev.len), ("eth0", 4_026_531_840, 60));
        }
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_sorted_file_has_a_packets_events_in_one_line() {
    let lines: Vec<String> = WAY
        .trim()
        .lines()
        .map(|line| {
            let tracking = r#""tracking":{"idx":0,"skb":{"orig_head":18446619372617628672,"timestamp":2000,"skb":7}}"#;
            format!("{},{tracking}}}", &line[..line.len() - 1])
        })
        .collect();
    let sorted = format!("[{STARTUP_1_6}]\n[{}]\n", lines.join(","));
    let (events, remarks) = read(sorted.into_bytes());
    assert_eq!(remarks, None);
    assert_eq!(events, read(file(STARTUP_1_6, WAY)).0);
}

#[test]
fn who_collected_and_when_is_the_session() {
    let (events, _) = read(file(STARTUP_1_7, ""));
    let Body::Session(session) = &events[0].body else { panic!("{events:?}") };
    assert_eq!(session.program, "retis v1.7.0-3-g12ab-dirty");
    assert_eq!((session.kernel.as_str(), session.machine.as_str()), ("6.12.0", "x86_64"));
    assert_eq!(session.command, "retis collect -c ovs");
    assert_eq!((session.clock.monotonic, session.clock.wall), (1000, 1_700_000_000_000_001_005));
    assert!(matches!(&events[1].body, Body::Probes { capabilities } if capabilities[0].is_missing()));

    let split = [file(STARTUP_1_7, ""), file(&STARTUP_1_7.replace(r#""id":0"#, r#""id":1"#), "")].concat();
    assert_eq!(read(split).0, events, "files of one collection, one behind the other, are one session");
}

#[test]
fn what_the_daemon_said_of_a_flow_is_told_once_for_each_generation() {
    let lookup = |ts: u64, acts: u64| {
        format!(
            r#"{{"common":{{"timestamp":{ts},"smp_id":0}},"kernel":{{"symbol":"ovs_flow_tbl_lookup_stats","probe_type":"kretprobe"}},"ovs":{{"event_type":"flow_lookup","flow":255,"sf_acts":{acts},"ufid":[1,2,3,4],"n_mask_hit":1,"n_cache_hit":0,"dpflow":"in_port(1), actions:2","ofpflows":["br0","cookie=0x5, actions=NORMAL"]}}}}"#
        )
    };
    let detrace = r#"{"common":{"timestamp":9},"ovs-detrace":{"ufid":[1,2,3,4],"flow":255,"sf_acts":6,"dpflow":"in_port(1), actions:2","ofpflows":[]}}"#;
    let (events, _) = read(file(STARTUP_1_6, &[&lookup(5, 6), &lookup(6, 6), &lookup(7, 8), detrace].join("\n")));
    let answers: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::DaemonAnswer(answer) => Some((e.ts, answer.query, answer.sf_acts.map(|acts| acts.0))),
            _ => None,
        })
        .collect();
    let of = |ts, acts| [(ts, Query::GetFlow, Some(acts)), (ts, Query::Detrace, Some(acts))];
    assert_eq!(answers, [of(5, 6), of(7, 8)].concat());
}

#[test]
fn drops_have_their_reason_and_the_place_that_is_not_a_freeing_function() {
    let drop = |section: &str, stack: &str| {
        format!(
            r#"{{"common":{{"timestamp":5}},"kernel":{{"symbol":"skb:kfree_skb","probe_type":"raw_tracepoint","stack_trace":{stack}}},"skb-drop":{section},"skb-tracking":{{"orig_head":1,"timestamp":5,"skb":2}}}}"#
        )
    };
    let lines = [
        drop(r#"{"drop_reason":"NO_SOCKET"}"#, r#"["kfree_skb_reason+0x8d","icmp_rcv+0x2f0"]"#),
        drop(r#"{"subsys":"openvswitch","drop_reason":"OVS_DROP_METER"}"#, "null"),
        drop(r#"{"subsys":"mac80211_unusable","drop_reason":"RX_DROP_U_OLD"}"#, "null"),
        drop(r#"{"subsys":null,"drop_reason":"117"}"#, "null"),
        drop(r#"{"drop_reason":"CONSUMED"}"#, "null"),
    ];
    let (events, remarks) = read(file(STARTUP_1_6, &lines.join("\n")));
    let drops: Vec<_> = on_the_way(&events)
        .into_iter()
        .map(|e| match &e.body {
            Body::Drop(drop) => (drop.reason, drop.name.as_str(), drop.location.as_str(), drop.is_ovs()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (0, "NO_SOCKET", "icmp_rcv+0x2f0", false),
        (0, "OVS_DROP_METER", "", true),
        (0, "mac80211_unusable/RX_DROP_U_OLD", "", false),
        (117, "", "", false),
    ];
    assert_eq!(drops, expected);
    assert!(remarks.is_some_and(|r| r.contains("skb:kfree_skb 1")), "what is consumed is no drop, and counted");
}

#[test]
fn actions_have_the_arguments_that_the_file_has() {
    let line = |action: &str| {
        format!(r#"{{"common":{{"timestamp":5}},"ovs":{{"event_type":"action_execute","recirc_id":34,{action}}}}}"#)
    };
    let actions = [
        r#""action":"recirc","id":7"#,
        r#""action":"drop","reason":2"#,
        r#""action":"ct","flags":485,"zone_id":20,"nat":{"dir":"dst","min_addr":"10.244.1.3","max_addr":"10.244.1.30","min_port":36895,"max_port":36900}"#,
        r#""action":"ct","flags":8,"zone_id":0"#,
        r#""action":"pop_vlan""#,
        r#""action":"set_masked""#,
        r#""action":"push_vlan""#,
    ];
    let (events, remarks) = read(file(STARTUP_1_6, &actions.map(line).join("\n")));
    assert_eq!(remarks, None);
    let found: Vec<String> = on_the_way(&events)
        .into_iter()
        .map(|e| match &e.body {
            Body::ActionExecute(e) => {
                assert_eq!((e.recirc_id, e.queue_id), (34, 0));
                assert!(!matches!(e.action, Action::PushVlan { .. }), "its arguments are not in the file");
                e.action.to_string()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let ct = "ct(commit,zone=20,nat(dst=10.244.1.3-10.244.1.30:36895-36900))";
    assert_eq!(found, ["recirc(0x7)", "drop(reason=2)", ct, "ct", "pop_vlan", "set_masked", "action4"]);
}

#[test]
fn what_ovscope_has_no_event_for_is_counted_by_its_name() {
    let lines = r#"
{"common":{"timestamp":5},"kernel":{"symbol":"tcp_v4_rcv","probe_type":"kprobe"},"ct":{"state":"new"},"nft":{}}
{"common":{"timestamp":6},"kernel":{"symbol":"tcp_v4_rcv","probe_type":"kprobe"},"ct":{"state":"new"}}
{"common":{"timestamp":7},"kernel":{"symbol":"x","probe_type":"kprobe"},"ovs":{"event_type":"of_later_versions","n":1}}
{"common":{"timestamp":8}}
"#;
    let (events, remarks) = read(file(STARTUP_1_6, lines));
    assert!(on_the_way(&events).is_empty(), "{events:?}");
    assert_eq!(
        remarks.as_deref(),
        Some(
            "retis.data: passed over, as ovscope has no event for it: section ct 2, tcp_v4_rcv 2, OVS event of \
             another kind 1, event without a probe 1, section nft 1"
        )
    );
}

#[test]
fn bad_lines_are_left_out_and_named_by_their_numbers() {
    let good = r#"{"common":{"timestamp":5},"skb-drop":{"drop_reason":"X"}}"#;
    let bad = ["{", "not json", r#"{"common":{"timestamp":-1}}"#, r#"{"no":"common"}"#, "[1]"];
    let lines = [&[good][..], &bad[..2], &[good, "", good], &bad[2..], &[good, "{\"common\":\u{1b}[31m"]].concat();
    let mut bytes = file(STARTUP_1_6, &lines.join("\n"));
    bytes.extend([0xff, 0xfe, b'\n']);
    bytes.extend(vec![b'{'; (8 << 20) + 1]);
    bytes.extend(b"\n");
    bytes.extend(good.as_bytes());
    let (events, remarks) = read(bytes);
    assert_eq!(on_the_way(&events).len(), 5);
    let remarks = remarks.expect("much is wrong");
    assert!(remarks.starts_with("retis.data: line 3 is left out: it is not an event in JSON"), "{remarks}");
    assert!(remarks.contains("line 4 is left out") && remarks.contains("line 8 is left out"), "{remarks}");
    assert!(remarks.contains("and 5 more"), "{remarks}");
    assert!(!remarks.contains('\u{1b}'));
}

#[test]
fn a_line_longer_than_all_bounds_is_named_and_not_kept() {
    let mut bytes = file(STARTUP_1_6, "");
    bytes.extend(vec![b'x'; (8 << 20) + 1]);
    let (_, remarks) = read(bytes);
    assert_eq!(remarks.as_deref(), Some("retis.data: line 3 is left out: it is longer than 8 MB"));
}

#[test]
fn other_text_and_older_files_are_refused_with_the_reason() {
    let old = STARTUP_1_5.replace("v1.5.2", "v1.4.0");
    let cases = [
        (old.as_str(), "retis v1.4.0, and those can be read from 1.5 on"),
        (r#"{"ts":7,"cpu":0,"type":"loss"}"#, "its first line is not one that an event file of retis"),
        ("[]", "its first line is not one"),
        ("{", "its first line is not one"),
        (" \n [[[", "its first line is not one"),
    ];
    for (text, why) in cases {
        let error = Recording::from_bytes("some.json", text.as_bytes().to_vec()).expect_err(why).to_string();
        assert!(error.contains(why) && error.starts_with("some.json "), "{error}");
    }
    let newer = STARTUP_1_7.replace("v1.7.0", "v2.0.0");
    assert!(read(file(&newer, "")).1.is_some_and(|remarks| remarks.contains("made by retis 'v2.0.0")));
}

/// Gives a byte at a time, as a slow pipe does.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

#[test]
fn a_stream_gives_the_same_events_and_goes_only_forward() {
    let bytes = file(STARTUP_1_6, WAY);
    let mut stream = Recording::from_stream("standard input", Slow(Cursor::new(bytes.clone()))).expect("events");
    assert!(!stream.can_seek());
    assert!(stream.seek(0).is_err());
    let events: Vec<Event> = stream.by_ref().flat_map(|batch| batch.expect("memory")).collect();
    assert_eq!(events, read(bytes).0);
}

#[test]
fn a_file_goes_back_to_its_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("retis.data");
    std::fs::write(&path, file(STARTUP_1_6, WAY)).expect("room");
    let mut recording = Recording::open(&path).expect("an event file");
    let first: Vec<Event> = recording.by_ref().flat_map(|batch| batch.expect("a file")).collect();
    assert!(recording.can_seek() && first.len() == 13);
    recording.seek(5000).expect("a file");
    let again: Vec<Event> = recording.flat_map(|batch| batch.expect("a file")).collect();
    assert_eq!(again, first);
}

#[test]
fn it_is_exported_like_any_recording() {
    let whole = || Recording::from_bytes("retis.data", file(STARTUP_1_6, WAY)).expect("an event file");
    let mut lines = Vec::new();
    assert_eq!(export::json(&mut whole(), &mut lines).expect("memory").events, 13);
    let mut packets = Vec::new();
    assert_eq!(export::pcapng(&mut whole(), &mut packets).expect("memory").packets, 1);
}

proptest! {
    #[test]
    fn nothing_that_is_in_a_line_does_harm(at in 0usize..4000, byte: u8, cut in 0usize..4000) {
        let mut bytes = file(STARTUP_1_6, WAY);
        let len = bytes.len();
        let begin = STARTUP_1_6.len() + 1;
        bytes[(begin + at).min(len - 1)] = byte;
        bytes.truncate(len - cut.min(len - begin));
        let mut recording = Recording::from_bytes("retis.data", bytes).expect("its first line is whole");
        let mut model = Model::default();
        for batch in recording.by_ref() {
            model.apply_all(&batch.expect("memory"));
        }
        let _ = recording.remarks();
    }
}
