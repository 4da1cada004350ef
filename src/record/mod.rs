//! Recordings: one self-describing file (MCAP, with the schema in protobuf), written while events arrive and read back
//! as the very same events. `docs/recording.md` describes the format for others.

mod actions;
mod container;
mod content;
mod counted_flows;
mod decode;
mod dictionary;
mod encode;
mod files;
mod flight;
mod header;
mod index;
pub mod pcapng;
mod preamble;
mod reader;
mod readings;
mod recorded;
mod recorder;
mod recording;
mod retis;
mod runs;
mod sink;
mod sums;
mod usdt;
mod writer;

pub use content::Batch;
pub use decode::Unknown;
pub use files::{FILE_MIN, Files};
pub use flight::{FLIGHT_MIN, Flight, Kept, Past};
pub use header::Header;
pub use preamble::Preamble;
pub use reader::{ReadError, Reader};
pub use recorded::Recorded;
pub use recorder::{Progress, Recorder};
pub use recording::Recording;
pub use retis::RetisReader;
pub use sink::{RecordError, Sink, Stream, create_new};
pub use writer::{Summary, Writer};

/// The recording's messages, made from `recording.proto`.
#[expect(clippy::pedantic, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/ovscope.recording.rs"));
}

/// The same for the writer, with the columns that most events have a number in as the bytes that they are on the wire.
#[expect(clippy::pedantic, reason = "generated")]
mod columns {
    include!(concat!(env!("OUT_DIR"), "/ovscope.columns.rs"));
}

/// The compiled schema, a `FileDescriptorSet`, as every recording carries it.
const SCHEMA: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/recording.fds"));
/// The name of the schema's message.
const SCHEMA_NAME: &str = "ovscope.recording.Events";
/// The topic of the events.
const EVENTS: &str = "events";
/// The topic of the keyframes: the state at that point, for who begins to read there.
const KEYFRAMES: &str = "keyframes";
/// The MCAP profile of a recording.
const PROFILE: &str = "ovscope";
/// The metadata record at a recording's begin: who recorded, and what.
const HEADER: &str = "ovscope.header";
/// The metadata record at a recording's end: how much.
const TOTALS: &str = "ovscope.totals";

/// The events of one message, where it is one; for the fuzz target.
pub(crate) fn read_message(message: &[u8]) -> Option<Vec<crate::event::Event>> {
    decode::decode(message, &mut Unknown::default()).ok()
}
