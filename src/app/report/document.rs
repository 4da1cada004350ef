//! A document of headings, fields, tables and quotes, as text of 80 columns and as Markdown. Its content may come from outside:
//! none of it can control a terminal or is taken for markup.

use std::fmt::Write as _;

use crate::ui::{
    clean,
    text::{width, wrap},
};

/// Columns of the text.
const COLUMNS: usize = 80;
/// The indentation below a heading.
const INDENT: usize = 2;
/// Columns of a field's name.
const NAME: usize = 12;

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Begins the document, or with a level above 0 a section.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// Names and values.
    Fields(Vec<(&'static str, String)>),
    /// Rows under headings: the first column is text, the others are numbers.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    /// A quotation, line by line.
    Quote(String),
}

/// At most 80 columns wide.
pub fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    let indent = " ".repeat(INDENT);
    for block in blocks {
        match block {
            Block::Heading(level, words) => {
                let words = clean(words);
                let line = if *level > 0 { String::new() } else { format!("{}\n", "=".repeat(width(&words))) };
                let before = if out.is_empty() { "" } else { "\n" };
                let _ = write!(out, "{before}{words}\n{line}");
            }
            Block::Text(words) => lines(&mut out, &indent, &indent, &wrap(words, COLUMNS - INDENT)),
            Block::Quote(words) => {
                let indent = " ".repeat(2 * INDENT);
                lines(&mut out, &indent, &indent, &wrap(words, COLUMNS - 2 * INDENT));
            }
            Block::Fields(fields) => {
                for (name, value) in fields {
                    let first = format!("{indent}{name:<NAME$} ");
                    let rest = " ".repeat(INDENT + NAME + 1);
                    lines(&mut out, &first, &rest, &wrap(value, COLUMNS - INDENT - NAME - 1));
                }
            }
            Block::Table(heads, rows) => table(&mut out, heads, rows),
        }
    }
    out
}

fn lines(out: &mut String, first: &str, rest: &str, words: &[String]) {
    if words.is_empty() {
        let _ = writeln!(out, "{}", first.trim_end());
    }
    for (i, line) in words.iter().enumerate() {
        let before = if i == 0 { first } else { rest };
        let _ = writeln!(out, "{}", format!("{before}{line}").trim_end());
    }
}

fn table(out: &mut String, heads: &[&'static str], rows: &[Vec<String>]) {
    let cell = |row: &[String], i: usize| row.get(i).map_or(0, |cell| width(cell));
    let wide = |i: usize| rows.iter().map(|row| cell(row, i)).max().unwrap_or(0).max(width(heads[i]));
    let numbers: Vec<usize> = (1..heads.len()).map(wide).collect();
    let taken: usize = numbers.iter().map(|n| n + 2).sum();
    let first = wide(0).min(COLUMNS.saturating_sub(INDENT + taken)).max(8);
    let mut line = |words: &str, rest: &[String]| {
        let words = wrap(words, first);
        let fill = first.saturating_sub(words.first().map_or(0, |words| width(words)));
        let mut row = format!("{:INDENT$}{}{:fill$}", "", words.first().map_or("", String::as_str), "");
        for (number, wide) in rest.iter().zip(&numbers) {
            let number = clean(number);
            let fill = 2 + wide.saturating_sub(width(&number));
            let _ = write!(row, "{:fill$}{number}", "");
        }
        let _ = writeln!(out, "{}", row.trim_end());
        for more in words.iter().skip(1) {
            let _ = writeln!(out, "{:INDENT$}  {more}", "");
        }
    };
    let titles: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    line(&titles[0], &titles[1..]);
    for row in rows {
        line(row.first().map_or("", String::as_str), row.get(1..).unwrap_or_default());
    }
}

/// As Markdown, in GitHub's flavour.
pub fn markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match block {
            Block::Heading(level, words) => {
                let _ = writeln!(out, "{} {}", "#".repeat(2 + usize::from(*level)), literal(words));
            }
            Block::Text(words) => {
                let _ = writeln!(out, "{}", literal(words));
            }
            Block::Quote(words) => {
                for line in words.lines() {
                    let _ = writeln!(out, "    {}", clean(line));
                }
            }
            Block::Fields(fields) => {
                for (name, value) in fields {
                    let _ = writeln!(out, "- **{name}**: {}", literal(value));
                }
            }
            Block::Table(heads, rows) => {
                let numbers = "---:|".repeat(heads.len().saturating_sub(1));
                let _ = writeln!(out, "| {} |\n|---|{numbers}", heads.join(" | "));
                for row in rows {
                    let cells: Vec<String> = row.iter().map(|cell| literal(cell)).collect();
                    let _ = writeln!(out, "| {} |", cells.join(" | "));
                }
            }
        }
    }
    out
}

/// Text escaped so that none of it is markup, on one line.
fn literal(words: &str) -> String {
    let one_line = words.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(one_line.len());
    for c in clean(&one_line).chars() {
        if "\\`*_[]<>|~#&!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks(words: &str) -> Vec<Block> {
        vec![
            Block::Heading(0, "report".to_owned()),
            Block::Text(words.to_owned()),
            Block::Fields(vec![("host", words.to_owned())]),
            Block::Table(
                vec!["who", "upcalls", "lost"],
                vec![vec![words.to_owned(), "1 234".to_owned(), "5".to_owned()]],
            ),
            Block::Quote(words.to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn text_is_never_wider_than_80_columns_and_steers_no_terminal(words in "\\PC{0,300}|.{0,300}") {
            for line in text(&blocks(&words)).lines() {
                prop_assert!(width(line) <= COLUMNS, "{}", line);
                prop_assert_eq!(clean(line), line);
            }
        }
    }

    #[test]
    fn what_is_from_outside_is_no_markup() {
        let out = markdown(&blocks("a|b <img> `c` [d](e)\n# f"));
        assert!(out.contains("| a\\|b \\<img\\> \\`c\\` \\[d\\](e) \\# f | 1 234 | 5 |"), "{out}");
        assert!(out.contains("\n    a|b <img> `c` [d](e)\n    # f\n"), "{out}");
    }

    #[test]
    fn a_long_name_goes_on_below_itself() {
        let name = format!("{} end", "word ".repeat(20).trim_end());
        let out = text(&[Block::Table(vec!["name", "n"], vec![vec![name, "7".to_owned()]])]);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{out}");
        assert!(lines[1].ends_with(" 7") && lines[2].ends_with("word end"), "{out}");
    }
}
