//! Which packets and upcalls are recorded one by one: `-f` on a packet's bytes, in the syntax of pcap-filter(7), and
//! `--where` on what Open vSwitch knows of it.
//!
//! Both become classic BPF programs that bpf/interpret.h runs in the kernel. `-f` is compiled by libpcap ([`bytes`]);
//! `--where` is parsed here ([`Where::parse`]), its names are looked up among the host's ([`Where::resolve`]), and it is
//! compiled once for each place where it is applied ([`Programs::of`]).

pub mod bytes;
pub mod classic;
mod compile;
mod field;
mod parse;
mod reason;
mod resolve;

pub use compile::{Programs, Unreachable};
pub use field::{DP_WORD, FIELDS, Field, Place, UFID_LEN_WORD};
pub use parse::{Expr, Op, Value, Where};
pub use resolve::{Condition, Known, datapath};

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The first byte that is wrong; the expression's length where the end is.
    pub at: usize,
    /// How many bytes are.
    pub len: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Wrong {
    /// The expression with a mark below the place, and the reason.
    pub fn shown(&self, text: &str) -> String {
        // A character that has no width, or that controls the terminal, would move the mark.
        let visible: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let width = |part: &str| part.chars().map(|c| unicode_width::UnicodeWidthChar::width(c).unwrap_or(1)).sum();
        let end = text.len().min(self.at.saturating_add(self.len));
        let before: usize = text.get(..self.at).map_or(0, width);
        let marked: usize = text.get(self.at..end).map_or(1, width);
        format!("\n  {visible}\n  {:before$}{} {}", "", "^".repeat(marked.max(1)), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_below_what_is_wrong() {
        let wrong = Wrong { at: 4, len: 3, why: "unknown".to_owned() };
        assert_eq!(wrong.shown("a = bcd"), "\n  a = bcd\n      ^^^ unknown");
        let wrong = Wrong { at: 9, len: 0, why: "more".to_owned() };
        assert_eq!(wrong.shown("comm = é"), "\n  comm = é\n          ^ more");
        let wrong = Wrong { at: 0, len: 1, why: "no".to_owned() };
        assert_eq!(wrong.shown("\u{1b}[31m"), "\n  ?[31m\n  ^ no");
    }
}
