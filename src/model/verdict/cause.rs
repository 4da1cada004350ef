//! What can be wrong, by name.

use std::fmt;

macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident $name:literal,)*) => {
        /// What can be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $($(#[$doc])* $cause,)*
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$cause),*];

            /// Its name, as `--trigger verdict=NAME` takes it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$cause => $name,)*
                }
            }
        }
    };
}

causes! {
    /// Nobody listens: the daemon is gone, and every upcall fails.
    DaemonGone "daemon-gone",
    /// The daemon is there and does nothing.
    DaemonStalled "daemon-stalled",
    /// All flows were killed: there were twice as many as there may be.
    EmergencyKill "emergency-kill",
    /// There are as many flows as there may be.
    FlowLimit "flow-limit",
    /// Flows cannot be put.
    PutFailures "put-failures",
    /// A handler's socket is full.
    NetlinkOverflow "netlink-overflow",
    /// Packets are too big for a message, or for the way they have to take.
    TooBig "too-big",
    /// Packets come in fragments, and what was put together of them goes up, or does not fit where it has to leave.
    Fragments "fragments",
    /// Handlers do not get a CPU.
    HandlerStarved "handler-starved",
    /// One handler has all the work, and the others none.
    HandlerImbalance "handler-imbalance",
    /// The revalidators take too long, and the flow limit shrinks for it.
    SlowRevalidator "slow-revalidator",
    /// Nearly every packet has another value in a field that flows must match.
    FieldExplosion "field-explosion",
    /// Each connection makes flows of its own, as it is new to connection tracking.
    ShortConnections "short-connections",
    /// Packets to everybody, ARP mostly.
    BroadcastFlood "broadcast-flood",
    /// A MAC address moves from port to port.
    MacFlapping "mac-flapping",
    /// An OpenFlow rule sends packets to a controller.
    ControllerPunts "controller-punts",
    /// The daemon handles every packet of some flows itself.
    SlowPath "slow-path",
    /// Samples for sFlow or IPFIX.
    Sampling "sampling",
    /// Packets from a tunnel or port that no bridge knows.
    UnknownPort "unknown-port",
    /// OpenFlow rules are changed all the time.
    OpenflowChurn "openflow-churn",
    /// The same flows are deleted and put again.
    FlappingFlows "flapping-flows",
    /// Many masks have to be tried for each packet.
    TupleSpace "tuple-space",
    /// Many upcalls, and none of the others.
    Unknown "unknown",
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
