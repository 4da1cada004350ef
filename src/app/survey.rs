//! Goes through a whole recording for its line of time, beside its replay.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{WeakSender, error::TrySendError};

use super::source::FromSource;
use crate::{
    event::{Body, Nanos},
    model::Overview,
    record::Recording,
};

/// With so many keyframes only they are read, and what follows the last: what was counted between two of them is spread over
/// the time between.
const ENOUGH: usize = 100;
/// A keyframe has the readings of ten minutes before it; those of older recordings have one.
const HISTORY: Nanos = 590_000_000_000;
/// The time between two reports of how far it is.
const TELL: Duration = Duration::from_millis(500);

/// Begins, in a thread of its own. Reports what it finds as it goes on, and at the end, as long as anybody takes the reports.
pub fn spawn(reader: Recording, out: WeakSender<FromSource>) {
    let work = move || {
        let mut told = Instant::now();
        survey(reader, |overview, done| {
            if !done && told.elapsed() < TELL {
                return true;
            }
            told = Instant::now();
            let Some(out) = out.upgrade() else { return false };
            let mut message = FromSource::Overview(Box::new(overview.clone()));
            loop {
                // The screen may be busy with events; the last word is worth waiting for.
                match out.try_send(message) {
                    Ok(()) => return true,
                    Err(TrySendError::Closed(_)) => return false,
                    Err(TrySendError::Full(_)) if !done => return true,
                    Err(TrySendError::Full(back)) => message = back,
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    };
    // Where no thread can be had there is no line of time, and everything else works.
    let _ = std::thread::Builder::new().name("ovscope-survey".to_owned()).spawn(work);
}

/// Reads what is needed. Calls `tell` with the overview so far and whether that is all; it returns whether to go on.
fn survey(mut reader: Recording, mut tell: impl FnMut(&Overview, bool) -> bool) {
    let mut overview = Overview::default();
    overview.set_partial(true);
    let keyframes = reader.keyframes();
    let span = reader.span();
    // The first event that is not the state there.
    let mut begin = span.map(|(begin, _)| begin);
    let few = keyframes.len() < ENOUGH;
    let mut places = keyframes.into_iter().peekable();
    // Everything up to here is known from a keyframe that has the ten minutes before it.
    let mut known: Nanos = 0;
    loop {
        if !few {
            let Some(ts) = places.next() else { break };
            if places.peek().is_some_and(|next| *next < known.saturating_add(HISTORY)) {
                continue;
            }
            // The replay reports what cannot be read.
            if reader.seek(ts).is_err() {
                break;
            }
        }
        // Marks made after the last keyframe are in none.
        let is_last = !few && places.peek().is_none();
        let mut readings = 0;
        let read = loop {
            let Some(Ok(batch)) = reader.next_batch() else { break false };
            for event in &batch.events {
                overview.see(event);
                readings += u32::from(batch.keyframe && matches!(event.body, Body::Counters(_)));
            }
            if batch.keyframe {
                continue;
            }
            begin = begin.or(batch.events.first().map(|event| event.ts));
            if !is_last {
                break true;
            }
        };
        if !read && few {
            break;
        }
        overview.drop_marks_before(begin.unwrap_or(0));
        if readings > 1 {
            known = overview.span().map_or(0, |(_, last)| last);
        }
        if !tell(&overview, false) {
            return;
        }
    }
    if let Some((_, end)) = span {
        overview.extend(end);
    }
    overview.set_partial(false);
    tell(&overview, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Bookmark, Counters, DpCounters, DpIfindex, Event},
        record::{Header, Preamble, Reader, Writer},
    };

    const SECOND: Nanos = 1_000_000_000;

    fn counters(second: u64) -> Event {
        let datapaths = vec![DpCounters { dp: DpIfindex(6), hits: second * 10, ..DpCounters::default() }];
        Event::host(second * SECOND, Body::Counters(Box::new(Counters { datapaths, ..Counters::default() })))
    }

    #[test]
    fn going_by_keyframes_alone_finds_every_mark() {
        const SECONDS: u64 = 3000;
        let mut writer = Writer::new(Vec::new(), &Header::default(), &Preamble::default()).expect("memory");
        let mut marks = Vec::new();
        for second in 100..100 + SECONDS {
            writer.write(&[counters(second)]).expect("memory");
            // Also in the seconds before the end, after the last keyframe.
            if second % 37 == 5 || second + 2 == 100 + SECONDS {
                let mark = Bookmark { at: second * SECOND - 5, note: format!("at {second}") };
                writer.write(&[Event::host(second * SECOND + 7, Body::Mark(mark.clone()))]).expect("memory");
                marks.push(mark);
            }
        }
        writer.finish().expect("memory");
        let reader = Reader::from_bytes("memory", writer.into_sink()).expect("a recording");
        let keyframes = reader.keyframes();
        assert!(keyframes.len() > 2 * ENOUGH, "{} keyframes", keyframes.len());
        assert!(
            keyframes.iter().all(|&ts| ts < marks[marks.len() - 1].at),
            "the last mark is behind the last keyframe"
        );
        let (mut found, mut tellings) = (Overview::default(), 0);
        survey(reader.into(), |overview, _| {
            found = overview.clone();
            tellings += 1;
            true
        });
        assert!(tellings < 20, "{tellings} places were looked at: that is all of it, not keyframes alone");
        assert_eq!(found.marks(), marks);
    }

    #[test]
    fn marks_from_before_the_recording_are_not_its_own() {
        let mark = |second: u64| Bookmark { at: second * SECOND, note: String::new() };
        let marked = |second: u64| Event::host(second * SECOND, Body::Mark(mark(second)));
        let mut before = Preamble::default();
        for event in [counters(5), marked(3), marked(20)] {
            before.see(&event);
        }
        let mut writer = Writer::new(Vec::new(), &Header::default(), &before).expect("memory");
        writer.write(&[marked(30), counters(31), counters(32)]).expect("memory");
        let found = |bytes: Vec<u8>| {
            let mut found = Overview::default();
            survey(Reader::from_bytes("memory", bytes).expect("a recording").into(), |overview, _| {
                found = overview.clone();
                true
            });
            found.marks().iter().map(|mark| mark.at / SECOND).collect::<Vec<_>>()
        };
        writer.finish().expect("memory");
        let whole = writer.into_sink();
        // The readings go back to second 5.
        assert_eq!(found(whole.clone()), [20, 30]);
        assert_eq!(found(whole[..whole.len() - 30].to_vec()), [20, 30], "also where it is cut off");
    }
}
