use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::model::Kind;
use crate::target::Adopt;

/// An instance with size and owner, whose mapping of these fields fails.
fn world(fails: &str) -> World {
    let mut world = World::new();
    world.add("i-1", Kind::Instance);
    world.set("i-1", "size", json!("m"));
    world.set("i-1", "owner", json!("ann"));
    if !fails.is_empty() {
        world.tag("i-1", "fails", fails);
    }
    world
}

fn fields(plan: &Guarded) -> Vec<&str> {
    plan.changes.iter().flat_map(|change| change.fields.keys()).map(String::as_str).collect()
}

fn failed(plan: &Guarded) -> Vec<&str> {
    plan.failed_fields.values().flat_map(|fields| fields.keys()).map(String::as_str).collect()
}

#[test]
fn a_create_goes_without_the_field() {
    let mut world = world("size");
    let plan = world.sync();
    assert_eq!(fields(&plan), ["name", "owner", "status"]);
    assert_eq!(failed(&plan), ["size"]);
    world.untag("i-1", "fails");
    let plan = world.sync();
    assert_eq!((fields(&plan), failed(&plan)), (vec!["size"], vec![]));
}

#[test]
fn a_field_that_fails_is_neither_written_nor_emptied_and_told_by_every_plan() {
    let mut world = world("");
    world.sync();
    world.tag("i-1", "fails", "size");
    world.set("i-1", "size", json!("l"));
    for _ in 0..2 {
        let plan = world.sync();
        assert_eq!((fields(&plan), failed(&plan)), (vec![], vec!["size"]));
    }
    assert!(world.plan().settled.is_empty(), "the second time nothing is stored");
    assert_eq!(world.row("i-1").fields.as_ref().unwrap()["size"], FieldState::delivered(json!("m"), false));
    // Others go on, and what it is by then is written when it can be.
    world.set("i-1", "owner", json!("bob"));
    assert_eq!(fields(&world.sync()), ["owner"]);
    world.untag("i-1", "fails");
    let plan = world.sync();
    assert_eq!((fields(&plan), failed(&plan)), (vec!["size"], vec![]));
    assert_eq!(plan.changes[0].fields["size"].from, json!("m"));
    assert!(world.plan().settled.is_empty() && world.input(stale).is_empty(), "and then it is settled");
}

#[test]
fn a_retirement_goes_without_it_too() {
    let mut world = world("");
    world.sync();
    world.tag("i-1", "fails", "size status");
    world.terminate("i-1");
    let plan = world.sync();
    assert_eq!((words(&plan.changes), fields(&plan), failed(&plan)), (vec!["retire i-1".to_owned()], vec![], vec!["size", "status"]));
    assert!(world.plan().failed_fields.is_empty(), "what has ended is not looked at any more");
}

#[test]
fn what_a_read_shows_of_it_is_left() {
    let mut world = world("");
    world.sync();
    world.tag("i-1", "fails", "size");
    let own = crate::target::FoundRecord {
        external_id: Some(key("i-1")),
        estate: Some(world.ours.clone()),
        ..stranger(
            &world.row("i-1").record.clone().unwrap().0,
            &[("size", json!("people's")), ("name", json!("i-1")), ("owner", json!("ann"))],
        )
    };
    let absorbed = world.input(|input| absorb(input, &[(key("i-1"), own)].into()));
    assert!(absorbed.drifted.iter().all(|drifted| drifted.field != "size"), "{:?}", absorbed.drifted);
}

#[test]
fn what_is_adopted_or_found_again_is_written_without_it() {
    let mut adopted = world("size");
    adopted.adopt = Adopt::Match;
    adopted.answers.insert(key("i-1"), Ok(vec![stranger("s-1", &[("size", json!("people's"))])]));
    let plan = adopted.sync();
    assert_eq!((words(&plan.changes), failed(&plan)), (vec!["adopt i-1".to_owned()], vec!["size"]));
    assert!(!fields(&plan).contains(&"size"));
    adopted.untag("i-1", "fails");
    assert_eq!(fields(&adopted.sync()), ["size"]);

    let mut bound = world("size");
    let shown = [("name", json!("i-1")), ("owner", json!("ann")), ("status", json!("on")), ("size", json!("s"))];
    let own = crate::target::FoundRecord { external_id: Some(key("i-1")), estate: Some(bound.ours.clone()), ..stranger("r-9", &shown) };
    bound.answers.insert(key("i-1"), Ok(vec![own]));
    assert!(bound.sync().changes.is_empty());
    assert_eq!(failed(&bound.plan()), ["size"]);
    bound.untag("i-1", "fails");
    assert_eq!(fields(&bound.sync()), ["size"]);
}
