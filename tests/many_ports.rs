//! A datapath with a hundred thousand ports: every name is kept, recorded, found and drawn.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod drawn;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod made_up;

use drawn::{press, state, text};
use made_up::{Host, QUIET, STORM};
use ovscope::{
    event::{Body, Event, Port, PortNo, Told},
    record::{Header, Preamble, Reader, Recorder},
    ui::Choice,
};

const PORTS: u32 = 100_000;

/// As long as the kernel lets a name be.
fn name(n: u32) -> String {
    format!("tap-{n:07}-ovs")
}

/// A quiet second and a stormy one of a host with the ports; the kernel's figures of the datapath go on meanwhile.
fn events() -> Vec<Event> {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(1, QUIET));
    events.extend(host.seconds(1, STORM));
    for event in &mut events {
        if let Body::Datapaths { datapaths } = &mut event.body {
            let more = 100..100 + PORTS;
            datapaths[0].ports.extend(more.map(|n| Port {
                port: PortNo(n),
                name: name(n),
                kind: "netdev".to_owned(),
                ifindex: 1000 + n,
            }));
        }
    }
    events
}

/// How many ports the newest of these says there are.
fn ports(events: &[Event]) -> Option<(usize, String)> {
    events.iter().rev().find_map(|event| match &event.body {
        Body::Datapaths { datapaths } => {
            let ports = &datapaths[0].ports;
            Some((ports.len(), ports.last().map_or_else(String::new, |port| port.name.clone())))
        }
        _ => None,
    })
}

#[test]
fn each_is_listed_and_found_at_every_size() {
    let mut state = state(Choice::Dark, false, events());
    press(&mut state, "6");
    for (width, height) in [(60, 15), (80, 24), (120, 40), (200, 60)] {
        let text = text(&mut state, width, height);
        // Who makes the storm is on top of them all.
        assert!(text.contains("p1_l") && text.contains("100 006"), "{text}");
    }
    press(&mut state, "/tap-0077777\n");
    let found = text(&mut state, 120, 40);
    assert!(found.contains(&name(77_777)) && !found.contains(&name(77_778)), "{found}");
    press(&mut state, "\u{1b}G");
    let end = text(&mut state, 80, 24);
    assert!(end.contains("tap-"), "{end}");
}

#[test]
fn all_are_in_the_recording_and_wherever_it_is_gone_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("many.mcap");
    let events = events();
    let recorder = Recorder::create(&path, &Header::default(), &Preamble::default()).expect("a new file");
    recorder.give(events.iter().cloned().map(Told::Event).collect());
    let summary = recorder.finish().expect("room");
    assert_eq!(summary.not_recorded, 0);

    let expected = Some((PORTS as usize + 6, name(99 + PORTS)));
    let read: Vec<Event> = Reader::open(&path).expect("it is there").flat_map(|batch| batch.expect("whole")).collect();
    assert_eq!(ports(&read), expected);
    assert_eq!(read.last(), events.last());

    let mut reader = Reader::open(&path).expect("it is there");
    reader.seek(events.last().expect("events").ts).expect("a file");
    let sought: Vec<Event> = reader.flat_map(|batch| batch.expect("whole")).collect();
    assert_eq!(ports(&sought), expected, "in what is read to go there");
}
