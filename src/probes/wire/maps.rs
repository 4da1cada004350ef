//! What is kept in maps, as in bpf/maps.h.

use bytemuck::{Pod, Zeroable};

use super::NAME_LEN;
use crate::event::STAGE_BUCKETS;

pub const FLOW_LINES: u32 = 16;
pub const FLOW_SLOTS: usize = 32;
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
pub const TALLY_FLOW_HITS_UNCOUNTED: u32 = 6;
pub const TALLY_MISSED: u32 = 7;
pub const TALLY_TOLD_OVER_BUDGET: u32 = 8;
pub const TALLY_FILTERED_OUT: u32 = 9;
pub const TALLY_UPCALLS_FILTERED_OUT: u32 = 10;

pub const FILTER_INSNS: usize = 512;
pub const FILTER_BYTES: u32 = 0;
pub const FILTER_LOOKUP: u32 = 1;
pub const FILTER_UPCALL: u32 = 2;
pub const FILTER_DROP: u32 = 3;

wire! {
    map_layouts:

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
