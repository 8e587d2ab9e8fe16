use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::drift::{DriftAction, after_read};
use super::super::testing::*;
use super::super::*;
use crate::target::LeftValue;

#[test]
fn what_was_left_is_tried_again_once_it_can_be_taken() {
    let mut world = World::with_instances(2);
    let name = world.row("i-000").fields.as_ref().unwrap()["name"].desired.clone();
    let leave = |world: &mut World, sent| {
        let row = world.state.records.get_mut(&key("i-000")).unwrap();
        let field = row.fields.as_mut().unwrap().get_mut("name").unwrap();
        *field = FieldState { sent, rests: true, echoed: Some(json!("theirs")), ..field.clone() };
    };
    assert_eq!(left(world.state.records.values()), []);
    // What another shape of was sent was found, and is not written for another reason.
    leave(&mut world, Some(json!("another shape")));
    assert_eq!(left(world.state.records.values()), []);
    // What there was no place for shows nothing at every read, and stays left; what a recovery found empty was never left.
    leave(&mut world, Some(Value::Null));
    let field = &world.row("i-000").fields.as_ref().unwrap()["name"];
    assert!(after_read(field, &Value::Null, DriftAction::None).rests);
    assert!(left(world.state.records.values())[0].had_no_place);
    world.state.records.get_mut(&key("i-000")).unwrap().fields.as_mut().unwrap().get_mut("name").unwrap().rests = false;
    assert_eq!(left(world.state.records.values()), []);
    leave(&mut world, Some(name.clone()));
    let value = LeftValue { kind: world.row("i-000").kind, field: "name".to_owned(), value: name.clone(), had_no_place: false };
    assert_eq!(left(world.state.records.values()), std::slice::from_ref(&value));
    assert!(world.plan().changes.is_empty(), "it rests");

    let other = LeftValue { value: json!("other"), ..value.clone() };
    assert_eq!(tried_again(world.row("i-000"), &HashSet::from([other])), None);
    let taken = HashSet::from([value]);
    assert_eq!(tried_again(world.row("i-001"), &taken), None, "it was not left there");
    let row = tried_again(world.row("i-000"), &taken).unwrap();
    world.state.records.insert(key("i-000"), row);
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["update i-000"]);
    assert_eq!((&plan.changes[0].fields["name"].from, &plan.changes[0].fields["name"].to), (&json!("theirs"), &name));
    assert!(world.plan().changes.is_empty());
    assert_eq!(left(world.state.records.values()), []);
}
