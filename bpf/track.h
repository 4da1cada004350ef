/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets on their way through this host, by the head of their buffer, which their clones share: from the first generic
 * point, or from the re-injection, until the buffer is freed.
 *
 * What happens to a packet is kept with it in short steps, and told in one event when its buffer is freed, when it goes
 * up, when there is no room for more, or when nothing happened to it for a while (sweep). So a packet costs one place
 * in the ring buffer and not one for each step, and what is never decided to be recorded, the operator's own ssh
 * session above all, costs none. */
#ifndef OVSCOPE_TRACK_H
#define OVSCOPE_TRACK_H

#define TRACK_SETS 2048
#define TRACK_WAYS 4
#define TRACK_OLD_NS 1000000000LL /* what was not seen for so long makes room: a buffer that waits in a socket */

/* Where a step in the datapath was made. Steps that are told together share it. */
struct dp_place {
	__u32 dp;
	__u32 in_port;
	__u32 recirc_id;
};

/* What -f says of a packet's bytes; 0 while nobody asked. */
enum filter_verdict { FILTER_WANTED = 1, FILTER_REFUSED = 2 };

enum track_state { TRACK_SEEN = 0, TRACK_RECORDED = 1 };

struct track {
	__u64 packet;
	__u64 upcall;
	__u64 queue_id;
	__u64 ts;       /* of the first step */
	__u64 touched;  /* when */
	__u64 sender;   /* the device that a socket of this host gave it to, by address; 0: it came otherwise */
	__u32 state;
	__u32 left_out; /* the tally that it was counted in when it was decided not to record it; 0: none */
	__u32 busy;     /* somebody writes here */
	__u32 count;    /* of steps */
	__u32 dp;       /* of the steps in the datapath */
	__u32 in_port;
	__u32 recirc_id;
	__u32 in_dp;    /* whether there are any */
	__u32 filter;   /* enum filter_verdict */
	__u32 in_ovs;   /* it came to a datapath */
	__u32 unkept;   /* steps before it was recorded that there was no room for */
	struct dp_place now; /* of the newest step in the datapath: dp, in_port and recirc_id are of the first one */
	__u32 has_bytes; /* kept, and not told yet */
	__u32 pad;
	struct wire_bytes bytes;
	struct wire_step steps[STEPS_MAX];
};

struct track_set {
	__u64 heads[TRACK_WAYS];
	struct track tracks[TRACK_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRACK_SETS);
	__type(key, __u32);
	__type(value, struct track_set);
} track_sets SEC(".maps");

/* How many tracks are recorded: while none is, the fast path has nothing to look up. */
__u64 tracks_recorded;

static __always_inline struct track_set *track_set_of(__u64 head)
{
	/* Newer kernels' verifiers hold that the product is still an address, of which no half may be stored; its bytes
	 * in the other order are a number to them. The highest ones are the best mixed. */
	__u32 set = __builtin_bswap64(head * 0x9e3779b97f4a7c15ULL) & (TRACK_SETS - 1);

	return bpf_map_lookup_elem(&track_sets, &set);
}

static __always_inline struct track *track_of(__u64 head)
{
	struct track_set *s = track_set_of(head);

	if (!s)
		return NULL;
	if (s->heads[0] == head)
		return &s->tracks[0];
	if (s->heads[1] == head)
		return &s->tracks[1];
	if (s->heads[2] == head)
		return &s->tracks[2];
	if (s->heads[3] == head)
		return &s->tracks[3];
	return NULL;
}

static __always_inline bool track_lock(struct track *t)
{
	return !__sync_lock_test_and_set(&t->busy, 1);
}

static __always_inline void track_unlock(struct track *t)
{
	t->busy = 0;
}

static __always_inline void fill_trace(struct wire_trace *e, struct track *t, __u32 count, __u32 has_bytes)
{
	e->ts = t->ts;
	e->packet = t->packet;
	e->upcall = t->upcall;
	e->queue_id = t->queue_id;
	e->kind = WIRE_TRACE;
	e->count = count;
	e->dp = t->dp;
	e->in_port = t->in_port;
	e->recirc_id = t->recirc_id;
	e->has_bytes = has_bytes;
}

static __always_inline void fill_steps(struct wire_long_trace *l, struct track *t, __u32 count)
{
	for (__u32 i = 0; i < STEPS_SHORT; i++)
		l->trace.steps[i] = t->steps[i];
	for (__u32 i = 0; i < STEPS_MAX - STEPS_SHORT; i++) {
		if (i + STEPS_SHORT >= count)
			break;
		l->more[i] = t->steps[i + STEPS_SHORT];
	}
}

/* As words; all that may be captured, of which bytes.captured tells what was. */
static __always_inline void copy_bytes(struct wire_bytes *to, struct wire_bytes *from)
{
	const __u32 head = __builtin_offsetof(struct wire_bytes, data) / sizeof(__u64);

#pragma clang loop unroll(full)
	for (__u32 i = 0; i < head; i++)
		((__u64 *)to)[i] = ((__u64 *)from)[i];
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < SNAPLEN_MAX / sizeof(__u64); i++) {
		if (i * sizeof(__u64) >= cfg_snaplen)
			break;
		((__u64 *)to->data)[i] = ((__u64 *)from->data)[i];
	}
}

/* Tells the steps of a locked, recorded track, and its bytes where they are not told yet. */
__noinline int track_flush(struct track *t)
{
	struct wire_whole_trace *w;
	struct wire_long_trace *l;
	struct wire_trace *e;
	__u32 count;

	if (!t)
		return 0;
	count = t->count;
	t->count = t->in_dp = 0;
	if (t->has_bytes) {
		t->has_bytes = 0;
		w = bpf_ringbuf_reserve(&ring, sizeof(struct wire_whole_trace), 0);
		if (!w) {
			tally_add(TALLY_RING_FULL, count + 1);
			return 0;
		}
		fill_trace(&w->steps.trace, t, count, 1);
		fill_steps(&w->steps, t, count);
		copy_bytes(&w->bytes, &t->bytes);
		submit(w);
		return 0;
	}
	if (!count)
		return 0;
	if (count <= STEPS_SHORT) {
		e = bpf_ringbuf_reserve(&ring, sizeof(struct wire_trace), 0);
		if (!e)
			goto full;
		fill_trace(e, t, count, 0);
		for (__u32 i = 0; i < STEPS_SHORT; i++) {
			if (i >= count)
				break;
			e->steps[i] = t->steps[i];
		}
		submit(e);
		return 0;
	}
	l = bpf_ringbuf_reserve(&ring, sizeof(struct wire_long_trace), 0);
	if (!l)
		goto full;
	fill_trace(&l->trace, t, count, 0);
	fill_steps(l, t, count);
	submit(l);
	return 0;
full:
	tally_add(TALLY_RING_FULL, count);
	return 0;
}

/* The owner of a place goes: tells what is to be told. */
static __always_inline void track_end(struct track *t)
{
	if (t->state != TRACK_RECORDED)
		return;
	__sync_fetch_and_add(&tracks_recorded, -1);
	if (track_lock(t)) {
		track_flush(t);
		track_unlock(t);
	} else {
		/* Two CPUs at a buffer that is being freed: one of them has a stale idea of it. */
		tally_add(TALLY_RING_FULL, t->count + t->has_bytes);
	}
}

static __always_inline struct track *track_begin(struct track *t, __u64 now, __u64 packet, __u32 state)
{
	t->packet = packet;
	t->upcall = 0;
	t->queue_id = 0;
	t->sender = 0;
	t->touched = now;
	t->left_out = t->filter = t->in_ovs = t->unkept = 0;
	t->count = t->in_dp = t->has_bytes = 0;
	t->dp = t->in_port = t->recirc_id = 0;
	t->now.dp = t->now.in_port = t->now.recirc_id = 0;
	t->busy = 0;
	t->state = state;
	if (state == TRACK_RECORDED)
		__sync_fetch_and_add(&tracks_recorded, 1);
	return t;
}

/* A place for a packet that has none, or over what the buffer's last owner left. */
static __noinline struct track *track_new_in(struct track_set *s, __u64 head, __u64 now)
{
	if (!s)
		return NULL;
	for (int i = 0; i < TRACK_WAYS; i++) {
		if (s->heads[i] == head) {
			track_end(&s->tracks[i]);
			return &s->tracks[i];
		}
	}
	for (int i = 0; i < TRACK_WAYS; i++) {
		if (!s->heads[i] && !__sync_val_compare_and_swap(&s->heads[i], 0, head))
			return &s->tracks[i];
	}
	for (int i = 0; i < TRACK_WAYS; i++) {
		__u64 other = s->heads[i];

		if ((__s64)(now - s->tracks[i].touched) > TRACK_OLD_NS &&
		    __sync_val_compare_and_swap(&s->heads[i], other, head) == other) {
			if (other)
				track_end(&s->tracks[i]);
			return &s->tracks[i];
		}
	}
	return NULL;
}

static __always_inline struct track *track_new(__u64 head, __u64 now, __u64 packet, __u32 state)
{
	struct track *t = track_new_in(track_set_of(head), head, now);

	if (!t) {
		tally(TALLY_UNTRACKED);
		return NULL;
	}
	return track_begin(t, now, packet, state);
}

/* A socket sends the buffer again, as TCP does what it has no answer to: from here on it is another packet. */
static __noinline int track_again(struct track *t, __u64 now, __u64 packet)
{
	__u64 sender;

	/* A clone is just at work elsewhere. */
	if (!t || !track_lock(t))
		return 0;
	if (t->state == TRACK_RECORDED) {
		__sync_fetch_and_add(&tracks_recorded, -1);
		track_flush(t);
	}
	sender = t->sender;
	track_begin(t, now, packet, TRACK_SEEN);
	t->sender = sender;
	return 0;
}

static __always_inline void track_leave_out(struct track *t, __u32 why)
{
	t->left_out = why;
	tally(why);
}

/* Also what was left out as a packet, when it turns out to be upcalled, or dropped. Clones of a packet may come to this
 * on two CPUs. */
static __always_inline void track_record(struct track *t)
{
	if (__sync_val_compare_and_swap(&t->state, TRACK_SEEN, TRACK_RECORDED) != TRACK_SEEN)
		return;
	if (t->left_out)
		tally_add(t->left_out, -1);
	if (t->unkept)
		tally_add(TALLY_MISSED, t->unkept);
	t->left_out = 0;
	__sync_fetch_and_add(&tracks_recorded, 1);
}

/* Keeps the first bytes of a packet that is recorded from now on; they are told with its next steps. */
static __always_inline void track_bytes(struct track *t, struct sk_buff *skb, __u64 start, __u64 ts, __u32 task)
{
	if (!track_lock(t)) {
		tell_bytes(skb, start, t->packet, ts, task);
		return;
	}
	fill_bytes(&t->bytes, skb, start, ts, task);
	t->has_bytes = 1;
	track_unlock(t);
}

static __always_inline void track_forget(__u64 head)
{
	struct track_set *s = track_set_of(head);

	if (!s)
		return;
	for (int i = 0; i < TRACK_WAYS; i++) {
		if (s->heads[i] == head) {
			track_end(&s->tracks[i]);
			s->heads[i] = 0;
			return;
		}
	}
}

#endif
