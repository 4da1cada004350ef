//! Rules about handlers and their sockets: full, starved, or given what is too big.

use super::super::{Dimension, Stage, TalkerKey};
use super::{
    Cause, Culprit, Evidence, Finding, Severity,
    errno::{EAGAIN, EFBIG, EMSGSIZE},
    words::{count, each, percent, time},
};

/// A queue that waits less than this is no queue, in nanoseconds.
const WAIT_LONG: u64 = 5_000_000;

/// A socket is full, and its handler takes what it can.
pub fn overflow(e: &Evidence<'_>) -> Option<Finding> {
    let full = e.failed(EAGAIN);
    // Who takes nothing at all has a verdict of its own.
    if full == 0 || e.rates.upcalls_lost <= 0.0 || e.rates.received <= 0.0 {
        return None;
    }
    let port = e.top_port();
    let from = port.as_ref().map_or(String::new(), |(_, name, share)| format!(", {} from {name}", percent(*share)));
    let headline = format!("handlers' sockets overflow: {} are lost{from}", each(e.rates.upcalls_lost, "upcalls"));
    let mut finding = Finding::new(Cause::NetlinkOverflow, Severity::Critical, headline)
        .figure(format!("{} upcalls in {:.0} s found a full socket (EAGAIN)", count(full), e.seconds))
        .culprit(port.map(|(culprit, ..)| culprit));
    if let Some(wait) = e.p99(Stage::Wait) {
        finding = finding.figure(format!("1 % waited for a handler for more than {}", time(wait)));
    }
    finding = finding.note(e.dispatch());
    let handler = e.top(Dimension::Handler).and_then(|talker| match talker.key {
        TalkerKey::Handler { task: Some((tid, _)), .. } => Some(Culprit::Handler(tid)),
        _ => None,
    });
    Some(finding.culprit(handler))
}

/// A packet does not fit into a message.
pub fn too_big(e: &Evidence<'_>) -> Option<Finding> {
    let big = e.failed(EFBIG) + e.failed(EMSGSIZE);
    if big == 0 || e.rates.upcalls_lost <= 0.0 {
        return None;
    }
    let port = e.top_port();
    let from = port.as_ref().map_or(String::new(), |(_, name, _)| format!(" from {name}"));
    let headline = format!("packets{from} are too big to go up: {} are lost", each(e.rates.upcalls_lost, "upcalls"));
    let finding = Finding::new(Cause::TooBig, Severity::Critical, headline).figure(format!(
        "{} upcalls in {:.0} s failed with EFBIG",
        count(big),
        e.seconds
    ));
    Some(finding.culprit(port.map(|(culprit, ..)| culprit)))
}

/// One handler has no time left, and the others have nothing to do.
pub fn imbalance(e: &Evidence<'_>) -> Option<Finding> {
    let wait = e.p99(Stage::Wait).filter(|wait| *wait >= WAIT_LONG)?;
    let most = e.top(Dimension::Handler).filter(|most| most.share >= 0.9 && e.rates.upcalls >= 50.0)?;
    let TalkerKey::Handler { task: Some((tid, comm)), .. } = most.key else { return None };
    let (mut running, mut others, mut most_of_others) = (0.0, 0, 0.0_f64);
    for handler in e.handlers() {
        let ran = handler.scheduled?.running;
        if handler.tid == tid {
            running = ran;
        } else {
            others += 1;
            most_of_others = most_of_others.max(ran);
        }
    }
    if others == 0 || running < 0.7 || running < 3.0 * most_of_others {
        return None;
    }
    let name = crate::event::task_name(comm, tid);
    let headline = format!(
        "{name} has nearly all upcalls ({}) and runs {} of the time; no other handler runs more than {}",
        percent(most.share),
        percent(running),
        percent(most_of_others)
    );
    let severity = if e.rates.upcalls_lost > 0.0 { Severity::Critical } else { Severity::Warning };
    Some(
        Finding::new(Cause::HandlerImbalance, severity, headline)
            .figure(format!("1 % of the upcalls waited for more than {}", time(wait)))
            .note(e.dispatch())
            .culprit(Some(Culprit::Handler(tid))),
    )
}

/// A handler has work and gets no CPU.
pub fn starved(e: &Evidence<'_>) -> Option<Finding> {
    let wait = e.p99(Stage::Wait).filter(|wait| *wait >= WAIT_LONG)?;
    let handlers = e.handlers();
    let busy = handlers.iter().filter(|handler| handler.upcall_rate >= 5.0);
    let (handler, times) = busy
        .filter_map(|handler| Some((handler, handler.scheduled?)))
        // It wants to run much more than it may.
        .filter(|(_, times)| times.runnable >= 0.4 && times.runnable >= 4.0 * times.running)
        .max_by(|(_, x), (_, y)| x.runnable.total_cmp(&y.runnable))?;
    let name = crate::event::task_name(handler.comm, handler.tid);
    let headline = format!(
        "{name} lacks CPU: it could run {} of the time, and ran {}",
        percent(times.runnable + times.running),
        percent(times.running)
    );
    Some(
        Finding::new(Cause::HandlerStarved, Severity::Warning, headline)
            .figure(format!("1 % of the upcalls waited for more than {}", time(wait)))
            .figure(format!("it is given {}", each(handler.upcall_rate, "upcalls")))
            .culprit(Some(Culprit::Handler(handler.tid))),
    )
}
