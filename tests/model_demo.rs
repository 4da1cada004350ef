//! The model against a real storm: the recording that `ovscope demo` replays. What holds between its figures must hold
//! whatever was recorded.

use std::collections::BTreeMap;

use ovscope::{
    event::{Body, Event},
    model::{Cause, Dimension, Fate, Metric, Model, SECOND, Stage, State, UpcallEnd, Window},
    record::Reader,
};

fn demo() -> Vec<Event> {
    let mut reader = Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
    let batches = std::iter::from_fn(|| reader.next_batch());
    batches.flat_map(|batch| batch.expect("the bundled recording is whole").events).collect()
}

#[test]
fn detail_and_counters_of_a_real_storm_agree() {
    let events = demo();
    let mut model = Model::default();
    model.apply_all(&events);
    let totals = model.totals().expect("it has counters");
    let evicted = model.evicted();
    // Every upcall was seen in detail or left out and counted.
    let detailed = model.upcalls().len() as u64 + evicted.upcalls;
    assert_eq!(detailed + model.loss().upcalls_over_budget, totals.upcalls);
    assert_eq!(totals.lookups, totals.hits + totals.misses);
    // The seconds add up to what was counted since the first reading.
    let mut readings = events.iter().filter_map(|e| match &e.body {
        Body::Counters(counters) => Some(counters),
        _ => None,
    });
    let first = readings.next().expect("it has counters");
    for (metric, before, now) in [
        (Metric::Received, first.received, totals.received),
        (Metric::Hits, first.datapaths.iter().map(|d| d.hits).sum(), totals.hits),
        (Metric::Upcalls, first.upcalls.iter().map(|u| u.count).sum(), totals.upcalls),
        (Metric::Puts, first.puts.iter().map(|p| p.count).sum(), totals.puts),
    ] {
        let sum = model.series(metric).sum::<u64>() + model.running(metric).unwrap_or(0);
        assert_eq!(before + sum, now, "{metric:?}");
    }
    // All flows' hits are counted, but for those that had no room.
    let hits: u64 = model.flows().map(ovscope::model::Flow::hits).sum();
    assert!(hits <= totals.hits && hits * 100 >= totals.hits * 98, "{hits} of {}", totals.hits);
}

#[test]
fn every_upcall_of_a_real_storm_has_one_end_and_its_stages() {
    let mut model = Model::default();
    model.apply_all(&demo());
    let mut ends: BTreeMap<UpcallEnd, u64> = BTreeMap::new();
    for upcall in model.upcalls() {
        *ends.entry(model.upcall_end(upcall)).or_default() += 1;
        let [_, enqueue, wait, translate, _, execute, whole] = Stage::ALL.map(|stage| model.stage(upcall, stage));
        if let (Some(enqueue), Some(wait), Some(translate), Some(execute), Some(whole)) =
            (enqueue, wait, translate, execute, whole)
        {
            assert!(enqueue + wait + translate + execute <= whole, "stages follow one another: {upcall:?}");
        }
    }
    assert!(!ends.contains_key(&UpcallEnd::BeginNotSeen) && !ends.contains_key(&UpcallEnd::Unknown), "{ends:?}");
    let answered = ends.get(&UpcallEnd::Forwarded).copied().unwrap_or(0);
    assert!(answered * 10 > model.upcalls().len() as u64 * 9, "{ends:?}");
    let whole = model.latency(Stage::Whole, Window::Session).expect("upcalls were answered");
    assert!(whole.count >= answered && whole.p50 <= whole.p99);
    assert!(model.packets().filter(|p| model.fate(p) == Fate::Forwarded).count() as u64 >= answered);
    for packet in model.packets() {
        let times: Vec<u64> = model.timeline(packet).map(|e| e.ts).collect();
        assert!(times.is_sorted() && !times.is_empty());
    }
}

#[test]
fn while_it_rages_the_storm_has_its_name_and_its_maker() {
    let mut model = Model::default();
    let (mut states, mut biggest) = (BTreeMap::new(), 0.0f64);
    for event in demo() {
        model.apply(&event);
        if let Body::Counters(_) = event.body {
            *states.entry(model.condition().state).or_insert(0u32) += 1;
            if model.condition().state == State::Storm {
                let talkers = model.talkers(Dimension::InPort, 1);
                biggest = biggest.max(talkers.top.first().map_or(0.0, |t| t.share));
            }
        }
    }
    assert!(states.get(&State::Storm).is_some_and(|&n| n > 8), "{states:?}");
    assert!(states.get(&State::Quiet).is_some_and(|&n| n > 0), "{states:?}");
    assert!(biggest > 0.9, "{biggest}");
}

#[test]
fn wherever_it_is_gone_to_the_storm_has_the_verdict_that_it_had_there() {
    let events = demo();
    let causes = |model: &Model| model.verdicts().iter().map(|verdict| verdict.cause).collect::<Vec<_>>();
    let (mut played, mut of_second) = (Model::default(), BTreeMap::new());
    for event in &events {
        played.apply(event);
        of_second.insert(event.ts / SECOND, causes(&played));
    }
    let storm: Vec<u64> =
        of_second.iter().filter(|(_, of)| of.contains(&Cause::FieldExplosion)).map(|(second, _)| *second).collect();
    assert!(storm.len() > 10, "{storm:?}");
    for second in storm {
        let to = (second + 1) * SECOND - 1;
        let mut reader = Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
        reader.seek(reader.warm(to)).expect("it has keyframes");
        let batches = std::iter::from_fn(|| reader.next_batch());
        let mut there = Model::default();
        for event in batches.flat_map(|batch| batch.expect("it is whole").events).take_while(|event| event.ts <= to) {
            there.apply(&event);
        }
        assert_eq!(causes(&there), of_second[&second], "in second {second}");
    }
    // Begun in the middle, with nothing before: what is not known yet is not said to have no cause.
    let mut reader = Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
    let within = reader.keyframes()[1];
    reader.seek(within).expect("a keyframe");
    let mut there = Model::default();
    while let Some(batch) = reader.next_batch() {
        for event in batch.expect("it is whole").events {
            there.apply(&event);
            assert!(
                !causes(&there).contains(&Cause::Unknown),
                "{} ms after it",
                (event.ts.saturating_sub(within)) / 1_000_000
            );
        }
    }
}
