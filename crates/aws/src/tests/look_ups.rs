//! Look-ups: only a complete answer says gone.

use dewpoint_aws_sim::world::Region;
use dewpoint_aws_sim::{Effect, Fault, Mishap};
use dewpoint_core::model::Resource;
use dewpoint_core::source::{Presence, SourceError};

use super::world::{OTHER, bare, furnished, instance_key};
use super::*;

type Answer = Result<Presence, SourceError>;

async fn look_up(source: &AwsSource, keys: &[(Key, Kind)]) -> BTreeMap<Key, Answer> {
    let answers = source.look_up(keys, &Notes::default()).await;
    assert_eq!(answers.len(), keys.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), "one answer for each key");
    answers
}

/// An answer in a word.
fn word(answer: &Answer) -> &'static str {
    match answer {
        Ok(Presence::Present(_)) => "present",
        Ok(Presence::Gone) => "gone",
        Err(SourceError::Denied { .. }) => "denied",
        Err(SourceError::Truncated { .. }) => "truncated",
        Err(SourceError::Disabled { .. }) => "disabled",
        Err(SourceError::Throttled { .. }) => "throttled",
        Err(SourceError::Credentials { .. }) => "credentials",
        Err(_) => "failed",
    }
}

fn words(answers: &BTreeMap<Key, Answer>) -> BTreeMap<&'static str, usize> {
    answers.values().fold(BTreeMap::new(), |mut words, answer| {
        *words.entry(word(answer)).or_default() += 1;
        words
    })
}

fn machines(region: &mut Region, names: std::ops::Range<usize>) -> Vec<(Key, Kind)> {
    names.map(|n| (instance_key(region, &format!("m{n}")), Kind::Instance)).collect()
}

#[tokio::test]
async fn every_kind_is_present_or_gone() {
    let sim = start(furnished(OWN, &[EU]));
    let source = setup(&sim, OWN, &[EU]).build();
    let pulled = pull(&source).await;
    let present: Vec<(Key, Kind)> = pulled.resources.values().map(|resource| (resource.key.clone(), resource.kind)).collect();
    assert_eq!(present.iter().map(|(_, kind)| *kind).collect::<BTreeSet<_>>(), crate::KINDS.into());
    for (key, answer) in look_up(&source, &present).await {
        let Ok(Presence::Present(found)) = answer else { panic!("{key}: {answer:?}") };
        let listed = &pulled.resources[&key];
        assert_eq!((&found.key, found.kind, &found.native_id, &found.state), (&key, listed.kind, &listed.native_id, &listed.state));
        for (name, value) in &found.attributes {
            assert_eq!(Some(value), listed.attributes.get(name).or(Some(value)), "{key} {name}");
        }
    }
    // Everything but the account, which is the caller's own.
    sim.edit(|world| {
        let zones = std::mem::take(&mut world.account(OWN).region(EU).zones);
        world.account(OWN).places.clear();
        // A region has zones again unless it says which.
        world.account(OWN).region(EU).zones = zones.into_iter().filter(|(name, _)| name == "eu-west-1c").collect();
    });
    let stays = |(key, kind): &&(Key, Kind)| *kind == Kind::Account || *kind == Kind::Region || key.as_str().ends_with("zone/eu-west-1c");
    for (key, answer) in look_up(&source, &present).await {
        let kind = present.iter().find(|(known, _)| *known == key).unwrap();
        assert_eq!(word(&answer), if stays(&kind) { "present" } else { "gone" }, "{key}: {answer:?}");
    }
}

#[tokio::test]
async fn ids_go_in_chunks_and_unknown_ones_are_gone() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let keys = machines(region, 250..700);
    for n in 250..300 {
        region.instance(&format!("m{n}"));
    }
    let sim = start(world);
    sim.settings(|settings| settings.page_items_max = Some(15));
    let source = setup(&sim, OWN, &[EU]).build();
    let answers = look_up(&source, &keys).await;
    for (n, (key, _)) in (250..700).zip(&keys) {
        assert_eq!(word(&answers[key]), if n < 300 { "present" } else { "gone" }, "{key}: {:?}", answers[key]);
    }
    let asked: Vec<_> = sim.calls().into_iter().filter(|call| call.action == "DescribeInstances" && call.page == 1).collect();
    let sizes: Vec<usize> =
        asked.iter().map(|call| call.parameters.keys().filter(|name| name.starts_with("Filter.1.Value.")).count()).collect();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>(), sizes.iter().max()), (3, 450, Some(&200)));
    assert!(asked.iter().all(|call| !call.parameters.keys().any(|name| name.starts_with("InstanceId"))), "one unknown id fails a list");
    assert_eq!(count(&sim, "DescribeVolumes"), 0, "nothing else is read");
}

#[tokio::test]
async fn a_terminated_machine_is_present_and_says_so() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let id = region.instance("gone").id();
    let key = instance_key(region, "gone");
    let sim = start(world);
    sim.terminate(OWN, EU, &id).unwrap();
    let answers = look_up(&setup(&sim, OWN, &[EU]).build(), &[(key.clone(), Kind::Instance)]).await;
    let Ok(Presence::Present(found)) = &answers[&key] else { panic!("{answers:?}") };
    assert_eq!(found.state.as_deref(), Some("terminated"));
}

#[tokio::test]
async fn what_was_not_answered_whole_confirms_no_absence() {
    const ACCOUNT: &str = "100000000001";
    let mut world = bare(ACCOUNT, &[EU]);
    let region = world.account(ACCOUNT).region(EU);
    region.instance("m0");
    let keys = machines(region, 0..3);
    let sim = start(world);
    let source = setup(&sim, ACCOUNT, &[EU]).impatient().build();
    pull(&source).await;
    let cuts = [0.0, 0.3, 0.7, 0.999].map(|share| (Effect::Mishap(Mishap::CutBody { share }), "truncated"));
    let internal = Effect::Error { status: 500, code: "InternalError".to_owned(), message: "An internal error has occurred".to_owned() };
    let faults = [
        (Effect::Deny, "denied"),
        (Effect::ScpDeny, "denied"),
        (Effect::AuthFailure, "denied"),
        (Effect::ExpiredToken, "credentials"),
        (Effect::Throttle, "throttled"),
        (internal, "failed"),
        (Effect::Mishap(Mishap::Reset), "failed"),
        (Effect::Mishap(Mishap::Html { status: 200 }), "truncated"),
        (Effect::Mishap(Mishap::Empty { status: 200 }), "truncated"),
        (Effect::Mishap(Mishap::CutConnection { share: 0.5 }), "truncated"),
        (Effect::RepeatToken, "truncated"),
    ];
    for (effect, wanted) in faults.into_iter().chain(cuts) {
        sim.faults(vec![Fault::new(effect.clone()).action("DescribeInstances")]);
        let answers = look_up(&source, &keys).await;
        // What a repeated page shows is there.
        let present = usize::from(effect == Effect::RepeatToken);
        assert_eq!(words(&answers).get(wanted), Some(&(3 - present)), "{effect:?}: {answers:?}");
        assert!(!words(&answers).contains_key("gone"), "{effect:?}");
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_taken_confirms_no_absence() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("m0");
    let keys = machines(region, 0..2);
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    pull(&source).await;
    let foreign = Effect::ForeignOwner { owner: OTHER.to_owned() };
    for (effect, wanted) in [(Effect::ItemWithoutId, "truncated"), (Effect::ItemWithoutState, "truncated"), (foreign, "failed")] {
        sim.faults(vec![Fault::new(effect.clone()).action("DescribeInstances")]);
        let answers = look_up(&source, &keys).await;
        assert_eq!(words(&answers), [(wanted, 2)].into(), "{effect:?}: {answers:?}");
    }
}

#[tokio::test]
async fn a_failed_second_page_confirms_no_absence() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    for n in 0..4 {
        region.instance(&format!("m{n}"));
    }
    let keys = machines(region, 0..6);
    let sim = start(world);
    sim.settings(|settings| settings.page_items_max = Some(2));
    sim.faults(vec![Fault::new(Effect::Deny).action("DescribeInstances").page(2)]);
    let answers = look_up(&setup(&sim, OWN, &[EU]).build(), &keys).await;
    assert_eq!(words(&answers), [("denied", 4), ("present", 2)].into());
}

#[tokio::test]
async fn one_region_or_service_that_fails_leaves_the_others() {
    let sim = start(furnished(OWN, &[EU, US]));
    let source = setup(&sim, OWN, &[EU, US]).build();
    let pulled = pull(&source).await;
    let of = |kind: Kind, region: &str| {
        let here = |one: &&Resource| one.region.as_str() == region && !one.key.as_str().ends_with("/members");
        let found = all_of(&pulled, kind).into_iter().find(here).unwrap();
        (found.key.clone(), kind)
    };
    let keys = [of(Kind::Instance, EU), of(Kind::Instance, US), of(Kind::Pool, US), of(Kind::ScalingGroup, US), of(Kind::LoadBalancer, EU)];
    sim.faults(vec![
        Fault::new(Effect::Deny).region(EU).action("DescribeInstances"),
        Fault::new(Effect::Deny).region(US).action("DescribeTargetGroups"),
    ]);
    let answers = look_up(&source, &keys).await;
    let found: Vec<&str> = keys.iter().map(|(key, _)| word(&answers[key])).collect();
    assert_eq!(found, ["denied", "present", "denied", "present", "present"]);
    let Err(error) = &answers[&keys[0].0] else { panic!() };
    assert!(error.to_string().starts_with("source `cloud` may not ec2:DescribeInstances: UnauthorizedOperation: "), "{error}");
}

#[tokio::test]
async fn balancers_and_pools_are_gone_only_when_both_generations_are_read() {
    let sim = start(bare(OWN, &[EU]));
    let arn = |path: &str| Key::aws(&format!("arn:aws:elasticloadbalancing:{EU}:{OWN}:{path}")).unwrap();
    let keys = [
        (arn("loadbalancer/app/front/0123456789abcdef"), Kind::LoadBalancer),
        (arn("loadbalancer/old"), Kind::LoadBalancer),
        (arn("targetgroup/web/0123456789abcdef"), Kind::Pool),
        (arn("loadbalancer/old/members"), Kind::Pool),
    ];
    let source = setup(&sim, OWN, &[EU]).build();
    assert_eq!(words(&look_up(&source, &keys).await), [("gone", 4)].into());
    sim.faults(vec![Fault::new(Effect::Deny).service("elb")]);
    assert_eq!(words(&look_up(&source, &keys).await), [("denied", 4)].into());
    sim.faults(vec![Fault::new(Effect::Deny).service("elbv2").action("DescribeLoadBalancers")]);
    let answers = look_up(&source, &keys).await;
    assert_eq!(keys.each_ref().map(|(key, _)| word(&answers[key])), ["denied", "denied", "gone", "gone"]);
}

#[tokio::test]
async fn a_region_that_is_off_is_not_gone() {
    let sim = start(furnished(OWN, &[EU, US]));
    let source = setup(&sim, OWN, &[EU, US]).build();
    let pulled = pull(&source).await;
    let keys: Vec<(Key, Kind)> =
        pulled.resources.values().filter(|one| one.region.as_str() == US).map(|one| (one.key.clone(), one.kind)).collect();
    let off = Some(dewpoint_aws_sim::world::OptIn::NotOptedIn);
    sim.edit_region(OWN, US, |region| region.opt_in = off);
    // Found out by a pull, or not yet.
    for wanted in ["denied", "disabled"] {
        for (key, answer) in look_up(&source, &keys).await {
            assert_eq!(word(&answer), wanted, "{key}: {answer:?}");
        }
        pull(&source).await;
    }
}

#[tokio::test]
async fn keys_of_elsewhere_are_errors_without_a_call() {
    let sim = start(bare(OWN, &[EU]));
    let source = setup(&sim, OWN, &[EU]).build();
    pull(&source).await;
    sim.clear_calls();
    let aws = |arn: &str| Key::aws(arn).unwrap();
    let elsewhere = [
        (key(OTHER, EU, "instance/i-1"), Kind::Instance, "account 222222222222 is not covered by this source"),
        (key(OWN, EU, "instance/i-1"), Kind::SecurityGroup, "it is no key of kind security_group in AWS"),
        (key(OWN, EU, "instance/i-*"), Kind::Instance, "`i-*` is no id"),
        (key(OWN, EU, "instance/"), Kind::Instance, "`` is no id"),
        (aws("arn:aws-cn:ec2:eu-west-1:111111111111:instance/i-1"), Kind::Instance, "it belongs to another partition than aws"),
        (aws("arn:aws:rds:eu-west-1:111111111111:db:x"), Kind::Instance, "it is no key of kind instance in AWS"),
        ("service:shop".parse().unwrap(), Kind::Service, "it is no key of kind service in AWS"),
        ("azure:/subscriptions/s".parse().unwrap(), Kind::Account, "it is no key of kind account in AWS"),
    ];
    for (key, kind, text) in elsewhere {
        let answers = look_up(&source, &[(key.clone(), kind)]).await;
        let Err(SourceError::Failed { text: found, .. }) = &answers[&key] else { panic!("{key}: {answers:?}") };
        assert!(found.ends_with(text), "{key}: {found}");
    }
    assert_eq!(sim.calls().len(), 0);
}

#[tokio::test]
async fn a_look_up_without_a_pull_opens_the_accounts_itself() {
    let sim = start(furnished(OWN, &[EU]));
    let source = setup(&sim, OWN, &[EU]).build();
    let region = sim.edit_region(OWN, EU, |region| region.clone());
    let keys = [(instance_key(&region, "web-1"), Kind::Instance), (instance_key(&region, "nobody"), Kind::Instance)];
    sim.faults(vec![Fault::new(Effect::AuthFailure).action("GetCallerIdentity")]);
    assert_eq!(words(&look_up(&source, &keys).await), [("credentials", 2)].into());
    sim.faults(Vec::new());
    assert_eq!(words(&look_up(&source, &keys).await), [("gone", 1), ("present", 1)].into());
    sim.clear_calls();
    assert_eq!(words(&look_up(&source, &keys).await), [("gone", 1), ("present", 1)].into());
    assert_eq!(calls_by_action(&sim.calls()), [("ec2:DescribeInstances".to_owned(), 1)].into(), "and keeps them");
}
