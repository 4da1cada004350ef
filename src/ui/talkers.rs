//! Who makes the upcalls.

use super::{
    Drawn, Screen, chart, format, label,
    lists::{self, TalkerRow},
    pen::Pen,
    text,
    view::Who,
    who,
};
use crate::model::TalkerKey;

/// Draws the biggest of each dimension, one of them marked.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let theme = *pen.theme;
    let room = usize::from(pen.height().saturating_sub(1));
    let drawn = Drawn { page: room, scroll_max: 0 };
    pen.put(1, 0, "who makes them, last 10 s", theme.heading);
    let rows = lists::talkers(screen.model, room);
    if rows.is_empty() {
        let words = if screen.model.rates().is_some() { "nobody: no upcall" } else { "waiting for the first counters" };
        pen.put(1, 2, words, theme.text);
        return drawn;
    }
    let verdicts = screen.model.verdicts();
    let named = who::culprits(&verdicts).iter().copied().map(Who::Culprit);
    let all: Vec<Who> = named.chain(rows.iter().map(TalkerRow::who)).collect();
    let before = all.len() - rows.len();
    let marked = who::place(screen.view.who, &all);
    for (i, row) in rows.iter().enumerate() {
        let y = i as u16 + 1;
        line(pen, screen, y, row);
        let is_marked = before + i == marked;
        pen.list_row(y, is_marked);
        if is_marked {
            pen.paint_row(y, theme.selected);
            pen.put(0, y, "▸", theme.selected);
        }
    }
    drawn
}

/// `in port  p1_l  4 813/s  ████████ 98 %`
fn line(pen: &mut Pen<'_>, screen: &Screen<'_>, y: u16, row: &TalkerRow) {
    let theme = *pen.theme;
    let wide = pen.width();
    let bars: u16 = match wide {
        70.. => 14,
        56.. => 8,
        _ => 0,
    };
    let percent_end = wide - 1;
    let bar_x = percent_end.saturating_sub(6 + bars);
    let rate_end = bar_x.saturating_sub(if bars > 0 { 2 } else { 1 });
    let who_x = 11;
    let who_wide = rate_end.saturating_sub(who_x + 10);
    let talker = row.talker;
    let (mark, style) = match talker.key {
        TalkerKey::Errno(ret) if ret != 0 => ("▲ ", theme.bad),
        _ if row.place == 0 => ("", theme.strong),
        _ => ("", theme.text),
    };
    pen.put(1, y, row.name.unwrap_or_default(), theme.quiet);
    let long = format!("{mark}{}", label::talker(screen.model, talker.key));
    let who = match talker.key {
        TalkerKey::Errno(ret) if text::width(&long) > usize::from(who_wide) => format!("{mark}{}", label::outcome(ret)),
        _ => long,
    };
    pen.put_in(who_x, y, who_wide, &who, style);
    // A rate of a sample is no rate of upcalls; its shares still say who.
    match screen.model.loss().upcalls_are().filter(|_| !row.exact) {
        Some(sampled) => pen.put_right(rate_end, y, sampled, theme.quiet),
        None => pen.put_right(rate_end, y, &format!("{}/s", format::rate(talker.per_second)), style),
    }
    if bars > 0 {
        pen.put(bar_x, y, &chart::bar(talker.share, usize::from(bars)), theme.shape);
    }
    pen.put_right(percent_end, y, &format::share(talker.share), theme.text);
}
