//! Text on its way to the clipboard of the terminal that the user sits at, over any number of ssh: OSC 52.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The most bytes of text: encoded they are well below what xterm takes (100 000), and a slow line transfers them in a moment.
pub const MOST: usize = 32 << 10;
/// Bytes of a string that GNU screen passes on in one piece (`MAXSTR` is 768 in screen 4, 256 in older ones).
const SCREEN_PIECE: usize = 200;

/// What is between the program and the terminal, and how a sequence gets through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clipboard {
    /// Nothing.
    Terminal,
    /// tmux: it takes the sequence itself (`set-clipboard on`) or passes it on (`allow-passthrough on`), so it is sent in both
    /// ways; what tmux does not take it drops.
    Tmux,
    /// GNU screen, or a tmux whose TERM says screen, as ssh and sudo pass on nothing but TERM. Both are served: each drops what
    /// is meant for the other.
    Screen,
}

impl Clipboard {
    /// As the environment says, which `var` reads.
    pub fn for_terminal(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| var(name).is_some_and(|value| !value.is_empty());
        let term = var("TERM").unwrap_or_default();
        match () {
            () if set("TMUX") || term.starts_with("tmux") => Self::Tmux,
            () if set("STY") || term.starts_with("screen") => Self::Screen,
            () => Self::Terminal,
        }
    }

    /// The bytes that put `text` on the clipboard. The text is not shortened: call [`bounded`] first.
    pub fn sequence(self, text: &str) -> Vec<u8> {
        // Ended by BEL: ESC \ would end the wrapping as well.
        let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
        match self {
            Self::Terminal => plain.into_bytes(),
            Self::Tmux => format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")).into_bytes(),
            Self::Screen => {
                let mut bytes = plain.clone().into_bytes();
                for piece in plain.as_bytes().chunks(SCREEN_PIECE) {
                    bytes.extend_from_slice(b"\x1bP");
                    bytes.extend_from_slice(piece);
                    bytes.extend_from_slice(b"\x1b\\");
                }
                bytes
            }
        }
    }
}

/// As many whole lines of `text` as fit into [`MOST`] bytes, and whether that is all.
pub fn bounded(text: &str) -> (&str, bool) {
    if text.len() <= MOST {
        return (text, true);
    }
    let end = text.as_bytes()[..MOST].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (&text[..end], false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&'static str, &'static str)]) -> Clipboard {
        Clipboard::for_terminal(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_stands_between_is_known_by_the_environment() {
        assert_eq!(env(&[("TERM", "xterm-256color")]), Clipboard::Terminal);
        assert_eq!(env(&[("TERM", "screen-256color"), ("TMUX", "/tmp/tmux-0/default,1,0")]), Clipboard::Tmux);
        assert_eq!(env(&[("TERM", "tmux-256color")]), Clipboard::Tmux);
        assert_eq!(env(&[("TERM", "xterm"), ("STY", "1.pts-0.host")]), Clipboard::Screen);
        assert_eq!(env(&[("TERM", "screen")]), Clipboard::Screen);
        assert_eq!(env(&[]), Clipboard::Terminal);
    }

    #[test]
    fn each_gets_it_as_it_takes_it() {
        assert_eq!(Clipboard::Terminal.sequence("p1_l"), b"\x1b]52;c;cDFfbA==\x07");
        let tmux = b"\x1b]52;c;cDFfbA==\x07\x1bPtmux;\x1b\x1b]52;c;cDFfbA==\x07\x1b\\";
        assert_eq!(Clipboard::Tmux.sequence("p1_l"), tmux);
        let text = "x".repeat(1000);
        let screen = String::from_utf8(Clipboard::Screen.sequence(&text)).expect("text");
        let (plain, wrapped) = screen.split_once("\x1bP").expect("wrapped");
        let pieces: Vec<&str> = wrapped.split("\x1b\\\x1bP").collect();
        assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= SCREEN_PIECE + 2), "{pieces:?}");
        assert_eq!(pieces.concat().trim_end_matches("\x1b\\"), plain);
    }

    #[test]
    fn what_is_too_long_is_cut_between_lines() {
        assert_eq!(bounded("a\nb\n"), ("a\nb\n", true));
        let long = "é".repeat(60) + "\n";
        let text = long.repeat(1000);
        let (kept, whole) = bounded(&text);
        assert!(!whole && kept.len() <= MOST && kept.len() > MOST - long.len() && kept.ends_with('\n'));
    }
}
