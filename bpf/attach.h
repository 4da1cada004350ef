/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How programs are attached: one source, two objects.
 *
 * ovscope.bpf.c: fentry, fexit and tp_btf. The kernel knows the arguments' types and a run costs little.
 * ovscope_kprobes.bpf.c: kprobe, kretprobe and raw tracepoints, for what the first cannot be attached to. Arguments are
 * numbers, and a kretprobe sees none at all: a kprobe keeps them for it.
 *
 *	ENTRY(function, name, args...) { body }       when the function is called
 *	EXIT(function, name, args...) { body }        when it returns; returned(ctx) is what
 *	EXIT_VALUE(function, name, args..., value)    the same with what it returns as the last argument, with its type
 *	TRACE(tracepoint, name, args...) { body }     at a tracepoint
 *	TWINS_ENTRY(function, name, work, args...)    like ENTRY and EXIT, for functions that do not only run with bottom
 *	TWINS_EXIT(function, name, work, args...)     halves off
 *
 * EXIT and EXIT_VALUE are for functions that run with bottom halves off and never within themselves. */
#ifndef OVSCOPE_ATTACH_H
#define OVSCOPE_ATTACH_H

#ifndef OVSCOPE_KPROBES

#define ENTRY(function, name, ...) SEC("fentry/" #function) int BPF_PROG(name, ##__VA_ARGS__)
#define EXIT(function, name, ...) SEC("fexit/" #function) int BPF_PROG(name, ##__VA_ARGS__)
#define EXIT_VALUE(function, name, ...) EXIT(function, name, ##__VA_ARGS__)
#define TRACE(tracepoint, name, ...) SEC("tp_btf/" #tracepoint) int BPF_PROG(name, ##__VA_ARGS__)

/* Right also where a kernel's function has more arguments than are named here. */
#define returned(ctx)                              \
	({                                         \
		__u64 value = 0;                   \
		bpf_get_func_ret(ctx, &value);     \
		value;                             \
	})

/* The kernel runs a program once at a time on each CPU: what comes while it is at work there, from a softirq or from a
 * thread that preempted the one within it, is passed over. Programs that only run with bottom halves off are safe from
 * that. Each of the others has a twin: where the one is held up, the other one runs. The first that runs does the work,
 * and the second finds it done. */
#define TWINS(section, name, work, ...)                         \
	SEC(section) int BPF_PROG(name, ##__VA_ARGS__)          \
	{                                                       \
		return work;                                    \
	}                                                       \
	SEC(section) int BPF_PROG(name##_twin, ##__VA_ARGS__)   \
	{                                                       \
		return work;                                    \
	}
#define TWINS_ENTRY(function, name, work, ...) TWINS("fentry/" #function, name, work, ##__VA_ARGS__)
#define TWINS_EXIT(function, name, work, ...) TWINS("fexit/" #function, name, work, ##__VA_ARGS__)

#else

/* What a function was called with, until its return is seen. */
#define KEPT_ARGS 5
#define RETURN_AT KEPT_ARGS
struct kept {
	__u64 args[KEPT_ARGS];
	__u32 called; /* and did not return yet */
	__u32 begun;  /* a call has been seen: from here on every return has one */
};

/* Of calls in progress, by thread. */
#define KEPT_CALLS 1024

static __always_inline void fill_kept(struct kept *kept, struct pt_regs *regs)
{
	kept->args[0] = PT_REGS_PARM1(regs);
	kept->args[1] = PT_REGS_PARM2(regs);
	kept->args[2] = PT_REGS_PARM3(regs);
	kept->args[3] = PT_REGS_PARM4(regs);
	kept->args[4] = PT_REGS_PARM5(regs);
}

static __always_inline void take_kept(struct kept *kept, struct pt_regs *regs, unsigned long long *ctx)
{
	for (int i = 0; i < KEPT_ARGS; i++)
		ctx[i] = kept->args[i];
	ctx[RETURN_AT] = PT_REGS_RC(regs);
}

static __always_inline int keep_by_cpu(void *map, struct pt_regs *regs)
{
	__u32 zero = 0;
	struct kept *kept = bpf_map_lookup_elem(map, &zero);

	if (!kept)
		return 0;
	/* The kernel passed over the last one's return. */
	if (kept->called)
		tally(TALLY_MISSED);
	fill_kept(kept, regs);
	kept->called = kept->begun = 1;
	return 0;
}

static __always_inline bool kept_by_cpu(void *map, struct pt_regs *regs, unsigned long long *ctx)
{
	__u32 zero = 0;
	struct kept *kept = bpf_map_lookup_elem(map, &zero);

	if (!kept || !kept->called) {
		if (kept && kept->begun)
			tally(TALLY_MISSED);
		return false;
	}
	take_kept(kept, regs, ctx);
	kept->called = 0;
	return true;
}

/* Threads by their struct: every CPU's idle thread has the id 0. A softirq that calls what its thread is within takes
 * its place, and the thread's return is counted as missed. */
static __always_inline int keep_by_task(void *map, struct pt_regs *regs)
{
	__u64 task = bpf_get_current_task();
	struct kept kept = { .called = 1 };

	fill_kept(&kept, regs);
	if (!bpf_map_update_elem(map, &task, &kept, BPF_NOEXIST))
		return 0;
	tally(TALLY_MISSED);
	bpf_map_update_elem(map, &task, &kept, BPF_EXIST);
	return 0;
}

static __always_inline bool kept_by_task(void *map, struct pt_regs *regs, unsigned long long *ctx)
{
	__u64 task = bpf_get_current_task();
	struct kept *kept = bpf_map_lookup_elem(map, &task);

	if (!kept)
		return false;
	take_kept(kept, regs, ctx);
	bpf_map_delete_elem(map, &task);
	return true;
}

#define returned(ctx) ((ctx)[RETURN_AT])

#define ENTRY(function, name, ...) SEC("kprobe/" #function) int BPF_KPROBE(name, ##__VA_ARGS__)
#define TRACE(tracepoint, name, ...) SEC("raw_tp/" #tracepoint) int BPF_PROG(name, ##__VA_ARGS__)

/* The body is given the kept arguments in the form that BPF_PROG gives them: an array of words. */
#define RETURN_PROBE(function, name, how, value_at, ...)                                       \
	static __always_inline int ____##name(unsigned long long *ctx, ##__VA_ARGS__);         \
	SEC("kprobe/" #function) int name##_args(struct pt_regs *regs)                         \
	{                                                                                      \
		return keep_##how(&name##_calls, regs);                                        \
	}                                                                                      \
	SEC("kretprobe/" #function) int name(struct pt_regs *regs)                             \
	{                                                                                      \
		unsigned long long ctx[KEPT_ARGS + 1];                                         \
                                                                                               \
		if (!kept_##how(&name##_calls, regs, ctx))                                     \
			return 0;                                                              \
		ctx[value_at] = ctx[RETURN_AT];                                                \
		_Pragma("GCC diagnostic push")                                                 \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                         \
		return ____##name(___bpf_ctx_cast(__VA_ARGS__));                               \
		_Pragma("GCC diagnostic pop")                                                  \
	}                                                                                      \
	static __always_inline int ____##name(unsigned long long *ctx, ##__VA_ARGS__)

#define CALLS_BY_CPU(name)                                \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);  \
		__uint(max_entries, 1);                   \
		__type(key, __u32);                       \
		__type(value, struct kept);               \
	} name##_calls SEC(".maps");

#define CALLS_BY_TASK(name)                               \
	struct {                                          \
		__uint(type, BPF_MAP_TYPE_HASH);          \
		__uint(max_entries, KEPT_CALLS);          \
		__type(key, __u64); /* struct task * */   \
		__type(value, struct kept);               \
	} name##_calls SEC(".maps");

#define EXIT(function, name, ...) \
	CALLS_BY_CPU(name)        \
	RETURN_PROBE(function, name, by_cpu, RETURN_AT, ##__VA_ARGS__)
#define EXIT_VALUE(function, name, ...) \
	CALLS_BY_CPU(name)              \
	RETURN_PROBE(function, name, by_cpu, ___bpf_narg(__VA_ARGS__) - 1, ##__VA_ARGS__)

/* No twins: while one kprobe's program runs on a CPU, the kernel passes over every other. */
#define TWINS_ENTRY(function, name, work, ...)            \
	ENTRY(function, name, ##__VA_ARGS__)              \
	{                                                 \
		return work;                              \
	}
#define TWINS_EXIT(function, name, work, ...)                        \
	CALLS_BY_TASK(name)                                          \
	RETURN_PROBE(function, name, by_task, RETURN_AT, ##__VA_ARGS__) \
	{                                                            \
		return work;                                         \
	}

#endif

#endif
