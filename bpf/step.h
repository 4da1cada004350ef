/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps of packets: what a track keeps, and what is told at once where it cannot. */
#ifndef OVSCOPE_STEP_H
#define OVSCOPE_STEP_H

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
	e->dp = e->in_port = e->recirc_id = e->has_bytes = 0;
	if (place) {
		e->dp = place->dp;
		e->in_port = place->in_port;
		e->recirc_id = place->recirc_id;
	}
	e->steps[0] = *step;
	submit(e);
	return 0;
}

/* A clone of the packet is at work on another CPU, or below this one. */
__noinline int tell_apart(struct track *t, __u64 now, const struct wire_step *step, const struct dp_place *place)
{
	struct step_owner of = {};

	if (!t || !step)
		return 0;
	if (t->state != TRACK_RECORDED) {
		tally(TALLY_MISSED);
		return 0;
	}
	of.packet = t->packet;
	of.upcall = t->upcall;
	of.queue_id = t->queue_id;
	return tell_step(&of, now, step, place);
}

/* Whether a locked track's steps in the datapath are of this place, the newest one. */
static __always_inline bool track_is_at(struct track *t, const struct dp_place *place)
{
	return t->in_dp && t->now.dp == place->dp && t->now.in_port == place->in_port &&
	       t->now.recirc_id == place->recirc_id;
}

/* Makes room for a locked track's step that is not simply the next one of the same place: where it goes, STEPS_MAX if
 * nowhere. How far a step may be from the first one it is told with is what its `after` holds, some two seconds. */
__noinline __u32 track_room(struct track *t, __u64 now, const struct dp_place *place)
{
	bool elsewhere, far;
	__s64 after;
	__u32 at;

	if (!t)
		return STEPS_MAX;
	at = t->count;
	after = now - t->ts;
	elsewhere = place && t->in_dp && !track_is_at(t, place);
	far = after != (__s32)after;
	if (at && t->state == TRACK_RECORDED) {
		if (at >= STEPS_MAX || elsewhere || far) {
			track_flush(t);
			at = elsewhere = 0;
		}
	} else if (at && (at + elsewhere >= STEPS_MAX || far)) {
		/* Of a packet that may never be told the first steps are kept. */
		t->unkept++;
		at = STEPS_MAX;
		goto placed;
	}
	if (!at)
		t->ts = now;
	/* What is held back is told together, wherever it was. */
	if (elsewhere) {
		barrier_var(at);
		if (at < STEPS_MAX) {
			struct wire_step *s = &t->steps[at];

			s->after = after;
			s->cpu = s->detail = s->task = 0;
			s->what = STEP_PLACE;
			s->a = place->dp;
			s->b = place->in_port;
			s->c = place->recirc_id;
		}
		at++;
	} else if (place && !t->in_dp) {
		t->dp = place->dp;
		t->in_port = place->in_port;
		t->recirc_id = place->recirc_id;
		t->in_dp = 1;
	}
placed:
	if (place)
		t->now = *place;
	return at;
}

/* Keeps a step with its packet; its `after` is set here. This is most of what a recorded packet costs: the fields are
 * given by value and written where they stay, and what is not so for nearly every step is done elsewhere. */
static __always_inline void track_step(struct track *t, __u64 now, struct wire_step step, const struct dp_place *place)
{
	__s64 after;
	__u32 at;

	if (!track_lock(t)) {
		struct wire_step apart = step;

		tell_apart(t, now, &apart, place);
		return;
	}
	at = t->count;
	after = now - t->ts;
	if (at - 1 >= STEPS_MAX - 1 || after != (__s32)after || (place && !track_is_at(t, place))) {
		at = track_room(t, now, place);
		after = now - t->ts;
	}
	/* So that the compiler keeps the bound where the verifier sees it. */
	barrier_var(at);
	if (at < STEPS_MAX) {
		struct wire_step *s = &t->steps[at];

		s->after = after;
		s->cpu = step.cpu;
		s->what = step.what;
		s->detail = step.detail;
		s->task = step.task;
		s->a = step.a;
		s->b = step.b;
		s->c = step.c;
		t->count = at + 1;
	}
	t->touched = now;
	track_unlock(t);
}

/* User space has it run a few times a second: packets that nothing happens to any more, in a socket's queue for one,
 * are told while they wait. */
static long sweep_set(void *map, const void *key, struct track_set *s, __u64 *before)
{
	for (int i = 0; i < TRACK_WAYS; i++) {
		struct track *t = &s->tracks[i];

		if (!(t->count || t->has_bytes) || t->state != TRACK_RECORDED || t->touched > *before || !s->heads[i] ||
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
	__u64 before = bpf_ktime_get_ns() - from->quiet;

	bpf_for_each_map_elem(&track_sets, sweep_set, &before, 0);
	return 0;
}

#endif
