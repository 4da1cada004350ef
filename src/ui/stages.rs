//! Where upcalls spend their time: percentiles by stage.

use super::{Screen, chart, format, pen::Pen};
use crate::model::{Percentiles, Stage, Window};

/// Rows that it takes, with its heading.
pub const ROWS: u16 = Stage::ALL.len() as u16 + 1;

/// A percentile: its name, and how to read it.
type Pick = (&'static str, fn(&Percentiles) -> u64);

/// Columns of a duration: `999 µs` and the space before it.
const NUMBER: u16 = 8;

/// Draws the stages, the slowest of them stressed, with bars of their 99th percentile where there is room.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let model = screen.model;
    let sample = match (model.counts_stages(), model.loss().upcalls_are()) {
        (true, _) => ", all".to_owned(),
        (false, Some(word)) => format!(", {word}"),
        (false, None) => String::new(),
    };
    let all: Vec<(Stage, Option<Percentiles>)> =
        Stage::ALL.into_iter().map(|stage| (stage, model.latency(stage, Window::Last10))).collect();
    if all.iter().all(|(_, found)| found.is_none()) {
        pen.put(1, 0, "upcall time, last 10 s", theme.heading);
        nothing(pen, screen);
        return;
    }
    let wide = pen.width();
    let long_names = wide >= 52;
    let names: u16 = if wide >= 76 {
        30
    } else if long_names {
        20
    } else {
        10
    };
    let pick: &[Pick] = if wide >= names + 2 + 4 * NUMBER {
        &[("p50", |p| p.p50), ("p90", |p| p.p90), ("p99", |p| p.p99), ("max", |p| p.max)]
    } else if wide >= names + 2 + 3 * NUMBER {
        &[("p50", |p| p.p50), ("p99", |p| p.p99), ("max", |p| p.max)]
    } else {
        &[("p50", |p| p.p50), ("p99", |p| p.p99)]
    };
    let numbers_end = 1 + names + NUMBER * pick.len() as u16;
    let bars = usize::from(wide.saturating_sub(numbers_end + 2));

    // Up to where the first column's heading begins.
    let room = usize::from(names) + 1;
    let titles = [format!("upcall time, last 10 s{sample}"), format!("upcall time{sample}"), "upcall time".to_owned()];
    if let Some(title) = titles.iter().find(|title| title.len() <= room) {
        pen.put(1, 0, title, theme.heading);
    }
    for ((name, _), i) in pick.iter().zip(1..) {
        // Above the digits, not above the unit.
        pen.put_right(1 + names + NUMBER * i - 3, 0, name, theme.quiet);
    }
    if bars >= 13 {
        pen.put(numbers_end + 2, 0, "p99, to scale", theme.quiet);
    }
    let slowest = all
        .iter()
        .filter(|(stage, _)| *stage != Stage::Whole)
        .filter_map(|(stage, found)| Some((found.as_ref()?.p99, *stage)))
        .max();
    let top = slowest.map_or(0, |(p99, _)| p99);
    for ((stage, found), y) in all.iter().zip(1..) {
        let stressed = *stage == Stage::Whole || slowest.is_some_and(|(_, slow)| slow == *stage);
        let style = if stressed { theme.strong } else { theme.text };
        let name = match stage {
            Stage::Wait if !long_names => "wait",
            stage => stage.name(),
        };
        pen.put(1, y, name, style);
        let Some(found) = found else {
            pen.put_right(1 + names + NUMBER - 3, y, "–", theme.quiet);
            continue;
        };
        for ((_, value), i) in pick.iter().zip(1..) {
            pen.put_right(1 + names + NUMBER * i, y, &format::duration(value(found)), style);
        }
        if bars >= 4 && *stage != Stage::Whole && top > 0 {
            let bar = chart::bar(found.p99 as f64 / top as f64, bars.min(24));
            pen.put(numbers_end + 2, y, &bar, theme.shape);
        }
    }
}

/// Why there is nothing to show.
fn nothing(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let rates = screen.model.rates();
    let words = match rates {
        None => "waiting for the first counters",
        Some(rates) if rates.upcalls > 0.0 => "upcalls are counted, none was seen in detail: the event budget is spent",
        Some(rates) if rates.lookups > 0.0 => "no upcall: every packet hit a flow",
        Some(_) => "no upcall: no packet came through the datapath",
    };
    pen.paragraph(1, 2, words, theme.text);
}
