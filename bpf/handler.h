/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Upcalls in the handler's hands: a handler receives up to 64 messages before it acts on them (recv_upcalls and
 * handle_upcalls in OVS). They are kept with its thread, for what it does next. */

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

static __always_inline __u32 this_tid(void)
{
	return bpf_get_current_pid_tgid();
}

static __always_inline int receive(struct sock *sk, unsigned int flags, struct sk_buff *skb)
{
	__u64 key = (__u64)skb, now;
	__u32 tid, at, zero = 0;
	struct in_flight *in;
	struct handler *h;
	struct wire_recv *e;
	struct message *m;

	if (!skb || (flags & MSG_PEEK) || get(sk, __sk_common.skc_family) != AF_NETLINK ||
	    get(sk, sk_protocol) != NETLINK_GENERIC)
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
	sched_handler(tid, now);
	if (!in->m.index)
		stage_between(STAGE_WAIT, in->ts, now);
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
	m->received = now;
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

#ifndef OVSCOPE_KPROBES
TWINS_EXIT(skb_recv_datagram, upcall_recv, receive(sk, flags, (struct sk_buff *)returned(ctx)), struct sock *sk,
	   unsigned int flags)
#else
/* Every reader of this host that waits in skb_recv_datagram would hold one of a kretprobe's few places. What is
 * received is then copied; the handlers look at nothing without taking it (MSG_PEEK). */
TRACE(skb_copy_datagram_iovec, upcall_recv, struct sk_buff *skb)
{
	struct sock *sk = skb ? get(skb, sk) : NULL;

	return sk ? receive(sk, 0, skb) : 0;
}
#endif
