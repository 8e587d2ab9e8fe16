//! Security groups with their rules: `ec2:DescribeSecurityGroups`.

use async_trait::async_trait;
use aws_sdk_ec2::types::{IpPermission, SecurityGroup};
use dewpoint_core::model::rules::{Direction, Peer, Rule, Rules, Traffic, ports, protocol};
use dewpoint_core::model::{Attributes, Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, ec2_tags, edge, filled, part_id};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeSecurityGroups");

/// The security groups of a place.
///
/// Source: Amazon EC2 API Reference, DescribeSecurityGroups.
pub(crate) struct SecurityGroups<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for SecurityGroups<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_security_groups().max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("group-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for group in answer.security_groups() {
            // Groups can be shared between accounts; each belongs to its owner's listing.
            if self.0.is_foreign(group.owner_id()) {
                found.leave(format!("security-group/{}", group.group_id().unwrap_or_default()), group.owner_id());
            } else {
                found.take(map(self.0, group));
            }
        }
        Ok(answer.next_token)
    }
}

fn map(place: &Place, group: &SecurityGroup) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(group.group_id()) else {
        return Err(Refused::new("", format!("the security group `{}` has no id", group.group_name().unwrap_or("?"))));
    };
    let key = place.key(&format!("security-group/{id}"))?;
    let rules = rules(id, group)?;
    let (value, digest) = rules.to_value().map_err(|error| Refused::new(id, error.to_string()))?;

    let mut facts = Facts::default();
    facts.text("description", group.description());
    facts.key("network", place.network(group.vpc_id())?.as_ref());
    facts.text("rules_digest", Some(&digest.to_string()));
    facts.texts("open_to_world", rules.open_to_world());
    facts.value("rules", value);

    let mut relations = Vec::new();
    // A peer that AWS names without its id is no group that a listing shows.
    for ((account, other), traffic) in rules.groups().into_iter().filter(|((_, id), _)| id.starts_with("sg-")) {
        // Groups can refer to each other over a peering of networks within a region only.
        let to = place.key_of(account, &format!("security-group/{other}"))?;
        relations.push(edge(&key, RelationType::Allows, to, allowed(traffic)));
    }

    let mut resource = place.resource(Kind::SecurityGroup, key, id, ec2_tags(group.tags()));
    // The group's name is part of it; a `Name` tag is only an ornament.
    resource.name = filled(group.group_name()).map(str::to_owned).or(resource.name);
    resource.attributes = facts.finish();
    Ok((resource, relations))
}

fn allowed(traffic: Traffic) -> Attributes {
    let mut facts = Facts::default();
    for (name, traffic) in [("ingress", traffic.ingress), ("egress", traffic.egress)] {
        if !traffic.is_empty() {
            facts.texts(name, traffic);
        }
    }
    facts.finish()
}

/// The rules one by one: AWS groups those of equal protocol and ports, in no stable order.
fn rules(id: &str, group: &SecurityGroup) -> Result<Rules, Refused> {
    let mut rules = Vec::new();
    for (direction, permissions) in [(Direction::Ingress, group.ip_permissions()), (Direction::Egress, group.ip_permissions_egress())] {
        for permission in permissions {
            let protocol = protocol(permission.ip_protocol());
            let ports = ports(&protocol, permission.from_port(), permission.to_port());
            for (peer, description) in peers(id, permission)? {
                let description = filled(description).map(str::to_owned);
                rules.push(Rule { description, ..Rule::new(direction, &protocol, &ports, peer) });
            }
        }
    }
    Ok(rules.into_iter().collect())
}

type Peers<'a> = Vec<(Peer, Option<&'a str>)>;

/// The peers of a permission. One that cannot be told would leave a rule out.
fn peers<'a>(group: &str, permission: &'a IpPermission) -> Result<Peers<'a>, Refused> {
    let mut peers = Vec::new();
    for range in permission.ip_ranges() {
        peers.push((Peer::cidr(part_id(group, "range of a rule", range.cidr_ip())?), range.description()));
    }
    for range in permission.ipv6_ranges() {
        peers.push((Peer::cidr(part_id(group, "range of a rule", range.cidr_ipv6())?), range.description()));
    }
    for list in permission.prefix_list_ids() {
        let id = part_id(group, "prefix list of a rule", list.prefix_list_id())?.to_owned();
        peers.push((Peer::PrefixList { id }, list.description()));
    }
    for pair in permission.user_id_group_pairs() {
        let id = part_id(group, "peer of a rule", filled(pair.group_id()).or(pair.group_name()))?.to_owned();
        let account = filled(pair.user_id()).map(str::to_owned);
        peers.push((Peer::SecurityGroup { id, account }, pair.description()));
    }
    Ok(peers)
}
