//! Dewpoint keeps a CMDB true about the clouds.
//!
//! The pure middle (model, lifecycle, plan) is [`dewpoint_core`]; this crate owns everything that touches the world.

pub use dewpoint_core::{doctor, estate, inventory, lifecycle, model, plan};

pub mod config;
pub mod export;
pub mod ledger;
pub mod source;
pub mod target;
