//! How runs end: what is forgotten, what is told, and with which code.

use serde_json::{Value, json};

use crate::guardrails::at;
use crate::support::{Inventory, World};

/// Number of rows in one of the ledger's tables.
fn rows(world: &World, table: &str) -> String {
    world.query("dewpoint.db", &format!("SELECT count(*) FROM {table}"))[0][0].clone()
}

#[test]
fn a_run_dated_ahead_forgets_nothing() {
    let world = World::new("journal_keep: 36500d\nlifecycle: { defaults: { confirm_missing: 1, retire_after: 0s } }\n");
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(1));
    world.sync_at(&at(1, 1), 0);
    let (journal, tallies) = (rows(&world, "journal"), rows(&world, "tally"));
    assert_eq!(tallies, "1");
    world.sync_at("2926-02-01T00:00:00Z", 0);
    assert_eq!((rows(&world, "journal"), rows(&world, "tally"), rows(&world, "run")), (journal, tallies, "3".to_owned()));
}

#[test]
fn a_plan_from_the_future_is_refused() {
    let world = World::new("guardrails: { plan_max_age: 36500d }\n");
    world.put(&Inventory::new().instances(1));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(2));
    world.json(&["plan", "--at", "2926-02-01T00:00:00Z", "--out", "plan.json"], 0);
    let refused = world.json(&["apply", "plan.json"], 2);
    assert_eq!(refused["error"]["code"], "plan_refused");
    assert!(
        refused["error"]["text"].as_str().unwrap().ends_with("plan.json: is from 2926-02-01T00:00:00Z, which lies ahead"),
        "{refused:#}"
    );
    assert_eq!(world.count("SELECT count(*) FROM ci"), 1);
}

#[test]
fn a_failing_clean_up_leaves_the_sync_done() {
    let world = World::new("journal_keep: 1d\n");
    world.put(&Inventory::new().instances(1));
    world.sync_at(&at(1, 0), 0);
    world.query("dewpoint.db", "CREATE TRIGGER keep BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'no'); END");
    world.put(&Inventory::new().instances(2));
    let document = world.sync_at(&at(5, 0), 0);
    assert_eq!((&document["outcome"], World::counts(&document)), (&json!("done"), vec![("create".to_owned(), 1)]));
    let remarks: Vec<&str> = document["remarks"].as_array().unwrap().iter().filter_map(|remark| remark["text"].as_str()).collect();
    assert!(remarks.iter().any(|text| text.starts_with("what is older than `journal_keep` was not removed: ")), "{remarks:?}");
    let run: Value = world.json(&["runs", "show", document["run"].as_str().unwrap()], 0);
    assert_eq!((&run["outcome"], &run["report"]["counts"]["cmdb"]["create"]), (&json!("done"), &json!(1)));
}
