//! Elastic addresses: `ec2:DescribeAddresses`.

use async_trait::async_trait;
use aws_sdk_ec2::types::Address;
use dewpoint_core::model::{Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, ec2_tags, edge, filled};
use crate::paging::{Ask, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeAddresses");

/// The elastic addresses of a place. The answer has one page.
///
/// Source: Amazon EC2 API Reference, DescribeAddresses.
pub(crate) struct PublicAddresses<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for PublicAddresses<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_addresses().set_filters(ask.filters("allocation-id"));
            call.customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for address in answer.addresses() {
            found.take(map(self.0, address));
        }
        Ok(None)
    }
}

fn map(place: &Place, address: &Address) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(address.allocation_id()) else {
        return Err(Refused::new("", format!("the elastic address {} has no allocation id", address.public_ip().unwrap_or("?"))));
    };
    let key = place.key(&format!("elastic-ip/{id}"))?;

    let mut facts = Facts::default();
    facts.text("address", address.public_ip().or(address.carrier_ip()));
    // An elastic address is kept until it is released.
    facts.text("allocation", Some("static"));

    let mut relations = Vec::new();
    // One that a service (a NAT gateway, a balancer) holds is attached to no machine of the account.
    if let Some(instance) = filled(address.instance_id()) {
        let mut facts = Facts::default();
        facts.flag("delete_on_termination", Some(false));
        relations.push(edge(&key, RelationType::AttachedTo, place.key(&format!("instance/{instance}"))?, facts.finish()));
    }

    let mut resource = place.resource(Kind::PublicAddress, key, id, ec2_tags(address.tags()));
    resource.state = Some(if filled(address.association_id()).is_some() { "associated" } else { "unassociated" }.to_owned());
    resource.attributes = facts.finish();
    Ok((resource, relations))
}
