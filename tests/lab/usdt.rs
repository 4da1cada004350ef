//! A daemon with USDT probes as witness: what it says of its receives, puts and executes is what the kernel side says,
//! and why flows are deleted is known. Daemons are found whenever and wherever they are started.

use std::collections::{BTreeMap, BTreeSet};

use ovscope::event::{
    Body, DaemonState, DelReason, Event, FlowOperation, OpType, PacketId, RevalResult, Ufid, UpcallId,
};

use crate::{OLDEST_AND_NEWEST, guest::Guest};

/// Upcalls of the storm. On a slow machine the daemon lowers its flow limit, and not each gets a flow.
const STORM: usize = 3000;

/// Who received what: thread, upcall, batch, place in it, and bytes of the packet and of the key.
type Receive = (u32, Option<UpcallId>, u64, u32, u32, u32);
/// What a thread did: to answer which message, and with which flow.
type Deed = (OpType, u64, Option<Ufid>);

/// Receives by message, as the kernel side and as the daemon tell them: each is told, tied, and the same.
fn check_receives(events: &[Event], kernel: &str) {
    let (mut seen, mut told) = (BTreeMap::new(), BTreeMap::new());
    for e in events {
        let (map, queue_id, receive): (&mut BTreeMap<u64, Receive>, _, _) = match &e.body {
            Body::UpcallRecv(r) => {
                (&mut seen, r.queue_id, (e.tid, e.upcall, r.batch_ts, r.batch_idx, r.pkt_size, r.key_size))
            }
            Body::RecvUpcall(r) => {
                (&mut told, r.queue_id, (e.tid, e.upcall, r.batch_ts, r.batch_idx, r.pkt_size, r.key_size))
            }
            _ => continue,
        };
        assert_ne!(queue_id, 0, "{kernel}: tied to nothing: {e:?}");
        assert!(map.insert(queue_id, receive).is_none(), "{kernel}: twice: {e:?}");
    }
    assert!(told.len() >= STORM, "{kernel}: {} receives", told.len());
    let disagree: Vec<_> =
        told.iter().map(|(id, told)| (id, Some(told), seen.get(id))).filter(|(_, told, seen)| told != seen).collect();
    assert!(disagree.is_empty(), "{kernel}: message, as told and as seen: {disagree:?}");
    assert_eq!(seen.len(), told.len(), "{kernel}");
}

/// What each handler did, one after the other: the daemon tells it before it asks, the kernel side when it is done, and
/// each ties it by itself.
fn check_operations(events: &[Event], kernel: &str) {
    let (mut seen, mut told): (BTreeMap<u32, Vec<Deed>>, BTreeMap<u32, Vec<Deed>>) = Default::default();
    for e in events {
        let (who, deed) = match &e.body {
            Body::FlowPut(put) => (&mut seen, (OpType::Put, put.op.queue_id, put.op.ufid)),
            Body::FlowExec(exec) => (&mut seen, (OpType::Exec, exec.queue_id, None)),
            Body::FlowOperation(o) if o.op_type != OpType::Del => (&mut told, (o.op_type, o.queue_id, o.ufid)),
            _ => continue,
        };
        who.entry(e.tid).or_default().push(deed);
    }
    let handlers: BTreeSet<u32> =
        events.iter().filter(|e| matches!(e.body, Body::UpcallRecv(_))).map(|e| e.tid).collect();
    let mut answered = 0;
    for tid in &handlers {
        let (seen, told) = (seen.remove(tid).unwrap_or_default(), told.remove(tid).unwrap_or_default());
        assert_eq!(seen.len(), told.len(), "{kernel}: thread {tid}");
        let disagree: Vec<_> = seen.iter().zip(&told).filter(|(seen, told)| seen != told).take(3).collect();
        assert!(disagree.is_empty(), "{kernel}: thread {tid}: {disagree:?}");
        answered += seen.iter().filter(|(_, queue_id, _)| *queue_id != 0).count();
        assert!(seen.iter().all(|(_, queue_id, _)| *queue_id != 0), "{kernel}: thread {tid}: each is tied");
    }
    assert!(answered >= STORM, "{kernel}: {answered} puts and executes");
}

/// Flows that are deleted: the daemon tells it before it asks, the kernel side when it is done.
fn check_deletions(events: &[Event], kernel: &str) {
    let (mut seen, mut told): (BTreeMap<_, u32>, BTreeMap<_, u32>) = Default::default();
    for e in events {
        let (who, ufid) = match &e.body {
            Body::FlowDel(op) => (&mut seen, op.ufid),
            Body::FlowOperation(o) if o.op_type == OpType::Del => (&mut told, o.ufid),
            _ => continue,
        };
        *who.entry((e.tid, ufid.expect("named by its UFID"))).or_default() += 1;
    }
    assert!(told.len() >= STORM / 2, "{kernel}: {} deletions", told.len());
    let disagree: Vec<_> = told.iter().filter(|(which, n)| seen.get(which) != Some(n)).take(3).collect();
    assert!(
        disagree.is_empty() && seen.len() == told.len(),
        "{kernel}: {} and {}: {disagree:?}",
        seen.len(),
        told.len()
    );
}

/// Every port that the storm's packets come from is a flow of its own: what is tied to a packet names the flow of that
/// port, by the packet's bytes.
fn check_identities(events: &[Event], kernel: &str) {
    // The source port of UDP over IPv4.
    let port = |data: &[u8]| (data.get(23) == Some(&17)).then(|| [data[34], data[35]]);
    let ports: BTreeMap<PacketId, [u8; 2]> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::PacketBytes(bytes) => Some((e.packet?, port(&bytes.data)?)),
            _ => None,
        })
        .collect();
    let (mut by_port, mut by_flow) = (BTreeMap::new(), BTreeMap::new());
    for e in events {
        let Body::FlowOperation(FlowOperation { op_type: OpType::Put, ufid: Some(ufid), .. }) = &e.body else {
            continue;
        };
        let Some(port) = e.packet.and_then(|packet| ports.get(&packet)) else { continue };
        assert_eq!(by_port.entry(*port).or_insert(*ufid), ufid, "{kernel}: two flows of one port: {e:?}");
        assert_eq!(by_flow.entry(*ufid).or_insert(*port), port, "{kernel}: one flow of two ports: {e:?}");
    }
    assert!(by_port.len() >= STORM / 2, "{kernel}: {} flows of {} packets", by_port.len(), ports.len());
}

/// Every deleted flow was decided about before, and the reasons are those that there were.
fn check_reasons(events: &[Event], kernel: &str) {
    let mut decided: BTreeMap<Ufid, DelReason> = BTreeMap::new();
    let mut reasons: BTreeMap<DelReason, usize> = BTreeMap::new();
    for e in events {
        match &e.body {
            Body::FlowResult(result) if result.result == RevalResult::Delete => {
                decided.insert(result.ufid.expect("a flow of a kernel datapath"), result.reason);
            }
            Body::FlowDel(op) if op.ret == 0 => {
                let reason = decided.remove(&op.ufid.expect("named by its UFID"));
                *reasons.entry(reason.unwrap_or_else(|| panic!("{kernel}: undecided: {e:?}"))).or_default() += 1;
            }
            _ => {}
        }
    }
    // By a round's look at all flows, and by the sweep behind it.
    for sweep in [false, true] {
        let told = |e: &&Event| matches!(&e.body, Body::FlowResult(result) if result.sweep == sweep);
        assert!(events.iter().any(|e| told(&e)), "{kernel}: no result with sweep {sweep}");
    }
    let count = |reason| reasons.get(&reason).copied().unwrap_or(0);
    assert!(count(DelReason::Purge) >= STORM / 2, "{kernel}: {reasons:?}");
    assert!(count(DelReason::FlowIdle) >= 1, "{kernel}: {reasons:?}");
    // Without its port a flow has no bridge, or does other things than it did.
    assert!(reasons.len() >= 3, "{kernel}: the deleted port's flows: {reasons:?}");
    let known = |reason: &DelReason| !matches!(reason, DelReason::Other(_) | DelReason::None);
    assert!(reasons.keys().all(known), "{kernel}: {reasons:?}");
}

fn check_rounds(events: &[Event], kernel: &str) {
    let rounds = events.iter().filter_map(|e| match &e.body {
        Body::Revalidation(round) => Some(round),
        _ => None,
    });
    let most = rounds.clone().map(|round| round.n_flows).max();
    assert!(rounds.clone().all(|round| round.took_ns > 0 && round.interval_ms == 500), "{kernel}");
    assert!(most.is_some_and(|most| most > 100), "{kernel}: {most:?} flows at most, {} rounds", rounds.count());
}

/// Of each of the daemons that came and went, upcalls were tied and told.
fn check_daemons(guest: &Guest, kernel: &str) {
    let events = guest.events("daemons.jsonl");
    let mut met = BTreeSet::new();
    for name in ["late", "restarted", "upgraded", "contained"] {
        let pid: u32 = guest.text(&format!("{name}.pid")).trim().parse().expect("one daemon");
        assert!(met.insert(pid), "{kernel}: {name} is another process");
        let of = |kind: &str| -> Vec<&Event> { events.iter().filter(|e| e.pid == pid && e.kind() == kind).collect() };
        for kind in ["upcall_recv", "recv_upcall", "flow_put", "flow_exec"] {
            assert!(of(kind).iter().any(|e| e.upcall.is_some()), "{kernel}: {name} has no tied {kind}\n{}", guest.said);
        }
        assert!(of("upcall_recv").iter().all(|e| e.comm.to_string().starts_with("handler")), "{kernel}: {name}");
    }
    let contained = events.iter().any(|e| matches!(&e.body, Body::Daemon(DaemonState::Up { pid: 1, .. })));
    assert!(contained, "{kernel}: the control socket of the contained daemon answers");
    let stock = guest.text("stock");
    assert!(stock.contains("--track usdt: this ovs-vswitchd was built without USDT probes"), "{kernel}: {stock}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn a_daemon_with_probes_agrees_with_the_kernel_and_says_why_flows_go() {
    for kernel in OLDEST_AND_NEWEST {
        let guest = Guest::run_alone(kernel, "usdt", &["--ovs", "usdt"], &[]);
        let events = guest.events("storm.jsonl");
        let lost: Vec<_> = events.iter().filter(|e| matches!(&e.body, Body::Loss(loss) if loss.any())).collect();
        assert!(lost.is_empty(), "{kernel}: {lost:?}");
        check_receives(&events, kernel);
        check_operations(&events, kernel);
        check_deletions(&events, kernel);
        check_identities(&events, kernel);
        check_reasons(&events, kernel);
        check_rounds(&events, kernel);
        check_daemons(&guest, kernel);
    }
}
