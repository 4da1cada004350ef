//! JSON lines.

use std::{
    fmt,
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ovscope::{
    app::export::{self, ExportFormat},
    record::Recording,
};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::{events, marked, reader, recording};

fn whole(bytes: &[u8]) -> Recording {
    reader(bytes).into()
}

proptest! {
    #[test]
    fn a_line_is_the_events_json_with_its_head_in_order(all in events::events(20)) {
        let mut lines = Vec::new();
        let summary = export::json(&mut whole(&recording(std::slice::from_ref(&all))), &mut lines).expect("memory");
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
    export::json(&mut whole(&recording(&[vec![marked(7)]])), &mut lines).expect("memory");
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
    let summary = export::json(&mut whole(&bytes), Closed).expect("quiet");
    assert!(summary.events < 10_000);
}

#[test]
fn an_export_writes_over_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("storm.mcap"), folder.path().join("storm.jsonl"));
    std::fs::write(&from, recording(&[vec![marked(7), marked(8)]])).expect("room");
    let to_json = |force| export::export(&from, ExportFormat::Json, Some(&to), force);
    assert_eq!(to_json(false).expect("a new file").events, 2);
    let text = std::fs::read_to_string(&to).expect("it is there");
    assert_eq!(text.lines().count(), 2);
    let error = to_json(false).expect_err("it is there now").to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(std::fs::read_to_string(&to).expect("still there"), text);
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&to), 0o600);

    std::fs::write(&to, "something else").expect("room");
    std::fs::set_permissions(&to, Permissions::from_mode(0o644)).expect("its owner");
    to_json(true).expect("it is to be replaced");
    assert_eq!((std::fs::read_to_string(&to).expect("it is there"), mode(&to)), (text, 0o600));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left beside it");
}

#[test]
fn a_minus_is_standard_output_and_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("recording"), recording(&[vec![marked(7)]])).expect("room");
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ovscope"));
        let output = command.current_dir(folder.path()).args(args).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let named = command(&["export", "recording", "-o", "-"]);
    assert!(named.starts_with(b"{\"ts\":7"), "{}", String::from_utf8_lossy(&named));
    assert_eq!(named, command(&["export", "recording"]));
    let there = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(there, 1, "there is the recording and nothing else");
}

#[test]
fn what_is_no_file_and_the_recording_itself_are_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("storm.mcap");
    let bytes = recording(&[vec![marked(7)]]);
    std::fs::write(&from, &bytes).expect("room");
    let linked = folder.path().join("link");
    std::os::unix::fs::symlink(&from, &linked).expect("room");
    for (to, why) in [(folder.path(), "no regular file"), (&linked, "no regular file"), (&from, "the recording itself")]
    {
        let error = export::export(&from, ExportFormat::Json, Some(to), true).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(std::fs::read(&from).expect("still there"), bytes);
}

#[test]
fn a_failed_export_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("storm.jsonl");
    std::fs::write(&to, "before").expect("room");
    let error = export::export(&folder.path().join("none"), ExportFormat::Json, Some(&to), true);
    assert!(error.expect_err("there is none").to_string().contains("cannot be opened"));
    assert_eq!(std::fs::read_to_string(&to).expect("still there"), "before");
}
