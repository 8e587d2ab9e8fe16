use serde_json::{Value, json};

use super::super::testing::*;
use super::super::*;
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::lifecycle::{Policy, Timers};
use crate::model::Kind;
use crate::rules::{Origin, Rule, Settings};
use crate::testing::decide_again;

/// A rule that sets the size of what is past its date, and cannot be asked about a date that is none.
fn policy() -> Policy {
    let when = r#""until" in resource.tags && timestamp(resource.tags["until"]) < now"#;
    let rule = Rule {
        name: "past its date".to_owned(),
        origin: Origin::Configuration,
        when: Expression::compile(when, &Vocabulary::rules(), Wanted::Condition).unwrap(),
        action: None,
        set: Settings { attributes: [("size".to_owned(), json!("by rule"))].into(), ..Settings::default() },
    };
    Policy { timers: Timers::default(), rules: [rule].into_iter().collect() }
}

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2040-01-01T00:00:00Z";
const NONSENSE: &str = "next week";

/// Plans under the rules, applies, and gives what was written of each field.
fn sync(world: &mut World) -> Vec<(String, Value)> {
    let decisions = decide_again(&mut world.estate.clone(), &policy(), world.now);
    world.verdicts = Some(decisions.verdicts);
    let plan = world.sync();
    plan.changes.iter().flat_map(|change| change.fields.iter().map(|(name, field)| (name.clone(), field.to.clone()))).collect()
}

fn world(until: &str) -> World {
    let mut world = World::new();
    world.add("i-000", Kind::Instance);
    world.set("i-000", "size", json!("as read"));
    world.tag("i-000", "until", until);
    sync(&mut world);
    world
}

fn size(world: &World) -> Value {
    world.row("i-000").fields.as_ref().unwrap()["size"].desired.clone()
}

#[test]
fn a_value_that_a_rule_set_stays_while_it_cannot_be_asked() {
    let mut world = world(PAST);
    assert_eq!(size(&world), "by rule");
    world.tag("i-000", "until", NONSENSE);
    assert_eq!(sync(&mut world), []);
    // The row is settled: nothing is looked at any more.
    assert!(world.input(stale).is_empty());
    // What else is read is taken.
    world.set("i-000", "size", json!("read anew"));
    world.set("i-000", "owner", json!("ann"));
    assert_eq!(sync(&mut world), [("owner".to_owned(), json!("ann"))]);
    assert_eq!((size(&world), world.input(stale).is_empty()), (json!("by rule"), true));
    // Asked again, it says something.
    world.tag("i-000", "until", FUTURE);
    assert_eq!(sync(&mut world), [("size".to_owned(), json!("read anew"))]);
    world.tag("i-000", "until", NONSENSE);
    assert_eq!((sync(&mut world), size(&world)), (vec![], json!("read anew")));
    world.tag("i-000", "until", PAST);
    assert_eq!(sync(&mut world), [("size".to_owned(), json!("by rule"))]);
}

#[test]
fn a_value_that_was_only_set_is_not_emptied_while_the_rule_cannot_be_asked() {
    let mut world = World::new();
    world.add("i-000", Kind::Instance);
    world.tag("i-000", "until", PAST);
    sync(&mut world);
    world.tag("i-000", "until", NONSENSE);
    assert_eq!((sync(&mut world), size(&world)), (vec![], json!("by rule")));
    world.tag("i-000", "until", FUTURE);
    assert_eq!(sync(&mut world), [("size".to_owned(), Value::Null)]);
}

#[test]
fn settling_in_doubt_is_not_settling_for_what_comes_after() {
    // Neither verdict sets a value; the record keeps one in the first case only.
    let mut world = world(PAST);
    world.tag("i-000", "until", NONSENSE);
    sync(&mut world);
    let known = world.known("i-000").clone();
    assert_eq!((sync(&mut world), size(&world)), (vec![], json!("by rule")));
    // The rule goes, and nothing else changes.
    assert_eq!(world.known("i-000").digest, known.digest);
    world.verdicts = None;
    let plan = world.sync();
    assert_eq!(plan.changes[0].fields["size"].to, "as read");
}

#[test]
fn a_new_record_has_what_was_read() {
    let world = world(NONSENSE);
    assert_eq!(size(&world), "as read");
}

#[test]
fn a_correction_is_made_in_doubt_as_well() {
    let mut world = world(PAST);
    world.tag("i-000", "until", NONSENSE);
    sync(&mut world);
    // A read found another value there, and asked to write ours again.
    let row = world.state.records.get_mut(&key("i-000")).unwrap();
    let field = row.fields.as_mut().unwrap().get_mut("size").unwrap();
    (field.sent, field.echoed) = (None, Some(json!("by hand")));
    row.basis = None;
    assert_eq!(sync(&mut world), [("size".to_owned(), json!("by rule"))]);
}

#[test]
fn a_write_that_nobody_answered_for_is_no_last_wish() {
    let mut world = world(PAST);
    world.tag("i-000", "until", NONSENSE);
    let row = world.state.records.get_mut(&key("i-000")).unwrap();
    let field = row.fields.as_mut().unwrap().get_mut("size").unwrap();
    (field.desired, field.sent, field.echoed) = (Value::Null, None, Some(json!("by rule")));
    row.basis = None;
    assert_eq!(sync(&mut world), [("size".to_owned(), json!("as read"))]);
}

#[test]
fn a_retirement_keeps_what_is_in_doubt() {
    let mut world = world(PAST);
    world.tag("i-000", "until", NONSENSE);
    world.terminate("i-000");
    assert_eq!(sync(&mut world), [("status".to_owned(), json!("ended"))]);
}
