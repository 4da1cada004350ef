//! Programs that the kernel's own verifier refuses: that probe alone falls a rung or is missing, doctor and the screen say so and
//! why, and everything else is as right as with all of them.

use std::{collections::BTreeMap, num::NonZeroU16};

use ovscope::{
    event::{Body, Capability, CapabilityState, Event, Loss, UpcallId},
    record::Reader,
};

use crate::{exact::dpctl, guest::Guest};

/// What the verifier says of the instruction that was written into them (`lab/guest/refuse.pl`).
const SAID: &str = "the kernel refused it (invalid read from stack";

/// What a terminal shows after all this was written to it.
fn shown(guest: &Guest, name: &str) -> String {
    let cells = |n| NonZeroU16::new(n).expect("a size");
    let mut terminal = vt100::Parser::new(cells(50), cells(160), 0);
    let bytes = std::fs::read(guest.file(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", guest.said));
    // The first line is of script(1).
    let begin = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    terminal.process(&bytes[begin..]);
    terminal.screen().contents()
}

/// The line of a screen or a page that begins so.
fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    text.lines().find(|line| line.trim_start().starts_with(begin)).unwrap_or_else(|| panic!("no {begin}:\n{text}"))
}

fn check_doctor(guest: &Guest, kernel: &str) {
    let doctor = guest.text("some-doctor");
    let on_one_line = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        &format!("DEGRADED upcall_return kprobe+kretprobe ovs_dp_upcall; {SAID}"),
        &format!("DEGRADED upcall_enqueue kprobe+kretprobe queue_userspace_packet, kprobe netlink_unicast; {SAID}"),
        // The same reason on both rungs is said once.
        &format!("MISSING flow_put {SAID} R10 off=8 size=8): new and changed flows are not seen"),
        "attached flow_hit",
        "ovscope works here with the probes that are attached: sudo ovscope",
        "status 0",
    ] {
        assert!(on_one_line.contains(words), "{kernel}: {words}:\n{doctor}");
    }
    for (state, count) in [("DEGRADED", 2), ("MISSING", 1)] {
        assert_eq!(doctor.lines().filter(|line| line.trim_start().starts_with(state)).count(), count, "{doctor}");
    }
}

fn check_screens(guest: &Guest, kernel: &str) {
    let probes = shown(guest, "some-probes");
    assert!(probes.contains("18 attached, 2 degraded, 1 missing"), "{kernel}: {probes}");
    assert!(line(&probes, "○ missing").contains("flow_put") && probes.contains(SAID), "{kernel}: {probes}");
    let storm = shown(guest, "some-storm");
    for row in ["puts ", "puts failed"] {
        assert!(line(&storm, row).contains("no probe flow_put"), "{kernel}: {storm}");
    }
    for row in ["lookups", "hits", "misses", "upcalls", "received", "executes"] {
        assert!(!line(&storm, row).contains("no probe"), "{kernel}: {storm}");
    }

    // Packets came by meanwhile: of what nobody counts no number is shown, and no share.
    let storm = shown(guest, "counting-storm");
    for row in ["lookups", "hits", "masks tried"] {
        assert!(line(&storm, row).contains("no probe flow_hit"), "{kernel}: {storm}");
    }
    for row in ["misses", "upcalls", "puts"] {
        assert!(!line(&storm, row).contains("no probe"), "{kernel}: {storm}");
    }
    let state = line(&storm, "● ");
    assert!(state.contains("7 Probes says why lookups are not counted") && !state.contains('%'), "{kernel}: {state}");
    let probes = shown(guest, "counting-probes");
    assert!(probes.contains("11 attached, 3 missing") && probes.contains("needs packet_end"), "{kernel}: {probes}");
}

fn check_probes(capabilities: &[Capability], kernel: &str) {
    for of in capabilities.iter().filter(|of| !of.name.starts_with("usdt")) {
        let state = match of.name.as_str() {
            "upcall_return" | "upcall_enqueue" => CapabilityState::Degraded,
            "flow_put" => CapabilityState::Missing,
            _ => CapabilityState::Attached,
        };
        assert_eq!(of.state, state, "{kernel}: {of:?}");
        assert_eq!(of.why.starts_with(SAID), state != CapabilityState::Attached, "{kernel}: {of:?}");
    }
}

/// Everything but puts is in the recording, and whole; counters are the datapath's own.
fn check_recording(guest: &Guest, kernel: &str) {
    let reader = Reader::open(&guest.file("some.mcap")).unwrap_or_else(|e| panic!("{kernel}: {e}\n{}", guest.said));
    assert_eq!(reader.damage(), None, "{kernel}");
    let events: Vec<Event> = reader.flat_map(|batch| batch.expect("it is whole")).collect();
    let last = |of: fn(&Body) -> bool| &events.iter().rev().find(|e| of(&e.body)).expect("there is one").body;

    let Body::Probes { capabilities } = last(|body| matches!(body, Body::Probes { .. })) else { unreachable!() };
    check_probes(capabilities, kernel);
    let loss = events.iter().rev().find_map(|e| if let Body::Loss(loss) = &e.body { Some(*loss) } else { None });
    let loss = loss.unwrap_or_default();
    assert!(!Loss { missed_runs: 0, ..loss }.any(), "{kernel}: {loss:?}");

    let (before, after) = (dpctl(&guest.text("before")), dpctl(&guest.text("after")));
    let Body::Counters(counters) = last(|body| matches!(body, Body::Counters(_))) else { unreachable!() };
    let sum = |of: fn(&ovscope::event::DpCounters) -> u64| counters.datapaths.iter().map(of).sum::<u64>();
    let (hits, misses) = (after.0 - before.0, after.1 - before.1);
    assert!(hits >= 900 && misses >= 500, "{kernel}: the traffic came: {hits}, {misses}");
    assert_eq!(sum(|dp| dp.hits), hits, "{kernel}: against ovs-dpctl");
    // Counted by a kprobe now, which may be passed over.
    let counted = sum(|dp| dp.misses);
    let most = loss.missed_runs;
    assert!(counted <= misses && misses - counted <= most, "{kernel}: {counted} of {misses}, {loss:?}");
    let upcalls: u64 = counters.upcalls.iter().map(|upcall| upcall.count).sum();
    assert_eq!((upcalls, counters.puts.len()), (counted, 0), "{kernel}: each miss with its port and reason, no put");

    let mut stages: BTreeMap<&str, Vec<UpcallId>> = BTreeMap::new();
    for event in &events {
        stages.entry(event.kind()).or_default().extend(event.upcall);
    }
    assert!(!stages.contains_key("flow_put"), "{kernel}: puts are not seen");
    let upcalls = &stages["upcall"];
    assert_eq!(upcalls.len() as u64, misses, "{kernel}: the tracepoint sees every one");
    for stage in ["upcall_enqueue", "upcall_return", "upcall_recv", "flow_exec"] {
        let seen = stages[stage].iter().filter(|id| upcalls.contains(id)).count();
        assert_eq!(seen, stages[stage].len(), "{kernel}: no {stage} of another");
        assert!((upcalls.len() - seen) as u64 <= 4 * most, "{kernel}: {seen} {stage} of {}", upcalls.len());
    }
}

fn check(kernel: &str) {
    let guest = Guest::run_with(kernel, "refused", &["--timeout", "600"]);
    check_doctor(&guest, kernel);
    check_screens(&guest, kernel);
    check_recording(&guest, kernel);

    let sweep = guest.text("sweep");
    assert!(
        sweep.contains("loading the probes: the kernel refused sweep (invalid read from stack"),
        "{kernel}: {sweep}"
    );
    assert!(sweep.contains("--track off does without") && sweep.ends_with("status 1\n"), "{kernel}: {sweep}");
    let off = guest.text("sweep-off");
    assert!(off.contains("lookups/s") && off.ends_with("status 0\n"), "{kernel}: {off}");

    let locked = guest.text("locked");
    assert!(locked.contains("lockdown=integrity") && locked.ends_with("status 1\n"), "{kernel}: {locked}");
    // What is attached goes on, and what is not counted is no nought.
    let unseen = guest.text("unseen");
    let figures: Vec<&str> = unseen.lines().nth(1).unwrap_or_default().split_whitespace().skip(1).collect();
    // Lookups and hits, of which every kernel refuses the probe then; puts and deletions, which --track off leaves out.
    assert_eq!([figures[0], figures[1], figures[5], figures[6]], ["-"; 4], "{kernel}: {unseen}");
    assert!(unseen.ends_with("status 0\n"), "{kernel}: {unseen}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn what_the_verifier_refuses_is_missing_alone_and_said() {
    // One kernel: the ladder is the same on all, and each guest takes minutes.
    check("7.3");
}
