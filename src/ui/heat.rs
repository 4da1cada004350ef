//! The heat map: how long upcalls took the whole way, second by second.

use super::{Screen, chart, format, pen::Pen};
use crate::model::{HEAT_BUCKETS, HeatColumn, Stage, Window, heat_bound};

/// Columns at the left for the scale.
const SCALE: u16 = 8;

/// Rows it can use, heading, times and values included.
pub const MOST_ROWS: u16 = HEAT_BUCKETS as u16 + 3;

/// Draws the map into the whole area: a heading, the cells, times of day below them, and the last values in figures.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    pen.put(1, 0, "upcall time, the whole way", theme.heading);
    let rows = usize::from(pen.height().saturating_sub(3));
    let columns = usize::from(pen.width().saturating_sub(SCALE + 2));
    let heat = screen.model.heat();
    let (Some(last), true) = (heat.last(), rows >= 3 && columns >= 10) else {
        pen.put(1, 2, "no upcall yet", theme.text);
        return;
    };
    let Some((low, high)) = occupied(&heat) else {
        pen.put(1, 2, "no upcall in the last two minutes", theme.text);
        return;
    };
    let (low, high) = widened(low, high, rows);
    let per_row = (high - low + 1).div_ceil(rows).max(1);
    let used = (high - low + 1).div_ceil(per_row);
    let per_column = heat.len().div_ceil(columns).max(1) as u64;
    let mut cells = vec![vec![0u64; columns]; used];
    for second in &heat {
        let back = (last.second / per_column - second.second / per_column) as usize;
        let Some(x) = columns.checked_sub(back + 1) else { continue };
        for (bucket, count) in second.counts.iter().enumerate().take(high + 1).skip(low) {
            cells[(bucket - low) / per_row][x] += u64::from(*count);
        }
    }
    let most = cells.iter().flatten().copied().max().unwrap_or(0);
    for (row, counts) in cells.iter().enumerate() {
        let y = (used - row) as u16;
        let bound = heat_bound(low + row * per_row);
        // One label for each decade, where there are three rows to one.
        if used <= 8 || per_row > 1 || (low + row) % 3 == 1 {
            let words = if bound == 0 { "<1 µs".to_owned() } else { format::duration(bound) };
            pen.put_right(SCALE, y, &words, theme.quiet);
        }
        for (count, x) in counts.iter().zip(SCALE + 1..) {
            let shade = chart::shade(*count, most);
            if let Some(hue) = shade.checked_sub(1) {
                pen.put(x, y, chart::SHADES[shade].encode_utf8(&mut [0; 4]), theme.heat[hue]);
            }
        }
    }
    let y = used as u16 + 1;
    values(pen, screen, y + 1);
    let Some(clock) = screen.model.clock() else { return };
    let at = |second: u64| format::time_of_day(clock, second.saturating_mul(1_000_000_000)).unwrap_or_default();
    pen.put_right(SCALE + 1 + columns as u16, y, &at(last.second), theme.quiet);
    let span = columns as u64 * per_column;
    if columns >= 24 {
        pen.put(SCALE + 1, y, &at(last.second.saturating_sub(span - 1)), theme.quiet);
    }
}

/// What the map's last ten seconds are in figures.
fn values(pen: &mut Pen<'_>, screen: &Screen<'_>, y: u16) {
    let theme = *pen.theme;
    let Some(last) = screen.model.latency(Stage::Whole, Window::Last10) else { return };
    let mut x = 1;
    for (name, ns) in [("p50", last.p50), ("p90", last.p90), ("p99", last.p99), ("max", last.max)] {
        x = pen.pieces(
            x,
            y,
            &[(name, theme.quiet), (" ", theme.text), (format::duration(ns).trim_end(), theme.strong)],
        ) + 2;
    }
    // Whole or not at all.
    if x + 9 <= pen.width() {
        pen.put(x, y, "last 10 s", theme.quiet);
    }
}

/// The buckets to show: those that are used and, where there is room, more on both sides, so that the scale moves
/// seldom.
fn widened(low: usize, high: usize, rows: usize) -> (usize, usize) {
    let (mut low, mut high) = (low, high);
    while high - low + 1 < rows.min(HEAT_BUCKETS) {
        low = low.saturating_sub(1);
        if high - low + 1 < rows && high + 1 < HEAT_BUCKETS {
            high += 1;
        }
    }
    (low, high)
}

/// The lowest and the highest bucket that anything is in.
fn occupied(heat: &[HeatColumn]) -> Option<(usize, usize)> {
    let used: Vec<usize> = (0..HEAT_BUCKETS).filter(|b| heat.iter().any(|second| second.counts[*b] > 0)).collect();
    Some((*used.first()?, *used.last()?))
}
