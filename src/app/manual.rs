//! The manual page and the shells' completions, from the command line's definition and the table of actions.

use anyhow::Context as _;
use clap::{Arg, Command, CommandFactory as _};

use super::{
    actions::{self, Place},
    cli::Cli,
};

/// Completions for a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ovscope", &mut out);
    out
}

/// The manual page, in roff: every command with its options, the keys, and what ends with which status.
pub fn page() -> anyhow::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    let mut out = Vec::new();
    man.render_title(&mut out).and_then(|()| man.render_name_section(&mut out)).context("writing the manual")?;
    out.extend_from_slice(b".SH SYNOPSIS\n\\fBovscope\\fR [OPTIONS]\n.br\n\\fBovscope\\fR COMMAND [OPTIONS]\n");
    man.render_description_section(&mut out).context("writing the manual")?;
    out.extend_from_slice(b".SH OPTIONS\nOf the screen on this host\\(aqs datapath:\n");
    let common: Vec<&Arg> = options(&command).collect();
    for arg in &common {
        option(arg, &mut out);
    }
    out.extend_from_slice(b".SH COMMANDS\n");
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = sub.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        out.extend(format!(".SS {}\n{}.\n.PP\n\\fB{}\\fR\n", sub.get_name(), text(&about), text(usage)).into_bytes());
        // What the screen has too stands above, once.
        let is_common = |arg: &&Arg| common.iter().any(|of| of.get_id() == arg.get_id());
        options(sub).filter(|arg| !is_common(arg)).for_each(|arg| option(arg, &mut out));
        let too: Vec<String> = options(sub)
            .filter(is_common)
            .filter_map(|arg| Some(format!("\\fB{}\\fR", text(&format!("--{}", arg.get_long()?)))))
            .collect();
        if !too.is_empty() {
            out.extend(format!(".PP\nOptions as above: {}.\n", too.join(", ")).into_bytes());
        }
        if let Some(examples) = sub.get_after_help() {
            out.extend(format!(".PP\n.nf\n{}\n.fi\n", text(&examples.to_string())).into_bytes());
        }
    }
    out.extend_from_slice(b".SH KEYS\n");
    out.extend_from_slice(b"Each is given its action, by whose name : finds it and the configuration file names it.\n");
    for place in Place::ALL {
        out.extend(format!(".SS {}\n", text(place.title())).into_bytes());
        for entry in actions::ACTIONS.iter().filter(|entry| entry.place == place) {
            let keys: Vec<String> = entry.keys.iter().map(ToString::to_string).collect();
            let (keys, name, says) = (text(&keys.join(", ")), text(entry.name), text(entry.says));
            out.extend(format!(".TP\n\\fB{keys}\\fR (\\fI{name}\\fR)\n{says}\n").into_bytes());
        }
    }
    out.extend_from_slice(
        b".SH EXIT STATUS\n.TP\n0\ngood\n.TP\n1\nfailed; the message says why and what to do\n.TP\n2\nbad usage\n",
    );
    Ok(out)
}

/// The arguments of a command, in its order.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help")
}

/// `-f, --filter <EXPR>`
fn names(arg: &Arg) -> String {
    let short = arg.get_short().map(|c| format!("-{c}, ")).unwrap_or_default();
    text(&format!("{short}{arg}"))
}

/// One argument: its names, what it is for, what it may be, and its default.
fn option(arg: &Arg, out: &mut Vec<u8>) {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let takes_values = arg.get_action().takes_values();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let default = if defaults.is_empty() || !takes_values {
        String::new()
    } else {
        format!(" [default: {}]", text(&defaults.join(", ")))
    };
    out.extend(format!(".TP\n\\fB{}\\fR{default}\n{}\n", names(arg), lines(&help)).into_bytes());
    let values = arg.get_possible_values();
    for value in values.iter().filter(|value| takes_values && value.get_help().is_some()) {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        out.extend(format!(".br\n\\fI{}\\fR: {}\n", text(value.get_name()), text(&help)).into_bytes());
    }
}

/// Text whose lines stay lines.
fn lines(plain: &str) -> String {
    let lines: Vec<String> =
        plain.lines().map(|line| if line.is_empty() { ".sp".to_owned() } else { text(line) }).collect();
    lines.join("\n.br\n").replace(".br\n.sp\n.br\n", ".sp\n")
}

/// Text as roff takes it literally.
fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-");
    escaped
        .lines()
        .map(|l| if l.starts_with(['.', '\'']) { format!("\\&{l}") } else { l.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_every_command_option_and_key() {
        let page = String::from_utf8(page().expect("it is written")).expect("it is text");
        for sub in Cli::command().get_subcommands().filter(|s| s.get_name() != "help") {
            assert!(page.contains(&format!(".SS {}", sub.get_name())), "{}", sub.get_name());
            for arg in sub.get_arguments().filter_map(Arg::get_long) {
                assert!(page.contains(&text(&format!("--{arg}"))), "{} --{arg}", sub.get_name());
            }
        }
        for entry in actions::ACTIONS {
            assert!(page.contains(&text(entry.says)) && page.contains(&text(entry.name)), "{}", entry.name);
        }
    }

    #[test]
    fn lines_of_a_help_stay_lines() {
        assert_eq!(lines("a\nb\n\nc"), "a\n.br\nb\n.sp\nc");
    }

    #[test]
    fn no_text_is_taken_for_a_request() {
        assert_eq!(text(".TH a\n'b\\c-d"), "\\&.TH a\n\\&'b\\ec\\-d");
    }
}
