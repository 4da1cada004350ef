//! Draws a model on a terminal. Changes nothing: what keys change is in [`ViewState`], and `app` changes it.

mod chart;
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
mod overview;
mod packet_text;
mod packets;
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
mod upcalls;
mod view;

use ratatui::{buffer::Buffer, layout::Rect};

pub use pins::{Pin, Pins};
pub use status::{Asked, Ended, Held, Mode, Pace, Prompt, RecordState, Status};
pub use text::clean;
pub use theme::{Choice, Theme};
pub use timeline::line_flow;
pub use view::{HandlerSort, ListState, Order, PortSort, UpcallSort, View, ViewState, Window};

use crate::model::Model;
use matches::Matches;
use pen::Pen;

/// Columns that the screen needs at least.
pub const MIN_WIDTH: u16 = 60;
/// Rows that it needs at least.
pub const MIN_HEIGHT: u16 = 16;

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

/// Draws a frame into an area of the buffer.
pub fn draw(buffer: &mut Buffer, area: Rect, screen: &Screen<'_>) -> Drawn {
    let mut pen = Pen::new(buffer, area, screen.theme, screen.ascii);
    let (width, height) = (pen.width(), pen.height());
    if width < MIN_WIDTH || height < MIN_HEIGHT {
        too_small(&mut pen);
        return Drawn::default();
    }
    let top = header::draw(&mut pen, screen);
    header::hints(&mut pen, screen);
    let time = overview::rows(&pen, screen);
    if time > 0 {
        overview::draw(&mut pen, height - 2, screen);
    }
    let mut body = pen.part(0, top, width, height - 1 - top - time);
    if screen.view.help.is_some() {
        return help::draw(&mut body, screen);
    }
    match screen.view.view {
        View::Storm => storm::draw(&mut body, screen),
        View::Flows => flows::draw(&mut body, screen),
        View::Upcalls => upcalls::draw(&mut body, screen),
        View::Packets => packets::draw(&mut body, screen),
        View::Handlers => handlers::draw(&mut body, screen),
        View::Ports => ports::draw(&mut body, screen),
        View::Probes => probes::draw(&mut body, screen),
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
