//! One table for all lists: columns that give way when there is little room, rows drawn one by one.

use ratatui::style::Style;

use super::pen::Pen;

/// Where a cell's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left: words.
    Left,
    /// At the right: numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Where its text stands.
    pub align: Align,
    /// Columns of the terminal it needs at least.
    pub min: u16,
    /// Columns it can make use of.
    pub max: u16,
    /// How early it is left out when there is no room: the highest first, 0 never.
    pub spare: u8,
}

impl Column {
    /// A column of words.
    pub const fn words(title: &'static str, min: u16, max: u16, spare: u8) -> Self {
        Self { title, align: Align::Left, min, max, spare }
    }

    /// A column of numbers.
    pub const fn number(title: &'static str, min: u16, spare: u8) -> Self {
        Self { title, align: Align::Right, min, max: min, spare }
    }
}

/// A cell: its text, and how it looks.
pub type Cell = (String, Style);

/// Columns between two columns.
const GAP: u16 = 2;

/// Where the columns stand in some width: start and width, `None` for those left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<Option<(u16, u16)>>);

impl Layout {
    /// Brings the columns into `width`, from column 1 on.
    pub fn new(columns: &[Column], width: u16) -> Self {
        let room = width.saturating_sub(2);
        let mut shown: Vec<bool> = vec![true; columns.len()];
        let needed = |shown: &[bool]| -> u16 {
            let kept = columns.iter().zip(shown).filter(|(_, shown)| **shown);
            kept.map(|(column, _)| column.min + GAP).sum::<u16>().saturating_sub(GAP)
        };
        while needed(&shown) > room {
            let candidates = columns.iter().enumerate().filter(|(i, column)| shown[*i] && column.spare > 0);
            let Some((least, _)) = candidates.max_by_key(|(_, column)| column.spare) else { break };
            shown[least] = false;
        }
        // What is never left out matters most, so it also gets what is left over first.
        let mut extra = room.saturating_sub(needed(&shown));
        let mut more = vec![0; columns.len()];
        for vital in [true, false] {
            for (i, column) in columns.iter().enumerate().filter(|(i, c)| shown[*i] && (c.spare == 0) == vital) {
                more[i] = column.max.saturating_sub(column.min).min(extra);
                extra -= more[i];
            }
        }
        let mut x = 1;
        let places = columns.iter().zip(shown).zip(more).map(|((column, shown), more)| {
            shown.then(|| {
                let place = (x, column.min + more);
                x += column.min + more + GAP;
                place
            })
        });
        Self(places.collect())
    }

    /// Where a column's cells stand: start and width; `None` where it is left out.
    pub fn place(&self, column: usize) -> Option<(u16, u16)> {
        self.0.get(column).copied().flatten()
    }

    /// Writes the headings; the one at `sorted` with an arrow for its direction (true: largest first).
    pub fn head(&self, pen: &mut Pen<'_>, y: u16, columns: &[Column], sorted: Option<(usize, bool)>) {
        let (quiet, strong) = (pen.theme.quiet, pen.theme.strong);
        for (i, (column, place)) in columns.iter().zip(&self.0).enumerate() {
            let Some((x, wide)) = *place else { continue };
            let (title, style) = match sorted {
                Some((at, largest_first)) if at == i => {
                    (format!("{}{}", column.title, if largest_first { '▼' } else { '▲' }), strong)
                }
                _ => (column.title.to_owned(), quiet),
            };
            // An arrow may stand in the gap, so that sorting moves no heading.
            match column.align {
                Align::Left => pen.put_in(x, y, wide + 1, &title, style),
                Align::Right => {
                    let end = x + wide + u16::from(style == strong && sorted.is_some_and(|(at, _)| at == i));
                    pen.put_right(end, y, &title, style);
                    end
                }
            };
        }
    }

    /// Writes a row; the selected one with a mark and its style over everything.
    pub fn row(&self, pen: &mut Pen<'_>, y: u16, columns: &[Column], cells: &[Cell], selected: bool) {
        for ((column, place), (words, style)) in columns.iter().zip(&self.0).zip(cells) {
            let Some((x, wide)) = *place else { continue };
            match column.align {
                Align::Left => {
                    pen.put_in(x, y, wide, words, *style);
                }
                Align::Right => {
                    let have = super::text::width(words).min(usize::from(wide)) as u16;
                    pen.put_in(x + wide - have, y, wide, words, *style);
                }
            }
        }
        pen.list_row(y, selected);
        if selected {
            pen.paint_row(y, pen.theme.selected);
            pen.put(0, y, "▸", pen.theme.selected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::words("name", 4, 10, 0),
        Column::number("rate", 6, 0),
        Column::number("age", 5, 2),
        Column::words("what", 10, u16::MAX, 1),
    ];

    #[test]
    fn the_most_spared_column_goes_first() {
        assert_eq!(Layout::new(&COLUMNS, 33).0, [Some((1, 4)), Some((7, 6)), Some((15, 5)), Some((22, 10))]);
        assert_eq!(Layout::new(&COLUMNS, 32).0, [Some((1, 10)), Some((13, 6)), None, Some((21, 10))]);
        assert_eq!(Layout::new(&COLUMNS, 20).0[3], None);
    }

    #[test]
    fn what_is_left_over_goes_to_columns_that_can_use_it() {
        let Layout(places) = Layout::new(&COLUMNS, 100);
        assert_eq!(places[0], Some((1, 10)));
        assert_eq!(places[3], Some((28, 71)));
    }

    #[test]
    fn no_room_at_all_is_no_error() {
        for width in 0..20 {
            let _ = Layout::new(&COLUMNS, width);
        }
    }
}
