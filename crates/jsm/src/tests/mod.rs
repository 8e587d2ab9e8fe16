//! Tests against the simulator of Assets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod between;
mod calls;
mod contract;
mod faults;
mod imports;
mod rig;
mod setting_up;
