//! Rate budgets: each account has its own in each region, for each family of actions.

use dewpoint_aws_sim::{Bucket, Effect, Fault};

use super::world::{OTHER, furnish, furnished};
use super::*;

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

/// Which calls share a budget.
fn family(call: &CallRecord) -> (String, String, &'static str) {
    let family = match call.service.as_str() {
        "ec2" => "ec2",
        "elb" | "elbv2" => "load balancing",
        "autoscaling" => "auto scaling",
        _ => "sts",
    };
    (call.account.clone(), call.region.clone(), family)
}

#[tokio::test]
async fn a_pull_takes_no_more_than_its_budgets() {
    let mut world = furnished(OWN, &[EU, US]);
    let other = world.account(OTHER);
    other.role("DewpointReader", &[OWN]);
    furnish(other.region(EU));
    let sim = Sim::start(world).unwrap();
    // Buckets of the same size: whoever keeps to the budget never empties one.
    let bucket = Bucket { capacity: 4, refill_per_s: 10.0 };
    sim.settings(|settings| (settings.rates.ec2, settings.rates.elb, settings.rates.autoscaling) = (bucket, bucket, bucket));
    let budget = rate(10, 4);
    let setup = setup(&sim, OWN, &[EU, US]).with(|config, _| {
        config.accounts = Accounts::Listed(vec![listed(OWN), listed(OTHER)]);
        config.rates = Rates { ec2: budget, load_balancing: budget, auto_scaling: budget, ..Rates::default() };
    });
    let notes = Notes::default();
    let pull = setup.build().pull(&notes).await.unwrap();
    assert_eq!(gaps(&pull), BTreeMap::new());
    let calls = sim.calls();
    assert!(calls.iter().all(|call| call.status == 200), "nothing was throttled");
    assert!(notes.waited_s() > 1.0, "waiting is told");

    let mut by_family: BTreeMap<_, Vec<jiff::Timestamp>> = BTreeMap::new();
    for call in &calls {
        by_family.entry(family(call)).or_default().push(call.at);
    }
    by_family.retain(|(_, _, family), _| *family != "sts");
    assert_eq!(by_family.len(), 12, "{:?}", by_family.keys());
    let span = |times: &[jiff::Timestamp]| {
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        (*first, *last, last.duration_since(*first).as_secs_f64())
    };
    for (place, times) in &by_family {
        let (.., seconds) = span(times);
        let least = (times.len().saturating_sub(4)) as f64 / 10.0;
        // The first call may have been late on its way.
        assert!(seconds >= least * 0.7 - 0.2, "{place:?}: {} calls in {seconds} s, at least {least} s", times.len());
    }
    // Side by side, not one after the other.
    let places: Vec<_> = by_family.iter().filter(|((.., family), _)| *family == "ec2").map(|(_, times)| span(times)).collect();
    assert!(places.iter().any(|one| places.iter().any(|other| one.0 > other.0 && one.0 < other.1)), "{places:?}");
}

#[tokio::test]
async fn budgets_are_not_filled_by_the_next_pull() {
    let sim = Sim::start(furnished(OWN, &[EU])).unwrap();
    let rates = Rates { auto_scaling: rate(2, 1), ..Rates::default() };
    let source = setup(&sim, OWN, &[EU]).with(|config, _| config.rates = rates).build();
    pull(&source).await;
    pull(&source).await;
    let times: Vec<_> = sim.calls().into_iter().filter(|call| call.service == "autoscaling").map(|call| call.at).collect();
    let [first, second] = times.as_slice() else { panic!("{times:?}") };
    // The first may have been late on its way.
    assert!(second.duration_since(*first).as_secs_f64() > 0.3, "{times:?}");
}

#[tokio::test]
async fn with_the_usual_budgets_nobody_is_throttled() {
    let sim = Sim::start(furnished(OWN, &[EU, US])).unwrap();
    let source = setup(&sim, OWN, &[EU, US]).with(|config, _| config.rates = Rates::default()).build();
    let notes = Notes::default();
    assert_eq!(gaps(&source.pull(&notes).await.unwrap()), BTreeMap::new());
    assert!(sim.calls().iter().all(|call| call.status == 200));
    assert_eq!(notes.waited_s(), 0.0, "nor does a small estate wait");
}

/// The SDK repeats calls out of a quota. One for the whole process would be used up by the account that is worst off.
#[tokio::test]
async fn one_accounts_errors_leave_the_others_their_repeats() {
    const ILL: &str = "100000000041";
    const WELL: &str = "100000000042";
    let mut world = furnished(WELL, &[EU]);
    furnish(world.account(ILL).region(EU));
    let sim = start(world);
    let broken = || Fault::new(Effect::Error { status: 500, code: "InternalError".to_owned(), message: "no".to_owned() });
    let actions = ["DescribeInstances", "DescribeVolumes", "DescribeNetworkInterfaces", "DescribeSubnets"];
    let of = |account| actions.map(|action| broken().account(account).service("ec2").action(action));
    sim.faults([of(ILL), of(WELL).map(|fault| fault.times(3))].concat());
    let ill = setup(&sim, ILL, &[EU]).build();
    // A repeat costs 14 of 500, and what succeeds gives a little back: after these, little is left.
    for _ in 0..8 {
        assert!(gaps(&pull(&ill).await).contains_key(&format!("{ILL} {EU} instance")));
    }
    let well = setup(&sim, WELL, &[EU]).pull().await;
    assert_eq!(gaps(&well), BTreeMap::new());
}
