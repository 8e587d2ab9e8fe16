//! Who the credentials are: `sts:GetCallerIdentity`, which needs no permission.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use dewpoint_core::model::{Account, Region, SourceName};
use dewpoint_core::source::Progress;

use crate::client::{self, Meter};
use crate::error::{Fault, Reason};

pub(crate) const OPERATION: &str = "sts:GetCallerIdentity";

/// Regions whose STS may fail to answer before the caller counts as unreachable.
const UNANSWERED_MAX: usize = 2;

/// The caller, as STS knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: Account,
    /// `aws`, `aws-cn`, `aws-us-gov` …; never guessed from region names.
    pub(crate) partition: String,
    pub(crate) arn: String,
    /// The region whose STS answered.
    pub(crate) home: Region,
}

/// The clients of one account.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) identity: Identity,
    ec2: BTreeMap<Region, aws_sdk_ec2::Client>,
}

impl Session {
    pub(crate) fn new(identity: Identity, shared: &SdkConfig, regions: &[Region], endpoint_url: Option<&str>) -> Self {
        let client = |region: &Region| (region.clone(), client::ec2(shared, &identity.account, region, endpoint_url));
        Self { ec2: regions.iter().map(client).collect(), identity }
    }

    pub(crate) fn ec2(&self, region: &Region) -> Option<&aws_sdk_ec2::Client> {
        self.ec2.get(region)
    }
}

/// The answer of STS with the time by its clock.
pub(crate) struct Answer {
    pub(crate) identity: Identity,
    /// The answer's `Date` header.
    pub(crate) date: Option<String>,
}

/// Asks STS in the listed regions, one after the other, who the caller is.
///
/// The first region may be one that the account has not enabled, whose STS refuses good credentials; so a refusal counts only
/// when all regions agree. Where nobody answers, one more region is asked: each can take minutes to give up. The error is that
/// of the first region that did not refuse, else of the first.
pub(crate) async fn identify(
    shared: &SdkConfig,
    regions: &[Region],
    endpoint_url: Option<&str>,
    source: &SourceName,
    progress: &dyn Progress,
) -> Result<Answer, Fault> {
    let mut faults = Vec::new();
    let mut unanswered = 0;
    for region in regions {
        let meter = Meter::default();
        let call = client::sts(shared, region, endpoint_url).get_caller_identity().customize().interceptor(meter.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| Fault::of(OPERATION, &error));
        meter.report(progress, source, OPERATION);
        let fault = match answer {
            Ok(answer) => match parse(answer.arn(), answer.account(), region) {
                Some(identity) => return Ok(Answer { identity, date: meter.date() }),
                None => Fault::truncated(OPERATION, "the answer holds no account or ARN"),
            },
            Err(fault) => fault,
        };
        let elsewhere = match fault.reason {
            Reason::Unrecognised | Reason::Disabled | Reason::Denied => true,
            Reason::Failed => {
                unanswered += 1;
                // With an endpoint of the configuration, all regions are the same server.
                unanswered < UNANSWERED_MAX && endpoint_url.is_none()
            }
            // Missing credentials are missing everywhere.
            Reason::Credentials | Reason::Throttled | Reason::Truncated | Reason::StaleToken => false,
        };
        faults.push(fault);
        if !elsewhere {
            break;
        }
    }
    let is_refusal = |fault: &Fault| matches!(fault.reason, Reason::Unrecognised | Reason::Disabled | Reason::Denied);
    // The smallest is the first that is none.
    let told = faults.into_iter().min_by_key(is_refusal);
    Err(told.unwrap_or_else(|| Fault { reason: Reason::Failed, operation: OPERATION, text: "no region is configured".to_owned() }))
}

fn parse(arn: Option<&str>, account: Option<&str>, home: &Region) -> Option<Identity> {
    let arn = arn?;
    let mut parts = arn.split(':');
    let ("arn", partition) = (parts.next()?, parts.next().filter(|partition| !partition.is_empty())?) else { return None };
    let account = account.or_else(|| arn.split(':').nth(4))?.parse().ok()?;
    Some(Identity { account, partition: partition.to_owned(), arn: arn.to_owned(), home: home.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_and_account_come_from_the_answer() -> Result<(), Box<dyn std::error::Error>> {
        let home: Region = "cn-north-1".parse()?;
        let identity = parse(Some("arn:aws-cn:sts::123456789012:assumed-role/r/s"), Some("123456789012"), &home);
        let identity = identity.ok_or("no identity")?;
        assert_eq!((identity.partition.as_str(), identity.account.as_str()), ("aws-cn", "123456789012"));
        assert_eq!(parse(Some("user/x"), Some("123456789012"), &home), None);
        assert_eq!(parse(None, Some("123456789012"), &home), None);
        Ok(())
    }
}
