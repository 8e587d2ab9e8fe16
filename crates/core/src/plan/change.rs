//! Changes and plans as values: sorted, storable, complete.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::guard::Hold;
use crate::estate::{EstateId, Fence, FieldChange};
use crate::lifecycle::DeferredBy;
use crate::model::{Account, Digest, EdgeId, Key, Kind, TargetName, vocabulary};
use crate::target::RecordId;

vocabulary! {
    /// What a change does at a target. The order is the order of applying.
    ChangeKind, "change" {
        /// A stranger's record becomes ours, or gets our fields.
        Adopt => "adopt",
        /// A new record.
        Create => "create",
        /// A retired record comes back to life.
        Revive => "revive",
        /// Fields of a record change.
        Update => "update",
        /// An edge between two records is added, or its attributes change.
        Relate => "relate",
        /// An edge between two records is removed.
        Unrelate => "unrelate",
        /// A record is marked as ended.
        Retire => "retire",
        /// A record is removed.
        Purge => "purge",
    }
}

/// Why a change is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule, timer or guard that decided, by name (`default` where no rule spoke).
    pub rule: String,
    /// In words, for people.
    pub text: String,
}

/// Identity of a wish: target, key or edge, kind of change, the new values of its fields (volatile ones left out), and the episode it
/// belongs to. The episode of a retirement for absence is the last time the resource was shown; of any other change, the last delivery
/// to the record or edge. So the same wish has the same id over following runs, in `plan` as in `sync`, and a new one once the
/// resource was observed anew or the wish was fulfilled: what people said of the old one no longer speaks of it.
pub type ChangeId = Digest;

/// One change of one record or edge at one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Identity of the content.
    pub id: ChangeId,
    /// The target.
    pub target: TargetName,
    /// The CI; for edges the `from` end.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Its account, for the guardrails' groups.
    pub account: Account,
    /// The target's class of the record.
    pub class: String,
    /// What is done.
    pub change: ChangeKind,
    /// Fields that differ, before and after; for edges their attributes.
    pub fields: BTreeMap<String, FieldChange>,
    /// The edge, for `relate` and `unrelate`.
    pub relation: Option<EdgeId>,
    /// The record it touches, where one is known.
    pub record: Option<RecordId>,
    /// Revision of the record × target row in the ledger that this was planned from; 0 where there is no row.
    pub revision: i64,
    /// Fence of the last read that brought news of the resource (for edges: of the edge, or of the end that proves its absence). A
    /// rejection ends when it moves on.
    pub fence: Fence,
    /// Whether this changes a field by which the target identifies the record (guardrail 3 counts these updates).
    pub identifying: bool,
    /// Names in `fields` that are people's once written (every authority but `owned`): never emptied when we have no value any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
    /// Whether it makes a record or an edge again that was there before: such creates and relates count under guardrail 3.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recreates: bool,
    /// For `adopt`: whether only our fields are written, and the record stays a stranger's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contributed: bool,
    /// For `retire`: whose records, made or revived by the same plan, this one gives way to. It is sent only once all of them stand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gives_way_to: BTreeSet<Key>,
    /// Why.
    pub reason: Reason,
    /// Digest of everything the desired record was made from; stored with the record, so that the next plan can skip what did not change.
    pub basis: Digest,
}

/// A plan: what one sync would do, per target, after the guardrails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run's clock.
    pub taken_at: Timestamp,
    /// The estate it was planned for.
    pub estate: EstateId,
    /// Digest of the configuration it was planned under.
    pub config: String,
    /// The ledger's sequence number when its reads began.
    pub fence: Fence,
    /// What would be sent, in order.
    pub changes: Vec<Change>,
    /// What guardrails stopped.
    pub holds: Vec<Hold>,
    /// Resources that wait: for their age, because a rule defers them, or because they are frozen.
    pub deferred: u64,
    /// The same by what they wait for.
    #[serde(default)]
    pub deferred_by: DeferredBy,
    /// Resources folded into fleets.
    pub folded: u64,
    /// Resources ignored by rule.
    pub ignored: u64,
    /// Records each target would hold afterwards.
    pub forecast: BTreeMap<TargetName, u64>,
}
