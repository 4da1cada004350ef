/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long each stage of an upcall's way takes, of all upcalls, recorded or not: histograms in nanoseconds.
 *
 * Each upcall counts once in each stage that it came to; of one that made several messages (GSO), the first counts. */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAGES);
	__type(key, __u32);
	__type(value, struct stage_times);
} stage_times SEC(".maps");

/* The place of the highest bit that is set, of n > 0; clang's builtin for it is not to be had for BPF. */
static __always_inline __u32 highest_bit(__u64 n)
{
	__u32 at = 0;

	for (__u32 step = 32; step; step >>= 1) {
		if (n >> step) {
			n >>= step;
			at += step;
		}
	}
	return at;
}

/* Eight buckets to each power of two, one for each nanosecond below eight; see `bucket_of` in src/event/stage.rs. */
static __always_inline __u32 stage_bucket(__u64 ns)
{
	__u32 high;

	if (ns < 8)
		return ns;
	high = highest_bit(ns);
	if (high > STAGE_HIGHEST_BIT)
		return STAGE_BUCKETS - 1;
	return (high - 2) * 8 + ((ns >> (high - 3)) & 7);
}

static __noinline int stage_took(__u32 stage, __u64 ns)
{
	struct stage_times *times = bpf_map_lookup_elem(&stage_times, &stage);
	__u32 bucket = stage_bucket(ns);

	if (!times || bucket >= STAGE_BUCKETS) {
		tally(TALLY_MISSED);
		return 0;
	}
	/* Threads count here too, and softirqs interrupt them. */
	__sync_fetch_and_add(&times->counts[bucket], 1);
	for (int i = 0; i < 4; i++) {
		__u64 max = times->max;

		if (max >= ns || __sync_val_compare_and_swap(&times->max, max, ns) == max)
			break;
	}
	return 0;
}

/* From one time to another; nothing where the first is not known. */
static __always_inline void stage_between(__u32 stage, __u64 from, __u64 to)
{
	if (from && to >= from)
		stage_took(stage, to - from);
}
