//! Which regions an account has: `ec2:DescribeRegions`.

use std::collections::BTreeMap;

use dewpoint_core::model::{Kind, Region, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Facts, Place, Refused, filled, tags};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeRegions");

/// AWS's word for a region that the account has not enabled.
const NOT_OPTED_IN: &str = "not-opted-in";

/// The opt-in status of every region that the account's partition has, in AWS's words.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegionList(BTreeMap<Region, String>);

impl RegionList {
    /// Whether AWS says that the account cannot use the region.
    pub(crate) fn is_off(&self, region: &Region) -> bool {
        self.status(region) == Some(NOT_OPTED_IN)
    }

    /// `opt-in-not-required`, `opted-in` or `not-opted-in`; `None` for a region that AWS does not name.
    pub(crate) fn status(&self, region: &Region) -> Option<&str> {
        self.0.get(region).map(String::as_str)
    }

    /// All regions, those that are off included.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Region> {
        self.0.keys()
    }
}

/// Asks for the status of all regions, those that are off included. The answer has one page.
///
/// Source: Amazon EC2 API Reference, DescribeRegions.
pub(crate) async fn list(calls: &Calls<'_>) -> Result<RegionList, Fault> {
    let send = |meter| calls.clients().ec2().describe_regions().all_regions(true).customize().interceptor(meter).send();
    let rows = calls.call(ACTION, send).await?.regions.unwrap_or_default();
    let read = |name: Option<&str>| filled(name).and_then(|name| name.parse().ok());
    let mut list = BTreeMap::new();
    for row in &rows {
        let (Some(region), Some(status)) = (read(row.region_name()), filled(row.opt_in_status())) else {
            return Err(Fault::truncated(ACTION.name, "a region has no name or no status"));
        };
        list.insert(region, status.to_owned());
    }
    if list.is_empty() {
        return Err(Fault::truncated(ACTION.name, "the answer names no region"));
    }
    Ok(RegionList(list))
}

/// The region itself.
pub(crate) fn resource(place: &Place) -> Result<Resource, Refused> {
    let mut facts = Facts::default();
    facts.text("display_name", Some(place.region.as_str()));
    let mut resource = place.resource(Kind::Region, place.region_key()?, place.region.as_str(), tags([]));
    resource.name = Some(place.region.as_str().to_owned());
    resource.attributes = facts.finish();
    Ok(resource)
}
