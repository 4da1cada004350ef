//! Recordings.

/// The recording's messages, made from `recording.proto`.
#[expect(missing_docs, reason = "generated; recording.proto has the words")]
#[expect(clippy::pedantic, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/ovscope.recording.rs"));
}
