//! What is wrong, in the lines that the eye lands on.

use super::{format, pen::Pen, text};
use crate::model::{Cause, Model, SECOND, Severity, Verdict};

/// Rows that [`draw`] takes of what it is given, at most.
pub const ROWS: u16 = 4;

/// The worst verdict: its line, the first figure that speaks for it, the OpenFlow rule that makes it where one was looked
/// for, and what to try first; and how many more there are.
/// Gives the rows it took: 0 where nothing is wrong.
pub fn draw(pen: &mut Pen<'_>, model: &Model, verdicts: &[Verdict]) -> u16 {
    let Some(worst) = verdicts.first() else { return 0 };
    let theme = *pen.theme;
    let room = usize::from(pen.width()).saturating_sub(2);
    let (mark, style) = match worst.severity {
        Severity::Note => ("●", theme.strong),
        Severity::Warning | Severity::Critical => ("▲", theme.bad),
    };
    let word = worst.severity.name().to_uppercase();
    let since = since(model, worst);
    let x = pen.pieces(1, 0, &[(mark, style), (" ", style), (&word, style)]) + 2;
    let wide = room.saturating_sub(usize::from(x) + text::width(&since) + 1);
    let headline = text::fit(&worst.headline, wide);
    let end = pen.put(x, 0, &headline, theme.strong);
    pen.put(end + 2, 0, &since, theme.quiet);
    let mut row = 1;
    // Who and where says more than what to try.
    if worst.cause == Cause::Unknown {
        return row;
    }
    let figure = worst.figures.iter().find(|figure| figure.is_for);
    if let Some(figure) = figure.filter(|_| row < pen.height()) {
        pen.put(3, row, &text::fit(&figure.text, room - 2), theme.text);
        row += 1;
    }
    let rule = worst.rules.first().map(ToString::to_string).or_else(|| worst.unnamed.clone());
    if let Some(rule) = rule.filter(|_| row < pen.height()) {
        pen.pieces(3, row, &[("rule ", theme.quiet), (&text::fit(&rule, room.saturating_sub(7)), theme.text)]);
        row += 1;
    }
    if let Some(words) = worst.tries.first().filter(|_| row < pen.height()) {
        let more = verdicts.len() - 1;
        let more = if more > 0 {
            format!("  +{more} {}", if more == 1 { "verdict" } else { "verdicts" })
        } else {
            String::new()
        };
        let end = pen.pieces(3, row, &[("try ", theme.quiet), (&text::fit(words, room - 6 - more.len()), theme.text)]);
        pen.put(end, row, &more, theme.quiet);
        row += 1;
    }
    row
}

/// `sure, for 12 s`
fn since(model: &Model, verdict: &Verdict) -> String {
    let seconds = model.now().saturating_sub(verdict.since) / SECOND;
    format!("{}, for {}", verdict.certainty.name(), format::clock_span(seconds))
}
