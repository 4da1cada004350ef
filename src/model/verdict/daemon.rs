//! Rules about the daemon as a whole: whether it is there, and whether it works.

use super::{
    Cause, Evidence, Finding, Severity,
    errno::{EAGAIN, ECONNREFUSED, ENOTCONN},
    words::{count, each},
};

/// A restart takes a second or two: nobody has to be woken for it.
const GONE_SECONDS: u64 = 5;
/// A daemon that is busy with a reconfiguration handles nothing for a moment.
const STALLED_SECONDS: u64 = 3;

/// Upcalls fail as nobody listens, now.
pub fn gone(e: &Evidence<'_>) -> Option<Finding> {
    let unheard = e.failed(ENOTCONN) + e.failed(ECONNREFUSED);
    if unheard == 0 || e.rates.upcalls_lost <= 0.0 || e.rates.received > 0.0 {
        return None;
    }
    let lost = each(e.rates.upcalls_lost, "upcalls");
    // One that was made by hand: its packets have never gone anywhere.
    let stranger = e.without_daemon();
    let (severity, headline) = match stranger {
        Some(name) => (
            Severity::Warning,
            format!("nobody listens to datapath {name}, which is not ovs-vswitchd's: {lost} are lost"),
        ),
        None => (Severity::Critical, format!("ovs-vswitchd is gone: {lost} are lost")),
    };
    let mut finding = Finding::new(Cause::DaemonGone, severity, headline)
        .figure(format!("{} upcalls in {:.0} s found no socket (ENOTCONN, ECONNREFUSED)", count(unheard), e.seconds))
        .figure("none was received in the last 2 s".to_owned());
    finding.holds = GONE_SECONDS;
    if stranger.is_some() {
        let others: Vec<&str> = e.udpifs().iter().map(|udpif| udpif.name.as_str()).collect();
        finding = finding
            .figure(format!("ovs-vswitchd answers, and has {} alone", others.join(", ")))
            .culprit(e.top_port().map(|(culprit, ..)| culprit));
    } else if e.is_daemon_down() {
        finding = finding.figure("its control socket does not answer either".to_owned());
    } else {
        finding = finding.against(Some("its control socket is not known to be dead".to_owned()));
    }
    Some(finding)
}

/// Upcalls are queued, or find the socket full, and nobody takes them.
pub fn stalled(e: &Evidence<'_>) -> Option<Finding> {
    let lost = e.rates.upcalls_lost;
    let queued = e.rates.upcalls - lost;
    let is_open = e.failed(ENOTCONN) + e.failed(ECONNREFUSED) == 0;
    let is_full = lost > 0.0 && e.failed(EAGAIN) > 0;
    if e.rates.received > 0.0 || !is_open || !(queued >= 0.5 || is_full) {
        return None;
    }
    let severity = if lost > 0.0 { Severity::Critical } else { Severity::Warning };
    let lost_too = if lost > 0.0 { format!(", {} are lost", each(lost, "upcalls")) } else { String::new() };
    let headline = format!("ovs-vswitchd takes no upcalls: {} wait for it{lost_too}", each(queued, "upcalls"));
    let mut finding = Finding::new(Cause::DaemonStalled, severity, headline)
        .figure("none was received in the last 2 s, and its sockets are open".to_owned());
    finding.holds = STALLED_SECONDS;
    Some(if e.is_daemon_down() {
        finding.figure("it does not answer on its control socket".to_owned())
    } else {
        finding.against(Some("its control socket was not seen to be silent".to_owned()))
    })
}
