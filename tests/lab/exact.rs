//! What is counted is what the datapath itself counts; every recorded upcall is whole; nothing stays when killed; and the
//! same of a part of the packets.

use ovscope::event::{Body, CapabilityState, Event, UpcallId};
use serde_json::Value;

use crate::{KERNELS, guest::Guest, parts};

/// Hits and misses of `ovs-dpctl show`.
pub fn dpctl(text: &str) -> (u64, u64) {
    let line = text.lines().find(|l| l.contains("lookups:")).expect("a line of lookups");
    let number = |key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key))
            .and_then(|n| n.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("no {key} in {line}"))
    };
    (number("hit:"), number("missed:"))
}

fn check_counters(guest: &Guest, kernel: &str) {
    let (hits_before, misses_before) = dpctl(&guest.text("before"));
    let (hits_after, misses_after) = dpctl(&guest.text("after"));
    let expected = (hits_after - hits_before, misses_after - misses_before);
    assert!(expected.0 >= 1000 && expected.1 >= 6000, "the traffic came: {expected:?}");

    let last = guest.text("stat.jsonl").lines().last().map(str::to_owned).expect("lines of stat");
    let stat: Value = serde_json::from_str(&last).expect("stat's JSON");
    let total = |key: &str| stat["total"][key].as_u64().unwrap_or_else(|| panic!("no total of {key} in {last}"));
    assert_eq!((total("hits"), total("misses")), expected, "{kernel}: stat against ovs-dpctl");
    assert_eq!(total("lookups"), expected.0 + expected.1);
    assert_eq!(total("upcalls"), expected.1, "{kernel}: every miss went up");

    let events = guest.events("storm.jsonl");
    let recorded = events.iter().rev().find_map(|e| match &e.body {
        Body::Counters(counters) => Some(counters),
        _ => None,
    });
    let recorded = recorded.expect("counters in the recording");
    let sum = recorded.datapaths.iter().fold((0, 0), |sum, dp| (sum.0 + dp.hits, sum.1 + dp.misses));
    assert_eq!(sum, expected, "{kernel}: the recording against ovs-dpctl");
}

/// No kernel refuses a program, those for a daemon with USDT probes included: a stock one has but no use for them.
fn check_capabilities(events: &[Event], kernel: &str) {
    let capabilities = events.iter().rev().find_map(|e| match &e.body {
        Body::Probes { capabilities } => Some(capabilities),
        _ => None,
    });
    let capabilities = capabilities.expect("they are in every recording");
    for capability in capabilities {
        let off = capability.name.starts_with("usdt") && capability.why.contains("was built without USDT probes");
        let expected = if off { CapabilityState::Off } else { CapabilityState::Attached };
        assert_eq!(capability.state, expected, "{kernel}: {capability:?}");
    }
    assert!(capabilities.len() > 10, "{kernel}: {capabilities:?}");
}

/// Every recorded upcall that was queued was received, and executed once; what was left out is counted.
fn check_upcalls(events: &[Event], kernel: &str) {
    let of = |kind: &str| -> Vec<UpcallId> {
        let mut ids: Vec<UpcallId> = events.iter().filter(|e| e.kind() == kind).filter_map(|e| e.upcall).collect();
        ids.sort_unstable();
        ids
    };
    let loss = events.iter().rev().find_map(|e| match &e.body {
        Body::Loss(loss) => Some(*loss),
        _ => None,
    });
    assert!(!loss.is_some_and(|l| l.any()), "{kernel}: {loss:?}");
    let left_out = loss.map_or(0, |l| l.upcalls_over_budget);
    let untied = events.iter().filter(|e| e.kind() == "flow_exec" && e.upcall.is_none()).count();
    assert_eq!(untied, 0, "{kernel}: every execute is tied");
    let upcalls = of("upcall");
    assert!(upcalls.len() > 1000, "{kernel}: {} upcalls seen", upcalls.len());
    for stage in ["upcall_enqueue", "upcall_return", "upcall_recv", "flow_exec"] {
        let seen = of(stage);
        let odd = upcalls.iter().find(|id| seen.iter().filter(|s| s == id).count() != 1);
        let all: Vec<&Event> = events.iter().filter(|e| odd.is_some() && e.upcall == odd.copied()).collect();
        assert!(odd.is_none() && seen.len() == upcalls.len(), "{kernel}: not one {stage} to each upcall: {all:#?}");
    }
    let counted: u64 = events
        .iter()
        .rev()
        .find_map(|e| match &e.body {
            Body::Counters(c) => Some(c.upcalls.iter().map(|u| u.count).sum()),
            _ => None,
        })
        .expect("counters");
    assert_eq!(upcalls.len() as u64 + left_out, counted, "{kernel}: seen and left out are all");
}

fn check_nothing_stays(guest: &Guest, kernel: &str) {
    let count = |name: &str| guest.text(name).trim().parse::<u32>().expect("a number");
    for kind in ["programs", "links"] {
        let [before, during, after] = ["before", "during", "after"].map(|when| count(&format!("{kind}-{when}")));
        assert!(during > before, "{kernel}: {kind} were there: {before} {during}");
        assert_eq!(after, before, "{kernel}: {kind} left after kill -9");
    }
}

#[test]
#[ignore = "boots guests of the lab"]
fn a_storm_is_counted_exactly_and_every_recorded_upcall_is_whole() {
    for kernel in KERNELS {
        let guest = Guest::run_alone(kernel, "exact", &[], &[]);
        check_counters(&guest, kernel);
        let events = guest.events("storm.jsonl");
        check_capabilities(&events, kernel);
        check_upcalls(&events, kernel);
        check_nothing_stays(&guest, kernel);
        parts::check(&guest, kernel);
    }
}
