//! The lower rung of the ladder sees what the upper one does; what attaching took is given up afterwards; a datapath
//! that is made anew is not taken for the one before.

use std::collections::BTreeMap;

use ovscope::{
    event::{Body, Capability, CapabilityState, DpIfindex, Event, Loss, UpcallId},
    privileges,
};

use crate::{OLDEST_AND_NEWEST, exact::dpctl, guest::Guest};

fn last<T>(events: &[Event], of: impl Fn(&Body) -> Option<T>) -> T {
    events.iter().rev().find_map(|e| of(&e.body)).expect("there is one")
}

fn capabilities(events: &[Event]) -> Vec<Capability> {
    last(events, |body| match body {
        Body::Probes { capabilities } => Some(capabilities.clone()),
        _ => None,
    })
}

fn check_rung(capabilities: &[Capability], kernel: &str) {
    // What is in the daemon is attached in one way, and this daemon has nothing of it.
    let (in_daemon, in_kernel): (Vec<_>, Vec<_>) = capabilities.iter().partition(|c| c.name.starts_with("usdt"));
    assert!(in_daemon.iter().all(|c| c.state == CapabilityState::Off), "{kernel}: {in_daemon:?}");
    for capability in in_kernel {
        assert_eq!(capability.state, CapabilityState::Degraded, "{kernel}: {capability:?}");
        assert!(capability.why.starts_with("as asked (--attach kprobe)"), "{kernel}: {capability:?}");
        let lower = capability.probe.starts_with("kprobe") || capability.probe.starts_with("raw_tp");
        assert!(lower, "{kernel}: {capability:?}");
    }
    let counted = capabilities.iter().find(|c| c.name == "flow_hit").expect("hits are counted");
    let cost = counted.cost.expect("the cost is read without a privilege");
    assert!(cost.runs > 1000 && cost.ns > 0, "{kernel}: {cost:?}");
}

/// The runs that the kernel passed over are what may be missing; before Linux 6.7 it does not count them.
fn missed(events: &[Event], kernel: &str) -> u64 {
    let loss = events.iter().rev().find_map(|e| match &e.body {
        Body::Loss(loss) => Some(*loss),
        _ => None,
    });
    let loss = loss.unwrap_or_default();
    assert!(!Loss { missed_runs: 0, ..loss }.any(), "{kernel}: {loss:?}");
    loss.missed_runs + if kernel == "6.1" { 5 } else { 0 }
}

fn check_counters(guest: &Guest, events: &[Event], kernel: &str) {
    let (before, after) = (dpctl(&guest.text("before")), dpctl(&guest.text("after")));
    let expected = (after.0 - before.0, after.1 - before.1);
    assert!(expected.0 >= 1000 && expected.1 >= 1500, "{kernel}: the traffic came: {expected:?}");
    let counted = last(events, |body| match body {
        Body::Counters(counters) => {
            Some(counters.datapaths.iter().fold((0, 0), |sum, dp| (sum.0 + dp.hits, sum.1 + dp.misses)))
        }
        _ => None,
    });
    let missed = missed(events, kernel);
    for (counted, expected) in [(counted.0, expected.0), (counted.1, expected.1)] {
        assert!(counted <= expected, "{kernel}: {counted} of {expected}");
        assert!(expected - counted <= missed, "{kernel}: {counted} of {expected}, {missed} missed");
    }
}

/// Every recorded upcall is whole, but for as many as runs were missed.
fn check_upcalls(events: &[Event], kernel: &str) {
    let stages = |kind: &str| {
        let mut of: BTreeMap<UpcallId, u64> = BTreeMap::new();
        for id in events.iter().filter(|e| e.kind() == kind).filter_map(|e| e.upcall) {
            *of.entry(id).or_default() += 1;
        }
        of
    };
    let upcalls = stages("upcall");
    assert!(upcalls.len() > 500, "{kernel}: {} upcalls seen", upcalls.len());
    let mut odd = 0;
    for stage in ["upcall_enqueue", "upcall_return", "upcall_recv", "flow_exec"] {
        let seen = stages(stage);
        assert!(seen.keys().all(|id| upcalls.contains_key(id)), "{kernel}: a {stage} of no upcall");
        odd += upcalls.keys().filter(|id| seen.get(id) != Some(&1)).count();
    }
    let untied = events.iter().filter(|e| e.kind() == "flow_exec" && e.upcall.is_none()).count();
    let missed = missed(events, kernel);
    assert!((odd + untied) as u64 <= 4 * missed, "{kernel}: {odd} odd, {untied} untied, {missed} missed");
}

fn check_threads(text: &str, kernel: &str) {
    let bits = |list: &[caps::Capability]| list.iter().fold(0, |bits, c| bits | c.bitmask());
    let mut names = Vec::new();
    for thread in text.split("Name:").skip(1) {
        let name = thread.lines().next().unwrap_or_default().trim();
        let field = |key: &str| {
            let line = thread.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_else(|| panic!("no {key} of {name}"));
            u64::from_str_radix(line.trim(), 16).expect("a number")
        };
        let kept = bits(match name {
            "ovscope-probes" => privileges::PROBES_OF_DAEMONS,
            "ovscope-symbols" => &[],
            _ => privileges::SCREEN,
        });
        assert_eq!((field("CapPrm:"), field("CapEff:")), (kept, kept), "{kernel}: {name}");
        assert_eq!((field("CapInh:"), field("CapAmb:"), field("NoNewPrivs:")), (0, 0, 1), "{kernel}: {name}");
        names.push(name);
    }
    assert!(names.len() >= 2 && names.contains(&"ovscope") && names.contains(&"ovscope-probes"), "{kernel}: {names:?}");
}

/// Nothing after the new datapath's first event speaks of the old one, and each has its own counts.
fn check_again(guest: &Guest, kernel: &str) {
    let events = guest.events("again.jsonl");
    let new = DpIfindex(guest.text("number").trim().parse().expect("a number"));
    let of_upcalls: Vec<DpIfindex> = {
        let mut upcalls: Vec<&Event> = events.iter().filter(|e| e.kind() == "upcall").collect();
        upcalls.sort_by_key(|e| e.ts);
        upcalls
            .into_iter()
            .filter_map(|e| match &e.body {
                Body::Upcall(upcall) => Some(upcall.dp),
                _ => None,
            })
            .collect()
    };
    let begins = of_upcalls.iter().position(|dp| *dp == new).expect("upcalls of the new one");
    assert!(begins > 0, "{kernel}: upcalls of the old one");
    let old = of_upcalls[0];
    assert_ne!(old, new);
    assert!(of_upcalls[..begins].iter().all(|dp| *dp == old), "{kernel}: {of_upcalls:?}");
    assert!(of_upcalls[begins..].iter().all(|dp| *dp == new), "{kernel}: {of_upcalls:?}");
    let counted = last(&events, |body| match body {
        Body::Counters(counters) => Some(counters.datapaths.clone()),
        _ => None,
    });
    let of = |dp| {
        let of: Vec<_> = counted.iter().filter(|c| c.dp == dp).map(|c| (c.hits, c.misses)).collect();
        assert_eq!(of.len(), 1, "{kernel}: {counted:?}");
        of[0]
    };
    assert_eq!(of(new), dpctl(&guest.text("again")), "{kernel}: the new one's, against ovs-dpctl");
    assert!(of(old).0 + of(old).1 >= 4, "{kernel}: the old one's stay: {counted:?}");
    let by_itself = |c: &Capability| c.state == CapabilityState::Attached || c.name.starts_with("usdt");
    assert!(capabilities(&events).iter().all(by_itself), "{kernel}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn kprobes_see_the_same_what_attaching_took_is_given_up_and_a_new_datapath_is_not_the_old_one() {
    for kernel in OLDEST_AND_NEWEST {
        let guest = Guest::run(kernel, "attach");
        let events = guest.events("kprobe.jsonl");
        check_rung(&capabilities(&events), kernel);
        check_counters(&guest, &events, kernel);
        check_upcalls(&events, kernel);
        check_threads(&guest.text("threads"), kernel);
        check_again(&guest, kernel);
    }
}
