//! Joins a source, the model, the daemon's control socket and a screen.

pub mod source;
