//! How figures are written, and what to try for each cause.

use super::Cause;

/// A part of a whole, 0 to 1; 0 of nothing.
pub fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// `97 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `4912 upcalls/s`, `0.3/s`.
pub fn each(per_second: f64, what: &str) -> String {
    let space = if what.is_empty() { "" } else { " " };
    if per_second >= 10.0 {
        format!("{per_second:.0}{space}{what}/s")
    } else {
        format!("{per_second:.1}{space}{what}/s")
    }
}

/// `1.2 ms`.
pub fn time(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        1e9.. => format!("{:.1} s", ns / 1e9),
        1e6.. => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.0} µs", ns / 1e3),
    }
}

/// What to try, in the order of trying.
pub fn tries(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::DaemonGone => &[
            "start ovs-vswitchd again: systemctl restart openvswitch-switch",
            "look at its log for why it ended: /var/log/openvswitch/ovs-vswitchd.log",
        ],
        Cause::DaemonStalled => &[
            "see whether it is stopped (state T) or stuck: ps -o stat,wchan -C ovs-vswitchd",
            "continue a stopped one with kill -CONT; take a stack of a stuck one with gdb before restarting it",
        ],
        Cause::EmergencyKill | Cause::FlowLimit => &[
            "make fewer flows first: find the rule that makes them in the Flows view (detrace)",
            "then allow for more: ovs-vsctl set Open_vSwitch . other_config:flow-limit=N",
        ],
        Cause::PutFailures => &[
            "look up the errno in the Upcalls view, and the daemon's log for the flow it refuses",
            "compare the versions of the kernel module and of ovs-vswitchd",
        ],
        Cause::NetlinkOverflow => &[
            "stop the source that is named, or police it: ovs-vsctl set interface NAME ingress_policing_rate=N",
            "give the handlers CPUs; per-CPU dispatch (Linux 5.15, OVS 2.16) gives each a socket",
        ],
        Cause::TooBig => &["lower the sender's MTU or segmentation offload to what the datapath's ports carry"],
        Cause::HandlerStarved => &[
            "see what else runs on the CPUs, and the CPU limits of the daemon's cgroup: systemctl show -p CPUQuota",
            "give ovs-vswitchd CPUs of its own, or a higher weight",
        ],
        Cause::HandlerImbalance => &[
            "spread the packets over CPUs: RSS (ethtool -x, -X) or RPS (/sys/class/net/PORT/queues/rx-*/rps_cpus)",
            "ovs-appctl dpif-netlink/dispatch-mode: per-CPU dispatch gives each CPU a handler (Linux 5.15, OVS 2.16)",
        ],
        Cause::SlowRevalidator => &[
            "make fewer flows: the Flows view shows which rule makes them",
            "give the revalidators CPUs: other_config:n-revalidator-threads",
        ],
        Cause::FieldExplosion => &[
            "let the rule that is named match less, or stop it copying the field into a register",
            "balance with dp_hash groups instead of hashing in the flow",
        ],
        Cause::ShortConnections => &[
            "match on ct_state and zone alone where connections are known, not on addresses and ports",
            "limit the source: ovs-appctl dpctl/ct-set-limits",
        ],
        Cause::BroadcastFlood => &[
            "find the sender behind the port that is named, and a loop in the network",
            "answer ARP in the bridge or by the controller; drop or police broadcasts at the port",
        ],
        Cause::MacFlapping => &[
            "look for a loop or for two machines with one address: ovs-appctl fdb/show BRIDGE",
            "ovs-appctl fdb/stats-show BRIDGE says how often addresses move",
        ],
        Cause::ControllerPunts => &[
            "find the rule: ovs-ofctl dump-flows BRIDGE cookie=COOKIE/-1",
            "put a meter before the controller action, or let the controller install flows",
        ],
        Cause::SlowPath => &[
            "BFD, CFM, LACP and STP: longer intervals, or fewer sessions on this host",
            "an action the kernel does not know: ovs-appctl dpif/show-dp-features BRIDGE",
        ],
        Cause::Sampling => &["sample less: ovs-vsctl set sflow . sampling=N, or the probability of the sample action"],
        Cause::UnknownPort => &[
            "add the tunnel to a bridge, or stop the sender",
            "ovs-appctl tnl/ports/show and the daemon's log name what is not associated",
        ],
        Cause::OpenflowChurn => &["find who changes rules: ovs-ofctl monitor BRIDGE, the controller's log"],
        Cause::FlappingFlows => &["the reasons of the deletions in the Flows view say why they go"],
        Cause::TupleSpace => &[
            "use fewer shapes of matches in the OpenFlow tables: each is a mask that is tried",
            "ovs-appctl dpctl/dump-flows -m | shows the masks; the mask cache: dpctl/cache-set-size",
        ],
        Cause::Unknown => &["the Upcalls view by port, reason and errno; record it (R) for a second look"],
    }
}
