//! Classic load balancers, each with the pool of its members: `elasticloadbalancing:DescribeLoadBalancers`, `DescribeTags` and
//! `DescribeInstanceHealth` of the first generation.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_elasticloadbalancing::types::{HealthCheck, InstanceState, LoadBalancerDescription};
use dewpoint_core::model::{InvalidKey, Key, Kind, Relation, RelationType, Resource};
use serde_json::{Map, Value};

use super::balancers::{self, Door, Rows, door_facts, set_listeners};
use super::pools::Members;
use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Place, Refused, edge, filled, instant, part_id, protected_by, tags};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const HEALTH: Action = Action::load_balancing("elasticloadbalancing:DescribeInstanceHealth");

/// Items asked for per page, the most that the action takes.
const PAGE: i32 = 400;

/// A classic balancer with the pool of its members, which is no object of its own in AWS.
#[derive(Debug, Clone)]
pub(crate) struct ClassicBalancer {
    pub(crate) name: String,
    pub(crate) balancer: Resource,
    pub(crate) balancer_relations: Vec<Relation>,
    pub(crate) pool: Resource,
    pub(crate) pool_relations: Vec<Relation>,
    members: BTreeSet<String>,
    port: Option<i32>,
}

/// The classic balancers of a place.
///
/// Source: Elastic Load Balancing API Reference (2012-06-01), DescribeLoadBalancers.
pub(crate) struct ClassicBalancers<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for ClassicBalancers<'_> {
    type Out = Rows<ClassicBalancer>;

    fn action(&self) -> Action {
        balancers::ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, out: &mut Rows<ClassicBalancer>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().classic().describe_load_balancers().page_size(ask.size(PAGE));
            call.set_marker(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(balancers::ACTION, send).await?;
        for balancer in answer.load_balancer_descriptions() {
            out.take(map(self.0, balancer));
        }
        Ok(answer.next_marker)
    }
}

/// Keys of a classic balancer and of its pool. AWS gives it an ARN in its policies only, and its pool none; a name holds no slash, so that neither
/// can be that of a newer balancer, whose ARN has three parts behind `loadbalancer`.
fn keys(place: &Place, name: &str) -> Result<(Key, Key), InvalidKey> {
    let arn = format!("arn:{}:elasticloadbalancing:{}:{}:loadbalancer/{name}", place.partition, place.region, place.account);
    Ok((Key::aws(&arn)?, Key::aws(&format!("{arn}/members"))?))
}

fn map(place: &Place, classic: &LoadBalancerDescription) -> Result<ClassicBalancer, Refused> {
    let Some(name) = filled(classic.load_balancer_name()) else { return Err(Refused::new("", "a classic load balancer has no name")) };
    let (key, pool_key) = keys(place, name)?;
    let network = place.network(classic.vpc_id())?;
    let listeners: Vec<_> = classic.listener_descriptions().iter().filter_map(|row| row.listener()).collect();
    let doors: BTreeSet<Door> = listeners
        .iter()
        .map(|listener| Door { port: Some(listener.load_balancer_port()), protocol: filled(Some(listener.protocol())).map(str::to_owned) })
        .collect();

    let mut facts = Facts::default();
    facts.text("balancer_type", Some("classic"));
    facts.text("scheme", classic.scheme());
    facts.text("dns_name", classic.dns_name());
    facts.text("hosted_zone", classic.canonical_hosted_zone_name_id());
    facts.key("network", network.as_ref());
    facts.texts("zones", classic.availability_zones().iter().map(ToOwned::to_owned).collect());
    let mut balancer = place.resource(Kind::LoadBalancer, key.clone(), name, tags([]));
    balancer.name = Some(name.to_owned());
    balancer.created_at = instant(classic.created_time());
    balancer.attributes = facts.finish();

    // What it forwards to is said by its listeners, one of which comes first.
    let first = listeners.iter().min_by_key(|listener| (listener.load_balancer_port(), listener.instance_port()));
    let port = first.map(|listener| listener.instance_port());
    let mut facts = Facts::default();
    facts.text("protocol", first.and_then(|listener| listener.instance_protocol().or(Some(listener.protocol()))));
    facts.count("port", port);
    facts.text("member_type", Some("instance"));
    facts.key("network", network.as_ref());
    if let Some(check) = classic.health_check() {
        facts.value("health_check", health_check(check));
    }
    let mut pool = place.resource(Kind::Pool, pool_key.clone(), name, tags([]));
    pool.name = Some(name.to_owned());
    pool.attributes = facts.finish();

    let groups: BTreeSet<&str> = classic.security_groups().iter().filter_map(|id| filled(Some(id))).collect();
    let mut balancer_relations = protected_by(place, &key, groups)?;
    let all: Vec<Door> = doors.iter().cloned().collect();
    balancer_relations.push(edge(&key, RelationType::RoutesTo, pool_key, door_facts(&all)));
    set_listeners(&mut balancer, doors);
    let members = classic.instances().iter().map(|instance| part_id(name, "member", instance.instance_id()).map(str::to_owned));
    let members = members.collect::<Result<_, _>>()?;
    Ok(ClassicBalancer { name: name.to_owned(), balancer, balancer_relations, pool, pool_relations: Vec::new(), members, port })
}

fn health_check(check: &HealthCheck) -> Value {
    let mut facts = Facts::default();
    facts.text("target", Some(check.target()));
    facts.count("interval_s", Some(check.interval()));
    facts.count("timeout_s", Some(check.timeout()));
    facts.count("healthy_threshold", Some(check.healthy_threshold()));
    facts.count("unhealthy_threshold", Some(check.unhealthy_threshold()));
    Value::Object(facts.finish().into_iter().collect::<Map<_, _>>())
}

impl ClassicBalancer {
    /// Gives the pool its members, with their health where it is known.
    pub(crate) fn fill(&mut self, place: &Place, health: &BTreeMap<String, String>) -> Result<(), Refused> {
        let mut members = Members::default();
        for id in &self.members {
            let key = place.key(&format!("instance/{id}"))?;
            members.add(key, self.port, health.get(id).map(String::as_str));
        }
        members.finish(&mut self.pool, &mut self.pool_relations);
        Ok(())
    }

    /// Tags stand on the balancer; its pool is found by them as well.
    pub(crate) fn tag(&mut self, tags: &BTreeMap<String, String>) {
        self.balancer.tags.clone_from(tags);
        self.pool.tags.clone_from(tags);
    }

    pub(crate) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }
}

/// The health of a classic balancer's members, by id, in the words of the newer ones.
///
/// Source: Elastic Load Balancing API Reference (2012-06-01), DescribeInstanceHealth.
pub(crate) async fn read_health(calls: &Calls<'_>, name: &str) -> Result<BTreeMap<String, String>, Fault> {
    let send = |meter| calls.clients().classic().describe_instance_health().load_balancer_name(name).customize().interceptor(meter).send();
    let answer = calls.call(HEALTH, send).await?;
    let word = |state: &str| match state {
        "InService" => "healthy".to_owned(),
        "OutOfService" => "unhealthy".to_owned(),
        other => other.to_lowercase(),
    };
    let broken = |what: &str| Fault::truncated(HEALTH.name, format!("a member of `{name}` has no {what}"));
    let read = |row: &InstanceState| {
        let id = filled(row.instance_id()).ok_or_else(|| broken("id"))?;
        let state = filled(row.state()).ok_or_else(|| broken("state"))?;
        Ok((id.to_owned(), word(state)))
    };
    answer.instance_states().iter().map(read).collect()
}

/// The tags of up to [`balancers::TAGS_PER_CALL`] classic balancers, by name. One that is gone meanwhile fails the call.
///
/// Source: Elastic Load Balancing API Reference (2012-06-01), DescribeTags.
pub(crate) async fn read_tags(calls: &Calls<'_>, names: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>, Fault> {
    let send = |meter| {
        let call = calls.clients().classic().describe_tags().set_load_balancer_names(Some(names.to_vec()));
        call.customize().interceptor(meter).send()
    };
    let answer = calls.call(balancers::TAGS, send).await?;
    let described = answer.tag_descriptions().iter();
    Ok(described
        .filter_map(|row| Some((row.load_balancer_name()?.to_owned(), tags(row.tags().iter().map(|tag| (Some(tag.key()), tag.value()))))))
        .collect())
}
