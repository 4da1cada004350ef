//! Recordings that are cut off, changed or something else.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use ovscope::{
    event::{Body, Clock, Event, Session},
    record::{Batch, Header, Preamble, ReadError, Reader, Summary, Writer},
};
use proptest::prelude::*;

use crate::{header, marked, read, reader, recording};

/// Five chunks of three events each.
fn parts() -> Vec<Vec<Event>> {
    (0..5u64).map(|part| (0..3).map(|n| marked(1000 + 10 * part + n)).collect()).collect()
}

/// Does something with every place of so many, on all CPUs.
fn everywhere(places: usize, with: impl Fn(Range<usize>) + Sync) {
    let size = places.div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        for begin in (0..places).step_by(size) {
            let with = &with;
            scope.spawn(move || with(begin..(begin + size).min(places)));
        }
    });
}

#[test]
fn cut_off_anywhere_it_gives_the_whole_chunks_and_says_so() {
    let (all, bytes) = (parts().concat(), recording(&parts()));
    everywhere(bytes.len(), |lengths| {
        let mut most = 0;
        for len in lengths {
            match Reader::from_stream("cut", std::io::Cursor::new(bytes[..len].to_vec())) {
                Err(ReadError::NotARecording { what, .. }) => {
                    assert!(what.contains("too few bytes") && most == 0, "{len}: {what}");
                }
                Err(error) => panic!("{len}: {error}"),
                Ok(mut reader) => {
                    assert!(reader.info().is_none());
                    let events = read(&mut reader);
                    assert_eq!(events, all[..events.len()]);
                    assert!(events.len() >= most && events.len().is_multiple_of(3), "{len}: {}", events.len());
                    most = events.len();
                    let damage = reader.damage().expect("it is cut off");
                    let cut = "cut off: it ends in the middle of what begins at byte ";
                    assert!(damage.contains(cut), "{damage}");
                    assert!(damage.ends_with(&format!("; {most} events were read")), "{damage}");
                }
            }
        }
    });
    let most = read(&mut reader(&bytes[..bytes.len() - 1])).len();
    assert_eq!(most, all.len(), "the summary at the end holds no events");
}

#[test]
fn what_is_no_recording_is_named() {
    let other = Reader::from_bytes("notes.txt", b"it is only text, and long enough for a head".to_vec());
    let error = other.expect_err("text").to_string();
    assert_eq!(
        error,
        "notes.txt is not a recording of ovscope: it has another format. 'ovscope record -o FILE' makes one"
    );
    let mut foreign = mcap::Writer::new(std::io::Cursor::new(Vec::new())).expect("memory");
    foreign.finish().expect("memory");
    let foreign = Reader::from_bytes("robot.mcap", foreign.into_inner().into_inner());
    let error = foreign.expect_err("an empty profile").to_string();
    assert!(error.starts_with("robot.mcap is not a recording of ovscope: it is an MCAP file of another program"));
    let error = Reader::open("no/such.mcap".as_ref()).expect_err("is not there").to_string();
    assert!(error.starts_with("no/such.mcap cannot be opened: "), "{error}");
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(Reader::open(folder.path()), Err(ReadError::Open { .. })));
}

#[test]
fn a_damaged_chunk_costs_only_itself() {
    let bytes = recording(&parts());
    let chunks: Vec<usize> = mcap::Summary::read(&bytes)
        .expect("whole")
        .expect("sealed")
        .chunk_indexes
        .iter()
        .map(|chunk| (chunk.chunk_start_offset + chunk.chunk_length) as usize)
        .collect();
    let mut changed = bytes;
    // The last byte of the third chunk of events; the first chunk has the channels.
    changed[chunks[3] - 1] ^= 0x40;
    let mut reader = reader(&changed);
    let mut left = parts();
    left.remove(2);
    assert_eq!(read(&mut reader), left.concat());
    let damage = reader.damage().expect("one chunk is missing");
    assert!(damage.contains("is damaged, and left out"), "{damage}");
}

const SECOND: u64 = 1_000_000_000;

/// A small recording with all that one can have: a state at its begin, a keyframe, a header that is told again.
fn small() -> Vec<u8> {
    let session = |ts| {
        let clock = Clock { monotonic: ts, wall: 7, utc_offset: 1 };
        let session = Session { host: "hv-17".to_owned(), kernel: "6.12.0".to_owned(), clock, ..Session::default() };
        Event::host(ts, Body::Session(Box::new(session)))
    };
    let mut state = Preamble::default();
    state.see(&session(1));
    let mut writer = Writer::new(Vec::new(), &header(), &state).expect("memory");
    let probes = Event::host(2, Body::Probes { capabilities: vec![] });
    let events: Vec<Event> = (1..5).map(|n| marked(n * 4 * SECOND)).collect();
    writer.write(&[probes]).expect("memory");
    writer.write(&events).expect("memory");
    writer.finish().expect("memory");
    writer.into_sink()
}

/// All that a reader tells.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    header: Header,
    info: Option<Summary>,
    batches: Vec<Batch>,
    /// From the keyframe before the end on.
    sought: Vec<Batch>,
    damaged: bool,
}

fn batches(reader: &mut Reader) -> Vec<Batch> {
    std::iter::from_fn(|| reader.next_batch()).map(|batch| batch.expect("memory")).collect()
}

fn all_told(mut reader: Reader) -> Told {
    let header = reader.header().clone();
    let info = reader.info().cloned();
    let batches_read = batches(&mut reader);
    let damaged = reader.damage().is_some();
    let sought = match reader.seek(15 * SECOND) {
        Ok(()) => batches(&mut reader),
        Err(_) => vec![],
    };
    Told { header, info, batches: batches_read, sought, damaged: damaged || reader.damage().is_some() }
}

/// Whether it is nothing but what was there: all of it, or less and a word about that.
fn check(told: &Told, whole: &Told, what: &str) {
    let events = |batches: &[Batch]| -> Vec<(bool, Event)> {
        batches.iter().flat_map(|b| b.events.iter().map(|event| (b.keyframe, event.clone()))).collect()
    };
    let is_part = |part: &[(bool, Event)], all: &[(bool, Event)]| {
        let mut rest = all.iter();
        part.iter().all(|event| rest.any(|e| e == event))
    };
    let (read, all) = (events(&told.batches), events(&whole.batches));
    // What comes first where the begin is not there may be a later keyframe: it was there as well.
    let keyframes: Vec<(bool, Event)> = events(&whole.sought).into_iter().filter(|(keyframe, _)| *keyframe).collect();
    let (states, rest): (Vec<_>, Vec<_>) = read.iter().cloned().partition(|(keyframe, _)| *keyframe);
    assert!(is_part(&rest, &all), "{what}: {rest:?}");
    assert!(is_part(&states, &all) || is_part(&states, &keyframes), "{what}: {states:?}");
    let sought = events(&told.sought);
    assert!(is_part(&sought, &events(&whole.sought)) || is_part(&sought, &all), "{what}: {sought:?}");
    assert!(told.header == whole.header || told.header == Header::default() || told.damaged, "{what}");
    let known = [header(), whole.header.clone(), Header::default()];
    assert!(known.contains(&told.header) || told.header.host == "hv-17", "{what}: {:?}", told.header);
    assert!(told.info.is_none() || told.info == whole.info, "{what}: {:?}", told.info);
    assert!(
        told.damaged || told.batches == whole.batches,
        "{what}: {} of {} events and no word",
        read.len(),
        all.len()
    );
    let fewer = sought.len() < events(&whole.sought).len();
    assert!(told.damaged || !fewer, "{what}: a seek gives {} events and no word", sought.len());
}

#[test]
fn every_byte_flipped_it_is_refused_or_tells_nothing_that_is_wrong() {
    let bytes = small();
    let whole = all_told(reader(&bytes));
    assert!(!whole.damaged && whole.info.is_some());
    assert!(whole.sought[0].keyframe && !whole.sought.is_empty());
    let flips = |at: usize| {
        // Most of it is the schema, which is repeated at the end.
        let is_schema = (2_000..bytes.len() - 4_000).contains(&at);
        [0x01, 0x80, 0xff]
            .into_iter()
            .enumerate()
            .filter(move |(n, _)| !is_schema || at % 3 == *n)
            .map(|(_, flip)| flip)
    };
    let refused = AtomicUsize::new(0);
    everywhere(bytes.len(), |places| {
        let mut changed = bytes.clone();
        for (at, flip) in places.flat_map(|at| flips(at).map(move |flip| (at, flip))) {
            changed[at] ^= flip;
            match Reader::from_bytes("changed", changed.clone()) {
                Ok(reader) => {
                    let told = all_told(reader);
                    check(&told, &whole, &format!("byte {at} of {} with {flip:#x}", bytes.len()));
                    assert!(told.damaged, "byte {at} with {flip:#x}: not a word");
                }
                Err(ReadError::NotARecording { .. }) => drop(refused.fetch_add(1, Relaxed)),
                Err(error) => panic!("byte {at} with {flip:#x}: {error}"),
            }
            changed[at] ^= flip;
        }
    });
    let refused = refused.into_inner();
    assert!(refused > 0, "the magic at the begin is looked at");
}

#[test]
fn cut_at_every_byte_it_is_refused_or_gives_what_is_whole() {
    let bytes = small();
    let whole = all_told(reader(&bytes));
    everywhere(bytes.len(), |lengths| {
        for len in lengths {
            match Reader::from_bytes("cut", bytes[..len].to_vec()) {
                Ok(reader) => {
                    let told = all_told(reader);
                    check(&told, &whole, &format!("{len} of {} bytes", bytes.len()));
                    assert!(told.damaged && told.info.is_none(), "{len} bytes");
                }
                Err(ReadError::NotARecording { what, .. }) => assert!(what.contains("too few bytes"), "{len}: {what}"),
                Err(error) => panic!("{len}: {error}"),
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn changed_bits_invent_nothing_and_are_told(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..5)) {
        let (all, mut changed) = (parts().concat(), recording(&parts()));
        for (at, bit) in flips {
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
        }
        if let Ok(mut reader) = Reader::from_bytes("changed", changed) {
            let events = read(&mut reader);
            let mut rest = all.iter();
            prop_assert!(events.iter().all(|event| rest.any(|e| e == event)), "only what was there, in order");
            if events != all {
                prop_assert!(reader.damage().is_some(), "{} of {} events and no word", events.len(), all.len());
            }
            let _ = reader.seek(1020);
            let again = read(&mut reader);
            prop_assert!(again.iter().all(|event| all.contains(event)));
        }
    }
}
