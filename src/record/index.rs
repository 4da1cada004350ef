//! A recording's summary, read from its end: how much there is, and where to begin for a moment.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use mcap::{
    MAGIC,
    records::{Metadata, Record, op},
    sans_io::{SummaryReadEvent, SummaryReader, SummaryReaderOptions},
};

use super::{
    HEADER, KEYFRAMES, TOTALS,
    content::RECORD_LIMIT,
    header::{Header, is_whole, totals_from_facts},
    writer::Summary,
};
use crate::event::Nanos;

/// What a sealed recording says about itself.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub totals: Summary,
    /// The last header.
    pub header: Option<Header>,
    keyframes: Vec<Keyframe>,
}

/// Chunks that hold a keyframe, one behind the other.
#[derive(Debug, Clone, Copy)]
struct Keyframe {
    ts: Nanos,
    /// The byte that the first of them begins at.
    begin: u64,
    /// The byte after the last.
    end: u64,
}

/// What is at a file's end.
#[derive(Debug)]
pub(super) enum Found {
    /// The recording was sealed.
    Index(Box<Index>),
    /// It was not, or its end has no summary.
    Nothing,
    /// The summary is damaged.
    Damaged,
}

impl Index {
    /// Reads it. The input's position is anywhere after.
    pub(super) fn read(input: &mut (impl Read + Seek + ?Sized)) -> io::Result<Found> {
        // Its records are small and many.
        let mut input = BufReader::with_capacity(1 << 18, input);
        let bytes = input.seek(SeekFrom::End(0))?;
        match check(&mut input, bytes)? {
            Found::Nothing => return Ok(Found::Nothing),
            Found::Damaged => return Ok(Found::Damaged),
            Found::Index(_) => {}
        }
        let options = SummaryReaderOptions::default().with_file_size(bytes).with_record_length_limit(RECORD_LIMIT);
        let mut reader = SummaryReader::new_with_options(options);
        while let Some(event) = reader.next_event() {
            match event {
                Ok(SummaryReadEvent::ReadRequest(need)) => {
                    let got = input.read(reader.insert(need.min(RECORD_LIMIT)))?;
                    reader.notify_read(got);
                }
                Ok(SummaryReadEvent::SeekRequest(to)) => match input.seek(to) {
                    Ok(position) => reader.notify_seeked(position),
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Found::Damaged),
                    Err(error) => return Err(error),
                },
                Err(_) => return Ok(Found::Damaged),
            }
        }
        let Some(summary) = reader.finish() else { return Ok(Found::Nothing) };
        let mut metadata = |name: &str| {
            let place = summary.metadata_indexes.iter().rev().find(|index| index.name == name);
            place.map_or(Ok(None), |place| read_metadata(&mut input, name, place.offset, place.length, bytes))
        };
        let Some(totals) = metadata(TOTALS)? else { return Ok(Found::Nothing) };
        let Some((totals, _)) = totals_from_facts(&totals.metadata, bytes).filter(|_| is_whole(&totals)) else {
            return Ok(Found::Damaged);
        };
        let header = metadata(HEADER)?.filter(is_whole).map(|header| Header::from_facts(&header.metadata));
        let keyframes = summary.channels.values().find(|channel| channel.topic == KEYFRAMES).map(|channel| channel.id);
        let mut found: Vec<Keyframe> = Vec::new();
        for chunk in &summary.chunk_indexes {
            if keyframes.is_none_or(|id| !chunk.message_index_offsets.contains_key(&id)) {
                continue;
            }
            let begin = chunk.chunk_start_offset;
            let end = begin.saturating_add(chunk.chunk_length).saturating_add(chunk.message_index_length);
            match found.last_mut() {
                Some(last) if last.end == begin && last.ts == chunk.message_start_time => last.end = end,
                _ => found.push(Keyframe { ts: chunk.message_start_time, begin, end }),
            }
        }
        Ok(Found::Index(Box::new(Self { totals, header, keyframes: found })))
    }

    /// The times of the keyframes.
    pub(super) fn times(&self) -> Vec<Nanos> {
        self.keyframes.iter().map(|keyframe| keyframe.ts).collect()
    }

    /// The time of the keyframe to begin at, so that at `ts` what happened in the `span` before it is known, too; that of a
    /// later one where that would be more than `bytes` to read. None where there is no keyframe before `ts`.
    pub(super) fn warm(&self, ts: Nanos, span: Nanos, bytes: u64) -> Option<Nanos> {
        let mut before = self.before(ts);
        let (mut from, nearest) = before.next()?;
        for (time, at) in before {
            if from <= ts.saturating_sub(span) || at.saturating_add(bytes) < nearest {
                break;
            }
            from = time;
        }
        Some(from)
    }

    /// The times of the keyframes that are not after `ts` and the bytes they begin at, the last first.
    pub(super) fn before(&self, ts: Nanos) -> impl Iterator<Item = (Nanos, u64)> {
        let before = self.keyframes.iter().rev().filter(move |keyframe| keyframe.ts <= ts);
        before.map(|keyframe| (keyframe.ts, keyframe.begin))
    }
}

/// Whether there is an end, and before it a summary with the right checksum.
fn check(input: &mut (impl Read + Seek), bytes: u64) -> io::Result<Found> {
    /// Opcode, length, where the summary and its offsets begin, CRC, and the magic that follows.
    const FOOTER: u64 = 1 + 8 + 8 + 8 + 4 + 8;
    if bytes < FOOTER {
        return Ok(Found::Nothing);
    }
    let mut footer = [0; FOOTER as usize];
    input.seek(SeekFrom::Start(bytes - FOOTER))?;
    input.read_exact(&mut footer)?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| footer[at + n]));
    if footer[0] != op::FOOTER || word(1) != 20 || footer[29..] != *MAGIC {
        return Ok(Found::Nothing);
    }
    let (begin, end) = (word(9), bytes - 12);
    let crc = u32::from_le_bytes(std::array::from_fn(|n| footer[25 + n]));
    if begin == 0 {
        return Ok(Found::Nothing);
    }
    if begin > end || crc == 0 {
        return Ok(Found::Damaged);
    }
    input.seek(SeekFrom::Start(begin))?;
    let mut hasher = crc32fast::Hasher::new();
    io::copy(&mut input.take(end - begin), &mut Hashing(&mut hasher))?;
    Ok(if hasher.finalize() == crc { Found::Index(Box::default()) } else { Found::Damaged })
}

/// Puts what is written into a checksum.
struct Hashing<'a>(&'a mut crc32fast::Hasher);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_metadata(
    input: &mut (impl Read + Seek),
    name: &str,
    offset: u64,
    length: u64,
    bytes: u64,
) -> io::Result<Option<Metadata>> {
    /// Opcode and length before a record.
    const HEAD: usize = 9;
    if length < HEAD as u64 || offset.checked_add(length).is_none_or(|end| end > bytes) {
        return Ok(None);
    }
    input.seek(SeekFrom::Start(offset))?;
    let mut record = Vec::new();
    input.take(length.min(RECORD_LIMIT as u64)).read_to_end(&mut record)?;
    let Some((head, data)) = record.split_at_checked(HEAD) else { return Ok(None) };
    match mcap::parse_record(head[0], data) {
        Ok(Record::Metadata(facts)) if facts.name == name => Ok(Some(facts)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warming_up_begins_at_a_keyframe_early_enough_and_near_enough() {
        let keyframe = |ts, begin| Keyframe { ts, begin, end: begin };
        let at =
            |keyframes: &[Keyframe], ts| Index { keyframes: keyframes.to_vec(), ..Index::default() }.warm(ts, 10, 1000);
        let even = [keyframe(10, 100), keyframe(20, 400), keyframe(30, 800), keyframe(40, 1200)];
        assert_eq!([at(&even, 9), at(&even, 15), at(&even, 45)], [None, Some(10), Some(30)]);
        let large = [keyframe(10, 100), keyframe(20, 5000), keyframe(25, 5100)];
        assert_eq!(at(&large, 26), Some(20), "what is before that is too much to read");
        // An index may say anything.
        assert_eq!(at(&[keyframe(10, u64::MAX), keyframe(20, u64::MAX)], 20), Some(10));
    }
}
