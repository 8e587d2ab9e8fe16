//! The sources: where resources come from.

pub use dewpoint_core::source::{Presence, Progress, Pull, Remark, STATE, Source, SourceError};

pub mod file;
