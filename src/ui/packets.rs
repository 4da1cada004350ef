//! The packets: a list, and one of them with all that happened to it.

use super::{
    Drawn, Lines, Order, PacketSort, Screen, empty, flow_text, format, label,
    lists::{self, Shown},
    packet_text,
    pen::Pen,
    scrolled,
    table::{Cell, Column, Layout},
    text, timeline, title, trace_text,
};
use crate::model::{Packet, PacketSnapshot};

const COLUMNS: [Column; 9] = [
    Column::words("time", 8, 8, 3),
    Column::words("packet", 9, 12, 2),
    Column::words("in port", 8, 10, 0),
    Column::words("what", 38, 72, 0),
    Column::words("outcome", 15, 40, 0),
    Column::number("upcalls", 7, 5),
    Column::number("steps", 5, 6),
    Column::number("bytes", 9, 4),
    Column::number("total", 7, 1),
];

/// The column that an order shows itself in.
fn column_of(sort: PacketSort) -> usize {
    match sort {
        PacketSort::Time => 0,
        PacketSort::Port => 2,
        PacketSort::Fate => 4,
        PacketSort::Upcalls => 5,
        PacketSort::Steps => 6,
        PacketSort::Length => 7,
        PacketSort::Total => 8,
    }
}

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let model = screen.model;
    if screen.view.is_open() {
        return draw_one(pen, screen);
    }
    let Shown { rows: ids, hidden } = lists::packets(model, screen.view, screen.matches);
    let (wide, high) = (pen.width(), pen.height());
    let preview = if high >= 30 { high * 3 / 5 } else { 0 };
    let table_high = high - preview;
    let page = usize::from(table_high.saturating_sub(2));
    heading(pen, screen, ids.len(), hidden);
    if title::hides_all(pen, screen, 2, ids.len(), hidden) {
        return Drawn { page, scroll_max: 0 };
    }
    if ids.is_empty() {
        nothing(pen, screen);
        return Drawn { page, scroll_max: 0 };
    }
    let window = lists::window(&ids, &screen.view.packets, page);
    let Order { by, largest_first } = screen.view.packet_order;
    let sorted = column_of(by);
    let mut columns = COLUMNS;
    // The column that is sorted by is always there, unless it is the one that everything begins with.
    if by != PacketSort::Time {
        columns[sorted].spare = 0;
    }
    let layout = Layout::new(&columns, wide);
    layout.head(pen, 1, &columns, Some((sorted, largest_first)));
    for (id, i) in ids.iter().skip(window.first).take(page).zip(0..) {
        let Some(packet) = model.packet(*id) else { continue };
        let selected = window.first + i == window.selected;
        layout.row(pen, i as u16 + 2, &columns, &row(screen, packet), selected);
        if selected && preview > 0 {
            let Some(whole) = model.packet_snapshot(*id) else { continue };
            pen.rule(1, table_high, wide - 2, '─', pen.theme.quiet);
            let mut below = pen.part(0, table_high + 1, wide, preview - 1);
            headline(&mut below, screen, &whole, true);
            let gap = u16::from(whole.events.len() + 4 <= usize::from(preview));
            timeline::draw(&mut below.part(0, 2 + gap, wide, preview - 3 - gap), screen, &whole, None);
        }
    }
    Drawn { page, scroll_max: 0 }
}

fn heading(pen: &mut Pen<'_>, screen: &Screen<'_>, count: usize, hidden: usize) {
    let theme = *pen.theme;
    let x = title::draw(pen, screen, "packets", count, hidden);
    let loss = screen.model.loss();
    let mut words = if screen.view.filter().is_empty() { " kept" } else { "" }.to_owned();
    for (n, what) in [
        (screen.model.evicted().packets, "older let go"),
        (loss.over_budget, "over budget"),
        (loss.filtered_out, "filtered out"),
        (loss.not_sampled, "not sampled"),
    ] {
        if n > 0 {
            words = format!("{words} · {} {what}", format::short_count(n));
        }
    }
    pen.put(x, 0, &words, theme.text);
}

fn nothing(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    if let Some(words) = empty::because(screen.model, &["packet_end"]) {
        pen.paragraph(1, 2, &words, pen.theme.text);
        return;
    }
    let loss = screen.model.loss();
    let words = match screen.model.totals() {
        None => "waiting for the first counters",
        Some(totals) if totals.lookups == 0 => "no packet came through the datapath yet",
        Some(_) if loss.not_sampled > 0 => "no packet was sampled yet; upcalled ones always are",
        Some(_) if loss.filtered_out > 0 || loss.upcalls_filtered_out > 0 => {
            "packets came through, but none matched -f, --where or --datapath"
        }
        Some(_) if loss.over_budget > 0 => "packets came through, but the event budget left them all out",
        Some(_) => "no packet matched: packets come through the datapath, and none of them is recorded in detail",
    };
    pen.paragraph(1, 2, words, pen.theme.text);
}

fn row(screen: &Screen<'_>, packet: &Packet) -> Vec<Cell> {
    let theme = screen.theme;
    let model = screen.model;
    let dash = || "–".to_owned();
    let (fate, bad) = label::fate(model, packet, model.fate(packet));
    let upcalls = packet.upcalls.len();
    vec![
        (model.clock().and_then(|clock| format::time_of_day(clock, packet.first)).unwrap_or_else(dash), theme.quiet),
        (label::packet(packet.id), theme.text),
        (packet.in_port.map_or_else(dash, |port| label::port(model, packet.dp, port)), theme.text),
        (label::packet_summary(Some(packet)), theme.text),
        if bad { (format!("▲ {fate}"), theme.bad) } else { (fate, theme.text) },
        (if upcalls == 0 { dash() } else { upcalls.to_string() }, theme.text),
        (format::short_count(lists::steps(model, packet)), theme.text),
        (packet.len.map_or_else(dash, |len| len.to_string()), theme.text),
        (format::duration(packet.total()), theme.strong),
    ]
}

/// The packet in two rows: what it is, how long ago, and what became of it; in a third where the model let go of it.
fn headline(pen: &mut Pen<'_>, screen: &Screen<'_>, whole: &PacketSnapshot, kept: bool) {
    let theme = *pen.theme;
    let packet = &whole.packet;
    let end = pen.width() - 1;
    let ago = match format::age(screen.model.now().saturating_sub(packet.first)) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    };
    let total = format!("total {}", format::duration(packet.total()).trim_end());
    let first = pen.pieces_right(end, 0, &[(&total, theme.strong), (" · ", theme.quiet), (&ago, theme.text)]);
    let room = first.saturating_sub(3);
    let x = pen.put(1, 0, &label::packet(packet.id), theme.heading) + 2;
    let len = packet.len.map_or_else(String::new, |len| format!("  {len} B"));
    let what = match &packet.summary {
        Some(known) => format!("{known}{len}"),
        None => format!("bytes not seen{len}"),
    };
    pen.put_in(x, 0, room.saturating_sub(x), &what, theme.strong);

    let (fate, bad) = label::fate(screen.model, packet, whole.fate);
    let mut parts = Vec::new();
    if let Some(port) = packet.in_port {
        parts.push(format!("in by {}", label::port(screen.model, packet.dp, port)));
    }
    match packet.upcalls.len() {
        0 => parts.push("not upcalled".to_owned()),
        1 => parts.push("upcalled".to_owned()),
        n => parts.push(format!("upcalled {n} times")),
    }
    let x = pen.put(1, 1, &format!("{}, ", parts.join(", ")), theme.text);
    let style = if bad { theme.bad } else { theme.text };
    pen.put(x, 1, &if bad { format!("▲ {fate}") } else { fate }, style);
    if !kept {
        pen.put(1, 2, "held while it is open: the list has let go of it, as newer packets took its room", theme.quiet);
    }
}

/// Draws the packet that is open: what it is, its timeline with a cursor, and below it what the line at the cursor is about.
pub fn draw_one(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let Some((whole, kept)) = screen.pins.packet_of(screen.view) else {
        let words = "Nothing is known of its packet: its beginning was not seen, or newer packets took its room.";
        pen.paragraph(1, 1, words, pen.theme.text);
        return Drawn::default();
    };
    let (wide, high) = (pen.width(), pen.height());
    headline(pen, screen, whole, kept);
    let cursor = screen.view.timeline;
    let about = about(screen, whole, timeline::cursor(&cursor), usize::from(wide));
    let events = whole.events.len() + usize::from(whole.packet.events_cut > 0);
    let top = 3;
    let room = high.saturating_sub(top);
    // The timeline takes what it needs, but for some rows that belong to what is below it.
    let wants_room = screen.view.hex || screen.model.trace_of_packet(&whole.packet).is_some();
    let below_least = match (room >= 30, wants_room) {
        (true, true) => 22,
        (true, false) => 14,
        (false, true) => 9,
        (false, false) => 7,
    };
    let below_least = below_least.min(about.len() as u16);
    let lines = (events as u16).min(room.saturating_sub(below_least + 1)).max(3);
    timeline::draw(&mut pen.part(0, top, wide, lines), screen, whole, Some(&cursor));
    let below = events.saturating_sub(timeline::first(screen, whole, usize::from(lines)) + usize::from(lines));
    if below > 0 {
        pen.put(4, top + lines, &format!("↓ {below} more"), pen.theme.quiet);
    }
    let y = top + lines + 1;
    let mut below = pen.part(0, y, wide, high.saturating_sub(y));
    scrolled(&mut below, &about, 0);
    Drawn { page: usize::from(lines), scroll_max: 0 }
}

/// What the timeline's line is about, the packet's headers, and its bytes where they are asked for.
fn about(screen: &Screen<'_>, whole: &PacketSnapshot, line: usize, columns: usize) -> Lines {
    let theme = screen.theme;
    let mut about = Lines::new();
    // Who asks for the bytes wants to see them first.
    if screen.view.hex {
        about.extend(packet_text::hex(screen, &whole.packet));
        about.push(Vec::new());
    }
    if let Some(traced) = screen.model.trace_of_packet(&whole.packet) {
        about.extend(trace_text::lines(screen, traced, columns));
        about.push(Vec::new());
    }
    let before = about.len();
    if let Some(flow) = timeline::line_flow(screen.model, whole, line).and_then(|key| screen.model.flow(key)) {
        about.extend(flow_text::answers(screen, flow, columns));
    }
    if let Some((name, words)) = timeline::line_arguments(whole, line) {
        let rows = text::wrap(&words, columns.saturating_sub(12)).into_iter().zip(0..);
        about.extend(rows.map(|(row, i)| {
            let name = if i == 0 { name } else { "" };
            vec![(format!(" {name:<9} "), theme.quiet), (row, theme.text)]
        }));
    }
    if about.len() > before {
        about.push(Vec::new());
    }
    about.extend(packet_text::headers(screen, &whole.packet));
    about
}
