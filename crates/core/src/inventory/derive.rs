//! Resources without a cloud object: services, from tags.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde_json::Value;

use super::edges::journal;
use super::merge::{Proven, take};
use super::observe::Observing;
use crate::estate::{Dirty, Disposition, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, KnownEdge, KnownScope, covering};
use crate::model::{Account, Attributes, EdgeId, Key, Kind, Provider, Region, RelationType, Resource, Scope};
use crate::ownership::Ownership;

/// What deriving came to.
#[must_use]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    /// Services with live members.
    pub services: u64,
    /// Services that lost their last member, not retired yet.
    pub memberless: u64,
}

struct Service {
    name: String,
    members: BTreeSet<Key>,
    /// A member was read under this fence.
    is_seen: bool,
}

/// Derives services and their `depends_on` edges from the tags of live instances, pools and load balancers.
///
/// A service whose members are all gone counts as absent once per run in which the scopes of its last members are complete, so that the
/// usual timers retire it; it keeps its last edges until then. One that no member is known of (it entered by recovery) could have some wherever nobody
/// looked: it is absent only when every source told everything and every scope that could show a member is complete. Of other services an edge goes when the scope of its member is complete and the member lives on
/// without the tag. Narrow reads count no absence.
pub fn derive(estate: &mut Estate, ownership: &Ownership, observing: &Observing<'_>) -> Derived {
    let services = wanted(estate, ownership, observing.fence);
    let mut derived = Derived { services: services.len() as u64, memberless: 0 };
    let new: BTreeSet<&Key> =
        services.iter().filter(|(key, service)| upsert(estate, key, service, observing)).map(|(key, _)| key).collect();
    drop_edges(estate, &services, observing);
    add_edges(estate, &services, &new, observing);

    let lost: Vec<(Key, bool)> = service_rows(&estate.resources)
        .filter(|(key, known)| !services.contains_key(*key) && known.end.is_none())
        .map(|(key, _)| (key.clone(), is_proven(estate, key, observing)))
        .collect();
    let Estate { resources, dirty, .. } = estate;
    for (key, is_proven) in &lost {
        derived.memberless += 1;
        let Some(known) = resources.get_mut(key) else { continue };
        // One that an earlier pass of this very read still found members for has lost them by what look-ups said since.
        let is_counted = known.fence > observing.fence || (known.fence == observing.fence && known.missing > 0);
        if observing.narrow || is_counted {
            continue;
        }
        if !is_proven {
            // Frozen, and as such still standing: the ledger takes derived rows that nothing missed for seen in every run.
            if known.missing == 0 {
                known.last_seen = observing.at;
                known.fence = observing.fence;
            }
            continue;
        }
        known.missing = known.missing.saturating_add(1);
        known.fence = observing.fence;
        dirty.resources.insert(key.clone());
        if known.missing == 1 {
            known.news_fence = observing.fence;
            note(dirty, observing, JournalKind::Absent, key, "no live member names it in a tag", BTreeMap::new());
        }
    }
    derived
}

/// Services have their own corner of the key space, so that finding them does not mean reading the whole estate.
fn service_rows(resources: &BTreeMap<Key, Known>) -> impl Iterator<Item = (&Key, &Known)> {
    let corner = (Bound::Included("service:"), Bound::Excluded("service;"));
    resources.range::<str, _>(corner).filter(|(_, known)| known.resource.derived)
}

/// Whether the latest listings prove that a service has no members left.
fn is_proven(estate: &Estate, service: &Key, observing: &Observing<'_>) -> bool {
    let Estate { resources, edges, scopes, .. } = estate;
    let has_members = last_members(resources, edges, service).next().is_some();
    (has_members || observing.coverage.is_exhaustive()) && unlisted_members(resources, edges, scopes, service).is_none()
}

/// The members that a service was last derived from; none where it entered by recovery.
pub(crate) fn last_members<'a>(
    resources: &'a BTreeMap<Key, Known>,
    edges: &'a BTreeMap<EdgeId, KnownEdge>,
    service: &Key,
) -> impl Iterator<Item = (&'a Key, &'a Known)> + use<'a> {
    edges_from(edges, service).filter_map(|id| resources.get_key_value(&id.to))
}

/// The first scope that may show members of a service and whose latest receipt is not complete; `None` where it is proven that
/// none is left. Where no member is known, every scope may.
pub(crate) fn unlisted_members(
    resources: &BTreeMap<Key, Known>,
    edges: &BTreeMap<EdgeId, KnownEdge>,
    scopes: &BTreeMap<Scope, KnownScope>,
    service: &Key,
) -> Option<Scope> {
    let own: BTreeSet<Scope> = last_members(resources, edges, service).map(|(_, member)| member.resource.scope()).collect();
    if !own.is_empty() {
        let named =
            own.iter().map(|scope| covering(scopes, scope).map_or((scope, false), |(scope, known)| (scope, known.receipt.is_complete())));
        return named.filter(|(_, is_complete)| !is_complete).map(|(scope, _)| scope.clone()).next();
    }
    let mut serving = scopes.iter().filter(|(scope, _)| can_serve(scope.kind)).peekable();
    if serving.peek().is_none() {
        return resources.get(service).map(|known| known.resource.scope());
    }
    serving.find(|(_, known)| !known.receipt.is_complete()).map(|(scope, _)| scope.clone())
}

fn can_serve(kind: Kind) -> bool {
    matches!(kind, Kind::Instance | Kind::Pool | Kind::LoadBalancer)
}

fn wanted(estate: &Estate, ownership: &Ownership, fence: Fence) -> BTreeMap<Key, Service> {
    let mut services: BTreeMap<Key, Service> = BTreeMap::new();
    for (key, known) in &estate.resources {
        if !can_serve(known.resource.kind) || !is_live(known) {
            continue;
        }
        let Some(name) = ownership.service(&known.resource.tags) else { continue };
        let Some(service) = Key::service(name) else { continue };
        let service =
            services.entry(service).or_insert_with(|| Service { name: name.to_owned(), members: BTreeSet::new(), is_seen: false });
        // Spellings differ; the smallest does not depend on who comes first.
        if name < service.name.as_str() {
            name.clone_into(&mut service.name);
        }
        service.is_seen |= known.missing == 0 && known.fence >= fence;
        service.members.insert(key.clone());
    }
    services
}

/// Whether a resource lives, as this run's decisions will have it: those come after, and must not make a second pass differ. What is
/// missing before it ever had a record may be retired by them without a look-up.
fn is_live(known: &Known) -> bool {
    !known.is_ended() && (known.missing == 0 || known.disposition != Disposition::Defer)
}

/// Returns whether the service is new.
fn upsert(estate: &mut Estate, key: &Key, service: &Service, observing: &Observing<'_>) -> bool {
    let resource = Resource {
        key: key.clone(),
        kind: Kind::Service,
        provider: Provider::Any,
        native_id: key.as_str().trim_start_matches("service:").to_owned(),
        account: Account::any(),
        region: Region::any(),
        name: Some(service.name.clone()),
        state: None,
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: Attributes::from([("member_count".to_owned(), Value::from(service.members.len()))]),
        derived: true,
        extra: serde_json::Map::new(),
    };
    let dirty = &mut estate.dirty;
    let Some(known) = estate.resources.get_mut(key) else {
        dirty.resources.insert(key.clone());
        let change = |to: &str| FieldChange { from: Value::Null, to: to.into() };
        let fields = BTreeMap::from([("kind".to_owned(), change(Kind::Service.as_str())), ("name".to_owned(), change(&service.name))]);
        note(dirty, observing, JournalKind::Observed, key, "derived from the tags of its members", fields);
        estate.resources.insert(key.clone(), Known::new(resource, observing.at, observing.fence));
        return true;
    };
    let mut taken = take(known, resource.into(), Proven::ALL);
    if known.missing > 0 {
        taken.fields.insert("missing".to_owned(), FieldChange { from: known.missing.into(), to: 0.into() });
    }
    if taken.changed || known.missing > 0 || known.recovered {
        dirty.resources.insert(key.clone());
    }
    if !taken.fields.is_empty() {
        known.news_fence = known.news_fence.max(observing.fence);
        note(dirty, observing, JournalKind::Observed, key, "derived from the tags of its members", taken.fields);
    }
    // What a recovery doubts stays in doubt until a member is seen.
    let in_doubt = known.recovered && !service.is_seen;
    // The service follows from the merged view, which is right under any fence; only the time of the sighting may be an old one.
    let (at, fence) = if known.fence <= observing.fence { (observing.at, observing.fence) } else { (known.last_seen, known.fence) };
    known.sighted(at, fence);
    known.recovered = in_doubt;
    false
}

fn drop_edges(estate: &mut Estate, services: &BTreeMap<Key, Service>, observing: &Observing<'_>) {
    let Estate { resources, edges, scopes, dirty } = estate;
    let gone: Vec<EdgeId> = services
        .iter()
        .flat_map(|(key, service)| edges_from(edges, key).map(move |id| (id, service)))
        .filter(|(id, service)| !service.members.contains(&id.to))
        .filter(|(id, _)| {
            let Some(member) = resources.get(&id.to) else { return false };
            let listed = covering(scopes, &member.resource.scope()).is_some_and(|(_, scope)| scope.receipt.is_complete());
            listed && !member.is_ended()
        })
        .map(|(id, _)| id.clone())
        .collect();
    for id in gone {
        edges.remove(&id);
        let change = FieldChange { from: Value::Object(serde_json::Map::new()), to: Value::Null };
        journal(dirty, observing, &id, "the member's tag no longer names it", &change);
        dirty.edges.insert(id);
    }
}

fn add_edges(estate: &mut Estate, services: &BTreeMap<Key, Service>, new: &BTreeSet<&Key>, observing: &Observing<'_>) {
    let Estate { edges, dirty, .. } = estate;
    for (key, service) in services {
        for member in &service.members {
            let id = EdgeId { from: key.clone(), relation: RelationType::DependsOn, to: member.clone() };
            if edges.contains_key(&id) {
                continue;
            }
            if !new.contains(key) {
                let change = FieldChange { from: Value::Null, to: Value::Object(serde_json::Map::new()) };
                journal(dirty, observing, &id, "the member's tag names it", &change);
            }
            dirty.edges.insert(id.clone());
            let edge = KnownEdge { attributes: Attributes::new(), derived: true, extra: serde_json::Map::new(), fence: observing.fence };
            edges.insert(id, edge);
        }
    }
}

/// The derived `depends_on` edges of a service.
fn edges_from<'a>(edges: &'a BTreeMap<EdgeId, KnownEdge>, service: &Key) -> impl Iterator<Item = &'a EdgeId> + use<'a> {
    let service = service.clone();
    // A relation type that sorts before `depends_on`, so that every `to` end comes after the start.
    let start = EdgeId { from: service.clone(), relation: RelationType::LocatedIn, to: service.clone() };
    edges
        .range(start..)
        .take_while(move |(id, _)| id.from == service)
        .filter(|(id, edge)| edge.derived && id.relation == RelationType::DependsOn)
        .map(|(id, _)| id)
}

fn note(dirty: &mut Dirty, observing: &Observing<'_>, entry: JournalKind, key: &Key, cause: &str, fields: BTreeMap<String, FieldChange>) {
    let Observing { at, fence, .. } = *observing;
    dirty.journal.push(JournalEntry { entry, key: key.clone(), at, fence, cause: cause.to_owned(), fields });
}
