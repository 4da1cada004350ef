//! Recordings of a newer version, and of somebody who means harm: whole files with other messages in them.

use std::borrow::Cow;

use ovscope::{
    event::{Event, Told},
    record::{Reader, Unknown},
};
use proptest::prelude::*;

use crate::{events, marked, read, recording, recording_of_told};

/// A field of protobuf with bytes in it.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut key = number << 3 | 2;
    while key >= 0x80 {
        out.push(key as u8 | 0x80);
        key >>= 7;
    }
    out.push(key as u8);
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(bytes);
    out
}

/// A recording of two events, with something added to their message.
fn with(added: &[u8]) -> Reader {
    changed(&[marked(5), marked(6)], |message| message.extend(added))
}

/// A recording with its message changed, and right checksums.
fn changed(events: &[Event], change: impl FnMut(&mut Vec<u8>)) -> Reader {
    changed_in(&recording(&[events.to_vec()]), change)
}

/// The same of a recording that is there.
fn changed_in(bytes: &[u8], mut change: impl FnMut(&mut Vec<u8>)) -> Reader {
    let mut copy =
        mcap::WriteOptions::new().profile("ovscope").create(std::io::Cursor::new(Vec::new())).expect("memory");
    for message in mcap::MessageStream::new(bytes).expect("whole") {
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

/// The columns that all events have, of so many; and the kinds.
fn heads(kinds: &[u8]) -> Vec<u8> {
    let columns = [3, 4, 5, 6, 7].map(|column| field(column, &vec![0; kinds.len()])).concat();
    [field(2, kinds), columns, field(8, &[field(1, &[0]), field(2, &[0]), field(3, &[])].concat())].concat()
}

/// What the reader says of a message with nothing but runs of `count`, each of one way with `length` times the step.
fn said_of_runs(count: usize, length: u16, step: &[u8]) -> (usize, Option<String>) {
    let column = |number, len: usize| field(number, &vec![0; len]);
    let lengths = field(3, &[length as u8 | 0x80, (length >> 7) as u8]);
    let runs = [column(1, count), lengths, column(4, length.into()), field(5, step)].concat();
    let message = [heads(&vec![50; count]), field(50, &runs)].concat();
    let mut reader = changed(&[marked(1)], |old| old.clone_from(&message));
    (read(&mut reader).len(), reader.damage())
}

/// A step at a generic point.
fn generic_point() -> Vec<u8> {
    let devices = field(17, &[field(1, b"p1"), field(2, &[1]), field(3, &[1])].concat());
    [heads(&[11]), devices, field(30, &[field(1, &[0]), field(2, &[0])].concat())].concat()
}

#[test]
fn a_few_bytes_of_runs_are_no_more_events_than_a_message_may_have() {
    assert_eq!(said_of_runs(8, 8192, &generic_point()), (65_536, None));
    for (count, length) in [(9, 8192), (8, 8193), (65_536, 16_000)] {
        let (events, damage) = said_of_runs(count, length, &generic_point());
        assert_eq!(events, 0);
        assert!(damage.is_some_and(|what| what.contains("more events than any version puts into one message")));
    }
}

#[test]
fn what_cannot_be_a_step_is_refused() {
    let json = [heads(&[13]), field(32, br#"{"type":"probes","capabilities":[]}"#)].concat();
    for step in
        [json, vec![], heads(&[50]), [heads(&[50]), field(50, &[field(1, &[0]), field(3, &[0])].concat())].concat()]
    {
        let (events, damage) = said_of_runs(2, 3, &step);
        assert_eq!(events, 0);
        assert!(damage.as_ref().is_some_and(|what| what.contains("is left out")), "{step:?}: {damage:?}");
    }
}

#[test]
fn a_step_of_an_unknown_kind_is_counted_for_each_run() {
    let runs = [field(1, &[0, 0]), field(3, &[1]), field(4, &[0]), field(5, &heads(&[200]))].concat();
    let message = [heads(&[50, 50]), field(50, &runs)];
    let mut reader = changed(&[marked(1)], |old| old.clone_from(&message.concat()));
    assert_eq!(read(&mut reader), []);
    assert_eq!((reader.unknown().events, reader.damage()), (2, None));
}

#[test]
fn a_long_text_is_not_copied_for_every_event() {
    let text = field(16, &vec![b'x'; 1 << 20]);
    let drops = field(36, &[field(1, &vec![0; 1000]), field(2, &vec![1; 1000]), field(3, &vec![1; 1000])].concat());
    let message = [heads(&vec![16; 1000]), text, drops].concat();
    let mut reader = changed(&[marked(1)], |old| old.clone_from(&message));
    assert_eq!(read(&mut reader), []);
    assert!(reader.damage().is_some_and(|what| what.contains("texts that are longer than any version writes")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_message_of_runs_is_read_or_left_out(
        all in events::with_runs(12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut reader = changed_in(&recording_of_told(std::slice::from_ref(&all)), |message| {
            for (at, byte) in &changes {
                let at = at.index(message.len());
                message[at] = *byte;
            }
        });
        let before = Told::expanded(all).len();
        prop_assert!(read(&mut reader).len() <= before + 65_536);
    }
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
