//! Target groups and what is registered in them: `elasticloadbalancing:DescribeTargetGroups` and `DescribeTargetHealth`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{TargetGroup, TargetHealthDescription, TargetTypeEnum};
use dewpoint_core::model::{Attributes, Key, Kind, Relation, RelationType, Resource};
use serde_json::{Map, Value};

use super::balancers::Rows;
use super::interfaces::Machines;
use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Place, Refused, edge, filled, name_and_arn, tags};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::load_balancing("elasticloadbalancing:DescribeTargetGroups");
pub(crate) const HEALTH: Action = Action::load_balancing("elasticloadbalancing:DescribeTargetHealth");

/// Items asked for per page, the most that the action takes.
const PAGE: i32 = 400;

/// A target group as its own listing shows it: without tags and members.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) arn: String,
    pub(crate) resource: Resource,
    pub(crate) relations: Vec<Relation>,
    /// Id of the network that addresses in it belong to.
    network: Option<String>,
}

/// The target groups of a place.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeTargetGroups.
pub(crate) struct Pools<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Pools<'_> {
    type Out = Rows<Pool>;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, out: &mut Rows<Pool>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().elb().describe_target_groups().page_size(ask.size(PAGE));
            call.set_marker(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for group in answer.target_groups() {
            out.take(map(self.0, group));
        }
        Ok(answer.next_marker)
    }
}

fn map(place: &Place, group: &TargetGroup) -> Result<Pool, Refused> {
    let (name, arn) = name_and_arn("target group", group.target_group_name(), group.target_group_arn())?;
    let mut facts = Facts::default();
    facts.text("protocol", group.protocol().map(|protocol| protocol.as_str()));
    facts.count("port", group.port());
    facts.text("member_type", group.target_type().map(TargetTypeEnum::as_str));
    facts.key("network", place.network(group.vpc_id())?.as_ref());
    facts.value("health_check", health_check(group));

    let mut resource = place.resource(Kind::Pool, Key::aws(arn)?, name, tags([]));
    resource.name = Some(name.to_owned());
    resource.attributes = facts.finish();
    Ok(Pool { arn: arn.to_owned(), resource, relations: Vec::new(), network: filled(group.vpc_id()).map(str::to_owned) })
}

fn health_check(group: &TargetGroup) -> Value {
    let mut facts = Facts::default();
    facts.flag("enabled", group.health_check_enabled());
    facts.text("protocol", group.health_check_protocol().map(|protocol| protocol.as_str()));
    facts.text("port", group.health_check_port());
    facts.text("path", group.health_check_path());
    facts.count("interval_s", group.health_check_interval_seconds());
    facts.count("timeout_s", group.health_check_timeout_seconds());
    facts.count("healthy_threshold", group.healthy_threshold_count());
    facts.count("unhealthy_threshold", group.unhealthy_threshold_count());
    Value::Object(facts.finish().into_iter().collect::<Map<_, _>>())
}

/// One registration in a pool.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Id of an instance, an address, or the ARN of a balancer or a function.
    id: String,
    port: Option<i32>,
    health: String,
}

/// What is registered in one target group. The answer has one page.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeTargetHealth.
pub(crate) async fn read_targets(calls: &Calls<'_>, pool: &str) -> Result<Vec<Target>, Fault> {
    let send = |meter| calls.clients().elb().describe_target_health().target_group_arn(pool).customize().interceptor(meter).send();
    let answer = calls.call(HEALTH, send).await?;
    answer.target_health_descriptions().iter().map(read).collect()
}

fn read(row: &TargetHealthDescription) -> Result<Target, Fault> {
    let Some(id) = row.target().and_then(|target| filled(target.id())) else {
        return Err(Fault::truncated(HEALTH.name, "a target has no id"));
    };
    let health = row.target_health().and_then(|health| health.state()).map(|state| state.as_str());
    let Some(health) = filled(health) else {
        return Err(Fault::truncated(HEALTH.name, format!("the target {id} has no state")));
    };
    Ok(Target { id: id.to_owned(), port: row.target().and_then(|target| target.port()), health: health.to_owned() })
}

/// Port and health of one registration.
type Registration = (Option<i32>, Option<String>);

/// The members of a pool on their way to edges.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_key: BTreeMap<Key, Vec<Registration>>,
    unresolved: BTreeSet<String>,
    count: u64,
    healthy: u64,
}

impl Members {
    pub(crate) fn add(&mut self, to: Key, port: Option<i32>, health: Option<&str>) {
        self.tally(health);
        self.by_key.entry(to).or_default().push((port, health.map(str::to_owned)));
    }

    fn tally(&mut self, health: Option<&str>) {
        self.count += 1;
        self.healthy += u64::from(health == Some("healthy"));
    }

    /// Gives the pool its members: an edge to each that is known, the others by name.
    pub(crate) fn finish(self, resource: &mut Resource, relations: &mut Vec<Relation>) {
        for (to, doors) in self.by_key {
            relations.push(edge(&resource.key, RelationType::RoutesTo, to, member_facts(doors)));
        }
        let attributes = &mut resource.attributes;
        attributes.insert("member_count".to_owned(), self.count.into());
        attributes.insert("healthy_count".to_owned(), self.healthy.into());
        let unresolved = self.unresolved.into_iter().map(Value::String).collect();
        attributes.insert("unresolved_members".to_owned(), Value::Array(unresolved));
    }
}

/// The same member can be registered with several ports: the lowest stands for the edge, and all are named. The worst health counts.
fn member_facts(doors: Vec<Registration>) -> Attributes {
    let ports: BTreeSet<i32> = doors.iter().filter_map(|(port, _)| *port).collect();
    let worst = doors.into_iter().filter_map(|(_, health)| health).max_by_key(|health| severity(health));
    let mut facts = Facts::default();
    facts.count("port", ports.first().copied());
    if ports.len() > 1 {
        facts.value("ports", ports.into_iter().collect());
    }
    facts.text("health", worst.as_deref());
    facts.finish()
}

fn severity(health: &str) -> u8 {
    match health {
        "healthy" => 0,
        "unused" => 1,
        "initial" => 2,
        "draining" => 3,
        "unhealthy" => 6,
        "unhealthy.draining" => 5,
        _ => 4,
    }
}

impl Pool {
    /// Takes what is registered in it. `machines` is what is known of interfaces; returns the addresses that it does not explain.
    pub(crate) fn fill(&mut self, place: &Place, targets: Vec<Target>, machines: &Machines) -> Result<u64, Refused> {
        let mut members = Members::default();
        let mut unknown = 0;
        for target in targets {
            let health = Some(target.health.as_str());
            match self.resolve(place, &target, machines)? {
                Some(key) => members.add(key, target.port, health),
                None => {
                    members.tally(health);
                    unknown += u64::from(target.id.parse::<IpAddr>().is_ok());
                    let port = target.port.map_or_else(String::new, |port| format!(":{port}"));
                    members.unresolved.insert(format!("{}{port}", target.id));
                }
            }
        }
        members.finish(&mut self.resource, &mut self.relations);
        Ok(unknown)
    }

    /// What a target is: a machine by its id or address, or another balancer. Functions and addresses elsewhere are none of ours.
    fn resolve(&self, place: &Place, target: &Target, machines: &Machines) -> Result<Option<Key>, Refused> {
        let id = target.id.as_str();
        if id.starts_with("i-") {
            return Ok(Some(place.key(&format!("instance/{id}"))?));
        }
        if let Ok(address) = id.parse::<IpAddr>() {
            return Ok(self.network.as_deref().and_then(|network| machines.find(network, address)).cloned());
        }
        let is_balancer = id.split(':').nth(2) == Some("elasticloadbalancing");
        if is_balancer { Ok(Some(Key::aws(id)?)) } else { Ok(None) }
    }
}
