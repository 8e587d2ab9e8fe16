//! Tests against the simulator of HaloITSM.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod contract;
mod rig;
