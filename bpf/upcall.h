/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Upcalls on their way up: from ovs_dp_upcall to the handler's socket.
 *
 * The message to the daemon (user_skb) is remembered before it is queued: a handler on another CPU can receive it
 * before netlink_unicast returns. Every upcall is remembered, also those that are not recorded, so that a recorded one
 * is never taken for another that looks the same. */

/* What is tied to a message, once each. */
enum answer {
	ANSWER_PUT = 1,
	ANSWER_EXEC = 2,
	/* The same as the daemon itself tells them. */
	ANSWER_TOLD_RECV = 4,
	ANSWER_TOLD_PUT = 8,
	ANSWER_TOLD_EXEC = 16,
};

/* An upcall's message, with all that its put and its execute can be known by. */
struct message {
	__u64 upcall;
	__u64 packet;
	__u64 queue_id;
	__u64 skb_hash;      /* OVS_PACKET_ATTR_HASH, comes back with the execute */
	struct digest key;   /* of OVS_PACKET_ATTR_KEY, comes back with the put */
	struct digest bytes; /* of the packet's first `digested` bytes */
	__u32 key_len;
	__u32 pkt_len;
	__u32 digested;
	__u32 recorded;
	__u32 answered; /* ANSWER_* that were tied to it */
	__u32 cmd;
	__u32 index;    /* of the upcall's messages */
	__u32 refused;  /* by a filter: enum filter_verdict, and from bit 8 on why its packet was left out; else 0 */
	__u64 begun;    /* the lookup that missed, or the upcall where there was none */
	__u64 received; /* when */
};

struct in_flight {
	struct message m;
	__u64 ts;
	__u32 portid;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* struct sk_buff * of the message */
	__type(value, struct in_flight);
} in_flights SEC(".maps");

struct enqueue_scratch {
	struct digest_buf buf;
	struct in_flight in_flight;
	__u64 user_skb;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct enqueue_scratch);
} enqueue_scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct upcall_kind);
	__type(value, __u64);
} upcall_counts SEC(".maps");

static __always_inline void fill_upcall(struct wire_upcall *e, __u32 kind, struct going_up *up, struct sk_buff *skb,
					struct sw_flow_key *key, struct dp_upcall_info *info)
{
	fill_head(&e->head, kind, up->ts, up->packet, up->id);
	e->dp = up->dp;
	e->in_port = up->in_port;
	e->recirc_id = get(key, recirc_id);
	e->cmd = up->cmd;
	e->portid = up->portid;
	e->mru = get(info, mru);
	e->len = get(skb, len);
	e->skb_hash = get(skb, hash);
}

static __always_inline void emit_upcall(struct going_up *up, struct sk_buff *skb, struct sw_flow_key *key,
					struct dp_upcall_info *info)
{
	struct wire_upcall *e = reserve(struct wire_upcall);

	if (!e)
		return;
	fill_upcall(e, WIRE_UPCALL, up, skb, key, info);
	submit(e);
}

/* Made by an action: with the daemon's cookie, which says why. */
static __always_inline void emit_action_upcall(struct going_up *up, struct sk_buff *skb, struct sw_flow_key *key,
					       struct dp_upcall_info *info, struct nlattr *userdata)
{
	struct wire_upcall_action *e = reserve(struct wire_upcall_action);
	__u32 len;

	if (!e)
		return;
	fill_upcall(&e->upcall, WIRE_UPCALL_ACTION, up, skb, key, info);
	len = get(userdata, nla_len) < NLA_HDRLEN ? 0 : get(userdata, nla_len) - NLA_HDRLEN;
	e->userdata_len = len;
	e->pad = 0;
	if (len > USERDATA_MAX)
		len = USERDATA_MAX;
	if (bpf_probe_read_kernel(e->userdata, len, (void *)userdata + NLA_HDRLEN))
		e->userdata_len = 0;
	submit(e);
}

TRACE(ovs_dp_upcall, upcall, struct datapath *dp, struct sk_buff *skb, struct sw_flow_key *key, struct dp_upcall_info *info)
{
	struct cpu_state *cpu = this_cpu();
	struct nlattr *userdata;
	__u64 head, now;
	struct going_up *up;
	bool missed, bytes = false;
	__u64 begun;
	struct named *n;
	struct track *t;

	/* Newer kernels' verifiers hold that a tracepoint's arguments may be NULL. */
	if (!cpu || !dp || !skb || !key || !info)
		return 0;
	head = (__u64)get(skb, head);
	now = bpf_ktime_get_ns();
	up = &cpu->up;
	missed = cpu->lookup.ts && get(info, cmd) == 1;
	begun = missed ? cpu->lookup.ts : now;
	cpu->lookup.ts = 0;
	if (missed)
		stage_between(STAGE_LOOKUP, begun, now);
	up->ts = now;
	up->begun = begun;
	up->dp = dp_number(cpu, dp);
	up->in_port = get(key, phy.in_port);
	up->cmd = get(info, cmd);
	up->portid = get(info, portid);
	up->cpu = bpf_get_smp_processor_id();
	up->index = 0;
	up->enqueuing = 0;
	up->recorded = 0;
	up->packet = 0;
	up->refused = 0;
	up->id = next_id(&cpu->upcalls);
	up->active = 1;

	t = track_of(head);
	if (cfg_filter && !(t && t->state == TRACK_RECORDED) && !filter_upcall(t, skb, key, up, cpu)) {
		/* A packet that cannot go up is dropped. */
		if (t && missed && is_held(t))
			lookup_step(t, cpu, begun, up->dp, 0);
		return 0;
	}
	if (!budget_take(now, t && t->state == TRACK_RECORDED ? UPCALL_COST : UPCALL_COST + PACKET_COST,
			 BUDGET_UPCALLS)) {
		tally(TALLY_UPCALLS_OVER_BUDGET);
		return 0;
	}
	up->recorded = 1;
	if (!t && cpu->left_out)
		tally_add(cpu->left_out, -1);
	cpu->left_out = 0;
	if (!t && cfg_generic)
		t = track_new(head, now, next_id(&cpu->packets), TRACK_SEEN);
	if (t) {
		up->packet = t->packet;
		if (t->state == TRACK_SEEN) {
			track_record(t);
			bytes = true;
		}
	} else {
		up->packet = next_id(&cpu->packets);
		bytes = true;
	}
	n = &cpu->named;
	named_now(n);
	if (bytes && t)
		track_bytes(t, skb, address_of(skb, data), begun, task_number(n));
	else if (bytes)
		tell_bytes(skb, address_of(skb, data), up->packet, begun, task_number(n));
	/* So that an upcall's events come in their order. */
	if (t) {
		if (missed)
			lookup_step(t, cpu, begun, up->dp, 0);
		if (track_lock(t)) {
			track_flush(t);
			track_unlock(t);
		}
	} else if (missed) {
		struct step_owner of = { .packet = up->packet };
		struct wire_step step;
		struct dp_place place;

		step = lookup_fill(&place, cpu, up->dp, 0);
		tell_step(&of, begun, &step, &place);
	}
	userdata = up->cmd == OVS_PACKET_CMD_ACTION ? get(info, userdata) : NULL;
	if (userdata)
		emit_action_upcall(up, skb, key, info, userdata);
	else
		emit_upcall(up, skb, key, info);
	return 0;
}

ENTRY(queue_userspace_packet, enqueue_entry, struct datapath *dp, struct sk_buff *skb)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu || !cpu->up.active)
		return 0;
	cpu->up.enqueuing = 1;
	cpu->up.queue_id = 0;
	cpu->up.skb_data = (__u64)get(skb, data);
	cpu->up.skb_data_len = get(skb, len) - get(skb, data_len);
	return 0;
}

struct message_walk {
	struct enqueue_scratch *scratch;
	unsigned char *data;
	__u32 linear;
	__u32 at;
	__u32 bytes_at;
};

static long message_attribute(__u32 i, struct message_walk *walk)
{
	struct message *m = &walk->scratch->in_flight.m;
	unsigned char *payload = walk->data + walk->at + NLA_HDRLEN;
	struct nlattr nla;
	__u32 len;

	if (walk->at + NLA_HDRLEN > walk->linear ||
	    bpf_probe_read_kernel(&nla, sizeof(nla), walk->data + walk->at) || nla.nla_len < NLA_HDRLEN)
		return 1;
	len = nla.nla_len - NLA_HDRLEN;
	switch (nla.nla_type & NLA_TYPE_MASK) {
	case OVS_PACKET_ATTR_KEY:
		m->key_len = len;
		if (digest(&walk->scratch->buf, (__u64)(payload), len, &m->key))
			m->key_len = 0;
		break;
	case OVS_PACKET_ATTR_HASH:
		bpf_probe_read_kernel(&m->skb_hash, sizeof(m->skb_hash), payload);
		break;
	case OVS_PACKET_ATTR_PACKET:
		m->pkt_len = len;
		walk->bytes_at = walk->at + NLA_HDRLEN;
		break;
	}
	walk->at += (nla.nla_len + 3) & ~3;
	return 0;
}

/* Reads the message's attributes: they follow its three headers, each padded to four bytes. */
static __noinline int read_message(struct enqueue_scratch *s, struct going_up *up, struct sk_buff *user_skb)
{
	struct message_walk walk = { .scratch = s, .at = NLMSG_HDRLEN + GENL_HDRLEN + 4 };
	struct message *m;

	if (!s || !up)
		return -1;
	m = &s->in_flight.m;
	walk.data = BPF_CORE_READ(user_skb, data);
	walk.linear = BPF_CORE_READ(user_skb, len) - BPF_CORE_READ(user_skb, data_len);
	m->skb_hash = 0;
	m->key_len = m->pkt_len = m->digested = 0;
	m->key.a = m->key.b = m->bytes.a = m->bytes.b = 0;
	bpf_loop(16, message_attribute, &walk, 0);
	if (!walk.bytes_at)
		return 0;
	/* A large packet's pages are lent to the message: then what is linear in the packet itself is read. */
	if (walk.bytes_at + m->pkt_len <= walk.linear) {
		m->digested = m->pkt_len < DIGEST_MAX ? m->pkt_len : DIGEST_MAX;
		if (digest(&s->buf, (__u64)(walk.data + walk.bytes_at), m->digested, &m->bytes))
			m->digested = 0;
	} else if (walk.linear > walk.bytes_at) {
		m->digested = walk.linear - walk.bytes_at;
		if (m->digested > DIGEST_MAX)
			m->digested = DIGEST_MAX;
		if (digest(&s->buf, (__u64)(walk.data + walk.bytes_at), m->digested, &m->bytes))
			m->digested = 0;
	} else if (walk.linear == walk.bytes_at) {
		m->digested = up->skb_data_len < m->pkt_len ? up->skb_data_len : m->pkt_len;
		if (m->digested > DIGEST_MAX)
			m->digested = DIGEST_MAX;
		if (digest(&s->buf, (__u64)((void *)up->skb_data), m->digested, &m->bytes))
			m->digested = 0;
	}
	return 0;
}

static __always_inline int register_message(struct sk_buff *user_skb, __u32 portid)
{
	struct cpu_state *cpu = this_cpu();
	struct enqueue_scratch *s;
	__u64 key = (__u64)user_skb;
	struct going_up *up;
	__u32 zero = 0;

	/* A message that has its name was registered by the twin. */
	if (!cpu || !cpu->up.enqueuing || cpu->up.queue_id || cpu->up.portid != portid)
		return 0;
	up = &cpu->up;
	s = bpf_map_lookup_elem(&enqueue_scratches, &zero);
	if (!s)
		return 0;
	read_message(s, up, user_skb);
	up->queue_id = next_id(&cpu->messages);
	s->user_skb = key;
	s->in_flight.m.upcall = up->id;
	s->in_flight.m.packet = up->packet;
	s->in_flight.m.queue_id = up->queue_id;
	s->in_flight.m.recorded = up->recorded;
	s->in_flight.m.answered = 0;
	s->in_flight.m.cmd = up->cmd;
	s->in_flight.m.begun = up->begun;
	s->in_flight.m.index = up->index;
	s->in_flight.m.refused = up->refused;
	s->in_flight.portid = portid;
	s->in_flight.ts = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&in_flights, &key, &s->in_flight, BPF_ANY))
		tally(TALLY_UNTRACKED);
	return 0;
}

/* Every netlink message of this host comes by here, most of them from threads. */
TWINS_ENTRY(netlink_unicast, enqueue_message, register_message(user_skb, portid), struct sock *ssk,
      struct sk_buff *user_skb, __u32 portid)

EXIT(queue_userspace_packet, enqueue_exit)
{
	struct cpu_state *cpu = this_cpu();
	struct enqueue_scratch *s;
	struct wire_enqueue *e;
	struct going_up *up;
	__u32 zero = 0, index;
	__s32 ret;

	if (!cpu || !cpu->up.enqueuing)
		return 0;
	up = &cpu->up;
	up->enqueuing = 0;
	index = up->index++;
	ret = returned(ctx);
	s = bpf_map_lookup_elem(&enqueue_scratches, &zero);
	if (!s)
		return 0;
	/* The message of a failed one is free already, and its address may be another's by now. */
	if (ret && up->queue_id) {
		struct in_flight *in = bpf_map_lookup_elem(&in_flights, &s->user_skb);

		if (in && in->m.queue_id == up->queue_id)
			bpf_map_delete_elem(&in_flights, &s->user_skb);
	}
	if (!(__s32)ret && up->queue_id && !index)
		stage_between(STAGE_ENQUEUE, up->ts, s->in_flight.ts);
	if (!up->recorded)
		return 0;
	e = reserve(struct wire_enqueue);
	if (!e)
		return 0;
	/* The time it was queued: its receive may be earlier than this return. */
	fill_head(&e->head, WIRE_UPCALL_ENQUEUE, up->queue_id ? s->in_flight.ts : bpf_ktime_get_ns(), up->packet,
		  up->id);
	e->upcall_ts = up->ts;
	e->upcall_cpu = up->cpu;
	e->queue_id = up->queue_id;
	e->ret = ret;
	e->cmd = up->cmd;
	e->portid = up->portid;
	e->index = index;
	e->pad = 0;
	submit(e);
	return 0;
}

EXIT(ovs_dp_upcall, upcall_return, struct datapath *dp, struct sk_buff *skb, struct sw_flow_key *key,
     struct dp_upcall_info *info)
{
	struct cpu_state *cpu = this_cpu();
	struct wire_return *e;
	struct upcall_kind kind = {};
	__s32 ret = returned(ctx);

	if (!cpu)
		return 0;
	kind.dp = dp_number(cpu, dp);
	if (get(info, cmd) == 1)
		count_miss(dp, kind.dp);
	kind.in_port = get(key, phy.in_port);
	kind.cmd = get(info, cmd);
	kind.portid = get(info, portid);
	kind.ret = ret;
	count_outcome(&upcall_counts, &kind);
	if (!cpu->up.active)
		return 0;
	cpu->up.active = 0;
	if (!cpu->up.recorded)
		return 0;
	e = reserve(struct wire_return);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_UPCALL_RETURN, bpf_ktime_get_ns(), cpu->up.packet, cpu->up.id);
	e->upcall_ts = cpu->up.ts;
	e->upcall_cpu = cpu->up.cpu;
	e->ret = ret;
	submit(e);
	return 0;
}
