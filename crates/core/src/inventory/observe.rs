//! One pull into the estate.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::edges::EdgesRead;
use super::emptied::{Shown, take_emptiness};
use super::gather::Coverage;
use super::merge::{Proven, keep_unread, take};
use super::{edges, scopes};
use crate::estate::{Dirty, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, KnownScope, is_scope_of, last_complete};
use crate::model::attributes::FactGroup;
use crate::model::{EdgeId, Key, Outcome, Receipt, Receipts, Resource, Scope, Vital, proving_scope};
use crate::source::{Pull, Remark};

/// Under what a pull is taken in.
#[derive(Debug, Clone, Copy)]
pub struct Observing<'a> {
    /// The run's clock.
    pub at: Timestamp,
    /// The ledger's sequence number of the pull's start. Two different pulls that both read after one another need different fences:
    /// a second pull under one fence is taken for the same pull and counts no absence.
    pub fence: Fence,
    /// A read of a few keys, not of scopes: it proves no absence and touches no receipt.
    pub narrow: bool,
    /// What became of each configured source.
    pub coverage: &'a Coverage,
}

/// What taking in a pull came to.
#[must_use]
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Observed {
    /// Resources that were read.
    pub seen: u64,
    /// Of these, seen for the first time.
    pub first_seen: u64,
    /// Known ones with other facts than before (volatile attributes do not count).
    pub changed: u64,
    /// New lives under old ids.
    pub reborn: u64,
    /// Seen again after an absence.
    pub returned: u64,
    /// Absent from a complete listing for the first time.
    pub newly_absent: u64,
    /// Absent from complete listings, these and those absent before, without ended ones.
    pub absent: u64,
    /// Resources and edges left alone because something newer is known.
    pub superseded: u64,
    /// Edges added.
    pub related: u64,
    /// Edges whose attributes changed.
    pub rerelated: u64,
    /// Edges removed.
    pub unrelated: u64,
    /// Edges that a complete listing shows no more and that stay because an end's life has ended. They go if that turns out to be wrong.
    pub withheld: Vec<EdgeId>,
    /// How every scope ended in this run, also those that were left out, failed with their source, or are covered by none any more.
    pub receipts: BTreeMap<Scope, Receipt>,
    /// The pull's remarks.
    pub remarks: Vec<Remark>,
}

/// How a resource was read in this pull, for its edges.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight {
    /// Its own scope is complete, and its listing shows it whole: an edge that it does not show any more is gone.
    pub(super) shows: bool,
    /// The same, and its life is not known to have ended.
    pub(super) proves: bool,
    /// Seen for the first time.
    pub(super) first: bool,
    /// Something newer is known.
    pub(super) superseded: bool,
}

/// Takes a pull into the estate: receipts, resources, absences, edges.
///
/// Facts whose scope is complete are replaced; of others what was read is taken and what was not read stays. A key that a complete
/// listing does not show is counted absent once per fence. Whatever was read under a higher fence stays as it is. Stages and dispositions
/// are left to [`crate::lifecycle::decide`]. Derived resources and edges of the pull are passed over: [`super::derive`] makes them anew.
pub fn observe(estate: &mut Estate, pull: Pull, observing: &Observing<'_>) -> Observed {
    let Estate { resources, edges, scopes, dirty } = estate;
    let mut observed = Observed { remarks: pull.remarks, ..Observed::default() };
    if !observing.narrow {
        observed.receipts = scopes::take_receipts(scopes, dirty, &pull.receipts, &pull.off, observing);
    }

    let mut pass = Pass {
        observing,
        unread: &pull.unread,
        prover: Prover { receipts: &pull.receipts, scopes, narrow: observing.narrow, last: None },
        dirty,
        observed: &mut observed,
        sights: Vec::with_capacity(pull.resources.len()),
        new: Vec::new(),
        shown: Shown::default(),
        last_alive: None,
    };
    let mut ledger = resources.iter_mut().peekable();
    for (key, resource) in pull.resources {
        if resource.derived || key.is_derived() {
            continue;
        }
        while let Some((absent, known)) = ledger.next_if(|(known, _)| **known < key) {
            pass.absent(absent, known);
        }
        match next_at(&mut ledger, &key) {
            Some(known) => pass.seen(key, known, resource),
            None => pass.first_seen(key, resource),
        }
    }
    for (absent, known) in ledger {
        pass.absent(absent, known);
    }
    let Pass { sights, new, shown, .. } = pass;
    if !observing.narrow {
        take_emptiness(scopes, dirty, &pull.receipts, &shown, observing);
    }
    extend_sorted(resources, new);

    let read = EdgesRead { sights: &sights, unread: &pull.unread_edges, relations: pull.relations };
    edges::take_edges(edges, resources, dirty, &mut observed, read, observing);
    observed
}

fn next_at<'a>(ledger: &mut Peekable<impl Iterator<Item = (&'a Key, &'a mut Known)>>, key: &Key) -> Option<&'a mut Known> {
    ledger.next_if(|(known, _)| *known == key).map(|(_, known)| known)
}

/// Adds new entries, given in order. Many at once are merged in one sweep; few are inserted one by one.
pub(super) fn extend_sorted<K: Ord, V>(map: &mut BTreeMap<K, V>, new: Vec<(K, V)>) {
    if new.len().saturating_mul(8) > map.len() {
        map.append(&mut new.into_iter().collect());
    } else {
        map.extend(new);
    }
}

struct Pass<'a> {
    observing: &'a Observing<'a>,
    unread: &'a BTreeMap<Key, BTreeSet<String>>,
    prover: Prover<'a>,
    dirty: &'a mut Dirty,
    observed: &'a mut Observed,
    sights: Vec<(Key, Sight)>,
    new: Vec<(Key, Known)>,
    shown: Shown,
    /// The last proof whose scope was noted to show something alive: neighbouring keys mostly share theirs.
    last_alive: Option<Rc<Proof>>,
}

impl Pass<'_> {
    fn first_seen(&mut self, key: Key, resource: Arc<Resource>) {
        let (at, fence) = (self.observing.at, self.observing.fence);
        let proof = self.prover.of(&resource);
        self.observed.seen += 1;
        // A newer complete listing did not show it: that it once was there is old news.
        if proof.floor > fence {
            self.observed.superseded += 1;
            self.sights.push((key, Sight { superseded: true, ..Sight::default() }));
            return;
        }
        self.observed.first_seen += 1;
        let cause = proof.cause("first seen");
        let shows = proof.proven.own && !resource.is_fading();
        let sight = Sight { shows, proves: shows, first: true, superseded: false };
        if proof.proven.own && resource.vital() != Vital::Ended {
            self.note_alive(&proof);
        }
        let mut fields = BTreeMap::from([to("kind", resource.kind.as_str())]);
        fields.extend(resource.name.as_deref().map(|name| to("name", name)));
        fields.extend(resource.state.as_deref().map(|state| to("state", state)));
        self.journal(JournalKind::Observed, &key, cause, fields);
        self.dirty.resources.insert(key.clone());
        self.sights.push((key.clone(), sight));
        self.new.push((key, Known::new(resource, at, fence)));
    }

    fn seen(&mut self, key: Key, known: &mut Known, mut resource: Arc<Resource>) {
        let (at, fence) = (self.observing.at, self.observing.fence);
        let proof = self.prover.of(&resource);
        self.observed.seen += 1;
        if known.fence > fence || proof.floor > fence {
            self.observed.superseded += 1;
            self.sights.push((key, Sight { superseded: true, ..Sight::default() }));
            return;
        }
        let proven = proof.proven;
        let was_missing = known.missing;
        let returned = was_missing > 0 || known.recovered;
        let last_seen = known.last_seen;
        // As it was read: what is known of it since keeps what the listing has lost.
        let is_fading = resource.is_fading();
        if let Some(names) = self.unread.get(&key) {
            keep_unread(Arc::make_mut(&mut resource), &known.resource, names);
        }
        let mut taken = take(known, resource, proven);
        if taken.reborn || taken.fields.contains_key("state") {
            known.state_since = at;
        }
        if taken.changed || returned || taken.reborn {
            let cause = proof.cause(if taken.reborn { "a new life under the same id in" } else { "seen in" });
            if taken.reborn {
                self.observed.reborn += 1;
                begin_new_life(known, last_seen, at, &mut taken.fields);
                if was_missing > 0 {
                    taken.fields.insert("missing".to_owned(), seen_again(was_missing));
                }
                self.journal(JournalKind::Reborn, &key, cause, taken.fields);
                known.news_fence = fence;
            } else {
                if !taken.fields.is_empty() {
                    self.observed.changed += 1;
                }
                if was_missing > 0 {
                    self.observed.returned += 1;
                    taken.fields.insert("missing".to_owned(), seen_again(was_missing));
                }
                if !taken.fields.is_empty() {
                    known.news_fence = fence;
                    self.journal(JournalKind::Observed, &key, cause, taken.fields);
                }
            }
            self.dirty.resources.insert(key.clone());
        }
        // A complete listing's receipt stands for the sighting; any other has to be written.
        if !proven.own && (known.last_seen != at || known.fence != fence) {
            self.dirty.resources.insert(key.clone());
        }
        known.sighted(at, fence);
        if proven.own && !known.is_ended() {
            self.note_alive(&proof);
        }
        let shows = proven.own && !is_fading;
        self.sights.push((key, Sight { shows, proves: shows && !known.is_ended(), first: false, superseded: false }));
    }

    fn note_alive(&mut self, proof: &Rc<Proof>) {
        if self.last_alive.as_ref().is_none_or(|last| !Rc::ptr_eq(last, proof)) {
            self.shown.alive.insert(proof.scope.clone());
            self.last_alive = Some(Rc::clone(proof));
        }
    }

    fn absent(&mut self, key: &Key, known: &mut Known) {
        if self.observing.narrow || known.resource.derived {
            return;
        }
        let proof = self.prover.of(&known.resource);
        if !proof.proven.own {
            return;
        }
        let ended = known.end.is_some();
        if known.fence < self.observing.fence {
            known.fence = self.observing.fence;
            if ended && known.missing > 0 {
                return;
            }
            known.missing = known.missing.saturating_add(1);
            self.dirty.resources.insert(key.clone());
            // Of what had ended that is news only where listings still showed it alive.
            if known.missing == 1 && (!ended || known.resource.vital() != Vital::Ended) {
                if !ended {
                    self.observed.newly_absent += 1;
                    known.news_fence = self.observing.fence;
                }
                let cause = proof.cause("absent from");
                let last_seen = FieldChange { from: Value::Null, to: known.last_seen.to_string().into() };
                self.journal(JournalKind::Absent, key, cause, BTreeMap::from([("last_seen".to_owned(), last_seen)]));
            }
        }
        if !ended && known.missing > 0 {
            self.observed.absent += 1;
            if known.fence <= self.observing.fence && !known.is_ended() {
                *self.shown.missing.entry(proof.scope.clone()).or_default() += 1;
            }
        }
    }

    fn journal(&mut self, entry: JournalKind, key: &Key, cause: String, fields: BTreeMap<String, FieldChange>) {
        let Observing { at, fence, .. } = *self.observing;
        self.dirty.journal.push(JournalEntry { entry, key: key.clone(), at, fence, cause, fields });
    }
}

/// Timers begin anew, the record stays: the disposition is kept, so that a machine with a record is not deferred again.
fn begin_new_life(known: &mut Known, last_seen: Timestamp, at: Timestamp, fields: &mut BTreeMap<String, FieldChange>) {
    let mut times = |name: &str, from: Timestamp, to: Value| {
        fields.insert(name.to_owned(), FieldChange { from: from.to_string().into(), to });
    };
    times("life_since", known.life_since, at.to_string().into());
    times("last_seen", last_seen, at.to_string().into());
    if let Some(end) = known.end.take() {
        times("ended_at", end.at, Value::Null);
    }
    known.life_since = at;
    known.disposition_since = at;
}

fn seen_again(was_missing: u32) -> FieldChange {
    FieldChange { from: was_missing.into(), to: 0.into() }
}

fn to(name: &str, value: &str) -> (String, FieldChange) {
    (name.to_owned(), FieldChange { from: Value::Null, to: value.into() })
}

/// What the receipts of this pull prove about the resources of one scope.
#[derive(Debug, Clone)]
struct Proof {
    scope: Scope,
    outcome: Option<Outcome>,
    proven: Proven,
    /// Fence of the newest complete listing of the scope that the ledger knows: nothing older is news.
    floor: Fence,
}

impl Proof {
    fn cause(&self, what: &str) -> String {
        match self.outcome {
            Some(outcome) => format!("{what} {} ({outcome})", self.scope),
            None => format!("{what} {} (no receipt)", self.scope),
        }
    }
}

/// Finds proofs, and remembers the last one: neighbouring keys mostly share their scope.
struct Prover<'a> {
    receipts: &'a Receipts,
    scopes: &'a BTreeMap<Scope, KnownScope>,
    narrow: bool,
    last: Option<(Scope, Rc<Proof>)>,
}

impl Prover<'_> {
    fn of(&mut self, resource: &Resource) -> Rc<Proof> {
        if let Some((scope, proof)) = &self.last
            && is_scope_of(scope, resource)
        {
            return proof.clone();
        }
        let proof = Rc::new(self.find(resource));
        self.last = Some((resource.scope(), proof.clone()));
        proof
    }

    fn find(&self, resource: &Resource) -> Proof {
        let own = resource.scope();
        let scope = proving_scope(resource, FactGroup::Own, self.receipts);
        let addresses = proving_scope(resource, FactGroup::Addresses, self.receipts);
        let proven = if self.narrow {
            Proven::NOTHING
        } else {
            Proven { own: self.receipts.proves_absence(&own), addresses: self.receipts.proves_absence(&addresses) }
        };
        let outcome = self.receipts.covering(&own).map(|(_, receipt)| receipt.outcome);
        let floor = last_complete(self.scopes, &own).map_or(Fence::default(), |(fence, _)| fence);
        Proof { scope, outcome, proven, floor }
    }
}
