//! How the screen looks and behaves: its part of the command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{copy::Clipboard, keys::Keymap};
use crate::ui::{Choice, Depth, Theme};

/// Which configuration file is read.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The configuration file, instead of ~/.config/ovscope/config.toml (ovscope config prints one)
    #[arg(long, value_name = "FILE", long_help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
}

/// `--config`'s.
const CONFIG_HELP: &str = "The configuration file: defaults of options, and keys. Options that are given go before it.

By default it is $XDG_CONFIG_HOME/ovscope/config.toml, or ~/.config/ovscope/config.toml, if that belongs to the user who \
runs ovscope (or to root) and nobody else may write to it. So under sudo it is root's own, and a user's must be named: \
sudo ovscope --config ~/.config/ovscope/config.toml. With --config /dev/null there is none.

ovscope config prints one with every setting and its default.";

/// How the screen looks.
#[derive(Debug, Clone, Args)]
pub struct LookArgs {
    /// Colour theme
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub theme: ThemeName,
    /// How many colours the terminal has
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub colours: ColoursName,
    /// Draw with ASCII characters only, as happens anyway where the locale is not UTF-8
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub ascii: bool,
    /// Use the mouse: the wheel scrolls, a click selects a row or a view. To select text, hold Shift
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_possible_values = true)]
    pub mouse: bool,
    /// Redraw at most this often a second; what a key does shows at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub fps: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub config: ConfigArgs,
    /// Which keys do what; the configuration says so.
    #[arg(skip)]
    pub keys: Keymap,
}

impl LookArgs {
    /// All of it, with what the environment says.
    pub fn look(&self) -> Look {
        let var = |name: &str| std::env::var(name).ok();
        let choice = match self.theme {
            ThemeName::Auto => Choice::Auto,
            ThemeName::Dark => Choice::Dark,
            ThemeName::Light => Choice::Light,
            ThemeName::ColourBlind => Choice::ColourBlind,
            ThemeName::Mono => Choice::Mono,
        };
        let depth = match self.colours {
            ColoursName::Auto => Depth::for_terminal(var),
            ColoursName::Sixteen => Depth::Sixteen,
            ColoursName::Indexed => Depth::Indexed,
            ColoursName::True => Depth::True,
        };
        Look {
            theme: Theme::with(choice.for_terminal(var), depth),
            ascii: self.ascii || !is_utf8(var),
            mouse: self.mouse,
            fps: self.fps,
            keys: self.keys.clone(),
            clipboard: Clipboard::for_terminal(var),
        }
    }
}

/// Whether the locale is UTF-8. `var` reads the environment.
fn is_utf8(var: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

/// How a screen looks and behaves.
#[derive(Debug, Clone)]
pub struct Look {
    /// The styles.
    pub theme: Theme,
    /// Whether only ASCII may be written.
    pub ascii: bool,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// Frames a second at most, for what happens by itself.
    pub fps: u32,
    /// Which keys do what.
    pub keys: Keymap,
    /// How text gets to the terminal's clipboard.
    pub clipboard: Clipboard,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            theme: Theme::default(),
            ascii: false,
            mouse: false,
            fps: 10,
            keys: Keymap::default(),
            clipboard: Clipboard::Terminal,
        }
    }
}

/// A theme by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// Readable on dark and light; mono where `NO_COLOR` is set.
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// Blue and orange that differ in lightness, too, on dark and light.
    ColourBlind,
    /// No colours.
    Mono,
}

/// How many colours, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColoursName {
    /// As TERM and COLORTERM say.
    Auto,
    /// The 16 that every terminal has, in the terminal's own shades.
    #[value(name = "16")]
    Sixteen,
    /// 256.
    #[value(name = "256")]
    Indexed,
    /// The same shades by their red, green and blue, for terminals whose 256 colours were changed.
    True,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_says_the_locale() {
        let env = |pairs: &'static [(&'static str, &'static str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(is_utf8(env(&[("LANG", "en_GB.UTF-8")])));
        assert!(is_utf8(env(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")])));
        assert!(!is_utf8(env(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")])));
        assert!(!is_utf8(env(&[])));
    }
}
