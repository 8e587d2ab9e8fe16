//! Availability zones: `ec2:DescribeAvailabilityZones`.

use async_trait::async_trait;
use aws_sdk_ec2::types::AvailabilityZone;
use dewpoint_core::model::{Attributes, Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, edge, filled, tags};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeAvailabilityZones");

/// The zones that the account can use in a region, local zones that it opted into among them. The same name is another zone in another
/// account; the zone's id is the same for all. The answer has one page.
///
/// Source: Amazon EC2 API Reference, DescribeAvailabilityZones; AWS RAM User Guide, "Availability Zone IDs".
pub(crate) struct Zones<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Zones<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_availability_zones().set_filters(ask.filters("zone-name"));
            call.customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for zone in answer.availability_zones() {
            found.take(map(self.0, zone));
        }
        Ok(None)
    }
}

fn map(place: &Place, zone: &AvailabilityZone) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(name) = filled(zone.zone_name()) else { return Err(Refused::new("", "a zone has no name")) };
    let key = place.zone(name)?;
    let mut facts = Facts::default();
    facts.text("zone_id", zone.zone_id());
    let relations = vec![edge(&key, RelationType::LocatedIn, place.region_key()?, Attributes::new())];
    let mut resource = place.resource(Kind::Zone, key, name, tags([]));
    resource.name = Some(name.to_owned());
    resource.state = filled(zone.state().map(|state| state.as_str())).map(str::to_owned);
    resource.attributes = facts.finish();
    Ok((resource, relations))
}
