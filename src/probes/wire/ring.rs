//! What comes through the ring buffer, as in bpf/events.h.

use bytemuck::{Pod, Zeroable};

pub const NAME_LEN: usize = 16;
pub const SNAPLEN_MAX: usize = 256;
pub const ACTION_ARGS_MAX: usize = 96;
pub const ACTION_LONG_MAX: usize = 512;
pub const FLOW_KEY_MAX: usize = 384;
pub const USERDATA_MAX: usize = 64;
pub const LABELS_LEN: usize = 16;
pub const HELPER_LEN: usize = 16;
pub const TIMEOUT_LEN: usize = 32;

pub const STEPS_SHORT: usize = 10;
pub const STEPS_MAX: usize = 20;

pub const WIRE_TRACE: u32 = 1;
pub const WIRE_UPCALL: u32 = 3;
pub const WIRE_UPCALL_ENQUEUE: u32 = 4;
pub const WIRE_UPCALL_RETURN: u32 = 5;
pub const WIRE_UPCALL_RECV: u32 = 6;
pub const WIRE_FLOW_PUT: u32 = 7;
pub const WIRE_FLOW_EXEC: u32 = 8;
pub const WIRE_FLOW_DEL: u32 = 9;
pub const WIRE_ACTION: u32 = 10;
pub const WIRE_PACKET: u32 = 11;
pub const WIRE_TASK: u32 = 12;
pub const WIRE_DEVICE: u32 = 13;
pub const WIRE_FLOW: u32 = 14;
pub const WIRE_ACTION_LONG: u32 = 15;
pub const WIRE_ACTION_CT: u32 = 16;
pub const WIRE_ACTION_TUNNEL: u32 = 17;
pub const WIRE_UPCALL_ACTION: u32 = 18;
pub const WIRE_FLOW_SHAPE: u32 = 19;

pub const CT_COMMIT: u32 = 1 << 0;
pub const CT_FORCE: u32 = 1 << 1;
pub const CT_NAT_SHIFT: u32 = 2;

pub const STEP_LOOKUP: u8 = 16;
pub const STEP_ACTION: u8 = 17;
pub const STEP_DROP: u8 = 18;
pub const STEP_PLACE: u8 = 19;
pub const WIRE_RECV_UPCALL: u32 = 20;
pub const WIRE_FLOW_OPERATION: u32 = 21;
pub const WIRE_FLOW_RESULT: u32 = 22;
pub const WIRE_REVALIDATION: u32 = 23;

/// Where every record has its kind.
pub const KIND_AT: usize = 36;

wire! {
    ring_layouts:

    /// `struct wire_head`.
    struct WireHead {
        ts: u64,
        packet: u64,
        upcall: u64,
        pid: u32,
        tid: u32,
        cpu: u32,
        kind: u32,
        comm: [u8; NAME_LEN],
    }
    /// `struct wire_step`.
    struct WireStep {
        after: i32,
        cpu: u16,
        what: u8,
        detail: u8,
        task: u32,
        a: u32,
        b: u32,
        c: u32,
    }
    /// `struct wire_trace`.
    struct WireTrace {
        ts: u64,
        packet: u64,
        upcall: u64,
        count: u32,
        dp: u32,
        in_port: u32,
        kind: u32,
        queue_id: u64,
        recirc_id: u32,
        has_bytes: u32,
        steps: [WireStep; STEPS_SHORT],
    }
    /// `struct wire_long_trace`.
    struct WireLongTrace {
        trace: WireTrace,
        more: [WireStep; STEPS_MAX - STEPS_SHORT],
    }
    /// `struct wire_bytes`.
    struct WireBytes {
        ts: u64,
        task: u32,
        cpu: u32,
        captured: u32,
        len: u32,
        vlan_proto: u16,
        vlan_tci: u16,
        pad: u32,
        data: [u8; SNAPLEN_MAX],
    }
    /// `struct wire_whole_trace`.
    struct WireWholeTrace {
        steps: WireLongTrace,
        bytes: WireBytes,
    }
    /// `struct wire_task`.
    struct WireTask {
        zero: u64,
        comm: [u8; NAME_LEN],
        number: u32,
        tid: u32,
        pid: u32,
        kind: u32,
    }
    /// `struct wire_device`.
    struct WireDevice {
        zero: u64,
        name: [u8; NAME_LEN],
        number: u32,
        ifindex: u32,
        netns: u32,
        kind: u32,
    }
    /// `struct wire_flow`.
    struct WireFlow {
        flow: u64,
        sf_acts: u64,
        pad: u64,
        number: u32,
        ufid_len: u32,
        dp: u32,
        kind: u32,
        ufid: [u32; 4],
    }
    /// `struct wire_upcall`.
    struct WireUpcall {
        head: WireHead,
        dp: u32,
        in_port: u32,
        recirc_id: u32,
        cmd: u32,
        portid: u32,
        mru: u32,
        len: u32,
        skb_hash: u32,
    }
    /// `struct wire_upcall_action`.
    struct WireUpcallAction {
        upcall: WireUpcall,
        userdata_len: u32,
        pad: u32,
        userdata: [u8; USERDATA_MAX],
    }
    /// `struct wire_enqueue`.
    struct WireEnqueue {
        head: WireHead,
        upcall_ts: u64,
        queue_id: u64,
        upcall_cpu: u32,
        ret: i32,
        cmd: u32,
        portid: u32,
        index: u32,
        pad: u32,
    }
    /// `struct wire_return`.
    struct WireReturn {
        head: WireHead,
        upcall_ts: u64,
        upcall_cpu: u32,
        ret: i32,
    }
    /// `struct wire_recv`.
    struct WireRecv {
        head: WireHead,
        queue_id: u64,
        wait_ns: u64,
        batch_ts: u64,
        batch_idx: u32,
        portid: u32,
        pkt_size: u32,
        key_size: u32,
    }
    /// `struct wire_op`.
    struct WireOp {
        head: WireHead,
        queue_id: u64,
        took_ns: u64,
        batch_ts: u64,
        ufid: [u32; 4],
        batch_idx: u32,
        dp: u32,
        ret: i32,
        ufid_len: u32,
        set: u32,
        len: u32,
    }
    /// `struct wire_action_head`.
    struct WireActionHead {
        head: WireHead,
        queue_id: u64,
        dp: u32,
        in_port: u32,
        recirc_id: u32,
        nla_type: u16,
        args_len: u16,
    }
    /// `struct wire_action`.
    struct WireAction {
        action: WireActionHead,
        args: [u8; ACTION_ARGS_MAX],
    }
    /// `struct wire_action_long`.
    struct WireActionLong {
        action: WireActionHead,
        set_to_masked: u32,
        pad: u32,
        args: [u8; ACTION_LONG_MAX],
    }
    /// `struct wire_action_ct`.
    struct WireActionCt {
        action: WireActionHead,
        zone: u16,
        family: u16,
        flags: u32,
        mark: u32,
        mark_mask: u32,
        labels: [u8; LABELS_LEN],
        labels_mask: [u8; LABELS_LEN],
        nat_flags: u32,
        min_port: u16,
        max_port: u16,
        min_addr: [u8; 16],
        max_addr: [u8; 16],
        helper: [u8; HELPER_LEN],
        timeout: [u8; TIMEOUT_LEN],
    }
    /// `struct wire_action_tunnel`.
    struct WireActionTunnel {
        action: WireActionHead,
        tun_id: u64,
        src: [u8; 16],
        dst: [u8; 16],
        flags: u32,
        tp_src: u16,
        tp_dst: u16,
        tos: u8,
        ttl: u8,
        mode: u8,
        options_len: u8,
        pad: u32,
    }
    /// `struct wire_packet`.
    struct WirePacket {
        packet: u64,
        zero: [u64; 3],
        pad: u32,
        kind: u32,
        bytes: WireBytes,
    }
    /// `struct wire_flow_shape`.
    struct WireFlowShape {
        head: WireHead,
        left_out: u64,
        ufid: [u32; 4],
        ufid_len: u32,
        dp: u32,
        key_len: u32,
        mask_len: u32,
        actions_len: u32,
        pad: u32,
        key: [u8; FLOW_KEY_MAX],
        mask: [u8; FLOW_KEY_MAX],
    }
    /// `struct wire_recv_upcall`.
    struct WireRecvUpcall {
        head: WireHead,
        queue_id: u64,
        batch_ts: u64,
        batch_idx: u32,
        upcall_type: u32,
        pkt_size: u32,
        key_size: u32,
    }
    /// `struct wire_flow_operation`.
    struct WireFlowOperation {
        head: WireHead,
        queue_id: u64,
        batch_ts: u64,
        ufid: [u32; 4],
        batch_idx: u32,
        op: u32,
        ufid_len: u32,
        pad: u32,
    }
    /// `struct wire_flow_result`.
    struct WireFlowResult {
        head: WireHead,
        ufid: [u32; 4],
        ufid_len: u32,
        result: u32,
        reason: u32,
        sweep: u32,
    }
    /// `struct wire_revalidation`.
    struct WireRevalidation {
        head: WireHead,
        took_ns: u64,
        n_flows: u64,
        interval_ms: u32,
        pad: u32,
    }
}
