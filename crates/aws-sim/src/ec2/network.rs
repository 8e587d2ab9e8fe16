//! VPCs, subnets, elastic addresses, zones and regions.

use std::sync::LazyLock;

use super::{Listed, Row, Spec, list, write_tags};
use crate::{
    call::Call,
    error::ApiError,
    filter::Values,
    hash,
    world::{Address, OptIn, Region, Subnet, Tags, Vpc, Zone},
};

static NO_TAGS: LazyLock<Tags> = LazyLock::new(Tags::new);

const VPCS: Spec = Spec {
    ids: "VpcId",
    prefix: Some("vpc-"),
    malformed: "InvalidVpcID.Malformed",
    not_found: "InvalidVpcID.NotFound",
    unknown: ["The vpc ID '{}' does not exist", "The vpc IDs '{}' do not exist"],
    filters: &[
        "cidr",
        "cidr-block-association.cidr-block",
        "dhcp-options-id",
        "is-default",
        "owner-id",
        "state",
        "tag-key",
        "tag:*",
        "vpc-id",
    ],
    size: Some((5, 1000)),
    clamps: false,
    size_or_ids: true,
};

const SUBNETS: Spec = Spec {
    ids: "SubnetId",
    prefix: Some("subnet-"),
    malformed: "InvalidSubnetID.Malformed",
    not_found: "InvalidSubnetID.NotFound",
    unknown: ["The subnet ID '{}' does not exist", "The subnet IDs '{}' do not exist"],
    filters: &[
        "availability-zone",
        "availability-zone-id",
        "cidr-block",
        "default-for-az",
        "map-public-ip-on-launch",
        "owner-id",
        "state",
        "subnet-arn",
        "subnet-id",
        "tag-key",
        "tag:*",
        "vpc-id",
    ],
    size: Some((5, 1000)),
    clamps: false,
    size_or_ids: true,
};

const ADDRESSES: Spec = Spec {
    ids: "AllocationId",
    prefix: Some("eipalloc-"),
    malformed: "InvalidAllocationID.Malformed",
    not_found: "InvalidAllocationID.NotFound",
    unknown: ["The allocation ID '{}' does not exist", "The allocation IDs '{}' do not exist"],
    filters: &[
        "allocation-id",
        "association-id",
        "instance-id",
        "network-border-group",
        "network-interface-id",
        "network-interface-owner-id",
        "private-ip-address",
        "public-ip",
        "tag-key",
        "tag:*",
    ],
    size: None,
    clamps: false,
    size_or_ids: false,
};

const ZONES: Spec = Spec {
    ids: "ZoneName",
    prefix: None,
    malformed: "",
    not_found: "InvalidParameterValue",
    unknown: ["Invalid availability zone: [{}]", "Invalid availability zones: [{}]"],
    filters: &["group-name", "opt-in-status", "region-name", "state", "zone-id", "zone-name", "zone-type"],
    size: None,
    clamps: false,
    size_or_ids: false,
};

const REGIONS: Spec = Spec {
    ids: "RegionName",
    prefix: None,
    malformed: "",
    not_found: "InvalidParameterValue",
    unknown: ["Invalid region names: [{}]", "Invalid region names: [{}]"],
    filters: &["endpoint", "opt-in-status", "region-name"],
    size: None,
    clamps: false,
    size_or_ids: false,
};

struct VpcRow<'a>(&'a Vpc, &'a Region);
struct SubnetRow<'a>(&'a Subnet, &'a Region);
struct AddressRow<'a>(&'a Address, &'a Region);
struct ZoneRow<'a>(&'a Zone, &'a Region);
struct RegionRow<'a> {
    name: &'a str,
    status: OptIn,
}

pub(super) fn vpcs(call: &mut Call<'_>) -> Result<String, ApiError> {
    let rows = call.region.vpcs.values().map(|vpc| VpcRow(vpc, call.region)).collect();
    let Listed { rows, next } = list(call, &VPCS, rows)?;
    let seed = call.nested_seed();
    Ok(call.ec2_answer(|xml| {
        xml.list("vpcSet", "item", rows.iter().enumerate(), |xml, (index, VpcRow(vpc, region))| {
            let quirks = call.quirks(index);
            xml.optional("vpcId", Some(&vpc.id).filter(|_| !quirks.no_id));
            xml.text("ownerId", quirks.owner.or(vpc.owner.as_deref()).unwrap_or(&region.account));
            if !quirks.no_state {
                xml.text("state", "available");
            }
            xml.optional("cidrBlock", vpc.cidrs.first());
            xml.list("cidrBlockAssociationSet", "item", &vpc.cidrs, |xml, cidr| {
                xml.text("cidrBlock", cidr);
                xml.text("associationId", &hash::id("vpc-cidr-assoc", &[&vpc.id, cidr]));
                xml.element("cidrBlockState", |xml| xml.text("state", "associated"));
            });
            xml.list("ipv6CidrBlockAssociationSet", "item", &vpc.ipv6_cidrs, |xml, cidr| {
                xml.text("ipv6CidrBlock", cidr);
                xml.text("associationId", &hash::id("vpc-cidr-assoc", &[&vpc.id, cidr]));
                xml.element("ipv6CidrBlockState", |xml| xml.text("state", "associated"));
            });
            xml.text("dhcpOptionsId", &hash::id("dopt", &[&region.account, &region.name]));
            write_tags(xml, seed, &vpc.tags);
            xml.text("instanceTenancy", "default");
            xml.plain("isDefault", vpc.default);
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

pub(super) fn subnets(call: &mut Call<'_>) -> Result<String, ApiError> {
    let rows = call.region.subnets.values().map(|subnet| SubnetRow(subnet, call.region)).collect();
    let Listed { rows, next } = list(call, &SUBNETS, rows)?;
    let seed = call.nested_seed();
    Ok(call.ec2_answer(|xml| {
        xml.list("subnetSet", "item", rows.iter().enumerate(), |xml, (index, row)| {
            let SubnetRow(subnet, region) = row;
            let quirks = call.quirks(index);
            xml.optional("subnetId", Some(&subnet.id).filter(|_| !quirks.no_id));
            xml.text("subnetArn", &row.arn());
            if !quirks.no_state {
                xml.text("state", "available");
            }
            xml.text("ownerId", quirks.owner.unwrap_or_else(|| row.owner()));
            xml.text("vpcId", &subnet.vpc);
            xml.text("cidrBlock", &subnet.cidr);
            xml.list("ipv6CidrBlockAssociationSet", "item", &subnet.ipv6_cidrs, |xml, cidr| {
                xml.text("ipv6CidrBlock", cidr);
                xml.text("associationId", &hash::id("subnet-cidr-assoc", &[&subnet.id, cidr]));
                xml.element("ipv6CidrBlockState", |xml| xml.text("state", "associated"));
            });
            xml.plain("availableIpAddressCount", subnet.free);
            xml.text("availabilityZone", &subnet.zone);
            xml.optional("availabilityZoneId", region.zones.get(&subnet.zone).map(|zone| &zone.id));
            xml.plain("defaultForAz", false);
            xml.plain("mapPublicIpOnLaunch", subnet.public);
            write_tags(xml, seed, &subnet.tags);
            xml.plain("assignIpv6AddressOnCreation", false);
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

pub(super) fn addresses(call: &mut Call<'_>) -> Result<String, ApiError> {
    let ips = call.params.take_list("PublicIp");
    let mut rows: Vec<AddressRow<'_>> = call.region.addresses.values().map(|address| AddressRow(address, call.region)).collect();
    if !ips.is_empty() {
        rows.retain(|row| ips.contains(&row.0.ip));
        if let Some(missing) = ips.iter().find(|ip| !rows.iter().any(|row| row.0.ip == **ip)) {
            return Err(ApiError::new(400, "InvalidAddress.NotFound", format!("Address '{missing}' not found.")));
        }
    }
    let Listed { rows, .. } = list(call, &ADDRESSES, rows)?;
    let seed = call.nested_seed();
    Ok(call.ec2_answer(|xml| {
        xml.list("addressesSet", "item", rows.iter().enumerate(), |xml, (index, AddressRow(address, region))| {
            xml.text("publicIp", &address.ip);
            xml.optional("allocationId", Some(&address.allocation).filter(|_| !call.quirks(index).no_id));
            xml.text("domain", "vpc");
            xml.optional("instanceId", address.instance.as_ref());
            xml.optional("associationId", address.association.as_ref());
            xml.optional("networkInterfaceId", address.interface.as_ref());
            xml.optional("networkInterfaceOwnerId", address.interface.as_ref().map(|_| &region.account));
            xml.optional("privateIpAddress", address.private_ip.as_ref());
            write_tags(xml, seed, &address.tags);
            xml.text("publicIpv4Pool", "amazon");
            xml.text("networkBorderGroup", &region.name);
            xml.optional("serviceManaged", address.service_managed.as_ref());
        });
    }))
}

pub(super) fn zones(call: &mut Call<'_>) -> Result<String, ApiError> {
    let all = call.params.take_bool("AllAvailabilityZones")?.unwrap_or(false);
    let ids = call.params.take_list("ZoneId");
    let mut rows: Vec<ZoneRow<'_>> = call
        .region
        .zones
        .values()
        .filter(|zone| all || zone.opt_in != OptIn::NotOptedIn.as_str())
        .map(|zone| ZoneRow(zone, call.region))
        .collect();
    if !ids.is_empty() {
        rows.retain(|row| ids.contains(&row.0.id));
        if let Some(missing) = ids.iter().find(|id| !rows.iter().any(|row| row.0.id == **id)) {
            return Err(ApiError::new(400, "InvalidParameterValue", format!("Invalid availability zone-id: [{missing}]")));
        }
    }
    let Listed { rows, .. } = list(call, &ZONES, rows)?;
    Ok(call.ec2_answer(|xml| {
        xml.list("availabilityZoneInfo", "item", rows.iter().enumerate(), |xml, (index, ZoneRow(zone, region))| {
            let quirks = call.quirks(index);
            xml.optional("zoneName", Some(&zone.name).filter(|_| !quirks.no_id));
            if !quirks.no_state {
                xml.text("zoneState", &zone.state);
            }
            xml.text("regionName", &region.name);
            xml.text("zoneId", &zone.id);
            xml.text("groupName", &format!("{}-zg-1", region.name));
            xml.text("networkBorderGroup", &region.name);
            xml.text("zoneType", &zone.kind);
            xml.text("optInStatus", &zone.opt_in);
            xml.open("messageSet");
            xml.close("messageSet");
        });
    }))
}

pub(super) fn regions(call: &mut Call<'_>) -> Result<String, ApiError> {
    let all = call.params.take_bool("AllRegions")?.unwrap_or(false);
    let (world, account) = (call.world, call.account);
    let mut names: Vec<&String> = world.regions.keys().chain(account.places.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let rows = names
        .into_iter()
        .filter_map(|name| Some(RegionRow { name, status: world.region_status(account, name)? }))
        .filter(|row| all || row.status.enabled())
        .collect();
    let Listed { rows, .. } = list(call, &REGIONS, rows)?;
    Ok(call.ec2_answer(|xml| {
        xml.list("regionInfo", "item", rows.iter().enumerate(), |xml, (index, row)| {
            let quirks = call.quirks(index);
            xml.optional("regionName", Some(row.name).filter(|_| !quirks.no_id));
            xml.text("regionEndpoint", &endpoint(row.name));
            if !quirks.no_state {
                xml.text("optInStatus", row.status.as_str());
            }
        });
    }))
}

fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

impl<'a> Row<'a> for VpcRow<'a> {
    fn key(&self) -> &str {
        &self.0.id
    }

    fn tags(&self) -> &'a Tags {
        &self.0.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let Self(vpc, region) = *self;
        match filter {
            "cidr" => vpc.cidrs.first().map(|cidr| cidr.as_str().into()).into_iter().collect(),
            "cidr-block-association.cidr-block" => vpc.cidrs.iter().map(|cidr| cidr.as_str().into()).collect(),
            "dhcp-options-id" => vec![hash::id("dopt", &[&region.account, &region.name]).into()],
            "is-default" => vec![if vpc.default { "true" } else { "false" }.into()],
            "owner-id" => vec![vpc.owner.as_deref().unwrap_or(&region.account).into()],
            "state" => vec!["available".into()],
            "vpc-id" => vec![vpc.id.as_str().into()],
            _ => Vec::new(),
        }
    }
}

impl<'a> SubnetRow<'a> {
    fn owner(&self) -> &'a str {
        self.0.owner.as_deref().unwrap_or(&self.1.account)
    }

    fn arn(&self) -> String {
        format!("arn:{}:ec2:{}:{}:subnet/{}", self.1.partition, self.1.name, self.owner(), self.0.id)
    }
}

impl<'a> Row<'a> for SubnetRow<'a> {
    fn key(&self) -> &str {
        &self.0.id
    }

    fn tags(&self) -> &'a Tags {
        &self.0.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let Self(subnet, region) = *self;
        match filter {
            "availability-zone" => vec![subnet.zone.as_str().into()],
            "availability-zone-id" => region.zones.get(&subnet.zone).map(|zone| zone.id.as_str().into()).into_iter().collect(),
            "cidr-block" => vec![subnet.cidr.as_str().into()],
            "default-for-az" => vec!["false".into()],
            "map-public-ip-on-launch" => vec![if subnet.public { "true" } else { "false" }.into()],
            "owner-id" => vec![self.owner().into()],
            "state" => vec!["available".into()],
            "subnet-arn" => vec![self.arn().into()],
            "subnet-id" => vec![subnet.id.as_str().into()],
            "vpc-id" => vec![subnet.vpc.as_str().into()],
            _ => Vec::new(),
        }
    }
}

impl<'a> Row<'a> for AddressRow<'a> {
    fn key(&self) -> &str {
        &self.0.allocation
    }

    fn tags(&self) -> &'a Tags {
        &self.0.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let Self(address, region) = *self;
        let value = match filter {
            "allocation-id" => Some(&address.allocation),
            "association-id" => address.association.as_ref(),
            "instance-id" => address.instance.as_ref(),
            "network-border-group" => Some(&region.name),
            "network-interface-id" => address.interface.as_ref(),
            "network-interface-owner-id" => address.interface.as_ref().map(|_| &region.account),
            "private-ip-address" => address.private_ip.as_ref(),
            "public-ip" => Some(&address.ip),
            _ => None,
        };
        value.map(|value| value.as_str().into()).into_iter().collect()
    }
}

impl<'a> Row<'a> for ZoneRow<'a> {
    fn key(&self) -> &str {
        &self.0.name
    }

    fn tags(&self) -> &'a Tags {
        &NO_TAGS
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let Self(zone, region) = *self;
        match filter {
            "group-name" => vec![format!("{}-zg-1", region.name).into()],
            "opt-in-status" => vec![zone.opt_in.as_str().into()],
            "region-name" => vec![region.name.as_str().into()],
            "state" => vec![zone.state.as_str().into()],
            "zone-id" => vec![zone.id.as_str().into()],
            "zone-name" => vec![zone.name.as_str().into()],
            "zone-type" => vec![zone.kind.as_str().into()],
            _ => Vec::new(),
        }
    }
}

impl<'a> Row<'a> for RegionRow<'a> {
    fn key(&self) -> &str {
        self.name
    }

    fn tags(&self) -> &'a Tags {
        &NO_TAGS
    }

    fn values(&self, filter: &str) -> Values<'a> {
        match filter {
            "endpoint" => vec![endpoint(self.name).into()],
            "opt-in-status" => vec![self.status.as_str().into()],
            "region-name" => vec![self.name.into()],
            _ => Vec::new(),
        }
    }
}
