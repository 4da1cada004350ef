//! The rates: each with its number now and its curve over the last minutes.

use super::{Screen, chart, format, pen::Pen, text};
use crate::model::{Metric, Model, Rates};

/// One line of the table.
struct Row {
    name: &'static str,
    metric: Metric,
    /// The number now: a rate, or a level for flows and masks.
    now: fn(&Model, &Rates) -> Option<f64>,
    /// Whether anything above 0 is bad.
    bad: bool,
}

/// The most telling first; as many are shown as there is room for.
#[rustfmt::skip]
const ROWS: [Row; 14] = [
    Row { name: "lookups", metric: Metric::Lookups, now: |_, r| Some(r.lookups), bad: false },
    Row { name: "hits", metric: Metric::Hits, now: |_, r| Some(r.hits), bad: false },
    Row { name: "misses", metric: Metric::Misses, now: |_, r| Some(r.misses), bad: false },
    Row { name: "upcalls", metric: Metric::Upcalls, now: |_, r| Some(r.upcalls), bad: false },
    Row { name: "lost", metric: Metric::UpcallsLost, now: |_, r| Some(r.upcalls_lost), bad: true },
    Row { name: "puts", metric: Metric::Puts, now: |_, r| Some(r.puts), bad: false },
    Row { name: "flows, now", metric: Metric::Flows, now: |m, _| m.running(Metric::Flows).map(|n| n as f64), bad: false },
    Row { name: "masks, now", metric: Metric::Masks, now: |m, _| m.running(Metric::Masks).map(|n| n as f64), bad: false },
    Row { name: "puts failed", metric: Metric::PutsFailed, now: |_, r| Some(r.puts_failed), bad: true },
    Row { name: "received", metric: Metric::Received, now: |_, r| Some(r.received), bad: false },
    Row { name: "executes", metric: Metric::Execs, now: |_, r| Some(r.execs), bad: false },
    Row { name: "deletes", metric: Metric::Dels, now: |_, r| Some(r.dels), bad: false },
    Row { name: "masks tried", metric: Metric::MasksTried, now: |_, r| Some(r.masks_tried), bad: false },
    Row { name: "cache hits", metric: Metric::CacheHits, now: |_, r| Some(r.cache_hits), bad: false },
];

/// Rows that the table can use, its heading not counted.
pub const MOST_ROWS: u16 = ROWS.len() as u16;

/// Seconds that a curve goes back at least, when so many are known.
const SPAN: usize = 120;

/// Draws as many rates as there are rows, below a heading.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let model = screen.model;
    let wide = usize::from(pen.width());
    let shown = usize::from(pen.height().saturating_sub(1)).min(ROWS.len());
    let rows = &ROWS[..shown];
    // The headings stand apart, too, where all names are short.
    let names = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("per second".len());
    let number_end = (1 + names + 10) as u16;
    let peak = if wide >= 56 { 12 } else { 0 };
    let curve_x = number_end + 2;
    let curve_wide = wide.saturating_sub(usize::from(curve_x) + peak);
    // As long as there is less to show than that, a column is a shorter time.
    let known = model.series(Metric::Lookups).len().clamp(1, SPAN);
    let per_column = known.div_ceil(curve_wide.max(1));

    pen.put(1, 0, "per second", theme.heading);
    // Levels are as they are now.
    pen.put_right(number_end, 0, "last 2 s", theme.quiet);
    let ago = format!("{} s ago", per_column * curve_wide);
    if curve_wide >= text::width(&ago) {
        pen.put(curve_x, 0, &ago, theme.quiet);
        if curve_wide >= text::width(&ago) + 8 {
            pen.put_right(curve_x + curve_wide as u16, 0, "now", theme.quiet);
        }
    }
    if peak > 0 {
        pen.put_right(pen.width(), 0, "peak", theme.quiet);
    }
    let rates = model.rates();
    for (row, y) in rows.iter().zip(1..) {
        pen.put(1, y, row.name, theme.text);
        if let Some((words, as_asked)) = missing(model, row) {
            pen.put(number_end.saturating_sub(8), y, &words, if as_asked { theme.quiet } else { theme.bad });
            continue;
        }
        let now = rates.and_then(|rates| (row.now)(model, &rates));
        let alarm = row.bad && now.is_some_and(|now| now > 0.0);
        let (number, style) = match now {
            None => ("–".to_owned(), theme.quiet),
            Some(now) if alarm => (format!("▲ {}", format::rate(now)), theme.bad),
            Some(0.0) => ("0".to_owned(), theme.quiet),
            Some(now) => (format::rate(now), theme.strong),
        };
        pen.put_right(number_end, y, &number, style);
        let Some(end) = model.series_end() else { continue };
        let values: Vec<f64> = model.series(row.metric).map(|n| n as f64).collect();
        let cells = chart::squeeze(&values, end, per_column, curve_wide);
        // What is now may be more than any whole second had.
        let top = cells.iter().flatten().copied().chain(now).fold(0.0, f64::max);
        let shape = if row.bad { theme.bad_shape() } else { theme.shape };
        for (cell, x) in cells.iter().zip(curve_x..) {
            let style = if cell.is_some_and(|n| n > 0.0) { shape } else { theme.trough };
            pen.put(x, y, chart::step(*cell, top).encode_utf8(&mut [0; 4]), style);
        }
        if peak > 0 && !values.is_empty() {
            pen.put_right(pen.width(), y, &format::short_count(top as u64), theme.quiet);
        }
    }
}

/// What to say in place of a number that nothing counts, and whether that is as asked.
fn missing(model: &Model, row: &Row) -> Option<(String, bool)> {
    let absent = model.uncounted(row.metric)?;
    let as_asked = !absent.is_missing();
    Some((if as_asked { "not counted".to_owned() } else { format!("no probe {}", absent.name) }, as_asked))
}
