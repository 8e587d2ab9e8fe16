//! The target against the simulator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod applying;
mod attaching;
mod beating;
mod contract;
mod data;
mod faults;
mod reading;
mod referencing;
mod rig;
mod services;
mod setting_up;
