//! What can be replayed, whatever it is kept in.

use super::{Batch, ReadError, Reader};
use crate::event::Nanos;

/// Events in the order they were recorded, from anywhere on.
pub trait Recorded: Send {
    /// The next events; none at the end. As with [`Reader::next_batch`], where reading began in the middle those of the
    /// state there come first.
    fn next_batch(&mut self) -> Option<Result<Batch, ReadError>>;

    /// Goes to the last keyframe that is not after `ts`, or to the begin.
    fn seek(&mut self, ts: Nanos) -> Result<(), ReadError>;

    /// Whether [`Recorded::seek`] can be.
    fn can_seek(&self) -> bool;

    /// The time of the last keyframe that is not after `ts`; none where there is none or nobody knows.
    fn keyframe_before(&self, ts: Nanos) -> Option<Nanos>;

    /// All that somebody who relies on what was read has to know.
    fn remarks(&self) -> Option<String>;
}

impl Recorded for Reader {
    fn next_batch(&mut self) -> Option<Result<Batch, ReadError>> {
        Self::next_batch(self)
    }

    fn seek(&mut self, ts: Nanos) -> Result<(), ReadError> {
        Self::seek(self, ts)
    }

    fn can_seek(&self) -> bool {
        Self::can_seek(self)
    }

    fn keyframe_before(&self, ts: Nanos) -> Option<Nanos> {
        Self::keyframe_before(self, ts)
    }

    fn remarks(&self) -> Option<String> {
        Self::remarks(self)
    }
}
