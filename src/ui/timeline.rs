//! A packet's timeline: a line for each event, with the time since the one before, and a bracket around its upcalls.

use ratatui::style::Style;

use super::{Screen, chart, format, label, pen::Pen, text, view::ListState};
use crate::{
    event::{Action, Body, Event, Nanos, UpcallId, UpcallRecv, task_name},
    model::{FlowKey, Model, PacketSnapshot},
};

/// The column that a line's details begin in.
const DETAILS: u16 = 43;

/// The place of the line at the cursor.
pub fn cursor(state: &ListState<usize>) -> usize {
    state.selected.unwrap_or(0)
}

/// The flow that a line of a packet's timeline is about: one that was hit, or put.
pub fn line_flow(model: &Model, packet: &PacketSnapshot, line: usize) -> Option<FlowKey> {
    let key = match &packet.events.get(line)?.body {
        Body::FlowLookup(lookup) => match (lookup.ufid, lookup.flow) {
            (Some(ufid), _) => FlowKey::Ufid(lookup.dp, ufid),
            (None, Some(flow)) => FlowKey::Ptr(lookup.dp, flow),
            (None, None) => return None,
        },
        Body::FlowPut(put) => FlowKey::Ufid(put.op.dp, put.op.ufid?),
        _ => return None,
    };
    model.flow(key).map(|flow| flow.key)
}

/// All that a line's action, or what made its upcall, says: on the line itself there may be no room for it.
pub fn line_arguments(packet: &PacketSnapshot, line: usize) -> Option<(&'static str, String)> {
    match &packet.events.get(line)?.body {
        Body::ActionExecute(executed) => Some(("action", executed.action.to_string())),
        Body::Upcall(upcall) => upcall.cookie.as_ref().map(|cookie| ("because", cookie.to_string())),
        _ => None,
    }
}

/// The first line of the window of `height` lines around the cursor.
pub fn first(screen: &Screen<'_>, packet: &PacketSnapshot, height: usize) -> usize {
    let lines = packet.events.len();
    let state = &screen.view.timeline;
    state.window(Some(cursor(state).min(lines.saturating_sub(1))), lines, height).first
}

/// Draws the lines around the cursor; without one, from the first on.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>, packet: &PacketSnapshot, state: Option<&ListState<usize>>) {
    let events = &packet.events;
    let high = usize::from(pen.height());
    let cut = packet.packet.events_cut;
    let lines = events.len();
    let window = state.map_or_else(Default::default, |state| {
        state.window(Some(cursor(state).min(lines.saturating_sub(1))), lines, high)
    });
    let brackets = brackets(events);
    for (i, y) in (window.first..lines).zip(0..high) {
        let before = i.checked_sub(1).map(|before| events[before].ts);
        line(pen, screen, packet, y as u16, &events[i], before, brackets[i]);
        if state.is_some() {
            pen.list_row(y as u16, i == window.selected);
        }
        if state.is_some() && i == window.selected {
            pen.paint_row(y as u16, pen.theme.selected);
            pen.put(0, y as u16, "▸", pen.theme.selected);
        }
    }
    let last = lines.saturating_sub(window.first);
    if cut > 0 && last < high {
        let words = format!("{cut} more events of this packet are not kept");
        pen.put(24, last as u16, &words, pen.theme.bad);
    } else if last > high && high > 0 && state.is_none() {
        let words = format!("↓ {} more lines: Enter", last - high + 1);
        let y = high as u16 - 1;
        pen.rule(0, y, pen.width(), ' ', pen.theme.text);
        pen.put(4, y, &words, pen.theme.quiet);
    }
}

/// Whether an event is a step of its upcall's way up and back, and not what happened to the packet before or after.
fn in_bracket(event: &Event) -> Option<UpcallId> {
    let of_upcall = matches!(
        event.body,
        Body::Upcall(_)
            | Body::UpcallEnqueue(_)
            | Body::UpcallReturn(_)
            | Body::UpcallRecv(_)
            | Body::FlowPut(_)
            | Body::FlowExec(_)
            | Body::RecvUpcall(_)
            | Body::FlowOperation(_)
    );
    event.upcall.filter(|_| of_upcall)
}

/// The bracket's glyph for each line: from an upcall's first step to its last, whatever stands between.
fn brackets(events: &[Event]) -> Vec<char> {
    let mut glyphs = vec![' '; events.len()];
    let mut done: Vec<UpcallId> = Vec::new();
    for (first, event) in events.iter().enumerate() {
        let Some(id) = in_bracket(event).filter(|id| !done.contains(id)) else { continue };
        done.push(id);
        let last = events.iter().rposition(|other| in_bracket(other) == Some(id)).unwrap_or(first);
        for (i, glyph) in glyphs.iter_mut().enumerate().take(last + 1).skip(first) {
            *glyph = match (i == first, i == last) {
                (true, true) => '─',
                (true, false) => '┌',
                (false, true) => '└',
                (false, false) if *glyph == ' ' => '│',
                (false, false) => *glyph,
            };
        }
    }
    glyphs
}

/// A time since the packet's first event, `+1.240 ms`, in a unit that stays the same down the timeline.
fn offset(ns: Nanos, total: Nanos) -> String {
    if total < 10_000_000_000 {
        format!("+{}.{:03} ms", ns / 1_000_000, ns / 1000 % 1000)
    } else {
        format!("+{}.{:03} s ", ns / 1_000_000_000, ns / 1_000_000 % 1000)
    }
}

fn line(
    pen: &mut Pen<'_>,
    screen: &Screen<'_>,
    packet: &PacketSnapshot,
    y: u16,
    event: &Event,
    before: Option<Nanos>,
    bracket: char,
) {
    let theme = *pen.theme;
    let total = packet.packet.total();
    pen.put_right(12, y, &offset(event.ts.saturating_sub(packet.packet.first), total), theme.quiet);
    if let Some(before) = before {
        let step = event.ts.saturating_sub(before);
        // A step that is a good part of the whole is where to look.
        let slow = total > 0 && step as f64 > total as f64 * 0.25;
        pen.put_right(21, y, &format::duration(step), if slow { theme.strong } else { theme.text });
    }
    pen.put(22, y, bracket.encode_utf8(&mut [0; 4]), theme.quiet);
    pen.put_in(24, y, 18, event.kind(), theme.text);

    let wide = pen.width();
    let who = format!("{}  cpu {}", task(event), event.cpu);
    let who_x = wide.saturating_sub(28);
    let end = if wide >= 112 {
        pen.put_in(who_x, y, 27, &who, theme.quiet);
        who_x
    } else {
        wide
    };
    let (words, style) = details(screen, packet, event);
    let x = pen.put_in(DETAILS, y, end.saturating_sub(DETAILS + 1), &words, style);
    if let Body::UpcallRecv(recv) = &event.body {
        waited(pen, x + 2, y, end, recv, total);
    }
}

/// How long a message waited for its handler, with a bar of its part of the packet's whole time.
fn waited(pen: &mut Pen<'_>, x: u16, y: u16, end: u16, recv: &UpcallRecv, total: Nanos) {
    let theme = *pen.theme;
    let part = if total > 0 { recv.wait_ns as f64 / total as f64 } else { 0.0 };
    let heavy = part > 0.5 && recv.wait_ns > 1_000_000;
    let style = if heavy { theme.bad } else { theme.strong };
    let mark = if heavy { "▲ " } else { "" };
    let words = format!("{mark}waited {}", format::duration(recv.wait_ns).trim_end());
    let x = pen.put_in(x, y, end.saturating_sub(x + 1), &words, style) + 1;
    let room = usize::from(end.saturating_sub(x + 1)).min(20);
    let mut x = x;
    if room >= 6 {
        x = pen.put(x, y, &chart::bar(part, room), style) + 1;
    }
    let batch = format!(" {} in its batch", ordinal(recv.batch_idx));
    if recv.batch_idx > 0 && usize::from(end.saturating_sub(x)) > batch.len() {
        pen.put(x, y, &batch, theme.quiet);
    }
}

fn task(event: &Event) -> String {
    if event.tid == 0 { "idle".to_owned() } else { task_name(event.comm, event.tid) }
}

/// What a line says after the event's name.
fn details(screen: &Screen<'_>, packet: &PacketSnapshot, event: &Event) -> (String, Style) {
    let theme = screen.theme;
    let model = screen.model;
    let good_or_bad = |ret: i32| if ret == 0 { theme.text } else { theme.bad };
    let outcome = |ret: i32| if ret == 0 { "ok".to_owned() } else { format!("▲ {}", label::outcome_meaning(ret)) };
    match &event.body {
        Body::Dev(step) => {
            let failed = if step.ret == 0 { String::new() } else { format!("  ▲ returned {}", step.ret) };
            let names = packet.events.iter().filter_map(|event| match &event.body {
                Body::Dev(step) => Some(text::width(&step.dev.to_string())),
                _ => None,
            });
            let wide = names.max().unwrap_or(0);
            (format!("{:<wide$}  ns {}  {} B{failed}", step.dev, step.netns, step.len), good_or_bad(step.ret))
        }
        Body::FlowLookup(lookup) => {
            let masks = format!("{} tried, {} from cache", plural(lookup.n_mask_hit, "mask"), lookup.n_cache_hit);
            let again = if lookup.recirc_id == 0 { String::new() } else { format!(" · recirc {}", lookup.recirc_id) };
            match (lookup.flow, lookup.ufid) {
                (None, _) => (format!("miss · {masks}{again}"), theme.strong),
                (Some(_), Some(ufid)) => {
                    (format!("hit · {masks}{again} · ufid {}", short(&ufid.to_string())), theme.text)
                }
                (Some(_), None) => (format!("hit · {masks}{again}"), theme.text),
            }
        }
        Body::Upcall(upcall) => {
            let to = match upcall.port {
                0 => "▲ nobody listens".to_owned(),
                port => format!("→ portid {port}"),
            };
            let style = if upcall.port == 0 { theme.bad } else { theme.strong };
            let why = upcall.cookie.as_ref().map_or_else(String::new, |cookie| format!(" · {}", cookie.brief()));
            (format!("{} {to}{why}", label::cmd(upcall.cmd)), style)
        }
        Body::UpcallEnqueue(queued) => {
            let which = if queued.index > 0 { format!(" · segment {}", queued.index + 1) } else { String::new() };
            (format!("{}{which}", outcome(queued.ret)), good_or_bad(queued.ret))
        }
        Body::UpcallReturn(done) => (outcome(done.ret), good_or_bad(done.ret)),
        Body::UpcallRecv(_) => (task(event), theme.text),
        Body::FlowPut(put) => {
            let ufid = put.op.ufid.map_or_else(String::new, |ufid| format!(" · ufid {}", short(&ufid.to_string())));
            let took = format::duration(put.op.took_ns);
            let kind = super::flow_text::put_kind(put.kind);
            (format!("{} · {kind} in {}{ufid}", outcome(put.op.ret), took.trim_end()), good_or_bad(put.op.ret))
        }
        Body::FlowExec(exec) => {
            let took = format::duration(exec.took_ns);
            (format!("{} in {}", outcome(exec.ret), took.trim_end()), good_or_bad(exec.ret))
        }
        Body::FlowDel(op) => (outcome(op.ret), good_or_bad(op.ret)),
        Body::RecvUpcall(recv) => (format!("daemon has it: {} B, key {} B", recv.pkt_size, recv.key_size), theme.text),
        Body::FlowOperation(asked) => {
            let ufid = asked.ufid.map_or_else(String::new, |ufid| format!(" · ufid {}", short(&ufid.to_string())));
            (format!("daemon asks: {}{ufid}", asked.op_type.name()), theme.text)
        }
        Body::ActionExecute(executed) => (action(model, executed), theme.text),
        Body::Drop(drop) => {
            let place = if drop.location.is_empty() { String::new() } else { format!(" in {}", drop.location) };
            (format!("{}{place}", label::drop_reason(drop.reason, &drop.name)), theme.strong)
        }
        _ => (String::new(), theme.text),
    }
}

/// The first eight digits of a UFID: enough to tell two on a screen apart.
fn short(ufid: &str) -> String {
    text::fit(ufid, 9)
}

fn plural(n: u32, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `2nd` for place 1, as places count from 0.
fn ordinal(place: u32) -> String {
    let n = u64::from(place) + 1;
    let ending = match (n % 10, n % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// The action as the daemon prints it, but with a port's name, and with why it goes to userspace instead of where.
fn action(model: &Model, executed: &crate::event::ActionExecute) -> String {
    match &executed.action {
        Action::Output { port } => {
            let port = crate::event::PortNo(*port);
            format!("output {} ({})", port.0, label::port(model, Some(executed.dp), port))
        }
        Action::Userspace(to) => match (&to.cookie, to.pid) {
            (Some(cookie), _) => format!("userspace({})", cookie.brief()),
            (None, Some(pid)) => format!("userspace portid {pid}"),
            (None, None) => "userspace".to_owned(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_unit_down_the_timeline() {
        assert_eq!(offset(0, 1_840_000), "+0.000 ms");
        assert_eq!(offset(1_240_600, 1_840_000), "+1.240 ms");
        assert_eq!(offset(1_500_000_000, 20_000_000_000), "+1.500 s ");
    }

    #[test]
    fn places_read_as_ordinals() {
        assert_eq!(
            [ordinal(0), ordinal(1), ordinal(2), ordinal(10), ordinal(20)],
            ["1st", "2nd", "3rd", "11th", "21st"]
        );
    }
}
