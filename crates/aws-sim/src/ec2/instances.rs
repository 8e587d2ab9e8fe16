//! `DescribeInstances`.

use dewpoint_sim_kit::clock;

use super::{Listed, Row, Spec, list, write_operator, write_tags};
use crate::{
    call::{Call, Quirks},
    error::ApiError,
    filter::Values,
    hash::shuffle,
    world::{Attachment, Instance, InstanceState, Interface, PrivateAddress, Region, Tags, Volume, VolumeAttachment},
    xml::Xml,
};

const SPEC: Spec = Spec {
    ids: "InstanceId",
    prefix: Some("i-"),
    malformed: "InvalidInstanceID.Malformed",
    not_found: "InvalidInstanceID.NotFound",
    unknown: ["The instance ID '{}' does not exist", "The instance IDs '{}' do not exist"],
    filters: &[
        "architecture",
        "availability-zone",
        "block-device-mapping.volume-id",
        "dns-name",
        "host-id",
        "image-id",
        "instance-id",
        "instance-lifecycle",
        "instance-state-code",
        "instance-state-name",
        "instance-type",
        "instance.group-id",
        "instance.group-name",
        "ip-address",
        "key-name",
        "launch-time",
        "network-interface.group-id",
        "network-interface.network-interface-id",
        "network-interface.subnet-id",
        "network-interface.vpc-id",
        "operator.managed",
        "operator.principal",
        "owner-id",
        "placement-group-name",
        "platform",
        "private-ip-address",
        "requester-id",
        "reservation-id",
        "spot-instance-request-id",
        "subnet-id",
        "tag-key",
        "tag:*",
        "tenancy",
        "vpc-id",
    ],
    size: Some((5, 1000)),
    clamps: false,
    size_or_ids: true,
};

/// An instance as a row of a listing.
#[derive(Clone, Copy, Debug)]
struct Machine<'a> {
    instance: &'a Instance,
    region: &'a Region,
}

/// What is attached to an instance; nothing is while it fades.
#[derive(Clone, Debug)]
struct Parts<'a> {
    region: &'a Region,
    /// The primary interface first.
    interfaces: Vec<(&'a Interface, &'a Attachment)>,
    volumes: Vec<(&'a Volume, &'a VolumeAttachment)>,
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    let with_hidden = call.params.take_bool("IncludeManagedResources")?.unwrap_or(false);
    let hides = call.account.managed_resources_hidden;
    let region = call.region;
    let machines: Vec<Machine<'_>> = region
        .instances
        .values()
        .filter(|instance| is_shown(call, instance) && (!hides || with_hidden || instance.operator.is_none()))
        .map(|instance| Machine { instance, region })
        .collect();
    let Listed { rows, next } = list(call, &SPEC, machines)?;
    let seed = call.nested_seed();
    Ok(call.ec2_answer(|xml| {
        xml.open("reservationSet");
        // Instances of one reservation follow each other.
        let mut rest = rows.iter().enumerate().peekable();
        while let Some((index, first)) = rest.next() {
            let reservation = &first.instance.reservation;
            xml.element("item", |xml| {
                xml.text("reservationId", reservation);
                xml.text("ownerId", call.quirks(index).owner.unwrap_or_else(|| first.owner()));
                xml.optional("requesterId", first.instance.requester.as_ref());
                xml.open("groupSet");
                xml.close("groupSet");
                xml.open("instancesSet");
                write(xml, seed, first, call.quirks(index), hides);
                while let Some((index, machine)) = rest.next_if(|(_, next)| next.instance.reservation == *reservation) {
                    write(xml, seed, machine, call.quirks(index), hides);
                }
                xml.close("instancesSet");
            });
        }
        xml.close("reservationSet");
        xml.optional("nextToken", next.as_ref());
    }))
}

/// Terminated instances are shown for a while only.
fn is_shown(call: &Call<'_>, instance: &Instance) -> bool {
    let shown = clock::seconds(call.settings.terminated_shown_s);
    instance.state != InstanceState::Terminated || instance.terminated.is_none_or(|at| call.now < clock::later(at, shown))
}

impl<'a> Machine<'a> {
    fn owner(&self) -> &'a str {
        self.instance.owner.as_deref().unwrap_or(&self.region.account)
    }

    fn parts(&self) -> Parts<'a> {
        let region = self.region;
        if self.instance.state == InstanceState::Terminated {
            return Parts { region, interfaces: Vec::new(), volumes: Vec::new() };
        }
        let (interface_ids, volume_ids) = region.attached_to(&self.instance.id);
        let mut interfaces: Vec<_> = interface_ids
            .iter()
            .filter_map(|id| region.interfaces.get(id))
            .filter_map(|interface| Some((interface, interface.attachment.as_ref()?)))
            .collect();
        interfaces.sort_by_key(|(_, attachment)| (attachment.card, attachment.device_index));
        let volumes = volume_ids
            .iter()
            .filter_map(|id| region.volumes.get(id))
            .flat_map(|volume| volume.attachments.iter().map(move |attachment| (volume, attachment)))
            .filter(|(_, attachment)| attachment.instance == self.instance.id)
            .collect();
        Parts { region, interfaces, volumes }
    }
}

impl<'a> Parts<'a> {
    fn primary(&self) -> Option<&'a Interface> {
        self.interfaces.first().map(|(interface, _)| *interface)
    }

    fn address(&self) -> Option<&'a PrivateAddress> {
        self.primary()?.addresses.first()
    }

    /// A stopped machine keeps its private address and loses what Amazon lent it.
    fn public_ip(&self) -> Option<&'a str> {
        self.address()?.public.as_ref().map(|public| public.ip.as_str())
    }

    fn public_dns(&self) -> Option<String> {
        self.public_ip().map(|ip| public_dns(ip, self.region))
    }

    fn group_ids(&self) -> impl Iterator<Item = &'a str> {
        self.primary().into_iter().flat_map(|interface| interface.groups.iter().map(String::as_str))
    }
}

impl<'a> Row<'a> for Machine<'a> {
    fn key(&self) -> &str {
        &self.instance.id
    }

    fn together(&self) -> &str {
        &self.instance.reservation
    }

    fn tags(&self) -> &'a Tags {
        &self.instance.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let instance = self.instance;
        let one = |value: &'a str| vec![value.into()];
        let maybe = |value: Option<&'a str>| value.map(Into::into).into_iter().collect();
        let interfaces = || self.parts().interfaces.into_iter().map(|(interface, _)| interface);
        match filter {
            "architecture" => one(&instance.architecture),
            "availability-zone" => one(&instance.zone),
            "block-device-mapping.volume-id" => self.parts().volumes.iter().map(|(volume, _)| volume.id.as_str().into()).collect(),
            "dns-name" => self.parts().public_dns().map(Into::into).into_iter().collect(),
            "host-id" => maybe(instance.host.as_deref()),
            "image-id" => one(&instance.image),
            "instance-id" => one(&instance.id),
            "instance-lifecycle" => maybe(instance.lifecycle.as_deref()),
            "instance-state-code" => vec![instance.state.code().to_string().into()],
            "instance-state-name" => one(instance.state.as_str()),
            "instance-type" => one(&instance.instance_type),
            "instance.group-id" => self.parts().group_ids().map(Into::into).collect(),
            "instance.group-name" => {
                self.parts().group_ids().filter_map(|id| Some(self.region.groups.get(id)?.name.as_str().into())).collect()
            }
            "ip-address" => maybe(self.parts().public_ip()),
            "key-name" => maybe(instance.key_name.as_deref()),
            "launch-time" => vec![format!("{:.3}", instance.launched).into()],
            "network-interface.group-id" => {
                interfaces().flat_map(|interface| interface.groups.iter().map(|id| id.as_str().into())).collect()
            }
            "network-interface.network-interface-id" => interfaces().map(|interface| interface.id.as_str().into()).collect(),
            "network-interface.subnet-id" => interfaces().map(|interface| interface.subnet.as_str().into()).collect(),
            "network-interface.vpc-id" => interfaces().map(|interface| interface.vpc.as_str().into()).collect(),
            "operator.managed" => one(if instance.operator.is_some() { "true" } else { "false" }),
            "operator.principal" => maybe(instance.operator.as_ref().map(|operator| operator.principal.as_str())),
            "owner-id" => one(self.owner()),
            "placement-group-name" => maybe(instance.placement_group.as_deref()),
            "platform" => maybe(instance.platform.as_deref()),
            "private-ip-address" => maybe(self.parts().address().map(|address| address.ip.as_str())),
            "requester-id" => maybe(instance.requester.as_deref()),
            "reservation-id" => one(&instance.reservation),
            "spot-instance-request-id" => maybe(instance.spot_request.as_deref()),
            "subnet-id" => maybe(self.parts().primary().map(|interface| interface.subnet.as_str())),
            "tenancy" => one(&instance.tenancy),
            "vpc-id" => maybe(self.parts().primary().map(|interface| interface.vpc.as_str())),
            _ => Vec::new(),
        }
    }
}

fn write(xml: &mut Xml, seed: u64, machine: &Machine<'_>, quirks: Quirks<'_>, hides: bool) {
    let instance = machine.instance;
    let parts = machine.parts();
    xml.open("item");
    xml.optional("instanceId", Some(&instance.id).filter(|_| !quirks.no_id));
    xml.text("imageId", &instance.image);
    if !quirks.no_state {
        xml.element("instanceState", |xml| {
            xml.plain("code", instance.state.code());
            xml.text("name", instance.state.as_str());
        });
    }
    xml.text("privateDnsName", &parts.address().map(|address| private_dns(&address.ip, machine.region)).unwrap_or_default());
    xml.text("dnsName", &parts.public_dns().unwrap_or_default());
    xml.text("reason", instance.transition_reason.as_deref().unwrap_or_default());
    xml.optional("keyName", instance.key_name.as_ref());
    xml.plain("amiLaunchIndex", 0);
    xml.open("productCodes");
    xml.close("productCodes");
    xml.text("instanceType", &instance.instance_type);
    xml.time("launchTime", instance.launched);
    xml.element("placement", |xml| {
        xml.text("availabilityZone", &instance.zone);
        xml.optional("availabilityZoneId", machine.region.zones.get(&instance.zone).map(|zone| &zone.id));
        xml.text("groupName", instance.placement_group.as_deref().unwrap_or_default());
        xml.optional("tenancy", Some(&instance.tenancy));
        xml.optional("hostId", instance.host.as_ref());
    });
    xml.optional("platform", instance.platform.as_ref());
    xml.element("monitoring", |xml| xml.text("state", "disabled"));
    if let Some(primary) = parts.primary() {
        xml.text("subnetId", &primary.subnet);
        xml.text("vpcId", &primary.vpc);
        xml.optional("privateIpAddress", parts.address().map(|address| &address.ip));
        xml.optional("ipAddress", parts.public_ip());
        xml.plain("sourceDestCheck", primary.source_dest_check);
        xml.optional("ipv6Address", primary.ipv6.first());
    }
    write_groups(xml, seed, machine.region, parts.primary().map_or(&[], |primary| &primary.groups));
    if let Some(reason) = &instance.state_reason {
        xml.element("stateReason", |xml| {
            xml.text("code", &reason.code);
            xml.text("message", &reason.message);
        });
    }
    xml.text("architecture", &instance.architecture);
    xml.text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", &instance.root_device);
    write_volumes(xml, seed, &parts);
    xml.text("virtualizationType", "hvm");
    xml.optional("instanceLifecycle", instance.lifecycle.as_ref());
    xml.optional("spotInstanceRequestId", instance.spot_request.as_ref());
    write_tags(xml, seed, &instance.tags);
    xml.text("hypervisor", "xen");
    write_interfaces(xml, seed, &parts, hides);
    if let Some(arn) = &instance.profile {
        xml.element("iamInstanceProfile", |xml| {
            xml.text("arn", arn);
            xml.text("id", &format!("AIPA{}", crate::hash::hex16(&[arn]).to_uppercase()));
        });
    }
    xml.plain("ebsOptimized", true);
    xml.plain("enaSupport", true);
    if let Some(cpu) = instance.cpu {
        xml.element("cpuOptions", |xml| {
            xml.plain("coreCount", cpu.cores);
            xml.plain("threadsPerCore", cpu.threads);
        });
    }
    xml.optional("outpostArn", instance.outpost.as_ref());
    xml.element("metadataOptions", |xml| {
        xml.text("state", "applied");
        xml.optional("httpTokens", Some(&instance.http_tokens));
        xml.plain("httpPutResponseHopLimit", 2);
        xml.text("httpEndpoint", "enabled");
    });
    xml.text("platformDetails", &instance.platform_details);
    xml.text("usageOperation", &instance.usage_operation);
    write_operator(xml, instance.operator.as_ref(), hides);
    xml.close("item");
}

fn write_volumes(xml: &mut Xml, seed: u64, parts: &Parts<'_>) {
    let mut volumes = parts.volumes.clone();
    shuffle(seed, &mut volumes, |(volume, _)| &volume.id);
    xml.list("blockDeviceMapping", "item", volumes, |xml, (volume, attachment)| {
        xml.text("deviceName", &attachment.device);
        xml.element("ebs", |xml| {
            xml.text("volumeId", &volume.id);
            xml.text("status", "attached");
            xml.time("attachTime", attachment.attached);
            xml.plain("deleteOnTermination", attachment.delete_on_termination);
        });
    });
}

fn write_interfaces(xml: &mut Xml, seed: u64, parts: &Parts<'_>, hides: bool) {
    let region = parts.region;
    let mut interfaces = parts.interfaces.clone();
    shuffle(seed, &mut interfaces, |(interface, _)| &interface.id);
    xml.list("networkInterfaceSet", "item", interfaces, |xml, (interface, attachment)| {
        xml.text("networkInterfaceId", &interface.id);
        xml.text("subnetId", &interface.subnet);
        xml.text("vpcId", &interface.vpc);
        xml.text("description", &interface.description);
        xml.text("ownerId", interface.owner.as_deref().unwrap_or(&region.account));
        xml.text("status", "in-use");
        xml.text("macAddress", &interface.mac);
        xml.optional("privateIpAddress", interface.addresses.first().map(|address| &address.ip));
        xml.optional("privateDnsName", interface.addresses.first().map(|address| private_dns(&address.ip, region)));
        xml.plain("sourceDestCheck", interface.source_dest_check);
        write_groups(xml, seed, region, &interface.groups);
        xml.element("attachment", |xml| {
            xml.text("attachmentId", &attachment.id);
            xml.plain("deviceIndex", attachment.device_index);
            xml.plain("networkCardIndex", attachment.card);
            xml.text("status", "attached");
            xml.time("attachTime", attachment.attached);
            xml.plain("deleteOnTermination", attachment.delete_on_termination);
        });
        if let Some(address) = interface.addresses.first() {
            write_association(xml, region, address);
        }
        write_addresses(xml, seed, interface, |xml, address| write_association(xml, region, address));
        xml.list("ipv6AddressesSet", "item", &interface.ipv6, |xml, ip| xml.text("ipv6Address", ip));
        xml.list("ipv4PrefixSet", "item", &interface.ipv4_prefixes, |xml, prefix| xml.text("ipv4Prefix", prefix));
        xml.text("interfaceType", &interface.kind);
        write_operator(xml, interface.operator.as_ref(), hides);
    });
}

fn write_association(xml: &mut Xml, region: &Region, address: &PrivateAddress) {
    let Some(public) = &address.public else { return };
    xml.element("association", |xml| {
        xml.text("publicIp", &public.ip);
        xml.text("publicDnsName", &public_dns(&public.ip, region));
        xml.text("ipOwnerId", if public.allocation.is_some() { &region.account } else { "amazon" });
    });
}

/// An interface's addresses; the first of them is the primary one, wherever it stands in the list.
pub(super) fn write_addresses(xml: &mut Xml, seed: u64, interface: &Interface, association: impl Fn(&mut Xml, &PrivateAddress)) {
    let mut addresses: Vec<(usize, &PrivateAddress)> = interface.addresses.iter().enumerate().collect();
    shuffle(seed, &mut addresses, |(_, address)| &address.ip);
    xml.list("privateIpAddressesSet", "item", addresses, |xml, (index, address)| {
        xml.text("privateIpAddress", &address.ip);
        xml.plain("primary", index == 0);
        association(xml, address);
    });
}

/// Groups by id, with their names where they can be seen.
pub(super) fn write_groups(xml: &mut Xml, seed: u64, region: &Region, ids: &[String]) {
    let mut ids: Vec<&String> = ids.iter().collect();
    shuffle(seed, &mut ids, |id| id);
    xml.list("groupSet", "item", ids, |xml, id| {
        xml.text("groupId", id);
        xml.optional("groupName", region.groups.get(id).map(|group| &group.name));
    });
}

pub(super) fn private_dns(ip: &str, region: &Region) -> String {
    let domain = if region.name == "us-east-1" { "ec2.internal".to_owned() } else { format!("{}.compute.internal", region.name) };
    format!("ip-{}.{domain}", ip.replace('.', "-"))
}

pub(super) fn public_dns(ip: &str, region: &Region) -> String {
    let zone = if region.name == "us-east-1" { "compute-1".to_owned() } else { format!("{}.compute", region.name) };
    format!("ec2-{}.{zone}.amazonaws.com", ip.replace('.', "-"))
}
