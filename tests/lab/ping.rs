//! A first packet's way through the kernel, up to the daemon and back is one timeline.

use std::collections::BTreeMap;

use ovscope::event::{Action, Body, Event, PacketId, Ufid};

use crate::{KERNELS, guest::Guest};

/// An ICMP echo message: request or reply, and its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Echo {
    request: bool,
    seq: u16,
}

fn echo(frame: &[u8]) -> Option<Echo> {
    use etherparse::{Icmpv4Type, SlicedPacket, TransportSlice};
    match SlicedPacket::from_ethernet(frame).ok()?.transport? {
        TransportSlice::Icmpv4(icmp) => match icmp.icmp_type() {
            Icmpv4Type::EchoRequest(header) => Some(Echo { request: true, seq: header.seq }),
            Icmpv4Type::EchoReply(header) => Some(Echo { request: false, seq: header.seq }),
            _ => None,
        },
        _ => None,
    }
}

/// The events of the one packet that is this echo message, in the order of their times.
fn timeline(events: &[Event], wanted: Echo) -> Vec<&Event> {
    let names: Vec<PacketId> = events
        .iter()
        .filter(|e| matches!(&e.body, Body::PacketBytes(bytes) if echo(&bytes.data) == Some(wanted)))
        .filter_map(|e| e.packet)
        .collect();
    assert_eq!(names.len(), 1, "{wanted:?} is one packet, from its first step to its last");
    let mut steps: Vec<&Event> = events.iter().filter(|e| e.packet == Some(names[0])).collect();
    steps.sort_by_key(|e| e.ts);
    steps
}

/// A reply ends in a drop: ping's raw socket has a clone, and for the original there is no socket.
fn kinds<'a>(steps: &[&'a Event]) -> Vec<&'a str> {
    // The driver's answer races with it.
    let last = steps.iter().rposition(|e| e.kind() != "net_dev_xmit");
    let is_end = |i| Some(i) == last && matches!(&steps[i].body, Body::Drop(drop) if drop.name == "NO_SOCKET");
    let way = steps.iter().enumerate().filter(|(i, _)| !is_end(*i)).map(|(_, e)| e.kind());
    way.filter(|k| !["packet_bytes", "upcall_return"].contains(k)).collect()
}

const BEFORE: [&str; 5] = ["net_dev_queue", "net_dev_start_xmit", "skb_scrub_packet", "netif_rx", "netif_receive_skb"];
const UP: [&str; 6] = ["flow_lookup", "upcall", "upcall_enqueue", "upcall_recv", "flow_put", "flow_exec"];
const OUT: [&str; 6] =
    ["action_execute", "net_dev_queue", "net_dev_start_xmit", "skb_scrub_packet", "netif_rx", "netif_receive_skb"];

/// The way of a packet that missed. Its last steps race with the driver's return, which is looked at by itself.
fn check_miss(steps: &[&Event]) -> Ufid {
    let way: Vec<&str> = kinds(steps).into_iter().filter(|k| *k != "net_dev_xmit").collect();
    let expected: Vec<&str> = BEFORE.into_iter().chain(UP).chain(OUT).collect();
    assert_eq!(way, expected);
    assert!(steps.iter().any(|e| e.kind() == "net_dev_xmit"), "the driver's answer is there too");

    let mut put = None;
    let upcalls: Vec<_> = steps.iter().filter_map(|e| e.upcall).collect();
    assert!(upcalls.windows(2).all(|w| w[0] == w[1]), "one upcall: {upcalls:?}");
    for step in steps {
        match &step.body {
            Body::FlowLookup(lookup) => {
                assert_eq!((lookup.flow, lookup.ufid), (None, None), "a miss");
                assert_ne!(lookup.dp.0, 0, "the datapath is known");
            }
            Body::UpcallEnqueue(enqueue) => assert_eq!(enqueue.ret, 0),
            Body::UpcallReturn(done) => assert_eq!(done.ret, 0),
            Body::UpcallRecv(recv) => {
                assert!(step.comm.to_string().starts_with("handler"), "received by {}", step.comm);
                assert!(recv.wait_ns > 0);
            }
            Body::FlowPut(flow_put) => {
                assert_eq!(flow_put.op.ret, 0);
                put = flow_put.op.ufid;
            }
            Body::FlowExec(exec) => assert_eq!(exec.ret, 0),
            Body::ActionExecute(execute) => {
                assert!(matches!(execute.action, Action::Output { .. }), "{:?}", execute.action);
                assert_ne!(execute.queue_id, 0, "executed for the upcall");
            }
            _ => {}
        }
    }
    put.expect("the put names its flow")
}

/// The way of a packet that hit, with its flow.
fn check_hit(steps: &[&Event]) -> Ufid {
    let way: Vec<&str> = kinds(steps).into_iter().filter(|k| *k != "net_dev_xmit").collect();
    let expected: Vec<&str> = BEFORE.into_iter().chain(["flow_lookup"]).chain(OUT).collect();
    assert_eq!(way, expected);
    let lookup = steps.iter().find_map(|e| match &e.body {
        Body::FlowLookup(lookup) => Some(lookup),
        _ => None,
    });
    lookup.expect("it was looked up").ufid.expect("a hit on a flow with a UFID")
}

#[test]
#[ignore = "boots guests of the lab"]
fn a_first_ping_goes_up_and_back_as_one_packet_and_the_second_hits_its_flows() {
    for kernel in KERNELS {
        let guest = Guest::run(kernel, "ping");
        let events = guest.events("ping.jsonl");
        let mut flows = BTreeMap::new();
        for request in [true, false] {
            let ufid = check_miss(&timeline(&events, Echo { request, seq: 1 }));
            flows.insert(request, ufid);
            assert_eq!(
                check_hit(&timeline(&events, Echo { request, seq: 2 })),
                ufid,
                "{kernel}: the flow that was put"
            );
        }
        assert_ne!(flows[&true], flows[&false]);
        let lost = events.iter().any(|e| matches!(&e.body, Body::Loss(loss) if loss.any()));
        assert!(!lost, "{kernel}: nothing was lost");
    }
}
