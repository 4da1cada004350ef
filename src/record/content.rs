//! What a recording's records hold: channels, and chunks that become batches of events.

use std::collections::{HashMap, VecDeque};

use mcap::{
    McapError,
    records::{Record, op},
    sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions},
};

use super::{
    EVENTS, HEADER, KEYFRAMES, TOTALS,
    decode::{Unknown, decode},
    header::{self, Header, totals_from_facts},
    writer::MESSAGE_LIMIT,
};
use crate::event::Event;

/// No record of a recording is longer: a chunk is sealed at 1 MB, and one more message may come on top of that.
pub(super) const RECORD_LIMIT: usize = 2 * MESSAGE_LIMIT;
/// How many damages are described; the rest are counted.
const TOLD: usize = 3;

/// Some events of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The events, in the order they were recorded.
    pub events: Vec<Event>,
    /// The events are the state at the point where reading begins, and may be older than it by any amount.
    pub keyframe: bool,
}

/// A message that was read.
#[derive(Debug)]
struct Message {
    /// The byte its chunk begins at.
    at: u64,
    data: Vec<u8>,
    keyframe: bool,
}

/// What has been learned of the recording so far, and what is read and not handed out yet.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Topics by channel.
    topics: HashMap<u16, String>,
    chunks: Chunks,
    /// Who recorded and what, as far as it has been read.
    pub header: Header,
    /// The version of the file's format.
    version: u32,
    /// The sequence number of the next message of events; none where that is not known: a chunk was left out, or
    /// reading began in the middle of a file of version 1.
    next: Option<u32>,
    /// Whether a message of events has been read: a keyframe is only for a reader who begins with it.
    begun: bool,
    /// Messages of the last chunk that nobody has asked for yet. They become events one by one: a chunk made to do
    /// harm can hold far more of them than have room at once.
    waiting: VecDeque<Message>,
    /// Events read so far, without the keyframes.
    pub events: u64,
    pub unknown: Unknown,
    damages: Vec<String>,
    more_damages: u64,
}

impl Content {
    /// The next records come from another place in the recording, or from its beginning.
    pub(super) fn jump(&mut self, to_begin: bool) {
        self.next = (to_begin && self.version >= 2).then_some(0);
        self.begun = false;
        self.waiting.clear();
        self.events = 0;
    }

    /// Reads one record, which begins at byte `at`.
    pub(super) fn record(&mut self, at: u64, opcode: u8, data: &[u8]) {
        let result = match opcode {
            op::CHUNK => self.chunk(at, data),
            op::METADATA => mcap::parse_record(opcode, data).map(|record| self.metadata(at, record)),
            // Outside of a chunk nothing says whether it is whole. Channels are in the first chunk.
            op::MESSAGE => Err(McapError::BadIndex),
            _ => Ok(()),
        };
        match result {
            Ok(()) => {}
            Err(McapError::BadIndex) => self.damage(&format!("the message at byte {at} is in no chunk, and left out")),
            Err(error) => {
                self.next = None;
                self.damage(&format!("what is at byte {at} is damaged, and left out ({error})"));
            }
        }
    }

    /// Notes a damage.
    pub(super) fn damage(&mut self, what: &str) {
        if self.damages.len() < TOLD {
            self.damages.push(printable(what));
        } else {
            self.more_damages += 1;
        }
    }

    /// All the damages so far in one text.
    pub(super) fn damages(&self) -> Option<String> {
        let more = (self.more_damages > 0).then(|| format!("and {} more", self.more_damages));
        self.damages.iter().cloned().chain(more).reduce(|a, b| format!("{a}; {b}"))
    }

    /// How many damages have been found so far.
    pub(super) fn damage_count(&self) -> u64 {
        self.damages.len() as u64 + self.more_damages
    }

    /// Whether the next events to be handed out are of a keyframe.
    pub(super) fn has_keyframe(&self) -> bool {
        self.waiting.front().is_some_and(|message| message.keyframe)
    }

    fn metadata(&mut self, at: u64, record: Record<'_>) {
        let Record::Metadata(metadata) = record else { return };
        let (name, facts) = (metadata.name.as_str(), &metadata.metadata);
        if (name == HEADER || name == TOTALS) && !header::is_whole(&metadata) {
            self.damage(&format!("what is said of the recording at byte {at} is damaged, and left out"));
        } else if name == HEADER {
            self.header = Header::from_facts(facts);
            self.version = header::version(facts);
            if self.version >= 2 && !self.begun {
                self.next.get_or_insert(0);
            }
        } else if name == TOTALS
            && let Some((_, Some(messages))) = totals_from_facts(facts, 0)
            && let Some(missing) = self.next.map(|next| messages.wrapping_sub(next)).filter(|&missing| missing != 0)
        {
            self.damage(&format!("{missing} messages are missing at the end, before byte {at}"));
        }
    }

    fn channel(&mut self, record: Record<'_>) {
        if let Record::Channel(channel) = record {
            self.topics.insert(channel.id, channel.topic);
        }
    }

    fn chunk(&mut self, at: u64, data: &[u8]) -> Result<(), McapError> {
        let mut chunks = std::mem::take(&mut self.chunks);
        let result = chunks.records(data, |record| match record {
            Record::Message { header, data } => {
                let topic = self.topics.get(&header.channel_id).map_or("", String::as_str);
                // The first chunk describes the channels: where it is damaged, they are known by their numbers.
                match (topic, header.channel_id) {
                    (EVENTS, _) | ("", 1) => {
                        self.sequence(at, header.sequence);
                        self.next = Some(header.sequence.wrapping_add(1));
                        self.begun = true;
                        self.waiting.push_back(Message { at, data: data.into_owned(), keyframe: false });
                    }
                    (KEYFRAMES, _) | ("", 2) => {
                        if self.version >= 2 {
                            self.sequence(at, header.sequence);
                            self.next = Some(header.sequence);
                        }
                        if !self.begun {
                            self.waiting.push_back(Message { at, data: data.into_owned(), keyframe: true });
                        }
                    }
                    _ => {}
                }
            }
            record => self.channel(record),
        });
        // After an error the decompressor may be in the middle of anything.
        if result.is_ok() {
            self.chunks = chunks;
        }
        result
    }

    fn sequence(&mut self, at: u64, sequence: u32) {
        if let Some(next) = self.next.filter(|&next| next != sequence) {
            self.damage(&format!("{} messages are missing before byte {at}", sequence.wrapping_sub(next)));
        }
    }

    /// The next events of what was read so far.
    pub(super) fn batch(&mut self) -> Option<Batch> {
        while let Some(Message { at, data, keyframe }) = self.waiting.pop_front() {
            match decode(&data, &mut self.unknown) {
                Ok(events) => {
                    if !keyframe {
                        self.events += events.len() as u64;
                    }
                    return Some(Batch { events, keyframe });
                }
                Err(error) => self.damage(&format!("a message in the chunk at byte {at} is left out: {error}")),
            }
        }
        None
    }
}

/// Makes text that may quote the recording fit for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Opens chunks, one after the other, with one decompressor.
struct Chunks(LinearReader);

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

impl Default for Chunks {
    fn default() -> Self {
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(RECORD_LIMIT);
        Self(LinearReader::new_with_options(options))
    }
}

impl Chunks {
    /// Gives the records of one chunk, after its checksum was found right.
    fn records(&mut self, chunk: &[u8], mut with: impl FnMut(Record<'_>)) -> Result<(), McapError> {
        // A chunk that claims more bytes than it has would make the reader wait for them.
        if let Record::Chunk { header, .. } = mcap::parse_record(op::CHUNK, chunk)?
            && header.uncompressed_crc == 0
            && header.uncompressed_size > 0
        {
            // 0 means that there is no checksum: then nothing in the chunk can be relied on.
            return Err(McapError::BadChunkCrc { saved: 0, calculated: 0 });
        }
        let mut head = [op::CHUNK; 9];
        head[1..].copy_from_slice(&(chunk.len() as u64).to_le_bytes());
        let mut bytes = &[&head[..], chunk].concat()[..];
        while let Some(event) = self.0.next_event() {
            match event? {
                LinearReadEvent::ReadRequest(_) if bytes.is_empty() => break,
                LinearReadEvent::ReadRequest(_) => {
                    self.0.insert(bytes.len()).copy_from_slice(bytes);
                    self.0.notify_read(bytes.len());
                    bytes = &[];
                }
                LinearReadEvent::Record { opcode, data } => with(mcap::parse_record(opcode, data)?),
            }
        }
        Ok(())
    }
}
