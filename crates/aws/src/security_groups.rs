//! Security groups with their rules: `ec2:DescribeSecurityGroups`.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{IpPermission, SecurityGroup};
use dewpoint_core::model::{Digest, Kind, Resource};
use serde::Serialize;

use crate::error::Fault;
use crate::listing::{Ask, Page};
use crate::map::{Facts, Found, Place, Refused, filled};

pub(crate) const OPERATION: &str = "ec2:DescribeSecurityGroups";

/// Reads one page.
///
/// Source: Amazon EC2 API Reference, DescribeSecurityGroups.
pub(crate) async fn page(client: &aws_sdk_ec2::Client, place: &Place, ask: &Ask<'_>) -> Result<Page, Fault> {
    let answer = client
        .describe_security_groups()
        .max_results(ask.size)
        .set_next_token(ask.token())
        .set_filters(ask.filters("group-id"))
        .customize()
        .interceptor(ask.meter.clone())
        .send()
        .await
        .map_err(|error| Fault::of(OPERATION, &error))?;
    let mut found = Found::default();
    for group in answer.security_groups() {
        // Groups can be shared between accounts; each belongs to its owner's listing.
        if filled(group.owner_id()).is_some_and(|owner| owner != place.account.as_str()) {
            found.foreign += 1;
            continue;
        }
        match map(place, group) {
            Ok(resource) => found.resources.push(resource),
            Err(refused) => found.refused.push(refused),
        }
    }
    Ok(Page { found, token: answer.next_token })
}

fn map(place: &Place, group: &SecurityGroup) -> Result<Resource, Refused> {
    let Some(id) = filled(group.group_id()) else {
        return Err(Refused::new("", format!("the security group `{}` has no id", group.group_name().unwrap_or("?"))));
    };
    let key = place.key(&format!("security-group/{id}"))?;
    let network = filled(group.vpc_id()).map(|id| place.key(&format!("vpc/{id}"))).transpose()?;
    let rules = rules(group);
    let no_json = |error: serde_json::Error| Refused::new(id, error.to_string());
    let canonical = serde_json::to_value(&rules).map_err(no_json)?;
    let digest = Digest::of_json(&canonical).map_err(no_json)?;

    let mut facts = Facts::default();
    facts.text("description", group.description());
    facts.key("network", network.as_ref());
    facts.text("rules_digest", Some(&digest.to_string()));
    facts.texts("open_to_world", open_to_world(&rules));
    facts.value("rules", canonical);

    let mut resource = place.resource(Kind::SecurityGroup, key, id, group.tags());
    // The group's name is part of it; a `Name` tag is only an ornament.
    resource.name = filled(group.group_name()).map(str::to_owned).or(resource.name);
    resource.attributes = facts.finish();
    Ok(resource)
}

/// One rule with one peer. The order of the fields is the order of the rules: direction, protocol, ports, peer, description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Rule {
    direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `all`, or a protocol's number.
    protocol: String,
    /// `22`, `8000-8080` or `all`; for ICMP `<type>`, `<type>/<code>` or `all`.
    ports: String,
    peer: Peer,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Ingress,
    Egress,
}

/// Who may talk, or be talked to. `account` owns the group; it is missing when the group was deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Peer {
    Cidr {
        cidr: String,
    },
    PrefixList {
        id: String,
    },
    SecurityGroup {
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
}

/// The rules one by one, sorted, without doubles: AWS groups rules of equal protocol and ports, in no stable order.
fn rules(group: &SecurityGroup) -> Vec<Rule> {
    let mut rules = BTreeSet::new();
    for (direction, permissions) in [(Direction::Ingress, group.ip_permissions()), (Direction::Egress, group.ip_permissions_egress())] {
        for permission in permissions {
            let protocol = protocol(permission.ip_protocol());
            let ports = ports(&protocol, permission.from_port(), permission.to_port());
            for (peer, description) in peers(permission) {
                let description = filled(description).map(str::to_owned);
                rules.insert(Rule { direction, protocol: protocol.clone(), ports: ports.clone(), peer, description });
            }
        }
    }
    rules.into_iter().collect()
}

fn peers(permission: &IpPermission) -> impl Iterator<Item = (Peer, Option<&str>)> {
    let v4 = permission.ip_ranges().iter().filter_map(|range| Some((range.cidr_ip()?, range.description())));
    let v6 = permission.ipv6_ranges().iter().filter_map(|range| Some((range.cidr_ipv6()?, range.description())));
    let cidrs = v4.chain(v6).map(|(cidr, description)| (Peer::Cidr { cidr: cidr.to_owned() }, description));
    let lists = permission.prefix_list_ids().iter().filter_map(|list| {
        let id = list.prefix_list_id()?.to_owned();
        Some((Peer::PrefixList { id }, list.description()))
    });
    let groups = permission.user_id_group_pairs().iter().filter_map(|pair| {
        let id = filled(pair.group_id()).or(filled(pair.group_name()))?.to_owned();
        let account = filled(pair.user_id()).map(str::to_owned);
        Some((Peer::SecurityGroup { id, account }, pair.description()))
    });
    cidrs.chain(lists).chain(groups)
}

/// The protocol by name where it has a common one.
///
/// Source: IANA, "Assigned Internet Protocol Numbers".
fn protocol(wire: Option<&str>) -> String {
    match filled(wire).unwrap_or("-1") {
        "-1" => "all".to_owned(),
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "icmpv6".to_owned(),
        other => other.to_lowercase(),
    }
}

/// The ports in words. For ICMP the two numbers are type and code, and -1 stands for all of them.
fn ports(protocol: &str, from: Option<i32>, to: Option<i32>) -> String {
    match (protocol, from, to) {
        ("icmp" | "icmpv6", Some(kind), Some(code)) if kind >= 0 && code >= 0 => format!("{kind}/{code}"),
        ("icmp" | "icmpv6", Some(kind), _) if kind >= 0 => kind.to_string(),
        ("tcp" | "udp", Some(from), Some(to)) if from == to => from.to_string(),
        ("tcp" | "udp", Some(from), Some(to)) if (from, to) != (0, 65_535) && from >= 0 => format!("{from}-{to}"),
        _ => "all".to_owned(),
    }
}

/// What anyone may reach: `tcp/22`, `udp/8000-8080`, `icmp/all`, or `all` for every protocol and port.
fn open_to_world(rules: &[Rule]) -> BTreeSet<String> {
    let world = |peer: &Peer| matches!(peer, Peer::Cidr { cidr } if cidr == "0.0.0.0/0" || cidr == "::/0");
    rules
        .iter()
        .filter(|rule| rule.direction == Direction::Ingress && world(&rule.peer))
        .map(|rule| if rule.protocol == "all" { "all".to_owned() } else { format!("{}/{}", rule.protocol, rule.ports) })
        .collect()
}
