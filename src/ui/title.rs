//! The line above a list: what it is, how many rows it shows, and what a filter hides.

use ratatui::style::Style;

use super::{Screen, format, pen::Pen, text};

/// Writes it; gives the column after it.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>, name: &str, shown: usize, hidden: usize) -> u16 {
    let theme = *pen.theme;
    let count = |n: usize| format::count(n as u64);
    let x = pen.pieces(1, 0, &[(name, theme.heading), ("  ", theme.text), (&count(shown), theme.strong)]);
    let filter = screen.view.filter();
    if filter.is_empty() {
        return x;
    }
    let hides = match screen.matches.pending() {
        0 => format!(" hides {}", count(hidden)),
        rest => format!(" hides {}, {} still to look at", count(hidden - rest.min(hidden)), count(rest)),
    };
    pen.pieces(x, 0, &[(" · /", theme.quiet), (filter.text(), theme.heading), (&hides, theme.strong)])
}

/// Writes what else there is to say of the list from column `x` on, as many whole parts as there is room for.
pub fn parts(pen: &mut Pen<'_>, x: u16, parts: &[String], style: Style) {
    let mut x = x;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let words = format!(" · {part}");
        if usize::from(x) + text::width(&words) < usize::from(pen.width()) {
            x = pen.put(x, 0, &words, style);
        }
    }
}

/// Says that nothing is shown because the filter hides all there is; whether that is so.
pub fn hides_all(pen: &mut Pen<'_>, screen: &Screen<'_>, y: u16, shown: usize, hidden: usize) -> bool {
    let all = shown == 0 && hidden > 0;
    if all {
        let words = match screen.matches.pending() {
            0 => {
                format!("no row has '{}': Esc shows all {}", screen.view.filter().text(), format::count(hidden as u64))
            }
            rest => format!("still looking at {} rows", format::count(rest as u64)),
        };
        pen.paragraph(1, y, &words, pen.theme.text);
    }
    all
}
