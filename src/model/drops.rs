//! What the datapath dropped, by its own reasons.

use super::meter::Meter;
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

/// The most reasons: the kernel side counts no more.
const REASONS_MAX: usize = 64;

/// All reasons met.
#[derive(Debug, Clone, Default)]
pub struct Drops(Vec<(u32, String, Meter)>);

impl Drops {
    /// Takes a reading at `ts`, after the one at `before`, if there was one.
    pub fn apply(&mut self, before: Option<Nanos>, ts: Nanos, counters: &[DropCounter]) {
        if before.is_none() {
            self.0.clear();
        }
        for counter in counters {
            let at = match self.0.iter().position(|(reason, ..)| *reason == counter.reason) {
                Some(at) => at,
                None if self.0.len() < REASONS_MAX => {
                    self.0.push((counter.reason, counter.name.clone(), Meter::default()));
                    self.0.len() - 1
                }
                None => continue,
            };
            let meter = &mut self.0[at].2;
            match before {
                Some(before) => meter.set(before, ts, counter.count),
                None => meter.start(ts, counter.count),
            }
        }
    }

    /// All, as of the reading at `now`, the most first.
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
