//! The ledger's view of the estate, as plain data in memory: what the pure functions read and change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Attributes, Digest, EdgeId, Key, Outcome, Receipt, Region, Resource, Scope, SourceName, vocabulary};

/// A ledger's random name, which every record it writes carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EstateId(pub String);

/// The ledger's sequence number of a read's start. An observation never overwrites one with a higher fence. Order rests on it, never on wall time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub i64);

vocabulary! {
    /// What the rules decide for a resource.
    Disposition, "disposition" {
        /// It deserves a record of its own.
        Record => "record",
        /// Remembered, not recorded yet.
        Defer => "defer",
        /// Counted in its fleet's record.
        Fold => "fold",
        /// No record, no edges.
        Ignore => "ignore",
    }
}

vocabulary! {
    /// Where a resource stands in its life.
    Stage, "stage" {
        /// Too young for a record.
        Deferred => "deferred",
        /// In use.
        Active => "active",
        /// Stopped or deallocated.
        Inactive => "inactive",
        /// Absent from a complete listing, not retired yet.
        Missing => "missing",
        /// At the end of its life; its records say so.
        Retired => "retired",
        /// Removed by every target that purges.
        Purged => "purged",
    }
}

vocabulary! {
    /// Why a life counts as ended.
    EndCause, "end cause" {
        /// The provider's listing says so (`terminated`, `closed`).
        Stated => "stated",
        /// Absent as often and as long as the timers ask, and a look-up said gone.
        Absent => "absent",
        /// A look-up that a termination event asked for said gone.
        LookedUp => "looked_up",
        /// A rule or the configuration no longer wants a record.
        Unwanted => "unwanted",
    }
}

/// The end of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When it was concluded, by the run's clock.
    pub at: Timestamp,
    /// Why.
    pub cause: EndCause,
}

/// One resource as the ledger knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The merged view: what was read, and what incomplete reads left standing.
    pub resource: Resource,
    /// [`Resource::digest`] of `resource`.
    pub digest: Digest,
    /// Fence of the last read that showed it or proved it absent.
    pub fence: Fence,
    /// When this key was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// Complete listings in a row without it.
    pub missing: u32,
    /// What the rules decided.
    pub disposition: Disposition,
    /// Since when they decide so (`min_dwell` counts from here).
    pub disposition_since: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Timestamp,
    /// The end of its present life, once concluded.
    pub end: Option<End>,
    /// When the present life began: first seen, or seen anew under an old id.
    pub life_since: Timestamp,
    /// A rule's `flag`.
    pub flag: Option<String>,
    /// Whether it entered by recovery (found at a target, shown by no listing yet).
    pub recovered: bool,
}

/// One edge as the ledger knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownEdge {
    /// Its attributes, merged.
    pub attributes: Attributes,
    /// Whether Dewpoint derived it.
    pub derived: bool,
    /// Fields of the inventory file that this version does not know.
    pub extra: serde_json::Map<String, Value>,
    /// Fence of the last read that showed it.
    pub fence: Fence,
}

/// One scope as the ledger knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownScope {
    /// The last receipt.
    pub receipt: Receipt,
    /// Source of the last receipt that was not `orphaned` or `skipped`.
    pub source: SourceName,
    /// Fence of the last receipt.
    pub fence: Fence,
    /// When the last receipt was written, by the run's clock.
    pub at: Timestamp,
    /// When it was last complete.
    pub complete_at: Option<Timestamp>,
    /// Fence of the last complete listing.
    pub complete_fence: Fence,
    /// The outcome that people accepted as a known gap (`dewpoint coverage accept`), if any.
    pub accepted: Option<Outcome>,
}

/// When a resource was last seen, and under which fence: the rule that keeps an unchanged estate from being written anew by every sync.
///
/// A resource that no listing misses (`missing` 0) was shown by the last complete listing of its scope, so a listing with a higher
/// fence than its own row's speaks for it: of its own region or, where one listing covers all regions, of region `*`.
#[must_use]
pub fn effective(known: &Known, scopes: &BTreeMap<Scope, KnownScope>) -> (Timestamp, Fence) {
    let own = (known.last_seen, known.fence);
    if known.missing > 0 {
        return own;
    }
    let exact = known.resource.scope();
    let wide = Scope { region: Region::any(), ..exact.clone() };
    [exact, wide]
        .iter()
        .filter_map(|scope| scopes.get(scope))
        .filter_map(|scope| scope.complete_at.map(|at| (at, scope.complete_fence)))
        .fold(own, |newest, listing| if listing.1 > newest.1 { listing } else { newest })
}

/// The estate in memory. `dirty` says what differs from the ledger it was loaded from.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// Resources by key.
    pub resources: BTreeMap<Key, Known>,
    /// Edges by identity.
    pub edges: BTreeMap<EdgeId, KnownEdge>,
    /// Scopes.
    pub scopes: BTreeMap<Scope, KnownScope>,
    /// What changed since loading, and what is to be remembered of it.
    pub dirty: Dirty,
}

/// What to write back. A key here that is absent from the estate was removed.
#[derive(Debug, Clone, Default)]
pub struct Dirty {
    /// Resources to write.
    pub resources: BTreeSet<Key>,
    /// Edges to write or, where the estate has them no more, to remove.
    pub edges: BTreeSet<EdgeId>,
    /// Scopes to write.
    pub scopes: BTreeSet<Scope>,
    /// Journal entries, in order.
    pub journal: Vec<JournalEntry>,
}

vocabulary! {
    /// What a journal entry records.
    JournalKind, "journal entry" {
        /// First seen, or seen with other attributes.
        Observed => "observed",
        /// An edge was first seen, changed or removed.
        Related => "related",
        /// Absent from a complete listing.
        Absent => "absent",
        /// Its disposition or stage changed.
        Decided => "decided",
        /// A new life under an old id began.
        Reborn => "reborn",
        /// A target took a change.
        Delivered => "delivered",
    }
}

/// One line of the journal: a change of what is known about a key, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// What it records.
    pub entry: JournalKind,
    /// The resource it is about.
    pub key: Key,
    /// The run's clock.
    pub at: Timestamp,
    /// Fence of the read it rests on.
    pub fence: Fence,
    /// Why, in words: the scope and its outcome, the rule, the target.
    pub cause: String,
    /// Fields that changed, by name: `{from, to}`; for first sights only `to`.
    pub fields: BTreeMap<String, FieldChange>,
}

/// A value before and after. `null` stands for "no value".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Before.
    pub from: Value,
    /// After.
    pub to: Value,
}
