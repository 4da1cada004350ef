//! How flows differed when most of them were made.

use serde::Serialize;

use super::document::Block;
use crate::{
    event::Field,
    model::{Model, Spreads},
    ui::format::{clock_span, count, share},
};

/// How many fields are described in words; the JSON form has all of them.
const FIELDS: usize = 10;

/// How the flows that were made within ten seconds differ: those of the ten seconds that had most of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewFlows {
    /// The second at whose end they had been made, from the beginning of the span.
    pub second: u64,
    /// Flows whose match is known.
    pub flows: u64,
    /// Flows of the same time whose match is not known.
    pub left_out: u64,
    /// Of those whose match is known, the ones that no packet had hit by then; none where hits were not counted by flow.
    pub unused: Option<u64>,
    /// The fields with more than one value; first the one in which, and in nothing else, most flows differ.
    pub fields: Vec<Differs>,
}

/// How they differ in one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differs {
    /// The field.
    pub field: Field,
    /// Flows that match it.
    pub flows: u64,
    /// Different values of it, each under its mask.
    pub values: u64,
    /// Bits of information in its value: 0 where all have the same.
    pub entropy: f64,
    /// Flows that differ from another one in this field and in nothing else.
    pub alone: u64,
}

/// The ten seconds in which most flows were made, the first of equals.
#[derive(Debug, Default)]
pub struct Most {
    second: u64,
    spreads: Spreads,
}

impl Most {
    /// Looks at the model in this second.
    pub fn see(&mut self, second: u64, model: &Model) {
        let made = |spreads: &Spreads| spreads.left_out.saturating_add(spreads.flows as u64);
        let spreads = model.spreads();
        if !spreads.fields.is_empty() && made(spreads) > made(&self.spreads) {
            *self = Self { second, spreads: spreads.clone() };
        }
    }

    /// What it was. Seconds are counted by `at`.
    pub fn facts(&self, at: impl Fn(u64) -> u64) -> Option<NewFlows> {
        let of = &self.spreads;
        let fields = of.fields.iter().map(|spread| Differs {
            field: spread.field,
            flows: spread.flows as u64,
            values: spread.values as u64,
            entropy: spread.entropy,
            alone: spread.alone as u64,
        });
        let (second, flows, left_out) = (at(self.second), of.flows as u64, of.left_out);
        let unused = of.unused.map(|unused| unused as u64);
        (!of.fields.is_empty()).then(|| NewFlows { second, flows, left_out, unused, fields: fields.collect() })
    }
}

/// The section about it.
pub fn page(new_flows: Option<&NewFlows>, out: &mut Vec<Block>) {
    let Some(of) = new_flows else { return };
    out.push(Block::Heading(1, "How new flows differed".to_owned()));
    let sample = match of.left_out {
        0 => String::new(),
        left_out => format!(", a sample: {} more were made", count(left_out)),
    };
    let hit = of.unused.map_or(String::new(), |unused| format!(" No packet had hit {} of them.", count(unused)));
    let (flows, by) = (count(of.flows), clock_span(of.second));
    out.push(Block::Text(format!("Of {flows} made in the 10 s before {by}{sample}.{hit}")));
    let row = |field: &Differs| {
        vec![
            field.field.name().into_owned(),
            count(field.flows),
            count(field.values),
            format!("{:.1}", field.entropy),
            share(field.alone as f64 / of.flows.max(1) as f64),
        ]
    };
    let rows = of.fields.iter().take(FIELDS).map(row).collect();
    out.push(Block::Table(vec!["field", "flows", "values", "bits", "alone"], rows));
    let alone = "Alone: those that differ from another one in this field and in nothing else.";
    let more = of.fields.len().saturating_sub(FIELDS);
    let more = if more > 0 { format!(" {more} more fields differ.") } else { String::new() };
    out.push(Block::Text(format!("{alone}{more}")));
}
