//! No packet's receive, put, execute or actions are another's, however alike they are.
//!
//! Witnesses that ties are not made by: the length of the packet that comes back, where every length is another; the
//! port in a flow as the daemon's own dump has it; and the order in which a handler works a batch off.

use std::collections::{BTreeMap, BTreeSet};

use ovscope::event::{Body, DevPoint, Event, PacketId, Ufid, UpcallId};

use crate::{KERNELS, guest::Guest};

/// Packets to this port are dropped.
const DROPPED: u16 = 7;

/// A UDP packet as it was first seen.
struct Sent {
    len: u32,
    from_port: u16,
    to_port: u16,
}

fn sent(events: &[Event]) -> BTreeMap<PacketId, Sent> {
    let number = |data: &[u8], at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
    let packet = |e: &Event| match &e.body {
        Body::PacketBytes(bytes) if bytes.data.get(23) == Some(&17) => {
            let (from_port, to_port) = (number(&bytes.data, 34), number(&bytes.data, 36));
            Some((e.packet?, Sent { len: bytes.len, from_port, to_port }))
        }
        _ => None,
    };
    events.iter().filter_map(packet).collect()
}

/// What a packet was sent up with comes back: given to a device, it has the length that it had.
fn check_lengths(events: &[Event], sent: &BTreeMap<PacketId, Sent>, kernel: &str) {
    let mut came_back = BTreeSet::new();
    for e in events {
        let Body::Dev(step) = &e.body else { continue };
        let Some((packet, upcall)) = e.packet.zip(e.upcall) else { continue };
        let Some(sent) = sent.get(&packet) else { continue };
        if step.point == DevPoint::NetDevQueue {
            assert_eq!(step.len, sent.len, "{kernel}: {e:?}");
            assert!(came_back.insert(upcall), "{kernel}: twice: {e:?}");
        }
    }
    let went_up = |e: &&Event| {
        let sent = e.packet.and_then(|p| sent.get(&p));
        matches!(e.body, Body::Upcall(_)) && sent.is_some_and(|s| s.to_port != DROPPED)
    };
    assert_eq!(came_back.len(), events.iter().filter(went_up).count(), "{kernel}: all that were not dropped came back");
}

/// The flow that a put made is that of the packet's port: `udp(src=1024,…` behind the flow's UFID in the dump.
fn check_puts(events: &[Event], sent: &BTreeMap<PacketId, Sent>, dump: &str, kernel: &str) {
    let ports: BTreeMap<Ufid, (u16, u16)> = dump
        .lines()
        .filter_map(|line| {
            let ufid = line.strip_prefix("ufid:")?.split(',').next()?.parse().ok()?;
            let (_, udp) = line.split_once("udp(src=")?;
            let mut numbers = udp.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
            Some((ufid, (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?)))
        })
        .collect();
    let mut known = 0;
    for e in events {
        let Body::FlowPut(put) = &e.body else { continue };
        let Some(sent) = e.packet.and_then(|p| sent.get(&p)) else { continue };
        let Some(&(from, _)) = put.op.ufid.and_then(|ufid| ports.get(&ufid)) else { continue };
        assert_eq!(from, sent.from_port, "{kernel}: {e:?}");
        known += 1;
    }
    assert!(known >= 1500, "{kernel}: {known} puts of the dump's {} flows", ports.len());
}

/// Each upcall was received once and answered as it should be, and each batch in its order.
fn check_answers(events: &[Event], sent: &BTreeMap<PacketId, Sent>, kernel: &str) {
    #[derive(Default)]
    struct Seen {
        packet: Option<PacketId>,
        recv: u32,
        put: u32,
        exec: u32,
    }
    let mut upcalls: BTreeMap<UpcallId, Seen> = BTreeMap::new();
    let mut batches: BTreeMap<(u32, u64), Vec<(u64, u32)>> = BTreeMap::new();
    for e in events {
        let Some(id) = e.upcall else {
            assert!(!matches!(e.body, Body::FlowExec(_)), "{kernel}: untied: {e:?}");
            continue;
        };
        let seen = upcalls.entry(id).or_default();
        match &e.body {
            Body::Upcall(_) => seen.packet = e.packet,
            Body::UpcallRecv(_) => seen.recv += 1,
            Body::FlowPut(_) => seen.put += 1,
            Body::FlowExec(exec) => {
                seen.exec += 1;
                batches.entry((e.tid, exec.batch_ts)).or_default().push((e.ts, exec.batch_idx));
            }
            _ => continue,
        }
        assert!(e.packet.is_some() && e.packet == seen.packet.or(e.packet), "{kernel}: {e:?}");
    }
    let mut without_put = 0;
    for (id, seen) in &upcalls {
        let Some(sent) = seen.packet.and_then(|p| sent.get(&p)) else { continue };
        let answers = (seen.recv, seen.put, seen.exec);
        match (sent.to_port, sent.from_port) {
            // Where the datapath has an action for it, the daemon has the packet dropped; else there is nothing to do.
            (DROPPED, _) => assert_eq!(answers, (1, 1, u32::from(kernel != "6.1")), "{kernel}: dropped: {id:?}"),
            (_, 7000 | 7001) => {
                assert_eq!((seen.recv, seen.exec), (1, 1), "{kernel}: {id:?}");
                without_put += u32::from(seen.put == 0);
            }
            _ => assert_eq!(answers, (1, 1, 1), "{kernel}: {id:?}"),
        }
    }
    assert!(without_put >= 1600, "{kernel}: {without_put} executes without a put");
    for (batch, mut execs) in batches {
        execs.sort_unstable();
        assert!(execs.is_sorted_by_key(|(_, at)| at), "{kernel}: a batch out of its order: {batch:?} {execs:?}");
    }
}

#[test]
#[ignore = "boots guests of the lab"]
fn nothing_is_tied_to_what_only_looks_like_it() {
    for kernel in KERNELS {
        let guest = Guest::run_alone(kernel, "ties", &[], &[]);
        let events = guest.events("ties.jsonl");
        let lost = events.iter().rev().find_map(|e| match &e.body {
            Body::Loss(loss) => Some(*loss),
            _ => None,
        });
        assert!(!lost.is_some_and(|l| l.any() || l.upcalls_over_budget > 0), "{kernel}: {lost:?}");
        let sent = sent(&events);
        assert!(sent.len() >= 3300, "{kernel}: {} packets", sent.len());
        check_lengths(&events, &sent, kernel);
        check_puts(&events, &sent, &guest.text("flows"), kernel);
        check_answers(&events, &sent, kernel);
    }
}
