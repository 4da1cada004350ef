//! The container: MCAP, written into memory.

use std::{
    collections::BTreeMap,
    io::{self, Seek, SeekFrom, Write},
    sync::{Arc, Mutex, PoisonError},
};

use mcap::records::{MessageHeader, Metadata};

use super::{EVENTS, Header, KEYFRAMES, PROFILE, SCHEMA, SCHEMA_NAME, header::totals_to_metadata, writer::Summary};
use crate::event::Nanos;

/// Level of zstd. On the storm of benches/recording.rs, 3 takes a tenth more time for a fiftieth fewer bytes.
const LEVEL: u32 = 1;

/// The end of a recording without a summary: enough to make it a whole MCAP file.
pub(super) fn bare_end() -> Vec<u8> {
    use mcap::records::op;
    // DataEnd: CRC not given. Footer: no summary, no offsets, CRC not given.
    let records = [(op::DATA_END, 4usize), (op::FOOTER, 20)];
    let mut end = Vec::new();
    for (opcode, len) in records {
        end.push(opcode);
        end.extend((len as u64).to_le_bytes());
        end.resize(end.len() + len, 0);
    }
    end.extend(mcap::MAGIC);
    end
}

/// The MCAP writer, which writes into memory, so that a sink that fails does so between chunks and in one place.
pub(super) struct Mcap {
    writer: mcap::Writer<Buffer>,
    buffer: Buffer,
    /// The channels' numbers.
    pub events: u16,
    pub keyframes: u16,
}

impl std::fmt::Debug for Mcap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mcap").finish_non_exhaustive()
    }
}

impl Mcap {
    pub(super) fn new(header: &Header) -> io::Result<Self> {
        let buffer = Buffer::default();
        let mut writer = mcap::WriteOptions::new()
            .profile(PROFILE)
            .chunk_size(None)
            .disable_seeking(true)
            .compression_level(LEVEL)
            // Compress in the recorder's own thread, without starting others.
            .compression_threads(0)
            .create(buffer.clone())
            .map_err(io::Error::other)?;
        writer.write_metadata(&header.to_metadata()).map_err(io::Error::other)?;
        let schema = writer.add_schema(SCHEMA_NAME, "protobuf", SCHEMA).map_err(io::Error::other)?;
        let mut channel = |topic| writer.add_channel(schema, topic, "protobuf", &BTreeMap::new());
        let events = channel(EVENTS).map_err(io::Error::other)?;
        let keyframes = channel(KEYFRAMES).map_err(io::Error::other)?;
        Ok(Self { writer, buffer, events, keyframes })
    }

    /// `sequence` counts up, so that a reader sees where messages are missing.
    pub(super) fn message(
        &mut self,
        channel: u16,
        sequence: u32,
        span: (Nanos, Nanos),
        bytes: &[u8],
    ) -> io::Result<()> {
        let header = MessageHeader { channel_id: channel, sequence, log_time: span.0, publish_time: span.1 };
        self.writer.write_to_known_channel(&header, bytes).map_err(io::Error::other)
    }

    pub(super) fn metadata(&mut self, metadata: &Metadata) -> io::Result<()> {
        self.writer.write_metadata(metadata).map_err(io::Error::other)
    }

    /// Writes what has been gathered to `sink`; returns how many bytes that was.
    pub(super) fn drain(&mut self, sink: &mut impl Write) -> io::Result<u64> {
        let mut pending = self.buffer.lock();
        sink.write_all(&pending.bytes)?;
        let bytes = pending.bytes.len() as u64;
        pending.before += bytes;
        pending.bytes.clear();
        Ok(bytes)
    }

    pub(super) fn seal(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(io::Error::other)
    }

    pub(super) fn finish(&mut self, totals: &Summary, messages: u32) -> io::Result<()> {
        self.metadata(&totals_to_metadata(totals, messages))?;
        self.writer.finish().map(drop).map_err(io::Error::other)
    }
}

/// Shared memory: the MCAP writer fills it, [`Writer`] empties it.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many bytes came before these.
    before: u64,
}

impl Buffer {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Buffer {
    // The MCAP writer is told not to seek; it only asks where it is.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let pending = self.lock();
        match to {
            SeekFrom::Current(0) => Ok(pending.before + pending.bytes.len() as u64),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
