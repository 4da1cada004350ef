//! Rules about upcalls that an action makes: for a controller, for the daemon's slow path, or as a sample.

use super::super::{Dimension, TalkerKey, windows::Matter};
use super::{
    Cause, Culprit, Evidence, Finding, Severity,
    words::{each, percent},
};

/// Upcalls per second of one kind that are worth a word, and those that cost.
const SOME: f64 = 10.0;
const MANY: f64 = 100.0;

fn severity(per_second: f64) -> Option<Severity> {
    match per_second {
        MANY.. => Some(Severity::Warning),
        SOME.. => Some(Severity::Note),
        _ => None,
    }
}

fn finding(e: &Evidence<'_>, cause: Cause, matter: Matter, what: &str) -> Option<Finding> {
    let per_second = e.matter(matter);
    let severity = severity(per_second)?;
    let port = e.top_port();
    let from = port.as_ref().map_or(String::new(), |(_, name, _)| format!(", most from {name}"));
    let figure = format!("these are {} of the upcalls seen in detail in {:.0} s", percent(e.share(matter)), e.seconds);
    let finding = Finding::new(cause, severity, format!("{what}: {}{from}", each(per_second, "upcalls")));
    Some(finding.figure(figure).against(e.sampled()).culprit(port.map(|(culprit, ..)| culprit)))
}

/// A rule punts to a controller.
pub fn controller(e: &Evidence<'_>) -> Option<Finding> {
    let top = e.top(Dimension::Cookie);
    let rule = top.map(|top| top.key).filter(|key| matches!(key, TalkerKey::Cookie(_)));
    let what = match rule {
        Some(TalkerKey::Cookie(cookie)) => {
            format!("the OpenFlow rule with cookie {cookie:#x} punts to a controller")
        }
        _ => "packets are punted to a controller".to_owned(),
    };
    let mut found = finding(e, Cause::ControllerPunts, Matter::Controller, &what)?;
    // The rule is nearer to the cause than the port.
    if let Some(rule) = rule {
        found.culprits.insert(0, Culprit::Talker(rule));
    }
    let overflow = e.coverage("packet_in_overflow");
    Some(if overflow > 0.0 {
        found.figure(format!("packet_in_overflow grows by {}", each(overflow, "")))
    } else {
        found
    })
}

/// The daemon handles packets itself.
pub fn slow_path(e: &Evidence<'_>) -> Option<Finding> {
    let reason = e.model.matters.slow(e.second).map_or("", |(reason, _)| reason);
    finding(e, Cause::SlowPath, Matter::SlowPath, &format!("slow path ({reason}): the daemon handles every packet"))
}

/// Samples are taken.
pub fn sampling(e: &Evidence<'_>) -> Option<Finding> {
    finding(e, Cause::Sampling, Matter::Sample, "samples for sFlow or IPFIX")
}
