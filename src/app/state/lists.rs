//! Keys that have to do with lists: filters, what is open, ways from one view to another.

use super::{State, shown};
use crate::{
    app::{
        navigate, pins,
        ways::{self, Step, To},
    },
    ui::{View, filter::Filter},
};

/// How many steps are remembered.
const STEPS: usize = 32;

impl State {
    /// Shows a view; the way back begins there.
    pub(super) fn show(&mut self, view: View) {
        self.view.help = None;
        self.view.view = view;
        self.view.scroll = 0;
        self.trail.clear();
    }

    /// Closes what is open, or else goes back to where the user came from: one step for each Esc.
    pub(super) fn close(&mut self) {
        if self.view.help.is_some() {
            self.view.help = None;
            return;
        }
        if self.trail.last().is_some_and(|step| step.back(&mut self.view)) {
            self.trail.pop();
            return;
        }
        if self.view.is_list() && !self.view.filter().is_empty() {
            self.show_all();
            return;
        }
        if self.past.is_some() && !self.view.is_open() {
            self.past = None;
            return;
        }
        self.view.set_open(false);
    }

    /// Opens what is marked: in an open packet the flow of the timeline's line, in Storm what belongs to the verdict's culprit, or
    /// a maker's upcalls.
    pub(super) fn open(&mut self) {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        match self.view.view {
            View::Storm if self.view.shows_verdicts() => {
                let gone = ways::from_verdicts(&mut self.view, model);
                self.remember(gone);
            }
            View::Storm => {
                let gone = ways::from_storm(&mut self.view, model, self.drawn.page);
                self.remember(gone);
            }
            View::Handlers | View::Ports => {
                let gone = ways::to_own_upcalls(&mut self.view, model);
                self.remember(gone);
            }
            _ if self.view.is_open() => self.go(To::Flow),
            _ => navigate::open(&mut self.view, &self.matches, model),
        }
    }

    /// Goes to what belongs to the marked row.
    pub(super) fn go(&mut self, to: To) {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        let gone = ways::go(&mut self.view, &self.pins, &self.matches, model, to);
        self.remember(gone);
    }

    fn remember(&mut self, gone: Result<Step, &'static str>) {
        match gone {
            Ok(step) => {
                if self.trail.len() == STEPS {
                    self.trail.remove(0);
                }
                self.trail.push(step);
            }
            Err(why) => self.status.note = Some(why.to_owned()),
        }
    }

    /// Shows all rows of the list again.
    pub(super) fn show_all(&mut self) {
        self.view.filters[self.view.view.index()] = Filter::default();
    }

    /// Applies the list's filter to its rows.
    pub(super) fn judge(&mut self) {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        self.matches.look(&self.view, model);
    }

    /// Holds on to what is open.
    pub(super) fn pin(&mut self) {
        let model = shown(self.past.as_deref(), self.held.as_deref(), &self.model);
        pins::refresh(&mut self.pins, &self.view, model);
    }
}
