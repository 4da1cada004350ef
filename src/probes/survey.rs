//! Foresees on which rung each capability will stand, from what the kernel says of itself: nothing is attached, and no
//! privilege is needed.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    capability::{PLANS, Plan, Wanted, missing_functions},
    ladder::{Attach, Ladder, Rung},
};
use crate::event::Capability;

/// Where kernels whose perf events know kprobes say so.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe";
/// What kernels that can attach fentry programs have: BPF trampolines.
const TRAMPOLINE: &str = "bpf_trampoline_link_prog";

/// What a kernel says of itself.
struct Kernel {
    /// /proc/kallsyms.
    symbols: String,
    /// The types of the kernel and of the openvswitch module, as they are.
    types: Vec<u8>,
    kprobes: bool,
}

/// How every capability would stand.
pub fn survey() -> Vec<Capability> {
    let types = ["vmlinux", "openvswitch"].iter().flat_map(|name| fs::read(format!("/sys/kernel/btf/{name}")));
    foresee(&Kernel {
        symbols: fs::read_to_string("/proc/kallsyms").unwrap_or_default(),
        types: types.flatten().collect(),
        kprobes: Path::new(KPROBES).exists(),
    })
}

fn foresee(kernel: &Kernel) -> Vec<Capability> {
    let names: BTreeSet<&str> = kernel.symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let described = described(&kernel.types);
    let mut ladder = Ladder::new(Attach::Auto);
    ladder.take_off(|| missing_functions(&kernel.symbols));
    for plan in PLANS {
        if let Some(why) = why_not_fentry(plan, &names, &described) {
            ladder.fall(plan, Rung::Fentry, why);
        }
        if let Some(why) = why_not_kprobe(plan, &names, kernel.kprobes) {
            ladder.fall(plan, Rung::Kprobe, why);
        }
    }
    PLANS.iter().map(|plan| ladder.capability(plan)).collect()
}

/// Every name in the types: their strings are as they are in C, each with a zero at its end.
fn described(types: &[u8]) -> BTreeSet<&[u8]> {
    types.split(|byte| *byte == 0).collect()
}

fn why_not_fentry(plan: &Plan, names: &BTreeSet<&str>, described: &BTreeSet<&[u8]>) -> Option<String> {
    if let Some(tracepoint) = plan.tracepoint() {
        let known = described.contains(format!("btf_trace_{tracepoint}").as_bytes());
        return (!known).then(|| format!("the kernel's types do not describe the tracepoint {tracepoint}"));
    }
    // A probe in a program of user space needs nothing of this.
    if plan.wanted == Wanted::Usdt {
        return None;
    }
    if !names.is_empty() && !names.contains(TRAMPOLINE) {
        return Some("this kernel has no BPF trampolines".to_owned());
    }
    let unknown = plan.functions.iter().find(|function| !described.contains(function.as_bytes()))?;
    Some(format!("the kernel's types do not describe {unknown}"))
}

fn why_not_kprobe(plan: &Plan, names: &BTreeSet<&str>, kprobes: bool) -> Option<String> {
    if let Some(tracepoint) = plan.tracepoint() {
        let there = names.is_empty() || names.contains(format!("__tracepoint_{tracepoint}").as_str());
        return (!there).then(|| format!("this kernel has no tracepoint {tracepoint}"));
    }
    (!kprobes).then(|| "this kernel has no kprobes (CONFIG_KPROBE_EVENTS)".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::event::CapabilityState;

    /// A kernel that has everything, but what `but` finds in a name.
    fn kernel(but: impl Fn(&str) -> bool, kprobes: bool) -> Kernel {
        let mut symbols = format!("0 T {TRAMPOLINE}\n");
        let mut types = vec![0];
        for plan in PLANS {
            for function in plan.functions {
                let _ = writeln!(symbols, "0 t {function}\t[openvswitch]");
                if !but(function) {
                    types.extend(function.bytes().chain([0]));
                }
            }
            if let Some(name) = plan.tracepoint() {
                let _ = writeln!(symbols, "0 D __tracepoint_{name}");
                if !but(name) {
                    types.extend(format!("btf_trace_{name}\0").bytes());
                }
            }
        }
        Kernel { symbols, types, kprobes }
    }

    #[test]
    fn a_kernel_that_has_everything_lets_everything_stand_on_the_upper_rung() {
        let all = foresee(&kernel(|_| false, true));
        assert!(all.iter().all(|c| c.state == CapabilityState::Attached), "{all:?}");
    }

    #[test]
    fn what_is_not_described_is_foreseen_on_the_lower_rung() {
        let all = foresee(&kernel(|name| ["ovs_dp_upcall", "destroy_dp_rcu"].contains(&name), true));
        let lower: Vec<&str> =
            all.iter().filter(|c| c.state == CapabilityState::Degraded).map(|c| c.name.as_str()).collect();
        assert_eq!(lower, ["upcall_return", "upcall", "datapath_end"]);
        let none = foresee(&kernel(|name| name == "destroy_dp_rcu", false));
        let end = none.iter().find(|c| c.name == "datapath_end").expect("it is planned");
        assert_eq!(end.state, CapabilityState::Missing);
        assert!(end.why.contains("no kprobes"), "{}", end.why);
    }

    #[test]
    fn without_trampolines_only_tracepoints_are_on_the_upper_rung() {
        let mut host = kernel(|_| false, true);
        host.symbols = host.symbols.replace(TRAMPOLINE, "something");
        for (plan, capability) in PLANS.iter().zip(foresee(&host)) {
            let lower = capability.state == CapabilityState::Degraded;
            let on_function = plan.tracepoint().is_none() && plan.wanted != Wanted::Usdt;
            assert_eq!(lower, on_function, "{capability:?}");
        }
    }
}
