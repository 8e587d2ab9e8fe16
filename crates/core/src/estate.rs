//! The ledger's view of the estate, as plain data in memory: what the pure functions read and change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Attributes, Digest, EdgeId, Key, Kind, Outcome, Receipt, Region, Resource, Scope, SourceName, Vital, vocabulary};

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
        /// Its provider says that its whole account is closed. No listing shows its end: an account that is closed cannot be listed.
        AccountClosed => "account_closed",
        /// No source covers it any more, and people asked for its retirement and approved it at some target. Every other target asks as well.
        Disowned => "disowned",
    }
}

impl EndCause {
    /// Whether the provider or a look-up stated the end of the resource itself. A listing that shows it afterwards may lag; against any other
    /// end a sighting is proof.
    #[must_use]
    pub const fn is_stated_of_it(self) -> bool {
        matches!(self, Self::Stated | Self::LookedUp)
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
    pub resource: Arc<Resource>,
    /// [`Resource::digest`] of `resource`.
    pub digest: Digest,
    /// Fence of the last read that showed it or proved it absent.
    pub fence: Fence,
    /// Fence of the last read that brought news: other facts (volatile ones aside), its first absence, its return, a new life. `fence` moves
    /// with every run; what must hold from run to run (a hold's id, a rejection) rests on this.
    pub news_fence: Fence,
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
    /// Since when its provider says what it says of its state, as far as listings showed.
    pub state_since: Timestamp,
    /// A rule's `flag`.
    pub flag: Option<String>,
    /// Whether it entered by recovery, or was known to an old copy of the ledger only: a target holds a record of it, and no listing has shown
    /// it since. What is known of it may be older than its records, so no values of it are written.
    pub recovered: bool,
}

impl Known {
    /// A resource at its first sight. It waits as `deferred` for [`crate::lifecycle::decide`], which runs in the same run.
    #[must_use]
    pub fn new(resource: impl Into<Arc<Resource>>, at: Timestamp, fence: Fence) -> Self {
        let resource = resource.into();
        Self {
            digest: digest(&resource),
            resource,
            fence,
            news_fence: fence,
            first_seen: at,
            last_seen: at,
            missing: 0,
            disposition: Disposition::Defer,
            disposition_since: at,
            stage: Stage::Deferred,
            stage_since: at,
            end: None,
            life_since: at,
            state_since: at,
            flag: None,
            recovered: false,
        }
    }

    /// Notes that a read showed it. An end that rested on absence, on its account's end, or on nobody wanting or covering it, is taken back when it is
    /// shown alive; one that the provider or a look-up stated of the resource itself is not. Whether the provider's listing lags is for [`crate::lifecycle::decide`] to ask.
    pub(crate) fn sighted(&mut self, at: Timestamp, fence: Fence) {
        self.last_seen = at;
        self.fence = fence;
        self.missing = 0;
        self.recovered = false;
        // An account that was closed can be opened again, and the list that says so does not lag.
        let is_account = self.resource.kind == Kind::Account;
        if self.resource.vital() != Vital::Ended {
            self.end.take_if(|end| is_account || !end.cause.is_stated_of_it());
        }
    }

    /// Whether its present life has ended: concluded, or said by the provider. What has ended keeps its last attributes and edges.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.end.is_some() || self.resource.vital() == Vital::Ended
    }
}

/// [`Resource::digest`]; should JSON ever fail, the digest of its debug form, which rests on the content as well.
pub(crate) fn digest(resource: &Resource) -> Digest {
    resource.digest().unwrap_or_else(|_| Digest::of_parts([format!("{resource:?}").as_bytes()]))
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
    /// Fence of the read that last changed it. Whether an older read may touch it rests on the fence of its proving end as well.
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
    /// People asked to retire what it holds (`dewpoint scopes retire`); only while it is orphaned.
    pub retire: bool,
    /// A complete listing showed nothing alive although it held live resources (guardrail 2), and none has shown anything alive since.
    pub emptied: bool,
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

impl Estate {
    /// The known scope that covers another: itself, or the same over all regions.
    #[must_use]
    pub fn covering(&self, scope: &Scope) -> Option<(&Scope, &KnownScope)> {
        covering(&self.scopes, scope)
    }

    /// Brings all rows to what they stand for, after loading them from the ledger; see [`Settler`].
    pub fn settle(&mut self) {
        let mut settler = Settler::new(&self.scopes);
        for known in self.resources.values_mut() {
            settler.settle(known);
        }
    }
}

/// The known scope that covers another: itself, or the same over all regions.
pub(crate) fn covering<'a>(scopes: &'a BTreeMap<Scope, KnownScope>, scope: &Scope) -> Option<(&'a Scope, &'a KnownScope)> {
    scopes.get_key_value(scope).or_else(|| scopes.get_key_value(&Scope { region: Region::any(), ..scope.clone() }))
}

/// The known scope whose complete listing last covered another: its own or the one over all regions, whichever came later.
pub(crate) fn last_listed<'a>(scopes: &'a BTreeMap<Scope, KnownScope>, scope: &Scope) -> Option<(&'a Scope, &'a KnownScope)> {
    let of = |scope: &Scope| scopes.get_key_value(scope).filter(|(_, known)| known.complete_at.is_some());
    let wide = of(&Scope { region: Region::any(), ..scope.clone() });
    wide.into_iter().chain(of(scope)).max_by_key(|(_, known)| (known.complete_fence, known.complete_at))
}

/// The last complete listing that covers a scope: its own or the one over all regions, whichever came later.
pub(crate) fn last_complete(scopes: &BTreeMap<Scope, KnownScope>, scope: &Scope) -> Option<(Fence, Timestamp)> {
    last_listed(scopes, scope).and_then(|(_, known)| Some((known.complete_fence, known.complete_at?)))
}

/// Turns stored rows into what they stand for.
///
/// A resource that a complete listing shows unchanged is not written: that listing's receipt stands for it. So a row that nothing
/// missed was last seen by the later of its own read and its scope's last complete listing, and a row that is missing was read
/// (as absent) by that listing as well. Derived rows have no listing; every run derives them, so the latest receipt stands for them.
#[derive(Debug)]
pub struct Settler<'a> {
    scopes: &'a BTreeMap<Scope, KnownScope>,
    latest: Option<(Fence, Timestamp)>,
    /// Neighbouring rows mostly share their scope.
    last: Option<(Scope, Option<(Fence, Timestamp)>)>,
}

impl<'a> Settler<'a> {
    /// A settler over the ledger's scopes.
    #[must_use]
    pub fn new(scopes: &'a BTreeMap<Scope, KnownScope>) -> Self {
        Self { scopes, latest: scopes.values().map(|known| (known.fence, known.at)).max(), last: None }
    }

    /// Sets `last_seen` and `fence` of a stored row to what it stands for. Settling twice is settling once.
    pub fn settle(&mut self, known: &mut Known) {
        let derived = known.resource.derived;
        let listing = if derived { self.latest } else { self.complete(&known.resource) };
        let Some((fence, at)) = listing.filter(|(fence, _)| *fence > known.fence) else { return };
        if known.missing == 0 {
            known.last_seen = at;
            known.fence = fence;
        } else if !derived {
            known.fence = fence;
        }
    }

    fn complete(&mut self, resource: &Resource) -> Option<(Fence, Timestamp)> {
        if let Some((scope, listing)) = &self.last
            && is_scope_of(scope, resource)
        {
            return *listing;
        }
        let scope = resource.scope();
        let listing = last_complete(self.scopes, &scope);
        self.last = Some((scope, listing));
        listing
    }
}

/// Whether `scope` equals the resource's own scope, without building that.
pub(crate) fn is_scope_of(scope: &Scope, resource: &Resource) -> bool {
    scope.kind == resource.kind
        && scope.provider == resource.provider
        && scope.region == resource.region
        && scope.account == resource.account
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
    /// Fields that changed, by name: `{from, to}`. Volatile attributes are not among them. How a resource looked earlier follows from
    /// its present row by undoing later entries, so a first sight names only `kind`, `name` and `state`, and edges that came with it are not repeated.
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
