//! The line of time: a whole recording in one row, with where it is trouble, where it is marked, and where this is.

use super::{Screen, chart, format, pen::Pen, text};
use crate::model::State;

/// Rows of the screen below which there is none.
const ROOM: u16 = 20;

/// Rows that it takes: 1 or none.
pub fn rows(pen: &Pen<'_>, screen: &Screen<'_>) -> u16 {
    let shown = screen.status.overview.as_ref().is_some_and(|overview| overview.span().is_some());
    u16::from(shown && pen.height() >= ROOM)
}

/// Draws it into row `y`: upcalls as a curve, storms and losses in the colour of what is wrong, where losses begin `▲`, marks as `▼`,
/// and the moment that is shown reversed.
pub fn draw(pen: &mut Pen<'_>, y: u16, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let Some(overview) = &screen.status.overview else { return };
    let Some((begin, end)) = overview.span() else { return };
    let label = |ts| {
        let of_day = screen.model.clock().and_then(|clock| format::time_of_day(clock, ts));
        // To the second: a column is never less.
        of_day.map(|words| words.chars().take(8).collect::<String>())
    };
    let left = label(begin).unwrap_or_else(|| "0:00".to_owned());
    let right = label(end).unwrap_or_else(|| format::clock_span(end.saturating_sub(begin) / 1_000_000_000));
    let x = pen.put(1, y, &left, theme.quiet) + 1;
    let edge = pen.width().saturating_sub(text::width(&right) as u16 + 1);
    pen.put(edge, y, &right, theme.quiet);
    let wide = usize::from(edge.saturating_sub(x + 1));
    let picture = overview.picture(wide);
    let top = picture.iter().map(|column| column.upcalls).max().unwrap_or(0);
    let marked = |cell| overview.marks().iter().any(|mark| overview.place(mark.at, wide) == Some(cell));
    let here = overview.place(screen.model.now(), wide);
    let mut was_lost = false;
    for (cell, column) in picture.iter().enumerate() {
        let lost = column.upcalls_lost + column.events_lost > 0;
        let known = (column.worst != State::Waiting).then_some(column.upcalls as f64);
        let glyph = match () {
            () if marked(cell) => '▼',
            () if lost && !was_lost => '▲',
            () => chart::step(known, top as f64),
        };
        let style = match () {
            () if here == Some(cell) => theme.selected,
            () if marked(cell) => theme.heading,
            () if lost || column.worst >= State::Storm => theme.bad_shape(),
            () => theme.shape,
        };
        pen.put(x + cell as u16, y, &glyph.to_string(), style);
        was_lost = lost;
    }
}
