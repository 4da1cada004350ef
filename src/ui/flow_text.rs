//! All that is known about one flow, as lines: its figures, and what the daemon says of it, made readable.

use ratatui::style::Style;

use super::{Asked, Lines, Mode, Screen, format, label, megaflow, rules, text, trace_text};
use crate::{
    event::{DaemonAnswer, DaemonState, NO_RULES_YET, PutKind, Query},
    model::Flow,
};

/// A put's kind in a word.
pub fn put_kind(kind: PutKind) -> &'static str {
    match kind {
        PutKind::New => "new",
        PutKind::Set => "changed",
    }
}

/// What was seen of the flow itself; `kept` is whether the model still has it.
pub fn figures(screen: &Screen<'_>, flow: &Flow, kept: bool) -> Lines {
    let theme = screen.theme;
    let model = screen.model;
    let now = model.now();
    let ago = |at: u64| match format::age(now.saturating_sub(at)) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    };
    let mut lines: Lines = Vec::new();
    let name = flow.ufid.map_or_else(|| "known by its key alone, no ufid".to_owned(), |ufid| format!("ufid {ufid}"));
    let datapath = model.datapath(flow.dp).map_or_else(String::new, |datapath| datapath.name.clone());
    lines.push(vec![(" flow  ".to_owned(), theme.heading), (name, theme.strong)]);
    if !datapath.is_empty() {
        lines.push(vec![(" datapath    ".to_owned(), theme.quiet), (datapath, theme.text)]);
    }
    if !kept {
        let words = " kept while it is open: newer flows took its room in the list".to_owned();
        lines.push(vec![(words, theme.quiet)]);
    }
    let mut field = |name: &str, value: String, style: Style| {
        lines.push(vec![(format!(" {name:<12}"), theme.quiet), (value, style)]);
    };
    let rate = format!("{} · {}/s in the last 2 s", format::count(flow.hits()), format::rate(model.hit_rate(flow)));
    let unused = if model.is_unused(flow) { " · never used" } else { "" };
    field("hits", format!("{rate}{unused}"), theme.text);
    match (flow.bytes(), model.byte_rate(flow)) {
        (Some(bytes), Some(rate)) => {
            let words = format!("{} · {}/s in the last 2 s", format::bytes(bytes), format::bytes(rate as u64));
            field("bytes", words, theme.text);
        }
        _ if model.is_unused(flow) => {}
        _ => field("bytes", "not counted".to_owned(), theme.quiet),
    }
    let hit = flow.last_hit.map_or_else(|| "not seen".to_owned(), ago);
    field("last hit", hit, theme.text);
    field("first seen", ago(flow.first_seen), theme.text);
    field("upcalls", format!("{} answered by putting it", format::count(flow.upcalls)), theme.text);
    match flow.last_put {
        Some(put) => {
            let words = format!(
                "{} {}, {} in {}",
                put_kind(put.kind),
                ago(put.ts),
                label::outcome_meaning(put.ret),
                format::duration(put.took_ns).trim_end()
            );
            field("last put", words, if put.ret == 0 { theme.text } else { theme.bad });
        }
        None => field("last put", "not seen".to_owned(), theme.quiet),
    }
    if flow.puts_failed > 0 {
        field("puts failed", format::count(u64::from(flow.puts_failed)), theme.bad);
    }
    if let Some(deleted) = flow.deleted {
        let why = flow.deleted_because.map_or_else(String::new, |reason| format!(": {reason}"));
        field("deleted", format!("{}{why}", ago(deleted)), theme.strong);
    }
    if let Some(returned) = flow.returned() {
        // What was lost or left out may have been puts and deletions of it.
        let least = if model.loss().upcalls_are().is_some() || model.loss().any() { "at least " } else { "" };
        let times = match returned.times {
            1 => format!("{least}once, {}", ago(returned.last)),
            n => format!("{least}{} times, last {}", format::count(n.into()), ago(returned.last)),
        };
        let short = |ns| format::duration(ns).trim_end().to_owned();
        let every = returned.period().map_or_else(String::new, |period| format!("every {}, ", short(period)));
        let on_average = if returned.times > 1 { " on average" } else { "" };
        field("came back", times, theme.strong);
        field("", format!("{every}gone for {}{on_average}", short(returned.gone_each())), theme.text);
        if let Some(reason) = returned.because {
            field("", format!("deleted before that: {reason}"), theme.text);
        }
    }
    let since = if flow.generations > 0 { format!(", since {}", ago(flow.since)) } else { String::new() };
    field("generation", format!("{}{since}", u64::from(flow.generations) + 1), theme.text);
    if let Some(masks) = flow.masks_tried {
        field("masks", format!("{masks} tried at the last hit seen in detail"), theme.text);
    }
    if let Some(summary) = &flow.summary {
        let from = flow.in_port.map(|port| format!("   by {}", label::port(model, Some(flow.dp), port)));
        let id = flow.last_packet.map_or_else(String::new, |id| format!("{}  ", label::packet(id)));
        field("last packet", summary.to_string(), theme.text);
        field("", format!("{id}{}", from.unwrap_or_default().trim_start()), theme.text);
    }
    lines
}

/// What the daemon says of the flow, or why it says nothing.
pub fn answers(screen: &Screen<'_>, flow: &Flow, columns: usize) -> Lines {
    let mut lines: Lines = Vec::new();
    if [Query::GetFlow, Query::Detrace].iter().all(|query| screen.model.answer(flow, *query).is_none()) {
        let (words, style) = unanswered(screen, flow);
        let head = " megaflow and OpenFlow rules".to_owned();
        lines.push(vec![(head, screen.theme.heading)]);
        push_wrapped(&mut lines, &words, columns, style);
        if let Some(traced) = screen.model.trace_of_flow(flow) {
            lines.push(Vec::new());
            lines.extend(trace_text::lines(screen, traced, columns));
        }
        return lines;
    }
    for (query, title) in [(Query::GetFlow, "megaflow"), (Query::Detrace, "OpenFlow rules")] {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        answer(screen, flow, query, title, columns, &mut lines);
    }
    if let Some(traced) = screen.model.trace_of_flow(flow) {
        lines.push(Vec::new());
        lines.extend(trace_text::lines(screen, traced, columns));
    }
    lines
}

fn answer(screen: &Screen<'_>, flow: &Flow, query: Query, title: &str, columns: usize, lines: &mut Lines) {
    let theme = screen.theme;
    let mut head = vec![(format!(" {title}  "), theme.heading)];
    let Some((at, DaemonAnswer { answer, took_ns, .. })) = screen.model.answered(flow, query) else {
        let (words, style) = unanswered(screen, flow);
        head.push((words, style));
        lines.push(head);
        return;
    };
    let command = match query {
        Query::GetFlow => "dpctl/get-flow",
        Query::Detrace => "ofproto/detrace",
    };
    let age = match format::age(screen.model.now().saturating_sub(at)) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    };
    let gone = if flow.deleted.is_some() { "; the flow is deleted since" } else { "" };
    let took = format::duration(*took_ns);
    head.push((format!("{command}, answered {age} in {}{gone}", took.trim_end()), theme.quiet));
    lines.push(head);
    match (answer, query) {
        (Err(_), _) if flow.deleted.is_some() => {
            push_wrapped(lines, "no answer came before the flow was deleted", columns, theme.text);
        }
        (Err(why), _) if why.starts_with(NO_RULES_YET) => {
            let again = if screen.status.mode == Mode::Live { "; it is asked again while this is open" } else { "" };
            push_wrapped(lines, &format!("{why}{again}"), columns, theme.text);
        }
        (Err(why), _) => push_wrapped(lines, &format!("▲ {why}"), columns, theme.bad),
        (Ok(words), _) if words.trim().is_empty() => push_wrapped(lines, "nothing", columns, theme.quiet),
        (Ok(words), Query::GetFlow) => lines.extend(megaflow::lines(theme, words, columns)),
        (Ok(words), Query::Detrace) => lines.extend(rules::lines(theme, words, columns)),
    }
}

/// Why there is no answer yet, or never will be.
fn unanswered(screen: &Screen<'_>, flow: &Flow) -> (String, Style) {
    let theme = screen.theme;
    if flow.ufid.is_none() {
        return ("the daemon can only be asked by ufid, and this flow has none".to_owned(), theme.text);
    }
    if flow.deleted.is_some() {
        let other = match screen.status.mode {
            Mode::Live if screen.model.trace_of_flow(flow).is_none() => "; a trace says which its packets meet now",
            _ => "",
        };
        return (format!("not asked: the flow is deleted, and the daemon forgets such{other}"), theme.text);
    }
    if let Some(DaemonState::Down { why }) = screen.model.daemon() {
        if why == DaemonState::NOT_ASKED {
            return (why.clone(), theme.text);
        }
        return (format!("the daemon does not answer: {why}"), theme.bad);
    }
    match screen.status.asked {
        Some(Asked::Waiting(ufid)) if Some(ufid) == flow.ufid => ("asking…".to_owned(), theme.text),
        Some(Asked::Busy) => ("waiting to ask: many questions are under way".to_owned(), theme.text),
        Some(Asked::Nobody) => ("not asked while this was recorded".to_owned(), theme.text),
        _ => ("not asked yet".to_owned(), theme.quiet),
    }
}

fn push_wrapped(lines: &mut Lines, words: &str, columns: usize, style: Style) {
    let indent = words.len() - words.trim_start().len();
    for (i, line) in text::wrap(words, columns.saturating_sub(6 + indent)).into_iter().enumerate() {
        let hang = if i > 0 { indent + 2 } else { 0 };
        lines.push(vec![(format!("   {:hang$}{line}", ""), style)]);
    }
}
