use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::model::Kind;
use crate::target::{Adopt, FoundRecord, Purge};

/// An account that others are identified beside, of which the target shows these records; and a pool that leads there.
fn world(found: Vec<FoundRecord>) -> World {
    let mut world = World::new();
    world.include.kinds.insert(Kind::Account);
    world.add("acct", Kind::Account);
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "acct");
    world.answers.insert(key("acct"), Ok(found));
    world
}

fn at_rest(world: &World) {
    let plan = world.plan();
    assert_eq!((words(&plan.changes), plan.holds.len(), plan.bindings.len(), plan.settled.len()), (vec![], 0, 0, 0));
    assert!(world.input(identities).is_empty(), "it is asked about once");
    assert!(world.input(stale).is_empty());
}

#[test]
fn a_strangers_record_is_referred_to() {
    let mut world = world(vec![stranger("s-1", &[("name", json!("people's"))])]);
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["create p-1", "relate p-1>acct"], "edges may end there");
    assert!(plan.holds.is_empty());
    assert_eq!(plan.forecast, 1, "it is none of ours");
    let row = world.row("acct");
    assert_eq!((row.record.clone().unwrap().0, row.state, row.contributed), ("s-1".to_owned(), DeliveryState::Excluded, true));
    assert_eq!(row.addressed(&key("acct")).unwrap().carries, None);
    at_rest(&world);
    // Whatever becomes of the resource, nothing is written.
    world.rename("acct", "other");
    world.set("acct", "owner", json!("ann"));
    at_rest(&world);
    world.target.mapping += 1;
    assert!(world.plan().changes.iter().all(|change| change.key != key("acct")));
    world.purge = Purge::Delete;
    world.timers.purge_after = Some(days(0));
    world.terminate("acct");
    let plan = world.sync();
    assert_eq!((words(&plan.changes), plan.forgotten.len()), (vec!["unrelate p-1>acct".to_owned()], 0), "it stays, and our edges do not");
    let plan = world.sync();
    assert_eq!((words(&plan.changes), plan.forgotten), (vec![], [key("acct")].into()));
    assert!(world.plan().changes.is_empty());
}

#[test]
fn edges_that_are_gone_leave_it_and_what_ends_takes_its_own_along() {
    let mut world = world(vec![stranger("s-1", &[])]);
    world.sync();
    world.estate.edges.clear();
    assert_eq!(words(&world.sync().changes), ["unrelate p-1>acct"]);
    at_rest(&world);
    assert_eq!(world.row("acct").record.clone().unwrap().0, "s-1");
    // What led to it ends: its edges go with it, and nothing keeps the row when that ends as well.
    let mut ending = self::world(vec![stranger("s-1", &[])]);
    ending.sync();
    ending.terminate("p-1");
    assert_eq!(words(&ending.sync().changes), ["retire p-1"]);
    ending.terminate("acct");
    let plan = ending.sync();
    assert_eq!((words(&plan.changes), plan.forgotten), (vec![], [key("acct")].into()));
}

#[test]
fn more_than_one_is_held_and_so_is_one_that_stands_for_two() {
    let several = world(vec![stranger("s-1", &[]), stranger("s-2", &[])]);
    let plan = several.plan();
    assert_eq!((words(&plan.changes), words(&plan.holds[0].changes)), (vec!["create p-1".to_owned()], vec!["create acct".to_owned()]));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::Ownership]);

    let mut shared = world(vec![stranger("s-1", &[])]);
    shared.add("acct-2", Kind::Account);
    shared.answers.insert(key("acct-2"), Ok(vec![stranger("s-1", &[])]));
    assert_eq!(words(&shared.plan().holds[0].changes), ["create acct", "create acct-2"]);
    // The second comes later.
    let mut later = world(vec![stranger("s-1", &[])]);
    later.sync();
    later.add("acct-2", Kind::Account);
    later.answers.insert(key("acct-2"), Ok(vec![stranger("s-1", &[])]));
    assert_eq!(words(&later.plan().holds[0].changes), ["create acct-2"]);
}

#[test]
fn our_own_record_goes_before_it_and_other_kinds_are_held() {
    let mut own = world(Vec::new());
    let ours = FoundRecord { external_id: Some(key("acct")), estate: Some(own.ours.clone()), ..stranger("r-1", &[]) };
    own.answers.insert(key("acct"), Ok(vec![ours, stranger("s-1", &[])]));
    own.sync();
    assert_eq!(own.row("acct").record.as_ref().unwrap().0, "r-1");
    assert!(!own.row("acct").contributed);

    let mut other = world(Vec::new());
    other.add("i-1", Kind::Instance);
    other.answers.insert(key("i-1"), Ok(vec![stranger("s-1", &[])]));
    assert_eq!(words(&other.plan().holds[0].changes), ["create i-1"]);
}

#[test]
fn what_is_adopted_later_is_adopted_as_any_other() {
    for adopt in [Adopt::Match, Adopt::Contribute] {
        let mut world = world(vec![stranger("s-1", &[])]);
        world.sync();
        world.adopt = adopt;
        assert_eq!(world.input(identities).len(), 1);
        let plan = world.sync();
        assert_eq!(words(&plan.changes), ["adopt acct", "relate p-1>acct"], "{adopt}");
        assert_eq!(world.row("acct").contributed, adopt == Adopt::Contribute);
        assert_eq!(world.row("acct").state, DeliveryState::Delivered);
        world.set("acct", "size", json!("l"));
        assert_eq!(words(&world.sync().changes), ["update acct"]);
    }
    let mut first = world(vec![stranger("s-1", &[])]);
    first.adopt = Adopt::Match;
    assert!(words(&first.plan().changes).contains(&"adopt acct".to_owned()));
}

#[test]
fn a_full_read_does_not_tell_of_it_and_one_that_is_gone_is_ours_to_make() {
    let mut world = world(vec![stranger("s-1", &[])]);
    world.sync();
    let own = FoundRecord {
        external_id: Some(key("p-1")),
        estate: Some(world.ours.clone()),
        ..stranger(&world.row("p-1").record.clone().unwrap().0, &[])
    };
    let absorbed = world.input(|input| absorb(input, &[(key("p-1"), own)].into()));
    assert!(absorbed.unseen.is_empty() && !absorbed.rows.contains_key(&key("acct")));
    assert_eq!(absorbed.references, [key("acct")].into());
    // The look-up does not find it.
    let row = gone(world.row("acct"));
    world.state.records.insert(key("acct"), row);
    world.answers.insert(key("acct"), Ok(Vec::new()));
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["create acct", "relate p-1>acct"]);
    assert!(!plan.changes[0].recreates, "it was none of ours");
    assert!(!world.row("acct").contributed);

    // Somebody marked it as ours: it is.
    let mut marked = self::world(vec![stranger("s-1", &[])]);
    marked.sync();
    let record = FoundRecord { external_id: Some(key("acct")), estate: Some(marked.ours.clone()), ..stranger("s-1", &[]) };
    let absorbed = marked.input(|input| absorb(input, &[(key("acct"), record)].into()));
    assert!(!absorbed.rows[&key("acct")].is_reference() && !absorbed.rows[&key("acct")].contributed);
}
