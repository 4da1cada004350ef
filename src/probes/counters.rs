//! Reads the kernel side's counter maps: per-CPU values become sums.

use std::collections::HashMap;

use bytemuck::{Pod, Zeroable};
use libbpf_rs::{MapCore, MapFlags};

use super::{
    skeleton::OvscopeMaps,
    wire::{
        self, FlowCount, FlowId, OP_DEL, OP_EXEC, OP_PUT, OpOutcome, TALLY_FILTERED_OUT, TALLY_FLOW_HITS_UNCOUNTED,
        TALLY_MISSED, TALLY_NOT_SAMPLED, TALLY_OVER_BUDGET, TALLY_RECEIVED, TALLY_RING_FULL, TALLY_UNTRACKED,
        TALLY_UPCALLS_FILTERED_OUT, TALLY_UPCALLS_OVER_BUDGET, TableCount, UpcallKind,
    },
};
use crate::event::{
    Counters, DpCounters, DpIfindex, ErrnoCounter, FlowCounter, FlowPtr, Loss, Nanos, PortNo, Ufid, UpcallCmd,
    UpcallCounter,
};

/// Remembers which flows had how many hits, so that only those that changed are reported.
#[derive(Debug, Default)]
pub struct CounterReader {
    hits: HashMap<(u64, [u32; 4]), u64>,
}

impl CounterReader {
    /// The counters as they are now, those of single flows only `with_flows`: they are many to read. What is read while packets pass may be off by those that pass between two maps.
    pub fn read(&mut self, maps: &OvscopeMaps<'_>, now: Nanos, with_flows: bool) -> libbpf_rs::Result<Counters> {
        let mut counters = Counters {
            received: tally(&maps.tallies, TALLY_RECEIVED)?,
            flow_hits_uncounted: tally(&maps.tallies, TALLY_FLOW_HITS_UNCOUNTED)?,
            ..Counters::default()
        };
        for (table, values) in per_cpu::<u64, TableCount>(&maps.table_counts)? {
            let mut sum = DpCounters { table, ..DpCounters::default() };
            for value in values {
                sum.hits += value.hits;
                sum.misses += value.misses;
                sum.mask_hits += value.mask_hits;
                sum.cache_hits += value.cache_hits;
                sum.dp = sum.dp.max(DpIfindex(value.dp));
            }
            counters.datapaths.push(sum);
        }
        for (kind, values) in per_cpu::<UpcallKind, u64>(&maps.upcall_counts)? {
            counters.upcalls.push(UpcallCounter {
                dp: DpIfindex(kind.dp),
                in_port: PortNo(kind.in_port),
                cmd: UpcallCmd::from(kind.cmd as u8),
                port: kind.portid,
                ret: kind.ret,
                count: values.iter().sum(),
            });
        }
        for (outcome, values) in per_cpu::<OpOutcome, u64>(&maps.op_counts)? {
            let of = match outcome.op {
                OP_PUT => &mut counters.puts,
                OP_EXEC => &mut counters.execs,
                OP_DEL => &mut counters.dels,
                _ => continue,
            };
            of.push(ErrnoCounter { ret: outcome.ret, count: values.iter().sum() });
        }
        if with_flows {
            self.flows(maps, now, &mut counters)?;
        }
        Ok(counters)
    }

    fn flows(&mut self, maps: &OvscopeMaps<'_>, now: Nanos, counters: &mut Counters) -> libbpf_rs::Result<()> {
        let mut seen = HashMap::with_capacity(self.hits.len());
        for (id, values) in per_cpu::<FlowId, FlowCount>(&maps.flow_counts)? {
            let hits = values.iter().map(|v| v.hits).sum();
            let Some(newest) = values.iter().max_by_key(|v| v.since) else { continue };
            let key = (id.flow, id.ufid);
            seen.insert(key, hits);
            if self.hits.get(&key) == Some(&hits) {
                continue;
            }
            counters.flows.push(FlowCounter {
                table: id.table,
                flow: FlowPtr(id.flow),
                sf_acts: FlowPtr(newest.sf_acts),
                ufid: (id.ufid != [0; 4]).then_some(Ufid(id.ufid)),
                hits,
                last: now,
            });
        }
        self.hits = seen;
        Ok(())
    }
}

/// What the kernel side left out or lost, so far.
pub fn read_loss(maps: &OvscopeMaps<'_>) -> libbpf_rs::Result<Loss> {
    Ok(Loss {
        ring_full: tally(&maps.tallies, TALLY_RING_FULL)?,
        over_budget: tally(&maps.tallies, TALLY_OVER_BUDGET)?,
        upcalls_over_budget: tally(&maps.tallies, TALLY_UPCALLS_OVER_BUDGET)?,
        filtered_out: tally(&maps.tallies, TALLY_FILTERED_OUT)?,
        upcalls_filtered_out: tally(&maps.tallies, TALLY_UPCALLS_FILTERED_OUT)?,
        not_sampled: tally(&maps.tallies, TALLY_NOT_SAMPLED)?,
        untracked: tally(&maps.tallies, TALLY_UNTRACKED)?,
        missed_runs: tally(&maps.tallies, TALLY_MISSED)?,
        ..Loss::default()
    })
}

fn tally(map: &impl MapCore, which: u32) -> libbpf_rs::Result<u64> {
    let values = map.lookup_percpu(&which.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
    Ok(values.iter().filter_map(|v| wire::read::<u64>(v)).sum())
}

/// Every key of a per-CPU map with its values. A key that goes away meanwhile is passed over; one that takes the next
/// one's place may be met twice, so the last reading of each counts.
fn per_cpu<K: Pod + Zeroable, V: Pod>(map: &impl MapCore) -> libbpf_rs::Result<Vec<(K, Vec<V>)>> {
    let mut all: HashMap<Vec<u8>, Vec<V>> = HashMap::new();
    for key in map.keys() {
        if let Some(values) = map.lookup_percpu(&key, MapFlags::ANY)? {
            all.insert(key, values.iter().filter_map(|v| wire::read::<V>(v)).collect());
        }
    }
    Ok(all.into_iter().filter_map(|(key, values)| Some((wire::read::<K>(&key)?, values))).collect())
}
