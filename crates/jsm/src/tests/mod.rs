//! Tests against the simulator of Assets.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod contract;
mod rig;
mod setting_up;
