//! The flows: a table, and one of them with all that is known about it.

use super::{
    Drawn, Screen, empty, flow_text, format, label,
    lists::{self, ShownFlows},
    new_flows,
    pen::Pen,
    scrolled,
    table::{Cell, Column, Layout},
    title,
};
use crate::model::{Flow, FlowSort, LastPut};

const COLUMNS: [Column; 14] = [
    Column::number("hits/s", 7, 0),
    Column::number("hits", 7, 0),
    Column::number("bytes", 7, 4),
    Column::number("upcalls", 7, 1),
    Column::words("last put", 8, 10, 2),
    Column::number("last hit", 8, 5),
    Column::number("age", 6, 6),
    Column::number("masks", 5, 7),
    Column::number("gen", 4, 10),
    Column::number("back", 4, 8),
    Column::words("deleted", 8, 22, 9),
    Column::words("in port", 7, 15, 3),
    Column::words("last packet", 38, 64, 0),
    Column::words("ufid", 8, 36, 11),
];
/// The column of the end: where there is no room for it, the last put's says that there was one.
const DELETED: usize = 10;

/// The column that an order shows itself in.
fn column_of(sort: FlowSort) -> usize {
    match sort {
        FlowSort::HitRate => 0,
        FlowSort::Hits => 1,
        FlowSort::Bytes => 2,
        FlowSort::Upcalls => 3,
        FlowSort::LastPut => 4,
        FlowSort::LastHit => 5,
        FlowSort::FirstSeen => 6,
        FlowSort::MasksTried => 7,
        FlowSort::Generations => 8,
        FlowSort::Deleted => DELETED,
        FlowSort::Returns => 9,
        FlowSort::InPort => 11,
        FlowSort::LastPacket => 12,
        FlowSort::Ufid => 13,
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
    // Below the heading, where there are new flows.
    let top = 1 + u16::from(!screen.model.spreads().fields.is_empty());
    let page = usize::from(table_high.saturating_sub(top + 1));
    let ShownFlows { keys, window, count, hidden } = lists::flows(screen.model, screen.view, screen.matches, page);
    let drawn = Drawn { page, scroll_max: 0 };
    let order = screen.view.flow_order;
    let sorted = column_of(order.by);
    // The column that is sorted by is always there.
    let mut columns = COLUMNS;
    columns[sorted].spare = 0;
    heading(pen, screen, count, hidden);
    new_flows::draw(&mut pen.part(0, 1, wide, top - 1), screen.model.spreads());
    if title::hides_all(pen, screen, top + 1, count, hidden) {
        return drawn;
    }
    if keys.is_empty() {
        nothing(pen, screen);
        return drawn;
    }
    let layout = Layout::new(&columns, wide);
    layout.head(pen, top, &columns, Some((sorted, order.largest_first)));
    let says_end = layout.place(DELETED).is_some();
    for (key, i) in keys.iter().zip(0..page) {
        let Some(flow) = screen.model.flow(*key) else { continue };
        let selected = window.first + i == window.selected;
        layout.row(pen, i as u16 + top + 1, &columns, &row(screen, flow, says_end), selected);
        if selected && preview > 0 {
            pen.rule(1, table_high, wide - 2, '─', pen.theme.quiet);
            detail(&mut pen.part(0, table_high + 1, wide, preview - 1), screen, (flow, true), 0);
        }
    }
    drawn
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

fn heading(pen: &mut Pen<'_>, screen: &Screen<'_>, count: usize, hidden: usize) {
    let theme = *pen.theme;
    let x = title::draw(pen, screen, "flows", count, hidden);
    let evicted = screen.model.evicted().flows;
    let kept = match (evicted, screen.view.filter().is_empty()) {
        (1.., _) => format!(" kept, {} let go", format::count(evicted)),
        (0, true) => " seen".to_owned(),
        (0, false) => String::new(),
    };
    let kernel: Option<u64> = screen
        .model
        .datapaths()
        .iter()
        .map(|datapath| datapath.stats.map(|stats| stats.n_flows))
        .try_fold(0u64, |sum, flows| Some(sum.saturating_add(flows?)));
    let now = match kernel {
        Some(n) if !screen.model.datapaths().is_empty() => format!("{} in the datapath now", format::count(n)),
        _ => String::new(),
    };
    let rates = screen.model.rates().filter(|rates| rates.lookups > 0.0);
    let masks = rates.map(|rates| format::masks_per_lookup(rates.masks_tried / rates.lookups));
    let uncounted = match screen.model.flow_hits_uncounted() {
        0 => String::new(),
        hits => format!("{} hits of flows without room", format::short_count(hits)),
    };
    let x = pen.put(x, 0, &kept, theme.text);
    let parts = [now, uncounted, masks.unwrap_or_default(), "rates of the last 2 s".to_owned()];
    title::parts(pen, x, &parts, theme.text);
}

fn nothing(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    if let Some(words) = empty::because(screen.model, &["flow_hit", "flow_lookup"]) {
        pen.paragraph(1, 2, &words, pen.theme.text);
        return;
    }
    let words = if screen.model.totals().is_none() {
        "waiting for the first counters"
    } else {
        "no flow was hit or put so far: flows show as soon as a packet meets them"
    };
    pen.paragraph(1, 2, words, pen.theme.text);
}

fn row(screen: &Screen<'_>, flow: &Flow, says_end: bool) -> Vec<Cell> {
    let theme = screen.theme;
    let model = screen.model;
    let gone = flow.deleted.is_some();
    let plain = if gone { theme.quiet } else { theme.text };
    let now = model.now();
    let rate = model.hit_rate(flow);
    let (put, put_style) = match (flow.deleted, flow.last_put) {
        (Some(_), _) if !says_end => ("deleted".to_owned(), theme.quiet),
        (_, Some(LastPut { ret: 0, kind, .. })) => (flow_text::put_kind(kind).to_owned(), plain),
        (_, Some(LastPut { ret, .. })) => (format!("▲ {}", label::outcome(ret)), theme.bad),
        (_, None) => ("–".to_owned(), theme.quiet),
    };
    let dash = || "–".to_owned();
    let age = |at: u64| format::age(now.saturating_sub(at));
    let end = match (flow.deleted, flow.deleted_because) {
        (None, _) => dash(),
        (Some(at), None) => age(at),
        (Some(at), Some(reason)) => format!("{} {reason}", age(at)),
    };
    vec![
        (format::rate(rate), if rate > 0.0 && !gone { theme.strong } else { theme.quiet }),
        (format::short_count(flow.hits()), plain),
        (flow.bytes().map_or_else(dash, format::bytes), plain),
        (format::short_count(flow.upcalls), plain),
        (put, put_style),
        (flow.last_hit.map_or_else(dash, age), plain),
        (age(flow.first_seen), plain),
        (flow.masks_tried.map_or_else(dash, |n| n.to_string()), plain),
        // The first one is number 1.
        (format::short_count(u64::from(flow.generations) + 1), plain),
        match flow.returned() {
            Some(returned) => (format!("{}×", format::short_count(returned.times.into())), theme.strong),
            None => (dash(), theme.quiet),
        },
        (end, theme.quiet),
        (flow.in_port.map_or_else(dash, |port| label::port(model, Some(flow.dp), port)), plain),
        (flow.summary.as_ref().map_or_else(dash, ToString::to_string), plain),
        (flow.ufid.map_or_else(|| "by key".to_owned(), |ufid| ufid.to_string()), theme.quiet),
    ]
}
