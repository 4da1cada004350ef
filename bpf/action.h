/* SPDX-License-Identifier: GPL-2.0 */
/* Actions of recorded packets, as the datapath executes them. */

TRACE(ovs_do_execute_action, action_execute, struct datapath *dp, struct sk_buff *skb, struct sw_flow_key *key, struct nlattr *nla)
{
	struct wire_action *e;
	struct track *t;
	__u32 len;

	/* Newer kernels' verifiers hold that a tracepoint's arguments may be NULL. */
	if (!tracks_recorded || !dp || !skb || !key || !nla)
		return 0;
	t = track_of((__u64)get(skb, head));
	if (!t || t->state != TRACK_RECORDED)
		return 0;
	e = reserve(struct wire_action);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_ACTION, bpf_ktime_get_ns(), t->packet, t->upcall);
	e->queue_id = t->queue_id;
	e->dp = dp_number(dp);
	e->in_port = get(key, phy.in_port);
	e->recirc_id = get(key, recirc_id);
	e->nla_type = get(nla, nla_type);
	/* The kernel's own form of set_masked has a number behind those of the header, which moves with every new action. */
	if (bpf_core_enum_value_exists(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED) &&
	    (e->nla_type & NLA_TYPE_MASK) == bpf_core_enum_value(enum ovs_action_attr, OVS_ACTION_ATTR_SET_TO_MASKED))
		e->nla_type = OVS_ACTION_ATTR_SET_MASKED;
	len = get(nla, nla_len) < NLA_HDRLEN ? 0 : get(nla, nla_len) - NLA_HDRLEN;
	e->args_len = len;
	if (len > ACTION_ARGS_MAX)
		len = ACTION_ARGS_MAX;
	if (bpf_probe_read_kernel(e->args, len, (void *)nla + NLA_HDRLEN))
		e->args_len = 0;
	submit(e);
	return 0;
}
