/* SPDX-License-Identifier: GPL-2.0 */
/* Actions of recorded packets, as the datapath executes them. */

TRACE(ovs_do_execute_action, action_execute, struct datapath *dp, struct sk_buff *skb, struct sw_flow_key *key, struct nlattr *nla)
{
	struct wire_step step = { .what = STEP_ACTION };
	struct wire_action *e;
	struct track *t;
	__u32 len, type;

	/* Newer kernels' verifiers hold that a tracepoint's arguments may be NULL. */
	if (!tracks_recorded || !dp || !skb || !key || !nla)
		return 0;
	t = track_of((__u64)get(skb, head));
	if (!t || t->state != TRACK_RECORDED)
		return 0;
	type = get(nla, nla_type);
	/* The kernel's own form of set_masked has a number behind those of the header, which moves with every new action. */
	if (bpf_core_enum_value_exists(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED) &&
	    (type & NLA_TYPE_MASK) == bpf_core_enum_value(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED))
		type = OVS_ACTION_ATTR_SET_MASKED;
	len = get(nla, nla_len);
	len = len < NLA_HDRLEN ? 0 : len - NLA_HDRLEN;
	if (len <= STEP_ARGS_MAX) {
		struct dp_place place = {
			.dp = dp_number(dp), .in_port = get(key, phy.in_port), .recirc_id = get(key, recirc_id),
		};
		struct named *n;
		__u32 zero = 0;

		n = bpf_map_lookup_elem(&named, &zero);
		if (!n)
			return 0;
		step.cpu = bpf_get_smp_processor_id();
		step.task = task_number(n);
		step.detail = type & NLA_TYPE_MASK;
		step.a = len;
		/* Attributes are padded to four bytes. */
		if (len)
			bpf_probe_read_kernel(&step.b, 4, (void *)nla + NLA_HDRLEN);
		if (len > 4)
			bpf_probe_read_kernel(&step.c, 4, (void *)nla + NLA_HDRLEN + 4);
		track_step(t, bpf_ktime_get_ns(), &step, &place);
		return 0;
	}
	e = reserve(struct wire_action);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_ACTION, bpf_ktime_get_ns(), t->packet, t->upcall);
	e->queue_id = t->queue_id;
	e->dp = dp_number(dp);
	e->in_port = get(key, phy.in_port);
	e->recirc_id = get(key, recirc_id);
	e->nla_type = type;
	e->args_len = len;
	if (len > ACTION_ARGS_MAX)
		len = ACTION_ARGS_MAX;
	if (bpf_probe_read_kernel(e->args, len, (void *)nla + NLA_HDRLEN))
		e->args_len = 0;
	submit(e);
	return 0;
}
