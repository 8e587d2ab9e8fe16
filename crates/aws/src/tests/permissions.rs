//! Permissions: the policy, the declared actions and the calls made are one list. And the checks that name what is missing.

use std::collections::BTreeSet;

use dewpoint_core::doctor::Health;
use dewpoint_core::source::Source;

use super::fake::{Fake, Fault};
use super::*;

const POLICY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/aws/policy.json"));

#[test]
fn the_policy_allows_exactly_the_declared_actions() {
    let policy: serde_json::Value = serde_json::from_str(POLICY).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 1);
    assert_eq!((&statements[0]["Effect"], &statements[0]["Resource"]), (&"Allow".into(), &"*".into()));
    let allowed: Vec<&str> = statements[0]["Action"].as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect();
    assert_eq!(allowed, crate::ACTIONS);
}

#[tokio::test]
async fn exactly_the_declared_actions_are_called() {
    let fake = Fake::start().await;
    populate(&fake, EU, 1);
    fake.fail(US, "DescribeInstances", Fault::Error(401, "AuthFailure", "no"));
    let source = source(&fake, &[EU, US]);
    pull(&source).await;
    source.look_up(&[(key(EU, "instance/i-0000"), Kind::Instance)], &Notes::default()).await;
    source.doctor().await;
    let called: BTreeSet<String> = fake.with(|world| world.calls.iter().map(|call| call.action.clone()).collect());
    let declared = crate::ACTIONS.iter().map(|action| action.trim_start_matches("ec2:").to_owned());
    // GetCallerIdentity needs no permission.
    assert_eq!(called, declared.chain(["GetCallerIdentity".to_owned()]).collect());
}

#[tokio::test]
async fn doctor_names_the_missing_action_and_the_region_that_is_off() {
    let fake = Fake::start().await;
    fake.with(|world| world.regions = [(EU.to_owned(), "opted-in".to_owned()), (US.to_owned(), "not-opted-in".to_owned())].into());
    fake.fail(EU, "DescribeNetworkInterfaces", Fault::Error(403, "UnauthorizedOperation", "You are not authorized."));
    let findings = source(&fake, &[EU, US]).doctor().await;
    let found: Vec<(&str, Health)> = findings.iter().map(|finding| (finding.check.as_str(), finding.outcome)).collect();
    assert_eq!(
        found,
        [
            ("identity", Health::Ok),
            ("clock", Health::Ok),
            ("ec2:DescribeRegions", Health::Ok),
            ("region eu-test-1", Health::Ok),
            ("ec2:DescribeInstances in eu-test-1", Health::Ok),
            ("ec2:DescribeNetworkInterfaces in eu-test-1", Health::Error),
            ("ec2:DescribeSecurityGroups in eu-test-1", Health::Ok),
            ("region us-test-1", Health::Error),
        ]
    );
    assert!(findings.iter().all(|finding| finding.mend.is_some() == (finding.outcome != Health::Ok)), "{findings:?}");
    assert!(findings[5].mend.as_deref().unwrap().starts_with("allow ec2:DescribeNetworkInterfaces"));
    assert!(fake.calls("DescribeInstances").iter().all(|call| call.parameters["MaxResults"] == "5"), "cheap calls");
}

#[tokio::test]
async fn doctor_says_when_the_credentials_are_refused() {
    let fake = Fake::start().await;
    fake.fail(EU, "GetCallerIdentity", Fault::Error(403, "InvalidClientTokenId", "The security token is invalid."));
    let findings = source(&fake, &[EU]).doctor().await;
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].check.as_str(), findings[0].outcome), ("credentials", Health::Error));
    assert!(findings[0].mend.as_deref().unwrap().contains("AWS_PROFILE"));
}
