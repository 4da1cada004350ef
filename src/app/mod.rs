//! Joins a source, the model, the daemon's control socket and a screen.

pub mod actions;
pub mod keys;
pub mod playback;
pub mod screen;
pub mod source;
mod terminal;
