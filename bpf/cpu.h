/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each CPU keeps for itself: in one place, so that a program looks it up but once. */
#ifndef OVSCOPE_CPU_H
#define OVSCOPE_CPU_H

/* The lookup in progress on this CPU, until the hit or the upcall that follows it in the same call of
 * ovs_dp_process_packet. */
struct lookup {
	__u64 ts;          /* when it began; 0: there is none */
	__u64 n_mask_hit;  /* where the kernel puts how many masks it tried */
	__u64 n_cache_hit; /* and whether the cache knew the mask */
	__u32 in_port;
	__u32 recirc_id;
	__u32 bare;        /* the packet has no Ethernet header; only known where there is a filter */
	__u32 pad;
};

/* The upcall in progress on this CPU: ovs_dp_upcall runs with bottom halves off and never within itself. */
struct going_up {
	__u64 id;
	__u64 packet;
	__u64 ts;
	__u64 begun;    /* the lookup that missed, or ts where there was none */
	__u64 queue_id; /* of the message in progress */
	__u32 dp;
	__u32 in_port;
	__u32 cmd;
	__u32 portid;
	__u32 index;
	__u32 skb_data_len;
	__u64 skb_data;
	__u32 active;    /* between the tracepoint and the return of ovs_dp_upcall */
	__u32 recorded;
	__u32 enqueuing; /* between the call and the return of queue_userspace_packet */
	__u32 cpu;
	__u32 refused;   /* by a filter: as in struct message */
	__u32 pad;
};

/* Which numbers stand for which tasks and devices: see names.h. */

#define NAMED_TASKS 32
#define NAMED_DEVS 32

struct named_task {
	__u64 comm[2];
	__u32 tid;
	__u32 number; /* 0: not told */
};

struct named_dev {
	__u64 name[2];
	__u32 ifindex;
	__u32 netns;
	__u32 number;
	__u32 pad;
};

/* What was compared in this jiffy. */
struct seen {
	__u64 at;     /* the task or the device; 0: none */
	__u32 number;
	__u32 tid;    /* of a task */
};

#define SEEN_DEVS 32

struct named {
	__u64 jiffies;
	struct seen task;
	struct seen devs_seen[SEEN_DEVS];
	struct named_task tasks[NAMED_TASKS];
	struct named_dev devs[NAMED_DEVS];
	__u32 given;
	__u32 pad;
};

/* After the driver had it the packet may be gone: who it was is remembered over the call. Devices stack and pass the
 * same packet on, so there is a pile of them on each CPU; the one below comes back first. */
#define DRIVERS 8

struct in_driver {
	__u64 skb; /* 0: free */
	__u64 head;
	__u64 packet;
	__u64 upcall;
};

struct in_drivers {
	__u32 count;
	__u32 pad;
	struct in_driver of[DRIVERS];
};

struct cpu_state {
	__u64 packets; /* sequences for identities */
	__u64 upcalls;
	__u64 messages;
	__u64 dp; /* the datapath that was asked for last, and its number */
	__u32 dp_number;
	__u32 dp_epoch;
	__u64 left_out; /* the tally that the last packet was counted in, if it has no track to remember that */
	struct lookup lookup;
	struct going_up up;
	struct named named;
	struct in_drivers drivers;
	__u32 dropping; /* see drop.h */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpu_states SEC(".maps");

static __always_inline struct cpu_state *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_states, &zero);
}

/* cpu << 40 | sequence: unique without an atomic, and below 2^53, which every JSON reader can hold. */
static __always_inline __u64 next_id(__u64 *sequence)
{
	return ((__u64)bpf_get_smp_processor_id() << 40) | ++*sequence;
}

#endif
