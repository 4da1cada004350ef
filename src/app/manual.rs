//! The manual page and the shells' completions, from the command line's definition and the table of actions.

use anyhow::Context as _;
use clap::CommandFactory as _;

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
    man.render_title(&mut out)
        .and_then(|()| man.render_name_section(&mut out))
        .and_then(|()| man.render_synopsis_section(&mut out))
        .and_then(|()| man.render_description_section(&mut out))
        .and_then(|()| man.render_options_section(&mut out))
        .context("writing the manual")?;
    out.extend_from_slice(b".SH COMMANDS\n");
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let usage = sub.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        out.extend(format!(".SS {}\n{}.\n.PP\n\\fB{}\\fR\n", sub.get_name(), text(&about), text(usage)).into_bytes());
        for arg in sub.get_arguments().filter(|a| !a.is_hide_set() && a.get_id() != "help") {
            let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
            let short = arg.get_short().map(|c| format!("-{c}, ")).unwrap_or_default();
            let names = text(&format!("{short}{arg}"));
            let mut said = vec![text(&help)];
            let values: Vec<String> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
            if !values.is_empty() && arg.get_action().takes_values() {
                said.push(format!("one of {}", text(&values.join(", "))));
            }
            let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
            if !defaults.is_empty() && arg.get_action().takes_values() {
                said.push(format!("by default {}", text(&defaults.join(", "))));
            }
            out.extend(format!(".TP\n\\fB{names}\\fR\n{}.\n", said.join("; ")).into_bytes());
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
            for arg in sub.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&text(&format!("--{arg}"))), "{} --{arg}", sub.get_name());
            }
        }
        for entry in actions::ACTIONS {
            assert!(page.contains(&text(entry.says)) && page.contains(&text(entry.name)), "{}", entry.name);
        }
    }

    #[test]
    fn no_text_is_taken_for_a_request() {
        assert_eq!(text(".TH a\n'b\\c-d"), "\\&.TH a\n\\&'b\\ec\\-d");
    }
}
