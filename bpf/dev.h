/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The generic points before and after OVS. */

static __always_inline struct wire_step dev_fill(struct named *n, struct net_device *dev, __u32 point, __u32 len,
						 __u32 ret)
{
	struct wire_step step = { .cpu = bpf_get_smp_processor_id(), .what = point, .b = len, .c = ret };

	named_now(n);
	step.task = task_number(n);
	step.a = dev_number(n, dev);
	return step;
}

static __always_inline struct track *dev_step(struct cpu_state *cpu, struct sk_buff *skb, struct net_device *dev,
					      __u32 point)
{
	__u64 head = (__u64)get(skb, head), now = 0;
	struct track *t;
	bool again;

	if (!cpu || !head || (!tracks_recorded && tracks_closed()))
		return NULL;
	t = track_of(head);
	again = t && point == POINT_NET_DEV_QUEUE && t->sender == (__u64)dev && get(skb, sk);
	if (!t || again) {
		if (!t && tracks_closed())
			return NULL;
		now = bpf_ktime_get_ns();
		if (again) {
			track_again(t, now, next_id(&cpu->packets));
		} else {
			t = track_new(head, now, next_id(&cpu->packets), TRACK_SEEN);
			if (!t)
				return NULL;
			if (point == POINT_NET_DEV_QUEUE && get(skb, sk))
				t->sender = (__u64)dev;
		}
	}
	if (t->state != TRACK_RECORDED &&
	    ((t->left_out && !is_held(t)) || (cfg_filter && !filter_seen(t, skb, dev, point))))
		return NULL;
	track_step(t, now ?: bpf_ktime_get_ns(), dev_fill(&cpu->named, dev, point, get(skb, len), 0), NULL);
	return t;
}

TRACE(net_dev_queue, net_dev_queue, struct sk_buff *skb)
{
	if (skb)
		dev_step(this_cpu(), skb, get(skb, dev), POINT_NET_DEV_QUEUE);
	return 0;
}

TRACE(net_dev_start_xmit, net_dev_start_xmit, struct sk_buff *skb, struct net_device *dev)
{
	struct cpu_state *cpu = this_cpu();
	struct in_driver *in;
	struct track *t;
	__u32 at;

	if (!cpu || !skb || !dev)
		return 0;
	t = dev_step(cpu, skb, dev, POINT_NET_DEV_START_XMIT);
	if (!t || t->state != TRACK_RECORDED) {
		return 0;
	}
	/* One that never comes back must not stay on top for ever: the pile is a ring. */
	at = cpu->drivers.count++ & (DRIVERS - 1);
	in = &cpu->drivers.of[at];
	in->skb = (__u64)skb;
	in->head = (__u64)get(skb, head);
	in->packet = t->packet;
	in->upcall = t->upcall;
	return 0;
}

static __always_inline void xmit_step(struct cpu_state *cpu, struct in_driver *in, struct net_device *dev, __u32 len,
				      __s32 ret)
{
	struct track *t = track_of(in->head);
	struct wire_step step = dev_fill(&cpu->named, dev, POINT_NET_DEV_XMIT, len, ret);

	/* The packet's own track may be another's by now. */
	if (t && t->packet == in->packet && t->state == TRACK_RECORDED) {
		track_step(t, bpf_ktime_get_ns(), step, NULL);
	} else {
		struct step_owner of = { .packet = in->packet, .upcall = in->upcall };
		struct wire_step alone = step;

		tell_step(&of, bpf_ktime_get_ns(), &alone, NULL);
	}
}

TRACE(net_dev_xmit, net_dev_xmit, void *skb, int rc, struct net_device *dev, unsigned int len)
{
	struct cpu_state *cpu = this_cpu();
	struct in_drivers *pile;

	if (!cpu || !cpu->drivers.count || !dev)
		return 0;
	pile = &cpu->drivers;
	for (__u32 i = 1; i <= DRIVERS; i++) {
		__u32 at = (pile->count - i) & (DRIVERS - 1);
		struct in_driver *in = &pile->of[at];

		if (in->skb != (__u64)skb)
			continue;
		in->skb = 0;
		/* What was above it never comes back. */
		pile->count -= i;
		xmit_step(cpu, in, dev, len, rc);
		break;
	}
	return 0;
}

TRACE(netif_rx, netif_rx, struct sk_buff *skb)
{
	if (skb)
		dev_step(this_cpu(), skb, get(skb, dev), POINT_NETIF_RX);
	return 0;
}

TRACE(netif_receive_skb, netif_receive_skb, struct sk_buff *skb)
{
	if (skb)
		dev_step(this_cpu(), skb, get(skb, dev), POINT_NETIF_RECEIVE_SKB);
	return 0;
}

ENTRY(skb_scrub_packet, skb_scrub_packet, struct sk_buff *skb)
{
	dev_step(this_cpu(), skb, get(skb, dev), POINT_SKB_SCRUB_PACKET);
	return 0;
}

static __always_inline int buffer_freed(struct sk_buff *skb)
{
	track_forget((__u64)get(skb, head));
	return 0;
}

/* The buffer is freed: whoever gets it next is another packet. */
TWINS_ENTRY(skb_free_head, skb_free_head, buffer_freed(skb), struct sk_buff *skb)

/* A receiving socket or GRO takes the buffer as a fragment of another packet. */
TWINS_ENTRY(kfree_skb_partial, skb_partial, stolen ? buffer_freed(skb) : 0, struct sk_buff *skb, bool stolen)
TWINS_ENTRY(napi_skb_free_stolen_head, skb_stolen, buffer_freed(skb), struct sk_buff *skb)

/* A packet gets a new buffer: its name moves along. The old buffer is freed, or stays with the clones, in between. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct moving {
		__u64 head;
		__u64 packet;
		__u64 upcall;
		__u64 queue_id;
		__u32 state;
		__u32 left_out;
		__u32 filter;
		__u32 in_ovs;
	});
} moving_heads SEC(".maps");

static __always_inline int head_moves(struct sk_buff *skb)
{
	__u64 key = (__u64)skb, head = (__u64)get(skb, head);
	struct track *t;

	if (!tracks_recorded && !cfg_filter)
		return 0;
	t = track_of(head);
	/* What a filter said of it goes with it too. */
	if (t && (t->state == TRACK_RECORDED || (cfg_filter && t->filter))) {
		struct moving m = {
			.head = head, .packet = t->packet, .upcall = t->upcall, .queue_id = t->queue_id,
			.state = t->state, .left_out = t->left_out, .filter = t->filter, .in_ovs = t->in_ovs,
		};

		bpf_map_update_elem(&moving_heads, &key, &m, BPF_ANY);
	}
	return 0;
}

TWINS_ENTRY(pskb_expand_head, expand_head_entry, head_moves(skb), struct sk_buff *skb)

/* The steps that are held back stay with the old buffer, for its clones; where it is free they move along. Its place is
 * left as it was until somebody takes it. */
static __always_inline void steps_move(struct track *t, struct moving *m)
{
	struct track_set *s = track_set_of(m->head);

	if (!s)
		return;
	for (int i = 0; i < TRACK_WAYS; i++) {
		struct track *old = &s->tracks[i];

		if (old == t || old->packet != m->packet || s->heads[i] == m->head)
			continue;
		__builtin_memcpy(t->steps, old->steps, sizeof(t->steps));
		t->ts = old->ts;
		t->count = old->count;
		t->dp = old->dp;
		t->in_port = old->in_port;
		t->recirc_id = old->recirc_id;
		t->in_dp = old->in_dp;
		t->now = old->now;
		t->unkept = old->unkept;
		return;
	}
}

static __always_inline int head_moved(struct sk_buff *skb)
{
	__u64 key = (__u64)skb, head = (__u64)get(skb, head);
	struct moving *m, moved;
	struct track *t;

	/* Whether a packet is recorded says nothing here: the old buffer, and with it the name, may be gone by now. */
	m = bpf_map_lookup_elem(&moving_heads, &key);
	if (!m)
		return 0;
	moved = *m;
	bpf_map_delete_elem(&moving_heads, &key);
	if (moved.head == head)
		return 0;
	t = track_new(head, bpf_ktime_get_ns(), moved.packet, moved.state);
	if (t) {
		t->upcall = moved.upcall;
		t->queue_id = moved.queue_id;
		t->left_out = moved.left_out;
		t->filter = moved.filter;
		t->in_ovs = moved.in_ovs;
		if (is_held(t))
			steps_move(t, &moved);
	}
	return 0;
}

TWINS_EXIT(pskb_expand_head, expand_head_exit, head_moved(skb), struct sk_buff *skb)
