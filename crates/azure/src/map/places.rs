//! The subscription itself, its resource groups, and the locations and zones that something lies in.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Attributes, Key, Kind, Provider, Region, RelationType, Resource};
use dewpoint_core::source::facts::{Facts, edge};
use serde_json::Map;

use super::{Found, Mapping, Scoped};
use crate::action;
use crate::error::Fault;
use crate::ids;

impl Mapping<'_> {
    pub(super) fn groups(&self) -> Scoped {
        let listed = &self.lists.groups;
        let mut found = Found::default();
        found.note(action::GROUPS, listed);
        for group in &listed.items {
            let mut facts = Facts::default();
            facts.text("provisioning_state", group.provisioning.as_deref());
            facts.text("managed_by", group.managed_by.as_deref());
            let mut resource = self.resource(Kind::ResourceGroup, &group.head);
            resource.attributes = facts.finish();
            self.locate(&mut found, &resource);
            found.resources.push(resource);
        }
        Scoped { kind: Kind::ResourceGroup, found, fault: listed.fault.clone() }
    }

    /// An edge to the location.
    pub(super) fn locate(&self, found: &mut Found, resource: &Resource) {
        let location = self.lists.locations.items.iter().find(|location| location.region == resource.region);
        if let Ok(region) = ids::region_key(self.account(), &resource.region)
            && !resource.region.is_any()
            && location.is_none_or(|location| location.is_physical)
        {
            found.relations.push(edge(&resource.key, RelationType::LocatedIn, region, Attributes::new()));
        }
    }

    /// The subscription, and the locations and zones in which something was found. A subscription sees some sixty locations: those that it does not use are
    /// nobody's configuration items.
    pub(super) fn places(&self, scopes: &[Scoped]) -> Vec<Scoped> {
        let mut regions: BTreeSet<&Region> = BTreeSet::new();
        let mut zones: BTreeSet<(&Region, &str)> = BTreeSet::new();
        let resources = || scopes.iter().flat_map(|scoped| &scoped.found.resources);
        let listed = self.lists;
        // What is no place (`global`) holds nothing up.
        let is_place = |region: &Region| {
            let location = listed.locations.items.iter().find(|location| location.region == *region);
            !region.is_any() && location.is_none_or(|location| location.is_physical)
        };
        for resource in resources().filter(|resource| is_place(&resource.region)) {
            regions.insert(&resource.region);
        }
        let of_machines =
            listed.machines.items.iter().chain(&listed.set_machines.items).map(|machine| (&machine.head.id.key, &machine.zones));
        let of_sets = listed.sets.items.iter().map(|set| (&set.head.id.key, &set.zones));
        let of_disks = listed.disks.items.iter().map(|disk| (&disk.head.id.key, &disk.zones));
        let regions_by_key: BTreeMap<&Key, &Region> = resources().map(|resource| (&resource.key, &resource.region)).collect();
        for (key, names) in of_machines.chain(of_sets).chain(of_disks) {
            if let Some(region) = regions_by_key.get(key).filter(|region| !region.is_any()) {
                zones.extend(names.iter().map(|zone| (*region, zone.as_str())));
            }
        }
        // What was not read may lie in a location that nothing else lies in.
        let fault = listed.locations.fault.clone().or_else(|| scopes.iter().find_map(|scoped| scoped.fault.clone()));
        vec![self.itself(&regions, fault.as_ref()), self.regions(&regions, fault.clone()), self.zone_resources(&zones, fault)]
    }

    fn itself(&self, regions: &BTreeSet<&Region>, fault: Option<&Fault>) -> Scoped {
        let mut found = Found::default();
        if let Some(resource) = account_resource(self.subscription, self.observed_at) {
            for region in regions {
                if let Ok(region) = ids::region_key(self.account(), region) {
                    found.relations.push(edge(&resource.key, RelationType::Contains, region, Attributes::new()));
                }
            }
            if fault.is_some() {
                found.unread_edges(&resource.key, RelationType::Contains);
            }
            found.resources.push(resource);
        }
        Scoped { kind: Kind::Account, found, fault: None }
    }

    fn regions(&self, regions: &BTreeSet<&Region>, fault: Option<Fault>) -> Scoped {
        let mut found = Found::default();
        found.note(action::LOCATIONS, &self.lists.locations);
        for region in regions {
            let location = self.lists.locations.items.iter().find(|location| location.region == **region);
            let Ok(key) = ids::region_key(self.account(), region) else { continue };
            let mut facts = Facts::default();
            facts.text("display_name", location.and_then(|location| location.display_name.as_deref()));
            if location.is_none() {
                found.unread(&key, ["display_name"]);
            }
            found.resources.push(self.place(Kind::Region, key, region, region.as_str(), facts));
        }
        Scoped { kind: Kind::Region, found, fault }
    }

    fn zone_resources(&self, zones: &BTreeSet<(&Region, &str)>, fault: Option<Fault>) -> Scoped {
        let mut found = Found::default();
        for (region, zone) in zones {
            let (Ok(key), Ok(region_key)) = (ids::zone_key(self.account(), region, zone), ids::region_key(self.account(), region)) else {
                continue;
            };
            let location = self.lists.locations.items.iter().find(|location| location.region == **region);
            let physical = location.and_then(|location| location.zones.get(*zone));
            let mut facts = Facts::default();
            facts.text("zone_id", Some(physical.map_or(*zone, String::as_str)));
            let resource = self.place(Kind::Zone, key, region, &ids::zone_name(region, zone), facts);
            found.relations.push(edge(&resource.key, RelationType::LocatedIn, region_key, Attributes::new()));
            found.resources.push(resource);
        }
        Scoped { kind: Kind::Zone, found, fault }
    }

    fn place(&self, kind: Kind, key: Key, region: &Region, name: &str, facts: Facts) -> Resource {
        Resource {
            native_id: ids::path(&key).to_owned(),
            key,
            kind,
            provider: Provider::Azure,
            account: self.account().clone(),
            region: region.clone(),
            name: Some(name.to_owned()),
            state: None,
            tags: BTreeMap::new(),
            created_at: None,
            observed_at: Some(self.observed_at),
            attributes: facts.finish(),
            derived: false,
            extra: Map::new(),
        }
    }
}

/// A subscription as a resource; `None` where its id is none. One that is deleted has ended, and all that it held with it.
pub(crate) fn account_resource(subscription: &crate::wire::resources::Subscription, observed_at: jiff::Timestamp) -> Option<Resource> {
    let mut facts = Facts::default();
    facts.text("organization", subscription.tenant.as_deref());
    let state = match subscription.state.as_deref() {
        None | Some("enabled") => "active",
        Some("deleted") => "closed",
        Some(other) => other,
    };
    Some(Resource {
        key: ids::account_key(&subscription.account).ok()?,
        kind: Kind::Account,
        provider: Provider::Azure,
        native_id: subscription.native_id.clone(),
        account: subscription.account.clone(),
        region: Region::any(),
        name: subscription.name.clone(),
        state: Some(state.to_owned()),
        tags: subscription.tags.clone(),
        created_at: None,
        observed_at: Some(observed_at),
        attributes: facts.finish(),
        derived: false,
        extra: Map::new(),
    })
}
