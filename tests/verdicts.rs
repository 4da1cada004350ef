//! Verdicts of real recordings, one for each cause that was provoked in the lab (tests/lab/verdicts.sh), and of healthy
//! datapaths: what has to be named is named within ten seconds of the recording's begin, with who it is, and nothing else.

#[expect(dead_code, reason = "other tests use the rest of it")]
mod drawn;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use drawn::text;
use ovscope::{
    app::report::report,
    event::{Body, DaemonTrace, Event, Field},
    model::{Cause, Model, SECOND, Severity, Verdict},
    record::{Reader, Recording},
    ui::Choice,
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
    ("slow_revalidator", Some(Cause::SlowRevalidator), "to go through 2 000 flows", &[]),
    ("netlink_overflow", Some(Cause::NetlinkOverflow), "100 % from p1_l", &[]),
    ("daemon_gone", Some(Cause::DaemonGone), "upcalls/s are lost", &[]),
    ("daemon_stalled", Some(Cause::DaemonStalled), "upcalls/s wait for it", &[]),
    ("handler_starved", Some(Cause::HandlerStarved), "lacks CPU", &[]),
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
    ("fragments", Some(Cause::Fragments), "were reassembled from fragments, most from p1_l", &[]),
    ("fragments_dropped", Some(Cause::Fragments), "cannot be fragmented again", &[]),
];

/// Causes that name nobody: what they say is of the daemon as a whole, or of rules that come and go.
const OF_NOBODY: [Cause; 5] = [
    Cause::DaemonGone,
    Cause::DaemonStalled,
    Cause::SlowRevalidator,
    Cause::OpenflowChurn,
    // Where packets are dropped that made no upcall.
    Cause::Fragments,
];

fn path(name: &str) -> PathBuf {
    Path::new("tests/verdicts").join(name).with_extension("mcap")
}

fn events(name: &str) -> Vec<Event> {
    let mut reader = Reader::open(&path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
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
fn the_first_line_of_the_report_names_it() {
    for (name, cause, words, _) in EXPECTED {
        let mut recording = Recording::open(&path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let report = report(&mut recording, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        // Some are but worth a note: to a healthy datapath nothing worse may be said.
        let first = report.verdicts.first().filter(|first| cause.is_some() || first.severity != "note");
        assert_eq!(first.map(|first| first.cause), cause.map(Cause::name), "{name}: {first:?}");
        let Some(first) = first else { continue };
        assert!(first.headline.contains(words) && first.from_second <= 10, "{name}: {first:?}");
        assert!(!first.figures.is_empty() && !first.tries.is_empty() && !first.reads.is_empty(), "{name}: {first:?}");
    }
}

#[test]
fn the_first_line_of_the_storm_view_names_it_within_ten_seconds() {
    for (name, cause, words, _) in EXPECTED {
        let mut events = events(name);
        let begin = events.iter().find(|e| matches!(e.body, Body::Counters(_))).map_or(0, |e| e.ts);
        events.retain(|event| event.ts <= begin + 10 * SECOND);
        let screen = text(&mut drawn::state(Choice::Mono, false, events.clone()), 200, 60);
        let line = |head: &str| screen.lines().find(|line| line.starts_with(head));
        let loud = line(" ▲ WARNING  ").or_else(|| line(" ▲ CRITICAL  "));
        let Some(cause) = cause else {
            assert_eq!(loud, None, "{name}");
            continue;
        };
        let first = loud.or_else(|| line(" ● NOTE  "));
        assert!(first.is_some_and(|line| line.contains(words)), "{name}: {first:?}");
        let mut model = Model::default();
        model.apply_all(&events);
        let verdict = model.verdicts().into_iter().next().expect("the line is of one");
        assert_eq!(verdict.cause, *cause, "{name}");
        assert!(OF_NOBODY.contains(cause) || !verdict.culprits.is_empty(), "{name} names nobody: {verdict:?}");
    }
}

/// What ovs-vswitchd says of a packet that meets the rule of the lab's storms, and another behind it.
const COPIES: &str = "Flow: udp\n\nbridge(\"br0\")\n-------------\n 0. udp,in_port=1, priority 100, cookie 0x1f\n    \
    move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]\n    resubmit(,10)\n    10. priority 0\n            NORMAL\n\n\
    Final flow: unchanged\nMegaflow: recirc_id=0,eth,udp,in_port=1,nw_frag=no,tp_src=1000\nDatapath actions: 2\n";

/// A recording's events with a daemon that answers every question for a trace with this; gives how often it was asked, and
/// the model in the end with the last verdict of each cause.
fn traced(name: &str, answer: Result<&str, &str>) -> (usize, BTreeMap<Cause, Verdict>, Vec<Event>) {
    let (mut model, mut asked, mut last, mut heard) = (Model::default(), 0, BTreeMap::new(), Vec::new());
    for event in events(name) {
        model.apply(&event);
        heard.push(event.clone());
        if !matches!(event.body, Body::Counters(_)) {
            continue;
        }
        last.extend(model.verdicts().into_iter().map(|verdict| (verdict.cause, verdict)));
        let Some(sample) = model.sample_to_trace() else { continue };
        asked += 1;
        assert!(sample.field == Field::UdpSrc && sample.key.contains("proto=17") && sample.key.contains("udp(src="));
        let answer = answer.map(str::to_owned).map_err(str::to_owned);
        let (dp, ufid, key, sample_of) = (sample.dp, sample.ufid, sample.key, Some(sample.field));
        let trace = DaemonTrace { dp, ufid, key, sample_of, answer, took_ns: 1 };
        let trace = Event::host(event.ts, Body::DaemonTrace(Box::new(trace)));
        model.apply(&trace);
        heard.push(trace);
    }
    (asked, last, heard)
}

#[test]
fn the_rule_of_a_storm_is_named_by_the_traces_of_three_of_its_flows() {
    let (asked, verdicts, heard) = traced("field_explosion", Ok(COPIES));
    assert_eq!(asked, 3);
    let verdict = &verdicts[&Cause::FieldExplosion];
    let rules: Vec<_> = verdict.rules.iter().map(|rule| (rule.to_string(), rule.met_by, rule.of)).collect();
    let line =
        "br0 table=0 priority=100 cookie=0x1f udp,in_port=1  uses udp_src: move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]";
    assert_eq!(rules, [(line.to_owned(), 3, 3)]);
    assert_eq!(verdict.unnamed, None);
    // A replay names it without asking.
    let mut replayed = Model::default();
    replayed.apply_all(&heard);
    assert_eq!(replayed.verdicts().iter().flat_map(|verdict| verdict.rules.iter()).count(), 1);
    assert!(replayed.sample_to_trace().is_none());
}

#[test]
fn the_rule_is_named_where_something_worse_is_told_of_the_same_storm() {
    let (_, verdicts, _) = traced("flow_limit", Ok(COPIES));
    assert_eq!(verdicts[&Cause::FlowLimit].rules.len(), 1, "{:?}", verdicts[&Cause::FlowLimit]);
}

#[test]
fn where_the_traces_do_not_tell_the_rule_that_is_said() {
    let plain = COPIES.replace("move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]", "drop");
    let other = COPIES.replace(",tp_src=1000", "");
    for (answer, asks, why) in [
        (Ok(&*plain), 3, "none of the 2 that 3 traced flows met names udp_src"),
        (Ok(&*other), 3, "the flows that 3 traced packets make do not match udp_src; rules changed since"),
        (Ok("nonsense"), 3, "the flows that 3 traced packets make do not match udp_src"),
        (Err("it does not answer"), 8, "not traced: it does not answer"),
    ] {
        let (asked, verdicts, _) = traced("field_explosion", answer);
        let verdict = &verdicts[&Cause::FieldExplosion];
        assert_eq!((asked, verdict.rules.len()), (asks, 0), "{answer:?}");
        assert!(verdict.unnamed.as_ref().is_some_and(|words| words.contains(why)), "{:?}", verdict.unnamed);
    }
    let (asked, verdicts, _) = traced("full_rate", Ok(COPIES));
    assert!(asked == 0 && verdicts.values().all(|verdict| verdict.unnamed.is_none()), "nothing to ask for");
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
