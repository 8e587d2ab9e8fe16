//! Plans: the ordered changes that would make one target true, and what guardrails take out of them.
//!
//! For each target: [`members`] says which CIs it gets, [`stale`] whose fields to load, [`identities`] what to ask the target before it
//! creates anything, [`draft`] what is wanted; [`Draft::adopt`] takes the answers in, and [`guard`] takes out what must wait. A full read comes before that,
//! through [`absorb`]. Nothing here does I/O or reads a clock.

mod absorb;
mod adopt;
mod attached;
mod basis;
mod beats;
mod blast;
mod change;
mod diff;
pub mod document;
mod doubt;
mod draft;
mod drift;
mod edges;
mod gate;
mod guard;
mod include;
mod input;
mod left;
mod missed;
mod record;
mod recovery;
pub mod render;
mod standing;
mod stored;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod window;

pub use absorb::{Absorbed, Drifted, Lost, absorb, gone};
pub use adopt::{Unanswered, recovered};
pub use attached::{Attachments, attachments};
pub use beats::{Beats, Pace, beats};
pub use change::{Change, ChangeId, ChangeKind, Plan, Reason};
pub use diff::{delivered_fields, unsure_fields};
pub use draft::{Draft, draft, draft_lean, fill, identities, stale};
pub use drift::{DriftAction, after_read, drift};
pub use edges::edge_basis;
pub use gate::{Guarded, Guards, guard};
pub use guard::{Guardrail, Hold, HoldId, Limits, Verdict, VerdictKind};
pub use include::{Include, Members, Unasked, members, takes};
pub use input::{Input, Terms};
pub use left::{left, tried_again};
pub use record::{Counted, DeliveryState, FieldState, Missed, RecordBrief, RecordEdge, Refusal, Tally, TargetState};
pub use recovery::recovered_edges;
pub use window::{WINDOW, tallies, window_start};
