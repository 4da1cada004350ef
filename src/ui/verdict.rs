//! What is wrong, in the lines that the eye lands on.

use super::{format, pen::Pen, text};
use crate::model::{Cause, Model, SECOND, Severity, Verdict};

/// Rows that [`draw`] takes of what it is given, at most, without spare ones.
pub const ROWS: u16 = 4;

/// Rows that the rule or what to try may have more than one, together, where there is room.
pub const SPARE: u16 = 2;

/// What [`draw`] drew.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Rows it took: 0 where nothing is wrong.
    pub rows: u16,
    /// How sure and for how long, where there was no room for it beside the headline.
    pub since: Option<String>,
}

/// The worst verdict: its line, the first figure that speaks for it, the OpenFlow rule that makes it where one was looked
/// for, and what to try first; and how many more there are. With `spare` more rows what to try and the rule are whole.
pub fn draw(pen: &mut Pen<'_>, model: &Model, verdicts: &[Verdict], spare: u16) -> Told {
    let Some(worst) = verdicts.first() else { return Told::default() };
    let theme = *pen.theme;
    let room = usize::from(pen.width()).saturating_sub(2);
    let mut told = Told { rows: 1, since: Some(since(model, worst)) };
    let (mark, style) = match worst.severity {
        Severity::Note => ("●", theme.strong),
        Severity::Warning | Severity::Critical => ("▲", theme.bad),
    };
    let word = worst.severity.name().to_uppercase();
    let x = pen.pieces(1, 0, &[(mark, style), (" ", style), (&word, style)]) + 2;
    let wide = room.saturating_sub(usize::from(x) - 1);
    let beside = told.since.as_deref().map_or(0, text::width) + 2;
    // Beside whom it names there is room for it as well.
    let is_long = text::width(&worst.headline) + beside > wide && !worst.culprits.is_empty();
    let headline = text::fit_words(&worst.headline, if is_long { wide } else { wide.saturating_sub(beside) });
    let end = pen.put(x, 0, &headline, theme.strong);
    // Who and where says more than what to try.
    let is_unknown = worst.cause == Cause::Unknown;
    if !is_long || is_unknown {
        pen.put(end + 2, 0, &told.since.take().unwrap_or_default(), theme.quiet);
    }
    if is_unknown {
        return told;
    }
    let figure = worst.figures.iter().find(|figure| figure.is_for);
    if let Some(figure) = figure.filter(|_| told.rows < pen.height()) {
        pen.put(3, told.rows, &text::fit_words(&figure.text, room - 2), theme.text);
        told.rows += 1;
    }
    let more = match verdicts.len() - 1 {
        0 => String::new(),
        1 => "  +1 verdict".to_owned(),
        n => format!("  +{n} verdicts"),
    };
    let tries = worst.tries.first().copied().unwrap_or_default();
    let (tries, spare) = lines(tries, room - 6 - more.len(), spare);
    let rule = worst.rules.first().map(ToString::to_string).or_else(|| worst.unnamed.clone()).unwrap_or_default();
    let (rule, _) = lines(&rule, room - 7, spare);
    for (title, lines, more) in [("rule ", rule, ""), ("try ", tries, more.as_str())] {
        let last = lines.len().saturating_sub(1);
        for (i, (line, y)) in lines.iter().zip(told.rows..pen.height()).enumerate() {
            if i == 0 {
                pen.put(3, y, title, theme.quiet);
            }
            let end = pen.put(3 + title.len() as u16, y, line, theme.text);
            pen.put(end, y, if i == last { more } else { "" }, theme.quiet);
            told.rows = y + 1;
        }
    }
    told
}

/// Words in one line, and in as many more as there are spare ones; and how many of those are left.
fn lines(words: &str, columns: usize, spare: u16) -> (Vec<String>, u16) {
    let mut lines = text::wrap(words, columns);
    let most = usize::from(spare) + 1;
    if lines.len() > most {
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(text::fit_words(&rest, columns));
    }
    let left = most.saturating_sub(lines.len().max(1)) as u16;
    (lines, left)
}

/// `sure, for 12 s`
fn since(model: &Model, verdict: &Verdict) -> String {
    let seconds = model.now().saturating_sub(verdict.since) / SECOND;
    format!("{}, for {}", verdict.certainty.name(), format::clock_span(seconds))
}
