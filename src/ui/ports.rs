//! The ports: which of them send upcalls, and why.

use super::{
    Drawn, PortSort, Screen, chart, empty, format,
    lists::{self, Shown},
    pen::Pen,
    table::{Cell, Column, Layout},
    title,
};
use crate::model::PortRow;

const COLUMNS: [Column; 9] = [
    Column::words("port", 12, 20, 0),
    Column::number("no", 5, 0),
    Column::words("kind", 8, 10, 3),
    Column::number("upcalls/s", 9, 0),
    Column::words("share", 10, 24, 1),
    Column::number("misses", 9, 2),
    Column::number("actions", 9, 4),
    Column::number("lost", 8, 0),
    Column::words("datapath", 8, 16, 5),
];

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let theme = *pen.theme;
    let page = usize::from(pen.height().saturating_sub(2));
    let Shown { rows, hidden } = lists::ports(screen.model, screen.view);
    let x = title::draw(pen, screen, "ports", rows.len(), hidden);
    let parts = ["upcalls since the probes were attached, exact", "rates of the last 2 s"].map(str::to_owned);
    title::parts(pen, x, &parts, theme.text);
    if title::hides_all(pen, screen, 2, rows.len(), hidden) {
        return Drawn { page, scroll_max: 0 };
    }
    if rows.is_empty() {
        let words = empty::because(screen.model, &[]).unwrap_or_else(|| match screen.model.totals() {
            None => "waiting for the datapath's ports and the first counters".to_owned(),
            Some(_) => "no datapath has a port".to_owned(),
        });
        pen.paragraph(1, 2, &words, theme.text);
        return Drawn { page, scroll_max: 0 };
    }
    let all: f64 = rows.iter().map(lists::port_rate).sum();
    let ids: Vec<_> = rows.iter().map(|row| (row.dp, row.port)).collect();
    let window = lists::window(&ids, &screen.view.ports, page);
    let layout = Layout::new(&COLUMNS, pen.width());
    let order = screen.view.port_order;
    let sorted = match order.by {
        PortSort::Number => 1,
        PortSort::Rate => 3,
        PortSort::Lost => 7,
    };
    layout.head(pen, 1, &COLUMNS, Some((sorted, order.largest_first)));
    let bar_wide = layout.place(4).map_or(0, |(_, wide)| usize::from(wide));
    for (port, i) in rows.iter().skip(window.first).take(page).zip(0..) {
        let selected = window.first + i == window.selected;
        layout.row(pen, i as u16 + 2, &COLUMNS, &row(screen, port, all, bar_wide), selected);
    }
    Drawn { page, scroll_max: 0 }
}

fn row(screen: &Screen<'_>, port: &PortRow, all: f64, bar_wide: usize) -> Vec<Cell> {
    let theme = screen.theme;
    let rate = lists::port_rate(port);
    let share = if all > 0.0 { rate / all } else { 0.0 };
    let lost = match port.lost {
        0 => ("0".to_owned(), theme.quiet),
        n => (format!("▲ {}", format::short_count(n)), theme.bad),
    };
    let datapath = screen.model.datapath(port.dp).map_or_else(|| "–".to_owned(), |datapath| datapath.name.clone());
    let number = |n: u64| (format::short_count(n), if n > 0 { theme.text } else { theme.quiet });
    vec![
        (port.name.clone().unwrap_or_else(|| "no name".to_owned()), theme.text),
        (port.port.0.to_string(), theme.quiet),
        (port.kind.clone().unwrap_or_default(), theme.quiet),
        (format::rate(rate), if rate > 0.0 { theme.strong } else { theme.quiet }),
        (chart::bar(share, bar_wide), theme.shape),
        number(port.misses),
        number(port.actions),
        lost,
        (datapath, theme.quiet),
    ]
}
