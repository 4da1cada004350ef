//! Incidents of a whole recording beyond those that the line of time shows: failed puts and executes, and the daemon and
//! datapaths coming and going.

use super::{
    anomalies::{Anomaly, AnomalyKind, daemon_change, datapath_changes, failures},
    meter::SECOND,
    ordered::Ordered,
};
use crate::event::{Body, Counters, DaemonState, DpIfindex, Event, Nanos, Session};

/// How many are kept at most: the first ones.
const MOST: usize = 1000;
/// What goes on with pauses no longer than this is one incident.
const PAUSE: Nanos = 10 * SECOND;

/// Incidents, each with when it began and how often it happened until it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    /// Each with when it was last seen, in the order in which they began.
    list: Vec<(Anomaly, Nanos)>,
    failed: Option<Ordered<AnomalyKind, u64>>,
    daemon: Option<DaemonState>,
    datapaths: Vec<DpIfindex>,
    session: Option<Box<Session>>,
}

impl Incidents {
    /// In the order in which they began.
    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.list.iter().map(|(anomaly, _)| anomaly)
    }

    /// Looks at an event. Those of single packets say nothing here.
    pub fn see(&mut self, event: &Event) {
        match &event.body {
            Body::Daemon(state) => {
                let change = daemon_change(self.daemon.as_ref(), state);
                self.daemon = Some(state.clone());
                if let Some(kind) = change {
                    self.note(event.ts, kind, 1);
                }
            }
            Body::Datapaths { datapaths } => {
                let now: Vec<DpIfindex> = datapaths.iter().map(|datapath| datapath.dp).collect();
                let changes = datapath_changes(&self.datapaths, &now);
                self.datapaths = now;
                for kind in changes {
                    self.note(event.ts, kind, 1);
                }
            }
            Body::Session(session) => {
                let before = self.session.replace(session.clone());
                let is_other = before.is_some_and(|before| !before.is_same(session));
                if is_other {
                    self.failed = None;
                    self.note(event.ts, AnomalyKind::ProbesRestarted, 1);
                }
            }
            _ => {}
        }
    }

    /// Takes a reading of the counters that is later than the last.
    pub fn count(&mut self, ts: Nanos, counters: &Counters) {
        let now = failures(counters);
        let Some(before) = self.failed.replace(now.clone()) else { return };
        for (&kind, &count) in now.iter() {
            let more = count.saturating_sub(before.get(&kind).copied().unwrap_or(0));
            // The line of time shows the upcalls that failed.
            if more > 0 && !matches!(kind, AnomalyKind::UpcallFailed(_)) {
                self.note(ts, kind, more);
            }
        }
    }

    fn note(&mut self, ts: Nanos, kind: AnomalyKind, count: u64) {
        let is_same = |(known, last): &&mut (Anomaly, Nanos)| known.kind == kind && ts.saturating_sub(*last) <= PAUSE;
        if let Some((known, last)) = self.list.iter_mut().rev().find(is_same) {
            *last = ts.max(*last);
            known.count = known.count.saturating_add(count);
        } else if self.list.len() < MOST {
            let at = self.list.partition_point(|(known, _)| known.ts <= ts);
            self.list.insert(at, (Anomaly { ts, kind, count, longest: 0 }, ts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Clock, ErrnoCounter};

    #[test]
    fn what_goes_on_is_one_and_what_comes_again_is_another() {
        let mut incidents = Incidents::default();
        let mut failed = 0;
        for second in 1..100 {
            failed += u64::from((20..30).contains(&second) || (60..65).contains(&second)) * 3;
            let puts = vec![ErrnoCounter { ret: -12, count: failed }, ErrnoCounter { ret: 0, count: second * 100 }];
            incidents.count(second * SECOND, &Counters { puts, ..Counters::default() });
        }
        let told: Vec<(u64, String)> = incidents.iter().map(|a| (a.ts / SECOND, a.to_string())).collect();
        assert_eq!(told, [(20, "30 puts failed: ENOMEM".to_owned()), (60, "15 puts failed: ENOMEM".to_owned())]);
    }

    #[test]
    fn a_daemon_that_goes_and_comes_and_probes_attached_anew() {
        let mut incidents = Incidents::default();
        let up = |pid| DaemonState::Up { pid, version: String::new(), round_trip_ns: 1, missing: vec![] };
        let session = |monotonic| {
            let clock = Clock { monotonic, ..Clock::default() };
            Body::Session(Box::new(Session { clock, ..Session::default() }))
        };
        let bodies = [
            session(1),
            Body::Daemon(up(7)),
            Body::Daemon(up(7)),
            Body::Daemon(DaemonState::Down { why: String::new() }),
            session(1),
            Body::Daemon(up(8)),
            Body::Daemon(up(9)),
            session(90),
        ];
        for (n, body) in bodies.into_iter().enumerate() {
            incidents.see(&Event::host(n as u64 * SECOND, body));
        }
        let told: Vec<AnomalyKind> = incidents.iter().map(|a| a.kind).collect();
        let [down, up] = [AnomalyKind::DaemonDown, AnomalyKind::DaemonUp];
        assert_eq!(told, [down, up, AnomalyKind::DaemonRestarted, AnomalyKind::ProbesRestarted]);
    }
}
