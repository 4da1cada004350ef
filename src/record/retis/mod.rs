//! Reads event files of retis, 1.5 and later: one JSON object per line, or after `retis sort` one array of them per
//! packet. What the file tells becomes the same events as a recording's; what ovscope has no event for is counted.
//!
//! The files are not made for others and change between versions: a field is taken wherever a version has it.

mod action;
mod import;
mod line;
mod messages;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use super::{Batch, ReadError, content::printable};
use import::Importer;

/// Bytes of a line, at most; a packet's whole series is one.
const LINE_LIMIT: usize = 8 << 20;
/// Events of a batch, about.
const BATCH: usize = 4096;
/// So many lines that cannot be read are told in words; the rest are counted.
const TOLD: usize = 3;
/// Kinds that are told apart of what is passed over.
const KINDS: usize = 64;
/// The most frequent of them, which are named.
const NAMED: usize = 6;

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

enum Input {
    Seekable(BufReader<Box<dyn ReadSeek>>),
    Stream(BufReader<Box<dyn Read + Send>>),
}

/// Reads an event file from its begin to its end.
pub struct RetisReader {
    name: String,
    input: Input,
    /// Lines read so far.
    lines: u64,
    /// Bytes read so far.
    at: u64,
    importer: Importer,
    passed_over: PassedOver,
    bad: Vec<String>,
    more_bad: u64,
    version: String,
    /// The first line, until its events have been given.
    first: Option<Vec<u8>>,
    ended: bool,
}

impl std::fmt::Debug for RetisReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetisReader").field("name", &self.name).field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// What was read and is no event here.
#[derive(Debug, Default)]
struct PassedOver {
    kinds: BTreeMap<String, u64>,
    others: u64,
}

impl PassedOver {
    fn count(&mut self, kind: &str) {
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else if self.kinds.len() < KINDS {
            self.kinds.insert(printable(&kind.chars().take(64).collect::<String>()), 1);
        } else {
            self.others += 1;
        }
    }

    fn told(&self) -> Option<String> {
        let mut kinds: Vec<(&str, u64)> = self.kinds.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
        let (named, rest) = kinds.split_at(kinds.len().min(NAMED));
        let others = rest.iter().fold(self.others, |sum, (_, count)| sum + count);
        let mut told = named.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ");
        if others > 0 {
            let _ = write!(told, ", others {others}");
        }
        (!named.is_empty()).then_some(told)
    }
}

/// What one line was.
enum Read1 {
    Line(Vec<u8>),
    TooLong,
    End,
}

impl RetisReader {
    /// Reads a file, from wherever it stands to its end and again from its begin.
    pub(super) fn open(name: String, file: impl Read + Seek + Send + 'static) -> Result<Self, ReadError> {
        let mut file: Box<dyn ReadSeek> = Box::new(file);
        file.rewind().map_err(|why| ReadError::Read { name: name.clone(), at: 0, why })?;
        Self::new(name, Input::Seekable(BufReader::with_capacity(1 << 16, file)))
    }

    /// Reads a stream.
    pub(super) fn from_stream(name: String, stream: impl Read + Send + 'static) -> Result<Self, ReadError> {
        Self::new(name, Input::Stream(BufReader::with_capacity(1 << 16, Box::new(stream))))
    }

    fn new(name: String, input: Input) -> Result<Self, ReadError> {
        let mut reader = Self {
            name,
            input,
            lines: 0,
            at: 0,
            importer: Importer::default(),
            passed_over: PassedOver::default(),
            bad: Vec::new(),
            more_bad: 0,
            version: String::new(),
            first: None,
            ended: false,
        };
        reader.head()?;
        Ok(reader)
    }

    /// The first line says whether it is an event file, and which version made it.
    fn head(&mut self) -> Result<(), ReadError> {
        let not = |name: &str, what: String| Err(ReadError::NotARecording { name: name.to_owned(), what });
        let first = match self.line()? {
            Read1::Line(first) => first,
            Read1::TooLong | Read1::End => {
                return not(&self.name, "it is text, and its first line is no event of retis".to_owned());
            }
        };
        let startup =
            line::events(&first).ok().and_then(|events| events.into_iter().find_map(|line| line.ok()?.startup));
        let Some(startup) = startup else {
            let what =
                "it is text, and its first line is not one that an event file of retis (1.5 and later) begins with";
            return not(&self.name, what.to_owned());
        };
        if line::version(&startup.retis_version).is_some_and(|version| version < (1, 5)) {
            let version = printable(&startup.retis_version);
            return not(
                &self.name,
                format!("it is an event file of retis {version}, and those can be read from 1.5 on"),
            );
        }
        self.version = startup.retis_version;
        self.first = Some(first);
        Ok(())
    }

    /// Whether [`RetisReader::rewind`] can be.
    pub fn can_seek(&self) -> bool {
        matches!(self.input, Input::Seekable(_))
    }

    /// Begins again: an event file has no places to begin at but its first line.
    pub fn rewind(&mut self) -> Result<(), ReadError> {
        let Input::Seekable(input) = &mut self.input else {
            return Err(ReadError::Stream { name: self.name.clone() });
        };
        let failed = |why| ReadError::Read { name: self.name.clone(), at: self.at, why };
        input.seek(SeekFrom::Start(0)).map_err(failed)?;
        (self.lines, self.at, self.more_bad, self.ended) = (0, 0, 0, false);
        self.importer = Importer::default();
        self.passed_over = PassedOver::default();
        self.bad.clear();
        self.first = None;
        Ok(())
    }

    /// All that somebody who relies on what was read has to know: lines that could not be read, what was passed
    /// over, and what could not be tied to its upcall.
    pub fn remarks(&self) -> Option<String> {
        let more = (self.more_bad > 0).then(|| format!("and {} more", self.more_bad));
        let bad = self.bad.iter().cloned().chain(more).reduce(|a, b| format!("{a}; {b}"));
        let bad = bad.map(|bad| format!("{}: {bad}", self.name));
        let newer = line::version(&self.version).is_none_or(|version| version >= (2, 0)).then(|| {
            let version = printable(&self.version);
            format!("{}: made by retis '{version}', which this version does not know: read as 1.7 is", self.name)
        });
        let told = self.passed_over.told();
        let told = told.map(|told| format!("{}: passed over, as ovscope has no event for it: {told}", self.name));
        let untied = self.importer.untied().told().map(|told| format!("{}: {told}", self.name));
        [bad, newer, told, untied].into_iter().flatten().reduce(|a, b| format!("{a}\n{b}"))
    }

    /// The next events; none at the end.
    pub fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        let mut events = Vec::new();
        while !self.ended && events.len() < BATCH {
            let line = match self.first.take() {
                Some(first) => first,
                None => match self.line() {
                    Ok(Read1::Line(line)) => line,
                    Ok(Read1::TooLong) => {
                        self.bad_line(&format!("it is longer than {} MB", LINE_LIMIT >> 20));
                        continue;
                    }
                    Ok(Read1::End) => {
                        self.ended = true;
                        break;
                    }
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(error));
                    }
                },
            };
            self.take(&line, &mut events);
            // What a stream has given so far is not kept back until it gives more.
            if !events.is_empty() && !self.buffered_line() {
                break;
            }
        }
        (!events.is_empty()).then_some(Ok(Batch { events, keyframe: false }))
    }

    /// The events of one line.
    fn take(&mut self, text: &[u8], events: &mut Vec<crate::event::Event>) {
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match line::events(text) {
            Ok(parts) => {
                for part in parts {
                    match part {
                        Ok(part) => {
                            let passed_over = &mut self.passed_over;
                            self.importer.take(part, events, &mut |kind| passed_over.count(kind));
                        }
                        Err(why) => self.bad_line(&why),
                    }
                }
            }
            Err(why) => self.bad_line(&why),
        }
    }

    fn bad_line(&mut self, why: &str) {
        if self.bad.len() < TOLD {
            self.bad.push(printable(&format!("line {} is left out: {why}", self.lines)));
        } else {
            self.more_bad += 1;
        }
    }

    /// Whether a whole line is there without reading.
    fn buffered_line(&self) -> bool {
        let buffer = match &self.input {
            Input::Seekable(_) => return true,
            Input::Stream(input) => input.buffer(),
        };
        buffer.contains(&b'\n')
    }

    fn line(&mut self) -> Result<Read1, ReadError> {
        let read = match &mut self.input {
            Input::Seekable(input) => read_line(input, &mut self.at),
            Input::Stream(input) => read_line(input, &mut self.at),
        };
        let read = read.map_err(|why| ReadError::Read { name: self.name.clone(), at: self.at, why })?;
        if !matches!(read, Read1::End) {
            self.lines += 1;
        }
        Ok(read)
    }
}

/// Reads up to a line's end, and of a line that is too long keeps nothing.
fn read_line(input: &mut impl BufRead, at: &mut u64) -> io::Result<Read1> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Read1::TooLong,
                (false, true) => Read1::End,
                (false, false) => Read1::Line(line),
            });
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        too_long |= line.len() + part.len() > LINE_LIMIT;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        *at += used as u64;
        if end.is_some() {
            return Ok(if too_long { Read1::TooLong } else { Read1::Line(line) });
        }
    }
}
