//! Cuts the bytes of the control socket into replies.

use serde::Deserialize;
use serde_json::Value;

/// The longest reply that is taken, in bytes. The longest that this program asks for are a flow with thousands of
/// actions and the list of commands: some hundred and some ten kilobytes.
pub const MAX_REPLY: usize = 4 << 20;

/// One answer of the daemon (JSON-RPC 1.0, RFC 7047 section 4, and `lib/unixctl.c`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The request it answers.
    pub id: u64,
    /// The command's text, or the text of its error. From outside: may hold anything but bytes that are no UTF-8,
    /// which are U+FFFD here.
    pub answer: Result<String, String>,
}

/// Bytes that are no reply. The connection they came from cannot be used any more: where the next reply begins is
/// not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No JSON object where one should begin.
    #[error("a byte 0x{0:02x} where a JSON object should begin")]
    NotAnObject(u8),
    /// An object that is no JSON, or is no reply.
    #[error("a JSON object that is no reply: {0}")]
    NotAReply(String),
    /// More than [`MAX_REPLY`] bytes in one object.
    #[error("a reply of more than {MAX_REPLY} bytes")]
    TooLong,
}

/// Takes bytes in any pieces and gives replies. Objects follow each other with neither length nor newline between
/// them, so their ends are found by counting braces outside of strings; each byte is looked at once.
#[derive(Debug, Default)]
pub struct Framer {
    /// From the first byte of the object that is being read, or of what is before it.
    buffer: Vec<u8>,
    /// So many of `buffer` are behind us.
    scanned: usize,
    /// Braces and brackets that are open; 0 between objects.
    depth: usize,
    string: Quote,
    broken: Option<FrameError>,
}

/// Where a byte stands towards JSON's strings.
#[derive(Debug, Default, Clone, Copy)]
enum Quote {
    #[default]
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Framer {
    /// Takes the next bytes. What is not yet given out by [`Self::next_reply`] is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole reply; none until more bytes come. After an error there is only that error.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.cut().inspect_err(|error| {
            self.broken = Some(error.clone());
            self.buffer = Vec::new();
        })
    }

    fn cut(&mut self) -> Result<Option<Reply>, FrameError> {
        if self.depth == 0 {
            let blank = self.buffer.iter().take_while(|b| b.is_ascii_whitespace()).count();
            self.buffer.drain(..blank);
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'{') => {}
                Some(&other) => return Err(FrameError::NotAnObject(other)),
            }
        }
        while let Some(&byte) = self.buffer.get(self.scanned) {
            if self.scanned == MAX_REPLY {
                return Err(FrameError::TooLong);
            }
            self.scanned += 1;
            match (self.string, byte) {
                (Quote::Outside, b'{' | b'[') => self.depth += 1,
                (Quote::Outside, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let end = std::mem::take(&mut self.scanned);
                        let reply = read(&self.buffer[..end])?;
                        self.buffer.drain(..end);
                        return Ok(Some(reply));
                    }
                }
                (Quote::Outside, b'"') | (Quote::Escaped, _) => self.string = Quote::Inside,
                (Quote::Inside, b'"') => self.string = Quote::Outside,
                (Quote::Inside, b'\\') => self.string = Quote::Escaped,
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Up to OVS 3.1 and later an error's reply has no `result` at all, others have a null there.
#[derive(Deserialize)]
struct Wire {
    id: u64,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Value,
}

fn read(object: &[u8]) -> Result<Reply, FrameError> {
    let no_reply = |why: &dyn ToString| FrameError::NotAReply(why.to_string());
    // The daemon copies names into its texts as they are, and they need not be UTF-8.
    let wire: Wire = serde_json::from_str(&String::from_utf8_lossy(object)).map_err(|e| no_reply(&e))?;
    let answer = match (wire.result, wire.error) {
        (_, Value::String(error)) => Err(error),
        (Value::String(text), Value::Null) => Ok(text),
        _ => return Err(no_reply(&"neither a text nor an error's text")),
    };
    Ok(Reply { id: wire.id, answer })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    type Outcome = (Vec<Reply>, Option<FrameError>);

    /// Everything a framer says of these pieces, up to its first error.
    fn all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let (mut framer, mut replies) = (Framer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
            loop {
                match framer.next_reply() {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(framer.next_reply(), Err(error.clone()), "an error stays");
                        return (replies, Some(error));
                    }
                }
            }
        }
        (replies, None)
    }

    fn bytes_of(replies: &[Reply]) -> Vec<u8> {
        let objects = replies.iter().map(|reply| match &reply.answer {
            Ok(text) => json!({"id": reply.id, "result": text, "error": null}),
            Err(text) if reply.id % 2 == 0 => json!({"id": reply.id, "error": text}),
            Err(text) => json!({"id": reply.id, "result": null, "error": text}),
        });
        objects.map(|object| object.to_string()).collect::<String>().into_bytes()
    }

    /// Cuts bytes at places given as shares of their length.
    fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    fn replies() -> impl Strategy<Value = Vec<Reply>> {
        let text = "(\\PC|[{}\\[\\]\"\\\\\n\t\u{0}\u{1b}]){0,40}";
        let one = (any::<u64>(), prop::result::maybe_ok(text, text)).prop_map(|(id, answer)| Reply { id, answer });
        prop::collection::vec(one, 0..6)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_replies(
            replies in replies(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = bytes_of(&replies);
            prop_assert_eq!(all(pieces(&bytes, &cuts)), (replies, None));
        }

        #[test]
        fn garbage_gives_the_same_in_any_split_and_no_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\"\\:, 1ae"[..])], 0..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let whole = all([&bytes[..]]);
            prop_assert_eq!(all(pieces(&bytes, &cuts)), whole);
        }

        #[test]
        fn a_reply_with_a_changed_byte_is_that_reply_another_or_an_error(
            replies in replies(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = bytes_of(&replies);
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            prop_assert!(all([&bytes[..]]).0.len() <= replies.len());
        }
    }

    #[test]
    fn what_open_vswitch_3_1_writes_is_read() {
        let text =
            &br#"{"id":1,"result":"ovs-vswitchd (Open vSwitch) 3.1.0\n","error":null}{"id":2,"error":"no\n"}"#[..];
        let ok = Reply { id: 1, answer: Ok("ovs-vswitchd (Open vSwitch) 3.1.0\n".to_owned()) };
        assert_eq!(all([text]), (vec![ok, Reply { id: 2, answer: Err("no\n".to_owned()) }], None));
    }

    #[test]
    fn a_text_that_is_no_utf8_is_read_with_a_mark_in_it() {
        let (replies, error) = all([&b"{\"id\":1,\"result\":\"port \xff\"}"[..]]);
        assert_eq!((&replies[0].answer, error), (&Ok("port \u{fffd}".to_owned()), None));
    }

    #[test]
    fn what_is_no_reply_says_so() {
        let refused = |text: &str| all([text.as_bytes()]).1.map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(refused("HTTP/1.1"), "a byte 0x48 where a JSON object should begin");
        assert!(refused("{\"id\":1}").contains("neither a text nor an error's text"));
        assert!(refused("{\"id\":null,\"result\":\"x\"}").contains("no reply"));
        assert!(refused("{\"method\":\"echo\",\"params\":[],\"id\":1}").contains("no reply"));
        assert!(refused(&format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200))).contains("no reply"));
    }

    #[test]
    fn a_reply_without_end_is_refused_at_the_bound() {
        let mut bytes = b"{\"id\":1,\"result\":\"".to_vec();
        bytes.resize(MAX_REPLY, b'a');
        assert_eq!(all([&bytes[..]]), (vec![], None));
        assert_eq!(all([&bytes[..], b"a"]), (vec![], Some(FrameError::TooLong)));
    }
}
