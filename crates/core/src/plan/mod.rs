//! Plans: the ordered changes that would make one target true, and what guardrails take out of them.

mod change;
mod guard;
mod record;

pub use change::{Change, ChangeId, ChangeKind, Plan, Reason};
pub use guard::{Guardrail, Hold, HoldId, Limits, Verdict, VerdictKind};
pub use record::{DeliveryState, FieldState, RecordBrief, RecordEdge, Tally, TargetState};
