//! The simulator's rules, one by one, over its socket; and the simulator as real clients see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod aql;
mod auth;
mod clients;
mod data_center;
mod faults;
mod imports;
mod objects;
mod quotas;
mod schemas;
mod support;
