//! Reads the configuration file, and refuses what is not valid, with its name and line.

use std::{collections::BTreeMap, error::Error as _};

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue},
};
use serde::Deserialize;
use toml::Spanned;

use super::{Config, OPTIONS};
use crate::app::{
    actions::{ACTIONS, Action},
    cli::Cli,
    keys::Key,
};

/// The sections of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    options: BTreeMap<Spanned<String>, Spanned<Setting>>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<Setting>>,
}

/// A value, by its TOML type.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "this is neither true nor false, nor a number, a text in quotes, or a list of texts")]
enum Setting {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

impl Setting {
    /// The values as they would be on the command line.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Flag(flag) => vec![flag.to_string()],
            Self::Number(number) => vec![number.to_string()],
            Self::Text(text) => vec![text.clone()],
            Self::List(texts) => texts.clone(),
        }
    }
}

impl Config {
    /// Reads the file; an error names its line.
    pub fn read(text: &str) -> Result<Self, (usize, String)> {
        let line = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let written: Written = toml::from_str(text)
            .map_err(|error| (line(error.span().map_or(0, |span| span.start)), error.message().to_owned()))?;
        let mut config = Self::default();
        for (name, setting) in &written.options {
            let words = setting.get_ref().words();
            check_option(name.get_ref(), &words).map_err(|why| (line(name.span().start), why))?;
            config.options.push((name.get_ref().clone(), words));
        }
        let mut lines = BTreeMap::new();
        for (name, setting) in &written.keys {
            let at = line(name.span().start);
            let (action, keys) = read_keys(name.get_ref(), setting.get_ref()).map_err(|why| (at, why))?;
            config.keys.rebind(action, keys);
            lines.insert(name.get_ref().as_str(), at);
        }
        if let Some((key, first, second)) = config.keys.clash() {
            // At least one of the two is in the file.
            let (own, other) = if lines.contains_key(second.name) { (second, first) } else { (first, second) };
            let why =
                format!("keys.{}: {} is a key of {}, too: give that one another", own.name, key.name(), other.name);
            return Err((lines.get(own.name).copied().unwrap_or(1), why));
        }
        Ok(config)
    }
}

/// Whether there is such an option, and it takes this value.
fn check_option(name: &str, words: &[String]) -> Result<(), String> {
    if !OPTIONS.contains(&name) {
        return Err(format!("options.{name}: there is no such option here{}", nearest(name, OPTIONS.into_iter())));
    }
    if words.len() != 1 && name != "trigger" {
        return Err(format!("options.{name}: one value, not a list of {}", words.len()));
    }
    let args = words.iter().map(|word| format!("--{name}={word}"));
    let tried = Cli::command().try_get_matches_from(std::iter::once("ovscope".to_owned()).chain(args));
    tried.map(|_| ()).map_err(|error| {
        let why = match (error.get(ContextKind::ValidValue), error.source()) {
            (Some(ContextValue::Strings(valid)), _) if !valid.is_empty() => format!("one of {}", valid.join(", ")),
            (_, Some(source)) => source.to_string(),
            _ => error.kind().to_string(),
        };
        format!("options.{name} = {}: {why}", words.join(", "))
    })
}

fn read_keys(name: &str, setting: &Setting) -> Result<(Action, Vec<Key>), String> {
    let Some(entry) = ACTIONS.iter().find(|entry| entry.name == name) else {
        let names = ACTIONS.iter().map(|entry| entry.name);
        return Err(format!("keys.{name}: there is no such action{}", nearest(name, names)));
    };
    let keys: Result<Vec<Key>, String> = match setting {
        Setting::Text(key) => key.parse().map(|key| vec![key]),
        Setting::List(keys) => keys.iter().map(|key| key.parse()).collect(),
        Setting::Number(digit @ 0..=9) => digit.to_string().parse().map(|key| vec![key]),
        Setting::Flag(_) | Setting::Number(_) => Err("a key in quotes, or a list of them".to_owned()),
    };
    let keys = keys.map_err(|why| format!("keys.{name}: {why}"))?;
    if keys.is_empty() && entry.action == Action::Quit {
        return Err("keys.quit: it needs a key: without one nobody could leave".to_owned());
    }
    Ok((entry.action, keys))
}

/// A name that may have been meant, as a question.
fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> String {
    let near = names.map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    near.filter(|(distance, _)| *distance <= 2)
        .map_or_else(String::new, |(_, known)| format!(": did you mean {known}?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{actions::Scene, keys};

    fn wrong(text: &str) -> (usize, String) {
        Config::read(text).expect_err(text)
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_and_line() {
        for (text, line, words) in [
            ("[options]\n\ncolors = 16\n", 3, "options.colors: there is no such option here: did you mean colours?"),
            ("[options]\nfilter = \"udp\"\n", 2, "options.filter: there is no such option here"),
            ("[keys]\nhelp = \"F1\"\nqiut = \"x\"\n", 3, "keys.qiut: there is no such action: did you mean quit?"),
            ("\n[key]\n", 2, "unknown field `key`"),
            ("fps = 3\n", 1, "unknown field `fps`"),
            ("[options]\nfps = 3\nfps = 4\n", 3, "duplicate key"),
            ("[options\n", 1, ""),
        ] {
            let (at, why) = wrong(text);
            assert_eq!(at, line, "{text}: {why}");
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn what_an_option_cannot_be_is_refused_with_what_it_can() {
        for (setting, words) in [
            ("theme = \"pink\"", "options.theme = pink: one of auto, dark, light, colour-blind, mono"),
            ("fps = 0", "options.fps = 0: 0 is not in 1..=60"),
            ("fps = [1, 2]", "neither true nor false"),
            ("fps = [\"1\", \"2\"]", "options.fps: one value"),
            ("mouse = 3", "options.mouse = 3: one of true, false"),
            ("sample = \"often\"", "is neither 1/N nor a number"),
            ("trigger = \"lots\"", "options.trigger = lots: "),
            ("snaplen = 1.5", "neither true nor false"),
        ] {
            let (line, why) = wrong(&format!("[options]\n{setting}\n"));
            assert_eq!(line, 2);
            assert!(why.contains(words), "{setting}: {why}");
        }
    }

    #[test]
    fn keys_are_given_and_taken_away() {
        let config =
            Config::read("[keys]\nhelp = [\"F1\", \"?\"]\nsave = []\nquit = \"Ctrl-Q\"\nstorm = 0\n").expect("good");
        let scene = Scene { recordable: true, ..Scene::default() };
        let of = |key: &str| config.keys.action_of(key.parse().expect("a key"), scene);
        assert_eq!((of("F1"), of("?"), of("w"), of("q")), (Some(Action::Help), Some(Action::Help), None, None));
        assert_eq!(of("0"), Some(Action::Show(crate::ui::View::Storm)));
        assert_eq!(config.keys.action_of(keys::ctrl('q'), scene), Some(Action::Quit));
    }

    #[test]
    fn keys_that_cannot_be_are_refused_by_name_and_line() {
        for (text, line, words) in [
            ("[keys]\npause = \"p\"\nhelp = \"q\"\n", 3, "keys.help: q is a key of quit, too: give that one another"),
            ("[keys]\npause = \"p\"\nmark = \"p\"\n", 3, "keys.mark: p is a key of pause, too"),
            ("[keys]\nquit = []\n", 2, "keys.quit: it needs a key"),
            ("[keys]\nquit = true\n", 2, "keys.quit: a key in quotes"),
            ("[keys]\n\nsave = \"Ctrl-I\"\n", 3, "keys.save: 'Ctrl-I' cannot be told from Tab"),
            ("[keys]\nsave = \"Meta-x\"\n", 2, "keys.save: 'Meta-x' is no key"),
        ] {
            let (at, why) = wrong(text);
            assert_eq!(at, line, "{text}: {why}");
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
