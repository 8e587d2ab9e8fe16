//! Dewpoint's words, its seams and its pure middle.
//!
//! Nothing in this crate does I/O, reads a clock or keeps state: the same input gives the same bytes. The binary crate owns
//! the ledger, the sources, the targets and the run that ties them together.

pub mod backtest;
pub mod ci;
pub mod doctor;
pub mod estate;
pub mod expression;
pub mod inventory;
pub mod lifecycle;
pub mod model;
pub mod ownership;
pub mod plan;
pub mod rules;
pub mod source;
pub mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod told;
