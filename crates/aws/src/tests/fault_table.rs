//! Every action against every fault: what fails ends in its own receipt, never in a shorter list.

use dewpoint_aws_sim::{Effect, Fault, Mishap};

use super::world::furnished;
use super::*;

/// An action, and the scopes that rest on it.
#[derive(Debug, Clone, Copy)]
struct Case {
    service: &'static str,
    action: &'static str,
    kinds: &'static [Kind],
    /// Listed page by page.
    paged: bool,
    /// An item without its identifier is told from one that is not there.
    id: bool,
    /// The same for an item without its state.
    state: bool,
}

const fn case(service: &'static str, action: &'static str, kinds: &'static [Kind]) -> Case {
    Case { service, action, kinds, paged: true, id: true, state: false }
}

const fn unpaged(service: &'static str, action: &'static str, kinds: &'static [Kind]) -> Case {
    Case { paged: false, ..case(service, action, kinds) }
}

const fn with_state(case: Case) -> Case {
    Case { state: true, ..case }
}

const fn without_id(case: Case) -> Case {
    Case { id: false, ..case }
}

const BOTH: &[Kind] = &[Kind::LoadBalancer, Kind::Pool];

/// `DescribeRegions`, which is no regional listing, has tests among those of accounts.
const CASES: [Case; 19] = [
    with_state(case("ec2", "DescribeInstances", &[Kind::Instance])),
    case("ec2", "DescribeInstanceTypes", &[Kind::Instance]),
    with_state(case("ec2", "DescribeNetworkInterfaces", &[Kind::NetworkInterface])),
    case("ec2", "DescribeSecurityGroups", &[Kind::SecurityGroup]),
    case("ec2", "DescribeVpcs", &[Kind::Network]),
    case("ec2", "DescribeSubnets", &[Kind::Subnet]),
    with_state(case("ec2", "DescribeVolumes", &[Kind::Volume])),
    unpaged("ec2", "DescribeAddresses", &[Kind::PublicAddress]),
    unpaged("ec2", "DescribeAvailabilityZones", &[Kind::Zone]),
    case("autoscaling", "DescribeAutoScalingGroups", &[Kind::ScalingGroup]),
    with_state(case("elbv2", "DescribeLoadBalancers", &[Kind::LoadBalancer])),
    case("elbv2", "DescribeListeners", &[Kind::LoadBalancer]),
    without_id(case("elbv2", "DescribeRules", &[Kind::LoadBalancer])),
    without_id(unpaged("elbv2", "DescribeTags", BOTH)),
    case("elbv2", "DescribeTargetGroups", &[Kind::Pool]),
    with_state(unpaged("elbv2", "DescribeTargetHealth", &[Kind::Pool])),
    case("elb", "DescribeLoadBalancers", BOTH),
    without_id(unpaged("elb", "DescribeTags", BOTH)),
    with_state(unpaged("elb", "DescribeInstanceHealth", &[Kind::Pool])),
];

impl Case {
    /// As policies spell it.
    fn name(&self) -> String {
        let service = if self.service.starts_with("elb") { "elasticloadbalancing" } else { self.service };
        format!("{service}:{}", self.action)
    }

    /// An item refers to others by their identifiers.
    fn refers(&self) -> bool {
        matches!(
            (self.service, self.action),
            ("autoscaling", "DescribeAutoScalingGroups")
                | ("ec2", "DescribeVolumes" | "DescribeSecurityGroups" | "DescribeNetworkInterfaces")
                | ("elb", "DescribeLoadBalancers")
                | ("elbv2", "DescribeTargetHealth")
        )
    }

    fn fault(&self, effect: &Effect, region: &str, page: Option<u32>) -> Fault {
        let fault = Fault::new(effect.clone()).service(self.service).action(self.action).region(region);
        Fault { page, ..fault }
    }
}

#[test]
fn no_action_is_left_out() {
    for round in 0..8 {
        let placed: Vec<Case> = places(round).into_iter().map(|(_, case)| case).collect();
        assert_eq!(placed.len(), CASES.len());
    }
    let cases: BTreeSet<String> = CASES.iter().map(Case::name).chain(["ec2:DescribeRegions".to_owned()]).collect();
    assert_eq!(cases, crate::ACTIONS.iter().map(|action| (*action).to_owned()).collect());
}

/// A fault, and how what it strikes ends.
#[derive(Debug, Clone)]
struct Trouble {
    effect: Effect,
    outcome: Outcome,
    /// A part of the text, beside the action's name.
    text: &'static str,
    strikes: fn(&Case) -> bool,
    /// The page struck, with small pages: what was read before it is kept.
    page: Option<u32>,
    /// Nobody waits for a service twice: what is asked of it later fails as well.
    spreads: bool,
}

fn trouble(effect: Effect, outcome: Outcome, text: &'static str) -> Trouble {
    Trouble { effect, outcome, text, strikes: |_| true, page: None, spreads: false }
}

fn error(status: u16, code: &str) -> Effect {
    Effect::Error { status, code: code.to_owned(), message: "in its words".to_owned() }
}

/// What one scope holds.
type Part = (BTreeMap<Key, Value>, BTreeMap<EdgeId, Relation>);

/// What a pull read, by scope. `homes` knows which scope proves what a key stands for.
fn by_scope(pull: &Pull, homes: &BTreeMap<Key, Scope>) -> BTreeMap<Scope, Part> {
    let mut parts: BTreeMap<Scope, Part> = pull.receipts.iter().map(|(scope, _)| (scope.clone(), Part::default())).collect();
    let (resources, relations) = contents(pull);
    for (key, value) in resources {
        let home = homes.get(&key).unwrap_or_else(|| panic!("{key} does not exist"));
        parts.get_mut(home).unwrap().0.insert(key, value);
    }
    for (id, edge) in relations {
        let home = homes.get(id.proving_end()).unwrap_or_else(|| panic!("{id:?} does not exist"));
        parts.get_mut(home).unwrap().1.insert(id, edge);
    }
    parts
}

/// Regions of the world, no more than are listed at the same time.
const REGIONS: [&str; 8] = ["eu-test-0", "eu-test-1", "eu-test-2", "eu-test-3", "eu-test-4", "eu-test-5", "eu-test-6", "eu-test-7"];

/// Where each action fails. Several fail in one region, as long as no scope rests on two of them; which ones changes from `round` to `round`.
fn places(round: usize) -> Vec<(&'static str, Case)> {
    let case = |service: &str, action: &str| CASES.into_iter().find(|case| (case.service, case.action) == (service, action)).unwrap();
    // One of these after the other, in the region of its number.
    let apart = [
        case("elbv2", "DescribeLoadBalancers"),
        case("elbv2", "DescribeListeners"),
        case("elbv2", "DescribeRules"),
        case("elbv2", "DescribeTags"),
        case("elbv2", "DescribeTargetGroups"),
        case("elb", "DescribeLoadBalancers"),
        case("elb", "DescribeTags"),
        // Pools rest on interfaces as well.
        case("ec2", "DescribeNetworkInterfaces"),
    ];
    // Pools alone rest on these: where only balancers rest on the other.
    let health = [case("elbv2", "DescribeTargetHealth"), case("elb", "DescribeInstanceHealth")];
    let health = health.into_iter().enumerate().map(|(n, case)| (REGIONS[(n + round) % 3], case));
    let is_placed = |case: &Case| case.service.starts_with("elb") || case.action == "DescribeNetworkInterfaces";
    let others = CASES.into_iter().filter(|case| !is_placed(case)).enumerate();
    // The two whose regions are the same at first part company in the next round.
    let others = others.map(|(n, case)| (REGIONS[(n + round * (1 + n / REGIONS.len())) % REGIONS.len()], case));
    REGIONS.into_iter().zip(apart).chain(health).chain(others).collect()
}

/// Pulls a world in which every action fails in the same way, each in its region.
async fn check(account: &str, troubles: Vec<Trouble>) {
    let names = &REGIONS;
    let sim = start(furnished(account, names));
    let source = || {
        setup(&sim, account, names).impatient().with(|_, tuning| {
            tuning.attempts_max = 2;
            tuning.read = Duration::from_secs(1);
        })
    };
    let whole = source().pull().await;
    assert_eq!(gaps(&whole), BTreeMap::new());
    let homes: BTreeMap<Key, Scope> =
        whole.resources.values().map(|one| (one.key.clone(), scope(account, one.region.as_str(), one.kind))).collect();
    let whole_parts = by_scope(&whole, &homes);

    for (round, Trouble { effect, outcome, text, strikes, page, spreads }) in troubles.into_iter().enumerate() {
        let struck: Vec<(&str, Case)> = places(round).into_iter().filter(|(_, case)| strikes(case)).collect();
        sim.faults(struck.iter().map(|(region, case)| case.fault(&effect, region, page)).collect());
        sim.settings(|settings| settings.page_items_max = page.map(|_| 2));
        let pull = source().pull().await;

        let mut wanted = BTreeMap::new();
        for (region, case) in &struck {
            wanted.extend(gaps_of(account, region, case.kinds, outcome));
            for kind in case.kinds {
                let error = error_of(&pull, account, region, *kind);
                let names_it =
                    spreads || error.contains(&case.name()) || error.starts_with("source `cloud` has no credentials that are accepted: ");
                assert!(names_it && error.contains(text), "{effect:?} {case:?}: {error}");
            }
            let unread = receipts(&pull)[&scope(account, region, Kind::Pool)].outcome != Outcome::Complete;
            let reads_some = page.is_some() || effect == Effect::RepeatToken || is_about_items(&effect);
            if case.action == "DescribeNetworkInterfaces" && (!reads_some || unread) {
                // Whose address is in a pool was not read.
                wanted.extend(gaps_of(account, region, &[Kind::Pool], Outcome::Truncated));
                let error = error_of(&pull, account, region, Kind::Pool);
                assert!(error.ends_with("1 targets are addresses, and the interfaces that have them were not read whole"), "{error}");
            }
            if page.is_some()
                && case.action != "DescribeInstanceTypes"
                && !case.action.contains("Listeners")
                && !case.action.contains("Rules")
            {
                assert!(
                    receipts(&pull)[&scope(account, region, case.kinds[0])].count > Some(0),
                    "{effect:?} {case:?}: the first page is kept"
                );
            }
        }
        let mut gaps = gaps(&pull);
        if spreads {
            gaps.retain(|scope, outcome| {
                let by_the_way = !wanted.contains_key(scope) && (scope.ends_with("load_balancer") || scope.ends_with("pool"));
                assert!(!by_the_way || *outcome == Outcome::Failed, "{scope} {outcome:?}");
                !by_the_way
            });
        }
        assert_eq!(gaps, wanted, "{effect:?}");
        let parts = by_scope(&pull, &homes);
        for (scope, receipt) in pull.receipts.iter() {
            assert_eq!(receipt.count, Some(parts[scope].0.len() as u64), "{effect:?} {scope}");
            if receipt.is_complete() {
                assert_eq!(parts[scope], whole_parts[scope], "{effect:?} {scope}: complete, and not whole");
            }
        }
        assert!(!struck.is_empty());
    }
}

/// The answer is whole, and an item in it cannot be taken: everything else in it counts.
fn is_about_items(effect: &Effect) -> bool {
    matches!(effect, Effect::ItemWithoutId | Effect::NestedWithoutId | Effect::ItemWithoutState)
}

#[tokio::test]
async fn refusals() {
    let troubles = vec![
        trouble(Effect::Deny, Outcome::Denied, "may not"),
        trouble(Effect::ScpDeny, Outcome::Denied, "explicit deny in a service control policy"),
        // The account has the region, so it is no matter of opting in.
        trouble(Effect::AuthFailure, Outcome::Denied, "may not"),
        trouble(error(401, "OptInRequired"), Outcome::Denied, "OptInRequired: in its words"),
        trouble(Effect::ExpiredToken, Outcome::Denied, "has no credentials that are accepted"),
        trouble(Effect::Throttle, Outcome::Throttled, "was throttled at"),
    ];
    check("100000000011", troubles).await;
}

#[tokio::test]
async fn failures() {
    let troubles = vec![
        trouble(error(500, "InternalError"), Outcome::Failed, "InternalError: in its words"),
        trouble(Effect::Mishap(Mishap::Html { status: 502 }), Outcome::Failed, "502"),
        trouble(Effect::Mishap(Mishap::Reset), Outcome::Failed, "failed at"),
        Trouble { spreads: true, ..trouble(Effect::Mishap(Mishap::Hang), Outcome::Failed, "failed at") },
    ];
    check("100000000012", troubles).await;
}

#[tokio::test]
async fn bodies_that_are_not_whole() {
    let mut troubles: Vec<Trouble> =
        [0.0, 0.5, 0.999].map(|share| trouble(Effect::Mishap(Mishap::CutBody { share }), Outcome::Truncated, "the body ")).to_vec();
    troubles.push(trouble(Effect::Mishap(Mishap::CutConnection { share: 0.5 }), Outcome::Truncated, "incomplete answer"));
    troubles.push(trouble(Effect::Mishap(Mishap::Html { status: 200 }), Outcome::Truncated, "incomplete answer"));
    check("100000000013", troubles).await;
}

#[tokio::test]
async fn items_and_tokens() {
    let leads_to_itself = trouble(Effect::RepeatToken, Outcome::Truncated, "page 2 repeats the token of an earlier page");
    let troubles = vec![
        // A first page with a token that leads to it again.
        Trouble { strikes: |case| case.paged, ..leads_to_itself },
        Trouble { strikes: |case| case.id, ..trouble(Effect::ItemWithoutId, Outcome::Truncated, "has no ") },
        Trouble { strikes: Case::refers, ..trouble(Effect::NestedWithoutId, Outcome::Truncated, "has no ") },
        Trouble { strikes: |case| case.state, ..trouble(Effect::ItemWithoutState, Outcome::Truncated, "has no state") },
    ];
    check("100000000014", troubles).await;
}

#[tokio::test]
async fn later_pages() {
    let paged = |effect, outcome, text| Trouble { strikes: |case| case.paged, page: Some(2), ..trouble(effect, outcome, text) };
    let troubles = vec![
        paged(error(500, "InternalError"), Outcome::Failed, "InternalError"),
        paged(Effect::Mishap(Mishap::CutBody { share: 0.6 }), Outcome::Truncated, "the body "),
        paged(Effect::RepeatToken, Outcome::Truncated, "repeats the token of an earlier page"),
        paged(Effect::StaleToken, Outcome::Truncated, "incomplete answer"),
    ];
    check("100000000015", troubles).await;
}
