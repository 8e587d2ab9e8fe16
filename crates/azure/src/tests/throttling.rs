//! Limits on calls: whose they are, what is waited for, and what is not.

use dewpoint_azure_sim::{Bucket, CallRecord, Effect, Fault, Rates};

use super::*;
use crate::Rate;

/// A subscription with some machines, on small pages, and a clock on which nobody waits.
fn limited(rates: Rates) -> (Arc<Sim>, Arc<Hurried>, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg", "westeurope");
    for number in 0..12 {
        group.vm(&format!("vm-{number:02}"));
    }
    let sim = Arc::new(start_with(world, |settings| {
        settings.page_items = (2, 4);
        settings.rates = rates;
    }));
    let clock = Hurried::beside(&sim);
    (sim, clock, account)
}

fn throttle(retry_after_s: Option<u64>, compute: bool) -> Fault {
    Fault::new(Effect::Throttle { retry_after_s, compute })
}

fn hurried(sim: &Sim, clock: &Arc<Hurried>) -> Setup {
    let clock = Arc::clone(clock);
    setup(sim).with(|config| config.clock = clock)
}

/// Calls of an operation, in the order that they came in.
fn calls(sim: &Sim, operation: &str) -> Vec<CallRecord> {
    sim.calls().into_iter().filter(|call| call.operation == operation).collect()
}

#[tokio::test]
async fn a_wait_that_the_platform_asks_for_is_waited() {
    let (sim, clock, _) = limited(Rates::default());
    sim.faults(vec![throttle(Some(17), true).operation("disks.list").page(3).times(1)]);
    let notes = Notes::default();
    let pull = hurried(&sim, &clock).build().pull(&notes).await.unwrap();
    assert_eq!((incomplete(&pull), all_of(&pull, Kind::Volume).len()), (Vec::new(), 12));
    let third: Vec<CallRecord> = calls(&sim, "disks.list").into_iter().filter(|call| call.page == 3).collect();
    assert_eq!(third.iter().map(|call| call.status).collect::<Vec<_>>(), [429, 200]);
    let waited = third[1].at.duration_since(third[0].at).as_secs_f64();
    assert!((17.0..20.0).contains(&waited), "{waited}");
    assert!(notes.waited_s() >= 17.0, "the run's report says so");
}

#[tokio::test]
async fn a_wait_longer_than_a_call_may_take_ends_the_scope() {
    let (sim, clock, account) = limited(Rates::default());
    sim.faults(vec![throttle(Some(1200), true).operation("disks.list").page(3)]);
    let pull = hurried(&sim, &clock).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Volume), Outcome::Throttled);
    assert!(error(&pull, &account, Kind::Volume).contains("OperationNotAllowed"), "{}", error(&pull, &account, Kind::Volume));
    assert_eq!(calls(&sim, "disks.list").len(), 3, "it is asked once, and not again");
    assert!(clock.ahead() < Duration::from_secs(60), "nobody waited: {:?}", clock.ahead());
    assert!(!all_of(&pull, Kind::Volume).is_empty(), "what came before is taken");
    for kind in [Kind::NetworkInterface, Kind::SecurityGroup, Kind::LoadBalancer, Kind::ResourceGroup] {
        assert_eq!(outcome(&pull, &account, kind), Outcome::Complete, "{kind}: the limit is compute's own");
    }
}

#[tokio::test]
async fn a_refusal_without_a_time_is_repeated_with_pauses() {
    let (sim, clock, _) = limited(Rates::default());
    sim.faults(vec![throttle(None, true).operation("disks.list").times(3)]);
    let pull = hurried(&sim, &clock).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let times: Vec<Timestamp> = calls(&sim, "disks.list").iter().take(4).map(|call| call.at).collect();
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect();
    assert!(pauses.iter().all(|pause| *pause > 0.5), "{pauses:?}");
}

#[tokio::test]
async fn a_platform_that_never_lets_up_is_not_hammered() {
    let (sim, clock, account) = limited(Rates::default());
    sim.faults(vec![throttle(None, false).contains("api-version")]);
    let error_of_all = hurried(&sim, &clock).build().pull(&Notes::default()).await.unwrap_err();
    assert_eq!(error_of_all.outcome(), Outcome::Throttled, "{error_of_all}");
    let first = sim.calls().iter().filter(|call| call.status == 429).count();
    assert!(first < 20, "{first} calls in a minute");

    sim.clear_calls();
    sim.faults(vec![throttle(None, false).subscription(&account)]);
    let pull = hurried(&sim, &clock).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Throttled);
    let refused = sim.calls().iter().filter(|call| call.status == 429).count();
    // Pauses double from a second on: six rounds in a minute, of as many as are under way at once.
    assert!(refused <= 6 * 16, "{refused} calls were refused");
}

#[tokio::test]
async fn computes_own_limit_holds_back_compute_alone() {
    let (sim, clock, account) = limited(Rates::default());
    sim.faults(vec![throttle(Some(40), true).operation("virtualMachines.list").times(1)]);
    let pull = hurried(&sim, &clock).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let refused = sim.calls().iter().find(|call| call.status == 429).unwrap().at;
    let after = |call: &&CallRecord| call.at.duration_since(refused).as_secs_f64();
    let of_compute = |call: &&CallRecord| call.path.contains("Microsoft.Compute");
    let all_calls = sim.calls();
    // What was on its way already still arrives; where the clock was set forward meanwhile it arrives late.
    let later: Vec<f64> = all_calls.iter().filter(of_compute).map(|call| after(&call)).filter(|after| *after > 5.0).collect();
    let late = later.iter().filter(|after| **after < 40.0).count();
    assert!(later.len() > 8 && late <= 4, "compute is left alone for as long as it asked: {later:?}");
    assert_eq!(outcome(&pull, &account, Kind::NetworkInterface), Outcome::Complete);
}

#[tokio::test]
async fn few_calls_left_slow_down_before_any_is_refused() {
    let rates = Rates { subscription: Bucket { capacity: 30, refill_per_s: 2.0 }, ..Rates::default() };
    let (sim, clock, _) = limited(rates);
    let pull = hurried(&sim, &clock).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let refused = sim.calls().iter().filter(|call| call.status == 429).count();
    // As many as are under way when the number is first told.
    assert!(refused <= 16, "{refused} calls were refused");
    assert!(clock.ahead() > Duration::from_secs(1), "{:?}", clock.ahead());
}

#[tokio::test]
async fn small_buckets_are_waited_for_until_all_is_read() {
    for no_retry_after in [false, true] {
        let bucket = Bucket { capacity: 5, refill_per_s: 0.5 };
        let rates = Rates { subscription: bucket, compute_vms: bucket, compute_sets: bucket, no_retry_after, ..Rates::default() };
        let (sim, clock, _) = limited(rates);
        let patient = hurried(&sim, &clock).with(|config| config.timeout = Duration::from_secs(1800));
        let pull = patient.pull().await;
        assert_eq!((incomplete(&pull), all_of(&pull, Kind::Instance).len()), (Vec::new(), 12), "{no_retry_after}");
        let calls = sim.calls();
        let refused = calls.iter().filter(|call| call.status == 429).count();
        assert!(refused < calls.len(), "{refused} of {} calls were refused", calls.len());
    }
}

#[tokio::test]
async fn the_configured_rate_is_kept() {
    let (sim, clock, _) = limited(Rates::unlimited());
    let rates = crate::Rates { resource_manager: Rate::new(1, 1), ..crate::Rates::default() };
    let began = sim.now();
    let pull = hurried(&sim, &clock).with(|config| (config.rates, config.timeout) = (rates, Duration::from_secs(600))).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let calls = sim.calls().into_iter().filter(|call| !call.subscription.is_empty()).count();
    let took = sim.now().duration_since(began).as_secs_f64();
    assert!(f64::from(u32::try_from(calls).unwrap()) - 1.5 <= took, "{calls} calls in {took} s");
}
