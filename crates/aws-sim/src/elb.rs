//! Elastic Load Balancing, first generation.

use crate::{
    call::{Call, Handler},
    elbv2::write_tags,
    error::ApiError,
    hash::shuffle,
    service::Service,
    world::{ClassicBalancer, InstanceState, Region},
};

const PAGE_MAX: i64 = 400;
/// The most balancers whose tags one call may ask for.
const TAGGED_MAX: usize = 20;

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] =
    &[("DescribeLoadBalancers", load_balancers), ("DescribeTags", tags), ("DescribeInstanceHealth", instance_health)];

fn load_balancers(call: &mut Call<'_>) -> Result<String, ApiError> {
    let names = call.params.take_members("LoadBalancerNames");
    call.params.take("Marker");
    let size = call.take_size("PageSize", 1, PAGE_MAX)?.unwrap_or(400);
    call.params.finish()?;
    let region = call.region;
    let found = if names.is_empty() { region.classic_balancers.values().collect() } else { by_name(region, &names)? };
    let (page, next) = call.page(found, size, |balancer| (&balancer.name, &balancer.name))?;
    let (seed, nested) = (call.nested_seed(), call.nested_ids());
    let shuffled = |names: &[String]| {
        let mut names = names.to_vec();
        shuffle(seed, &mut names, String::as_str);
        names
    };
    Ok(call.query_answer(|xml| {
        xml.list("LoadBalancerDescriptions", "member", page.iter().enumerate(), |xml, (index, balancer)| {
            xml.optional("LoadBalancerName", Some(&balancer.name).filter(|_| !call.quirks(index).no_id));
            xml.text("DNSName", &balancer.dns);
            xml.text("CanonicalHostedZoneNameID", "Z32O12XQLNTSW2");
            xml.list("ListenerDescriptions", "member", &balancer.listeners, |xml, listener| {
                xml.element("Listener", |xml| {
                    xml.text("Protocol", &listener.protocol);
                    xml.plain("LoadBalancerPort", listener.port);
                    xml.text("InstanceProtocol", &listener.instance_protocol);
                    xml.plain("InstancePort", listener.instance_port);
                    xml.optional("SSLCertificateId", listener.certificate.as_ref());
                });
                xml.texts::<&str>("PolicyNames", "member", []);
            });
            xml.texts("AvailabilityZones", "member", shuffled(&balancer.zones));
            xml.texts("Subnets", "member", shuffled(&balancer.subnets));
            xml.optional("VPCId", balancer.vpc.as_ref());
            let mut instances: Vec<&String> = balancer.instances.keys().collect();
            shuffle(seed, &mut instances, |id| id);
            xml.list("Instances", "member", instances, |xml, id| xml.optional("InstanceId", nested.send(id)));
            xml.element("HealthCheck", |xml| {
                xml.text("Target", &balancer.health_check.target);
                xml.plain("Interval", balancer.health_check.interval);
                xml.plain("Timeout", balancer.health_check.timeout);
                xml.plain("UnhealthyThreshold", balancer.health_check.unhealthy);
                xml.plain("HealthyThreshold", balancer.health_check.healthy);
            });
            xml.texts("SecurityGroups", "member", shuffled(&balancer.groups));
            xml.time("CreatedTime", balancer.created);
            xml.text("Scheme", &balancer.scheme);
        });
        // The end is an empty marker, not a missing one.
        xml.text("NextMarker", next.as_deref().unwrap_or_default());
    }))
}

fn tags(call: &mut Call<'_>) -> Result<String, ApiError> {
    let mut names = call.params.take_members("LoadBalancerNames");
    call.params.finish()?;
    if names.is_empty() {
        return Err(ApiError::missing_parameter(Service::Elb, "LoadBalancerNames"));
    }
    if names.len() > TAGGED_MAX {
        let message = format!(
            "1 validation error detected: Value at 'loadBalancerNames' failed to satisfy constraint: Member must have length less than or equal to {TAGGED_MAX}"
        );
        return Err(ApiError::invalid(Service::Elb, message));
    }
    let seed = call.nested_seed();
    shuffle(seed, &mut names, String::as_str);
    let found = by_name(call.region, &names)?;
    Ok(call.query_answer(|xml| {
        xml.list("TagDescriptions", "member", found, |xml, balancer| {
            xml.text("LoadBalancerName", &balancer.name);
            write_tags(xml, seed, &balancer.tags);
        });
    }))
}

fn instance_health(call: &mut Call<'_>) -> Result<String, ApiError> {
    let name = call.params.require("LoadBalancerName")?;
    let asked: Vec<String> = (1..).map_while(|index| call.params.take(&format!("Instances.member.{index}.InstanceId"))).collect();
    call.params.finish()?;
    let region = call.region;
    let balancer = region.classic_balancers.get(&name).ok_or_else(|| not_found(&name))?;
    if let Some(stranger) = asked.iter().find(|id| !balancer.instances.contains_key(*id)) {
        return Err(ApiError::new(400, "InvalidInstance", format!("Could not find EC2 instance {stranger}.")));
    }
    let terminated = |id: &String| region.instances.get(id).is_some_and(|instance| instance.state == InstanceState::Terminated);
    let mut members: Vec<_> =
        balancer.instances.iter().filter(|(id, _)| !terminated(id) && (asked.is_empty() || asked.contains(id))).collect();
    shuffle(call.nested_seed(), &mut members, |(id, _)| id);
    Ok(call.query_answer(|xml| {
        xml.list("InstanceStates", "member", members.iter().enumerate(), |xml, (index, (id, member))| {
            let quirks = call.quirks(index);
            xml.optional("InstanceId", Some(*id).filter(|_| !quirks.no_id));
            xml.optional("State", Some(&member.state).filter(|_| !quirks.no_state));
            xml.text("ReasonCode", &member.reason);
            xml.text("Description", &member.description);
        });
    }))
}

fn by_name<'a>(region: &'a Region, names: &[String]) -> Result<Vec<&'a ClassicBalancer>, ApiError> {
    names.iter().map(|name| region.classic_balancers.get(name).ok_or_else(|| not_found(name))).collect()
}

fn not_found(name: &str) -> ApiError {
    ApiError::new(400, "LoadBalancerNotFound", format!("There is no ACTIVE Load Balancer named '{name}'"))
}
