//! What is written is read, also from a keyframe on.

use ovscope::{
    event::{
        Body, Capability, CapabilityState, Clock, DaemonState, Datapath, DpIfindex, Event, Port, PortNo, Session, Told,
    },
    record::{Header, Preamble, Reader, Writer},
};
use proptest::prelude::*;

use crate::{events, header, marked, read, reader, recording, recording_of_told};

const SECOND: u64 = 1_000_000_000;

proptest! {
    #[test]
    fn what_is_written_is_read(parts in prop::collection::vec(events::events(30), 0..4)) {
        let bytes = recording(&parts);
        let all = parts.concat();
        let mut whole = reader(&bytes);
        let info = whole.info().expect("sealed").clone();
        prop_assert_eq!(info.events, all.len() as u64);
        prop_assert_eq!(info.bytes, bytes.len() as u64);
        let times = || all.iter().map(|e| e.ts);
        prop_assert_eq!(info.span, times().min().zip(times().max()));
        prop_assert_eq!(&read(&mut whole), &all);
        prop_assert_eq!(whole.remarks(), None);
        let mut stream = Reader::from_stream("pipe", std::io::Cursor::new(bytes)).expect("a recording");
        prop_assert_eq!(stream.header(), &header(), "as it was known at the begin");
        prop_assert_eq!(read(&mut stream), all);
        prop_assert_eq!(stream.header(), whole.header(), "as it was known at the end");
        prop_assert_eq!(stream.remarks(), None);
    }

    #[test]
    fn runs_are_read_as_their_events(parts in prop::collection::vec(events::with_runs(30), 0..4)) {
        let bytes = recording_of_told(&parts);
        let all = Told::expanded(parts.concat());
        let mut whole = reader(&bytes);
        let info = whole.info().expect("sealed").clone();
        prop_assert_eq!(info.events, all.len() as u64);
        let times = || all.iter().map(|e| e.ts);
        prop_assert_eq!(info.span, times().min().zip(times().max()));
        prop_assert_eq!(read(&mut whole), all);
        prop_assert_eq!(whole.remarks(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_message_is_cut_where_it_is_full(part in events::events(40), times in 1..600usize) {
        let all = vec![part; times].concat();
        let bytes = recording(std::slice::from_ref(&all));
        prop_assert_eq!(read(&mut reader(&bytes)), all);
    }

    #[test]
    fn so_it_is_with_runs(part in events::with_runs(40), times in 1..300usize) {
        let all = vec![part; times].concat();
        let bytes = recording_of_told(std::slice::from_ref(&all));
        prop_assert_eq!(read(&mut reader(&bytes)), Told::expanded(all));
    }
}

fn session(ts: u64) -> Event {
    Event::host(ts, Body::Session(Box::new(Session { host: "hv-17".to_owned(), ..Session::default() })))
}

#[test]
fn a_recording_begun_in_the_middle_begins_with_the_state() {
    let mut preamble = Preamble::default();
    for event in [session(1), marked(2), session(3), marked(4)] {
        preamble.see(&event);
    }
    let mut writer = Writer::new(Vec::new(), &header(), &preamble).expect("memory");
    writer.write(&[marked(9)]).expect("memory");
    let summary = writer.finish().expect("memory");
    assert_eq!((summary.events, summary.span), (1, Some((9, 9))), "the state is no event of the recording");
    let mut reader = reader(&writer.into_sink());
    let state = reader.next_batch().expect("the state").expect("memory");
    assert!(state.keyframe);
    assert_eq!(state.events, [session(3), marked(4)]);
    let rest = reader.next_batch().expect("the event").expect("memory");
    assert_eq!((rest.keyframe, rest.events), (false, vec![marked(9)]));
    assert!(reader.next_batch().is_none());
}

#[test]
fn a_seek_gives_the_state_and_all_events_from_there() {
    let all: Vec<Event> =
        std::iter::once(session(5 * SECOND)).chain((0..450).map(|n| marked(5 * SECOND + n * SECOND / 10))).collect();
    let mut reader = reader(&recording(std::slice::from_ref(&all)));
    for ts in [0, 5, 14, 16, 27, 31, 49, 900].map(|s| s * SECOND) {
        reader.seek(ts).expect("memory");
        let mut first = reader.next_batch().expect("more").expect("memory");
        assert_eq!(first.keyframe, ts >= 15 * SECOND, "keyframes begin ten seconds after the begin");
        if first.keyframe {
            assert_eq!(first.events[0], session(5 * SECOND));
            let Body::Loss(loss) = first.events[1].body else { panic!("the latest losses are state") };
            first = reader.next_batch().expect("more").expect("memory");
            assert_eq!(loss.ring_full + SECOND / 10, first.events[0].ts, "the state just before");
        }
        assert!(first.events[0].ts <= ts.max(5 * SECOND));
        assert!(ts < 45 * SECOND || first.events[0].ts + 11 * SECOND > ts.min(50 * SECOND), "the last keyframe before");
        let rest = [first.events, read(&mut reader)].concat();
        assert_eq!(rest, all[all.len() - rest.len()..]);
        assert_eq!(reader.remarks(), None);
    }
}

#[test]
fn a_stream_goes_only_forward_and_says_so() {
    let bytes = recording(&[vec![marked(1)]]);
    let mut stream = Reader::from_stream("standard input", std::io::Cursor::new(bytes)).expect("a recording");
    assert!(!stream.can_seek());
    let error = stream.seek(0).expect_err("a stream").to_string();
    assert!(error.contains("standard input is a stream"), "{error}");
    assert_eq!(read(&mut stream), [marked(1)]);
}

#[test]
fn the_header_has_the_host_its_clocks_and_the_options_and_what_was_found_out_later() {
    let session = Session {
        program: "ovscope 0.1.0".to_owned(),
        host: "hv-17".to_owned(),
        kernel: "6.12.0".to_owned(),
        machine: "aarch64".to_owned(),
        cpus: 48,
        command: "ovscope record -o s.mcap --where 'in_port = 2' --snaplen 64".to_owned(),
        clock: Clock { monotonic: 5 * SECOND, wall: 1_795_392_000 * SECOND, utc_offset: -3600 },
        ..Session::default()
    };
    let port = Port { port: PortNo(2), name: "tap2".to_owned(), kind: "netdev".to_owned(), ifindex: 22 };
    let datapath = Datapath { dp: DpIfindex(6), name: "ovs-system".to_owned(), ports: vec![port], stats: None };
    let probe = |name: &str, state, why: &str| Capability {
        name: name.to_owned(),
        state,
        probe: format!("fentry {name}"),
        why: why.to_owned(),
        cost: None,
    };
    let capabilities = vec![
        probe("upcall", CapabilityState::Attached, ""),
        probe("flow_put", CapabilityState::Missing, "the kernel has no such function"),
    ];
    let up = DaemonState::Up { pid: 812, version: "3.5.0".to_owned(), round_trip_ns: 9, missing: vec![] };
    let bodies = [
        Body::Session(Box::new(session.clone())),
        Body::Datapaths { datapaths: vec![datapath.clone()] },
        Body::Probes { capabilities: capabilities.clone() },
        Body::Daemon(up),
    ];
    let events: Vec<Event> = (6..).zip(bodies).map(|(second, body)| Event::host(second * SECOND, body)).collect();
    let mut writer = Writer::new(Vec::new(), &Header::from(&session), &Preamble::default()).expect("memory");
    writer.write(&events).expect("memory");
    writer.finish().expect("memory");
    let bytes = writer.into_sink();

    let first = Header::from(&session);
    assert_eq!((&first.command, first.clock, first.cpus), (&session.command, session.clock, 48));
    let mut stream = Reader::from_stream("pipe", std::io::Cursor::new(bytes.clone())).expect("a recording");
    assert_eq!(stream.header(), &first, "as it was known at the begin");
    read(&mut stream);
    let ovs_version = "3.5.0".to_owned();
    let whole = Header { ovs_version, datapaths: vec![datapath], probes: capabilities, ..first };
    assert_eq!(stream.header(), &whole, "as it was known at the end");
    assert_eq!(reader(&bytes).header(), &whole, "of a file all is known at once");
}
