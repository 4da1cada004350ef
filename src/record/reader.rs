//! Reads a recording: from a file, from memory or from a stream, whole, cut off or damaged.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
};

use mcap::{
    McapError,
    records::Record,
    sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions},
};

use super::{
    PROFILE,
    content::{Batch, Content, RECORD_LIMIT, printable},
    decode::Unknown,
    header::Header,
    index::{Found, Index},
    recorded::{WARM, WARM_BYTES},
    writer::Summary,
};
use crate::event::{Event, Nanos};

/// How many bytes are read at once.
const READ: usize = 256 << 10;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or it may not be read.
    #[error("{name} cannot be opened: {why}")]
    Open {
        /// The file.
        name: String,
        /// Why.
        why: io::Error,
    },
    /// It is not a recording.
    #[error("{name} is not a recording of ovscope: {what}. 'ovscope record -o FILE' makes one")]
    NotARecording {
        /// The file.
        name: String,
        /// What it is.
        what: String,
    },
    /// Reading failed; the recording itself may be fine.
    #[error("{name} cannot be read after byte {at}: {why}")]
    Read {
        /// The file.
        name: String,
        /// Bytes read until then.
        at: u64,
        /// Why.
        why: io::Error,
    },
    /// A seek in a stream.
    #[error("{name} is a stream, which goes only forward: save it to a file to go back in it")]
    Stream {
        /// The stream.
        name: String,
    },
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Why nothing can be read from a byte on.
#[derive(Debug)]
struct CutOff {
    at: u64,
    error: McapError,
}

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, error } = self;
        match error {
            McapError::UnexpectedEof => {
                write!(f, "the recording was cut off: it ends in the middle of what begins at byte {at}")
            }
            McapError::BadDataCrc { .. } => f.write_str("the checksum over all of it is wrong: it has been changed"),
            McapError::RecordTooLarge { len, .. } => {
                write!(f, "what begins at byte {at} is damaged: it claims to have {len} bytes")
            }
            error => write!(f, "nothing from byte {at} on can be read ({})", printable(&error.to_string())),
        }
    }
}

enum Input {
    Seekable(Box<dyn ReadSeek>),
    Stream(Box<dyn Read + Send>),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Seekable(input) => input.read(buffer),
            Self::Stream(input) => input.read(buffer),
        }
    }
}

/// Reads a recording from its beginning to its end; an iterator over batches of events, in the order they were recorded.
///
/// An error means that reading failed. What is wrong with the recording itself ends it early or leaves a part of it out: ask
/// [`Reader::damage`] at the end.
pub struct Reader {
    name: String,
    input: Input,
    records: LinearReader,
    /// The byte of the next record.
    at: u64,
    content: Content,
    index: Option<Box<Index>>,
    ended: bool,
    /// Why it ended before its end.
    cut_off: Option<CutOff>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            let kind = file.metadata()?.file_type();
            if kind.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(if kind.is_file() { Input::Seekable(Box::new(file)) } else { Input::Stream(Box::new(file)) })
        };
        match open() {
            Ok(input) => Self::new(name, input),
            Err(why) => Err(ReadError::Open { name, why }),
        }
    }

    /// Reads a stream, such as stdin; `name` names it in messages.
    pub fn from_stream(name: &str, stream: impl Read + Send + 'static) -> Result<Self, ReadError> {
        Self::new(name.to_owned(), Input::Stream(Box::new(stream)))
    }

    /// Reads what is in memory; `name` names it in messages.
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Self, ReadError> {
        Self::new(name.to_owned(), Input::Seekable(Box::new(Cursor::new(bytes))))
    }

    fn new(name: String, mut input: Input) -> Result<Self, ReadError> {
        let failed = |why| ReadError::Read { name: name.clone(), at: 0, why };
        let found = match &mut input {
            Input::Seekable(input) => {
                let found = Index::read(&mut **input).map_err(failed)?;
                input.seek(SeekFrom::Start(0)).map_err(failed)?;
                found
            }
            Input::Stream(_) => Found::Nothing,
        };
        let mut reader = Self {
            name,
            input,
            records: linear(true),
            at: mcap::MAGIC.len() as u64,
            content: Content::default(),
            index: None,
            ended: false,
            cut_off: None,
        };
        reader.head()?;
        match found {
            Found::Index(index) => reader.index = Some(index),
            Found::Damaged => reader.content.damage("its index is damaged, and not used: to go to a time takes longer"),
            Found::Nothing => {}
        }
        Ok(reader)
    }

    /// Who recorded and what. For a sealed file all of it is known from the start; for a stream and a file that was cut off,
    /// as far as it has been read.
    pub fn header(&self) -> &Header {
        self.index.as_ref().and_then(|index| index.header.as_ref()).unwrap_or(&self.content.header)
    }

    /// How much there is, in a sealed file; none for a stream and for a file that was cut off.
    pub fn info(&self) -> Option<&Summary> {
        self.index.as_ref().map(|index| &index.totals)
    }

    /// What is wrong with the recording, as far as it has been read, in words.
    pub fn damage(&self) -> Option<String> {
        let read = self.content.events;
        let cut_off = self.cut_off.as_ref().map(|why| format!("{}: {why}; {read} events were read", self.name));
        let damages = self.content.damages().map(|damages| format!("{}: {damages}", self.name));
        cut_off.into_iter().chain(damages).reduce(|a, b| format!("{a}\n{b}"))
    }

    /// Everything that a user who relies on what was read has to know: the damage, and what was skipped.
    pub fn remarks(&self) -> Option<String> {
        let Unknown { events, messages } = self.content.unknown;
        let newer = (events + messages > 0).then(|| {
            format!(
                "{}: a newer version made this recording: {events} events of kinds that this one does not know were \
                 passed over, and fields in {messages} batches; read it with a version not older than {}",
                self.name,
                match self.header().program.as_str() {
                    "" => "its own".to_owned(),
                    program => printable(program),
                }
            )
        });
        self.damage().into_iter().chain(newer).reduce(|a, b| format!("{a}\n{b}"))
    }

    /// What was skipped because a newer version wrote it.
    pub fn unknown(&self) -> Unknown {
        self.content.unknown
    }

    /// Whether [`Reader::seek`] is possible.
    pub fn can_seek(&self) -> bool {
        matches!(self.input, Input::Seekable(_))
    }

    /// Goes to the last keyframe that is not after `ts`, or to the beginning where there is none or no index: what is read
    /// next is the state there, then the events. A damaged keyframe is skipped in favour of the one before it.
    pub fn seek(&mut self, ts: Nanos) -> Result<(), ReadError> {
        let keyframes: Vec<u64> =
            self.index.iter().flat_map(|index| index.before(ts)).map(|(_, offset)| offset).collect();
        for offset in keyframes {
            self.jump(Some(offset))?;
            let damages = self.content.damage_count();
            self.step(Content::record)?;
            if self.content.has_keyframe() && self.content.damage_count() == damages && self.cut_off.is_none() {
                return Ok(());
            }
            if self.content.damage_count() == damages {
                self.content.damage(&format!("the keyframe at byte {offset} is damaged, and not used"));
            }
        }
        self.jump(None)
    }

    /// Goes on reading at a byte, or at the beginning.
    fn jump(&mut self, offset: Option<u64>) -> Result<(), ReadError> {
        let failed = |why| ReadError::Read { name: self.name.clone(), at: self.at, why };
        match &mut self.input {
            Input::Seekable(input) => input.seek(SeekFrom::Start(offset.unwrap_or(0))).map_err(failed)?,
            Input::Stream(_) => return Err(ReadError::Stream { name: self.name.clone() }),
        };
        self.records = linear(offset.is_none());
        self.at = offset.unwrap_or(mcap::MAGIC.len() as u64);
        self.content.jump(offset.is_none());
        self.ended = false;
        self.cut_off = None;
        Ok(())
    }

    /// The time of the last keyframe that is not after `ts`; none where there is none, or no index.
    pub fn keyframe_before(&self, ts: Nanos) -> Option<Nanos> {
        self.index.as_ref()?.before(ts).next().map(|(time, _)| time)
    }

    /// Where to seek, so that the seconds before `ts` are known, too: see [`Recorded::warm`].
    pub fn warm(&self, ts: Nanos) -> Nanos {
        self.index.as_ref().and_then(|index| index.warm(ts, WARM, WARM_BYTES)).unwrap_or(ts)
    }

    /// The times of all keyframes that the index knows.
    pub fn keyframes(&self) -> Vec<Nanos> {
        self.index.as_ref().map_or_else(Vec::new, |index| index.times())
    }

    /// The next events; none at the end.
    pub fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        loop {
            if let Some(batch) = self.content.batch() {
                return Some(Ok(batch));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.step(Content::record) {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Reads one record, or up to the end.
    fn step(&mut self, mut with: impl FnMut(&mut Content, u64, u8, &[u8])) -> Result<(), ReadError> {
        loop {
            match self.records.next_event() {
                Some(Ok(LinearReadEvent::ReadRequest(need))) => {
                    let buffer = self.records.insert(need.max(READ));
                    let got = loop {
                        match self.input.read(buffer) {
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            got => break got,
                        }
                    };
                    let failed = |why| ReadError::Read { name: self.name.clone(), at: self.at, why };
                    self.records.notify_read(got.map_err(failed)?);
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                    let at = self.at;
                    self.at += 9 + data.len() as u64;
                    with(&mut self.content, at, opcode, data);
                    return Ok(());
                }
                Some(Err(error)) => {
                    self.ended = true;
                    self.cut_off = Some(CutOff { at: self.at, error });
                    return Ok(());
                }
                None => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }

    /// Reads the records before the first chunk, which say what kind of file this is.
    fn head(&mut self) -> Result<(), ReadError> {
        let name = self.name.clone();
        let not = |what: &str| ReadError::NotARecording { name: name.clone(), what: what.to_owned() };
        let mut profile = None;
        self.step(|content, at, opcode, data| match mcap::parse_record(opcode, data) {
            Ok(Record::Header(header)) => profile = Some(header.profile),
            _ => content.record(at, opcode, data),
        })?;
        match (&self.cut_off, profile.as_deref()) {
            (Some(CutOff { error: McapError::UnexpectedEof, .. }), _) => {
                return Err(not("it has too few bytes for a recording's begin"));
            }
            (None, Some(PROFILE)) => {}
            (None, Some(_)) => return Err(not("it is an MCAP file of another program")),
            _ => return Err(not("it has another format")),
        }
        // The record that says who recorded: an MCAP tool that copied the recording may have left it out or moved it.
        self.step(Content::record)
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<Event>, ReadError>;

    /// The next events, those of a keyframe first. [`Reader::next_batch`] says which are which.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_batch()?.map(|batch| batch.events))
    }
}

fn linear(from_begin: bool) -> LinearReader {
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(!from_begin)
        .with_emit_chunks(true)
        // Covers what the chunks' own checksums do not. It is over all bytes, so it can only be checked after reading them all.
        .with_validate_data_section_crc(from_begin)
        .with_record_length_limit(RECORD_LIMIT);
    LinearReader::new_with_options(options)
}
