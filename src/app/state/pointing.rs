//! What is pointed at: copied with a key, or clicked on.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{Effect, State, shown};
use crate::{
    app::{actions::Action, copy::bounded, navigate, pins},
    ui::{self, Hits, Output, Screen, verdicts, who},
};

/// Rows per step of the wheel.
const WHEEL: usize = 3;

impl State {
    /// The text to copy after [`Effect::Copy`].
    pub fn copied(&mut self) -> Option<String> {
        self.copied.take()
    }

    /// Something to tell on the screen.
    pub fn tell(&mut self, note: String) {
        self.status.note = Some(note);
    }

    /// What went to the terminal lately.
    pub fn tell_output(&mut self, output: Option<Output>) {
        self.status.output = output;
    }

    /// Copies what is selected, or the whole of a view without rows.
    pub(super) fn copy(&mut self) -> Effect {
        self.judge();
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        let mut view = self.view.clone();
        view.help = None;
        let mut opened = view.clone();
        // What can be opened is copied as it is when open, from its first line on, with its bytes.
        if view.is_list() && navigate::can_open(&view, &self.pins, &self.matches, model) {
            navigate::open(&mut opened, &self.matches, model);
        }
        opened.timeline = ui::ListState::default();
        opened.scroll = 0;
        opened.hex = true;
        let mut pins = self.pins.clone();
        pins::refresh(&mut pins, &opened, model);
        if view.view != ui::View::Storm {
            view.set_open(false);
        }
        let (matches, status, theme, ascii) = (&self.matches, &self.status, &self.theme, self.ascii);
        let of = |view, pins| Screen { model, view, pins, matches, status, theme, ascii };
        let Some(copied) = ui::copy(&of(&view, &self.pins), &of(&opened, &pins)) else {
            self.status.note = Some("there is nothing to copy here".to_owned());
            return Effect::Draw;
        };
        let (kept, whole) = bounded(&copied.text);
        let (bytes, lines) = (kept.len(), kept.lines().count());
        let cut = if whole { "" } else { "; the rest is too long for a terminal" };
        self.status.note = Some(format!("copied {}: {lines} lines, {bytes} bytes{cut}", copied.what));
        self.copied = Some(kept.to_owned());
        Effect::Copy
    }

    /// Does what the mouse asks for: the wheel goes through the list or the text, a click selects a row of the list, or a
    /// view by its name.
    pub fn mouse(&mut self, event: MouseEvent) -> Effect {
        if self.prompt.is_some() || self.palette.is_some() {
            return Effect::Nothing;
        }
        self.judge();
        match event.kind {
            MouseEventKind::ScrollUp => self.turn(Action::Up, WHEEL),
            MouseEventKind::ScrollDown => self.turn(Action::Down, WHEEL),
            MouseEventKind::Down(MouseButton::Left) => self.click(event.column, event.row),
            _ => Effect::Nothing,
        }
    }

    fn click(&mut self, x: u16, y: u16) -> Effect {
        let hits: Hits = self.hits;
        if let Some(view) = hits.view(x, y) {
            return self.act(Action::Show(view));
        }
        if self.view.view == ui::View::Storm {
            return self.choose_who(hits, x, y);
        }
        match hits.below_selected(y) {
            Some(0) | None => Effect::Nothing,
            Some(rows) => {
                let way = if rows > 0 { Action::Down } else { Action::Up };
                self.turn(way, rows.unsigned_abs() as usize)
            }
        }
    }

    /// Selects the culprit, or the maker of upcalls, in this row.
    fn choose_who(&mut self, hits: Hits, x: u16, y: u16) -> Effect {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        if self.view.shows_verdicts() {
            let Some(choice) = chosen_verdict(self.view.verdict, &verdicts::all(model), hits, x, y) else {
                return Effect::Nothing;
            };
            (self.view.verdict, self.view.scroll) = (Some(choice), 0);
            return Effect::Draw;
        }
        let named = || who::culprits(&model.verdicts()).len();
        let at = hits.link(x, y).or_else(|| Some(named() + hits.row(y)?));
        let Some(who) = at.and_then(|at| who::all(model, self.drawn.page).get(at).copied()) else {
            return Effect::Nothing;
        };
        self.view.who = Some(who);
        Effect::Draw
    }

    fn turn(&mut self, way: Action, rows: usize) -> Effect {
        if !self.scene().rows {
            return Effect::Nothing;
        }
        (0..rows).map(|_| self.act(way)).last().unwrap_or(Effect::Nothing)
    }
}

/// The verdict in this row, or the selected verdict's culprit in it.
fn chosen_verdict(
    selected: Option<verdicts::Choice>,
    all: &[verdicts::Listed],
    hits: Hits,
    x: u16,
    y: u16,
) -> Option<verdicts::Choice> {
    let choices = verdicts::choices(all);
    let (id, _) = *choices.get(verdicts::place(selected, &choices))?;
    let at = all.iter().position(|listed| listed.verdict.id() == id)?;
    if let Some(link) = hits.link(x, y) {
        return Some((id, Some(*all[at].culprits().get(link)?)));
    }
    let listed = all.get(at.checked_add_signed(isize::try_from(hits.below_selected(y)?).ok()?)?)?;
    Some((listed.verdict.id(), listed.culprits().first().copied()))
}
