//! Keys: as terminals send them, as people write them, and what they do.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::actions::{ACTIONS, Action, Entry, Scene};

/// A key, as a terminal reports it: a letter with Shift is a capital letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// Whether Ctrl is held.
    pub ctrl: bool,
}

/// A key by itself.
pub const fn key(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

/// A character's key.
pub const fn char(c: char) -> Key {
    key(KeyCode::Char(c))
}

/// A small letter's key, with Ctrl.
pub const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

/// The names of the keys that are no characters; those that have a symbol are shown by it.
const NAMED: [(KeyCode, &str, &str); 16] = [
    (KeyCode::Char(' '), "Space", "Space"),
    (KeyCode::Enter, "Enter", "Enter"),
    (KeyCode::Esc, "Esc", "Esc"),
    (KeyCode::Tab, "Tab", "Tab"),
    (KeyCode::BackTab, "Shift-Tab", "Shift-Tab"),
    (KeyCode::Backspace, "Backspace", "Backspace"),
    (KeyCode::Delete, "Delete", "Del"),
    (KeyCode::Insert, "Insert", "Ins"),
    (KeyCode::Home, "Home", "Home"),
    (KeyCode::End, "End", "End"),
    (KeyCode::PageUp, "PgUp", "PgUp"),
    (KeyCode::PageDown, "PgDn", "PgDn"),
    (KeyCode::Up, "Up", "↑"),
    (KeyCode::Down, "Down", "↓"),
    (KeyCode::Left, "Left", "←"),
    (KeyCode::Right, "Right", "→"),
];

impl Key {
    /// As it is written in the configuration; [`FromStr`] reads it.
    pub fn name(self) -> String {
        self.words(|(_, name, _)| name)
    }

    fn words(self, of: impl Fn(&(KeyCode, &'static str, &'static str)) -> &'static str) -> String {
        let named = NAMED.iter().find(|(code, ..)| *code == self.code);
        match (named, self.code) {
            (Some(named), _) if self.ctrl => format!("Ctrl-{}", of(named)),
            (Some(named), _) => of(named).to_owned(),
            (None, KeyCode::Char(c)) if self.ctrl => format!("Ctrl-{}", c.to_ascii_uppercase()),
            (None, KeyCode::Char(c)) => c.to_string(),
            (None, other) => other.to_string(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(|(.., shown)| shown))
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((code, ..)) =
            NAMED.iter().find(|(_, name, shown)| name.eq_ignore_ascii_case(text) || shown == &text)
        {
            return Ok(key(*code));
        }
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && !c.is_whitespace()
            && !c.is_control()
        {
            return Ok(char(c));
        }
        let strip = |prefix: &str| {
            let head = text.get(..prefix.len()).filter(|head| head.eq_ignore_ascii_case(prefix));
            head.map(|_| &text[prefix.len()..])
        };
        if let Some(letter) = strip("Ctrl-") {
            let mut chars = letter.chars().map(|c| c.to_ascii_lowercase());
            return match (chars.next(), chars.next()) {
                // Terminals send the same for these.
                (Some('i'), None) => Err(same(text, "Tab")),
                (Some('m' | 'j'), None) => Err(same(text, "Enter")),
                (Some('h'), None) => Err(same(text, "Backspace")),
                (Some(c @ 'a'..='z'), None) => Ok(ctrl(c)),
                _ => Err(format!("'{text}' is no key: Ctrl goes with a letter, as in Ctrl-L")),
            };
        }
        if let Some(number) = strip("F").and_then(|n| n.parse().ok()).filter(|n| (1..=12).contains(n)) {
            return Ok(key(KeyCode::F(number)));
        }
        let all: Vec<&str> = NAMED.iter().map(|(_, name, _)| *name).collect();
        Err(format!("'{text}' is no key: one character, Ctrl-L and such, F1 to F12, {}", all.join(", ")))
    }
}

fn same(text: &str, other: &str) -> String {
    format!("'{text}' cannot be told from {other}: terminals send the same for both")
}

/// Which keys do what: as in the table of actions, or as the user has set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    /// In the order of [`ACTIONS`].
    keys: Vec<Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { keys: ACTIONS.iter().map(|entry| entry.keys.to_vec()).collect() }
    }
}

impl Keymap {
    /// Every action with its keys, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Entry, &[Key])> {
        ACTIONS.iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// Gives an action these keys instead of those it had. When all have been given, [`Keymap::clash`] says whether one of them
    /// does two things.
    pub fn rebind(&mut self, action: Action, keys: Vec<Key>) {
        let at = ACTIONS.iter().position(|entry| entry.action == action);
        if let Some(own) = at.and_then(|at| self.keys.get_mut(at)) {
            *own = keys;
        }
    }

    /// A key that would do two things, and which.
    pub fn clash(&self) -> Option<(Key, &'static Entry, &'static Entry)> {
        let all: Vec<(Key, &Entry)> =
            self.iter().flat_map(|(entry, keys)| keys.iter().map(move |key| (*key, entry))).collect();
        all.iter().enumerate().find_map(|(at, (key, entry))| {
            let same = all[..at].iter().find(|(other, with)| other == key && with.action != entry.action);
            same.map(|(_, first)| (*key, *first, *entry))
        })
    }

    /// The action of a key in a scene.
    pub fn action_of(&self, key: Key, scene: Scene) -> Option<Action> {
        self.iter().find(|(entry, keys)| entry.place.is_in(scene) && keys.contains(&key)).map(|(entry, _)| entry.action)
    }

    /// The action that a key event asks for in a scene. Key releases, unknown keys and keys with Alt ask for nothing.
    pub fn action(&self, event: KeyEvent, scene: Scene) -> Option<Action> {
        if event.kind == KeyEventKind::Release || event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER) {
            return None;
        }
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let shift = event.modifiers.contains(KeyModifiers::SHIFT);
        // Terminals that report modifiers send Tab with Shift, and may send a small letter with Shift.
        let code = match event.code {
            KeyCode::Tab if shift => KeyCode::BackTab,
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            KeyCode::Char(c) if shift => KeyCode::Char(c.to_ascii_uppercase()),
            code => code,
        };
        self.action_of(Key { code, ctrl }, scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::View;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        let scene = Scene { rows: true, sortable: true, ..Scene::default() };
        Keymap::default().action(KeyEvent::new(code, modifiers), scene)
    }

    #[test]
    fn keys_read_the_same_from_old_and_new_terminals() {
        assert_eq!(press(KeyCode::Char('2'), KeyModifiers::NONE), Some(Action::Show(View::Flows)));
        assert_eq!(press(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Action::Last));
        assert_eq!(press(KeyCode::Char('g'), KeyModifiers::SHIFT), Some(Action::Last));
        assert_eq!(press(KeyCode::BackTab, KeyModifiers::SHIFT), Some(Action::PreviousView));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('C'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE), None);
    }

    #[test]
    fn a_release_does_nothing() {
        let mut event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        event.kind = KeyEventKind::Release;
        assert_eq!(Keymap::default().action(event, Scene::default()), None);
    }

    #[test]
    fn what_is_written_is_read() {
        for (_, keys) in Keymap::default().iter() {
            for key in keys {
                assert_eq!(key.name().parse(), Ok(*key));
                assert_eq!(key.to_string().parse(), Ok(*key));
            }
        }
        for (text, key) in [
            ("ctrl-l", ctrl('l')),
            ("pgdn", key(KeyCode::PageDown)),
            ("F12", key(KeyCode::F(12))),
            ("-", char('-')),
            ("é", char('é')),
            ("F", char('F')),
        ] {
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
    }

    #[test]
    fn what_no_terminal_sends_is_refused() {
        for bad in ["", " ", "\t", "\u{1b}", "Ctrl-", "Ctrl-1", "Ctrl-ab", "Alt-x", "F0", "F13", "Fx", "ab", "Shift-A"]
        {
            assert!(Key::from_str(bad).expect_err(bad).contains("is no key"), "{bad}");
        }
        for (bad, other) in [("Ctrl-I", "Tab"), ("Ctrl-m", "Enter"), ("Ctrl-H", "Backspace")] {
            assert!(Key::from_str(bad).expect_err(bad).contains(other), "{bad}");
        }
    }

    #[test]
    fn a_key_given_to_another_action_is_taken_from_none_in_silence() {
        let mut keymap = Keymap::default();
        assert_eq!(keymap.clash().map(|(key, ..)| key), None);
        keymap.rebind(Action::Help, vec![char('q'), key(KeyCode::F(1))]);
        let (key, first, second) = keymap.clash().expect("q leaves, too");
        assert_eq!((key, first.action, second.action), (char('q'), Action::Help, Action::Quit));
        keymap.rebind(Action::Quit, vec![ctrl('c'), ctrl('c')]);
        assert_eq!(keymap.clash().map(|(key, ..)| key), None);
        assert_eq!(keymap.action_of(char('q'), Scene::default()), Some(Action::Help));
        assert_eq!(keymap.action_of(char('?'), Scene::default()), None);
    }
}
