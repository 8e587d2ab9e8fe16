//! Auto Scaling.

use std::collections::BTreeMap;

use crate::{
    call::{Call, Handler, NestedIds},
    error::ApiError,
    hash::shuffle,
    service::Service,
    world::{LaunchTemplate, Member, MixedInstances, Region, ScalingGroup, ScalingTag},
    xml::Xml,
};

const PAGE_MAX: i64 = 100;
const PAGE_DEFAULT: usize = 50;

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] = &[("DescribeAutoScalingGroups", groups)];

fn groups(call: &mut Call<'_>) -> Result<String, ApiError> {
    let names = call.params.take_members("AutoScalingGroupNames");
    let with_instances = call.params.take_bool("IncludeInstances")?.unwrap_or(true);
    call.params.take_bool("IncludeManagedResources")?;
    call.params.take("NextToken");
    let size = call.take_size("MaxRecords", 1, PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    let filters = take_filters(call)?;
    call.params.finish()?;
    // Names that nobody has are passed over in silence.
    let passes =
        |group: &&ScalingGroup| (names.is_empty() || names.contains(&group.name)) && filters.iter().all(|filter| filter.pass(&group.tags));
    let found: Vec<&ScalingGroup> = call.region.scaling_groups.values().filter(passes).collect();
    let (page, next) = call.page(found, size, |group| (&group.name, &group.name))?;
    let nested = call.nested_ids();
    Ok(call.query_answer(|xml| {
        xml.list("AutoScalingGroups", "member", page.iter().enumerate(), |xml, (index, group)| {
            write(xml, call, group, call.quirks(index).no_id, with_instances, &nested);
        });
        xml.optional("NextToken", next.as_ref());
    }))
}

/// One of the filters `tag-key`, `tag-value` and `tag:KEY`.
struct Filter {
    name: String,
    values: Vec<String>,
}

impl Filter {
    fn pass(&self, tags: &BTreeMap<String, ScalingTag>) -> bool {
        match self.name.strip_prefix("tag:") {
            Some(key) => tags.get(key).is_some_and(|tag| self.values.contains(&tag.value)),
            None if self.name == "tag-key" => tags.keys().any(|key| self.values.contains(key)),
            None => tags.values().any(|tag| self.values.contains(&tag.value)),
        }
    }
}

fn take_filters(call: &mut Call<'_>) -> Result<Vec<Filter>, ApiError> {
    let mut filters = Vec::new();
    for index in 1.. {
        let Some(name) = call.params.take(&format!("Filters.member.{index}.Name")) else { break };
        let values = call.params.take_members(&format!("Filters.member.{index}.Values"));
        if !name.starts_with("tag:") && !["tag-key", "tag-value"].contains(&name.as_str()) {
            return Err(ApiError::invalid(
                Service::AutoScaling,
                format!("Filter type {name} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>"),
            ));
        }
        filters.push(Filter { name, values });
    }
    Ok(filters)
}

fn write(xml: &mut Xml, call: &Call<'_>, group: &ScalingGroup, no_id: bool, with_instances: bool, nested: &NestedIds) {
    let seed = call.nested_seed();
    let shuffled = |names: &[String]| {
        let mut names = names.to_vec();
        shuffle(seed, &mut names, String::as_str);
        names
    };
    xml.optional("AutoScalingGroupName", Some(&group.name).filter(|_| !no_id));
    xml.text("AutoScalingGroupARN", &group.arn);
    xml.optional("LaunchConfigurationName", group.configuration.as_ref());
    write_template(xml, "LaunchTemplate", group.template.as_ref());
    if let Some(mixed) = &group.mixed {
        write_mixed(xml, mixed);
    }
    xml.plain("MinSize", group.min);
    xml.plain("MaxSize", group.max);
    xml.plain("DesiredCapacity", group.desired);
    xml.plain("DefaultCooldown", 300);
    xml.texts("AvailabilityZones", "member", shuffled(&group.zones));
    xml.texts("LoadBalancerNames", "member", shuffled(&group.balancers));
    xml.texts("TargetGroupARNs", "member", shuffled(&group.target_groups));
    xml.text("HealthCheckType", &group.health_check);
    xml.plain("HealthCheckGracePeriod", 300);
    let mut members: Vec<(&String, &Member)> = if with_instances { group.instances.iter().collect() } else { Vec::new() };
    shuffle(seed, &mut members, |(id, _)| id);
    xml.list("Instances", "member", members, |xml, (id, member)| write_member(xml, call.region, group, (id, member), nested));
    xml.time("CreatedTime", group.created);
    xml.list("SuspendedProcesses", "member", &group.suspended, |xml, name| {
        xml.text("ProcessName", name);
        xml.text("SuspensionReason", "User suspended at 2026-01-01T00:00:00Z");
    });
    xml.text("VPCZoneIdentifier", &shuffled(&group.subnets).join(","));
    xml.list("EnabledMetrics", "member", [(); 0], |_, ()| {});
    xml.optional("Status", group.status.as_ref());
    let mut tags: Vec<(&String, &ScalingTag)> = group.tags.iter().collect();
    shuffle(seed, &mut tags, |(key, _)| key);
    xml.list("Tags", "member", tags, |xml, (key, tag)| {
        xml.text("ResourceId", &group.name);
        xml.text("ResourceType", "auto-scaling-group");
        xml.text("Key", key);
        xml.text("Value", &tag.value);
        xml.plain("PropagateAtLaunch", tag.propagate);
    });
    xml.texts("TerminationPolicies", "member", ["Default"]);
    xml.plain("NewInstancesProtectedFromScaleIn", false);
    let sources = group.target_groups.iter().map(|arn| (arn, "elbv2")).chain(group.balancers.iter().map(|name| (name, "elb")));
    xml.list("TrafficSources", "member", sources, |xml, (identifier, kind)| {
        xml.text("Identifier", identifier);
        xml.text("Type", kind);
    });
}

/// An instance of the group; type and zone are those of the instance.
fn write_member(xml: &mut Xml, region: &Region, group: &ScalingGroup, (id, member): (&str, &Member), nested: &NestedIds) {
    let instance = region.instances.get(id);
    xml.optional("InstanceId", nested.send(id));
    xml.optional("InstanceType", instance.map(|instance| &instance.instance_type));
    xml.text("AvailabilityZone", instance.map(|instance| &instance.zone).or(group.zones.first()).map_or("", |zone| zone));
    xml.text("LifecycleState", &member.lifecycle);
    xml.text("HealthStatus", &member.health);
    xml.optional("LaunchConfigurationName", group.configuration.as_ref());
    write_template(xml, "LaunchTemplate", group.template.as_ref().or(group.mixed.as_ref().map(|mixed| &mixed.template)));
    xml.plain("ProtectedFromScaleIn", member.protected);
}

fn write_template(xml: &mut Xml, name: &str, template: Option<&LaunchTemplate>) {
    let Some(template) = template else { return };
    xml.element(name, |xml| {
        xml.text("LaunchTemplateId", &template.id);
        xml.text("LaunchTemplateName", &template.name);
        xml.optional("Version", Some(&template.version));
    });
}

fn write_mixed(xml: &mut Xml, mixed: &MixedInstances) {
    xml.element("MixedInstancesPolicy", |xml| {
        xml.element("LaunchTemplate", |xml| {
            write_template(xml, "LaunchTemplateSpecification", Some(&mixed.template));
            xml.list("Overrides", "member", &mixed.overrides, |xml, one| {
                xml.text("InstanceType", &one.instance_type);
                xml.optional_plain("WeightedCapacity", one.weight);
            });
        });
        xml.element("InstancesDistribution", |xml| {
            xml.text("OnDemandAllocationStrategy", "prioritized");
            xml.plain("OnDemandBaseCapacity", mixed.distribution.on_demand_base);
            xml.plain("OnDemandPercentageAboveBaseCapacity", mixed.distribution.on_demand_percent);
            xml.optional("SpotAllocationStrategy", Some(&mixed.distribution.spot_strategy));
        });
    });
}
