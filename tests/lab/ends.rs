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
    let guest = Guest::run("6.12", "ends");
    for name in ["INT", "TERM", "HUP"] {
        let (events, reader) = read(&guest, &format!("{name}.mcap"));
        assert_eq!(reader.remarks(), None, "{name}");
        assert_eq!(reader.info().map(|info| info.events), Some(events.len() as u64), "{name} is sealed");
        assert!(span(&events) > 1.0, "{name}: {} s", span(&events));
        let header = reader.header();
        assert!(header.ovs_version.contains("3.5"), "{header:?}");
        assert!(header.datapaths[0].ports.iter().any(|port| port.name == "p1_l"), "{header:?}");
        assert!(header.probes.iter().any(|probe| probe.name == "flow_lookup" && !probe.probe.is_empty()), "{header:?}");
        assert!(header.command.contains("--buffer 8M"), "{header:?}");
        assert!(header.clock.wall > 0 && header.cpus > 0, "{header:?}");
    }

    let (events, reader) = read(&guest, "KILL.mcap");
    assert!(reader.info().is_none());
    // It was killed 3.3 seconds after it began: at most the last second's chunk is missing, and the one in the queue.
    assert!(span(&events) > 1.2, "{} s", span(&events));
    let damage = reader.damage().expect("it was not sealed");
    assert!(damage.contains("cut off") && damage.contains(&format!("{} events were read", events.len())), "{damage}");
    assert!(!reader.header().datapaths.is_empty(), "the header was told again when it was known");

    let piped = guest.events("pipe.jsonl");
    assert!(!piped.is_empty());
    assert_eq!(guest.text("export.err"), "");
    let gone = guest.text("gone.err");
    assert!(gone.contains("who read the recording has gone") && gone.ends_with("status 0\n"), "{gone}");

    let told = guest.text("row.err");
    assert!(told.contains("more files"), "{told}");
    let mut count = 0;
    for number in 1.. {
        let name = format!("row-{number:04}.mcap");
        if !guest.file(&name).exists() {
            break;
        }
        let (events, mut reader) = read(&guest, &name);
        assert_eq!(reader.remarks(), None, "{name}");
        assert!(!events.is_empty() && reader.info().is_some(), "{name}");
        assert!(!reader.header().datapaths.is_empty(), "{name}: {:?}", reader.header());
        if number > 1 {
            reader.seek(0).expect("a file");
            let state = reader.next_batch().expect("a state").expect("a file");
            assert!(state.keyframe && state.events.iter().any(|e| matches!(e.body, Body::Session(_))), "{name}");
        }
        count += 1;
    }
    assert!((3..=6).contains(&count), "{count} files in four seconds");

    let full = guest.text("full.err");
    assert!(full.contains("full.mcap: the disk is full") && full.ends_with("status 1\n"), "{full}");
    let (events, reader) = read(&guest, "full.mcap");
    assert!(events.len() > 100, "{} events", events.len());
    assert_eq!(reader.damage(), None, "it ends with an end");
}
