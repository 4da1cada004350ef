//! `ofproto/trace`'s answer made readable: the OpenFlow rules that a packet meets, in their order, the flow that it makes,
//! and what becomes of it.

use super::{Lines, Screen, Theme, format, text};
use crate::model::Traced;

/// Columns of what stands before a rule's match and actions.
const NAME: usize = 9;

/// The lines of an answer, with how old it is.
pub fn lines(screen: &Screen<'_>, traced: &Traced, columns: usize) -> Lines {
    let theme = screen.theme;
    let age = match format::age(screen.model.now().saturating_sub(traced.at)) {
        age if age == "now" => age,
        age => format!("{age} ago"),
    };
    let took = format::duration(traced.trace.took_ns);
    let said = format!("ofproto/trace, answered {age} in {}", took.trim_end());
    let mut lines =
        Writer { theme, columns, lines: vec![vec![(" trace  ".to_owned(), theme.heading), (said, theme.quiet)]] };
    lines.push("key", &traced.trace.key, theme.quiet);
    match &traced.trace.answer {
        Err(why) => lines.push("", &format!("▲ {why}"), theme.bad),
        Ok(text) if traced.read.passes.is_empty() => {
            text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| lines.push("", line, theme.text));
        }
        Ok(_) => lines.passes(traced),
    }
    lines.lines
}

struct Writer<'a> {
    theme: &'a Theme,
    columns: usize,
    lines: Lines,
}

impl Writer<'_> {
    fn push(&mut self, name: &str, words: &str, style: ratatui::style::Style) {
        for (i, line) in text::wrap(words, self.columns.saturating_sub(NAME + 8)).into_iter().enumerate() {
            let name = if i == 0 { name } else { "" };
            self.lines.push(vec![(format!("     {name:<NAME$}"), self.theme.quiet), (line, style)]);
        }
    }

    fn passes(&mut self, traced: &Traced) {
        let theme = self.theme;
        for pass in &traced.read.passes {
            if let Some(resumed) = &pass.resumed {
                self.push("then", resumed, theme.heading);
            }
            for met in &pass.met {
                let bridge = if met.bridge.is_empty() { String::new() } else { format!("{}  ", met.bridge) };
                let priority = met.priority.map_or_else(String::new, |priority| format!("  priority {priority}"));
                let cookie = if met.cookie.is_empty() { String::new() } else { format!("  cookie {}", met.cookie) };
                self.push("rule", &format!("{bridge}table {}{priority}{cookie}", met.table), theme.strong);
                self.push("match", if met.matches.is_empty() { "everything" } else { &met.matches }, theme.text);
                met.actions.iter().enumerate().for_each(|(i, action)| {
                    self.push(if i == 0 { "actions" } else { "" }, action, theme.heading);
                });
            }
            for (name, words) in [("makes", &pass.megaflow), ("does", &pass.actions)] {
                if !words.is_empty() {
                    self.push(name, words, theme.text);
                }
            }
            pass.warnings.iter().chain(&pass.remarks).for_each(|words| self.push("", words, theme.text));
        }
        if traced.read.unknown > 0 {
            let words = format!("{} lines of it are of no known kind and not shown", traced.read.unknown);
            self.push("", &words, theme.quiet);
        }
    }
}
