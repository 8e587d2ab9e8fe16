//! Limits on calls.

use dewpoint_azure_sim::{Bucket, Effect, Fault, world::World};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{COMPUTE, get, query, start, start_with};

/// A world with a machine, the subscription's id, and the machine's.
fn one_vm() -> (World, String, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let id = subscription.id.clone();
    let vm = subscription.group("rg", "westeurope").vm("app-01").id();
    (world, id, vm)
}

const LEFT: &str = "x-ms-ratelimit-remaining-subscription-reads";

#[test]
fn a_subscription_has_its_bucket() {
    let (mut world, id, _) = one_vm();
    let other = world.subscription("other").id.clone();
    let sim = start(world);
    let groups = |id: &str| get(&sim, &format!("/subscriptions/{id}/resourcegroups?api-version=2021-04-01"));
    let left: Vec<String> = (0..250).map(|_| groups(&id).header(LEFT).to_owned()).collect();
    assert_eq!((left[0].as_str(), left[249].as_str()), ("249", "0"));
    let refused = groups(&id);
    assert_eq!(refused.refusal(), (429, "SubscriptionRequestsThrottled".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header(LEFT)), ("1", "0"));
    assert_eq!(groups(&other).header(LEFT), "249", "another subscription has another");
    let tenant = get(&sim, "/subscriptions?api-version=2022-12-01");
    assert_eq!((tenant.header("x-ms-ratelimit-remaining-tenant-reads"), tenant.header(LEFT)), ("249", ""));
    sim.advance(SignedDuration::from_secs(1));
    assert_eq!(groups(&id).header(LEFT), "24", "25 come back each second");
}

#[test]
fn asking_too_early_starts_a_new_wait() {
    let (world, id, _) = one_vm();
    let sim = start_with(world, |start| {
        start.settings.rates.subscription = Bucket { capacity: 1, refill_per_s: 1.0 };
        start.settings.rates.retry_after_s = Some(600);
    });
    let status = || {
        let answer = get(&sim, &format!("/subscriptions/{id}/resourcegroups?api-version=2021-04-01"));
        (answer.status, answer.header("retry-after").to_owned())
    };
    let throttled = (429, "600".to_owned());
    assert_eq!([status(), status()], [(200, String::new()), throttled.clone()]);
    sim.advance(SignedDuration::from_secs(599));
    assert_eq!(status(), throttled);
    sim.advance(SignedDuration::from_secs(599));
    assert_eq!(status(), throttled);
    sim.advance(SignedDuration::from_secs(600));
    assert_eq!(status().0, 200);
    sim.settings(|settings| settings.rates.no_retry_after = true);
    assert_eq!(status(), (429, String::new()));
}

#[test]
fn compute_has_limits_of_its_own() {
    let (world, id, vm) = one_vm();
    let sim = start(world);
    let single = || get(&sim, &format!("{vm}?api-version={COMPUTE}&$expand=instanceView"));
    for _ in 0..36 {
        assert_eq!(single().status, 200);
    }
    let refused = single();
    assert_eq!(refused.refusal(), (429, "OperationNotAllowed".to_owned()));
    assert!(refused.header(LEFT).parse::<u32>().unwrap() > 200, "the subscription's own count is still high");
    let counted: serde_json::Value = serde_json::from_str(refused.json()["error"]["details"][0]["message"].as_str().unwrap()).unwrap();
    assert_eq!(counted["allowedRequestCount"], 300);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 5);
    let list = get(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}"));
    assert!(list.header("x-ms-ratelimit-remaining-resource").starts_with("Microsoft.Compute/HighCostGet3Min;899,"), "{:?}", list.headers);
}

#[test]
fn a_refusal_can_come_by_script() {
    let (world, id, _) = one_vm();
    let sim = start(world);
    let ask = || get(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}"));
    for (wait, header) in [(Some(1200), "1200"), (None, "")] {
        sim.faults(vec![Fault::new(Effect::Throttle { retry_after_s: wait, compute: true }).times(1)]);
        let refused = ask();
        assert_eq!((refused.status, refused.header("retry-after")), (429, header));
        assert_eq!(refused.headers.get("x-ms-ratelimit-remaining-resource").map(|value| value.contains(";0")), Some(true));
        assert_eq!(ask().status, 200);
    }
}

#[test]
fn queries_have_a_quota() {
    let (world, ..) = one_vm();
    let sim = start(world);
    let ask = || query(&sim, &json!({"query": "Resources | project id | order by id asc"}));
    let first = ask();
    assert_eq!((first.header("x-ms-user-quota-remaining"), first.header("x-ms-user-quota-resets-after")), ("14", "00:00:05"));
    for _ in 0..14 {
        assert_eq!(ask().status, 200);
    }
    sim.advance(SignedDuration::from_secs(2));
    let refused = ask();
    assert_eq!(
        (refused.status, refused.header("x-ms-user-quota-remaining"), refused.header("x-ms-user-quota-resets-after")),
        (429, "0", "00:00:03")
    );
    assert_eq!(refused.header("retry-after"), "3");
    sim.advance(SignedDuration::from_secs(3));
    assert_eq!(ask().status, 200);
}
