//! From pulls to what is known: merging, absence, derived resources.
//!
//! What was read is always taken; that something was *not* read is a fact only where the scope that proves it was listed to the end.
//! Every function here changes the [`crate::estate::Estate`] in memory, notes what differs in its `dirty` part, and does nothing when the
//! same input comes a second time.

mod derive;
mod edges;
mod emptied;
mod gather;
mod merge;
mod observe;
mod scopes;

pub use derive::{Derived, derive};
pub(crate) use derive::{last_members, unlisted_members};
pub use edges::release_edges;
pub use emptied::{EMPTIED_MIN, emptied};
pub use gather::{Coverage, SourceCoverage, gather};
pub(crate) use merge::read_narrowly;
pub use observe::{Observed, Observing, observe};

#[cfg(test)]
mod tests;
