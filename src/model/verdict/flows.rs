//! Rules about flows: how many there may be, whether they can be put, and how long they live.

use std::collections::HashMap;

use super::super::{FlowKey, windows::Operation};
use super::{
    Cause, Culprit, Evidence, Finding, Severity,
    errno::{EEXIST, ENOENT},
    words::{count as grouped, each, part, percent},
};
use crate::event::{DelReason, DpIfindex, Nanos, Ufid, errno_name};

/// Above this a dump is too long, and the daemon lets the limit shrink (`udpif_revalidator` in
/// `ofproto/ofproto-dpif-upcall.c`).
const DUMP_SLOW_MS: u64 = 1300;
/// Below this nothing is said of a dump.
const DUMP_LONG_MS: u64 = 700;

/// All flows were killed.
pub fn emergency_kill(e: &Evidence<'_>) -> Option<Finding> {
    let kills = e.coverage("upcall_flow_limit_kill");
    let back = e.model.returns.recent(e.now()).filter(|back| back.because == Some(DelReason::FlowLimit)).count();
    if kills <= 0.0 && back == 0 {
        return None;
    }
    let mut finding = Finding::new(
        Cause::EmergencyKill,
        Severity::Critical,
        format!(
            "all flows were killed, as there were twice as many as there may be: {}",
            each(e.rates.misses, "misses")
        ),
    );
    if kills > 0.0 {
        finding = finding.figure("upcall_flow_limit_kill grew since the daemon was last asked".to_owned());
    }
    if back > 0 {
        finding = finding.figure(format!(
            "{}{} flows came back in 10 s that were deleted for the flow limit",
            e.model.returns.at_least(e.now()),
            grouped(back as u64)
        ));
    }
    Some(finding.culprit(e.top_port().map(|(culprit, ..)| culprit)))
}

/// There are as many flows as there may be: what is new goes up, packet by packet.
pub fn flow_limit(e: &Evidence<'_>) -> Option<Finding> {
    let hits = e.coverage("upcall_flow_limit_hit");
    let full = e.udpifs().iter().find(|udpif| udpif.limit > 0 && udpif.flows >= udpif.limit);
    let (misses, puts) = (e.rates.misses, e.rates.puts);
    // The daemon's figures are some seconds old: what the kernel sees is of now.
    let unput = misses > 50.0 && puts < misses * 0.5 && e.rates.execs > misses * 0.5;
    if !(misses > 50.0 && hits >= 1.0 || unput && full.is_some()) {
        return None;
    }
    let limit = full.or_else(|| e.udpifs().first());
    let of = limit.map_or(String::new(), |udpif| format!(" of {}", grouped(udpif.limit)));
    let lost = if e.rates.upcalls_lost > 0.0 { Severity::Critical } else { Severity::Warning };
    let headline = format!("the flow limit{of} is reached: {} get no flow", each((misses - puts).max(hits), "misses"));
    let mut finding = Finding::new(Cause::FlowLimit, lost, headline).figure(format!(
        "{}, {}, {}",
        each(misses, "misses"),
        each(e.rates.execs, "packets given back"),
        each(puts, "flows put")
    ));
    if hits > 0.0 {
        finding = finding.figure(format!("upcall_flow_limit_hit grows by {}", each(hits, "")));
    }
    if let Some(udpif) = limit {
        finding = finding.figure(format!(
            "{} has {} flows, limit {}",
            udpif.name,
            grouped(udpif.flows),
            grouped(udpif.limit)
        ));
    }
    Some(finding.culprit(e.top_port().map(|(culprit, ..)| culprit)))
}

/// Dumps of all flows take too long.
pub fn slow_revalidator(e: &Evidence<'_>) -> Option<Finding> {
    let udpif = e.udpifs().iter().max_by_key(|udpif| udpif.dump_ms).filter(|udpif| udpif.dump_ms > DUMP_LONG_MS)?;
    let slow = udpif.dump_ms > DUMP_SLOW_MS;
    let severity = if slow { Severity::Warning } else { Severity::Note };
    let effect = if slow { "the flow limit shrinks for it" } else { "above 1300 ms the flow limit shrinks" };
    let headline = format!(
        "revalidators take {} ms to go through {} flows: {effect}",
        grouped(udpif.dump_ms),
        grouped(udpif.flows)
    );
    let finding = Finding::new(Cause::SlowRevalidator, severity, headline).figure(format!(
        "dump duration of {} in upcall/show: {} ms",
        udpif.name,
        grouped(udpif.dump_ms)
    ));
    let highest = e.model.told.highest_limit(&udpif.name);
    Some(if highest > udpif.limit {
        finding.figure(format!(
            "its flow limit fell from {} to {} within a minute",
            grouped(highest),
            grouped(udpif.limit)
        ))
    } else {
        finding
    })
}

/// The datapath refuses flows.
pub fn put_failures(e: &Evidence<'_>) -> Option<Finding> {
    let puts = e.outcomes(Operation::Put);
    let all: u64 = puts.iter().map(|(_, count)| count).sum();
    // Two handlers that put the same flow, and a flow that went meanwhile, are daily life unless they are most of all.
    let usual = |ret: i32| matches!(-ret, EEXIST | ENOENT);
    let counts = |&(ret, count): &(i32, u64)| ret != 0 && count >= if usual(ret) { 500.max(all / 2) } else { 10 };
    let (ret, count) = puts.iter().copied().filter(counts).max_by_key(|(_, count)| *count)?;
    let share = part(count, all);
    if share < 0.05 {
        return None;
    }
    let name = errno_name(ret).map_or_else(|| format!("errno {}", -ret), ToString::to_string);
    let headline = format!("flows cannot be put ({name}): {} of {}", percent(share), each(e.per_second(all), "puts"));
    let finding = Finding::new(Cause::PutFailures, Severity::Warning, headline).figure(format!(
        "{} of {} puts in {:.0} s failed with {name}",
        grouped(count),
        grouped(all),
        e.seconds
    ));
    Some(finding.culprit(Some(Culprit::Talker(super::TalkerKey::Errno(ret)))))
}

/// Rules change all the time, and flows are made anew for it.
pub fn openflow_churn(e: &Evidence<'_>) -> Option<Finding> {
    let changes = e.coverage("rev_flow_table");
    if changes < 1.0 {
        return None;
    }
    let work = e.rates.puts + e.rates.dels;
    let severity = if work >= 100.0 { Severity::Warning } else { Severity::Note };
    let headline = format!(
        "OpenFlow rules change all the time: {}, {}",
        each(changes, "revalidations"),
        each(work, "puts and deletions")
    );
    Some(
        Finding::new(Cause::OpenflowChurn, severity, headline)
            .figure(format!("rev_flow_table grows by {}", each(changes, ""))),
    )
}

/// The same flows come and go.
pub fn flapping(e: &Evidence<'_>) -> Option<Finding> {
    let mut flows: HashMap<(DpIfindex, Ufid), (u64, Nanos, Option<DelReason>)> = HashMap::new();
    for back in e.model.returns.recent(e.now()) {
        let (count, gone, because) = flows.entry(back.flow).or_default();
        (*count, *gone) = (*count + 1, gone.saturating_add(back.gone));
        *because = because.or(back.because);
    }
    // One that came back once did so for a reason of its own.
    flows.retain(|_, (count, ..)| *count >= 2);
    let times: u64 = flows.values().map(|(count, ..)| count).sum();
    let (&(dp, ufid), &(count, gone, because)) =
        flows.iter().max_by_key(|((dp, ufid), (count, ..))| (*count, std::cmp::Reverse((*dp, *ufid))))?;
    if times < 10 && count < 3 {
        return None;
    }
    let severity = if e.per_second(times) >= 20.0 { Severity::Warning } else { Severity::Note };
    let why = because.map_or(String::new(), |reason| format!(", deleted as {reason}"));
    let at_least = e.model.returns.at_least(e.now());
    let headline = format!(
        "{at_least}{} flows are deleted and put again{why}: {at_least}{}",
        flows.len(),
        each(e.per_second(times), "returns")
    );
    let finding = Finding::new(Cause::FlappingFlows, severity, headline).figure(format!(
        "the worst came back {count} times in 10 s, after {} on average",
        super::words::time(gone / count.max(1))
    ));
    Some(finding.culprit(Some(Culprit::Flow(FlowKey::Ufid(dp, ufid)))))
}
