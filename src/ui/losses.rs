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
        (loss.over_budget, "packets over the event budget: counted, not recorded"),
        (loss.upcalls_over_budget, "upcalls over the event budget: counted, not recorded"),
        (loss.told_over_budget, "words of the daemon's USDT probes over the event budget"),
        (loss.filtered_out, "packets not taken by -f, --where, --datapath: counted, not recorded"),
        (loss.upcalls_filtered_out, "upcalls not taken by -f, --where, --datapath: counted, not recorded"),
        (loss.not_sampled, "packets not sampled: counted, not recorded"),
        (evicted.packets, "packets let go to make room for newer ones"),
        (evicted.upcalls, "upcalls let go to make room for newer ones"),
        (evicted.flows, "flows let go to make room for others"),
    ]
}
