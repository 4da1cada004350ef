/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a daemon built with USDT probes tells of itself: a second witness of receives, puts and executes, and why flows
 * are deleted, which only the daemon knows.
 *
 * Nothing is tied by order alone: a receive is that of the thread's last message only where key and packet agree to the
 * byte, a put and an execute are found as they are in the kernel (ops.h), from the daemon's own memory. Structs of the
 * daemon's are read by their layout in lib/dpif.h and ofproto/ofproto-dpif-upcall.c, the same since OVS 2.17. */

/* Where a probe is, by which libbpf knows it on kernels before 5.15; later ones know it by its cookie. */
struct pt_regs___ip {
	unsigned long ip;
} __attribute__((preserve_access_index));
struct pt_regs___pc {
	unsigned long pc;
} __attribute__((preserve_access_index));

static __always_inline unsigned long told_at(void *regs)
{
	if (bpf_core_field_exists(struct pt_regs___ip, ip))
		return ((struct pt_regs___ip *)regs)->ip;
	if (bpf_core_field_exists(struct pt_regs___pc, pc))
		return ((struct pt_regs___pc *)regs)->pc;
	return 0;
}

#pragma push_macro("PT_REGS_IP")
#undef PT_REGS_IP
#define PT_REGS_IP(regs) told_at(regs)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wsign-compare"
#include <bpf/usdt.bpf.h>
#pragma clang diagnostic pop
#pragma pop_macro("PT_REGS_IP")

/* What programs of uprobes call are no functions that the verifier looks at by themselves: while preemption is held up,
 * kernels before 6.15 refuse to call one. */
static __noinline DIGEST(digest_user, bpf_probe_read_user, digest_words)

/* A uprobe's program can be preempted, and since Linux 6.13 a program's stack may be the processor's own: another thread
 * that comes to the same probe there would write over what is on it. Held up until it is done, it does not come. Older
 * kernels (before 6.10) have neither. */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* usage: TOLD(program, arguments) { ... } */
#define TOLD(name, args...)                                      \
	static __always_inline int name##_told(struct pt_regs *ctx); \
	SEC("usdt")                                                  \
	int name(struct pt_regs *ctx)                                \
	{                                                            \
		if (bpf_preempt_disable)                                 \
			bpf_preempt_disable();                               \
		name##_told(ctx);                                        \
		if (bpf_preempt_enable)                                  \
			bpf_preempt_enable();                                \
		return 0;                                                \
	}                                                            \
	static __always_inline int BPF_USDT(name##_told, ##args)

/* What is told to be done to flows and packets that no recorded upcall paid for pays for itself. */
static __always_inline bool told_in_budget(__u64 now)
{
	if (budget_take(now, 1, BUDGET_UPCALLS))
		return true;
	tally(TALLY_TOLD_OVER_BUDGET);
	return false;
}

/* The thread's last message, if it is this one. */
static __noinline struct message *told_received(struct handler *h, void *data, __u32 size, void *key, __u32 key_len)
{
	struct digest seen;
	struct message *m;
	__u32 at;

	if (!h)
		return NULL;
	at = h->count - 1;
	barrier_var(at);
	if (at >= BATCH)
		return NULL;
	m = &h->messages[at];
	if ((m->answered & ANSWER_TOLD_RECV) || m->pkt_len != size || m->key_len != key_len ||
	    digest_user(&h->buf, (__u64)key, key_len, &seen) || !same_digest(&seen, &m->key))
		return NULL;
	if (m->digested && (digest_user(&h->buf, (__u64)data, m->digested, &seen) || !same_digest(&seen, &m->bytes)))
		return NULL;
	m->answered |= ANSWER_TOLD_RECV;
	return m;
}

TOLD(usdt_recv_upcall, void *name, __u32 type, void *data, __u32 size, void *key, __u64 key_len)
{
	__u64 now = bpf_ktime_get_ns();
	struct wire_recv_upcall *e;
	__u32 tid = this_tid();
	struct handler *h;
	struct message *m;

	h = bpf_map_lookup_elem(&handlers, &tid);
	m = told_received(h, data, size, key, key_len);
	if (m ? !m->recorded : !told_in_budget(now))
		return 0;
	e = reserve(struct wire_recv_upcall);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_RECV_UPCALL, now, m ? m->packet : 0, m ? m->upcall : 0);
	e->queue_id = m ? m->queue_id : 0;
	e->batch_ts = m && h ? h->batch_ts : 0;
	e->batch_idx = m && h ? h->count - 1 : 0;
	e->upcall_type = type;
	e->pkt_size = size;
	e->key_size = key_len;
	submit(e);
	return 0;
}

static __always_inline int told_operation(struct op *op, __u32 which, void *ufid)
{
	struct wire_flow_operation *e;

	if (op->tied ? !op->recorded : !told_in_budget(op->ts))
		return 0;
	e = reserve(struct wire_flow_operation);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_FLOW_OPERATION, op->ts, op->packet, op->upcall);
	e->queue_id = op->queue_id;
	e->batch_ts = op->batch_ts;
	e->batch_idx = op->batch_idx;
	e->op = which;
	e->ufid[0] = e->ufid[1] = e->ufid[2] = e->ufid[3] = 0;
	e->ufid_len = ufid && !bpf_probe_read_user(e->ufid, sizeof(e->ufid), ufid) ? sizeof(e->ufid) : 0;
	e->pad = 0;
	submit(e);
	return 0;
}

/* struct dpif_flow_put, dpif_flow_del and dpif_execute, as far as they are read. */
struct told_put {
	__u64 flags;
	void *key;
	__u64 key_len;
	__u64 mask_and_actions[4];
	void *ufid;
};
struct told_del {
	void *key;
	__u64 key_len;
	void *ufid;
};
struct told_execute {
	__u64 actions[2];
	__u64 flags_and_mtu;
	__u64 hash;
};

TOLD(usdt_flow_put, void *dpif, void *at)
{
	struct op op = { .ts = bpf_ktime_get_ns() };
	struct message like = {};
	__u32 tid = this_tid();
	struct told_put put;
	struct handler *h;

	if (bpf_probe_read_user(&put, sizeof(put), at))
		put.ufid = put.key = NULL;
	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h && put.key && !digest_user(&h->buf, (__u64)put.key, put.key_len, &like.key)) {
		struct tie_walk walk = { .op = &op, .h = h, .like = &like, .answer = ANSWER_TOLD_PUT };

		walk.newest = newest_receive(h);
		like.key_len = put.key_len;
		bpf_loop(BATCH, tie_put_to, &walk, 0);
	}
	return told_operation(&op, OP_PUT, put.ufid);
}

TOLD(usdt_flow_del, void *dpif, void *at)
{
	struct op op = { .ts = bpf_ktime_get_ns() };
	struct told_del del;

	if (bpf_probe_read_user(&del, sizeof(del), at))
		del.ufid = NULL;
	return told_operation(&op, OP_DEL, del.ufid);
}

static __noinline __u32 told_exec(struct op *op, struct handler *h, struct message *like, bool has_hash)
{
	return exec_tied_to(op, h, like, has_hash, ANSWER_TOLD_EXEC);
}

TOLD(usdt_flow_execute, void *dpif, void *at, void *data, __u32 size)
{
	struct op op = { .ts = bpf_ktime_get_ns() };
	struct message like = { .pkt_len = size };
	struct told_execute execute = {};
	__u32 tid = this_tid(), other;
	struct handler *h;
	bool has_hash;

	h = bpf_map_lookup_elem(&handlers, &tid);
	if (h) {
		/* Not put into the request where it is 0, and so not compared in the kernel either. */
		bpf_probe_read_user(&execute, sizeof(execute), at);
		like.skb_hash = execute.hash;
		has_hash = execute.hash != 0;
		like.digested = size < DIGEST_MAX ? size : DIGEST_MAX;
		if (!digest_user(&h->buf, (__u64)data, like.digested, &like.bytes)) {
			other = told_exec(&op, h, &like, has_hash);
			if (other) {
				like.digested = other;
				if (!digest_user(&h->buf, (__u64)data, other, &like.bytes))
					told_exec(&op, h, &like, has_hash);
			}
		}
	}
	return told_operation(&op, OP_EXEC, NULL);
}

#define UKEY_KEEP 0        /* enum reval_result */
#define PMD_ID_NULL 0x7fffffff /* lib/dpif.h: of the flows of a kernel datapath */

/* struct udpif_key in ofproto/ofproto-dpif-upcall.c, to the member by which a wrong layout shows. */
struct told_ukey {
	void *next;
	void *key;
	__u64 key_len;
	void *mask;
	__u64 mask_len;
	__u32 ufid[4];
	__u32 ufid_present; /* a bool and its padding */
	__u32 hash;
	__u32 pmd_id;
	__u32 pad;
};

static __always_inline int told_result(void *at, __u32 result, __u32 reason, __u32 sweep)
{
	struct wire_flow_result *e;
	struct told_ukey ukey;
	__u64 now;

	__sync_fetch_and_add(&usdt_results, 1);
	if (result == UKEY_KEEP)
		return 0;
	now = bpf_ktime_get_ns();
	if (!told_in_budget(now))
		return 0;
	e = reserve(struct wire_flow_result);
	if (!e)
		return 0;
	fill_head(&e->head, WIRE_FLOW_RESULT, now, 0, 0);
	e->ufid[0] = e->ufid[1] = e->ufid[2] = e->ufid[3] = 0;
	e->ufid_len = 0;
	if (!bpf_probe_read_user(&ukey, sizeof(ukey), at) && (ukey.ufid_present & 0xff) == 1 &&
	    ukey.pmd_id == PMD_ID_NULL) {
		__builtin_memcpy(e->ufid, ukey.ufid, sizeof(e->ufid));
		e->ufid_len = sizeof(e->ufid);
	}
	e->result = result;
	e->reason = reason;
	e->sweep = sweep;
	submit(e);
	return 0;
}

TOLD(usdt_flow_result, void *udpif, void *ukey, __u32 result, __u32 reason)
{
	return told_result(ukey, result, reason, 0);
}

TOLD(usdt_sweep_result, void *udpif, void *ukey, __u32 result, __u32 reason)
{
	return told_result(ukey, result, reason, 1);
}

/* A round of revalidation that has begun, by its leader's thread. */
struct told_round {
	__u64 ts;
	__u64 n_flows;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct told_round);
} rounds SEC(".maps");

TOLD(usdt_start_dump, void *udpif, __u64 n_flows)
{
	struct told_round round = { .ts = bpf_ktime_get_ns(), .n_flows = n_flows };
	__u32 tid = this_tid();

	bpf_map_update_elem(&rounds, &tid, &round, BPF_ANY);
	return 0;
}

/* A round whose begin was not seen, as tracing began in it, is not told: the next one is. */
TOLD(usdt_sweep_done, void *udpif, __u64 n_flows, __u32 interval_ms)
{
	__u64 now = bpf_ktime_get_ns();
	struct wire_revalidation *e;
	struct told_round *round;
	__u32 tid = this_tid();

	round = bpf_map_lookup_elem(&rounds, &tid);
	if (!round)
		return 0;
	e = reserve(struct wire_revalidation);
	if (e) {
		fill_head(&e->head, WIRE_REVALIDATION, round->ts, 0, 0);
		e->took_ns = now - round->ts;
		e->n_flows = round->n_flows;
		e->interval_ms = interval_ms;
		e->pad = 0;
		submit(e);
	}
	bpf_map_delete_elem(&rounds, &tid);
	return 0;
}
