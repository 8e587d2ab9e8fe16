//! What the ledger knows of a target: records, edges, and the changes of the last day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::{Change, ChangeId};
use super::guard::{Verdict, VerdictKind};
use crate::model::{Account, Digest, EdgeId, Key, Kind, TargetName, vocabulary};
use crate::target::{Addressed, RecordId};

vocabulary! {
    /// State of a record at a target.
    DeliveryState, "delivery state" {
        /// Wanted, not sent yet.
        Pending => "pending",
        /// The target has it as we want it.
        Delivered => "delivered",
        /// A guardrail stopped it.
        Held => "held",
        /// The target refused it; it will be tried again.
        Failed => "failed",
        /// It failed too often; it waits for `dewpoint retry`.
        Parked => "parked",
        /// Its retirement was delivered.
        Retired => "retired",
        /// Its removal was delivered.
        Purged => "purged",
        /// The target does not want this CI (`include`); or a stranger's record stands for it, which others are identified beside and which is only
        /// referred to.
        Excluded => "excluded",
    }
}

/// One field of a record, as guardrail 5 needs it.
///
/// A field that is ours and whose `sent` is absent is still to be written, whatever `desired` says: so a correction that a read asked
/// for survives until it is delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldState {
    /// What we last wanted.
    pub desired: Value,
    /// What we last wrote; absent where we never wrote, or where a read asked to write again.
    pub sent: Option<Value>,
    /// What the target showed when last read; cleared by every delivery that writes the field.
    pub echoed: Option<Value>,
    /// What the target showed when it was written once more because that differed from `sent`: shown again, it rests.
    pub rewritten: Option<Value>,
    /// The target keeps its own form of it; it rests until the desired value or the mapping changes.
    pub rests: bool,
    /// It was people's when it was last written (every authority but `owned`): not emptied when we have no value any more.
    pub people: bool,
}

impl FieldState {
    /// A field right after `value` was delivered.
    #[must_use]
    pub fn delivered(value: Value, people: bool) -> Self {
        Self { desired: value.clone(), sent: Some(value), echoed: None, rewritten: None, rests: false, people }
    }
}

/// A change that a target refused, or did not answer for.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The wish. Another one does not wait for it, and begins its own count.
    pub change: ChangeId,
    /// Failed attempts in a row.
    pub attempts: u32,
    /// Not before this.
    pub next_try_at: Option<Timestamp>,
    /// The target's words.
    pub error: String,
}

/// One record × target row, without its fields unless they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordBrief {
    /// The target's id of the record; `None` where a create failed and never succeeded, and where a read proved the record gone
    /// (then `created_at` is set, and making it again counts under guardrail 3).
    pub record: Option<RecordId>,
    /// The target's class.
    pub class: String,
    /// Kind of the CI, kept for guardrail groups after the resource is gone.
    pub kind: Kind,
    /// Account of the CI.
    pub account: Account,
    /// Its state.
    pub state: DeliveryState,
    /// Counts deliveries and other changes of this row; a saved plan's precondition.
    pub revision: i64,
    /// Digest of everything the delivered record was made from; see [`super::Draft::settled`].
    pub basis: Option<Digest>,
    /// When the record was created there (base of guardrail 3).
    pub created_at: Option<Timestamp>,
    /// When its retirement was delivered, if it is retired.
    pub retired_at: Option<Timestamp>,
    /// When anything was last delivered.
    pub delivered_at: Option<Timestamp>,
    /// When its heartbeat was last sent: no delivery, and no part of any change's identity.
    pub beat_at: Option<Timestamp>,
    /// The last change that the target refused, until one succeeds.
    pub refusal: Option<Box<Refusal>>,
    /// A stranger's record to which we only contribute fields: never retired or purged by us.
    pub contributed: bool,
    /// The external id that the record carries, where that is not this row's key: its machine lives on under a new id, and nothing was
    /// delivered since.
    pub carries: Option<Key>,
    /// Its fields, where they were loaded.
    pub fields: Option<BTreeMap<String, FieldState>>,
}

impl RecordBrief {
    /// The row of a record that a change is about to make, or failed to make: nothing of ours stands at the target yet. An adoption's
    /// record is the stranger's until it was delivered, so it is not named here.
    #[must_use]
    pub fn unborn(change: &Change) -> Self {
        Self {
            record: None,
            class: change.class.clone(),
            kind: change.kind,
            account: change.account.clone(),
            state: DeliveryState::Pending,
            revision: change.revision,
            basis: None,
            created_at: None,
            retired_at: None,
            delivered_at: None,
            beat_at: None,
            refusal: None,
            contributed: change.contributed,
            carries: None,
            fields: None,
        }
    }

    /// The record as a write has to address it; `None` where there is none.
    #[must_use]
    pub fn addressed(&self, key: &Key) -> Option<Addressed> {
        let carries = (!self.contributed).then(|| self.carries.as_ref().unwrap_or(key).clone());
        Some(Addressed { record: self.record.clone()?, carries })
    }

    /// The same row under the new key of its machine.
    #[must_use]
    pub fn moved(self, from: &Key, to: &Key) -> Self {
        let carries = self.carries.unwrap_or_else(|| from.clone());
        Self { basis: None, revision: self.revision + 1, carries: (carries != *to).then_some(carries), ..self }
    }

    /// Whether the target holds a record here, live or retired.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.record.is_some() && self.state != DeliveryState::Purged
    }

    /// Whether this is a stranger's record that others are identified beside ([`crate::target::Target::is_host`]): edges may end there, and nothing is
    /// ever written to it.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        self.exists() && self.state == DeliveryState::Excluded
    }

    /// Whether the target holds a live record here.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.exists() && self.retired_at.is_none()
    }
}

vocabulary! {
    /// What full reads made of a delivered edge that the target did not show. Forgotten as soon as one shows it.
    Missed, "missed edge" {
        /// It is sent once more.
        Once => "once",
        /// It was sent once more, and the next read did not show it again: left so until its desired attributes or the record of an end change.
        Rests => "rests",
    }
}

/// One delivered edge at a target.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordEdge {
    /// Digest of the attributes that were delivered.
    pub basis: Option<Digest>,
    /// When it was first delivered (base of guardrail 3); where that is not known it counts as always there.
    pub created_at: Option<Timestamp>,
    /// When it was last delivered; `None` while it has only failed.
    pub delivered_at: Option<Timestamp>,
    /// State: delivered, failed or parked.
    pub state: DeliveryState,
    /// Counts deliveries of this row.
    pub revision: i64,
    /// The last change that the target refused, until one succeeds.
    pub refusal: Option<Box<Refusal>>,
    /// Whether full reads lacked it.
    pub missed: Option<Missed>,
}

impl RecordEdge {
    /// The row right after the edge was delivered; `before` is what the ledger knew of it.
    #[must_use]
    pub fn related(before: Option<&Self>, basis: Digest, at: Timestamp) -> Self {
        // One that is delivered once more is not a new one.
        let known = before.filter(|row| row.delivered_at.is_some());
        let is_once_more = |row: &&Self| row.is_missed() && row.basis == Some(basis);
        Self {
            basis: Some(basis),
            created_at: known.map_or(Some(at), |row| row.created_at),
            delivered_at: Some(at),
            state: DeliveryState::Delivered,
            revision: before.map_or(0, |row| row.revision) + 1,
            refusal: None,
            missed: before.filter(is_once_more).and_then(|row| row.missed),
        }
    }

    /// Whether a read lacked it and it was not sent once more yet.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.missed == Some(Missed::Once) && self.state != DeliveryState::Delivered
    }

    /// The row where nobody knows any more whether the edge stands there: it is sent again where it is wanted, and removed where it is not.
    #[must_use]
    pub fn doubted(&self) -> Self {
        let state = if self.state == DeliveryState::Delivered { DeliveryState::Pending } else { self.state };
        Self { basis: None, state, revision: self.revision + 1, ..self.clone() }
    }
}

vocabulary! {
    /// What guardrail 3 counts, each by itself.
    Counted, "counted change" {
        /// Retirements.
        Retire => "retire",
        /// Removals of records.
        Purge => "purge",
        /// Removals of edges.
        Unrelate => "unrelate",
        /// Creates of records that were there before.
        Recreate => "recreate",
        /// Edges that were delivered and that the target does not show any more, related once more.
        Reconnect => "reconnect",
        /// Updates of fields by which the target identifies records.
        Identify => "identify",
        /// All updates, where `max_update_percent` is on.
        Update => "update",
    }
}

/// One change sent within guardrail 3's window that counts against its limits (approved ones are not here).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// As what it counts.
    pub change: Counted,
    /// The change.
    pub id: ChangeId,
    /// Kind of the CI.
    pub kind: Kind,
    /// Account of the CI.
    pub account: Account,
    /// When. Entries from the future count.
    pub at: Timestamp,
}

/// Everything the ledger knows of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetState {
    /// The target.
    pub target: TargetName,
    /// Planned and reported, not sent.
    pub paused: bool,
    /// Rows by key.
    pub records: BTreeMap<Key, RecordBrief>,
    /// Edges delivered, or failed and not delivered yet.
    pub edges: BTreeMap<EdgeId, RecordEdge>,
    /// What was sent within the last 24 hours and counts.
    pub tallies: Vec<Tally>,
    /// Verdicts of people on held changes.
    pub verdicts: BTreeMap<ChangeId, Verdict>,
}

impl TargetState {
    /// Changes that people approved: guardrails let them through and guardrail 3 does not count them.
    #[must_use]
    pub fn approved(&self) -> BTreeSet<ChangeId> {
        self.verdicts.values().filter(|verdict| verdict.verdict == VerdictKind::Approved).map(|verdict| verdict.change).collect()
    }
}
