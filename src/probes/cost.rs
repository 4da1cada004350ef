//! What the kernel says of each attached program: runs, their time, and those it left out.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
};

use libbpf_rs::{
    Link, Object,
    query::{LinkTypeInfo, PerfEventType},
};

use super::capability::PLANS;
use crate::event::{Capability, CapabilityState, ProbeCost};

/// Runs of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Runs {
    cost: ProbeCost,
    missed: u64,
}

/// Fills in what each capability has cost, where the kernel's BPF statistics are on. Returns how many runs the kernel
/// left out; those of a twin's other half are no loss.
pub fn read_costs<'a>(
    objects: impl Iterator<Item = &'a Object>,
    links: &[Link],
    capabilities: &mut [Capability],
) -> u64 {
    let mut costs: BTreeMap<String, ProbeCost> = BTreeMap::new();
    let mut missed: u64 = links.iter().map(passed_over).sum();
    let loaded = objects.flat_map(Object::progs).filter(libbpf_rs::ProgramImpl::autoload);
    let runs: BTreeMap<String, Runs> = loaded
        .map(|program| (program.name().to_string_lossy().into_owned(), read_runs(program.as_fd().as_raw_fd())))
        .collect();
    let counted = runs.iter().filter(|(name, _)| is_counted(name, |other| runs.contains_key(other)));
    missed += counted.map(|(_, runs)| runs.missed).sum::<u64>();
    for (name, runs) in runs {
        let sum = costs.entry(capability_program(&name).to_owned()).or_default();
        sum.runs += runs.cost.runs;
        sum.ns += runs.cost.ns;
    }
    for (plan, capability) in PLANS.iter().zip(capabilities) {
        let mut sum = ProbeCost::default();
        for cost in plan.programs.iter().filter_map(|name| costs.get(*name)) {
            sum.runs += cost.runs;
            sum.ns += cost.ns;
        }
        let attached = matches!(capability.state, CapabilityState::Attached | CapabilityState::Degraded);
        capability.cost = (attached && sum.runs > 0).then_some(sum);
    }
    missed
}

/// What keeps a return's arguments belongs to it.
fn capability_program(name: &str) -> &str {
    name.strip_suffix("_args").unwrap_or(name)
}

/// Whether runs that were left out of this program are a loss that nothing else counts: where it has a twin, that one
/// ran; and a return that was not seen is counted by the kernel side, which kept its call.
fn is_counted(name: &str, exists: impl Fn(&str) -> bool) -> bool {
    !name.ends_with("_twin") && !exists(&format!("{name}_twin")) && !exists(&format!("{name}_args"))
}

/// A program's figures without a privilege, which its own file descriptor gives.
fn read_runs(fd: RawFd) -> Runs {
    fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).map_or_else(|_| Runs::default(), |text| parse_runs(&text))
}

fn parse_runs(text: &str) -> Runs {
    let field = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    Runs { cost: ProbeCost { runs: field("run_cnt"), ns: field("run_time_ns") }, missed: field("recursion_misses") }
}

/// Hits of a kprobe that came to no run at all, as another kprobe was being handled; known since Linux 6.7. Those of
/// kretprobes are seen by what was kept for them.
fn passed_over(link: &Link) -> u64 {
    match link.info().map(|info| info.info) {
        Ok(LinkTypeInfo::PerfEvent(event)) => match event.event_type {
            PerfEventType::Kprobe { is_retprobe: false, missed, .. } => missed,
            _ => 0,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_figures_are_read_from_what_proc_says() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nprog_jited:\t1\nprog_id:\t12\nrun_time_ns:\t81000\n\
                    run_cnt:\t9\nrecursion_misses:\t2\nverified_insns:\t41\n";
        assert_eq!(parse_runs(text), Runs { cost: ProbeCost { runs: 9, ns: 81000 }, missed: 2 });
        assert_eq!(parse_runs("pos:\t0\n"), Runs::default());
    }

    #[test]
    fn only_what_nothing_else_makes_up_for_is_a_loss() {
        let there = ["skb_free_head", "skb_free_head_twin", "flow_lookup", "flow_lookup_args", "process_packet"];
        let counted: Vec<&str> = there.into_iter().filter(|name| is_counted(name, |n| there.contains(&n))).collect();
        assert_eq!(counted, ["flow_lookup_args", "process_packet"]);
    }
}
