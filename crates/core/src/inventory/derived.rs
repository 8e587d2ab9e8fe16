//! What services and named fleets have in common: rows without a cloud object, kept by what their members tell.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::Timestamp;
use serde_json::Value;

use super::edges::journal;
use super::merge::{Proven, take};
use super::observe::Observing;
use crate::estate::{Dirty, Disposition, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, KnownEdge, KnownScope, covering};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType, Resource, Scope};

/// The derived rows of one sort. Each has its own corner of the key space, so that finding them does not mean reading the whole estate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Service,
    Fleet,
}

impl Sort {
    pub(super) fn rows<'a>(self, resources: &'a BTreeMap<Key, Known>) -> impl Iterator<Item = (&'a Key, &'a Known)> + use<'a> {
        let corner = match self {
            Self::Service => ("service:", "service;"),
            Self::Fleet => ("fleet:", "fleet;"),
        };
        let corner = (Bound::Included(corner.0), Bound::Excluded(corner.1));
        resources.range::<str, _>(corner).filter(|(_, known)| known.resource.derived)
    }

    /// Why a row of this sort is there.
    fn cause(self) -> &'static str {
        match self {
            Self::Service => "derived from the tags of its members",
            Self::Fleet => "derived from the members folded into it",
        }
    }

    /// Why it is absent.
    fn absence(self) -> &'static str {
        match self {
            Self::Service => "no live member names it in a tag",
            Self::Fleet => "no live member is folded into it",
        }
    }
}

/// Whether a resource lives, as this run's decisions will have it: those come after, and must not make a second pass differ. What is
/// missing before it ever had a record may be retired by them without a look-up.
pub(crate) fn is_live(known: &Known) -> bool {
    !known.is_ended() && (known.missing == 0 || known.disposition != Disposition::Defer)
}

/// The members that derived resources (services, named fleets) were last derived from; none where one entered by recovery. One walk over all
/// edges, if any of them is a fleet.
pub fn last_members<'a>(
    resources: &'a BTreeMap<Key, Known>,
    edges: &'a BTreeMap<EdgeId, KnownEdge>,
    derived: &BTreeSet<&Key>,
) -> BTreeMap<Key, Vec<(&'a Key, &'a Known)>> {
    let mut members: BTreeMap<Key, Vec<_>> = BTreeMap::new();
    let mut fleets = BTreeSet::new();
    for &key in derived {
        match key.as_fleet() {
            Some(_) => drop(fleets.insert(key)),
            None => drop(members.insert(key.clone(), members_of_service(resources, edges, key).collect())),
        }
    }
    // Members know their fleet, not the other way round: one walk for all fleets.
    if !fleets.is_empty() {
        for id in edges.keys().filter(|id| id.relation == RelationType::MemberOf && fleets.contains(&id.to)) {
            members.entry(id.to.clone()).or_default().extend(resources.get_key_value(&id.from));
        }
    }
    members
}

fn members_of_service<'a>(
    resources: &'a BTreeMap<Key, Known>,
    edges: &'a BTreeMap<EdgeId, KnownEdge>,
    service: &Key,
) -> impl Iterator<Item = (&'a Key, &'a Known)> + use<'a> {
    // What it has of a fleet is lifted from members that it names as well.
    dependencies(edges, service).filter_map(|id| resources.get_key_value(&id.to)).filter(|(_, known)| can_serve(known.resource.kind))
}

/// The derived `depends_on` edges of a service.
pub(super) fn dependencies<'a>(edges: &'a BTreeMap<EdgeId, KnownEdge>, service: &Key) -> impl Iterator<Item = &'a EdgeId> + use<'a> {
    let service = service.clone();
    // A relation type that sorts before `depends_on`, so that every `to` end comes after the start.
    let start = EdgeId { from: service.clone(), relation: RelationType::LocatedIn, to: service.clone() };
    edges
        .range(start..)
        .take_while(move |(id, _)| id.from == service)
        .filter(|(id, edge)| edge.derived && id.relation == RelationType::DependsOn)
        .map(|(id, _)| id)
}

/// The listing that shows the members of a fleet, whether the cloud shows the fleet itself or a rule names it.
#[must_use]
pub fn members_scope(fleet: &Resource) -> Scope {
    Scope { kind: Kind::Instance, ..fleet.scope() }
}

/// The first scope that may show members of a derived resource and whose latest receipt is not complete; `None` where it is proven that
/// none is left.
///
/// The members of a fleet lie where it does; where nobody has seen one since it entered by recovery, the scaling groups there count as
/// well, because rules may need a group to fold. A service has its last members; where none is known of, every scope may show some.
pub(crate) fn unlisted_members(
    resources: &BTreeMap<Key, Known>,
    edges: &BTreeMap<EdgeId, KnownEdge>,
    scopes: &BTreeMap<Scope, KnownScope>,
    derived: &Key,
) -> Option<Scope> {
    if derived.as_fleet().is_some() {
        let fleet = resources.get(derived)?;
        let groups = fleet.resource.scope();
        let groups = (fleet.recovered && covering(scopes, &groups).is_some()).then_some(groups);
        return unlisted(scopes, [members_scope(&fleet.resource)].iter().chain(&groups));
    }
    let own: BTreeSet<Scope> = members_of_service(resources, edges, derived).map(|(_, member)| member.resource.scope()).collect();
    if !own.is_empty() {
        return unlisted(scopes, &own);
    }
    let mut serving = scopes.iter().filter(|(scope, _)| can_serve(scope.kind)).peekable();
    if serving.peek().is_none() {
        return resources.get(derived).map(|known| known.resource.scope());
    }
    serving.find(|(_, known)| !known.receipt.is_complete()).map(|(scope, _)| scope.clone())
}

/// The scope that people gave up, of those where members of a derived resource were last seen: `members` are its last ones, all of which have
/// ended, and every other scope of theirs proves that none is left. `None` where one may live, and where nothing was given up.
pub(crate) fn given_up(estate: &Estate, gone: &BTreeSet<Scope>, derived: &Known, members: &[(&Key, &Known)]) -> Option<Scope> {
    if members.iter().any(|(_, member)| is_live(member)) {
        return None;
    }
    let resource = &derived.resource;
    let mut own: BTreeSet<Scope> = members.iter().map(|(_, member)| member.resource.scope()).collect();
    if resource.kind == Kind::ScalingGroup {
        own.insert(members_scope(resource));
        let groups = resource.scope();
        own.extend((derived.recovered && estate.covering(&groups).is_some()).then_some(groups));
    }
    let unlisted =
        own.iter().map(|scope| estate.covering(scope)).filter(|known| !known.is_some_and(|(_, known)| known.receipt.is_complete()));
    let mut given_up = unlisted.map(|known| known.map(|(scope, _)| scope).filter(|scope| gone.contains(*scope)));
    let first = given_up.next()??.clone();
    given_up.all(|scope| scope.is_some()).then_some(first)
}

/// The first of these scopes that the latest receipts do not show to be listed to the end, as its receipt names it.
fn unlisted<'a>(scopes: &BTreeMap<Scope, KnownScope>, wanted: impl IntoIterator<Item = &'a Scope>) -> Option<Scope> {
    let mut named = wanted
        .into_iter()
        .map(|scope| covering(scopes, scope).map_or((scope, false), |(scope, known)| (scope, known.receipt.is_complete())));
    named.find(|(_, is_complete)| !is_complete).map(|(scope, _)| scope.clone())
}

/// Whether the latest receipt that covers a scope is complete.
pub(super) fn is_listed(scopes: &BTreeMap<Scope, KnownScope>, scope: &Scope) -> bool {
    covering(scopes, scope).is_some_and(|(_, known)| known.receipt.is_complete())
}

/// Kinds of which a service can consist.
pub(super) fn can_serve(kind: Kind) -> bool {
    matches!(kind, Kind::Instance | Kind::Pool | Kind::LoadBalancer)
}

/// Whether the latest listings prove that a derived resource has no members left.
fn is_proven(estate: &Estate, key: &Key, observing: &Observing<'_>) -> bool {
    let Estate { resources, edges, scopes, .. } = estate;
    let is_bounded = key.as_fleet().is_some() || members_of_service(resources, edges, key).next().is_some();
    (is_bounded || observing.coverage.is_exhaustive()) && unlisted_members(resources, edges, scopes, key).is_none()
}

/// When the members of a derived resource were last seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sighting {
    /// One of them was read under this fence.
    is_now: bool,
    last: Option<Timestamp>,
}

impl Sighting {
    /// Takes one member in.
    pub(super) fn add(&mut self, member: &Known, fence: Fence) {
        self.is_now |= member.missing == 0 && member.fence >= fence;
        self.last = self.last.max(Some(member.last_seen));
    }
}

/// Takes what the members of a derived resource came to into its row. It was last seen when any of them was, so that what they wait for before
/// they end is not waited for again. Returns whether the row is new.
pub(super) fn upsert(estate: &mut Estate, sort: Sort, resource: Resource, sighting: Sighting, observing: &Observing<'_>) -> bool {
    let key = resource.key.clone();
    let dirty = &mut estate.dirty;
    let Some(known) = estate.resources.get_mut(&key) else {
        dirty.resources.insert(key.clone());
        let change = |to: &str| FieldChange { from: Value::Null, to: to.into() };
        let mut fields = BTreeMap::from([("kind".to_owned(), change(resource.kind.as_str()))]);
        fields.extend(resource.name.as_deref().map(|name| ("name".to_owned(), change(name))));
        note(dirty, observing, JournalKind::Observed, &key, sort.cause(), fields);
        let mut known = Known::new(resource, observing.at, observing.fence);
        known.last_seen = sighting.last.filter(|_| !sighting.is_now).unwrap_or(observing.at);
        // Where the clock stepped back it has not stood since before its members were seen.
        known.life_since = known.life_since.max(known.last_seen);
        estate.resources.insert(key, known);
        return true;
    };
    let mut taken = take(known, resource.into(), Proven::ALL);
    if known.end.is_some() && known.disposition == Disposition::Defer {
        // It ended without a record, and what is made under its name has not stood yet.
        let since = sighting.last.filter(|_| !sighting.is_now).unwrap_or(observing.at).max(observing.at);
        let change = FieldChange { from: known.life_since.to_string().into(), to: since.to_string().into() };
        taken.fields.insert("life_since".to_owned(), change);
        known.life_since = since;
    }
    if known.missing > 0 {
        taken.fields.insert("missing".to_owned(), FieldChange { from: known.missing.into(), to: 0.into() });
    }
    if taken.changed || known.missing > 0 || known.recovered {
        dirty.resources.insert(key.clone());
    }
    if !taken.fields.is_empty() {
        known.news_fence = known.news_fence.max(observing.fence);
        note(dirty, observing, JournalKind::Observed, &key, sort.cause(), taken.fields);
    }
    // What a recovery doubts stays in doubt until a member is seen.
    let in_doubt = known.recovered && !sighting.is_now;
    let is_news = known.fence < observing.fence;
    // The row follows from the merged view, which is right under any fence; only the time of the sighting may be an old one.
    let seen = if sighting.is_now && known.fence <= observing.fence {
        observing.at
    } else {
        sighting.last.map_or(known.last_seen, |last| last.max(known.last_seen))
    };
    if is_news && !sighting.is_now && !observing.narrow {
        // The ledger takes derived rows that nothing missed for seen in every run.
        dirty.resources.insert(key.clone());
    }
    known.sighted(seen, known.fence.max(observing.fence));
    known.recovered = in_doubt;
    false
}

/// Counts the absence of the derived rows that have no live member and have not ended: once per run in which the scopes that could show one
/// are complete. Returns how many there are. Narrow reads count nothing.
pub(super) fn miss(estate: &mut Estate, sort: Sort, has_members: impl Fn(&Key) -> bool, observing: &Observing<'_>) -> u64 {
    let lost: Vec<(Key, bool)> = sort
        .rows(&estate.resources)
        .filter(|(key, known)| !has_members(key) && known.end.is_none())
        .map(|(key, _)| (key.clone(), is_proven(estate, key, observing)))
        .collect();
    let Estate { resources, dirty, .. } = estate;
    for (key, is_proven) in &lost {
        let Some(known) = resources.get_mut(key) else { continue };
        // One that an earlier pass of this very read still found members for has lost them by what look-ups said since.
        let is_counted = known.fence > observing.fence || (known.fence == observing.fence && known.missing > 0);
        if observing.narrow || is_counted {
            continue;
        }
        if !is_proven {
            // Frozen, and as such still standing. The ledger takes derived rows that nothing missed for seen in every run.
            if known.missing == 0 && known.fence < observing.fence {
                known.fence = observing.fence;
                dirty.resources.insert(key.clone());
            }
            continue;
        }
        known.missing = known.missing.saturating_add(1);
        known.fence = observing.fence;
        dirty.resources.insert(key.clone());
        if known.missing == 1 {
            known.news_fence = observing.fence;
            note(dirty, observing, JournalKind::Absent, key, sort.absence(), BTreeMap::new());
        }
    }
    lost.len() as u64
}

/// Adds a derived edge. `cause` goes to the journal, `None` where the edge is part of its proving end's first sight.
pub(super) fn relate(estate: &mut Estate, id: EdgeId, attributes: Attributes, cause: Option<&str>, observing: &Observing<'_>) {
    let Estate { edges, dirty, .. } = estate;
    if let Some(cause) = cause {
        journal(dirty, observing, &id, cause, &FieldChange { from: Value::Null, to: object(&attributes) });
    }
    dirty.edges.insert(id.clone());
    edges.insert(id, KnownEdge { attributes, derived: true, extra: serde_json::Map::new(), fence: observing.fence });
}

/// Removes a derived edge.
pub(super) fn unrelate(estate: &mut Estate, id: EdgeId, cause: &str, observing: &Observing<'_>) {
    let Estate { edges, dirty, .. } = estate;
    if let Some(known) = edges.remove(&id) {
        journal(dirty, observing, &id, cause, &FieldChange { from: object(&known.attributes), to: Value::Null });
        dirty.edges.insert(id);
    }
}

pub(super) fn object(attributes: &Attributes) -> Value {
    Value::Object(attributes.clone().into_iter().collect())
}

pub(super) fn note(
    dirty: &mut Dirty,
    observing: &Observing<'_>,
    entry: JournalKind,
    key: &Key,
    cause: &str,
    fields: BTreeMap<String, FieldChange>,
) {
    let Observing { at, fence, .. } = *observing;
    dirty.journal.push(JournalEntry { entry, key: key.clone(), at, fence, cause: cause.to_owned(), fields });
}
