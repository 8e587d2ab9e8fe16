//! What planning reads.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::attached::Attachments;
use super::change::Reason;
use super::include::{Include, Members};
use super::record::TargetState;
use crate::ci::ci;
use crate::estate::{Estate, Known, Stage};
use crate::lifecycle::Verdicts;
use crate::model::Key;
use crate::ownership::Ownership;
use crate::target::{Adopt, Authority, Ci, Purge, Target};

/// What the configuration says of one target. Of the target itself only its pure functions are called.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The target.
    pub target: &'a dyn Target,
    /// Which CIs it gets.
    pub include: &'a Include,
    /// What to do where a stranger's record stands.
    pub adopt: Adopt,
    /// What becomes of retired records.
    pub purge: Purge,
    /// Field authorities that differ from the mapping's, by field.
    pub authority: &'a BTreeMap<String, Authority>,
    /// Records it may hold.
    pub max_records: Option<u64>,
}

/// The facts that one target's plan is made from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// What the configuration says of the target.
    pub terms: &'a Terms<'a>,
    /// The estate, decided.
    pub estate: &'a Estate,
    /// Retirements that wait for a look-up, with their reasons. A key whose end was confirmed is `retired` in the estate instead.
    pub proposed: &'a BTreeMap<Key, Reason>,
    /// What the ledger knows of the target. The fields of [`super::stale`] rows must be loaded.
    pub state: &'a TargetState,
    /// What [`super::members`] said of the target's CIs in this run.
    pub members: &'a Members,
    /// What [`super::attachments`] counted, where the target tells of it; else nothing.
    pub attachments: &'a Attachments,
    /// Which tags tell of ownership.
    pub ownership: &'a Ownership,
    /// What the rules say of each resource.
    pub verdicts: &'a Verdicts,
    /// The run's clock.
    pub at: Timestamp,
}

impl Input<'_> {
    /// The CI of a resource, as it should read at `stage`.
    pub(super) fn ci(&self, known: &Known, stage: Stage) -> Ci {
        let key = &known.resource.key;
        Ci { attached: self.attachments.of(key), ..ci(known, stage, self.ownership, self.verdicts.of(key)) }
    }
}

impl std::fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terms")
            .field("target", self.target.name())
            .field("include", self.include)
            .field("adopt", &self.adopt)
            .field("purge", &self.purge)
            .field("authority", self.authority)
            .field("max_records", &self.max_records)
            .finish()
    }
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("terms", self.terms).field("at", &self.at).finish_non_exhaustive()
    }
}
