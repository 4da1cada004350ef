//! What the keys do, and what the signs mean.

use super::{Drawn, HelpLine, Lines, Screen, pen::Pen, scrolled, text};

/// The signs that stand for a colour or a word, or that need one. The pen writes what stands for them in ASCII.
const SIGNS: [(&str, &str); 9] = [
    ("▲", "something is wrong: lost, failed, refused, or in a storm"),
    ("●", "it goes well; before REC: it is being recorded"),
    ("◐ ○ ·", "a probe that is degraded, missing, switched off"),
    ("▸", "the selected row; what keys do is done to it"),
    ("▲▼", "behind a heading: sorted by it, the smallest or the largest first"),
    ("▁▂▃▄▅▆▇█", "little to much, from one moment to the next"),
    ("░▒▓█", "few to many; in Upcalls the stages, as named above them"),
    ("–", "not known, or there is none"),
    ("…", "there was no room for the rest"),
];

fn signs(pen: &Pen<'_>, keys_wide: usize) -> Lines {
    let theme = pen.theme;
    let mut lines: Lines = vec![vec![(" signs".to_owned(), theme.heading)]];
    for (sign, says) in SIGNS {
        let fill = keys_wide.saturating_sub(text::width(sign));
        lines.push(vec![(format!("   {sign}{:fill$}  ", ""), theme.strong), (says.to_owned(), theme.text)]);
    }
    lines
}

/// Draws the help in as many columns as there is room for.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let theme = *pen.theme;
    let help = &screen.status.help;
    let keys_wide = help.iter().flat_map(|(_, lines)| lines).map(|line| text::width(&line.keys)).max().unwrap_or(0);
    let mut sections: Vec<Lines> = Vec::new();
    for (title, entries) in help {
        let mut lines: Lines = vec![vec![(format!(" {title}"), theme.heading)]];
        for HelpLine { keys, says, here } in entries {
            let fill = keys_wide - text::width(keys);
            let (strong, plain) = if *here { (theme.strong, theme.text) } else { (theme.quiet, theme.quiet) };
            lines.push(vec![(format!("   {keys}{:fill$}  ", ""), strong), ((*says).to_owned(), plain)]);
        }
        lines.push(Vec::new());
        sections.push(lines);
    }
    sections.push(signs(pen, keys_wide));
    let wide = pen.width();
    let scroll = screen.view.help.unwrap_or(0);
    let total: usize = sections.iter().map(Vec::len).sum();
    if wide < 140 || total <= usize::from(pen.height()) {
        return scrolled(pen, &sections.concat(), scroll);
    }
    // Two columns: sections stay whole, the first column takes them up to about a half.
    let mut left: Lines = Vec::new();
    let mut right: Lines = Vec::new();
    for section in sections {
        if right.is_empty() && (left.is_empty() || left.len() + section.len() <= total.div_ceil(2) + 2) {
            left.extend(section);
        } else {
            right.extend(section);
        }
    }
    let half = wide / 2;
    let high = pen.height();
    scrolled(&mut pen.part(half, 0, wide - half, high), &right, scroll);
    scrolled(&mut pen.part(0, 0, half, high), &left, scroll)
}
