//! JSON lines.

use std::fmt;
use std::io::{self, Write};

use ovscope::app::export;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::{events, marked, reader, recording};

proptest! {
    #[test]
    fn a_line_is_the_events_json_with_its_head_in_order(all in events::events(20)) {
        let mut lines = Vec::new();
        let summary = export::json(&mut reader(&recording(std::slice::from_ref(&all))), &mut lines).expect("memory");
        prop_assert_eq!(summary.events, all.len() as u64);
        prop_assert_eq!(summary.remarks, None);
        let lines = String::from_utf8(lines).expect("JSON is text");
        prop_assert_eq!(lines.lines().count(), all.len());
        for (line, event) in lines.lines().zip(&all) {
            let value: Value = serde_json::from_str(line).expect("JSON");
            prop_assert_eq!(&value, &serde_json::to_value(event).expect("plain data"));
            let mut head = vec!["ts", "cpu", "type", "tid", "comm"];
            head.extend(event.packet.map(|_| "packet"));
            head.extend(event.upcall.map(|_| "upcall"));
            head.push("pid");
            let keys: Keys = serde_json::from_str(line).expect("an object");
            prop_assert_eq!(&keys.0[..head.len()], &head[..], "{}", line);
        }
    }
}

#[test]
fn a_line_looks_like_this() {
    let mut lines = Vec::new();
    export::json(&mut reader(&recording(&[vec![marked(7)]])), &mut lines).expect("memory");
    assert_eq!(
        String::from_utf8(lines).expect("text"),
        concat!(
            r#"{"ts":7,"cpu":0,"type":"loss","tid":0,"comm":"","pid":0,"ring_full":7,"over_budget":0,"#,
            r#""upcalls_over_budget":0,"told_over_budget":0,"filtered_out":0,"upcalls_filtered_out":0,"not_sampled":0,"untracked":0,"missed_runs":0,"undecoded":0,"not_recorded":0}"#,
            "\n"
        )
    );
}

/// The keys of an object, in the order they stand in.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        from.deserialize_map(InOrder)
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bytes = recording(&[vec![marked(7); 10_000]]);
    let summary = export::json(&mut reader(&bytes), Closed).expect("quiet");
    assert!(summary.events < 10_000);
}

#[test]
fn an_export_writes_over_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("storm.mcap"), folder.path().join("storm.jsonl"));
    std::fs::write(&from, recording(&[vec![marked(7), marked(8)]])).expect("room");
    assert_eq!(export::to_json(&from, Some(&to)).expect("a new file").events, 2);
    let text = std::fs::read_to_string(&to).expect("it is there");
    assert_eq!(text.lines().count(), 2);
    let error = export::to_json(&from, Some(&to)).expect_err("it is there now").to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(std::fs::read_to_string(&to).expect("still there"), text);
}
