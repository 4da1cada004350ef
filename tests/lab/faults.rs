//! What may happen to ovscope and around it: whatever it is, what was seen stays, is counted right, and nothing is left
//! behind.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ovscope::{
    event::{Body, DaemonState, Event, Loss},
    record::Reader,
};

use crate::{exact::dpctl, guest::Guest};

/// Packets that come at once.
const FLOOD: u64 = 120_000;

/// The recordings in a directory of what the guest left.
fn recordings(guest: &Guest, dir: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(guest.file(dir)).unwrap_or_else(|e| panic!("{dir}: {e}\n{}", guest.said));
    let paths = files.map(|file| file.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "mcap")).collect()
}

/// What is in one that was cut off by a kill: none where the kill came before its header was written, and it says so.
fn cut_off(path: &Path) -> Option<Vec<Event>> {
    let mut reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.to_string().contains("empty"), "{error}");
            return None;
        }
    };
    let batches = std::iter::from_fn(|| reader.next_batch());
    let events = batches.map(|b| b.expect("it is read")).filter(|b| !b.keyframe).flat_map(|b| b.events).collect();
    let damage = reader.damage().unwrap_or_else(|| panic!("{} was not sealed", path.display()));
    assert!(damage.contains("cut off"), "{damage}");
    Some(events)
}

fn read(guest: &Guest, name: &str) -> Vec<Event> {
    let reader = Reader::open(&guest.file(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", guest.said));
    assert_eq!(reader.damage(), None, "{name}");
    reader.flat_map(|batch| batch.expect("it is whole")).collect()
}

fn last<T>(events: &[Event], of: impl Fn(&Body) -> Option<T>) -> Option<T> {
    events.iter().rev().find_map(|event| of(&event.body))
}

fn loss(events: &[Event]) -> Loss {
    last(events, |body| if let Body::Loss(loss) = body { Some(*loss) } else { None }).unwrap_or_default()
}

/// Hits and misses that were counted are those between two of `ovs-dpctl show`.
fn check_counters(guest: &Guest, events: &[Event], before: &str, after: &str) {
    let (before, after) = (dpctl(&guest.text(before)), dpctl(&guest.text(after)));
    let counted = last(events, |body| {
        let Body::Counters(counters) = body else { return None };
        Some(counters.datapaths.iter().fold((0, 0), |sum, dp| (sum.0 + dp.hits, sum.1 + dp.misses)))
    });
    assert_eq!(counted, Some((after.0 - before.0, after.1 - before.1)), "against ovs-dpctl");
}

/// Whatever it does when it is killed. That nothing stays in the kernel is waited for by the script.
fn check_killed(guest: &Guest) {
    let killed: Vec<_> =
        recordings(guest, "").into_iter().filter(|p| p.to_string_lossy().contains("killed-")).collect();
    let read: Vec<_> = killed.iter().filter_map(|path| cut_off(path)).collect();
    assert!(read.iter().any(|events| events.iter().any(|e| e.kind() == "counters")), "of {killed:?}");
    assert_eq!(guest.text("screens"), "paused\nback\nrecording\nsaving\n");
    let [recording] = &recordings(guest, "recording")[..] else { panic!("R begins one recording") };
    assert!(cut_off(recording).is_some_and(|events| !events.is_empty()), "{}", recording.display());
    for saved in recordings(guest, "saving") {
        // Saved before the kill, or cut off by it.
        if Reader::open(&saved).is_ok_and(|reader| reader.damage().is_some()) {
            cut_off(&saved);
        }
    }
}

fn check_ring(guest: &Guest) {
    let events = read(guest, "ring.mcap");
    let loss = loss(&events);
    assert!(!Loss { ring_full: 0, ..loss }.any(), "{loss:?}");
    // Each packet that fitted has its bytes, and each that did not was lost with them.
    let fitted = events.iter().filter(|e| e.kind() == "packet_bytes").count() as u64;
    assert!(fitted > 0 && fitted * 100 <= FLOOD, "{fitted} of {FLOOD}");
    assert!(loss.ring_full >= FLOOD - fitted, "{loss:?}, {fitted} fitted");
    check_counters(guest, &events, "ring-before", "ring-after");
}

fn check_slow(guest: &Guest) {
    let events = read(guest, "slow.mcap");
    let loss = loss(&events);
    assert!(loss.not_recorded > 0, "{loss:?}");
    // The probes waited for nobody.
    assert!(!Loss { not_recorded: 0, ..loss }.any(), "{loss:?}");
    let recorded = events.iter().filter(|e| e.kind() == "packet_bytes").count() as u64;
    assert!(recorded > 0 && FLOOD.saturating_sub(recorded) <= loss.not_recorded, "{loss:?}, {recorded} of {FLOOD}");
    check_counters(guest, &events, "slow-before", "slow-after");
}

fn check_daemons(events: &[Event]) {
    let of_recv =
        |e: &Event| if let Body::UpcallRecv(recv) = &e.body { Some((e.tid, e.upcall, recv.wait_ns)) } else { None };
    let received: Vec<_> = events.iter().filter_map(of_recv).collect();
    let handlers: BTreeSet<_> = received.iter().map(|(tid, ..)| *tid).collect();
    assert!(handlers.len() >= 20, "each daemon's own handlers: {handlers:?}");
    let of_daemon = |up: bool| {
        events
            .iter()
            .filter(move |e| matches!(&e.body, Body::Daemon(state) if matches!(state, DaemonState::Up { .. }) == up))
            .count()
    };
    assert!(of_daemon(true) >= 2 && of_daemon(false) >= 2, "gone and back: {} {}", of_daemon(true), of_daemon(false));

    // What waited for a minute is tied all the same.
    let waited: Vec<_> = received.iter().filter(|(_, _, wait)| *wait > 50_000_000_000).collect();
    assert!(!waited.is_empty(), "one waited for the daemon that was stopped");
    for (_, upcall, _) in waited {
        let of_it: BTreeSet<_> = events.iter().filter(|e| e.upcall == *upcall).map(Event::kind).collect();
        for kind in ["upcall", "upcall_enqueue", "upcall_recv", "flow_exec"] {
            assert!(upcall.is_some() && of_it.contains(kind), "{upcall:?}: {of_it:?}");
        }
    }
}

#[test]
#[ignore = "boots a guest of the lab"]
fn whatever_happens_around_it_nothing_is_wrong_or_left_behind() {
    let guest = Guest::run_with("6.12", "faults", &["--timeout", "900"]);
    check_killed(&guest);
    check_ring(&guest);
    check_slow(&guest);

    let events = read(&guest, "faults.mcap");
    check_daemons(&events);
    check_counters(&guest, &events, "before", "after");
    assert!(!loss(&events).any(), "{:?}", loss(&events));
    // The clock went a day forth, and two back.
    let times = || events.iter().map(|event| event.ts);
    let seconds = (times().max().zip(times().min())).map_or(0, |(last, first)| (last - first) / 1_000_000_000);
    assert!((70..1000).contains(&seconds), "{seconds} s");
    let ports =
        last(&events, |body| if let Body::Datapaths { datapaths } = body { Some(datapaths.clone()) } else { None });
    assert_eq!(ports, Some(Vec::new()), "the last thing that is known is that there is none");

    let module = guest.text("module");
    assert!(module.contains("in use") && module.ends_with("status 1\n"), "{module}");
    assert!(
        read(&guest, "anew.mcap").iter().any(|e| e.kind() == "upcall"),
        "a new module is looked into as the old one"
    );
}
