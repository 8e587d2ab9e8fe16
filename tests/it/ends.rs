//! How runs end: what is forgotten, what is told, and with which code.

use std::collections::BTreeMap;

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

#[test]
fn exit_ok_hides_nothing_else() {
    for (ok, code) in [("[]", 4), ("[4]", 3), ("[3]", 4), ("[3, 4]", 0)] {
        let world = World::new(&format!("exit_ok: {ok}\nlifecycle: {{ defaults: {{ confirm_missing: 1, retire_after: 1h }} }}\n"));
        world.put(&Inventory::new().instances(40));
        world.sync_at(&at(1, 0), 0);
        world.put(&Inventory::new().instances(20).scope("volume", "denied"));
        let document = world.sync_at(&at(1, 2), code);
        assert_eq!((&document["outcome"], document["holds"].as_array().unwrap().len()), (&json!("held"), 1), "{ok}");
        // A gap that people accepted is no failure any more.
        world.json(&["coverage", "accept"], 0);
        world.sync_at(&at(1, 3), if ok.contains('4') { 0 } else { 4 });
    }
}

/// What a failing run says in its document and on standard error.
#[track_caller]
fn check_failure(world: &World, args: &[&str], exit: i32, code: &str, text: &str) {
    let document = world.json(args, exit);
    let error = &document["error"];
    assert_eq!(error["code"], code, "{document:#}");
    assert!(error["text"].as_str().unwrap().contains(text), "{error:#}");
    let hint = error["hint"].as_str().unwrap();
    assert!(document["errors"].to_string().contains(text), "{document:#}");
    let ran = world.run(args);
    assert_eq!(ran.code, exit);
    assert!(ran.err.starts_with("error: ") && ran.err.contains(text) && ran.err.ends_with(&format!("\nhint: {hint}\n")), "{}", ran.err);
}

#[test]
fn a_run_that_fails_says_why_as_every_command_does() {
    let world = World::new("");
    check_failure(&world, &["sync", "--at", &at(1, 0), "-q"], 1, "failed", "the file does not exist");
    check_failure(&world, &["plan", "--at", &at(1, 0), "-q"], 1, "failed", "the file does not exist");
    check_failure(&world, &["doctor"], 1, "failed", "the file does not exist");
    world.put(&Inventory::new().instances(1));
    assert_eq!(world.sync_at(&at(1, 1), 0).get("error"), None);
    assert_eq!(world.json(&["doctor"], 0).get("error"), None);
    world.write("cmdb.db", "no database");
    check_failure(&world, &["sync", "--at", &at(1, 2), "-q"], 2, "target", "cmdb");
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("cmdb.db", "elsewhere/cmdb.db"));
    check_failure(&world, &["sync", "--at", &at(1, 2), "-q"], 2, "target", "cmdb");
    let denied = Inventory::new().instances(1).scope("volume", "denied");
    world.write("dewpoint.yaml", crate::support::CONFIG);
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    world.put(&denied);
    // The gap alone would be 3: what decided the code is told first.
    check_failure(&world, &["sync", "--at", &at(1, 3), "-q"], 2, "target", "cmdb");
}

#[test]
fn runs_stand_in_the_order_of_their_beginnings() {
    let world = World::new("");
    world.put(&Inventory::new().instances(1));
    let later = world.sync_at(&at(5, 0), 0)["run"].clone();
    let earlier = world.sync_at(&at(1, 0), 0)["run"].clone();
    let runs = world.json(&["runs", "list"], 0);
    assert_eq!((&runs["runs"][0]["run"], &runs["runs"][1]["run"]), (&earlier, &later));
    assert_eq!(world.json(&["runs", "show"], 0)["run"], earlier);
    assert_eq!(world.json(&["runs", "list", "--limit", "1"], 0)["runs"].as_array().unwrap().len(), 1);
    assert_eq!(world.run(&["runs", "list", "--limit", "0"]).code, 2);
}

#[test]
fn a_run_without_a_report_is_told_by_how_it_ended() {
    let world = World::new("");
    world.put(&Inventory::new().instances(1));
    world.sync_at(&at(1, 0), 0);
    let rows = "INSERT INTO run (run, started_at, finished_at, outcome, counts) VALUES ('failed', 0, 1, 'failed', '{}'), ('killed', 0, NULL, NULL, '{}')";
    world.query("dewpoint.db", rows);
    let failed = world.run(&["runs", "show", "failed"]).out;
    assert!(failed.contains("ended as failed") && !failed.contains("killed"), "{failed}");
    let killed = world.run(&["runs", "show", "killed"]).out;
    assert!(killed.contains("is running, or it was killed"), "{killed}");
}

#[test]
fn an_export_to_a_file_answers_with_the_file() {
    let world = World::new("");
    world.put(&Inventory::new().instances(1));
    world.sync_at(&at(1, 0), 0);
    assert_eq!(world.json(&["export", "-o", "export.json"], 0)["file"], "export.json");
    let ran = world.run(&["export", "-o", "other.json"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("wrote other.json\n", ""));
    let file = std::fs::read_to_string(world.path("export.json")).unwrap();
    assert_eq!(world.run(&["export", "-o", "-"]).out, file);
    assert!(!world.path("-").exists());
}

#[test]
fn fields_of_receipts_are_kept_and_rows_counted() {
    let world = World::new("");
    let mut inventory = Inventory::new().instances(2).value();
    for receipt in inventory["receipts"].as_array_mut().unwrap() {
        receipt["batch"] = json!({ "number": 7 });
        receipt.as_object_mut().unwrap().remove("count");
    }
    let groups = inventory["receipts"].as_array_mut().unwrap().iter_mut().find(|receipt| receipt["kind"] == "security_group").unwrap();
    groups["outcome"] = json!("denied");
    world.write("inventory.json", &inventory.to_string());
    let document = world.sync_at(&at(1, 0), 3);
    let counts: BTreeMap<&str, &Value> =
        document["receipts"].as_array().unwrap().iter().map(|receipt| (receipt["kind"].as_str().unwrap(), &receipt["count"])).collect();
    assert_eq!(counts, [("instance", &json!(2)), ("security_group", &Value::Null)].into());
    assert_eq!(document["remarks"], json!([]));
    let export: Value = serde_json::from_str(&world.run(&["export"]).out).unwrap();
    let batches: Vec<&Value> = export["receipts"].as_array().unwrap().iter().map(|receipt| &receipt["batch"]["number"]).collect();
    assert_eq!(batches, [&json!(7), &json!(7)]);
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let world = World::new("");
    world.put(&Inventory::new());
    let ran = |variable: &str, value: &str| world.command(&["validate"]).env(variable, value).output().unwrap().status.code();
    assert_eq!(ran("DEWPOINT_CONFIG", ""), Some(0));
    assert_eq!(ran("DEWPOINT_LOG_FORMAT", ""), Some(0));
    assert_eq!(ran("DEWPOINT_CONFIG", "elsewhere.yaml"), Some(2));
    assert_eq!(ran("DEWPOINT_LOG_FORMAT", "xml"), Some(2));
}

#[test]
fn a_file_that_does_not_fit_is_told_what_is_wanted() {
    let world = World::new("");
    let check = |field: &str, value: Value, text: &str| {
        let mut inventory = Inventory::new().instances(1).value();
        inventory[field.split('.').next().unwrap()][0][field.split('.').nth(1).unwrap()] = value;
        world.write("inventory.json", &inventory.to_string());
        let said = world.sync_at(&at(1, 0), 1)["error"]["text"].as_str().unwrap().to_owned();
        assert!(said.ends_with(text), "{said}");
    };
    check("resources.created_at", json!("yesterday"), "field `created_at`: must be an RFC 3339 time such as `2026-01-02T03:04:05Z`");
    check("receipts.count", json!(-1), "field `count`: must be a whole number, not negative");
    check("resources.derived", json!("yes"), "field `derived`: must be `true` or `false`");
    let mut inventory = Inventory::new().value();
    inventory["taken_at"] = json!(7);
    world.write("inventory.json", &inventory.to_string());
    let said = world.sync_at(&at(1, 0), 1)["error"]["text"].to_string();
    assert!(said.contains("must be an RFC 3339 time"), "{said}");
    world.put(&Inventory::new());
    world.sync_at(&at(1, 0), 0);
    let refused = world.json(&["apply", "inventory.json"], 2);
    assert!(refused["error"]["text"].as_str().unwrap().ends_with("inventory.json: is no saved plan"), "{refused:#}");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("dewpoint plan --out"), "{refused:#}");
}

#[test]
fn a_folder_in_place_of_a_file_has_a_name() {
    let world = World::empty();
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: inventory.json", "path: ."));
    let said = world.sync_at(&at(1, 0), 1)["error"]["text"].as_str().unwrap().to_owned();
    assert!(said.contains(".:1:1") && !said.contains(" :1:1"), "{said}");
}
