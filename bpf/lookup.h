/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flow lookups: the exact counters of hits, and the lookup of each recorded packet.
 *
 * A hit is seen where the kernel counts it itself, in ovs_flow_stats_update: flow and packet are both at hand there.
 * Each CPU counts the flows that are hit in lines of its own; a flow that is not in its place takes it over, and what
 * was there goes to the maps. A miss is counted with its upcall (upcall.h). */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, struct table_key);
	__type(value, struct table_count);
} table_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_id);
	__type(value, struct flow_count);
} flow_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_LINES);
	__type(key, __u32);
	__type(value, struct flow_line);
} flow_lines SEC(".maps");

/* The key of a packet in work: struct ovs_skb_cb in skb->cb. */
struct ovs_skb_cb {
	struct vport *input_vport;
} __attribute__((preserve_access_index));

/* Older kernels have the table inside the datapath, newer ones point to it. */
struct datapath___pointer {
	struct flow_table *table;
} __attribute__((preserve_access_index));

static __always_inline __u64 table_of(struct datapath *dp)
{
	/* A field of another kind is as good as none. */
	if (bpf_core_field_exists(((struct datapath___pointer *)0)->table))
		return (__u64)BPF_CORE_READ((struct datapath___pointer *)dp, table);
	return (__u64)dp + bpf_core_field_offset(struct datapath, table);
}

static __always_inline struct table_count *table_count_of(__u64 table, __u32 dp)
{
	struct table_key key = { .table = table, .dp = dp };
	struct table_count *count = bpf_map_lookup_elem(&table_counts, &key);

	if (!count) {
		struct table_count zero = {};

		bpf_map_update_elem(&table_counts, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&table_counts, &key);
		if (!count) {
			tally(TALLY_MISSED);
			return NULL;
		}
	}
	return count;
}

static __always_inline void count_miss(struct datapath *dp, __u32 number)
{
	struct table_count *count = table_count_of(table_of(dp), number);

	if (count)
		count->misses++;
}

/* What a slot counted goes to the maps, where it is added to what other slots and times did. */
__noinline int slot_empty(struct flow_slot *slot)
{
	struct table_count *table;
	struct flow_count *count;
	struct flow_id id = {};

	if (!slot || !slot->flow)
		return 0;
	id.flow = slot->flow;
	id.table = slot->table;
	if (slot->ufid_len) {
		id.ufid[0] = slot->ufid[0];
		id.ufid[1] = slot->ufid[1];
	}
	table = table_count_of(slot->table, slot->dp);
	if (table)
		table->hits += slot->hits;
	count = bpf_map_lookup_elem(&flow_counts, &id);
	if (count) {
		count->hits += slot->hits;
		count->bytes += slot->bytes;
		count->sf_acts = slot->sf_acts;
		count->since = slot->since;
	} else {
		struct flow_count first = {
			.hits = slot->hits, .bytes = slot->bytes, .sf_acts = slot->sf_acts, .since = slot->since,
		};

		if (bpf_map_update_elem(&flow_counts, &id, &first, BPF_NOEXIST))
			tally_add(TALLY_FLOW_HITS_UNCOUNTED, slot->hits);
	}
	slot->flow = 0;
	return 0;
}

/* A flow that this CPU has not counted lately. */
static __noinline int slot_take(struct flow_slot *slot, struct sw_flow *flow, struct sk_buff *skb)
{
	struct cpu_state *cpu = this_cpu();
	struct datapath *dp;
	struct vport *vport;

	if (!slot || !cpu)
		return 0;
	slot_empty(slot);
	bpf_core_read(&vport, sizeof(vport), &((struct ovs_skb_cb *)skb->cb)->input_vport);
	dp = BPF_CORE_READ(vport, dp);
	slot->hits = slot->bytes = 0;
	slot->table = table_of(dp);
	slot->dp = dp_number(cpu, dp);
	/* Of a flow that is known by its key these are other bytes, which tell it apart as well. */
	bpf_core_read(slot->ufid, sizeof(slot->ufid), &flow->id.ufid);
	slot->ufid_len = BPF_CORE_READ(flow, id.ufid_len);
	slot->sf_acts = (__u64)BPF_CORE_READ(flow, sf_acts);
	slot->since = bpf_ktime_get_ns();
	slot->number = 0;
	slot->flow = (__u64)flow;
	return 0;
}

/* The address alone may be a later flow's. */
static __always_inline bool slot_is(struct flow_slot *slot, struct sw_flow *flow, __u64 *ufid)
{
	return slot->flow == (__u64)flow && slot->ufid[0] == ufid[0] && slot->ufid[1] == ufid[1];
}

/* The flow's slot on this CPU: one of two places. */
static __always_inline struct flow_slot *slot_of(struct sw_flow *flow, struct sk_buff *skb)
{
	struct flow_slot *slot, *other;
	struct flow_line *line;
	__u32 which, at;
	__u64 ufid[2];

	/* A UFID's bits are random; a flow without one has its key's address there, whose low bits are not. */
	get_words(ufid, flow, id.ufid);
	at = (ufid[0] >> 6) & (FLOW_SLOTS - 1);
	which = (ufid[0] >> 11) & (FLOW_LINES - 1);
	line = bpf_map_lookup_elem(&flow_lines, &which);
	if (!line)
		return NULL;
	slot = &line->slots[at];
	if (slot_is(slot, flow, ufid))
		return slot;
	other = &line->slots[at ^ 1];
	if (slot_is(other, flow, ufid))
		return other;
	/* The one that is free, or was taken earlier. */
	if (slot->flow && (!other->flow || other->since < slot->since))
		slot = other;
	slot_take(slot, flow, skb);
	return slot;
}

/* What the flow's hits are told by. */
__noinline __u32 tell_flow(struct flow_slot *slot)
{
	struct cpu_state *cpu = this_cpu();
	struct wire_flow *e;

	if (!slot || !cpu)
		return 0;
	e = reserve(struct wire_flow);
	if (!e)
		return 0;
	e->kind = WIRE_FLOW;
	e->number = slot->number = next_number(&cpu->named.given);
	e->flow = slot->flow;
	e->sf_acts = slot->sf_acts;
	e->ufid_len = slot->ufid_len;
	e->ufid[0] = slot->ufid[0];
	e->ufid[1] = slot->ufid[1];
	e->dp = slot->dp;
	e->pad = 0;
	submit(e);
	return slot->number;
}

/* Whether this packet, which hit a flow, is recorded: decided on its first pass, but for what --where asks of each. */
static __always_inline struct track *hit_track(struct cpu_state *cpu, struct sk_buff *skb, struct flow_slot *slot,
					       __u64 now)
{
	bool first = !cpu->lookup.recirc_id;
	__u64 head = (__u64)get(skb, head);
	struct named *n = &cpu->named;
	struct track *t;

	t = tracks_recorded || !tracks_closed() ? track_of(head) : NULL;
	if (t && t->state == TRACK_RECORDED)
		return t;
	/* A recirculated packet was decided about on its first pass. */
	if (!first && !(cfg_filter && t))
		return NULL;
	if (!cfg_generic)
		return NULL;
	if (!t && tracks_closed()) {
		cpu->left_out = TALLY_OVER_BUDGET;
		if (cfg_filter && !filter_hit(NULL, cpu, skb, slot))
			cpu->left_out = TALLY_FILTERED_OUT;
		tally(cpu->left_out);
		return NULL;
	}
	if (!t)
		t = track_new(head, now, next_id(&cpu->packets), TRACK_SEEN);
	if (!t)
		return NULL;
	t->in_ovs = 1;
	if (cfg_filter) {
		bool filtered_out = t->left_out == TALLY_FILTERED_OUT;

		if (!filter_hit(t, cpu, skb, slot)) {
			if (first && !t->left_out)
				track_leave_out(t, TALLY_FILTERED_OUT);
			/* An upcall or a drop of it may be wanted: then it is told that it hit. */
			return t->filter == FILTER_WANTED ? t : NULL;
		}
		if (!first && !filtered_out)
			return NULL;
		if (filtered_out) {
			tally_add(TALLY_FILTERED_OUT, -1);
			t->left_out = 0;
		}
	}
	if (t->left_out)
		return NULL;
	if (cfg_sample > 1 && bpf_get_prandom_u32() % cfg_sample) {
		track_leave_out(t, TALLY_NOT_SAMPLED);
		return NULL;
	}
	if (!budget_take(now, PACKET_COST, BUDGET_PACKETS)) {
		packets_close();
		track_leave_out(t, TALLY_OVER_BUDGET);
		return NULL;
	}
	track_record(t);
	named_now(n);
	track_bytes(t, skb, address_of(skb, data), now, task_number(n));
	return t;
}

/* One step of a lookup: the flow's number, 0 on a miss, and what the kernel counted for it. */
static __always_inline struct wire_step lookup_fill(struct dp_place *place, struct cpu_state *cpu, __u32 dp,
						    __u32 flow)
{
	struct wire_step step = { .cpu = bpf_get_smp_processor_id(), .what = STEP_LOOKUP, .a = flow };
	__u32 counts[2];

	named_now(&cpu->named);
	step.task = task_number(&cpu->named);
	/* In the frame of ovs_dp_process_packet, which is at work: side by side, as a rule. */
	if (cpu->lookup.n_cache_hit - cpu->lookup.n_mask_hit == sizeof(__u32)) {
		read_words(counts, (void *)cpu->lookup.n_mask_hit, 2);
		step.b = counts[0];
		step.c = counts[1];
	} else {
		read_words(counts, (void *)cpu->lookup.n_mask_hit, 1);
		step.b = counts[0];
		read_words(counts, (void *)cpu->lookup.n_cache_hit, 1);
		step.c = counts[0];
	}
	place->dp = dp;
	place->in_port = cpu->lookup.in_port;
	place->recirc_id = cpu->lookup.recirc_id;
	return step;
}

static __always_inline void lookup_step(struct track *t, struct cpu_state *cpu, __u64 ts, __u32 dp, __u32 flow)
{
	struct dp_place place;
	struct wire_step step = lookup_fill(&place, cpu, dp, flow);

	track_step(t, ts, step, &place);
}

ENTRY(ovs_flow_tbl_lookup_stats, flow_lookup, struct flow_table *table, struct sw_flow_key *key, __u32 skb_hash,
      __u32 *n_mask_hit, __u32 *n_cache_hit)
{
	struct cpu_state *cpu = this_cpu();

	if (!cpu)
		return 0;
	cpu->lookup.ts = bpf_ktime_get_ns();
	cpu->lookup.n_mask_hit = (__u64)n_mask_hit;
	cpu->lookup.n_cache_hit = (__u64)n_cache_hit;
	cpu->lookup.in_port = get(key, phy.in_port);
	cpu->lookup.recirc_id = get(key, recirc_id);
	if (cfg_filter)
		cpu->lookup.bare = is_bare(key);
	if (!cpu->lookup.recirc_id)
		cpu->left_out = 0;
	return 0;
}

ENTRY(ovs_flow_stats_update, flow_hit, struct sw_flow *flow, __be16 tcp_flags, struct sk_buff *skb)
{
	struct flow_slot *slot = slot_of(flow, skb);
	struct cpu_state *cpu;
	struct track *t;

	if (!slot) {
		tally(TALLY_MISSED);
		return 0;
	}
	slot->hits++;
	slot->bytes += get(skb, len) + (has_vlan_tag(skb) ? VLAN_HLEN : 0);
	if (slot->sf_acts != (__u64)get(flow, sf_acts)) {
		slot->sf_acts = (__u64)get(flow, sf_acts);
		slot->since = bpf_ktime_get_ns();
		slot->number = 0;
	}
	if (!cfg_follow || (!cfg_generic && !tracks_recorded))
		return 0;
	cpu = this_cpu();
	if (!cpu || !cpu->lookup.ts)
		return 0;
	t = hit_track(cpu, skb, slot, cpu->lookup.ts);
	if (t)
		lookup_step(t, cpu, cpu->lookup.ts, slot->dp, slot->number ?: tell_flow(slot));
	cpu->lookup.ts = 0;
	return 0;
}
