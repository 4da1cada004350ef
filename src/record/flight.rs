//! The flight recorder: the last minutes of a session, kept in memory as a row of small recordings, each whole in itself.

use std::{collections::VecDeque, fs::File, io, path::Path, sync::Arc};

use super::{
    Batch, Header, KEYFRAMES, Preamble, ReadError, Reader, RecordError, Recorded,
    container::Mcap,
    readings::SECOND,
    sink::create_new,
    writer::{CHUNK_BYTES, Summary, Writer, joined},
};
use crate::event::{Nanos, Told};

/// How many parts the memory is divided into; the oldest is let go as a whole.
const PARTS: usize = 16;
/// The least memory that holds anything worth looking at.
pub const FLIGHT_MIN: usize = 4 << 20;

/// A recording in memory.
#[derive(Debug, Clone)]
struct Part {
    bytes: Arc<Vec<u8>>,
    span: (Nanos, Nanos),
    summary: Summary,
}

/// Keeps the latest events within a limit of memory.
#[derive(Debug)]
pub struct Flight {
    limit: usize,
    header: Header,
    open: Writer<Vec<u8>>,
    parts: VecDeque<Part>,
    /// Bytes of all parts that are sealed.
    bytes: usize,
}

/// What was kept at a moment. Costs nothing to make: the memory is shared.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    header: Header,
    parts: Vec<Part>,
}

impl Flight {
    /// An empty one of `limit` bytes, at least [`FLIGHT_MIN`]. The part being written to takes a few MB more.
    pub fn new(limit: usize, header: &Header) -> io::Result<Self> {
        let open = Writer::new(Vec::new(), header, &Preamble::default())?;
        Ok(Self { limit: limit.max(FLIGHT_MIN), header: header.clone(), open, parts: VecDeque::new(), bytes: 0 })
    }

    /// The header of what is saved from now on.
    pub fn describe(&mut self, header: &Header) {
        self.header = header.clone();
    }

    /// Adds events; the oldest make room.
    pub fn push(&mut self, told: &[Told]) -> io::Result<()> {
        self.open.write_told(told)?;
        if self.open.sealed().bytes as usize >= self.limit / PARTS {
            self.seal()?;
        }
        Ok(())
    }

    /// The times of the earliest and the latest event that are kept; none while there are none.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        joined(span(&self.parts), self.open.span())
    }

    /// Bytes of memory that what is kept takes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.open.sealed().bytes as usize
    }

    /// Everything that is kept at this moment.
    pub fn kept(&mut self) -> io::Result<Kept> {
        self.seal()?;
        Ok(Kept { header: self.header.clone(), parts: self.parts.iter().cloned().collect() })
    }

    /// Ends the part that is open and begins another with the state there.
    fn seal(&mut self) -> io::Result<()> {
        if self.open.events() == 0 {
            return Ok(());
        }
        let next = Writer::new(Vec::new(), &self.header, self.open.state())?;
        let mut writer = std::mem::replace(&mut self.open, next);
        let summary = writer.finish()?;
        let Some(span) = summary.span else { return Ok(()) };
        let mut bytes = writer.into_sink();
        bytes.shrink_to_fit();
        self.bytes += bytes.len();
        self.parts.push_back(Part { bytes: Arc::new(bytes), span, summary });
        while self.bytes > self.limit
            && let Some(oldest) = self.parts.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
        Ok(())
    }
}

impl Kept {
    /// The times of the earliest and the latest event; none when there are none.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        span(&self.parts)
    }

    /// Writes it to a new file, as a recording like any other; takes time in proportion to its size.
    pub fn save(&self, path: &Path) -> Result<Summary, RecordError> {
        self.save_to(create_new(path)?, path)
    }

    /// The same to the file just made at `path`, which is removed when it cannot be written whole.
    pub fn save_to(&self, file: File, path: &Path) -> Result<Summary, RecordError> {
        self.write(file).map_err(|why| {
            let _ = std::fs::remove_file(path);
            RecordError::Write(format!("{} cannot be written: {why}", path.display()))
        })
    }

    fn write(&self, mut file: impl io::Write) -> io::Result<Summary> {
        let mut mcap = Mcap::new(&self.header)?;
        let mut sequence = 0u32;
        let mut total = Summary::default();
        for part in &self.parts {
            let (mut keyframe, mut chunk_bytes) = (false, 0);
            for message in mcap::MessageStream::new(&part.bytes).map_err(io::Error::other)? {
                let message = message.map_err(io::Error::other)?;
                let is_keyframe = message.channel.topic == KEYFRAMES;
                // A keyframe is found by the chunk that it is in.
                if is_keyframe != keyframe || chunk_bytes >= CHUNK_BYTES {
                    mcap.seal()?;
                    (keyframe, chunk_bytes) = (is_keyframe, 0);
                }
                chunk_bytes += message.data.len();
                let channel = if is_keyframe { mcap.keyframes } else { mcap.events };
                let span = (message.log_time, message.publish_time);
                mcap.message(channel, sequence, span, &message.data)?;
                sequence += u32::from(!is_keyframe);
                total.bytes += mcap.drain(&mut file)?;
            }
            mcap.seal()?;
            total.bytes += mcap.drain(&mut file)?;
            total = total.and(&Summary { bytes: 0, ..part.summary.clone() });
        }
        mcap.finish(&total, sequence)?;
        total.bytes += mcap.drain(&mut file)?;
        file.flush()?;
        Ok(total)
    }

    /// Reads it from its beginning.
    pub fn read(&self) -> Result<Past, ReadError> {
        let mut past = Past { parts: self.parts.clone(), at: 0, reader: None, begun: false };
        past.open(0)?;
        Ok(past)
    }
}

/// The times of the earliest and the latest event of all parts.
fn span<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Option<(Nanos, Nanos)> {
    parts.into_iter().fold(None, |span, part| joined(span, Some(part.span)))
}

/// Reads what the flight recorder kept, one part after the other.
#[derive(Debug)]
pub struct Past {
    parts: Vec<Part>,
    /// Which part is read.
    at: usize,
    reader: Option<Reader>,
    /// Whether something has been read since the beginning or the last seek: a keyframe is only for a reader who begins
    /// with it.
    begun: bool,
}

impl Past {
    fn open(&mut self, at: usize) -> Result<(), ReadError> {
        self.at = at;
        self.reader = None;
        if let Some(part) = self.parts.get(at) {
            self.reader = Some(Reader::from_bytes("what the flight recorder kept", Shared(part.bytes.clone()))?);
        }
        Ok(())
    }

    /// The part that `ts` is in, or the one before it.
    fn part_of(&self, ts: Nanos) -> usize {
        self.parts.partition_point(|part| part.span.0 <= ts).saturating_sub(1)
    }
}

/// The bytes of a part, shared with its readers.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Recorded for Past {
    fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        loop {
            match self.reader.as_mut()?.next_batch() {
                Some(Ok(batch)) if batch.keyframe && self.begun => {}
                Some(batch) => {
                    // A keyframe may come in several batches.
                    self.begun |= batch.as_ref().is_ok_and(|batch| !batch.keyframe);
                    return Some(batch);
                }
                None => {
                    if let Err(error) = self.open(self.at + 1) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn seek(&mut self, ts: Nanos) -> Result<(), ReadError> {
        self.begun = false;
        self.open(self.part_of(ts))?;
        self.reader.as_mut().map_or(Ok(()), |reader| reader.seek(ts))
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn keyframe_before(&self, ts: Nanos) -> Option<Nanos> {
        self.parts.get(self.part_of(ts)).map(|part| part.span.0)
    }

    /// A part may take long to read: a second before `ts` is enough.
    fn warm(&self, ts: Nanos) -> Nanos {
        ts.saturating_sub(SECOND)
    }

    fn remarks(&self) -> Option<String> {
        None
    }
}
