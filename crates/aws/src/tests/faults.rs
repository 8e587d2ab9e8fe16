//! What goes wrong ends in its own receipt, never in a shorter list.

use dewpoint_core::model::{Kind, Outcome};
use dewpoint_core::source::{Source, SourceError};

use super::fake::{Fake, Fault, SECRET, Script};
use super::*;

#[tokio::test]
async fn throttling_that_ends_is_waited_for() {
    let fake = Fake::start().await;
    populate(&fake, EU, 3);
    let fault = Fault::Error(503, "RequestLimitExceeded", "Request limit exceeded.");
    fake.script(Script { region: EU, action: "DescribeInstances", first: 0, times: 2, fault });
    let notes = Notes::default();
    let pull = source(&fake, &[EU]).pull(&notes).await.unwrap();
    outcome(&pull, EU, Kind::Instance, Outcome::Complete);
    assert_eq!(notes.calls.lock().unwrap()["ec2:DescribeInstances"], 3, "retries are calls, too");
    let waits = notes.waits.lock().unwrap();
    assert!(waits.len() == 1 && waits[0] > 0.0, "{waits:?}");
}

#[tokio::test]
async fn throttling_without_end_is_throttled() {
    let fake = Fake::start().await;
    populate(&fake, EU, 3);
    fake.fail(EU, "DescribeInstances", Fault::Error(503, "RequestLimitExceeded", "Request limit exceeded."));
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Throttled);
    others_complete(&pull, EU, Kind::Instance);
    assert_eq!(fake.calls("DescribeInstances").len(), 5, "attempts");
}

#[tokio::test]
async fn a_denied_region_stops_no_other() {
    let fake = Fake::start().await;
    populate(&fake, EU, 2);
    populate(&fake, US, 2);
    let message = "You are not authorized. Encoded authorization failure message: AAAA";
    fake.fail(US, "DescribeSecurityGroups", Fault::Error(403, "UnauthorizedOperation", message));
    let pull = pull(&source(&fake, &[EU, US])).await;
    outcome(&pull, US, Kind::SecurityGroup, Outcome::Denied);
    others_complete(&pull, US, Kind::SecurityGroup);
    let error = receipt(&pull, US, Kind::SecurityGroup).error.as_deref();
    assert_eq!(error, Some("source `cloud` may not ec2:DescribeSecurityGroups: UnauthorizedOperation: You are not authorized."));
    assert_eq!(pull.resources.len(), 10);
    assert!(fake.calls("DescribeRegions").is_empty(), "no question about regions without a reason");
}

const AUTH_FAILURE: Fault = Fault::Error(401, "AuthFailure", "AWS was not able to validate the provided access credentials");

#[tokio::test]
async fn a_region_that_is_not_enabled_is_disabled_not_denied() {
    let fake = Fake::start().await;
    populate(&fake, EU, 2);
    for action in ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups"] {
        fake.fail(US, action, AUTH_FAILURE);
    }
    fake.with(|world| {
        world.regions = [(EU.to_owned(), "opt-in-not-required".to_owned()), (US.to_owned(), "not-opted-in".to_owned())].into();
    });
    let pull = pull(&source(&fake, &[EU, US])).await;
    for kind in crate::KINDS {
        outcome(&pull, US, *kind, Outcome::Disabled);
        outcome(&pull, EU, *kind, Outcome::Complete);
    }
    assert_eq!(fake.calls("DescribeRegions").len(), 1, "asked once for all scopes");
}

#[tokio::test]
async fn the_same_refusal_in_an_enabled_region_is_a_denial() {
    let fake = Fake::start().await;
    fake.fail(EU, "DescribeInstances", AUTH_FAILURE);
    fake.with(|world| world.regions = [(EU.to_owned(), "opted-in".to_owned())].into());
    outcome(&pull(&source(&fake, &[EU])).await, EU, Kind::Instance, Outcome::Denied);
}

#[tokio::test]
async fn without_the_list_of_regions_the_louder_reading_wins() {
    let fake = Fake::start().await;
    fake.fail(EU, "DescribeInstances", AUTH_FAILURE);
    fake.fail(EU, "DescribeRegions", Fault::Error(403, "UnauthorizedOperation", "no"));
    outcome(&pull(&source(&fake, &[EU])).await, EU, Kind::Instance, Outcome::Denied);
}

#[tokio::test]
async fn an_account_without_a_service_is_disabled() {
    let fake = Fake::start().await;
    fake.fail(EU, "DescribeInstances", Fault::Error(401, "OptInRequired", "You are not subscribed to this service"));
    outcome(&pull(&source(&fake, &[EU])).await, EU, Kind::Instance, Outcome::Disabled);
}

#[tokio::test]
async fn credentials_that_expire_on_the_way_end_the_scope() {
    let fake = Fake::start().await;
    populate(&fake, EU, 2);
    fake.fail(EU, "DescribeNetworkInterfaces", Fault::Error(400, "RequestExpired", "Request has expired."));
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::NetworkInterface, Outcome::Denied);
    others_complete(&pull, EU, Kind::NetworkInterface);
}

#[tokio::test]
async fn a_body_cut_anywhere_is_truncated() {
    let fake = Fake::start().await;
    populate(&fake, EU, 20);
    let source = source(&fake, &[EU]);
    for share in [0, 1, 50, 200, 500, 777, 950, 999] {
        for (action, kind) in [
            ("DescribeInstances", Kind::Instance),
            ("DescribeNetworkInterfaces", Kind::NetworkInterface),
            ("DescribeSecurityGroups", Kind::SecurityGroup),
        ] {
            fake.with(|world| world.scripts.clear());
            fake.fail(EU, action, Fault::Cut(share));
            let pull = pull(&source).await;
            outcome(&pull, EU, kind, Outcome::Truncated);
            others_complete(&pull, EU, kind);
            let text = receipt(&pull, EU, kind).error.as_deref().unwrap();
            let wanted = format!("source `cloud` got an incomplete answer to ec2:{action}: the body ");
            assert!(text.starts_with(&wanted), "{text}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_too_soon_is_truncated() {
    let fake = Fake::start().await;
    populate(&fake, EU, 5);
    fake.fail(EU, "DescribeInstances", Fault::Drop);
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Truncated);
    others_complete(&pull, EU, Kind::Instance);
}

#[tokio::test]
async fn a_failed_middle_page_keeps_what_was_read() {
    let fake = Fake::start().await;
    populate(&fake, EU, 6);
    fake.with(|world| world.page = 2);
    let fault = Fault::Error(500, "InternalError", "An internal error has occurred");
    fake.script(Script { region: EU, action: "DescribeInstances", first: 1, times: usize::MAX, fault });
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Failed);
    others_complete(&pull, EU, Kind::Instance);
    assert_eq!(receipt(&pull, EU, Kind::Instance).count, Some(2));
    assert!(pull.resources.contains_key(&key(EU, "instance/i-0001")));
    assert!(!pull.resources.contains_key(&key(EU, "instance/i-0002")));
}

#[tokio::test]
async fn a_cut_middle_page_keeps_the_pages_before() {
    let fake = Fake::start().await;
    populate(&fake, EU, 6);
    fake.with(|world| world.page = 2);
    fake.script(Script { region: EU, action: "DescribeSecurityGroups", first: 1, times: usize::MAX, fault: Fault::Cut(800) });
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::SecurityGroup, Outcome::Truncated);
    assert_eq!(receipt(&pull, EU, Kind::SecurityGroup).count, Some(2));
}

#[tokio::test]
async fn a_repeated_token_is_an_error_not_an_end() {
    let fake = Fake::start().await;
    populate(&fake, EU, 6);
    fake.with(|world| world.page = 2);
    fake.script(Script { region: EU, action: "DescribeInstances", first: 1, times: usize::MAX, fault: Fault::RepeatToken });
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Truncated);
    assert!(fake.calls("DescribeInstances").len() <= 3, "no endless loop");
}

#[tokio::test]
async fn a_stale_token_starts_the_listing_again_once() {
    let fake = Fake::start().await;
    populate(&fake, EU, 6);
    fake.with(|world| world.page = 2);
    let fault = Fault::Error(400, "InvalidNextToken", "The token has expired");
    fake.script(Script { region: EU, action: "DescribeInstances", first: 1, times: 1, fault: fault.clone() });
    let first = pull(&source(&fake, &[EU])).await;
    outcome(&first, EU, Kind::Instance, Outcome::Complete);
    assert_eq!(receipt(&first, EU, Kind::Instance).count, Some(6));
    fake.with(|world| world.scripts.clear());
    fake.script(Script { region: EU, action: "DescribeInstances", first: 1, times: usize::MAX, fault });
    outcome(&pull(&source(&fake, &[EU])).await, EU, Kind::Instance, Outcome::Truncated);
}

#[tokio::test]
async fn items_without_id_or_state_are_refused_one_by_one() {
    let fake = Fake::start().await;
    populate(&fake, EU, 1);
    let running = "<instanceState><code>16</code><name>running</name></instanceState>";
    fake.put(EU, "DescribeInstances", "", reservation(running));
    fake.put(EU, "DescribeInstances", "i-1", reservation("<instanceId>i-1</instanceId>"));
    fake.put(EU, "DescribeInstances", "i-2", reservation("<instanceId>i-2</instanceId><instanceState/>"));
    fake.put(EU, "DescribeNetworkInterfaces", "eni-1", "<networkInterfaceId>eni-1</networkInterfaceId>");
    fake.put(EU, "DescribeSecurityGroups", "", "<groupName>nameless</groupName>");
    let pull = pull(&source(&fake, &[EU])).await;
    for kind in crate::KINDS {
        outcome(&pull, EU, *kind, Outcome::Truncated);
        assert_eq!(receipt(&pull, EU, *kind).count, Some(1), "what could be taken was taken");
    }
    let remarks: Vec<_> = pull.remarks.iter().map(|remark| (remark.subject.as_str(), remark.text.as_str())).collect();
    assert_eq!(
        remarks,
        [
            ("aws 123456789012 eu-test-1 instance", "an instance of reservation r-1 has no id"),
            ("aws 123456789012 eu-test-1 security_group", "the security group `nameless` has no id"),
            ("eni-1", "the network interface has no state"),
            ("i-1", "the instance has no state"),
            ("i-2", "the instance has no state"),
        ]
    );
}

#[tokio::test]
async fn refused_credentials_end_the_pull() {
    let fake = Fake::start().await;
    for region in [EU, US] {
        fake.fail(region, "GetCallerIdentity", Fault::Error(403, "InvalidClientTokenId", "The security token is invalid."));
    }
    let source = source(&fake, &[EU, US]);
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(error, SourceError::Credentials { .. }), "{error}");
    assert!(!format!("{error} {error:?} {source:?}").contains(SECRET));
    let key = key(EU, "instance/i-1");
    let answers = source.look_up(&[(key.clone(), Kind::Instance)], &Notes::default()).await;
    assert!(matches!(answers[&key], Err(SourceError::Credentials { .. })), "never gone without an answer");
}

#[tokio::test]
async fn a_refusal_counts_only_when_all_regions_agree() {
    let fake = Fake::start().await;
    fake.fail(EU, "GetCallerIdentity", Fault::Error(403, "InvalidClientTokenId", "The security token is invalid."));
    fake.fail(US, "GetCallerIdentity", Fault::Error(500, "InternalFailure", "An internal error has occurred"));
    for regions in [[EU, US], [US, EU]] {
        let error = source(&fake, &regions).pull(&Notes::default()).await.unwrap_err();
        assert!(matches!(error, SourceError::Failed { .. }), "{regions:?}: {error}");
    }
}

#[tokio::test]
async fn missing_credentials_end_the_pull() {
    let fake = Fake::start().await;
    let nothing = aws_credential_types::provider::error::CredentialsError::not_loaded("nothing is configured");
    let nothing = std::sync::Mutex::new(Some(nothing));
    let credentials = Some(SharedCredentialsProvider::new(NoCredentials(nothing)));
    let source = tuned(&fake, &[EU, US], Tuning { credentials, ..tuning() });
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("nothing is configured")), "{error}");
    assert!(fake.with(|world| world.calls.is_empty()));
}

/// Gives nothing, once: credentials that are missing are missing in every region.
#[derive(Debug)]
struct NoCredentials(std::sync::Mutex<Option<aws_credential_types::provider::error::CredentialsError>>);

impl aws_credential_types::provider::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(self.0.lock().unwrap().take().unwrap()))
    }
}

#[tokio::test]
async fn the_caller_is_asked_for_elsewhere_when_the_first_region_is_off() {
    let fake = Fake::start().await;
    populate(&fake, US, 1);
    fake.fail(EU, "GetCallerIdentity", Fault::Error(403, "InvalidClientTokenId", "The security token is invalid."));
    for action in ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups"] {
        fake.fail(EU, action, AUTH_FAILURE);
    }
    fake.with(|world| world.regions = [(EU.to_owned(), "not-opted-in".to_owned())].into());
    let pull = pull(&source(&fake, &[EU, US])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Disabled);
    outcome(&pull, US, Kind::Instance, Outcome::Complete);
}

#[tokio::test]
async fn an_endpoint_that_nobody_serves_is_a_failure() {
    let mut fake = Fake::start().await;
    fake.url = "http://127.0.0.1:1".to_owned();
    let error = source(&fake, &[EU]).pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(error, SourceError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn a_region_that_hangs_fails_in_time() {
    let fake = Fake::start().await;
    populate(&fake, EU, 1);
    populate(&fake, US, 1);
    fake.fail(US, "DescribeInstances", Fault::Hang);
    let read = Duration::from_millis(300);
    let pull = pull(&tuned(&fake, &[EU, US], Tuning { read, attempts_max: 2, ..tuning() })).await;
    outcome(&pull, US, Kind::Instance, Outcome::Failed);
    others_complete(&pull, US, Kind::Instance);
    assert_eq!(fake.calls("DescribeInstances").iter().filter(|call| call.region == US).count(), 2);
}
