//! Which rule a change names, and what it says of it.

use std::sync::Arc;

use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::{Disposition, Fence, KnownEdge, Stage};
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::lifecycle::{self, Policy, Timers};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType};
use crate::rules::{Action, Origin, Rule, Settings};

fn text(source: &str, wanted: Wanted) -> Expression {
    Expression::compile(source, &Vocabulary::rules(), wanted).unwrap()
}

/// Rules that go by the tag `is`.
fn policy() -> Policy {
    let into = || Action::Fold { into: Some(Box::new(text(r#""blue""#, Wanted::Text))) };
    let rules = [
        ("agents leave no trace", r#""is" in resource.tags && resource.tags["is"] == "agent""#, Action::Ignore),
        ("pools are one record", r#""is" in resource.tags && resource.tags["is"] == "node""#, into()),
        ("keep what matters", r#""is" in resource.tags && resource.tags["is"] == "dear""#, Action::Record),
    ];
    let rule = |(name, when, action): (&str, &str, Action)| Rule {
        name: name.to_owned(),
        origin: Origin::Configuration,
        when: text(when, Wanted::Condition),
        action: Some(action),
        set: Settings::default(),
    };
    Policy { timers: Timers::default(), rules: rules.into_iter().map(rule).collect() }
}

/// Two machines, and a volume that ends with the first; all have records.
fn world() -> World {
    let mut world = World::with_instances(2);
    world.include.kinds.extend([Kind::ScalingGroup, Kind::Volume]);
    world.add("vol-1", Kind::Volume);
    let attributes: Attributes = [("delete_on_termination".to_owned(), json!(true))].into_iter().collect();
    let edge = KnownEdge { attributes, derived: false, extra: serde_json::Map::new(), fence: Fence(1) };
    world.estate.edges.insert(EdgeId { from: key("vol-1"), relation: RelationType::AttachedTo, to: key("i-000") }, edge);
    world.sync();
    world
}

/// Tags what has these names, decides, and gives each change's rule and words.
fn told(world: &mut World, is: &str, names: &[(&str, Disposition)]) -> Vec<(String, String)> {
    for (name, disposition) in names {
        world.tag(name, "is", is);
        let now = world.now;
        let known = world.known(name);
        (known.disposition, known.disposition_since) = (*disposition, now);
    }
    world.verdicts = Some(policy().verdicts(&world.estate, world.now));
    reasons(&world.sync())
}

fn reasons(plan: &Guarded) -> Vec<(String, String)> {
    plan.changes.iter().map(|change| (change.reason.rule.clone(), change.reason.text.clone())).collect()
}

fn pair(rule: &str, text: &str) -> (String, String) {
    (rule.to_owned(), text.to_owned())
}

/// Disposition of a dependent: without a tag of its own.
fn share(world: &mut World, name: &str, disposition: Disposition) {
    let now = world.now;
    let known = world.known(name);
    (known.disposition, known.disposition_since) = (disposition, now);
}

#[test]
fn what_ends_with_a_machine_names_the_rule_that_decided_about_the_machine() {
    let mut ignored = world();
    share(&mut ignored, "vol-1", Disposition::Ignore);
    let rule = "agents leave no trace";
    assert_eq!(
        told(&mut ignored, "agent", &[("i-000", Disposition::Ignore)]),
        [
            pair(rule, "rule `agents leave no trace` wants no record of it"),
            pair(rule, "it ends with its machine, of which rule `agents leave no trace` wants no record"),
        ]
    );

    let mut folded = world();
    share(&mut folded, "vol-1", Disposition::Fold);
    let rule = "pools are one record";
    assert_eq!(
        told(&mut folded, "node", &[("i-000", Disposition::Fold)]),
        [
            pair(rule, "rule `pools are one record` counts it in its fleet's record"),
            pair(rule, "it ends with its machine, which rule `pools are one record` counts in its fleet's record"),
        ]
    );

    // A rule's word on itself goes before its machine's.
    let mut own = world();
    let told = told(&mut own, "agent", &[("i-000", Disposition::Ignore), ("vol-1", Disposition::Ignore)]);
    assert_eq!(told[1].1, "rule `agents leave no trace` wants no record of it");
}

#[test]
fn a_fleet_that_is_not_wanted_takes_its_members_along() {
    let mut world = self::world();
    share(&mut world, "vol-1", Disposition::Ignore);
    let machine = world.known("i-000").resource.clone();
    let fleet = world.add("fleet", Kind::ScalingGroup);
    Arc::make_mut(&mut fleet.resource).key = Key::fleet(machine.provider, &machine.account, &machine.region, "blue").unwrap();
    fleet.disposition = Disposition::Ignore;
    let mut fleet = world.estate.resources.remove(&key("fleet")).unwrap();
    Arc::make_mut(&mut fleet.resource).tags.insert("is".to_owned(), "agent".to_owned());
    world.estate.resources.insert(fleet.resource.key.clone(), fleet);
    let told = self::told(&mut world, "node", &[("i-000", Disposition::Ignore)]);
    let rule = "agents leave no trace";
    let volume = "it ends with its machine, and rule `agents leave no trace` wants no record of the fleet that that is folded into";
    assert_eq!(told, [pair(rule, "rule `agents leave no trace` wants no record of the fleet that it is folded into"), pair(rule, volume)]);
}

#[test]
fn a_rule_that_says_otherwise_by_now_is_not_the_reason() {
    let mut world = world();
    // Both stay what they were for a while, by `min_dwell` or for their age.
    let told = told(&mut world, "dear", &[("i-000", Disposition::Ignore), ("i-001", Disposition::Fold)]);
    assert_eq!(told, [pair("default", "no record of it is wanted"), pair("default", "counted in its fleet's record")]);
}

#[test]
fn the_plan_names_the_rule() {
    let mut world = world();
    world.tag("i-000", "is", "agent");
    world.known("i-000").disposition = Disposition::Ignore;
    world.verdicts = Some(policy().verdicts(&world.estate, world.now));
    let guarded = world.plan();
    let plan = Plan {
        schema_version: 1,
        taken_at: world.now,
        estate: world.ours.clone(),
        config: String::new(),
        fence: Fence(1),
        changes: guarded.changes,
        holds: guarded.holds,
        deferred: 0,
        deferred_by: crate::lifecycle::DeferredBy::default(),
        folded: 0,
        ignored: 1,
        forecast: [(guarded.target, guarded.forecast)].into(),
    };
    let text = render::plan(&plan, &world.estate, false);
    assert!(text.contains("  retire c_instance i-000: rule `agents leave no trace` wants no record of it\n"), "{text}");
}

#[test]
fn a_record_that_a_rule_lets_go_is_not_seen_again() {
    let mut world = world();
    told(&mut world, "agent", &[("i-000", Disposition::Ignore), ("i-001", Disposition::Ignore)]);
    world.now = at(hours(2));
    let nobody = told(&mut world, "nothing", &[("i-000", Disposition::Record)]);
    assert_eq!(nobody[0], pair("default", "no rule keeps it from a record any more, since 2026-01-01T02:00:00Z"));
    let another = told(&mut world, "dear", &[("i-001", Disposition::Record)]);
    assert_eq!(another[0], pair("keep what matters", "rule `keep what matters` wants a record of it, since 2026-01-01T02:00:00Z"));

    // What was gone and is back, and what begins a new life under its id, was seen again.
    world.terminate("i-000");
    world.sync();
    world.now = at(hours(4));
    world.show_again("i-000");
    assert_eq!(reasons(&world.sync())[0], pair("returned", "seen again 2026-01-01T04:00:00Z"));
    world.terminate("i-000");
    world.sync();
    world.now = at(hours(6));
    world.show_again("i-000");
    world.known("i-000").life_since = at(hours(6));
    world.now = at(hours(7));
    let grown = told(&mut world, "nothing", &[("i-000", Disposition::Record)]);
    assert_eq!(grown[0], pair("returned", "seen again 2026-01-01T06:00:00Z"));
}

#[test]
fn a_record_that_a_rule_asks_for_names_it() {
    let mut world = world();
    world.add("vol-2", Kind::Volume);
    world.add("vol-3", Kind::Volume);
    let told = told(&mut world, "dear", &[("vol-2", Disposition::Record)]);
    assert_eq!(
        told,
        [
            pair("keep what matters", "rule `keep what matters` wants a record of it, first seen 2026-01-01T00:00:00Z"),
            pair("default", "first seen 2026-01-01T00:00:00Z"),
        ]
    );
}

#[test]
fn what_is_derived_has_members_and_no_look_up() {
    let mut world = world();
    let fleet = world.add("fleet", Kind::ScalingGroup);
    Arc::make_mut(&mut fleet.resource).derived = true;
    world.sync();
    world.propose("fleet");
    world.confirm("fleet");
    world.now = at(hours(1));
    let ended = world.sync();
    let why = lifecycle::reason(world.known("fleet"));
    assert_eq!(why.text, "no member is left, by 1 complete listing, last seen 2026-01-01T00:00:00Z", "nobody looked it up");
    assert_eq!(reasons(&ended), [pair("retire_after", "no member is left, by 1 complete listing, last seen 2026-01-01T00:00:00Z")]);
    world.show_again("fleet");
    assert_eq!(world.known("fleet").stage, Stage::Active);
    assert_eq!(reasons(&world.sync()), [pair("returned", "a member is seen again 2026-01-01T01:00:00Z")]);
}
