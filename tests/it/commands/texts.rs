//! Whole outputs as people see them.

use serde_json::json;

use super::{held, synced};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Text with what differs from run to run made alike.
fn alike(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"\d{8}T\d{6}Z-[0-9a-f]{8}", "RUN"),
        (r"in \d+\.\d s", "in N s"),
        (r"\b[0-9a-f]{32}\b", "DIGEST"),
        (r"/\S*/(cmdb|dewpoint)\.db", "DIR/$1.db"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

#[test]
fn first_sync() {
    let world = World::new("");
    world.put(
        &Inventory::new()
            .group("sg-1", json!({ "name": "web" }))
            .instances(3)
            .instance("i-young", json!({ "created_at": "2026-01-31T23:55:00Z" }))
            .relation("protected_by", &instance_key("i-0000"), &key("security_group", "sg-1"))
            .scope("volume", "denied"),
    );
    let sync = world.run(&["sync", "--at", "2026-02-01T00:00:00Z"]);
    insta::assert_snapshot!(alike(&sync.err), @"");
    insta::assert_snapshot!(alike(&sync.out), @"");
}

#[test]
fn a_change_a_hold_and_the_way_on() {
    let (world, _) = held();
    let sync = world.run(&["sync", "--at", "2026-02-02T13:00:00Z"]);
    insta::assert_snapshot!(alike(&sync.out), @"");
    let id = world.json(&["holds"], 0)["holds"][0]["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(alike(&world.run(&["holds", "show", &id]).out), @"");
    insta::assert_snapshot!(alike(&world.run(&["explain", "i-0000"]).out), @"");
}

#[test]
fn one_machine() {
    let world = synced();
    insta::assert_snapshot!(alike(&world.run(&["show", "i-0000"]).out), @"");
    insta::assert_snapshot!(alike(&world.run(&["history", "sg-1"]).out), @"");
}

#[test]
fn doctor() {
    let world = synced();
    insta::assert_snapshot!(alike(&world.run(&["doctor"]).out), @"");
}
