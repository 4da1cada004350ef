//! Filters in the kernel: exactly what matches is recorded, whole; the rest is counted, and no counter changes.

use std::collections::{BTreeMap, BTreeSet};

use ovscope::event::{Body, Counters, DevPoint, Event, Loss, PacketId, Ufid, UpcallId};

use crate::{OLDEST_AND_NEWEST, guest::Guest};

/// What kind of packet these bytes are: tag, protocol, port or type.
fn kind(data: &[u8]) -> &'static str {
    let (tag, ip) = if data[12..14] == [0x81, 0] { (Some(&data[14..16]), &data[16..]) } else { (None, &data[12..]) };
    let (protocol, ip) = ip.split_at(2);
    let port = |ip: &[u8]| u16::from_be_bytes([ip[22], ip[23]]);
    match (tag, protocol) {
        (Some([0, 5]), [8, 0]) if ip[9] == 1 => "tagged ping",
        (None, [8, 0]) if ip[9] == 1 => "ping",
        (None, [8, 0]) if ip[9] == 17 && port(ip) == 5001 => "udp 5001",
        (None, [8, 0]) if ip[9] == 17 && port(ip) == 5002 => "udp 5002",
        (None, [8, 6]) => "arp",
        (None, [0x86, 0xdd]) if ip[6] == 58 && ip[40] == 128 => "ping 6",
        (None, [0x86, 0xdd]) if ip[6] == 58 && ip[40] == 129 => "answer 6",
        _ => "another",
    }
}

/// A recording of a guest.
pub struct Recording {
    /// All of it.
    pub events: Vec<Event>,
    name: String,
}

impl Recording {
    /// An export of a recording that a filter made, checked; `lookups` where what is left out is counted by lookups.
    pub fn of(guest: &Guest, kernel: &str, name: &str, lookups: bool) -> Self {
        let recording = Self { events: guest.events(&format!("{name}.jsonl")), name: format!("{name} on {kernel}") };
        recording.check(lookups);
        recording
    }

    fn last<T>(&self, of: impl Fn(&Event) -> Option<T>) -> T {
        self.events.iter().rev().find_map(of).unwrap_or_else(|| panic!("{}: it is in every recording", self.name))
    }

    /// The last ones.
    pub fn counters(&self) -> Counters {
        self.last(|e| if let Body::Counters(c) = &e.body { Some((**c).clone()) } else { None })
    }

    fn loss(&self) -> Loss {
        self.last(|e| if let Body::Loss(loss) = &e.body { Some(*loss) } else { None })
    }

    fn count(&self, kind: &str) -> u64 {
        self.events.iter().filter(|e| e.kind() == kind).count() as u64
    }

    /// How many packets of each kind there are.
    fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for event in &self.events {
            if let Body::PacketBytes(bytes) = &event.body {
                *kinds.entry(kind(&bytes.data)).or_default() += 1;
            }
        }
        kinds
    }

    /// What is recorded is whole, and with what is left out it is what was counted.
    fn check(&self, lookups: bool) {
        let name = &self.name;
        let (loss, counters) = (self.loss(), self.counters());
        assert!(!loss.any(), "{name}: {loss:?}");
        assert_eq!((loss.over_budget, loss.upcalls_over_budget, loss.not_sampled), (0, 0, 0), "{name}");
        let looked_up: u64 = counters.datapaths.iter().map(|d| d.hits + d.misses).sum();
        let upcalls: u64 = counters.upcalls.iter().map(|u| u.count).sum();
        assert!(looked_up >= 86 && upcalls >= 10, "{name}: the traffic came: {looked_up}, {upcalls}");
        if lookups {
            // Every upcall here is a miss.
            let left_out = loss.filtered_out + loss.upcalls_filtered_out;
            assert_eq!(self.count("flow_lookup") + left_out, looked_up, "{name}: packets");
        }
        assert_eq!(self.count("upcall") + loss.upcalls_filtered_out, upcalls, "{name}: upcalls");
        assert!(loss.upcalls_filtered_out > 0, "{name}: some were left out");
        let of = |kind: &str| -> Vec<UpcallId> {
            let mut ids: Vec<_> = self.events.iter().filter(|e| e.kind() == kind).filter_map(|e| e.upcall).collect();
            ids.sort_unstable();
            ids
        };
        for stage in ["upcall_enqueue", "upcall_return", "upcall_recv", "flow_exec"] {
            assert_eq!(of(stage), of("upcall"), "{name}: one {stage} to each upcall");
            assert_eq!(self.count(stage), self.count("upcall"), "{name}: no {stage} without one");
        }
        let named: BTreeSet<PacketId> =
            self.events.iter().filter(|e| e.kind() == "packet_bytes").filter_map(|e| e.packet).collect();
        let all: BTreeSet<PacketId> = self.events.iter().filter_map(|e| e.packet).collect();
        assert_eq!(all, named, "{name}: no step of a packet that is not wanted");
    }
}

fn check_refusals(guest: &Guest) {
    for (name, words) in [
        ("bad-bytes", "syntax error"),
        ("bad-field", "\n  in_prt = 3\n  ^^^^^^ no such field; there are: in_port, dp, ufid"),
        (
            "bad-port",
            "\n  cpu < 64 and in_port = p9_l\n                         ^^^^ there is no port 'p9_l'; there are: ovs-system",
        ),
        ("bad-reason", "there is no reason 'NO_SOKET' on this kernel; near it: NO_SOCKET"),
        ("bad-datapath", "there is no datapath 'br9'; there are: ovs-system ("),
        ("bad-buffer", "not between 256k and 1G"),
        ("bad-ufid", "can never hold with --sample 0"),
    ] {
        let text = guest.text(name);
        assert!(text.contains(words), "{name}: {text}");
        assert!(text.ends_with("status 2\n"), "{name}, and no file: {text}");
    }
}

fn check(kernel: &str) {
    let guest = Guest::run(kernel, "filter");
    check_refusals(&guest);
    let recording = |name: &str| Recording::of(&guest, kernel, name, name != "only");

    // Each to its end, though OVS changes what the filter asks for.
    let rewritten = recording("rewritten");
    assert_eq!(rewritten.kinds(), BTreeMap::from([("udp 5002", 30)]), "{kernel}");
    let left: BTreeSet<_> = rewritten
        .events
        .iter()
        .filter(|e| matches!(&e.body, Body::Dev(step) if step.dev.to_string() == "p2_l" && step.point == DevPoint::NetDevXmit))
        .filter_map(|e| e.packet)
        .collect();
    assert_eq!(left.len(), 30, "{kernel}: all left by the other port");

    assert!(guest.text("mixed.err").contains("--ring is rounded up to 32M"), "{kernel}");
    let mixed = BTreeMap::from([("udp 5001", 20), ("ping", 10), ("ping 6", 6), ("tagged ping", 8)]);
    assert_eq!(recording("mixed").kinds(), mixed, "{kernel}");

    let port = recording("port");
    let mut answers = port.kinds();
    // Now and then a host says which groups it listens to.
    answers.remove("another");
    let wanted = BTreeMap::from([("ping", 5), ("tagged ping", 4), ("arp", 3), ("answer 6", 6)]);
    assert_eq!(answers, wanted, "{kernel}");

    // Its misses are not the flow's; the kernel's own count says how many hits are.
    let flow = recording("flow");
    let ufid: Ufid = guest.text("ufid").trim().parse().expect("a UFID");
    let hits = flow.events.iter().rev().find_map(|e| match &e.body {
        Body::Counters(c) => c.flows.iter().find(|f| f.ufid == Some(ufid)).map(|f| f.hits as usize),
        _ => None,
    });
    let hits = hits.expect("the flow is counted");
    assert_eq!(flow.kinds(), BTreeMap::from([("udp 5001", hits)]), "{kernel}");
    assert!((1..=20).contains(&hits), "{kernel}: {hits}");
    let of_the_flow = |e: &Event| matches!(&e.body, Body::FlowLookup(lookup) if lookup.ufid == Some(ufid));
    assert_eq!(flow.events.iter().filter(|e| of_the_flow(e)).count(), hits, "{kernel}");
    assert!(flow.count("net_dev_queue") >= hits as u64, "{kernel}: with what was before the lookup");

    // All of a port's misses, but for the large ones.
    let missed = recording("missed");
    let in_port = missed.events.iter().find_map(|e| if let Body::Upcall(u) = &e.body { Some(u.in_port) } else { None });
    let in_port = in_port.expect("upcalls");
    let of_port: u64 = missed.counters().upcalls.iter().filter(|u| u.in_port == in_port).map(|u| u.count).sum();
    let large = recording("mixed");
    let large =
        large.events.iter().filter(|e| matches!(&e.body, Body::Upcall(u) if u.in_port == in_port && u.len >= 500));
    assert_eq!(missed.count("upcall") + large.count() as u64, of_port, "{kernel}");
    assert_eq!(missed.count("flow_lookup"), missed.count("upcall"), "{kernel}: nothing that hit");

    let only = recording("only").kinds();
    assert_eq!(only.keys().copied().collect::<Vec<_>>(), ["arp", "tagged ping"], "{kernel}: {only:?}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn exactly_what_a_filter_wants_is_recorded() {
    OLDEST_AND_NEWEST.into_iter().for_each(check);
}
