//! The vocabulary: every event that ovscope knows, as plain typed data, with its JSON form. Depends on no other module.
//!
//! Data has one road: a source (ring buffer, file, stream) makes [`Event`]s, the model applies them, the screen draws
//! the model, and the recorder taps the same stream. So whatever any of them needs to know is an event: the kernel's
//! counters, the names of ports, the state of the probes, losses and the daemon's answers, too. Where many packets go the
//! same way, a source may give a packet's events together as one [`Run`], which stands for exactly those events.

mod action;
mod context;
mod drop;
mod figures;
mod flow_match;
mod ids;
mod mac;
mod names;
mod netlink;
mod path;
mod run;
mod schema;
mod stage;
mod usdt;

pub use action::{
    Action, ActionError, ActionExecute, AddMpls, Attribute, CheckPktLen, Cookie, Ct, Family, Labels, Mark, MplsLse,
    Nat, NatDir, Nested, Nsh, Psample, PushEth, Sample, SetKey, Tunnel, Userspace, Why, decode_action,
};
pub use context::{
    Bookmark, Capability, CapabilityState, Clock, Counters, DaemonAnswer, DaemonState, DaemonTrace, Datapath,
    DpCounters, DpStats, ErrnoCounter, FlowCounter, Loss, NO_RULES_YET, Port, ProbeCost, Query, Session, UpcallCounter,
    task_name,
};
pub use drop::{Drop, DropCounter, HandlerSched};
pub use figures::{DaemonFigures, UdpifFigures};
pub use flow_match::{Field, FieldMatch, FlowMatch, Form, written};
pub use ids::{Comm, DpIfindex, FlowPtr, Name, PacketId, PortNo, Ufid, UpcallId};
pub use mac::{MacAddr, MacAddrError};
pub use names::{drop_reason_name, errno_meaning, errno_name};
pub use path::{
    DevPoint, DevStep, FlowLookup, FlowOp, FlowPut, FlowShape, PacketBytes, PacketExec, PutKind, Upcall, UpcallCmd,
    UpcallEnqueue, UpcallRecv, UpcallReturn,
};
pub use run::{Afters, Route, Run, Step, Told};
pub use schema::schema;
pub use stage::{STAGE_BUCKETS, Stage, StageCounter, bucket_bounds, bucket_of};
pub use usdt::{DelReason, FlowOperation, FlowResult, OpType, RecvUpcall, RevalResult, Revalidation};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nanoseconds of the traced host's `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`).
pub type Nanos = u64;

/// One thing that happened, where, when and in whose context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, on the traced host's monotonic clock.
    pub ts: Nanos,
    /// The CPU it happened on.
    pub cpu: u32,
    /// Thread id of the task that ran; 0 on an idle CPU (softirq), and for events that do not come from the kernel.
    pub tid: u32,
    /// Its process (thread group) id.
    pub pid: u32,
    /// Its name.
    pub comm: Comm,
    /// The packet it belongs to: one identity through clones, the upcall and the re-injection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packet: Option<PacketId>,
    /// The upcall it belongs to, from the upcall itself to the actions on the re-injected packet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub upcall: Option<UpcallId>,
    /// What happened. In JSON its fields stand beside the others, with `type` as its name.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened. `type` in JSON is the variant in `snake_case`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// The datapath looked a packet up in its flow table.
    FlowLookup(FlowLookup),
    /// The datapath decided to send a packet to userspace.
    Upcall(Upcall),
    /// A packet, or one GSO segment of it, was queued on a handler's netlink socket, or could not be.
    UpcallEnqueue(UpcallEnqueue),
    /// The datapath has finished sending a packet to userspace.
    UpcallReturn(UpcallReturn),
    /// A handler thread received a message of an upcall from its socket.
    UpcallRecv(UpcallRecv),
    /// A flow was installed or changed.
    FlowPut(FlowPut),
    /// What a newly installed flow matches.
    FlowShape(Box<FlowShape>),
    /// Userspace gave a packet back to the datapath with actions.
    FlowExec(PacketExec),
    /// A flow was deleted.
    FlowDel(FlowOp),
    /// The datapath executed one action on a packet.
    ActionExecute(ActionExecute),
    /// The kernel dropped a packet, or a clone of it.
    Drop(Drop),
    /// The first bytes of a packet, once for each packet.
    PacketBytes(PacketBytes),

    /// The daemon's own probe: it received an upcall.
    RecvUpcall(RecvUpcall),
    /// The daemon's own probe: it is about to ask something of the datapath.
    FlowOperation(FlowOperation),
    /// The daemon's own probe: what a revalidator decided about a flow, and why.
    FlowResult(FlowResult),
    /// The daemon's own probe: a revalidator went through all flows.
    Revalidation(Revalidation),

    /// The kernel's exact counters so far, a few times a second.
    Counters(Box<Counters>),
    /// What was left out or lost so far, by reason.
    Loss(Loss),
    /// The traced host and the program: the first event of a session, repeated when it changes.
    Session(Box<Session>),
    /// The datapaths and their ports, at the start and when they change.
    Datapaths {
        /// All that there are now.
        datapaths: Vec<Datapath>,
    },
    /// What is attached and how, at the start and when it changes.
    Probes {
        /// Every capability, in the order in which they are shown.
        capabilities: Vec<Capability>,
    },
    /// Whether the daemon is there and answers.
    Daemon(DaemonState),
    /// The daemon's own counters, every few seconds.
    DaemonFigures(Box<DaemonFigures>),
    /// What the daemon answered about a flow.
    DaemonAnswer(Box<DaemonAnswer>),
    /// What the daemon answered about a packet's way through its OpenFlow rules.
    DaemonTrace(Box<DaemonTrace>),
    /// Somebody marked a moment.
    Mark(Bookmark),

    /// A packet passed a generic point of the network stack, before or after OVS; `type` is the point's name.
    #[serde(untagged)]
    Dev(DevStep),
}

impl Body {
    /// Whether it says how something is, not that something happened: what a recording opens with.
    pub fn is_state(&self) -> bool {
        matches!(
            self,
            Self::Session(_)
                | Self::Datapaths { .. }
                | Self::Probes { .. }
                | Self::Daemon(_)
                | Self::DaemonFigures(_)
                | Self::DaemonAnswer(_)
                | Self::DaemonTrace(_)
                | Self::Mark(_)
        )
    }
}

impl Event {
    /// An event that does not come from a task or a packet, such as a counter or a state.
    pub fn host(ts: Nanos, body: Body) -> Self {
        Self { ts, cpu: 0, tid: 0, pid: 0, comm: Comm::default(), packet: None, upcall: None, body }
    }

    /// The event's `type`, as in JSON and in the kernel's words.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Dev(step) => step.point.name(),
            Body::FlowLookup(_) => "flow_lookup",
            Body::Upcall(_) => "upcall",
            Body::UpcallEnqueue(_) => "upcall_enqueue",
            Body::UpcallReturn(_) => "upcall_return",
            Body::UpcallRecv(_) => "upcall_recv",
            Body::FlowPut(_) => "flow_put",
            Body::FlowShape(_) => "flow_shape",
            Body::FlowExec(_) => "flow_exec",
            Body::FlowDel(_) => "flow_del",
            Body::ActionExecute(_) => "action_execute",
            Body::Drop(_) => "drop",
            Body::PacketBytes(_) => "packet_bytes",
            Body::RecvUpcall(_) => "recv_upcall",
            Body::FlowOperation(_) => "flow_operation",
            Body::FlowResult(_) => "flow_result",
            Body::Revalidation(_) => "revalidation",
            Body::Counters(_) => "counters",
            Body::Loss(_) => "loss",
            Body::Session(_) => "session",
            Body::Datapaths { .. } => "datapaths",
            Body::Probes { .. } => "probes",
            Body::Daemon(_) => "daemon",
            Body::DaemonFigures(_) => "daemon_figures",
            Body::DaemonAnswer(_) => "daemon_answer",
            Body::DaemonTrace(_) => "daemon_trace",
            Body::Mark(_) => "mark",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_two(body: Body) -> Event {
        Event { packet: Some(PacketId(7)), ..Event::host(2, body) }
    }

    #[test]
    fn a_generic_point_is_the_type_of_its_event() {
        let step = DevStep { point: DevPoint::NetifRx, dev: Name::new("p1_l"), ifindex: 3, netns: 9, len: 98, ret: 0 };
        let event = at_two(Body::Dev(step));
        let json = serde_json::to_value(&event).expect("plain data");
        assert_eq!(json["type"], event.kind());
        assert_eq!(json["dev"], "p1_l");
        assert_eq!(serde_json::from_value::<Event>(json).expect("its own form"), event);
    }

    #[test]
    fn the_json_type_of_every_kind_is_its_name() {
        let bodies = [
            Body::ActionExecute(ActionExecute {
                dp: DpIfindex(4),
                in_port: PortNo(1),
                recirc_id: 0,
                queue_id: 0,
                action: Action::Output { port: 2 },
            }),
            Body::Drop(Drop {
                reason: 0x3_0005,
                name: "OVS_DROP_METER".to_owned(),
                location: "do_execute_actions+0x3a [openvswitch]".to_owned(),
            }),
            Body::Counters(Box::default()),
            Body::Loss(Loss::default()),
            Body::RecvUpcall(RecvUpcall {
                cmd: UpcallCmd::Miss,
                pkt_size: 60,
                key_size: 132,
                queue_id: 7,
                batch_ts: 1,
                batch_idx: 2,
            }),
            Body::FlowOperation(FlowOperation {
                op_type: OpType::Exec,
                ufid: None,
                queue_id: 7,
                batch_ts: 1,
                batch_idx: 2,
            }),
            Body::FlowResult(FlowResult {
                ufid: Some(Ufid([1, 2, 3, 4])),
                result: RevalResult::Delete,
                reason: DelReason::FlowIdle,
                sweep: false,
            }),
            Body::FlowResult(FlowResult {
                ufid: None,
                result: RevalResult::Other(3),
                reason: DelReason::Other(99),
                sweep: true,
            }),
            Body::Revalidation(Revalidation { took_ns: 5, n_flows: 3, interval_ms: 500 }),
            Body::Session(Box::default()),
            Body::Datapaths { datapaths: vec![Datapath::default()] },
            Body::Probes { capabilities: vec![] },
            Body::Daemon(DaemonState::Down { why: "no socket".to_owned() }),
            Body::Daemon(DaemonState::Up { pid: 9, version: "3.5.0".to_owned(), round_trip_ns: 1, missing: vec![] }),
            Body::ActionExecute(ActionExecute {
                dp: DpIfindex(4),
                in_port: PortNo(1),
                recirc_id: 0,
                queue_id: 0,
                action: Action::Userspace(Box::new(Userspace { pid: Some(3), ..Userspace::default() })),
            }),
        ];
        for body in bodies {
            let event = at_two(body);
            let json = serde_json::to_value(&event).expect("plain data");
            assert_eq!(json["type"], event.kind());
            // As text, where a name that stands twice is an error.
            let text = serde_json::to_string(&event).expect("plain data");
            assert_eq!(serde_json::from_str::<Event>(&text).expect("its own form"), event);
        }
    }
}
