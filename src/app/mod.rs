//! Joins a source, the model, the daemon's control socket and a screen.

pub mod cli;
pub mod source;
