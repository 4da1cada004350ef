//! What the program can see and with which BPF programs, and what a host must have for it.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use crate::event::{Capability, CapabilityState};

/// One capability: some programs that only make sense together.
pub struct Plan {
    /// The name it is shown by: the `type` of its events where it makes some.
    pub name: &'static str,
    /// What it is attached to, for people.
    pub probe: &'static str,
    /// The programs, by their names in bpf/.
    pub programs: &'static [&'static str],
    /// Kernel functions that must be there by name.
    pub functions: &'static [&'static str],
    /// When it is wanted.
    pub wanted: Wanted,
    /// What is lost without it.
    pub without: &'static str,
}

/// When a capability is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Always.
    Always,
    /// While upcalls are followed.
    Follow,
    /// While packets that are not upcalled are recorded.
    Generic,
    /// While daemons are listened to that were built with USDT probes: loaded with the others, attached as daemons are
    /// found (usdt.rs).
    Usdt,
}

/// The capability that all following of packets around OVS rests on.
pub const PACKET_END: &str = "packet_end";

/// The capability that says what the scheduler does with handlers.
pub const HANDLER_SCHED: &str = "handler_sched";

/// Every capability, in the order it is shown and attached: what frees packets comes before what names them, and the
/// way of an upcall from its end to its begin, so that nothing is seen half.
pub const PLANS: &[Plan] = &[
    Plan {
        name: "flow_hit",
        probe: "fentry ovs_flow_stats_update",
        programs: &["flow_hit"],
        functions: &["ovs_flow_stats_update"],
        wanted: Wanted::Always,
        without: "hits are not counted, and packets that are not upcalled are not recorded",
    },
    Plan {
        name: PACKET_END,
        probe: "fentry skb_free_head, fentry+fexit pskb_expand_head",
        programs: &[
            "skb_free_head",
            "skb_free_head_twin",
            "expand_head_entry",
            "expand_head_entry_twin",
            "expand_head_exit",
            "expand_head_exit_twin",
        ],
        functions: &["skb_free_head", "pskb_expand_head"],
        wanted: Wanted::Generic,
        without: "packets cannot be told apart once they leave OVS: the points around it are off too",
    },
    Plan {
        name: "packet_stolen",
        probe: "fentry kfree_skb_partial, napi_skb_free_stolen_head",
        programs: &["skb_partial", "skb_partial_twin", "skb_stolen", "skb_stolen_twin"],
        functions: &["kfree_skb_partial", "napi_skb_free_stolen_head"],
        wanted: Wanted::Generic,
        without: "a packet received by a socket of this host may be taken for the next one in its buffer",
    },
    Plan {
        name: "flow_exec",
        probe: "fentry+fexit ovs_packet_cmd_execute, fentry ovs_flow_key_extract_userspace",
        programs: &["exec_entry", "exec_entry_twin", "exec_exit", "exec_exit_twin", "reinjected", "reinjected_twin"],
        functions: &["ovs_packet_cmd_execute", "ovs_flow_key_extract_userspace"],
        wanted: Wanted::Follow,
        without: "what comes back from the daemon is not tied to what went up",
    },
    Plan {
        name: "flow_put",
        probe: "fentry+fexit ovs_flow_cmd_new, ovs_flow_cmd_set",
        programs: &[
            "flow_new_entry",
            "flow_new_entry_twin",
            "flow_new_exit",
            "flow_new_exit_twin",
            "flow_set_entry",
            "flow_set_entry_twin",
            "flow_set_exit",
            "flow_set_exit_twin",
        ],
        functions: &["ovs_flow_cmd_new", "ovs_flow_cmd_set"],
        wanted: Wanted::Follow,
        without: "new and changed flows are not seen",
    },
    Plan {
        name: "flow_del",
        probe: "fentry+fexit ovs_flow_cmd_del",
        programs: &["flow_del_entry", "flow_del_entry_twin", "flow_del_exit", "flow_del_exit_twin"],
        functions: &["ovs_flow_cmd_del"],
        wanted: Wanted::Follow,
        without: "deleted flows are not seen",
    },
    Plan {
        name: "upcall_recv",
        probe: "fexit skb_recv_datagram",
        programs: &["upcall_recv", "upcall_recv_twin"],
        functions: &["skb_recv_datagram"],
        wanted: Wanted::Follow,
        without: "how long upcalls wait for a handler is not seen, and puts and executes stay untied",
    },
    Plan {
        name: "upcall_enqueue",
        probe: "fentry+fexit queue_userspace_packet, fentry netlink_unicast",
        programs: &["enqueue_entry", "enqueue_message", "enqueue_message_twin", "enqueue_exit"],
        functions: &["queue_userspace_packet", "netlink_unicast"],
        wanted: Wanted::Follow,
        without: "upcalls cannot be followed to their handler",
    },
    Plan {
        name: "upcall_return",
        probe: "fexit ovs_dp_upcall",
        programs: &["upcall_return"],
        functions: &["ovs_dp_upcall"],
        wanted: Wanted::Always,
        without: "upcalls are not counted by port, reason and error",
    },
    Plan {
        name: "upcall",
        probe: "tp_btf openvswitch:ovs_dp_upcall",
        programs: &["upcall"],
        functions: &[],
        wanted: Wanted::Follow,
        without: "no upcall is seen one by one",
    },
    Plan {
        name: "action_execute",
        probe: "tp_btf openvswitch:ovs_do_execute_action",
        programs: &["action_execute"],
        functions: &[],
        wanted: Wanted::Follow,
        without: "what is done to packets is not seen",
    },
    Plan {
        name: "flow_lookup",
        probe: "fentry ovs_flow_tbl_lookup_stats",
        programs: &["flow_lookup"],
        functions: &["ovs_flow_tbl_lookup_stats"],
        wanted: Wanted::Follow,
        without: "the lookups of single packets are not seen",
    },
    Plan {
        name: "drop",
        probe: "tp_btf skb:kfree_skb",
        programs: &["drop", "drop_twin"],
        functions: &[],
        wanted: Wanted::Follow,
        without: "where and why packets are dropped is not seen",
    },
    Plan {
        name: HANDLER_SCHED,
        probe: "tp_btf sched:sched_switch, sched:sched_wakeup",
        programs: &["sched_switch", "sched_wakeup"],
        functions: &[],
        wanted: Wanted::Follow,
        without: "whether handlers sleep, run or wait for a CPU is not seen",
    },
    point("net_dev_xmit", "tp_btf net:net_dev_xmit", &["net_dev_xmit"], &[]),
    point("net_dev_start_xmit", "tp_btf net:net_dev_start_xmit", &["net_dev_start_xmit"], &[]),
    point("netif_rx", "tp_btf net:netif_rx", &["netif_rx"], &[]),
    point("netif_receive_skb", "tp_btf net:netif_receive_skb", &["netif_receive_skb"], &[]),
    point("skb_scrub_packet", "fentry skb_scrub_packet", &["skb_scrub_packet"], &["skb_scrub_packet"]),
    point("net_dev_queue", "tp_btf net:net_dev_queue", &["net_dev_queue"], &[]),
    usdt(
        "usdt_recv",
        "usdt dpif_recv:recv_upcall",
        &["usdt_recv_upcall"],
        "the daemon's own word of what it received is not seen",
    ),
    usdt(
        "usdt_ops",
        "usdt dpif_netlink_operate__:op_flow_put, op_flow_execute, op_flow_del",
        &["usdt_flow_put", "usdt_flow_execute", "usdt_flow_del"],
        "the daemon's own word of what it asks of the datapath is not seen",
    ),
    usdt(
        "usdt_flow_result",
        "usdt revalidate:flow_result, revalidator_sweep__:flow_sweep_result",
        &["usdt_flow_result", "usdt_sweep_result"],
        "why flows are deleted is not seen",
    ),
    usdt(
        "usdt_revalidator",
        "usdt udpif_revalidator:start_dump, sweep_done",
        &["usdt_start_dump", "usdt_sweep_done"],
        "how long revalidators take is not seen",
    ),
];

const fn usdt(
    name: &'static str,
    probe: &'static str,
    programs: &'static [&'static str],
    without: &'static str,
) -> Plan {
    Plan { name, probe, programs, functions: &[], wanted: Wanted::Usdt, without }
}

const fn point(
    name: &'static str,
    probe: &'static str,
    programs: &'static [&'static str],
    functions: &'static [&'static str],
) -> Plan {
    let without = "a point of the packet's way before or after OVS is missing";
    Plan { name, probe, programs, functions, wanted: Wanted::Generic, without }
}

impl Plan {
    /// How it stands, with `why` it is not attached.
    pub fn state(&self, state: CapabilityState, why: String) -> Capability {
        Capability { name: self.name.to_owned(), state, probe: self.probe.to_owned(), why, cost: None }
    }
}

/// Why a wanted capability cannot be, by its name, from what the kernel says of its symbols; none when nothing is known.
pub fn missing_functions(kallsyms: &str) -> BTreeMap<&'static str, String> {
    let wanted: Vec<&str> = PLANS.iter().flat_map(|p| p.functions.iter().copied()).collect();
    let mut there = std::collections::BTreeSet::new();
    let mut split = BTreeMap::new();
    for name in kallsyms.lines().filter_map(|line| line.split_whitespace().nth(2)) {
        if let Some(known) = wanted.iter().find(|w| **w == name) {
            there.insert(*known);
        } else if let Some((base, _)) = name.split_once('.')
            && let Some(known) = wanted.iter().find(|w| **w == base)
        {
            split.insert(*known, name.to_owned());
        }
    }
    if there.is_empty() {
        return BTreeMap::new();
    }
    PLANS
        .iter()
        .filter_map(|plan| {
            let gone = plan.functions.iter().find(|f| !there.contains(*f))?;
            let how = match split.get(gone) {
                Some(other) => format!("the compiler changed it to {other}"),
                None => "this kernel was built without it, or inlined it".to_owned(),
            };
            Some((plan.name, format!("no function {gone} to attach to ({how}): {}", plan.without)))
        })
        .collect()
}

/// Something a host must have before anything can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prerequisite {
    /// To load BPF programs.
    Privilege,
    /// Types of the running kernel.
    KernelBtf,
    /// The openvswitch module.
    Module,
    /// Types of the openvswitch module.
    ModuleBtf,
}

impl Prerequisite {
    /// All, in the order they are looked at.
    pub const ALL: [Self; 4] = [Self::Privilege, Self::KernelBtf, Self::Module, Self::ModuleBtf];

    /// What it is, for a list.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privilege => "allowed to load BPF programs",
            Self::KernelBtf => "the kernel describes its types",
            Self::Module => "the openvswitch module is loaded",
            Self::ModuleBtf => "the openvswitch module describes its types",
        }
    }
}

/// It is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: Prerequisite,
    /// How it stands, in a clause.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, self.remedy())
    }
}

impl std::error::Error for Missing {}

impl Missing {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self.what {
            Prerequisite::Privilege => "run it as root: sudo ovscope",
            Prerequisite::KernelBtf => {
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian 11, Ubuntu 20.10, RHEL 8.2 and later have it)"
            }
            Prerequisite::Module => {
                "load it (modprobe openvswitch) or start Open vSwitch; to see what ovscope shows without one: ovscope demo"
            }
            Prerequisite::ModuleBtf => {
                "use a kernel built with CONFIG_DEBUG_INFO_BTF_MODULES=y, and the openvswitch module that came with it"
            }
        }
    }
}

/// By its bit, `include/uapi/linux/capability.h`. `CAP_BPF` and `CAP_PERFMON` do not suffice: the types of the openvswitch
/// module are asked for by their id.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Looks at each prerequisite: what is missing, all of it.
pub fn look_all() -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut miss = |what, why: String| missing.push(Missing { what, why });
    let effective = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| s.lines().find_map(|l| l.strip_prefix("CapEff:").map(str::trim).map(str::to_owned)))
        .and_then(|hex| u64::from_str_radix(&hex, 16).ok())
        .unwrap_or(0);
    if effective & CAP_SYS_ADMIN == 0 {
        miss(Prerequisite::Privilege, "not allowed to load BPF programs".to_owned());
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        miss(
            Prerequisite::KernelBtf,
            "this kernel does not describe its types (no /sys/kernel/btf/vmlinux)".to_owned(),
        );
    }
    if !Path::new("/sys/module/openvswitch").exists() {
        miss(
            Prerequisite::Module,
            "there is no openvswitch kernel datapath here (the module is not loaded)".to_owned(),
        );
    } else if !Path::new("/sys/kernel/btf/openvswitch").exists() {
        miss(
            Prerequisite::ModuleBtf,
            "the openvswitch module does not describe its types (no /sys/kernel/btf/openvswitch)".to_owned(),
        );
    }
    missing
}

/// Whether the probes can start at all: the first thing that is missing.
pub fn look() -> Result<(), Missing> {
    look_all().into_iter().next().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_the_compiler_changed_is_named_with_its_new_name() {
        let all: Vec<&str> = PLANS.iter().flat_map(|p| p.functions.iter().copied()).collect();
        let others: Vec<&str> = all.into_iter().filter(|f| *f != "skb_free_head").collect();
        let symbols =
            format!("0 t {}\t[openvswitch]\n0 t skb_free_head.isra.0\n", others.join("\t[openvswitch]\n0 t "));
        let missing = missing_functions(&symbols);
        assert_eq!(missing.keys().copied().collect::<Vec<_>>(), [PACKET_END]);
        assert!(missing["packet_end"].contains("skb_free_head.isra.0"), "{missing:?}");
    }

    #[test]
    fn unreadable_symbols_say_nothing() {
        assert!(missing_functions("").is_empty());
    }

    #[test]
    fn every_program_belongs_to_one_capability() {
        let mut programs: Vec<&str> = PLANS.iter().flat_map(|p| p.programs.iter().copied()).collect();
        programs.sort_unstable();
        let count = programs.len();
        programs.dedup();
        assert_eq!(programs.len(), count);
    }
}
