//! Joins a source, the model, the daemon's control socket and a screen.

pub mod actions;
pub mod keys;
mod navigate;
pub mod own_cpu;
pub mod playback;
pub mod screen;
pub mod source;
pub mod state;
mod terminal;
