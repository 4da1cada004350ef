//! `ovscope report`: what it says of a real storm, in each format, and of recordings that say little.

#[path = "events/arbitrary.rs"]
mod arbitrary;

use std::process::{Command, Stdio};

use ovscope::{
    app::report::{Report, ReportFormat, report},
    event::{
        Body, Bookmark, Clock, Counters, DpCounters, DpIfindex, Drop, Event, PacketId, PortNo, Session, UpcallCmd,
        UpcallCounter,
    },
    record::{Header, Preamble, Reader, Recording, Writer},
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const DEMO: &str = "src/app/demo.mcap";

fn of(events: &[Event]) -> Report {
    let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
    writer.write(events).expect("memory");
    writer.finish().expect("memory");
    let mut recording = Reader::from_bytes("memory", writer.into_sink()).expect("a recording").into();
    report(&mut recording, &[]).expect("memory")
}

fn demo(format: ReportFormat) -> String {
    let report = report(&mut Recording::open(DEMO.as_ref()).expect("the bundled recording"), &[]).expect("a file");
    report.in_format(format).expect("it can be written")
}

#[test]
fn a_real_storm_as_text() {
    insta::assert_snapshot!(demo(ReportFormat::Text));
}

#[test]
fn a_real_storm_as_markdown() {
    insta::assert_snapshot!(demo(ReportFormat::Markdown));
}

#[test]
fn a_real_storm_as_json() {
    insta::assert_snapshot!(demo(ReportFormat::Json));
}

#[test]
fn standard_input_gives_the_same() {
    let storm = std::fs::File::open(DEMO).expect("the bundled recording");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovscope"));
    let out = command.args(["report", "-"]).stdin(Stdio::from(storm)).output().expect("it runs");
    assert!(out.status.success());
    assert_eq!(String::from_utf8(out.stdout).expect("text"), demo(ReportFormat::Text));
}

fn session(host: &str, monotonic: u64) -> Event {
    let clock = Clock { monotonic, wall: 1_700_000_000 * SECOND, utc_offset: 7200 };
    Event::host(monotonic, Body::Session(Box::new(Session { host: host.to_owned(), clock, ..Session::default() })))
}

/// Counters that have counted so much before and since.
fn counters(ts: u64, hits: u64, misses: u64, lost: u64) -> Event {
    let dp = DpCounters { dp: DpIfindex(4), table: 1, hits, misses, ..DpCounters::default() };
    let kind = |ret, count| UpcallCounter {
        dp: DpIfindex(4),
        in_port: PortNo(2),
        cmd: UpcallCmd::Miss,
        port: 7,
        cpu: None,
        ret,
        count,
    };
    let upcalls = vec![kind(0, misses - lost), kind(-11, lost)];
    Event::host(ts, Body::Counters(Box::new(Counters { datapaths: vec![dp], upcalls, ..Counters::default() })))
}

/// Ten seconds with 100 misses each; in the fourth 2 000 more, in the sixth 5 lost.
fn ten_seconds() -> Vec<Event> {
    let mut events = vec![session("hv-17", 50 * SECOND)];
    let (mut misses, mut lost) = (1000, 3);
    for second in 0..=10 {
        events.push(counters((50 + second) * SECOND, 0, misses, lost));
        misses += 100 + if second == 3 { 2000 } else { 0 };
        lost += if second == 5 { 5 } else { 0 };
    }
    events
}

#[test]
fn rates_are_of_the_recordings_time_and_name_their_peak() {
    let report = of(&ten_seconds());
    let rate = |name: &str| report.rates.iter().find(|r| r.name == name).expect("it is counted").clone();
    let misses = rate("misses");
    assert_eq!((misses.total, misses.peak, misses.peak_second), (3000, 2100, Some(3)));
    assert!((misses.mean - 300.0).abs() < 1e-9, "{misses:?}");
    let lost = rate("upcalls lost");
    assert_eq!((lost.total, lost.peak, lost.peak_second), (5, 5, Some(5)));
    assert_eq!(report.outcomes.iter().map(|o| (o.ret, o.upcalls)).collect::<Vec<_>>(), [(0, 2995), (-11, 5)]);
    assert_eq!((report.condition.worst, report.condition.second), ("losing", Some(5)));
    assert_eq!(report.condition.seconds, [("quiet", 0), ("busy", 8), ("storm", 1), ("losing", 1)]);
    let span = report.span.expect("something happened");
    assert_eq!((span.ns, span.from.as_deref()), (10 * SECOND, Some("2023-11-15T00:13:20.000+02:00")));
}

#[test]
fn of_several_sessions_the_last_is_told_and_that_there_are_more() {
    let first = ten_seconds();
    let mark = Bookmark { at: 10 * SECOND, note: "here it began".to_owned() };
    let before = Bookmark { at: 2 * SECOND, note: "before it".to_owned() };
    let [mark, before] = [mark, before].map(|mark| Event::host(90 * SECOND, Body::Mark(mark)));
    let counters = [9, 11].map(|second| counters(second * SECOND, 0, 2 * second - 13, 0));
    let second = [&[session("hv-18", 9 * SECOND)][..], &counters, &[before, mark]].concat();
    let report = of(&[&first[..], &second].concat());
    assert_eq!(report.session.as_ref().map(|s| s.host.as_str()), Some("hv-18"));
    assert_eq!(report.rates.iter().find(|r| r.name == "misses").map(|r| r.total), Some(4));
    assert_eq!(report.marks.iter().map(|m| (m.second, m.note.as_str())).collect::<Vec<_>>(), [(1, "here it began")]);
    assert_eq!(report.span.as_ref().map(|span| span.ns), Some(2 * SECOND), "a mark is made at any time after");
    assert_eq!(report.remarks, ["the recording has 2 sessions; this is of the last one"]);
}

#[test]
fn marks_beyond_those_that_are_listed_are_counted() {
    let marked = |marks: u64| {
        let marks = (1..=marks).map(|n| Bookmark { at: (10 + n) * SECOND, note: format!("mark {n}") });
        let marks = marks.map(|mark| Event::host(90 * SECOND, Body::Mark(mark)));
        of(&[session("hv-17", 9 * SECOND)].into_iter().chain(marks).collect::<Vec<_>>())
    };
    assert_eq!((marked(100).marks.len(), marked(100).remarks), (100, vec![]));
    assert_eq!(
        (marked(103).marks.len(), &marked(103).remarks[..]),
        (100, &["3 more marks are not listed".to_owned()][..])
    );
}

#[test]
fn marks_of_replays_are_told_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("storm.mcap");
    std::fs::copy(DEMO, &path).expect("room");
    let report = |path: &std::path::Path| {
        let out = Command::new(env!("CARGO_BIN_EXE_ovscope")).arg("report").arg(path).output().expect("it runs");
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).expect("text")
    };
    assert!(!report(&path).contains("here it begins"));
    let mut recording = Recording::open(&path).expect("a recording");
    // Where a replay begins: the counters come later.
    let at = recording.next().expect("events").expect("a file")[0].ts;
    let line = format!("{{\"at\":{at},\"note\":\"here it begins\"}}\n");
    std::fs::write(folder.path().join("storm.mcap.marks"), line).expect("room");
    assert!(report(&path).contains("here it begins"), "{}", report(&path));
    std::fs::remove_file(folder.path().join("storm.mcap.marks")).expect("it is there");
    std::fs::create_dir(folder.path().join("storm.mcap.marks")).expect("room");
    assert!(report(&path).contains("storm.mcap.marks cannot be read"), "{}", report(&path));
}

#[test]
fn without_counters_it_says_what_is_not_known() {
    let drop = Drop { reason: 3, name: "NO_SOCKET".to_owned(), location: "icmp_rcv+0x2f0".to_owned() };
    let drop = Event { packet: Some(PacketId(1)), ..Event::host(SECOND, Body::Drop(drop)) };
    let report = of(&[drop]);
    assert_eq!((report.condition.worst, report.rates.len()), ("waiting", 0));
    assert_eq!(report.drops_seen.top, [("NO_SOCKET in icmp_rcv+0x2f0".to_owned(), 1)]);
    let text = report.in_format(ReportFormat::Text).expect("text");
    assert!(text.contains("not known: the recording has no counters"), "{text}");
    let nothing = of(&[]).in_format(ReportFormat::Text).expect("text");
    assert!(nothing.contains("nothing happened in the recording"), "{nothing}");
}

#[test]
fn a_recording_that_is_cut_off_says_so_in_its_report() {
    let mut bytes = std::fs::read(DEMO).expect("the bundled recording");
    bytes.truncate(bytes.len() / 2);
    let mut half = Reader::from_bytes("half.mcap", bytes).expect("its begin is whole").into();
    let report = report(&mut half, &[]).expect("memory");
    assert!(report.events > 10_000 && report.remarks[0].contains("was cut off"), "{:?}", report.remarks);
    assert!(report.in_format(ReportFormat::Text).expect("text").contains("was cut off"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_recording_has_a_report_that_fits_and_is_always_the_same(all in prop::collection::vec(arbitrary::event(), 0..60)) {
        let report = of(&all);
        let text = report.in_format(ReportFormat::Text).expect("text");
        for line in text.lines() {
            prop_assert!(line.chars().count() <= 80, "{}", line);
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
        prop_assert_eq!(of(&all).in_format(ReportFormat::Json).ok(), report.in_format(ReportFormat::Json).ok());
        let json = report.in_format(ReportFormat::Json).expect("JSON");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
