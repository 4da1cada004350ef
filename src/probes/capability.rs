//! What the program can see and with which BPF programs.

use std::collections::BTreeMap;

use super::ladder::Rung;
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
    Plan {
        name: "datapath_end",
        probe: "fentry destroy_dp_rcu",
        programs: &["datapath_end"],
        functions: &["destroy_dp_rcu"],
        wanted: Wanted::Always,
        without: "a datapath that is made anew in the place of a deleted one may be taken for it",
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
    /// The kernel's name of its tracepoint, where it is on one; of the first, where it is on some.
    pub fn tracepoint(&self) -> Option<&'static str> {
        let (_, names) = self.probe.strip_prefix("tp_btf ")?.split_once(':')?;
        names.split(',').next()
    }

    /// How it stands, with `why` it is not attached as it should be.
    pub fn state(&self, state: CapabilityState, rung: Rung, why: String) -> Capability {
        Capability { name: self.name.to_owned(), state, probe: self.probe_on(rung), why, cost: None }
    }

    /// What it is attached to on a rung.
    pub fn probe_on(&self, rung: Rung) -> String {
        match rung {
            Rung::Fentry => self.probe.to_owned(),
            // Readers that wait would hold a kretprobe's few places.
            Rung::Kprobe if self.name == "upcall_recv" => "raw_tp skb:skb_copy_datagram_iovec".to_owned(),
            Rung::Kprobe => {
                let words = [("fentry", "kprobe"), ("fexit", "kprobe+kretprobe"), ("tp_btf", "raw_tp")];
                let lower = words.iter().fold(self.probe.to_owned(), |text, (from, to)| text.replace(from, to));
                lower.replace("kprobe+kprobe+kretprobe", "kprobe+kretprobe")
            }
        }
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
