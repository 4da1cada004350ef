//! Recordings that are cut off, changed or something else.

use ovscope::{
    event::Event,
    record::{ReadError, Reader},
};
use proptest::prelude::*;

use crate::{marked, read, reader, recording};

/// Five chunks of three events each.
fn parts() -> Vec<Vec<Event>> {
    (0..5u64).map(|part| (0..3).map(|n| marked(1000 + 10 * part + n)).collect()).collect()
}

#[test]
fn cut_off_anywhere_it_gives_the_whole_chunks_and_says_so() {
    let (all, bytes) = (parts().concat(), recording(&parts()));
    let mut most = 0;
    for len in 0..bytes.len() {
        let cut = bytes[..len].to_vec();
        let stream = Reader::from_stream("cut", std::io::Cursor::new(cut.clone()));
        for opened in [Reader::from_bytes("cut", cut), stream] {
            match opened {
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
    }
    assert_eq!(most, all.len(), "the summary at the end holds no events");
}

#[test]
fn what_is_no_recording_is_named() {
    let other = Reader::from_bytes("notes.txt", b"it is only text, and long enough for a head".to_vec());
    let error = other.expect_err("text").to_string();
    assert_eq!(
        error,
        "notes.txt is not a recording of ovscope: it has another format. «ovscope record -o FILE» makes one"
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
