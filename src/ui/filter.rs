//! Filters of what a list shows, and the words of each row that they look at.

use std::fmt::Write as _;

use super::label;
use crate::{
    event::{Body, PutKind, Why, task_name},
    model::{Flow, HandlerRow, Model, Packet, PacketSummary, PortRow, TalkerKey, Upcall},
};

/// Words that a row must have, all of them, wherever they stand in it; ASCII letters large or small. A word with `=`
/// before it must be a whole field of the row, and has `_` for that one's spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    text: String,
    words: Vec<Word>,
    /// Whether a word may be part of a UFID or of an Ethernet address: else those need not be looked at.
    hex: bool,
}

/// A word in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// Anywhere in the row.
    Part(String),
    /// All of a field.
    Whole(String),
}

impl Word {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.strip_prefix('=') {
            Some(field) => Self::Whole(field.to_owned()),
            None => Self::Part(text),
        }
    }

    fn is_hex(&self) -> bool {
        let (Self::Part(word) | Self::Whole(word)) = self;
        word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b':')
    }

    fn is_in(&self, row: &str) -> bool {
        match self {
            Self::Part(word) => row.contains(word.as_str()),
            Self::Whole(word) => row.lines().any(|field| is_field(word, field)),
        }
    }

    /// Whether every row that it is in has the other too.
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Part(own), Self::Part(theirs)) => own.contains(theirs.as_str()),
            // `_` may stand for a space there, and is itself here.
            (Self::Whole(own), Self::Part(theirs)) => own.contains(theirs.as_str()) && !theirs.contains('_'),
            (own, theirs) => own == theirs,
        }
    }
}

fn is_field(word: &str, field: &str) -> bool {
    let alike = |(word, field): (char, char)| word == field || word == '_' && field == ' ';
    word.chars().count() == field.chars().count() && word.chars().zip(field.chars()).all(alike)
}

/// The word of a filter that takes the rows with this field, and no others.
pub fn whole(field: &str) -> String {
    format!("={}", field.split_whitespace().collect::<Vec<_>>().join("_"))
}

impl Filter {
    /// The filter of these words; of none it takes everything.
    pub fn new(text: &str) -> Self {
        // A sign that no field follows yet is being written.
        let texts: Vec<&str> = text.split_whitespace().filter(|word| *word != "=").collect();
        let words: Vec<Word> = texts.iter().map(|word| Word::new(word)).collect();
        Self { text: texts.join(" ").to_ascii_lowercase(), hex: words.iter().any(Word::is_hex), words }
    }

    /// Its words in small letters, with one space between them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it takes everything.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether it takes a row of these words, which are in small letters.
    pub fn takes(&self, row: &str) -> bool {
        self.words.iter().all(|word| word.is_in(row))
    }

    /// Whether what it takes is among what `other` takes.
    pub fn narrows(&self, other: &Self) -> bool {
        other.words.iter().all(|theirs| self.words.iter().any(|own| own.implies(theirs)))
    }
}

/// Room for the words of a row, used again and again. Between two fields is a line's end, which no word has.
#[derive(Debug, Default)]
pub struct Row {
    words: String,
    hex: bool,
}

impl Row {
    /// A row for this filter.
    pub fn new(filter: &Filter) -> Self {
        Self { words: String::with_capacity(256), hex: filter.hex }
    }

    /// The words so far in small letters; the next row begins anew.
    pub fn take(&mut self, judge: impl FnOnce(&str) -> bool) -> bool {
        self.words.make_ascii_lowercase();
        let judged = judge(&self.words);
        self.words.clear();
        judged
    }

    fn field(&mut self, words: &str) {
        self.words.push_str(words);
        self.words.push('\n');
    }

    fn summary(&mut self, summary: Option<&PacketSummary>) {
        let Some(known) = summary else { return };
        // Writing into a string does not fail.
        let _ = writeln!(self.words, "{known}");
        if self.hex {
            let _ = writeln!(self.words, "{}\n{}", known.eth_src, known.eth_dst);
        }
    }

    /// A flow: port, last packet, last put, end, whether it came back or was never used, UFID.
    pub fn flow(&mut self, model: &Model, flow: &Flow) {
        if let Some(port) = flow.in_port {
            self.field(&label::port(model, Some(flow.dp), port));
        }
        self.summary(flow.summary.as_ref());
        if let Some(put) = flow.last_put {
            match put.ret {
                0 if put.kind == PutKind::New => self.field("new"),
                0 => self.field("changed"),
                ret => self.field(&label::outcome_meaning(ret)),
            }
        }
        if flow.deleted.is_some() {
            self.field("deleted");
            if let Some(reason) = flow.deleted_because {
                self.field(&reason.to_string());
            }
        }
        if flow.returned().is_some() {
            self.field("returned");
        }
        if model.is_unused(flow) {
            self.field("unused");
        }
        match flow.ufid {
            Some(ufid) if self.hex => {
                let _ = writeln!(self.words, "{ufid}");
            }
            Some(_) => {}
            None => self.field("by key"),
        }
    }

    /// An upcall: identity, port, reason, handler, what it came to, CPU, end, packet.
    pub fn upcall(&mut self, model: &Model, upcall: &Upcall) {
        self.field(&label::upcall(upcall.id));
        if let Some(port) = upcall.in_port {
            self.field(&label::port(model, upcall.dp, port));
        }
        if let Some(cmd) = upcall.cmd {
            self.field(&label::cmd(cmd));
        }
        self.field(upcall.made_by.unwrap_or_default());
        if let Some(cookie) = upcall.made_by.and_then(|_| rule_cookie(model, upcall)) {
            self.field(&label::talker(model, TalkerKey::Cookie(cookie)));
        }
        if let Some(recv) = upcall.recv {
            self.field(&task_name(recv.comm, recv.tid));
        }
        if let Some((_, ret)) = upcall.returned {
            self.field(&label::outcome(ret));
        }
        self.field(&label::talker(model, TalkerKey::Cpu(upcall.id.cpu())));
        self.field(&label::end(model.upcall_end(upcall)).0);
        let packet = upcall.packet.and_then(|id| model.packet(id));
        self.summary(packet.and_then(|packet| packet.summary.as_ref()));
    }

    /// A packet: identity, port, what it is, what became of it.
    pub fn packet(&mut self, model: &Model, packet: &Packet) {
        self.field(&label::packet(packet.id));
        if let Some(port) = packet.in_port {
            self.field(&label::port(model, packet.dp, port));
        }
        if !packet.upcalls.is_empty() {
            self.field("upcalled");
        }
        self.field(&label::fate(model, packet, model.fate(packet)).0);
        self.summary(packet.summary.as_ref());
    }

    /// A port: name, number, kind, datapath.
    pub fn port(&mut self, model: &Model, port: &PortRow) {
        self.field(port.name.as_deref().unwrap_or("no name"));
        self.field(&port.port.0.to_string());
        self.field(port.kind.as_deref().unwrap_or_default());
        self.field(model.datapath(port.dp).map_or("", |datapath| datapath.name.as_str()));
    }

    /// A handler: thread, netlink port.
    pub fn handler(&mut self, handler: &HandlerRow) {
        self.field(&task_name(handler.comm, handler.tid));
        self.field(&handler.port.to_string());
    }
}

/// The cookie of the OpenFlow rule that punts an upcall's packet to a controller.
fn rule_cookie(model: &Model, upcall: &Upcall) -> Option<u64> {
    let packet = model.packet(upcall.packet?)?;
    let mut own = model.timeline(packet).filter(|event| event.upcall == Some(upcall.id));
    own.find_map(|event| match &event.body {
        Body::Upcall(begun) => match begun.cookie.as_ref()?.why {
            Why::Controller { rule_cookie, .. } => Some(rule_cookie),
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_must_be_there_wherever_and_however_they_are_written() {
        let filter = Filter::new("  UDP p1_l ");
        assert_eq!(filter.text(), "udp p1_l");
        let takes = |row: &str| filter.takes(row);
        assert!(takes("p1_l\n10.0.0.1:5 → 10.0.0.2:9 udp\n") && !takes("p1_l\ntcp\n") && !takes("p2_l\nudp\n"));
        assert!(Filter::new(" ").is_empty() && Filter::new("").takes(""));
    }

    #[test]
    fn a_longer_word_or_one_more_narrows_and_another_does_not() {
        let of = Filter::new;
        assert!(of("udp").narrows(&of("ud")) && of("ud p1").narrows(&of("ud")) && of("a").narrows(&of("")));
        assert!(!of("ud").narrows(&of("udp")) && !of("tcp").narrows(&of("udp")) && !of("").narrows(&of("a")));
    }

    #[test]
    fn a_word_with_a_sign_before_it_is_a_whole_field() {
        let takes = |text: &str, row: &str| Filter::new(text).takes(row);
        assert!(takes("=p1", "p1\nudp\n") && !takes("=p1", "p10\nudp\n") && !takes("=p1", "ap1\n"));
        assert!(takes("=CPU_3", "cpu 3\n") && !takes("=cpu_3", "cpu 31\n") && takes("=p1_l", "p1_l\n"));
        assert!(Filter::new("=").is_empty() && Filter::new("udp =").takes("udp"));
        assert_eq!(Filter::new("=p1 Udp").text(), "=p1 udp");
        assert!(takes(&whole("errno 95"), "errno 95\n") && !takes(&whole("errno 9"), "errno 95\n"));
        let of = Filter::new;
        assert!(of("=p1").narrows(&of("p")) && of("=p1 udp").narrows(&of("=p1")));
        assert!(!of("=p10").narrows(&of("=p1")) && !of("p1").narrows(&of("=p1")));
        assert!(!of("=cpu_3").narrows(&of("u_3")), "it takes 'cpu 3', which has no such word");
    }

    #[test]
    fn only_hex_digits_make_a_row_have_its_long_numbers() {
        for (text, hex) in
            [("udp", false), ("10.0.0.1", false), ("5f74", true), ("=5f", true), ("02:00:00", true), ("udp 5f", true)]
        {
            assert_eq!(Filter::new(text).hex, hex, "{text}");
        }
    }
}
