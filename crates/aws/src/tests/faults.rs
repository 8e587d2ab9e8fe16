//! What passes is waited out, what does not costs no more than it must.

use dewpoint_aws_sim::{Effect, Fault, Mishap};

use super::world::furnished;
use super::*;

/// Actions of each protocol, with a scope that rests on them.
const ACTIONS: [(&str, &str, Kind); 5] = [
    ("ec2", "DescribeVolumes", Kind::Volume),
    ("ec2", "DescribeInstanceTypes", Kind::Instance),
    ("autoscaling", "DescribeAutoScalingGroups", Kind::ScalingGroup),
    ("elbv2", "DescribeTargetGroups", Kind::Pool),
    ("elb", "DescribeLoadBalancers", Kind::LoadBalancer),
];

fn full_name(service: &str, action: &str) -> String {
    format!("{}:{action}", if service.starts_with("elb") { "elasticloadbalancing" } else { service })
}

#[tokio::test]
async fn what_fails_twice_is_waited_out_and_counted() {
    const ACCOUNT: &str = "100000000021";
    let sim = start(furnished(ACCOUNT, &[EU]));
    let whole = setup(&sim, ACCOUNT, &[EU]).pull().await;
    let unavailable = Effect::Error { status: 500, code: "InternalError".to_owned(), message: "again".to_owned() };
    let effects = [
        (Effect::Throttle, true),
        (unavailable, false),
        (Effect::Mishap(Mishap::Reset), false),
        (Effect::Mishap(Mishap::Html { status: 502 }), false),
        (Effect::Mishap(Mishap::CutConnection { share: 0.4 }), false),
    ];
    for (effect, waits) in effects {
        sim.clear_calls();
        sim.faults(ACTIONS.map(|(service, action, _)| Fault::new(effect.clone()).service(service).action(action).times(2)).to_vec());
        let notes = Notes::default();
        let pull = setup(&sim, ACCOUNT, &[EU]).build().pull(&notes).await.unwrap();
        assert_eq!((gaps(&pull), contents(&pull)), (BTreeMap::new(), contents(&whole)), "{effect:?}");
        let mut made: BTreeMap<String, u64> = BTreeMap::new();
        for call in sim.calls() {
            *made.entry(full_name(&call.service, &call.action)).or_default() += 1;
        }
        assert_eq!(notes.calls(), made, "{effect:?}: repeats are calls, too");
        for (service, action, _) in ACTIONS {
            let made = sim.calls().iter().filter(|call| (call.service.as_str(), call.action.as_str()) == (service, action)).count();
            assert_eq!(made, 3, "{effect:?} {action}");
        }
        let told = notes.waited_s() > 0.0;
        assert_eq!(told, waits, "{effect:?}: waiting for the rate limit is told");
    }
}

#[tokio::test]
async fn throttling_outlasts_the_repeats_of_the_sdk_but_not_the_time_for_a_call() {
    const ACCOUNT: &str = "100000000022";
    let sim = start(furnished(ACCOUNT, &[EU]));
    // Five attempts of the SDK's, twice, and once more.
    sim.faults(vec![Fault::new(Effect::Throttle).action("DescribeVolumes").times(12)]);
    let pull = setup(&sim, ACCOUNT, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert_eq!(count(&sim, "DescribeVolumes"), 13);
    sim.clear_calls();
    sim.faults(vec![Fault::new(Effect::Throttle).action("DescribeVolumes")]);
    let pull = setup(&sim, ACCOUNT, &[EU]).impatient().pull().await;
    assert_eq!(gaps(&pull), gaps_of(ACCOUNT, EU, &[Kind::Volume], Outcome::Throttled));
    assert_eq!(count(&sim, "DescribeVolumes"), 5, "the attempts of one call");
}

#[tokio::test]
async fn time_outs() {
    // Side by side, since all of them wait.
    tokio::join!(
        throttling_without_end_ends_with_the_time_for_a_call(),
        a_silent_region_costs_one_time_out_and_not_one_a_call(),
        a_service_that_falls_silent_is_not_asked_again(),
    );
}

async fn throttling_without_end_ends_with_the_time_for_a_call() {
    const ACCOUNT: &str = "100000000023";
    let sim = start(furnished(ACCOUNT, &[EU]));
    sim.faults(vec![Fault::new(Effect::Throttle).service("elbv2").action("DescribeListeners")]);
    let setup = setup(&sim, ACCOUNT, &[EU]).with(|config, tuning| {
        config.timeout = Duration::from_secs(2);
        tuning.pause = Duration::from_millis(500);
    });
    let notes = Notes::default();
    let pull = setup.build().pull(&notes).await.unwrap();
    // On a busy machine that time may be too short for other listings as well.
    assert_eq!(receipts(&pull)[&scope(ACCOUNT, EU, Kind::LoadBalancer)].outcome, Outcome::Throttled);
    assert!(notes.waited_s() > 0.2);
}

#[tokio::test]
async fn a_stale_token_starts_the_listing_again_once() {
    let sim = start(furnished(OWN, &[EU]));
    sim.settings(|settings| settings.page_items_max = Some(2));
    let whole = setup(&sim, OWN, &[EU]).pull().await;
    let stale = ACTIONS.map(|(service, action, _)| Fault::new(Effect::StaleToken).service(service).action(action).page(2));
    sim.clear_calls();
    sim.faults(stale.clone().map(|fault| fault.times(1)).to_vec());
    let once = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!((gaps(&once), contents(&once)), (BTreeMap::new(), contents(&whole)));
    for (service, action, _) in ACTIONS {
        let calls = sim.calls().into_iter().filter(|call| (call.service.as_str(), call.action.as_str()) == (service, action));
        assert_eq!(calls.map(|call| call.page).collect::<Vec<_>>(), [1, 2, 1, 2], "{action}: from the first page, never spliced");
    }
    sim.faults(stale.to_vec());
    let twice = setup(&sim, OWN, &[EU]).pull().await;
    for (_, action, kind) in ACTIONS {
        assert_eq!(receipts(&twice)[&scope(OWN, EU, kind)].outcome, Outcome::Truncated, "{action}");
    }
}

#[tokio::test]
async fn an_item_that_is_refused_is_named_and_the_others_are_taken() {
    let sim = start(furnished(OWN, &[EU]));
    let whole = setup(&sim, OWN, &[EU]).pull().await;
    let faults = [
        (Effect::ItemWithoutState, "DescribeInstances", Kind::Instance, "the instance has no state"),
        (Effect::ItemWithoutState, "DescribeVolumes", Kind::Volume, "the volume has no state"),
        (Effect::ItemWithoutId, "DescribeInstances", Kind::Instance, "has no id"),
        (Effect::ItemWithoutId, "DescribeAutoScalingGroups", Kind::ScalingGroup, "has no name"),
        (Effect::ItemWithoutId, "DescribeTargetGroups", Kind::Pool, "has no ARN"),
    ];
    for (effect, action, kind, text) in faults {
        sim.faults(vec![Fault::new(effect).action(action)]);
        let pull = setup(&sim, OWN, &[EU]).pull().await;
        assert_eq!(all_of(&pull, kind).len(), all_of(&whole, kind).len() - 1, "{action}");
        let error = error_of(&pull, OWN, EU, kind);
        assert!(error.contains("1 items could not be taken; the first: ") && error.contains(text), "{error}");
        let [remark] = pull.remarks.as_slice() else { panic!("{action}: {:?}", pull.remarks) };
        assert!(remark.text.contains(text), "{remark:?}");
    }
}

async fn a_silent_region_costs_one_time_out_and_not_one_a_call() {
    const ACCOUNT: &str = "100000000024";
    let sim = start(furnished(ACCOUNT, &[EU, US]));
    let source = setup(&sim, ACCOUNT, &[EU, US]).with(|_, tuning| {
        tuning.attempts_max = 1;
        tuning.read = Duration::from_millis(1200);
    });
    sim.faults(vec![Fault::new(Mishap::Hang).region(US)]);
    let pull = source.pull().await;
    assert_eq!(
        gaps(&pull),
        gaps_of(ACCOUNT, US, &regional().into_iter().filter(|kind| *kind != Kind::Region).collect::<Vec<_>>(), Outcome::Failed)
    );
    let asked =
        sim.calls().iter().filter(|call| call.region == US).map(|call| format!("{}:{}", call.service, call.action)).collect::<Vec<_>>();
    // One of each listing that begins at once; nothing that would come after.
    assert_eq!(asked.len(), 12, "{asked:?}");
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), 12, "{asked:?}");
    let error = error_of(&pull, ACCOUNT, US, Kind::Volume);
    assert!(error.starts_with("source `cloud` failed at ec2:DescribeVolumes: ") && error.contains("timed out"), "{error}");
}

async fn a_service_that_falls_silent_is_not_asked_again() {
    const ACCOUNT: &str = "100000000025";
    let sim = start(furnished(ACCOUNT, &[EU]));
    let source = setup(&sim, ACCOUNT, &[EU]).with(|_, tuning| {
        tuning.attempts_max = 2;
        tuning.read = Duration::from_millis(1200);
    });
    sim.faults(vec![Fault::new(Mishap::Hang).action("DescribeInstances")]);
    let pull = source.pull().await;
    assert_eq!(gaps(&pull), gaps_of(ACCOUNT, EU, &[Kind::Instance], Outcome::Failed));
    assert_eq!(count(&sim, "DescribeInstances"), 2, "one call of two attempts");
    assert_eq!(count(&sim, "DescribeInstanceTypes"), 0);
    let listed = gaps(&pull).len();
    assert_eq!(listed, 1, "listings that were answered before are not taken back");
}

#[tokio::test]
async fn pools_that_are_not_read_leave_balancers_alone() {
    let sim = start(furnished(OWN, &[EU, US]));
    sim.faults(vec![
        Fault::new(Effect::Deny).region(EU).action("DescribeTargetHealth"),
        Fault::new(Effect::Deny).region(US).action("DescribeInstanceHealth"),
    ]);
    let mut wanted = gaps_of(OWN, EU, &[Kind::Pool], Outcome::Denied);
    wanted.extend(gaps_of(OWN, US, &[Kind::Pool], Outcome::Denied));
    assert_eq!(gaps(&setup(&sim, OWN, &[EU, US]).pull().await), wanted);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let sim = start(furnished(OWN, &[EU]));
    sim.faults(vec![
        Fault::new(Mishap::Latency { ms: 300 }).action("DescribeInstances"),
        Fault::new(Mishap::Slow { bytes: 2000, pause_ms: 20 }).action("DescribeVolumes"),
    ]);
    assert_eq!(gaps(&setup(&sim, OWN, &[EU]).pull().await), BTreeMap::new());
}
