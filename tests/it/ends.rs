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
