//! A whole simulator on the kit, and what a client meets.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod client;
mod faults;
mod server;
mod shop;
