//! What can be selected in Storm: whom the worst verdict names, and after them those who make the upcalls.

use super::{
    label,
    lists::{self, TalkerRow},
    pen::Pen,
    text,
    view::Who,
};
use crate::model::{Cause, Culprit, Model, Verdict};

/// Culprits that are shown at most. More of one verdict's are more of the same kind.
pub const CULPRITS: usize = 4;

/// Whom the worst verdict names. The one of an unknown cause is the biggest of those who make upcalls, and stands there.
pub fn culprits(verdicts: &[Verdict]) -> &[Culprit] {
    match verdicts.first() {
        Some(worst) if worst.cause != Cause::Unknown => &worst.culprits[..worst.culprits.len().min(CULPRITS)],
        _ => &[],
    }
}

/// All that can be selected, where so many rows have those who make upcalls.
pub fn all(model: &Model, rows: usize) -> Vec<Who> {
    let verdicts = model.verdicts();
    let named = culprits(&verdicts).iter().copied().map(Who::Culprit);
    let talkers = lists::talkers(model, rows);
    named.chain(talkers.iter().map(TalkerRow::who)).collect()
}

/// The place of the selected one among `all`: where it is gone, or nothing was selected, the first of its kind.
pub fn place(selected: Option<Who>, all: &[Who]) -> usize {
    let is_talker = |who: &Who| matches!(who, Who::Talker(..));
    let found = selected.and_then(|selected| all.iter().position(|who| *who == selected));
    let alike = || selected.filter(is_talker).and_then(|_| all.iter().position(is_talker));
    found.or_else(alike).unwrap_or(0)
}

/// Writes the culprits in a row, the selected one marked. Gives the rows it took.
pub fn draw(pen: &mut Pen<'_>, model: &Model, verdicts: &[Verdict], selected: Option<Who>) -> u16 {
    let named = culprits(verdicts);
    let marked = match selected {
        Some(Who::Talker(..)) => None,
        selected => Some(place(selected, &named.iter().copied().map(Who::Culprit).collect::<Vec<_>>())),
    };
    line(pen, model, named, marked)
}

/// Writes these in a row, the one at `marked` marked. Gives the rows it took: 0 where there is nobody.
pub fn line(pen: &mut Pen<'_>, model: &Model, named: &[Culprit], marked: Option<usize>) -> u16 {
    if named.is_empty() || pen.height() == 0 {
        return 0;
    }
    let theme = *pen.theme;
    let words: Vec<String> = named.iter().map(|culprit| label::culprit(model, *culprit)).collect();
    let mut x = pen.put(3, 0, "who", theme.quiet) + 1;
    // Each gets what the others leave it, and at least its part.
    for (at, name) in words.iter().enumerate() {
        let rest: usize = words[at + 1..].iter().map(|name| text::width(name) + 3).sum();
        let room = usize::from(pen.width().saturating_sub(x + 2));
        let part = room / (words.len() - at);
        let wide = text::width(name).min(room.saturating_sub(rest).max(part.saturating_sub(3))) as u16;
        let is_marked = marked == Some(at);
        let style = if is_marked { theme.selected } else { theme.strong };
        pen.put(x, 0, if is_marked { "▸" } else { " " }, style);
        let end = pen.put_in(x + 1, 0, wide, name, style);
        pen.link(at, x, end, 0);
        x = end + 2;
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{DpIfindex, Field, PortNo},
        model::{Dimension, TalkerKey},
    };

    #[test]
    fn what_is_gone_leaves_the_mark_to_the_first_of_its_kind() {
        let field = Who::Culprit(Culprit::Field(Field::UdpSrc));
        let port = |n| Who::Talker(Dimension::InPort, TalkerKey::Port(DpIfindex(1), PortNo(n)));
        let all = [field, port(1), port(2)];
        assert_eq!(place(None, &all), 0);
        assert_eq!(place(Some(port(2)), &all), 2);
        assert_eq!(place(Some(port(3)), &all), 1);
        assert_eq!(place(Some(Who::Culprit(Culprit::Handler(7))), &all), 0);
        assert_eq!(place(Some(field), &all[1..]), 0);
        assert_eq!(place(Some(field), &[]), 0);
    }
}
