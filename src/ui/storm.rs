//! The first view: what is happening in plain words, the shape of the last minutes, and who makes it.

use ratatui::style::Style;

use super::{
    Drawn, Screen, format, heat, label, new_flows, pen::Pen, rates, stages, talkers, text, verdict, verdicts, who,
};
use crate::model::{AnomalyKind, Cause, Dimension, Metric, Model, Rates, Stage, State, TalkerKey, Window};

/// From so many rows on there is room for both the last minutes and what is wrong.
const HIGH: u16 = 30;

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    if screen.view.shows_verdicts() {
        return verdicts::draw(pen, screen);
    }
    // The last row is left free: it parts the tables from the keys.
    let (wide, high) = (pen.width(), pen.height().saturating_sub(1));
    // A free row below it.
    let top = condition(pen, screen, high) + 1;
    let room = high.saturating_sub(top);
    if screen.view.is_open() {
        heat::draw(&mut pen.part(0, top, wide, room), screen);
        return Drawn::default();
    }
    // The second column begins in the middle, with a gap before it.
    let middle = wide / 2;
    let with_heat = wide >= 100 && room >= 18;
    // Beside the heat map rates may take more rows than the stages do; but the map comes first.
    let spare = room.saturating_sub(stages::ROWS + 1 + heat::MOST_ROWS.min(16));
    let rates_rows = if with_heat { (stages::ROWS + spare).min(rates::MOST_ROWS + 1) } else { stages::ROWS.min(room) };
    rates::draw(&mut pen.part(0, top, middle - 2, rates_rows), screen);
    stages::draw(&mut pen.part(middle, top, wide - middle - 1, stages::ROWS), screen);
    let below = top + rates_rows + 1;
    let left = high.saturating_sub(below);
    if with_heat {
        heat::draw(&mut pen.part(0, below, middle - 2, left), screen);
        let beside = top + stages::ROWS + 1;
        return talkers::draw(&mut pen.part(middle, beside, wide - middle, high.saturating_sub(beside)), screen);
    }
    if left >= 2 {
        return talkers::draw(&mut pen.part(0, below, wide, left), screen);
    }
    Drawn::default()
}

/// The lines that the eye lands on: the state in a word and the rates it is based on, what they were over the last
/// minutes, and what is wrong, or else who and where. Gives the rows it took.
fn condition(pen: &mut Pen<'_>, screen: &Screen<'_>, high: u16) -> u16 {
    let (theme, model) = (*pen.theme, screen.model);
    let condition = model.condition();
    let (mark, word, style) = match condition.state {
        State::Waiting => ("○", "WAITING", theme.quiet),
        State::Quiet => ("●", "QUIET", theme.strong),
        State::Busy => ("●", "BUSY", theme.strong),
        State::Storm => ("▲", "STORM", theme.bad),
        State::Losing => ("▲", "LOSING UPCALLS", theme.bad),
    };
    // Where nothing counts upcalls, there is no saying that it is quiet.
    let blind = model.uncounted(Metric::Upcalls).filter(|_| condition.rates.is_some());
    let (mark, word, style) = if blind.is_some() { ("○", "NOT COUNTED", theme.bad) } else { (mark, word, style) };
    let x = pen.pieces(1, 0, &[(mark, style), (" ", style), (word, style)]) + 2;
    let Some(rates) = condition.rates else {
        pen.put(x, 0, "for the first counters", theme.text);
        return 3;
    };
    let per = |n: f64, what: &str| format!("{} {what}/s", format::rate(n));
    let uncounted = model.uncounted(Metric::Lookups);
    let misses = match condition.miss_share {
        _ if blind.is_some() => "7 Probes says why".to_owned(),
        _ if uncounted.is_some() => "7 Probes says why lookups are not counted".to_owned(),
        None => "no packets".to_owned(),
        Some(share) if share <= 0.0 => format!("all {} hit a flow", per(rates.lookups, "lookups")),
        Some(share) => format!("{} of {} miss", format::share(share), per(rates.lookups, "lookups")),
    };
    let words = match condition.state {
        State::Losing => {
            format!("{} lost of {}; {misses}", format::rate(rates.upcalls_lost), per(rates.upcalls, "upcalls"))
        }
        _ if blind.is_none() && rates.upcalls > 0.0 => format!("{}; {misses}", per(rates.upcalls, "upcalls")),
        _ => misses,
    };
    let x = pen.put(x, 0, &words, if style == theme.bad { theme.strong } else { theme.text });
    let over = format!("last {:.0} s", (rates.span as f64 / 1e9).max(1.0));
    if x + text::width(&over) as u16 + 2 < pen.width() {
        pen.put_right(pen.width() - 1, 0, &over, theme.quiet);
    }
    let mut row = 1;
    let verdicts = model.verdicts();
    if high >= HIGH || verdicts.is_empty() {
        parts(pen, row, &before(model), theme.text);
        row += 1;
    }
    let wide = pen.width();
    // What comes below: a verdict in its fewest rows, whom it names, a free row, and the tables.
    let spare = high.saturating_sub(row + verdict::ROWS + 2 + stages::ROWS).min(verdict::SPARE);
    let told = verdict::draw(&mut pen.part(0, row, wide, verdict::ROWS + spare), model, &verdicts, spare);
    row += told.rows;
    let since = told.since.unwrap_or_default();
    let named_wide = if since.is_empty() { wide } else { wide.saturating_sub(text::width(&since) as u16 + 2) };
    let named = who::draw(&mut pen.part(0, row, named_wide, 1), model, &verdicts, screen.view.who);
    if named > 0 {
        pen.put_right(wide - 1, row, &since, theme.quiet);
    }
    row += named;
    if verdicts.first().is_none_or(|worst| worst.cause == Cause::Unknown) {
        parts(pen, row, &culprit(model, &rates), theme.text);
        row += 1;
    }
    row
}

/// Only whole parts, as many as there is room for: half a number would mislead.
fn parts(pen: &mut Pen<'_>, y: u16, parts: &[String], style: Style) {
    let room = usize::from(pen.width()).saturating_sub(4);
    let mut shown = String::new();
    for part in parts {
        let longer = if shown.is_empty() { part.clone() } else { format!("{shown} · {part}") };
        if text::width(&longer) <= room {
            shown = longer;
        }
    }
    pen.put(3, y, &shown, style);
}

/// Since when it is so, how much there was over the last minutes, how much was wrong, and what lookups and new flows are
/// like.
fn before(model: &Model) -> Vec<String> {
    let mut parts = Vec::new();
    let state = model.condition().state;
    let began = model.anomalies().rev().find_map(|anomaly| match anomaly.kind {
        AnomalyKind::Condition(_, to) => Some((anomaly.ts, to)),
        _ => None,
    });
    if let Some((ts, _)) = began.filter(|(_, to)| *to == state)
        && let Some(time) = model.clock().and_then(|clock| format::time_of_day(clock, ts))
    {
        parts.push(format!("since {time}"));
    }
    let mut shown = 0;
    for seconds in [60, 600] {
        let Some((upcalls, known)) = model.mean(Metric::Upcalls, seconds).filter(|(_, known)| *known > shown) else {
            continue;
        };
        shown = known;
        let over = if known % 60 == 0 { format!("{} min", known / 60) } else { format!("{known} s") };
        let lost = model.mean(Metric::UpcallsLost, seconds).map_or(0.0, |(lost, _)| lost);
        let lost = if lost > 0.0 { format!(", {} lost/s", format::rate(lost)) } else { String::new() };
        parts.push(format!("last {over}: {} upcalls/s{lost}", format::rate(upcalls)));
    }
    match model.past_verdicts().len() {
        0 => {}
        1 => parts.push("1 earlier verdict".to_owned()),
        n => parts.push(format!("{n} earlier verdicts")),
    }
    let rates = model.rates().filter(|rates| rates.lookups > 0.0);
    parts.extend(rates.map(|rates| format::masks_per_lookup(rates.masks_tried / rates.lookups)));
    let new = Some(model.spreads()).filter(|new| new.unused.is_some_and(|unused| unused > 0));
    parts.extend(new.and_then(new_flows::unused).map(|unused| format!("new flows: {unused}")));
    parts
}

/// Who and where, as far as the counters and the upcalls seen say.
fn culprit(model: &Model, rates: &Rates) -> Vec<String> {
    let mut parts = Vec::new();
    if rates.upcalls_lost > 0.0
        && let Some((ret, share)) = model.talkers(Dimension::Errno, 8).top.iter().find_map(|talker| match talker.key {
            TalkerKey::Errno(ret) if ret != 0 => Some((ret, talker.share)),
            _ => None,
        })
    {
        parts.push(format!("{} fail with {}", format::share(share), label::outcome_meaning(ret)));
    }
    let drops = model.drops();
    let dropped: f64 = drops.iter().map(|row| row.rate).sum();
    if let Some(most) = drops.iter().max_by(|a, b| a.rate.total_cmp(&b.rate)).filter(|_| dropped > 0.0) {
        let (rate, reason) = (format::rate(dropped), label::drop_reason(most.reason, most.name));
        parts.push(format!("{rate} dropped/s, {} {reason}", format::share(most.rate / dropped)));
    }
    if rates.upcalls > 0.0 {
        if let Some(first) = model.talkers(Dimension::InPort, 1).top.first() {
            parts.push(format!("{} come from {}", format::share(first.share), label::talker(model, first.key)));
        }
        if let Some(whole) = model.latency(Stage::Whole, Window::Last10) {
            let (half, most) = (format::duration(whole.p50), format::duration(whole.p99));
            parts.push(format!("upcall time p50 {}, p99 {}", half.trim_end(), most.trim_end()));
        }
    }
    parts
}
