//! How much is attached to machines, from the edges of the estate.

use std::collections::{BTreeMap, HashMap};

use crate::estate::{Estate, Known, last_complete};
use crate::model::{Account, Key, Kind, Provider, Region, RelationType, Scope};
use crate::target::Attached;

/// How much is attached to each machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attachments(HashMap<Key, Attached>);

impl Attachments {
    /// What is attached to a machine; `None` for what is none, and where nobody counted.
    #[must_use]
    pub fn of(&self, key: &Key) -> Option<Attached> {
        self.0.get(key).copied()
    }
}

#[derive(Debug, Default)]
struct Counts {
    interfaces: u64,
    volumes: u64,
    gib: Option<u64>,
}

/// Counts what is attached to the machines of an estate.
///
/// Edges and what they begin at stay as they were where a listing is not complete, and so do these counts. What no listing of its place and kind ever
/// showed whole is not counted: some of it says nothing of how much there is. What has ended keeps its last edges, so that a machine that is missing or has
/// ended keeps its last counts: what went with it counts, and what had ended before does not.
pub fn attachments(estate: &Estate) -> Attachments {
    let mut counts: HashMap<&Key, Counts> = HashMap::new();
    for id in estate.edges.keys().filter(|id| id.relation == RelationType::AttachedTo) {
        let (Some(part), Some(machine)) = (estate.resources.get(&id.from), estate.resources.get(&id.to)) else { continue };
        if machine.resource.kind != Kind::Instance || !counts_for(part, machine) {
            continue;
        }
        let counts = counts.entry(&id.to).or_insert_with(|| Counts { gib: Some(0), ..Counts::default() });
        match part.resource.kind {
            Kind::NetworkInterface => counts.interfaces += 1,
            Kind::Volume => {
                let gib = part.resource.attributes.get("size_gib").and_then(serde_json::Value::as_u64);
                counts.volumes += 1;
                counts.gib = counts.gib.zip(gib).and_then(|(sum, gib)| sum.checked_add(gib));
            }
            _ => {}
        }
    }
    let mut listed: BTreeMap<(Provider, &Account, &Region), [bool; 2]> = BTreeMap::new();
    let machines = estate.resources.iter().filter(|(_, known)| known.resource.kind == Kind::Instance);
    let all = machines.filter_map(|(key, known)| {
        let resource = &known.resource;
        let [interfaces, volumes] = *listed.entry((resource.provider, &resource.account, &resource.region)).or_insert_with(|| {
            [Kind::NetworkInterface, Kind::Volume].map(|kind| last_complete(&estate.scopes, &Scope { kind, ..resource.scope() }).is_some())
        });
        let none = Counts { gib: Some(0), ..Counts::default() };
        let counts = counts.get(key).unwrap_or(&none);
        let attached = Attached {
            interfaces: interfaces.then_some(counts.interfaces),
            volumes: volumes.then_some(counts.volumes),
            volume_gib: counts.gib.filter(|_| volumes),
        };
        (attached != Attached::default()).then(|| (key.clone(), attached))
    });
    Attachments(all.collect())
}

fn counts_for(part: &Known, machine: &Known) -> bool {
    let is_there = |known: &Known| known.missing == 0 && !known.is_ended();
    match (&part.end, &machine.end) {
        _ if is_there(machine) => is_there(part),
        (None, _) => true,
        (Some(part), Some(machine)) => part.at >= machine.at,
        (Some(_), None) => false,
    }
}
