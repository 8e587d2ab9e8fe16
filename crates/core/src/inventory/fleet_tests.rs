#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::estate::{Dirty, Disposition, EndCause, Estate, Fence, JournalKind, Known, Stage};
use crate::lifecycle::{confirm, explain};
use crate::model::{Account, EdgeId, Key, Kind, Outcome, Provider, Region, Relation, RelationType, Resource, Scope};
use crate::ownership::Ownership;
use crate::plan::Reason;
use crate::source::{Presence, Pull};
use crate::testing::{coverage, decide_again, key, minute, policy, pull, relation, resource, scope};

const A: &str = "111111111111";
const HERE: &str = "eu-west-1";

fn of(kind: Kind) -> Scope {
    scope(A, HERE, kind)
}

fn machine(name: &str) -> Key {
    key(&of(Kind::Instance), name)
}

fn spot(name: &str, size: &str, zone: &str, purchase: &str) -> Resource {
    let mut machine = resource(&of(Kind::Instance), name);
    machine.attributes = serde_json::from_value(json!({"size": size, "zone": zone, "purchase": purchase})).expect("attributes");
    machine
}

fn instance(name: &str) -> Resource {
    resource(&of(Kind::Instance), name)
}

fn group() -> Resource {
    let mut group = resource(&of(Kind::ScalingGroup), "asg");
    group.attributes = serde_json::from_value(json!({"sizes": ["a"], "member_count": 9, "max_size": 9})).expect("attributes");
    group
}

fn web() -> Key {
    named("web")
}

fn named(name: &str) -> Key {
    fleet_key(A, HERE, name).expect("a name")
}

fn fleet_key(account: &str, region: &str, name: &str) -> Option<Key> {
    let (account, region): (Account, Region) = (account.parse().expect("an account"), region.parse().expect("a region"));
    Key::fleet(Provider::Aws, &account, &region, name)
}

fn into(fleet: &Key, members: &[&str]) -> Folding {
    members.iter().map(|name| (machine(name), fleet.clone())).collect()
}

const KINDS: [Kind; 6] = [Kind::Instance, Kind::ScalingGroup, Kind::Pool, Kind::SecurityGroup, Kind::NetworkInterface, Kind::LoadBalancer];

/// A pull in which every listing is complete, save those named.
fn seen_but(outcome: Outcome, cut: &[Kind], resources: Vec<Resource>, relations: Vec<Relation>) -> Pull {
    let receipts = KINDS.map(|kind| (of(kind), if cut.contains(&kind) { outcome } else { Outcome::Complete }));
    pull(receipts, resources, relations)
}

fn seen(resources: Vec<Resource>, relations: Vec<Relation>) -> Pull {
    seen_but(Outcome::Complete, &[], resources, relations)
}

fn run(estate: &mut Estate, pull: &Pull, folding: &Folding, fence: i64) -> Folded {
    run_as(estate, pull, folding, fence, false)
}

/// Observe, derive, dispose as `folding` says, fold.
fn run_as(estate: &mut Estate, pull: &Pull, folding: &Folding, fence: i64, narrow: bool) -> Folded {
    run_at(estate, pull, folding, (fence, 10 * fence), narrow)
}

fn run_at(estate: &mut Estate, pull: &Pull, folding: &Folding, (fence, at): (i64, i64), narrow: bool) -> Folded {
    estate.dirty = Dirty::default();
    let coverage = coverage(pull);
    let observing = Observing { at: minute(at), fence: Fence(fence), narrow, coverage: &coverage };
    let _ = observe(estate, pull.clone(), &observing);
    let _ = derive(estate, &Ownership::default(), &observing);
    dispose(estate, folding);
    fold(estate, folding, &observing)
}

fn dispose(estate: &mut Estate, folding: &Folding) {
    for (key, known) in &mut estate.resources {
        known.disposition = if folding.contains_key(key) { Disposition::Fold } else { Disposition::Record };
    }
}

#[track_caller]
fn is_clean(estate: &Estate) {
    let Dirty { resources, edges, journal, .. } = &estate.dirty;
    assert_eq!((resources.len(), edges.len(), journal.len()), (0, 0, 0), "{:?}", estate.dirty);
}

#[track_caller]
fn attributes(estate: &Estate, key: &Key) -> Value {
    json!(estate.resources[key].resource.attributes)
}

fn edge(from: &Key, relation: RelationType, to: &Key) -> EdgeId {
    EdgeId { from: from.clone(), relation, to: to.clone() }
}

fn routes(pool: &Key, to: &str, facts: Value) -> Relation {
    let attributes = serde_json::from_value(facts).expect("attributes");
    Relation { attributes, ..relation(RelationType::RoutesTo, pool, &machine(to)) }
}

/// The derived edges of fleets, without `member_of`, as `from relation to`, by the last part of each key.
fn lifted(estate: &Estate) -> Vec<String> {
    let name = |key: &Key| key.as_str().rsplit(['/', ':']).next().expect("a name").to_owned();
    let is_fleet = |key: &Key| estate.resources.get(key).is_some_and(|known| known.resource.kind == Kind::ScalingGroup);
    let edges = estate.edges.iter().filter(|(id, edge)| edge.derived && (is_fleet(&id.from) || is_fleet(&id.to)));
    let lifted = edges.filter(|(id, _)| id.relation != RelationType::MemberOf);
    let names: BTreeSet<String> = lifted.map(|(id, _)| format!("{} {} {}", name(&id.from), id.relation, name(&id.to))).collect();
    names.into_iter().collect()
}

#[test]
fn a_named_fleet_is_what_its_members_are() {
    let mut estate = Estate::default();
    let ended = Resource { state: Some("terminated".to_owned()), ..spot("i-4", "z", "z", "spot") };
    let all =
        seen(vec![spot("i-1", "b", "1a", "spot"), spot("i-2", "a", "1a", "on_demand"), spot("i-3", "a", "1b", "spot"), ended], vec![]);
    let folding = into(&web(), &["i-1", "i-2", "i-3", "i-4", "i-unknown"]);
    let folded = run(&mut estate, &all, &folding, 1);
    assert_eq!(folded, Folded { fleets: 1, members: 3, memberless: 0 });

    let fleet = &estate.resources[&web()].resource;
    assert_eq!(
        (fleet.kind, fleet.derived, fleet.name.as_deref(), fleet.native_id.as_str()),
        (Kind::ScalingGroup, true, Some("web"), "web")
    );
    assert_eq!(fleet.scope(), of(Kind::ScalingGroup));
    let want = json!({
        "sizes": ["a", "b"], "zones": ["1a", "1b"], "spot_share": 0.6667,
        "member_count": 3, "member_count_min": 3, "member_count_max": 3,
    });
    assert_eq!(attributes(&estate, &web()), want);
    for name in ["i-1", "i-2", "i-3"] {
        assert!(estate.edges[&edge(&machine(name), RelationType::MemberOf, &web())].derived);
    }
    assert_eq!(estate.edges.len(), 3, "what ended before it was folded is no member");
    let entries: Vec<_> = estate.dirty.journal.iter().filter(|entry| entry.key == web()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].cause, "derived from the members folded into it");

    let _ = run(&mut estate, &all, &folding, 1);
    is_clean(&estate);
    let _ = run(&mut estate, &all, &folding, 2);
    is_clean(&estate);
    assert_eq!(estate.resources[&web()].fence, Fence(2));
}

#[test]
fn a_fleet_has_not_stood_since_before_its_members_were_seen() {
    let mut estate = Estate::default();
    let fleet = named("blue");
    let _ = run_at(&mut estate, &seen(vec![instance("i-1")], vec![]), &Folding::new(), (1, 105), false);
    // The clock stepped back, and the listing does not show the member.
    let cut = seen_but(Outcome::Truncated, &[Kind::Instance], vec![], vec![]);
    let _ = run_at(&mut estate, &cut, &into(&fleet, &["i-1"]), (2, 0), false);
    let known = &estate.resources[&fleet];
    assert_eq!((known.last_seen, known.life_since), (minute(105), minute(105)));
    // Shown again, it stands since now.
    let mut fresh = Estate::default();
    let _ = run_at(&mut fresh, &seen(vec![instance("i-1")], vec![]), &into(&fleet, &["i-1"]), (1, 7), false);
    assert_eq!(fresh.resources[&fleet].life_since, minute(7));
}

#[test]
fn counts_are_sampled_over_a_fleets_life() {
    let mut estate = Estate::default();
    let names: Vec<String> = (0..40).map(|n| format!("i-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let of_size = |size: usize| seen(names[..size].iter().map(|name| instance(name)).collect(), vec![]);
    let counts = |estate: &Estate| {
        let attributes = attributes(estate, &web());
        ["member_count", "member_count_min", "member_count_max"].map(|name| attributes[name].as_u64())
    };
    let folding = into(&web(), &names);
    // A listing that was cut says nothing of the lowest.
    let cut = seen_but(Outcome::Truncated, &[Kind::Instance], vec![instance("i-0")], vec![]);
    let _ = run(&mut estate, &cut, &folding, 1);
    assert_eq!(counts(&estate), [Some(1), None, None]);
    for (fence, size, want) in [(2, 2, [2, 2, 2]), (3, 40, [40, 2, 40]), (4, 3, [3, 2, 40])] {
        let _ = run(&mut estate, &of_size(size), &folding, fence);
        assert_eq!(counts(&estate), want.map(Some), "{size}");
        assert!(fence == 2 || estate.dirty.journal.iter().all(|entry| entry.key != web() || entry.entry == JournalKind::Related));
    }
}

#[test]
fn what_members_add_to_a_group_outlives_its_listing() {
    let mut estate = Estate::default();
    let asg = group().key;
    let member_of = |name: &str| relation(RelationType::MemberOf, &machine(name), &asg);
    let members = vec![spot("i-1", "a", "1a", "spot"), spot("i-2", "b", "1a", "on_demand")];
    let with = |group: Resource| {
        let mut all = members.clone();
        all.push(group);
        seen(all, vec![member_of("i-1"), member_of("i-2")])
    };
    let folding = into(&asg, &["i-1", "i-2"]);
    let _ = run(&mut estate, &with(group()), &folding, 1);
    let want = json!({
        "sizes": ["a", "b"], "zones": ["1a"], "spot_share": 0.5, "max_size": 9,
        "member_count": 9, "member_count_min": 9, "member_count_max": 9,
    });
    assert_eq!(attributes(&estate, &asg), want);
    let _ = run(&mut estate, &with(group()), &folding, 1);
    is_clean(&estate);
    let _ = run(&mut estate, &with(group()), &folding, 2);
    is_clean(&estate);

    // What was exported is read back as it was.
    let exported = Resource::clone(&estate.resources[&asg].resource);
    let _ = run(&mut estate, &with(exported.clone()), &folding, 3);
    is_clean(&estate);
    let mut imported = Estate::default();
    let _ = run(&mut imported, &with(exported), &folding, 1);
    assert_eq!(imported.resources[&asg].resource, estate.resources[&asg].resource);

    // A cut listing of the group proves nothing absent, neither its own part nor the members'.
    let bare = resource(&of(Kind::ScalingGroup), "asg");
    let mut cut = members.clone();
    cut.push(bare);
    let _ = run(&mut estate, &seen_but(Outcome::Truncated, &[Kind::ScalingGroup], cut, vec![]), &folding, 4);
    assert_eq!(attributes(&estate, &asg), want);
    assert!(estate.dirty.journal.is_empty(), "{:?}", estate.dirty.journal);

    // The group shows by itself now what its members told.
    let mut wider = group();
    wider.attributes.insert("sizes".to_owned(), json!(["a", "b"]));
    let _ = run(&mut estate, &with(wider.clone()), &folding, 5);
    assert_eq!(attributes(&estate, &asg), want);
    assert!(estate.dirty.journal.is_empty(), "{:?}", estate.dirty.journal);

    // Nobody is folded into it any more: what remains is the group's own.
    let _ = run(&mut estate, &with(wider), &Folding::new(), 6);
    assert_eq!(attributes(&estate, &asg), json!({"sizes": ["a", "b"], "member_count": 9, "max_size": 9}));
    assert!(estate.resources[&asg].resource.extra.is_empty());
}

#[test]
fn a_group_without_a_count_has_that_of_its_members() {
    let mut estate = Estate::default();
    let bare = resource(&of(Kind::ScalingGroup), "asg");
    let folding = into(&bare.key, &["i-1", "i-2"]);
    let all = seen(vec![bare.clone(), instance("i-1"), instance("i-2")], vec![]);
    for fence in [1, 2] {
        let _ = run(&mut estate, &all, &folding, fence);
        assert_eq!(attributes(&estate, &bare.key), json!({"member_count": 2, "member_count_min": 2, "member_count_max": 2}));
    }
    is_clean(&estate);
}

#[test]
fn a_fleet_without_members_counts_none_and_keeps_its_peaks() {
    let mut estate = Estate::default();
    let asg = resource(&of(Kind::ScalingGroup), "asg");
    let member_of = |name: &str| relation(RelationType::MemberOf, &machine(name), &asg.key);
    let shown = |names: &[&str], outcome| {
        let machines = names.iter().map(|name| spot(name, "a", "1a", "spot"));
        let related = names.iter().map(|name| member_of(name)).collect();
        seen_but(outcome, &[Kind::Instance], machines.chain([asg.clone()]).collect(), related)
    };
    let folding: Folding = into(&asg.key, &["i-1", "i-2"]).into_iter().chain(into(&web(), &["i-3"])).collect();
    let _ = run(&mut estate, &shown(&["i-1", "i-2", "i-3"], Outcome::Complete), &folding, 1);
    let full = |count: u64| json!({"sizes": ["a"], "zones": ["1a"], "spot_share": 1.0, "member_count": count, "member_count_min": count, "member_count_max": count});
    assert_eq!([attributes(&estate, &asg.key), attributes(&estate, &web())], [full(2), full(1)]);
    for name in ["i-1", "i-2", "i-3"] {
        let given_up = Reason { rule: "test".to_owned(), text: "given up".to_owned() };
        let _ = crate::lifecycle::conclude(&mut estate, &machine(name), EndCause::Disowned, &given_up, minute(15));
    }
    // Nobody could look.
    let _ = run(&mut estate, &shown(&[], Outcome::Truncated), &folding, 2);
    assert_eq!([attributes(&estate, &asg.key), attributes(&estate, &web())], [full(2), full(1)]);
    let emptied = |max: u64| json!({"sizes": ["a"], "zones": ["1a"], "spot_share": 1.0, "member_count": 0, "member_count_min": 0, "member_count_max": max});
    for fence in [3, 3, 4] {
        let _ = run(&mut estate, &shown(&[], Outcome::Complete), &folding, fence);
        assert_eq!([attributes(&estate, &asg.key), attributes(&estate, &web())], [emptied(2), emptied(1)]);
        assert!(estate.dirty.journal.iter().all(|entry| entry.entry == JournalKind::Absent), "{:?}", estate.dirty.journal);
    }
    // The next ones are sampled with those before.
    let _ = run(&mut estate, &shown(&["i-4"], Outcome::Complete), &into(&asg.key, &["i-4"]), 5);
    let counts = json!({"member_count": 1, "member_count_min": 0, "member_count_max": 2});
    let now = attributes(&estate, &asg.key);
    assert!(counts.as_object().expect("counts").iter().all(|(name, count)| now[name] == *count), "{now}");
    // The rule is gone, but the group cannot be read, or only what waits for its age is shown.
    let _ = run(&mut estate, &shown(&["i-4"], Outcome::Truncated), &Folding::new(), 6);
    assert_eq!(attributes(&estate, &asg.key), now);
    let _ = run(&mut estate, &shown(&["i-4"], Outcome::Complete), &Folding::new(), 7);
    assert_eq!(attributes(&estate, &asg.key), json!({}));
}

#[test]
fn lists_lose_nothing_while_members_cannot_be_listed() {
    let mut estate = Estate::default();
    let folding = into(&web(), &["i-1", "i-2"]);
    let all = |state: &str| {
        let gone = Resource { state: Some(state.to_owned()), ..spot("i-2", "b", "1a", "spot") };
        vec![spot("i-1", "a", "1a", "spot"), gone]
    };
    let _ = run(&mut estate, &seen(all("running"), vec![]), &folding, 1);
    let _ = run(&mut estate, &seen_but(Outcome::Truncated, &[Kind::Instance], all("terminated"), vec![]), &folding, 2);
    assert_eq!((&attributes(&estate, &web())["sizes"], &attributes(&estate, &web())["member_count"]), (&json!(["a", "b"]), &json!(1)));
    let _ = run(&mut estate, &seen(all("terminated"), vec![]), &folding, 3);
    assert_eq!(attributes(&estate, &web())["sizes"], json!(["a"]));
}

#[test]
fn edges_of_members_are_lifted() {
    let mut estate = Estate::default();
    let asg = group().key;
    let at = |kind: Kind, name: &str| resource(&of(kind), name);
    let (pool, wall) = (at(Kind::Pool, "pool"), at(Kind::SecurityGroup, "sg"));
    let (own, shared) = (at(Kind::NetworkInterface, "eni-own"), at(Kind::NetworkInterface, "eni-shared"));
    let mut tagged = instance("i-1");
    tagged.tags.insert("service".to_owned(), "shop".to_owned());
    let zone = key(&of(Kind::Zone), "1a");
    let relations = vec![
        relation(RelationType::MemberOf, &machine("i-1"), &asg),
        relation(RelationType::MemberOf, &machine("i-2"), &asg),
        routes(&pool.key, "i-1", json!({"port": 8080, "protocol": "http", "zone": "a", "health": "healthy"})),
        routes(&pool.key, "i-2", json!({"port": 80, "protocol": "http", "zone": "b", "health": "unhealthy"})),
        relation(RelationType::ProtectedBy, &machine("i-1"), &wall.key),
        relation(RelationType::ProtectedBy, &machine("i-2"), &wall.key),
        relation(RelationType::LocatedIn, &machine("i-1"), &zone),
        relation(RelationType::LocatedIn, &machine("i-2"), &asg),
        relation(RelationType::Allows, &machine("i-1"), &machine("i-2")),
        relation(RelationType::AttachedTo, &own.key, &machine("i-1")),
        relation(RelationType::AttachedTo, &shared.key, &machine("i-1")),
        // The cloud's own.
        relation(RelationType::LocatedIn, &asg, &zone),
    ];
    let mut folding = into(&asg, &["i-1", "i-2"]);
    // No instance: it shares its machine's disposition, and is folded into nothing.
    folding.insert(shared.key.clone(), asg.clone());
    let all = seen(vec![group(), tagged, instance("i-2"), pool.clone(), wall.clone(), own, shared], relations);
    let _ = run(&mut estate, &all, &folding, 1);
    let want = ["asg protected_by sg", "eni-own attached_to asg", "pool routes_to asg", "shop depends_on asg"].map(str::to_owned).to_vec();
    assert_eq!(lifted(&estate), want);
    let routed = &estate.edges[&edge(&pool.key, RelationType::RoutesTo, &asg)].attributes;
    assert_eq!(json!(routed), json!({"port": 80, "ports": [80, 8080], "protocol": "http", "health": "unhealthy"}));
    assert!(!estate.edges[&edge(&asg, RelationType::LocatedIn, &zone)].derived);
    for fence in [1, 2] {
        let _ = run(&mut estate, &all, &folding, fence);
        is_clean(&estate);
    }

    // Health is no news, a port is.
    let better = |port: u16| {
        let mut all = all.clone();
        for name in ["i-1", "i-2"] {
            let better = routes(&pool.key, name, json!({"port": port, "protocol": "http", "zone": "b", "health": "healthy"}));
            all.relations.insert(better.id(), better);
        }
        all
    };
    let _ = run(&mut estate, &better(80), &folding, 3);
    let notes = |estate: &Estate| estate.dirty.journal.iter().filter(|entry| entry.cause == "members have it").count();
    assert_eq!(notes(&estate), 1);
    let mut ill = better(80);
    let id = edge(&pool.key, RelationType::RoutesTo, &machine("i-1"));
    ill.relations.get_mut(&id).expect("an edge").attributes.insert("health".to_owned(), json!("initial"));
    let _ = run(&mut estate, &ill, &folding, 4);
    assert_eq!(notes(&estate), 0);
    assert_eq!(estate.edges[&edge(&pool.key, RelationType::RoutesTo, &asg)].attributes["health"], "initial");
}

#[test]
fn an_edge_that_the_cloud_comes_to_show_is_the_clouds() {
    let mut estate = Estate::default();
    let asg = group().key;
    let zone = key(&of(Kind::Zone), "1a");
    let member = relation(RelationType::LocatedIn, &machine("i-1"), &zone);
    let own = relation(RelationType::LocatedIn, &asg, &zone);
    let folding = into(&asg, &["i-1"]);
    let resources = || vec![group(), instance("i-1")];
    for (fence, edges, derived) in [(1, vec![member.clone()], true), (2, vec![member.clone(), own], false), (3, vec![member], true)] {
        let _ = run(&mut estate, &seen(resources(), edges), &folding, fence);
        assert_eq!(estate.edges[&edge(&asg, RelationType::LocatedIn, &zone)].derived, derived, "{fence}");
    }
    let _ = run(&mut estate, &seen(resources(), vec![]), &folding, 4);
    assert_eq!(lifted(&estate), Vec::<String>::new());
}

/// One member behind a pool; the next runs see it as told.
fn behind_a_pool() -> (Estate, Resource, Relation) {
    let pool = resource(&of(Kind::Pool), "pool");
    let route = routes(&pool.key, "i-1", json!({}));
    let mut estate = Estate::default();
    let all = seen(vec![pool.clone(), instance("i-1")], vec![route.clone()]);
    let _ = run(&mut estate, &all, &into(&web(), &["i-1"]), 1);
    assert_eq!(lifted(&estate), ["pool routes_to web"]);
    (estate, pool, route)
}

#[test]
fn a_lifted_edge_goes_when_every_scope_that_proves_it_is_complete() {
    let ended = || Resource { state: Some("terminated".to_owned()), ..instance("i-1") };
    let folding = into(&web(), &["i-1"]);
    // The member ended by its provider's word, but nobody could ask the pool.
    let (mut estate, pool, _) = behind_a_pool();
    let denied = seen_but(Outcome::Denied, &[Kind::Pool], vec![ended()], vec![]);
    let _ = run(&mut estate, &denied, &folding, 2);
    assert_eq!(lifted(&estate), ["pool routes_to web"]);
    let narrow = seen(vec![ended()], vec![]);
    let _ = run_as(&mut estate, &narrow, &folding, 3, true);
    assert_eq!(lifted(&estate), ["pool routes_to web"]);
    let _ = run(&mut estate, &seen(vec![pool, ended()], vec![]), &folding, 4);
    assert_eq!(lifted(&estate), Vec::<String>::new());
    let causes: Vec<&str> = estate.dirty.journal.iter().map(|entry| entry.cause.as_str()).collect();
    assert!(causes.contains(&"no member has it any more"), "{causes:?}");
    assert!(estate.edges.keys().any(|id| id.to == machine("i-1")), "what has ended keeps its last edges");

    // The member's own edge: nobody could list the machines.
    let wall = resource(&of(Kind::SecurityGroup), "sg");
    let protected = relation(RelationType::ProtectedBy, &machine("i-1"), &wall.key);
    let mut estate = Estate::default();
    let _ = run(&mut estate, &seen(vec![wall.clone(), instance("i-1")], vec![protected]), &folding, 1);
    let _ = run(&mut estate, &seen_but(Outcome::Throttled, &[Kind::Instance], vec![wall.clone()], vec![]), &folding, 2);
    let _ = run(&mut estate, &seen_but(Outcome::Truncated, &[Kind::Instance], vec![wall.clone(), ended()], vec![]), &folding, 3);
    assert_eq!(lifted(&estate), ["web protected_by sg"]);
    let _ = run(&mut estate, &seen(vec![wall, ended()], vec![]), &folding, 4);
    assert_eq!(lifted(&estate), Vec::<String>::new());
}

#[test]
fn a_pool_that_shows_a_member_no_more_takes_its_part() {
    let (mut estate, pool, _) = behind_a_pool();
    let _ = run(&mut estate, &seen(vec![pool, instance("i-1")], vec![]), &into(&web(), &["i-1"]), 2);
    assert_eq!(lifted(&estate), Vec::<String>::new());
}

#[test]
fn what_leaves_a_fleet_takes_its_part_along() {
    let (mut estate, pool, route) = behind_a_pool();
    let all = seen(vec![pool.clone(), instance("i-1")], vec![route.clone()]);
    let _ = run(&mut estate, &all, &into(&named("other"), &["i-1"]), 2);
    assert_eq!(lifted(&estate), ["pool routes_to other"]);
    let members = |estate: &Estate| estate.edges.keys().filter(|id| id.relation == RelationType::MemberOf).cloned().collect::<Vec<_>>();
    assert_eq!(members(&estate), [edge(&machine("i-1"), RelationType::MemberOf, &named("other"))]);
    // Even where nobody could look: that it left is not concluded from an absence.
    let denied = seen_but(Outcome::Denied, &KINDS, vec![], vec![]);
    let folded = run(&mut estate, &denied, &Folding::new(), 3);
    assert_eq!((lifted(&estate), members(&estate)), (vec![], vec![]));
    assert_eq!(folded, Folded { memberless: 2, ..Folded::default() });
}

#[test]
fn a_named_fleet_without_members_follows_the_usual_timers() {
    let missing = |estate: &Estate| estate.resources[&web()].missing;
    let mut estate = Estate::default();
    let folding = into(&web(), &["i-1"]);
    let _ = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &folding, 1);
    let ended = || vec![Resource { state: Some("terminated".to_owned()), ..instance("i-1") }];
    let _ = run(&mut estate, &seen_but(Outcome::Truncated, &[Kind::Instance], ended(), vec![]), &folding, 2);
    let _ = run_as(&mut estate, &seen(ended(), vec![]), &folding, 3, true);
    assert_eq!(missing(&estate), 0, "no complete listing");
    let frozen = explain(&estate, &web(), &policy(), minute(30)).expect("an explanation");
    assert_eq!(frozen.evidence.len(), 1, "{:?}", frozen.evidence);
    assert_eq!((frozen.evidence[0].fact.as_str(), frozen.evidence[0].scope.as_str()), ("member_of", "aws 111111111111 eu-west-1 instance"));

    // Another kind's listing is no matter.
    let all = || seen_but(Outcome::Denied, &[Kind::ScalingGroup], ended(), vec![]);
    for fence in [4, 4] {
        let folded = run(&mut estate, &all(), &folding, fence);
        assert_eq!((missing(&estate), folded.memberless), (1, 1));
    }
    assert!(decide_again(&mut estate, &policy(), minute(40)).proposed.is_empty());
    let _ = run(&mut estate, &all(), &folding, 5);
    let decisions = decide_again(&mut estate, &policy(), minute(60));
    assert!(decisions.proposed.contains_key(&web()), "{decisions:?}");
    let Estate { resources, edges, scopes, .. } = &estate;
    let fleet = web();
    let derived = BTreeSet::from([&fleet]);
    let last: Vec<&Key> = last_members(resources, edges, &derived)[&web()].iter().map(|(key, _)| *key).collect();
    assert_eq!(last, [&machine("i-1")]);
    assert_eq!(unlisted_members(resources, edges, scopes, &web()), None);

    let denied = seen_but(Outcome::Denied, &[Kind::Instance], vec![], vec![]);
    let _ = run(&mut estate, &denied, &folding, 6);
    let decisions = decide_again(&mut estate, &policy(), minute(70));
    assert_eq!(decisions.frozen.get(&web()), Some(&of(Kind::Instance)));
    let next = explain(&estate, &web(), &policy(), minute(70)).expect("an explanation").next;
    assert_eq!(next, "nothing: frozen, because aws 111111111111 eu-west-1 instance is denied");

    let _ = confirm(&mut estate, BTreeMap::from([(web(), Presence::Gone)]), minute(70), Fence(6));
    assert_eq!(estate.resources[&web()].stage, Stage::Retired);
    // It comes back with its first member.
    let _ = run(&mut estate, &seen(vec![instance("i-2")], vec![]), &into(&web(), &["i-2"]), 7);
    let _ = decide_again(&mut estate, &policy(), minute(70));
    assert_eq!((missing(&estate), estate.resources[&web()].stage), (0, Stage::Active));
}

#[test]
fn a_fleet_that_a_recovery_found_stays_while_groups_cannot_be_read() {
    let mut estate = Estate::default();
    let _ = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &into(&web(), &["i-1"]), 1);
    let found = estate.resources.remove(&web()).expect("the fleet");
    let row = Known { recovered: true, ..found };
    let mut estate = Estate { resources: BTreeMap::from([(web(), row)]), ..Estate::default() };
    let denied = seen_but(Outcome::Denied, &[Kind::ScalingGroup], vec![instance("i-1")], vec![]);
    let _ = run(&mut estate, &denied, &Folding::new(), 2);
    assert_eq!(estate.resources[&web()].missing, 0);
    let _ = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &Folding::new(), 3);
    assert_eq!((estate.resources[&web()].missing, estate.resources[&web()].recovered), (1, true));
    let _ = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &into(&web(), &["i-1"]), 4);
    assert_eq!((estate.resources[&web()].missing, estate.resources[&web()].recovered), (0, false));
}

#[test]
fn a_named_fleet_ends_with_its_account() {
    let accounts = Scope { kind: Kind::Account, ..crate::testing::everywhere(&of(Kind::Instance)) };
    let closed = Resource { state: Some("closed".to_owned()), ..resource(&accounts, "account") };
    let mut estate = Estate::default();
    let folding = into(&web(), &["i-1"]);
    let _ = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &folding, 1);
    let gone = || pull(KINDS.map(|kind| (of(kind), Outcome::Skipped)), vec![closed.clone()], []);
    for fence in [2, 2, 3] {
        let _ = run(&mut estate, &gone(), &folding, fence);
        let _ = decide_again(&mut estate, &policy(), minute(10 * fence));
        assert_eq!(estate.resources[&web()].end.as_ref().map(|end| end.cause), Some(EndCause::AccountClosed));
    }
    assert!(!estate.dirty.resources.contains(&web()));
    // Somebody lists it after all.
    let _ = run(&mut estate, &seen(vec![instance("i-1"), closed.clone()], vec![]), &folding, 4);
    let _ = decide_again(&mut estate, &policy(), minute(40));
    assert_eq!(estate.resources[&web()].stage, Stage::Active);
}

#[test]
fn members_of_a_group_that_nobody_knows_are_passed_over() {
    let mut estate = Estate::default();
    let unknown = key(&of(Kind::ScalingGroup), "elsewhere");
    let folded = run(&mut estate, &seen(vec![instance("i-1")], vec![]), &into(&unknown, &["i-1"]), 1);
    assert_eq!(folded, Folded::default());
}

#[test]
fn fleets_keys_keep_odd_names() {
    for name in ["web", "karpenter/default", "a:b", "Ü ber", " padded "] {
        let key = named(name);
        assert_eq!(key.as_str().parse::<Key>().expect("a key"), key);
        let parts = key.as_fleet().expect("a fleet");
        assert_eq!((parts.provider, parts.account.as_str(), parts.region.as_str(), parts.name), (Provider::Aws, A, HERE, name.trim()));
        assert!(key.is_derived());
        assert_eq!(key.provider(), Provider::Aws);
    }
    for name in ["", "  ", "a\nb", &"x".repeat(5000)] {
        assert_eq!(fleet_key(A, HERE, name), None, "{name:?}");
    }
    assert_eq!(fleet_key("1:2", HERE, "web"), None);
    assert_eq!(Key::service("web").expect("a key").as_fleet(), None);
    for text in ["fleet:aws:1:r", "fleet:aws:1:r:", "fleet:aws::r:n", "fleet:gcp:1:r:n", "fleet:aws:1 2:r:n"] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}
