//! `history`: every change of a stage with what caused it.

use serde_json::{Value, json};

use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// The changes of its stage, as `from → to: cause`.
fn stages(world: &World, name: &str) -> Vec<String> {
    let history = world.json(&["history", name], 0);
    let entries = history["entries"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let stages = entries.filter_map(|entry| Some((entry["fields"].get("stage")?, entry)));
    let decided = stages.filter(|(_, entry)| entry["change"] == "decided");
    decided.map(|(stage, entry)| format!("{} → {}: {}", word(&stage["from"]), word(&stage["to"]), word(&entry["cause"]))).collect()
}

/// Syncs of what one machine `i-1` looks like, a day apart; nothing where it is not listed.
fn days(extra: &str, shown: &[Option<Value>]) -> World {
    let world = World::new(extra);
    for (day, over) in shown.iter().enumerate() {
        let inventory = Inventory::new().instances(1);
        world.put(&over.iter().fold(inventory, |inventory, over| inventory.instance("i-1", over.clone())));
        world.sync_at(&format!("2026-02-{:02}T00:00:00Z", day + 1), 0);
    }
    world
}

#[test]
fn listings() {
    let shown = |state: &str| Some(json!({ "state": state }));
    let world = days("", &[shown("running"), shown("stopped"), shown("running"), None, shown("running"), None, None, shown("stopped")]);
    let expected = [
        "active → inactive: a listing shows it: its provider says stopped",
        "inactive → active: a listing shows it: its provider says running",
        "active → missing: absent from 1 complete listing",
        "missing → active: a listing shows it again: its provider says running",
        "active → missing: absent from 1 complete listing",
        "missing → retired: retire_after: absent from 2 complete listings, and a look-up found it gone",
        "retired → inactive: a listing shows it again: its provider says stopped",
    ];
    assert_eq!(stages(&world, "i-1"), expected);
}

#[test]
fn what_its_provider_says_and_what_a_target_removes() {
    let world = World::empty();
    let target = "targets:\n  - { name: cmdb, kind: local, path: cmdb.db";
    let config = crate::support::CONFIG.replace(target, &format!("{target}, purge: delete"));
    world.write("dewpoint.yaml", &format!("{config}lifecycle: {{ defaults: {{ purge_after: 1d }} }}\n"));
    for (day, state) in ["running", "terminated", "terminated", "terminated"].into_iter().enumerate() {
        world.put(&Inventory::new().instance("i-1", json!({ "state": state })));
        world.sync_at(&format!("2026-02-{:02}T01:00:00Z", day + 1), 0);
    }
    let expected = [
        "active → retired: stated: its provider says terminated",
        "retired → purged: purge_after: every target that purges has removed its record",
    ];
    assert_eq!(stages(&world, "i-1"), expected);
}

#[test]
fn age_rules_and_machines() {
    let rules = "lifecycle:\n  rules:\n    - { name: drafts wait, when: '\"draft\" in resource.tags', do: defer }\n    - { name: no runners, when: '\"role\" in resource.tags', do: ignore }\n";
    let world = World::new(rules);
    let young = json!({ "created_at": "2026-01-31T23:50:00Z" });
    let volume = json!({
        "key": key("volume", "vol-1"), "kind": "volume", "provider": "aws", "native_id": "vol-1", "account": "123456789012", "region": "eu-west-1",
        "tags": {}, "attributes": {},
    });
    let put = |tags: &Value| {
        let inventory = Inventory::new().scope("volume", "complete").instance("i-young", young.clone()).raw(volume.clone());
        let attached = json!({ "delete_on_termination": true });
        let inventory = inventory.relation_with("attached_to", &key("volume", "vol-1"), &instance_key("i-young"), &attached);
        world.put(&inventory.instance("i-draft", json!({ "tags": tags })));
    };
    put(&json!({ "draft": "1" }));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    put(&json!({ "role": "runner" }));
    world.sync_at("2026-02-01T00:30:00Z", 0);
    assert_eq!(stages(&world, "i-young"), ["deferred → active: min_age: a listing shows it at an age of 15m or more"]);
    assert_eq!(stages(&world, "vol-1"), ["deferred → active: it ends with a machine that is no longer deferred"]);
    assert_eq!(stages(&world, "i-draft"), ["deferred → active: rule no runners: ignore"]);
}

#[test]
fn people() {
    let world = World::empty();
    let other = Inventory::default().scope_in("eu-central-1", "instance", "complete").raw(json!({
        "key": "aws:arn:aws:ec2:eu-central-1:123456789012:instance/i-b", "kind": "instance", "provider": "aws", "native_id": "i-b",
        "account": "123456789012", "region": "eu-central-1", "state": "running", "tags": {}, "created_at": "2026-01-01T00:00:00Z", "attributes": {},
    }));
    world.put(&Inventory::new().instances(1));
    world.write("other.json", &other.to_string());
    let second = "  - { name: other, kind: file, path: other.json }\ntargets:";
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("targets:", second));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.write("dewpoint.yaml", crate::support::CONFIG);
    world.sync_at("2026-02-02T00:00:00Z", 0);
    world.json(&["scopes", "retire", "--account", "123456789012", "--region", "eu-central-1"], 0);
    let hold = world.sync_at("2026-02-03T00:00:00Z", 4)["holds"][0]["id"].as_str().unwrap().to_owned();
    world.json(&["holds", "approve", &hold], 0);
    world.sync_at("2026-02-04T00:00:00Z", 0);
    let expected = "active → retired: scopes retire: no source covers aws 123456789012 eu-central-1 instance any more, and its retirement was asked for, and approved";
    assert_eq!(stages(&world, "i-b"), [expected]);
}

#[test]
fn what_is_derived() {
    let world = World::new("");
    for (day, tags) in [json!({ "service": "shop" }), json!({}), json!({}), json!({ "service": "shop" })].into_iter().enumerate() {
        world.put(&Inventory::new().instances(1).instance("i-1", json!({ "tags": tags })));
        world.sync_at(&format!("2026-02-{:02}T00:00:00Z", day + 1), 0);
    }
    let expected = [
        "active → missing: no member is left, by 1 complete listing",
        "missing → retired: retire_after: no member is left, by 2 complete listings",
        "retired → active: a member shows it again",
    ];
    assert_eq!(stages(&world, "service:shop"), expected);
}

/// Of a group that grows, each member is an entry: the text puts them together, and cuts them.
#[test]
fn what_happened_at_once_stands_together() {
    let world = World::new("");
    let groups = (0..12).fold(Inventory::new().instances(1), |inventory, n| inventory.group(&format!("sg-{n:02}"), json!({})));
    world.put(&groups);
    world.sync_at("2026-02-01T00:00:00Z", 0);
    let related = (0..12).fold(Inventory::new().instances(1), |inventory, n| {
        let id = format!("sg-{n:02}");
        inventory.group(&id, json!({})).relation("protected_by", &instance_key("i-0000"), &key("security_group", &id))
    });
    world.put(&related);
    world.sync_at("2026-02-02T00:00:00Z", 0);
    let entries = world.json(&["history", "i-0000"], 0)["entries"].as_array().unwrap().clone();
    assert_eq!(entries.iter().filter(|entry| entry["change"] == "related").count(), 12);
    let text = world.run(&["history", "i-0000"]).out;
    assert_eq!((text.matches("  related: ").count(), text.matches("    protected_by to ").count()), (1, 10), "{text}");
    assert!(text.contains("\n    … and 2 more (`-v` shows all)\n"), "{text}");
    let text = world.run(&["history", "i-0000", "-v"]).out;
    assert_eq!((text.matches("  related: ").count(), text.matches("    protected_by to ").count()), (1, 12), "{text}");
}
