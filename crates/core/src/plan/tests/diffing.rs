use serde_json::{Value, json};

use super::super::testing::*;
use super::super::*;
use crate::estate::{Disposition, Stage};
use crate::model::Kind;
use crate::target::{Authority, Purge};

#[track_caller]
fn check(world: &World, want: &[&str]) {
    assert_eq!(words(&world.plan().changes), want);
}

#[test]
fn first_plan_creates_then_relates_and_second_is_empty() {
    let mut world = World::new();
    world.add("i-1", Kind::Instance);
    world.add("p-1", Kind::Pool);
    world.add("z-1", Kind::Zone);
    world.add("v-1", Kind::Volume);
    world.relate("p-1", "i-1");
    world.relate("p-1", "v-1");
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["create i-1", "create p-1", "relate p-1>i-1"]);
    assert_eq!(plan.forecast, 2);
    assert_eq!(plan.changes[0].reason.text, "first seen 2026-01-01T00:00:00Z, older than min_age 15m");
    check(&world, &[]);
    assert!(world.input(stale).is_empty());
}

#[test]
fn deferred_folded_and_ignored_resources_get_no_record() {
    let mut world = World::new();
    world.add("i-1", Kind::Instance).stage = Stage::Deferred;
    world.add("i-2", Kind::Instance).disposition = Disposition::Fold;
    world.add("i-3", Kind::Instance).disposition = Disposition::Ignore;
    world.add("i-4", Kind::Instance).disposition = Disposition::Defer;
    check(&world, &[]);
}

#[test]
fn what_is_absent_gets_no_new_record_and_is_not_revived() {
    let mut world = World::with_instances(1);
    world.add("i-1", Kind::Instance).stage = Stage::Missing;
    check(&world, &[]);
    // As after recovery: the record is retired, and the ledger's copy is too old to know that the machine has ended.
    world.known("i-000").stage = Stage::Missing;
    world.state.records.get_mut(&key("i-000")).unwrap().retired_at = Some(at(0));
    check(&world, &[]);
    world.show_again("i-000");
    check(&world, &["revive i-000"]);
}

#[test]
fn a_record_that_rules_or_configuration_no_longer_want_is_retired_with_that_reason() {
    let mut world = World::with_instances(3);
    world.include.kinds.insert(Kind::ScalingGroup);
    world.limits.max_retire_min = 100;
    world.known("i-000").disposition = Disposition::Ignore;
    world.known("i-001").disposition = Disposition::Fold;
    world.known("i-002").disposition = Disposition::Defer;
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["retire i-000", "retire i-001"]);
    assert_eq!(plan.changes[1].reason.text, "counted in its fleet's record");
    world.include.kinds.remove(&Kind::Instance);
    let plan = world.sync();
    assert_eq!(plan.changes[2].reason.text, "this target does not include kind instance any more");
    assert_eq!(plan.changes[2].fields["status"].to, json!("ended"));
    check(&world, &[]);
    world.include.kinds.insert(Kind::Instance);
    check(&world, &[]);
    world.known("i-002").disposition = Disposition::Record;
    check(&world, &["revive i-002"]);
}

/// Each row: an attribute, what was delivered, what is wanted now, and what is written.
#[test]
fn authorities_decide_what_an_update_writes() {
    let cases: &[(&str, Value, Value, Option<Value>)] = &[
        ("size", json!("s"), json!("m"), Some(json!("m"))),
        ("size", json!("s"), Value::Null, Some(Value::Null)),
        ("notes", json!("a"), json!("b"), None),
        ("notes", json!("a"), Value::Null, None),
        ("group", json!("a"), json!("b"), None),
        ("serial", json!("a"), json!("b"), None),
        ("member_count", json!(1), json!(2), None),
    ];
    for (attribute, before, after, want) in cases {
        let mut world = World::new();
        world.add("i-1", Kind::Instance);
        world.set("i-1", attribute, before.clone());
        world.sync();
        match after {
            Value::Null => world.unset("i-1", attribute),
            value => world.set("i-1", attribute, value.clone()),
        }
        let plan = world.sync();
        let written = plan.changes.first().and_then(|change| change.fields.get(*attribute)).map(|field| field.to.clone());
        assert_eq!(written, *want, "{attribute}");
        check(&world, &[]);
        assert!(world.input(stale).is_empty(), "{attribute}: the basis is stored without a delivery");
    }
}

#[test]
fn volatile_fields_ride_along() {
    let mut world = World::new();
    world.add("p-1", Kind::Pool);
    world.set("p-1", "member_count", json!(1));
    world.sync();
    world.set("p-1", "member_count", json!(2));
    check(&world, &[]);
    world.set("p-1", "size", json!("m"));
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields.keys().collect::<Vec<_>>(), ["members", "size"]);
    assert_eq!(plan.changes[0].fields["members"].from, json!(1));
}

#[test]
fn overridden_authority_wins() {
    let mut world = World::new();
    world.authority.insert("size".to_owned(), Authority::Initial);
    world.add("i-1", Kind::Instance);
    world.set("i-1", "size", json!("s"));
    world.sync();
    world.set("i-1", "size", json!("m"));
    check(&world, &[]);
    world.unset("i-1", "size");
    check(&world, &[]);
}

#[test]
fn transition_fields_are_written_when_the_stage_changes() {
    let mut world = World::with_instances(1);
    world.known("i-000").stage = Stage::Missing;
    check(&world, &[]);
    world.known("i-000").stage = Stage::Inactive;
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields.keys().collect::<Vec<_>>(), ["status"]);
    assert_eq!(plan.changes[0].fields["status"].to, json!("off"));
    check(&world, &[]);
}

#[test]
fn a_field_that_was_empty_for_people_is_filled_once_a_read_shows_so() {
    let mut world = World::new();
    world.add("i-1", Kind::Instance);
    world.set("i-1", "group", json!("ops"));
    world.sync();
    world.set("i-1", "group", json!("dev"));
    check(&world, &[]);
    let fields = world.state.records.get_mut(&key("i-1")).unwrap().fields.as_mut().unwrap();
    fields.get_mut("group").unwrap().echoed = Some(json!(""));
    world.state.records.get_mut(&key("i-1")).unwrap().basis = None;
    let plan = world.plan();
    assert_eq!(plan.changes[0].fields["group"].to, json!("dev"));
}

/// An update was sent and never answered, and then what was wanted before is wanted again: it is written whichever the target shows.
#[test]
fn after_an_update_of_which_nobody_knows_the_former_value_is_written_again() {
    let cases: &[(Value, Value)] = &[(json!("s"), json!("m")), (Value::Null, json!("m")), (json!("s"), Value::Null)];
    for (before, sent) in cases {
        let wish = |world: &mut World, value: &Value| match value {
            Value::Null => world.unset("i-1", "size"),
            value => world.set("i-1", "size", value.clone()),
        };
        let looks = [None, Some([("size".to_owned(), before.clone())].into()), Some([("size".to_owned(), sent.clone())].into())];
        for shown in looks {
            let mut world = World::new();
            world.add("i-1", Kind::Instance);
            wish(&mut world, before);
            world.sync();
            wish(&mut world, sent);
            let change = world.plan().changes.remove(0);
            let row = world.state.records.get_mut(&key("i-1")).unwrap();
            let fields = unsure_fields(row.fields.as_ref().unwrap(), &change, shown.as_ref());
            (row.fields, row.basis) = (Some(fields), None);
            wish(&mut world, before);
            let plan = world.sync();
            let written = plan.changes.first().and_then(|change| change.fields.get("size")).map(|field| field.to.clone());
            let is_empty_already = before.is_null() && shown.as_ref().is_some_and(|shown| shown["size"].is_null());
            assert_eq!(written, (!is_empty_already).then(|| before.clone()), "{before} to {sent}, shown {shown:?}");
            check(&world, &[]);
        }
    }
}

/// Of what a look-up shows then, what we wanted at some time may be ours, and no more.
#[test]
fn what_people_added_to_a_field_of_which_nobody_knows_is_none_of_ours() {
    let mut world = World::with_instances(1);
    world.set("i-000", "size", json!({ "one": "1", "two": "2" }));
    world.sync();
    world.set("i-000", "size", json!({ "one": "3" }));
    let change = world.plan().changes.remove(0);
    let shown = [("size".to_owned(), json!({ "one": "3", "two": "2", "people's": "x" }))].into();
    let fields = unsure_fields(world.row("i-000").fields.as_ref().unwrap(), &change, Some(&shown));
    assert_eq!(fields["size"].echoed, Some(json!({ "one": "3", "two": "2" })));
}

/// People's status field is written when the stage changes; after an answer was lost, for the stage that there is then.
#[test]
fn after_a_change_of_stage_of_which_nobody_knows_the_former_status_is_written_again() {
    let mut world = World::with_instances(1);
    world.known("i-000").stage = Stage::Inactive;
    let change = world.plan().changes.remove(0);
    let row = world.state.records.get_mut(&key("i-000")).unwrap();
    let fields = unsure_fields(row.fields.as_ref().unwrap(), &change, None);
    (row.fields, row.basis) = (Some(fields), None);
    world.known("i-000").stage = Stage::Active;
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields["status"].to, json!("on"));
    check(&world, &[]);
}

#[test]
fn failed_rows_are_planned_again_whatever_their_basis() {
    let mut world = World::with_instances(1);
    world.rename("i-000", "other");
    let change = world.plan().changes.remove(0);
    let row = world.state.records.get_mut(&key("i-000")).unwrap();
    row.state = DeliveryState::Failed;
    row.basis = Some(change.basis);
    assert_eq!(world.input(stale).len(), 1);
    assert_eq!(world.plan().changes[0].id, change.id);
    // The wish is gone before it could be delivered: the failure is settled.
    world.rename("i-000", "i-000");
    assert_eq!(world.plan().settled.len(), 1);
}

#[test]
fn a_failed_create_of_what_is_not_wanted_any_more_is_forgotten() {
    let mut world = World::with_instances(1);
    world.state.records.get_mut(&key("i-000")).unwrap().record = None;
    world.state.records.get_mut(&key("i-000")).unwrap().state = DeliveryState::Failed;
    world.known("i-000").disposition = Disposition::Ignore;
    let plan = world.plan();
    assert!(plan.changes.is_empty());
    assert_eq!(plan.forgotten.len(), 1);
}

#[test]
fn ends_take_their_edges_along_and_come_back_with_them() {
    let mut world = World::new();
    world.limits.max_retire_min = 100;
    for (name, kind) in [("i-1", Kind::Instance), ("p-1", Kind::Pool)] {
        world.add(name, kind);
    }
    world.relate("p-1", "i-1");
    world.sync();
    world.terminate("i-1");
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["retire i-1"]);
    assert_eq!(plan.changes[0].reason.text, "the provider says `terminated`, last seen 2026-01-01T00:00:00Z");
    check(&world, &[]);
    world.show_again("i-1");
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["revive i-1", "relate p-1>i-1"]);
    assert_eq!(plan.changes[0].fields["status"].to, json!("on"));
    check(&world, &[]);
}

#[test]
fn edges_change_by_their_attributes_and_go_with_the_estates() {
    let mut world = World::new();
    world.add("i-1", Kind::Instance);
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-1");
    world.sync();
    world.estate.edges.get_mut(&edge("p-1", "i-1")).unwrap().attributes.insert("health".to_owned(), json!("unhealthy"));
    check(&world, &[]);
    world.estate.edges.get_mut(&edge("p-1", "i-1")).unwrap().attributes.insert("port".to_owned(), json!(80));
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["relate p-1>i-1"]);
    assert_eq!(plan.changes[0].fields.keys().collect::<Vec<_>>(), ["health", "port"]);
    world.estate.edges.clear();
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["unrelate p-1>i-1"]);
    check(&world, &[]);
}

#[test]
fn retired_records_are_purged_when_due_and_made_anew_when_they_return() {
    let mut world = World::with_instances(1);
    world.purge = Purge::Delete;
    world.timers.purge_after = Some(days(90));
    world.terminate("i-000");
    world.sync();
    world.now = at(89 * DAY);
    check(&world, &[]);
    world.now = at(90 * DAY);
    let plan = world.plan();
    assert_eq!(plan.changes[0].reason.text, "retired 2026-01-01T00:00:00Z, purge_after 90d");
    world.purge = Purge::Keep;
    check(&world, &[]);
    world.purge = Purge::Delete;
    let plan = world.sync();
    assert_eq!((words(&plan.changes), plan.forecast), (vec!["purge i-000".to_owned()], 0));
    check(&world, &[]);
    world.show_again("i-000");
    check(&world, &["create i-000"]);
}

#[test]
fn the_mapping_brings_what_rests_back() {
    let mut world = World::with_instances(1);
    let fields = world.state.records.get_mut(&key("i-000")).unwrap().fields.as_mut().unwrap();
    fields.get_mut("name").unwrap().rests = true;
    fields.get_mut("name").unwrap().echoed = Some(json!("I-000"));
    check(&world, &[]);
    world.target.mapping = 1;
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields["name"].from, json!("I-000"));
    assert_eq!(plan.changes[0].reason.rule, "drift");
    check(&world, &[]);
}

#[test]
fn a_lean_draft_is_the_same_once_filled() {
    let mut world = World::with_instances(1);
    for name in ["p-1", "p-2"] {
        world.add(name, Kind::Pool);
        world.set(name, "notes", json!("n"));
    }
    world.rename("i-000", "other");
    world.relate("p-1", "i-000");
    world.max_records = Some(2);
    let full = world.plan();
    let lean = world.input(|input| {
        let draft = draft_lean(input);
        let answers =
            identities(input).into_iter().map(|identity| (identity.key, Ok(Vec::new()))).collect::<std::collections::BTreeMap<_, _>>();
        let guards = Guards { limits: &world.limits, disowned: &world.disowned, recovering: false };
        let mut lean = guard(draft.adopt(input, &world.ours, &answers), input, &guards);
        assert!(lean.changes[0].fields.is_empty());
        lean.changes.iter_mut().for_each(|change| fill(input, change));
        lean
    });
    assert_eq!(words(&full.holds[0].changes), ["create p-2"]);
    assert_eq!((lean.changes, lean.holds), (full.changes, full.holds));
}
