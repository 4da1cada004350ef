/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that the kernel frees because it drops them, with where and why. */

/* Whether a reason is one of openvswitch's: it has its subsystem's number in the upper half, which moves between kernels;
 * those before 6.6 have none. */
static __always_inline bool drop_is_ovs(__u32 reason)
{
	if (!bpf_core_enum_value_exists(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_OPENVSWITCH))
		return false;
	return reason >> 16 ==
	       bpf_core_enum_value(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_OPENVSWITCH);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* the reason */
	__type(value, __u64);
} drop_counts SEC(".maps");

/* Whether a drop is being looked at on this CPU: what interrupts it there drops packets too, and is passed over by
 * `drop`, not by its twin. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} dropping SEC(".maps");

static __always_inline void dropped(struct sk_buff *skb, __u64 location, __u32 reason)
{
	struct wire_step step = {
		.what = STEP_DROP, .cpu = bpf_get_smp_processor_id(), .a = reason, .b = location, .c = location >> 32,
	};
	struct named *n;
	struct track *t;

	if (drop_is_ovs(reason))
		count_outcome(&drop_counts, &reason);
	if (!tracks_recorded)
		return;
	t = track_of((__u64)get(skb, head));
	if (!t || t->state != TRACK_RECORDED)
		return;
	n = this_named();
	if (!n)
		return;
	step.task = task_number(n);
	track_step(t, bpf_ktime_get_ns(), &step, NULL);
}

static __always_inline bool drop_matters(__u32 reason)
{
	return tracks_recorded || drop_is_ovs(reason);
}

TRACE(kfree_skb, drop, struct sk_buff *skb, void *location, __u32 reason)
{
	__u32 zero = 0, *busy;

	if (!skb || !drop_matters(reason))
		return 0;
	busy = bpf_map_lookup_elem(&dropping, &zero);
	if (!busy)
		return 0;
	*(volatile __u32 *)busy = 1;
	dropped(skb, (__u64)location, reason);
	*(volatile __u32 *)busy = 0;
	return 0;
}

TRACE(kfree_skb, drop_twin, struct sk_buff *skb, void *location, __u32 reason)
{
	__u32 zero = 0, *busy;

	if (!skb || !drop_matters(reason))
		return 0;
	busy = bpf_map_lookup_elem(&dropping, &zero);
	if (busy && *(volatile __u32 *)busy)
		dropped(skb, (__u64)location, reason);
	return 0;
}
