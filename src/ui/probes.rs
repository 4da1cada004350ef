//! The probes: what can be seen and with what, what it costs, and everything that is missing in the events.

use ratatui::style::Style;

use super::{Drawn, Lines, Output, Screen, format, losses, pen::Pen, scrolled, text};
use crate::event::{Capability, CapabilityState, DaemonState};

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let lines = lines(screen, usize::from(pen.width()));
    scrolled(pen, &lines, screen.view.scroll)
}

fn lines(screen: &Screen<'_>, columns: usize) -> Lines {
    let theme = screen.theme;
    let mut lines: Lines = Vec::new();
    let capabilities = screen.model.capabilities();
    let of = |state| capabilities.iter().filter(|c| c.state == state).count();
    let mut head = vec![(" probes  ".to_owned(), theme.heading)];
    head.push((format!("{} attached", of(CapabilityState::Attached)), theme.strong));
    for (state, word) in [(CapabilityState::Degraded, "degraded"), (CapabilityState::Missing, "missing")] {
        let n = of(state);
        if n > 0 {
            head.push((format!(", {n} {word}"), theme.bad));
        }
    }
    push_losses(screen, columns, &mut lines);
    push_cost(screen, columns, &mut lines);
    lines.push(Vec::new());
    lines.push(head);
    if capabilities.is_empty() {
        lines.push(vec![(" waiting for the probes to be attached".to_owned(), theme.text)]);
    }
    let mut capabilities: Vec<&Capability> = capabilities.iter().collect();
    capabilities.sort_by_key(|capability| match capability.state {
        CapabilityState::Missing => 0,
        CapabilityState::Degraded => 1,
        CapabilityState::Attached => 2,
        CapabilityState::Off => 3,
    });
    for capability in capabilities {
        push_capability(screen, capability, columns, &mut lines);
    }
    lines.push(Vec::new());
    push_host(screen, columns, &mut lines);
    lines
}

fn push_capability(screen: &Screen<'_>, capability: &Capability, columns: usize, lines: &mut Lines) {
    let theme = screen.theme;
    let (mark, word, style) = match capability.state {
        CapabilityState::Attached => ("●", "attached", theme.text),
        CapabilityState::Degraded => ("◐", "degraded", theme.bad),
        CapabilityState::Missing => ("○", "missing", theme.bad),
        CapabilityState::Off => ("·", "off", theme.quiet),
    };
    let cost = match capability.cost {
        Some(cost) if cost.runs > 0 => {
            let each = format::duration(cost.ns / cost.runs);
            format!("{:>7} runs {:>7} each", format::short_count(cost.runs), each.trim_end())
        }
        Some(_) => format!("{:>7}", "no run"),
        None => String::new(),
    };
    let probe_wide = columns.saturating_sub(34 + if cost.is_empty() { 0 } else { 27 }).max(10);
    let mut line = vec![
        (format!(" {mark} {word:<9} "), style),
        (pad(&capability.name, 20), theme.text),
        (pad(&capability.probe, probe_wide), theme.quiet),
    ];
    line.push((cost, theme.text));
    lines.push(line);
    if !capability.why.is_empty() {
        push_wrapped(lines, &capability.why, columns, theme.text);
    }
}

/// What looking costs: in the kernel, and of this program.
fn push_cost(screen: &Screen<'_>, columns: usize, lines: &mut Lines) {
    let theme = screen.theme;
    let costs = screen.model.capabilities().iter().filter_map(|capability| capability.cost);
    let (runs, ns) =
        costs.fold((0u64, 0u64), |(runs, ns), cost| (runs.saturating_add(cost.runs), ns.saturating_add(cost.ns)));
    let mut words = Vec::new();
    if runs > 0 {
        let time = format::duration(ns);
        words.push(format!("probes in the kernel {} in {} runs", time.trim_end(), format::short_count(runs)));
    }
    if let Some(percent) = screen.status.own_cpu {
        words.push(format!("this program {percent:.1} % of one CPU in the last second, the probes not counted"));
    }
    if !words.is_empty() {
        lines.push(Vec::new());
        lines.push(vec![(" what it costs".to_owned(), theme.heading)]);
    }
    for words in words {
        for line in text::wrap(&words, columns.saturating_sub(4)) {
            lines.push(vec![(format!("   {line}"), theme.text)]);
        }
    }
}

fn push_losses(screen: &Screen<'_>, columns: usize, lines: &mut Lines) {
    let theme = screen.theme;
    let loss = screen.model.loss();
    let evicted = screen.model.evicted();
    lines.push(vec![
        (" what is missing in the events".to_owned(), theme.heading),
        ("  since the start".to_owned(), theme.quiet),
    ]);
    let (unwanted, left_out) = (losses::unwanted(loss), losses::left_out(loss, &evicted));
    if !loss.any() && left_out.iter().all(|(n, _)| *n == 0) {
        lines.push(vec![("   nothing".to_owned(), theme.text)]);
    }
    let all =
        unwanted.iter().map(|row| (row, theme.bad, "▲ ")).chain(left_out.iter().map(|row| (row, theme.strong, "  ")));
    for ((n, words), style, mark) in all.filter(|((n, _), ..)| *n > 0) {
        let number = format!("{mark}{:>11}  ", format::count(*n));
        for (i, part) in text::wrap(words, columns.saturating_sub(18)).into_iter().enumerate() {
            let before = if i == 0 { number.clone() } else { format!("{:15}", "") };
            lines.push(vec![(format!(" {before}"), style), (part, theme.text)]);
        }
    }
}

fn push_host(screen: &Screen<'_>, columns: usize, lines: &mut Lines) {
    let theme = screen.theme;
    lines.push(vec![(" session".to_owned(), theme.heading)]);
    match screen.model.daemon() {
        Some(DaemonState::Up { pid, version, round_trip_ns, missing }) => {
            let took = format::duration(*round_trip_ns);
            let words = format!("{version}, pid {pid}, answers in {}", took.trim_end());
            field(lines, "daemon", &words, columns, theme.text, theme.quiet);
            if !missing.is_empty() {
                let words = format!("it lacks {}", missing.join(", "));
                field(lines, "", &words, columns, theme.bad, theme.quiet);
            }
        }
        Some(DaemonState::Down { why }) if why == DaemonState::NOT_ASKED => {
            field(lines, "daemon", why, columns, theme.text, theme.quiet);
        }
        Some(DaemonState::Down { why }) => {
            field(lines, "daemon", &format!("▲ does not answer: {why}"), columns, theme.bad, theme.quiet);
        }
        None => field(lines, "daemon", "nobody has asked", columns, theme.quiet, theme.quiet),
    }
    if let Some(session) = screen.model.session() {
        // A recording of another tool may not say all of it.
        let cpus = (session.cpus > 0).then(|| format!("{} CPUs", session.cpus));
        let kernel = (!session.kernel.is_empty()).then(|| format!("Linux {} {}", session.kernel, session.machine));
        let host = (!session.host.is_empty()).then(|| session.host.clone());
        let words: Vec<String> = [host, kernel, cpus].into_iter().flatten().collect();
        field(lines, "host", &words.join(", "), columns, theme.text, theme.quiet);
        field(lines, "program", &session.program, columns, theme.text, theme.quiet);
        field(lines, "command", &session.command, columns, theme.text, theme.quiet);
    }
    if let Some(Output { bytes, frames, seconds }) = screen.status.output {
        let rate = format::bytes(bytes / seconds.max(1));
        let words =
            format!("{rate}/s to this terminal in the last {seconds} s, {frames} frames that changed something");
        field(lines, "terminal", &words, columns, theme.text, theme.quiet);
    }
    let events = format::count(screen.model.events_seen());
    field(lines, "events", &format!("{events} so far"), columns, theme.text, theme.quiet);
}

fn field(lines: &mut Lines, name: &str, value: &str, columns: usize, style: Style, quiet: Style) {
    for (i, part) in text::wrap(value, columns.saturating_sub(14)).into_iter().enumerate() {
        let name = if i == 0 { name } else { "" };
        lines.push(vec![(format!("   {name:<9} "), quiet), (part, style)]);
    }
}

fn push_wrapped(lines: &mut Lines, words: &str, columns: usize, style: Style) {
    for part in text::wrap(words, columns.saturating_sub(16)) {
        lines.push(vec![(format!("{:13}{part}", ""), style)]);
    }
}

/// Text cut or filled up to so many columns, with a space behind it.
fn pad(words: &str, columns: usize) -> String {
    let cut = text::fit(words, columns.saturating_sub(1));
    let fill = columns - text::width(&cut).min(columns);
    format!("{cut}{:fill$}", "")
}
