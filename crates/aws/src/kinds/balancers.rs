//! Application, network and gateway load balancers: `elasticloadbalancing:DescribeLoadBalancers` and `DescribeTags`.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer, LoadBalancerTypeEnum};
use dewpoint_core::model::{Key, Kind, Relation, RelationType, Resource};
use serde_json::{Map, Value};

use super::listeners::Listener;
use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Place, Refused, edge, filled, instant, name_and_arn, protected_by, tags};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::load_balancing("elasticloadbalancing:DescribeLoadBalancers");
pub(crate) const TAGS: Action = Action::load_balancing("elasticloadbalancing:DescribeTags");

/// Items asked for per page, the most that the action takes.
const PAGE: i32 = 400;

/// Resources whose tags one call tells.
pub(crate) const TAGS_PER_CALL: usize = 20;

/// A balancer as its own listing shows it: without tags and listeners.
#[derive(Debug, Clone)]
pub(crate) struct Balancer {
    pub(crate) arn: String,
    pub(crate) resource: Resource,
    pub(crate) relations: Vec<Relation>,
    /// Whether its listeners have rules beside their default actions.
    pub(crate) has_rules: bool,
}

/// What a listing held that is not whole yet.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) refused: Vec<Refused>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), refused: Vec::new() }
    }
}

impl<T> Rows<T> {
    pub(crate) fn take(&mut self, mapped: Result<T, Refused>) {
        match mapped {
            Ok(row) => self.rows.push(row),
            Err(refused) => self.refused.push(refused),
        }
    }
}

/// The load balancers of a place, without the classic ones.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeLoadBalancers.
pub(crate) struct Balancers<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Balancers<'_> {
    type Out = Rows<Balancer>;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, out: &mut Rows<Balancer>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().elb().describe_load_balancers().page_size(ask.size(PAGE));
            call.set_marker(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for balancer in answer.load_balancers() {
            out.take(map(self.0, balancer));
        }
        Ok(answer.next_marker)
    }
}

fn map(place: &Place, balancer: &LoadBalancer) -> Result<Balancer, Refused> {
    let (name, arn) = name_and_arn("load balancer", balancer.load_balancer_name(), balancer.load_balancer_arn())?;
    let Some(state) = filled(balancer.state().and_then(|state| state.code()).map(|code| code.as_str())) else {
        return Err(Refused::new(name, format!("the load balancer `{name}` has no state")));
    };
    let key = Key::aws(arn)?;

    let zones = balancer.availability_zones();
    let addresses = zones.iter().flat_map(|zone| zone.load_balancer_addresses());
    let addresses = addresses.flat_map(|address| [address.ip_address(), address.private_ipv4_address(), address.ipv6_address()]);
    let mut facts = Facts::default();
    facts.text("balancer_type", balancer.r#type().map(LoadBalancerTypeEnum::as_str));
    facts.text("scheme", balancer.scheme().map(|scheme| scheme.as_str()));
    facts.text("dns_name", balancer.dns_name());
    facts.text("hosted_zone", balancer.canonical_hosted_zone_id());
    facts.key("network", place.network(balancer.vpc_id())?.as_ref());
    facts.texts("zones", zones.iter().filter_map(|zone| filled(zone.zone_name())).map(str::to_owned).collect());
    facts.texts("addresses", addresses.filter_map(filled).map(str::to_owned).collect());

    let groups: BTreeSet<&str> = balancer.security_groups().iter().filter_map(|id| filled(Some(id))).collect();
    let relations = protected_by(place, &key, groups)?;
    let mut resource = place.resource(Kind::LoadBalancer, key, name, tags([]));
    resource.name = Some(name.to_owned());
    resource.state = Some(state.to_owned());
    resource.created_at = instant(balancer.created_time());
    resource.attributes = facts.finish();
    let has_rules = balancer.r#type() == Some(&LoadBalancerTypeEnum::Application);
    Ok(Balancer { arn: arn.to_owned(), resource, relations, has_rules })
}

impl Balancer {
    /// Takes its listeners, and the pools that they forward to.
    pub(crate) fn route(&mut self, listeners: &[Listener]) -> Result<(), Refused> {
        let mut doors: BTreeMap<&String, Vec<Door>> = BTreeMap::new();
        for listener in listeners {
            for pool in &listener.pools {
                doors.entry(pool).or_default().push(Door::of(listener));
            }
        }
        for (pool, doors) in doors {
            self.relations.push(edge(&self.resource.key, RelationType::RoutesTo, Key::aws(pool)?, door_facts(&doors)));
        }
        set_listeners(&mut self.resource, listeners.iter().map(Door::of).collect());
        Ok(())
    }
}

/// Where a balancer listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    pub(crate) port: Option<i32>,
    pub(crate) protocol: Option<String>,
}

impl Door {
    fn of(listener: &Listener) -> Self {
        Self { port: listener.port, protocol: listener.protocol.clone() }
    }

    fn spelt(&self) -> String {
        let protocol = self.protocol.as_deref().unwrap_or("any");
        self.port.map_or_else(|| protocol.to_owned(), |port| format!("{protocol}/{port}"))
    }
}

/// Attributes of a balancer's edge to a pool: port and protocol of the first listener that forwards to it, and all of them where they are several.
pub(crate) fn door_facts(doors: &[Door]) -> dewpoint_core::model::Attributes {
    let mut facts = Facts::default();
    if let Some(door) = doors.iter().min() {
        facts.count("port", door.port);
        facts.text("protocol", door.protocol.as_deref());
    }
    if doors.len() > 1 {
        facts.texts("listeners", doors.iter().map(Door::spelt).collect());
    }
    facts.finish()
}

/// The attribute `listeners`: port and protocol of each, sorted.
pub(crate) fn set_listeners(resource: &mut Resource, doors: BTreeSet<Door>) {
    let listener = |door: Door| {
        let port = door.port.map(|port| ("port".to_owned(), Value::from(port)));
        let protocol = door.protocol.map(|protocol| ("protocol".to_owned(), Value::String(protocol)));
        Value::Object(port.into_iter().chain(protocol).collect::<Map<_, _>>())
    };
    resource.attributes.insert("listeners".to_owned(), Value::Array(doors.into_iter().map(listener).collect()));
}

/// The tags of up to [`TAGS_PER_CALL`] balancers and target groups, by ARN. One that is gone meanwhile fails the call.
///
/// Source: Elastic Load Balancing API Reference (2015-12-01), DescribeTags.
pub(crate) async fn read_tags(calls: &Calls<'_>, arns: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>, Fault> {
    let send = |meter| {
        let call = calls.clients().elb().describe_tags().set_resource_arns(Some(arns.to_vec()));
        call.customize().interceptor(meter).send()
    };
    let answer = calls.call(TAGS, send).await?;
    let described = answer.tag_descriptions().iter();
    Ok(described
        .filter_map(|row| Some((row.resource_arn()?.to_owned(), tags(row.tags().iter().map(|tag| (tag.key(), tag.value()))))))
        .collect())
}
