//! ovscope looks into a live Open vSwitch kernel datapath.
//!
//! Data flows one way: a source ([`probes`], a recording read by [`record`], the daemon asked by [`ovs_rpc`]) makes
//! [`event::Event`]s, the [`model`] applies them, and [`ui`] draws the model. These four sides know [`event`] and not each
//! other; only [`app`] knows them all. [`ovs_text`] is what Open vSwitch writes, as types; [`filter`] compiles which packets
//! to record; `processes` finds the daemon; [`privileges`] drops what is not needed of root's. `docs/code.md` has the whole
//! table of which module uses which, and a test that holds the sources to it.

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
