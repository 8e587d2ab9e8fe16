//! What the commands do.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{estate, first, held, synced};
use crate::support::inventory::instance_key;
use crate::support::{CONFIG, Inventory, World};

#[test]
fn list_filters_by_kind_stage_account_and_tag() {
    let world = synced();
    let names = |args: &[&str]| -> Vec<String> {
        let list = world.json(&[&["list"], args].concat(), 0);
        list["cis"].as_array().unwrap().iter().map(|ci| ci["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--kind", "security_group"]), ["web"]);
    assert_eq!(names(&["--stage", "inactive"]), ["db"]);
    assert_eq!(names(&["--tag", "env=prod"]), ["db"]);
    assert_eq!(names(&["--tag", "owner"]), ["db"]);
    assert_eq!(names(&["--tag", "env=prod", "--tag", "owner=someone"]), Vec::<String>::new());
    assert_eq!(names(&["--account", "123456789012"]).len(), 22);
    assert_eq!(names(&["--account", "2"]).len(), 0);
    assert_eq!(names(&["--kind", "instance", "--kind", "security_group", "--stage", "active"]).len(), 21);
}

#[test]
fn a_saved_plan_is_applied_once_and_only_where_it_was_made() {
    let world = synced();
    world.put(&estate().instance("i-new", json!({})));
    let saved = world.run(&["plan", "--at", "2026-02-01T01:00:00Z", "--out", "plan.json"]);
    assert_eq!(saved.code, 0, "{}", saved.err);
    assert!(saved.err.contains("saved the plan as plan.json; `dewpoint apply` applies it"), "{}", saved.err);
    let too_old = world.json(&["apply", "plan.json"], 2);
    assert!(too_old["error"]["text"].as_str().unwrap().contains("older than `plan_max_age` allows"));

    world.write("dewpoint.yaml", &format!("{CONFIG}guardrails: {{ plan_max_age: 36500d }}\n"));
    let other_config = world.json(&["apply", "plan.json"], 2);
    assert!(other_config["error"]["text"].as_str().unwrap().contains("another configuration"));
    assert_eq!(world.run(&["plan", "--at", "2026-02-01T01:00:00Z", "--out", "plan.json"]).code, 0);
    let applied = world.json(&["apply", "plan.json"], 0);
    assert_eq!(World::counts(&applied), [("create".to_owned(), 1)]);
    let again = world.json(&["apply", "plan.json"], 3);
    assert_eq!(World::counts(&again), []);
    let skipped = again["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0], format!("cmdb: create {}", instance_key("i-new")));

    world.write("broken.json", "{ \"schema_version\": 1, ");
    assert_eq!(world.json(&["apply", "broken.json"], 2)["error"]["code"], "plan_refused");
}

#[test]
fn an_apply_begins_when_it_is_called() {
    let world = World::new("guardrails: { plan_max_age: 36500d }\n");
    world.put(&estate());
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.put(&estate().instance("i-new", json!({})));
    world.json(&["plan", "--at", "2026-02-01T01:00:00Z", "--out", "plan.json"], 0);
    let before = Timestamp::now();
    let applied = world.json(&["apply", "plan.json"], 0);
    let runs = world.json(&["runs"], 0);
    let started = |n: usize| runs["runs"][n]["started_at"].as_str().unwrap();
    assert_eq!((started(0), started(1)), (applied["started_at"].as_str().unwrap(), "2026-02-01T00:00:00Z"));
    // Times in the ledger are whole microseconds.
    assert!(started(0).parse::<Timestamp>().unwrap().as_microsecond() >= before.as_microsecond(), "{runs:#}");
    // What the plan saw, it saw at its own time.
    assert_eq!(world.json(&["show", "i-new"], 0)["first_seen"], "2026-02-01T01:00:00Z");
}

#[test]
fn an_export_is_an_inventory_that_says_the_same() {
    let world = synced();
    let out = world.run(&["export"]);
    assert_eq!(out.code, 0);
    assert_eq!(world.run(&["export", "-o", "export.json"]).code, 0);
    assert_eq!(std::fs::read_to_string(world.path("export.json")).unwrap(), out.out);

    let copy = World::new("");
    copy.write("inventory.json", &out.out);
    let sync = copy.sync_at("2026-02-01T00:00:00Z", 0);
    assert_eq!(World::counts(&sync), [("create".to_owned(), 22), ("relate".to_owned(), 20)]);
    let keys = |world: &World| world.query("cmdb.db", "SELECT key, name, state FROM ci ORDER BY key");
    assert_eq!(keys(&copy), keys(&world));

    let csv = world.run(&["export", "--format", "csv"]);
    let mut lines = csv.out.lines();
    assert!(lines.next().unwrap().starts_with("key,kind,provider,account,region,native_id,name,state,stage,"));
    assert_eq!(lines.count(), 22);
    assert_eq!(world.run(&["export", "-o", "no/such/folder/export.json"]).code, 1);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new("");
    world.put(&Inventory::new().instances(50));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    for args in [&["list"][..], &["export"], &["export", "--format", "csv"], &["plan", "--output", "json"]] {
        let mut child = world.command(args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = child.wait_with_output().unwrap();
        assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stderr).as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn holds_are_approved_or_rejected_by_their_id() {
    let (world, hold) = held();
    let id = hold["id"].as_str().unwrap();
    let approved = world.run(&["holds", "approve", id]);
    assert_eq!(approved.out, format!("approved 12 changes of hold {id}; the next sync applies what is still wanted\n"));
    assert_eq!(World::counts(&world.sync_at("2026-02-02T13:00:00Z", 0)), [("retire".to_owned(), 12)]);
    assert_eq!(world.run(&["holds"]).out, "nothing is held\n");

    let (world, hold) = held();
    let id = hold["id"].as_str().unwrap();
    assert_eq!(world.json(&["holds", "reject", id], 0)["verdict"], "rejected");
    let sync = world.sync_at("2026-02-02T13:00:00Z", 0);
    assert_eq!((World::counts(&sync), &sync["holds"]), (vec![], &json!([])));
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE retired = 1"), 0);

    // An id that only a plan has shown will do for `sync --approve`.
    let world = synced();
    let gone = first(12);
    world.put(&estate().without(&gone.iter().map(String::as_str).collect::<Vec<_>>()));
    world.sync_at("2026-02-01T12:00:00Z", 0);
    let plan = world.json(&["plan", "--at", "2026-02-02T12:00:00Z"], 0);
    let id = plan["holds"][0]["id"].as_str().unwrap().to_owned();
    let sync = world.json(&["sync", "--at", "2026-02-02T12:00:00Z", "--approve", &id], 0);
    assert_eq!(World::counts(&sync), [("retire".to_owned(), 12)]);
}

#[test]
fn a_paused_target_is_planned_and_not_written() {
    let world = World::new("");
    world.put(&estate());
    let paused = world.run(&["target", "pause", "cmdb"]);
    assert_eq!((paused.code, paused.out.as_str()), (0, "target cmdb is paused: it is planned and reported, and nothing is sent to it\n"));
    let sync = world.run(&["sync", "--at", "2026-02-01T00:00:00Z"]);
    assert_eq!(sync.code, 0, "{}", sync.err);
    assert!(sync.err.contains("cmdb: 22 create, 20 relate; 22 records afterwards"), "{}", sync.err);
    assert!(sync.out.contains("target    cmdb: nothing sent"), "{}", sync.out);
    assert!(sync.out.contains("waiting   cmdb: 42 changes not sent yet"), "{}", sync.out);
    assert!(sync.out.contains("remark    cmdb: paused: nothing was sent"), "{}", sync.out);
    assert_eq!(world.count("SELECT count(*) FROM ci"), 0);
    assert_eq!(world.json(&["target", "resume", "cmdb"], 0)["paused"], false);
    assert_eq!(World::counts(&world.sync_at("2026-02-01T00:01:00Z", 0)), [("create".to_owned(), 22), ("relate".to_owned(), 20)]);
}

#[test]
fn paused_writes_gather_evidence_and_send_nothing() {
    let world = World::new("");
    world.put(&estate());
    let sync = world.json(&["sync", "--pause-writes", "--at", "2026-02-01T00:00:00Z"], 0);
    assert_eq!((World::counts(&sync), &sync["waiting"]["cmdb"]), (vec![], &json!(42)));
    assert_eq!(world.json(&["list"], 0)["cis"].as_array().unwrap().len(), 22);
    assert_eq!(World::counts(&world.sync_at("2026-02-01T00:01:00Z", 0)).len(), 2);
}

#[test]
fn an_accepted_gap_no_longer_ends_with_three() {
    let world = World::new("");
    world.put(&estate().scope("volume", "denied").scope_in("us-east-1", "volume", "denied"));
    world.sync_at("2026-02-01T00:00:00Z", 3);
    let text = world.run(&["coverage"]).out;
    assert_eq!(text.matches("denied").count(), 2, "{text}");
    let accepted = world.run(&["coverage", "accept", "--region", "us-east-1"]);
    assert_eq!(accepted.out, "accepted 1 gap: the CIs there stay frozen, and a sync no longer ends with 3 for it\n");
    world.sync_at("2026-02-01T01:00:00Z", 3);
    assert_eq!(world.json(&["coverage", "accept"], 0)["scopes"].as_array().unwrap().len(), 2);
    let sync = world.sync_at("2026-02-01T02:00:00Z", 0);
    assert!(sync["receipts"].as_array().unwrap().iter().filter(|r| r["outcome"] == "denied").all(|r| r["accepted"] == true));
    // Another kind of gap is another matter, and what was accepted can be taken back.
    world.put(&estate().scope("volume", "throttled").scope_in("us-east-1", "volume", "denied"));
    world.sync_at("2026-02-01T03:00:00Z", 3);
    world.put(&estate().scope("volume", "denied").scope_in("us-east-1", "volume", "denied"));
    world.sync_at("2026-02-01T04:00:00Z", 0);
    world.json(&["coverage", "accept", "--undo", "--kind", "volume"], 0);
    world.sync_at("2026-02-01T05:00:00Z", 3);
}

#[test]
fn only_what_no_source_covers_can_be_retired_by_scope() {
    let world = synced();
    let refused = world.json(&["scopes", "retire", "--account", "123456789012"], 2);
    assert!(refused["error"]["text"].as_str().unwrap().contains("a source still covers"));
    assert!(world.json(&["scopes", "retire", "--account", "1"], 2)["error"]["text"].as_str().unwrap().contains("no scope of account"));

    world.put(&Inventory::default().scope("security_group", "complete").group("sg-1", json!({ "name": "web" })));
    let sync = world.sync_at("2026-02-01T01:00:00Z", 0);
    assert!(sync["receipts"].as_array().unwrap().iter().any(|receipt| receipt["outcome"] == "orphaned"), "{sync:#}");
    let asked = world.run(&["scopes", "retire", "--account", "123456789012"]);
    assert_eq!(asked.out, "the next sync proposes to retire what 1 scope held, and holds it until you approve\n");
    let sync = world.sync_at("2026-02-03T02:00:00Z", 4);
    let id = sync["holds"][0]["id"].as_str().unwrap().to_owned();
    let sync = world.json(&["sync", "--at", "2026-02-03T03:00:00Z", "--approve", &id], 0);
    assert_eq!(World::counts(&sync), [("retire".to_owned(), 21)], "{sync:#}");
}

#[test]
fn the_ledger_is_checked_pruned_and_copied() {
    let world = synced();
    let backup = world.run(&["ledger", "backup", "copy.db"]);
    assert_eq!((backup.code, backup.out.as_str()), (0, "wrote copy.db\n"));
    let refused = world.run(&["ledger", "backup", "copy.db"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("a backup never overwrites a file\nhint: name a new file\n"), "{}", refused.err);
    assert_eq!(world.query("copy.db", "SELECT count(*) FROM resource"), [["22"]]);

    let check = world.json(&["ledger", "check"], 0);
    assert!(check["findings"].as_array().unwrap().iter().all(|finding| finding["outcome"] == "ok"), "{check:#}");
    world.query("dewpoint.db", "UPDATE record SET class = '' WHERE key_id = (SELECT min(key_id) FROM record)");
    let check = world.json(&["ledger", "check"], 1);
    assert_eq!(check["findings"].as_array().unwrap().iter().filter(|finding| finding["outcome"] == "error").count(), 1);

    let pruned = world.json(&["ledger", "prune"], 0);
    assert!(pruned["pruned"]["journal"].as_u64().unwrap() > 0, "the sync of February is older than 90 days: {pruned}");
    let keep = World::new("journal_keep: never\n");
    keep.put(&estate());
    keep.sync_at("2026-02-01T00:00:00Z", 0);
    assert_eq!(keep.run(&["ledger", "prune"]).out, "`journal_keep` is `never`: nothing is pruned\n");
}

#[test]
fn a_cmdb_that_moved_is_bound_anew() {
    let world = synced();
    std::fs::rename(world.path("cmdb.db"), world.path("moved.db")).unwrap();
    world.write("dewpoint.yaml", &CONFIG.replace("cmdb.db", "moved.db"));
    let refused = world.json(&["sync", "--at", "2026-02-01T01:00:00Z"], 2);
    let problem = &refused["problems"][0];
    assert!(problem["text"].as_str().unwrap().contains("moved from"), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("`dewpoint target rebind cmdb`"), "{problem}");
    world.json(&["target", "rebind", "cmdb"], 0);
    assert_eq!(World::counts(&world.sync_at("2026-02-01T02:00:00Z", 0)), []);
}

#[test]
fn schema_and_completions_are_printed() {
    let world = World::empty();
    let schema: Value = serde_json::from_str(&world.run(&["schema"]).out).unwrap();
    for key in ["ledger", "sources", "targets", "guardrails", "lifecycle", "exit_ok"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains("coverage") && script.out.contains("pause-writes"));
    }
}
