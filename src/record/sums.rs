//! Rows of the counters that have a form of their own: drops, handlers' threads and stages.

use super::{columns, dictionary::Malformed, proto};
use crate::event::{DropCounter, HandlerSched, STAGE_BUCKETS, Stage, StageCounter};

pub(super) fn from_drop(c: &DropCounter) -> columns::DropCounter {
    columns::DropCounter { reason: c.reason, name: c.name.clone(), count: c.count }
}

pub(super) fn to_drop(c: &proto::DropCounter) -> DropCounter {
    DropCounter { reason: c.reason, name: c.name.clone(), count: c.count }
}

pub(super) fn from_handler(c: &HandlerSched) -> columns::HandlerSched {
    columns::HandlerSched {
        tid: c.tid,
        asleep_ns: c.asleep_ns,
        runnable_ns: c.runnable_ns,
        running_ns: c.running_ns,
        runnable_max_ns: c.runnable_max_ns,
        switches: c.switches,
    }
}

pub(super) fn to_handler(c: &proto::HandlerSched) -> HandlerSched {
    HandlerSched {
        tid: c.tid,
        asleep_ns: c.asleep_ns,
        runnable_ns: c.runnable_ns,
        running_ns: c.running_ns,
        runnable_max_ns: c.runnable_max_ns,
        switches: c.switches,
    }
}

pub(super) fn from_stage(c: &StageCounter) -> columns::StageCounter {
    let mut before = 0;
    columns::StageCounter {
        // The order of the variants is the order of the numbers in recording.proto.
        stage: c.stage as u32,
        max: c.max,
        bucket: c
            .buckets
            .iter()
            .map(|&(at, _)| u32::from(at.wrapping_sub(std::mem::replace(&mut before, at))))
            .collect(),
        count: c.buckets.iter().map(|&(_, count)| count).collect(),
    }
}

/// None where the stage is one of a newer version.
pub(super) fn to_stage(c: &proto::StageCounter) -> Result<Option<StageCounter>, Malformed> {
    if c.bucket.len() != c.count.len() {
        return Err(Malformed("a stage with more buckets than counts, or fewer"));
    }
    let Some(&stage) = Stage::ALL.get(c.stage as usize) else { return Ok(None) };
    let mut at = 0u32;
    let buckets = c.bucket.iter().zip(&c.count).map(|(step, &count)| {
        at = at.saturating_add(*step);
        let known = (at as usize) < STAGE_BUCKETS;
        known.then_some((at as u16, count)).ok_or(Malformed("a bucket that is not there"))
    });
    Ok(Some(StageCounter { stage, max: c.max, buckets: buckets.collect::<Result<_, _>>()? }))
}
