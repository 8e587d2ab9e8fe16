//! Virtual networks: `ec2:DescribeVpcs`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::Vpc;
use dewpoint_core::model::{Attributes, Kind, Relation, RelationType, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Found, Place, Refused, ec2_tags, edge, filled};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeVpcs");

/// The networks of a place.
///
/// Source: Amazon EC2 API Reference, DescribeVpcs.
pub(crate) struct Networks<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Networks<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_vpcs().max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("vpc-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for vpc in answer.vpcs() {
            // A network whose subnets are shared with this account shows here, too.
            if self.0.is_foreign(vpc.owner_id()) {
                found.leave(format!("vpc/{}", vpc.vpc_id().unwrap_or_default()), vpc.owner_id());
            } else {
                found.take(map(self.0, vpc));
            }
        }
        Ok(answer.next_token)
    }
}

fn map(place: &Place, vpc: &Vpc) -> Result<(Resource, Vec<Relation>), Refused> {
    let Some(id) = filled(vpc.vpc_id()) else { return Err(Refused::new("", "a network has no id")) };
    let key = place.key(&format!("vpc/{id}"))?;

    let v4 = vpc.cidr_block_association_set().iter().filter(|set| {
        let state = set.cidr_block_state().and_then(|state| state.state()).map(|state| state.as_str());
        state.is_none_or(|state| state == "associated")
    });
    let v6 = vpc.ipv6_cidr_block_association_set().iter().filter(|set| {
        let state = set.ipv6_cidr_block_state().and_then(|state| state.state()).map(|state| state.as_str());
        state.is_none_or(|state| state == "associated")
    });
    let all = v4.filter_map(|set| set.cidr_block()).chain(v6.filter_map(|set| set.ipv6_cidr_block())).chain(vpc.cidr_block());
    let cidrs: BTreeSet<String> = all.filter_map(|cidr| filled(Some(cidr))).map(str::to_owned).collect();

    let mut facts = Facts::default();
    facts.texts("cidrs", cidrs);
    facts.flag("is_default", vpc.is_default());

    let relations = vec![edge(&key, RelationType::LocatedIn, place.region_key()?, Attributes::new())];
    let mut resource = place.resource(Kind::Network, key, id, ec2_tags(vpc.tags()));
    resource.state = filled(vpc.state().map(|state| state.as_str())).map(str::to_owned);
    resource.attributes = facts.finish();
    Ok((resource, relations))
}
