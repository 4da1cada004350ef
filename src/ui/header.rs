//! The top of the screen (what is traced, when, the views, what is lost) and its bottom line.

use ratatui::style::Style;

use super::{Ended, Mode, Pace, Prompt, RecordState, Screen, View, format, pen::Pen, text};
use crate::event::{DaemonState, Nanos};

/// A daemon that takes so long for its version is slow: it does all that it is told between its other work.
const SLOW: Nanos = 100_000_000;

/// Draws the top; gives the first row below it.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> u16 {
    host_line(pen, screen);
    tabs(pen, screen);
    rule(pen, screen);
    banner(pen, screen)
}

/// Row 0: the traced host at the left, the recording and the time of day at the right.
fn host_line(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let model = screen.model;
    let end = pen.width() - 1;
    let time = model.clock().and_then(|clock| format::time_of_day(clock, model.now()));
    let time = time.unwrap_or_else(|| "--:--:--".to_owned());
    let (record, record_style) = match &screen.status.record {
        RecordState::Off => (String::new(), theme.quiet),
        RecordState::On { bytes, seconds, lost: 0, .. } => {
            (format!("● REC {} {}  ", format::clock_span(*seconds), format::bytes(*bytes)), theme.strong)
        }
        RecordState::On { bytes, seconds, lost, .. } => {
            let words = format!(
                "● REC {} {}, {} not recorded  ",
                format::clock_span(*seconds),
                format::bytes(*bytes),
                format::short_count(*lost)
            );
            (words, theme.bad)
        }
        RecordState::Failed(_) => ("▲ REC FAILED  ".to_owned(), theme.bad),
    };
    let right = pen.pieces_right(end, 0, &[(&record, record_style), (&time, theme.strong)]);

    let mut parts: Vec<(String, Style)> = Vec::new();
    let session = model.session();
    let host = session.map_or("", |session| session.host.as_str());
    if !host.is_empty() {
        parts.push((host.to_owned(), theme.text));
    }
    match model.datapaths() {
        [] => {}
        [only] => parts.push((only.name.clone(), theme.text)),
        many => parts.push((format!("{} datapaths", many.len()), theme.text)),
    }
    match (model.daemon(), session) {
        (Some(DaemonState::Down { why }), _) if why == DaemonState::NOT_ASKED => {
            parts.push(("daemon: not asked".to_owned(), theme.text));
        }
        (Some(DaemonState::Down { .. }), _) => parts.push(("daemon: not answering".to_owned(), theme.bad)),
        (Some(DaemonState::Up { version, round_trip_ns, .. }), _) => {
            parts.push((ovs_version(version), theme.text));
            if *round_trip_ns >= SLOW {
                let took = format::duration(*round_trip_ns);
                parts.push((format!("daemon: answers in {}", took.trim()), theme.bad));
            }
        }
        (None, Some(session)) if !session.ovs_version.is_empty() => {
            parts.push((ovs_version(&session.ovs_version), theme.text));
        }
        _ => {}
    }
    if let Some(session) = session.filter(|session| !session.kernel.is_empty()) {
        parts.push((format!("Linux {}", session.kernel), theme.quiet));
    }
    let name = match screen.status.mode {
        Mode::Live => "ovscope".to_owned(),
        Mode::Demo => "ovscope demo".to_owned(),
        Mode::Replay { .. } => "ovscope replay".to_owned(),
    };
    let mut x = pen.put(1, 0, &name, theme.heading) + 2;
    for (i, (words, style)) in parts.iter().enumerate() {
        let gap = if i > 0 { " · " } else { "" };
        let wide = (text::width(words) + text::width(gap)) as u16;
        // A part that does not fit is left out whole, but for a daemon that is down or slow: that is cut.
        if x + wide + 1 > right && *style != theme.bad {
            continue;
        }
        x = pen.put_in(x, 0, right.saturating_sub(x + 1), gap, theme.quiet);
        x = pen.put_in(x, 0, right.saturating_sub(x + 1), words, *style);
    }
}

/// `ovs-vswitchd (Open vSwitch) 3.5.0` and such, as `OVS 3.5.0`.
fn ovs_version(version: &str) -> String {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    format!("OVS {}", number.unwrap_or(version))
}

/// Row 1: the views.
fn tabs(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let full: usize = View::ALL.iter().map(|view| view.title().len() + 4).sum();
    let short = full + 1 > usize::from(pen.width());
    let mut x = 0;
    for view in View::ALL {
        let digit = view.index() + 1;
        let current = view == screen.view.view;
        let words = match (short, current) {
            (true, false) => format!(" {digit} {} ", &view.title()[..3]),
            _ => format!(" {digit} {} ", view.title()),
        };
        let end = pen.put(x, 1, &words, if current { theme.selected } else { theme.text });
        pen.tab(view, x, end);
        x = end;
    }
}

/// Row 2: a rule, with what is held at its left, and what is lost at its right.
fn rule(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let wide = pen.width();
    pen.rule(0, 2, wide, '─', theme.quiet);

    let mut left: Vec<(String, Style)> = Vec::new();
    match screen.status.pace {
        Pace::Running => {}
        Pace::Held { behind } => {
            left.push((format!("PAUSED {}", format::clock_span(behind / 1_000_000_000)), theme.bad));
        }
        Pace::Stopped => left.push(("PAUSED".to_owned(), theme.bad)),
        Pace::Past { behind, moves } => {
            let sign = if moves { "▸" } else { "" };
            // Until its first event is read, it is not known how far back it is.
            let behind = match screen.model.now() {
                0 => "…".to_owned(),
                _ => format::clock_span(behind / 1_000_000_000),
            };
            left.push((format!("LOOKING BACK {behind}{sign}"), theme.bad));
        }
    }
    if (screen.status.speed - 1.0).abs() > f64::EPSILON {
        left.push((speed(screen.status.speed), theme.strong));
    }
    match &screen.status.ended {
        Some(Ended::Complete) => left.push(("ends here".to_owned(), theme.strong)),
        Some(Ended::Failed(_)) => left.push(("ended".to_owned(), theme.bad)),
        None => {}
    }
    let held_wide: usize = left.iter().map(|(words, _)| text::width(words) + 2).sum();
    // The last, as the longest: where there is little room it is cut.
    if let Mode::Replay { file } = &screen.status.mode {
        left.push((file.clone(), theme.text));
    }

    let left_wide: usize = left.iter().map(|(words, _)| text::width(words) + 2).sum();
    let wide_of = |parts: &[(String, Style)]| parts.iter().map(|(words, _)| text::width(words) + 3).sum::<usize>();
    let mut right = losses(screen, false);
    if wide_of(&right) + left_wide + 4 > usize::from(wide) {
        right = losses(screen, true);
    }
    // What is held stays whole, and so do the losses.
    while wide_of(&right) + held_wide + 4 > usize::from(wide) && right.len() > 1 {
        right.pop();
    }
    let need = wide_of(&right);
    let mut x = wide.saturating_sub(need as u16 + 1);
    let room = x.saturating_sub(2);
    for (i, (words, style)) in right.iter().enumerate() {
        x = pen.put(x, 2, if i == 0 { " " } else { " · " }, theme.quiet);
        x = pen.put(x, 2, words, *style);
    }
    pen.put(x, 2, " ", theme.quiet);
    let mut x = 1;
    for (words, style) in left {
        x = pen.put_in(x, 2, room.saturating_sub(x), &format!(" {words} "), style);
    }
}

/// As a factor, below 1 as a fraction.
fn speed(speed: f64) -> String {
    match speed {
        speed if speed.is_infinite() => "×max".to_owned(),
        speed if speed < 1.0 => format!("×1/{}", (1.0 / speed).round()),
        speed => format!("×{speed}"),
    }
}

/// What is lost or left out, always the losses first; in short what is left out on purpose is one number.
fn losses(screen: &Screen<'_>, short: bool) -> Vec<(String, Style)> {
    let theme = screen.theme;
    let loss = screen.model.loss();
    let gone =
        [loss.ring_full, loss.untracked, loss.missed_runs, loss.undecoded].into_iter().fold(0, u64::saturating_add);
    let style = if gone > 0 { theme.bad } else { theme.quiet };
    let mut parts = vec![(format!("events lost {}", format::short_count(gone)), style)];
    if loss.not_recorded > 0 {
        parts.push((format!("not recorded {}", format::short_count(loss.not_recorded)), theme.bad));
    }
    let left_out = [
        (loss.upcalls_over_budget, "upcalls over budget"),
        (loss.over_budget, "packets over budget"),
        (loss.upcalls_filtered_out, "upcalls filtered out"),
        (loss.filtered_out, "packets filtered out"),
        (loss.not_sampled, "not sampled"),
    ];
    if short {
        let sum = left_out.iter().fold(0u64, |sum, (n, _)| sum.saturating_add(*n));
        if sum > 0 {
            parts.push((format!("left out {}", format::short_count(sum)), theme.text));
        }
    } else {
        for (n, what) in left_out.iter().filter(|(n, _)| *n > 0) {
            parts.push((format!("{what} {}", format::short_count(*n)), theme.text));
        }
    }
    if let Some(held) = screen.status.flight {
        parts.push((format!("kept {}", format::clock_span(held.seconds)), theme.quiet));
    }
    if let Some(percent) = screen.status.own_cpu {
        parts.push((format!("own CPU {percent:.1} %"), theme.quiet));
    }
    parts
}

/// What went wrong and must be read, below the rule; gives the first row after it.
fn banner(pen: &mut Pen<'_>, screen: &Screen<'_>) -> u16 {
    let theme = *pen.theme;
    let mut y = 3;
    let mut tell = |words: String| {
        for line in text::wrap(&words, usize::from(pen.width()) - 4).iter().take(3) {
            pen.put(1, y, line, theme.bad);
            y += 1;
        }
    };
    if let Some(Ended::Failed(why)) = &screen.status.ended {
        tell(format!("▲ no more events: {why}"));
    }
    if let RecordState::Failed(why) = &screen.status.record {
        tell(format!("▲ not recording: {why}"));
    }
    y
}

/// The bottom line: a note, or the keys that do something here.
pub fn hints(pen: &mut Pen<'_>, screen: &Screen<'_>) {
    let theme = *pen.theme;
    let y = pen.height() - 1;
    let palette = screen.status.palette.as_ref().map(|palette| &palette.prompt);
    if let Some(prompt) = palette.or(screen.status.prompt.as_ref()) {
        return ask(pen, y, prompt);
    }
    if let Some(note) = &screen.status.note {
        pen.put(1, y, note, theme.strong);
        return;
    }
    let hints = &screen.status.hints;
    let wide = |(keys, word): &(String, &'static str)| (text::width(keys) + text::width(word) + 3) as u16;
    // The last three (all actions, help and quit) are always there.
    let (first, last) = hints.split_at(hints.len().saturating_sub(3));
    let mut room = pen.width().saturating_sub(2).saturating_sub(last.iter().map(wide).sum());
    let mut x = 1;
    let fitting = first.iter().filter(|hint| {
        let fits = wide(hint) <= room;
        room -= if fits { wide(hint) } else { 0 };
        fits
    });
    for (keys, word) in fitting.chain(last) {
        x = pen.put(x, y, keys, theme.strong);
        x = pen.put(x + 1, y, word, theme.quiet) + 2;
    }
}

/// A question and what the user has written, of which the end is seen where it is too long.
fn ask(pen: &mut Pen<'_>, y: u16, prompt: &Prompt) {
    let theme = *pen.theme;
    let x = pen.pieces(1, y, &[(&prompt.label, theme.quiet), (": ", theme.quiet)]);
    let room = usize::from(pen.width().saturating_sub(x + 1)).max(1);
    let skip = (prompt.cursor + 1).saturating_sub(room);
    let shown: String = prompt.text.chars().skip(skip).collect();
    pen.put(x, y, &shown, theme.strong);
    let at = prompt.cursor - skip;
    let under = shown.chars().nth(at).unwrap_or(' ');
    let before: String = shown.chars().take(at).collect();
    pen.put(x + text::width(&before) as u16, y, &under.to_string(), theme.selected);
}
