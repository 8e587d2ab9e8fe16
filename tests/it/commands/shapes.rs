//! `--output json`: every promised field, under its promised name, of its promised type.

use serde_json::{Value, json};

use super::{estate, held, synced};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// What a field must be.
#[derive(Clone, Copy)]
enum Is {
    Text,
    /// RFC 3339.
    Time,
    Count,
    Number,
    List,
    Map,
    /// Anything, `null` too, but there.
    There,
}

#[track_caller]
fn check(document: &Value, fields: &[(&str, Is)]) {
    for (name, is) in fields {
        let value = document.get(name).unwrap_or_else(|| panic!("`{name}` is missing in {document:#}"));
        let fits = match is {
            Is::Text => value.is_string(),
            Is::Time => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            Is::Count => value.is_u64(),
            Is::Number => value.is_number(),
            Is::List => value.is_array(),
            Is::Map => value.is_object(),
            Is::There => true,
        };
        assert!(fits, "`{name}` is {value} in {document:#}");
    }
}

#[track_caller]
fn is_one_of(value: &Value, words: &[&str]) {
    assert!(value.as_str().is_some_and(|word| words.contains(&word)), "{value} is none of {words:?}");
}

fn each(list: &Value) -> Vec<&Value> {
    let list = list.as_array().unwrap();
    assert!(!list.is_empty());
    list.iter().collect()
}

#[track_caller]
fn check_change(change: &Value) {
    use Is::{Map, Text, There};
    check(
        change,
        &[
            ("target", Text),
            ("key", Text),
            ("kind", Text),
            ("class", Text),
            ("change", Text),
            ("fields", Map),
            ("relation", There),
            ("reason", Map),
        ],
    );
    check(&change["reason"], &[("rule", Text), ("text", Text)]);
    is_one_of(&change["change"], &["create", "update", "relate", "unrelate", "retire", "revive", "purge", "adopt"]);
    for field in change["fields"].as_object().unwrap().values() {
        check(field, &[("from", There), ("to", There)]);
    }
    match &change["relation"] {
        Value::Null => {}
        relation => check(relation, &[("type", Text), ("from", Text), ("to", Text)]),
    }
}

#[track_caller]
fn check_hold(hold: &Value) {
    check(
        hold,
        &[("id", Is::Text), ("target", Is::Text), ("guardrails", Is::List), ("text", Is::Text), ("share", Is::There), ("limit", Is::There)],
    );
    each(&hold["changes"]).into_iter().for_each(check_change);
}

#[track_caller]
fn check_receipt(receipt: &Value) {
    use Is::{Text, There};
    let fields = [
        ("source", Text),
        ("provider", Text),
        ("account", Text),
        ("region", Text),
        ("kind", Text),
        ("outcome", Text),
        ("count", There),
        ("error", There),
    ];
    check(receipt, &fields);
    let outcomes = ["complete", "denied", "throttled", "truncated", "disabled", "failed", "skipped", "orphaned"];
    is_one_of(&receipt["outcome"], &outcomes);
}

#[test]
fn plan() {
    use Is::{Count, List, Map, Time};
    let world = World::new("");
    world.put(&estate().scope("volume", "denied"));
    let plan = world.json(&["plan", "--at", "2026-02-01T00:00:00Z"], 3);
    check(
        &plan,
        &[
            ("taken_at", Time),
            ("changes", List),
            ("holds", List),
            ("deferred", Count),
            ("deferred_by", Map),
            ("folded", Count),
            ("ignored", Count),
            ("receipts", List),
            ("forecast", Map),
        ],
    );
    assert_eq!(plan["forecast"], json!({ "cmdb": 22 }));
    each(&plan["changes"]).into_iter().for_each(check_change);
    assert!(each(&plan["changes"]).iter().any(|change| change["relation"]["type"] == "protected_by"));
    each(&plan["receipts"]).into_iter().for_each(check_receipt);
    let complete = each(&plan["receipts"]).into_iter().find(|receipt| receipt["kind"] == "instance").unwrap();
    assert_eq!(complete["count"], 21);
}

#[test]
fn sync_holds_and_runs() {
    use Is::{List, Map, Number, Text, Time};
    let (world, hold) = held();
    check_hold(&hold);
    assert_eq!((&hold["guardrails"], &hold["target"]), (&json!(["blast_radius"]), &json!("cmdb")));
    assert_eq!(each(&hold["changes"]).len(), 12);
    check(&hold, &[("share", Number), ("limit", Number)]);
    let holds = world.json(&["holds", "list"], 0);
    assert_eq!(holds["holds"], json!([hold]));
    let mut shown = world.json(&["holds", "show", hold["id"].as_str().unwrap()], 0);
    shown.as_object_mut().unwrap().remove("schema_version");
    assert_eq!(shown, hold);

    let sync = world.sync_at("2026-02-02T13:00:00Z", 4);
    check(
        &sync,
        &[
            ("run", Text),
            ("outcome", Text),
            ("receipts", List),
            ("counts", Map),
            ("failed", List),
            ("holds", List),
            ("calls", Map),
            ("usage", Map),
            ("waited_s", Map),
        ],
    );
    assert_eq!(sync["outcome"], "held");
    each(&sync["receipts"]).into_iter().for_each(check_receipt);
    each(&sync["holds"]).into_iter().for_each(check_hold);

    let runs = world.json(&["runs", "list"], 0);
    let latest = each(&runs["runs"])[0];
    check(latest, &[("run", Text), ("started_at", Time), ("finished_at", Time), ("outcome", Text), ("counts", Map)]);
    assert_eq!((&latest["run"], &latest["outcome"]), (&sync["run"], &json!("held")));
    let first = each(&runs["runs"])[3];
    assert_eq!(first["counts"], json!({ "cmdb": { "create": 22, "relate": 20 } }));
    assert_eq!(world.json(&["runs", "show"], 0)["report"]["run"], sync["run"]);
}

#[test]
fn calls_are_counted_by_operation() {
    let world = World::new("");
    world.put(&estate());
    let sync = world.sync_at("2026-02-01T00:00:00Z", 0);
    assert_eq!(sync["calls"], json!({ "cmdb": { "create": 1, "relate": 1 } }), "{sync:#}");
}

#[test]
fn a_refused_record_is_told_with_the_targets_own_words() {
    let world = synced();
    world.query(
        "cmdb.db",
        "CREATE TRIGGER no BEFORE UPDATE ON record WHEN new.native_id = 'i-0003' BEGIN SELECT raise(ABORT, 'i-0003 is frozen here'); END",
    );
    let bigger = (0..4).fold(estate().without(&["i-0000", "i-0001", "i-0002", "i-0003"]), |inventory, n| {
        inventory.instance(&format!("i-{n:04}"), json!({ "attributes": { "size": "t3.large" } }))
    });
    let bigger = (0..4).fold(bigger, |inventory, n| {
        inventory.relation("protected_by", &instance_key(&format!("i-{n:04}")), &key("security_group", "sg-1"))
    });
    world.put(&bigger);
    let sync = world.sync_at("2026-02-01T01:00:00Z", 3);
    assert_eq!(sync["outcome"], "partly");
    assert_eq!(World::counts(&sync), [("update".to_owned(), 3)]);
    let failed = each(&sync["failed"]);
    check(failed[0], &[("target", Is::Text), ("key", Is::Text), ("error", Is::Text)]);
    assert_eq!((failed.len(), &failed[0]["key"]), (1, &json!(instance_key("i-0003"))));
    assert!(failed[0]["error"].as_str().unwrap().contains("i-0003 is frozen here"));
    let shown = world.json(&["show", "i-0003"], 0);
    assert_eq!(shown["targets"]["cmdb"]["state"], "failed");
    assert_eq!(shown["targets"]["cmdb"]["delivered_at"], "2026-02-01T00:00:00Z");
    check(&shown["targets"]["cmdb"], &[("next_try_at", Is::Time)]);
    let next = world.json(&["explain", "--at", "2026-02-01T01:00:00Z", "i-0003"], 0)["next"].as_str().unwrap().to_owned();
    let again = shown["targets"]["cmdb"]["next_try_at"].as_str().unwrap();
    assert!(next.contains("cmdb refused what was sent for it") && next.contains(&again[..16]), "{next}");

    // Waiting for its next try; `retry` makes it due at once.
    let listed = world.json(&["retry", "--list"], 0);
    let delivery = each(&listed["deliveries"])[0];
    check(
        delivery,
        &[("target", Is::Text), ("key", Is::Text), ("relation", Is::There), ("attempts", Is::Count), ("next_try_at", Is::Time)],
    );
    assert_eq!(
        (&delivery["key"], &delivery["state"], &delivery["attempts"]),
        (&json!(instance_key("i-0003")), &json!("failed"), &json!(1))
    );
    assert_eq!(world.json(&["retry", "--list", "i-0004"], 0)["deliveries"], json!([]));
    let text = world.run(&["retry", "--list"]).out;
    assert!(text.contains("i-0003 is frozen here") && text.lines().count() == 2, "{text}");
    assert_eq!(World::counts(&world.sync_at("2026-02-01T01:00:01Z", 3)), []);
    world.query("cmdb.db", "DROP TRIGGER no");
    assert_eq!(world.json(&["retry", "i-0003"], 0)["retried"], 1);
    assert_eq!(World::counts(&world.sync_at("2026-02-01T01:00:02Z", 0)), [("update".to_owned(), 1)]);
    assert_eq!(world.json(&["show", "i-0003"], 0)["targets"]["cmdb"]["state"], "delivered");
    assert_eq!(world.run(&["retry", "--list"]).out, "nothing is parked or waiting after a failure\n");
}

#[test]
fn show() {
    use Is::{List, Map, Text, Time};
    let world = synced();
    let shown = world.json(&["show", "db"], 0);
    check(
        &shown,
        &[
            ("key", Text),
            ("kind", Text),
            ("stage", Text),
            ("disposition", Text),
            ("attributes", Map),
            ("relations", List),
            ("first_seen", Time),
            ("last_seen", Time),
            ("targets", Map),
        ],
    );
    assert_eq!((&shown["stage"], &shown["disposition"]), (&json!("inactive"), &json!("record")));
    assert_eq!(shown["attributes"]["size"], "r6i.large");
    let record = &shown["targets"]["cmdb"];
    check(record, &[("state", Text), ("record", Text), ("class", Text), ("delivered_at", Time)]);
    assert_eq!((&record["state"], &record["class"]), (&json!("delivered"), &json!("instance")));
    let from = world.json(&["show", "i-0000"], 0);
    assert_eq!(from["relations"], json!([{ "type": "protected_by", "to": key("security_group", "sg-1") }]));
    let to = world.json(&["show", "web"], 0);
    assert_eq!(each(&to["relations"]).len(), 20);
    check(each(&to["relations"])[0], &[("type", Text), ("from", Text)]);
}

#[test]
fn the_state_at_a_target_is_one_of_the_promised_words() {
    let state = |world: &World, name: &str| world.json(&["show", name], 0)["targets"]["cmdb"]["state"].clone();
    let (world, hold) = held();
    assert_eq!(state(&world, "i-0000"), "held");
    assert_eq!(state(&world, "i-0015"), "delivered");
    world.json(&["holds", "approve", hold["id"].as_str().unwrap()], 0);
    world.sync_at("2026-02-02T13:00:00Z", 0);
    assert_eq!(state(&world, "i-0000"), "retired");

    // Too young for a record; then not included; then planned, and not sent.
    let world = World::new("");
    world.put(&Inventory::new().instance("i-1", json!({ "created_at": "2026-02-01T00:00:00Z" })));
    world.sync_at("2026-02-01T00:01:00Z", 0);
    assert_eq!(state(&world, "i-1"), "excluded");
    assert_eq!(world.json(&["show", "i-1"], 0)["disposition"], "defer");
    assert_eq!(world.json(&["list"], 0)["cis"], json!([]), "it is no CI yet");
    assert_eq!(world.json(&["list", "--stage", "deferred"], 0)["cis"][0]["disposition"], "defer");
    assert!(world.run(&["list", "--stage", "deferred"]).out.contains("  deferred  defer  "));
    world.json(&["sync", "--at", "2026-02-01T01:00:00Z", "--pause-writes"], 0);
    assert_eq!(state(&world, "i-1"), "pending");
    world.write(
        "dewpoint.yaml",
        &format!(
            "{}    include: {{ kinds: [security_group] }}\n",
            crate::support::CONFIG
                .replace("  - { name: cmdb, kind: local, path: cmdb.db }\n", "  - name: cmdb\n    kind: local\n    path: cmdb.db\n")
        ),
    );
    assert_eq!(state(&world, "i-1"), "excluded");
}

#[test]
fn explain() {
    use Is::{List, Map, Text, There, Time};
    let (world, hold) = held();
    let explained = world.json(&["explain", "i-0000"], 0);
    check(
        &explained,
        &[("key", Text), ("disposition", Text), ("stage", Text), ("rules", List), ("timers", List), ("next", Text), ("evidence", List)],
    );
    assert_eq!(explained["stage"], "missing");
    check(&explained, &[("stage_since", Time), ("disposition_since", Time), ("because", Map)]);
    check(&explained["because"], &[("stage", Text), ("disposition", Text)]);
    for rule in each(&explained["rules"]) {
        check(rule, &[("name", Text), ("outcome", Text), ("text", There), ("do", There), ("set", Map)]);
        is_one_of(&rule["outcome"], &["matched", "not_matched", "failed"]);
    }
    for timer in each(&explained["timers"]) {
        check(timer, &[("name", Text), ("due", There)]);
    }
    assert_eq!(each(&explained["timers"])[1], &json!({ "name": "retire_after", "due": "2026-02-02T00:00:00Z" }));
    for evidence in each(&explained["evidence"]) {
        check(evidence, &[("fact", Text), ("scope", Text), ("outcome", Text), ("at", Time)]);
    }
    assert_eq!(explained["holds"][0]["id"], hold["id"]);
}

#[test]
fn history() {
    use Is::{List, Map, Text, There, Time};
    let world = synced();
    world.put(&estate().without(&["i-db"]).instance("i-db", json!({ "name": "db", "attributes": { "size": "r6i.xlarge" } })));
    world.sync_at("2026-02-01T01:00:00Z", 0);
    let history = world.json(&["history", "db"], 0);
    check(&history, &[("key", Text), ("entries", List)]);
    for entry in each(&history["entries"]) {
        check(entry, &[("at", Time), ("cause", Text), ("change", Text), ("fields", Map)]);
        for field in entry["fields"].as_object().unwrap().values() {
            check(field, &[("from", There), ("to", There)]);
        }
    }
    let resized = json!({ "from": "r6i.large", "to": "r6i.xlarge" });
    let told = |change: &str| {
        each(&history["entries"]).iter().any(|e| e["change"] == change && e["fields"].as_object().unwrap().values().any(|f| *f == resized))
    };
    assert!(told("observed") && told("delivered"), "{history:#}");
}

#[test]
fn lists() {
    let world = synced();
    let list = world.json(&["list"], 0);
    assert_eq!(each(&list["cis"]).len(), 22);
    for ci in each(&list["cis"]) {
        check(ci, &[("key", Is::Text), ("kind", Is::Text), ("name", Is::There), ("stage", Is::Text)]);
    }
    let coverage = world.json(&["coverage", "show"], 0);
    each(&coverage["receipts"]).into_iter().for_each(check_receipt);
    let scopes = world.json(&["scopes", "list"], 0);
    assert_eq!(each(&scopes["scopes"]).len(), 2);
}

#[test]
fn doctor_and_validate() {
    use Is::{Text, There};
    let world = synced();
    let bootstrap = world.json(&["bootstrap", "cmdb"], 0);
    assert_eq!((&bootstrap["target"], &bootstrap["steps"]), (&json!("cmdb"), &json!([])));
    assert_eq!(world.json(&["bootstrap", "other"], 2)["error"]["code"], "usage");
    let doctor = world.json(&["doctor"], 0);
    for finding in each(&doctor["findings"]) {
        check(finding, &[("subject", Text), ("check", Text), ("outcome", Text), ("text", Text), ("mend", There)]);
        is_one_of(&finding["outcome"], &["ok", "warning", "error"]);
        if finding["outcome"] != "ok" {
            check(finding, &[("mend", Text)]);
        }
    }
    let subjects: std::collections::BTreeSet<&str> = each(&doctor["findings"]).iter().map(|f| f["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["cmdb", "estate", "ledger"].into());
    assert_eq!(world.json(&["validate"], 0)["errors"], json!([]));
    assert_eq!(world.json(&["ledger", "check"], 0)["findings"].as_array().unwrap().iter().filter(|f| f["outcome"] != "ok").count(), 0);

    std::fs::remove_file(world.path("inventory.json")).unwrap();
    let doctor = world.json(&["doctor"], 1);
    let broken = each(&doctor["findings"]).into_iter().find(|finding| finding["outcome"] == "error").unwrap();
    assert_eq!(broken["subject"], "estate");
    check(broken, &[("mend", Text)]);

    world.write("dewpoint.yaml", "sources: []\ntargts: []\n");
    let invalid = world.json(&["validate"], 2);
    for error in each(&invalid["errors"]) {
        check(error, &[("file", Text), ("line", Is::Count), ("column", Is::Count), ("text", Text), ("help", There)]);
    }
}

#[test]
fn a_failure_is_one_document_too() {
    let world = synced();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["show", "nobody"], 2, "usage"),
        (&["holds", "show", "00000000000000000000000000000000"], 2, "usage"),
        (&["sync", "--source", "nobody"], 2, "usage"),
        (&["sync", "--target", "nobody"], 2, "usage"),
        (&["apply", "nothing.json"], 2, "plan_refused"),
        (&["list", "--kind", "toaster"], 2, "usage"),
        (&["frobnicate"], 2, "usage"),
        (&["ledger", "backup", "dewpoint.db"], 2, "ledger"),
    ];
    for (args, code, word) in cases {
        let mut all = args.to_vec();
        all.extend(["--output", "json"]);
        let ran = world.run(&all);
        assert_eq!(ran.code, code, "{args:?}\n{}\n{}", ran.out, ran.err);
        let document = ran.document();
        check(&document, &[("error", Is::Map), ("errors", Is::List)]);
        check(&document["error"], &[("code", Is::Text), ("text", Is::Text), ("hint", Is::There)]);
        assert_eq!(document["error"]["code"], word, "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?} says nothing to people");
    }
}
