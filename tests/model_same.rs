//! The same events give the same model, to the bit: however they are parted, looked at on the way, or reached.

use ovscope::{
    event::Event,
    model::{Limits, Model},
    record::{Batch, Header, Preamble, Reader, Writer},
};
use proptest::prelude::*;

mod events;
#[allow(dead_code, reason = "shared with the tests of the screen")]
mod made_up;

const DEMO: &str = "src/app/demo.mcap";

fn demo() -> Vec<Event> {
    let mut reader = Reader::open(DEMO.as_ref()).expect("the bundled recording");
    let batches = std::iter::from_fn(|| reader.next_batch());
    batches.flat_map(|batch| batch.expect("the bundled recording is whole").events).collect()
}

/// Quiet, a storm in which upcalls are lost, and quiet again.
fn weather() -> Vec<Event> {
    let mut host = made_up::Host::default();
    let mut events = host.begin();
    for (seconds, weather) in [(3, made_up::QUIET), (4, made_up::STORM), (3, made_up::LOSING), (5, made_up::BUSY)] {
        events.extend(host.seconds(seconds, weather));
    }
    events
}

/// Applies all in batches of these sizes, over and over; looks at the model and clones it in between.
fn in_batches(events: &[Event], sizes: &[usize], limits: Limits) -> Model {
    let mut model = Model::new(limits);
    let (mut rest, mut turn) = (events, 0);
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(sizes[turn % sizes.len()].clamp(1, rest.len()));
        model.apply_all(batch);
        // What is read leaves no trace, and a clone goes on where the other one was.
        let _ = (model.condition(), model.heat(), model.handlers(), model.flow_count());
        model = model.clone();
        (rest, turn) = (after, turn + 1);
    }
    model
}

#[test]
fn a_recording_gives_the_same_model_in_any_batches() {
    for events in [demo(), weather()] {
        let whole = in_batches(&events, &[events.len()], Limits::default());
        let mut one_by_one = Model::default();
        for event in &events {
            one_by_one.apply(event);
        }
        assert!(one_by_one == whole);
        for sizes in [&[997][..], &[8192, 1, 4096], &[events.len() / 2]] {
            assert!(in_batches(&events, sizes, Limits::default()) == whole, "{sizes:?}");
        }
        // One that is given less is not the same: the comparison sees all of it.
        let shorter = in_batches(&events[..events.len() - 1], &[events.len()], Limits::default());
        assert!(shorter != whole);
    }
}

/// All batches of a recording, and how many of its events are before each.
fn batches(reader: &mut Reader) -> Vec<Batch> {
    std::iter::from_fn(|| reader.next_batch()).map(|batch| batch.expect("it is whole")).collect()
}

/// Seeks all over a recording: the model that is reached is that of the keyframe and the events behind it, as they are
/// read on the way there without a seek.
fn seeks_agree(mut reader: Reader, moments: u64) {
    let played: Vec<Event> = batches(&mut reader).into_iter().flat_map(|batch| batch.events).collect();
    let times = || played.iter().map(|event| event.ts);
    let (first, last) = (times().min().expect("it has events"), times().max().expect("it has events"));
    let whole = in_batches(&played, &[8192], Limits::default());
    let mut keyframes = 0;
    for moment in 0..=moments {
        reader.seek(first + (last - first) / moments * moment).expect("it is a file");
        let read = batches(&mut reader);
        let mut sought = Model::default();
        for batch in &read {
            sought.apply_all(&batch.events);
        }
        let (state, rest): (Vec<&Batch>, Vec<&Batch>) = read.iter().partition(|batch| batch.keyframe);
        let rest: Vec<Event> = rest.iter().flat_map(|batch| batch.events.clone()).collect();
        let (before, behind) = played.split_at(played.len() - rest.len());
        assert!(rest == behind, "what follows a keyframe is what follows it when it is played");
        // Only the keyframe that was sought gives state: those behind it are passed over.
        let mut at_keyframe = Preamble::default();
        for event in before {
            at_keyframe.see(event);
        }
        let mut by_playing = Model::default();
        if !state.is_empty() {
            let state: Vec<Event> = state.iter().flat_map(|batch| batch.events.clone()).collect();
            assert!(state == at_keyframe.events());
            by_playing.apply_all(&at_keyframe.events());
            keyframes += 1;
        }
        by_playing.apply_all(behind);
        assert!(by_playing == sought);
        // What tells how something is, is as if all had been played.
        assert_eq!((sought.totals(), sought.loss()), (whole.totals(), whole.loss()));
        assert_eq!((sought.session(), sought.datapaths()), (whole.session(), whole.datapaths()));
        assert_eq!((sought.daemon(), sought.capabilities()), (whole.daemon(), whole.capabilities()));
    }
    assert!(keyframes > 1, "most of a recording is behind a keyframe: {keyframes} of {moments}");
}

#[test]
fn a_model_reached_by_a_seek_is_the_one_played_from_there() {
    for (events, moments) in [(demo(), 12), (weather(), 9)] {
        seeks_agree(written(&events), moments);
    }
}

/// A recording of these.
fn written(events: &[Event]) -> Reader {
    let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
    for batch in events.chunks(100) {
        writer.write(batch).expect("memory");
        writer.flush().expect("memory");
    }
    writer.finish().expect("memory");
    Reader::from_bytes("memory", writer.into_sink()).expect("just written")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_events_give_the_same_model_in_any_batches(
        events in prop::collection::vec(events::arbitrary::event(), 1..120),
        sizes in prop::collection::vec(1usize..30, 1..6),
        small: bool,
    ) {
        let tight = Limits { packets: 3, packet_events: 9, upcalls: 3, flows: 3, talkers: 2, handlers: 2, ..Limits::default() };
        let limits = if small { tight } else { Limits::default() };
        let mut whole = Model::new(limits);
        whole.apply_all(&events);
        prop_assert!(in_batches(&events, &sizes, limits) == whole);
        prop_assert!(in_batches(&events, &[1], limits) == whole);
    }

    #[test]
    fn a_storm_within_narrow_bounds_gives_the_same_model_in_any_batches(
        packets in 1u64..300,
        sizes in prop::collection::vec(1usize..200, 1..6),
    ) {
        let limits = Limits { packets: 20, packet_events: 300, upcalls: 15, flows: 10, talkers: 8, ..Limits::default() };
        let storm = |n| events::storm::upcalled_packet(n, 1_000_000_000 + n * 60_000_000);
        let events: Vec<Event> = (0..packets).flat_map(storm).collect();
        let whole = in_batches(&events, &[events.len()], limits);
        prop_assert!(in_batches(&events, &sizes, limits) == whole);
    }
}
