//! Who the credentials are: `sts:GetCallerIdentity`, which needs no permission.

use std::sync::Arc;

use aws_config::SdkConfig;
use dewpoint_core::model::{Account, Region};
use dewpoint_core::source::Progress;

use crate::action::Action;
use crate::error::Fault;
use crate::session::{Calls, RegionSession, Terms};
use crate::turn::Turn;

pub(crate) const ACTION: Action = Action::sts("sts:GetCallerIdentity");

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

/// The answer of STS with the time by its clock.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) identity: Identity,
    /// The answer's `Date` header.
    pub(crate) date: Option<String>,
}

/// Asks STS in a region who the caller is.
pub(crate) async fn ask(calls: &Calls<'_>, region: &Region) -> Result<Answer, Fault> {
    let watched = std::sync::Mutex::new(None);
    let send = |meter: crate::meter::Meter| {
        if let Ok(mut watched) = watched.lock() {
            *watched = Some(meter.clone());
        }
        calls.clients().sts().get_caller_identity().customize().interceptor(meter).send()
    };
    let answer = calls.call(ACTION, send).await?;
    let date = watched.into_inner().ok().flatten().and_then(|meter| meter.date());
    match parse(answer.arn(), answer.account(), region) {
        Some(identity) => Ok(Answer { identity, date }),
        None => Err(Fault::truncated(ACTION.name, "the answer holds no account or ARN")),
    }
}

/// Asks STS in several regions, one after the other, who the caller is.
///
/// The first region may be one that the account has not enabled, whose STS refuses good credentials, or one of another partition; so a refusal
/// counts only when all regions agree.
pub(crate) async fn find(shared: &SdkConfig, turn: &Turn, terms: &Arc<Terms>, progress: &dyn Progress) -> Result<Answer, Fault> {
    turn.ask(ACTION.name, |region| async move {
        let session = RegionSession::new(shared, terms.source.as_str(), region, terms);
        ask(&Calls::new(&session, progress), region).await
    })
    .await
}

/// An identity from its ARN, for what answered in a region.
pub(crate) fn parse(arn: Option<&str>, account: Option<&str>, home: &Region) -> Option<Identity> {
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
