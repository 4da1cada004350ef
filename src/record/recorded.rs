//! What can be replayed, whatever it is kept in.

use super::{Batch, ReadError, Reader, readings::SECOND};
use crate::event::Nanos;

/// To show a moment, reading begins so long before it: verdicts and the lists of what happened last rest on so much.
pub(super) const WARM: Nanos = 11 * SECOND;
/// More of a recording is not read for that than so many bytes, some hundred thousand events: the moment is waited for.
pub(super) const WARM_BYTES: u64 = 1 << 20;

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

    /// Where to go to, so that at `ts` the seconds before it are known, too: eleven of them, or fewer where that were much
    /// to read.
    fn warm(&self, ts: Nanos) -> Nanos;

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

    fn warm(&self, ts: Nanos) -> Nanos {
        Self::warm(self, ts)
    }

    fn remarks(&self) -> Option<String> {
        Self::remarks(self)
    }
}
