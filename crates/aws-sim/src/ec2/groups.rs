//! `DescribeSecurityGroups`.

use super::{Listed, Row, Spec, list, write_tags};
use crate::{
    call::{Call, NestedIds},
    error::ApiError,
    filter::Values,
    hash::shuffle,
    world::{GroupPair, Peer, Permission, Region, SecurityGroup, Tags},
    xml::Xml,
};

const SPEC: Spec = Spec {
    ids: "GroupId",
    prefix: Some("sg-"),
    malformed: "InvalidGroupId.Malformed",
    not_found: "InvalidGroup.NotFound",
    unknown: ["The security group '{}' does not exist", "The security groups '{}' do not exist"],
    filters: &[
        "description",
        "egress.ip-permission.cidr",
        "egress.ip-permission.group-id",
        "egress.ip-permission.protocol",
        "group-id",
        "group-name",
        "ip-permission.cidr",
        "ip-permission.from-port",
        "ip-permission.group-id",
        "ip-permission.ipv6-cidr",
        "ip-permission.protocol",
        "ip-permission.to-port",
        "ip-permission.user-id",
        "owner-id",
        "tag-key",
        "tag:*",
        "vpc-id",
    ],
    size: Some((5, 1000)),
    clamps: false,
    size_or_ids: true,
};

struct Group<'a> {
    group: &'a SecurityGroup,
    region: &'a Region,
}

pub(super) fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    let names = call.params.take_list("GroupName");
    let mut groups: Vec<Group<'_>> = call.region.groups.values().map(|group| Group { group, region: call.region }).collect();
    if !names.is_empty() {
        // By name only groups of the default VPC are found.
        groups.retain(|one| names.contains(&one.group.name) && one.region.vpcs.get(&one.group.vpc).is_some_and(|vpc| vpc.default));
        if let Some(missing) = names.iter().find(|name| !groups.iter().any(|one| one.group.name == **name)) {
            return Err(ApiError::new(
                400,
                "InvalidGroup.NotFound",
                format!("The security group '{missing}' does not exist in default VPC"),
            ));
        }
    }
    let Listed { rows, next } = list(call, &SPEC, groups)?;
    let (seed, nested) = (call.nested_seed(), call.nested_ids());
    Ok(call.ec2_answer(|xml| {
        xml.list("securityGroupInfo", "item", rows.iter().enumerate(), |xml, (index, Group { group, region })| {
            let quirks = call.quirks(index);
            let owner = quirks.owner.or(group.owner.as_deref()).unwrap_or(&region.account);
            xml.text("ownerId", owner);
            xml.optional("groupId", Some(&group.id).filter(|_| !quirks.no_id));
            xml.text("groupName", &group.name);
            xml.text("groupDescription", &group.description);
            xml.text("vpcId", &group.vpc);
            write_permissions(xml, "ipPermissions", seed, region, &group.ingress, &nested);
            write_permissions(xml, "ipPermissionsEgress", seed, region, &group.egress, &nested);
            write_tags(xml, seed, &group.tags);
            xml.text("securityGroupArn", &format!("arn:{}:ec2:{}:{owner}:security-group/{}", region.partition, region.name, group.id));
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

fn write_permissions(xml: &mut Xml, name: &str, seed: u64, region: &Region, permissions: &[Permission], nested: &NestedIds) {
    let mut permissions = Permission::grouped(permissions);
    shuffle(seed, &mut permissions, |permission| &permission.protocol);
    xml.list(name, "item", &mut permissions, |xml, permission| {
        xml.text("ipProtocol", &permission.protocol);
        xml.optional_plain("fromPort", permission.from);
        xml.optional_plain("toPort", permission.to);
        shuffle(seed, &mut permission.groups, |pair| &pair.group);
        xml.list("groups", "item", &permission.groups, |xml, pair| write_pair(xml, region, pair, nested));
        write_peers(xml, "ipRanges", "cidrIp", seed, &mut permission.ipv4);
        write_peers(xml, "ipv6Ranges", "cidrIpv6", seed, &mut permission.ipv6);
        write_peers(xml, "prefixListIds", "prefixListId", seed, &mut permission.prefix_lists);
    });
}

fn write_pair(xml: &mut Xml, region: &Region, pair: &GroupPair, nested: &NestedIds) {
    // A group of this account that is not there any more has left its id only.
    let user = match &pair.user {
        Some(user) if *user != region.account => Some(user),
        _ => region.groups.contains_key(&pair.group).then_some(&region.account),
    };
    xml.optional("userId", user);
    // Groups in a VPC are told by id: no name comes with it.
    xml.optional("groupId", nested.send(&pair.group));
    xml.optional("vpcId", pair.vpc.as_ref());
    xml.optional("vpcPeeringConnectionId", pair.peering.as_ref());
    xml.optional("peeringStatus", pair.peering_status.as_ref());
    xml.optional("description", pair.description.as_ref());
}

fn write_peers(xml: &mut Xml, name: &str, value: &str, seed: u64, peers: &mut [Peer]) {
    shuffle(seed, peers, |peer| &peer.value);
    xml.list(name, "item", peers, |xml, peer| {
        xml.text(value, &peer.value);
        xml.optional("description", peer.description.as_ref());
    });
}

impl<'a> Row<'a> for Group<'a> {
    fn key(&self) -> &str {
        &self.group.id
    }

    fn tags(&self) -> &'a Tags {
        &self.group.tags
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let group = self.group;
        let one = |value: &'a str| vec![value.into()];
        let (permissions, rest) = filter.strip_prefix("egress.").map_or((&group.ingress, filter), |rest| (&group.egress, rest));
        let Some(field) = rest.strip_prefix("ip-permission.") else {
            return match filter {
                "description" => one(&group.description),
                "group-id" => one(&group.id),
                "group-name" => one(&group.name),
                "owner-id" => one(group.owner.as_deref().unwrap_or(&self.region.account)),
                "vpc-id" => one(&group.vpc),
                _ => Vec::new(),
            };
        };
        let peers = |pick: fn(&Permission) -> &Vec<Peer>| -> Values<'a> {
            permissions.iter().flat_map(|one| pick(one).iter().map(|peer| peer.value.as_str().into())).collect()
        };
        match field {
            "cidr" => peers(|permission| &permission.ipv4),
            "ipv6-cidr" => peers(|permission| &permission.ipv6),
            "protocol" => permissions.iter().map(|permission| permission.protocol.as_str().into()).collect(),
            "from-port" => permissions.iter().filter_map(|permission| Some(permission.ports().0?.to_string().into())).collect(),
            "to-port" => permissions.iter().filter_map(|permission| Some(permission.ports().1?.to_string().into())).collect(),
            "group-id" => {
                permissions.iter().flat_map(|permission| permission.groups.iter().map(|pair| pair.group.as_str().into())).collect()
            }
            "user-id" => permissions
                .iter()
                .flat_map(|permission| permission.groups.iter().map(|pair| pair.user.as_deref().unwrap_or(&self.region.account).into()))
                .collect(),
            _ => Vec::new(),
        }
    }
}
