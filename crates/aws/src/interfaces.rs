//! Network interfaces: `ec2:DescribeNetworkInterfaces`.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::NetworkInterface;
use dewpoint_core::model::{Attributes, Kind, Relation, RelationType, Resource};
use serde_json::Value;

use crate::error::Fault;
use crate::listing::{Ask, Page};
use crate::map::{Addresses, Facts, Found, Place, Refused, edge, filled, group_ids, protected_by};

pub(crate) const OPERATION: &str = "ec2:DescribeNetworkInterfaces";

/// Reads one page, with interfaces that a service manages.
///
/// Source: Amazon EC2 API Reference, DescribeNetworkInterfaces.
pub(crate) async fn page(client: &aws_sdk_ec2::Client, place: &Place, ask: &Ask<'_>) -> Result<Page, Fault> {
    let answer = client
        .describe_network_interfaces()
        .include_managed_resources(true)
        .max_results(ask.size)
        .set_next_token(ask.token())
        .set_filters(ask.filters("network-interface-id"))
        .customize()
        .interceptor(ask.meter.clone())
        .send()
        .await
        .map_err(|error| Fault::of(OPERATION, &error))?;
    let mut found = Found::default();
    for interface in answer.network_interfaces() {
        // The owner of a shared network also sees the interfaces of those it shares with.
        if filled(interface.owner_id()).is_some_and(|owner| owner != place.account.as_str()) {
            found.foreign += 1;
            continue;
        }
        match map(place, interface) {
            Ok((resource, relations)) => {
                found.resources.push(resource);
                found.relations.extend(relations);
            }
            Err(refused) => found.refused.push(refused),
        }
    }
    Ok(Page { found, token: answer.next_token })
}

fn map(place: &Place, interface: &NetworkInterface) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(interface.network_interface_id()) else {
        return Err(Refused::new("", "a network interface has no id"));
    };
    let Some(status) = filled(interface.status().map(|status| status.as_str())) else {
        return Err(Refused::new(id, "the network interface has no state"));
    };
    let key = place.key(&format!("network-interface/{id}"))?;
    let subnet = filled(interface.subnet_id()).map(|id| place.key(&format!("subnet/{id}"))).transpose()?;
    let network = filled(interface.vpc_id()).map(|id| place.key(&format!("vpc/{id}"))).transpose()?;
    let delete_on_termination = interface.attachment().and_then(|attachment| attachment.delete_on_termination());

    let addresses = addresses(interface);
    let mut facts = Facts::default();
    facts.text("interface_type", interface.interface_type().map(|kind| kind.as_str()));
    facts.text("description", interface.description());
    facts.text("mac", interface.mac_address().map(str::to_lowercase).as_deref());
    facts.texts("private_addresses", addresses.private);
    facts.texts("public_addresses", addresses.public);
    facts.key("network", network.as_ref());
    facts.key("subnet", subnet.as_ref());
    facts.text("zone", interface.availability_zone());
    facts.text("managed_by", managed_by(interface));
    facts.flag("delete_on_termination", delete_on_termination);

    let mut relations = protected_by(place, &key, group_ids(interface.groups()).collect::<BTreeSet<_>>())?;
    if let Some(subnet) = subnet {
        relations.push(edge(&key, RelationType::ConnectedTo, subnet, Attributes::new()));
    }
    if let Some(attachment) = interface.attachment()
        && let Some(instance) = filled(attachment.instance_id())
        // Interfaces of services hang on machines in the service's own account.
        && filled(attachment.instance_owner_id()) == Some(place.account.as_str())
    {
        let attributes = delete_on_termination.map(|flag| ("delete_on_termination".to_owned(), Value::Bool(flag)));
        let instance = place.key(&format!("instance/{instance}"))?;
        relations.push(edge(&key, RelationType::AttachedTo, instance, attributes.into_iter().collect()));
    }

    let mut resource = place.resource(Kind::NetworkInterface, key, id, interface.tag_set());
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
