//! Networks, subnets, interfaces, public addresses, security groups.

use std::collections::BTreeMap;

use dewpoint_core::model::rules::{Access, Direction, Peer, Rule, Rules, azure};
use dewpoint_core::model::{Attributes, Key, Kind, RelationType};
use dewpoint_core::source::facts::{Addresses, Facts, edge};
use dewpoint_core::source::{Remark, STATE};

use super::{Found, Mapping, Scoped};
use crate::action;
use crate::ids;
use crate::item::Head;
use crate::wire::network::{Interface, SecurityGroup, SecurityRule, Side};

impl Mapping<'_> {
    pub(super) fn networks(&self) -> Scoped {
        let listed = &self.lists.networks;
        let mut found = Found::default();
        found.note(action::NETWORKS, listed);
        for network in &listed.items {
            let mut resource = self.resource(Kind::Network, &network.head);
            let mut facts = Facts::default();
            facts.texts("cidrs", network.prefixes.iter().cloned().collect());
            facts.flag("is_default", Some(false));
            resource.attributes = facts.finish();
            self.locate(&mut found, &resource);
            found.resources.push(resource);
        }
        Scoped { kind: Kind::Network, found, fault: listed.fault.clone() }
    }

    /// Subnets are parts of their networks, and have neither place nor tags of their own.
    pub(super) fn subnets(&self) -> Scoped {
        let listed = &self.lists.networks;
        let mut found = Found::default();
        for network in &listed.items {
            for subnet in &network.subnets {
                let head =
                    Head { id: subnet.id.clone(), name: subnet.name.clone(), region: network.head.region.clone(), tags: BTreeMap::new() };
                let mut resource = self.resource(Kind::Subnet, &head);
                let mut facts = Facts::default();
                facts.texts("cidrs", subnet.prefixes.iter().cloned().collect());
                facts.key("network", Some(&network.head.id.key));
                facts.flag("is_default", Some(false));
                resource.attributes = facts.finish();
                let key = &resource.key;
                found.relations.push(edge(key, RelationType::LocatedIn, network.head.id.key.clone(), Attributes::new()));
                if let Some(group) = &subnet.security_group {
                    found.relations.push(edge(key, RelationType::ProtectedBy, group.clone(), Attributes::new()));
                }
                found.resources.push(resource);
            }
        }
        Scoped { kind: Kind::Subnet, found, fault: listed.fault.clone() }
    }

    pub(super) fn network_interfaces(&self) -> Scoped {
        let mut found = Found::default();
        found.note(action::INTERFACES, &self.lists.interfaces);
        found.note(action::SET_INTERFACES, &self.lists.set_interfaces);
        let machines = self.lists.machines.items.iter().chain(&self.lists.set_machines.items);
        let holders: BTreeMap<&Key, (&Key, bool)> = machines
            .flat_map(|machine| machine.interfaces.iter().map(|attached| (&attached.key, (&machine.head.id.key, attached.ends_with))))
            .collect();
        for nic in self.interfaces.values() {
            let holder = holders.get(&nic.head.id.key).copied();
            self.network_interface(&mut found, nic, holder);
        }
        Scoped { kind: Kind::NetworkInterface, found, fault: self.interfaces_fault().cloned() }
    }

    /// One interface. `holder` is the machine that names it, and whether it goes with that.
    fn network_interface(&self, found: &mut Found, nic: &Interface, holder: Option<(&Key, bool)>) {
        let mut resource = self.resource(Kind::NetworkInterface, &nic.head);
        let key = resource.key.clone();
        let machine = nic.machine.as_ref().or(holder.map(|(machine, _)| machine));
        // An instance of a uniform set takes its interfaces with it.
        let is_of_set = ids::set_of(&key).is_some();
        let ends_with = if is_of_set { Some(true) } else { holder.map(|(_, ends_with)| ends_with) };
        let is_held = machine.is_some() || nic.private_endpoint.is_some();
        // A machine that was not read may hold it.
        if is_held || self.machines_fault().is_none() {
            resource.state = Some(if is_held { "in-use" } else { "available" }.to_owned());
        } else {
            found.unread(&key, [STATE]);
        }

        let mut addresses = Addresses::default();
        self.add_addresses(&mut addresses, nic);
        let subnet = nic.configurations.iter().find_map(|one| one.subnet.as_ref());
        let network = subnet.and_then(|subnet| ids::before(subnet, "subnets"));
        let mut facts = Facts::default();
        facts.text("interface_type", Some(if nic.private_endpoint.is_some() { "private_endpoint" } else { "interface" }));
        facts.text("mac", nic.mac.as_deref());
        facts.texts("private_addresses", addresses.private);
        if self.are_addresses_read(nic.public_addresses()) {
            facts.texts("public_addresses", addresses.public);
        } else {
            found.unread(&key, ["public_addresses"]);
        }
        facts.text("private_dns_name", nic.private_dns_name.as_deref());
        facts.key("network", network.as_ref());
        facts.key("subnet", subnet);
        facts.text("managed_by", nic.private_endpoint.as_deref().or_else(|| self.manager(&nic.head)));
        facts.flag("delete_on_termination", ends_with);
        resource.attributes = facts.finish();

        if let Some(group) = &nic.security_group {
            found.relations.push(edge(&key, RelationType::ProtectedBy, group.clone(), Attributes::new()));
        }
        if let Some(subnet) = subnet {
            found.relations.push(edge(&key, RelationType::ConnectedTo, subnet.clone(), Attributes::new()));
        }
        if let Some(machine) = machine {
            let mut facts = Facts::default();
            facts.flag("delete_on_termination", ends_with);
            found.relations.push(edge(&key, RelationType::AttachedTo, machine.clone(), facts.finish()));
        }
        if self.machines_fault().is_some() || machine.is_some_and(|machine| self.partial.contains(machine)) {
            found.unread_edges(&key, RelationType::AttachedTo);
            found.unread(&key, ["delete_on_termination"]);
        }
        if self.lists.groups.fault.is_some() {
            found.unread(&key, ["managed_by"]);
        }
        found.resources.push(resource);
    }

    pub(super) fn public_addresses(&self) -> Scoped {
        let lists = self.lists;
        let mut found = Found::default();
        found.note(action::ADDRESSES, &lists.addresses);
        found.note(action::SET_ADDRESSES, &lists.set_addresses);
        for address in lists.addresses.items.iter().chain(&lists.set_addresses.items) {
            let mut resource = self.resource(Kind::PublicAddress, &address.head);
            let state = if address.bound_to.is_some() { "associated" } else { "unassociated" };
            resource.state = (!address.is_binding_unsaid).then(|| state.to_owned());
            let mut facts = Facts::default();
            facts.text("address", address.address.as_deref());
            facts.text("allocation", address.allocation.as_deref());
            facts.text("dns_name", address.dns_name.as_deref());
            resource.attributes = facts.finish();
            let is_of_set = ids::set_of(&resource.key).is_some();
            if let Some(machine) = address.bound_to.as_ref().and_then(|bound_to| self.machine_behind(bound_to)) {
                let mut facts = Facts::default();
                facts.flag("delete_on_termination", Some(is_of_set || address.ends_with.unwrap_or(false)));
                found.relations.push(edge(&resource.key, RelationType::AttachedTo, machine, facts.finish()));
            }
            if self.interfaces_fault().is_some() || self.machines_fault().is_some() || address.is_binding_unsaid {
                found.unread_edges(&resource.key, RelationType::AttachedTo);
            }
            if address.is_binding_unsaid {
                found.unread(&resource.key, [STATE]);
            }
            if address.is_name_unsaid {
                found.unread(&resource.key, ["dns_name"]);
            }
            found.resources.push(resource);
        }
        Scoped { kind: Kind::PublicAddress, found, fault: self.addresses_fault().cloned() }
    }

    /// The machine behind an IP configuration: of a uniform set by its id, of another by its interface.
    pub(super) fn machine_behind(&self, configuration: &Key) -> Option<Key> {
        crate::wire::network::machine_of(configuration).or_else(|| {
            let nic = ids::before(configuration, "ipconfigurations")?;
            // A balancer can have members of another subscription.
            let Some(nic) = self.interfaces.get(&nic) else { return self.directory.behind(&nic).cloned() };
            nic.machine.clone().or_else(|| {
                let holds = |machine: &&crate::wire::compute::Machine| machine.interfaces.iter().any(|one| one.key == nic.head.id.key);
                self.lists.machines.items.iter().find(holds).map(|machine| machine.head.id.key.clone())
            })
        })
    }

    pub(super) fn security_groups(&self) -> Scoped {
        let listed = &self.lists.security_groups;
        let mut found = Found::default();
        found.note(action::SECURITY_GROUPS, listed);
        for group in &listed.items {
            let mut resource = self.resource(Kind::SecurityGroup, &group.head);
            match rule_facts(group) {
                Ok(facts) => resource.attributes = facts.finish(),
                Err(text) => {
                    found.unread(&resource.key, ["rules", "rules_digest", "open_to_world"]);
                    found
                        .remarks
                        .push(Remark { subject: group.head.id.text.clone(), text: format!("its rules are left as they were: {text}") });
                }
            }
            found.resources.push(resource);
        }
        Scoped { kind: Kind::SecurityGroup, found, fault: listed.fault.clone() }
    }
}

/// Most rules that a group is multiplied out to. Azure takes a thousand rules with some thousand addresses on either side, each of which could stand against
/// each other.
///
/// Source: Azure subscription and service limits, "Azure Resource Manager virtual networking limits".
const RULES_MAX: usize = 10_000;

/// The rules of a group in canonical form.
fn rule_facts(group: &SecurityGroup) -> Result<Facts, String> {
    let count = group
        .rules
        .iter()
        .fold(0_usize, |count, rule| count.saturating_add(rule.source.breadth().saturating_mul(rule.destination.breadth())));
    if count > RULES_MAX {
        return Err(format!("multiplied out they are {count}, and more than {RULES_MAX} are not taken"));
    }
    let rules: Rules = group.rules.iter().flat_map(canonical).collect();
    let (value, digest) = rules.to_value().map_err(|error| error.to_string())?;
    let mut facts = Facts::default();
    facts.text("rules_digest", Some(&digest.to_string()));
    facts.texts("open_to_world", rules.open_to_world());
    facts.value("rules", value);
    Ok(facts)
}

/// A rule in canonical form: one for each peer, each part of the own side, and each range of ports. The own side is what the group protects: the destination
/// of what comes in, the source of what goes out.
fn canonical(rule: &SecurityRule) -> Vec<Rule> {
    let (direction, peers, own) = match rule.is_inbound {
        true => (Direction::Ingress, &rule.source, &rule.destination),
        false => (Direction::Egress, &rule.destination, &rule.source),
    };
    let protocol = azure::protocol(&rule.protocol);
    let ports_of = |side: &Side| -> Vec<String> { side.ports.iter().map(|range| azure::ports(&protocol, range)).collect() };
    let mut rules = Vec::new();
    for peer in parts(peers) {
        for part in parts(own) {
            for ports in ports_of(&rule.destination) {
                for source_ports in ports_of(&rule.source) {
                    rules.push(Rule {
                        priority: rule.priority,
                        access: if rule.is_allow { Access::Allow } else { Access::Deny },
                        source_ports: Some(source_ports).filter(|ports| ports != "all"),
                        destination: part.clone().part(),
                        name: rule.name.clone(),
                        is_default: rule.is_default,
                        description: rule.description.clone(),
                        ..Rule::new(direction, &protocol, &ports, peer.clone())
                    });
                }
            }
        }
    }
    rules
}

/// Who one side of a rule is: never nobody, see [`Side`].
fn parts(side: &Side) -> Vec<Peer> {
    let prefixes = side.prefixes.iter().map(|prefix| Peer::azure(prefix));
    prefixes.chain(side.groups.iter().map(|group| Peer::application_group(ids::path(group)))).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::item::Item;
    use crate::wire::Wire;

    /// A group with one rule of so many sources, destinations and ports.
    fn group(sources: usize, destinations: usize, ports: usize) -> SecurityGroup {
        let addresses = |count: usize| (0..count).map(|at| format!("10.{}.{}.0/24", at / 256, at % 256)).collect::<Vec<_>>();
        let ports: Vec<String> = (1..=ports).map(|port| port.to_string()).collect();
        let rule = json!({"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "priority": 100, "sourcePortRange": "*",
            "sourceAddressPrefixes": addresses(sources), "destinationAddressPrefixes": addresses(destinations), "destinationPortRanges": ports});
        let group = json!({"id": "/subscriptions/s/x", "properties": {"securityRules": [{"name": "in", "properties": rule}]}});
        SecurityGroup::lenient(Item(&group)).unwrap()
    }

    #[test]
    fn rules_are_multiplied_out_so_far() {
        let rules = rule_facts(&group(100, 10, 10)).map(Facts::finish);
        assert_eq!(rules.unwrap()["rules"].as_array().unwrap().len(), 10_000);
        let many = rule_facts(&group(4000, 4000, 4000)).map(Facts::finish);
        assert_eq!(many, Err("multiplied out they are 64000000000, and more than 10000 are not taken".to_owned()));
    }
}
