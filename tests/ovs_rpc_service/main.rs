//! The service against a daemon of our own, on a clock of our own: how often it asks, what it keeps, what it says.

mod bench;
mod figures;
mod flows;
mod outages;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../ovs_server/mod.rs"]
mod ovs_server;
mod traces;
