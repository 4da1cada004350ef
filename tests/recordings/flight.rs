//! The flight recorder: what is kept in memory, and saved.

use std::os::unix::fs::PermissionsExt as _;

use ovscope::{
    event::{Body, Event, Told},
    record::{FLIGHT_MIN, Flight, Reader, RecordError, Recorded as _},
};

use crate::{header, marked, read, told};

const SECOND: u64 = 1_000_000_000;

/// An event that no compressor makes small, and is told by its time.
fn bulky(ts: u64) -> Event {
    let mut state = ts | 1;
    let noise = (0..4000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 33) as u8 % 90)
    });
    Event::host(ts, Body::Daemon(ovscope::event::DaemonState::Down { why: noise.collect() }))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn what_is_saved_is_a_recording_like_any_other() {
    let mut flight = Flight::new(FLIGHT_MIN, &header()).expect("memory");
    let all: Vec<Event> = (0..50).map(|n| marked(100 * SECOND + n * SECOND)).collect();
    for part in all.chunks(7) {
        flight.push(&told(part)).expect("memory");
        flight.kept().expect("memory");
    }
    assert_eq!(flight.span(), Some((100 * SECOND, 149 * SECOND)));
    let folder = folder();
    let path = folder.path().join("kept.mcap");
    let summary = flight.kept().expect("memory").save(&path).expect("room");
    assert_eq!((summary.events, summary.span), (50, Some((100 * SECOND, 149 * SECOND))));
    let file = std::fs::metadata(&path).expect("a file");
    assert_eq!((file.len(), file.permissions().mode() & 0o777), (summary.bytes, 0o600));

    let mut reader = Reader::open(&path).expect("a recording");
    assert_eq!(reader.header(), &header());
    assert_eq!(reader.info().map(|info| info.events), Some(50));
    assert_eq!(read(&mut reader), all);
    assert_eq!(reader.remarks(), None);
    // Each part begins with the state there: a seek reads from the part on.
    reader.seek(130 * SECOND).expect("a keyframe");
    let first = reader.next_batch().expect("more").expect("memory");
    assert!(first.keyframe && first.events.iter().all(|event| event.ts <= 130 * SECOND), "{first:?}");
    assert!(read(&mut reader).first().expect("events").ts > 120 * SECOND);

    // Nothing is written over.
    let again = flight.kept().expect("memory").save(&path);
    assert!(matches!(again, Err(RecordError::Exists { .. })), "{again:?}");
    assert_eq!(read(&mut Reader::open(&path).expect("still there")), all);
}

#[test]
fn the_oldest_makes_room() {
    let mut flight = Flight::new(FLIGHT_MIN, &header()).expect("memory");
    for n in 0..4000 {
        flight.push(&[Told::Event(bulky(n * SECOND))]).expect("memory");
        // What is being written to comes on top: a sixteenth, and a chunk.
        assert!(flight.bytes() <= FLIGHT_MIN + FLIGHT_MIN / 16 + (2 << 20), "{} at {n}", flight.bytes());
    }
    let kept = flight.kept().expect("memory");
    let (first, last) = kept.span().expect("events");
    assert_eq!(last, 3999 * SECOND);
    assert!(first > 1000 * SECOND && first < 3500 * SECOND, "{first}");
    let mut past = kept.read().expect("memory");
    past.seek(3900 * SECOND).expect("memory");
    let mut times = Vec::new();
    while let Some(batch) = past.next_batch() {
        let batch = batch.expect("memory");
        if !batch.keyframe {
            times.extend(batch.events.iter().map(|event| event.ts));
        }
    }
    assert!(times[0] <= 3900 * SECOND);
    assert!(
        times.windows(2).all(|pair| pair[1] == pair[0] + SECOND),
        "none is missing between parts, none comes twice"
    );
    assert_eq!(times.last(), Some(&(3999 * SECOND)));
}

#[test]
fn nothing_kept_is_nothing_to_save() {
    let mut flight = Flight::new(FLIGHT_MIN, &header()).expect("memory");
    let kept = flight.kept().expect("memory");
    assert_eq!((flight.span(), kept.span()), (None, None));
    assert!(kept.read().expect("memory").next_batch().is_none());
}
