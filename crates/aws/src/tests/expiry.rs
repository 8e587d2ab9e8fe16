//! Credentials that end on the way.

use dewpoint_aws_sim::{Effect, Fault, Mishap};
use dewpoint_core::source::{Presence, SourceError};

use super::world::{OTHER, furnish, furnished};
use super::*;

fn two_accounts() -> dewpoint_aws_sim::world::World {
    let mut world = furnished(OWN, &[EU]);
    let other = world.account(OTHER);
    other.role("DewpointReader", &[OWN]);
    furnish(other.region(EU));
    world
}

fn both(sim: &Sim) -> Setup {
    setup(sim, OWN, &[EU]).accounts(Accounts::Listed(vec![listed(OWN), listed(OTHER)]))
}

#[tokio::test]
async fn sessions_that_end_by_themselves() {
    // Side by side, since both wait.
    tokio::join!(short_sessions_are_renewed(), a_role_that_is_lost_in_the_middle_is_a_denial_that_names_it());
}

async fn short_sessions_are_renewed() {
    let sim = start(two_accounts());
    sim.settings(|settings| settings.session_life_s = Some(2));
    // What comes after outlives the first session.
    sim.faults(vec![Fault::new(Mishap::Latency { ms: 2500 }).action("DescribeInstances")]);
    let pull = both(&sim).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert!(count(&sim, "AssumeRole") > 1);
}

#[tokio::test]
async fn a_session_that_is_ended_early_ends_scopes_and_the_next_pull_opens_another() {
    let sim = start(two_accounts());
    let source = both(&sim).build();
    let first = pull(&source).await;
    let theirs = first.resources.values().find(|one| one.kind == Kind::Instance && one.account.as_str() == OTHER).unwrap();
    sim.expire_sessions();
    let nobody = key(OTHER, EU, "instance/i-00000000000000000");
    let keys = [(theirs.key.clone(), Kind::Instance), (nobody, Kind::Instance)];
    for (key, answer) in source.look_up(&keys, &Notes::default()).await {
        assert!(matches!(&answer, Err(SourceError::Credentials { text, .. }) if text.contains("RequestExpired")), "{key}: {answer:?}");
    }
    let second = pull(&source).await;
    assert_eq!((gaps(&second), contents(&second)), (BTreeMap::new(), contents(&first)));
    let answers = source.look_up(&keys, &Notes::default()).await;
    assert!(matches!((&answers[&keys[0].0], &answers[&keys[1].0]), (Ok(Presence::Present(_)), Ok(Presence::Gone))), "{answers:?}");
}

#[tokio::test]
async fn sessions_that_end_in_the_middle_end_the_scopes_that_were_not_read() {
    let sim = start(two_accounts());
    let whole = both(&sim).pull().await;
    // From the sixth call on: some listings are read by then.
    sim.faults(vec![Fault::new(Effect::ExpiredToken).account(OTHER).service("ec2").nth(6)]);
    let pull = both(&sim).pull().await;
    let gaps = gaps(&pull);
    assert!(gaps.len() > 2 && gaps.len() < 10, "{gaps:?}");
    assert!(gaps.keys().all(|scope| scope.starts_with(OTHER)), "{gaps:?}");
    for (scope, receipt) in pull.receipts.iter() {
        let listed = |pull: &Pull| -> BTreeSet<Key> {
            let here =
                pull.resources.values().filter(|one| one.kind == scope.kind && one.account == scope.account && one.region == scope.region);
            here.map(|one| one.key.clone()).collect()
        };
        match &receipt.error {
            None => assert_eq!(listed(&pull), listed(&whole), "{scope}"),
            // Its addresses are interfaces', which were not read.
            Some(error) if scope.kind == Kind::Pool => assert!(error.contains("were not read whole"), "{error}"),
            Some(error) => assert!(error.contains("RequestExpired: Request has expired."), "{error}"),
        }
    }
}

#[tokio::test]
async fn the_callers_own_credentials_can_end_in_the_middle() {
    let sim = start(two_accounts());
    sim.faults(vec![
        Fault::new(Effect::ExpiredToken).account(OWN).service("elbv2").nth(3),
        // Without them no role is assumed again, but the session that there is goes on.
        Fault::new(Effect::ExpiredToken).account(OWN).service("sts").nth(4),
    ]);
    let pull = both(&sim).pull().await;
    assert_eq!(gaps(&pull), gaps_of(OWN, EU, &[Kind::LoadBalancer, Kind::Pool], Outcome::Denied));
    let error = error_of(&pull, OWN, EU, Kind::Pool);
    assert!(error.starts_with("source `cloud` has no credentials that are accepted: ExpiredToken: "), "{error}");
}

async fn a_role_that_is_lost_in_the_middle_is_a_denial_that_names_it() {
    let broken = Effect::Error { status: 500, code: "InternalFailure".to_owned(), message: "no".to_owned() };
    tokio::join!(
        lost_in_the_middle(
            Effect::Deny,
            Outcome::Denied,
            "may not sts:AssumeRole: as arn:aws:iam::222222222222:role/DewpointReader: AccessDenied: "
        ),
        lost_in_the_middle(Effect::Throttle, Outcome::Throttled, "was throttled at sts:AssumeRole: as arn:"),
        lost_in_the_middle(broken, Outcome::Failed, "failed at sts:AssumeRole: as arn:"),
        lost_in_the_middle(Effect::Mishap(Mishap::Hang), Outcome::Failed, "failed at sts:AssumeRole: as arn:"),
    );
}

/// Every scope that waited for the role says why there is none, and only one of them asked.
async fn lost_in_the_middle(effect: Effect, outcome: Outcome, words: &str) {
    let sim = start(two_accounts());
    sim.settings(|settings| settings.session_life_s = Some(2));
    sim.faults(vec![
        Fault::new(effect.clone()).account(OTHER).action("AssumeRole").nth(2),
        Fault::new(Mishap::Latency { ms: 2500 }).action("DescribeInstances"),
    ]);
    let pull = both(&sim).with(|config, tuning| {
        config.timeout = Duration::from_secs(8);
        tuning.attempts_max = 2;
    });
    let pull = pull.pull().await;
    let gaps = gaps(&pull);
    assert!(!gaps.is_empty() && gaps.keys().all(|scope| scope.starts_with(OTHER)), "{effect:?}: {gaps:?}");
    for (scope, receipt) in pull.receipts.iter().filter(|(_, receipt)| !receipt.is_complete()) {
        let error = receipt.error.clone().unwrap_or_default();
        // Pools rest on interfaces as well.
        if scope.kind != Kind::Pool {
            assert_eq!(receipt.outcome, outcome, "{effect:?}: {scope}: {error}");
            assert!(error.contains(words), "{effect:?}: {scope}: {error}");
        }
    }
}
