//! What deserves a record, and where each resource stands in its life.
//!
//! [`decide`] gives dispositions and stages and *proposes* retirements; [`confirm`] takes the answers of the look-ups that follow.
//! Both change the [`crate::estate::Estate`] in memory only, and doing either twice is doing it once.

mod causes;
mod confirm;
mod decide;
mod decider;
mod dependents;
mod explain;
mod fleets;
mod moves;
mod outlook;
mod policy;
mod stages;
mod waiting;
mod words;

pub(crate) use causes::absence;
pub use confirm::{Confirmed, conclude, confirm, purged};
#[cfg(any(test, feature = "testing"))]
pub(crate) use decide::decide_with;
pub use decide::{Decisions, decide, decide_traced, reason};
pub(crate) use decide::{RETIRED_SCOPE, age_seen};
pub(crate) use decider::{Through, decider};
pub use explain::{Because, Evidence, Explanation, RuleOutcome, RuleTrace, Timer, explain};
pub(crate) use fleets::placed;
pub use moves::{conclude_moved, successors};
pub use policy::{Policy, RuleTracer, Timers, Verdicts};
pub use stages::may_follow;
pub use waiting::DeferredBy;

#[cfg(test)]
mod fleet_rule_tests;
#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod truth_properties;
