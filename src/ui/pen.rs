//! Where all drawing ends: a pen that writes harmless text into a rectangle of the screen, and nowhere else.

use std::cell::Cell;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Hits, View, text, theme::Theme};

/// Writes into one area. Columns and rows count from the area's upper left; what is outside is not drawn.
#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    /// The styles.
    pub theme: &'a Theme,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    hits: &'a Cell<Hits>,
}

impl<'a> Pen<'a> {
    /// A pen for `area` of the buffer, which notes in `hits` what can be clicked on.
    pub fn new(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme, ascii: bool, hits: &'a Cell<Hits>) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme, ascii, hits }
    }

    /// Notes that a list has a row here, and whether it is the selected one.
    pub fn list_row(&self, y: u16, selected: bool) {
        if y >= self.area.height {
            return;
        }
        let y = self.area.y + y;
        let mut hits = self.hits.get();
        let (first, last) = hits.rows.unwrap_or((y, y));
        hits.rows = Some((first.min(y), last.max(y)));
        hits.selected = if selected { Some(y) } else { hits.selected };
        self.hits.set(hits);
    }

    /// Notes that a culprit stands here, from column `x` up to `end`.
    pub fn link(&self, at: usize, x: u16, end: u16, y: u16) {
        let mut hits = self.hits.get();
        if let Some(link) = hits.links.get_mut(at).filter(|_| y < self.area.height) {
            *link = Some((self.area.y + y, self.area.x + x, self.area.x + end));
        }
        self.hits.set(hits);
    }

    /// Notes that a view's name stands here, from column `x` up to `end`.
    pub fn tab(&self, view: View, x: u16, end: u16) {
        let mut hits = self.hits.get();
        hits.tabs[view.index()] = (self.area.x + x, self.area.x + end);
        self.hits.set(hits);
    }

    /// Columns there are.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows there are.
    pub fn height(&self) -> u16 {
        self.area.height
    }

    /// A pen for a part of this one's area: from column `x` and row `y` on, at most so wide and high.
    pub fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let area = Rect {
            x: self.area.x.saturating_add(x.min(self.area.width)),
            y: self.area.y.saturating_add(y.min(self.area.height)),
            width: width.min(self.area.width.saturating_sub(x)),
            height: height.min(self.area.height.saturating_sub(y)),
        };
        Pen { buffer: self.buffer, area, theme: self.theme, ascii: self.ascii, hits: self.hits }
    }

    /// Writes text from a column on, up to the edge; gives the column after it. Whatever does not fit is marked `…`.
    pub fn put(&mut self, x: u16, y: u16, words: &str, style: Style) -> u16 {
        let room = self.area.width.saturating_sub(x);
        self.put_in(x, y, room, words, style)
    }

    /// Writes text into `room` columns; gives the column after it.
    pub fn put_in(&mut self, x: u16, y: u16, room: u16, words: &str, style: Style) -> u16 {
        let room = room.min(self.area.width.saturating_sub(x));
        if y >= self.area.height || room == 0 {
            return x;
        }
        let mut harmless = text::fit(words, usize::from(room));
        if self.ascii {
            harmless = to_ascii(&harmless);
        }
        // A character a cell, so that no two of them make something together of another width.
        let (mut at, y) = (self.area.x + x, self.area.y + y);
        for c in harmless.chars() {
            let wide = text::harmless(c).1 as u16;
            // What stood there before leaves nothing of its style: a style is added to the one that a cell has.
            let cell = &mut self.buffer[(at, y)];
            cell.reset();
            cell.set_char(c).set_style(style);
            (at + 1..at + wide).for_each(|rest| self.buffer[(rest, y)].reset());
            at += wide;
        }
        at - self.area.x
    }

    /// Writes text so that it ends before column `end`.
    pub fn put_right(&mut self, end: u16, y: u16, words: &str, style: Style) {
        let wide = text::width(words) as u16;
        let x = end.saturating_sub(wide);
        self.put_in(x, y, end - x, words, style);
    }

    /// Writes pieces one after the other; gives the column after the last.
    pub fn pieces(&mut self, x: u16, y: u16, pieces: &[(&str, Style)]) -> u16 {
        pieces.iter().fold(x, |x, (words, style)| self.put(x, y, words, *style))
    }

    /// Writes pieces so that the last ends before column `end`; gives the column of the first.
    pub fn pieces_right(&mut self, end: u16, y: u16, pieces: &[(&str, Style)]) -> u16 {
        let wide: usize = pieces.iter().map(|(words, _)| text::width(words)).sum();
        let x = end.saturating_sub(wide as u16);
        self.pieces(x, y, pieces);
        x
    }

    /// Writes `c` all over a row's part.
    pub fn rule(&mut self, x: u16, y: u16, wide: u16, c: char, style: Style) {
        let line: String = std::iter::repeat_n(c, usize::from(wide.min(self.area.width.saturating_sub(x)))).collect();
        self.put(x, y, &line, style);
    }

    /// Gives a whole row a style over what is written there, as the selected one has.
    pub fn paint_row(&mut self, y: u16, style: Style) {
        if y < self.area.height {
            self.buffer.set_style(Rect { y: self.area.y + y, height: 1, ..self.area }, style);
        }
    }

    /// Writes text in lines as wide as the area from `x` on; gives the row after the last.
    pub fn paragraph(&mut self, x: u16, y: u16, words: &str, style: Style) -> u16 {
        let room = usize::from(self.area.width.saturating_sub(x));
        let mut y = y;
        for line in text::wrap(words, room) {
            self.put(x, y, &line, style);
            y = y.saturating_add(1);
        }
        y
    }
}

/// Every character as one of ASCII, the wide ones as two.
fn to_ascii(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        let mut buf = [0; 4];
        for _ in 0..text::width(c.encode_utf8(&mut buf)) {
            out.push(text::ascii(c));
        }
    }
    out
}
