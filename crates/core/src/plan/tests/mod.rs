//! Tests of planning over a small world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
#![allow(unused_must_use, reason = "many tests sync only for what it leaves behind")]

mod adopting;
mod attaching;
mod beating;
mod diffing;
mod doubting;
mod drifting;
mod guarding;
mod including;
mod leaving;
mod mapping;
mod missing;
mod properties;
mod reasons;
mod referring;
mod telling;
