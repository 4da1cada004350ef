//! What verdicts ask about the last ten seconds: outcomes of operations, why packets go up, flows that come back, and the
//! daemon's own figures.

use std::collections::{BTreeMap, VecDeque};

use super::{
    flow::FlowKey,
    flows::Flows,
    meter::{LastTen, SECOND},
    summary::{L4Summary, NetSummary, PacketSummary},
};
use crate::event::{
    Counters, DaemonFigures, DelReason, DpIfindex, ErrnoCounter, FlowPut, Nanos, UdpifFigures, Ufid, Upcall, UpcallCmd,
    Why,
};

/// A command to the datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Put,
    Exec,
    Del,
}

/// How many different outcomes are kept; the kernel returns few.
const OUTCOMES: usize = 128;

/// Operations by what came of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcomes {
    counts: BTreeMap<(Operation, i32), (u64, LastTen)>,
}

impl Outcomes {
    /// Takes a reading of the counters. When the counts of the `first` one were made is not known.
    pub fn apply(&mut self, first: bool, ts: Nanos, counters: &Counters) {
        if first {
            self.counts.clear();
        }
        let of = |op, counters: &[ErrnoCounter]| counters.iter().map(|c| ((op, c.ret), c.count)).collect::<Vec<_>>();
        let all = [
            of(Operation::Put, &counters.puts),
            of(Operation::Exec, &counters.execs),
            of(Operation::Del, &counters.dels),
        ];
        for (key, count) in all.into_iter().flatten() {
            if self.counts.len() >= OUTCOMES && !self.counts.contains_key(&key) {
                continue;
            }
            let (sum, recent) = self.counts.entry(key).or_default();
            if !first {
                recent.add(ts / SECOND, count.saturating_sub(*sum));
            }
            *sum = count;
        }
    }

    /// How often an operation ended with each errno in the last ten seconds; 0 is success.
    pub fn of(&self, operation: Operation, second: u64) -> impl Iterator<Item = (i32, u64)> {
        let counts = self.counts.iter().filter(move |((of, _), _)| *of == operation);
        counts.map(move |((_, ret), (_, recent))| (*ret, recent.total(second))).filter(|(_, count)| *count > 0)
    }
}

/// What upcalls seen in detail are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    /// Every one.
    Any,
    /// A miss.
    Miss,
    /// A miss after the packet was sent through the datapath again.
    MissAgain,
    /// Its packet goes to everybody or to many.
    ToMany,
    /// Its packet is ARP.
    Arp,
    /// Its packet was reassembled from fragments, for connection tracking.
    Reassembled,
    /// Its packet is a later fragment.
    Fragment,
    /// By an action, for a controller.
    Controller,
    /// By an action: the daemon handles every packet of the flow itself.
    SlowPath,
    /// By an action: a sample.
    Sample,
}

/// How many reasons for the slow path are told apart.
const REASONS: usize = 32;

/// The upcalls of the last ten seconds, as far as they were seen in detail, by what they are about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matters {
    counts: BTreeMap<Matter, LastTen>,
    slow: BTreeMap<String, LastTen>,
}

impl Matters {
    /// Counts an upcall, with its packet as far as it is known.
    pub fn add(&mut self, second: u64, upcall: &Upcall, summary: Option<&PacketSummary>) {
        let mut count = |matter| self.counts.entry(matter).or_default().add(second, 1);
        count(Matter::Any);
        if upcall.cmd == UpcallCmd::Miss {
            count(if upcall.recirc_id == 0 { Matter::Miss } else { Matter::MissAgain });
        }
        if upcall.mru > 0 {
            count(Matter::Reassembled);
        }
        match upcall.cookie.as_ref().map(|cookie| &cookie.why) {
            Some(Why::Controller { .. }) => count(Matter::Controller),
            Some(Why::Sflow { .. } | Why::FlowSample { .. } | Why::Ipfix { .. }) => count(Matter::Sample),
            Some(Why::SlowPath { reasons }) => {
                count(Matter::SlowPath);
                let name = reasons.join(", ");
                if self.slow.len() < REASONS || self.slow.contains_key(&name) {
                    self.slow.entry(name).or_default().add(second, 1);
                }
            }
            _ => {}
        }
        if let Some(summary) = summary {
            self.packet(second, summary);
        }
    }

    /// Counts the packet of an upcall that was added without it.
    pub fn packet(&mut self, second: u64, summary: &PacketSummary) {
        let mut count = |matter| self.counts.entry(matter).or_default().add(second, 1);
        if summary.eth_dst.0[0] & 1 == 1 {
            count(Matter::ToMany);
        }
        match summary.net {
            NetSummary::Arp { .. } => count(Matter::Arp),
            NetSummary::Ip { l4: L4Summary::Fragment, .. } => count(Matter::Fragment),
            _ => {}
        }
    }

    /// How many there were in the last ten seconds.
    pub fn count(&self, matter: Matter, second: u64) -> u64 {
        self.counts.get(&matter).map_or(0, |count| count.total(second))
    }

    /// The most frequent reason for the slow path, with its count.
    pub fn slow(&self, second: u64) -> Option<(&str, u64)> {
        let counts = self.slow.iter().map(|(name, count)| (name.as_str(), count.total(second)));
        counts.filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count)
    }
}

/// How many returns are kept; of more than that within ten seconds, the latest.
const RETURNS: usize = 4096;

/// A flow that was deleted and put again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Return {
    /// When it was put again.
    pub ts: Nanos,
    /// Which.
    pub flow: (DpIfindex, Ufid),
    /// How long it had been gone, in nanoseconds.
    pub gone: Nanos,
    /// Why it was deleted, where the daemon tells.
    pub because: Option<DelReason>,
}

/// Flows that were deleted and came back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Returns(VecDeque<Return>);

impl Returns {
    /// A flow is put. Has to be called before `flows` takes the put.
    pub fn put(&mut self, ts: Nanos, put: &FlowPut, flows: &Flows) {
        let Some(ufid) = put.op.ufid.filter(|_| put.op.ret == 0) else { return };
        let flow = flows.get(FlowKey::Ufid(put.op.dp, ufid));
        let Some((flow, deleted)) = flow.and_then(|flow| Some((flow, flow.deleted.filter(|at| *at <= ts)?))) else {
            return;
        };
        if self.0.len() >= RETURNS {
            self.0.pop_front();
        }
        let (gone, because) = (ts - deleted, flow.deleted_because);
        self.0.push_back(Return { ts, flow: (put.op.dp, ufid), gone, because });
    }

    /// What is said before a count of [`Returns::recent`]: more of them may have come than are kept.
    pub fn at_least(&self, now: Nanos) -> &'static str {
        let all_are_recent = self.0.front().is_some_and(|oldest| now.saturating_sub(oldest.ts) < 10 * SECOND);
        if self.0.len() >= RETURNS && all_are_recent { "at least " } else { "" }
    }

    /// Those of the ten seconds before `now`.
    pub fn recent(&self, now: Nanos) -> impl Iterator<Item = &Return> {
        self.0.iter().filter(move |back| back.ts <= now && now - back.ts < 10 * SECOND)
    }
}

/// How many figures are kept: more than a minute of them.
const FIGURES: usize = 16;

/// What the daemon counted of itself, by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToldFigures(VecDeque<(Nanos, DaemonFigures)>);

impl ToldFigures {
    /// Adds figures. Another daemon counts from 0, so its figures begin anew.
    pub fn add(&mut self, ts: Nanos, figures: &DaemonFigures) {
        if self.0.back().is_some_and(|(last, before)| before.pid != figures.pid || *last > ts) {
            self.0.clear();
        }
        if self.0.back().is_some_and(|(last, _)| *last == ts) {
            return;
        }
        if self.0.len() >= FIGURES {
            self.0.pop_front();
        }
        self.0.push_back((ts, figures.clone()));
    }

    /// The latest, if it is not older than twenty seconds.
    pub fn latest(&self, now: Nanos) -> Option<&DaemonFigures> {
        self.0.back().filter(|(ts, _)| now.saturating_sub(*ts) <= 20 * SECOND).map(|(_, figures)| figures)
    }

    /// The latest figures of its datapaths.
    pub fn udpifs(&self, now: Nanos) -> &[UdpifFigures] {
        self.latest(now).map_or(&[], |figures| &figures.udpifs)
    }

    /// How upcalls find a handler in the datapath of this name, where it told: `per-cpu`, `per-vport`.
    pub fn dispatch(&self, name: &str) -> Option<&str> {
        self.0.back()?.1.dispatch.get(name).map(String::as_str)
    }

    /// The highest flow limit of a datapath among the figures that are kept.
    pub fn highest_limit(&self, name: &str) -> u64 {
        let udpifs = self.0.iter().flat_map(|(_, figures)| &figures.udpifs);
        udpifs.filter(|udpif| udpif.name == name).map(|udpif| udpif.limit).max().unwrap_or(0)
    }

    /// What one of its counters grew by between the last two figures, and that per second; none where there is one alone, or
    /// they are old.
    pub fn grown(&self, counter: &str, now: Nanos) -> Option<(u64, f64)> {
        let (ts, figures) = self.0.back().filter(|(ts, _)| now.saturating_sub(*ts) <= 20 * SECOND)?;
        let (since, before) = self.0.get(self.0.len().checked_sub(2)?)?;
        let of = |figures: &DaemonFigures| figures.coverage.get(counter).copied().unwrap_or(0);
        let grown = of(figures).saturating_sub(of(before));
        let seconds = ts.saturating_sub(*since).max(1) as f64 / SECOND as f64;
        Some((grown, grown as f64 / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_more_than_is_kept_says_at_least() {
        let back = |ts| Return { ts, flow: (DpIfindex(1), Ufid([7; 4])), gone: 1, because: None };
        let mut returns = Returns((1..=RETURNS as u64).map(back).collect());
        assert_eq!((returns.at_least(SECOND), returns.recent(SECOND).count()), ("at least ", RETURNS));
        assert_eq!(returns.at_least(20 * SECOND), "");
        returns.0.pop_front();
        assert_eq!(returns.at_least(SECOND), "");
    }
}
