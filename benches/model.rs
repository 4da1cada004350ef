//! How fast the model takes events and is read: `cargo bench --bench model`.

use divan::{Bencher, black_box, counter::ItemsCount};
use ovscope::{
    event::{Body, Counters, DpIfindex, Event, FlowCounter, FlowPtr, Ufid},
    model::{FlowSort, Model, Stage, Window},
    record::{Header, Preamble, Reader, Writer},
};

#[path = "../tests/events/storm.rs"]
mod storm;

fn main() {
    divan::main();
}

/// A storm at 5000 upcalls a second, every packet with a flow of its own; 18 events to a packet. Begins with packet
/// `first`.
fn storm_events(first: u64, packets: u64) -> Vec<Event> {
    (first..first + packets).flat_map(|n| storm::upcalled_packet(n, 1_000_000_000 + n * 200_000)).collect()
}

fn counters(flows: u32, round: u64) -> Event {
    let flow = |n: u32| FlowCounter {
        table: 1,
        flow: FlowPtr(u64::from(n) << 6),
        sf_acts: FlowPtr(u64::from(n) << 8),
        ufid: Some(Ufid([n, 7, 7, 7])),
        hits: round * u64::from(n % 1000 + 1),
        bytes: None,
        last: round * 250_000_000,
    };
    let flows = (0..flows).map(flow).collect();
    Event::host(round * 250_000_000, Body::Counters(Box::new(Counters { flows, ..Counters::default() })))
}

fn full() -> Model {
    let mut model = Model::default();
    model.apply_all(&storm_events(0, 25_000));
    for round in 40..50 {
        model.apply(&counters(100_000, round));
    }
    model
}

/// Into a model that is full already: an endless storm, each time its next ten seconds.
#[divan::bench(sample_count = 20)]
fn apply_a_storm(bencher: Bencher<'_, '_>) {
    let mut model = full();
    let mut first = 25_000;
    bencher
        .with_inputs(|| {
            first += 50_000;
            storm_events(first, 50_000)
        })
        .input_counter(|events| ItemsCount::new(events.len()))
        .bench_local_refs(|events| model.apply_all(black_box(events)));
}

/// The same storm out of a recording in memory: read, decoded and applied, on one core.
#[divan::bench(sample_count = 20)]
fn read_and_apply_a_storm(bencher: Bencher<'_, '_>) {
    let mut model = full();
    let mut first = 25_000;
    bencher
        .with_inputs(|| {
            first += 50_000;
            let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
            for batch in storm_events(first, 50_000).chunks(1000) {
                writer.write(batch).expect("memory");
            }
            let events = writer.finish().expect("memory").events;
            (writer.into_sink(), events as usize)
        })
        .input_counter(|(_, events)| ItemsCount::new(*events))
        .bench_local_values(|(bytes, _)| {
            for batch in Reader::from_bytes("memory", bytes).expect("just written") {
                model.apply_all(&batch.expect("just written"));
            }
        });
}

/// Readings in which all of 100 000 flows have new hits.
#[divan::bench(sample_count = 20)]
fn apply_counters_of_100_000_flows(bencher: Bencher<'_, '_>) {
    let mut model = full();
    let mut round = 100;
    bencher.counter(ItemsCount::new(100_000u32)).bench_local(|| {
        round += 1;
        model.apply(black_box(&counters(100_000, round)));
    });
}

#[divan::bench(args = [FlowSort::Hits, FlowSort::HitRate, FlowSort::LastHit])]
fn top_60_of_100_000_flows(bencher: Bencher<'_, '_>, sort: FlowSort) {
    let model = full();
    assert_eq!(model.flow_count(), 100_000);
    let top = |offset, n| model.flow_order(|_| true, sort, true).keys(offset, n);
    assert!(model.flow(top(0, 1)[0]).is_some_and(|flow| flow.dp == DpIfindex(0)));
    bencher.bench(|| top(black_box(0), 60));
}

#[divan::bench]
fn latency_of_all_stages(bencher: Bencher<'_, '_>) {
    let model = full();
    bencher.bench(|| Stage::ALL.map(|stage| model.latency(stage, black_box(Window::Last10))));
}

/// What a pause costs.
#[divan::bench(sample_count = 10)]
fn clone_a_full_model(bencher: Bencher<'_, '_>) {
    let model = full();
    bencher.bench(|| model.clone());
}
