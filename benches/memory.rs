//! `cargo bench --bench memory`: what the model takes in an hour of storm at 100 000 events a second, with its default
//! limits, by the kernel's own account of this process; `-- MINUTES` for another length. It says so every five minutes of
//! the storm, and fails where the goal is missed: at most 256 MB, and flat from the first five minutes on.

use std::time::Instant;

use ovscope::{
    event::{
        Body, Counters, DaemonAnswer, DaemonState, DpCounters, DpIfindex, Event, FlowCounter, FlowPtr, Loss, Nanos,
        Query, Ufid,
    },
    model::{Model, SECOND},
};

#[path = "../tests/events/storm.rs"]
mod storm;

const GOAL: u64 = 256 << 20;
/// It is flat where it grows by no more than this.
const FLAT: u64 = 8 << 20;
/// Packets a second, of 18 events each.
const PACKETS: u64 = 100_000 / 18;
/// Flows that are hit in each second.
const HIT: u64 = 2000;

/// The first and the peak number of kilobytes in memory: `VmRSS` and `VmHWM` of `/proc/self/status` (proc(5)).
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("proc(5) names it");
        line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("its first word is a number") << 10
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// What a quarter second ends with: counters with the flows that were hit, a loss that grows, the daemon's answers.
fn around(ts: Nanos, packets: u64) -> Vec<Event> {
    let quarter = ts / (SECOND / 4);
    let flow = |n: u64| FlowCounter {
        table: 1,
        flow: FlowPtr(n << 6),
        sf_acts: FlowPtr(n << 8),
        ufid: Some(Ufid([n as u32, 7, 7, 7])),
        hits: quarter * (n % 100 + 1),
        bytes: Some(quarter * (n % 100 + 1) * 100),
        last: ts,
    };
    let newest = packets.saturating_sub(HIT);
    let dp = DpCounters { dp: DpIfindex(2), table: 1, hits: packets * 3, misses: packets, ..DpCounters::default() };
    let counters =
        Counters { datapaths: vec![dp], flows: (newest..packets).map(flow).collect(), ..Counters::default() };
    let answer = DaemonAnswer {
        dp: Some(DpIfindex(2)),
        ufid: Ufid([packets as u32, 7, 7, 7]),
        sf_acts: None,
        query: Query::Detrace,
        answer: Ok("Flow 1: cookie=0x5e1f, table=1, priority=50 ".repeat(20)),
        took_ns: 1_000_000,
    };
    let daemon = if quarter.is_multiple_of(2) {
        DaemonState::Up { pid: 1, version: "3.5.0".to_owned(), round_trip_ns: 1, missing: vec![] }
    } else {
        DaemonState::Down { why: "no answer".to_owned() }
    };
    let loss = Loss { ring_full: quarter, over_budget: packets, ..Loss::default() };
    let bodies = [
        Body::Counters(Box::new(counters)),
        Body::Loss(loss),
        Body::Daemon(daemon),
        Body::DaemonAnswer(Box::new(answer)),
    ];
    bodies.into_iter().map(|body| Event::host(ts, body)).collect()
}

fn main() {
    let minutes = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(60u64);
    let (before, _) = resident();
    let (mut model, mut packets, mut first) = (Model::default(), 0, None);
    let begun = Instant::now();
    for second in 1..=minutes * 60 {
        for quarter in 0..4 {
            let from = second * SECOND + quarter * SECOND / 4;
            for n in 0..PACKETS / 4 {
                model.apply_all(&storm::upcalled_packet(packets, from + n * SECOND / PACKETS));
                packets += 1;
            }
            model.apply_all(&around(from + SECOND / 4 - 1, packets));
        }
        if second.is_multiple_of(300) || second == minutes * 60 {
            let (now, peak) = resident();
            let model_has = now.saturating_sub(before);
            let first = *first.get_or_insert(model_has);
            println!(
                "after {:>2} min: {:>5.1} million events, model {:>3} MB, process {:>3} MB, at most {:>3} MB; {:.0} s",
                second / 60,
                model.events_seen() as f64 / 1e6,
                model_has >> 20,
                now >> 20,
                peak >> 20,
                begun.elapsed().as_secs_f64(),
            );
            assert!(peak <= GOAL, "more than {} MB", GOAL >> 20);
            assert!(model_has <= first + FLAT, "not flat: {} MB more", (model_has - first) >> 20);
        }
    }
    println!("{:?}", model.evicted());
}
