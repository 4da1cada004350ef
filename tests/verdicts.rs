//! Verdicts of real recordings, one for each cause that was provoked in the lab (tests/lab/verdicts.sh), and of healthy
//! datapaths: what has to be named is named within ten seconds of the recording's begin, with who it is, and nothing else.

use std::{collections::BTreeMap, path::Path};

use ovscope::{
    event::{Body, Event},
    model::{Cause, Model, SECOND, Severity},
    record::Reader,
};

/// A scenario's name, the cause that has to come first, what its headline has to say, and causes that are also there.
type Expected = (&'static str, Option<Cause>, &'static str, &'static [Cause]);

const EXPECTED: &[Expected] = &[
    ("idle", None, "", &[]),
    ("full_rate", None, "", &[]),
    ("stable_flows", None, "", &[]),
    ("new_connections", None, "", &[]),
    ("good_restart", None, "", &[]),
    ("field_explosion", Some(Cause::FieldExplosion), "every new udp_src makes a flow", &[]),
    ("flow_limit", Some(Cause::FlowLimit), "the flow limit of 300 is reached", &[Cause::FieldExplosion]),
    ("emergency_kill", Some(Cause::EmergencyKill), "all flows were killed", &[Cause::FieldExplosion]),
    ("slow_revalidator", Some(Cause::SlowRevalidator), "to go through 2000 flows", &[]),
    ("netlink_overflow", Some(Cause::NetlinkOverflow), "100 % from p1_l", &[]),
    ("daemon_gone", Some(Cause::DaemonGone), "upcalls/s are lost", &[]),
    ("daemon_stalled", Some(Cause::DaemonStalled), "upcalls/s wait for it", &[]),
    ("handler_starved", Some(Cause::HandlerStarved), "does not get a CPU", &[]),
    ("handler_imbalance", Some(Cause::HandlerImbalance), "has nearly all upcalls", &[]),
    ("tuple_space", Some(Cause::TupleSpace), "masks until it finds its flow", &[]),
    ("mac_flapping", Some(Cause::MacFlapping), "02:00:00:00:00:01 moves between p1_l and p3_l", &[]),
    ("controller_punts", Some(Cause::ControllerPunts), "cookie 0xbeef", &[]),
    ("slow_path", Some(Cause::SlowPath), "(bfd)", &[]),
    ("sampling", Some(Cause::Sampling), "from p1_l", &[]),
    ("broadcast_flood", Some(Cause::BroadcastFlood), "ARP to everybody", &[]),
    ("put_failures", Some(Cause::PutFailures), "EINVAL", &[]),
    ("flapping_flows", Some(Cause::FlappingFlows), "deleted and put again", &[]),
    ("unknown_port", Some(Cause::UnknownPort), "vxlan_sys_4789 from 10.9.0.2 with tunnel key 0x63", &[]),
    ("openflow_churn", Some(Cause::OpenflowChurn), "OpenFlow rules change all the time", &[]),
    ("short_connections", Some(Cause::ShortConnections), "new to connection tracking", &[Cause::FieldExplosion]),
    ("too_big", Some(Cause::TooBig), "from p1_l are too big", &[]),
];

fn events(name: &str) -> Vec<Event> {
    let path = Path::new("tests/verdicts").join(name).with_extension("mcap");
    let mut reader = Reader::open(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let batches = std::iter::from_fn(|| reader.next_batch());
    batches.flat_map(|batch| batch.unwrap_or_else(|e| panic!("{name}: {e}")).events).collect()
}

/// What was said of a recording: by cause the first second it was said in, the worst severity, and its last headline.
struct Said {
    by_cause: BTreeMap<Cause, (u64, Severity, String)>,
    /// The first verdict of each second that had one above a note.
    first: Vec<Cause>,
}

fn said(name: &str) -> Said {
    let mut model = Model::default();
    let mut said = Said { by_cause: BTreeMap::new(), first: Vec::new() };
    let events = events(name);
    let begin = events.iter().find(|e| matches!(e.body, Body::Counters(_))).map_or(0, |e| e.ts);
    for event in &events {
        model.apply(event);
        if !matches!(event.body, Body::Counters(_)) {
            continue;
        }
        let second = event.ts.saturating_sub(begin) / SECOND;
        let verdicts = model.verdicts();
        said.first.extend(verdicts.first().filter(|first| first.severity > Severity::Note).map(|first| first.cause));
        for verdict in verdicts {
            let (_, severity, headline) =
                said.by_cause.entry(verdict.cause).or_insert((second, verdict.severity, String::new()));
            *severity = (*severity).max(verdict.severity);
            *headline = verdict.headline;
        }
    }
    said
}

#[test]
fn what_was_provoked_is_named_and_nothing_else() {
    for (name, cause, words, also) in EXPECTED {
        let said = said(name);
        let all = &said.by_cause;
        for (other, (second, severity, headline)) in all.iter().filter(|(other, _)| Some(**other) != *cause) {
            assert!(
                *severity == Severity::Note || also.contains(other),
                "{name}: {other} from second {second}, {severity:?}: {headline}"
            );
        }
        let Some(cause) = cause else { continue };
        let (second, _, headline) = all.get(cause).unwrap_or_else(|| panic!("{name}: {all:?}"));
        assert!(*second <= 10, "{name}: named after {second} s");
        assert!(headline.contains(words), "{name}: {headline}");
        // What leads to it may be named before it.
        let mut firsts = said.first.iter().skip_while(|first| also.contains(first));
        assert!(firsts.all(|first| first == cause), "{name}: first {:?}", said.first);
    }
}

#[test]
fn each_cause_has_a_recording_and_its_place_in_the_documentation() {
    let docs = std::fs::read_to_string("docs/verdicts.md").expect("it is there");
    for cause in Cause::ALL {
        assert!(docs.contains(&format!("| `{cause}` |")), "{cause}");
        let is_provoked = EXPECTED.iter().any(|(_, of, ..)| *of == Some(*cause));
        assert!(is_provoked || *cause == Cause::Unknown, "{cause} has no recording");
    }
    let files = std::fs::read_dir("tests/verdicts").expect("it is there").count();
    assert_eq!(files, EXPECTED.len(), "each recording has its expectation");
}
