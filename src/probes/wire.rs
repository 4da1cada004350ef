//! The wire format, as in bpf/events.h: what the kernel side writes, byte for byte.
//!
//! A test compares every size and offset with the compiled object's BTF.
use bytemuck::{Pod, Zeroable};

use crate::event::STAGE_BUCKETS;

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
pub const FLOW_LINES: u32 = 16;
pub const FLOW_SLOTS: usize = 32;

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

pub const OP_PUT: u32 = 0;
pub const OP_EXEC: u32 = 1;
pub const OP_DEL: u32 = 2;

pub const SCHED_ASLEEP: u32 = 1;
pub const SCHED_RUNNABLE: u32 = 2;
pub const SCHED_RUNNING: u32 = 3;

pub const TALLY_RING_FULL: u32 = 0;
pub const TALLY_OVER_BUDGET: u32 = 1;
pub const TALLY_UPCALLS_OVER_BUDGET: u32 = 2;
pub const TALLY_NOT_SAMPLED: u32 = 3;
pub const TALLY_UNTRACKED: u32 = 4;
pub const TALLY_RECEIVED: u32 = 5;
pub const TALLY_MISSED: u32 = 6;
pub const TALLY_TOLD_OVER_BUDGET: u32 = 7;
pub const TALLY_FILTERED_OUT: u32 = 8;
pub const TALLY_UPCALLS_FILTERED_OUT: u32 = 9;

pub const FILTER_INSNS: usize = 512;
pub const FILTER_BYTES: u32 = 0;
pub const FILTER_LOOKUP: u32 = 1;
pub const FILTER_UPCALL: u32 = 2;
pub const FILTER_DROP: u32 = 3;

/// Where every record has its kind.
pub const KIND_AT: usize = 36;

macro_rules! wire {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Pod, Zeroable)]
            #[repr(C)]
            #[allow(dead_code, reason = "padding is named")]
            pub struct $name { $(pub $field: $type,)* }
        )*

        /// Every struct's name in C, size and fields with their offsets, for the comparison with the object's BTF.
        #[cfg(test)]
        pub fn layouts() -> Vec<(&'static str, usize, Vec<(&'static str, usize)>)> {
            vec![$((
                stringify!($name),
                size_of::<$name>(),
                vec![$((stringify!($field), std::mem::offset_of!($name, $field)),)*],
            ),)*]
        }
    };
}

wire! {
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
        pad: u32,
        steps: [WireStep; STEPS_SHORT],
    }
    /// `struct wire_long_trace`.
    struct WireLongTrace {
        trace: WireTrace,
        more: [WireStep; STEPS_MAX - STEPS_SHORT],
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
        ts: u64,
        packet: u64,
        task: u32,
        captured: u32,
        len: u32,
        vlan_proto: u16,
        vlan_tci: u16,
        cpu: u32,
        kind: u32,
        data: [u8; SNAPLEN_MAX],
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
    /// `struct table_count`, a value of `table_counts`.
    struct TableCount {
        hits: u64,
        misses: u64,
    }
    /// `struct table_key`, a key of `table_counts`.
    struct TableKey {
        table: u64,
        dp: u32,
        pad: u32,
    }
    /// `struct flow_id`, a key of `flow_counts`.
    struct FlowId {
        flow: u64,
        table: u64,
        ufid: [u32; 4],
    }
    /// `struct flow_count`, a value of `flow_counts`.
    struct FlowCount {
        hits: u64,
        bytes: u64,
        sf_acts: u64,
        since: u64,
    }
    /// `struct flow_slot`.
    struct FlowSlot {
        flow: u64,
        table: u64,
        ufid: [u32; 4],
        hits: u64,
        bytes: u64,
        sf_acts: u64,
        since: u64,
        dp: u32,
        ufid_len: u32,
        number: u32,
        pad: u32,
    }
    /// `struct flow_line`, a value of `flow_lines`.
    struct FlowLine {
        slots: [FlowSlot; FLOW_SLOTS],
    }
    /// `struct sweep_order`.
    struct SweepOrder {
        quiet: u64,
    }
    /// `struct upcall_kind`, a key of `upcall_counts`.
    struct UpcallKind {
        dp: u32,
        in_port: u32,
        cmd: u32,
        portid: u32,
        ret: i32,
    }
    /// `struct sched_sums`, a value of `scheds`.
    struct SchedSums {
        since: u64,
        asleep: u64,
        runnable: u64,
        running: u64,
        runnable_max: u64,
        switches: u64,
        state: u32,
        pad: u32,
    }
    /// `struct stage_times`, a value of `stage_times`.
    struct StageTimes {
        max: u64,
        counts: [u64; STAGE_BUCKETS],
    }
    /// `struct op_outcome`, a key of `op_counts`.
    struct OpOutcome {
        op: u32,
        ret: i32,
    }
    /// `struct filter_insn`, as `struct sock_filter`.
    struct FilterInsn {
        code: u16,
        jt: u8,
        jf: u8,
        k: u32,
    }
    /// `struct filter_program`, a value of `filter_programs`.
    struct FilterProgram {
        len: u32,
        pad: u32,
        insns: [FilterInsn; FILTER_INSNS],
    }
    /// `struct filter_fields`, what a program of `--where` reads.
    struct FilterFields {
        in_port: u32,
        dp: u32,
        recirc_id: u32,
        cmd: u32,
        portid: u32,
        cpu: u32,
        len: u32,
        ufid_len: u32,
        ufid: [u32; 4],
        reason: u32,
        comm: [u8; NAME_LEN],
    }
}

/// Reads one struct from the front of `bytes`; none when there are too few.
pub fn read<T: Pod>(bytes: &[u8]) -> Option<T> {
    bytes.get(..size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

#[cfg(test)]
mod tests {
    use libbpf_rs::{
        HasSize as _,
        btf::{Btf, types::Struct},
    };

    use super::*;

    fn c_name(rust: &str) -> String {
        rust.chars()
            .flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
            .skip(1)
            .collect()
    }

    #[test]
    fn a_filter_finds_its_fields() {
        let (_, size, fields) = layouts().into_iter().find(|(name, ..)| *name == "FilterFields").expect("it is there");
        for field in crate::filter::FIELDS {
            let at = fields.iter().find(|(name, _)| *name == field.name()).map(|(_, at)| *at);
            assert_eq!(at, Some(field.word() * 4), "{field}");
        }
        assert_eq!(fields[crate::filter::UFID_LEN_WORD], ("ufid_len", crate::filter::UFID_LEN_WORD * 4));
        assert!(size <= 256, "it fits into what a program sees");
        assert_eq!(crate::filter::classic::MAX, FILTER_INSNS);
    }

    #[test]
    fn every_struct_lies_as_the_compiled_object_has_it() {
        let btf = Btf::from_path(concat!(env!("OUT_DIR"), "/ovscope.bpf.o")).expect("build.rs leaves the object");
        for (name, size, fields) in layouts() {
            let name = c_name(name);
            let in_c: Struct<'_> = btf.type_by_name(&name).unwrap_or_else(|| panic!("{name} is in the BTF"));
            assert_eq!(in_c.size(), size, "size of {name}");
            let offsets: Vec<(String, u32)> = in_c
                .iter()
                .map(|m| {
                    let name = m.name.expect("named").to_string_lossy().into_owned();
                    let libbpf_rs::btf::types::MemberAttr::Normal { offset } = m.attr else { panic!("a bit field") };
                    (name, offset / 8)
                })
                .collect();
            let expected: Vec<(String, u32)> = fields.into_iter().map(|(f, at)| (f.to_owned(), at as u32)).collect();
            assert_eq!(offsets, expected, "fields of {name}");
        }
    }
}
