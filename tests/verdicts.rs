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
    event::{Body, DaemonState, DaemonTrace, Event, Field},
    model::{Cause, Certainty, Model, SECOND, Severity, Verdict},
    record::{Reader, Recording},
    ui::Choice,
};

/// Those that are kept.
const KEPT: &str = "tests/verdicts";

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

/// What older kernels have no reason for: named since this one.
const SINCE: (&str, [u32; 2]) = ("fragments_dropped", [6, 6]);

/// Where the recordings are: those that are kept, or others, of another kernel (`make verdicts KERNEL=7.3`).
fn directory() -> PathBuf {
    std::env::var_os("OVSCOPE_VERDICTS").map_or_else(|| KEPT.into(), PathBuf::from)
}

fn path(name: &str) -> PathBuf {
    directory().join(name).with_extension("mcap")
}

fn events(path: &Path) -> Vec<Event> {
    let mut reader = Reader::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let batches = std::iter::from_fn(|| reader.next_batch());
    batches.flat_map(|batch| batch.unwrap_or_else(|e| panic!("{}: {e}", path.display())).events).collect()
}

/// The kernel's first two numbers.
fn kernel(name: &str) -> [u32; 2] {
    let events = events(&path(name));
    let release = events.iter().find_map(|event| match &event.body {
        Body::Session(session) => Some(session.kernel.as_str()),
        _ => None,
    });
    let mut numbers = release.expect("a session").split('.').map(|number| number.parse().expect("a number"));
    [numbers.next().expect("two of them"), numbers.next().expect("two of them")]
}

/// What has to hold of each, as far as the kernel it was recorded on can tell it; all that does not is told together.
fn each(check: impl Fn(&Expected) -> Result<(), String>) {
    let told = |&expected: &Expected| match expected {
        (name, ..) if name == SINCE.0 && kernel(name) < SINCE.1 => (name, None, "", expected.3),
        _ => expected,
    };
    let failures: Vec<String> = EXPECTED.iter().map(told).filter_map(|expected| check(&expected).err()).collect();
    assert!(failures.is_empty(), "in {}:\n{}", directory().display(), failures.join("\n"));
}

/// What was said of a recording.
struct Said {
    by_cause: BTreeMap<Cause, Told>,
    /// The first verdict of each second that had one above a note.
    first: Vec<Cause>,
}

/// What was said of a cause: the first second it was said in, the worst severity, and its last headline.
#[derive(Debug)]
struct Told {
    second: u64,
    severity: Severity,
    headline: String,
}

fn said(events: &[Event]) -> Said {
    let mut model = Model::default();
    let mut said = Said { by_cause: BTreeMap::new(), first: Vec::new() };
    let begin = events.iter().find(|e| matches!(e.body, Body::Counters(_))).map_or(0, |e| e.ts);
    for event in events {
        model.apply(event);
        if !matches!(event.body, Body::Counters(_)) {
            continue;
        }
        let second = event.ts.saturating_sub(begin) / SECOND;
        let verdicts = model.verdicts();
        said.first.extend(verdicts.first().filter(|first| first.severity > Severity::Note).map(|first| first.cause));
        for verdict in verdicts {
            let told = Told { second, severity: verdict.severity, headline: String::new() };
            let told = said.by_cause.entry(verdict.cause).or_insert(told);
            told.severity = told.severity.max(verdict.severity);
            told.headline = verdict.headline;
        }
    }
    said
}

#[test]
fn what_was_provoked_is_named_and_nothing_else() {
    each(|(name, cause, words, also)| {
        let said = said(&events(&path(name)));
        for (told_of, told) in &said.by_cause {
            // Seen with `--nocapture`.
            println!("{name:18} {told_of:18} second {:2}  {:?}  {}", told.second, told.severity, told.headline);
        }
        let mut others = said.by_cause.iter().filter(|(other, _)| Some(**other) != *cause);
        let loud = |(other, told): &(&Cause, &Told)| told.severity > Severity::Note && !also.contains(other);
        if let Some(other) = others.find(loud) {
            return Err(format!("{name}: besides {other:?}"));
        }
        let Some(cause) = cause else { return Ok(()) };
        let Some(told) = said.by_cause.get(cause) else {
            return Err(format!("{name}: {cause} is not named but {:?}", said.by_cause));
        };
        // What leads to it may be named before it.
        let other = said.first.iter().skip_while(|first| also.contains(first)).find(|first| *first != cause);
        if told.second > 10 || !told.headline.contains(words) || other.is_some() {
            return Err(format!("{name}: {told:?}, first {other:?}"));
        }
        Ok(())
    });
}

#[test]
fn the_first_line_of_the_report_names_it() {
    each(|(name, cause, words, _)| {
        let mut recording = Recording::open(&path(name)).map_err(|e| format!("{name}: {e}"))?;
        let report = report(&mut recording, &[]).map_err(|e| format!("{name}: {e}"))?;
        // Some are but worth a note: to a healthy datapath nothing worse may be said.
        let first = report.verdicts.first().filter(|first| cause.is_some() || first.severity != "note");
        if first.map(|first| first.cause) != cause.map(Cause::name) {
            return Err(format!("{name}: {first:?}"));
        }
        let Some(first) = first else { return Ok(()) };
        let is_named = first.headline.contains(words) && first.from_second <= 10;
        if !is_named || first.figures.is_empty() || first.tries.is_empty() || first.reads.is_empty() {
            return Err(format!("{name}: {first:?}"));
        }
        Ok(())
    });
}

#[test]
fn the_first_line_of_the_storm_view_names_it_within_ten_seconds() {
    each(|(name, cause, words, _)| {
        let mut events = events(&path(name));
        let begin = events.iter().find(|e| matches!(e.body, Body::Counters(_))).map_or(0, |e| e.ts);
        events.retain(|event| event.ts <= begin + 10 * SECOND);
        let screen = text(&mut drawn::state(Choice::Mono, false, events.clone()), 200, 60);
        let line = |head: &str| screen.lines().find(|line| line.starts_with(head));
        let loud = line(" ▲ WARNING  ").or_else(|| line(" ▲ CRITICAL  "));
        let Some(cause) = cause else {
            return loud.map_or(Ok(()), |line| Err(format!("{name}: {line}")));
        };
        let first = loud.or_else(|| line(" ● NOTE  "));
        if !first.is_some_and(|line| line.contains(words)) {
            return Err(format!("{name}: {first:?}"));
        }
        let mut model = Model::default();
        model.apply_all(&events);
        let verdict = model.verdicts().into_iter().next().ok_or("the line is of one")?;
        let is_of_somebody = OF_NOBODY.contains(cause) || !verdict.culprits.is_empty();
        if verdict.cause == *cause && is_of_somebody { Ok(()) } else { Err(format!("{name}: {verdict:?}")) }
    });
}

/// The last verdict on a daemon that is gone, in its recording with other words of a daemon.
fn gone(words: impl Fn(&mut Body)) -> Verdict {
    let (mut model, mut last) = (Model::default(), None);
    for mut event in events(&Path::new(KEPT).join("daemon_gone.mcap")) {
        words(&mut event.body);
        model.apply(&event);
        last = model.verdicts().into_iter().find(|verdict| verdict.cause == Cause::DaemonGone).or(last);
    }
    last.expect("it is named")
}

#[test]
fn a_daemon_that_answers_is_not_gone_where_the_datapath_is_not_its_own() {
    let up = DaemonState::Up { pid: 1, version: "3.5.0".to_owned(), round_trip_ns: 1, missing: Vec::new() };
    let verdict = gone(|body| match body {
        Body::Daemon(state) => *state = up.clone(),
        Body::DaemonFigures(figures) => figures.udpifs.iter_mut().for_each(|of| of.name = "system@its-own".to_owned()),
        _ => {}
    });
    assert_eq!(verdict.severity, Severity::Warning);
    let words = "nobody listens to datapath ovs-system, which is not ovs-vswitchd's: ";
    assert!(verdict.headline.starts_with(words) && verdict.culprits.len() == 1, "{verdict:?}");
    assert!(verdict.figures.iter().any(|of| of.text == "ovs-vswitchd answers, and has system@its-own alone"));
}

#[test]
fn of_a_daemon_that_is_not_asked_nobody_says_that_it_does_not_answer() {
    let sure = gone(|_| {});
    let asked = sure.figures.iter().find(|of| of.text == "its control socket does not answer either");
    assert!(sure.severity == Severity::Critical && sure.certainty == Certainty::Sure && asked.is_some(), "{sure:?}");
    let likely = gone(|body| {
        if let Body::Daemon(state) = body {
            *state = DaemonState::Down { why: DaemonState::NOT_ASKED.to_owned() };
        }
    });
    assert_eq!(likely.certainty, Certainty::Likely, "{likely:?}");
    assert!(likely.figures.iter().all(|of| !of.text.contains("does not answer")), "{likely:?}");
}

/// What ovs-vswitchd says of a packet that meets the rule of the lab's storms, and another behind it.
const COPIES: &str = "Flow: udp\n\nbridge(\"br0\")\n-------------\n 0. udp,in_port=1, priority 100, cookie 0x1f\n    \
    move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]\n    resubmit(,10)\n    10. priority 0\n            NORMAL\n\n\
    Final flow: unchanged\nMegaflow: recirc_id=0,eth,udp,in_port=1,nw_frag=no,tp_src=1000\nDatapath actions: 2\n";

/// A recording's events with a daemon that answers every question for a trace with this; gives how often it was asked, and
/// the model in the end with the last verdict of each cause.
fn traced(name: &str, answer: Result<&str, &str>) -> (usize, BTreeMap<Cause, Verdict>, Vec<Event>) {
    let (mut model, mut asked, mut last, mut heard) = (Model::default(), 0, BTreeMap::new(), Vec::new());
    for event in events(&Path::new(KEPT).join(name).with_extension("mcap")) {
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
    let files = std::fs::read_dir(KEPT).expect("it is there").count();
    assert_eq!(files, EXPECTED.len(), "each recording has its expectation");
}
