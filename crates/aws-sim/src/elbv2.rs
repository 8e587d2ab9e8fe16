//! Elastic Load Balancing, second generation.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    call::{Call, Handler},
    error::ApiError,
    hash::shuffle,
    service::Service,
    world::{Action, Balancer, BalancerKind, Condition, Listener, ListenerRule, Region, Tags, TargetGroup, TargetKind},
    xml::Xml,
};

const PAGE_MAX: i64 = 400;
/// The most ARNs that one call may name.
const NAMED_MAX: usize = 20;

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] = &[
    ("DescribeLoadBalancers", load_balancers),
    ("DescribeListeners", listeners),
    ("DescribeRules", rules),
    ("DescribeTargetGroups", target_groups),
    ("DescribeTargetHealth", target_health),
    ("DescribeTags", tags),
];

fn load_balancers(call: &mut Call<'_>) -> Result<String, ApiError> {
    let (arns, names) = (call.params.take_members("LoadBalancerArns"), call.params.take_members("Names"));
    let size = take_paging(call)?;
    call.params.finish()?;
    one_kind(&[!arns.is_empty(), !names.is_empty()])?;
    at_most(&arns)?;
    at_most(&names)?;
    let mut found: Vec<&Balancer> = call.region.balancers.values().collect();
    select(&mut found, &arns, |balancer| &balancer.arn, no_balancer)?;
    select(&mut found, &names, |balancer| &balancer.name, no_balancer)?;
    let (page, next) = call.page(found, size, |balancer| (&balancer.arn, &balancer.arn))?;
    let seed = call.nested_seed();
    Ok(call.query_answer(|xml| {
        xml.list("LoadBalancers", "member", page.iter().enumerate(), |xml, (index, balancer)| {
            let quirks = call.quirks(index);
            xml.optional("LoadBalancerArn", Some(&balancer.arn).filter(|_| !quirks.no_id));
            xml.text("LoadBalancerName", &balancer.name);
            xml.text("DNSName", &balancer.dns);
            xml.text("CanonicalHostedZoneId", "Z32O12XQLNTSW2");
            xml.time("CreatedTime", balancer.created);
            xml.optional("Scheme", balancer.scheme.as_ref());
            xml.text("VpcId", &balancer.vpc);
            if !quirks.no_state {
                xml.element("State", |xml| xml.text("Code", &balancer.state));
            }
            xml.text("Type", balancer.kind.as_str());
            let mut zones: Vec<_> = balancer.zones.iter().collect();
            shuffle(seed, &mut zones, |zone| &zone.zone);
            xml.list("AvailabilityZones", "member", zones, |xml, zone| {
                xml.text("ZoneName", &zone.zone);
                xml.text("SubnetId", &zone.subnet);
                xml.list("LoadBalancerAddresses", "member", &zone.ips, |xml, ip| xml.text("IpAddress", ip));
            });
            // A gateway has no groups at all, a network balancer only when it was made with some.
            if balancer.kind == BalancerKind::Application || !balancer.groups.is_empty() {
                let mut groups: Vec<_> = balancer.groups.iter().collect();
                shuffle(seed, &mut groups, |group| group);
                xml.texts("SecurityGroups", "member", groups);
            }
            xml.text("IpAddressType", &balancer.ip_type);
        });
        xml.optional("NextMarker", next.as_ref());
    }))
}

fn listeners(call: &mut Call<'_>) -> Result<String, ApiError> {
    let (balancer_arn, arns) = (call.params.take("LoadBalancerArn"), call.params.take_members("ListenerArns"));
    let size = take_paging(call)?;
    call.params.finish()?;
    at_most(&arns)?;
    let region = call.region;
    let found: Vec<(&Balancer, &Listener)> = match (&balancer_arn, arns.is_empty()) {
        (Some(arn), true) => {
            let balancer = region.balancers.get(arn).ok_or_else(|| no_balancer(arn))?;
            balancer.listeners.values().map(|listener| (balancer, listener)).collect()
        }
        (None, false) => {
            let mut all = region
                .balancers
                .values()
                .flat_map(|balancer| balancer.listeners.values().map(move |listener| (balancer, listener)))
                .collect();
            select(&mut all, &arns, |(_, listener)| &listener.arn, no_listener)?;
            all
        }
        _ => return Err(invalid("You must specify either listener ARNs or a load balancer ARN")),
    };
    let (page, next) = call.page(found, size, |(_, listener)| (&listener.arn, &listener.arn))?;
    let seed = call.nested_seed();
    Ok(call.query_answer(|xml| {
        xml.list("Listeners", "member", page.iter().enumerate(), |xml, (index, (balancer, listener))| {
            xml.optional("ListenerArn", Some(&listener.arn).filter(|_| !call.quirks(index).no_id));
            xml.text("LoadBalancerArn", &balancer.arn);
            xml.optional_plain("Port", listener.port);
            xml.optional("Protocol", listener.protocol.as_ref());
            xml.list("Certificates", "member", listener.certificates.iter().take(1), |xml, certificate| {
                xml.text("CertificateArn", &certificate.arn);
            });
            xml.optional("SslPolicy", listener.tls_policy.as_ref());
            write_actions(xml, "DefaultActions", seed, &listener.actions);
        });
        xml.optional("NextMarker", next.as_ref());
    }))
}

/// A rule as it is listed; the default one is made of the listener's actions.
struct RuleRow<'a> {
    arn: String,
    priority: String,
    conditions: &'a [Condition],
    actions: &'a [Action],
    default: bool,
}

fn rules(call: &mut Call<'_>) -> Result<String, ApiError> {
    let (listener_arn, arns) = (call.params.take("ListenerArn"), call.params.take_members("RuleArns"));
    let size = take_paging(call)?;
    call.params.finish()?;
    at_most(&arns)?;
    let all = || call.region.balancers.values().flat_map(|balancer| balancer.listeners.values());
    let found: Vec<RuleRow<'_>> = match (&listener_arn, arns.is_empty()) {
        (Some(arn), true) => rows(all().find(|listener| listener.arn == *arn).ok_or_else(|| no_listener(arn))?),
        (None, false) => {
            let mut found = all().flat_map(rows).collect();
            select(&mut found, &arns, |rule| &rule.arn, no_rule)?;
            found
        }
        _ => return Err(invalid("You must specify either listener rule ARNs or a listener ARN")),
    };
    let (page, next) = call.page(found, size, |rule| (&rule.arn, &rule.arn))?;
    let seed = call.nested_seed();
    Ok(call.query_answer(|xml| {
        xml.list("Rules", "member", page.iter().enumerate(), |xml, (index, rule)| {
            xml.optional("RuleArn", Some(&rule.arn).filter(|_| !call.quirks(index).no_id));
            xml.text("Priority", &rule.priority);
            xml.list("Conditions", "member", rule.conditions, |xml, condition| {
                xml.text("Field", &condition.field);
                xml.texts("Values", "member", &condition.values);
                let config = match condition.field.as_str() {
                    "host-header" => "HostHeaderConfig",
                    "path-pattern" => "PathPatternConfig",
                    _ => return,
                };
                xml.element(config, |xml| xml.texts("Values", "member", &condition.values));
            });
            write_actions(xml, "Actions", seed, rule.actions);
            xml.plain("IsDefault", rule.default);
        });
        xml.optional("NextMarker", next.as_ref());
    }))
}

fn rows(listener: &Listener) -> Vec<RuleRow<'_>> {
    let default = RuleRow {
        arn: default_rule_arn(listener),
        priority: "default".to_owned(),
        conditions: &[],
        actions: &listener.actions,
        default: true,
    };
    let own = |rule: &'_ ListenerRule| (rule.arn.clone(), rule.priority.to_string());
    let rules = listener.rules.iter().map(|rule| {
        let (arn, priority) = own(rule);
        RuleRow { arn, priority, conditions: &rule.conditions, actions: &rule.actions, default: false }
    });
    rules.chain([default]).collect()
}

fn default_rule_arn(listener: &Listener) -> String {
    format!("{}/{}", listener.arn.replacen(":listener/", ":listener-rule/", 1), crate::hash::hex16(&[&listener.arn, "default"]))
}

fn write_actions(xml: &mut Xml, name: &str, seed: u64, actions: &[Action]) {
    xml.list(name, "member", actions.iter().zip(1..), |xml, (action, order): (&Action, u32)| {
        match action {
            Action::Forward { groups } => {
                xml.text("Type", "forward");
                if let [group] = groups.as_slice() {
                    xml.text("TargetGroupArn", &group.arn);
                }
                xml.element("ForwardConfig", |xml| {
                    let mut groups: Vec<_> = groups.iter().collect();
                    shuffle(seed, &mut groups, |group| &group.arn);
                    xml.list("TargetGroups", "member", groups, |xml, group| {
                        xml.text("TargetGroupArn", &group.arn);
                        xml.plain("Weight", group.weight);
                    });
                    xml.element("TargetGroupStickinessConfig", |xml| xml.plain("Enabled", false));
                });
            }
            Action::ForwardArn { group } => {
                xml.text("Type", "forward");
                xml.text("TargetGroupArn", group);
            }
            Action::Redirect { protocol, port, status } => {
                xml.text("Type", "redirect");
                xml.element("RedirectConfig", |xml| {
                    xml.text("Protocol", protocol);
                    xml.text("Port", port);
                    xml.text("Host", "#{host}");
                    xml.text("Path", "/#{path}");
                    xml.text("Query", "#{query}");
                    xml.text("StatusCode", status);
                });
            }
            Action::FixedResponse { status, body } => {
                xml.text("Type", "fixed-response");
                xml.element("FixedResponseConfig", |xml| {
                    xml.optional("MessageBody", body.as_ref());
                    xml.text("StatusCode", status);
                    xml.text("ContentType", "text/plain");
                });
            }
        }
        xml.plain("Order", order);
    });
}

fn target_groups(call: &mut Call<'_>) -> Result<String, ApiError> {
    let balancer = call.params.take("LoadBalancerArn");
    let (arns, names) = (call.params.take_members("TargetGroupArns"), call.params.take_members("Names"));
    let size = take_paging(call)?;
    call.params.finish()?;
    one_kind(&[balancer.is_some(), !arns.is_empty(), !names.is_empty()])?;
    let uses = uses(call.region);
    let used_by = |group: &TargetGroup| uses.get(group.arn.as_str()).cloned().unwrap_or_default();
    let mut found: Vec<&TargetGroup> = call.region.target_groups.values().collect();
    select(&mut found, &arns, |group| &group.arn, no_target_group)?;
    select(&mut found, &names, |group| &group.name, no_target_group)?;
    if let Some(arn) = &balancer {
        if !call.region.balancers.contains_key(arn) {
            return Err(no_balancer(arn));
        }
        found.retain(|group| used_by(group).contains(arn.as_str()));
    }
    let (page, next) = call.page(found, size, |group| (&group.arn, &group.arn))?;
    let seed = call.nested_seed();
    Ok(call.query_answer(|xml| {
        xml.list("TargetGroups", "member", page.iter().enumerate(), |xml, (index, group)| {
            xml.optional("TargetGroupArn", Some(&group.arn).filter(|_| !call.quirks(index).no_id));
            xml.text("TargetGroupName", &group.name);
            xml.optional("Protocol", group.protocol.as_ref());
            xml.optional_plain("Port", group.port);
            xml.optional("VpcId", group.vpc.as_ref());
            xml.optional("HealthCheckProtocol", Some(&group.health_check.protocol).filter(|_| group.kind != TargetKind::Lambda));
            xml.optional("HealthCheckPort", Some(&group.health_check.port).filter(|_| group.kind != TargetKind::Lambda));
            xml.plain("HealthCheckEnabled", group.kind != TargetKind::Lambda);
            xml.plain("HealthCheckIntervalSeconds", 30);
            xml.plain("HealthCheckTimeoutSeconds", 5);
            xml.plain("HealthyThresholdCount", 5);
            xml.plain("UnhealthyThresholdCount", 2);
            xml.optional("HealthCheckPath", group.health_check.path.as_ref());
            let mut balancers: Vec<&str> = used_by(group).into_iter().collect();
            shuffle(seed, &mut balancers, |arn| arn);
            xml.texts("LoadBalancerArns", "member", balancers);
            xml.text("TargetType", group.kind.as_str());
            xml.text("IpAddressType", "ipv4");
        });
        xml.optional("NextMarker", next.as_ref());
    }))
}

/// The balancers that forward to each target group, by listener or rule.
fn uses(region: &Region) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for balancer in region.balancers.values() {
        for listener in balancer.listeners.values() {
            for action in listener.actions.iter().chain(listener.rules.iter().flat_map(|rule| &rule.actions)) {
                for group in action.target_groups() {
                    uses.entry(group).or_default().insert(&balancer.arn);
                }
            }
        }
    }
    uses
}

fn target_health(call: &mut Call<'_>) -> Result<String, ApiError> {
    let arn = call.params.require("TargetGroupArn")?;
    let mut asked = Vec::new();
    for index in 1.. {
        let Some(id) = call.params.take(&format!("Targets.member.{index}.Id")) else { break };
        asked.push((id, call.params.take(&format!("Targets.member.{index}.Port"))));
    }
    call.params.take_members("Include");
    call.params.finish()?;
    let group = call.region.target_groups.get(&arn).ok_or_else(|| no_target_group(&arn))?;
    let wanted = |id: &str, port: Option<u16>| {
        asked.is_empty()
            || asked.iter().any(|(one, at)| one == id && at.as_ref().is_none_or(|at| port.is_some_and(|port| *at == port.to_string())))
    };
    let mut targets: Vec<_> = group
        .targets
        .iter()
        .filter(|target| wanted(&target.id, target.port))
        .map(|target| (format!("{}:{:?}", target.id, target.port), target))
        .collect();
    if let Some(crate::Effect::MissItem { id }) = call.effect {
        targets.retain(|(_, target)| target.id != *id);
    }
    shuffle(call.nested_seed(), &mut targets, |(key, _)| key);
    let nested = call.nested_ids();
    Ok(call.query_answer(|xml| {
        xml.list("TargetHealthDescriptions", "member", targets.iter().enumerate(), |xml, (index, (_, target))| {
            let quirks = call.quirks(index);
            xml.element("Target", |xml| {
                xml.optional("Id", nested.send(&target.id).filter(|_| !quirks.no_id));
                xml.optional_plain("Port", target.port);
                xml.optional("AvailabilityZone", target.zone.as_ref());
            });
            xml.optional_plain("HealthCheckPort", target.port);
            if !quirks.no_state {
                xml.element("TargetHealth", |xml| {
                    xml.text("State", &target.state);
                    xml.optional("Reason", target.reason.as_ref());
                    xml.optional("Description", target.description.as_ref());
                });
            }
        });
    }))
}

fn tags(call: &mut Call<'_>) -> Result<String, ApiError> {
    let mut arns = call.params.take_members("ResourceArns");
    call.params.finish()?;
    if arns.is_empty() {
        return Err(ApiError::missing_parameter(Service::Elbv2, "ResourceArns"));
    }
    at_most(&arns)?;
    shuffle(call.nested_seed(), &mut arns, String::as_str);
    let found = arns.iter().map(|arn| Ok((arn, tags_of(call.region, arn)?))).collect::<Result<Vec<_>, ApiError>>()?;
    let seed = call.nested_seed();
    Ok(call.query_answer(|xml| {
        xml.list("TagDescriptions", "member", found, |xml, (arn, tags)| {
            xml.text("ResourceArn", arn);
            write_tags(xml, seed, &tags);
        });
    }))
}

fn tags_of(region: &Region, arn: &str) -> Result<Tags, ApiError> {
    let kind = arn.split(':').nth(5).and_then(|path| path.split('/').next()).unwrap_or_default();
    let listeners = || region.balancers.values().flat_map(|balancer| balancer.listeners.values());
    let (found, missing): (Option<Tags>, fn(&str) -> ApiError) = match kind {
        "loadbalancer" => (region.balancers.get(arn).map(|balancer| balancer.tags.clone()), no_balancer),
        "targetgroup" => (region.target_groups.get(arn).map(|group| group.tags.clone()), no_target_group),
        "listener" => (listeners().find(|listener| listener.arn == arn).map(|listener| listener.tags.clone()), no_listener),
        "listener-rule" => {
            let own = listeners().flat_map(|listener| &listener.rules).find(|rule| rule.arn == arn).map(|rule| rule.tags.clone());
            (own.or_else(|| listeners().any(|listener| default_rule_arn(listener) == arn).then(Tags::new)), no_rule)
        }
        _ => return Err(invalid(format!("'{arn}' is not a valid load balancer ARN"))),
    };
    found.ok_or_else(|| missing(arn))
}

/// Keys and values of the query protocol, in an order of the listing's own.
pub(crate) fn write_tags(xml: &mut Xml, seed: u64, tags: &Tags) {
    let mut tags: Vec<(&String, &String)> = tags.iter().collect();
    shuffle(seed, &mut tags, |(key, _)| key);
    xml.list("Tags", "member", tags, |xml, (key, value)| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
}

/// Keeps what is named, if anything is. All of it has to be there.
fn select<T>(found: &mut Vec<T>, named: &[String], name: impl Fn(&T) -> &str, missing: fn(&str) -> ApiError) -> Result<(), ApiError> {
    if named.is_empty() {
        return Ok(());
    }
    found.retain(|one| named.iter().any(|named| named == name(one)));
    named.iter().find(|named| !found.iter().any(|one| name(one) == named.as_str())).map_or(Ok(()), |named| Err(missing(named)))
}

fn take_paging(call: &mut Call<'_>) -> Result<usize, ApiError> {
    call.params.take("Marker");
    Ok(call.take_size("PageSize", 1, PAGE_MAX)?.unwrap_or(400))
}

fn at_most(named: &[String]) -> Result<(), ApiError> {
    if named.len() > NAMED_MAX {
        Err(invalid(format!("The number of resources specified ({}) exceeds the limit of {NAMED_MAX}", named.len())))
    } else {
        Ok(())
    }
}

fn one_kind(given: &[bool]) -> Result<(), ApiError> {
    if given.iter().filter(|given| **given).count() > 1 {
        Err(invalid("Only one of the parameters that select resources can be specified"))
    } else {
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid(Service::Elbv2, message)
}

fn no_balancer(name: &str) -> ApiError {
    ApiError::new(400, "LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

fn no_listener(arn: &str) -> ApiError {
    ApiError::new(400, "ListenerNotFound", format!("Listeners '[{arn}]' not found"))
}

fn no_rule(arn: &str) -> ApiError {
    ApiError::new(400, "RuleNotFound", format!("Rules '[{arn}]' not found"))
}

fn no_target_group(name: &str) -> ApiError {
    ApiError::new(400, "TargetGroupNotFound", format!("Target groups '[{name}]' not found"))
}
