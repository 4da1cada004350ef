//! The upcalls: a list with where the time of each went, and one of them with its packet's timeline.

use ratatui::style::Style;

use super::{
    Drawn, Order, Screen, Theme, UpcallSort, chart, empty, format, label,
    lists::{self, Shown},
    packets,
    pen::Pen,
    table::{Cell, Column, Layout},
    title,
};
use crate::{
    event::Nanos,
    model::{Stage, Upcall, UpcallEnd},
};

/// Those of the stages are in the order of [`PARTS`].
const COLUMNS: [Column; 15] = [
    Column::words("time", 8, 8, 4),
    Column::words("upcall", 9, 12, 3),
    Column::words("in port", 8, 12, 0),
    Column::words("why", 6, 11, 5),
    Column::words("handler", 9, 12, 2),
    Column::words("how it ended", 15, 18, 1),
    Column::number("whole", 7, 0),
    Column::number("lookup", 7, 12),
    Column::number("enqueue", 7, 11),
    Column::number("wait", 7, 7),
    Column::number("translate", 9, 8),
    Column::number("put", 7, 9),
    Column::number("execute", 7, 10),
    Column::words("", 19, 40, 0),
    Column::words("packet", 38, 64, 6),
];
const TIME: usize = 0;
const WHOLE: usize = 6;
/// The column of the first stage.
const STAGES: usize = 7;
/// The column of the bar.
const BAR: usize = 13;

/// The stages of the bar, with the glyph of each: they must be told apart without colours.
const PARTS: [(Stage, char); 6] = [
    (Stage::Lookup, '·'),
    (Stage::Enqueue, '-'),
    (Stage::Wait, '░'),
    (Stage::Translate, '▒'),
    (Stage::Put, '▓'),
    (Stage::Execute, '█'),
];

/// The column that an order shows itself in.
fn column_of(sort: UpcallSort) -> usize {
    match sort {
        UpcallSort::Time => TIME,
        UpcallSort::Stage(stage) => PARTS.iter().position(|(part, _)| *part == stage).map_or(WHOLE, |at| STAGES + at),
    }
}

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let model = screen.model;
    if screen.view.is_open() {
        return packets::draw_one(pen, screen);
    }
    let Shown { rows: ids, hidden } = lists::upcalls(model, screen.view, screen.matches);
    let (wide, high) = (pen.width(), pen.height());
    // Title and headings above, the legend below.
    let page = usize::from(high.saturating_sub(3));
    let drawn = Drawn { page, scroll_max: 0 };
    heading(pen, screen, ids.len(), hidden);
    if title::hides_all(pen, screen, 2, ids.len(), hidden) {
        return drawn;
    }
    if ids.is_empty() {
        nothing(pen, screen);
        return drawn;
    }
    let window = lists::window(&ids, &screen.view.upcalls, page);
    let Order { by, largest_first } = screen.view.upcall_order;
    let sorted = column_of(by);
    let mut columns = COLUMNS;
    // The column that is sorted by is always there.
    columns[sorted].spare = 0;
    let layout = Layout::new(&columns, wide);
    layout.head(pen, 1, &columns, Some((sorted, largest_first)));
    let shown: Vec<&Upcall> = ids.iter().skip(window.first).take(page).filter_map(|id| model.upcall(*id)).collect();
    let longest = shown.iter().filter_map(|upcall| model.stage(upcall, Stage::Whole)).max().unwrap_or(0);
    let scale = chart::round_up(longest);
    if let Some((x, columns)) = layout.place(BAR) {
        scale_line(pen, scale, x, columns);
    }
    for (upcall, i) in shown.iter().zip(0..) {
        let y = i as u16 + 2;
        let selected = window.first + i == window.selected;
        layout.row(pen, y, &columns, &row(screen, upcall), selected);
        if let Some((x, columns)) = layout.place(BAR) {
            bar(&mut pen.part(x, y, columns, 1), screen, upcall, scale, selected);
        }
    }
    legend(pen, high.saturating_sub(1));
    drawn
}

fn heading(pen: &mut Pen<'_>, screen: &Screen<'_>, count: usize, hidden: usize) {
    let theme = *pen.theme;
    let x = title::draw(pen, screen, "upcalls", count, hidden);
    let loss = screen.model.loss();
    let over = loss.upcalls_over_budget.saturating_add(loss.upcalls_filtered_out);
    let kept = if screen.view.filter().is_empty() { " kept" } else { "" };
    let left_out =
        if over > 0 { format!(" · {} left out, see 7 Probes", format::short_count(over)) } else { String::new() };
    pen.put(x, 0, &format!("{kept}{left_out}"), theme.text);
}

/// The scale above the bars: from nothing to as long as the longest one on the screen, rounded up.
fn scale_line(pen: &mut Pen<'_>, scale: Nanos, x: u16, columns: u16) {
    let quiet = pen.theme.quiet;
    let end = format!(" {}", format::duration(scale).trim_end());
    pen.rule(x, 1, columns, '─', quiet);
    pen.put(x, 1, "0 ", quiet);
    pen.put_right(x + columns, 1, &end, quiet);
}

/// What the bars are made of.
fn legend(pen: &mut Pen<'_>, y: u16) {
    let theme = *pen.theme;
    let mut x = 1;
    for (stage, glyph) in PARTS {
        let style = part_style(&theme, stage);
        x = pen.put(x, y, &String::from_iter([glyph, glyph]), style);
        x = pen.put(x + 1, y, short(stage), theme.quiet) + 2;
    }
}

fn short(stage: Stage) -> &'static str {
    if stage == Stage::Wait { "wait" } else { stage.name() }
}

fn part_style(theme: &Theme, stage: Stage) -> Style {
    match stage {
        Stage::Wait => theme.heat[3],
        Stage::Put => theme.heat[0],
        Stage::Execute => theme.strong,
        Stage::Enqueue | Stage::Translate => theme.text,
        Stage::Lookup | Stage::Whole => theme.quiet,
    }
}

fn nothing(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    if let Some(words) = empty::because(screen.model, &["packet_end", "upcall"]) {
        pen.paragraph(1, 2, &words, pen.theme.text);
        return;
    }
    let words = match screen.model.totals() {
        None => "waiting for the first counters",
        Some(totals) if totals.upcalls > 0 => {
            "upcalls were counted, but none was seen in detail: they are left out by the event budget (see 7 Probes)"
        }
        Some(_) => "no upcall yet: every packet hit a flow, or none came through",
    };
    pen.paragraph(1, 2, words, pen.theme.text);
}

fn row(screen: &Screen<'_>, upcall: &Upcall) -> Vec<Cell> {
    let theme = screen.theme;
    let model = screen.model;
    let dash = || "–".to_owned();
    let end = model.upcall_end(upcall);
    let (ended, bad) = label::end(end);
    let ended_style = match end {
        _ if bad => theme.bad,
        UpcallEnd::Forwarded => theme.text,
        _ => theme.strong,
    };
    let packet = upcall.packet.and_then(|id| model.packet(id));
    let took = |stage| model.stage(upcall, stage).map_or_else(|| "–   ".to_owned(), format::duration);
    let mut cells = vec![
        (model.clock().and_then(|clock| format::time_of_day(clock, upcall.ts)).unwrap_or_else(dash), theme.quiet),
        (label::upcall(upcall.id), theme.text),
        (upcall.in_port.map_or_else(dash, |port| label::port(model, upcall.dp, port)), theme.text),
        (upcall.made_by.map_or_else(|| upcall.cmd.map_or_else(dash, label::cmd), str::to_owned), theme.text),
        (upcall.recv.map_or_else(dash, |recv| recv.comm.to_string()), theme.text),
        (if bad { format!("▲ {ended}") } else { ended }, ended_style),
        (took(Stage::Whole), theme.strong),
    ];
    cells.extend(PARTS.map(|(stage, _)| (took(stage), theme.text)));
    cells.push((String::new(), theme.text));
    cells.push((label::packet_summary(packet), theme.text));
    cells
}

/// The bar, as wide as the pen is for an upcall as long as the scale: a part for each stage.
fn bar(pen: &mut Pen<'_>, screen: &Screen<'_>, upcall: &Upcall, scale: Nanos, selected: bool) {
    let columns = pen.width();
    let mut done = 0u64;
    let mut from = 0;
    for (stage, glyph) in PARTS {
        let Some(ns) = screen.model.stage(upcall, stage).filter(|_| scale > 0) else { continue };
        done = done.saturating_add(ns);
        // Ends and not lengths are rounded, so that the parts add up.
        let to = ((done as f64 / scale as f64 * f64::from(columns)).round() as u16).min(columns);
        let part: String = std::iter::repeat_n(glyph, usize::from(to.saturating_sub(from))).collect();
        let style = part_style(pen.theme, stage);
        let style = if selected { style.patch(pen.theme.selected) } else { style };
        pen.put(from, 0, &part, style);
        from = from.max(to);
    }
}
