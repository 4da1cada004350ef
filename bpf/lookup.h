/* SPDX-License-Identifier: GPL-2.0 */
/* Flow lookups: the exact counters of hits and misses, and the lookup of each recorded packet. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64); /* struct flow_table * */
	__type(value, struct table_count);
} table_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_id);
	__type(value, struct flow_count);
} flow_counts SEC(".maps");

/* The datapath of a flow table that is not a part of it, from its first upcall on. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64); /* struct flow_table * */
	__type(value, __u32);
} table_dps SEC(".maps");

/* Older kernels have the table inside the datapath, newer ones point to it. */
struct datapath___pointer {
	struct flow_table *table;
} __attribute__((preserve_access_index));

static __always_inline bool table_is_embedded(void)
{
	/* A field of another kind is as good as none. */
	return !bpf_core_field_exists(((struct datapath___pointer *)0)->table);
}

static __always_inline void learn_table(struct datapath *dp, __u32 number)
{
	__u64 table;

	if (table_is_embedded())
		return;
	table = (__u64)BPF_CORE_READ((struct datapath___pointer *)dp, table);
	if (!bpf_map_lookup_elem(&table_dps, &table))
		bpf_map_update_elem(&table_dps, &table, &number, BPF_ANY);
}

static __always_inline __u32 dp_of_table(struct flow_table *table)
{
	__u64 key = (__u64)table;
	__u32 *known;

	if (table_is_embedded())
		return dp_number((void *)table - bpf_core_field_offset(struct datapath, table));
	known = bpf_map_lookup_elem(&table_dps, &key);
	return known ? *known : 0;
}

static __always_inline struct table_count *table_count_of(struct flow_table *table)
{
	__u64 key = (__u64)table;
	struct table_count *count = bpf_map_lookup_elem(&table_counts, &key);

	if (!count) {
		struct table_count zero = {};

		bpf_map_update_elem(&table_counts, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&table_counts, &key);
	}
	/* Each CPU has a value of its own and learns this for itself. */
	if (count && !count->dp)
		count->dp = dp_of_table(table);
	return count;
}

static __always_inline void count_hit(struct flow_table *table, struct sw_flow *flow)
{
	struct flow_id id = { .flow = (__u64)flow, .table = (__u64)table };
	struct flow_count *count;

	if (get(flow, id.ufid_len)) {
		id.ufid[0] = get(flow, id.ufid[0]);
		id.ufid[1] = get(flow, id.ufid[1]);
		id.ufid[2] = get(flow, id.ufid[2]);
		id.ufid[3] = get(flow, id.ufid[3]);
	}
	count = bpf_map_lookup_elem(&flow_counts, &id);
	if (count) {
		count->hits++;
		if (count->sf_acts != (__u64)get(flow, sf_acts)) {
			count->sf_acts = (__u64)get(flow, sf_acts);
			count->since = bpf_ktime_get_ns();
		}
	} else {
		struct flow_count first = {
			.hits = 1, .sf_acts = (__u64)get(flow, sf_acts), .since = bpf_ktime_get_ns(),
		};

		if (bpf_map_update_elem(&flow_counts, &id, &first, BPF_NOEXIST))
			tally(TALLY_FLOW_HITS_UNCOUNTED);
	}
}

/* Only while packets that are not upcalled are recorded. */
SEC("fentry/ovs_dp_process_packet")
int BPF_PROG(process_packet, struct sk_buff *skb, struct sw_flow_key *key)
{
	__u64 head = (__u64)get(skb, head), now;
	struct cpu_state *cpu = this_cpu();
	struct track *t;

	if (!cpu)
		return 0;
	cpu->now_packet = 0;
	cpu->left_out = 0;
	t = tracks_recorded || !packets_closed() ? track_of(head) : NULL;
	if (!t && packets_closed()) {
		if (!get(key, recirc_id)) {
			cpu->left_out = cfg_filter && !filter_packet(NULL, skb, key) ? TALLY_FILTERED_OUT : TALLY_OVER_BUDGET;
			tally(cpu->left_out);
		}
		return 0;
	}
	if (!t)
		t = track_new(head, next_id(&cpu->packets), TRACK_SEEN);
	if (!t)
		return 0;
	if (t->state == TRACK_SEEN) {
		bool filtered_out = cfg_filter && t->left_out == TALLY_FILTERED_OUT;

		if (cfg_filter && !filter_packet(t, skb, key)) {
			if (!get(key, recirc_id) && !filtered_out)
				track_leave_out(t, TALLY_FILTERED_OUT);
			return 0;
		}
		/* A recirculated packet was decided about on its first pass, but for what only this one shows. */
		if (get(key, recirc_id) && !filtered_out)
			return 0;
		if (filtered_out) {
			tally_add(TALLY_FILTERED_OUT, -1);
			t->left_out = 0;
		}
		now = bpf_ktime_get_ns();
		if (!packet_admitted(t, now))
			return 0;
		emit_pre_steps(t);
		emit_bytes(skb, t->packet, now);
	}
	cpu->now_packet = t->packet;
	return 0;
}

SEC("fexit/ovs_flow_tbl_lookup_stats")
int BPF_PROG(flow_lookup, struct flow_table *table, struct sw_flow_key *key, __u32 skb_hash, __u32 *n_mask_hit,
	     __u32 *n_cache_hit, struct sw_flow *flow)
{
	struct table_count *count = table_count_of(table);
	struct cpu_state *cpu;
	__u32 masks = 0, cached = 0;
	struct wire_lookup *e;
	__u64 now, packet;

	bpf_probe_read_kernel(&masks, sizeof(masks), n_mask_hit);
	bpf_probe_read_kernel(&cached, sizeof(cached), n_cache_hit);
	if (count) {
		count->mask_hits += masks;
		count->cache_hits += cached;
		if (flow)
			count->hits++;
		else
			count->misses++;
	}
	if (flow)
		count_hit(table, flow);

	/* What follows is for misses and for recorded packets alone. */
	if (flow && !cfg_generic)
		return 0;
	cpu = this_cpu();
	if (!cpu)
		return 0;
	packet = cpu->now_packet;
	cpu->now_packet = 0;
	now = bpf_ktime_get_ns();
	if (cfg_filter && flow && !packet)
		packet = filter_lookup(flow, now, masks, cached);
	if (!flow) {
		cpu->miss.ts = now;
		cpu->miss.n_mask_hit = masks;
		cpu->miss.n_cache_hit = cached;
		/* With an event already made, the upcall needs none. */
		cpu->miss.valid = !packet;
	}
	if (!packet)
		return 0;
	e = reserve(struct wire_lookup);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_FLOW_LOOKUP, now, packet, 0);
	e->flow = (__u64)flow;
	e->sf_acts = 0;
	e->ufid_len = 0;
	e->ufid[0] = e->ufid[1] = e->ufid[2] = e->ufid[3] = 0;
	if (flow) {
		e->sf_acts = (__u64)get(flow, sf_acts);
		e->ufid_len = get(flow, id.ufid_len);
		e->ufid[0] = get(flow, id.ufid[0]);
		e->ufid[1] = get(flow, id.ufid[1]);
		e->ufid[2] = get(flow, id.ufid[2]);
		e->ufid[3] = get(flow, id.ufid[3]);
	}
	e->dp = count ? count->dp : 0;
	e->in_port = get(key, phy.in_port);
	e->recirc_id = get(key, recirc_id);
	e->n_mask_hit = masks;
	e->n_cache_hit = cached;
	submit(e);
	return 0;
}
