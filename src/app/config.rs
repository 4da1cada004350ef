//! The configuration file: what options are by default, and which keys do what. The command line's own definition says
//! which options there are and what they may be, the table of actions says which keys.

use std::{
    collections::BTreeMap,
    env,
    error::Error as _,
    ffi::OsString,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{
    Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue},
};
use nix::{fcntl::OFlag, unistd::geteuid};
use serde::Deserialize;
use toml::Spanned;

use super::{
    actions::{ACTIONS, Action},
    cli::{self, Cli},
    filters::BadUsage,
    keys::{Key, Keymap},
};

/// The options that it may set. What narrows down what is recorded (-f, --where, --datapath) is not among them: who does
/// not see it on the command line would take a part for the whole.
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
/// More than this is no configuration.
const LIMIT: u64 = 1 << 20;

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    options: BTreeMap<Spanned<String>, Spanned<Setting>>,
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<Setting>>,
}

/// A value, as TOML tells them apart.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "this is neither true nor false, nor a number, a text in quotes, or a list of texts")]
enum Setting {
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

impl Setting {
    /// As they would stand on the command line.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Flag(flag) => vec![flag.to_string()],
            Self::Number(number) => vec![number.to_string()],
            Self::Text(text) => vec![text.clone()],
            Self::List(texts) => texts.clone(),
        }
    }
}

/// What a configuration says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Options by their long names, and their values.
    options: Vec<(String, Vec<String>)>,
    /// Which keys do what.
    keys: Keymap,
}

/// The command line that the program was called with, on top of the configuration. Prints and leaves where that is asked
/// for (`--help`) or the command line is wrong.
pub fn command_line() -> anyhow::Result<Cli> {
    let args: Vec<OsString> = env::args_os().collect();
    let matches = Cli::command().get_matches_from(&args);
    let (command, own) = matches.subcommand().unwrap_or(("live", &matches));
    if !COMMANDS.contains(&command) {
        return read_cli(&matches);
    }
    let Some((path, text)) = find(own.get_one::<PathBuf>("config").map(PathBuf::as_path))? else {
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

/// The file that is named, or the user's own, and what is in it.
fn find(named: Option<&Path>) -> anyhow::Result<Option<(PathBuf, String)>> {
    let read = |file: File| {
        let mut text = String::new();
        file.take(LIMIT + 1).read_to_string(&mut text).map(|_| text)
    };
    let (path, text) = if let Some(path) = named {
        (path.to_owned(), File::open(path).and_then(read))
    } else {
        let Some(path) = own_path(|name| env::var_os(name)) else { return Ok(None) };
        let Some(file) = open_own(&path) else { return Ok(None) };
        (path, read(file))
    };
    let text = text.with_context(|| format!("cannot read the configuration {}", path.display()))?;
    if text.len() as u64 > LIMIT {
        return Err(BadUsage::new(&format!("{} is no configuration: it has more than 1 MB", path.display())).into());
    }
    Ok(Some((path, text)))
}

/// By the XDG base directory specification, which wants absolute paths.
fn own_path(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("ovscope/config.toml"))
}

/// Opens the user's own file, if there is one. As root's orders it must be root's: where sudo keeps the user's HOME, that
/// one's file is passed over, and that is said.
fn open_own(path: &Path) -> Option<File> {
    // A pipe in its place is not waited for.
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
        opened => opened.map_err(|error| error.to_string()),
    };
    let trusted = file.and_then(|file| {
        let meta = file.metadata().map_err(|error| error.to_string())?;
        match () {
            () if !meta.is_file() => Err("it is no file".to_owned()),
            () if meta.uid() != geteuid().as_raw() && meta.uid() != 0 => Err("it belongs to another user".to_owned()),
            () if meta.mode() & 0o022 != 0 => Err("others may write to it".to_owned()),
            () => Ok(file),
        }
    });
    let said = |why: &String| {
        super::say(&format!("{} is not read: {why} (--config names one, whosever it is)", path.display()));
    };
    trusted.inspect_err(said).ok()
}

impl Config {
    /// Reads it; what is wrong comes with its line.
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
            // One of the two at least is in the file.
            let (own, other) = if lines.contains_key(second.name) { (second, first) } else { (first, second) };
            let why =
                format!("keys.{}: {} is a key of {}, too: give that one another", own.name, key.name(), other.name);
            return Err((lines.get(own.name).copied().unwrap_or(1), why));
        }
        Ok(config)
    }

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

/// Whether there is such an option, and it may be this.
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

/// A configuration with all there is to set, each as it is by default and commented out.
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
    for line in crate::ui::text::wrap(words, 116) {
        let _ = writeln!(out, "# {line}");
    }
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
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::app::{actions::Scene, keys};

    fn cli(config: &Config, args: &[&str]) -> Cli {
        let args = std::iter::once("ovscope").chain(args.iter().copied());
        read_cli(&config.applied(Cli::command()).get_matches_from(args)).expect("good usage")
    }

    fn wrong(text: &str) -> (usize, String) {
        Config::read(text).expect_err(text)
    }

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
            ("[keys]\n\nsave = \"Ctrl-I\"\n", 3, "keys.save: «Ctrl-I» cannot be told from Tab"),
            ("[keys]\nsave = \"Meta-x\"\n", 2, "keys.save: «Meta-x» is no key"),
        ] {
            let (at, why) = wrong(text);
            assert_eq!(at, line, "{text}: {why}");
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn it_is_where_xdg_says() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            own_path(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]), path("/c/ovscope/config.toml"));
        assert_eq!(with(&[("XDG_CONFIG_HOME", "c"), ("HOME", "/h")]), path("/h/.config/ovscope/config.toml"));
        assert_eq!(with(&[("HOME", "/h")]), path("/h/.config/ovscope/config.toml"));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn a_file_that_others_may_write_is_not_read_unless_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        assert!(open_own(&path).is_none(), "there is none");
        std::fs::write(&path, "[options]\n").expect("room");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("its owner");
        assert!(open_own(&path).is_some());
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).expect("its owner");
        assert!(open_own(&path).is_none());
        assert!(find(Some(&path)).expect("it is named").is_some());
        assert!(open_own(folder.path()).is_none(), "a folder is no file");
        let missing = find(Some(&folder.path().join("none"))).expect_err("it is named and not there");
        assert!(format!("{missing:#}").contains("none"), "{missing:#}");
    }
}
