//! Every line of an export is as docs/events.schema.json says.

use jsonschema::Validator;
use ovscope::{
    app::export,
    record::{Reader, Recording},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{events, reader, recording};

/// The schema, closed: a field that it does not name is a fault here, while others may meet some of later versions.
fn closed() -> Validator {
    let mut schema: Value = serde_json::from_str(include_str!("../../docs/events.schema.json")).expect("JSON");
    schema["unevaluatedProperties"] = json!(false);
    jsonschema::validator_for(&schema).expect("a schema")
}

fn validate(validator: &Validator, recording: &mut Recording) -> u64 {
    let mut lines = Vec::new();
    let summary = export::json(recording, &mut lines).expect("memory");
    for line in String::from_utf8(lines).expect("text").lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{line}: {faults:#?}");
    }
    summary.events
}

#[test]
fn every_line_of_any_export_is_valid() {
    let validator = closed();
    proptest!(ProptestConfig::with_cases(64), |(all in events::events(20))| {
        let mut whole = reader(&recording(std::slice::from_ref(&all))).into();
        prop_assert_eq!(validate(&validator, &mut whole), all.len() as u64);
    });
}

#[test]
fn every_line_of_a_real_storm_is_valid() {
    let storm = Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
    assert!(validate(&closed(), &mut storm.into()) > 10_000);
}

#[test]
fn another_line_is_not() {
    let validator = closed();
    let good = json!({"ts": 1, "cpu": 0, "type": "revalidation", "tid": 0, "comm": "", "pid": 0,
        "took_ns": 1, "n_flows": 2, "interval_ms": 500});
    assert!(validator.is_valid(&good));
    let faults = [
        ("ts", json!("1")),
        ("ts", json!(-1)),
        ("type", json!("no_such_event")),
        ("n_flows", json!(null)),
        ("more", json!(1)),
        ("comm", json!("a name that is too long")),
    ];
    for (field, value) in faults {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(!validator.is_valid(&bad), "{bad}");
    }
    for field in ["ts", "type", "took_ns"] {
        let mut bad = good.clone();
        bad.as_object_mut().expect("an object").remove(field);
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}
