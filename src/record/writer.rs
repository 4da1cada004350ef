//! Events into an MCAP stream: messages of columns, chunks that are whole in themselves, keyframes, a summary.

use std::io::{self, Write};

use super::{
    Preamble,
    container::Mcap,
    encode::Encoder,
    header::{Header, Known},
};
use crate::event::{Event, Nanos, Told};

/// A message is written at so many events …
pub(super) const MESSAGE_EVENTS: usize = 8192;
/// … or about so many bytes.
const MESSAGE_BYTES: usize = 256 << 10;
/// A message of more than this is not written; the reader refuses what could not have been written. Only an event
/// that is that big itself can make one.
pub(super) const MESSAGE_LIMIT: usize = 8 << 20;
/// A chunk is sealed at so many bytes before compression …
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// … or at so many events, or when they span this time: what is not sealed is lost when the recording is cut off.
const CHUNK_EVENTS: u64 = 1 << 15;
const CHUNK_SPAN: Nanos = 1_000_000_000;
/// A keyframe is written after so much time …
const KEYFRAME_SPAN: Nanos = 10_000_000_000;
/// … or so many events, which are applied in less than a tenth of a second …
const KEYFRAME_EVENTS: u64 = 1 << 16;
/// … but not before there are so many times the bytes that the last one took, where those are many.
const KEYFRAME_SHARE: u64 = 10;
const KEYFRAME_SMALL: u64 = 16 << 10;

/// What a recording holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events, without the keyframes.
    pub events: u64,
    /// Bytes of the whole recording.
    pub bytes: u64,
    /// The times of the earliest and the latest event; none when there are none.
    pub span: Option<(Nanos, Nanos)>,
    /// Events that were given to be recorded and are not there.
    pub not_recorded: u64,
}

impl Summary {
    /// This and what `more` holds.
    pub(super) fn and(&self, more: &Self) -> Self {
        Self {
            events: self.events + more.events,
            bytes: self.bytes + more.bytes,
            span: joined(self.span, more.span),
            not_recorded: self.not_recorded + more.not_recorded,
        }
    }
}

/// The earliest and the latest time of two spans. One may end after another that was written later: the CPUs' events are
/// not in one order.
pub(super) fn joined(a: Option<(Nanos, Nanos)>, b: Option<(Nanos, Nanos)>) -> Option<(Nanos, Nanos)> {
    let (Some((a_first, a_last)), Some((b_first, b_last))) = (a, b) else { return a.or(b) };
    Some((a_first.min(b_first), a_last.max(b_last)))
}

/// Writes a recording to any sink that takes bytes; never seeks. Dropped without [`Writer::finish`], what has been
/// sealed is there and the rest is not.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    mcap: Mcap,
    encoder: Encoder,
    /// The state before the next event.
    state: Preamble,
    /// Bytes of messages in the open chunk.
    chunk_bytes: usize,
    /// The time of the open chunk's first event.
    chunk_start: Option<Nanos>,
    /// Events before the open chunk.
    chunk_events: u64,
    last_keyframe: Option<Keyframe>,
    /// The number of the next message of events.
    sequence: u32,
    /// The header, without what the state tells.
    header: Header,
    /// The last one written, and what was known then.
    described: (Header, Known),
    /// Of what was put into messages.
    written: Summary,
    /// Of what the sink took, always up to the end of a chunk.
    sealed: Summary,
    is_finished: bool,
}

/// The last keyframe, or the begin.
#[derive(Debug, Clone, Copy)]
struct Keyframe {
    ts: Nanos,
    /// Events before it.
    events: u64,
    /// Where the file was after it.
    end: u64,
    /// Its size in the file.
    bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a recording: `preamble` is the state at its begin, empty where the session begins too.
    pub fn new(sink: W, header: &Header, preamble: &Preamble) -> io::Result<Self> {
        let described = (header.with(preamble), Known::of(preamble));
        let mut writer = Self {
            sink,
            mcap: Mcap::new(&described.0)?,
            encoder: Encoder::default(),
            state: preamble.clone(),
            chunk_bytes: 0,
            chunk_start: None,
            chunk_events: 0,
            last_keyframe: None,
            sequence: 0,
            header: header.clone(),
            described,
            written: Summary::default(),
            sealed: Summary::default(),
            is_finished: false,
        };
        // Its time is that of the latest state: what follows is later.
        let mut latest = None;
        preamble.visit(|event| latest = latest.max(Some(event.ts)));
        match latest {
            Some(at) => writer.keyframe(at)?,
            None => writer.flush()?,
        }
        Ok(writer)
    }

    /// Adds events. They are safe in the sink when their chunk is sealed, at the latest by [`Writer::flush`].
    pub fn write(&mut self, events: &[Event]) -> io::Result<()> {
        events.iter().try_for_each(|event| self.event(event))
    }

    /// The same for what the probes told; a packet's events that were told together stay so in the recording.
    pub fn write_told(&mut self, told: &[Told]) -> io::Result<()> {
        told.iter().try_for_each(|told| match told {
            Told::Event(event) => self.event(event),
            Told::Run(run) => {
                self.begin(run.ts())?;
                self.encoder.push_run(run);
                self.state.see_run(run);
                self.full()
            }
        })
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.begin(event.ts)?;
        self.encoder.push(event);
        self.state.see(event);
        self.full()
    }

    /// Before an event or a run is added: seals a chunk that it is too late for, and begins one with what belongs there.
    fn begin(&mut self, ts: Nanos) -> io::Result<()> {
        if self.chunk_start.is_some_and(|start| ts >= start.saturating_add(CHUNK_SPAN)) {
            self.flush()?;
        }
        if self.chunk_start.is_none() {
            if self.is_keyframe_due(ts) {
                self.keyframe(ts)?;
            }
            self.chunk_start = Some(ts);
        }
        Ok(())
    }

    /// After it: writes a message that is full.
    fn full(&mut self) -> io::Result<()> {
        if self.encoder.events() >= MESSAGE_EVENTS || self.encoder.size() >= MESSAGE_BYTES {
            self.message()?;
            if self.chunk_bytes >= CHUNK_BYTES || self.written.events - self.chunk_events >= CHUNK_EVENTS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Seals the open chunk and gives it to the sink.
    pub fn flush(&mut self) -> io::Result<()> {
        self.message()?;
        self.mcap.seal()?;
        if Known::of(&self.state) != self.described.1 {
            self.describe()?;
        }
        self.drain()?;
        self.sink.flush()?;
        self.chunk_bytes = 0;
        self.chunk_start = None;
        self.chunk_events = self.written.events;
        Ok(())
    }

    /// Writes the header again where it tells more than the last one.
    fn describe(&mut self) -> io::Result<()> {
        let now = (self.header.with(&self.state), Known::of(&self.state));
        if now.0 != self.described.0 {
            self.mcap.metadata(&now.0.to_metadata())?;
        }
        self.described = now;
        Ok(())
    }

    /// Seals the recording with its summary and index.
    ///
    /// Nothing can be written after it, and a second call gives the same summary.
    pub fn finish(&mut self) -> io::Result<Summary> {
        if !self.is_finished {
            self.message()?;
            self.mcap.seal()?;
            self.describe()?;
            self.mcap.finish(&self.written, self.sequence)?;
            self.is_finished = true;
        }
        self.drain()?;
        self.sink.flush()?;
        Ok(self.sealed.clone())
    }

    /// Counts events that somebody before this writer had to leave out.
    pub fn not_recorded(&mut self, count: u64) {
        self.written.not_recorded += count;
    }

    /// The state after the last event: what a recording that goes on from here has to begin with.
    pub fn state(&self) -> &Preamble {
        &self.state
    }

    /// What the sink has so far, always whole chunks.
    pub fn sealed(&self) -> &Summary {
        &self.sealed
    }

    /// Events taken so far, sealed or not.
    pub fn events(&self) -> u64 {
        self.written.events + self.encoder.events() as u64
    }

    /// The times of the earliest and the latest event taken so far, sealed or not.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        joined(self.written.span, self.encoder.span())
    }

    /// Gives the sink back, at the end or after a failure. [`Writer::sealed`] says up to where it is whole.
    pub fn into_sink(self) -> W {
        self.sink
    }

    fn message(&mut self) -> io::Result<()> {
        let Some(encoded) = self.encoder.take() else { return Ok(()) };
        if encoded.bytes.len() > MESSAGE_LIMIT {
            self.written.not_recorded += encoded.events;
            return Ok(());
        }
        self.mcap.message(self.mcap.events, self.sequence, encoded.span, &encoded.bytes)?;
        self.sequence = self.sequence.wrapping_add(1);
        self.chunk_bytes += encoded.bytes.len();
        self.written.events += encoded.events;
        self.written.span = joined(self.written.span, Some(encoded.span));
        Ok(())
    }

    fn is_keyframe_due(&mut self, now: Nanos) -> bool {
        let (events, end) = (self.written.events, self.sealed.bytes);
        let last = self.last_keyframe.get_or_insert(Keyframe { ts: now, events, end, bytes: 0 });
        let is_time = now.saturating_sub(last.ts) >= KEYFRAME_SPAN || events - last.events >= KEYFRAME_EVENTS;
        is_time && (last.bytes <= KEYFRAME_SMALL || end - last.end >= KEYFRAME_SHARE * last.bytes)
    }

    /// Writes the state, in chunks of its own.
    fn keyframe(&mut self, at: Nanos) -> io::Result<()> {
        let mut encoder = Encoder::default();
        let mut messages = Vec::new();
        self.state.visit(|event| {
            encoder.push(event);
            if encoder.events() >= MESSAGE_EVENTS || encoder.size() >= MESSAGE_BYTES {
                messages.extend(encoder.take());
            }
        });
        messages.extend(encoder.take());
        for message in messages.iter().filter(|message| message.bytes.len() <= MESSAGE_LIMIT) {
            // Its number is that of the message of events that comes next.
            self.mcap.message(self.mcap.keyframes, self.sequence, (at, at), &message.bytes)?;
            self.chunk_bytes += message.bytes.len();
            if self.chunk_bytes >= CHUNK_BYTES {
                self.mcap.seal()?;
                self.chunk_bytes = 0;
            }
        }
        let begin = self.sealed.bytes;
        self.flush()?;
        let (events, end) = (self.written.events, self.sealed.bytes);
        self.last_keyframe = Some(Keyframe { ts: at, events, end, bytes: end - begin });
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        let more = self.mcap.drain(&mut self.sink)?;
        self.sealed = Summary { bytes: self.sealed.bytes + more, ..self.written.clone() };
        Ok(())
    }
}
