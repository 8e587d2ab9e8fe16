//! `explain`, of what stands in each of the ways in which a resource can stand.

use serde_json::{Value, json};

use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

const RULES: &str = r#"
lifecycle:
  defaults: { purge_after: 30d }
  rules:
    - name: runners leave no trace
      when: resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "runner"
      do: ignore
    - name: nodes are one record
      when: resource.kind == "instance" && "pool" in resource.tags
      do: fold
      into: resource.tags["pool"]
    - name: large ones are slow
      when: resource.kind == "instance" && "slow" in resource.tags && resource.vcpus > 4
      set: { retire_after: 3d, flag: slow, attributes: { owner: ann } }
    - name: drafts wait
      when: '"draft" in resource.tags'
      do: defer
"#;

const PURGED_EARLY: &str = r#"
    - name: databases are removed early
      when: '"db" in resource.tags'
      set: { purge_after: 3d }
"#;

fn tagged(tags: &Value) -> Value {
    json!({ "tags": tags })
}

/// A world with these rules, after a sync of this at midnight.
fn world(inventory: &Inventory, code: i32) -> World {
    let world = World::new(RULES);
    world.put(inventory);
    world.sync_at("2026-02-01T00:00:00Z", code);
    world
}

/// The explanation, with what it says in words: stage and why, disposition and why, what is next.
#[track_caller]
fn check(world: &World, name: &str, stage: &str, disposition: &str, next: &str) -> Value {
    let told = world.json(&["explain", name], 0);
    let word = |part: &str| format!("{}: {}", told[part].as_str().unwrap(), told["because"][part].as_str().unwrap());
    assert_eq!((word("stage").as_str(), word("disposition").as_str(), told["next"].as_str().unwrap()), (stage, disposition, next));
    told
}

/// Names and outcomes of the rules.
fn outcomes(told: &Value) -> Vec<String> {
    let rules = told["rules"].as_array().unwrap().iter();
    rules.map(|rule| format!("{} {}", rule["name"].as_str().unwrap(), rule["outcome"].as_str().unwrap())).collect()
}

#[track_caller]
fn timer(told: &Value, name: &str) -> Value {
    let timers = told["timers"].as_array().unwrap();
    timers.iter().find(|timer| timer["name"] == name).unwrap_or_else(|| panic!("no {name} in {timers:?}"))["due"].clone()
}

#[test]
fn too_young() {
    let world = world(&Inventory::new().instance("i-1", json!({ "created_at": "2026-01-31T23:55:00Z" })), 0);
    let told = check(
        &world,
        "i-1",
        "deferred: it has no record yet",
        "defer: it was last seen younger than min_age, 15m",
        "recorded when a listing shows it at 2026-02-01T00:10:00Z or later, 15m after its birth",
    );
    assert_eq!(timer(&told, "min_age"), "2026-02-01T00:10:00Z");
    assert_eq!(outcomes(&told).last().unwrap(), "default matched");
}

#[test]
fn deferred_by_rule() {
    let world = world(&Inventory::new().instance("i-1", tagged(&json!({ "draft": "1" }))), 0);
    let told = check(
        &world,
        "i-1",
        "deferred: it has no record yet",
        "defer: rule `drafts wait`",
        "nothing, as long as rule `drafts wait` defers it",
    );
    assert_eq!(told["timers"], json!([]));
    // What has a record keeps it.
    let world = super::synced();
    world.write("dewpoint.yaml", &format!("{}{RULES}", crate::support::CONFIG));
    world.put(&Inventory::new().instance("i-0000", tagged(&json!({ "draft": "1" }))));
    world.sync_at("2026-02-01T01:00:00Z", 0);
    check(
        &world,
        "i-0000",
        "active: its provider says running",
        "record: what has a record is not deferred any more; wanted is defer: rule `drafts wait`",
        "nothing, as long as listings show it unchanged",
    );
}

#[test]
fn folded_with_what_ends_with_it() {
    let volume = json!({
        "key": key("volume", "vol-1"), "kind": "volume", "provider": "aws", "native_id": "vol-1", "account": "123456789012", "region": "eu-west-1",
        "tags": {}, "attributes": {},
    });
    let attached = json!({ "delete_on_termination": true });
    let inventory = Inventory::new()
        .scope("volume", "complete")
        .instance("i-1", tagged(&json!({ "pool": "nodes" })))
        .raw(volume)
        .relation_with("attached_to", &key("volume", "vol-1"), &instance_key("i-1"), &attached);
    let world = world(&inventory, 0);
    let told = check(
        &world,
        "i-1",
        "active: its provider says running",
        "fold: rule `nodes are one record`",
        "nothing: it is counted in the record of scaling_group nodes",
    );
    assert_eq!(told["rules"][1], json!({ "name": "nodes are one record", "outcome": "matched", "text": null, "do": "fold", "set": {} }));
    check(
        &world,
        "vol-1",
        "active: it was seen, last at 2026-02-01T00:00:00Z",
        "fold: it ends with instance i-1 and shares its disposition",
        "nothing, as long as its machine is folded",
    );
    // The rule no longer matches: it waits for `min_dwell`.
    world.put(&Inventory::new().instance("i-1", json!({})));
    world.sync_at("2026-02-01T00:30:00Z", 0);
    // Explained by the clock, when `min_dwell` is long over.
    check(
        &world,
        "i-1",
        "active: its provider says running",
        "fold: the next sync makes it record: no rule decides",
        "gets a record of its own by the next sync",
    );
}

#[test]
fn ignored_with_a_record_from_before() {
    let world = super::synced();
    world.write("dewpoint.yaml", &format!("{}{RULES}", crate::support::CONFIG));
    world.put(&super::estate().without(&["i-db"]).instance("i-db", json!({ "name": "db", "tags": { "role": "runner" } })));
    world.json(&["sync", "--at", "2026-02-01T01:00:00Z", "--pause-writes"], 0);
    check(
        &world,
        "db",
        "active: its provider says running",
        "ignore: rule `runners leave no trace`",
        "nothing, it has no record: rule `runners leave no trace`; its record at cmdb is retired by the next sync, unless a guardrail holds it",
    );
    world.sync_at("2026-02-01T02:00:00Z", 0);
    let next = world.json(&["explain", "db"], 0)["next"].clone();
    assert_eq!(next, "nothing, it has no record: rule `runners leave no trace`");
}

#[test]
fn missing_and_retired() {
    let slow = json!({ "tags": { "slow": "1" }, "attributes": { "vcpus": 8 } });
    let world = world(&Inventory::new().instances(1).instance("i-1", slow), 0);
    world.put(&Inventory::new().instances(1));
    world.sync_at("2026-02-01T12:00:00Z", 0);
    let told = check(
        &world,
        "i-1",
        "missing: absent from 1 complete listing, last seen 2026-02-01T00:00:00Z",
        "record: no rule decides",
        "proposed for retirement after 1 complete listing more without it, unless it is seen",
    );
    assert_eq!((timer(&told, "confirm_missing"), timer(&told, "retire_after")), (Value::Null, json!("2026-02-04T00:00:00Z")));
    let set = json!({ "retire_after": "3d", "flag": "slow", "attributes": { "owner": "ann" } });
    assert_eq!((&told["rules"][2]["outcome"], &told["rules"][2]["set"]), (&json!("matched"), &set));
    world.sync_at("2026-02-04T12:00:00Z", 0);
    let told = check(
        &world,
        "i-1",
        "retired: absent from 2 complete listings, last seen 2026-02-01T00:00:00Z, and a look-up found it gone",
        "record: no rule decides",
        "nothing; it is revived if it is seen again",
    );
    assert_eq!(told["timers"], json!([]));
}

#[test]
fn retired_where_records_are_removed() {
    let target = "targets:\n  - { name: cmdb, kind: local, path: cmdb.db";
    let config = crate::support::CONFIG.replace(target, &format!("{target}, purge: delete"));
    let world = World::empty();
    world.write("dewpoint.yaml", &format!("{config}{RULES}{}", PURGED_EARLY.trim_start_matches('\n')));
    let ended = |tags: &Value| json!({ "tags": tags, "state": "terminated" });
    let both =
        |of: &dyn Fn(&Value) -> Value| Inventory::new().instance("i-db", of(&json!({ "db": "1" }))).instance("i-web", of(&json!({})));
    world.put(&both(&tagged));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.put(&both(&ended));
    world.sync_at("2026-02-01T01:00:00Z", 0);
    for (name, due) in [("i-db", "2026-02-04T01:00:00Z"), ("i-web", "2026-03-03T01:00:00Z")] {
        let told = check(
            &world,
            name,
            "retired: its provider says terminated",
            "record: no rule decides",
            &format!("removed from cmdb at {due} or later, unless it is seen again"),
        );
        assert_eq!(timer(&told, "purge_after"), due);
    }
}

#[test]
fn frozen_by_a_rule_that_fails() {
    let world = world(&Inventory::new().instance("i-1", json!({ "tags": { "slow": "1" } })), 3);
    let why = "rule `large ones are slow` could not be asked: resource.vcpus has no value";
    let told = check(
        &world,
        "i-1",
        "deferred: it has no record yet",
        &format!("defer: kept, because {why}"),
        &format!("nothing: frozen, because {why}"),
    );
    assert_eq!(told["rules"][2]["text"], "resource.vcpus has no value");
    assert_eq!(told["rules"][1]["text"], Value::Null);
    let text = world.run(&["explain", "i-1"]).out;
    assert!(text.contains("  failed       large ones are slow     resource.vcpus has no value\n"), "{text}");
}

#[test]
fn asked_of_a_group_that_was_not_read() {
    let rules = r#"
lifecycle:
  rules:
    - name: fleets are one record
      when: resource.kind == "instance" && group != null
      do: fold
    - name: members wait
      when: resource.kind == "instance" && group != null && group.max_size > 3
      set: { retire_after: 3d }
"#;
    let world = World::new(rules);
    world.put(&Inventory::new().scope("scaling_group", "denied").instance("i-1", json!({})));
    world.sync_at("2026-02-01T00:00:00Z", 3);
    let why = "it asks for the scaling group, and whether this is in one was not read";
    let told = check(
        &world,
        "i-1",
        "deferred: it has no record yet",
        &format!("defer: kept, because rule `members wait` could not be asked: {why}"),
        &format!("nothing: frozen, because rule `members wait` could not be asked: {why}"),
    );
    for rule in &told["rules"].as_array().unwrap()[..2] {
        assert_eq!((&rule["outcome"], &rule["text"]), (&json!("failed"), &json!(why)));
    }
    world.write("dewpoint.yaml", &format!("{}{}", crate::support::CONFIG, rules.split("    - name: members").next().unwrap()));
    check(
        &world,
        "i-1",
        "deferred: it has no record yet",
        "defer: kept, because whether it is in a scaling group could not be read",
        "decided when scaling groups are listed: whether it is in one could not be read",
    );
}

#[test]
fn frozen_by_a_scope_that_proves_nothing() {
    let world = world(&Inventory::new().instances(2), 0);
    world.put(&Inventory::new().instances(1));
    world.sync_at("2026-02-01T12:00:00Z", 0);
    world.put(&Inventory::new().scope("instance", "denied"));
    world.sync_at("2026-02-03T12:00:00Z", 3);
    let told = check(
        &world,
        "i-0001",
        "missing: absent from 1 complete listing, last seen 2026-02-01T00:00:00Z",
        "record: no rule decides",
        "nothing: frozen, because aws 123456789012 eu-west-1 instance is denied",
    );
    assert_eq!((&told["evidence"][0]["outcome"], &told["evidence"][0]["at"]), (&json!("denied"), &json!("2026-02-03T12:00:00Z")));
    check(
        &world,
        "i-0000",
        "active: its provider says running",
        "record: no rule decides",
        "nothing: as long as aws 123456789012 eu-west-1 instance is denied, no absence counts",
    );
}

#[test]
fn held() {
    let (world, hold) = super::held();
    let told = check(
        &world,
        "i-0000",
        "missing: absent from 2 complete listings, last seen 2026-02-01T00:00:00Z",
        "record: no rule decides",
        "retired when the next run's look-up says gone and no guardrail holds it",
    );
    assert_eq!((&told["holds"][0]["id"], &told["holds"][0]["text"]), (&hold["id"], &hold["text"]));
}

/// Ages are those of now, of the last sync where that ran at a later time, or of the time that is asked for.
#[test]
fn by_which_clock() {
    let rule = "lifecycle:\n  rules:\n    - { name: old, when: resource.age > duration(\"720h\"), set: { flag: old } }\n";
    let world = World::new(rule);
    world.put(&Inventory::new().instances(1));
    world.sync_at("2026-01-20T00:00:00Z", 0);
    let is_old = |told: &Value| outcomes(told)[0] == "old matched";
    let told = world.json(&["explain", "i-0000"], 0);
    assert_eq!((told["last_sync"].as_str(), is_old(&told)), (Some("2026-01-20T00:00:00Z"), true));
    assert!(told["note"].as_str().unwrap().ends_with("`--at 2026-01-20T00:00:00Z` explains as of then"), "{told:#}");
    let told = world.json(&["explain", "i-0000", "--at", "2026-01-20T00:00:00Z"], 0);
    assert_eq!((told["at"].as_str(), is_old(&told), &told["note"]), (Some("2026-01-20T00:00:00Z"), false, &Value::Null));
    world.sync_at("2199-01-01T00:00:00Z", 0);
    let told = world.json(&["explain", "i-0000"], 0);
    assert_eq!((told["at"].as_str(), is_old(&told)), (Some("2199-01-01T00:00:00Z"), true));
    let text = world.run(&["explain", "i-0000"]).out;
    assert!(text.contains("as of        2199-01-01T00:00:00Z: this is the last sync's clock, which is later than now"), "{text}");
}

#[test]
fn ended_and_made_to_wait() {
    let rule = r#"
lifecycle:
  rules:
    - name: nothing goes in a hurry
      when: resource.kind == "instance"
      set: { retire_after: 7d }
"#;
    let world = World::new(rule);
    world.put(&Inventory::new().instances(1));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.put(&Inventory::new().instance("i-0000", json!({ "state": "terminated" })));
    world.sync_at("2026-02-01T01:00:00Z", 0);
    let told = check(
        &world,
        "i-0000",
        "inactive: its provider says terminated",
        "record: no rule decides",
        "retired at 2026-02-08T01:00:00Z or later: it has ended, and a rule sets retire_after, 7d",
    );
    assert_eq!(timer(&told, "retire_after"), "2026-02-08T01:00:00Z");
}

#[test]
fn text() {
    let slow = json!({ "tags": { "slow": "1" }, "attributes": { "vcpus": 8 } });
    let world = world(&Inventory::new().instance("i-1", slow), 0);
    insta::assert_snapshot!(world.run(&["explain", "i-1", "--at", "2026-02-01T00:00:00Z"]).out, @"
    instance i-1
    aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1

    stage        active since 2026-02-01T00:00:00Z: its provider says running
    disposition  record since 2026-02-01T00:00:00Z: no rule decides
    next         nothing, as long as listings show it unchanged

    rules
      not_matched  runners leave no trace
      not_matched  nodes are one record
      matched      large ones are slow     owner = ann, flag slow, retire_after 3d
      not_matched  drafts wait
      matched      default                 do record, confirm_missing 2, min_age 15m, min_dwell 1h, purge_after 30d, retire_after 24h

    evidence
      attributes     aws 123456789012 eu-west-1 instance: complete at 2026-02-01T00:00:00Z
      addresses      aws 123456789012 eu-west-1 instance: complete at 2026-02-01T00:00:00Z
    ");
}
