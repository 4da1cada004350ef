/* SPDX-License-Identifier: GPL-2.0 */
/* The generic points before and after OVS.
 *
 * A packet's steps before OVS are kept with its track and become events only once it is decided to record it: what
 * never comes to OVS, the operator's own ssh session above all, makes none. */

static __always_inline void emit_dev(__u64 packet, __u64 upcall, struct net_device *dev, __u32 point, __u32 len, __s32 ret)
{
	struct wire_dev *e = reserve(struct wire_dev);

	if (!e)
		return;
	fill_head(&e->head, WIRE_DEV, bpf_ktime_get_ns(), packet, upcall);
	bpf_probe_read_kernel(e->dev, NAME_LEN, dev->name);
	e->ifindex = get(dev, ifindex);
	e->netns = get(dev, nd_net.net, ns.inum);
	e->len = len;
	e->ret = ret;
	e->point = point;
	e->pad = 0;
	submit(e);
}

static __always_inline int dev_step(struct sk_buff *skb, struct net_device *dev, __u32 point)
{
	__u64 head = (__u64)get(skb, head);
	struct track *t;

	if (!head || (!tracks_recorded && packets_closed()))
		return 0;
	t = track_of(head);
	if (!t) {
		struct cpu_state *cpu;

		if (packets_closed())
			return 0;
		cpu = this_cpu();

		if (!cpu)
			return 0;
		t = track_new(head, next_id(&cpu->packets), TRACK_SEEN);
		if (!t)
			return 0;
	}
	if (t->left_out)
		return 0;
	if (t->state == TRACK_SEEN) {
		__u32 at = t->steps;
		struct pre_step *step;
		__u64 task;

		if (cfg_filter && !filter_seen(t, skb, dev, point))
			return 0;
		if (at >= PRE_STEPS)
			return 0;
		step = &t->pre[at];
		t->steps = at + 1;
		task = bpf_get_current_pid_tgid();
		step->ts = bpf_ktime_get_ns();
		step->pid = task >> 32;
		step->tid = task;
		step->cpu = bpf_get_smp_processor_id();
		step->point = point;
		step->ifindex = get(dev, ifindex);
		step->netns = get(dev, nd_net.net, ns.inum);
		step->len = get(skb, len);
		bpf_get_current_comm(step->comm, sizeof(step->comm));
		bpf_probe_read_kernel(step->dev, NAME_LEN, dev->name);
		return 0;
	}
	emit_dev(t->packet, t->upcall, dev, point, get(skb, len), 0);
	return 0;
}

SEC("tp_btf/net_dev_queue")
int BPF_PROG(net_dev_queue, struct sk_buff *skb)
{
	return skb ? dev_step(skb, get(skb, dev), POINT_NET_DEV_QUEUE) : 0;
}

/* After the driver had it the packet may be gone: who it was is remembered over the call, by packet and device, as
 * devices stack and pass the same packet on. */
struct in_driver {
	__u64 skb;
	__u64 dev;
};
/* How many there are: while none is, nothing is looked up. */
__u64 in_drivers_count;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct in_driver);
	__type(value, struct track_name { __u64 packet; __u64 upcall; });
} in_drivers SEC(".maps");

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(net_dev_start_xmit, struct sk_buff *skb, struct net_device *dev)
{
	struct track *t;

	if (!skb || !dev)
		return 0;
	dev_step(skb, dev, POINT_NET_DEV_START_XMIT);
	t = tracks_recorded ? track_of((__u64)get(skb, head)) : NULL;
	if (t && t->state == TRACK_RECORDED) {
		struct in_driver key = { .skb = (__u64)skb, .dev = (__u64)dev };
		struct track_name name = { .packet = t->packet, .upcall = t->upcall };

		if (!bpf_map_update_elem(&in_drivers, &key, &name, BPF_NOEXIST))
			__sync_fetch_and_add(&in_drivers_count, 1);
		else
			bpf_map_update_elem(&in_drivers, &key, &name, BPF_EXIST);
	} else if (in_drivers_count) {
		struct in_driver key = { .skb = (__u64)skb, .dev = (__u64)dev };

		/* What an earlier owner of these addresses left. */
		if (!bpf_map_delete_elem(&in_drivers, &key))
			__sync_fetch_and_add(&in_drivers_count, -1);
	}
	return 0;
}

SEC("tp_btf/net_dev_xmit")
int BPF_PROG(net_dev_xmit, void *skb, int rc, struct net_device *dev, unsigned int len)
{
	struct in_driver key = { .skb = (__u64)skb, .dev = (__u64)dev };
	struct track_name *known, name;

	if (!in_drivers_count || !dev)
		return 0;
	known = bpf_map_lookup_elem(&in_drivers, &key);
	if (!known)
		return 0;
	name = *known;
	if (!bpf_map_delete_elem(&in_drivers, &key))
		__sync_fetch_and_add(&in_drivers_count, -1);
	emit_dev(name.packet, name.upcall, dev, POINT_NET_DEV_XMIT, len, rc);
	return 0;
}

SEC("tp_btf/netif_rx")
int BPF_PROG(netif_rx, struct sk_buff *skb)
{
	return skb ? dev_step(skb, get(skb, dev), POINT_NETIF_RX) : 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(netif_receive_skb, struct sk_buff *skb)
{
	return skb ? dev_step(skb, get(skb, dev), POINT_NETIF_RECEIVE_SKB) : 0;
}

SEC("fentry/skb_scrub_packet")
int BPF_PROG(skb_scrub_packet, struct sk_buff *skb)
{
	return dev_step(skb, get(skb, dev), POINT_SKB_SCRUB_PACKET);
}

static __always_inline int buffer_freed(struct sk_buff *skb)
{
	track_forget((__u64)get(skb, head));
	return 0;
}

/* The buffer is freed: whoever gets it next is another packet. */
TWINS("fentry/skb_free_head", skb_free_head, buffer_freed(skb), struct sk_buff *skb)

/* A receiving socket or GRO takes the buffer as a fragment of another packet. */
TWINS("fentry/kfree_skb_partial", skb_partial, stolen ? buffer_freed(skb) : 0, struct sk_buff *skb, bool stolen)
TWINS("fentry/napi_skb_free_stolen_head", skb_stolen, buffer_freed(skb), struct sk_buff *skb)

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
		__u32 pad;
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
			.state = t->state, .left_out = t->left_out, .filter = t->filter,
		};

		bpf_map_update_elem(&moving_heads, &key, &m, BPF_ANY);
	}
	return 0;
}

TWINS("fentry/pskb_expand_head", expand_head_entry, head_moves(skb), struct sk_buff *skb)

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
	t = track_new(head, moved.packet, moved.state);
	if (t) {
		t->upcall = moved.upcall;
		t->queue_id = moved.queue_id;
		t->left_out = moved.left_out;
		t->filter = moved.filter;
	}
	return 0;
}

TWINS("fexit/pskb_expand_head", expand_head_exit, head_moved(skb), struct sk_buff *skb)
