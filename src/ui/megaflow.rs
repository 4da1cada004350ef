//! `dpctl/get-flow`'s answer made readable: a field a line with its mask, then the actions, then the counts.

use ratatui::style::Style;

use super::{Lines, Theme, text};
use crate::ovs_text::{FlowText, Item, Masked, Part, Value};

/// Columns of a field's group, of its name, and of its value before the mask.
const GROUP: usize = 11;
const NAME: usize = 7;
const VALUE: usize = 24;

/// One thing that a flow matches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// `ipv4`, `udp`, `in_port`; what is within another, as `encap.ipv4`; `other` where it is not understood.
    group: String,
    /// `src`; empty where the group is the field.
    name: String,
    of: Masked,
}

impl Field {
    fn full_name(&self) -> String {
        if self.name.is_empty() { self.group.clone() } else { format!("{} {}", self.group, self.name) }
    }
}

/// The lines of an answer, at most `columns` wide where a field is not longer.
pub fn lines(theme: &Theme, words: &str, columns: usize) -> Lines {
    let mut lines: Lines = Vec::new();
    for line in words.lines().filter(|line| !line.trim().is_empty()) {
        let flow = FlowText::read(line.trim());
        let mut fields = Vec::new();
        flow.key.0.iter().for_each(|part| read(part, "", &mut fields));
        push_fields(theme, &fields, &mut lines);
        let open: Vec<String> = fields.iter().filter(|field| field.of.is_open()).map(Field::full_name).collect();
        if !open.is_empty() {
            push(&mut lines, "any", &open.join(", "), columns, (theme.quiet, theme.quiet));
        }
        for (i, action) in flow.actions.iter().flatten().enumerate() {
            let words = action.to_string();
            push(&mut lines, if i == 0 { "actions" } else { "" }, &words, columns, (theme.heading, theme.strong));
        }
        let counts: Vec<String> = flow.counts.iter().flatten().map(|(name, said)| format!("{name} {said}")).collect();
        if !counts.is_empty() {
            push(&mut lines, "counts", &counts.join(" · "), columns, (theme.quiet, theme.quiet));
        }
    }
    lines
}

fn push_fields(theme: &Theme, fields: &[Field], lines: &mut Lines) {
    let mut before = "";
    for field in fields.iter().filter(|field| !field.of.is_open()) {
        let group = if field.group == before { "" } else { &field.group };
        let mask = field.of.mask.as_ref().map_or_else(|| "exact".to_owned(), ToString::to_string);
        lines.push(vec![
            (format!("   {group:<GROUP$} {:<NAME$} ", field.name), theme.quiet),
            (format!("{:<VALUE$}", field.of.value.to_string()), theme.strong),
            (format!("  {mask}"), if field.of.mask.is_some() { theme.text } else { theme.quiet }),
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

/// The fields of a part, each by itself; `outer` is what it is within.
fn read(part: &Part, outer: &str, fields: &mut Vec<Field>) {
    let mut push = |group: String, name: &str, of: Masked| fields.push(Field { group, name: name.to_owned(), of });
    let within = |group: &str| if outer.is_empty() { group.to_owned() } else { format!("{outer}.{group}") };
    let as_it_is = |text: &str| Masked { value: Value::Word(text.to_owned()), mask: None };
    match part {
        Part::Single(group, of) => push(within(group.name()), "", of.clone()),
        Part::Fields(group, items) => {
            let group = within(group.name());
            if items.is_empty() {
                push(group.clone(), "", as_it_is(""));
            }
            for item in items {
                match item {
                    Item::Field(name, of) => push(group.clone(), name, of.clone()),
                    Item::Option(name, text) => push(format!("{group}.{name}"), "", as_it_is(text)),
                    Item::Unknown(text) => push(format!("{group}.other"), "", as_it_is(text)),
                }
            }
        }
        Part::Encap(parts) => parts.iter().for_each(|part| read(part, &within("encap"), fields)),
        Part::Unknown(text) => push(within("other"), "", as_it_is(text)),
    }
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
    }

    proptest! {
        #[test]
        fn any_answer_is_laid_out(words in "[a-z(){}=,/:.0 \n]{0,60}|\\PC{0,40}", columns in 0usize..100) {
            let _ = lines(&Theme::new(Choice::Mono), &words, columns);
        }
    }
}
