/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What handlers and others do to the datapath: flows put and deleted, packets given back.
 *
 * A put carries the key of its upcall to the byte, an execute its packet and the kernel's hash: each is tied to the
 * first message of the thread's batch that has the same and was not answered so yet, which is the order the handler
 * works in. */

/* A generic netlink command of OVS's in progress, by thread. */
struct op {
	__u64 ts;
	__u64 upcall;
	__u64 packet;
	__u64 queue_id;
	__u64 batch_ts;
	__u64 head; /* of the re-injected packet's buffer */
	__u64 begun; /* of its upcall, as in struct message */
	__u32 batch_idx;
	__u32 len;
	__u32 tied;
	__u32 recorded;
	__u32 seq;  /* of its netlink message, by which a twin knows it */
	__u32 done; /* its end was seen */
	__u32 first; /* it answers its upcall's first message */
	__u32 refused; /* as in struct message */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct op);
} ops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct op_outcome);
	__type(value, __u64);
} op_counts SEC(".maps");

static __always_inline struct nlattr *attribute(struct genl_info *info, __u32 which, __u32 *len)
{
	struct nlattr *nla = NULL;

	*len = 0;
	bpf_probe_read_kernel(&nla, sizeof(nla), &get(info, attrs)[which]);
	if (nla) {
		*len = BPF_CORE_READ(nla, nla_len);
		*len = *len < NLA_HDRLEN ? 0 : *len - NLA_HDRLEN;
	}
	return nla;
}

/* The thread's command in progress, if it is this one. */
static __always_inline struct op *op_of(struct genl_info *info)
{
	__u32 tid = this_tid();
	struct op *op = bpf_map_lookup_elem(&ops, &tid);

	return op && op->seq == get(info, snd_seq) ? op : NULL;
}

static __always_inline bool op_is_begun(struct genl_info *info)
{
	struct op *op = op_of(info);

	return op && !op->done;
}

static __always_inline void op_begin(struct op *op, struct genl_info *info)
{
	__u32 tid = this_tid();

	op->seq = get(info, snd_seq);
	if (!op->ts)
		op->ts = bpf_ktime_get_ns();
	bpf_map_update_elem(&ops, &tid, op, BPF_ANY);
}

/* At its end: counts it, once for both twins, and gives what is known of it; NULL where its begin was not seen, or the
 * other twin has done all. */
static __always_inline struct op *op_end(unsigned long long *ctx, struct genl_info *info, __u32 which, __s32 *ret)
{
	struct op_outcome outcome = { .op = which };
	struct op *op = op_of(info), unseen = { .done = 1 };
	__u32 tid = this_tid();

	if (op && op->done) {
		bpf_map_delete_elem(&ops, &tid);
		return NULL;
	}
	*ret = outcome.ret = returned(ctx);
	count_outcome(&op_counts, &outcome);
	if (!op) {
		tally(TALLY_MISSED);
		op_begin(&unseen, info);
		return NULL;
	}
	op->done = 1;
	return op;
}

/* The flow's UFID. Gives its length, 0 where the command names none. */
static __always_inline __u32 copy_ufid(struct genl_info *info, __u32 *to)
{
	__u32 len;
	struct nlattr *ufid = attribute(info, OVS_FLOW_ATTR_UFID, &len);

	to[0] = to[1] = to[2] = to[3] = 0;
	return ufid && len == 16 && !bpf_probe_read_kernel(to, 16, (void *)ufid + NLA_HDRLEN) ? len : 0;
}

static __always_inline __u32 datapath_of(struct genl_info *info)
{
	__u32 dp = 0;

	bpf_probe_read_kernel(&dp, sizeof(dp), (void *)get(info, genlhdr) + GENL_HDRLEN);
	return dp;
}

static __always_inline void op_emit(struct op *op, __u32 kind, struct genl_info *info, __u32 set, __s32 ret)
{
	__u64 now = bpf_ktime_get_ns();
	struct wire_op *e;

	/* What answers no upcall that was paid for pays for itself. */
	if (op->tied ? !op->recorded : !budget_take(now, 1, BUDGET_UPCALLS))
		return;
	e = reserve(struct wire_op);
	if (!e)
		return;
	fill_head(&e->head, kind, op->ts, op->packet, op->upcall);
	e->queue_id = op->queue_id;
	e->took_ns = now - op->ts;
	e->batch_ts = op->batch_ts;
	e->batch_idx = op->batch_idx;
	e->ret = ret;
	e->set = set;
	e->len = op->len;
	e->dp = datapath_of(info);
	e->ufid_len = 0;
	e->ufid[0] = e->ufid[1] = e->ufid[2] = e->ufid[3] = 0;
	if (kind != WIRE_FLOW_EXEC)
		e->ufid_len = copy_ufid(info, e->ufid);
	submit(e);
}

static __always_inline void op_tie(struct op *op, struct handler *h, struct message *m, __u32 at, __u32 answer)
{
	__u32 answers = m->answered & (ANSWER_PUT | ANSWER_EXEC);

	op->tied = 1;
	op->recorded = m->recorded;
	op->refused = m->refused;
	op->upcall = m->upcall;
	op->packet = m->packet;
	op->queue_id = m->queue_id;
	op->batch_ts = h->batch_ts;
	op->batch_idx = at;
	op->begun = m->begun;
	op->first = !m->index;
	/* The first thing that the handler did about it, whichever it was. */
	if (op->first && answers == answer)
		stage_between(STAGE_TRANSLATE, m->received, op->ts);
}

struct tie_walk {
	struct op *op;
	struct handler *h;
	struct message *like;
	__u32 other;
	__u32 has_hash;
	__u32 answer; /* enum answer */
	__u64 newest; /* receive of the thread */
};

/* What was received so long before the newest will not be answered: action upcalls mostly are answered by nothing, and
 * stay. By the receives and not by the clock: a handler that is held up answers late, however long that is. */
#define ANSWER_NS 10000000000ULL

static __always_inline __u64 newest_receive(struct handler *h)
{
	__u32 at = h->count - 1;

	barrier_var(at);
	return at < BATCH ? h->messages[at].received : 0;
}

static long tie_put_to(__u32 i, struct tie_walk *walk)
{
	struct handler *h = walk->h;
	struct message *m;

	if (i >= BATCH || i >= h->count)
		return 1;
	m = &h->messages[i];
	/* Flows are put for misses alone (should_install_flow in OVS). */
	if ((m->answered & walk->answer) || m->cmd != 1 || m->received + ANSWER_NS < walk->newest ||
	    m->key_len != walk->like->key_len || !same_digest(&m->key, &walk->like->key))
		return 0;
	m->answered |= walk->answer;
	op_tie(walk->op, h, m, i, walk->answer);
	return 1;
}

static long tie_exec_to(__u32 i, struct tie_walk *walk)
{
	struct handler *h = walk->h;
	struct message *m, *like = walk->like;

	if (i >= BATCH || i >= h->count)
		return 1;
	m = &h->messages[i];
	if ((m->answered & walk->answer) || m->received + ANSWER_NS < walk->newest || m->pkt_len != like->pkt_len ||
	    (walk->has_hash && m->skb_hash != like->skb_hash) || !m->digested)
		return 0;
	if (m->digested != like->digested) {
		if (!walk->other)
			walk->other = m->digested;
		return 0;
	}
	if (!same_digest(&m->bytes, &like->bytes))
		return 0;
	m->answered |= walk->answer;
	op_tie(walk->op, h, m, i, walk->answer);
	return 1;
}

/* To the first message with this length and hash whose digest is of as many bytes and equal. Where there is none, says
 * how many bytes the first one with this length and hash was digested over, to try again with; else 0. */
static __always_inline __u32 exec_tied_to(struct op *op, struct handler *h, struct message *like, bool has_hash,
					  __u32 answer)
{
	struct tie_walk walk = { .op = op, .h = h, .like = like, .has_hash = has_hash, .answer = answer };

	if (!op || !h || !like)
		return 0;
	walk.newest = newest_receive(h);
	bpf_loop(BATCH, tie_exec_to, &walk, 0);
	return op->tied ? 0 : walk.other;
}

__noinline __u32 tie_exec(struct op *op, struct handler *h, struct message *like, bool has_hash, __u32 answer)
{
	return exec_tied_to(op, h, like, has_hash, answer);
}

/* What new flows match is told of so many in a window and counted of the rest: it is for figures over many of them. */
#define SHAPES_IN_WINDOW 20
__u64 shapes_window;
__u64 shapes_told;
__u64 shapes_left_out;

static __always_inline __u32 copy_attribute(struct genl_info *info, __u32 which, __u8 *to)
{
	__u32 len;
	struct nlattr *nla = attribute(info, which, &len);

	if (!nla || len > FLOW_KEY_MAX || bpf_probe_read_kernel(to, len, (void *)nla + NLA_HDRLEN))
		return 0;
	return len;
}

static __noinline int shape_emit(struct op *op, struct genl_info *info)
{
	struct wire_flow_shape *e;
	__u32 key_len, mask_len;
	__u64 window;

	if (!op || !info)
		return 0;
	window = op->ts / WINDOW_NS;
	if (shapes_window != window) {
		shapes_window = window;
		shapes_told = 0;
	}
	attribute(info, OVS_FLOW_ATTR_KEY, &key_len);
	attribute(info, OVS_FLOW_ATTR_MASK, &mask_len);
	if (shapes_told >= SHAPES_IN_WINDOW || (op->tied && !op->recorded) || !key_len || key_len > FLOW_KEY_MAX || mask_len > FLOW_KEY_MAX) {
		__sync_fetch_and_add(&shapes_left_out, 1);
		return 0;
	}
	__sync_fetch_and_add(&shapes_told, 1);
	e = reserve(struct wire_flow_shape);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_FLOW_SHAPE, op->ts, 0, 0);
	e->left_out = shapes_left_out;
	e->dp = datapath_of(info);
	e->ufid_len = copy_ufid(info, e->ufid);
	e->key_len = copy_attribute(info, OVS_FLOW_ATTR_KEY, e->key);
	e->mask_len = copy_attribute(info, OVS_FLOW_ATTR_MASK, e->mask);
	attribute(info, OVS_FLOW_ATTR_ACTIONS, &e->actions_len);
	e->pad = 0;
	submit(e);
	return 0;
}

static __always_inline int flow_op_begin(struct genl_info *info)
{
	struct op op = {};

	if (!op_is_begun(info))
		op_begin(&op, info);
	return 0;
}

static __always_inline int flow_op_end(unsigned long long *ctx, struct genl_info *info, __u32 kind, __u32 set)
{
	__u32 tid = this_tid(), len;
	struct message like = {};
	struct handler *h;
	struct nlattr *key;
	struct op *op;
	__s32 ret = 0;

	op = op_end(ctx, info, kind == WIRE_FLOW_DEL ? OP_DEL : OP_PUT, &ret);
	if (!op)
		return 0;
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h && kind == WIRE_FLOW_PUT) {
		h->acted = 1;
		key = attribute(info, OVS_FLOW_ATTR_KEY, &len);
		if (key && !digest(&h->buf, (__u64)((void *)key + NLA_HDRLEN), len, &like.key)) {
			struct tie_walk walk = { .op = op, .h = h, .like = &like, .answer = ANSWER_PUT };

			walk.newest = newest_receive(h);
			like.key_len = len;
			bpf_loop(BATCH, tie_put_to, &walk, 0);
		}
	}
	if (op->first)
		stage_between(STAGE_PUT, op->ts, bpf_ktime_get_ns());
	op_emit(op, kind, info, set, ret);
	if (kind == WIRE_FLOW_PUT && !set && !ret)
		shape_emit(op, info);
	return 0;
}

TWINS_ENTRY(ovs_flow_cmd_new, flow_new_entry, flow_op_begin(info), struct sk_buff *skb, struct genl_info *info)
TWINS_ENTRY(ovs_flow_cmd_set, flow_set_entry, flow_op_begin(info), struct sk_buff *skb, struct genl_info *info)
TWINS_ENTRY(ovs_flow_cmd_del, flow_del_entry, flow_op_begin(info), struct sk_buff *skb, struct genl_info *info)
TWINS_EXIT(ovs_flow_cmd_new, flow_new_exit, flow_op_end(ctx, info, WIRE_FLOW_PUT, 0), struct sk_buff *skb,
      struct genl_info *info)
TWINS_EXIT(ovs_flow_cmd_set, flow_set_exit, flow_op_end(ctx, info, WIRE_FLOW_PUT, 1), struct sk_buff *skb,
      struct genl_info *info)
TWINS_EXIT(ovs_flow_cmd_del, flow_del_exit, flow_op_end(ctx, info, WIRE_FLOW_DEL, 0), struct sk_buff *skb,
      struct genl_info *info)

static __always_inline int execute_begin(struct genl_info *info)
{
	struct message like = {};
	__u32 tid = this_tid(), len, hash_len, other;
	struct nlattr *bytes, *hash;
	struct op op = {};
	struct handler *h;

	if (op_is_begun(info))
		return 0;
	bytes = attribute(info, OVS_PACKET_ATTR_PACKET, &len);
	if (!bytes)
		return 0;
	op.len = len;
	op.ts = bpf_ktime_get_ns();
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h) {
		h->acted = 1;
		like.pkt_len = len;
		like.digested = len < DIGEST_MAX ? len : DIGEST_MAX;
		hash = attribute(info, OVS_PACKET_ATTR_HASH, &hash_len);
		if (hash)
			bpf_probe_read_kernel(&like.skb_hash, sizeof(like.skb_hash), (void *)hash + NLA_HDRLEN);
		if (!digest(&h->buf, (__u64)((void *)bytes + NLA_HDRLEN), like.digested, &like.bytes)) {
			other = tie_exec(&op, h, &like, hash, ANSWER_EXEC);
			if (other) {
				like.digested = other;
				if (!digest(&h->buf, (__u64)((void *)bytes + NLA_HDRLEN), other, &like.bytes))
					tie_exec(&op, h, &like, hash, ANSWER_EXEC);
			}
		}
	}
	op_begin(&op, info);
	return 0;
}

TWINS_ENTRY(ovs_packet_cmd_execute, exec_entry, execute_begin(info), struct sk_buff *skb, struct genl_info *info)

/* Called by ovs_packet_cmd_execute alone, on the packet it has just made: from here on it is the one that went up. */
static __always_inline int reinject(struct sk_buff *skb)
{
	__u64 head = (__u64)get(skb, head);
	__u32 tid = this_tid();
	struct track *t;
	struct op *op;

	op = bpf_map_lookup_elem(&ops, &tid);
	if (!op || op->done || op->head == head || !(op->recorded || (cfg_filter && cfg_generic && op->refused)))
		return 0;
	track_forget(head);
	t = track_new(head, bpf_ktime_get_ns(), op->packet, op->recorded ? TRACK_RECORDED : TRACK_SEEN);
	if (!t)
		return 0;
	if (!op->recorded) {
		/* It has been judged. */
		t->in_ovs = 1;
		t->filter = op->refused & 0xff;
		t->left_out = op->refused >> 8;
		op->head = head;
		return 0;
	}
	t->upcall = op->upcall;
	t->queue_id = op->queue_id;
	op->head = head;
	return 0;
}

TWINS_ENTRY(ovs_flow_key_extract_userspace, reinjected, reinject(skb), struct net *net, void *attr,
      struct sk_buff *skb)

static __always_inline int execute_end(unsigned long long *ctx, struct genl_info *info)
{
	struct op *op;
	__s32 ret = 0;

	op = op_end(ctx, info, OP_EXEC, &ret);
	if (!op)
		return 0;
	if (op->first) {
		__u64 now = bpf_ktime_get_ns();

		stage_between(STAGE_EXECUTE, op->ts, now);
		stage_between(STAGE_WHOLE, op->begun, now);
	}
	op_emit(op, WIRE_FLOW_EXEC, info, 0, ret);
	/* With nothing attached to what frees packets, the name ends with the call. */
	if (op->head && !cfg_generic) {
		struct track *t = track_of(op->head);

		/* The buffer may be free and another's by now. */
		if (t && t->queue_id == op->queue_id)
			track_forget(op->head);
	}
	return 0;
}

TWINS_EXIT(ovs_packet_cmd_execute, exec_exit, execute_end(ctx, info), struct sk_buff *skb, struct genl_info *info)
