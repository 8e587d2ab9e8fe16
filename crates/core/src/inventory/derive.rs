//! Services, from tags.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::derived::{self, Sighting, Sort, can_serve, dependencies, is_listed, is_live, relate, unrelate};
use super::observe::Observing;
use crate::estate::{Estate, Fence};
use crate::model::{Account, Attributes, EdgeId, Key, Kind, Provider, Region, RelationType, Resource};
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
    sighting: Sighting,
}

/// Derives services and their `depends_on` edges from the tags of live instances, pools and load balancers.
///
/// A service whose members are all gone counts as absent once per run in which the scopes of its last members are complete, so that the
/// usual timers retire it; it keeps its last edges until then. One that no member is known of (it entered by recovery) could have some wherever nobody
/// looked: it is absent only when every source told everything and every scope that could show a member is complete. Of other services an edge goes when the scope of its member is complete and the member lives on
/// without the tag. Narrow reads count no absence.
pub fn derive(estate: &mut Estate, ownership: &Ownership, observing: &Observing<'_>) -> Derived {
    let services = wanted(estate, ownership, observing.fence);
    let mut new: BTreeSet<&Key> = BTreeSet::new();
    for (key, service) in &services {
        if derived::upsert(estate, Sort::Service, row(key, service), service.sighting, observing) {
            new.insert(key);
        }
    }
    drop_edges(estate, &services, observing);
    add_edges(estate, &services, &new, observing);
    let memberless = derived::miss(estate, Sort::Service, |key| services.contains_key(key), observing);
    Derived { services: services.len() as u64, memberless }
}

fn wanted(estate: &Estate, ownership: &Ownership, fence: Fence) -> BTreeMap<Key, Service> {
    let mut services: BTreeMap<Key, Service> = BTreeMap::new();
    for (key, known) in &estate.resources {
        if !can_serve(known.resource.kind) || !is_live(known) {
            continue;
        }
        let Some(name) = ownership.service.resolve(&known.resource.tags) else { continue };
        let Some(service) = Key::service(name) else { continue };
        let service = services.entry(service).or_insert_with(|| Service {
            name: name.to_owned(),
            members: BTreeSet::new(),
            sighting: Sighting::default(),
        });
        // Spellings differ; the smallest does not depend on who comes first.
        if name < service.name.as_str() {
            name.clone_into(&mut service.name);
        }
        service.sighting.add(known, fence);
        service.members.insert(key.clone());
    }
    services
}

fn row(key: &Key, service: &Service) -> Resource {
    Resource {
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
    }
}

fn drop_edges(estate: &mut Estate, services: &BTreeMap<Key, Service>, observing: &Observing<'_>) {
    let Estate { resources, edges, scopes, .. } = &*estate;
    let gone: Vec<EdgeId> = services
        .iter()
        .flat_map(|(key, service)| dependencies(edges, key).map(move |id| (id, service)))
        .filter(|(id, service)| !service.members.contains(&id.to))
        .filter(|(id, _)| {
            // A fleet's part is lifted from its members.
            let Some(member) = resources.get(&id.to).filter(|known| can_serve(known.resource.kind)) else { return false };
            is_listed(scopes, &member.resource.scope()) && !member.is_ended()
        })
        .map(|(id, _)| id.clone())
        .collect();
    for id in gone {
        unrelate(estate, id, "the member's tag no longer names it", observing);
    }
}

fn add_edges(estate: &mut Estate, services: &BTreeMap<Key, Service>, new: &BTreeSet<&Key>, observing: &Observing<'_>) {
    for (key, service) in services {
        for member in &service.members {
            let id = EdgeId { from: key.clone(), relation: RelationType::DependsOn, to: member.clone() };
            if !estate.edges.contains_key(&id) {
                let cause = (!new.contains(key)).then_some("the member's tag names it");
                relate(estate, id, Attributes::new(), cause, observing);
            }
        }
    }
}
