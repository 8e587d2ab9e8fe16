//! Machines, scale sets, disks.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Attributes, InstanceState, Key, Kind, RelationType, Resource, attributes};
use dewpoint_core::source::TAGS;
use dewpoint_core::source::facts::{Addresses, Facts, edge};

use super::{Found, Mapping, Scoped};
use crate::action;
use crate::ids;
use crate::wire::compute::{Machine, ScaleSet};
use crate::wire::network::Interface;

/// Machines that one scale set can have, and with a single placement group.
///
/// Source: Azure, "Working with large virtual machine scale sets".
const SET_MACHINES_MAX: i64 = 1000;
const PLACEMENT_GROUP_MACHINES_MAX: i64 = 100;

impl Mapping<'_> {
    pub(super) fn instances(&self) -> Scoped {
        let lists = self.lists;
        let mut found = Found::default();
        found.note(action::MACHINES, &lists.machines);
        found.note(action::SET_MACHINES, &lists.set_machines);
        let powers: BTreeMap<&Key, Option<&str>> =
            lists.run_states.items.iter().map(|state| (&state.key, state.power.as_deref())).collect();
        for machine in &lists.machines.items {
            let power = machine.power.as_deref().or_else(|| powers.get(&machine.head.id.key).copied().flatten());
            self.instance(&mut found, machine, power, None);
        }
        for machine in &lists.set_machines.items {
            self.instance(&mut found, machine, machine.power.as_deref(), self.set_of(&machine.head.id.key));
        }
        // Whether machines run is of their own kind's facts, in a list of its own.
        let fault = self.machines_fault().or(lists.run_states.fault.as_ref()).cloned();
        Scoped { kind: Kind::Instance, found, fault }
    }

    /// One machine. `set` is the uniform scale set that it is an instance of: what it buys and runs it may say there alone.
    fn instance(&self, found: &mut Found, machine: &Machine, power: Option<&str>, set: Option<&ScaleSet>) {
        let mut resource = self.resource(Kind::Instance, &machine.head);
        let key = resource.key.clone();
        let (state, word) = state(power, machine.provisioning.as_deref());
        resource.state = state.map(|state| state.as_str().to_owned());
        resource.created_at = machine.created_at;

        let mut facts = Facts::default();
        facts.text("size", machine.size.as_deref());
        let priority = machine.priority.as_deref().or_else(|| set.and_then(|set| set.priority.as_deref()));
        // An instance of a uniform set has it from its set: where that was not read, nobody knows.
        let is_told = priority.is_some() || !(ids::set_of(&key).is_some() || machine.is_partial) || set.is_some();
        facts.text("purchase", is_told.then(|| purchase(priority)));
        facts.text("image", machine.image.as_deref());
        facts.text("os_family", machine.os.as_deref().map(str::to_lowercase).as_deref());
        facts.text("zone", machine.zones.first().map(|zone| ids::zone_name(&resource.region, zone)).as_deref());
        facts.text("tenancy", machine.is_dedicated.then_some("host"));
        facts.text("provider_state", word.as_deref());
        facts.text("managed_by", machine.managed_by.as_deref().or_else(|| self.manager(&machine.head)));
        facts.text("life", machine.vm_id.as_deref().map(str::to_lowercase).as_deref());
        let size = machine.size.as_deref().and_then(|size| self.sizes.get(size));
        if let Some(size) = &size {
            facts.count("vcpus", size.vcpus);
            facts.count("memory_mib", size.memory_mib);
            facts.text("architecture", size.architecture.as_deref());
        }
        let interfaces = self.by_machine.get(&key).map_or(&[][..], Vec::as_slice);
        let is_ending = state == Some(InstanceState::Stopping) && interfaces.is_empty();
        self.network_facts(&mut facts, interfaces, is_ending);
        resource.attributes = facts.finish();
        if self.has_unread_interfaces(machine) {
            for name in OF_INTERFACES {
                resource.attributes.remove(name);
            }
        }

        for group in self.groups_of(interfaces) {
            found.relations.push(edge(&key, RelationType::ProtectedBy, group.clone(), Attributes::new()));
        }
        match machine.zones.first().and_then(|zone| ids::zone_key(self.account(), &resource.region, zone).ok()) {
            Some(zone) => found.relations.push(edge(&key, RelationType::LocatedIn, zone, Attributes::new())),
            None => self.locate(found, &resource),
        }
        self.note_unread(found, machine, &resource);
        found.resources.push(resource);
    }

    /// What was not read of a machine, and so stays as it was.
    fn note_unread(&self, found: &mut Found, machine: &Machine, resource: &Resource) {
        let missing = |name: &str| !resource.attributes.contains_key(name);
        let mut names: BTreeSet<&str> = BTreeSet::new();
        // Some machines are listed without their power state now and then: that is no state.
        if resource.state.is_none() {
            names.extend(["state", "provider_state"]);
        }
        names.extend(["vcpus", "memory_mib", "architecture", "purchase"].into_iter().filter(|name| missing(name)));
        if self.has_unread_interfaces(machine) {
            names.extend(OF_INTERFACES);
        }
        if machine.vm_id.is_none() {
            names.insert(attributes::LIFE);
        }
        if self.lists.groups.fault.is_some() {
            names.insert("managed_by");
        }
        if self.interfaces_fault().is_some() || machine.is_partial {
            names.extend(["network", "subnet"].into_iter().filter(|name| missing(name)));
        }
        let interfaces = self.by_machine.get(&resource.key).map_or(&[][..], Vec::as_slice);
        if !self.are_addresses_read(interfaces.iter().flat_map(|nic| nic.public_addresses())) {
            names.extend(["public_addresses", "public_dns_name"]);
        }
        // Null is how some items write that they have no tags; beside something else left open it says nothing.
        if machine.is_partial && machine.head.tags.is_empty() {
            names.insert(TAGS);
        }
        if machine.is_partial {
            names.extend(attributes::of(Kind::Instance).iter().map(|attribute| attribute.name).filter(|name| missing(name)));
        }
        names.retain(|name| missing(name) || *name == "state");
        found.unread(&resource.key, names);
        if self.interfaces_fault().is_some() || self.lists.networks.fault.is_some() || self.has_unread_interfaces(machine) {
            found.unread_edges(&resource.key, RelationType::ProtectedBy);
        }
    }

    /// Whether the machine has interfaces that were not read, so that what the others tell is a part: one that it names and no list shows is there.
    fn has_unread_interfaces(&self, machine: &Machine) -> bool {
        let is_named_alone = machine.interfaces.iter().any(|attached| !self.interfaces.contains_key(&attached.key));
        is_named_alone
            || match ids::set_of(&machine.head.id.key) {
                Some(_) => self.lists.set_interfaces.fault.is_some(),
                None => self.lists.interfaces.fault.is_some() && machine.interfaces.is_empty(),
            }
    }

    /// The security groups that protect interfaces: their own, and those of their subnets. Both apply.
    fn groups_of<'b>(&'b self, interfaces: &[&'b Interface]) -> BTreeSet<&'b Key> {
        let own = interfaces.iter().filter_map(|nic| nic.security_group.as_ref());
        let subnets = interfaces.iter().flat_map(|nic| &nic.configurations).filter_map(|one| one.subnet.as_ref());
        let of_subnets = subnets.filter_map(|subnet| self.subnet_groups.get(subnet).copied());
        let (own, of_subnets): (BTreeSet<&Key>, BTreeSet<&Key>) = (own.collect(), of_subnets.collect());
        own.into_iter().chain(of_subnets).collect()
    }

    /// Addresses, MACs and place in the network. A machine on its way out loses its interfaces first: there an empty list says nothing and is left out.
    fn network_facts(&self, facts: &mut Facts, interfaces: &[&Interface], is_ending: bool) {
        let mut addresses = Addresses::default();
        let mut macs = BTreeSet::new();
        for nic in interfaces {
            macs.extend(nic.mac.clone());
            self.add_addresses(&mut addresses, nic);
        }
        let is_public_read = self.are_addresses_read(interfaces.iter().flat_map(|nic| nic.public_addresses()));
        for (name, texts) in [("private_addresses", addresses.private), ("macs", macs)] {
            if !(is_ending && texts.is_empty()) {
                facts.texts(name, texts);
            }
        }
        if is_public_read && !(addresses.public.is_empty() && is_ending) {
            facts.texts("public_addresses", addresses.public);
        }
        // Where several are primary, or none says so, the one that stays first stands for the machine.
        let primary = interfaces.iter().min_by_key(|nic| (nic.is_primary == Some(false), &nic.head.id.key));
        let Some(primary) = primary else { return };
        let configuration = primary.configurations.iter().find(|one| one.is_primary != Some(false)).or(primary.configurations.first());
        facts.text("private_dns_name", primary.private_dns_name.as_deref());
        let Some(configuration) = configuration else { return };
        facts.key("subnet", configuration.subnet.as_ref());
        facts.key("network", configuration.subnet.as_ref().and_then(|subnet| ids::before(subnet, "subnets")).as_ref());
        facts.text("public_dns_name", configuration.public_address.as_ref().and_then(|key| self.public_name(key)));
    }

    pub(super) fn add_addresses(&self, addresses: &mut Addresses, nic: &Interface) {
        for one in &nic.configurations {
            addresses.add_private(one.address.as_deref());
            addresses.add_public(one.public_address.as_ref().and_then(|key| self.public_address(key)));
        }
    }

    pub(super) fn scaling_groups(&self) -> Scoped {
        let lists = self.lists;
        let mut members: BTreeMap<Key, Vec<&Machine>> = BTreeMap::new();
        for machine in &lists.machines.items {
            if let Some(set) = &machine.set {
                members.entry(set.clone()).or_default().push(machine);
            }
        }
        for machine in &lists.set_machines.items {
            if let Some(set) = ids::set_of(&machine.head.id.key) {
                members.entry(set).or_default().push(machine);
            }
        }
        let mut found = Found::default();
        found.note(action::SETS, &lists.sets);
        // A machine that is shown in part may be in any set.
        let is_unsure =
            self.machines_fault().is_some() || lists.machines.items.iter().any(|machine| machine.is_partial && machine.set.is_none());
        for set in &lists.sets.items {
            let members = members.get(&set.head.id.key).map_or(&[][..], Vec::as_slice);
            let is_unsure = if set.is_flexible == Some(false) { self.machines_fault().is_some() } else { is_unsure };
            let resource = self.scaling_group(set, members, is_unsure);
            for member in members {
                found.relations.push(edge(&member.head.id.key, RelationType::MemberOf, resource.key.clone(), Attributes::new()));
            }
            if is_unsure {
                found.unread_edges(&resource.key, RelationType::MemberOf);
                found.unread(&resource.key, ["desired_size", "member_count", "spot_share", "sizes", "images"]);
            }
            if set.is_flexible.is_none() {
                found.unread(&resource.key, ["orchestration"]);
            }
            found.resources.push(resource);
        }
        Scoped { kind: Kind::ScalingGroup, found, fault: lists.sets.fault.clone() }
    }

    fn scaling_group(&self, set: &ScaleSet, members: &[&Machine], is_unsure: bool) -> Resource {
        let mut resource = self.resource(Kind::ScalingGroup, &set.head);
        resource.created_at = set.created_at;
        // The provider names nothing but what the last change of the set came to.
        resource.state = set.provisioning.as_deref().filter(|state| *state == "Deleting").map(str::to_lowercase);
        let most = if set.is_single_placement_group { PLACEMENT_GROUP_MACHINES_MAX } else { SET_MACHINES_MAX };
        let sizes = set.size.iter().chain(members.iter().filter_map(|member| member.size.as_ref())).cloned().collect();
        let images = set.image.iter().chain(members.iter().filter_map(|member| member.image.as_ref())).cloned().collect();
        let mut facts = Facts::default();
        // A set has no bounds of its own: rules that scale it do, and those are kept elsewhere.
        facts.count("min_size", Some(0));
        facts.count("max_size", Some(most));
        // A flexible set that machines were added to by hand has no capacity to speak of.
        let count = i64::try_from(members.len()).ok();
        facts.count("desired_size", set.capacity.or(count.filter(|_| !is_unsure)));
        facts.texts("zones", Self::zones(&resource.region, &set.zones));
        facts.text("orchestration", set.is_flexible.map(|is_flexible| if is_flexible { "Flexible" } else { "Uniform" }));
        if !is_unsure {
            facts.texts("sizes", sizes);
            facts.texts("images", images);
            facts.count("member_count", count);
        }
        resource.attributes = facts.finish();
        resource
    }

    pub(super) fn volumes(&self) -> Scoped {
        let lists = self.lists;
        let mut found = Found::default();
        found.note(action::DISKS, &lists.disks);
        // The index has no column for the several machines of a shared disk, while each machine names what it holds.
        let mut holders: BTreeMap<&Key, BTreeMap<&Key, bool>> = BTreeMap::new();
        for machine in lists.machines.items.iter().chain(&lists.set_machines.items) {
            for attached in &machine.disks {
                holders.entry(&attached.key).or_default().insert(&machine.head.id.key, attached.ends_with);
            }
        }
        for disk in &lists.disks.items {
            let mut resource = self.resource(Kind::Volume, &disk.head);
            resource.state.clone_from(&disk.state);
            resource.created_at = disk.created_at;
            let mut facts = Facts::default();
            facts.count("size_gib", disk.size_gib);
            facts.text("volume_type", disk.volume_type.as_deref());
            facts.count("iops", disk.iops);
            // All managed disks are, with the platform's key or the customer's. Source: Azure, "Server-side encryption of Azure Disk Storage".
            facts.flag("encrypted", Some(true));
            facts.text("zone", disk.zones.first().map(|zone| ids::zone_name(&resource.region, zone)).as_deref());
            facts.text("snapshot", disk.snapshot.as_deref());
            resource.attributes = facts.finish();
            let holders = holders.get(&resource.key);
            let naming = holders.into_iter().flat_map(|holders| holders.keys().copied()).filter(|_| !disk.is_unattached());
            let machines: BTreeSet<&Key> = disk.machines.iter().chain(naming).collect();
            for machine in &machines {
                let mut facts = Facts::default();
                facts.flag("delete_on_termination", holders.and_then(|holders| holders.get(machine).copied()));
                found.relations.push(edge(&resource.key, RelationType::AttachedTo, (*machine).clone(), facts.finish()));
            }
            if self.machines_fault().is_some() || machines.iter().any(|machine| self.partial.contains(machine)) {
                found.unread_edges(&resource.key, RelationType::AttachedTo);
            }
            found.resources.push(resource);
        }
        Scoped { kind: Kind::Volume, found, fault: lists.disks.fault.clone() }
    }
}

/// What a machine has from its interfaces.
const OF_INTERFACES: [&str; 7] =
    ["private_addresses", "public_addresses", "macs", "network", "subnet", "private_dns_name", "public_dns_name"];

/// `spot` for capacity that can be taken back; `Low` is its older name.
fn purchase(priority: Option<&str>) -> &'static str {
    if priority.is_some_and(|word| word.eq_ignore_ascii_case("spot") || word.eq_ignore_ascii_case("low")) { "spot" } else { "on_demand" }
}

/// The neutral state and Azure's own word. Nothing said is no state: what was known stays. `Failed` is what the last change came to, and says nothing of the
/// machine.
///
/// Source: Azure Virtual Machines, "States and billing status".
fn state(power: Option<&str>, provisioning: Option<&str>) -> (Option<InstanceState>, Option<String>) {
    if provisioning.is_some_and(|word| word.eq_ignore_ascii_case("deleting")) {
        return (Some(InstanceState::Stopping), Some("deleting".to_owned()));
    }
    let state = match power {
        Some("running") => InstanceState::Running,
        Some("creating" | "starting") => InstanceState::Pending,
        Some("stopping" | "deallocating") => InstanceState::Stopping,
        Some("stopped" | "deallocated") => InstanceState::Stopped,
        Some(_) => InstanceState::Unknown,
        None if provisioning.is_some_and(|word| word.eq_ignore_ascii_case("creating")) => InstanceState::Pending,
        None => return (None, None),
    };
    (Some(state), Some(power.unwrap_or("creating").to_owned()))
}
