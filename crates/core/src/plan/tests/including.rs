use std::collections::BTreeMap;

use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::{Disposition, Fence, KnownEdge};
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::lifecycle::Policy;
use crate::model::{Attributes, EdgeId, Kind, RelationType};
use crate::rules::{Origin, Rule, Rules, Settings};

fn when(source: &str) -> Option<Expression> {
    Some(Expression::compile(source, &Vocabulary::records(), Wanted::Condition).unwrap())
}

/// Two instances that stand at the target, in production both.
fn world(source: &str) -> World {
    let mut world = World::new();
    world.include.when = when(source);
    for name in ["i-1", "i-2"] {
        world.add(name, Kind::Instance);
        world.tag(name, "env", "prod");
        world.tag(name, "tier", "1");
    }
    let _ = world.sync();
    world.now = at(hours(1));
    world
}

fn failed(world: &World) -> Vec<String> {
    world.input(|input| input.members.failures().map(|(key, unasked)| format!("{key}: {}", unasked.text)).collect())
}

#[test]
fn what_it_does_not_take_gets_no_record_and_is_not_asked_about() {
    let mut world = World::new();
    world.include.when = when("ci.environment != \"sandbox\"");
    world.add("i-1", Kind::Instance);
    world.add("i-2", Kind::Instance);
    world.tag("i-2", "env", "sandbox");
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-1");
    world.relate("p-1", "i-2");
    assert_eq!(world.input(|input| identities(input).len()), 2);
    assert_eq!(words(&world.sync().changes), ["create i-1", "create p-1", "relate p-1>i-1"]);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn what_is_no_longer_taken_is_retired_with_that_reason_and_comes_back() {
    let mut world = world("ci.environment != \"sandbox\"");
    assert!(world.input(stale).is_empty(), "nothing changed: nothing is looked at");
    world.tag("i-2", "env", "sandbox");
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["retire i-2"]);
    let why = &plan.changes[0].reason;
    assert_eq!((why.rule.as_str(), why.text.as_str()), ("include", "this target's `include.when` does not hold any more"));
    assert!(world.plan().changes.is_empty());
    world.tag("i-2", "env", "prod");
    assert_eq!(words(&world.sync().changes), ["revive i-2"]);
    // The condition changes, and no resource does.
    world.include.when = when("ci.environment == \"sandbox\"");
    assert_eq!(words(&world.sync().changes), ["retire i-1", "retire i-2"]);
    world.include.when = None;
    assert_eq!(words(&world.sync().changes), ["revive i-1", "revive i-2"]);
    world.include.kinds.remove(&Kind::Instance);
    assert_eq!(world.plan().changes[0].reason.text, "this target does not include kind instance any more");
}

#[test]
fn many_that_leave_at_once_are_held() {
    let mut world = World::with_instances(40);
    world.include.when = when("ci.environment == \"prod\"");
    assert_eq!(world.unguarded().len(), 40, "without the guardrail all would go");
    let plan = world.plan();
    assert!(plan.changes.is_empty());
    assert_eq!((plan.holds[0].guardrails.as_slice(), plan.holds[0].changes.len()), ([Guardrail::BlastRadius].as_slice(), 40));
}

#[test]
fn where_it_fails_membership_stays() {
    let mut world = world("ci.tags[\"tier\"] == \"1\"");
    world.untag("i-1", "tier");
    world.add("i-3", Kind::Instance);
    let plan = world.sync();
    assert!(plan.changes.is_empty() && plan.holds.is_empty(), "{:?}", words(&plan.changes));
    assert_eq!(failed(&world).iter().map(|text| text.contains(": ")).collect::<Vec<_>>(), [true, true]);
    // What has a record is kept up to date.
    world.set("i-1", "size", json!("l"));
    assert_eq!(words(&world.sync().changes), ["update i-1"]);
    assert_eq!(failed(&world).len(), 2, "told by every run, also where nothing is sent");
    world.tag("i-3", "tier", "2");
    world.tag("i-1", "tier", "2");
    assert_eq!(words(&world.sync().changes), ["retire i-1"]);
    // A record that left stays away.
    world.untag("i-1", "tier");
    assert!(world.plan().changes.is_empty());
}

#[test]
fn what_is_over_or_unwanted_is_not_asked() {
    let mut world = world("ci.tags[\"tier\"] == \"1\"");
    for (name, disposition) in [("i-3", Disposition::Ignore), ("i-4", Disposition::Defer)] {
        world.add(name, Kind::Instance).disposition = disposition;
    }
    world.add("v-1", Kind::Volume);
    world.add("z-1", Kind::Zone);
    world.untag("i-1", "tier");
    world.terminate("i-1");
    world.untag("i-2", "tier");
    world.known("i-2").recovered = true;
    assert_eq!(failed(&world), Vec::<String>::new());
    assert_eq!(words(&world.plan().changes), ["retire i-1"]);
}

#[test]
fn what_is_missing_and_left_the_target_is_retired_for_that() {
    let mut world = world("ci.environment != \"sandbox\"");
    world.tag("i-1", "env", "sandbox");
    world.propose("i-1");
    world.propose("i-2");
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["retire i-1"]);
    assert_eq!(plan.look_up, [key("i-2")].into());
}

#[test]
fn while_a_rule_cannot_be_asked_that_sets_what_it_rests_on_membership_stays() {
    let rule = Rule {
        name: "the sandbox".to_owned(),
        origin: Origin::Configuration,
        when: Expression::compile("resource.tags[\"place\"] == \"sandbox\"", &Vocabulary::rules(), Wanted::Condition).unwrap(),
        action: None,
        set: Settings { attributes: BTreeMap::from([("environment".to_owned(), json!("sandbox"))]), ..Settings::default() },
    };
    let policy = Policy { rules: Rules::from_iter([rule]), ..Policy::default() };
    let mut world = world("ci.environment != \"sandbox\"");
    world.tag("i-1", "place", "sandbox");
    world.tag("i-2", "place", "here");
    world.verdicts = Some(policy.verdicts(&world.estate, world.now));
    assert_eq!(words(&world.sync().changes), ["retire i-1"]);
    world.untag("i-1", "place");
    world.untag("i-2", "place");
    world.verdicts = Some(policy.verdicts(&world.estate, world.now));
    assert_eq!(words(&world.plan().changes), Vec::<String>::new());
    assert_eq!(failed(&world), Vec::<String>::new(), "the rule's failure is told");
}

#[test]
fn members_of_a_fleet_are_folded_by_kind() {
    let mut world = world("ci.tags[\"tier\"] == \"1\"");
    world.include.kinds.insert(Kind::ScalingGroup);
    world.add("fleet", Kind::ScalingGroup);
    let member_of = EdgeId { from: key("i-1"), relation: RelationType::MemberOf, to: key("fleet") };
    let edge = KnownEdge { attributes: Attributes::new(), derived: false, extra: serde_json::Map::new(), fence: Fence(1) };
    world.estate.edges.insert(member_of, edge);
    world.known("i-1").disposition = Disposition::Fold;
    // Nobody knows whether the fleet is taken: who gives way to it waits.
    assert!(world.plan().changes.is_empty());
    assert_eq!(failed(&world).len(), 1);
    // It is not taken: neither are its members, whatever holds of them.
    world.tag("fleet", "tier", "2");
    assert_eq!(words(&world.sync().changes), ["retire i-1"]);
    // Without the kind the target gets the machines themselves.
    world.include.kinds.remove(&Kind::ScalingGroup);
    world.known("i-1").last_seen = at(hours(1));
    assert_eq!(words(&world.sync().changes), ["revive i-1"]);
}
