//! The simulator's rules, one by one, over its socket; and the simulator as others see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod auth;
mod clients;
mod configuration;
mod faults;
mod limits;
mod links;
mod lists;
mod posts;
mod support;
