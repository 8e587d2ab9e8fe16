//! From pulls to what is known: merging, absence, derived resources.
//!
//! What was read is always taken; that something was *not* read is a fact only where the scope that proves it was listed to the end.
//! Every function here changes the [`crate::estate::Estate`] in memory, notes what differs in its `dirty` part, and does nothing when the
//! same input comes a second time.

mod derive;
mod derived;
mod edges;
mod emptied;
mod fleets;
mod gather;
mod lift;
mod members;
mod merge;
mod observe;
mod scopes;

pub use derive::{Derived, derive};
pub(crate) use derived::{given_up, is_live, unlisted_members};
pub use derived::{last_members, members_scope};
pub use edges::release_edges;
pub use emptied::{EMPTIED_MIN, emptied};
pub(crate) use fleets::TOLD_BY_MEMBERS;
pub(crate) use fleets::named_fleets;
pub use fleets::{Folded, Folding, fold};
pub use gather::{Coverage, SourceCoverage, gather};
pub(crate) use members::without_added;
pub(crate) use merge::read_narrowly;
pub use observe::{Observed, Observing, observe};

#[cfg(test)]
mod fleet_properties;
#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod tests;
