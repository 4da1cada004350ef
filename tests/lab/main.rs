//! The kernel side against real kernels: each test boots a guest of the lab. `cargo test -- --include-ignored`, or
//! `make test`, which builds the lab first.

mod actions;
mod attach;
mod corners;
mod ends;
mod errors;
mod exact;
mod failing;
mod faults;
mod filter;
mod guest;
mod live;
mod parts;
mod ping;
#[path = "../pty/mod.rs"]
mod pty;
mod reasons;
mod refused;
mod ties;
mod usdt;
mod verdicts;

/// Every kernel of the lab.
const KERNELS: [&str; 3] = ["6.1", "6.12", "7.3"];
/// The oldest and the newest, for what takes long and is in the one between what it is in both.
const OLDEST_AND_NEWEST: [&str; 2] = [KERNELS[0], KERNELS[2]];
