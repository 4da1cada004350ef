//! Packets are recorded for the reason they are dropped for, with their way before, and no others are.

use std::collections::BTreeMap;

use ovscope::event::{Action, Body, Event, PacketId};

use crate::{KERNELS, filter::Recording, guest::Guest};

/// The UDP port that a frame is sent to; none of another.
fn port(data: &[u8]) -> Option<u16> {
    (data[12..14] == [8, 0] && data[23] == 17).then(|| u16::from_be_bytes([data[36], data[37]]))
}

/// What was told of one packet, in the order of the times.
#[derive(Default)]
struct Way<'a> {
    port: Option<u16>,
    len: u32,
    events: Vec<&'a Event>,
}

impl Way<'_> {
    fn reasons(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|e| if let Body::Drop(d) = &e.body { Some(d.name.as_str()) } else { None })
            .collect()
    }

    fn lookups(&self) -> Vec<u32> {
        let of = |body: &Body| if let Body::FlowLookup(lookup) = body { Some(lookup.recirc_id) } else { None };
        self.events.iter().filter_map(|e| of(&e.body)).collect()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|e| e.kind()).collect()
    }
}

fn ways(events: &[Event]) -> Vec<Way<'_>> {
    let mut ways: BTreeMap<PacketId, Way<'_>> = BTreeMap::new();
    for event in events {
        let Some(packet) = event.packet else { continue };
        let way = ways.entry(packet).or_default();
        match &event.body {
            Body::PacketBytes(bytes) => (way.port, way.len) = (port(&bytes.data), bytes.len),
            _ => way.events.push(event),
        }
    }
    for way in ways.values_mut() {
        way.events.sort_by_key(|e| e.ts);
    }
    ways.into_values().collect()
}

fn count(ways: &[Way<'_>], port: u16) -> usize {
    ways.iter().filter(|way| way.port == Some(port)).count()
}

/// What nobody listens for on a host behind the datapath.
fn check_socket(kernel: &str, recording: &Recording, ports: &[u16]) {
    let ways = ways(&recording.events);
    assert_eq!(count(&ways, 7100), 20, "{kernel}");
    for way in &ways {
        assert!(way.port.is_some_and(|port| ports.contains(&port)), "{kernel}: {:?} {:?}", way.port, way.kinds());
        assert_eq!((way.reasons(), way.len), (vec!["NO_SOCKET"], 100), "{kernel}: {:?}", way.kinds());
        // One that went up was another packet before.
        if !way.lookups().is_empty() {
            let there = |kind: &str| way.kinds().iter().position(|k| *k == kind);
            let in_order = ["net_dev_queue", "flow_lookup", "action_execute", "drop"].map(there);
            assert!(in_order.is_sorted() && !in_order.contains(&None), "{kernel}: {:?}", way.kinds());
            // And at the other host, which it was left out for before.
            assert!(
                way.kinds().iter().filter(|k| **k == "netif_receive_skb").count() >= 2,
                "{kernel}: {:?}",
                way.kinds()
            );
        }
    }
    assert!(ways.iter().filter(|way| !way.lookups().is_empty()).count() >= 15, "{kernel}: most hit a flow");
}

fn dropped(recording: &Recording, names: &[&str]) -> usize {
    let drops = recording.counters().drops;
    drops.iter().filter(|d| names.contains(&d.name.as_str())).map(|d| d.count as usize).sum()
}

/// Every packet that a meter drops: on its first pass, and what went up, where it comes back.
fn check_meter(kernel: &str, recording: &Recording) {
    let ways = ways(&recording.events);
    let counted = dropped(recording, &["OVS_DROP_METER"]);
    assert!((15..=20).contains(&counted), "{kernel}: {counted}");
    assert_eq!((count(&ways, 7003), ways.len()), (counted, counted), "{kernel}");
    assert!(ways.iter().all(|way| way.reasons() == ["OVS_DROP_METER"]), "{kernel}");
}

/// A drop behind a recirculation, with both passes.
fn check_passes(kernel: &str, recording: &Recording) {
    let ways = ways(&recording.events);
    let counted = dropped(recording, &["OVS_DROP_EXPLICIT", "OVS_DROP_LAST_ACTION"]);
    assert!((15..=20).contains(&counted), "{kernel}: {counted}");
    assert_eq!((count(&ways, 7300), ways.len()), (counted, counted), "{kernel}");
    let twice: Vec<_> = ways.iter().filter(|way| way.lookups().len() == 2).collect();
    assert!(twice.len() >= 10, "{kernel}: most hit flows: {}", twice.len());
    for way in twice {
        let passes = way.lookups();
        assert!(matches!(passes[..], [0, second] if second != 0), "{kernel}: {passes:?} {:?}", way.kinds());
        let of_first = |e: &&&Event| matches!(&e.body, Body::ActionExecute(a) if a.recirc_id == 0);
        let first: Vec<&Body> = way.events.iter().filter(of_first).map(|e| &e.body).collect();
        let is = |body: &Body, action: fn(&Action) -> bool| matches!(body, Body::ActionExecute(a) if action(&a.action));
        assert!(
            matches!(first[..], [ct, recirc] if is(ct, |a| matches!(a, Action::Ct { .. }))
                && is(recirc, |a| matches!(a, Action::Recirc { .. }))),
            "{kernel}: {first:?}"
        );
    }
}

/// The same alone that were at their second pass.
fn check_second(kernel: &str, recording: &Recording, passes: &Recording) {
    let twice = ways(&passes.events).iter().filter(|way| way.lookups().len() == 2).count();
    let ways = ways(&recording.events);
    assert_eq!((count(&ways, 7300), ways.len()), (twice, twice), "{kernel}");
}

/// Every other reason, of what came in by one port.
fn check_others(kernel: &str, recording: &Recording) {
    let ways = ways(&recording.events);
    let counted = dropped(recording, &["OVS_DROP_EXPLICIT", "OVS_DROP_LAST_ACTION", "OVS_DROP_EXPLICIT_WITH_ERROR"]);
    assert_eq!(count(&ways, 7300) + count(&ways, 7002), counted, "{kernel}");
    assert_eq!([7003, 7100, 7200].map(|port| count(&ways, port)), [0; 3], "{kernel}");
    assert!(count(&ways, 7002) >= 15, "{kernel}");
}

fn check(kernel: &str) {
    let guest = Guest::run(kernel, "reasons");
    for (name, words) in [
        (
            "near",
            "\n  cpu < 64 and reason in {NO_SOKET}\n                          ^^^^^^^^ there is no reason 'NO_SOKET'",
        ),
        ("near", "near it: NO_SOCKET"),
        ("upcalls", "can never hold with --sample 0"),
    ] {
        let text = guest.text(name);
        assert!(text.contains(words) && text.ends_with("status 2\n"), "{kernel}: {name}: {text}");
    }
    // Some are recirculated, and left out once.
    let recording = |name: &str| Recording::of(&guest, kernel, name, false);
    let socket = recording("socket");
    check_socket(kernel, &socket, &[7100, 7003]);
    check_socket(kernel, &recording("number"), &[7100]);
    if kernel == "6.1" {
        let none = guest.text("none");
        assert!(none.contains("no reasons of its own on this kernel (Linux does since 6.6)"), "{none}");
        assert!(none.contains("there are: ") && none.ends_with("status 2\n"), "{none}");
        return;
    }
    // What the meter lets through ends at a closed port too.
    let through = count(&ways(&socket.events), 7003);
    let meter = recording("meter");
    assert_eq!(through + dropped(&meter, &["OVS_DROP_METER"]), 20, "{kernel}");
    check_meter(kernel, &meter);
    let passes = recording("passes");
    check_passes(kernel, &passes);
    check_second(kernel, &recording("second"), &passes);
    check_others(kernel, &recording("others"));
}

#[test]
#[ignore = "boots guests of the lab"]
fn what_is_dropped_for_a_reason_is_recorded_with_its_way_before() {
    KERNELS.into_iter().for_each(check);
}
