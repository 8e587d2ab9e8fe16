//! Network interfaces: `ec2:DescribeNetworkInterfaces`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use aws_sdk_ec2::types::NetworkInterface;
use dewpoint_core::model::{Attributes, Key, Kind, Relation, RelationType, Resource};
use ipnet::IpNet;
use serde_json::Value;

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Addresses, Facts, Found, Place, Refused, ec2_tags, edge, filled, group_ids, part_id, protected_by};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeNetworkInterfaces");

/// The interfaces of a place, with those that a service manages.
///
/// Source: Amazon EC2 API Reference, DescribeNetworkInterfaces.
pub(crate) struct Interfaces<'a>(pub(crate) &'a Place);

/// Interfaces, and the machines behind their addresses.
#[derive(Debug, Default)]
pub(crate) struct FoundInterfaces {
    pub(crate) found: Found,
    pub(crate) machines: Machines,
}

#[async_trait]
impl Pages for Interfaces<'_> {
    type Out = FoundInterfaces;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, out: &mut FoundInterfaces) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_network_interfaces().include_managed_resources(true).max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("network-interface-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for interface in answer.network_interfaces() {
            out.machines.add(self.0, interface);
            // The owner of a shared network also sees the interfaces of those it shares with.
            if self.0.is_foreign(interface.owner_id()) {
                out.found.foreign += 1;
            } else {
                out.found.take(map(self.0, interface));
            }
        }
        Ok(answer.next_token)
    }
}

/// The machines of this account by the addresses of their interfaces, each within its network: what registers itself with a balancer by address
/// (pods of a cluster among them) is traced to its machine by this.
#[derive(Debug, Default)]
pub(crate) struct Machines {
    by_address: BTreeMap<(String, IpAddr), Key>,
    /// Ranges delegated to an interface, out of which its machine gives addresses to pods.
    ranges: BTreeMap<String, Vec<(IpNet, Key)>>,
}

impl Machines {
    fn add(&mut self, place: &Place, interface: &NetworkInterface) {
        let (Some(network), Some(machine)) = (filled(interface.vpc_id()), machine(place, interface)) else { return };
        let own = interface.private_ip_address();
        let v4 = interface.private_ip_addresses().iter().filter_map(|address| address.private_ip_address());
        let v6 = interface.ipv6_addresses().iter().filter_map(|address| address.ipv6_address());
        for address in own.into_iter().chain(v4).chain(v6).filter_map(|text| text.parse().ok()) {
            self.by_address.insert((network.to_owned(), address), machine.clone());
        }
        let v4 = interface.ipv4_prefixes().iter().filter_map(|range| range.ipv4_prefix());
        let v6 = interface.ipv6_prefixes().iter().filter_map(|range| range.ipv6_prefix());
        for range in v4.chain(v6).filter_map(|text| text.parse().ok()) {
            self.ranges.entry(network.to_owned()).or_default().push((range, machine.clone()));
        }
    }

    /// The machine that has an address in a network.
    pub(crate) fn find(&self, network: &str, address: IpAddr) -> Option<&Key> {
        let ranges = || self.ranges.get(network)?.iter().find(|(range, _)| range.contains(&address)).map(|(_, machine)| machine);
        self.by_address.get(&(network.to_owned(), address)).or_else(ranges)
    }
}

/// The machine of this account that an interface is attached to. Interfaces of services hang on machines in the service's own account.
fn machine(place: &Place, interface: &NetworkInterface) -> Option<Key> {
    let attachment = interface.attachment()?;
    let instance = filled(attachment.instance_id()).filter(|_| filled(attachment.instance_owner_id()) == Some(place.account.as_str()))?;
    place.key(&format!("instance/{instance}")).ok()
}

fn map(place: &Place, interface: &NetworkInterface) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(interface.network_interface_id()) else {
        return Err(Refused::new("", "a network interface has no id"));
    };
    let Some(status) = filled(interface.status().map(|status| status.as_str())) else {
        return Err(Refused::new(id, "the network interface has no state"));
    };
    let attached = interface.attachment().filter(|attachment| attachment.instance_owner_id() == Some(place.account.as_str()));
    if let Some(attachment) = attached.filter(|_| managed_by(interface).is_none()) {
        part_id(id, "machine", attachment.instance_id())?;
    }
    let key = place.key(&format!("network-interface/{id}"))?;
    let subnet = place.subnet(interface.subnet_id())?;
    let network = place.network(interface.vpc_id())?;
    let delete_on_termination = interface.attachment().and_then(|attachment| attachment.delete_on_termination());

    let addresses = addresses(interface);
    let mut facts = Facts::default();
    facts.text("interface_type", interface.interface_type().map(|kind| kind.as_str()));
    facts.text("description", interface.description());
    facts.text("mac", interface.mac_address().map(str::to_lowercase).as_deref());
    facts.texts("private_addresses", addresses.private);
    facts.texts("public_addresses", addresses.public);
    facts.text("private_dns_name", interface.private_dns_name());
    facts.text("public_dns_name", interface.association().and_then(|association| association.public_dns_name()));
    facts.key("network", network.as_ref());
    facts.key("subnet", subnet.as_ref());
    facts.text("zone", interface.availability_zone());
    facts.text("managed_by", managed_by(interface));
    facts.flag("delete_on_termination", delete_on_termination);

    let mut relations = protected_by(place, &key, group_ids(id, interface.groups())?)?;
    if let Some(subnet) = subnet {
        relations.push(edge(&key, RelationType::ConnectedTo, subnet, Attributes::new()));
    }
    if let Some(machine) = machine(place, interface) {
        let attributes = delete_on_termination.map(|flag| ("delete_on_termination".to_owned(), Value::Bool(flag)));
        relations.push(edge(&key, RelationType::AttachedTo, machine, attributes.into_iter().collect()));
    }

    let mut resource = place.resource(Kind::NetworkInterface, key, id, ec2_tags(interface.tag_set()));
    resource.state = Some(status.to_owned());
    resource.attributes = facts.finish();
    Ok((resource, relations))
}

fn addresses(interface: &NetworkInterface) -> Addresses {
    let mut addresses = Addresses::default();
    addresses.add_private(interface.private_ip_address());
    if let Some(association) = interface.association() {
        addresses.add_public(association.public_ip());
        addresses.add_public(association.carrier_ip());
    }
    for address in interface.private_ip_addresses() {
        addresses.add_private(address.private_ip_address());
        if let Some(association) = address.association() {
            addresses.add_public(association.public_ip());
            addresses.add_public(association.carrier_ip());
        }
    }
    for address in interface.ipv6_addresses() {
        addresses.add_v6(address.ipv6_address());
    }
    addresses
}

/// The service that runs the interface: the operator it names, or, for older services, the requester.
fn managed_by(interface: &NetworkInterface) -> Option<&str> {
    let operator = interface.operator().and_then(|operator| filled(operator.principal()));
    operator.or_else(|| interface.requester_id().filter(|_| interface.requester_managed() == Some(true)))
}
