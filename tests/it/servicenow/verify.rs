//! `plan --verify`: what the instance says that it would do, beside what is planned.

use dewpoint_servicenow_sim::Instance;
use serde_json::{Value, json};

use super::rig::{FIRST, Snow, machines};
use super::{QUICKSTART, quickstart};
use crate::support::World;
use crate::support::inventory::{instance_key, key};

#[track_caller]
fn verify(snow: &Snow, at: &str, code: i32) -> Value {
    let before = snow.inventory();
    let plan = snow.json(&["plan", "--verify", "--at", at], code);
    assert_eq!(snow.writes(), 0, "it asks, and writes nothing");
    assert!(snow.inventory() == before, "something was made or removed");
    plan
}

#[test]
fn the_instance_would_do_what_is_planned() {
    let snow = Snow::new();
    snow.configure("batch_size: 40", QUICKSTART);
    snow.world.write("inventory.json", &quickstart().to_string());
    let plan = snow.json(&["plan", "--verify"], 0);
    assert_eq!(snow.writes(), 0);
    let changes = plan["changes"].as_array().unwrap().len();
    assert_eq!(plan["verified"], json!({ "snow": { "agreed": changes, "unasked": 0, "differences": [] } }));
    let asked = snow.sim.counters().by_api["identifyreconcile_query"];
    assert!(asked <= 60, "{asked} questions about {changes} changes");

    let ran = snow.run_text(&["plan", "--verify"]);
    assert!(ran.out.contains(&format!("verified  snow would do {changes} changes as planned\n")), "{}", ran.out);
    snow.json(&["sync"], 0);
    snow.sim.clear_calls();
    let plan = snow.json(&["plan", "--verify"], 0);
    assert_eq!(plan["verified"]["snow"], json!({ "agreed": 0, "unasked": 0, "differences": [] }));
    assert_eq!(snow.sim.counters().requests, 1, "there is nothing to ask about");
}

#[test]
fn what_stands_there_is_asked_about_as_well() {
    let snow = Snow::new();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    snow.sim.clear_calls();
    let changed = machines(8).without(&["i-0003", "i-0004", "i-0005"]);
    let changed = changed
        .instance("i-0003", json!({ "name": "renamed" }))
        .instance("i-0004", json!({ "state": "terminated" }))
        .instance("i-0005", json!({ "tags": { "env": "prod" } }))
        .instance("i-0100", json!({}));
    let related = ["i-0003", "i-0005", "i-0100"]
        .iter()
        .fold(changed, |inventory, id| inventory.relation("protected_by", &instance_key(id), &key("security_group", "sg-1")));
    snow.world.put(&related);
    let plan = verify(&snow, "2026-02-01T01:00:00Z", 0);
    let kinds: Vec<&str> = plan["changes"].as_array().unwrap().iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["create", "update", "update", "relate", "retire"]);
    assert_eq!(plan["verified"]["snow"], json!({ "agreed": 5, "unasked": 0, "differences": [] }), "{plan:#}");
}

#[test]
fn what_the_instance_would_do_otherwise_is_told() {
    let snow = Snow::new();
    snow.world.put(&machines(3));
    snow.sync_at(FIRST, 0);
    snow.sim.clear_calls();
    // Somebody gives the machine the very name that it is to get.
    snow.sim.edit(|instance| {
        let (id, _) = instance.find("cmdb_ci_vm_instance", "object_id=i-0001").remove(0);
        instance.update(&id, &[("name", "renamed")]);
    });
    let renamed = machines(3).without(&["i-0001"]).instance("i-0001", json!({ "name": "renamed" }));
    snow.world.put(&renamed.relation("protected_by", &instance_key("i-0001"), &key("security_group", "sg-1")));
    let plan = verify(&snow, "2026-02-01T01:00:00Z", 3);
    let differences = plan["verified"]["snow"]["differences"].as_array().unwrap();
    assert_eq!(
        (differences.len(), &differences[0]["would"], &differences[0]["planned"]),
        (1, &json!("nothing"), &json!("update")),
        "{plan:#}"
    );

    let bare = Snow::over(Instance::new(), "");
    bare.world.put(&machines(2));
    let plan = verify(&bare, FIRST, 3);
    let verified = &plan["verified"]["snow"];
    assert_eq!(verified["agreed"], 0, "{verified:#}");
    assert_eq!(verified["differences"].as_array().unwrap().len(), 3, "its records: the edges wait for them: {verified:#}");
    assert!(verified["differences"].to_string().contains("INVALID_INPUT_DATA"), "{verified:#}");
    let ran = bare.run_text(&["plan", "--verify", "--at", FIRST]);
    assert!(ran.out.contains("the target would refuse it: INVALID_INPUT_DATA"), "{}", ran.out);
}

#[test]
fn a_target_that_cannot_be_asked_says_so() {
    let world = World::new("");
    world.put(&machines(2));
    let plan = world.json(&["plan", "--verify", "--at", FIRST], 0);
    assert!(plan["remarks"].to_string().contains("cannot be asked what it would do"), "{plan:#}");
}
