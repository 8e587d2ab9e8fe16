//! Load balancers, application gateways and their pools.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Attributes, Key, Kind, RelationType};
use dewpoint_core::source::facts::{Facts, edge};
use serde_json::{Map, Value};

use super::{Found, Mapping, Scoped};
use crate::action;
use crate::error::Fault;
use crate::ids;
use crate::item::Head;
use crate::wire::balancing::{Balancer, Door, Pool};

impl Mapping<'_> {
    fn balancers(&self) -> impl Iterator<Item = &Balancer> {
        let balancers = self.lists.balancers.items.iter().map(|balancer| &balancer.0);
        balancers.chain(self.lists.gateways.items.iter().map(|gateway| &gateway.0))
    }

    fn balancers_fault(&self) -> Option<Fault> {
        self.lists.balancers.fault.as_ref().or(self.lists.gateways.fault.as_ref()).cloned()
    }

    pub(super) fn load_balancers(&self) -> Scoped {
        let mut found = Found::default();
        found.note(action::BALANCERS, &self.lists.balancers);
        found.note(action::GATEWAYS, &self.lists.gateways);
        for balancer in self.balancers() {
            self.load_balancer(&mut found, balancer);
        }
        Scoped { kind: Kind::LoadBalancer, found, fault: self.balancers_fault() }
    }

    fn load_balancer(&self, found: &mut Found, balancer: &Balancer) {
        let mut resource = self.resource(Kind::LoadBalancer, &balancer.head);
        let key = resource.key.clone();
        resource.state.clone_from(&balancer.state);
        let private = balancer.frontends.iter().filter_map(|frontend| frontend.private_address.as_deref());
        let public = || balancer.frontends.iter().filter_map(|frontend| frontend.public_address.as_ref());
        let addresses: BTreeSet<String> = private.chain(public().filter_map(|key| self.public_address(key))).map(str::to_owned).collect();
        let doors: BTreeSet<Door> = balancer.routes.iter().map(|route| route.door.clone()).collect();
        let mut facts = Facts::default();
        facts.text("balancer_type", Some(balancer.form.word()));
        facts.text("scheme", Some(if public().next().is_some() { "internet-facing" } else { "internal" }));
        facts.key("network", self.network_of(balancer).as_ref());
        facts.texts("zones", Self::zones(&resource.region, &balancer.zones));
        if self.are_addresses_read(public()) {
            facts.text("dns_name", public().find_map(|key| self.public_name(key)));
            facts.texts("addresses", addresses);
        } else {
            found.unread(&key, ["addresses", "dns_name"]);
        }
        facts.value("listeners", Value::Array(doors.into_iter().map(listener).collect()));
        resource.attributes = facts.finish();

        let mut routes: BTreeMap<&Key, Vec<&Door>> = BTreeMap::new();
        for route in &balancer.routes {
            if let Some(pool) = &route.pool {
                routes.entry(pool).or_default().push(&route.door);
            }
        }
        for (pool, doors) in routes {
            found.relations.push(edge(&key, RelationType::RoutesTo, pool.clone(), door_facts(&doors)));
        }
        // A gateway stands in a subnet itself; a load balancer is no machine that a rule could protect.
        if let Some(group) = balancer.subnet.as_ref().and_then(|subnet| self.subnet_groups.get(subnet).copied()) {
            found.relations.push(edge(&key, RelationType::ProtectedBy, group.clone(), Attributes::new()));
        }
        if self.lists.networks.fault.is_some() {
            found.unread_edges(&key, RelationType::ProtectedBy);
        }
        self.locate(found, &resource);
        found.resources.push(resource);
    }

    /// The network that a balancer stands in; none for one that is reached from outside only.
    fn network_of(&self, balancer: &Balancer) -> Option<Key> {
        let subnet = balancer.subnet.as_ref().or_else(|| balancer.frontends.iter().find_map(|frontend| frontend.subnet.as_ref()))?;
        ids::before(subnet, "subnets")
    }

    pub(super) fn pools(&self) -> Scoped {
        let mut found = Found::default();
        for balancer in self.balancers() {
            for pool in &balancer.pools {
                self.pool(&mut found, balancer, pool);
            }
        }
        Scoped { kind: Kind::Pool, found, fault: self.balancers_fault() }
    }

    /// A pool is a part of its balancer, whose place and tags it has. Its name alone often is `default`.
    fn pool(&self, found: &mut Found, balancer: &Balancer, pool: &Pool) {
        let head = Head {
            id: pool.id.clone(),
            name: format!("{}/{}", balancer.head.name, pool.name),
            region: balancer.head.region.clone(),
            tags: balancer.head.tags.clone(),
        };
        let mut resource = self.resource(Kind::Pool, &head);
        let members = self.members(balancer, pool);
        let door = pool.doors.iter().min();
        let network = pool.addresses.iter().find_map(|address| address.network.clone()).or_else(|| self.network_of(balancer));
        let mut facts = Facts::default();
        facts.text("protocol", door.and_then(|door| door.protocol.as_deref()));
        facts.count("port", door.and_then(|door| door.port));
        facts.text("member_type", Some(if pool.addresses.is_empty() { "instance" } else { "ip" }));
        facts.key("network", network.as_ref());
        facts.count("member_count", i64::try_from(members.known.len().saturating_add(members.unresolved.len())).ok());
        let mut of_edge = Facts::default();
        of_edge.count("port", door.and_then(|door| door.port));
        let of_edge = of_edge.finish();
        for member in members.known {
            found.relations.push(edge(&resource.key, RelationType::RoutesTo, member, of_edge.clone()));
        }
        // What is not known here may be an interface that could not be read, in this subscription or in another.
        let is_unsure = self.interfaces_fault().is_some()
            || self.machines_fault().is_some()
            || pool.configurations.iter().any(|configuration| self.is_unread_interface(configuration))
            || (!members.unresolved.is_empty() && self.elsewhere.is_some());
        if is_unsure {
            found.unread_edges(&resource.key, RelationType::RoutesTo);
            found.unread(&resource.key, ["unresolved_members"]);
        } else {
            facts.texts("unresolved_members", members.unresolved);
        }
        resource.attributes = facts.finish();
        found.resources.push(resource);
    }

    /// Whether a configuration is that of an interface of this subscription that no list shows.
    fn is_unread_interface(&self, configuration: &Key) -> bool {
        let is_here = ids::subscription(configuration).as_ref() == Some(self.account()) && ids::set_of(configuration).is_none();
        is_here && ids::before(configuration, "ipconfigurations").is_some_and(|nic| !self.interfaces.contains_key(&nic))
    }

    /// Who is in a pool, in all three forms: by interface, by the configuration of a uniform set's instance, by address and network.
    fn members(&self, balancer: &Balancer, pool: &Pool) -> Members {
        let mut members = Members::default();
        for configuration in &pool.configurations {
            match self.machine_behind(configuration) {
                Some(machine) => members.known.insert(machine),
                None => members.unresolved.insert(ids::path(configuration).to_owned()),
            };
        }
        members.known.extend(pool.balancers.iter().cloned());
        // The same membership as the interfaces tell it: their view may be newer.
        for nic in self.interfaces.values() {
            if nic.configurations.iter().any(|one| one.pools.contains(&pool.id.key)) {
                members.known.extend(nic.machine.clone());
            }
        }
        let own = self.network_of(balancer);
        for address in &pool.addresses {
            let holder = match (&address.network, &own) {
                // Networks elsewhere may have the same range: an address counts in its own alone.
                (Some(network), _) => self.directory.in_network(network, &address.text),
                (None, Some(network)) => self.directory.seen_from(network, &address.text),
                (None, None) => None,
            };
            match holder {
                Some(holder) => members.known.insert(holder.clone()),
                None => members.unresolved.insert(address.text.clone()),
            };
        }
        members
    }
}

/// The members of a pool on their way to edges.
#[derive(Debug, Default)]
struct Members {
    known: BTreeSet<Key>,
    unresolved: BTreeSet<String>,
}

/// Attributes of a balancer's edge to a pool: port and protocol of the first listener that forwards to it, and all of them where they are several.
fn door_facts(doors: &[&Door]) -> Attributes {
    let mut facts = Facts::default();
    if let Some(door) = doors.iter().min() {
        facts.count("port", door.port);
        facts.text("protocol", door.protocol.as_deref());
    }
    let all: BTreeSet<String> = doors.iter().map(|door| spelt(door)).collect();
    if all.len() > 1 {
        facts.texts("listeners", all);
    }
    facts.finish()
}

fn spelt(door: &Door) -> String {
    let protocol = door.protocol.as_deref().unwrap_or("any");
    door.port.map_or_else(|| protocol.to_owned(), |port| format!("{protocol}/{port}"))
}

fn listener(door: Door) -> Value {
    let port = door.port.map(|port| ("port".to_owned(), Value::from(port)));
    let protocol = door.protocol.map(|protocol| ("protocol".to_owned(), Value::String(protocol)));
    Value::Object(port.into_iter().chain(protocol).collect::<Map<_, _>>())
}
