//! Reads the kernel side's counter maps: per-CPU values become sums.

use std::collections::{BTreeMap, HashMap};

use bytemuck::{Pod, Zeroable};
use libbpf_rs::{MapCore, MapFlags};

use super::{
    reasons::Reasons,
    skeleton::OvscopeMaps,
    wire::{
        self, FLOW_LINES, FlowCount, FlowId, FlowLine, FlowSlot, OP_DEL, OP_EXEC, OP_PUT, OpOutcome, SCHED_ASLEEP,
        SCHED_RUNNABLE, SCHED_RUNNING, SchedSums, StageTimes, TALLY_FILTERED_OUT, TALLY_FLOW_HITS_UNCOUNTED,
        TALLY_MISSED, TALLY_NOT_SAMPLED, TALLY_OVER_BUDGET, TALLY_RECEIVED, TALLY_RING_FULL, TALLY_TOLD_OVER_BUDGET,
        TALLY_UNTRACKED, TALLY_UPCALLS_FILTERED_OUT, TALLY_UPCALLS_OVER_BUDGET, TableCount, TableKey, UpcallKind,
    },
};
use crate::event::{
    Counters, DpCounters, DpIfindex, DpStats, DropCounter, ErrnoCounter, FlowCounter, FlowPtr, HandlerSched, Loss,
    Nanos, PortNo, Stage, StageCounter, Ufid, UpcallCmd, UpcallCounter,
};

/// Remembers what was read last, so that only what changed is reported, and nothing ever counts down.
#[derive(Debug, Default)]
pub struct CounterReader {
    flows: HashMap<FlowKey, FlowSum, foldhash::fast::RandomState>,
    /// Each datapath's, by its table and number.
    tables: HashMap<(u64, DpIfindex), DpCounters>,
    /// The kernel's own counts when this began.
    before: Option<BTreeMap<DpIfindex, DpStats>>,
}

/// A flow in its table. A UFID of zeros: it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    flow: u64,
    table: u64,
    ufid: [u32; 4],
}

#[derive(Debug, Clone, Copy, Default)]
struct FlowSum {
    hits: u64,
    bytes: u64,
    sf_acts: u64,
    since: u64,
}

impl FlowSum {
    fn add(&mut self, hits: u64, bytes: u64, sf_acts: u64, since: u64) {
        self.hits += hits;
        self.bytes += bytes;
        if since >= self.since {
            (self.since, self.sf_acts) = (since, sf_acts);
        }
    }
}

impl CounterReader {
    /// The counters as they are now, those of single flows and of the stages only `with_flows`: they are many to read.
    /// What is read while packets pass may be off by those that pass between two maps. `stats` are the kernel's own
    /// counts.
    pub fn read(
        &mut self,
        maps: &OvscopeMaps<'_>,
        stats: &BTreeMap<DpIfindex, DpStats>,
        now: Nanos,
        with_flows: bool,
        reasons: &mut Reasons,
    ) -> libbpf_rs::Result<Counters> {
        let mut counters = Counters {
            received: tally(&maps.tallies, TALLY_RECEIVED)?,
            flow_hits_uncounted: tally(&maps.tallies, TALLY_FLOW_HITS_UNCOUNTED)?,
            ..Counters::default()
        };
        // What moves from a slot to the maps meanwhile is missed this time, rather than counted twice.
        let tables = per_cpu::<TableKey, TableCount>(&maps.table_counts)?;
        let flows = if with_flows { per_cpu::<FlowId, FlowCount>(&maps.flow_counts)? } else { Vec::new() };
        let slots = read_slots(maps)?;
        self.tables(&tables, &slots, stats, &mut counters);
        if with_flows {
            self.flows(&flows, &slots, now, &mut counters);
        }
        for (kind, values) in per_cpu::<UpcallKind, u64>(&maps.upcall_counts)? {
            let made = values.iter().zip(0u32..).filter(|(count, _)| **count > 0);
            counters.upcalls.extend(made.map(|(&count, cpu)| UpcallCounter {
                dp: DpIfindex(kind.dp),
                in_port: PortNo(kind.in_port),
                cmd: UpcallCmd::from(kind.cmd as u8),
                port: kind.portid,
                cpu: Some(cpu),
                ret: kind.ret,
                count,
            }));
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
        for (reason, values) in per_cpu::<u32, u64>(&maps.drop_counts)? {
            counters.drops.push(DropCounter { reason, name: reasons.name(reason), count: values.iter().sum() });
        }
        counters.handlers = handlers(&maps.scheds, now)?;
        if with_flows {
            counters.stages = stages(&maps.stage_times)?;
        }
        Ok(counters)
    }

    fn tables(
        &mut self,
        tables: &[(TableKey, Vec<TableCount>)],
        slots: &[FlowSlot],
        stats: &BTreeMap<DpIfindex, DpStats>,
        counters: &mut Counters,
    ) {
        // The newer of two that had one address comes last: interface indices go up.
        let mut sums: BTreeMap<(u64, u32), DpCounters> = BTreeMap::new();
        let fresh = |table, dp| DpCounters { table, dp: DpIfindex(dp), ..DpCounters::default() };
        for (TableKey { table, dp, .. }, values) in tables {
            let sum = sums.entry((*table, *dp)).or_insert_with(|| fresh(*table, *dp));
            for value in values {
                sum.hits += value.hits;
                sum.misses += value.misses;
            }
        }
        for slot in slots {
            let sum = sums.entry((slot.table, slot.dp)).or_insert_with(|| fresh(slot.table, slot.dp));
            sum.hits += slot.hits;
        }
        let before = self.before.get_or_insert_with(|| stats.clone());
        for sum in sums.values_mut() {
            let last = self.tables.entry((sum.table, sum.dp)).or_default();
            sum.hits = sum.hits.max(last.hits);
            // Those of a datapath that is gone stay as they were.
            (sum.mask_hits, sum.cache_hits) = (last.mask_hits, last.cache_hits);
            if let Some(now) = stats.get(&sum.dp) {
                // One that was made since, or made again, began with nothing.
                let before =
                    before.get(&sum.dp).filter(|b| b.n_mask_hit <= now.n_mask_hit).copied().unwrap_or_default();
                sum.mask_hits = now.n_mask_hit - before.n_mask_hit;
                sum.cache_hits = now.n_cache_hit.saturating_sub(before.n_cache_hit);
            }
            last.clone_from(sum);
        }
        counters.datapaths = sums.into_values().collect();
    }

    fn flows(&mut self, flows: &[(FlowId, Vec<FlowCount>)], slots: &[FlowSlot], now: Nanos, counters: &mut Counters) {
        let mut sums: HashMap<FlowKey, FlowSum, foldhash::fast::RandomState> = HashMap::default();
        sums.reserve(self.flows.len());
        for (id, values) in flows {
            let sum = sums.entry(FlowKey { flow: id.flow, table: id.table, ufid: id.ufid }).or_default();
            for v in values {
                sum.add(v.hits, v.bytes, v.sf_acts, v.since);
            }
        }
        for s in slots {
            let ufid = if s.ufid_len == 0 { [0; 4] } else { s.ufid };
            sums.entry(FlowKey { flow: s.flow, table: s.table, ufid })
                .or_default()
                .add(s.hits, s.bytes, s.sf_acts, s.since);
        }
        for (key, sum) in &mut sums {
            if let Some(last) = self.flows.get(key) {
                // Fewer than last time: some are on their way between the maps, unless it was evicted and came again.
                if sum.hits <= last.hits && sum.since <= last.since {
                    *sum = *last;
                    continue;
                }
            }
            if sum.hits == 0 {
                continue;
            }
            counters.flows.push(FlowCounter {
                table: key.table,
                flow: FlowPtr(key.flow),
                sf_acts: FlowPtr(sum.sf_acts),
                ufid: (key.ufid != [0; 4]).then_some(Ufid(key.ufid)),
                hits: sum.hits,
                bytes: Some(sum.bytes),
                last: now,
            });
        }
        self.flows = sums;
    }
}

/// What handlers' threads did up to `now`: the state that each is in lasts until then.
fn handlers(map: &impl MapCore, now: Nanos) -> libbpf_rs::Result<Vec<HandlerSched>> {
    let mut handlers = Vec::new();
    for key in map.keys() {
        let Some(value) = map.lookup(&key, MapFlags::ANY)? else { continue };
        let (Some(tid), Some(sums)) = (wire::read::<u32>(&key), wire::read::<SchedSums>(&value)) else { continue };
        let lasting = |state: u32| if sums.state == state { now.saturating_sub(sums.since) } else { 0 };
        let waiting = lasting(SCHED_RUNNABLE);
        handlers.push(HandlerSched {
            tid,
            asleep_ns: sums.asleep + lasting(SCHED_ASLEEP),
            runnable_ns: sums.runnable + waiting,
            running_ns: sums.running + lasting(SCHED_RUNNING),
            runnable_max_ns: sums.runnable_max.max(waiting),
            switches: sums.switches,
        });
    }
    handlers.sort_unstable_by_key(|handler| handler.tid);
    Ok(handlers)
}

fn stages(map: &impl MapCore) -> libbpf_rs::Result<Vec<StageCounter>> {
    let mut stages = Vec::new();
    for (stage, place) in Stage::ALL.into_iter().zip(0u32..) {
        let (mut max, mut buckets) = (0, BTreeMap::new());
        for value in map.lookup_percpu(&place.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default() {
            let Some(times) = wire::read::<StageTimes>(&value) else { continue };
            max = max.max(times.max);
            for (&count, bucket) in times.counts.iter().zip(0u16..).filter(|(count, _)| **count > 0) {
                *buckets.entry(bucket).or_insert(0) += count;
            }
        }
        if !buckets.is_empty() {
            stages.push(StageCounter { stage, max, buckets: buckets.into_iter().collect() });
        }
    }
    Ok(stages)
}

/// The flows that each CPU counts by itself at the moment.
fn read_slots(maps: &OvscopeMaps<'_>) -> libbpf_rs::Result<Vec<FlowSlot>> {
    let mut slots = Vec::new();
    for line in 0..FLOW_LINES {
        let values = maps.flow_lines.lookup_percpu(&line.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
        let lines = values.iter().filter_map(|v| wire::read::<FlowLine>(v));
        slots.extend(lines.flat_map(|line| line.slots).filter(|slot| slot.flow != 0));
    }
    Ok(slots)
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
        told_over_budget: tally(&maps.tallies, TALLY_TOLD_OVER_BUDGET)?,
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
