//! All verdicts, those that stand and those that are over, and below them all that the selected one rests on.

use super::{
    Drawn, Lines, Screen, format,
    pen::Pen,
    scrolled,
    table::{Column, Layout},
    text, who,
};
use crate::{
    event::Nanos,
    model::{Culprit, Model, SECOND, Severity, Verdict, VerdictId},
};

/// A verdict of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What it is; of one that is over as it was at its worst.
    pub verdict: Verdict,
    /// When it was over; `None` while it stands.
    pub until: Option<Nanos>,
    /// Nothing but the counters was known of its time.
    by_counters: bool,
}

impl Listed {
    /// Those of whom it names that are shown and can be selected.
    pub fn culprits(&self) -> &[Culprit] {
        &self.verdict.culprits[..self.verdict.culprits.len().min(who::CULPRITS)]
    }
}

/// What can be selected: a verdict, and one of whom it names, if it names any.
pub type Choice = (VerdictId, Option<Culprit>);

/// Those that stand, the worst first, and then those that are over, the last to end first.
pub fn all(model: &Model) -> Vec<Listed> {
    let stand = model.verdicts().into_iter().map(|verdict| Listed { verdict, until: None, by_counters: false });
    let over = model.past_verdicts().map(|past| Listed {
        verdict: past.verdict.clone(),
        until: Some(past.until),
        by_counters: past.by_counters,
    });
    stand.chain(over).collect()
}

/// All that can be selected, in the order of the list.
pub fn choices(all: &[Listed]) -> Vec<Choice> {
    let of = |listed: &Listed| {
        let id = listed.verdict.id();
        let named: Vec<Choice> = listed.culprits().iter().map(|culprit| (id, Some(*culprit))).collect();
        if named.is_empty() { vec![(id, None)] } else { named }
    };
    all.iter().flat_map(of).collect()
}

/// The place of the selected one among them: where whom it names has changed, the first of its verdict; else the first.
pub fn place(selected: Option<Choice>, choices: &[Choice]) -> usize {
    let exact = choices.iter().position(|choice| Some(*choice) == selected);
    let alike = || choices.iter().position(|(id, _)| selected.is_some_and(|(of, _)| of == *id));
    exact.or_else(alike).unwrap_or(0)
}

const COLUMNS: [Column; 4] = [
    Column::words("how bad", 10, 10, 0),
    Column::words("since", 8, 8, 0),
    Column::words("until", 8, 8, 0),
    Column::words("verdict", 20, u16::MAX, 0),
];

/// Draws the list, and the selected one below it.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let (theme, model) = (*pen.theme, screen.model);
    let all = all(model);
    heading(pen, screen, &all);
    if all.is_empty() {
        let words = match model.started().and_then(|ts| time(model, ts)) {
            Some(since) => format!("nothing is wrong, and nothing was since {since}"),
            None => "waiting for the first counters".to_owned(),
        };
        pen.put(1, 2, &words, theme.text);
        return Drawn::default();
    }
    let choices = choices(&all);
    let Some((id, culprit)) = choices.get(place(screen.view.verdict, &choices)).copied() else {
        return Drawn::default();
    };
    let at = all.iter().position(|listed| listed.verdict.id() == id).unwrap_or(0);
    // A third of the room is the list's at most.
    let (wide, high) = (pen.width(), pen.height());
    let rows = usize::from((high / 3).max(3)).min(all.len());
    let first = at.saturating_sub(rows / 2).min(all.len() - rows);
    let layout = Layout::new(&COLUMNS, wide);
    layout.head(pen, 1, &COLUMNS, None);
    for ((i, listed), y) in all.iter().enumerate().skip(first).take(rows).zip(2..) {
        let Listed { verdict, until, .. } = listed;
        let (mark, bad) = match verdict.severity {
            Severity::Note => ("●", theme.strong),
            Severity::Warning | Severity::Critical => ("▲", theme.bad),
        };
        let style = if until.is_some() { theme.text } else { bad };
        let ended = until.map_or_else(|| "now".to_owned(), |ts| time(model, ts).unwrap_or_default());
        let cells = [
            (format!("{mark} {}", verdict.severity.name()), style),
            (time(model, verdict.since).unwrap_or_default(), theme.text),
            (ended, if until.is_some() { theme.text } else { theme.strong }),
            (verdict.headline.clone(), if until.is_some() { theme.text } else { theme.strong }),
        ];
        layout.row(pen, y, &COLUMNS, &cells, i == at);
    }
    let top = rows as u16 + 2;
    pen.rule(1, top, wide.saturating_sub(2), '─', theme.quiet);
    evidence(&mut pen.part(0, top + 1, wide, high.saturating_sub(top + 1)), screen, &all[at], culprit)
}

fn heading(pen: &mut Pen<'_>, screen: &Screen<'_>, all: &[Listed]) {
    let (theme, model) = (*pen.theme, screen.model);
    let over = all.iter().filter(|listed| listed.until.is_some()).count();
    let counts = format!("{} now, {over} earlier", all.len() - over);
    let x = pen.pieces(1, 0, &[("verdicts", theme.heading), ("  ", theme.text), (&counts, theme.strong)]);
    let let_go = match model.evicted().verdicts {
        0 => String::new(),
        n => format!(", {} let go", format::count(n)),
    };
    let since = model.started().and_then(|ts| time(model, ts)).map_or_else(String::new, |ts| format!(" · since {ts}"));
    pen.put(x, 0, &format!("{let_go}{since}"), theme.text);
}

/// The whole headline, whom it names, and then all that speaks for it and against it, the rules, what to try and
/// what to read.
fn evidence(pen: &mut Pen<'_>, screen: &Screen<'_>, listed: &Listed, culprit: Option<Culprit>) -> Drawn {
    let theme = *pen.theme;
    let (wide, high) = (pen.width(), pen.height());
    let columns = usize::from(wide.saturating_sub(2)).max(1);
    let mut y = 0;
    for line in text::wrap(&listed.verdict.headline, columns) {
        pen.put(1, y, &line, theme.strong);
        y += 1;
    }
    let marked = listed.culprits().iter().position(|named| Some(*named) == culprit);
    y += who::line(&mut pen.part(0, y, wide, 1), screen.model, listed.culprits(), marked);
    let lines = lines(screen, listed, columns);
    scrolled(&mut pen.part(0, y, wide, high.saturating_sub(y)), &lines, screen.view.scroll)
}

fn lines(screen: &Screen<'_>, listed: &Listed, columns: usize) -> Lines {
    let theme = screen.theme;
    let verdict = &listed.verdict;
    let mut lines: Lines = Vec::new();
    let mut field = |name: &str, words: &str| {
        for (i, line) in text::wrap(words, columns.saturating_sub(12)).into_iter().enumerate() {
            let name = if i == 0 { name } else { "" };
            lines.push(vec![(format!("   {name:<8} "), theme.quiet), (line, theme.text)]);
        }
    };
    let until = listed.until.unwrap_or(screen.model.now());
    let seconds = until.saturating_sub(verdict.since) / SECOND;
    let counters = if listed.by_counters { "; nothing but the counters is known of that time" } else { "" };
    let (cause, certainty) = (verdict.cause, verdict.certainty.name());
    field("cause", &format!("{cause}, {certainty}, for {}{counters}", format::clock_span(seconds)));
    for (name, is_for) in [("for it", true), ("against", false)] {
        let figures = verdict.figures.iter().filter(|figure| figure.is_for == is_for);
        figures.enumerate().for_each(|(i, figure)| field(if i == 0 { name } else { "" }, &figure.text));
    }
    let named = verdict.rules.iter().map(|rule| format!("{rule}; met by {} of {} traced flows", rule.met_by, rule.of));
    let rules = named.chain(verdict.unnamed.clone());
    rules.enumerate().for_each(|(i, words)| field(if i == 0 { "rule" } else { "" }, &words));
    for (name, advice) in [("try", &verdict.tries), ("read", &verdict.reads)] {
        advice.iter().enumerate().for_each(|(i, words)| field(if i == 0 { name } else { "" }, words));
    }
    lines
}

/// The time of day to the second; verdicts are of seconds.
fn time(model: &Model, ts: Nanos) -> Option<String> {
    let words = format::time_of_day(model.clock()?, ts)?;
    Some(words.chars().take(8).collect())
}
