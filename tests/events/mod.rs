//! Events that tests make themselves.

pub mod arbitrary;
pub mod storm;
