/* SPDX-License-Identifier: GPL-2.0 */
/* Steps of packets: what a track keeps, and what is told at once where it cannot. */
#ifndef OVSCOPE_STEP_H
#define OVSCOPE_STEP_H

/* How far a step may be from the first one it is told with: `after` is signed nanoseconds. */
#define STEP_SPAN 2000000000LL

/* Whose a step is. */
struct step_owner {
	__u64 packet;
	__u64 upcall;
	__u64 queue_id;
};

/* Tells one step by itself: of a packet that has no track any more, or whose track another CPU is at work on. */
__noinline int tell_step(const struct step_owner *of, __u64 now, const struct wire_step *step,
			 const struct dp_place *place)
{
	struct wire_trace *e;

	if (!of || !step)
		return 0;
	e = reserve(struct wire_trace);
	if (!e)
		return 0;
	e->ts = now;
	e->packet = of->packet;
	e->upcall = of->upcall;
	e->queue_id = of->queue_id;
	e->kind = WIRE_TRACE;
	e->count = 1;
	e->dp = e->in_port = e->recirc_id = e->pad = 0;
	if (place) {
		e->dp = place->dp;
		e->in_port = place->in_port;
		e->recirc_id = place->recirc_id;
	}
	e->steps[0] = *step;
	submit(e);
	return 0;
}

/* Keeps a step with its packet; its `after` is set here. */
static __always_inline void track_step(struct track *t, __u64 now, struct wire_step *step, const struct dp_place *place)
{
	bool elsewhere;
	__u32 at;

	if (!track_lock(t)) {
		/* A clone of the packet is at work on another CPU, or below this one. */
		if (t->state == TRACK_RECORDED) {
			struct step_owner of = { t->packet, t->upcall, t->queue_id };

			tell_step(&of, now, step, place);
		} else {
			tally(TALLY_MISSED);
		}
		return;
	}
	at = t->count;
	elsewhere = place && t->in_dp &&
		    (t->now.dp != place->dp || t->now.in_port != place->in_port || t->now.recirc_id != place->recirc_id);
	if (at) {
		__s64 after = now - t->ts;
		bool far = after > STEP_SPAN || after < -STEP_SPAN;

		step->after = after;
		if (t->state == TRACK_RECORDED) {
			if (at >= STEPS_MAX || elsewhere || far) {
				track_flush(t);
				at = step->after = elsewhere = 0;
			}
		} else if (at + elsewhere >= STEPS_MAX || far) {
			/* Of a packet that may never be told the first steps are kept. */
			t->unkept++;
			goto placed;
		}
	}
	if (!at)
		t->ts = now;
	/* What is held back is told together, wherever it was. */
	if (elsewhere) {
		struct wire_step there = {
			.after = step->after, .what = STEP_PLACE, .a = place->dp, .b = place->in_port, .c = place->recirc_id,
		};

		barrier_var(at);
		if (at < STEPS_MAX)
			t->steps[at] = there;
		at++;
	} else if (place && !t->in_dp) {
		t->dp = place->dp;
		t->in_port = place->in_port;
		t->recirc_id = place->recirc_id;
		t->in_dp = 1;
	}
	/* So that the compiler keeps the bound where the verifier sees it. */
	barrier_var(at);
	if (at < STEPS_MAX) {
		t->steps[at] = *step;
		t->count = at + 1;
	}
	t->touched = bpf_jiffies64();
placed:
	if (place)
		t->now = *place;
	track_unlock(t);
}

/* User space has it run a few times a second: packets that nothing happens to any more, in a socket's queue for one,
 * are told while they wait. */
static long sweep_set(void *map, const void *key, struct track_set *s, struct sweep_order *order)
{
	__u64 now = bpf_jiffies64();

	for (int i = 0; i < TRACK_WAYS; i++) {
		struct track *t = &s->tracks[i];

		if (!t->count || t->state != TRACK_RECORDED || now - t->touched < order->quiet || !s->heads[i] ||
		    !track_lock(t))
			continue;
		track_flush(t);
		track_unlock(t);
	}
	return 0;
}

SEC("syscall")
int sweep(struct sweep_order *from)
{
	struct sweep_order order = { .quiet = from->quiet };

	bpf_for_each_map_elem(&track_sets, sweep_set, &order, 0);
	return 0;
}

#endif
