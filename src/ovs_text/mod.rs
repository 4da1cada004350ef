//! What Open vSwitch writes, as types: flows of the datapath, OpenFlow rules, traces; and the keys that its commands take.
//! Uses `event` alone.

mod action;
mod flow;
mod key;
mod names;
mod rule;
mod split;
mod trace;
mod value;

pub use action::{Action, Argument, Verb};
pub use flow::{FlowText, Group, Item, Key, Part};
pub use key::{Unwritable, write_key};
pub use names::{Names, names};
pub use rule::{Rule, RulePart, What};
pub use trace::{Met, Pass, Trace};
pub use value::{Base, Masked, Value};
