//! What the datapath dropped, by the reason that it gave.

use super::{
    limits::{Evicted, Limits},
    meter::Meter,
};
use crate::event::{DropCounter, Nanos};

/// Drops for one reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropRow<'a> {
    /// Its number, as in [`crate::event::Drop`].
    pub reason: u32,
    /// Its name; empty where the kernel does not tell it.
    pub name: &'a str,
    /// Packets, since the probes were attached.
    pub count: u64,
    /// Packets per second, over the last second or two.
    pub rate: f64,
}

/// All reasons met.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drops(Vec<(u32, String, Meter)>);

impl Drops {
    /// Takes a reading at `ts`, after the one at `before`, if there was one.
    pub fn apply(
        &mut self,
        before: Option<Nanos>,
        ts: Nanos,
        counters: &[DropCounter],
        limits: &Limits,
        evicted: &mut Evicted,
    ) {
        let mut without_room = 0;
        if before.is_none() {
            self.0.clear();
        }
        for counter in counters {
            let at = match self.0.iter().position(|(reason, ..)| *reason == counter.reason) {
                Some(at) => at,
                None if self.0.len() < limits.drop_reasons.max(1) => {
                    self.0.push((counter.reason, counter.name.clone(), Meter::default()));
                    self.0.len() - 1
                }
                None => {
                    without_room += 1;
                    continue;
                }
            };
            let meter = &mut self.0[at].2;
            match before {
                Some(before) => meter.set(before, ts, counter.count),
                None => meter.start(ts, counter.count),
            }
        }
        evicted.drop_reasons = evicted.drop_reasons.max(without_room);
    }

    /// All of them, as of the reading at `now`, the most frequent first.
    pub fn rows(&self, now: Nanos) -> Vec<DropRow<'_>> {
        let mut rows: Vec<DropRow<'_>> = self
            .0
            .iter()
            .map(|(reason, name, meter)| DropRow { reason: *reason, name, count: meter.value(), rate: meter.rate(now) })
            .collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.count), row.reason));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SECOND;

    #[test]
    fn reasons_are_counted_and_have_rates_and_the_most_come_first() {
        let counter = |reason: u32, count| DropCounter { reason, name: format!("R{reason}"), count };
        let (mut drops, limits, mut evicted) = (Drops::default(), Limits::default(), Evicted::default());
        drops.apply(None, SECOND, &[counter(1, 500)], &limits, &mut evicted);
        for half in 1..=4u64 {
            let (before, ts) = (SECOND + (half - 1) * SECOND / 2, SECOND + half * SECOND / 2);
            let counters = [counter(1, 500 + half), counter(2, half * 1000)];
            drops.apply(Some(before), ts, &counters, &limits, &mut evicted);
        }
        let rows = drops.rows(3 * SECOND);
        assert_eq!(
            rows.iter().map(|r| (r.reason, r.name, r.count)).collect::<Vec<_>>(),
            [(2, "R2", 4000), (1, "R1", 504)]
        );
        assert!((rows[0].rate - 2000.0).abs() < 1e-9 && (rows[1].rate - 2.0).abs() < 1e-9, "{rows:?}");
        drops.apply(None, 4 * SECOND, &[], &limits, &mut evicted);
        assert!(drops.rows(4 * SECOND).is_empty(), "other probes count anew");
    }
}
