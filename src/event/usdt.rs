//! Events of the daemon's own probes, where it was built with USDT: its receives, its operations, and what its
//! revalidators decide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Nanos, Ufid, UpcallCmd};

/// Probe `dpif_recv:recv_upcall`: the daemon has received an upcall. It is tied to a message (`queue_id`) only where the
/// two are equal to the byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecvUpcall {
    /// Why, as the daemon has it (`enum dpif_upcall_type`).
    pub cmd: UpcallCmd,
    /// Bytes of the packet.
    pub pkt_size: u32,
    /// Bytes of the flow key.
    pub key_size: u32,
    /// The message, as in its [`UpcallEnqueue`](super::UpcallEnqueue); 0 where none is equal to it.
    pub queue_id: u64,
    /// When the handler began the batch that this belongs to; 0 where it belongs to none.
    pub batch_ts: Nanos,
    /// Its place in that batch.
    pub batch_idx: u32,
}

/// What the daemon asks of the datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpType {
    /// `op_flow_put`: to install or change a flow.
    Put,
    /// `op_flow_execute`: to take a packet back and execute actions on it.
    Exec,
    /// `op_flow_del`: to delete a flow.
    Del,
}

impl OpType {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Exec => "exec",
            Self::Del => "del",
        }
    }
}

/// A probe of `dpif_netlink_operate__`: the daemon is about to ask this of the datapath, together with other operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowOperation {
    /// What it asks for.
    pub op_type: OpType,
    /// The flow it names; none for a packet.
    pub ufid: Option<Ufid>,
    /// The message of the upcall it answers, as in its [`UpcallEnqueue`](super::UpcallEnqueue); 0 where it answers none.
    pub queue_id: u64,
    /// When the handler began the batch that this belongs to; 0 where it belongs to none.
    pub batch_ts: Nanos,
    /// Its place in that batch.
    pub batch_idx: u32,
}

/// What a revalidator decided about a flow; `enum reval_result` in ofproto/ofproto-dpif-upcall.c.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevalResult {
    /// 0: it stays as it is.
    Keep,
    /// 1: it goes.
    Delete,
    /// 2: it gets other actions.
    Modify,
    /// Any other number the daemon gave.
    #[serde(untagged)]
    Other(u32),
}

impl From<u32> for RevalResult {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Keep,
            1 => Self::Delete,
            2 => Self::Modify,
            other => Self::Other(other),
        }
    }
}

impl From<RevalResult> for u32 {
    fn from(result: RevalResult) -> Self {
        match result {
            RevalResult::Keep => 0,
            RevalResult::Delete => 1,
            RevalResult::Modify => 2,
            RevalResult::Other(other) => other,
        }
    }
}

macro_rules! del_reasons {
    ($($number:literal $name:ident $words:literal,)*) => {
        /// Why a flow is deleted; `enum flow_del_reason` in ofproto/ofproto-dpif-upcall.c, since OVS 3.4. The numbers
        /// have not changed since; 3.5 added the last.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum DelReason {
            $(#[doc = concat!(stringify!($number), ": ", $words, ".")] $name,)*
            /// Any other number the daemon gave.
            #[serde(untagged)]
            Other(u32),
        }

        impl From<u32> for DelReason {
            fn from(number: u32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl From<DelReason> for u32 {
            fn from(reason: DelReason) -> Self {
                match reason {
                    $(DelReason::$name => $number,)*
                    DelReason::Other(other) => other,
                }
            }
        }

        impl std::fmt::Display for DelReason {
            /// A few words.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$name => f.write_str($words),)*
                    Self::Other(number) => write!(f, "reason {number}"),
                }
            }
        }
    };
}

del_reasons! {
    0 None "no reason given",
    1 AvoidCaching "it must not be cached",
    2 BadOdpFit "the datapath cannot match it exactly",
    3 FlowIdle "idle",
    4 FlowLimit "far too many flows: all are killed",
    5 FlowWildcarded "it needs a narrower mask",
    6 NoOfproto "its bridge or port is gone",
    7 Purge "purged by request",
    8 TooExpensive "too expensive to revalidate",
    9 UpdateFail "its update failed",
    10 XlationError "its translation failed",
    11 FlowMissingDp "missing from the datapath",
}

/// Probe `revalidate:flow_result` or `revalidator_sweep__:flow_sweep_result`: a revalidator looked at a flow and does
/// not keep it as it is. What is asked of the datapath then follows as a [`FlowOperation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowResult {
    /// The flow; none where this build of the daemon lays out its memory in a way that is not known.
    pub ufid: Option<Ufid>,
    /// What becomes of it.
    pub result: RevalResult,
    /// Why, where it is deleted.
    pub reason: DelReason,
    /// Whether it was in the sweep after a dump, which looks at the flows that the dump did not show (on a purge: at all).
    pub sweep: bool,
}

/// One round of the revalidators through all flows: from probe `udpif_revalidator:start_dump` to
/// `udpif_revalidator:sweep_done`. The event's time is when it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revalidation {
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
    /// Flows when it began, as the daemon counted them.
    pub n_flows: u64,
    /// The next round begins at most so many milliseconds after the begin of this one, or as soon as this one is done:
    /// `MIN(max-idle, max-revalidator)`.
    pub interval_ms: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_unknown_ones_are_said_as_numbers() {
        for number in 0..20 {
            assert_eq!(u32::from(DelReason::from(number)), number);
            assert_eq!(u32::from(RevalResult::from(number)), number);
        }
        assert_eq!(DelReason::from(3).to_string(), "idle");
        assert_eq!(DelReason::from(12).to_string(), "reason 12");
        assert_eq!(serde_json::to_string(&DelReason::from(11)).expect("plain data"), r#""flow_missing_dp""#);
        assert_eq!(serde_json::to_string(&DelReason::from(12)).expect("plain data"), "12");
    }
}
