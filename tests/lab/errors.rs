//! Every error and every reason to drop that can be provoked is told as an event and counted, and the counts are the
//! datapath's own.

use std::collections::BTreeMap;

use ovscope::event::{Body, Counters, Event, PacketId, PutKind, Stage, bucket_of};

use crate::{KERNELS, guest::Guest};

const ENOENT: i32 = -2;
const EAGAIN: i32 = -11;
const ENOMEM: i32 = -12;
const EEXIST: i32 = -17;
const EINVAL: i32 = -22;
const EFBIG: i32 = -27;
const ENOTCONN: i32 = -107;
const ECONNREFUSED: i32 = -111;

/// How often each comes.
fn tally<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    values.into_iter().fold(BTreeMap::new(), |mut tally, value| {
        *tally.entry(value).or_default() += 1;
        tally
    })
}

/// Upcalls lost, by `ovs-dpctl show`, of all datapaths together.
fn lost(text: &str) -> u64 {
    let counts = text.split_whitespace().filter_map(|word| word.strip_prefix("lost:"));
    counts.map(|n| n.parse::<u64>().expect("a number")).sum()
}

fn counters(events: &[Event]) -> &Counters {
    let last = events.iter().rev().find_map(|e| match &e.body {
        Body::Counters(counters) => Some(counters),
        _ => None,
    });
    last.expect("counters in the recording")
}

fn check_upcalls(guest: &Guest, events: &[Event], kernel: &str) {
    let mut counted: BTreeMap<i32, u64> = BTreeMap::new();
    for upcall in &counters(events).upcalls {
        *counted.entry(upcall.ret).or_default() += upcall.count;
    }
    let of = |ret: i32| counted.get(&ret).copied().unwrap_or(0);
    assert!(of(EAGAIN) >= 10, "{kernel}: sockets were full: {counted:?}");
    assert!(of(ENOTCONN) >= 3, "{kernel}: a datapath without a daemon: {counted:?}");
    assert_eq!((of(EFBIG), of(ECONNREFUSED)), (1, 30), "{kernel}: too big, and nobody there any more: {counted:?}");
    let failed: u64 = counted.iter().filter(|(ret, _)| **ret != 0).map(|(_, n)| n).sum();
    assert_eq!(failed, lost(&guest.text("after")) - lost(&guest.text("before")), "{kernel}: lost of ovs-dpctl show");

    let returned = tally(events.iter().filter_map(|e| match &e.body {
        Body::UpcallReturn(done) => Some(done.ret),
        _ => None,
    }));
    assert_eq!(returned, counted, "{kernel}: an event for each upcall, with its outcome");
    let mut queued = tally(events.iter().filter_map(|e| match &e.body {
        Body::UpcallEnqueue(queued) => Some(queued.ret),
        _ => None,
    }));
    // Where nobody listens nothing is queued.
    queued.insert(ENOTCONN, of(ENOTCONN));
    assert_eq!(queued, counted, "{kernel}: what queueing each came to");
}

fn check_operations(events: &[Event], kernel: &str) {
    let counters = counters(events);
    let count = |of: &[ovscope::event::ErrnoCounter], ret: i32| {
        of.iter().filter(|c| c.ret == ret).map(|c| c.count).sum::<u64>()
    };
    assert_eq!((count(&counters.puts, EEXIST), count(&counters.puts, ENOENT)), (1, 1), "{kernel}: {counters:?}");
    assert_eq!((count(&counters.dels, ENOENT), count(&counters.execs, EINVAL)), (1, 1), "{kernel}: {counters:?}");
    let failed: Vec<(&str, i32, bool)> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::FlowPut(put) => Some((if put.kind == PutKind::New { "new" } else { "set" }, put.op.ret, e)),
            Body::FlowDel(op) => Some(("del", op.ret, e)),
            Body::FlowExec(exec) => Some(("exec", exec.ret, e)),
            _ => None,
        })
        .filter(|(_, ret, _)| *ret != 0)
        // A connection beyond the limit, whose first packet missed.
        .filter(|(what, ret, e)| !(*what == "exec" && *ret == ENOMEM && e.upcall.is_some()))
        .map(|(what, ret, e)| (what, ret, e.upcall.is_some()))
        .collect();
    let expected = [("new", EEXIST, false), ("set", ENOENT, false), ("del", ENOENT, false), ("exec", EINVAL, false)];
    assert_eq!(failed, expected, "{kernel}: in the order of the script, none of them for an upcall");
}

fn check_drops(events: &[Event], kernel: &str) {
    let drops: Vec<(PacketId, &ovscope::event::Drop)> = events
        .iter()
        .filter_map(|e| match &e.body {
            Body::Drop(drop) => Some((e.packet.expect("a drop is of a recorded packet"), drop)),
            _ => None,
        })
        .collect();
    // A packet that could not go up is dropped, with no better reason than that; for a full socket not even so.
    let gone: Vec<PacketId> = events
        .iter()
        .filter(|e| matches!(&e.body, Body::UpcallReturn(done) if done.ret != 0 && done.ret != EAGAIN))
        .map(|e| e.packet.expect("an upcall's packet"))
        .collect();
    assert!(gone.len() >= 34, "{kernel}: {}", gone.len());
    for packet in gone {
        let of: Vec<_> = drops.iter().filter(|(id, _)| *id == packet).map(|(_, drop)| drop).collect();
        assert!(
            matches!(of[..], [d] if d.name == "NOT_SPECIFIED" && d.location.starts_with("ovs_dp_process_packet+0x")
                && d.location.ends_with(" [openvswitch]")),
            "{kernel}: {packet:?} {of:?}"
        );
    }
    // Where they end: nobody listens on the port. The name of the core's reason comes from the kernel's types.
    let no_socket = drops.iter().filter(|(_, d)| d.name == "NO_SOCKET").count();
    assert!(no_socket > 0, "{kernel}: packets that went through end at a closed port");

    let of_ovs = tally(drops.iter().filter(|(_, d)| d.is_ovs()).map(|(_, d)| d.name.as_str()));
    let counted: BTreeMap<&str, u64> = counters(events).drops.iter().map(|c| (c.name.as_str(), c.count)).collect();
    assert_eq!(of_ovs, counted, "{kernel}: an event for each");
    if kernel == "6.1" {
        assert!(counted.is_empty(), "{kernel} has no reasons of openvswitch's: {counted:?}");
        return;
    }
    for (name, at_least, at_most) in [
        ("OVS_DROP_LAST_ACTION", 20, 20),
        ("OVS_DROP_EXPLICIT", 20, 20),
        ("OVS_DROP_EXPLICIT_WITH_ERROR", 20, 20),
        // One packet a second may pass.
        ("OVS_DROP_METER", 15, 20),
        // Connections beyond the limit of one.
        ("OVS_DROP_CONNTRACK", 8, 8),
    ] {
        let n = counted.get(name).copied().unwrap_or(0);
        assert!((at_least..=at_most).contains(&n), "{kernel}: {n} of {name}: {counted:?}");
    }
    let elsewhere = drops.iter().find(|(_, d)| d.is_ovs() && !d.location.ends_with(" [openvswitch]"));
    assert!(elsewhere.is_none(), "{kernel}: {elsewhere:?}");
}

/// The kernel's own account of each handler: nanoseconds on a CPU, nanoseconds on a run queue, times it was given a CPU.
fn schedstat(text: &str) -> BTreeMap<u32, [u64; 3]> {
    let row = |line: &str| {
        let mut words = line.split_whitespace().map(|n| n.parse::<u64>().expect("a number"));
        let mut next = || words.next().expect("four numbers");
        (next() as u32, [next(), next(), next()])
    };
    text.lines().map(row).collect()
}

fn check_scheduling(guest: &Guest, events: &[Event], kernel: &str) {
    let (before, after) = (schedstat(&guest.text("schedstat-before")), schedstat(&guest.text("schedstat-after")));
    let last = events.iter().rev().find_map(|e| match &e.body {
        Body::Counters(counters) if !counters.handlers.is_empty() => Some(&counters.handlers),
        _ => None,
    });
    let handlers = last.unwrap_or_else(|| panic!("{kernel}: no handler's times"));
    for handler in handlers {
        let [ran, waited, switched] = std::array::from_fn(|i| after[&handler.tid][i] - before[&handler.tid][i]);
        for (is, expected) in [(handler.running_ns, ran), (handler.runnable_ns, waited)] {
            // Counted from its first receive on, and to the next reading of the counters.
            let near = expected / 10 + 30_000_000;
            assert!(is.abs_diff(expected) <= near, "{kernel}: {is} ns of {expected}: {handler:?}");
        }
        assert!(handler.switches.abs_diff(switched) <= switched / 10 + 5, "{kernel}: {switched}: {handler:?}");
        assert!(handler.runnable_max_ns > 0 && handler.runnable_max_ns <= handler.runnable_ns, "{kernel}: {handler:?}");
        // The daemon was stopped for as long as it takes to send 400 packets, and waits for packets most of the time.
        assert!(handler.asleep_ns > 800_000_000, "{kernel}: {handler:?}");
    }
}

/// The kernel side's histograms are those of the events, where there is an event for each upcall.
fn check_stages(events: &[Event], kernel: &str) {
    let counters = counters(events);
    let stage = |wanted: Stage| {
        let found = counters.stages.iter().find(|s| s.stage == wanted);
        found.unwrap_or_else(|| panic!("{kernel}: no {}", wanted.name()))
    };
    let expect = |wanted: Stage, times: Vec<u64>| {
        let longest = times.iter().copied().max().unwrap_or(0);
        let buckets: Vec<(u16, u64)> = tally(times.into_iter().map(|ns| bucket_of(ns) as u16)).into_iter().collect();
        assert_eq!(stage(wanted).buckets, buckets, "{kernel}: {}", wanted.name());
        assert_eq!(stage(wanted).max, longest, "{kernel}: {}", wanted.name());
    };
    expect(
        Stage::Wait,
        events
            .iter()
            .filter_map(|e| match &e.body {
                Body::UpcallRecv(recv) => Some(recv.wait_ns),
                _ => None,
            })
            .collect(),
    );
    expect(
        Stage::Enqueue,
        events
            .iter()
            .filter_map(|e| match &e.body {
                Body::UpcallEnqueue(queued) if queued.ret == 0 => Some(e.ts - queued.upcall_ts),
                _ => None,
            })
            .collect(),
    );
    let count = |wanted: Stage| stage(wanted).buckets.iter().map(|(_, n)| n).sum::<u64>();
    let tied = |kind: &str| events.iter().filter(|e| e.kind() == kind && e.upcall.is_some()).count() as u64;
    let upcalls: u64 = counters.upcalls.iter().map(|u| u.count).sum();
    assert_eq!(count(Stage::Lookup), upcalls, "{kernel}: all were misses");
    assert_eq!(count(Stage::Put), tied("flow_put"), "{kernel}");
    assert_eq!((count(Stage::Execute), count(Stage::Whole)), (tied("flow_exec"), tied("flow_exec")), "{kernel}");
    assert!(count(Stage::Translate) >= count(Stage::Whole), "{kernel}");
}

#[test]
#[ignore = "boots guests of the lab"]
fn what_goes_wrong_is_told_and_counted() {
    for kernel in KERNELS {
        let guest = Guest::run(kernel, "errors");
        let events = guest.events("errors.jsonl");
        let loss = events.iter().rev().find_map(|e| match &e.body {
            Body::Loss(loss) => Some(*loss),
            _ => None,
        });
        let complete = loss.is_none_or(|l| !l.any() && l.over_budget + l.upcalls_over_budget == 0);
        assert!(complete, "{kernel}: {loss:?}");
        check_upcalls(&guest, &events, kernel);
        check_operations(&events, kernel);
        check_drops(&events, kernel);
        check_scheduling(&guest, &events, kernel);
        check_stages(&events, kernel);
    }
}
