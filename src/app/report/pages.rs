//! A report in words: which sections there are, and what is in them.

use super::{
    document::Block,
    facts::{Flow, Report, Top},
    new_flows,
};
use crate::{
    event::{CapabilityState, DaemonState, task_name},
    ui::format::{bytes, clock_span, count as grouped, duration, rate, share, short_count},
};

/// The report as a document. Empty sections are left out, except where their being empty says something.
pub fn pages(report: &Report) -> Vec<Block> {
    let mut out = vec![Block::Heading(0, "ovscope report".to_owned())];
    out.push(Block::Fields(host(report)));
    verdicts(report, &mut out);
    condition(report, &mut out);
    marks(report, &mut out);
    rates(report, &mut out);
    stages(report, &mut out);
    outcomes(report, &mut out);
    in_ports(report, &mut out);
    let seen = format!("of the {} upcalls that were seen one by one", count(report.upcalls_seen));
    top("Sources", &seen, ["from", "upcalls"], &report.sources, &mut out);
    top("Destinations", &seen, ["to", "upcalls"], &report.destinations, &mut out);
    top("Punted by", &seen, ["action", "upcalls"], &report.punted_by, &mut out);
    flows("Flows by hits", &report.flows_by_hits, &mut out);
    flows("Flows by upcalls", &report.flows_by_upcalls, &mut out);
    lives(report, &mut out);
    new_flows::page(report.new_flows.as_ref(), &mut out);
    flows("Flows that came back", &report.flows_by_returns, &mut out);
    drops(report, &mut out);
    handlers(report, &mut out);
    revalidators(report, &mut out);
    datapaths(report, &mut out);
    probes(report, &mut out);
    missing(report, &mut out);
    out
}

/// A number short enough for a table: in full below ten million. The JSON form has every number in full.
fn count(n: u64) -> String {
    if n < 10_000_000 { grouped(n) } else { short_count(n) }
}

fn per_second(mean: f64) -> String {
    if mean < 1e7 { rate(mean) } else { short_count(mean as u64) }
}

fn section(out: &mut Vec<Block>, title: &str) {
    out.push(Block::Heading(1, title.to_owned()));
}

fn host(report: &Report) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let mut field = |name, value: String| {
        if !value.is_empty() {
            fields.push((name, value));
        }
    };
    if let Some(session) = &report.session {
        field("host", session.host.clone());
        let cpus = if session.cpus > 0 { format!(", {} CPUs", session.cpus) } else { String::new() };
        if !session.kernel.is_empty() {
            field("kernel", format!("Linux {} {}{cpus}", session.kernel, session.machine));
        }
        field("Open vSwitch", session.ovs_version.clone());
        field("recorded by", session.program.clone());
        field("command", session.command.clone());
    }
    match &report.daemon {
        Some(DaemonState::Up { pid, version, round_trip_ns, missing }) => {
            let lacks = if missing.is_empty() { String::new() } else { format!("; it lacks {}", missing.join(", ")) };
            field("daemon", format!("{version}, pid {pid}, answered in {}{lacks}", short(*round_trip_ns)));
        }
        Some(DaemonState::Down { why }) if why == DaemonState::NOT_ASKED => field("daemon", why.clone()),
        Some(DaemonState::Down { why }) => field("daemon", format!("did not answer: {why}")),
        None => field("daemon", "was not asked".to_owned()),
    }
    match &report.span {
        Some(span) => {
            let wall = span.from.as_ref().zip(span.to.as_ref());
            let wall = wall.map(|(from, to)| format!("{from} to {to}, ")).unwrap_or_default();
            field("time", format!("{wall}{}", short(span.ns)));
        }
        None => field("time", "nothing happened in the recording".to_owned()),
    }
    field("events", count(report.events));
    fields
}

fn short(ns: u64) -> String {
    duration(ns).trim_end().to_owned()
}

fn verdicts(report: &Report, out: &mut Vec<Block>) {
    for (i, verdict) in report.verdicts.iter().enumerate() {
        section(out, if i == 0 { "Verdict" } else { "And" });
        out.push(Block::Text(format!("{}: {}", verdict.severity.to_uppercase(), verdict.headline)));
        let mut fields = vec![
            ("cause", format!("{} ({})", verdict.cause, verdict.certainty)),
            ("time", format!("from {} to {}", clock_span(verdict.from_second), clock_span(verdict.to_second))),
        ];
        for (name, is_for) in [("for it", true), ("against it", false)] {
            let figures = verdict.figures.iter().filter(|figure| figure.is_for == is_for);
            fields.extend(figures.enumerate().map(|(i, figure)| (if i == 0 { name } else { "" }, figure.text.clone())));
        }
        let rules = verdict.rules.iter();
        let rules = rules.map(|rule| format!("{}; met by {} of {} traced flows", rule.line, rule.met_by, rule.of));
        let rules = rules.chain(verdict.rule_unknown.clone()).enumerate();
        fields.extend(rules.map(|(i, words)| (if i == 0 { "rule" } else { "" }, words)));
        for (name, lines) in [("try", &verdict.tries), ("read", &verdict.reads)] {
            let lines = lines.iter().enumerate();
            fields.extend(lines.map(|(i, words)| (if i == 0 { name } else { "" }, (*words).to_owned())));
        }
        out.push(Block::Fields(fields));
    }
}

fn condition(report: &Report, out: &mut Vec<Block>) {
    section(out, "Condition");
    let condition = &report.condition;
    let worst = match (condition.worst, condition.second) {
        ("waiting", _) | (_, None) => "not known: the recording has no counters".to_owned(),
        (worst, Some(second)) => format!("{} at worst, first at {}", worst.to_uppercase(), clock_span(second)),
    };
    let seconds: Vec<String> =
        condition.seconds.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n} s")).collect();
    let mut fields = vec![("state", worst)];
    if !seconds.is_empty() {
        fields.push(("of that", seconds.join(", ")));
    }
    out.push(Block::Fields(fields));
}

fn marks(report: &Report, out: &mut Vec<Block>) {
    if report.marks.is_empty() {
        return;
    }
    section(out, "Marks");
    let row = |m: &super::facts::Mark| vec![m.note.clone(), clock_span(m.second)];
    out.push(Block::Table(vec!["note", "at"], report.marks.iter().map(row).collect()));
}

fn rates(report: &Report, out: &mut Vec<Block>) {
    if report.rates.is_empty() {
        return;
    }
    section(out, "Rates");
    let row = |r: &super::facts::Rate| {
        let at = r.peak_second.map_or_else(|| "–".to_owned(), clock_span);
        vec![r.name.to_owned(), count(r.total), per_second(r.mean), count(r.peak), at]
    };
    out.push(Block::Table(vec!["", "total", "mean/s", "peak/s", "at"], report.rates.iter().map(row).collect()));
    let of = |name| report.rates.iter().find(|r| r.name == name).map_or(0, |r| r.total);
    if of("lookups") > 0 {
        let missed = of("misses") as f64 / of("lookups") as f64;
        out.push(Block::Text(format!("{} of the lookups missed.", share(missed))));
    }
}

fn stages(report: &Report, out: &mut Vec<Block>) {
    if report.stages.stages.is_empty() {
        return;
    }
    section(out, "Where upcalls spend their time");
    let of = match report.stages.of {
        "all" => "Of all upcalls since the session began.",
        "filtered" => "Of the upcalls that passed the filter, seen one by one.",
        "sampled" => "Of a sample: the event budget left some upcalls out.",
        _ => "Of the upcalls that were seen one by one.",
    };
    out.push(Block::Text(of.to_owned()));
    let row = |s: &super::facts::StageTimes| {
        let numbers = [s.p50, s.p90, s.p99, s.max].map(short);
        [vec![s.stage.to_owned(), count(s.upcalls)], numbers.to_vec()].concat()
    };
    let heads = vec!["stage", "upcalls", "p50", "p90", "p99", "max"];
    out.push(Block::Table(heads, report.stages.stages.iter().map(row).collect()));
}

fn outcomes(report: &Report, out: &mut Vec<Block>) {
    if report.outcomes.is_empty() {
        return;
    }
    section(out, "Upcalls by outcome");
    let row = |o: &super::facts::Outcome| vec![o.meaning.clone(), count(o.upcalls)];
    out.push(Block::Table(vec!["returned", "upcalls"], report.outcomes.iter().map(row).collect()));
}

fn in_ports(report: &Report, out: &mut Vec<Block>) {
    if report.in_ports.is_empty() {
        return;
    }
    section(out, "Ports by upcalls");
    let row = |p: &super::facts::InPort| {
        let name = format!("{} of {}", p.port, p.datapath);
        [vec![name], [p.misses, p.actions, p.others, p.lost].map(count).to_vec()].concat()
    };
    let heads = vec!["in-port", "misses", "actions", "others", "lost"];
    out.push(Block::Table(heads, report.in_ports.iter().map(row).collect()));
}

fn top(title: &str, of: &str, [head, number]: [&'static str; 2], top: &Top, out: &mut Vec<Block>) {
    if top.top.is_empty() {
        return;
    }
    section(out, title);
    out.push(Block::Text(format!("{}{}.", of[..1].to_uppercase(), &of[1..])));
    let mut rows: Vec<Vec<String>> = top.top.iter().map(|(name, n)| vec![name.clone(), count(*n)]).collect();
    if top.others > 0 {
        rows.push(vec!["others".to_owned(), count(top.others)]);
    }
    out.push(Block::Table(vec![head, number], rows));
}

fn flows(title: &str, flows: &[Flow], out: &mut Vec<Block>) {
    if flows.is_empty() {
        return;
    }
    section(out, title);
    for flow in flows {
        let name = flow.ufid.as_ref().map_or_else(|| "known by its key alone".to_owned(), |u| format!("ufid:{u}"));
        let plural = |n: u64, what| format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" });
        let mut words = vec![plural(flow.hits, "hit")];
        words.extend(flow.bytes.map(bytes));
        words.push(plural(flow.upcalls, "upcall"));
        if flow.puts_failed > 0 {
            words.push(format!("{} failed", plural(flow.puts_failed.into(), "put")));
        }
        words.extend(flow.in_port.as_ref().map(|port| format!("by {port}")));
        words.extend(flow.packet.clone());
        if flow.unused {
            words.push("never used".to_owned());
        }
        if let Some(returned) = &flow.returned {
            let every = returned.period.map_or_else(String::new, |period| format!(" every {}", short(period)));
            let why = returned.because.as_ref().map_or_else(String::new, |why| format!(", deleted before: {why}"));
            words.push(format!("came back {}×{every}, gone for {}{why}", returned.times, short(returned.gone)));
        }
        if flow.deleted {
            let why = flow.deleted_because.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            words.push(format!("deleted{why}"));
        }
        out.push(Block::Text(format!("{name}: {}", words.join(", "))));
        for said in flow.dpctl.iter().chain(&flow.openflow) {
            out.push(Block::Quote(said.clone()));
        }
        if let Some(why) = &flow.no_answer {
            out.push(Block::Quote(format!("the daemon had no answer: {why}")));
        }
    }
}

fn lives(report: &Report, out: &mut Vec<Block>) {
    let lives = &report.lives;
    if lives.put == 0 {
        return;
    }
    section(out, "How flows came and went");
    let least = if lives.at_least { "at least " } else { "" };
    let mut fields = vec![("put", format!("{least}{} flows", count(lives.put)))];
    fields.push(match lives.unused {
        Some(unused) => {
            let part = share(unused as f64 / lives.put as f64);
            ("never used", format!("{} of them, {part}: no packet hit them", count(unused)))
        }
        None => ("never used", "not known: hits were not counted by flow".to_owned()),
    });
    if lives.hits_uncounted > 0 {
        fields.push(("", format!("or less: {} hits had no room to be counted by flow", count(lives.hits_uncounted))));
    }
    let came_back = match lives.gone {
        Some(gone) => {
            let (flows, times, gone) = (count(lives.returned), count(lives.returns), short(gone));
            format!("{least}{flows} after a deletion, {times} times in all, gone for {gone} on average")
        }
        None if lives.at_least => "none, as far as it was seen".to_owned(),
        None => "none".to_owned(),
    };
    fields.push(("came back", came_back));
    out.push(Block::Fields(fields));
}

fn drops(report: &Report, out: &mut Vec<Block>) {
    if !report.drops.is_empty() {
        section(out, "Dropped by the datapath");
        let row = |d: &super::facts::DropCount| vec![d.reason.clone(), count(d.packets)];
        out.push(Block::Table(vec!["reason", "packets"], report.drops.iter().map(row).collect()));
    }
    top("Drops seen", "of recorded packets, anywhere in the kernel", ["reason", "drops"], &report.drops_seen, out);
}

fn handlers(report: &Report, out: &mut Vec<Block>) {
    if report.handlers.is_empty() {
        return;
    }
    section(out, "Handlers");
    let row = |h: &super::facts::Handler| {
        let batch = match h.batch_mean {
            mean if mean > 999.0 => count(mean as u64),
            mean if mean > 0.0 => format!("{mean:.1}"),
            _ => "–".to_owned(),
        };
        let runnable = h.runnable_max.map_or_else(|| "–".to_owned(), short);
        let numbers = [count(h.upcalls), count(h.lost), count(h.received), batch, count(h.batch_max.into()), runnable];
        [vec![task_name(h.comm, h.tid)], numbers.to_vec()].concat()
    };
    let heads = vec!["thread", "upcalls", "lost", "received", "batch", "max", "no CPU"];
    out.push(Block::Table(heads, report.handlers.iter().map(row).collect()));
    out.push(Block::Text("No CPU: the longest that it had to run and did not.".to_owned()));
}

fn revalidators(report: &Report, out: &mut Vec<Block>) {
    let Some(known) = &report.revalidators else { return };
    section(out, "Revalidators");
    out.push(Block::Fields(vec![
        ("rounds", format!("{}, the longest {}", count(known.rounds), short(known.longest))),
        ("flows", format!("{} when the last one began", count(known.flows))),
    ]));
    if !known.deleted.is_empty() {
        let row = |(reason, n): &(crate::event::DelReason, u64)| vec![reason.to_string(), count(*n)];
        out.push(Block::Table(vec!["deleted because", "flows"], known.deleted.iter().map(row).collect()));
    }
}

fn datapaths(report: &Report, out: &mut Vec<Block>) {
    if report.datapaths.is_empty() {
        return;
    }
    section(out, "Datapaths");
    let or_dash = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), count);
    let row = |d: &super::facts::Datapath| {
        let numbers = [count(d.ports as u64), or_dash(d.flows), or_dash(d.masks.map(u64::from)), count(d.hits)];
        [vec![d.name.clone()], numbers.to_vec(), vec![count(d.misses)]].concat()
    };
    let heads = vec!["name", "ports", "flows", "masks", "hits", "misses"];
    out.push(Block::Table(heads, report.datapaths.iter().map(row).collect()));
    let sum = |of: fn(&super::facts::Datapath) -> u64| report.datapaths.iter().map(of).fold(0, u64::saturating_add);
    let lookups = sum(|d| d.hits.saturating_add(d.misses));
    if lookups > 0 {
        let (tried, cached) = (sum(|d| d.masks_tried) as f64, sum(|d| d.cache_hits) as f64);
        let each = rate(tried / lookups as f64);
        let known = share(cached / lookups as f64);
        out.push(Block::Text(format!(
            "A lookup tried {each} masks on average; the mask cache answered {known} of them."
        )));
    }
}

fn probes(report: &Report, out: &mut Vec<Block>) {
    section(out, "Probes");
    let of = |state| report.probes.iter().filter(|p| p.state == state).count();
    let mut words = vec![format!("{} attached", of(CapabilityState::Attached))];
    for (state, word) in
        [(CapabilityState::Degraded, "degraded"), (CapabilityState::Missing, "missing"), (CapabilityState::Off, "off")]
    {
        words.extend((of(state) > 0).then(|| format!("{} {word}", of(state))));
    }
    out.push(Block::Text(format!("{}.", words.join(", "))));
    let lacking = report.probes.iter().filter(|p| !p.why.is_empty() && p.state != CapabilityState::Off);
    for probe in lacking {
        out.push(Block::Text(format!("{}: {}", probe.name, probe.why)));
    }
}

fn missing(report: &Report, out: &mut Vec<Block>) {
    section(out, "What is missing");
    if report.missing.is_empty() && report.remarks.is_empty() {
        out.push(Block::Text("Nothing that is known of.".to_owned()));
    }
    let table = |lost: bool| -> Vec<Vec<String>> {
        let rows = report.missing.iter().filter(|missing| missing.lost == lost);
        rows.map(|missing| vec![missing.what.clone(), count(missing.count)]).collect()
    };
    for (lost, head) in [(true, "lost"), (false, "left out, or let go")] {
        let rows = table(lost);
        if !rows.is_empty() {
            out.push(Block::Table(vec![head, "how many"], rows));
        }
    }
    for remark in &report.remarks {
        out.push(Block::Text(remark.clone()));
    }
}
