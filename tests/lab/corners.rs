//! What is rare and must be right all the same: a buffer that is sent again is another packet; segments that go up are one; what is lent to the message
//! comes back tied; an action that the daemon does not know; one of two datapaths.

use std::collections::{BTreeMap, BTreeSet};

use ovscope::event::{Action, Body, DevPoint, DpIfindex, Event, Loss, PacketId};

use crate::{OLDEST_AND_NEWEST, guest::Guest};

/// Protocol and port that a packet of IPv4 is sent to, and whether it has a VLAN tag.
fn sent_to(data: &[u8]) -> Option<(u8, u16, bool)> {
    let tagged = data[12..14] == [0x81, 0];
    let ip = &data[if tagged { 18 } else { 14 }..];
    (data[if tagged { 16 } else { 12 }..][..2] == [8, 0]).then(|| (ip[9], u16::from_be_bytes([ip[22], ip[23]]), tagged))
}

/// The packets of a protocol to a port.
fn packets(events: &[Event], protocol: u8, port: u16) -> BTreeMap<PacketId, bool> {
    let of = |e: &Event| match &e.body {
        Body::PacketBytes(bytes) => Some((e.packet?, sent_to(&bytes.data)?)),
        _ => None,
    };
    let all = events.iter().filter_map(of);
    all.filter(|(_, to)| (to.0, to.1) == (protocol, port)).map(|(packet, (.., tagged))| (packet, tagged)).collect()
}

/// A connection is asked for some times, each time from the same buffer.
fn check_again(events: &[Event], kernel: &str) {
    let asked = packets(events, 6, 9000);
    assert!(asked.len() >= 3, "{kernel}: {} packets", asked.len());
    for packet in asked.keys() {
        let of: Vec<&Event> = events.iter().filter(|e| e.packet == Some(*packet)).collect();
        let count = |is: fn(&Body) -> bool| of.iter().filter(|e| is(&e.body)).count();
        let queued = count(
            |body| matches!(body, Body::Dev(step) if step.point == DevPoint::NetDevQueue && step.dev.to_string() == "p1_r"),
        );
        let looked_up = count(|body| matches!(body, Body::FlowLookup(_)));
        assert_eq!((queued, looked_up), (1, 1), "{kernel}: {of:#?}");
    }
}

/// Each goes up and comes back as itself, with its tag or without.
fn check_lent(events: &[Event], kernel: &str) {
    let sent = packets(events, 17, 9100);
    assert_eq!(sent.values().filter(|tagged| **tagged).count(), 20, "{kernel}");
    assert_eq!(sent.len(), 40, "{kernel}");
    for packet in sent.keys() {
        let of: Vec<&Event> = events.iter().filter(|e| e.packet == Some(*packet)).collect();
        for kind in ["upcall", "upcall_enqueue", "upcall_recv", "flow_put", "flow_exec"] {
            let tied = of.iter().filter(|e| e.kind() == kind && e.upcall.is_some()).count();
            assert_eq!(tied, 1, "{kernel}: {kind}: {of:#?}");
        }
        let left = |e: &&&Event| matches!(&e.body, Body::Dev(step) if step.point == DevPoint::NetDevQueue && step.dev.to_string() == "p2_l");
        assert_eq!(of.iter().filter(left).count(), 1, "{kernel}: it leaves by the other port: {of:#?}");
    }
    let untied = events.iter().find(|e| e.upcall.is_none() && matches!(e.body, Body::FlowExec(_)));
    assert!(untied.is_none(), "{kernel}: {untied:?}");
}

/// What is to be segmented later goes up in its segments: one upcall, a message for each, each answered.
fn check_segments(events: &[Event], kernel: &str) {
    let sent = packets(events, 17, 9200);
    assert_eq!(sent.len(), 1, "{kernel}: one packet");
    let of: Vec<&Event> = events.iter().filter(|e| e.packet.is_some_and(|p| sent.contains_key(&p))).collect();
    let count = |kind: &str| of.iter().filter(|e| e.kind() == kind && e.upcall.is_some()).count();
    assert_eq!([count("upcall"), count("upcall_return")], [1, 1], "{kernel}: {of:#?}");
    assert_eq!([count("upcall_enqueue"), count("upcall_recv"), count("flow_exec")], [5; 3], "{kernel}: {of:#?}");
    let places = of.iter().filter_map(|e| match &e.body {
        Body::UpcallEnqueue(queued) => Some((queued.index, queued.ret)),
        _ => None,
    });
    assert_eq!(places.collect::<Vec<_>>(), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)], "{kernel}");
    let executed: BTreeSet<u64> =
        of.iter().filter_map(|e| if let Body::FlowExec(exec) = &e.body { Some(exec.queue_id) } else { None }).collect();
    assert_eq!(executed.len(), 5, "{kernel}: each of its own message");
}

/// The daemon has others for it.
fn check_dec_ttl(events: &[Event], kernel: &str) {
    let done = events.iter().filter_map(|e| match &e.body {
        Body::ActionExecute(execute) => match &execute.action {
            Action::DecTtl { actions } => Some(actions.as_ref().map(|list| list.actions.as_slice())),
            _ => None,
        },
        _ => None,
    });
    let done: Vec<_> = done.collect();
    assert_eq!(done.len(), 20, "{kernel}");
    assert!(done.iter().all(|list| *list == Some(&[Action::Output { port: 1 }])), "{kernel}: {done:?}");
}

/// Only one's packets are recorded, and both are counted.
fn check_one_of_two(events: &[Event], wanted: DpIfindex, both: [DpIfindex; 2], kernel: &str) {
    let of: BTreeSet<DpIfindex> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::FlowLookup(lookup) => Some(lookup.dp),
            Body::Upcall(upcall) => Some(upcall.dp),
            Body::ActionExecute(execute) => Some(execute.dp),
            Body::FlowExec(exec) => Some(exec.dp),
            _ => None,
        })
        .collect();
    assert_eq!(of, BTreeSet::from([wanted]), "{kernel}");
    let counters = events.iter().rev().find_map(|e| match &e.body {
        Body::Counters(counters) => Some(counters),
        _ => None,
    });
    let counters = counters.expect("they are in every recording");
    for dp in both {
        let counted: u64 = counters.datapaths.iter().filter(|d| d.dp == dp).map(|d| d.hits + d.misses).sum();
        assert!(counted >= 40, "{kernel}: {dp:?}: {:?}", counters.datapaths);
    }
    let loss = events.iter().rev().find_map(|e| if let Body::Loss(loss) = &e.body { Some(*loss) } else { None });
    let loss = loss.expect("the other's are left out");
    let left_out = loss.filtered_out + loss.upcalls_filtered_out;
    assert!(left_out >= 40 && !Loss { filtered_out: 0, upcalls_filtered_out: 0, ..loss }.any(), "{kernel}: {loss:?}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn what_is_rare_is_right_too() {
    for kernel in OLDEST_AND_NEWEST {
        let guest = Guest::run(kernel, "corners");
        let all = guest.events("all.jsonl");
        check_again(&all, kernel);
        check_lent(&all, kernel);
        check_segments(&all, kernel);
        check_dec_ttl(&all, kernel);
        let number = |name: &str| DpIfindex(guest.text(name).trim().parse().expect("a number"));
        let (own, daemon) = (number("own"), number("ovs-system"));
        check_one_of_two(&guest.events("own.jsonl"), own, [own, daemon], kernel);
        check_one_of_two(&guest.events("daemon.jsonl"), daemon, [own, daemon], kernel);
    }
}
