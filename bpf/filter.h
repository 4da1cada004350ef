/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets and upcalls are recorded one by one: what -f says of a packet's bytes, and --where of OVS's fields.
 *
 * Both are classic BPF programs, run by interpret.h. The bytes are judged once, where a packet is first seen, and the
 * verdict stays with its track, so that no encapsulation or translation on its way changes it. The fields are judged at
 * each lookup that hit, at each upcall and, where they have the reason, at each drop; a packet that is wanted at one is
 * recorded from there on, with its steps before. What is left out is counted; counters and ties are those of all packets. */

static __always_inline bool filter_bytes(struct sk_buff *skb, __u64 start, bool bare)
{
	struct filter_frame frame = { .start = start, .bare = bare };
	__u64 data = address_of(skb, data);

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

/* Whether a packet came in by a port whose packets have no Ethernet header. */
static __always_inline bool is_bare(struct sw_flow_key *key)
{
	return (get(key, mac_proto) & ~SW_FLOW_KEY_INVALID) != MAC_PROTO_ETHERNET;
}

/* At OVS's hooks skb->data is at the Ethernet header, or where it should be. */
static __always_inline bool filter_bytes_in_ovs(struct track *t, struct sk_buff *skb, bool bare)
{
	__u32 verdict = t ? t->filter : 0;

	if (!verdict)
		verdict = filter_bytes(skb, address_of(skb, data), bare) ? FILTER_WANTED : FILTER_REFUSED;
	if (t)
		t->filter = verdict;
	return verdict == FILTER_WANTED;
}

/* At a generic point: false once it is known that the bytes are not wanted. Frames of other links than Ethernet, and
 * those that a tunnel is just at work on, are judged later. */
static __always_inline bool filter_seen(struct track *t, struct sk_buff *skb, struct net_device *dev, __u32 point)
{
	__u16 type = get(dev, type);
	__u64 start;

	if (t->filter || point == POINT_SKB_SCRUB_PACKET || (type != ARPHRD_ETHER && type != ARPHRD_LOOPBACK))
		return t->filter != FILTER_REFUSED;
	if (point == POINT_NETIF_RX || point == POINT_NETIF_RECEIVE_SKB) {
		__u16 mac_header = get(skb, mac_header);

		if (mac_header == (__u16)~0)
			return true;
		start = address_of(skb, head) + mac_header;
	} else {
		start = address_of(skb, data);
	}
	t->filter = filter_bytes(skb, start, false) ? FILTER_WANTED : FILTER_REFUSED;
	return t->filter == FILTER_WANTED;
}

/* Whether a packet that hit a flow is wanted. t may be NULL: then nothing is remembered. */
static __always_inline bool filter_hit(struct track *t, struct cpu_state *cpu, struct sk_buff *skb,
				       struct flow_slot *slot)
{
	struct filter_cpu *f = this_filter();
	struct filter_fields *fields;

	if (!f)
		return true;
	f->hit.packet = 0;
	if (!filter_bytes_in_ovs(t, skb, cpu->lookup.bare))
		return false;
	if (!filter_is_there(FILTER_LOOKUP))
		return true;
	fields = &f->hit.fields;
	__builtin_memset(fields, 0, sizeof(*fields));
	fields->dp = slot->dp;
	fields->in_port = cpu->lookup.in_port;
	fields->recirc_id = cpu->lookup.recirc_id;
	fields->len = get(skb, len);
	fields->ufid_len = slot->ufid_len;
	if (slot->ufid_len)
		__builtin_memcpy(fields->ufid, slot->ufid, sizeof(fields->ufid));
	if (fields_hold(FILTER_OF_OVS, FILTER_LOOKUP, fields))
		return true;
	if (t)
		f->hit.packet = t->packet;
	return false;
}

/* Whether a packet that is not recorded may be when it is dropped: only one that came through OVS. */
static __always_inline bool is_held(struct track *t)
{
	return t->in_ovs && t->state == TRACK_SEEN && t->filter == FILTER_WANTED &&
	       (!t->left_out || t->left_out == TALLY_FILTERED_OUT) && filter_drops();
}

/* No new tracks for a while: but those that are held back are made whatever the budget is, for a drop is what decides. */
static __always_inline bool tracks_closed(void)
{
	return packets_closed() && !filter_drops();
}

/* Whether the fields of an upcall are wanted. */
static __always_inline bool filter_upcall_fields(struct track *t, struct sk_buff *skb, struct sw_flow_key *key,
						 struct going_up *up)
{
	struct filter_cpu *f = this_filter();
	struct filter_fields *fields;

	if (!f || !filter_is_there(FILTER_UPCALL))
		return true;
	fields = &f->fields;
	__builtin_memset(fields, 0, sizeof(*fields));
	/* Of the packet's last lookup, if it hit. */
	if (t && f->hit.packet == t->packet) {
		fields->ufid_len = f->hit.fields.ufid_len;
		__builtin_memcpy(fields->ufid, f->hit.fields.ufid, sizeof(fields->ufid));
	}
	f->hit.packet = 0;
	fields->dp = up->dp;
	fields->in_port = up->in_port;
	fields->recirc_id = get(key, recirc_id);
	fields->cmd = up->cmd;
	fields->portid = up->portid;
	fields->len = get(skb, len);
	return fields_hold(FILTER_OF_OVS, FILTER_UPCALL, fields);
}

/* Whether an upcall is wanted whose packet is not recorded yet. */
static __always_inline bool filter_upcall(struct track *t, struct sk_buff *skb, struct sw_flow_key *key,
					  struct going_up *up, struct cpu_state *cpu)
{
	bool bytes;

	if (t)
		t->in_ovs = 1;
	bytes = filter_bytes_in_ovs(t, skb, is_bare(key));
	if (bytes && filter_upcall_fields(t, skb, key, up))
		return true;
	up->refused = (bytes ? FILTER_WANTED : FILTER_REFUSED) | (t ? t->left_out : 0) << 8;
	up->packet = t ? t->packet : next_id(&cpu->packets);
	tally(TALLY_UPCALLS_FILTERED_OUT);
	return false;
}
