//! What other rules would have made of what was seen.
//!
//! The journal says how the clouds looked in each run of the past. [`Recording::rewind`] takes the estate back to a run and turns what came after
//! into what the clouds showed, run by run; [`replay()`] takes that through the very functions that a sync uses, under any rules, and
//! counts the records that it makes.
//!
//! What a replay cannot know, and takes instead:
//!
//! - The answers of look-ups: what a complete listing missed is taken for gone when it is due. What the clouds showed again later is counted in
//!   [`Outcome::too_early`].
//! - Guardrails, and people's verdicts on holds: every record is made, and every due one retired.
//! - Volatile attributes, and fields of the inventory file that this version does not know: the journal has none, so they are as they are now.
//! - Listings that were not complete: they show only what changed in them, and prove nothing.
//! - Since when something had been as it was, where that began before the recording and ended in it: a state or a disposition since the life
//!   began, an absence since the first run.

mod compare;
mod recording;
mod replay;
mod tally;

pub use compare::{Difference, Differing, differences};
pub use recording::{Change, Recording, Turn, TurnSeen};
pub use replay::{Terms, replay};
pub use tally::{Avoided, Fate, Outcome, Records, RuleTally};

#[cfg(test)]
mod tests;
