/* SPDX-License-Identifier: GPL-2.0-or-later */
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

/* Where a packet's Ethernet header is, if it is known to be before what was not read of it yet. */
static __always_inline __u64 frame_start(struct sk_buff *skb)
{
	__u64 data = address_of(skb, data), mac = address_of(skb, head) + get(skb, mac_header);

	return get(skb, mac_header) != (__u16)~0 && mac < data ? mac : data;
}

/* Whether a packet that is not recorded is, from here on, for the reason that it is dropped for. */
static __always_inline bool drop_records(struct track *t, struct sk_buff *skb, struct named *n, __u32 reason, __u32 user)
{
	struct filter_cpu *f = filter_of(user), *ovs = this_filter();
	struct filter_fields *fields;
	__u64 start, now;

	if (!f || !ovs || !is_held(t))
		return false;
	start = frame_start(skb);
	fields = &f->fields;
	__builtin_memset(fields, 0, sizeof(*fields));
	/* Of its last lookup, if it hit and was this CPU's. */
	if (ovs->hit.packet == t->packet) {
		fields->ufid_len = ovs->hit.fields.ufid_len;
		__builtin_memcpy(fields->ufid, ovs->hit.fields.ufid, sizeof(fields->ufid));
	}
	fields->dp = t->now.dp;
	fields->in_port = t->now.in_port;
	fields->recirc_id = t->now.recirc_id;
	fields->len = get(skb, len) + (address_of(skb, data) - start);
	fields->reason = reason;
	if (!fields_hold(user, FILTER_DROP, fields))
		return false;
	now = bpf_ktime_get_ns();
	/* A clone may be dropped on another CPU. */
	if (__sync_val_compare_and_swap(&t->left_out, TALLY_FILTERED_OUT, 0) == TALLY_FILTERED_OUT)
		tally_add(TALLY_FILTERED_OUT, -1);
	if (cfg_sample > 1 && bpf_get_prandom_u32() % cfg_sample) {
		track_leave_out(t, TALLY_NOT_SAMPLED);
		return false;
	}
	if (!budget_take(now, PACKET_COST, BUDGET_PACKETS)) {
		track_leave_out(t, TALLY_OVER_BUDGET);
		return false;
	}
	track_record(t);
	track_bytes(t, skb, start, now, task_number(n));
	return true;
}

static __always_inline void dropped(struct cpu_state *cpu, struct sk_buff *skb, __u64 location, __u32 reason,
				    __u32 user)
{
	struct wire_step step = {
		.cpu = bpf_get_smp_processor_id(), .what = STEP_DROP, .a = reason, .b = location, .c = location >> 32,
	};
	struct named *n = &cpu->named;
	struct track *t;

	if (drop_is_ovs(reason))
		count_outcome(&drop_counts, &reason);
	if (!tracks_recorded && !filter_drops())
		return;
	t = track_of((__u64)get(skb, head));
	if (!t)
		return;
	named_now(n);
	if (t->state != TRACK_RECORDED && !(cfg_filter && drop_records(t, skb, n, reason, user)))
		return;
	step.task = task_number(n);
	track_step(t, bpf_ktime_get_ns(), step, NULL);
}

static __always_inline bool drop_matters(__u32 reason)
{
	return tracks_recorded || drop_is_ovs(reason) || filter_drops();
}

/* `dropping` says whether a drop is being looked at on this CPU: what interrupts it there drops packets too, and is
 * passed over by `drop`, not by its twin. */
TRACE(kfree_skb, drop, struct sk_buff *skb, void *location, __u32 reason)
{
	struct cpu_state *cpu;

	if (!skb || !drop_matters(reason))
		return 0;
	cpu = this_cpu();
	if (!cpu)
		return 0;
	*(volatile __u32 *)&cpu->dropping = 1;
	dropped(cpu, skb, (__u64)location, reason, FILTER_OF_DROP);
	*(volatile __u32 *)&cpu->dropping = 0;
	return 0;
}

TRACE(kfree_skb, drop_twin, struct sk_buff *skb, void *location, __u32 reason)
{
	struct cpu_state *cpu;

	if (!skb || !drop_matters(reason))
		return 0;
	cpu = this_cpu();
	if (cpu && *(volatile __u32 *)&cpu->dropping)
		dropped(cpu, skb, (__u64)location, reason, FILTER_OF_DROP_TWIN);
	return 0;
}
