//! Texts that are nested lists: splits them at the commas outside all parentheses, and writes them.

use std::fmt;

/// The parts between the commas that are outside all parentheses, unchanged; of an empty text none.
pub fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        parts.push(&text[begin..]);
    }
    parts
}

/// The name and the inner text of `name(inner)`; none where the last parenthesis does not close the first.
pub fn call(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    let mut depth = 0i32;
    for c in inner.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return None;
        }
    }
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (is_name && depth == 0).then_some((name, inner))
}

/// Writes items with commas between them.
pub fn comma<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(i, item)| write!(f, "{}{item}", if i == 0 { "" } else { "," }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_parentheses_part_nothing() {
        assert_eq!(split("a(b,c),d={e,f},,g"), ["a(b,c)", "d={e,f}", "", "g"]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("))a,b"), ["))a", "b"]);
    }

    #[test]
    fn a_call_has_its_own_parentheses_at_its_end() {
        assert_eq!(call("ct(commit,nat(src))"), Some(("ct", "commit,nat(src)")));
        assert_eq!(call("eth()"), Some(("eth", "")));
        for none in ["a", "a(b", "a(b)c", "a(b),c(d)", "(a)", "a b(c)", "a())("] {
            assert_eq!(call(none), None, "{none}");
        }
    }
}
