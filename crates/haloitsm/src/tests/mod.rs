//! Tests against the simulator of HaloITSM.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod applying;
mod contract;
mod faults;
mod relating;
mod rig;
mod setting_up;
