//! Tests against the simulator of Assets.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod contract;
mod rig;
mod setting_up;
