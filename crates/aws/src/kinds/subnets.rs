//! Subnets: `ec2:DescribeSubnets`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::Subnet;
use dewpoint_core::model::{Attributes, Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, ec2_tags, edge, filled};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeSubnets");

/// The subnets of a place.
///
/// Source: Amazon EC2 API Reference, DescribeSubnets.
pub(crate) struct Subnets<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Subnets<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_subnets().max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("subnet-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for subnet in answer.subnets() {
            // Subnets can be shared with this account; each belongs to its owner's listing.
            if self.0.is_foreign(subnet.owner_id()) {
                found.leave(format!("subnet/{}", subnet.subnet_id().unwrap_or_default()), subnet.owner_id());
                // A network has the owner of its subnets.
                let network = format!("vpc/{}", subnet.vpc_id().unwrap_or_default());
                found.owners.insert(network, subnet.owner_id().unwrap_or_default().to_owned());
            } else {
                found.take(map(self.0, subnet));
            }
        }
        Ok(answer.next_token)
    }
}

fn map(place: &Place, subnet: &Subnet) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(subnet.subnet_id()) else { return Err(Refused::new("", "a subnet has no id")) };
    let key = place.key(&format!("subnet/{id}"))?;
    let network = place.network(subnet.vpc_id())?;
    let zone = filled(subnet.availability_zone());

    let v6 = subnet.ipv6_cidr_block_association_set().iter().filter_map(|set| set.ipv6_cidr_block());
    let cidrs: BTreeSet<String> =
        subnet.cidr_block().into_iter().chain(v6).filter_map(|cidr| filled(Some(cidr))).map(str::to_owned).collect();

    let mut facts = Facts::default();
    facts.texts("cidrs", cidrs);
    facts.text("zone", zone);
    facts.key("network", network.as_ref());
    facts.flag("is_default", subnet.default_for_az());
    facts.count("free_addresses", subnet.available_ip_address_count());

    let places = [network, zone.map(|zone| place.zone(zone)).transpose()?];
    let relations = places.into_iter().flatten().map(|to| edge(&key, RelationType::LocatedIn, to, Attributes::new())).collect();
    let mut resource = place.resource(Kind::Subnet, key, id, ec2_tags(subnet.tags()));
    resource.state = filled(subnet.state().map(|state| state.as_str())).map(str::to_owned);
    resource.attributes = facts.finish();
    Ok((resource, relations))
}
