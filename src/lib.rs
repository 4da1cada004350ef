//! ovscope looks into a live Open vSwitch kernel datapath.
//!
//! Data has one road: a source (the probes, a recording) makes [`event::Event`]s, the [`model`] applies them, [`ui`]
//! draws the model. `probes`, `record`, `model` and `ovs_rpc` know `event` and not each other (`probes` runs what `filter`
//! compiles); `ui` reads `model`; only `app` knows everybody. `ovs_text` is what Open vSwitch writes, as types, for all of them
//! but `event`. `processes` finds the daemon for those that look for it,
//! and [`privileges`] is what is left of root's.

pub mod app;
pub mod event;
pub mod filter;
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
pub mod ovs_rpc;
pub mod ovs_text;
pub mod privileges;
pub mod probes;
mod processes;
pub mod record;
pub mod ui;
