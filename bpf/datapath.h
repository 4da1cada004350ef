/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a datapath: what was known by its address and by those of its flows is known no more. The next one may
 * have the same. */

/* A CPU's hits of the flows of one datapath, on the way to the maps. */
struct end_walk {
	__u32 dp;
	__u32 cpu;
	__u32 line;
	__u32 pad;
};

static long end_slot(__u32 i, struct end_walk *walk)
{
	__u32 which = walk->line;
	struct flow_line *line = bpf_map_lookup_percpu_elem(&flow_lines, &which, walk->cpu);

	if (!line || i >= FLOW_SLOTS)
		return 1;
	if (line->slots[i].flow && line->slots[i].dp == walk->dp)
		slot_empty(&line->slots[i]);
	return 0;
}

static long end_line(__u32 i, struct end_walk *walk)
{
	walk->line = i;
	bpf_loop(FLOW_SLOTS, end_slot, walk, 0);
	return 0;
}

static long end_cpu(__u32 i, struct end_walk *walk)
{
	__u32 zero = 0;

	/* There is no such CPU, nor any after it. */
	if (!bpf_map_lookup_percpu_elem(&flow_lines, &zero, i))
		return 1;
	walk->cpu = i;
	bpf_loop(FLOW_LINES, end_line, walk, 0);
	return 0;
}

#define CPUS_MAX 8192

/* Nobody is within it any more, nor will be: it is about to be freed. */
ENTRY(destroy_dp_rcu, datapath_end, struct callback_head *rcu)
{
	__u64 dp = (__u64)rcu - bpf_core_field_offset(struct datapath, rcu);
	__u32 *number = bpf_map_lookup_elem(&dp_numbers, &dp);
	struct end_walk walk = {};

	if (!number)
		return 0;
	walk.dp = *number;
	bpf_map_delete_elem(&dp_numbers, &dp);
	__sync_fetch_and_add(&dp_epoch, 1);
	bpf_loop(CPUS_MAX, end_cpu, &walk, 0);
	return 0;
}
