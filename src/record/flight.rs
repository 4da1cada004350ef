//! The flight recorder: the last minutes of a session, kept in memory as a row of small recordings, each whole in itself.

use std::{collections::VecDeque, fs::File, io, path::Path, sync::Arc};

use super::{
    Batch, Header, KEYFRAMES, Preamble, ReadError, Reader, RecordError, Recorded,
    container::Mcap,
    readings::SECOND,
    sink::create_new,
    writer::{CHUNK_BYTES, Summary, Writer},
};
use crate::event::{Nanos, Told};

/// The memory is in so many parts; the oldest goes as a whole.
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
    /// An empty one of so many bytes, at least [`FLIGHT_MIN`]. What is being written to besides takes a few MB.
    pub fn new(limit: usize, header: &Header) -> io::Result<Self> {
        let open = Writer::new(Vec::new(), header, &Preamble::default())?;
        Ok(Self { limit: limit.max(FLIGHT_MIN), header: header.clone(), open, parts: VecDeque::new(), bytes: 0 })
    }

    /// From now on what is saved says this of itself.
    pub fn describe(&mut self, header: &Header) {
        self.header = header.clone();
    }

    /// Adds what was told; the oldest makes room.
    pub fn push(&mut self, told: &[Told]) -> io::Result<()> {
        self.open.write_told(told)?;
        if self.open.sealed().bytes as usize >= self.limit / PARTS {
            self.seal()?;
        }
        Ok(())
    }

    /// The times of the oldest and the newest event that are kept; none while there is none.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        let open = self.open.span();
        let first = self.parts.front().map(|part| part.span.0).or(open.map(|span| span.0))?;
        let last = open.map(|span| span.1).or(self.parts.back().map(|part| part.span.1))?;
        Some((first, last))
    }

    /// Bytes that are taken.
    pub fn bytes(&self) -> usize {
        self.bytes + self.open.sealed().bytes as usize
    }

    /// All that there is at this moment.
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
    /// The times of the oldest and the newest event; none when there is none.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        Some((self.parts.first()?.span.0, self.parts.last()?.span.1))
    }

    /// Writes it to a new file, as a recording like any other. Takes some time for much of it.
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
            total.events += part.summary.events;
            total.not_recorded += part.summary.not_recorded;
            total.span = Some(total.span.map_or(part.span, |(first, _)| (first, part.span.1)));
        }
        mcap.finish(&total, sequence)?;
        total.bytes += mcap.drain(&mut file)?;
        file.flush()?;
        Ok(total)
    }

    /// Reads it from its begin.
    pub fn read(&self) -> Result<Past, ReadError> {
        let mut past = Past { parts: self.parts.clone(), at: 0, reader: None, begun: false };
        past.open(0)?;
        Ok(past)
    }
}

/// Reads what the flight recorder kept, one part after the other.
#[derive(Debug)]
pub struct Past {
    parts: Vec<Part>,
    /// Which part is read.
    at: usize,
    reader: Option<Reader>,
    /// Whether something has been read since the begin or the last seek: a keyframe is only for who begins with it.
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

/// The bytes of a part, as somebody who reads them has them.
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

    /// A part is much to read.
    fn warm(&self, ts: Nanos) -> Nanos {
        ts.saturating_sub(SECOND)
    }

    fn remarks(&self) -> Option<String> {
        None
    }
}
