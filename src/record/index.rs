//! A recording's summary, read from its end: how much there is, and where to begin for a moment.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use mcap::{
    records::Record,
    sans_io::{SummaryReadEvent, SummaryReader},
};

use super::{KEYFRAMES, TOTALS, content::RECORD_LIMIT, writer::Summary};
use crate::event::Nanos;

/// What a sealed recording says about itself.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub totals: Summary,
    /// The chunks that begin with a keyframe: the time of their first event, and the byte they begin at.
    keyframes: Vec<(Nanos, u64)>,
}

impl Index {
    /// Reads it; none when the recording was not sealed. The input's position is anywhere after.
    pub(super) fn read(input: &mut (impl Read + Seek + ?Sized)) -> io::Result<Option<Self>> {
        // Its records are small and many.
        let mut input = BufReader::with_capacity(1 << 18, input);
        let bytes = input.seek(SeekFrom::End(0))?;
        let mut reader = SummaryReader::new();
        while let Some(event) = reader.next_event() {
            match event {
                Ok(SummaryReadEvent::ReadRequest(need)) if need > RECORD_LIMIT => return Ok(None),
                Ok(SummaryReadEvent::ReadRequest(need)) => {
                    let got = input.read(reader.insert(need))?;
                    reader.notify_read(got);
                }
                Ok(SummaryReadEvent::SeekRequest(to)) => match input.seek(to) {
                    Ok(position) => reader.notify_seeked(position),
                    // Before the begin: the file is shorter than a summary.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(None),
                    Err(error) => return Err(error),
                },
                // A damaged summary is as good as none: the events are read without it.
                Err(_) => return Ok(None),
            }
        }
        let Some(summary) = reader.finish() else { return Ok(None) };
        let Some(totals) = summary.metadata_indexes.iter().find(|index| index.name == TOTALS) else { return Ok(None) };
        let Some(totals) = read_totals(&mut input, totals.offset, totals.length, bytes)? else { return Ok(None) };
        let keyframes = summary.channels.values().find(|channel| channel.topic == KEYFRAMES).map(|channel| channel.id);
        let chunks = summary.chunk_indexes.iter();
        let keyframes = chunks
            .filter(|chunk| keyframes.is_some_and(|id| chunk.message_index_offsets.contains_key(&id)))
            .map(|chunk| (chunk.message_start_time, chunk.chunk_start_offset))
            .collect();
        Ok(Some(Self { totals, keyframes }))
    }

    /// The times of the keyframes.
    pub(super) fn times(&self) -> Vec<Nanos> {
        self.keyframes.iter().map(|&(time, _)| time).collect()
    }

    /// The time and the byte of the last chunk that begins with a keyframe and not after `ts`.
    pub(super) fn before(&self, ts: Nanos) -> Option<(Nanos, u64)> {
        self.keyframes.iter().rev().find(|&&(start, _)| start <= ts).copied()
    }
}

fn read_totals(input: &mut (impl Read + Seek), offset: u64, length: u64, bytes: u64) -> io::Result<Option<Summary>> {
    /// Opcode and length before a record.
    const HEAD: usize = 9;
    if length < HEAD as u64 || offset.checked_add(length).is_none_or(|end| end > bytes) {
        return Ok(None);
    }
    input.seek(SeekFrom::Start(offset))?;
    let mut record = Vec::new();
    input.take(length).read_to_end(&mut record)?;
    let Some((head, data)) = record.split_at_checked(HEAD) else { return Ok(None) };
    let Ok(Record::Metadata(facts)) = mcap::parse_record(head[0], data) else { return Ok(None) };
    let number = |key: &str| facts.metadata.get(key)?.parse().ok();
    Ok(number("events").map(|events| Summary {
        events,
        bytes,
        span: number("first_ts").zip(number("last_ts")),
        not_recorded: number("not_recorded").unwrap_or(0),
    }))
}
