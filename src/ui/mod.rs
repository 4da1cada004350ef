//! Draws a model on a terminal. Changes nothing: what keys change is in [`ViewState`], and `app` changes it.

mod chart;
mod copy;
mod empty;
pub mod filter;
mod flow_text;
mod flows;
pub mod format;
mod handlers;
mod header;
mod heat;
mod help;
pub mod label;
pub mod lists;
pub mod losses;
pub mod matches;
mod megaflow;
mod new_flows;
mod overview;
mod packet_text;
mod packets;
mod palette;
mod pen;
mod pins;
mod ports;
mod probes;
mod rates;
mod rules;
mod stages;
mod status;
mod storm;
mod table;
mod talkers;
pub mod text;
mod theme;
mod timeline;
mod title;
mod trace_text;
mod upcalls;
mod verdict;
pub mod verdicts;
mod view;
pub mod who;

use std::cell::Cell;

use ratatui::{buffer::Buffer, layout::Rect};

pub use copy::{Copied, copy};
pub use pins::{Pin, Pins};
pub use status::{Asked, Ended, Held, HelpLine, Mode, Output, Pace, Palette, PaletteRow, Prompt, RecordState, Status};
pub use text::clean;
pub use theme::{Choice, Depth, Theme};
pub use timeline::line_flow;
pub use view::{
    HandlerSort, ListState, Order, PacketSort, PortSort, StormPage, UpcallSort, View, ViewState, Who, Window,
};

use crate::model::Model;
use matches::Matches;
use pen::Pen;

/// Columns that the screen needs at least.
pub const MIN_WIDTH: u16 = 60;
/// Rows that it needs at least.
pub const MIN_HEIGHT: u16 = 15;

/// Everything that a frame is made of.
#[derive(Debug, Clone, Copy)]
pub struct Screen<'a> {
    /// The state that the events made.
    pub model: &'a Model,
    /// What is looked at.
    pub view: &'a ViewState,
    /// What is open, as it was last known.
    pub pins: &'a Pins,
    /// Which rows the filter takes.
    pub matches: &'a Matches,
    /// The program's own doings.
    pub status: &'a Status,
    /// The styles.
    pub theme: &'a Theme,
    /// Whether only ASCII may be written.
    pub ascii: bool,
}

/// What a frame turned out to be, for the next key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Rows of the list, or of the text that scrolls.
    pub page: usize,
    /// The furthest that the text can be scrolled.
    pub scroll_max: usize,
}

/// What of a frame can be clicked on, in columns and rows of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// From and up to which column each view's name stands, in row [`TABS`].
    pub tabs: [(u16, u16); 7],
    /// The first and the last row of the list.
    pub rows: Option<(u16, u16)>,
    /// The row of the selected one.
    pub selected: Option<u16>,
    /// In Storm: the row, the first column and the one after the last of each culprit.
    pub links: [Option<(u16, u16, u16)>; who::CULPRITS],
}

/// The row of the views' names.
pub const TABS: u16 = 1;

impl Hits {
    /// The view whose name stands there.
    pub fn view(&self, x: u16, y: u16) -> Option<View> {
        let named = |view: &View| (self.tabs[view.index()].0..self.tabs[view.index()].1).contains(&x);
        View::ALL.into_iter().find(named).filter(|_| y == TABS)
    }

    /// Which culprit stands there.
    pub fn link(&self, x: u16, y: u16) -> Option<usize> {
        self.links.iter().position(|link| link.is_some_and(|(row, from, to)| row == y && (from..to).contains(&x)))
    }

    /// Which row of the list that is, from 0.
    pub fn row(&self, y: u16) -> Option<usize> {
        let (first, last) = self.rows?;
        (first..=last).contains(&y).then(|| usize::from(y - first))
    }

    /// How many rows below the selected one that is, if it is a row of the list.
    pub fn below_selected(&self, y: u16) -> Option<i32> {
        let (first, last) = self.rows?;
        let selected = self.selected?;
        (first..=last).contains(&y).then(|| i32::from(y) - i32::from(selected))
    }
}

/// Draws a frame into an area of the buffer, and tells what of it can be clicked on.
pub fn draw(buffer: &mut Buffer, area: Rect, screen: &Screen<'_>) -> (Drawn, Hits) {
    let hits = Cell::default();
    let drawn = frame(&mut Pen::new(buffer, area, screen.theme, screen.ascii, &hits), screen);
    (drawn, hits.get())
}

fn frame(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    let (width, height) = (pen.width(), pen.height());
    if width < MIN_WIDTH || height < MIN_HEIGHT {
        too_small(pen);
        return Drawn::default();
    }
    let top = header::draw(pen, screen);
    header::hints(pen, screen);
    let time = overview::rows(pen, screen);
    if time > 0 {
        overview::draw(pen, height - 2, screen);
    }
    let drawn = body(&mut pen.part(0, top, width, height - 1 - top - time), screen);
    if let Some(palette) = &screen.status.palette {
        palette::draw(&mut pen.part(0, top, width, height - 1 - top), palette);
    }
    drawn
}

fn body(pen: &mut Pen<'_>, screen: &Screen<'_>) -> Drawn {
    if screen.view.help.is_some() {
        return help::draw(pen, screen);
    }
    match screen.view.view {
        View::Storm => storm::draw(pen, screen),
        View::Flows => flows::draw(pen, screen),
        View::Upcalls => upcalls::draw(pen, screen),
        View::Packets => packets::draw(pen, screen),
        View::Handlers => handlers::draw(pen, screen),
        View::Ports => ports::draw(pen, screen),
        View::Probes => probes::draw(pen, screen),
    }
}

fn too_small(pen: &mut Pen<'_>) {
    let words = format!("ovscope needs {MIN_WIDTH}×{MIN_HEIGHT}, this is {}×{}", pen.width(), pen.height());
    let style = pen.theme.text;
    pen.paragraph(0, 0, &words, style);
}

/// Lines of text made of styled pieces.
type Lines = Vec<Vec<(String, ratatui::style::Style)>>;

/// Draws lines from `scroll` on, and in the last row how many follow, if any do.
fn scrolled(pen: &mut Pen<'_>, lines: &Lines, scroll: usize) -> Drawn {
    let height = usize::from(pen.height());
    let scroll_max = lines.len().saturating_sub(height);
    let scroll = scroll.min(scroll_max);
    let below = lines.len() - scroll > height;
    let shown = if below { height.saturating_sub(1) } else { height };
    for (y, line) in lines.iter().skip(scroll).take(shown).enumerate() {
        line.iter().fold(0, |x, (words, style)| pen.put(x, y as u16, words, *style));
    }
    if below {
        let (more, style) = (lines.len() - scroll - shown, pen.theme.quiet);
        pen.put(1, shown as u16, &format!("↓ {more} more lines"), style);
    }
    Drawn { page: height.saturating_sub(1), scroll_max }
}
