//! Text on its way to the terminal: made harmless, measured in columns, cut and wrapped.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthChar;

/// `c` as it may go to a terminal, and its width in columns (1 or 2). What is not printable becomes `?`: control
/// characters and escape sequences, what reverses or hides text, what takes no column of its own, as it would put
/// every count of columns wrong, and what terminals do not agree on.
pub fn harmless(c: char) -> (char, usize) {
    match c.width() {
        Some(width @ 1..) if !(c.is_control() || reorders(c) || right_to_left(c) || disputed(c) || joins(c)) => {
            (c, width)
        }
        _ => ('?', 1),
    }
}

/// Whether `c` changes the direction of the text around it (Unicode's `Bidi_Control`) or ends a line.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether `c` is written from right to left (Unicode's blocks of classes R, AL and AN: Hebrew, Arabic and their
/// neighbours, and their forms for presentation). A terminal that knows how would lay out the whole line another way.
fn right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

/// Whether some terminals give `c` other columns than others, by what stands before it: the letters that make flags, the
/// colours of skin; and what stands for bytes that are no text.
fn disputed(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{fffd}')
}

/// Whether `c` becomes one with what stands before it or behind it, though it has columns of its own: some vowels of
/// India's scripts, the marks of halfwidth katakana. It would be drawn into its neighbour's cell.
fn joins(c: char) -> bool {
    // Nothing there does, and nearly all text is of these.
    if matches!(c, '\0'..='\u{2ff}' | '\u{2000}'..='\u{2bff}') {
        return false;
    }
    let between = String::from_iter(['a', c, 'a']);
    between.graphemes(true).count() < 3
}

/// `text` without anything that could steer the terminal. Every text that is drawn goes through this, once, whether
/// it comes from outside or not.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| harmless(c).0).collect()
}

/// How many columns [`clean`] text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| harmless(c).1).sum()
}

/// The part of `text` that fits into `columns`; `…` stands for what does not.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return clean(text);
    }
    if columns == 0 {
        return String::new();
    }
    let mut out = String::new();
    let mut used = 0;
    for (c, w) in text.chars().map(harmless) {
        if used + w > columns - 1 {
            break;
        }
        out.push(c);
        used += w;
    }
    out.push('…');
    out
}

/// The part of `text` that fits into `columns`, as [`fit`], but of whole words and numbers: half a number would mislead.
/// What has no place to break at in its later half is cut within a word.
pub fn fit_words(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return clean(text);
    }
    let mut used = 0;
    let mut before = ' ';
    let mut place = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        // ` …` comes after it.
        if used + 2 > columns {
            break;
        }
        let in_number =
            before.is_ascii_digit() && chars.peek().is_some_and(|(_, next)| next.is_ascii_digit() || *next == '%');
        if c == ' ' && !in_number && used * 2 >= columns {
            place = Some(at);
        }
        used += harmless(c).1;
        before = c;
    }
    match place {
        Some(place) => format!("{} …", clean(text[..place].trim_end_matches([' ', ',', ';', ':']))),
        None => fit(text, columns),
    }
}

/// `text` in lines of at most `columns`, broken at spaces and after commas, or within a word that is longer than a
/// line; `17 240` and `98 %` are one word. Its own line ends are kept. At least one column is taken for granted.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for word in words(paragraph) {
            // The space behind a word may hang over the end.
            if used > 0 && used + width(word.trim_end()) > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            for (c, w) in word.chars().map(|c| if c == '\t' { (' ', 1) } else { harmless(c) }) {
                if used + w > columns {
                    if c == ' ' {
                        continue;
                    }
                    if used > 0 {
                        lines.push(std::mem::take(&mut line));
                        used = 0;
                    }
                }
                line.push(c);
                used += w;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The words of a line, each with the space, the tab or the comma behind it.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let bytes = line.as_bytes();
    let mut begin = 0;
    std::iter::from_fn(move || {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let in_number = |at: usize| at > 0 && digit(at - 1) && (digit(at + 1) || bytes.get(at + 1) == Some(&b'%'));
        let ends = |at: &usize| match bytes[*at] {
            b' ' => !in_number(*at),
            byte => matches!(byte, b',' | b'\t'),
        };
        let rest = begin..bytes.len();
        if rest.is_empty() {
            return None;
        }
        let end = rest.clone().find(ends).map_or(rest.end, |at| at + 1);
        let word = &line[begin..end];
        begin = end;
        Some(word)
    })
}

/// What this program draws beyond ASCII, and what stands for it in ASCII, one for one.
const ASCII: [(char, char); 29] = [
    ('▁', '_'),
    ('▂', '.'),
    ('▃', ':'),
    ('▄', '-'),
    ('▅', '='),
    ('▆', '+'),
    ('▇', '*'),
    ('░', '.'),
    ('▒', ':'),
    ('▓', '+'),
    ('█', '#'),
    ('━', '='),
    ('╸', '-'),
    ('─', '-'),
    ('│', '|'),
    ('┌', '+'),
    ('└', '+'),
    ('▲', '!'),
    ('▼', 'v'),
    ('▸', '>'),
    ('●', '*'),
    ('○', 'o'),
    ('◐', '~'),
    ('→', '>'),
    ('←', '<'),
    ('↑', '^'),
    ('↓', 'v'),
    ('…', '~'),
    ('·', '|'),
];

/// The nearest ASCII character for one that this program draws; `?` for any other.
pub fn ascii(c: char) -> char {
    match c {
        ' '..='~' => c,
        'µ' => 'u',
        '–' => '-',
        '×' => 'x',
        other => ASCII.iter().find(|(from, _)| *from == other).map_or('?', |(_, to)| *to),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_and_reversals_do_not_get_through() {
        assert_eq!(clean("a\x1b[31mb\u{9b}2J\r\n\u{202e}c\u{200b}"), "a?[31mb?2J???c?");
        assert_eq!(clean("🇩🇪\u{fffd}👍🏽"), "???👍?");
        assert_eq!(clean("a\u{ff9e} \u{ff9f}\u{903}ｱ각"), "a? ??ｱ각");
        assert_eq!(clean("p\u{5d0}\u{5d1}1\u{661}é網"), "p??1?é網");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(fit("handler3", 8), "handler3");
        assert_eq!(fit("handler30", 8), "handler…");
        assert_eq!(fit("網網網", 4), "網…");
        assert_eq!(fit("ab", 0), "");
    }

    #[test]
    fn what_is_cut_ends_with_a_whole_word_or_number() {
        assert_eq!(fit_words("1 199 upcalls/s, 100 % from p4_l", 24), "1 199 upcalls/s, 100 % …");
        assert_eq!(fit_words("1 199 upcalls/s, 100 % from p4_l", 23), "1 199 upcalls/s …");
        assert_eq!(fit_words("of new flows 10 287 differ", 18), "of new flows …");
        assert_eq!(fit_words("of new flows 10 287 differ", 26), "of new flows 10 287 differ");
        assert_eq!(fit_words("move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[]", 20), "move:NXM_OF_UDP_SRC…");
        assert_eq!(fit_words("ab", 0), "");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("to be or not", 6), ["to be", "or not"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("ipv4(src=1,dst=2)", 12), ["ipv4(src=1,", "dst=2)"]);
        assert_eq!(wrap("of 17 240 new", 8), ["of", "17 240", "new"]);
        assert_eq!(wrap("  indented a", 10), ["  indented", "a"]);
        assert_eq!(wrap("a\n\nb", 3), ["a", "", "b"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked(text in "\\PC*|.*", columns in 1usize..40) {
            prop_assert!(width(&fit(&text, columns)) <= columns);
            prop_assert!(width(&fit_words(&text, columns)) <= columns);
            for line in wrap(&text, columns.max(2)) {
                prop_assert!(width(&line) <= columns.max(2));
            }
            prop_assert!(!clean(&text).chars().any(char::is_control));
        }
    }
}
