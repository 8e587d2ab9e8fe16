use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::EstateId;
use crate::model::Kind;
use crate::target::{Adopt, FoundRecord};

fn world(adopt: Adopt, found: Vec<FoundRecord>) -> World {
    let mut world = World::new();
    world.adopt = adopt;
    world.add("i-1", Kind::Instance);
    world.set("i-1", "size", json!("m"));
    world.set("i-1", "notes", json!("ours"));
    world.set("i-1", "group", json!("ops"));
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-1");
    world.answers.insert(key("i-1"), Ok(found));
    world
}

#[test]
fn a_strangers_record_holds_the_create_and_what_depends_on_it() {
    let world = world(Adopt::Never, vec![stranger("s-1", &[])]);
    assert!(words(&world.unguarded()).contains(&"create i-1".to_owned()), "without the guardrail a double is made");
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create p-1"]);
    assert_eq!(words(&plan.holds[0].changes), ["create i-1"]);
    assert_eq!(plan.holds[0].guardrails, [Guardrail::Ownership]);
    let text = format!(
        "1 create would stand beside a stranger's record: {} is record s-1 (adopt: never); to go ahead: `dewpoint holds approve {}`",
        key("i-1"),
        plan.holds[0].id
    );
    assert_eq!(plan.holds[0].text, text);
}

#[test]
fn a_match_becomes_ours_and_peoples_fields_stay() {
    let found = stranger("s-1", &[("name", json!("x")), ("notes", json!("people")), ("group", json!("dev")), ("size", json!("m"))]);
    let mut world = world(Adopt::Match, vec![found]);
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["adopt i-1", "create p-1", "relate p-1>i-1"]);
    let adopt = &plan.changes[0];
    assert_eq!(adopt.record.as_ref().unwrap().0, "s-1");
    assert_eq!(adopt.fields.keys().collect::<Vec<_>>(), ["name", "size", "status"]);
    assert_eq!(adopt.fields["name"].from, json!("x"));
    assert!(world.plan().changes.is_empty());
    world.terminate("i-1");
    assert_eq!(words(&world.sync().changes), ["retire i-1"], "what became ours is retired like ours");
}

#[test]
fn a_record_that_we_contribute_to_is_never_retired_or_purged() {
    let mut world = world(Adopt::Contribute, vec![stranger("s-1", &[("status", json!("people's"))])]);
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields.keys().collect::<Vec<_>>(), ["group", "name", "size"]);
    assert_eq!(plan.forecast, 1, "a stranger's record is not one of ours");
    assert!(world.plan().changes.is_empty());
    world.set("i-1", "size", json!("l"));
    assert_eq!(words(&world.sync().changes), ["update i-1"]);
    world.purge = crate::target::Purge::Delete;
    world.timers.purge_after = Some(days(0));
    world.terminate("i-1");
    assert!(world.sync().changes.is_empty());
}

#[test]
fn more_than_one_match_is_always_held() {
    for adopt in [Adopt::Match, Adopt::Contribute] {
        let world = world(adopt, vec![stranger("s-2", &[]), stranger("s-1", &[])]);
        let plan = world.plan();
        assert_eq!(words(&plan.changes), ["create p-1"]);
        assert!(plan.holds[0].text.contains("is record s-1, s-2 (adopt"), "{}", plan.holds[0].text);
    }
}

#[test]
fn no_answer_is_not_nothing_there() {
    let mut world = world(Adopt::Match, Vec::new());
    let error = world.target.no();
    world.answers.insert(key("i-1"), Err(error));
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create p-1"]);
    assert_eq!(plan.unanswered[0].key, key("i-1"));
    assert!(plan.holds.is_empty());
}

#[test]
fn a_create_whose_answer_was_lost_is_bound_not_repeated() {
    let mut world = world(Adopt::Never, Vec::new());
    let own = FoundRecord { external_id: Some(key("i-1")), estate: Some(world.ours.clone()), ..stranger("r-9", &[]) };
    let same = [("name", json!("i-1")), ("size", json!("m")), ("group", json!("ops")), ("status", json!("on"))];
    world.answers.insert(key("i-1"), Ok(vec![FoundRecord { fields: stranger("", &same).fields, ..own.clone() }]));
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["create p-1", "relate p-1>i-1"]);
    assert_eq!(world.row("i-1").record.as_ref().unwrap().0, "r-9");
    assert_eq!(plan.forecast, 2);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn an_own_record_that_differs_is_brought_up() {
    let mut world = world(Adopt::Never, Vec::new());
    let own = FoundRecord { external_id: Some(key("i-1")), estate: Some(world.ours.clone()), ..stranger("r-9", &[("name", json!("old"))]) };
    world.answers.insert(key("i-1"), Ok(vec![own]));
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["create p-1", "update i-1", "relate p-1>i-1"]);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn our_other_records_are_not_in_the_way_and_other_estates_are_told() {
    let mut world = world(Adopt::Never, Vec::new());
    let own = FoundRecord { external_id: Some(key("elsewhere")), estate: Some(world.ours.clone()), ..stranger("r-9", &[]) };
    world.answers.insert(key("i-1"), Ok(vec![own.clone()]));
    assert!(words(&world.plan().changes).contains(&"create i-1".to_owned()));
    let theirs = FoundRecord { external_id: Some(key("i-1")), estate: Some(EstateId("theirs".to_owned())), ..own };
    world.answers.insert(key("i-1"), Ok(vec![theirs]));
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create p-1"]);
    assert_eq!(plan.other_estates[&key("i-1")], EstateId("theirs".to_owned()));
}

#[test]
fn a_record_that_another_row_holds_is_not_bound_again() {
    let mut own = stranger("r-1", &[]);
    own.external_id = Some(key("i-1"));
    own.estate = Some(EstateId("ours".to_owned()));
    let mut world = world(Adopt::Never, vec![own]);
    world.add("i-2", Kind::Instance);
    world.sync();
    let row = world.state.records.remove(&key("i-1")).unwrap();
    world.state.records.insert(key("i-2"), RecordBrief { record: row.record, ..world.row("i-2").clone() });
    let plan = world.plan();
    assert_eq!((words(&plan.changes), plan.bindings.len()), (Vec::<String>::new(), 0), "{plan:?}");
    assert!(plan.unanswered[0].error.to_string().contains(key("i-2").as_str()), "{:?}", plan.unanswered);
}

#[test]
fn a_strangers_record_that_stands_for_two_is_adopted_for_none() {
    for adopt in [Adopt::Match, Adopt::Contribute] {
        let mut world = world(adopt, vec![stranger("s-1", &[])]);
        world.add("i-2", Kind::Instance);
        world.answers.insert(key("i-2"), Ok(vec![stranger("s-1", &[])]));
        let plan = world.plan();
        assert_eq!(words(&plan.changes), ["create p-1"], "{adopt}");
        assert_eq!(words(&plan.holds[0].changes), ["create i-1", "create i-2"], "{adopt}");
        assert_eq!(plan.holds[0].guardrails, [Guardrail::Ownership]);
    }
    // The second comes later: the record is taken.
    let mut world = world(Adopt::Contribute, vec![stranger("s-1", &[])]);
    world.sync();
    world.add("i-2", Kind::Instance);
    world.answers.insert(key("i-2"), Ok(vec![stranger("s-1", &[])]));
    let plan = world.plan();
    assert_eq!((words(&plan.changes), words(&plan.holds[0].changes)), (Vec::<String>::new(), vec!["create i-2".to_owned()]));
}
