/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether handlers sleep, run, or could run and do not get a CPU.
 *
 * The scheduler's tracepoints come for every thread of the host. A bit for each handler says cheaply that it is none. */

enum sched_state { SCHED_UNKNOWN = 0, SCHED_ASLEEP = 1, SCHED_RUNNABLE = 2, SCHED_RUNNING = 3 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32); /* thread id */
	__type(value, struct sched_sums);
} scheds SEC(".maps");

/* By the lower bits of the thread id. Another thread's bit may be the same: then it is looked up in vain. */
#define SCHED_BITS 4096
__u64 sched_bits[SCHED_BITS / 64];

/* The thread received an upcall: it is a handler, and runs. */
static __always_inline void sched_handler(__u32 tid, __u64 now)
{
	struct sched_sums first = { .state = SCHED_RUNNING, .since = now };

	if (!cfg_sched || bpf_map_lookup_elem(&scheds, &tid))
		return;
	/* One that has no room has no sums, and is shown without. */
	if (bpf_map_update_elem(&scheds, &tid, &first, BPF_NOEXIST))
		return;
	__sync_fetch_and_or(&sched_bits[(tid % SCHED_BITS) / 64], 1ULL << (tid % 64));
}

static __always_inline struct sched_sums *sched_of(struct task_struct *task)
{
	__u32 tid = get(task, pid);

	if (!(sched_bits[(tid % SCHED_BITS) / 64] & (1ULL << (tid % 64))))
		return NULL;
	return bpf_map_lookup_elem(&scheds, &tid);
}

/* One thread's changes come one after the other: the scheduler makes them under the lock of the thread's run queue. */
static __always_inline void sched_to(struct sched_sums *s, __u32 state)
{
	__u64 now = bpf_ktime_get_ns(), took = now - s->since;

	switch (s->state) {
	case SCHED_ASLEEP:
		s->asleep += took;
		break;
	case SCHED_RUNNABLE:
		s->runnable += took;
		if (s->runnable_max < took)
			s->runnable_max = took;
		break;
	case SCHED_RUNNING:
		s->running += took;
		break;
	}
	s->state = state;
	s->since = now;
}

TRACE(sched_switch, sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	struct sched_sums *s;

	if (!prev || !next)
		return 0;
	s = sched_of(prev);
	if (s)
		sched_to(s, preempt || !prev_state ? SCHED_RUNNABLE : SCHED_ASLEEP);
	s = sched_of(next);
	if (s) {
		sched_to(s, SCHED_RUNNING);
		s->switches++;
	}
	return 0;
}

/* When it is on a run queue: from here on it waits for the CPU. */
TRACE(sched_wakeup, sched_wakeup, struct task_struct *task)
{
	struct sched_sums *s = task ? sched_of(task) : NULL;

	if (s && s->state == SCHED_ASLEEP)
		sched_to(s, SCHED_RUNNABLE);
	return 0;
}
