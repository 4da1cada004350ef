//! A recording of any kind that can be read, told apart by its first bytes: ovscope's own, or an event file of retis.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

use super::{Batch, ReadError, Reader, Recorded, RetisReader};
use crate::event::{Event, Nanos};

/// Bytes that tell what it is: an own one begins with a byte that is no text, an event file with white space at most and
/// a brace or a bracket.
const SNIFF: usize = 64;

/// A recording, read from its begin to its end; an iterator over batches of events.
///
/// An error is one of reading. What is wrong with the recording itself is told at the end: [`Recording::remarks`].
#[derive(Debug)]
pub enum Recording {
    /// `ovscope record`'s.
    Own(Box<Reader>),
    /// An event file of retis.
    Retis(Box<RetisReader>),
}

impl Recording {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let open = || {
            let mut file = File::open(path)?;
            let is_file = file.metadata()?.file_type().is_file();
            // A folder cannot be read, and says so.
            let first = sniff(&mut file)?;
            Ok((file, is_file, first))
        };
        match open() {
            Ok((_, true, first)) if !is_text(&first) => Reader::open(path).map(|own| Self::Own(Box::new(own))),
            Ok((file, true, _)) => RetisReader::open(name, file).map(|retis| Self::Retis(Box::new(retis))),
            Ok((file, false, first)) => Self::of_stream(&name, first, file),
            Err(why) => Err(ReadError::Open { name, why }),
        }
    }

    /// Reads a stream, such as stdin; `name` names it in messages.
    pub fn from_stream(name: &str, mut stream: impl Read + Send + 'static) -> Result<Self, ReadError> {
        match sniff(&mut stream) {
            Ok(first) => Self::of_stream(name, first, stream),
            Err(why) => Err(ReadError::Read { name: name.to_owned(), at: 0, why }),
        }
    }

    /// Reads what is in memory; `name` names it in messages.
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Self, ReadError> {
        let first = bytes.as_ref();
        if is_text(&first[..first.len().min(SNIFF)]) {
            RetisReader::open(name.to_owned(), Cursor::new(bytes)).map(|retis| Self::Retis(Box::new(retis)))
        } else {
            Reader::from_bytes(name, bytes).map(|own| Self::Own(Box::new(own)))
        }
    }

    fn of_stream(name: &str, first: Vec<u8>, stream: impl Read + Send + 'static) -> Result<Self, ReadError> {
        let text = is_text(&first);
        let all = Cursor::new(first).chain(stream);
        if text {
            RetisReader::from_stream(name.to_owned(), all).map(|retis| Self::Retis(Box::new(retis)))
        } else {
            Reader::from_stream(name, all).map(|own| Self::Own(Box::new(own)))
        }
    }

    /// The times of all keyframes that an index knows.
    pub fn keyframes(&self) -> Vec<Nanos> {
        match self {
            Self::Own(reader) => reader.keyframes(),
            Self::Retis(_) => Vec::new(),
        }
    }

    /// The earliest and the latest time of any event, where an index knows them.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        match self {
            Self::Own(reader) => reader.info()?.span,
            Self::Retis(_) => None,
        }
    }

    /// The next events; none at the end.
    pub fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        match self {
            Self::Own(reader) => reader.next_batch(),
            Self::Retis(reader) => reader.next_batch(),
        }
    }

    /// All that somebody who relies on what was read has to know: damage, and what was passed over.
    pub fn remarks(&self) -> Option<String> {
        match self {
            Self::Own(reader) => reader.remarks(),
            Self::Retis(reader) => reader.remarks(),
        }
    }

    /// Whether [`Recording::seek`] can be.
    pub fn can_seek(&self) -> bool {
        match self {
            Self::Own(reader) => reader.can_seek(),
            Self::Retis(reader) => reader.can_seek(),
        }
    }

    /// Goes to a place from which all that is at `ts` or later is read, with the state there before it.
    pub fn seek(&mut self, ts: Nanos) -> Result<(), ReadError> {
        match self {
            Self::Own(reader) => reader.seek(ts),
            Self::Retis(reader) => reader.rewind(),
        }
    }
}

impl Iterator for Recording {
    type Item = Result<Vec<Event>, ReadError>;

    /// The next events, those of a keyframe first. [`Recording::next_batch`] says which are which.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_batch()?.map(|batch| batch.events))
    }
}

impl Recorded for Recording {
    fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        Self::next_batch(self)
    }

    fn seek(&mut self, ts: Nanos) -> Result<(), ReadError> {
        Self::seek(self, ts)
    }

    fn can_seek(&self) -> bool {
        Self::can_seek(self)
    }

    fn keyframe_before(&self, ts: Nanos) -> Option<Nanos> {
        match self {
            Self::Own(reader) => reader.keyframe_before(ts),
            Self::Retis(_) => None,
        }
    }

    fn warm(&self, ts: Nanos) -> Nanos {
        match self {
            Self::Own(reader) => reader.warm(ts),
            Self::Retis(_) => ts,
        }
    }

    fn remarks(&self) -> Option<String> {
        Self::remarks(self)
    }
}

impl From<Reader> for Recording {
    fn from(reader: Reader) -> Self {
        Self::Own(Box::new(reader))
    }
}

fn sniff(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    while first.len() < SNIFF && first.iter().all(u8::is_ascii_whitespace) {
        let mut buffer = [0; SNIFF];
        match input.read(&mut buffer[first.len()..]) {
            Ok(0) => break,
            Ok(got) => {
                let from = first.len();
                first.extend_from_slice(&buffer[from..from + got]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(first)
}

fn is_text(first: &[u8]) -> bool {
    matches!(first.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}
