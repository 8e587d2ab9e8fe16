//! The inventory file: used whole or not at all. Nothing is concluded from one that cannot be read.

use serde_json::{Value, json};

use super::{changed, estate, records, recovers, refused, stands, synced};
use crate::support::inventory::{instance_key, key};
use crate::support::{CONFIG, Inventory, World};

/// An inventory that is refused with these words; the CMDB stays as it was, and the right one is taken afterwards.
#[track_caller]
fn check(text: &str, words: &[&str]) {
    let world = synced();
    let before = records(&world);
    world.write("inventory.json", text);
    for at in ["2026-02-01T00:10:00Z", "2026-02-05T00:00:00Z"] {
        // Time enough to be retired, were the file read as empty.
        refused(&world, &["sync", "--at", at], 1, words);
    }
    refused(&world, &["plan", "--at", "2026-02-05T00:00:00Z"], 1, words);
    let document = world.json(&["sync", "--at", "2026-02-05T00:10:00Z"], 1);
    assert_eq!((&document["outcome"], World::counts(&document)), (&json!("failed"), vec![]));
    assert_eq!(records(&world), before);
    assert_eq!(world.json(&["doctor"], 1)["findings"].as_array().unwrap().iter().filter(|f| f["outcome"] == "error").count(), 1);

    world.put(&changed());
    let sync = world.sync_at("2026-02-05T01:00:00Z", 0);
    assert_eq!(World::counts(&sync), [("create".to_owned(), 1)]);
    assert_eq!(World::counts(&world.sync_at("2026-02-05T02:00:00Z", 0)), []);
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut value = estate().value();
    change(&mut value);
    format!("{value:#}")
}

#[test]
fn cut_in_the_middle() {
    let whole = estate().to_string();
    check(&whole[..whole.len() / 2], &["inventory.json"]);
    check(whole.trim_end().trim_end_matches('}'), &["inventory.json"]);
    check("", &["inventory.json"]);
}

#[test]
fn not_json_and_not_an_inventory() {
    check("receipts: []\n", &["inventory.json:1:"]);
    check("[]", &["inventory.json"]);
    check(&with(|value| value["schema_version"] = json!(2)), &["schema_version", "2"]);
    check(&with(|value| value["taken_at"] = json!("yesterday")), &["taken_at"]);
}

#[test]
fn duplicate_keys() {
    let twice = with(|value| {
        let first = value["resources"][0].clone();
        value["resources"].as_array_mut().unwrap().push(first);
    });
    check(&twice, &["sg-1"]);
}

#[test]
fn relations_whose_ends_are_no_keys() {
    let bad = with(|value| {
        value["relations"] = json!([{ "type": "protected_by", "from": "i-0000", "to": key("security_group", "sg-1"), "attributes": {} }]);
    });
    check(&bad, &["`i-0000` is not a key"]);
    let unknown = with(|value| {
        value["relations"] =
            json!([{ "type": "likes", "from": instance_key("i-0000"), "to": key("security_group", "sg-1"), "attributes": {} }]);
    });
    check(&unknown, &["likes"]);
}

#[test]
fn wrong_types() {
    check(&with(|value| value["resources"][0]["tags"] = json!(["env"])), &["tags"]);
    check(&with(|value| value["resources"][0]["created_at"] = json!(5)), &["created_at"]);
    check(&with(|value| value["resources"][0]["kind"] = json!("toaster")), &["toaster"]);
    check(&with(|value| value["receipts"][0]["count"] = json!("eight")), &["count"]);
    check(&with(|value| value["resources"] = json!({})), &["resources"]);
    check(
        &with(|value| {
            value["resources"][0].as_object_mut().unwrap().remove("key");
        }),
        &["key"],
    );
}

#[test]
fn a_count_that_does_not_fit() {
    for count in [0, 7, 9] {
        let text = with(|value| {
            let receipt = value["receipts"].as_array_mut().unwrap().iter_mut().find(|receipt| receipt["kind"] == "instance").unwrap();
            receipt["count"] = json!(count);
        });
        check(&text, &["count", "8"]);
    }
}

#[test]
fn errors_name_the_line() {
    let world = synced();
    let text = estate().to_string().replacen("\"state\": \"running\"", "\"state\": running", 1);
    let line = text.lines().position(|line| line.contains("\"state\": running")).unwrap() + 1;
    world.write("inventory.json", &text);
    refused(&world, &["sync"], 1, &[&format!("inventory.json:{line}:")]);
}

#[test]
fn missing() {
    let world = synced();
    std::fs::remove_file(world.path("inventory.json")).unwrap();
    refused(&world, &["sync", "--at", "2026-02-01T00:30:00Z"], 1, &["inventory.json"]);
    world.put(&changed());
    recovers(&world);
}

/// Where another source was read, the run is partly done: what the broken file stands for is frozen, the rest goes on.
#[test]
fn beside_a_source_that_can_be_read() {
    let world = World::empty();
    let two = CONFIG.replace("targets:", "  - { name: other, kind: file, path: other.json }\ntargets:");
    world.write("dewpoint.yaml", &two);
    world.put(&estate());
    let other = |count: usize| {
        let scoped = Inventory::default().scope_in("us-east-1", "instance", "complete");
        (0..count)
            .fold(scoped, |inventory, n| {
                inventory.instance(
                    &format!("i-us-{n}"),
                    json!({ "region": "us-east-1", "key": format!("aws:arn:aws:ec2:us-east-1:123456789012:instance/i-us-{n}") }),
                )
            })
            .to_string()
    };
    world.write("other.json", &other(2));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    let before = records(&world);
    world.write("inventory.json", &estate().to_string()[..900]);
    world.write("other.json", &other(3));
    for (at, changes) in [("2026-02-01T00:10:00Z", 1), ("2026-02-05T00:00:00Z", 0)] {
        let sync = world.sync_at(at, 3);
        assert_eq!(sync["outcome"], "partly");
        assert_eq!(World::counts(&sync).iter().map(|(_, n)| n).sum::<u64>(), changes, "{sync:#}");
        assert_eq!(sync["problems"][0]["subject"], "estate");
    }
    let after = records(&world);
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|row| after.contains(row)), "{after:?}");
    world.put(&estate());
    assert_eq!(World::counts(&world.sync_at("2026-02-05T01:00:00Z", 0)), []);
}

#[test]
fn two_sources_that_cover_one_scope() {
    let world = synced();
    let before = records(&world);
    let two = CONFIG.replace("targets:", "  - { name: other, kind: file, path: other.json }\ntargets:");
    world.write("dewpoint.yaml", &two);
    world.write("other.json", &estate().to_string());
    let ran = refused(
        &world,
        &["sync", "--at", "2026-02-01T00:30:00Z"],
        2,
        &["error: `estate` and `other` both cover aws 123456789012 eu-west-1 ", "hint: "],
    );
    assert_eq!(ran.out, "");
    assert_eq!(world.json(&["sync", "--at", "2026-02-01T00:30:00Z"], 2)["error"]["code"], "overlap");
    assert_eq!(records(&world), before);
    world.write("dewpoint.yaml", CONFIG);
    recovers(&world);
    stands(&world);
}
