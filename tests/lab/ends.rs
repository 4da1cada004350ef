//! However a recording ends, what there is of it is read and says what it is of.

use ovscope::{
    event::{Body, Event},
    record::Reader,
};

use crate::guest::Guest;

/// All events of a recording, and its reader after them.
fn read(guest: &Guest, name: &str) -> (Vec<Event>, Reader) {
    let mut reader = Reader::open(&guest.file(name)).unwrap_or_else(|e| panic!("{e}\n{}", guest.said));
    let mut events = Vec::new();
    while let Some(batch) = reader.next_batch() {
        let batch = batch.expect("a file");
        if !batch.keyframe {
            events.extend(batch.events);
        }
    }
    (events, reader)
}

fn span(events: &[Event]) -> f64 {
    let times = || events.iter().filter(|event| matches!(event.body, Body::Counters(_))).map(|event| event.ts);
    times().max().zip(times().min()).map_or(0.0, |(last, first)| (last - first) as f64 / 1e9)
}

#[test]
#[ignore = "boots a guest of the lab"]
fn however_a_recording_ends_it_is_read() {
    let guest = Guest::run_alone("6.12", "ends", &["--timeout", "900"], &[]);
    for name in ["TERM", "HUP"] {
        let (events, reader) = read(&guest, &format!("{name}.mcap"));
        assert_eq!(reader.remarks(), None, "{name}");
        assert_eq!(reader.info().map(|info| info.events), Some(events.len() as u64), "{name} is sealed");
        assert!(events.iter().any(|event| matches!(event.body, Body::Counters(_))), "{name}");
        let header = reader.header();
        assert!(header.ovs_version.contains("3.5"), "{header:?}");
        assert!(header.datapaths[0].ports.iter().any(|port| port.name == "p1_l"), "{header:?}");
        assert!(header.probes.iter().any(|probe| probe.name == "flow_lookup" && !probe.probe.is_empty()), "{header:?}");
        assert!(header.command.contains("--ring 8M"), "{header:?}");
        assert!(header.clock.wall > 0 && header.cpus > 0, "{header:?}");
    }

    // A file a second, and a kill: the last one is cut off, those before it are whole.
    let rows: Vec<String> =
        (1..100).map(|n| format!("row-{n:04}.mcap")).take_while(|name| guest.file(name).exists()).collect();
    assert!(rows.len() >= 3, "{rows:?} in five seconds");
    let mut all = Vec::new();
    for (number, name) in rows.iter().enumerate() {
        let (events, mut reader) = read(&guest, name);
        let is_last = number + 1 == rows.len();
        assert_eq!(reader.info().is_none(), is_last, "{name}");
        let damage = reader.damage();
        if is_last {
            let damage = damage.expect("it was not sealed");
            let read = format!("{} events were read", events.len());
            assert!(damage.contains("cut off") && damage.contains(&read), "{damage}");
        } else {
            assert_eq!(damage, None, "{name}");
        }
        if number > 0 {
            reader.seek(0).expect("a file");
            let state = reader.next_batch().expect("a state").expect("a file");
            assert!(state.keyframe && state.events.iter().any(|e| matches!(e.body, Body::Session(_))), "{name}");
        }
        all.extend(events);
        // The daemon answers before the probes are attached, and the first file may be full of age then.
        if all.iter().any(|event| matches!(event.body, Body::Probes { .. })) {
            let header = reader.header();
            assert!(!header.datapaths.is_empty() && !header.probes.is_empty(), "{name}: {header:?}");
        }
    }
    assert!(all.iter().any(|event| matches!(event.body, Body::Probes { .. })), "what is attached is told");
    // At most the last second's chunk is missing, and what was on its way to it.
    assert!(span(&all) > 2.0, "{} s", span(&all));
    let readings = || all.iter().filter(|event| matches!(event.body, Body::Counters(_))).map(|event| event.ts);
    assert!(readings().zip(readings().skip(1)).all(|(a, b)| a < b), "none is doubled at a seam");

    let piped = guest.events("pipe.jsonl");
    assert!(!piped.is_empty());
    assert_eq!(guest.text("export.err"), "");
    let gone = guest.text("gone.err");
    assert!(gone.contains("who read the recording has gone") && gone.ends_with("status 0\n"), "{gone}");

    let full = guest.text("full.err");
    assert!(full.contains("full.mcap: the disk is full") && full.ends_with("status 1\n"), "{full}");
    let (events, reader) = read(&guest, "full.mcap");
    assert!(!events.is_empty());
    assert_eq!(reader.damage(), None, "it ends with an end");
}
