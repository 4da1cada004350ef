//! The upcalls: a list with where the time of each went, and one of them with its packet's timeline.

use ratatui::style::Style;

use super::{
    Drawn, Screen, format, label, lists, packets,
    pen::Pen,
    table::{Cell, Column, Layout},
};
use crate::{
    event::Nanos,
    model::{Stage, Upcall, UpcallEnd},
};

const COLUMNS: [Column; 9] = [
    Column::words("time", 8, 8, 4),
    Column::words("upcall", 9, 12, 3),
    Column::words("in port", 8, 12, 0),
    Column::words("why", 6, 11, 5),
    Column::words("handler", 9, 12, 2),
    Column::words("how it ended", 15, 18, 0),
    Column::number("whole", 7, 0),
    Column::words("where the time went", 19, 40, 0),
    Column::words("packet", 30, 64, 6),
];

/// The column of the bar.
const BAR: usize = 7;

/// The stages of the bar, with the glyph of each: they must be told apart without colours.
const PARTS: [(Stage, char); 6] = [
    (Stage::Lookup, '·'),
    (Stage::Enqueue, '-'),
    (Stage::Wait, '░'),
    (Stage::Translate, '▒'),
    (Stage::Put, '▓'),
    (Stage::Execute, '█'),
];

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let model = screen.model;
    if screen.view.is_open() {
        return packets::draw_one(pen, screen);
    }
    let ids = lists::upcalls(model);
    let (wide, high) = (pen.width(), pen.height());
    let page = usize::from(high.saturating_sub(2));
    title(pen, screen, ids.len());
    if ids.is_empty() {
        empty(pen, screen);
        return Drawn { page, scroll_max: 0 };
    }
    let window = lists::window(&ids, &screen.view.upcalls, page);
    let layout = Layout::new(&COLUMNS, wide);
    layout.head(pen, 1, &COLUMNS, None);
    let shown: Vec<&Upcall> = ids.iter().skip(window.first).take(page).filter_map(|id| model.upcall(*id)).collect();
    let longest = shown.iter().filter_map(|upcall| model.stage(upcall, Stage::Whole)).max().unwrap_or(0);
    for (upcall, i) in shown.iter().zip(0..) {
        let y = i as u16 + 2;
        let selected = window.first + i == window.selected;
        layout.row(pen, y, &COLUMNS, &row(screen, upcall), selected);
        if let Some((x, columns)) = layout.place(BAR) {
            bar(pen, screen, upcall, longest, x, y, columns, selected);
        }
    }
    Drawn { page, scroll_max: 0 }
}

fn title(pen: &mut Pen<'_>, screen: &Screen<'_>, count: usize) {
    let theme = *pen.theme;
    let mut x = pen.pieces(1, 0, &[("upcalls  ", theme.heading), (&format::count(count as u64), theme.strong)]);
    let loss = screen.model.loss();
    let over = loss.upcalls_over_budget.saturating_add(loss.upcalls_filtered_out);
    let left_out = if over > 0 { format!(", {} left out", format::short_count(over)) } else { String::new() };
    x = pen.put(x, 0, &format!(" kept{left_out}"), theme.text);
    if count == 0 {
        return;
    }
    // The first two stages are short; where there is no room for all the legend is of the others.
    let legend =
        |parts: &[(Stage, char)]| parts.iter().map(|(stage, _)| short(*stage).len() + 3).sum::<usize>() as u16 + 1;
    let room = pen.width().saturating_sub(x + 2);
    let parts = if legend(&PARTS) <= room { &PARTS[..] } else { &PARTS[2..] };
    x = x.max(pen.width().saturating_sub(legend(parts)));
    for &(stage, glyph) in parts {
        x = pen.put(x + 1, 0, glyph.encode_utf8(&mut [0; 4]), part_style(screen, stage));
        x = pen.put(x + 1, 0, short(stage), theme.quiet);
    }
}

fn short(stage: Stage) -> &'static str {
    if stage == Stage::Wait { "wait" } else { stage.name() }
}

fn part_style(screen: &Screen<'_>, stage: Stage) -> Style {
    let theme = screen.theme;
    match stage {
        Stage::Wait => theme.heat[3],
        Stage::Put | Stage::Execute => theme.text,
        _ => theme.quiet,
    }
}

fn empty(pen: &mut Pen<'_>, screen: &Screen<'_>) {
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
    vec![
        (model.clock().and_then(|clock| format::time_of_day(clock, upcall.ts)).unwrap_or_else(dash), theme.quiet),
        (label::upcall(upcall.id), theme.text),
        (upcall.in_port.map_or_else(dash, |port| label::port(model, upcall.dp, port)), theme.text),
        (upcall.made_by.map_or_else(|| upcall.cmd.map_or_else(dash, label::cmd), str::to_owned), theme.text),
        (upcall.recv.map_or_else(dash, |recv| recv.comm.to_string()), theme.text),
        (if bad { format!("▲ {ended}") } else { ended }, ended_style),
        (model.stage(upcall, Stage::Whole).map_or_else(|| "–   ".to_owned(), format::duration), theme.strong),
        (String::new(), theme.text),
        (label::packet_summary(packet), theme.text),
    ]
}

/// The bar: each stage as long as its part of the longest upcall on the screen.
#[expect(clippy::too_many_arguments, reason = "a place on the screen is three numbers")]
fn bar(
    pen: &mut Pen<'_>,
    screen: &Screen<'_>,
    upcall: &Upcall,
    longest: Nanos,
    x: u16,
    y: u16,
    columns: u16,
    selected: bool,
) {
    let mut done = 0u64;
    let mut from = 0;
    for (stage, glyph) in PARTS {
        let Some(ns) = screen.model.stage(upcall, stage).filter(|_| longest > 0) else { continue };
        done = done.saturating_add(ns);
        // Ends and not lengths are rounded, so that the parts add up.
        let to = ((done as f64 / longest as f64 * f64::from(columns)).round() as u16).min(columns);
        let part: String = std::iter::repeat_n(glyph, usize::from(to.saturating_sub(from))).collect();
        let style = part_style(screen, stage);
        let style = if selected { style.patch(pen.theme.selected) } else { style };
        pen.put(x + from, y, &part, style);
        from = from.max(to);
    }
}
