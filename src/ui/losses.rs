//! What is missing in the events, in words.

use crate::{event::Loss, model::Evicted};

/// What was lost though it was wanted: how much, and what that is.
pub fn unwanted(loss: &Loss) -> [(u64, &'static str); 5] {
    [
        (loss.ring_full, "events that had no room in the ring buffer: the program was too slow to read them"),
        (loss.untracked, "packets that had no room in the kernel's tracking table"),
        (loss.missed_runs, "runs of a probe that the kernel left out, or early steps that had no room"),
        (loss.undecoded, "events that could not be decoded"),
        (loss.not_recorded, "events that the recording could not keep up with"),
    ]
}

/// What was left out on purpose, or let go to stay within bounds.
pub fn left_out(loss: &Loss, evicted: &Evicted) -> [(u64, &'static str); 9] {
    [
        (loss.over_budget, "packets left out as the event budget was spent; their counts are right"),
        (loss.upcalls_over_budget, "upcalls left out as the event budget was spent; their counts are right"),
        (loss.told_over_budget, "words of the daemon's USDT probes left out as the event budget was spent"),
        (loss.filtered_out, "packets left out by -f, --where or --datapath; their counts are right"),
        (loss.upcalls_filtered_out, "upcalls left out by -f, --where or --datapath; their counts are right"),
        (loss.not_sampled, "packets left out by sampling; their counts are right"),
        (evicted.packets, "packets let go, as newer ones needed the room"),
        (evicted.upcalls, "upcalls let go, as newer ones needed the room"),
        (evicted.flows, "flows let go, as others needed the room"),
    ]
}
