//! Dewpoint keeps a CMDB true about the clouds.
//!
//! The pure middle (model, lifecycle, plan) is [`dewpoint_core`]; this crate owns everything that touches the world.

pub use dewpoint_core::{backtest, doctor, estate, expression, inventory, lifecycle, model, ownership, plan, rules, told};

pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod exit;
pub mod export;
pub mod ledger;
pub mod run;
pub mod source;
pub mod target;
pub mod telemetry;
pub mod words;
