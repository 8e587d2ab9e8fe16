//! What deliveries have to know of CIs beside what changes.

use std::collections::BTreeMap;

use crate::deliver::About;
use crate::estate::Estate;
use crate::model::{Account, Key, Kind, Region};
use crate::target::Target;

/// By CI, what its record may be identified beside at one target.
pub(super) struct Hosts(BTreeMap<Key, Vec<Key>>);

impl Hosts {
    /// Reads the estate's edges; none where the target identifies nothing beside others.
    pub(super) fn of(estate: &Estate, target: &dyn Target) -> Self {
        let mut hosts: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        if Kind::ALL.iter().all(|kind| target.hosts(*kind).is_empty()) {
            return Self(hosts);
        }
        let kind = |key: &Key| estate.resources.get(key).map(|known| known.resource.kind);
        for id in estate.edges.keys() {
            let (Some(from), Some(to)) = (kind(&id.from), kind(&id.to)) else { continue };
            if target.hosts(from).iter().any(|edge| edge.outgoing && edge.relation == id.relation && edge.kind == to) {
                hosts.entry(id.from.clone()).or_default().push(id.to.clone());
            }
            if target.hosts(to).iter().any(|edge| !edge.outgoing && edge.relation == id.relation && edge.kind == from) {
                hosts.entry(id.to.clone()).or_default().push(id.from.clone());
            }
        }
        Self(hosts)
    }

    /// What is known of a CI. One that the estate does not know lies nowhere.
    pub(super) fn about(&self, estate: &Estate, key: &Key) -> About {
        let known = estate.resources.get(key);
        About {
            kind: known.map_or(Kind::Instance, |known| known.resource.kind),
            native_id: known.map(|known| known.resource.native_id.clone()).unwrap_or_default(),
            account: known.map_or_else(Account::any, |known| known.resource.account.clone()),
            region: known.map_or_else(Region::any, |known| known.resource.region.clone()),
            seen_at: known.map(|known| known.last_seen),
            hosts: self.0.get(key).cloned().unwrap_or_default(),
        }
    }
}
