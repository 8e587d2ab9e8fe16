//! Random estates and pulls for property tests: a small cloud of two accounts and two regions, seen through good and bad listings. And what
//! the tests of several crates ask of a pull.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "what is built here is built from constants")]

pub mod contract;
mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

pub use self::notes::Notes;
use crate::estate::{Estate, Fence};
use crate::inventory::{Coverage, Derived, Observed, Observing, SourceCoverage, derive, observe};
use crate::lifecycle::{Decisions, Policy, Timers, decide, decide_with};
use crate::model::{Attributes, Key, Kind, Outcome, Provider, Receipt, Region, Relation, RelationType, Resource, Scope, SourceName};
use crate::ownership::Ownership;
use crate::rules::Rules;
use crate::source::Pull;

/// Cases of a property: `PROPTEST_CASES`, where a long run sets it, else what is quick enough for every build.
#[must_use]
pub fn cases(quick: u32) -> u32 {
    std::env::var("PROPTEST_CASES").map_or(quick, |text| text.parse().expect("PROPTEST_CASES is a number"))
}

/// A source's name for tests.
#[must_use]
pub fn source() -> SourceName {
    "test".parse().expect("a name")
}

/// An instant, so many minutes after a fixed one.
#[must_use]
pub fn minute(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    start + SignedDuration::from_mins(minutes)
}

/// A scope of the test cloud.
#[must_use]
pub fn scope(account: &str, region: &str, kind: Kind) -> Scope {
    Scope { provider: Provider::Aws, account: account.parse().expect("an account"), region: region.parse().expect("a region"), kind }
}

/// A receipt of the test source.
#[must_use]
pub fn receipt(outcome: Outcome) -> Receipt {
    let error = (outcome != Outcome::Complete).then(|| format!("{outcome} on purpose"));
    Receipt { source: source(), outcome, count: None, error, extra: serde_json::Map::new() }
}

/// The key of a resource of the test cloud.
#[must_use]
pub fn key(scope: &Scope, name: &str) -> Key {
    Key::aws(&format!("arn:aws:ec2:{}:{}:{}/{name}", scope.region, scope.account, scope.kind)).expect("an ARN")
}

/// A bare resource; instances are running.
#[must_use]
pub fn resource(scope: &Scope, name: &str) -> Resource {
    Resource {
        key: key(scope, name),
        kind: scope.kind,
        provider: scope.provider,
        native_id: name.to_owned(),
        account: scope.account.clone(),
        region: scope.region.clone(),
        name: None,
        state: (scope.kind == Kind::Instance).then(|| "running".to_owned()),
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: Attributes::new(),
        derived: false,
        extra: serde_json::Map::new(),
    }
}

/// An edge without attributes.
#[must_use]
pub fn relation(relation: RelationType, from: &Key, to: &Key) -> Relation {
    Relation { relation, from: from.clone(), to: to.clone(), attributes: Attributes::new(), derived: false, extra: serde_json::Map::new() }
}

/// Builds a pull from parts in any order.
#[must_use]
pub fn pull(
    receipts: impl IntoIterator<Item = (Scope, Outcome)>,
    resources: impl IntoIterator<Item = Resource>,
    relations: impl IntoIterator<Item = Relation>,
) -> Pull {
    let mut pull = Pull { exhaustive: true, ..Pull::default() };
    for (scope, outcome) in receipts {
        pull.receipts.add(scope, receipt(outcome)).expect("no overlap");
    }
    pull.resources.extend(resources.into_iter().map(|resource| (resource.key.clone(), Arc::new(resource))));
    pull.relations.extend(relations.into_iter().map(|relation| (relation.id(), relation)));
    pull
}

/// The resources of a kind.
#[must_use]
pub fn all_of(pull: &Pull, kind: Kind) -> Vec<&Resource> {
    pull.resources.values().filter(|resource| resource.kind == kind).map(|resource| &**resource).collect()
}

/// The resource of a key, which has to be there.
#[track_caller]
#[must_use]
pub fn one<'a>(pull: &'a Pull, key: &Key) -> &'a Resource {
    let Some(resource) = pull.resources.get(key) else { panic!("{key} was not read") };
    resource
}

/// The coverage of a run that asked the test source alone.
#[must_use]
pub fn coverage(pull: &Pull) -> Coverage {
    let scopes: BTreeSet<Scope> = pull.receipts.iter().map(|(scope, _)| scope.clone()).collect();
    Coverage { sources: BTreeMap::from([(source(), SourceCoverage::Read { exhaustive: pull.exhaustive, scopes })]) }
}

/// Timers short enough for histories of a few runs, ten minutes apart.
#[must_use]
pub fn policy() -> Policy {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    Policy {
        timers: Timers { min_age: minutes(15), confirm_missing: 2, retire_after: minutes(20), purge_after: None, min_dwell: minutes(15) },
        rules: Rules::default(),
    }
}

/// Takes one pull through the pure half of a run: observe, derive, decide.
pub fn run(estate: &mut Estate, pull: &Pull, policy: &Policy, at: Timestamp, fence: i64) -> (Observed, Derived, Decisions) {
    let coverage = coverage(pull);
    let observing = Observing { at, fence: Fence(fence), narrow: false, coverage: &coverage };
    let observed = observe(estate, pull.clone(), &observing);
    let derived = derive(estate, &Ownership::default(), &observing);
    let decisions = decide(estate, policy, &observing);
    (observed, derived, decisions)
}

/// Decides anew after something else than a pull changed the estate, and leaves fleets as they are.
pub fn decide_again(estate: &mut Estate, policy: &Policy, at: Timestamp) -> Decisions {
    decide_with(estate, policy, at, |_, _| {}, &mut |_, _, _| {})
}

const KINDS: [(Kind, usize); 6] = [
    (Kind::Instance, 3),
    (Kind::SecurityGroup, 1),
    (Kind::NetworkInterface, 2),
    (Kind::Volume, 1),
    (Kind::ScalingGroup, 1),
    (Kind::Pool, 1),
];

/// Every scope of the test cloud.
#[must_use]
pub fn scopes() -> Vec<Scope> {
    let places =
        [("111111111111", "eu-west-1"), ("111111111111", "us-east-1"), ("222222222222", "eu-west-1"), ("222222222222", "us-east-1")];
    places.iter().flat_map(|(account, region)| KINDS.iter().map(|(kind, _)| scope(account, region, *kind))).collect()
}

fn items() -> Vec<(Scope, String)> {
    let count = |kind: Kind| KINDS.iter().find(|(other, _)| *other == kind).map_or(0, |(_, count)| *count);
    scopes().into_iter().flat_map(|scope| (0..count(scope.kind)).map(move |n| (scope.clone(), format!("r{n}")))).collect()
}

/// How one resource looks.
#[derive(Debug, Clone)]
struct Look {
    state: u8,
    size: Option<u8>,
    service: Option<u8>,
    owner: bool,
    addresses: bool,
    life: Option<bool>,
    age: Option<u8>,
    edges: u8,
    healthy: bool,
    /// Whether a cut listing still shows it.
    early: bool,
}

fn look() -> impl Strategy<Value = Look> {
    let texts = (0..8_u8, proptest::option::of(0..3_u8), proptest::option::of(0..3_u8), any::<bool>(), any::<bool>());
    let rest = (proptest::option::weighted(0.3, any::<bool>()), proptest::option::of(0..40_u8), 0..8_u8, any::<bool>(), any::<bool>());
    (texts, rest).prop_map(|((state, size, service, owner, addresses), (life, age, edges, healthy, early))| Look {
        state,
        size,
        service,
        owner,
        addresses,
        life,
        age,
        edges,
        healthy,
        early,
    })
}

#[derive(Debug, Clone)]
enum Turn {
    Stays,
    ComesOrGoes,
    Changes(Look),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![6 => Just(Turn::Stays), 2 => Just(Turn::ComesOrGoes), 1 => look().prop_map(Turn::Changes)]
}

fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        7 => Just(Some(Outcome::Complete)),
        1 => Just(Some(Outcome::Denied)),
        1 => Just(Some(Outcome::Truncated)),
        1 => Just(None),
    ]
}

/// Pulls of one changing cloud, one after another. Some listings are denied, cut, or not made at all.
pub fn pulls(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Pull>> {
    pulls_with(count, outcome())
}

/// Pulls of one changing cloud, all listings complete.
pub fn complete_pulls(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Pull>> {
    pulls_with(count, Just(Some(Outcome::Complete)))
}

fn pulls_with(count: std::ops::Range<usize>, outcome: impl Strategy<Value = Option<Outcome>>) -> impl Strategy<Value = Vec<Pull>> {
    let size = items().len();
    let step = (vec(turn(), size), vec(outcome, scopes().len()));
    (vec((look(), any::<bool>()), size), vec(step, count)).prop_map(|(mut cloud, steps)| {
        let mut pulls = Vec::new();
        for (turns, outcomes) in steps {
            for ((look, is_there), turn) in cloud.iter_mut().zip(turns) {
                match turn {
                    Turn::Stays => {}
                    Turn::ComesOrGoes => *is_there = !*is_there,
                    Turn::Changes(other) => *look = other,
                }
            }
            pulls.push(listing(&cloud, &outcomes));
        }
        pulls
    })
}

/// The same pull as it would be if no listing had been complete: denied scopes show nothing, the others are cut.
#[must_use]
pub fn broken(pull: &Pull) -> Pull {
    let mut broken = Pull { exhaustive: pull.exhaustive, ..Pull::default() };
    let mut denied = BTreeSet::new();
    for (index, scope) in scopes().into_iter().enumerate() {
        let outcome = if index % 2 == 0 { Outcome::Truncated } else { Outcome::Denied };
        if outcome == Outcome::Denied {
            denied.insert(scope.clone());
        }
        broken.receipts.add(scope, receipt(outcome)).expect("no overlap");
    }
    for (key, resource) in pull.resources.iter().filter(|(_, resource)| !denied.contains(&resource.scope())).step_by(2) {
        let mut cut = Resource::clone(resource);
        cut.attributes.retain(|name, _| name != "size");
        cut.tags.clear();
        broken.resources.insert(key.clone(), cut.into());
    }
    for (id, relation) in pull.relations.iter().filter(|(id, _)| broken.resources.contains_key(id.proving_end())).step_by(2) {
        broken.relations.insert(id.clone(), relation.clone());
    }
    broken
}

fn listing(cloud: &[(Look, bool)], outcomes: &[Option<Outcome>]) -> Pull {
    let outcomes: BTreeMap<Scope, Option<Outcome>> = scopes().into_iter().zip(outcomes.iter().copied()).collect();
    let receipts = outcomes.iter().filter_map(|(scope, outcome)| Some((scope.clone(), (*outcome)?)));
    let mut resources = Vec::new();
    let mut relations = Vec::new();
    for ((scope, name), (look, is_there)) in items().iter().zip(cloud) {
        let is_shown = match outcomes[scope] {
            Some(Outcome::Complete) => *is_there,
            Some(Outcome::Truncated) => *is_there && look.early,
            _ => false,
        };
        if !is_shown {
            continue;
        }
        resources.push(looking(scope, name, look));
        relations.extend(edges(scope, name, look));
    }
    pull(receipts, resources, relations)
}

fn looking(scope: &Scope, name: &str, look: &Look) -> Resource {
    let mut resource = resource(scope, name);
    let mut set = |name: &str, value| resource.attributes.insert(name.to_owned(), value);
    if scope.kind == Kind::Instance {
        resource.state = Some(
            ["running", "running", "running", "running", "running", "stopped", "stopped", "terminated"][usize::from(look.state)].to_owned(),
        );
        if let Some(size) = look.size {
            set("size", json!(format!("t3.{size}")));
        }
        if look.addresses {
            set("private_addresses", json!(["10.0.0.1"]));
        }
        if let Some(life) = look.life {
            set("life", json!(life.to_string()));
        }
        resource.created_at = look.age.map(|age| minute(i64::from(age)));
    }
    if scope.kind == Kind::Pool {
        set("healthy_count", json!(u8::from(look.healthy)));
    }
    if let Some(service) = look.service {
        resource.tags.insert("service".to_owned(), ["Shop", "shop ", "billing"][usize::from(service)].to_owned());
    }
    if look.owner {
        resource.tags.insert("owner".to_owned(), "ann".to_owned());
    }
    resource
}

fn edges(scope: &Scope, name: &str, look: &Look) -> Vec<Relation> {
    let own = key(scope, name);
    let other = |kind: Kind, n: u8| key(&Scope { kind, ..scope.clone() }, &format!("r{n}"));
    let bit = |n: u8| look.edges & (1 << n) != 0;
    let mut edges = Vec::new();
    match scope.kind {
        Kind::Instance if bit(0) => edges.push(relation(RelationType::ProtectedBy, &own, &other(Kind::SecurityGroup, 0))),
        Kind::NetworkInterface | Kind::Volume if bit(0) => {
            let mut edge = relation(RelationType::AttachedTo, &own, &other(Kind::Instance, look.edges % 3));
            edge.attributes.insert("delete_on_termination".to_owned(), json!(bit(1)));
            edges.push(edge);
        }
        Kind::ScalingGroup => {
            let members = (0..3).filter(|n| bit(*n));
            edges.extend(members.map(|n| relation(RelationType::MemberOf, &other(Kind::Instance, n), &own)));
        }
        Kind::Pool => edges.extend((0..3).filter(|n| bit(*n)).map(|n| {
            let mut edge = relation(RelationType::RoutesTo, &own, &other(Kind::Instance, n));
            edge.attributes.insert("port".to_owned(), json!(if bit(0) { 80 } else { 443 }));
            edge.attributes.insert("health".to_owned(), json!(if look.healthy { "healthy" } else { "unhealthy" }));
            edge
        })),
        _ => {}
    }
    edges
}

/// The region `*`.
#[must_use]
pub fn everywhere(scope: &Scope) -> Scope {
    Scope { region: Region::any(), ..scope.clone() }
}
