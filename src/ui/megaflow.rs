//! `dpctl/get-flow`'s answer made readable: a field a line with its mask, then the actions, then the counts.

use ratatui::style::Style;

use super::{Lines, Theme, text};

/// Columns of a field's group, of its name, and of its value before the mask.
const GROUP: usize = 11;
const NAME: usize = 7;
const VALUE: usize = 24;

/// One thing that a flow matches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// `ipv4`, `udp`, `in_port`; what is within another, as `encap.ipv4`.
    group: String,
    /// `src`; empty where the group is the field.
    name: String,
    value: String,
    /// None: all of it must be so.
    mask: Option<String>,
}

impl Field {
    fn new(group: &str, name: &str, text: &str) -> Self {
        // Of an IPv6 address or a number only the part behind the last slash is a mask.
        let (value, mask) = match text.rsplit_once('/') {
            Some((value, mask)) => (value, Some(mask.to_owned())),
            None => (text, None),
        };
        Self { group: group.to_owned(), name: name.to_owned(), value: value.to_owned(), mask }
    }

    /// Whether its mask lets everything through.
    fn is_open(&self) -> bool {
        let zero = |mask: &String| mask.trim_start_matches("0x").chars().all(|c| matches!(c, '0' | '.' | ':'));
        self.mask.as_ref().is_some_and(zero)
    }

    fn full_name(&self) -> String {
        if self.name.is_empty() { self.group.clone() } else { format!("{} {}", self.group, self.name) }
    }
}

/// The lines of an answer, at most `columns` wide where a field is not longer.
pub fn lines(theme: &Theme, words: &str, columns: usize) -> Lines {
    let mut lines: Lines = Vec::new();
    for line in words.lines().filter(|line| !line.trim().is_empty()) {
        let parts = split_top(line.trim());
        let at = parts.iter().position(|part| part.starts_with("actions:")).unwrap_or(parts.len());
        let (matched, actions) = parts.split_at(at);
        let (counts, matched): (Vec<&String>, Vec<&String>) = matched.iter().partition(|part| is_count(part));
        let mut fields = Vec::new();
        for part in matched.into_iter().filter(|part| !part.starts_with("ufid:")) {
            read(part, "", &mut fields);
        }
        push_fields(theme, &fields, &mut lines);
        let open: Vec<String> = fields.iter().filter(|field| field.is_open()).map(Field::full_name).collect();
        if !open.is_empty() {
            push(&mut lines, "any", &open.join(", "), columns, (theme.quiet, theme.quiet));
        }
        let actions: Vec<&str> =
            actions.iter().map(|part| part.strip_prefix("actions:").unwrap_or(part).trim()).collect();
        for (i, action) in actions.iter().enumerate() {
            push(&mut lines, if i == 0 { "actions" } else { "" }, action, columns, (theme.heading, theme.strong));
        }
        let counts: Vec<String> = counts.into_iter().map(|count| count.replacen(':', " ", 1)).collect();
        if !counts.is_empty() {
            push(&mut lines, "counts", &counts.join(" · "), columns, (theme.quiet, theme.quiet));
        }
    }
    lines
}

fn is_count(part: &str) -> bool {
    ["packets:", "bytes:", "used:", "flags:", "dp:", "offloaded:", "dp-extra-info:"]
        .iter()
        .any(|name| part.starts_with(name))
}

fn push_fields(theme: &Theme, fields: &[Field], lines: &mut Lines) {
    let mut before = "";
    for field in fields.iter().filter(|field| !field.is_open()) {
        let group = if field.group == before { "" } else { &field.group };
        let mask = field.mask.as_deref().unwrap_or("exact");
        lines.push(vec![
            (format!("   {group:<GROUP$} {:<NAME$} ", field.name), theme.quiet),
            (format!("{:<VALUE$}", field.value), theme.strong),
            (format!("  {mask}"), if field.mask.is_some() { theme.text } else { theme.quiet }),
        ]);
        before = &field.group;
    }
}

fn push(lines: &mut Lines, name: &str, words: &str, columns: usize, (of_name, of_words): (Style, Style)) {
    for (i, line) in text::wrap(words, columns.saturating_sub(GROUP + 6)).into_iter().enumerate() {
        let name = if i == 0 { name } else { "" };
        lines.push(vec![(format!("   {name:<GROUP$} "), of_name), (line, of_words)]);
    }
}

/// Reads a part of a match, `in_port(2)` or `ipv4(src=1.2.3.4/255.0.0.0,frag=no)`; what is in no parentheses is a field as
/// it stands.
fn read(part: &str, outer: &str, fields: &mut Vec<Field>) {
    let Some((name, inner)) = part.split_once('(').and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)))
    else {
        let (name, value) = part.split_once('=').unwrap_or(("", part));
        fields.push(Field::new(if outer.is_empty() { "other" } else { outer }, name, value));
        return;
    };
    let group = if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") };
    let parts = split_top(inner);
    if parts.is_empty() {
        fields.push(Field::new(&group, "", inner));
    }
    for part in parts {
        match part.split_once('=') {
            // A value may have parentheses of its own, as a tunnel's options do.
            Some((name, value)) if !name.contains(['(', '{']) => fields.push(Field::new(&group, name, value)),
            _ if part.contains('(') && part.ends_with(')') => read(&part, &group, fields),
            _ => fields.push(Field::new(&group, "", &part)),
        }
    }
}

/// Parts of a flow's text between the commas that stand in no parentheses.
fn split_top(words: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0i32;
    for c in words.chars() {
        depth += match c {
            '(' | '{' | '[' => 1,
            ')' | '}' | ']' => -1,
            _ => 0,
        };
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::Choice;

    fn plain(words: &str) -> Vec<String> {
        let line = |line: &Vec<(String, Style)>| line.iter().map(|(words, _)| words.as_str()).collect::<String>();
        let lines = lines(&Theme::new(Choice::Mono), words, 80);
        lines.iter().map(|pieces| line(pieces).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn a_megaflow_is_a_field_a_line_with_its_mask() {
        let words = "ufid:00000000-0000-0000-0000-000000000001, recirc_id(0),dp_hash(0/0),in_port(2),\
             eth(src=02:00:00:00:00:01,dst=00:00:00:00:00:00/00:00:00:00:00:00),ipv4(src=1.2.3.4/255.255.0.0,\
             dst=9.9.9.9/0.0.0.0,frag=no),udp(dst=4096/0xf000), packets:0, used:never, actions:set(a(b,c)),3";
        assert_eq!(
            plain(words),
            [
                "recirc_id 0 exact",
                "in_port 2 exact",
                "eth src 02:00:00:00:00:01 exact",
                "ipv4 src 1.2.3.4 255.255.0.0",
                "frag no exact",
                "udp dst 4096 0xf000",
                "any dp_hash, eth dst, ipv4 dst",
                "actions set(a(b,c))",
                "3",
                "counts packets 0 · used never",
            ]
        );
    }

    #[test]
    fn what_is_within_another_field_says_where() {
        let words = "tunnel(tun_id=0x5/0x5,geneve({class=0x102,type=0x80,len=4,0x1}),flags(-df+csum+key)),\
                     encap(eth_type(0x0800),ipv4(frag=no)), actions:drop";
        assert_eq!(
            plain(words),
            [
                "tunnel tun_id 0x5 0x5",
                "tunnel.geneve {class=0x102,type=0x80,len=4,0x1} exact",
                "tunnel.flags -df+csum+key exact",
                "encap.eth_type 0x0800 exact",
                "encap.ipv4 frag no exact",
                "actions drop",
            ]
        );
        assert_eq!(split_top(")),a"), ["))", "a"]);
    }

    proptest! {
        #[test]
        fn any_answer_is_laid_out(words in "[a-z(){}=,/:.0 \n]{0,60}|\\PC{0,40}", columns in 0usize..100) {
            let _ = lines(&Theme::new(Choice::Mono), &words, columns);
        }
    }
}
