//! The simulator's rules, one by one, over its socket; and the simulator as PySNC and pysnow see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod auth;
mod clients;
mod companions;
mod engine;
mod faults;
mod parked;
mod quotas;
mod support;
mod table;
