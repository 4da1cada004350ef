//! What is selected, as text for a ticket: drawn as on the screen, but with room for all of it.

use std::cell::Cell;

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Hits, Screen, View, body, label, pen::Pen};

/// Columns and rows to draw an open packet or flow in: more lines than it ever has, in lines that a mail takes.
const OPEN: (u16, u16) = (110, 550);
/// The same of a table: all columns.
const TABLE: (u16, u16) = (300, 24);
/// The same of a view that is no table.
const WHOLE: (u16, u16) = (120, 40);

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub what: String,
    /// As text: printable characters and line ends only.
    pub text: String,
}

/// What is selected, or what a view without rows shows; `None` where the list is empty. `opened` is the same screen with
/// the selected thing open, if it opens.
pub fn copy(screen: &Screen<'_>, opened: &Screen<'_>) -> Option<Copied> {
    let view = opened.view;
    let (what, text) = match view.view {
        View::Storm if view.shows_verdicts() => ("the verdicts".to_owned(), plain(screen, OPEN).0),
        View::Storm | View::Probes => {
            let what = format!("the view {}", view.view.title());
            (what, plain(screen, if view.view == View::Probes { OPEN } else { WHOLE }).0)
        }
        View::Flows => {
            let flow = &opened.pins.flow.as_ref()?.value;
            let what =
                flow.ufid.map_or_else(|| "the flow, which has no ufid".to_owned(), |ufid| format!("flow {ufid}"));
            (what, plain(opened, OPEN).0)
        }
        View::Packets => (format!("packet {}", label::packet(view.packets.selected?)), plain(opened, OPEN).0),
        View::Upcalls => {
            let what = format!("upcall {}", label::upcall(view.upcalls.selected?));
            let (row, way) = (row(screen).unwrap_or_default(), plain(opened, OPEN).0);
            (what, if row.is_empty() { way } else { format!("{row}\n{way}") })
        }
        View::Handlers | View::Ports => {
            let row = row(screen)?;
            let name = row.lines().nth(1).and_then(|row| row.trim_start().split("  ").next()).unwrap_or_default();
            let what = if view.view == View::Ports { "port" } else { "handler" };
            (format!("{what} {name}"), row.clone())
        }
    };
    Some(Copied { what, text })
}

/// The selected row below its headings; none where no row is drawn.
fn row(screen: &Screen<'_>) -> Option<String> {
    let (text, hits) = plain(screen, TABLE);
    let lines: Vec<&str> = text.lines().collect();
    let head = usize::from(hits.rows?.0).checked_sub(1)?;
    Some(format!("{}\n{}\n", lines.get(head)?, lines.get(usize::from(hits.selected?))?))
}

/// The body as it would be drawn in an area of this size. Through the pen goes nothing but what is printable.
fn plain(screen: &Screen<'_>, (width, height): (u16, u16)) -> (String, Hits) {
    let area = Rect::new(0, 0, width, height);
    let (mut buffer, hits) = (Buffer::empty(area), Cell::default());
    body(&mut Pen::new(&mut buffer, area, screen.theme, screen.ascii, &hits), screen);
    let lines = buffer.content.chunks(usize::from(width)).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        // The mark of the selected row says nothing here.
        let line = line.strip_prefix(['▸', '>']).map_or(line.clone(), |rest| format!(" {rest}"));
        line.trim_end().to_owned()
    });
    let lines: Vec<String> = lines.collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let text = lines[..end].iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    (text, hits.get())
}
