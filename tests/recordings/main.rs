//! Recordings: what is written is read, and of what is cut off or damaged no event is invented.

mod events;

use ovscope::{
    event::Event,
    record::{Header, Preamble, Reader, Writer},
};
use proptest::prelude::*;

fn header() -> Header {
    Header {
        program: "ovscope 0.1.0".to_owned(),
        host: "hv-17".to_owned(),
        kernel: "6.12.0".to_owned(),
        ovs_version: "3.5.0".to_owned(),
    }
}

/// A whole recording of some events, a chunk for each of them.
fn recording(parts: &[Vec<Event>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header(), &Preamble::default()).expect("memory");
    for part in parts {
        writer.write(part).expect("memory");
        writer.flush().expect("memory");
    }
    writer.finish().expect("memory");
    writer.into_sink()
}

fn read(reader: &mut Reader) -> Vec<Event> {
    reader.flat_map(|batch| batch.expect("memory")).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(parts in prop::collection::vec(events::events(30), 0..4)) {
        let bytes = recording(&parts);
        let all = parts.concat();
        let mut reader = Reader::from_bytes("memory", bytes.clone()).expect("whole");
        prop_assert_eq!(reader.header(), &header());
        let info = reader.info().expect("sealed").clone();
        prop_assert_eq!(info.events, all.len() as u64);
        prop_assert_eq!(info.bytes, bytes.len() as u64);
        let span = all.iter().map(|e| e.ts).min().zip(all.iter().map(|e| e.ts).max());
        prop_assert_eq!(info.span, span);
        prop_assert_eq!(read(&mut reader), all);
        prop_assert_eq!(reader.damage(), None);
        prop_assert_eq!(reader.unknown(), Default::default());
    }
}
