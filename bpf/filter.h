/* SPDX-License-Identifier: GPL-2.0 */
/* Which packets and upcalls are recorded one by one: what -f says of a packet's bytes, and --where of OVS's fields.
 *
 * Both are classic BPF programs, run by interpret.h. The bytes are judged once, where a packet is first seen, and the
 * verdict stays with its track, so that no encapsulation or translation on its way changes it. The fields are judged at
 * each place that knows some of them; a packet that is wanted at one is recorded from there on, with its steps before.
 * What is left out is counted; counters and ties are those of all packets. */

/* Of the packets that are wanted and not upcalled one of so many is recorded, while the budget lasts. */
static __always_inline bool packet_admitted(struct track *t, __u64 now)
{
	if (!cfg_sample || (cfg_sample > 1 && bpf_get_prandom_u32() % cfg_sample)) {
		track_leave_out(t, TALLY_NOT_SAMPLED);
		return false;
	}
	if (!budget_take(now, PACKET_COST, BUDGET_PACKETS)) {
		packets_close();
		track_leave_out(t, TALLY_OVER_BUDGET);
		return false;
	}
	track_record(t);
	return true;
}

static __always_inline bool filter_bytes(struct sk_buff *skb, __u64 start, bool bare)
{
	struct filter_frame frame = { .start = start, .bare = bare };
	__u64 data = (__u64)get(skb, data);

	frame.len = get(skb, len) + (data - start);
	frame.linear = frame.len - get(skb, data_len);
	if (bare) {
		frame.protocol = get(skb, protocol);
	} else if (has_vlan_tag(skb)) {
		frame.vlan_proto = get(skb, vlan_proto);
		frame.vlan_tci = bpf_htons(get(skb, vlan_tci));
	}
	return frame_holds(&frame);
}

/* At OVS's hooks skb->data is at the Ethernet header, or where it should be in packets of ports that have none. */
static __always_inline bool filter_bytes_in_ovs(struct sk_buff *skb, struct sw_flow_key *key)
{
	return filter_bytes(skb, (__u64)get(skb, data),
			    (get(key, mac_proto) & ~SW_FLOW_KEY_INVALID) != MAC_PROTO_ETHERNET);
}

/* At a generic point: false once it is known that the bytes are not wanted. Frames of other links than Ethernet, and
 * those that a tunnel is just at work on, are judged later. */
static __always_inline bool filter_seen(struct track *t, struct sk_buff *skb, struct net_device *dev, __u32 point)
{
	__u64 start = (__u64)get(skb, data);
	__u16 type = get(dev, type);

	if (t->filter || point == POINT_SKB_SCRUB_PACKET || (type != ARPHRD_ETHER && type != ARPHRD_LOOPBACK))
		return t->filter != FILTER_REFUSED;
	if (point == POINT_NETIF_RX || point == POINT_NETIF_RECEIVE_SKB) {
		__u16 mac_header = get(skb, mac_header);

		if (mac_header == (__u16)~0)
			return true;
		start = (__u64)get(skb, head) + mac_header;
	}
	t->filter = filter_bytes(skb, start, false) ? FILTER_WANTED : FILTER_REFUSED;
	return t->filter == FILTER_WANTED;
}

/* The datapath that a packet is in, while ovs_dp_process_packet has it. */
static __always_inline __u32 dp_of_packet(struct sk_buff *skb)
{
	struct ovs_skb_cb *cb = (void *)skb + bpf_core_field_offset(struct sk_buff, cb);

	return dp_number(BPF_CORE_READ(cb, input_vport, dp));
}

/* When a packet enters the datapath or comes back to it. t may be NULL: then nothing is remembered. */
static __always_inline bool filter_packet(struct track *t, struct sk_buff *skb, struct sw_flow_key *key)
{
	struct filter_cpu *f = this_filter();
	struct filter_fields *fields;

	if (!f)
		return true;
	f->undecided.packet = 0;
	if (!t) {
		if (!filter_bytes_in_ovs(skb, key))
			return false;
	} else {
		if (!t->filter)
			t->filter = filter_bytes_in_ovs(skb, key) ? FILTER_WANTED : FILTER_REFUSED;
		if (t->filter == FILTER_REFUSED)
			return false;
	}
	if (!filter_is_there(FILTER_PACKET))
		return true;
	fields = &f->undecided.fields;
	__builtin_memset(fields, 0, sizeof(*fields));
	fields->dp = dp_of_packet(skb);
	fields->in_port = get(key, phy.in_port);
	fields->recirc_id = get(key, recirc_id);
	fields->len = get(skb, len);
	if (fields_hold(FILTER_PACKET, fields))
		return true;
	if (t) {
		f->undecided.packet = t->packet;
		f->undecided.head = (__u64)get(skb, head);
		f->undecided.skb = (__u64)skb;
		f->undecided.hit = 0;
	}
	return false;
}

/* The packet's bytes at its lookup, whose program is given no packet: as emit_bytes. */
static __noinline int emit_bytes_of(struct sk_buff *skb, __u64 packet, __u64 ts)
{
	struct sk_buff___present *old = (void *)skb;
	struct wire_packet *e = reserve(struct wire_packet);
	__u32 captured;
	bool tagged;

	if (!e)
		return 0;
	fill_head(&e->head, WIRE_PACKET, ts, packet, 0);
	e->len = BPF_CORE_READ(skb, len);
	captured = e->len - BPF_CORE_READ(skb, data_len);
	if (captured > cfg_snaplen)
		captured = cfg_snaplen;
	if (captured > SNAPLEN_MAX)
		captured = SNAPLEN_MAX;
	if (bpf_probe_read_kernel(e->data, captured, BPF_CORE_READ(skb, data)))
		captured = 0;
	e->captured = captured;
	e->pad = 0;
	e->vlan_proto = BPF_CORE_READ(skb, vlan_proto);
	e->vlan_tci = BPF_CORE_READ(skb, vlan_tci);
	tagged = e->vlan_proto || e->vlan_tci;
	if (bpf_core_field_exists(old->vlan_present))
		tagged = BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
	if (!tagged)
		e->vlan_proto = e->vlan_tci = 0;
	submit(e);
	return 0;
}

/* At the lookup of a packet that was not wanted for what was known before: its flow is known now. Returns the packet's
 * name when it is recorded from here on. */
static __always_inline __u64 filter_lookup(struct sw_flow *flow, __u64 now, __u32 masks, __u32 cached)
{
	struct filter_cpu *f = this_filter();
	struct undecided *u;
	struct track *t;

	if (!f || !f->undecided.packet)
		return 0;
	u = &f->undecided;
	u->ts = now;
	u->flow = (__u64)flow;
	u->sf_acts = (__u64)get(flow, sf_acts);
	u->n_mask_hit = masks;
	u->n_cache_hit = cached;
	u->hit = 1;
	u->fields.ufid_len = get(flow, id.ufid_len);
	if (u->fields.ufid_len) {
		u->fields.ufid[0] = get(flow, id.ufid[0]);
		u->fields.ufid[1] = get(flow, id.ufid[1]);
		u->fields.ufid[2] = get(flow, id.ufid[2]);
		u->fields.ufid[3] = get(flow, id.ufid[3]);
	}
	if (!fields_hold(FILTER_LOOKUP, &u->fields))
		return 0;
	t = track_of(u->head);
	if (!t || t->packet != u->packet || t->state != TRACK_SEEN || t->left_out != TALLY_FILTERED_OUT)
		return 0;
	u->packet = 0;
	tally_add(TALLY_FILTERED_OUT, -1);
	t->left_out = 0;
	if (!packet_admitted(t, now))
		return 0;
	emit_pre_steps(t);
	emit_bytes_of((void *)u->skb, t->packet, now);
	return t->packet;
}

/* Whether the fields of an upcall are wanted. */
static __always_inline bool filter_upcall_fields(struct track *t, struct sk_buff *skb, struct sw_flow_key *key,
						 struct going_up *up)
{
	struct filter_cpu *f = this_filter();
	struct filter_fields *fields;

	if (!f || !filter_is_there(FILTER_UPCALL))
		return true;
	fields = &f->upcall;
	__builtin_memset(fields, 0, sizeof(*fields));
	/* Of the packet's last lookup, if it hit. */
	if (t && f->undecided.packet == t->packet && f->undecided.hit) {
		fields->ufid_len = f->undecided.fields.ufid_len;
		__builtin_memcpy(fields->ufid, f->undecided.fields.ufid, sizeof(fields->ufid));
	}
	fields->dp = up->dp;
	fields->in_port = up->in_port;
	fields->recirc_id = get(key, recirc_id);
	fields->cmd = up->cmd;
	fields->portid = up->portid;
	fields->len = get(skb, len);
	return fields_hold(FILTER_UPCALL, fields);
}

/* Whether an upcall is wanted whose packet is not recorded yet. */
static __always_inline bool filter_upcall(struct track *t, struct sk_buff *skb, struct sw_flow_key *key,
					  struct going_up *up, struct cpu_state *cpu)
{
	__u32 verdict = t ? t->filter : 0;

	if (!verdict)
		verdict = filter_bytes_in_ovs(skb, key) ? FILTER_WANTED : FILTER_REFUSED;
	if (t)
		t->filter = verdict;
	if (verdict == FILTER_WANTED && filter_upcall_fields(t, skb, key, up))
		return true;
	up->refused = verdict | (t ? t->left_out : 0) << 8;
	up->packet = t ? t->packet : next_id(&cpu->packets);
	tally(TALLY_UPCALLS_FILTERED_OUT);
	return false;
}

/* Before the upcall of a packet that is wanted for it alone: the lookup that was kept back. */
static __always_inline void filter_emit_hit(struct track *t)
{
	struct filter_cpu *f = this_filter();
	struct wire_lookup *e;
	struct undecided *u;

	if (!f || !f->undecided.hit || f->undecided.packet != t->packet)
		return;
	u = &f->undecided;
	u->packet = 0;
	e = reserve(struct wire_lookup);
	if (!e)
		return;
	fill_head(&e->head, WIRE_FLOW_LOOKUP, u->ts, t->packet, 0);
	e->flow = u->flow;
	e->sf_acts = u->sf_acts;
	e->ufid_len = u->fields.ufid_len;
	__builtin_memcpy(e->ufid, u->fields.ufid, sizeof(e->ufid));
	e->dp = u->fields.dp;
	e->in_port = u->fields.in_port;
	e->recirc_id = u->fields.recirc_id;
	e->n_mask_hit = u->n_mask_hit;
	e->n_cache_hit = u->n_cache_hit;
	submit(e);
}
