//! What can be done about each cause, and where it is written about.

use super::Cause;

/// What to try, in the order of trying.
pub fn tries(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::DaemonGone => &[
            "start ovs-vswitchd again: systemctl restart openvswitch-switch",
            "look at its log for why it ended: /var/log/openvswitch/ovs-vswitchd.log",
            "a datapath that was made by hand has no daemon: put its ports on a bridge, or delete it (ovs-dpctl del-dp NAME)",
        ],
        Cause::DaemonStalled => &[
            "see whether it is stopped (state T) or stuck: ps -o stat,wchan -C ovs-vswitchd",
            "continue a stopped one with kill -CONT; take a stack of a stuck one with gdb before restarting it",
        ],
        Cause::EmergencyKill | Cause::FlowLimit => &[
            "make fewer flows first: Flows, Enter shows the rule that makes them",
            "then allow for more: ovs-vsctl set Open_vSwitch . other_config:flow-limit=N",
        ],
        Cause::PutFailures => &[
            "look up the errno in Upcalls, and the refused flow in the daemon's log",
            "compare the versions of the kernel module and of ovs-vswitchd",
        ],
        Cause::NetlinkOverflow => &[
            "stop the source that is named, or police it: ovs-vsctl set interface NAME ingress_policing_rate=N",
            "give the handlers CPUs; per-CPU dispatch (Linux 5.15, OVS 2.16) gives each a socket",
        ],
        Cause::TooBig => &["lower the sender's MTU or segmentation offload to what the datapath's ports carry"],
        Cause::Fragments => &[
            "lower the senders' MTU so that nothing is fragmented: a tunnel takes 50 bytes or more of it",
            "give the port that they leave by the MTU of the one they come in by: ovs-vsctl set interface NAME mtu_request=N",
        ],
        Cause::HandlerStarved => &[
            "see what else runs on its CPUs, and its limit: systemctl show -p CPUQuotaPerSecUSec ovs-vswitchd",
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
            "let that rule match less, or not copy the field into a register",
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
        Cause::Sampling => {
            &["sample less: ovs-vsctl set sflow BRIDGE sampling=N, or the probability of the sample action"]
        }
        Cause::UnknownPort => &[
            "add the tunnel to a bridge, or stop the sender",
            "ovs-appctl tnl/ports/show and the daemon's log name what is not associated",
        ],
        Cause::OpenflowChurn => &["find who changes rules: ovs-ofctl monitor BRIDGE watch:, the controller's log"],
        Cause::FlappingFlows => &["the reasons of the deletions in the Flows view say why they go"],
        Cause::TupleSpace => &[
            "use fewer kinds of matches in the OpenFlow tables: each is a mask to try",
            "ovs-appctl dpctl/dump-flows -m shows the masks; for the mask cache there is dpctl/cache-set-size",
        ],
        Cause::Unknown => &["the Upcalls view by port, reason and errno; record it (R) for a second look"],
    }
}

/// What to read about it: manual pages, and chapters of <https://docs.openvswitch.org/en/latest/>.
pub fn reads(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::DaemonGone => &["ovs-ctl(8): how the daemons are started, and started again when they end"],
        Cause::DaemonStalled => {
            &["ovs-vswitchd(8): RUNTIME MANAGEMENT COMMANDS", "ovs-appctl(8): vlog, to see what it does"]
        }
        Cause::EmergencyKill | Cause::FlowLimit => &[
            "ovs-vswitchd.conf.db(5): Open_vSwitch other_config:flow-limit, max-idle",
            "faq/design: the kinds of flows that there are",
        ],
        Cause::PutFailures => &["topics/datapath: how flow keys of different versions fit each other", "faq/releases"],
        Cause::NetlinkOverflow => &[
            "ovs-vswitchd.conf.db(5): Interface ingress_policing_rate",
            "faq/design: how many packets Open vSwitch buffers",
        ],
        Cause::TooBig => {
            &["ovs-vswitchd.conf.db(5): Interface mtu_request", "faq/issues: the MTU of a bridge's own interface"]
        }
        Cause::Fragments => &["ovs-actions(7): ct, what it does with fragments", "ovs-fields(7): ip_frag"],
        Cause::HandlerStarved => &["systemd.resource-control(5): CPUQuota, CPUWeight, AllowedCPUs", "cgroups(7)"],
        Cause::HandlerImbalance => &[
            "Linux, Documentation/networking/scaling.rst: RSS and RPS",
            "ovs-vswitchd.conf.db(5): Open_vSwitch other_config:n-handler-threads",
        ],
        Cause::SlowRevalidator => &[
            "ovs-vswitchd.conf.db(5): Open_vSwitch other_config:n-revalidator-threads, max-revalidator, min-revalidate-pps",
        ],
        Cause::FieldExplosion => {
            &["ovs-actions(7): which fields an action reads", "faq/openflow: how a select group divides packets"]
        }
        Cause::ShortConnections => &["tutorials/ovs-conntrack", "ovs-fields(7): CONNECTION TRACKING FIELDS"],
        Cause::BroadcastFlood => &["faq/issues: two Ethernet ports of one network in a bridge"],
        Cause::MacFlapping => &[
            "ovs-vswitchd(8): fdb/show, fdb/stats-show",
            "ovs-vswitchd.conf.db(5): Bridge other_config:mac-table-size, mac-aging-time",
        ],
        Cause::ControllerPunts => {
            &["ovs-actions(7): controller, meter", "ovs-vswitchd.conf.db(5): Controller controller_rate_limit"]
        }
        Cause::SlowPath => &[
            "ovs-vswitchd.conf.db(5): Interface bfd:min_tx, cfm_interval, other_config:lacp-time",
            "ovs-vswitchd(8): bfd/show, cfm/show, lacp/show",
        ],
        Cause::Sampling => &["howto/sflow", "ovs-vswitchd.conf.db(5): sFlow, IPFIX", "ovs-actions(7): sample"],
        Cause::UnknownPort => &["howto/tunneling", "ovs-vswitchd.conf.db(5): Interface options:remote_ip, options:key"],
        Cause::OpenflowChurn => &["ovs-ofctl(8): monitor, dump-flows"],
        Cause::FlappingFlows => {
            &["topics/usdt-probes: revalidate:flow_result and its reasons", "ovs-vswitchd.conf.db(5): max-idle"]
        }
        Cause::TupleSpace => &["ovs-dpctl(8): DATAPATH FLOW CACHE COMMANDS", "topics/datapath: wildcarded flows"],
        Cause::Unknown => &["topics/tracing", "faq/issues"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_says_what_to_try_and_what_to_read() {
        for cause in Cause::ALL {
            let (tries, reads) = (tries(*cause), reads(*cause));
            assert!(!tries.is_empty() && !reads.is_empty(), "{cause}");
            assert!(tries.iter().chain(reads).all(|words| (6..140).contains(&words.len())), "{cause}");
        }
    }
}
