//! Recordings of a newer version, and of somebody who means harm: whole files with other messages in them.

use std::borrow::Cow;

use ovscope::{
    event::Event,
    record::{Reader, Unknown},
};
use proptest::prelude::*;

use crate::{events, marked, read, recording};

/// A field of protobuf with bytes in it.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut key = number << 3 | 2;
    while key >= 0x80 {
        out.push(key as u8 | 0x80);
        key >>= 7;
    }
    out.extend([key as u8, bytes.len() as u8]);
    out.extend(bytes);
    out
}

/// A recording of two events, with something added to their message.
fn with(added: &[u8]) -> Reader {
    changed(&[marked(5), marked(6)], |message| message.extend(added))
}

/// A recording with its message changed, and right checksums.
fn changed(events: &[Event], mut change: impl FnMut(&mut Vec<u8>)) -> Reader {
    let bytes = recording(&[events.to_vec()]);
    let mut copy =
        mcap::WriteOptions::new().profile("ovscope").create(std::io::Cursor::new(Vec::new())).expect("memory");
    for message in mcap::MessageStream::new(&bytes).expect("whole") {
        let mut message = message.expect("whole");
        let mut data = message.data.into_owned();
        change(&mut data);
        message.data = Cow::Owned(data);
        copy.write(&message).expect("memory");
    }
    copy.finish().expect("memory");
    Reader::from_bytes("newer", copy.into_inner().into_inner()).expect("a recording")
}

#[test]
fn a_copy_by_another_tool_is_read() {
    let mut reader = with(&[]);
    assert_eq!(read(&mut reader), [marked(5), marked(6)]);
    assert_eq!(reader.remarks(), None);
}

#[test]
fn an_unknown_field_is_counted() {
    let mut reader = with(&field(4000, b"what is this"));
    assert_eq!(read(&mut reader), [marked(5), marked(6)]);
    assert_eq!(reader.unknown(), Unknown { events: 0, messages: 1 });
    let remarks = reader.remarks().expect("something was passed over");
    assert!(remarks.starts_with("newer: a newer version made this recording: 0 events"), "{remarks}");
}

#[test]
fn an_event_of_an_unknown_kind_is_counted() {
    // One event more: the kinds replace those before, the columns grow.
    let added =
        [field(2, &[13, 200, 13]), field(3, &[0]), field(4, &[0]), field(5, &[0]), field(6, &[0]), field(7, &[0])];
    let mut reader = with(&added.concat());
    assert_eq!(read(&mut reader).len(), 2);
    assert_eq!(reader.unknown().events, 1);
    assert_eq!(reader.damage(), None);
}

#[test]
fn a_rare_event_of_an_unknown_type_is_counted() {
    let json = br#"{"type":"weather","sunny":true}"#;
    let columns = [3, 4, 5, 6, 7].map(|column| field(column, &[0])).concat();
    let mut reader = with(&[field(2, &[13, 13, 13]), columns, field(32, json)].concat());
    assert_eq!(read(&mut reader), [marked(5), marked(6)]);
    assert_eq!(reader.unknown().events, 1);
}

#[test]
fn a_message_that_is_none_is_left_out_and_told() {
    for bad in [field(2, &[13]), field(2, &[13, 1]), field(5, &[9]), vec![0xff], field(2, &[13, 13, 13])] {
        let mut reader = with(&bad);
        assert_eq!(read(&mut reader), []);
        let damage = reader.damage().expect("a message is missing");
        assert!(damage.contains("is left out"), "{damage}");
    }
}

#[test]
fn a_message_of_nothing_but_events_is_refused() {
    let mut kinds = vec![2 << 3 | 2, 0x80, 0x80, 0x80, 1];
    kinds.resize(kinds.len() + (2 << 20), 0);
    let mut reader = with(&kinds);
    assert_eq!(read(&mut reader), []);
    let damage = reader.damage().expect("it is left out");
    assert!(damage.contains("more events than any version puts into one message"), "{damage}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_message_is_read_or_left_out(
        all in events::events(12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut reader = changed(&all, |message| {
            for (at, byte) in &changes {
                let at = at.index(message.len());
                message[at] = *byte;
            }
            if let Some(cut) = cut {
                message.truncate(cut.index(message.len()));
            }
        });
        let events = read(&mut reader);
        prop_assert!(events.len() <= all.len() + 256, "{} events", events.len());
    }
}
