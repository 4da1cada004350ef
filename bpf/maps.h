/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What user space and the kernel side share besides events: counters that are read a few times a second, and filters.
 *
 * src/probes/wire/maps.rs has the same structs, compared as those of events.h are. */
#ifndef OVSCOPE_MAPS_H
#define OVSCOPE_MAPS_H

#include "events.h"

#define FLOW_LINES 16
#define FLOW_SLOTS 32

struct table_count {
	__u64 hits;   /* besides those in flow_lines */
	__u64 misses;
};

struct table_key {
	__u64 table; /* struct flow_table * */
	__u32 dp;    /* a later datapath's may have the address */
	__u32 pad;
};

struct flow_id {
	__u64 flow;
	__u64 table;
	__u64 ufid[2];
};

struct flow_count {
	__u64 hits;
	__u64 bytes;
	__u64 sf_acts;
	__u64 since; /* when this CPU first saw these actions */
};

struct flow_slot {
	__u64 flow; /* 0: free */
	__u64 table;
	__u64 ufid[2];
	__u64 hits;
	__u64 bytes;
	__u64 sf_acts;
	__u64 since;
	__u32 dp;
	__u32 ufid_len;
	__u32 number; /* in events; 0: not told */
	__u32 pad;
};

struct flow_line {
	struct flow_slot slots[FLOW_SLOTS];
};

/* What `sweep` is to tell: packets that nothing happened to for so many nanoseconds. */
struct sweep_order {
	__u64 quiet;
};

struct upcall_kind {
	__u32 dp;
	__u32 in_port;
	__u32 cmd;
	__u32 portid;
	__s32 ret;
};

enum op_kind {
	OP_PUT = 0,
	OP_EXEC = 1,
	OP_DEL = 2,
};

struct op_outcome {
	__u32 op;
	__s32 ret;
};

/* Of one handler's thread, up to `since`. In nanoseconds. */
struct sched_sums {
	__u64 since;
	__u64 asleep;
	__u64 runnable;
	__u64 running;
	__u64 runnable_max; /* without a break */
	__u64 switches;     /* to it */
	__u32 state;
	__u32 pad;
};

enum stage {
	STAGE_LOOKUP = 0,
	STAGE_ENQUEUE = 1,
	STAGE_WAIT = 2,
	STAGE_TRANSLATE = 3,
	STAGE_PUT = 4,
	STAGE_EXECUTE = 5,
	STAGE_WHOLE = 6,
	STAGES = 7,
};

/* Up to 2^37 ns (137 s); what is longer is in the last bucket. */
#define STAGE_HIGHEST_BIT 36
#define STAGE_BUCKETS ((STAGE_HIGHEST_BIT - 1) * 8)

struct stage_times {
	__u64 max;
	__u64 counts[STAGE_BUCKETS];
};

/* Places in the array of plain counters. */
enum tally {
	TALLY_RING_FULL = 0,
	TALLY_OVER_BUDGET = 1,
	TALLY_UPCALLS_OVER_BUDGET = 2,
	TALLY_NOT_SAMPLED = 3,
	TALLY_UNTRACKED = 4,
	TALLY_RECEIVED = 5,
	TALLY_FLOW_HITS_UNCOUNTED = 6,
	TALLY_MISSED = 7,
	TALLY_TOLD_OVER_BUDGET = 8,
	TALLY_FILTERED_OUT = 9,
	TALLY_UPCALLS_FILTERED_OUT = 10,
	TALLY_MAX = 11,
};

/* Filters: classic BPF programs, written by user space. */

#define FILTER_INSNS 512

/* Where a program judges. */
enum filter_place {
	FILTER_BYTES = 0,  /* -f: a packet's bytes, where it is first seen */
	FILTER_LOOKUP = 1, /* --where: the fields that are known after a lookup that hit */
	FILTER_UPCALL = 2, /* and at an upcall */
	FILTER_DROP = 3,   /* and at a drop, if it asks for the reason: an empty program wants nothing here */
	FILTER_PLACES = 4,
};

/* struct sock_filter in linux/filter.h. */
struct filter_insn {
	__u16 code;
	__u8 jt;
	__u8 jf;
	__u32 k;
};

struct filter_program {
	__u32 len; /* 0: it holds for everything */
	__u32 pad;
	struct filter_insn insns[FILTER_INSNS];
};

/* What --where can ask for; a program finds all but the name in network byte order. */
struct filter_fields {
	__u32 in_port;
	__u32 dp;
	__u32 recirc_id;
	__u32 cmd;
	__u32 portid;
	__u32 cpu;
	__u32 len;
	__u32 ufid_len; /* 0: the flow, or its UFID, is not known */
	__u32 ufid[4];
	__u32 reason;
	char comm[NAME_LEN];
};

/* A compiler writes down only the types that a variable or a function has: these, for the comparison with src/probes/wire. */
union map_types {
	struct table_count table_count;
	struct table_key table_key;
	struct flow_id flow_id;
	struct flow_count flow_count;
	struct flow_slot flow_slot;
	struct flow_line flow_line;
	struct sweep_order sweep_order;
	struct upcall_kind upcall_kind;
	struct op_outcome op_outcome;
	struct sched_sums sched_sums;
	struct stage_times stage_times;
	struct filter_insn filter_insn;
	struct filter_program filter_program;
	struct filter_fields filter_fields;
};
union map_types *map_types __attribute__((unused));

#endif
