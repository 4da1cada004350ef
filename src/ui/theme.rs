//! Colours by what they mean. Every meaning also has a glyph, a word or a weight: never colour alone.

use ratatui::style::{Color, Modifier, Style};

/// Which colours. All palettes are of blue, orange and grey, which every common kind of colour blindness tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The terminal's own colours, and a few more that can be read on dark and on light.
    #[default]
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// No colours: bold, underlined and reversed only.
    Mono,
}

impl Choice {
    /// Takes colours away where the environment asks for that: `NO_COLOR` set to anything (no-color.org), or a
    /// terminal that has none. `var` reads the environment.
    #[must_use]
    pub fn for_terminal(self, var: impl Fn(&str) -> Option<String>) -> Self {
        let no_color = var("NO_COLOR").is_some_and(|v| !v.is_empty());
        let plain = var("TERM").is_some_and(|term| term == "dumb" || term.starts_with("vt1"));
        if no_color || plain { Self::Mono } else { self }
    }
}

/// The styles that the screen is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Text that is read.
    pub text: Style,
    /// Numbers and names that matter most.
    pub strong: Style,
    /// What explains: units, headings of columns, rules.
    pub quiet: Style,
    /// Headings.
    pub heading: Style,
    /// What is wrong: the one accent for it.
    pub bad: Style,
    /// What is selected.
    pub selected: Style,
    /// Bars and curves.
    pub shape: Style,
    /// Where a bar could have been.
    pub trough: Style,
    /// Cells of the heat map, from few to many.
    pub heat: [Style; 4],
}

impl Theme {
    /// The styles of a choice.
    pub fn new(choice: Choice) -> Self {
        let fg = |n| Style::new().fg(Color::Indexed(n));
        let bold = Modifier::BOLD;
        let own = Style::new();
        match choice {
            Choice::Auto => Self {
                text: own,
                strong: own.add_modifier(bold),
                quiet: fg(244),
                heading: fg(32).add_modifier(bold),
                bad: fg(166).add_modifier(bold),
                selected: Style::new().fg(Color::Indexed(231)).bg(Color::Indexed(25)),
                shape: fg(32),
                trough: fg(244),
                heat: [fg(67), fg(68), fg(32), fg(33)],
            },
            Choice::Dark => Self {
                text: fg(252),
                strong: fg(231).add_modifier(bold),
                quiet: fg(245),
                heading: fg(75).add_modifier(bold),
                bad: fg(208).add_modifier(bold),
                selected: Style::new().fg(Color::Indexed(231)).bg(Color::Indexed(25)),
                shape: fg(74),
                trough: fg(238),
                heat: [fg(24), fg(31), fg(38), fg(51)],
            },
            Choice::Light => Self {
                text: fg(236),
                strong: fg(16).add_modifier(bold),
                quiet: fg(243),
                heading: fg(25).add_modifier(bold),
                bad: fg(130).add_modifier(bold),
                selected: Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(153)),
                shape: fg(25),
                trough: fg(250),
                heat: [fg(110), fg(68), fg(25), fg(18)],
            },
            Choice::Mono => Self {
                text: own,
                strong: own.add_modifier(bold),
                quiet: own,
                heading: own.add_modifier(Modifier::UNDERLINED),
                bad: own.add_modifier(bold),
                selected: own.add_modifier(Modifier::REVERSED),
                shape: own,
                trough: own,
                heat: [own, own, own, own.add_modifier(bold)],
            },
        }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(Choice::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_takes_all_colours() {
        let env = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        assert_eq!(Choice::Dark.for_terminal(env), Choice::Mono);
        assert_eq!(Choice::Dark.for_terminal(|_| Some(String::new())), Choice::Dark);
        let theme = Theme::new(Choice::Mono);
        for style in [theme.text, theme.strong, theme.quiet, theme.bad, theme.selected, theme.shape, theme.heat[3]] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
