//! Which regions the account has: `ec2:DescribeRegions`.

use std::collections::BTreeMap;

use dewpoint_core::model::Region;

use crate::client::Meter;
use crate::error::{Fault, Reason};
use crate::listing::Run;

pub(crate) const OPERATION: &str = "ec2:DescribeRegions";

/// The opt-in status of every region that the account's partition has, in AWS's words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enabled(BTreeMap<String, String>);

impl Enabled {
    /// Whether AWS says that the account cannot use the region.
    pub(crate) fn is_off(&self, region: &Region) -> bool {
        self.status(region) == Some("not-opted-in")
    }

    /// `opt-in-not-required`, `opted-in` or `not-opted-in`; `None` for a region that AWS does not name.
    pub(crate) fn status(&self, region: &Region) -> Option<&str> {
        self.0.get(region.as_str()).map(String::as_str)
    }
}

/// Asks for the status of all regions, those that are off included. The answer has one page.
///
/// Source: Amazon EC2 API Reference, DescribeRegions.
pub(crate) async fn enabled(run: &Run<'_>) -> Result<Enabled, Fault> {
    let Some(client) = run.session.ec2(&run.session.identity.home) else {
        return Err(Fault { reason: Reason::Failed, operation: OPERATION, text: "no region is configured".to_owned() });
    };
    let meter = Meter::default();
    let call = client.describe_regions().all_regions(true).customize().interceptor(meter.clone());
    let answer = Box::pin(call.send()).await.map_err(|error| Fault::of(OPERATION, &error));
    meter.report(run.progress, run.source, OPERATION);
    let rows = answer?.regions.unwrap_or_default();
    Ok(Enabled(rows.into_iter().filter_map(|row| Some((row.region_name?, row.opt_in_status?))).collect()))
}
