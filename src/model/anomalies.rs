//! What happened that a user who looks for trouble wants to jump to.

use std::{collections::VecDeque, fmt};

use super::{
    condition::State,
    limits::{Evicted, Limits},
    meter::SECOND,
    ordered::Ordered,
};
use crate::event::{Counters, DaemonState, DpIfindex, Nanos, errno_name};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnomalyKind {
    /// Events were lost ([`Loss::any`](crate::event::Loss::any)); what the event budget leaves out is none of these.
    EventsLost,
    /// An upcall failed, and its packet is lost; with minus an errno.
    UpcallFailed(i32),
    /// A flow could not be put.
    PutFailed(i32),
    /// A packet could not be given back.
    ExecFailed(i32),
    /// [`Model::condition`](super::Model::condition) went from one to another; not from or to [`State::Waiting`].
    Condition(State, State),
    /// The daemon answers, which it did not before.
    DaemonUp,
    /// The daemon does not answer (any more).
    DaemonDown,
    /// Another daemon process answers than before.
    DaemonRestarted,
    /// A datapath is gone.
    DatapathGone(DpIfindex),
    /// A datapath was made, after the first ones were known.
    DatapathMade(DpIfindex),
    /// The probes were attached anew.
    ProbesRestarted,
    /// A message waited for its handler more than four times as long as 99 % of those of the last ten seconds do. Not
    /// where fewer than 100 are known of.
    SlowWait,
}

/// Something that happened, so often in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// When it first happened in this second; where only counters tell, when they were read, a quarter second late at most.
    pub ts: Nanos,
    /// What.
    pub kind: AnomalyKind,
    /// How often in this second, by what was seen in detail; where nothing was, by the counters.
    pub count: u64,
    /// The longest wait in nanoseconds, of [`AnomalyKind::SlowWait`]; else 0.
    pub longest: u64,
}

/// A few words: `3 upcalls lost: EAGAIN`.
impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.count;
        let s = if n == 1 { "" } else { "s" };
        let errno = |ret: i32| errno_name(ret).map_or_else(|| format!("errno {}", ret.unsigned_abs()), str::to_owned);
        match self.kind {
            AnomalyKind::EventsLost => write!(f, "{n} event{s} lost"),
            AnomalyKind::UpcallFailed(ret) => write!(f, "{n} upcall{s} lost: {}", errno(ret)),
            AnomalyKind::PutFailed(ret) => write!(f, "{n} put{s} failed: {}", errno(ret)),
            AnomalyKind::ExecFailed(ret) => write!(f, "{n} execute{s} failed: {}", errno(ret)),
            AnomalyKind::Condition(State::Waiting, to) => f.write_str(to.name()),
            AnomalyKind::Condition(from, to) => write!(f, "{} after {}", to.name(), from.name()),
            AnomalyKind::DaemonUp => f.write_str("the daemon answers"),
            AnomalyKind::DaemonDown => f.write_str("the daemon does not answer"),
            AnomalyKind::DaemonRestarted => f.write_str("another daemon process answers"),
            AnomalyKind::DatapathGone(dp) => write!(f, "datapath {} is gone", dp.0),
            AnomalyKind::DatapathMade(dp) => write!(f, "datapath {} was made", dp.0),
            AnomalyKind::ProbesRestarted => f.write_str("the probes were attached anew"),
            AnomalyKind::SlowWait => {
                let (whole, part) = (self.longest / 1_000_000, self.longest / 100_000 % 10);
                write!(f, "{n} message{s} waited long, up to {whole}.{part} ms")
            }
        }
    }
}

/// Failures by their errno: as the kernel side counted them so far.
const ERRNOS: usize = 256;
/// Waits that have to be known before one is called long.
const WAITS: u64 = 100;

/// The last of them, in the order of their times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Anomalies {
    list: VecDeque<Anomaly>,
    counted: Ordered<AnomalyKind, u64>,
    /// A wait that is longer than this is noted.
    long_wait: Option<u64>,
}

impl Anomalies {
    /// Something happened `count` times at `ts`; everything of one kind within a second is one anomaly.
    pub fn add(&mut self, ts: Nanos, kind: AnomalyKind, count: u64, limits: &Limits, evicted: &mut Evicted) {
        let second = ts / SECOND;
        let recent = self.list.iter_mut().rev().take_while(|known| known.ts / SECOND >= second);
        if let Some(same) = recent.into_iter().find(|known| known.kind == kind && known.ts / SECOND == second) {
            same.count = same.count.saturating_add(count);
            if ts < same.ts {
                same.ts = ts;
                // It may now be before others of its second.
                self.list.make_contiguous().sort_by_key(|known| known.ts);
            }
            return;
        }
        let at = self.list.partition_point(|known| known.ts <= ts);
        self.list.insert(at, Anomaly { ts, kind, count, longest: 0 });
        if self.list.len() > limits.anomalies.max(1) {
            self.list.pop_front();
            evicted.anomalies += 1;
        }
    }

    /// A message waited this long.
    pub fn waited(&mut self, ts: Nanos, wait_ns: u64, limits: &Limits, evicted: &mut Evicted) {
        if self.long_wait.is_none_or(|long| wait_ns <= long) {
            return;
        }
        self.add(ts, AnomalyKind::SlowWait, 1, limits, evicted);
        let is_this = |known: &&mut Anomaly| known.kind == AnomalyKind::SlowWait && known.ts / SECOND == ts / SECOND;
        if let Some(this) = self.list.iter_mut().rev().find(is_this) {
            this.longest = this.longest.max(wait_ns);
        }
    }

    /// Takes, as of a new second, how long 99 % of the waits are, and of how many waits that is known.
    pub fn usual_wait(&mut self, waits: Option<(u64, u64)>) {
        self.long_wait = waits.filter(|(_, count)| *count >= WAITS).map(|(p99, _)| p99.saturating_mul(4));
    }

    /// The counters were read at `ts`, and before that at `before`: they have what was not seen in detail.
    pub fn count(
        &mut self,
        before: Option<Nanos>,
        ts: Nanos,
        counters: &Counters,
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let sums = failures(counters);
        let last = std::mem::replace(&mut self.counted, sums.clone());
        let Some(before) = before else { return };
        for (&kind, &count) in sums.iter() {
            let more = count.saturating_sub(last.get(&kind).copied().unwrap_or(0));
            let mut recent = self.list.iter().rev().take_while(|known| known.ts / SECOND >= before / SECOND);
            if more > 0 && !recent.any(|known| known.kind == kind) {
                self.add(ts, kind, more, limits, evicted);
            }
        }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Anomaly> + DoubleEndedIterator {
        self.list.iter()
    }
}

/// What failed so far, by errno.
pub fn failures(counters: &Counters) -> Ordered<AnomalyKind, u64> {
    let mut sums: Ordered<AnomalyKind, u64> = Ordered::default();
    let mut sum = |kind, count: u64| {
        if sums.len() < ERRNOS || sums.contains_key(&kind) {
            let sum = sums.entry(kind).or_default();
            *sum = sum.saturating_add(count);
        }
    };
    for upcall in counters.upcalls.iter().filter(|upcall| upcall.ret != 0) {
        sum(AnomalyKind::UpcallFailed(upcall.ret), upcall.count);
    }
    for put in counters.puts.iter().filter(|put| put.ret != 0) {
        sum(AnomalyKind::PutFailed(put.ret), put.count);
    }
    for exec in counters.execs.iter().filter(|exec| exec.ret != 0) {
        sum(AnomalyKind::ExecFailed(exec.ret), exec.count);
    }
    sums
}

/// Which datapaths came and went. Before the first ones are known, none has come.
pub fn datapath_changes(before: &[DpIfindex], now: &[DpIfindex]) -> Vec<AnomalyKind> {
    let gone = before.iter().filter(|dp| !now.contains(dp)).map(|dp| AnomalyKind::DatapathGone(*dp));
    let made = now.iter().filter(|dp| !before.is_empty() && !before.contains(dp));
    gone.chain(made.map(|dp| AnomalyKind::DatapathMade(*dp))).collect()
}

/// What changed about the daemon.
pub fn daemon_change(before: Option<&DaemonState>, now: &DaemonState) -> Option<AnomalyKind> {
    match (before, now) {
        (_, DaemonState::Down { why }) if why == DaemonState::NOT_ASKED => None,
        (None | Some(DaemonState::Up { .. }), DaemonState::Down { .. }) => Some(AnomalyKind::DaemonDown),
        (Some(DaemonState::Down { .. }), DaemonState::Up { .. }) => Some(AnomalyKind::DaemonUp),
        (Some(DaemonState::Up { pid: before, .. }), DaemonState::Up { pid, .. }) if before != pid => {
            Some(AnomalyKind::DaemonRestarted)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_second_is_one_and_all_are_in_the_order_of_their_times() {
        let (mut anomalies, mut evicted) = (Anomalies::default(), Evicted::default());
        let limits = Limits { anomalies: 3, ..Limits::default() };
        let eagain = AnomalyKind::UpcallFailed(-11);
        for (ts, kind) in [
            (2 * SECOND + 5, eagain),
            (2 * SECOND + 3, AnomalyKind::DaemonDown),
            (2 * SECOND + 1, eagain),
            (SECOND, eagain),
        ] {
            anomalies.add(ts, kind, 1, &limits, &mut evicted);
        }
        let known: Vec<(Nanos, String)> = anomalies.iter().map(|known| (known.ts, known.to_string())).collect();
        let words = [
            (SECOND, "1 upcall lost: EAGAIN"),
            (2 * SECOND + 1, "2 upcalls lost: EAGAIN"),
            (2 * SECOND + 3, "the daemon does not answer"),
        ];
        assert_eq!(known, words.map(|(ts, words)| (ts, words.to_owned())));
        anomalies.add(3 * SECOND, AnomalyKind::DaemonUp, 1, &limits, &mut evicted);
        assert_eq!((anomalies.iter().next().map(|known| known.ts), evicted.anomalies), (Some(2 * SECOND + 1), 1));
    }
}
