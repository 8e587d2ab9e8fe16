//! From what was listed to resources and relations: pure, one subscription at a time.
//!
//! A list is the evidence for its kind alone. What a resource takes from another list, and that was not read to its end, is named as unread: it stays as it
//! was, and the rest goes on.

mod balancing;
mod compute;
mod network;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Account, Attributes, Key, Kind, Provider, Region, Relation, RelationType, Resource};
use dewpoint_core::source::Remark;
use dewpoint_core::source::facts::edge;
use jiff::Timestamp;
use serde_json::Map;

pub(crate) use self::places::account_resource;
use crate::Collector;
use crate::action::{self, Action};
use crate::error::{Fault, Reason};
use crate::ids;
use crate::item::{Head, Refused};
use crate::listing::Listed;
use crate::lists::Lists;
use crate::sizes::Sizes;
use crate::wire::compute::ScaleSet;
use crate::wire::network::{Directory, Interface};
use crate::wire::resources::{Permission, Subscription};

/// What the listing of a kind came to.
#[derive(Debug)]
pub(crate) struct Scoped {
    pub(crate) kind: Kind,
    pub(crate) found: Found,
    /// `None` when it was read to its end and every item could be taken.
    pub(crate) fault: Option<Fault>,
}

/// What was found of a kind.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) resources: Vec<Resource>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) unread: BTreeMap<Key, BTreeSet<String>>,
    pub(crate) unread_edges: BTreeMap<Key, BTreeSet<RelationType>>,
    pub(crate) remarks: Vec<Remark>,
}

impl Found {
    /// Takes what is odd about a list into the report.
    fn note<T>(&mut self, action: Action, listed: &Listed<T>) {
        self.remarks.extend(listed.refused.iter().map(|Refused { native_id, text }| Remark {
            subject: if native_id.is_empty() { action.resource_type.to_owned() } else { native_id.clone() },
            text: text.clone(),
        }));
        if let Some(first) = listed.misfits.iter().min() {
            let text = format!(
                "{} of {} items do not fit the published types and were read as far as they are understood; the first: {}: {}",
                listed.misfits.len(),
                listed.items.len(),
                first.native_id,
                first.text
            );
            self.remarks.push(Remark { subject: action.resource_type.to_owned(), text });
        }
    }

    fn unread<'a>(&mut self, key: &Key, names: impl IntoIterator<Item = &'a str>) {
        let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        if !names.is_empty() {
            self.unread.entry(key.clone()).or_default().extend(names);
        }
    }

    fn unread_edges(&mut self, key: &Key, relation: RelationType) {
        self.unread_edges.entry(key.clone()).or_default().insert(relation);
    }
}

/// Lists by which role reaches how far: what a principal may not do in a whole subscription shows it the parts where it may. Where it cannot be known what the
/// role gives, any list may be such a part.
///
/// Source: Azure role-based access control, "Understand scope".
pub(crate) fn narrow(lists: &mut Lists, permissions: &Listed<Permission>, collector: Collector) {
    let set_interfaces = match collector {
        Collector::Arm => action::SET_INTERFACES,
        Collector::ResourceGraph => action::SET_INTERFACE_ROWS,
    };
    let is_given = |action: Action| permissions.items.iter().any(|permission| permission.gives(action.name));
    let note = |action: Action, fault: &mut Option<Fault>| {
        if fault.is_some() {
            return;
        }
        *fault = match &permissions.fault {
            Some(unknown) => {
                let text =
                    format!("what the role gives is not known, so that the lists may show a part and prove no absence: {}", unknown.text);
                Some(Fault { text, operation: action.name, ..unknown.clone() })
            }
            None if is_given(action) => None,
            None => {
                let text = "the role does not give this in the whole subscription, so that its lists show a part and prove no absence";
                Some(Fault::new(Reason::Denied, action, text))
            }
        };
    };
    note(action::GROUPS, &mut lists.groups.fault);
    note(action::MACHINES, &mut lists.machines.fault);
    note(action::MACHINES, &mut lists.run_states.fault);
    note(action::SETS, &mut lists.sets.fault);
    note(action::DISKS, &mut lists.disks.fault);
    note(action::INTERFACES, &mut lists.interfaces.fault);
    note(action::NETWORKS, &mut lists.networks.fault);
    note(action::SECURITY_GROUPS, &mut lists.security_groups.fault);
    note(action::ADDRESSES, &mut lists.addresses.fault);
    note(action::BALANCERS, &mut lists.balancers.fault);
    note(action::GATEWAYS, &mut lists.gateways.fault);
    // Without a set there is nothing that a role could hide.
    if lists.sets.items.iter().any(|set| set.is_flexible != Some(true)) {
        note(action::SET_MACHINES, &mut lists.set_machines.fault);
        note(set_interfaces, &mut lists.set_interfaces.fault);
    }
    if lists.set_interfaces.items.iter().any(|nic| nic.public_addresses().next().is_some()) {
        note(action::SET_ADDRESSES, &mut lists.set_addresses.fault);
    }
    // A set that is not shown has machines that are not shown, and an interface that is not shown has addresses that are not.
    for fault in [&mut lists.set_machines.fault, &mut lists.set_interfaces.fault] {
        *fault = fault.take().or_else(|| lists.sets.fault.clone());
    }
    lists.set_addresses.fault = lists.set_addresses.fault.take().or_else(|| lists.set_interfaces.fault.clone());
}

/// One subscription on its way to resources.
pub(crate) struct Mapping<'a> {
    pub(crate) subscription: &'a Subscription,
    pub(crate) lists: &'a Lists,
    /// Who has which address, over all subscriptions of the source.
    pub(crate) directory: &'a Directory,
    /// What kept the interfaces of another subscription from being known.
    pub(crate) elsewhere: Option<&'a Fault>,
    pub(crate) sizes: &'a Sizes,
    pub(crate) observed_at: Timestamp,
    group_regions: BTreeMap<&'a Key, &'a Region>,
    managers: BTreeMap<&'a Key, &'a str>,
    sets: BTreeMap<&'a Key, &'a ScaleSet>,
    interfaces: BTreeMap<&'a Key, &'a Interface>,
    /// Machines that are shown without some of their parts.
    partial: BTreeSet<&'a Key>,
    /// Interfaces by the machine that they hang on.
    by_machine: BTreeMap<Key, Vec<&'a Interface>>,
    /// Security groups by the subnet that they protect.
    subnet_groups: BTreeMap<&'a Key, &'a Key>,
    /// Public addresses and names by their key.
    addresses: BTreeMap<&'a Key, (Option<&'a str>, Option<&'a str>)>,
}

/// What a mapping is made over.
pub(crate) struct Ground<'a> {
    pub(crate) subscription: &'a Subscription,
    pub(crate) lists: &'a Lists,
    pub(crate) directory: &'a Directory,
    pub(crate) elsewhere: Option<&'a Fault>,
    pub(crate) sizes: &'a Sizes,
    pub(crate) observed_at: Timestamp,
}

impl<'a> Mapping<'a> {
    pub(crate) fn new(ground: &Ground<'a>) -> Self {
        let &Ground { subscription, lists, directory, elsewhere, sizes, observed_at } = ground;
        let all_interfaces = || lists.interfaces.items.iter().chain(&lists.set_interfaces.items);
        let interfaces: BTreeMap<&Key, &Interface> = all_interfaces().map(|nic| (&nic.head.id.key, nic)).collect();
        let mut by_machine: BTreeMap<Key, Vec<&Interface>> = BTreeMap::new();
        for nic in interfaces.values() {
            if let Some(machine) = &nic.machine {
                by_machine.entry(machine.clone()).or_default().push(nic);
            }
        }
        // An interface that was just attached may not say so yet, while its machine does.
        for machine in &lists.machines.items {
            for nic in machine.interfaces.iter().filter_map(|attached| interfaces.get(&attached.key)) {
                let of_machine = by_machine.entry(machine.head.id.key.clone()).or_default();
                if nic.machine.is_none() && !of_machine.iter().any(|known| known.head.id.key == nic.head.id.key) {
                    of_machine.push(nic);
                }
            }
        }
        let subnets = lists.networks.items.iter().flat_map(|network| &network.subnets);
        let all_machines = lists.machines.items.iter().chain(&lists.set_machines.items);
        let all_addresses = lists.addresses.items.iter().chain(&lists.set_addresses.items);
        Self {
            group_regions: lists.groups.items.iter().filter_map(|group| Some((&group.head.id.key, group.head.region.as_ref()?))).collect(),
            managers: lists.groups.items.iter().filter_map(|group| Some((&group.head.id.key, group.managed_by.as_deref()?))).collect(),
            sets: lists.sets.items.iter().map(|set| (&set.head.id.key, set)).collect(),
            subnet_groups: subnets.filter_map(|subnet| Some((&subnet.id.key, subnet.security_group.as_ref()?))).collect(),
            addresses: all_addresses
                .map(|address| (&address.head.id.key, (address.address.as_deref(), address.dns_name.as_deref())))
                .collect(),
            partial: all_machines.filter(|machine| machine.is_partial).map(|machine| &machine.head.id.key).collect(),
            subscription,
            lists,
            directory,
            elsewhere,
            sizes,
            observed_at,
            interfaces,
            by_machine,
        }
    }

    /// All kinds of the subscription.
    pub(crate) fn all(&self) -> Vec<Scoped> {
        let mut scopes = vec![
            self.groups(),
            self.networks(),
            self.subnets(),
            self.security_groups(),
            self.instances(),
            self.scaling_groups(),
            self.network_interfaces(),
            self.volumes(),
            self.public_addresses(),
            self.load_balancers(),
            self.pools(),
        ];
        let places = self.places(&scopes);
        self.contain(&mut scopes);
        scopes.extend(places);
        scopes
    }

    fn account(&self) -> &'a Account {
        &self.subscription.account
    }

    /// Where something lies: as it says itself, else where the scale set or the group that it is in lies; `*` where nobody says.
    fn region(&self, head: &Head) -> Region {
        let of_set = || self.set_of(&head.id.key).and_then(|set| set.head.region.as_ref());
        let of_group = || head.id.group().and_then(|group| self.group_regions.get(&group).copied());
        head.region.as_ref().or_else(of_set).or_else(of_group).cloned().unwrap_or_else(Region::any)
    }

    /// The uniform scale set that a resource is an instance of, or hangs on an instance of.
    fn set_of(&self, key: &Key) -> Option<&'a ScaleSet> {
        self.sets.get(&ids::set_of(key)?).copied()
    }

    /// The name that people read. What hangs on the instances of a set has one name on all of them: the instance's stands before it.
    fn name(&self, head: &Head) -> String {
        let Some(set) = self.set_of(&head.id.key) else { return head.name.clone() };
        let below =
            ids::path(&head.id.key).strip_prefix(ids::path(&set.head.id.key)).and_then(|below| below.strip_prefix("/virtualmachines/"));
        match below.and_then(|below| below.split_once('/')) {
            Some((number, _)) => format!("{}_{number}/{}", set.head.name, head.name),
            None => head.name.clone(),
        }
    }

    /// A resource, so far without state, birth and attributes.
    fn resource(&self, kind: Kind, head: &Head) -> Resource {
        Resource {
            key: head.id.key.clone(),
            kind,
            provider: Provider::Azure,
            native_id: head.id.text.clone(),
            account: self.account().clone(),
            region: self.region(head),
            name: Some(self.name(head)),
            state: None,
            tags: head.tags.clone(),
            created_at: None,
            observed_at: Some(self.observed_at),
            attributes: Attributes::new(),
            derived: false,
            extra: Map::new(),
        }
    }

    /// What runs the group that something lies in.
    fn manager(&self, head: &Head) -> Option<&'a str> {
        head.id.group().and_then(|group| self.managers.get(&group).copied())
    }

    /// Zones by the names that people read.
    fn zones(region: &Region, zones: &[String]) -> BTreeSet<String> {
        zones.iter().map(|zone| ids::zone_name(region, zone)).collect()
    }

    fn public_address(&self, key: &Key) -> Option<&'a str> {
        self.addresses.get(key).and_then(|(address, _)| *address)
    }

    fn public_name(&self, key: &Key) -> Option<&'a str> {
        self.addresses.get(key).and_then(|(_, name)| *name)
    }

    /// What kept public addresses from being read.
    fn addresses_fault(&self) -> Option<&Fault> {
        self.lists.addresses.fault.as_ref().or(self.lists.set_addresses.fault.as_ref())
    }

    /// Whether it is known of public addresses what they are: an address that something refers to, and that no list shows, is there all the same.
    fn are_addresses_read<'b>(&self, mut keys: impl Iterator<Item = &'b Key>) -> bool {
        self.addresses_fault().is_none() && keys.all(|key| self.addresses.contains_key(key))
    }

    /// What kept interfaces from being read.
    fn interfaces_fault(&self) -> Option<&Fault> {
        self.lists.interfaces.fault.as_ref().or(self.lists.set_interfaces.fault.as_ref())
    }

    /// What kept machines from being read.
    fn machines_fault(&self) -> Option<&Fault> {
        self.lists.machines.fault.as_ref().or(self.lists.set_machines.fault.as_ref()).or(self.lists.sets.fault.as_ref())
    }

    /// Gives each resource group what lies in it.
    fn contain(&self, scopes: &mut [Scoped]) {
        let groups: BTreeSet<&Key> = self.lists.groups.items.iter().map(|group| &group.head.id.key).collect();
        let mut relations = Vec::new();
        for resource in scopes.iter().flat_map(|scoped| &scoped.found.resources) {
            let group = ids::ResourceId::parse(ids::path(&resource.key)).ok().and_then(|id| id.group());
            if let Some(group) = group.filter(|group| groups.contains(group)) {
                relations.push(edge(&group, RelationType::Contains, resource.key.clone(), Attributes::new()));
            }
        }
        let is_partial = scopes.iter().any(|scoped| scoped.fault.is_some());
        if let Some(scoped) = scopes.iter_mut().find(|scoped| scoped.kind == Kind::ResourceGroup) {
            scoped.found.relations.extend(relations);
            if is_partial {
                for group in groups {
                    scoped.found.unread_edges(group, RelationType::Contains);
                }
            }
        }
    }
}
