//! Every action by its name: what the user types narrows them down, Enter does the chosen one.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    actions::{ACTIONS, Action, Entry, Scene, shown},
    keys::{Key, Keymap},
    prompt::{Answer, Line},
};
use crate::ui;

/// What a key led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing yet.
    Choosing,
    /// The user gave up.
    Left,
    /// This action was chosen.
    Chosen(Action),
    /// This action was chosen, but it does nothing here; with where it does.
    Elsewhere(&'static str, &'static str),
}

/// The actions to choose from.
#[derive(Debug, Default)]
pub struct Palette {
    line: Line,
    chosen: usize,
}

impl Palette {
    /// Takes a key.
    pub fn key(&mut self, event: KeyEvent, keymap: &Keymap, scene: Scene) -> Choice {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let last = self.found(keymap, scene).len().saturating_sub(1);
        let to = match event.code {
            KeyCode::Up | KeyCode::BackTab => Some(self.chosen.saturating_sub(1)),
            KeyCode::Down | KeyCode::Tab => Some(self.chosen + 1),
            KeyCode::Char('p') if ctrl => Some(self.chosen.saturating_sub(1)),
            KeyCode::Char('n') if ctrl => Some(self.chosen + 1),
            KeyCode::PageUp => Some(self.chosen.saturating_sub(10)),
            KeyCode::PageDown => Some(self.chosen + 10),
            _ => None,
        };
        if let Some(to) = to {
            self.chosen = to.min(last);
            return Choice::Choosing;
        }
        // As in vi and less: there is nothing left to delete.
        if event.code == KeyCode::Backspace && self.line.text().is_empty() {
            return Choice::Left;
        }
        match self.line.key(event) {
            Answer::Cancelled => Choice::Left,
            Answer::Writing => {
                self.chosen = 0;
                Choice::Choosing
            }
            Answer::Given(_) => match self.found(keymap, scene).get(self.chosen) {
                None => Choice::Choosing,
                Some((entry, _)) if entry.place.is_in(scene) => Choice::Chosen(entry.action),
                Some((entry, _)) => Choice::Elsewhere(entry.name, entry.place.title()),
            },
        }
    }

    /// The actions that match what is typed: first names that begin with it, then names that contain it, then descriptions
    /// that do; of equal ones, first those that can be done here.
    fn found<'a>(&self, keymap: &'a Keymap, scene: Scene) -> Vec<(&'static Entry, &'a [Key])> {
        let wanted = self.line.text().trim().to_lowercase();
        let rank = |entry: &Entry| match () {
            () if entry.name.starts_with(&wanted) => Some(0),
            () if entry.name.contains(&wanted) => Some(1),
            () if entry.says.to_lowercase().contains(&wanted) => Some(2),
            () => None,
        };
        let mut found: Vec<_> = keymap.iter().filter_map(|found| Some((rank(found.0)?, found))).collect();
        found.sort_by_key(|(rank, (entry, _))| (*rank, !entry.place.is_in(scene)));
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// The text to draw.
    pub fn shown(&self, keymap: &Keymap, scene: Scene) -> ui::Palette {
        let rows = self.found(keymap, scene).into_iter().map(|(entry, keys)| ui::PaletteRow {
            name: entry.name,
            keys: shown(keys),
            says: entry.says,
            elsewhere: (!entry.place.is_in(scene)).then(|| entry.place.title()),
        });
        ui::Palette {
            rows: rows.collect(),
            chosen: self.chosen,
            all: ACTIONS.len(),
            prompt: self.line.shown("do (Enter, or Esc)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(palette: &mut Palette, text: &str) -> Vec<&'static str> {
        let keymap = Keymap::default();
        for c in text.chars() {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            assert_eq!(palette.key(event, &keymap, Scene::default()), Choice::Choosing);
        }
        palette.shown(&keymap, Scene::default()).rows.iter().map(|row| row.name).collect()
    }

    fn press(palette: &mut Palette, code: KeyCode) -> Choice {
        palette.key(KeyEvent::new(code, KeyModifiers::NONE), &Keymap::default(), Scene::default())
    }

    #[test]
    fn it_begins_with_every_action() {
        assert_eq!(write(&mut Palette::default(), "").len(), ACTIONS.len());
    }

    #[test]
    fn names_that_begin_so_come_first_and_words_of_what_it_does_last() {
        let mut palette = Palette::default();
        let found = write(&mut palette, "Pa");
        assert_eq!(found[..2], ["packets", "pause"]);
        assert!(found.contains(&"page-up"), "{found:?}");
        assert_eq!(press(&mut palette, KeyCode::Enter), Choice::Chosen(Action::Show(ui::View::Packets)));
        assert_eq!(write(&mut Palette::default(), "ctrl-alt-del"), [""; 0]);
        assert_eq!(write(&mut Palette::default(), "to the shell"), ["suspend"]);
    }

    #[test]
    fn the_chosen_one_is_done_if_it_can_be_here() {
        let mut palette = Palette::default();
        write(&mut palette, "quit");
        assert_eq!(press(&mut palette, KeyCode::Down), Choice::Choosing);
        assert_eq!(press(&mut palette, KeyCode::Enter), Choice::Chosen(Action::Quit));
        let mut palette = Palette::default();
        write(&mut palette, "record");
        assert_eq!(press(&mut palette, KeyCode::Enter), Choice::Elsewhere("record", "on a live datapath"));
    }

    #[test]
    fn it_is_left_by_esc_and_by_taking_away_what_is_not_there() {
        assert_eq!(press(&mut Palette::default(), KeyCode::Esc), Choice::Left);
        let mut palette = Palette::default();
        write(&mut palette, "#");
        assert_eq!(press(&mut palette, KeyCode::Enter), Choice::Choosing);
        assert_eq!(press(&mut palette, KeyCode::Backspace), Choice::Choosing);
        assert_eq!(press(&mut palette, KeyCode::Backspace), Choice::Left);
    }
}
