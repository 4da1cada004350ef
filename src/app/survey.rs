//! Goes through a whole recording for its line of time, beside its replay.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{WeakSender, error::TrySendError};

use super::source::FromSource;
use crate::{model::Overview, record::Recording};

/// With so many keyframes only they are read: what was counted between two is spread over the time between.
const ENOUGH: usize = 100;
/// Between two tellings of how far it is.
const TELL: Duration = Duration::from_millis(500);

/// Begins, in a thread of its own. What it finds is told as it goes on, and at the end, as long as anybody takes it.
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
    // Without a thread to be had there is no line of time, and all else works.
    let _ = std::thread::Builder::new().name("ovscope-survey".to_owned()).spawn(work);
}

/// Reads what is needed; `tell` hears how it stands, whether that is all, and says whether to go on.
fn survey(mut reader: Recording, mut tell: impl FnMut(&Overview, bool) -> bool) {
    let mut overview = Overview::default();
    let keyframes = reader.keyframes();
    let end = reader.end();
    let few = keyframes.len() < ENOUGH;
    let mut places = keyframes.into_iter();
    loop {
        // What cannot be read is told where it is replayed.
        if !few && places.next().is_none_or(|ts| reader.seek(ts).is_err()) {
            break;
        }
        // A keyframe may be of several batches, and what follows it does no harm.
        let mut batches = 0;
        while let Some(Ok(batch)) = reader.next_batch() {
            batches += 1;
            for event in &batch.events {
                overview.see(event);
            }
            if few || !batch.keyframe {
                break;
            }
        }
        if batches == 0 {
            break;
        }
        if !tell(&overview, false) {
            return;
        }
    }
    if let Some(end) = end {
        overview.extend(end);
    }
    tell(&overview, true);
}
