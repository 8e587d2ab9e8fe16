//! Volumes: `ec2:DescribeVolumes`.

use async_trait::async_trait;
use aws_sdk_ec2::types::Volume;
use dewpoint_core::model::{Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, ec2_tags, edge, filled, instant, part_id};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeVolumes");

/// The volumes of a place, with those that a service manages.
///
/// Source: Amazon EC2 API Reference, DescribeVolumes.
pub(crate) struct Volumes<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Volumes<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_volumes().include_managed_resources(true).max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("volume-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for volume in answer.volumes() {
            found.take(map(self.0, volume));
        }
        Ok(answer.next_token)
    }
}

fn map(place: &Place, volume: &Volume) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(volume.volume_id()) else { return Err(Refused::new("", "a volume has no id")) };
    let Some(state) = filled(volume.state().map(|state| state.as_str())) else {
        return Err(Refused::new(id, "the volume has no state"));
    };
    let key = place.key(&format!("volume/{id}"))?;

    let mut facts = Facts::default();
    facts.count("size_gib", volume.size());
    facts.text("volume_type", volume.volume_type().map(|kind| kind.as_str()));
    facts.count("iops", volume.iops());
    facts.flag("encrypted", volume.encrypted());
    facts.text("zone", volume.availability_zone());
    facts.text("snapshot", volume.snapshot_id());

    let mut relations = Vec::new();
    for attachment in volume.attachments() {
        // Attached to something of a service's, which is no machine of the account.
        if filled(attachment.instance_id()).is_none() && filled(attachment.associated_resource()).is_some() {
            continue;
        }
        let instance = part_id(id, "machine", attachment.instance_id())?;
        let mut facts = Facts::default();
        facts.text("device", attachment.device());
        facts.flag("delete_on_termination", attachment.delete_on_termination());
        relations.push(edge(&key, RelationType::AttachedTo, place.key(&format!("instance/{instance}"))?, facts.finish()));
    }

    let mut resource = place.resource(Kind::Volume, key, id, ec2_tags(volume.tags()));
    resource.state = Some(state.to_owned());
    resource.created_at = instant(volume.create_time());
    resource.attributes = facts.finish();
    Ok((resource, relations))
}
