//! A configuration to begin with.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::{OPTIONS, option};
use crate::{
    app::{actions::ACTIONS, cli::Cli},
    ui::text,
};

/// A configuration with everything that can be set, at its default and commented out.
pub fn sample() -> String {
    let mut out = "# What ovscope does by default. Options on the command line go before what is set here.\n\
        #\n\
        # It is read from $XDG_CONFIG_HOME/ovscope/config.toml, or ~/.config/ovscope/config.toml, if it belongs to who runs\n\
        # ovscope (or to root) and nobody else may write to it: under sudo that is root's own. To name one:\n\
        # sudo ovscope --config ~/.config/ovscope/config.toml\n\
        #\n\
        # All is commented out and says what it is without this file.\n\n\
        [options]\n"
        .to_owned();
    let command = Cli::command();
    for arg in OPTIONS.iter().filter_map(|name| option(&command, name)) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        comment(&mut out, &help);
        let possible: Vec<String> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        if !possible.is_empty() {
            comment(&mut out, &format!("One of {}.", possible.join(", ")));
        }
        let defaults: Vec<String> = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        let value = match defaults.as_slice() {
            [one] if one.parse::<i64>().is_ok() || one.parse::<bool>().is_ok() => one.clone(),
            [one] => format!("{one:?}"),
            many => format!("{many:?}"),
        };
        let _ = writeln!(out, "#{} = {value}", arg.get_long().unwrap_or_default());
    }
    out.push_str(
        "\n[keys]\n\
        # A key is one character, Ctrl-L and such, F1 to F12, Space, Enter, Esc, Tab, Shift-Tab, Backspace, Delete, Insert,\n\
        # Home, End, PgUp, PgDn, Up, Down, Left or Right. An action without keys ([]) is still found by its name, with :\n",
    );
    for entry in ACTIONS {
        comment(&mut out, &format!("{} ({})", entry.says, entry.place.title()));
        let keys: Vec<String> = entry.keys.iter().map(|key| key.name()).collect();
        let _ = writeln!(out, "#{} = {keys:?}", entry.name);
    }
    out
}

fn comment(out: &mut String, words: &str) {
    for line in text::wrap(words, 116) {
        let _ = writeln!(out, "# {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, tests::cli},
        *,
    };
    use crate::app::keys::Keymap;

    #[test]
    fn the_sample_says_what_is_the_case_without_it() {
        let sample = sample();
        assert_eq!(Config::read(&sample), Ok(Config::default()));
        let setting = |line: &str| {
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).map(str::to_owned)
        };
        let in_force: String =
            sample.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
        let config = Config::read(&in_force).unwrap_or_else(|why| panic!("{why:?} in\n{in_force}"));
        assert_eq!((config.options.len(), &config.keys), (OPTIONS.len(), &Keymap::default()), "{in_force}");
        for args in [&[][..], &["live"], &["demo"], &["replay", "f"], &["record", "-o", "f"], &["stat"]] {
            let (with, without) = (cli(&config, args), cli(&Config::default(), args));
            assert_eq!(format!("{with:?}"), format!("{without:?}"));
        }
        assert!(sample.lines().all(|line| line.chars().count() <= 120), "{sample}");
    }
}
