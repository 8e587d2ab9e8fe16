//! `DescribeNetworkInterfaces`.

use super::{
    Listed, Row, Spec,
    instances::{private_dns, public_dns, write_addresses, write_groups},
    list, write_operator, write_tags,
};
use crate::{
    call::{Call, NestedIds},
    error::ApiError,
    filter::Values,
    hash,
    world::{InstanceState, Interface, PrivateAddress, Region, Tags},
    xml::Xml,
};

const SPEC: Spec = Spec {
    ids: "NetworkInterfaceId",
    prefix: Some("eni-"),
    malformed: "InvalidNetworkInterfaceId.Malformed",
    not_found: "InvalidNetworkInterfaceID.NotFound",
    unknown: ["The networkInterface ID '{}' does not exist", "The networkInterface IDs '{}' do not exist"],
    filters: &[
        "addresses.association.public-ip",
        "addresses.primary",
        "addresses.private-ip-address",
        "association.allocation-id",
        "association.public-ip",
        "attachment.attachment-id",
        "attachment.device-index",
        "attachment.instance-id",
        "attachment.instance-owner-id",
        "attachment.status",
        "availability-zone",
        "description",
        "group-id",
        "group-name",
        "interface-type",
        "ipv6-addresses.ipv6-address",
        "mac-address",
        "network-interface-id",
        "operator.managed",
        "operator.principal",
        "owner-id",
        "private-dns-name",
        "private-ip-address",
        "requester-id",
        "requester-managed",
        "source-dest-check",
        "status",
        "subnet-id",
        "tag-key",
        "tag:*",
        "vpc-id",
    ],
    size: Some((5, 1000)),
    clamps: false,
    size_or_ids: true,
};

struct Card<'a> {
    interface: &'a Interface,
    region: &'a Region,
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    let with_hidden = call.params.take_bool("IncludeManagedResources")?.unwrap_or(false);
    let hides = call.account.managed_resources_hidden;
    let region = call.region;
    let cards: Vec<Card<'_>> = region
        .interfaces
        .values()
        .filter(|interface| !hides || with_hidden || interface.operator.is_none())
        .filter(|interface| !goes_with_its_instance(region, interface))
        .map(|interface| Card { interface, region })
        .collect();
    let Listed { rows, next } = list(call, &SPEC, cards)?;
    let (seed, nested) = (call.nested_seed(), call.nested_ids());
    Ok(call.ec2_answer(|xml| {
        xml.list("networkInterfaceSet", "item", rows.iter().enumerate(), |xml, (index, card)| {
            let Card { interface, region } = card;
            let quirks = call.quirks(index);
            xml.optional("networkInterfaceId", Some(&interface.id).filter(|_| !quirks.no_id));
            xml.text("subnetId", &interface.subnet);
            xml.text("vpcId", &interface.vpc);
            xml.text("availabilityZone", &interface.zone);
            xml.text("description", &interface.description);
            xml.text("ownerId", quirks.owner.unwrap_or_else(|| card.owner()));
            xml.optional("requesterId", interface.requester.as_ref());
            xml.plain("requesterManaged", interface.requester_managed);
            if !quirks.no_state {
                xml.text("status", card.status());
            }
            xml.text("macAddress", &interface.mac);
            xml.optional("privateIpAddress", interface.addresses.first().map(|address| &address.ip));
            xml.optional("privateDnsName", card.private_dns());
            xml.plain("sourceDestCheck", interface.source_dest_check);
            write_groups(xml, seed, region, &interface.groups);
            write_attachment(xml, card, &nested);
            if let Some(address) = interface.addresses.first() {
                write_association(xml, region, address);
            }
            write_tags(xml, seed, &interface.tags);
            write_addresses(xml, seed, interface, |xml, address| write_association(xml, region, address));
            xml.list("ipv6AddressesSet", "item", &interface.ipv6, |xml, ip| xml.text("ipv6Address", ip));
            xml.list("ipv4PrefixSet", "item", &interface.ipv4_prefixes, |xml, prefix| xml.text("ipv4Prefix", prefix));
            xml.text("interfaceType", &interface.kind);
            write_operator(xml, interface.operator.as_ref(), hides);
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

/// A terminated instance has lost its interfaces, also in a world that was given with them.
fn goes_with_its_instance(region: &Region, interface: &Interface) -> bool {
    let instance = interface.instance().and_then(|id| region.instances.get(id));
    instance.is_some_and(|instance| instance.state == InstanceState::Terminated)
        && interface.attachment.as_ref().is_some_and(|one| one.delete_on_termination)
}

fn write_attachment(xml: &mut Xml, card: &Card<'_>, nested: &NestedIds) {
    let Some(attachment) = &card.interface.attachment else { return };
    xml.element("attachment", |xml| {
        xml.text("attachmentId", &attachment.id);
        xml.optional("instanceId", attachment.instance.as_deref().and_then(|id| nested.send(id)));
        xml.text("instanceOwnerId", attachment.instance_owner.as_deref().unwrap_or(&card.region.account));
        xml.plain("deviceIndex", attachment.device_index);
        xml.plain("networkCardIndex", attachment.card);
        xml.text("status", "attached");
        xml.time("attachTime", attachment.attached);
        xml.plain("deleteOnTermination", attachment.delete_on_termination);
    });
}

fn write_association(xml: &mut Xml, region: &Region, address: &PrivateAddress) {
    let Some(public) = &address.public else { return };
    xml.element("association", |xml| {
        xml.text("publicIp", &public.ip);
        xml.text("publicDnsName", &public_dns(&public.ip, region));
        xml.text("ipOwnerId", if public.allocation.is_some() { &region.account } else { "amazon" });
        if let Some(allocation) = &public.allocation {
            xml.text("allocationId", allocation);
            xml.text(
                "associationId",
                &region
                    .addresses
                    .get(allocation)
                    .and_then(|one| one.association.clone())
                    .unwrap_or_else(|| hash::id("eipassoc", &[allocation])),
            );
        }
    });
}

impl<'a> Card<'a> {
    fn owner(&self) -> &'a str {
        self.interface.owner.as_deref().unwrap_or(&self.region.account)
    }

    fn status(&self) -> &'static str {
        if self.interface.attachment.is_some() { "in-use" } else { "available" }
    }

    fn private_dns(&self) -> Option<String> {
        self.interface.addresses.first().map(|address| private_dns(&address.ip, self.region))
    }
}

impl<'a> Row<'a> for Card<'a> {
    fn key(&self) -> &str {
        &self.interface.id
    }

    fn tags(&self) -> &'a Tags {
        &self.interface.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let interface = self.interface;
        let one = |value: &'a str| vec![value.into()];
        let maybe = |value: Option<&'a str>| value.map(Into::into).into_iter().collect();
        let flag = |value: bool| one(if value { "true" } else { "false" });
        let attachment = interface.attachment.as_ref();
        let public = || interface.addresses.iter().filter_map(|address| address.public.as_ref());
        match filter {
            "addresses.association.public-ip" | "association.public-ip" => public().map(|public| public.ip.as_str().into()).collect(),
            "addresses.primary" => {
                interface.addresses.iter().enumerate().map(|(index, _)| if index == 0 { "true" } else { "false" }.into()).collect()
            }
            "addresses.private-ip-address" => interface.addresses.iter().map(|address| address.ip.as_str().into()).collect(),
            "association.allocation-id" => public().filter_map(|public| Some(public.allocation.as_deref()?.into())).collect(),
            "attachment.attachment-id" => maybe(attachment.map(|attachment| attachment.id.as_str())),
            "attachment.device-index" => attachment.map(|attachment| attachment.device_index.to_string().into()).into_iter().collect(),
            "attachment.instance-id" => maybe(interface.instance()),
            "attachment.instance-owner-id" => {
                maybe(attachment.map(|attachment| attachment.instance_owner.as_deref().unwrap_or(&self.region.account)))
            }
            "attachment.status" => maybe(attachment.map(|_| "attached")),
            "availability-zone" => one(&interface.zone),
            "description" => one(&interface.description),
            "group-id" => interface.groups.iter().map(|id| id.as_str().into()).collect(),
            "group-name" => interface.groups.iter().filter_map(|id| Some(self.region.groups.get(id)?.name.as_str().into())).collect(),
            "interface-type" => one(&interface.kind),
            "ipv6-addresses.ipv6-address" => interface.ipv6.iter().map(|ip| ip.as_str().into()).collect(),
            "mac-address" => one(&interface.mac),
            "network-interface-id" => one(&interface.id),
            "operator.managed" => flag(interface.operator.is_some()),
            "operator.principal" => maybe(interface.operator.as_ref().map(|operator| operator.principal.as_str())),
            "owner-id" => one(self.owner()),
            "private-dns-name" => self.private_dns().map(Into::into).into_iter().collect(),
            "private-ip-address" => maybe(interface.addresses.first().map(|address| address.ip.as_str())),
            "requester-id" => maybe(interface.requester.as_deref()),
            "requester-managed" => flag(interface.requester_managed),
            "source-dest-check" => flag(interface.source_dest_check),
            "status" => one(self.status()),
            "subnet-id" => one(&interface.subnet),
            "vpc-id" => one(&interface.vpc),
            _ => Vec::new(),
        }
    }
}
