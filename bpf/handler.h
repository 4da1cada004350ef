/* SPDX-License-Identifier: GPL-2.0 */
/* Upcalls in the handler's hands: received, then answered by puts and executes in the same thread.
 *
 * A handler receives up to 64 messages before it acts on them (recv_upcalls, handle_upcalls in OVS). A put carries the
 * key of its upcall to the byte, an execute its packet and the kernel's hash: each is tied to the first message of the
 * thread's batch that has the same and was not answered so yet, which is the order the handler works in. */

struct handler {
	__u64 batch_ts;
	__u32 count;
	__u32 acted; /* the batch has been acted on: the next receive begins another */
	struct message messages[BATCH];
	struct digest_buf buf;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32); /* thread id */
	__type(value, struct handler);
} handlers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct handler);
} new_handler SEC(".maps"); /* stays zero */

/* A generic netlink command of OVS's in progress, by thread. */
struct op {
	__u64 ts;
	__u64 upcall;
	__u64 packet;
	__u64 queue_id;
	__u64 batch_ts;
	__u64 head; /* of the re-injected packet's buffer */
	__u32 batch_idx;
	__u32 len;
	__u32 tied;
	__u32 recorded;
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

static __always_inline __u32 this_tid(void)
{
	return bpf_get_current_pid_tgid();
}

SEC("fexit/skb_recv_datagram")
int BPF_PROG(upcall_recv, struct sock *sk, unsigned int flags, int *err, struct sk_buff *skb)
{
	__u64 key = (__u64)skb, now;
	__u32 tid, at, zero = 0;
	struct in_flight *in;
	struct handler *h;
	struct wire_recv *e;
	struct message *m;

	if (!skb || (flags & MSG_PEEK) || sk->__sk_common.skc_family != AF_NETLINK ||
	    sk->sk_protocol != NETLINK_GENERIC)
		return 0;
	in = bpf_map_lookup_elem(&in_flights, &key);
	if (!in)
		return 0;
	/* A message that was freed unread, with its socket, leaves its entry behind: its address may be another's now. */
	if (in->portid != BPF_CORE_READ((struct netlink_sock *)sk, portid)) {
		bpf_map_delete_elem(&in_flights, &key);
		return 0;
	}
	tally(TALLY_RECEIVED);
	now = bpf_ktime_get_ns();
	tid = this_tid();
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (!h) {
		struct handler *none = bpf_map_lookup_elem(&new_handler, &zero);

		if (none)
			bpf_map_update_elem(&handlers, &tid, none, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&handlers, &tid);
		if (!h) {
			tally(TALLY_UNTRACKED);
			bpf_map_delete_elem(&in_flights, &key);
			return 0;
		}
	}
	at = h->count;
	if (h->acted || at >= BATCH || at == 0) {
		at = 0;
		h->acted = 0;
		h->batch_ts = now;
	}
	/* So that the compiler keeps the bound where the verifier sees it. */
	barrier_var(at);
	if (at >= BATCH)
		return 0;
	m = &h->messages[at];
	__builtin_memcpy(m, &in->m, sizeof(*m));
	h->count = at + 1;
	if (m->recorded) {
		e = reserve(struct wire_recv);
		if (e) {
			fill_head(&e->head, WIRE_UPCALL_RECV, now, m->packet, m->upcall);
			e->queue_id = m->queue_id;
			e->wait_ns = now - in->ts;
			e->batch_ts = h->batch_ts;
			e->batch_idx = at;
			e->portid = in->portid;
			e->pkt_size = m->pkt_len;
			e->key_size = m->key_len;
			submit(e);
		}
	}
	bpf_map_delete_elem(&in_flights, &key);
	return 0;
}

static __always_inline struct nlattr *attribute(struct genl_info *info, __u32 which, __u32 *len)
{
	struct nlattr *nla = NULL;

	*len = 0;
	bpf_probe_read_kernel(&nla, sizeof(nla), &info->attrs[which]);
	if (nla) {
		*len = BPF_CORE_READ(nla, nla_len);
		*len = *len < NLA_HDRLEN ? 0 : *len - NLA_HDRLEN;
	}
	return nla;
}

static __always_inline void op_begin(struct op *op)
{
	__u32 tid = this_tid();

	op->ts = bpf_ktime_get_ns();
	bpf_map_update_elem(&ops, &tid, op, BPF_ANY);
}

static __always_inline void op_emit(struct op *op, __u32 kind, struct genl_info *info, __u32 set, __s32 ret)
{
	struct nlattr *ufid;
	__u64 now = bpf_ktime_get_ns();
	struct wire_op *e;
	__u32 len;

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
	e->dp = 0;
	bpf_probe_read_kernel(&e->dp, sizeof(e->dp), (void *)info->genlhdr + GENL_HDRLEN);
	e->ufid_len = 0;
	e->ufid[0] = e->ufid[1] = e->ufid[2] = e->ufid[3] = 0;
	if (kind != WIRE_FLOW_EXEC) {
		ufid = attribute(info, OVS_FLOW_ATTR_UFID, &len);
		if (ufid && len == sizeof(e->ufid) &&
		    !bpf_probe_read_kernel(e->ufid, sizeof(e->ufid), (void *)ufid + NLA_HDRLEN))
			e->ufid_len = len;
	}
	submit(e);
}

static __always_inline void op_tie(struct op *op, struct handler *h, struct message *m, __u32 at)
{
	op->tied = 1;
	op->recorded = m->recorded;
	op->upcall = m->upcall;
	op->packet = m->packet;
	op->queue_id = m->queue_id;
	op->batch_ts = h->batch_ts;
	op->batch_idx = at;
}

struct tie_walk {
	struct op *op;
	struct handler *h;
	struct message *like;
	__u32 other;
};

static long tie_put_to(__u32 i, struct tie_walk *walk)
{
	struct handler *h = walk->h;
	struct message *m;

	if (i >= BATCH || i >= h->count)
		return 1;
	m = &h->messages[i];
	if (m->put || m->key_len != walk->like->key_len || !same_digest(&m->key, &walk->like->key))
		return 0;
	m->put = 1;
	op_tie(walk->op, h, m, i);
	return 1;
}

static long tie_exec_to(__u32 i, struct tie_walk *walk)
{
	struct handler *h = walk->h;
	struct message *m, *like = walk->like;

	if (i >= BATCH || i >= h->count)
		return 1;
	m = &h->messages[i];
	if (m->exec || m->pkt_len != like->pkt_len || m->skb_hash != like->skb_hash || !m->digested)
		return 0;
	if (m->digested != like->digested) {
		if (!walk->other)
			walk->other = m->digested;
		return 0;
	}
	if (!same_digest(&m->bytes, &like->bytes))
		return 0;
	m->exec = 1;
	op_tie(walk->op, h, m, i);
	return 1;
}

/* To the first message with this length and hash whose digest is of as many bytes and equal. Where there is none, says
 * how many bytes the first one with this length and hash was digested over, to try again with; else 0. */
static __noinline __u32 tie_exec(struct op *op, struct handler *h, struct message *like)
{
	struct tie_walk walk = { .op = op, .h = h, .like = like };

	if (!op || !h || !like)
		return 0;
	bpf_loop(BATCH, tie_exec_to, &walk, 0);
	return op->tied ? 0 : walk.other;
}

SEC("fentry/ovs_flow_cmd_new")
int BPF_PROG(flow_new_entry)
{
	struct op op = {};

	op_begin(&op);
	return 0;
}

SEC("fentry/ovs_flow_cmd_set")
int BPF_PROG(flow_set_entry)
{
	struct op op = {};

	op_begin(&op);
	return 0;
}

SEC("fentry/ovs_flow_cmd_del")
int BPF_PROG(flow_del_entry)
{
	struct op op = {};

	op_begin(&op);
	return 0;
}

static __always_inline int flow_op_exit(void *ctx, struct genl_info *info, __u32 kind, __u32 set)
{
	struct op_outcome outcome = { .op = kind == WIRE_FLOW_DEL ? OP_DEL : OP_PUT };
	__u32 tid = this_tid(), len;
	struct message like = {};
	struct handler *h;
	struct nlattr *key;
	struct op *op;
	__u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	outcome.ret = ret;
	count_outcome(&op_counts, &outcome);
	op = bpf_map_lookup_elem(&ops, &tid);
	if (!op)
		return 0;
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h && kind == WIRE_FLOW_PUT) {
		h->acted = 1;
		key = attribute(info, OVS_FLOW_ATTR_KEY, &len);
		if (key && !digest(&h->buf, (void *)key + NLA_HDRLEN, len, &like.key)) {
			struct tie_walk walk = { .op = op, .h = h, .like = &like };

			like.key_len = len;
			bpf_loop(BATCH, tie_put_to, &walk, 0);
		}
	}
	op_emit(op, kind, info, set, ret);
	bpf_map_delete_elem(&ops, &tid);
	return 0;
}

SEC("fexit/ovs_flow_cmd_new")
int BPF_PROG(flow_new_exit, struct sk_buff *skb, struct genl_info *info)
{
	return flow_op_exit(ctx, info, WIRE_FLOW_PUT, 0);
}

SEC("fexit/ovs_flow_cmd_set")
int BPF_PROG(flow_set_exit, struct sk_buff *skb, struct genl_info *info)
{
	return flow_op_exit(ctx, info, WIRE_FLOW_PUT, 1);
}

SEC("fexit/ovs_flow_cmd_del")
int BPF_PROG(flow_del_exit, struct sk_buff *skb, struct genl_info *info)
{
	return flow_op_exit(ctx, info, WIRE_FLOW_DEL, 0);
}

SEC("fentry/ovs_packet_cmd_execute")
int BPF_PROG(exec_entry, struct sk_buff *skb, struct genl_info *info)
{
	struct message like = {};
	__u32 tid = this_tid(), len, hash_len, other;
	struct nlattr *bytes, *hash;
	struct op op = {};
	struct handler *h;

	bytes = attribute(info, OVS_PACKET_ATTR_PACKET, &len);
	if (!bytes)
		return 0;
	op.len = len;
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h) {
		h->acted = 1;
		like.pkt_len = len;
		like.digested = len < DIGEST_MAX ? len : DIGEST_MAX;
		hash = attribute(info, OVS_PACKET_ATTR_HASH, &hash_len);
		if (hash)
			bpf_probe_read_kernel(&like.skb_hash, sizeof(like.skb_hash), (void *)hash + NLA_HDRLEN);
		if (!digest(&h->buf, (void *)bytes + NLA_HDRLEN, like.digested, &like.bytes)) {
			other = tie_exec(&op, h, &like);
			if (other) {
				like.digested = other;
				if (!digest(&h->buf, (void *)bytes + NLA_HDRLEN, other, &like.bytes))
					tie_exec(&op, h, &like);
			}
		}
	}
	op_begin(&op);
	return 0;
}

/* Called by ovs_packet_cmd_execute alone, on the packet it has just made: from here on it is the one that went up. */
SEC("fentry/ovs_flow_key_extract_userspace")
int BPF_PROG(reinjected, struct net *net, void *attr, struct sk_buff *skb)
{
	__u64 head = (__u64)skb->head;
	__u32 tid = this_tid();
	struct track *t;
	struct op *op;

	op = bpf_map_lookup_elem(&ops, &tid);
	if (!op || !op->recorded)
		return 0;
	track_forget(head);
	t = track_new(head, op->packet, TRACK_RECORDED);
	if (!t)
		return 0;
	t->upcall = op->upcall;
	t->queue_id = op->queue_id;
	op->head = head;
	return 0;
}

SEC("fexit/ovs_packet_cmd_execute")
int BPF_PROG(exec_exit, struct sk_buff *skb, struct genl_info *info)
{
	struct op_outcome outcome = { .op = OP_EXEC };
	__u32 tid = this_tid();
	struct op *op;
	__u64 ret = 0;

	bpf_get_func_ret(ctx, &ret);
	outcome.ret = ret;
	count_outcome(&op_counts, &outcome);
	op = bpf_map_lookup_elem(&ops, &tid);
	if (!op)
		return 0;
	op_emit(op, WIRE_FLOW_EXEC, info, 0, ret);
	/* With nothing attached to what frees packets, the name ends with the call. */
	if (op->head && !cfg_generic)
		track_forget(op->head);
	bpf_map_delete_elem(&ops, &tid);
	return 0;
}
