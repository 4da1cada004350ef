//! Every action by its name, above the line in which the user writes.

use super::{Palette, pen::Pen, text};

/// Rows of actions at most: more would hide what they are about.
const MOST_ROWS: usize = 12;

/// Draws it over the lowest rows of the area.
pub fn draw(pen: &mut Pen<'_>, palette: &Palette) {
    let theme = *pen.theme;
    let wide = pen.width();
    let shown = palette.rows.len().clamp(1, MOST_ROWS).min(usize::from(pen.height()).saturating_sub(1));
    let top = pen.height().saturating_sub(shown as u16 + 1);
    // The chosen one is in sight, and as much before it as after it.
    let first = palette.chosen.saturating_sub(shown / 2).min(palette.rows.len().saturating_sub(shown));
    pen.rule(0, top, wide, '─', theme.quiet);
    let hidden = palette.rows.len() - shown.min(palette.rows.len());
    let more = if hidden > 0 { format!(", {hidden} more by ↓ and ↑") } else { String::new() };
    let title = format!(" {} of {} actions{more} ", palette.rows.len(), palette.all);
    pen.put(1, top, &title, theme.strong);
    let width_of = |of: fn(&super::PaletteRow) -> usize| palette.rows.iter().map(of).max().unwrap_or(0) as u16;
    let (names, keys) = (width_of(|row| text::width(row.name)), width_of(|row| text::width(&row.keys)));
    for y in top + 1..pen.height() {
        pen.rule(0, y, wide, ' ', theme.text);
    }
    if palette.rows.is_empty() {
        pen.put(2, top + 1, "no action has this in its name or in what it does", theme.text);
    }
    for (i, row) in palette.rows.iter().enumerate().skip(first).take(shown) {
        let y = top + 1 + (i - first) as u16;
        let (strong, plain) = match row.elsewhere {
            Some(_) => (theme.quiet, theme.quiet),
            None => (theme.strong, theme.text),
        };
        pen.put(2, y, row.name, strong);
        pen.put(4 + names, y, &row.keys, plain);
        let says = match row.elsewhere {
            Some(place) => format!("(only {place})  {}", row.says),
            None => row.says.to_owned(),
        };
        pen.put(6 + names + keys, y, &says, plain);
        if i == palette.chosen {
            pen.paint_row(y, theme.selected);
            pen.put(0, y, "▸", theme.selected);
        }
    }
}
