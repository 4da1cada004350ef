//! A line that the user writes at the bottom of the screen.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, backend::crossterm::EventHandler as _};

use crate::{event::Nanos, ui};

/// The longest line.
const LONGEST: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A note on this moment.
    Mark {
        /// The moment.
        at: Nanos,
    },
    /// A moment to go to.
    Time,
    /// Words that rows must have.
    Filter,
}

impl Question {
    fn label(self) -> &'static str {
        match self {
            Self::Mark { .. } => "mark this moment, with a note (may be empty)",
            Self::Filter => "show only rows with",
            Self::Time => "go to 14:02, 14:02:11.5, +30s or -5m",
        }
    }
}

/// What a key led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Writing,
    /// The user gave up.
    Cancelled,
    /// The user wrote this, without spaces around it.
    Given(String),
}

/// What has been written so far.
#[derive(Debug, Default)]
pub struct Line {
    input: Input,
}

impl Line {
    /// With this written already.
    pub fn with(text: &str) -> Self {
        Self { input: Input::new(text.to_owned()) }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Answer {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Answer::Given(self.input.value().trim().to_owned()),
            KeyCode::Esc => return Answer::Cancelled,
            KeyCode::Char('c' | 'g') if ctrl => return Answer::Cancelled,
            KeyCode::Char(_) if !ctrl && self.input.value().chars().count() >= LONGEST => {}
            _ => {
                self.input.handle_event(&TerminalEvent::Key(key));
            }
        }
        Answer::Writing
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// The text to draw, with what is asked for.
    pub fn shown(&self, label: &str) -> ui::Prompt {
        ui::Prompt { label: label.to_owned(), text: self.input.value().to_owned(), cursor: self.input.cursor() }
    }
}

/// A question with what has been written so far.
#[derive(Debug)]
pub struct Prompt {
    /// What is asked for.
    pub question: Question,
    line: Line,
}

impl Prompt {
    /// Nothing written yet.
    pub fn new(question: Question) -> Self {
        Self { question, line: Line::default() }
    }

    /// With this written already.
    pub fn with(question: Question, text: &str) -> Self {
        Self { question, line: Line::with(text) }
    }

    /// What is written so far.
    pub fn text(&self) -> &str {
        self.line.text()
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Answer {
        self.line.key(key)
    }

    /// The text to draw.
    pub fn shown(&self) -> ui::Prompt {
        self.line.shown(self.question.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(prompt: &mut Prompt, text: &str) {
        for c in text.chars() {
            assert_eq!(prompt.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)), Answer::Writing);
        }
    }

    fn press(prompt: &mut Prompt, code: KeyCode) -> Answer {
        prompt.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_line_is_written_and_given() {
        let mut prompt = Prompt::new(Question::Time);
        write(&mut prompt, " 14:0x");
        press(&mut prompt, KeyCode::Backspace);
        write(&mut prompt, "2 ");
        assert_eq!((prompt.shown().text.as_str(), prompt.shown().cursor), (" 14:02 ", 7));
        assert_eq!(press(&mut prompt, KeyCode::Enter), Answer::Given("14:02".to_owned()));
        assert_eq!(press(&mut prompt, KeyCode::Esc), Answer::Cancelled);
        assert_eq!(prompt.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Answer::Cancelled);
    }

    #[test]
    fn it_ends_somewhere() {
        let mut prompt = Prompt::new(Question::Mark { at: 0 });
        write(&mut prompt, &"x".repeat(1000));
        assert_eq!(prompt.shown().text.len(), LONGEST);
    }
}
