//! Plans: what they say is what a sync does, and saved ones are applied as they were, or not at all. Guardrail 6 among it.

use serde_json::{Value, json};

use super::{at, field, live, retired, without};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Saved plans of any age may be applied: these tests set the clock themselves.
const ANY_AGE: &str = "guardrails: { plan_max_age: 36500d }\n";

fn sized(size: &str) -> Inventory {
    Inventory::new().instance("i-1", json!({ "attributes": { "size": size } })).instance("i-2", json!({}))
}

fn changes(plan: &Value) -> Vec<(String, String)> {
    let mut changes: Vec<_> = plan["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let to = change["relation"]["to"].as_str().map_or(String::new(), |to| format!(" > {to}"));
            (change["change"].as_str().unwrap().to_owned(), format!("{}{to}", change["key"].as_str().unwrap()))
        })
        .collect();
    changes.sort();
    changes
}

/// Numbers of changes by name.
fn counted(changes: &[(String, String)]) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    changes.iter().for_each(|(change, _)| *counts.entry(change.clone()).or_default() += 1);
    counts.into_iter().collect()
}

/// What the CMDB's history says was done since an entry, in the same form.
fn done_since(world: &World, last: u64) -> Vec<(String, String)> {
    let rows = world.query("cmdb.db", &format!("SELECT change, key, to_key FROM ci_history WHERE id > {last} ORDER BY id"));
    let mut done: Vec<_> = rows
        .into_iter()
        .map(|row| (row[0].clone(), if row[2] == "null" { row[1].clone() } else { format!("{} > {}", row[1], row[2]) }))
        .collect();
    done.sort();
    done
}

#[test]
fn a_plan_says_what_the_following_sync_does() {
    let world = World::new("");
    let group = key("security_group", "sg-1");
    let full = Inventory::new().instances(6).group("sg-1", json!({})).relation("protected_by", &instance_key("i-0000"), &group).relation(
        "protected_by",
        &instance_key("i-0001"),
        &group,
    );
    let steps: Vec<(u32, Inventory)> = vec![
        (1, full.clone()),
        (2, without(&full, 0..1).instance("i-new", json!({ "state": "stopped" }))),
        (3, without(&full, 0..1)),
        (4, without(&full, 0..2).instance("i-0001", json!({ "attributes": { "size": "t3.large" } })).without_scope("volume")),
        (5, full.clone().scope("instance", "denied")),
        (6, full),
        (7, Inventory::new().instances(2)),
        (8, Inventory::new().instances(2)),
        (9, Inventory::new().instances(2)),
    ];
    let mut last = 0;
    for (day, inventory) in steps {
        world.put(&inventory);
        let before = world.path("cmdb.db").exists().then(|| std::fs::read(world.path("cmdb.db")).unwrap());
        let plan = world.run(&["plan", "--at", &at(day, 0), "--output", "json"]).document();
        assert_eq!(world.path("cmdb.db").exists().then(|| std::fs::read(world.path("cmdb.db")).unwrap()), before, "a plan writes nothing");
        let again = world.run(&["plan", "--at", &at(day, 0), "--output", "json"]).document();
        assert_eq!(plan, again, "day {day}: the same input gives the same plan");
        let sync = world.run(&["sync", "--at", &at(day, 0), "--output", "json"]).document();
        let planned = changes(&plan);
        assert_eq!(counted(&planned), World::counts(&sync), "day {day}");
        // The history has what had an effect: an edge that stood there all along has none.
        assert!(done_since(&world, last).iter().all(|done| planned.contains(done)), "day {day}");
        assert_eq!(plan["holds"], sync["holds"], "day {day}");
        last = world.count("SELECT coalesce(max(id), 0) FROM ci_history");
        // Where nothing is missing (each plan counts its own pull), the next plan is empty.
        if [1, 5, 6].contains(&day) {
            let plan = world.json(&["plan", "--at", &at(day, 0)], if day == 5 { 3 } else { 0 });
            assert_eq!(changes(&plan), [], "day {day}");
        }
    }
}

#[test]
fn a_plan_before_the_first_sync_leaves_no_file_behind() {
    let world = World::new("");
    world.put(&sized("t3.micro"));
    let plan = world.json(&["plan", "--at", &at(1, 0), "--exit-code"], 6);
    assert_eq!(changes(&plan).len(), 2);
    assert!(!world.path("cmdb.db").exists() && !world.path("dewpoint.db").exists());
}

#[test]
fn a_plan_is_saved_only_for_a_ledger_that_is_there() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    let refused = world.json(&["plan", "--at", &at(1, 0), "--out", "plan.json"], 2);
    assert!(refused["error"]["text"].as_str().unwrap().contains("no ledger yet"), "{refused:#}");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("dewpoint sync --pause-writes"), "{refused:#}");
    assert!(!world.path("plan.json").exists() && !world.path("dewpoint.db").exists());
    // The way that it names leads there, and nothing is sent on it.
    world.json(&["sync", "--pause-writes", "--at", &at(1, 0)], 0);
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);
    assert_eq!(World::counts(&world.json(&["apply", "plan.json"], 0)), [("create".to_owned(), 2)]);
}

#[test]
fn a_saved_plan_is_applied_as_it_was_and_once() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.put(&sized("t3.large").instance("i-3", json!({})));
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);
    // What the file says now does not matter any more.
    world.put(&sized("t3.huge"));
    let document = world.json(&["apply", "plan.json"], 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("update".to_owned(), 1)]);
    assert_eq!((field(&world, "i-1", "size"), live(&world)), ("t3.large".into(), 3));
    // Applied twice, it does nothing and says so.
    let again = world.json(&["apply", "plan.json"], 3);
    assert_eq!(World::counts(&again), []);
    assert_eq!(again["skipped"].as_array().unwrap().len(), 2);
    world.put(&sized("t3.large").instance("i-3", json!({})));
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
}

#[test]
fn an_older_plan_changes_nothing_newer() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.put(&sized("t3.large").instance("i-3", json!({})));
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);
    // The damage: the plan would set the size of the morning over that of the evening, and make a machine that is gone.
    world.put(&sized("t3.huge"));
    world.sync_at(&at(1, 2), 0);
    let document = world.json(&["apply", "plan.json"], 3);
    assert_eq!(World::counts(&document), []);
    assert_eq!((field(&world, "i-1", "size"), live(&world)), ("t3.huge".into(), 2));
    assert_eq!(document["skipped"].as_array().unwrap().len(), 2, "{document:#}");
    assert!(document["skipped"].to_string().contains("i-3"), "{document:#}");
    assert_eq!(world.json(&["show", "i-1"], 0)["attributes"]["size"], "t3.huge");
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), []);
}

#[test]
fn of_two_plans_made_after_one_sync_the_older_changes_nothing_newer() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.put(&sized("t3.small").instance("i-3", json!({})));
    world.json(&["plan", "--at", &at(1, 1), "--out", "older.json"], 0);
    world.put(&sized("t3.large"));
    world.json(&["plan", "--at", &at(1, 2), "--out", "newer.json"], 0);
    world.json(&["apply", "newer.json"], 0);
    let document = world.json(&["apply", "older.json"], 3);
    assert_eq!(World::counts(&document), []);
    assert_eq!((field(&world, "i-1", "size"), live(&world)), ("t3.large".into(), 2));
    assert_eq!(world.json(&["show", "i-1"], 0)["attributes"]["size"], "t3.large");
    // The other way round, each is applied.
    world.put(&sized("t3.small").instance("i-3", json!({})));
    world.json(&["plan", "--at", &at(1, 3), "--out", "older.json"], 0);
    world.put(&sized("t3.large").instance("i-4", json!({})));
    world.json(&["plan", "--at", &at(1, 4), "--out", "newer.json"], 0);
    world.json(&["apply", "older.json"], 0);
    world.json(&["apply", "newer.json"], 0);
    assert_eq!(world.json(&["show", "i-4"], 0)["stage"], "active");
}

#[test]
fn a_change_whose_record_is_another_by_now_is_skipped() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.put(&sized("t3.large").instance("i-2", json!({})).without(&["i-2"]).instance("i-2", json!({ "name": "renamed" })));
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);
    world.json(&["plan", "--at", &at(1, 1), "--out", "same.json"], 0);
    world.json(&["apply", "same.json"], 0);
    let document = world.json(&["apply", "plan.json"], 3);
    assert_eq!(document["skipped"].as_array().unwrap().len(), 2);
    assert_eq!((field(&world, "i-1", "size"), field(&world, "i-2", "name")), ("t3.large".into(), "renamed".into()));
}

#[test]
fn an_absence_in_a_saved_plan_counts_once() {
    let world = World::new(ANY_AGE);
    let full = Inventory::new().instances(3);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..1));
    world.json(&["plan", "--at", &at(3, 0), "--out", "plan.json"], 0);
    // Applied again, the stage's update is done, and skipped.
    for code in [0, 3, 3] {
        world.json(&["apply", "plan.json"], code);
    }
    assert_eq!((live(&world), retired(&world)), (3, 0), "one pull, however often applied");
    world.sync_at(&at(4, 0), 0);
    assert_eq!((live(&world), retired(&world)), (2, 1));
}

#[test]
fn a_saved_plan_sends_nothing_that_was_read_anew_since() {
    let world = World::new("guardrails: { plan_max_age: 36500d }\nlifecycle: { defaults: { confirm_missing: 1, retire_after: 1h } }\n");
    let full = Inventory::new().instances(40);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..9));
    world.json(&["plan", "--at", &at(1, 2), "--out", "plan.json"], 0);
    // Meanwhile a sync has sent as much as a day may take.
    world.put(&without(&full, 20..29));
    world.sync_at(&at(1, 3), 0);
    // What was read since wins over all of it.
    let skipped = world.json(&["apply", "plan.json"], 3);
    assert_eq!((skipped["skipped"].as_array().unwrap().len(), retired(&world)), (9, 9));
}

#[test]
fn a_saved_plan_is_held_as_a_sync_would_be() {
    let world = World::new("guardrails: { plan_max_age: 36500d }\nlifecycle: { defaults: { confirm_missing: 1, retire_after: 1h } }\n");
    let full = Inventory::new().instances(40);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..12).instance("i-new", json!({})));
    let plan = world.json(&["plan", "--at", &at(1, 2), "--out", "plan.json"], 0);
    let held = world.json(&["apply", "plan.json"], 4);
    assert_eq!(held["holds"], plan["holds"]);
    assert_eq!((held["holds"][0]["changes"].as_array().unwrap().len(), live(&world), retired(&world)), (12, 41, 0));
}

#[test]
fn plans_of_another_estate_configuration_or_age_are_refused() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.put(&sized("t3.large"));
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);

    let other = World::new(ANY_AGE);
    other.put(&sized("t3.micro"));
    other.sync_at(&at(1, 0), 0);
    other.write("plan.json", &std::fs::read_to_string(world.path("plan.json")).unwrap());
    let ran = other.run(&["apply", "plan.json"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("another estate"), "{}", ran.err);

    world.write("dewpoint.yaml", &format!("{}guardrails: {{ plan_max_age: 36500d, max_retire_min: 11 }}\n", crate::support::CONFIG));
    let ran = world.run(&["apply", "plan.json"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("another configuration"), "{}", ran.err);

    world.write("dewpoint.yaml", crate::support::CONFIG);
    world.json(&["plan", "--at", &at(1, 1), "--out", "plan.json"], 0);
    let ran = world.run(&["apply", "plan.json"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("plan_max_age"), "{}", ran.err);
    assert_eq!(field(&world, "i-1", "size"), "t3.micro");

    for (name, text) in [("missing.json", None), ("cut.json", Some("{\"schema_version\": 1, \"plan\"")), ("empty.json", Some(""))] {
        if let Some(text) = text {
            world.write(name, text);
        }
        assert_eq!(world.run(&["apply", name]).code, 2, "{name}");
    }
}

#[test]
fn a_saved_plan_of_a_ledger_that_was_lost_since_is_refused() {
    let world = World::new(ANY_AGE);
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    for hour in 1..6 {
        world.sync_at(&at(1, hour), 0);
    }
    world.json(&["plan", "--at", &at(1, 6), "--out", "plan.json"], 0);
    crate::recovery::restore(&world, "old.db");
    let document = world.json(&["apply", "plan.json"], 2);
    assert!(document["error"]["text"].to_string().contains("newer ledger"), "{document:#}");
    // Its fence would lie ahead of every sync until now, and hide what they see.
    world.put(&sized("t3.large"));
    world.sync_at(&at(1, 7), 0);
    assert_eq!(field(&world, "i-1", "size"), "t3.large");
    // One of its own is applied.
    world.put(&sized("t3.xlarge"));
    world.json(&["plan", "--at", &at(1, 8), "--out", "plan.json"], 0);
    world.json(&["apply", "plan.json"], 0);
    assert_eq!(field(&world, "i-1", "size"), "t3.xlarge");
}
