//! Who the caller is, and what happens where nobody says.

use std::sync::Mutex;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use dewpoint_aws_sim::world::OptIn;
use dewpoint_aws_sim::{Effect, Fault, Mishap};
use dewpoint_core::source::SourceError;

use super::world::{bare, furnished};
use super::*;

fn refused(region: &str) -> Fault {
    Fault::new(Effect::AuthFailure).region(region).action("GetCallerIdentity")
}

#[tokio::test]
async fn refused_credentials_end_the_pull() {
    let sim = start(furnished(OWN, &[EU, US]));
    sim.faults(vec![refused(EU), refused(US)]);
    let source = setup(&sim, OWN, &[EU, US]).build();
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(error, SourceError::Credentials { .. }), "{error}");
    assert!(error.to_string().ends_with("InvalidClientTokenId: The security token included in the request is invalid."), "{error}");
    assert!(!format!("{error} {error:?} {source:?}").contains(&secret(OWN)));
}

#[tokio::test]
async fn a_wrong_secret_or_an_old_session_ends_the_pull() {
    let sim = start(furnished(OWN, &[EU]));
    let wrong = Credentials::new(format!("AKIA{OWN:0>16}"), "not the secret", None, None, "test");
    let wrong = SharedCredentialsProvider::new(wrong);
    let error =
        setup(&sim, OWN, &[EU]).with(|_, tuning| tuning.credentials = Some(wrong)).build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.starts_with("SignatureDoesNotMatch: ")), "{error}");
    sim.faults(vec![Fault::new(Effect::ExpiredToken)]);
    let error = setup(&sim, OWN, &[EU]).build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.starts_with("ExpiredToken: ")), "{error}");
}

#[tokio::test]
async fn a_refusal_counts_only_when_all_regions_agree() {
    const ACCOUNT: &str = "100000000031";
    let sim = start(bare(ACCOUNT, &[EU, US]));
    let broken = Effect::Error { status: 500, code: "InternalFailure".to_owned(), message: "no".to_owned() };
    for (off, fails) in [(EU, US), (US, EU)] {
        sim.faults(vec![refused(off), Fault::new(broken.clone()).region(fails).action("GetCallerIdentity")]);
        let error = setup(&sim, ACCOUNT, &[EU, US]).build().pull(&Notes::default()).await.unwrap_err();
        assert!(matches!(error, SourceError::Failed { .. }), "{off}: {error}");
    }
}

/// Gives nothing, once: credentials that are missing are missing in every region.
#[derive(Debug)]
struct NoCredentials(Mutex<Option<CredentialsError>>);

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(self.0.lock().unwrap().take().unwrap()))
    }
}

#[tokio::test]
async fn missing_credentials_end_the_pull() {
    let sim = start(bare(OWN, &[EU, US]));
    let nothing = NoCredentials(Mutex::new(Some(CredentialsError::not_loaded("nothing is configured"))));
    let credentials = SharedCredentialsProvider::new(nothing);
    let source = setup(&sim, OWN, &[EU, US]).with(|_, tuning| tuning.credentials = Some(credentials)).build();
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("nothing is configured")), "{error}");
    assert_eq!(sim.calls().len(), 0);
}

/// As the machine's metadata service, or the container's, when nobody answers there.
#[derive(Debug)]
struct Unreachable;

impl ProvideCredentials for Unreachable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::provider_timed_out(Duration::from_secs(5))))
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_fetched_end_the_pull() {
    let sim = start(bare(OWN, &[EU]));
    let credentials = SharedCredentialsProvider::new(Unreachable);
    let source = setup(&sim, OWN, &[EU]).with(|_, tuning| tuning.credentials = Some(credentials)).build();
    let error = source.pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Credentials { text, .. } if text.contains("timed out")), "{error}");
}

#[tokio::test]
async fn the_caller_is_asked_for_elsewhere_when_the_first_region_is_off() {
    let mut world = furnished(OWN, &[EU, US]);
    world.account(OWN).region(EU).opt_in = Some(OptIn::NotOptedIn);
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU, US]).pull().await;
    assert_eq!(gaps(&pull), gaps_of(OWN, EU, &regional(), Outcome::Disabled));
    let asked: Vec<String> = sim.calls().into_iter().filter(|call| call.action == "GetCallerIdentity").map(|call| call.region).collect();
    assert_eq!(asked, [EU, US]);
}

#[tokio::test]
async fn with_all_regions_the_caller_is_asked_for_in_the_homes_of_partitions() {
    let mut world = bare(OWN, &["cn-north-1", "cn-northwest-1"]);
    world.partition = "aws-cn".to_owned();
    let account = world.account(OWN);
    account.partition = "aws-cn".to_owned();
    account.region("cn-north-1").instance("one");
    let sim = start(world);
    let pull = setup(&sim, OWN, &[]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert!(all_of(&pull, Kind::Instance)[0].key.as_str().starts_with("aws:arn:aws-cn:ec2:cn-north-1:"), "the partition is the caller's");
    let asked: Vec<String> = sim.calls().into_iter().filter(|call| call.action == "GetCallerIdentity").map(|call| call.region).collect();
    assert_eq!(asked, [EU, "us-east-1", "us-gov-west-1", "cn-north-1"]);
}

#[tokio::test]
async fn an_endpoint_that_nobody_serves_is_a_failure() {
    let sim = start(bare(OWN, &[EU]));
    let setup = setup(&sim, OWN, &[EU]).with(|config, tuning| {
        config.endpoint_url = Some("http://127.0.0.1:1".to_owned());
        tuning.attempts_max = 2;
    });
    let error = setup.build().pull(&Notes::default()).await.unwrap_err();
    assert!(matches!(error, SourceError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_an_account_is_no_answer() {
    let sim = start(bare(OWN, &[EU]));
    for effect in [
        Effect::Mishap(Mishap::CutBody { share: 0.5 }),
        Effect::Mishap(Mishap::Html { status: 200 }),
        Effect::Mishap(Mishap::Empty { status: 200 }),
    ] {
        sim.faults(vec![Fault::new(effect).action("GetCallerIdentity")]);
        let error = setup(&sim, OWN, &[EU]).build().pull(&Notes::default()).await.unwrap_err();
        assert!(matches!(error, SourceError::Truncated { .. }), "{error}");
    }
}
