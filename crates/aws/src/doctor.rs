//! Online checks: identity, clock, regions, and each needed action by a cheap call.

use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use dewpoint_core::doctor::{CREDENTIALS, Finding, Health};
use dewpoint_core::model::{Outcome, Region, Scope, SourceName};
use dewpoint_core::source::{Progress, SourceError};
use jiff::{SignedDuration, Timestamp};

use crate::listing::{Run, operation};
use crate::map::instant;
use crate::regions::{self, Enabled};
use crate::{AwsSource, KINDS};

/// Clock difference that is worth a word. `Date` headers carry whole seconds, and answers take some.
const SKEW_WARNING: Duration = Duration::from_secs(60);
/// Clock difference at which AWS refuses signatures.
///
/// Source: IAM User Guide, "Signature Version 4": a request must reach AWS within five minutes of its time stamp.
const SKEW_ERROR: Duration = Duration::from_secs(300);

/// Items asked for to try an action: the smallest page EC2 takes.
const PROBE_SIZE: i32 = 5;

/// Nobody watches a check.
struct Silent;

impl Progress for Silent {
    fn scope_started(&self, _: &SourceName, _: &Scope) {}
    fn scope_finished(&self, _: &SourceName, _: &Scope, _: Outcome, _: u64) {}
    fn called(&self, _: &str, _: &str) {}
    fn waited(&self, _: &str, _: f64) {}
}

pub(crate) async fn doctor(source: &AwsSource) -> Vec<Finding> {
    let name = &source.config.name;
    let finding =
        |check: String, outcome, text: String, mend: Option<String>| Finding { subject: name.to_string(), check, outcome, text, mend };
    let (session, date) = match source.identify(&Silent).await {
        Ok(found) => found,
        Err(fault) => {
            let error = source.no_identity(&fault);
            let (check, mend) = match &error {
                SourceError::Credentials { .. } => (
                    CREDENTIALS,
                    "give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine or container",
                ),
                _ => ("identity", "check the network, the proxy and `endpoint_url`"),
            };
            return vec![finding(check.to_owned(), Health::Error, error.to_string(), Some(mend.to_owned()))];
        }
    };
    let identity = &session.identity;
    let mut findings = vec![finding("identity".to_owned(), Health::Ok, format!("account {}, {}", identity.account, identity.arn), None)];
    let (outcome, text, mend) = clock(date.as_deref(), (source.config.clock)());
    findings.push(finding("clock".to_owned(), outcome, text, mend));

    let run = Run::new(name, &session, &Silent);
    let enabled = regions::enabled(&run).await;
    let (outcome, text, mend) = match &enabled {
        Ok(_) => (Health::Ok, "allowed".to_owned(), None),
        Err(fault) => {
            let mend = format!("allow {}: without it a region that is not enabled looks like a denied one", regions::OPERATION);
            (Health::Warning, fault.error(name).to_string(), Some(mend))
        }
    };
    findings.push(finding(regions::OPERATION.to_owned(), outcome, text, mend));

    for region in &source.config.regions {
        let (outcome, text, mend) = status(region, enabled.as_ref().ok());
        let off = outcome == Health::Error;
        findings.push(finding(format!("region {region}"), outcome, text, mend));
        if off {
            continue;
        }
        for kind in KINDS {
            let action = operation(*kind).unwrap_or_default();
            let probe = run.page(*kind, &source.place(&session, region), None, None, PROBE_SIZE).await;
            let (outcome, text, mend) = match probe {
                Ok(_) => (Health::Ok, "allowed".to_owned(), None),
                Err(fault) => {
                    let error = run.explain(region, &fault).await;
                    (Health::Error, error.to_string(), mend_for(&error, action, region))
                }
            };
            findings.push(finding(format!("{action} in {region}"), outcome, text, mend));
        }
    }
    findings
}

fn mend_for(error: &SourceError, action: &str, region: &Region) -> Option<String> {
    match error {
        SourceError::Denied { text, .. } if text.contains("service control policy") => {
            Some(format!("a service control policy of the organization denies it: leave {region} out of `regions`, or accept the gap"))
        }
        SourceError::Denied { .. } => Some(format!("allow {action} for this identity, see deploy/aws/policy.json")),
        _ => error.hint(),
    }
}

fn status(region: &Region, enabled: Option<&Enabled>) -> (Health, String, Option<String>) {
    let Some(enabled) = enabled else {
        return (Health::Warning, "not known".to_owned(), Some(format!("allow {}", regions::OPERATION)));
    };
    match enabled.status(region) {
        Some("not-opted-in") => {
            let mend = format!("enable {region} for the account, or leave it out of `regions`");
            (Health::Error, "not enabled for the account".to_owned(), Some(mend))
        }
        Some(status) => (Health::Ok, status.to_owned(), None),
        None => {
            let mend = "check the spelling in `regions`".to_owned();
            (Health::Warning, "AWS does not name this region for the account".to_owned(), Some(mend))
        }
    }
}

fn clock(date: Option<&str>, now: Timestamp) -> (Health, String, Option<String>) {
    let service = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
    let Some(service) = instant(service.as_ref()) else {
        return (Health::Warning, "the answer of AWS shows no time".to_owned(), None);
    };
    let skew: SignedDuration = now.duration_since(service);
    let (seconds, side) = (skew.as_secs().unsigned_abs(), if skew.is_negative() { "behind" } else { "ahead of" });
    let mend = Some("set this machine's clock, best by NTP".to_owned());
    let text = format!("{seconds} s {side} AWS");
    match skew.unsigned_abs() {
        skew if skew >= SKEW_ERROR => (Health::Error, format!("{text}, which refuses signatures from 5 minutes on"), mend),
        skew if skew >= SKEW_WARNING => (Health::Warning, text, mend),
        _ => (Health::Ok, text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(now: &str, outcome: Health, words: &str) {
        let now = now.parse().unwrap_or_default();
        let (found, text, mend) = clock(Some("Fri, 02 Jan 2026 03:04:05 GMT"), now);
        assert_eq!((found, mend.is_some()), (outcome, outcome != Health::Ok), "{text}");
        assert!(text.contains(words), "{text}");
    }

    #[test]
    fn clock_skew_has_two_thresholds() {
        expect("2026-01-02T03:04:06Z", Health::Ok, "1 s ahead of AWS");
        expect("2026-01-02T03:03:06Z", Health::Ok, "59 s behind AWS");
        expect("2026-01-02T03:05:05Z", Health::Warning, "60 s ahead of AWS");
        expect("2026-01-02T02:59:05Z", Health::Error, "300 s behind AWS");
    }

    #[test]
    fn a_missing_date_is_no_skew() {
        assert_eq!(clock(None, Timestamp::UNIX_EPOCH).0, Health::Warning);
        assert_eq!(clock(Some("yesterday"), Timestamp::UNIX_EPOCH).0, Health::Warning);
    }
}
