//! What the keys do.

use super::{Drawn, Lines, Screen, pen::Pen, scrolled, text};

/// Draws the help in as many columns as there is room for.
pub fn draw(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let theme = *pen.theme;
    let help = &screen.status.help;
    let keys_wide = help.iter().flat_map(|(_, lines)| lines).map(|(keys, _)| text::width(keys)).max().unwrap_or(0);
    let mut sections: Vec<Lines> = Vec::new();
    for (title, entries) in help {
        let mut lines: Lines = vec![vec![(format!(" {title}"), theme.heading)]];
        for (keys, says) in entries {
            let fill = keys_wide - text::width(keys);
            lines.push(vec![(format!("   {keys}{:fill$}  ", ""), theme.strong), ((*says).to_owned(), theme.text)]);
        }
        lines.push(Vec::new());
        sections.push(lines);
    }
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
