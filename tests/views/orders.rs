//! The orders of the tables.

use ovscope::{
    event::{Body, DelReason, Event, FlowOp, FlowPut, FlowResult, PutKind, RevalResult, Ufid},
    ui::Choice,
};

use crate::{
    drawn::{dump, press, state, text},
    made_up::{DP, Host, LOSING, QUIET},
    storm,
};

#[test]
fn upcalls_are_sorted_by_any_stage_and_their_bars_have_a_scale() {
    let mut state = state(Choice::Dark, false, storm());
    press(&mut state, "3");
    for (column, unit) in [
        ("whole", "ms"),
        ("lookup", "µs"),
        ("enqueue", "µs"),
        ("wait", "ms"),
        ("translate", "µs"),
        ("put", "µs"),
        ("execute", "µs"),
    ] {
        press(&mut state, "s");
        let shown = text(&mut state, 120, 40);
        let heading = shown.lines().nth(4).expect("headings");
        let end = heading.find(&format!("{column}▼")).unwrap_or_else(|| panic!("{column}: {shown}")) + column.len();
        let end = heading[..end].chars().count();
        let times: Vec<f64> = shown
            .lines()
            .skip(5)
            .take(20)
            .map(|row| {
                let cell: String = row.chars().take(end).collect();
                let mut words = cell.split_whitespace().rev();
                let factor = match words.next() {
                    Some("ms") => 1000.0,
                    Some("µs") => 1.0,
                    other => panic!("{other:?} in {row}"),
                };
                words.next().expect("a number").parse::<f64>().expect("a number") * factor
            })
            .collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "{column}: {times:?}");
        assert!(shown.contains(unit) && heading.contains("0 ──"), "{shown}");
    }
    assert!(text(&mut state, 80, 24).contains("░░ wait"), "the legend");
    insta::assert_snapshot!("upcalls_by_execute_80x24", dump(&mut state, 80, 24));
    insta::assert_snapshot!("upcalls_by_execute_200x60", dump(&mut state, 200, 60));
}

#[test]
fn flows_are_sorted_by_any_column_and_what_failed_comes_first() {
    let mut state = state(Choice::Auto, false, storm());
    press(&mut state, "2");
    let mut headings = Vec::new();
    for _ in 0..14 {
        let shown = text(&mut state, 80, 24);
        let heading = shown.lines().nth(5).expect("headings").to_owned();
        let (column, _) = heading.split_once('▼').unwrap_or_else(|| panic!("{shown}"));
        let column = column.rsplit("  ").next().unwrap_or_default();
        headings.push(column.trim().to_owned());
        if column.contains("last put") {
            let first = shown.lines().nth(6).expect("a row");
            assert!(first.contains("▲ EEXIST"), "{shown}");
            let last_first = {
                press(&mut state, "S");
                text(&mut state, 80, 24)
            };
            assert!(!last_first.contains("EEXIST") && last_first.contains("last put▲"), "{last_first}");
            press(&mut state, "S");
        }
        press(&mut state, "s");
    }
    headings.sort();
    headings.dedup();
    assert_eq!(headings.len(), 14, "{headings:?}");
    assert!(text(&mut state, 80, 24).contains("hits/s▼"), "around the end");
}

/// The words of a column, row by row; it ends where its heading does, and has no spaces in its cells.
fn column(shown: &str, heading: &str) -> Vec<String> {
    let head = shown.lines().nth(4).expect("headings");
    let at = head.find(heading).unwrap_or_else(|| panic!("{heading}: {shown}"));
    let end = head[..at].chars().count() + heading.trim_end_matches(['▼', '▲']).chars().count();
    let rows = shown.lines().skip(5).take(12);
    let last = |row: &str| row.chars().take(end).collect::<String>().rsplit(' ').next().unwrap_or_default().to_owned();
    rows.map(last).collect()
}

#[test]
fn packets_are_sorted_by_any_column_and_equal_ones_stay_the_newest_first() {
    let mut host = Host::default();
    let mut events = host.begin();
    events.extend(host.seconds(5, LOSING));
    let mut state = state(Choice::Dark, false, events);
    press(&mut state, "4");
    let shown = text(&mut state, 200, 60);
    assert!(shown.contains("time▼"), "{shown}");
    let times = |shown: &str| -> Vec<String> {
        let rows = shown.lines().skip(5).take(12).map(|row| row.trim_start_matches(['▸', ' ']));
        rows.map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    let newest = times(&shown);
    press(&mut state, "S");
    let oldest = times(&text(&mut state, 200, 60));
    assert!(
        newest.is_sorted_by(|a, b| a >= b) && oldest.is_sorted() && oldest[0] < newest[11],
        "{newest:?} {oldest:?}"
    );
    press(&mut state, "Ss");
    let shown = text(&mut state, 200, 60);
    assert!(shown.contains("in port▼") && shown.lines().nth(5).is_some_and(|row| row.contains("p7_l")), "{shown}");
    press(&mut state, "s");
    let shown = text(&mut state, 80, 24);
    assert!(shown.contains("outcome▼") && shown.lines().nth(5).is_some_and(|row| row.contains("▲ LOST")), "{shown}");
    // Of equal ones the newest is the first: identities fall.
    let ids: Vec<u64> = text(&mut state, 200, 60)
        .lines()
        .skip(5)
        .take(15)
        .filter_map(|row| row.split_whitespace().find_map(|word| word.strip_prefix('#')?.parse().ok()))
        .collect();
    assert!(ids.len() > 5 && ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    for heading in ["upcalls▼", "steps▼", "bytes▼"] {
        press(&mut state, "s");
        let shown = text(&mut state, 200, 60);
        let cells = column(&shown, heading);
        let numbers: Vec<u64> = cells.iter().map(|cell| cell.parse().unwrap_or(0)).collect();
        assert!(numbers[0] > 0 && numbers.is_sorted_by(|a, b| a >= b), "{heading}: {cells:?}\n{shown}");
        assert!(text(&mut state, 80, 24).contains(heading), "it has room at 80 columns too");
    }
    press(&mut state, "s");
    assert!(text(&mut state, 80, 24).contains("total▼"));
    press(&mut state, "s");
    assert!(text(&mut state, 80, 24).contains("packets  "), "around the end");
}

#[test]
fn flows_that_come_back_and_those_that_are_never_used_are_found_by_a_word() {
    let ufid = Some(Ufid([0xbac4, 1, 2, 3]));
    let op = |ufid| FlowOp { dp: DP, ret: 0, ufid, took_ns: 5000, batch_ts: 0, batch_idx: 0, queue_id: 0 };
    let mut host = Host::default();
    let mut events = host.begin();
    let begin = events.iter().map(|event| event.ts).max().expect("events");
    events.extend(host.seconds(10, QUIET));
    let at = |ms: u64, body| Event::host(begin + ms * 1_000_000, body);
    for n in 0..4 {
        let doomed = FlowResult { ufid, result: RevalResult::Delete, reason: DelReason::FlowIdle, sweep: false };
        events.extend([
            at(n * 2000 + 100, Body::FlowPut(FlowPut { kind: PutKind::New, op: op(ufid) })),
            at(n * 2000 + 1590, Body::FlowResult(doomed)),
            at(n * 2000 + 1600, Body::FlowDel(op(ufid))),
        ]);
    }
    let other = op(Some(Ufid([0xdead, 1, 2, 3])));
    events.push(at(200, Body::FlowPut(FlowPut { kind: PutKind::New, op: other })));
    events.sort_by_key(|event| event.ts);
    let mut state = state(Choice::Dark, false, events);
    press(&mut state, "2/returned\n");
    let shown = text(&mut state, 200, 60);
    assert!(shown.contains("flows  1 ·") && shown.contains("3×"), "{shown}");
    press(&mut state, "\n");
    insta::assert_snapshot!("flow_that_came_back_80x24", text(&mut state, 80, 24));
    press(&mut state, "\u{1b}\u{1b}/unused\n");
    let shown = text(&mut state, 200, 60);
    assert!(shown.contains("flows  2 ·") && shown.contains("0000dea…"), "{shown}");
    assert!(shown.contains("per lookup"), "{shown}");
    press(&mut state, "/ deleted\n");
    assert!(text(&mut state, 200, 60).contains("flows  1 ·"), "one of them is gone");
}
