//! Joins a source, the model, the daemon's control socket and a screen.

pub mod export;
pub mod playback;
pub mod replay;
pub mod source;
