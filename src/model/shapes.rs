//! What the flows of the last seconds match, and in which field they differ: a field in which every connection has a value of
//! its own makes a flow of every connection.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher as _, Hash},
};

use foldhash::fast::FixedState;

use super::{Flow, FlowKey, Model, meter::SECOND};
use crate::event::{DpIfindex, Field, FieldMatch, FlowShape, Nanos, Query, Ufid};

/// How far back flows are compared.
const SECONDS: Nanos = 10;

/// New flows of the last ten seconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shapes {
    recent: VecDeque<(Nanos, FlowShape)>,
}

/// How the flows made in the last ten seconds differ in one field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSpread {
    /// The field.
    pub field: Field,
    /// Flows that match it.
    pub flows: usize,
    /// Different values of it, each under its mask.
    pub values: usize,
    /// Bits of information in its value: 0 where all have the same, log₂ of `values` where all are equally frequent.
    pub entropy: f64,
    /// Flows that differ from another one in this field and in nothing else.
    pub alone: usize,
    /// The port that most of those come in by, in its datapath, and how many of them do.
    pub in_port: Option<((DpIfindex, u32), usize)>,
}

/// The fields in which flows differ, and of how many flows that is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spreads {
    /// Flows whose match is known.
    pub flows: usize,
    /// Flows of the same time whose match is not known.
    pub left_out: u64,
    /// Of those whose match is known, the ones that no packet ever hit until the hits were last read; none where hits are
    /// not counted by flow.
    pub unused: Option<usize>,
    /// Fields with more than one value; first the one in which, and in nothing else, most flows differ.
    pub fields: Vec<FieldSpread>,
}

impl Shapes {
    /// A flow was made at `ts`; of at most `limit` the latest are kept.
    pub fn add(&mut self, ts: Nanos, shape: &FlowShape, limit: usize) {
        let at = self.recent.partition_point(|(other, _)| *other <= ts);
        self.recent.insert(at, (ts, shape.clone()));
        let begin = self.recent.back().map_or(0, |(last, _)| last.saturating_sub(2 * SECONDS * SECOND));
        while self.recent.len() > limit.max(1) || self.recent.front().is_some_and(|(ts, _)| *ts < begin) {
            self.recent.pop_front();
        }
    }

    /// Those of the ten seconds before `now`.
    pub fn recent(&self, now: Nanos) -> impl DoubleEndedIterator<Item = &FlowShape> + Clone {
        let begin = now.saturating_sub(SECONDS * SECOND);
        let from = self.recent.partition_point(|(ts, _)| *ts < begin);
        let to = self.recent.partition_point(|(ts, _)| *ts <= now);
        self.recent.range(from..to.max(from)).map(|(_, shape)| shape)
    }

    /// The latest match of a flow.
    pub fn of(&self, dp: DpIfindex, ufid: Ufid) -> Option<&FlowShape> {
        self.recent.iter().rev().map(|(_, shape)| shape).find(|shape| shape.dp == dp && shape.ufid == Some(ufid))
    }

    /// How they differ.
    pub fn spreads(&self, now: Nanos) -> Spreads {
        let shapes = self.recent(now);
        let hasher = FixedState::default();
        let part = |of: &FieldMatch| hasher.hash_one(of);
        // Each flow's sum of its fields' hashes: less the hash of one field, it identifies the rest.
        let whole = |shape: &FlowShape| {
            shape.matches.fields().iter().fold(hasher.hash_one(shape.dp), |sum, of| sum.wrapping_add(part(of)))
        };
        let flows: Vec<(u64, &FlowShape)> = shapes.clone().map(|shape| (whole(shape), shape)).collect();
        let left_out = shapes.clone().next_back().map_or(0, |last| last.left_out);
        let left_out = left_out.saturating_sub(shapes.clone().next().map_or(0, |first| first.left_out));
        let known: HashSet<Field> =
            flows.iter().flat_map(|(_, shape)| shape.matches.fields().iter().map(|of| of.field)).collect();
        let mut fields: Vec<FieldSpread> = known.into_iter().filter_map(|field| spread(field, &flows, &part)).collect();
        fields.sort_by_key(|spread| (std::cmp::Reverse((spread.alone, spread.values)), spread.field));
        Spreads { flows: flows.len(), left_out, unused: None, fields }
    }
}

fn spread(field: Field, flows: &[(u64, &FlowShape)], part: &impl Fn(&FieldMatch) -> u64) -> Option<FieldSpread> {
    let mut values: HashMap<u64, usize> = HashMap::new();
    let mut rests: HashMap<u64, (u64, bool)> = HashMap::new();
    let having: Vec<(u64, u64, &FlowShape)> = flows
        .iter()
        .filter_map(|(whole, shape)| {
            let value = part(shape.matches.get(field)?);
            Some((whole.wrapping_sub(value), value, *shape))
        })
        .collect();
    for (rest, value, _) in &having {
        *values.entry(*value).or_default() += 1;
        let (first, differs) = rests.entry(*rest).or_insert((*value, false));
        *differs |= first != value;
    }
    if values.len() < 2 {
        return None;
    }
    let alone: Vec<&FlowShape> = having.iter().filter(|(rest, ..)| rests[rest].1).map(|(.., shape)| *shape).collect();
    let n = having.len() as f64;
    let entropy = values.values().map(|count| *count as f64 / n).map(|p| -p * p.log2());
    let came_in_by = |shape: &&FlowShape| Some((shape.dp, shape.matches.get(Field::InPort)?.value as u32));
    Some(FieldSpread {
        field,
        flows: having.len(),
        values: values.len(),
        // In one order, so that equal states have equal sums.
        entropy: sum_in_order(entropy),
        alone: alone.len(),
        in_port: most(alone.iter().filter_map(came_in_by)),
    })
}

fn sum_in_order(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.into_iter().sum()
}

/// The most frequent one, and how often it is; of equals the smallest.
fn most<T: Hash + Ord + Copy>(of: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    of.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().max_by_key(|&(one, count)| (count, std::cmp::Reverse(one)))
}

impl Model {
    /// How the flows that were made in the ten seconds before `now` differ, and how many of them are of no use.
    pub(super) fn spreads_at(&self, now: Nanos) -> Spreads {
        let is_unused = |shape: &&FlowShape| {
            let flow = shape.ufid.and_then(|ufid| self.flow(FlowKey::Ufid(shape.dp, ufid)));
            flow.is_some_and(|flow| self.is_unused(flow))
        };
        let unused = self.counts_flow_hits().then(|| self.shapes.recent(now).filter(is_unused).count());
        Spreads { unused, ..self.shapes.spreads(now) }
    }

    /// A flow that matches a field, of those whose match became known in the last ten seconds and that are still kept: one
    /// whose rules the daemon has named, else one that it has described, else any; of those the newest.
    pub fn flow_matching(&self, field: Field) -> Option<FlowKey> {
        let matching = self.shapes.recent(self.now()).rev().filter(|shape| shape.matches.get(field).is_some());
        let keys = matching.filter_map(|shape| Some(FlowKey::Ufid(shape.dp, shape.ufid?)));
        let told = |flow: &Flow, query| self.answer(flow, query).is_some_and(|answer| answer.answer.is_ok());
        let known = keys.filter_map(|key| self.flow(key)).map(|flow| {
            let is_silent = (!told(flow, Query::Detrace), !told(flow, Query::GetFlow));
            (is_silent, flow.key)
        });
        // The first of equals.
        known.min_by_key(|(is_silent, _)| *is_silent).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FlowMatch;

    fn shape(udp_src: u128, dst: u128, left_out: u64) -> FlowShape {
        let exact = |field: Field, value| FieldMatch { field, value, mask: u128::MAX };
        let matches =
            FlowMatch::new([exact(Field::InPort, 3), exact(Field::Ipv4Dst, dst), exact(Field::UdpSrc, udp_src)]);
        FlowShape { dp: DpIfindex(1), ufid: None, matches, actions_len: 8, left_out }
    }

    #[test]
    fn the_field_that_differs_alone_is_found() {
        let mut shapes = Shapes::default();
        for n in 0..100 {
            shapes.add(SECOND + n, &shape(n.into(), 7, 5 * n), 1000);
        }
        // One that differs in two fields.
        shapes.add(2 * SECOND, &shape(1000, 8, 500), 1000);
        let spreads = shapes.spreads(3 * SECOND);
        assert_eq!((spreads.flows, spreads.left_out), (101, 500));
        let first = &spreads.fields[0];
        assert_eq!((first.field, first.values, first.alone), (Field::UdpSrc, 101, 100));
        assert!((first.entropy - 101f64.log2()).abs() < 1e-9, "{}", first.entropy);
        assert_eq!(first.in_port, Some(((DpIfindex(1), 3), 100)));
        assert_eq!(spreads.fields[1].field, Field::Ipv4Dst);
        assert_eq!(spreads.fields.len(), 2, "a field that is the same in all is not told");
        assert_eq!(shapes.spreads(12 * SECOND).flows, 1);
        assert_eq!(shapes.spreads(13 * SECOND), Spreads::default(), "they are of the last ten seconds");
    }

    #[test]
    fn they_are_bounded() {
        let mut shapes = Shapes::default();
        for n in 0..100 {
            shapes.add(n, &shape(n.into(), 7, 0), 10);
        }
        assert_eq!(shapes.spreads(SECOND).flows, 10);
    }
}
