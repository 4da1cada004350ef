/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs share: settings, maps, counters, identities and the budget. */
#ifndef OVSCOPE_STATE_H
#define OVSCOPE_STATE_H

/* Set before loading. */
const volatile __u32 cfg_snaplen = 128; /* bytes of a packet that are taken, at most SNAPLEN_MAX */
const volatile __u32 cfg_sample = 1;    /* of so many packets that are not upcalled one is recorded; 0: none */
const volatile __u64 cfg_budget = 0;    /* events a second; 0: none at all */
const volatile bool cfg_sched = true;   /* how handlers are scheduled is looked at */
const volatile bool cfg_follow = true;  /* upcalls, packets and their actions are followed */
const volatile bool cfg_generic = true; /* the generic points and what frees packets are attached */

#define PACKET_COST 10       /* events that a forwarded packet is taken to make */
#define UPCALL_COST 8        /* and an upcall on top */
#define WINDOW_NS 100000000ULL
#define BATCH 64             /* UPCALL_MAX_BATCH in ofproto/ofproto-dpif-upcall.c */
#define DIGEST_MAX 2048

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TALLY_MAX);
	__type(key, __u32);
	__type(value, __u64);
} tallies SEC(".maps");

static __always_inline void tally_add(__u32 which, __s64 add)
{
	__u64 *n = bpf_map_lookup_elem(&tallies, &which);

	/* Threads count here too, and softirqs interrupt them. */
	if (n)
		__sync_fetch_and_add(n, add);
}

static __always_inline void tally(__u32 which)
{
	tally_add(which, 1);
}

/* The budget is spent on whole packets and upcalls, so what is shown is complete. Windows of 100 ms; two CPUs that
 * begin one at the same time may overspend it by what both took, never more. Upcalls may have all of it, packets that
 * are not upcalled half: however fast the fast path is, upcalls are seen. */
#define BUDGET_UPCALLS (cfg_budget / 10)
#define BUDGET_PACKETS (cfg_budget / 20)
__u64 budget_window;
__u64 budget_spent;

static __always_inline bool budget_take(__u64 now, __u64 cost, __u64 limit)
{
	__u64 window = now / WINDOW_NS;

	if (budget_window != window) {
		budget_window = window;
		budget_spent = 0;
	}
	if (budget_spent + cost > limit)
		return false;
	__sync_fetch_and_add(&budget_spent, cost);
	return true;
}

/* Once packets have had their part of a window, the generic points make no new tracks for a while: what could not be
 * recorded need not be remembered. A packet that is upcalled meanwhile is seen from its upcall on. In jiffies, whose
 * reading is nearly free: between 25 and 250 ms. */
#define CLOSED_JIFFIES 25
__u64 closed_since;
bool closed;

static __always_inline void packets_close(void)
{
	closed_since = bpf_jiffies64();
	closed = true;
}

static __always_inline bool packets_closed(void)
{
	if (!closed)
		return false;
	if (bpf_jiffies64() - closed_since < CLOSED_JIFFIES)
		return true;
	closed = false;
	return false;
}

/* A datapath's number: the interface index of its local port, as get_dpifindex() in net/openvswitch/datapath.c. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u32);
} dp_numbers SEC(".maps");

static __noinline __u32 dp_find_number(struct datapath *dp)
{
	struct hlist_node *node;
	struct hlist_head *ports = BPF_CORE_READ(dp, ports);

	/* OVSP_LOCAL is port 0, in bucket 0 of 1024 by port number. */
	bpf_core_read(&node, sizeof(node), &ports->first);
	for (int i = 0; i < 16 && node; i++) {
		struct vport *port = (void *)node - bpf_core_field_offset(struct vport, dp_hash_node);

		if (BPF_CORE_READ(port, port_no) == 0)
			return BPF_CORE_READ(port, dev, ifindex);
		bpf_core_read(&node, sizeof(node), &node->next);
	}
	return 0;
}

/* Results of looking at a flow, those that keep it too: each costs its revalidator a trap, and the reader may say that
 * it is too much. */
__u64 usdt_results;

/* Goes up when a datapath goes: what was known by its address is no longer so. */
__u32 dp_epoch;

static __always_inline __u32 dp_number(struct cpu_state *cpu, struct datapath *dp)
{
	__u64 key = (__u64)dp;
	__u32 *known, found;

	if (cpu->dp == key && cpu->dp_epoch == dp_epoch)
		return cpu->dp_number;
	known = bpf_map_lookup_elem(&dp_numbers, &key);
	if (known) {
		found = *known;
	} else {
		found = dp_find_number(dp);
		if (found)
			bpf_map_update_elem(&dp_numbers, &key, &found, BPF_ANY);
	}
	cpu->dp = key;
	cpu->dp_number = found;
	cpu->dp_epoch = dp_epoch;
	return found;
}

/* In a per-CPU map. Another CPU may have made the key in the meantime. */
static __always_inline void count_outcome(void *map, const void *key)
{
	__u64 zero = 0, *n = bpf_map_lookup_elem(map, key);

	if (!n) {
		bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(map, key);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		tally(TALLY_MISSED);
}

#endif
