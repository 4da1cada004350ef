//! The flows: a table, and one of them with all that is known about it.

use super::{
    Drawn, Screen, flow_text, format, label, lists,
    pen::Pen,
    scrolled,
    table::{Cell, Column, Layout},
};
use crate::model::{Flow, FlowSort, LastPut};

const COLUMNS: [Column; 10] = [
    Column::number("hits/s", 7, 0),
    Column::number("hits", 7, 0),
    Column::number("upcalls", 7, 1),
    Column::words("last put", 8, 10, 2),
    Column::number("masks", 5, 4),
    Column::number("last hit", 8, 3),
    Column::number("age", 6, 5),
    Column::words("in port", 8, 15, 6),
    Column::words("last packet", 37, 64, 0),
    Column::words("ufid", 8, 36, 7),
];

/// The column that an order shows itself in.
fn column_of(sort: FlowSort) -> usize {
    match sort {
        FlowSort::HitRate => 0,
        FlowSort::Hits => 1,
        FlowSort::Upcalls => 2,
        FlowSort::LastPut | FlowSort::Deleted => 3,
        FlowSort::MasksTried => 4,
        FlowSort::LastHit => 5,
        FlowSort::FirstSeen => 6,
    }
}

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    if screen.view.is_open()
        && let Some((flow, kept)) = screen.pins.flow_of(screen.view)
    {
        return detail(pen, screen, (flow, kept), screen.view.scroll);
    }
    let (wide, high) = (pen.width(), pen.height());
    let preview = if high >= 30 { high / 2 - 2 } else { 0 };
    let table_high = high - preview;
    let page = usize::from(table_high.saturating_sub(2));
    let (keys, window, count) = lists::flow_window(screen.model, screen.view, page);
    title(pen, screen, count);
    if keys.is_empty() {
        empty(pen, screen);
        return Drawn { page, scroll_max: 0 };
    }
    let layout = Layout::new(&COLUMNS, wide);
    let order = screen.view.flow_order;
    layout.head(pen, 1, &COLUMNS, Some((column_of(order.by), order.largest_first)));
    for (key, i) in keys.iter().zip(0..page) {
        let Some(flow) = screen.model.flow(*key) else { continue };
        let selected = window.first + i == window.selected;
        layout.row(pen, i as u16 + 2, &COLUMNS, &row(screen, flow), selected);
        if selected && preview > 0 {
            pen.rule(1, table_high, wide - 2, '─', pen.theme.quiet);
            detail(&mut pen.part(0, table_high + 1, wide, preview - 1), screen, (flow, true), 0);
        }
    }
    Drawn { page, scroll_max: 0 }
}

/// Draws all that is known about a flow: below each other, or side by side where there is room.
fn detail(pen: &mut Pen<'_>, screen: &Screen<'_>, (flow, kept): (&Flow, bool), scroll: usize) -> Drawn {
    let (wide, high) = (pen.width(), pen.height());
    let figures = flow_text::figures(screen, flow, kept);
    if wide < 116 {
        let mut lines = figures;
        lines.push(Vec::new());
        lines.extend(flow_text::answers(screen, flow, usize::from(wide)));
        return scrolled(pen, &lines, scroll);
    }
    let middle = (wide / 2).min(76);
    scrolled(&mut pen.part(0, 0, middle - 2, high), &figures, 0);
    let lines = flow_text::answers(screen, flow, usize::from(wide - middle));
    scrolled(&mut pen.part(middle, 0, wide - middle, high), &lines, scroll)
}

fn title(pen: &mut Pen<'_>, screen: &Screen<'_>, count: usize) {
    let theme = *pen.theme;
    let x = pen.pieces(1, 0, &[("flows  ", theme.heading), (&format::count(count as u64), theme.strong)]);
    let evicted = screen.model.evicted().flows;
    let kept = if evicted > 0 { format!(" kept, {} let go", format::count(evicted)) } else { " seen".to_owned() };
    let kernel: Option<u64> = screen
        .model
        .datapaths()
        .iter()
        .map(|datapath| datapath.stats.map(|stats| stats.n_flows))
        .try_fold(0u64, |sum, flows| Some(sum.saturating_add(flows?)));
    let now = match kernel {
        Some(n) if !screen.model.datapaths().is_empty() => format!(" · {} in the datapath now", format::count(n)),
        _ => String::new(),
    };
    pen.put(x, 0, &format!("{kept}{now}"), theme.text);
}

fn empty(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let words = if screen.model.totals().is_none() {
        "waiting for the first counters"
    } else {
        "no flow was hit or put so far: flows show as soon as a packet meets them"
    };
    pen.paragraph(1, 2, words, pen.theme.text);
}

fn row(screen: &Screen<'_>, flow: &Flow) -> Vec<Cell> {
    let theme = screen.theme;
    let model = screen.model;
    let gone = flow.deleted.is_some();
    let plain = if gone { theme.quiet } else { theme.text };
    let now = model.now();
    let rate = model.hit_rate(flow);
    let (put, put_style) = match (flow.deleted, flow.last_put) {
        (Some(_), _) => ("deleted".to_owned(), theme.quiet),
        (None, Some(LastPut { ret: 0, kind, .. })) => (flow_text::put_kind(kind).to_owned(), plain),
        (None, Some(LastPut { ret, .. })) => (format!("▲ {}", label::outcome(ret)), theme.bad),
        (None, None) => ("–".to_owned(), theme.quiet),
    };
    let dash = || "–".to_owned();
    let age = |at: u64| format::age(now.saturating_sub(at));
    vec![
        (format::rate(rate), if rate > 0.0 && !gone { theme.strong } else { theme.quiet }),
        (format::short_count(flow.hits()), plain),
        (format::short_count(flow.upcalls), plain),
        (put, put_style),
        (flow.masks_tried.map_or_else(dash, |n| n.to_string()), plain),
        (flow.last_hit.map_or_else(dash, age), plain),
        (age(flow.first_seen), plain),
        (flow.in_port.map_or_else(dash, |port| label::port(model, Some(flow.dp), port)), plain),
        (flow.summary.as_ref().map_or_else(dash, ToString::to_string), plain),
        (flow.ufid.map_or_else(|| "by key".to_owned(), |ufid| ufid.to_string()), theme.quiet),
    ]
}
