//! From the terminal's key events to actions.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::actions::{Action, Key, Scene, action_of};

/// The action that a key event asks for in a scene. Key releases, unknown keys and keys with Alt ask for nothing.
pub fn action(event: KeyEvent, scene: Scene) -> Option<Action> {
    if event.kind == KeyEventKind::Release || event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER) {
        return None;
    }
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let shift = event.modifiers.contains(KeyModifiers::SHIFT);
    // Terminals that tell the modifiers apart send Tab with Shift, and may send a letter's small form with Shift.
    let code = match event.code {
        KeyCode::Tab if shift => KeyCode::BackTab,
        KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
        KeyCode::Char(c) if shift => KeyCode::Char(c.to_ascii_uppercase()),
        code => code,
    };
    action_of(Key { code, ctrl }, scene)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::View;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(KeyEvent::new(code, modifiers), Scene { rows: true, sortable: true, ..Scene::default() })
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
        assert_eq!(action(event, Scene::default()), None);
    }
}
