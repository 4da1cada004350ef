/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Actions of packets that are recorded, or held back until a drop decides, as the datapath executes them. */

/* What every action's event begins with. */
static __always_inline void fill_action(struct wire_action_head *e, __u32 kind, struct track *t, __u32 dp,
					struct sw_flow_key *key, __u16 nla_type, __u16 len)
{
	fill_head(&e->head, kind, bpf_ktime_get_ns(), t->packet, t->upcall);
	e->queue_id = t->queue_id;
	e->dp = dp;
	e->in_port = get(key, phy.in_port);
	e->recirc_id = get(key, recirc_id);
	e->nla_type = nla_type;
	e->args_len = len;
}

/* As many bytes of the attribute as fit; none when they cannot be read. The compiler may know that they all fit: the
 * verifier has to see it. */
#define copy_args(e, nla, len)                                                           \
	({                                                                               \
		__u32 taken = len;                                                       \
                                                                                         \
		barrier_var(taken);                                                      \
		if (taken > sizeof((e)->args))                                           \
			taken = sizeof((e)->args);                                       \
		if (bpf_probe_read_kernel((e)->args, taken, (void *)(nla) + NLA_HDRLEN)) \
			(e)->action.args_len = 0;                                        \
	})

/* The kernel's own form of a set without a mask has a number behind those of the header, which moves with every new
 * action; 0: this kernel has none. */
static __always_inline __u16 set_to_masked(void)
{
	if (!bpf_core_enum_value_exists(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED))
		return 0;
	return bpf_core_enum_value(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED);
}

static __always_inline bool sets_tunnel(struct nlattr *nla)
{
	struct nlattr key;

	return bpf_core_enum_value_exists(enum ovs_key_attr, OVS_KEY_ATTR_TUNNEL_INFO) &&
	       bpf_core_field_exists(((struct ovs_tunnel_info *)nla)->tun_dst) &&
	       bpf_core_field_exists(((struct metadata_dst *)nla)->u.tun_info.key) &&
	       !bpf_probe_read_kernel(&key, sizeof(key), (void *)nla + NLA_HDRLEN) &&
	       (key.nla_type & NLA_TYPE_MASK) == bpf_core_enum_value(enum ovs_key_attr, OVS_KEY_ATTR_TUNNEL_INFO);
}

TRACE(ovs_do_execute_action, action_execute, struct datapath *dp, struct sk_buff *skb, struct sw_flow_key *key,
      struct nlattr *nla)
{
	struct cpu_state *cpu;
	__u32 len, number;
	struct track *t;
	bool held;

	/* Newer kernels' verifiers hold that a tracepoint's arguments may be NULL. */
	if ((!tracks_recorded && !filter_drops()) || !dp || !skb || !key || !nla)
		return 0;
	t = track_of((__u64)get(skb, head));
	if (!t)
		return 0;
	held = t->state != TRACK_RECORDED;
	if (held && !is_held(t))
		return 0;
	cpu = this_cpu();
	if (!cpu)
		return 0;
	number = get(nla, nla_type) & NLA_TYPE_MASK;
	if (number && number == set_to_masked())
		number = OVS_ACTION_ATTR_SET;
	len = get(nla, nla_len);
	len = len < NLA_HDRLEN ? 0 : len - NLA_HDRLEN;
	/* Of what is held back no more is kept than fits into a step. */
	if (len <= STEP_ARGS_MAX || held) {
		struct dp_place place = {
			.dp = dp_number(cpu, dp), .in_port = get(key, phy.in_port), .recirc_id = get(key, recirc_id),
		};
		struct wire_step step = {
			.cpu = bpf_get_smp_processor_id(), .what = STEP_ACTION, .detail = number, .a = len,
		};
		__u32 args[2];

		named_now(&cpu->named);
		step.task = task_number(&cpu->named);
		/* Attributes are padded to four bytes. */
		read_words(args, (void *)nla + NLA_HDRLEN, len > 4 ? 2 : len > 0);
		step.b = args[0];
		step.c = args[1];
		track_step(t, bpf_ktime_get_ns(), step, &place);
		return 0;
	}
	if (number == OVS_ACTION_ATTR_CT && bpf_core_type_exists(struct ovs_conntrack_info)) {
		struct wire_action_ct *e = reserve(struct wire_action_ct);

		if (!e)
			return 0;
		fill_action(&e->action, WIRE_ACTION_CT, t, dp_number(cpu, dp), key, number, len);
		action_ct_args(e, (void *)nla + NLA_HDRLEN);
		submit(e);
	} else if (number == OVS_ACTION_ATTR_SET && sets_tunnel(nla)) {
		struct wire_action_tunnel *e = reserve(struct wire_action_tunnel);

		if (!e)
			return 0;
		fill_action(&e->action, WIRE_ACTION_TUNNEL, t, dp_number(cpu, dp), key, number, len);
		action_tunnel_args(e, (void *)nla + 2 * NLA_HDRLEN);
		submit(e);
	} else if (len > ACTION_ARGS_MAX || number == OVS_ACTION_ATTR_SAMPLE || number == OVS_ACTION_ATTR_CLONE ||
		   number == OVS_ACTION_ATTR_CHECK_PKT_LEN || number == OVS_ACTION_ATTR_DEC_TTL) {
		struct wire_action_long *e = reserve(struct wire_action_long);

		if (!e)
			return 0;
		fill_action(&e->action, WIRE_ACTION_LONG, t, dp_number(cpu, dp), key, number, len);
		e->set_to_masked = set_to_masked();
		e->pad = 0;
		copy_args(e, nla, len);
		submit(e);
	} else {
		struct wire_action *e = reserve(struct wire_action);

		if (!e)
			return 0;
		fill_action(&e->action, WIRE_ACTION, t, dp_number(cpu, dp), key, number, len);
		copy_args(e, nla, len);
		submit(e);
	}
	return 0;
}
