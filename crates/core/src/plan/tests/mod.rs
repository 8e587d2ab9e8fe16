//! Tests of planning over a small world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod adopting;
mod diffing;
mod drifting;
mod guarding;
mod properties;
