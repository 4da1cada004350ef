//! The handlers: the daemon's threads that take upcalls, how much each takes and how long it lets them wait.

use super::{
    Drawn, HandlerSort, Screen, empty, format,
    lists::{self, Shown},
    pen::Pen,
    table::{Cell, Column, Layout},
    title,
};
use crate::{
    event::task_name,
    model::{HandlerRow, Scheduled},
};

const COLUMNS: [Column; 14] = [
    Column::words("thread", 12, 24, 0),
    Column::number("upcalls/s", 9, 0),
    Column::number("upcalls", 9, 2),
    Column::number("lost", 7, 0),
    Column::number("wait p50", 8, 1),
    Column::number("wait p99", 8, 0),
    Column::number("running", 7, 6),
    Column::number("runnable", 8, 4),
    Column::number("asleep", 6, 8),
    Column::number("longest", 8, 7),
    Column::number("in a batch", 10, 3),
    Column::number("most", 5, 9),
    Column::number("last", 6, 5),
    Column::number("portid", 10, 10),
];

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let theme = *pen.theme;
    let top = 1 + revalidators(pen, screen, 1);
    let page = usize::from(pen.height().saturating_sub(top + 1));
    let Shown { rows, hidden } = lists::handlers(screen.model, screen.view);
    let x = title::draw(pen, screen, "handlers", rows.len(), hidden);
    let x = pen.put(x, 0, " seen", theme.text);
    let waits = match screen.model.loss().upcalls_are() {
        Some("filtered") => "waits and batches of filtered upcalls only",
        Some(_) => "waits and batches of a sample",
        None => "waits of the last 10 to 20 s",
    };
    title::parts(pen, x, &["rates of the last 2 s", waits].map(str::to_owned), theme.text);
    if title::hides_all(pen, screen, top + 1, rows.len(), hidden) {
        return Drawn { page, scroll_max: 0 };
    }
    if rows.is_empty() {
        let words = empty::because(screen.model, &["upcall_recv"]).unwrap_or_else(|| match screen.model.totals() {
            Some(totals) if totals.upcalls > 0 => {
                "upcalls were counted, and no handler was seen to receive one: is ovs-vswitchd \
                 running, or are they left out by the event budget or a filter? 7 Probes tells"
                    .to_owned()
            }
            Some(_) => "no handler was seen to receive an upcall so far: there was no upcall".to_owned(),
            None => "waiting for the first counters".to_owned(),
        });
        pen.paragraph(1, top + 1, &words, theme.text);
        return Drawn { page, scroll_max: 0 };
    }
    let ids: Vec<u32> = rows.iter().map(|row| row.tid).collect();
    let window = lists::window(&ids, &screen.view.handlers, page);
    let layout = Layout::new(&COLUMNS, pen.width());
    let order = screen.view.handler_order;
    let sorted = match order.by {
        HandlerSort::Name => 0,
        HandlerSort::Rate => 1,
        HandlerSort::Wait => 5,
    };
    layout.head(pen, top, &COLUMNS, Some((sorted, order.largest_first)));
    for (handler, i) in rows.iter().skip(window.first).take(page).zip(0..) {
        let selected = window.first + i == window.selected;
        layout.row(pen, i as u16 + top + 1, &COLUMNS, &row(screen, handler), selected);
    }
    Drawn { page, scroll_max: 0 }
}

/// What a daemon with USDT probes tells of its revalidators, in one line; returns how many lines that takes.
fn revalidators(pen: &mut Pen<'_>, screen: &Screen<'_>, y: u16) -> u16 {
    let theme = *pen.theme;
    let done = screen.model.revalidators();
    let Some((ts, last)) = &done.last else { return 0 };
    let took = format::duration(last.took_ns);
    let over = ts.saturating_add(last.took_ns);
    let reasons: Vec<String> =
        done.deleted().iter().map(|(reason, count)| format!("{} {reason}", format::short_count(*count))).collect();
    let deleted = if reasons.is_empty() { String::new() } else { format!(" · deleted: {}", reasons.join(", ")) };
    let flows = format!(" for {} flows, ", format::count(last.n_flows));
    let ago = match format::age(screen.model.now().saturating_sub(over)) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    };
    let x = pen.pieces(1, y, &[("revalidators  ", theme.heading), (took.trim_end(), theme.strong)]);
    pen.put_in(x, y, pen.width().saturating_sub(x + 1), &format!("{flows}{ago}{deleted}"), theme.text);
    1
}

fn row(screen: &Screen<'_>, handler: &HandlerRow) -> Vec<Cell> {
    let theme = screen.theme;
    let wait = |ns: Option<u64>| ns.map_or_else(|| "–   ".to_owned(), format::duration);
    // A thread that gets no CPU is what is looked for here.
    let share = |of: fn(&Scheduled) -> f64| match &handler.scheduled {
        Some(scheduled) => (format::share(of(scheduled)), theme.text),
        None => ("–".to_owned(), theme.quiet),
    };
    let lost = match handler.lost {
        0 => ("0".to_owned(), theme.quiet),
        n => (format!("▲ {}", format::short_count(n)), theme.bad),
    };
    vec![
        (task_name(handler.comm, handler.tid), theme.text),
        (format::rate(handler.upcall_rate), theme.strong),
        (format::short_count(handler.upcalls), theme.text),
        lost,
        (wait(handler.wait_p50), theme.text),
        (wait(handler.wait_p99), theme.strong),
        share(|s| s.running),
        share(|s| s.runnable),
        share(|s| s.asleep),
        (wait(handler.scheduled.map(|s| s.runnable_max_ns)), theme.text),
        (if handler.batches > 0 { format!("{:.1}", handler.batch_mean) } else { "–".to_owned() }, theme.text),
        (handler.batch_max.to_string(), theme.text),
        (format::age(screen.model.now().saturating_sub(handler.last)), theme.text),
        (handler.port.to_string(), theme.quiet),
    ]
}
