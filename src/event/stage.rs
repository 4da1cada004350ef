//! The stages of an upcall, and the buckets of the kernel side's histograms of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stage of an upcall. Each upcall counts once in each stage that was seen of it; of one that made several messages
/// (GSO), the first message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// From the lookup that missed to the upcall.
    Lookup,
    /// From the upcall until its message is on the handler's socket. Only where it could be queued.
    Enqueue,
    /// In the socket's queue, until the handler received it.
    Wait,
    /// From the receive until the first answer, put or execute, begins: the handler at work, on the other messages of the
    /// batch as well.
    Translate,
    /// In the kernel, installing the flow.
    Put,
    /// From the begin of the execute to the first action; as the kernel side counts it, to the execute's end.
    Execute,
    /// From the lookup that missed (or the upcall, where there was no miss) to the first action on the packet given
    /// back; where it had no action, and as the kernel side counts it, to the execute's end.
    Whole,
}

impl Stage {
    /// All, in their order, which is that of `enum stage` in bpf/maps.h.
    pub const ALL: [Self; 7] =
        [Self::Lookup, Self::Enqueue, Self::Wait, Self::Translate, Self::Put, Self::Execute, Self::Whole];

    /// A word or two for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Enqueue => "enqueue",
            Self::Wait => "wait for handler",
            Self::Translate => "translate",
            Self::Put => "put",
            Self::Execute => "execute",
            Self::Whole => "whole",
        }
    }
}

/// One stage's times so far, of all upcalls since the probes were attached, recorded or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageCounter {
    /// The stage.
    pub stage: Stage,
    /// The longest, in nanoseconds; exact.
    pub max: u64,
    /// Pairs of a bucket (see [`bucket_bounds`]) and its count, by rising bucket; no count is 0.
    pub buckets: Vec<(u16, u64)>,
}

/// The highest bit with buckets of its own: times from 2^37 ns (137 s) on are in the last bucket.
const HIGHEST_BIT: u32 = 36;
/// Buckets between one power of two and the next, from 8 ns on.
const PER_POWER: u32 = 8;

/// How many buckets there are: `STAGE_BUCKETS` in bpf/maps.h.
pub const STAGE_BUCKETS: usize = ((HIGHEST_BIT - 1) * PER_POWER) as usize;

/// The bucket of a time, as `stage_bucket` in bpf/stages.h has it: one for each nanosecond below 8, then eight to each
/// power of two, so that no bucket is wider than an eighth of its times.
pub fn bucket_of(ns: u64) -> usize {
    if ns < u64::from(PER_POWER) {
        return ns as usize;
    }
    let high = ns.ilog2();
    if high > HIGHEST_BIT {
        return STAGE_BUCKETS - 1;
    }
    ((high - 2) * PER_POWER) as usize + (ns >> (high - 3) & 7) as usize
}

/// The shortest and the longest time of a bucket, in nanoseconds, inclusive. The last bucket has no upper bound.
pub fn bucket_bounds(bucket: usize) -> (u64, u64) {
    let lower = |bucket: usize| {
        let bucket = bucket as u64;
        let (power, part) = (bucket / u64::from(PER_POWER), bucket % u64::from(PER_POWER));
        if power == 0 { part } else { (u64::from(PER_POWER) + part) << (power - 1) }
    };
    match bucket.min(STAGE_BUCKETS - 1) {
        last if last == STAGE_BUCKETS - 1 => (lower(last), u64::MAX),
        bucket => (lower(bucket), lower(bucket + 1) - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `stage_bucket` of bpf/stages.h, word for word.
    fn stage_bucket_in_c(ns: u64) -> u64 {
        if ns < 8 {
            return ns;
        }
        let (mut n, mut high, mut step) = (ns, 0, 32);
        while step > 0 {
            if n >> step != 0 {
                n >>= step;
                high += step;
            }
            step >>= 1;
        }
        if high > 36 {
            return (36 - 1) * 8 - 1;
        }
        (high - 2) * 8 + ((ns >> (high - 3)) & 7)
    }

    fn nanos() -> impl Strategy<Value = u64> {
        // As many of each size, and those around the powers of two.
        (0u32..64, any::<u64>(), -2i64..3).prop_map(|(bits, random, near)| {
            let power = 1u64 << bits;
            if random % 3 == 0 { power.wrapping_add_signed(near) } else { power | (random & (power - 1)) }
        })
    }

    proptest! {
        #[test]
        fn the_kernel_side_and_this_one_have_the_same_buckets(ns in nanos()) {
            prop_assert_eq!(bucket_of(ns) as u64, stage_bucket_in_c(ns));
        }

        #[test]
        fn a_time_is_within_its_buckets_bounds_which_are_an_eighth_of_it_at_most(ns in nanos()) {
            let bucket = bucket_of(ns);
            let (from, to) = bucket_bounds(bucket);
            prop_assert!(bucket < STAGE_BUCKETS && from <= ns && ns <= to, "{} in {}..={}", ns, from, to);
            prop_assert!(bucket == STAGE_BUCKETS - 1 || (to - from) <= ns / 8, "{} in {}..={}", ns, from, to);
        }
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        for bucket in 1..STAGE_BUCKETS {
            assert_eq!(bucket_bounds(bucket).0, bucket_bounds(bucket - 1).1 + 1, "bucket {bucket}");
        }
        assert_eq!(bucket_bounds(STAGE_BUCKETS - 1).0, 15 << 33);
    }
}
