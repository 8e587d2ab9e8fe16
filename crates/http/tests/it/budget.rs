//! The rate budget alone, on a clock that stands still until everybody waits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_http::{Budget, Clock, HeaderMap, HeaderName, LayeredBudget, Rate, RateBudget, RateSignal};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::support::SteppedClock;

fn budget(rate: Rate) -> (Arc<RateBudget>, Arc<SteppedClock>) {
    let clock = Arc::new(SteppedClock::default());
    (Arc::new(RateBudget::new(rate, Arc::clone(&clock) as _)), clock)
}

fn rate(per_second: f64, burst: u32) -> Rate {
    Rate { per_second, burst: NonZeroU32::new(burst).unwrap() }
}

async fn take(budget: &dyn Budget) -> Duration {
    budget.acquire(NonZeroU32::MIN, Timestamp::MAX).await.unwrap()
}

fn refusal(retry_after: Option<u64>) -> RateSignal {
    RateSignal { is_refusal: true, retry_after: retry_after.map(Duration::from_secs), ..RateSignal::default() }
}

fn left(remaining: u64, reset_after: Option<u64>) -> RateSignal {
    RateSignal { remaining: Some(remaining), reset_after: reset_after.map(Duration::from_secs), ..RateSignal::default() }
}

#[track_caller]
fn close(time: Duration, seconds: f64) {
    assert!((time.as_secs_f64() - seconds).abs() < 0.1, "{time:?}, not {seconds} s");
}

#[tokio::test]
async fn many_workers_share_the_rate() {
    let (budget, clock) = budget(rate(10.0, 10));
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let budget = Arc::clone(&budget);
        workers.spawn(async move {
            for _ in 0..20 {
                take(&*budget).await;
                budget.observe(None);
            }
        });
    }
    workers.join_all().await;
    close(clock.elapsed(), 15.0);
}

#[tokio::test]
async fn less_than_one_a_second_and_heavy_calls() {
    let (slow, clock) = budget(Rate::per_second(50.0 / 60.0));
    for _ in 0..6 {
        take(&*slow).await;
    }
    close(clock.elapsed(), 6.0);
    let (heavy, clock) = budget(rate(10.0, 5));
    let heavier_than_the_bucket = NonZeroU32::new(100).unwrap();
    for _ in 0..3 {
        heavy.acquire(heavier_than_the_bucket, Timestamp::MAX).await.unwrap();
    }
    close(clock.elapsed(), 1.0);
}

#[tokio::test]
async fn nonsense_rates_neither_stop_nor_panic() {
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        let (budget, _) = budget(Rate::per_second(per_second));
        take(&*budget).await;
    }
}

#[tokio::test]
async fn refusals_without_a_time_pause_longer_each_time() {
    let (budget, _) = budget(rate(1000.0, 1000));
    for want in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        for _ in 0..3 {
            take(&*budget).await;
        }
        // Three were under way together: one lesson.
        for _ in 0..3 {
            budget.observe(Some(&refusal(None)));
        }
        close(take(&*budget).await, want);
        budget.observe(None);
    }
    take(&*budget).await;
    budget.observe(Some(&RateSignal::default()));
    take(&*budget).await;
    budget.observe(Some(&refusal(None)));
    close(take(&*budget).await, 1.0);
}

#[tokio::test]
async fn what_is_told_counts_up_to_an_hour() {
    let (budget, _) = budget(rate(1000.0, 1000));
    budget.observe(Some(&refusal(Some(812))));
    budget.observe(Some(&refusal(Some(5))));
    close(take(&*budget).await, 812.0);
    budget.observe(Some(&refusal(Some(999_999_999))));
    close(take(&*budget).await, 3600.0);
}

#[tokio::test]
async fn an_empty_window_is_waited_for() {
    let (budget, clock) = budget(rate(1000.0, 1000));
    take(&*budget).await;
    budget.observe(Some(&left(3, Some(60))));
    // Three more go, then none, although nobody was refused.
    for _ in 0..3 {
        close(take(&*budget).await, 0.0);
    }
    let error = budget.acquire(NonZeroU32::MIN, clock.now() + SignedDuration::from_secs(59)).await.unwrap_err();
    assert_eq!(error.until, clock.now() + SignedDuration::from_secs(60));
    // An answer that was overtaken says five; of the same window the fewest counts.
    budget.observe(Some(&left(8, Some(60))));
    close(take(&*budget).await, 60.0);
}

#[tokio::test]
async fn requests_under_way_count_against_what_is_left() {
    let (budget, _) = budget(rate(1000.0, 1000));
    for _ in 0..5 {
        take(&*budget).await;
    }
    budget.observe(Some(&left(4, Some(10))));
    close(take(&*budget).await, 10.0);
}

#[tokio::test]
async fn few_left_without_a_reset_slows_everybody() {
    let (budget, _) = budget(rate(1000.0, 1000));
    take(&*budget).await;
    budget.observe(Some(&left(200, None)));
    close(take(&*budget).await, 0.0);
    budget.observe(Some(&left(9, None)));
    close(take(&*budget).await, 1.0);
}

#[tokio::test]
async fn a_limit_alone_is_not_acted_upon() {
    let (budget, _) = budget(rate(1000.0, 1000));
    take(&*budget).await;
    let signal = RateSignal { limit: Some(1), reset_after: Some(Duration::from_secs(3600)), ..RateSignal::default() };
    budget.observe(Some(&signal));
    close(take(&*budget).await, 0.0);
}

/// A subscription whose two providers share its budget.
struct Subscription {
    platform: Arc<RateBudget>,
    compute: LayeredBudget,
    network: LayeredBudget,
    clock: Arc<SteppedClock>,
}

fn subscription() -> Subscription {
    let clock = Arc::new(SteppedClock::default());
    let budget = |per_second| Arc::new(RateBudget::new(rate(per_second, 1000), Arc::clone(&clock) as _));
    let platform = budget(1000.0);
    let [compute, network] = [(); 2].map(|()| LayeredBudget::new(Arc::clone(&platform) as _, budget(1000.0)));
    Subscription { platform, compute, network, clock }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> RateSignal {
    let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
    RateSignal::read(status, &headers, SteppedClock::default().now())
}

const READS: &str = "x-ms-ratelimit-remaining-subscription-reads";
const COMPUTE: &str = "x-ms-ratelimit-remaining-resource";

#[tokio::test]
async fn a_providers_refusal_holds_back_its_own_requests() {
    let of_headers: [&[(&str, &str)]; 3] = [
        &[(READS, "11990"), ("retry-after", "30")],
        &[(READS, "11990"), (COMPUTE, "Microsoft.Compute/HighCostGet3Min;46,Microsoft.Compute/HighCostGet30Min;0"), ("retry-after", "30")],
        &[(COMPUTE, "Microsoft.Compute/HighCostGet3Min;0"), ("x-ms-retry-after-ms", "30000")],
    ];
    for headers in of_headers {
        let Subscription { compute, network, clock, .. } = subscription();
        take(&compute).await;
        compute.observe(Some(&answer(429, headers)));
        close(take(&network).await, 0.0);
        let soon = clock.now() + SignedDuration::from_secs(29);
        let error = compute.acquire(NonZeroU32::MIN, soon).await.unwrap_err();
        assert_eq!(error.until, clock.now() + SignedDuration::from_secs(30), "{headers:?}");
        close(take(&compute).await, 30.0);
    }
}

#[tokio::test]
async fn a_platforms_refusal_holds_back_all_providers() {
    let of_headers: [&[(&str, &str)]; 3] = [
        &[(READS, "0"), ("retry-after", "30")],
        &[(READS, "3"), ("retry-after", "30")],
        // Nothing tells whose it is.
        &[("retry-after", "30")],
    ];
    for headers in of_headers {
        let Subscription { compute, network, clock, .. } = subscription();
        take(&compute).await;
        compute.observe(Some(&answer(429, headers)));
        let soon = clock.now() + SignedDuration::from_secs(29);
        for layered in [&compute, &network] {
            let error = layered.acquire(NonZeroU32::MIN, soon).await.unwrap_err();
            assert_eq!(error.until, clock.now() + SignedDuration::from_secs(30), "{headers:?}");
        }
        close(take(&network).await, 30.0);
        close(take(&compute).await, 0.0);
    }
}

#[tokio::test]
async fn few_calls_left_at_a_provider_slow_it_alone() {
    let Subscription { compute, network, .. } = subscription();
    take(&compute).await;
    compute.observe(Some(&answer(200, &[(READS, "249"), (COMPUTE, "Microsoft.Compute/GetVM3Min;9")])));
    close(take(&network).await, 0.0);
    close(take(&compute).await, 1.0);
    network.observe(Some(&answer(200, &[(READS, "9")])));
    close(take(&compute).await, 1.0);
}

#[tokio::test]
async fn a_refusal_by_the_platform_says_nothing_of_the_provider() {
    let Subscription { compute, .. } = subscription();
    let by_compute = answer(429, &[(READS, "249")]);
    for want in [1.0, 2.0] {
        take(&compute).await;
        compute.observe(Some(&by_compute));
        close(take(&compute).await, want);
        // It turned the request away, and so the provider did not take one.
        compute.observe(Some(&answer(429, &[(READS, "0"), ("retry-after", "0")])));
    }
    take(&compute).await;
    compute.observe(Some(&answer(200, &[(READS, "249")])));
    take(&compute).await;
    compute.observe(Some(&by_compute));
    close(take(&compute).await, 1.0);
}

#[tokio::test]
async fn waits_for_both_layers_add_up() {
    let (platform, clock) = budget(rate(1.0, 1));
    let provider = Arc::new(RateBudget::new(rate(0.1, 1), Arc::clone(&clock) as _));
    let layered = LayeredBudget::new(platform, provider);
    close(take(&layered).await, 0.0);
    // A second for the platform, nine more for the provider.
    close(take(&layered).await, 10.0);
    close(clock.elapsed(), 10.0);
}

/// How many more calls go at once, where the platform says that five are left until its window ends: those under way count against them.
async fn left_of_five(platform: &RateBudget, clock: &SteppedClock) -> usize {
    take(platform).await;
    platform.observe(Some(&left(5, Some(60))));
    let mut more = 0;
    while platform.acquire(NonZeroU32::MIN, clock.now()).await.is_ok() {
        more += 1;
    }
    more
}

#[tokio::test]
async fn a_request_that_its_provider_keeps_from_going_is_not_under_way() {
    let Subscription { platform, compute, clock, .. } = subscription();
    take(&compute).await;
    compute.observe(Some(&answer(429, &[(READS, "249"), ("retry-after", "30")])));
    let soon = clock.now() + SignedDuration::from_secs(1);
    for _ in 0..3 {
        compute.acquire(NonZeroU32::MIN, soon).await.unwrap_err();
    }
    assert_eq!(left_of_five(&platform, &clock).await, 5, "the platform heard that nothing came of them");
    // Nor one that nobody waits for any more.
    let Subscription { platform, compute, clock, .. } = subscription();
    take(&compute).await;
    compute.observe(Some(&answer(429, &[(READS, "249"), ("retry-after", "30")])));
    let mut waiting = Box::pin(take(&compute));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    assert_eq!(left_of_five(&platform, &clock).await, 5);
    // One that went and was not answered is told to both.
    let Subscription { platform, compute, clock, .. } = subscription();
    take(&compute).await;
    assert_eq!(left_of_five(&platform, &clock).await, 4);
    let Subscription { platform, compute, clock, .. } = subscription();
    take(&compute).await;
    compute.observe(None);
    assert_eq!(left_of_five(&platform, &clock).await, 5);
}

proptest! {
    /// Whatever is told, in any order: over any stretch no more calls go than the bucket and its refill allow, and no wait is longer than the longest
    /// that a platform can ask for.
    #[test]
    fn never_faster_than_configured_and_never_stuck(
        told in prop::collection::vec((0_u8..4, 0_u64..50, prop::option::of(0_u64..5000)), 1..60),
        per_second in 1_u32..20,
        burst in 1_u32..10,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(async {
            let (budget, clock) = budget(rate(f64::from(per_second), burst));
            let mut taken = Vec::new();
            for (kind, number, time) in told {
                let before = clock.elapsed();
                take(&*budget).await;
                assert!(clock.elapsed() - before <= Duration::from_secs(3602), "waited {:?}", clock.elapsed() - before);
                taken.push(clock.elapsed());
                match kind {
                    0 => budget.observe(Some(&refusal(time))),
                    1 => budget.observe(Some(&left(number, time))),
                    2 => budget.observe(Some(&RateSignal::default())),
                    _ => budget.observe(None),
                }
            }
            taken
        });
        for (from, start) in taken.iter().enumerate() {
            for (to, end) in taken.iter().enumerate().skip(from) {
                let allowed = f64::from(burst) + (*end - *start).as_secs_f64() * f64::from(per_second) + 0.01;
                prop_assert!((to - from + 1) as f64 <= allowed + 1.0, "{} calls in {:?}", to - from + 1, *end - *start);
            }
        }
    }
}
