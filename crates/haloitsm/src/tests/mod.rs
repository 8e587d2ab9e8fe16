//! Tests against the simulator of HaloITSM.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod applying;
mod contract;
mod distrust;
mod faults;
mod owners;
mod people;
mod relating;
mod rig;
mod setting_up;
