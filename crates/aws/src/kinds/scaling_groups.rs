//! Auto Scaling groups: `autoscaling:DescribeAutoScalingGroups`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchTemplateSpecification};
use dewpoint_core::model::{Attributes, Key, Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, edge, filled, instant, name_and_arn, part_id, tags};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::auto_scaling("autoscaling:DescribeAutoScalingGroups");

/// Groups asked for per page, the most that the action takes.
const PAGE: i32 = 100;

/// The scaling groups of a place, with their members.
///
/// Source: Amazon EC2 Auto Scaling API Reference, DescribeAutoScalingGroups.
pub(crate) struct ScalingGroups<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for ScalingGroups<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().auto_scaling().describe_auto_scaling_groups().max_records(ask.size(PAGE));
            call.set_next_token(ask.token()).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for group in answer.auto_scaling_groups() {
            found.take(map(self.0, group));
        }
        Ok(answer.next_token)
    }
}

fn map(place: &Place, group: &AutoScalingGroup) -> Result<(Resource, Vec<Relation>), Refused> {
    let (name, arn) = name_and_arn("scaling group", group.auto_scaling_group_name(), group.auto_scaling_group_arn())?;
    let key = Key::aws(arn)?;

    let mut facts = Facts::default();
    facts.count("min_size", group.min_size());
    facts.count("max_size", group.max_size());
    facts.count("desired_size", group.desired_capacity());
    facts.texts("zones", group.availability_zones().iter().map(ToOwned::to_owned).collect());
    facts.texts("sizes", sizes(group));
    facts.text("launch_template", launch_template(group));
    facts.count("member_count", i64::try_from(group.instances().len()).ok());

    let members = group.instances().iter().map(|member| part_id(name, "member", member.instance_id()));
    let members: BTreeSet<&str> = members.collect::<Result<_, _>>()?;
    let mut relations = Vec::with_capacity(members.len());
    for id in members {
        relations.push(edge(&place.key(&format!("instance/{id}"))?, RelationType::MemberOf, key.clone(), Attributes::new()));
    }

    let mut resource = place.resource(Kind::ScalingGroup, key, name, tags(group.tags().iter().map(|tag| (tag.key(), tag.value()))));
    resource.name = Some(name.to_owned());
    // AWS names a state only while a group is being deleted.
    resource.state = filled(group.status()).map(|status| status.to_lowercase().replace(' ', "_"));
    resource.created_at = instant(group.created_time());
    resource.attributes = facts.finish();
    Ok((resource, relations))
}

/// The types of its members, and those that it may launch.
fn sizes(group: &AutoScalingGroup) -> BTreeSet<String> {
    let members = group.instances().iter().filter_map(|member| member.instance_type());
    let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let overrides = mixed.iter().flat_map(|template| template.overrides()).filter_map(|entry| entry.instance_type());
    members.chain(overrides).filter_map(|size| filled(Some(size))).map(str::to_owned).collect()
}

/// Id of its launch template, or name of its launch configuration.
fn launch_template(group: &AutoScalingGroup) -> Option<&str> {
    let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let template = group.launch_template().or_else(|| mixed.and_then(|template| template.launch_template_specification()));
    template.and_then(LaunchTemplateSpecification::launch_template_id).or_else(|| group.launch_configuration_name())
}
