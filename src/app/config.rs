//! The configuration file: what options are by default, and which keys do what. The command line's own definition says
//! which options there are and what they may be, the table of actions says which keys.

mod check;
mod file;
mod sample;

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

pub use sample::sample;

use super::{
    cli::{self, Cli},
    filters::BadUsage,
    keys::Keymap,
};

/// The options that it may set. What narrows down what is recorded (-f, --where, --datapath) is not among them: a user who
/// does not see it on the command line would take a part for the whole.
const OPTIONS: [&str; 16] = [
    "theme",
    "colours",
    "ascii",
    "mouse",
    "fps",
    "rpc-rate",
    "sample",
    "snaplen",
    "event-budget",
    "ring",
    "track",
    "attach",
    "buffer",
    "trigger",
    "trigger-after",
    "trigger-max",
];
/// The commands that it is for.
const COMMANDS: [&str; 5] = ["live", "demo", "replay", "record", "stat"];

/// What a configuration says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Options by their long names, and their values.
    options: Vec<(String, Vec<String>)>,
    /// Which keys do what.
    keys: Keymap,
}

/// The command line that the program was called with, on top of the configuration. Prints and exits where that is asked for
/// (`--help`) or the command line is wrong.
pub fn command_line() -> anyhow::Result<Cli> {
    let args: Vec<OsString> = env::args_os().collect();
    let matches = Cli::command().get_matches_from(&args);
    let (command, own) = matches.subcommand().unwrap_or(("live", &matches));
    if !COMMANDS.contains(&command) {
        return read_cli(&matches);
    }
    let Some((path, text)) = file::find(own.get_one::<PathBuf>("config").map(PathBuf::as_path))? else {
        return read_cli(&matches);
    };
    let config =
        Config::read(&text).map_err(|(line, why)| BadUsage::new(&format!("{}:{line}: {why}", path.display())))?;
    let mut cli = read_cli(&config.applied(Cli::command()).get_matches_from(&args))?;
    if let Some(look) = cli.look() {
        look.keys = config.keys;
    }
    Ok(cli)
}

fn read_cli(matches: &ArgMatches) -> anyhow::Result<Cli> {
    Cli::from_arg_matches(matches).context("reading the command line")
}

impl Config {
    /// The command line's definition with these defaults.
    fn applied(&self, command: Command) -> Command {
        let command = self.applied_to_one(command);
        COMMANDS.into_iter().fold(command, |command, name| command.mut_subcommand(name, |sub| self.applied_to_one(sub)))
    }

    fn applied_to_one(&self, command: Command) -> Command {
        self.options.iter().fold(command, |command, (name, words)| {
            let Some(id) = option(&command, name).map(|arg| arg.get_id().clone()) else { return command };
            command.mut_arg(id, |arg| arg.default_values(words.clone()))
        })
    }
}

fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

impl Cli {
    /// How the screen looks, where the command has one.
    fn look(&mut self) -> Option<&mut cli::LookArgs> {
        match &mut self.command {
            None => Some(&mut self.live.look),
            Some(cli::Command::Live(args)) => Some(&mut args.look),
            Some(cli::Command::Demo(args)) => Some(&mut args.look),
            Some(cli::Command::Replay(args)) => Some(&mut args.look),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn cli(config: &Config, args: &[&str]) -> Cli {
        let args = std::iter::once("ovscope").chain(args.iter().copied());
        read_cli(&config.applied(Cli::command()).get_matches_from(args)).expect("good usage")
    }

    #[test]
    fn options_are_what_it_says_unless_the_command_line_says_otherwise() {
        let text = "[options]\ntheme = \"light\"\nfps = 5\nmouse = true\nsample = \"1/10\"\ntrigger = [\"lost>0\"]\n";
        let config = Config::read(text).expect("good");
        let live = cli(&config, &["--fps", "20", "--mouse=false"]).live;
        assert_eq!((live.look.fps, live.look.mouse, live.probes.sample), (20, false, 10));
        assert_eq!((live.look.theme, live.flight.trigger.len()), (super::super::look::ThemeName::Light, 1));
        let Some(cli::Command::Stat(stat)) = cli(&config, &["stat"]).command else { panic!("stat") };
        assert_eq!(stat.probes.sample, 10);
        let Some(cli::Command::Replay(replay)) = cli(&config, &["replay", "f"]).command else { panic!("replay") };
        assert!(replay.look.mouse && replay.look.fps == 5);
    }
}
