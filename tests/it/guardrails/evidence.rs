//! Guardrails 1 and 2: what proves an absence, and what looks like one.

use serde_json::json;

use super::{at, guardrails, held, hold, live, retired, without};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Takes `full` in, then shows `less` for four days. Returns the exit code that each later sync ended with.
fn four_days(world: &World, full: &Inventory, less: &Inventory) -> Vec<i32> {
    world.put(full);
    assert_eq!(world.run(&["sync", "-q", "--at", &at(1, 0)]).code, 0);
    world.put(less);
    (2..6).map(|day| world.run(&["sync", "-q", "--at", &at(day, 0)]).code).collect()
}

#[test]
fn a_complete_listing_retires_what_is_gone() {
    let world = World::new("");
    let full = Inventory::new().instances(4);
    assert_eq!(four_days(&world, &full, &without(&full, 0..2)), [0; 4]);
    assert_eq!((live(&world), retired(&world)), (2, 2));
}

#[test]
fn an_incomplete_listing_retires_nothing_and_ends_with_3() {
    for outcome in ["denied", "throttled", "truncated", "failed"] {
        let world = World::new("");
        let full = Inventory::new().instances(4).group("sg-1", json!({})).group("sg-2", json!({}));
        // The other scope goes on as usual.
        let less = without(&full, 0..2).without(&["sg-2"]).scope("instance", outcome);
        assert_eq!(four_days(&world, &full, &less), [3; 4], "{outcome}");
        assert_eq!(world.count("SELECT count(*) FROM ci WHERE retired = 0 AND kind = 'instance'"), 4, "{outcome}");
        assert_eq!(world.count("SELECT count(*) FROM ci WHERE retired = 0 AND kind = 'security_group'"), 1, "{outcome}");
    }
}

#[test]
fn a_scope_without_a_receipt_proves_no_absence() {
    let world = World::new("");
    let full = Inventory::new().instances(4);
    assert_eq!(four_days(&world, &full, &without(&full, 0..4).without_scope("instance")), [0; 4]);
    assert_eq!((live(&world), retired(&world)), (4, 0));
}

#[test]
fn disabled_and_skipped_scopes_are_frozen_and_only_reported() {
    for outcome in ["disabled", "skipped"] {
        let world = World::new("");
        let full = Inventory::new().instances(4);
        let less = without(&full, 0..2).scope("instance", outcome);
        assert_eq!(four_days(&world, &full, &less), [0; 4], "{outcome}");
        assert_eq!((live(&world), retired(&world)), (4, 0), "{outcome}");
        let receipts = world.json(&["coverage", "show"], 0)["receipts"].clone();
        let told = receipts.as_array().unwrap().iter().find(|receipt| receipt["kind"] == "instance").unwrap()["outcome"].clone();
        assert_eq!(told, outcome);
    }
}

#[test]
fn an_incomplete_listing_empties_no_field_and_removes_no_edge() {
    let world = World::new("");
    let edge = |inventory: Inventory| inventory.relation("protected_by", &instance_key("i-1"), &key("security_group", "sg-1"));
    let full = edge(
        Inventory::new().instance("i-1", json!({ "tags": { "env": "prod" }, "attributes": { "image": "ami-1" } })).group("sg-1", json!({})),
    );
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    let less = Inventory::new().instance("i-1", json!({ "attributes": { "size": "t3.large" } })).group("sg-1", json!({}));
    world.put(&less.clone().scope("instance", "truncated"));
    world.sync_at(&at(1, 1), 3);
    // What was read is taken; what was not read stays.
    assert_eq!(super::field(&world, "i-1", "size"), "t3.large");
    assert_eq!(super::field(&world, "i-1", "image"), "ami-1");
    assert_eq!(super::field(&world, "i-1", "environment"), "prod");
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 1);
    // The same under a complete receipt is an absence.
    world.put(&less);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(super::field(&world, "i-1", "image"), "null");
    assert_eq!(super::field(&world, "i-1", "environment"), "null");
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 0);
}

#[test]
fn an_accepted_gap_stays_frozen_and_ends_with_0() {
    let world = World::new("");
    let full = Inventory::new().instances(4);
    let less = without(&full, 0..2).scope("instance", "denied");
    assert_eq!(four_days(&world, &full, &less), [3; 4]);
    world.json(&["coverage", "accept", "--kind", "instance"], 0);
    let document = world.sync_at(&at(7, 0), 0);
    assert!(document["receipts"].as_array().unwrap().iter().any(|receipt| receipt["accepted"] == true));
    world.sync_at(&at(8, 0), 0);
    assert_eq!((live(&world), retired(&world)), (4, 0));
    // Another kind of gap was not accepted.
    world.put(&without(&full, 0..2).scope("instance", "throttled"));
    world.sync_at(&at(9, 0), 3);
    // Once it lists again, absences are counted from the beginning.
    world.put(&without(&full, 0..2));
    world.sync_at(&at(10, 0), 0);
    assert_eq!((live(&world), retired(&world)), (4, 0));
    world.sync_at(&at(11, 0), 0);
    assert_eq!((live(&world), retired(&world)), (2, 2));
}

#[test]
fn a_file_that_cannot_be_read_retires_nothing() {
    let world = World::new("");
    world.put(&Inventory::new().instances(4));
    world.sync_at(&at(1, 0), 0);
    world.write("inventory.json", "{\"schema_version\": 1, \"taken_at\"");
    for day in 2..6 {
        world.sync_at(&at(day, 0), 1);
    }
    assert_eq!((live(&world), retired(&world)), (4, 0));
}

#[test]
fn a_scope_that_is_suddenly_empty_is_held() {
    let world = World::new("");
    let full = Inventory::new().instances(6).group("sg-1", json!({}));
    let empty = without(&full, 0..6);
    // Four would not be sudden: they are retired (see below). Six of them are held although every timer is due.
    assert_eq!(four_days(&world, &full, &empty), [0, 4, 4, 4]);
    assert_eq!((live(&world), retired(&world)), (7, 0));
    let document = world.sync_at(&at(6, 0), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["sudden_emptiness".to_owned()], 6));
    // Their stage stays missing: nothing was concluded.
    let list = world.json(&["list", "--stage", "missing"], 0);
    assert_eq!(list["cis"].as_array().unwrap().len(), 6);

    // Approved, they are looked up and retired in the next run.
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(6, 1), 0);
    assert_eq!((live(&world), retired(&world)), (1, 6));
    assert_eq!(World::counts(&world.sync_at(&at(6, 2), 0)), []);
}

#[test]
fn a_hold_for_emptiness_ends_when_the_scope_lists_something_again() {
    let world = World::new("");
    let full = Inventory::new().instances(6);
    assert_eq!(four_days(&world, &full, &without(&full, 0..6)), [0, 4, 4, 4]);
    world.put(&without(&full, 0..2));
    let document = world.sync_at(&at(7, 0), 0);
    assert_eq!(document["holds"], json!([]));
    assert_eq!((live(&world), retired(&world)), (4, 2));
}

#[test]
fn a_small_scope_may_become_empty() {
    let world = World::new("");
    let full = Inventory::new().instances(4);
    assert_eq!(four_days(&world, &full, &without(&full, 0..4)), [0; 4]);
    assert_eq!((live(&world), retired(&world)), (0, 4));
}

#[test]
fn emptiness_that_the_provider_states_is_not_held() {
    let world = World::new("");
    let full = Inventory::new().instances(6);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    let ended = super::ids(0..6).iter().fold(Inventory::new(), |all, id| all.instance(id, json!({ "state": "terminated" })));
    world.put(&ended);
    world.sync_at(&at(1, 1), 0);
    assert_eq!((live(&world), retired(&world)), (0, 6));
}

#[test]
fn what_no_target_keeps_ends_as_well() {
    let world = World::empty();
    world.write(
        "dewpoint.yaml",
        &crate::support::CONFIG.replace("path: cmdb.db }", "path: cmdb.db, include: { kinds: [security_group] } }"),
    );
    let full = Inventory::new().instances(3).group("sg-1", json!({}));
    assert_eq!(four_days(&world, &full, &without(&full, 0..1)), [0; 4]);
    assert_eq!(world.json(&["list", "--stage", "retired"], 0)["cis"].as_array().unwrap().len(), 1);
    assert_eq!(world.json(&["list", "--stage", "missing"], 0)["cis"], json!([]));
    assert_eq!((live(&world), retired(&world)), (1, 0));
}

#[test]
fn a_service_ends_only_when_all_its_members_are_proven_gone() {
    let service = |id: &str| json!({ "name": id, "tags": { "service": "shop" } });
    let world = World::new("");
    let full = Inventory::new().instance("i-1", service("i-1")).instance("i-2", service("i-2")).instance("i-3", json!({}));
    let services = |world: &World| world.count("SELECT count(*) FROM ci WHERE retired = 0 AND kind = 'service'");
    assert_eq!(four_days(&world, &full, &full.clone().without(&["i-1", "i-2"]).scope("instance", "denied")), [3; 4]);
    assert_eq!(services(&world), 1);
    world.put(&full.clone().without(&["i-1"]));
    (7..11).for_each(|day| drop(world.sync_at(&at(day, 0), 0)));
    assert_eq!(services(&world), 1);
    world.put(&full.clone().without(&["i-1", "i-2"]));
    (11..17).for_each(|day| drop(world.sync_at(&at(day, 0), 0)));
    assert_eq!((services(&world), retired(&world)), (0, 3));
    assert_eq!(World::counts(&world.sync_at(&at(17, 0), 0)), []);
    world.put(&full);
    world.sync_at(&at(18, 0), 0);
    assert_eq!((services(&world), retired(&world)), (1, 0));
}

#[test]
fn a_machine_on_its_way_out_keeps_what_it_had() {
    let world = World::new("");
    let base = || Inventory::new().scope("network_interface", "complete").group("sg-1", json!({}));
    let facts = json!({ "attributes": { "private_addresses": ["10.0.0.5"], "macs": ["0a:00"] } });
    world.put(&base().instance("i-1", facts).relation("protected_by", &instance_key("i-1"), &key("security_group", "sg-1")));
    world.sync_at(&at(1, 0), 0);
    let shown = || (super::field(&world, "i-1", "private_addresses"), super::field(&world, "i-1", "created_at"));
    let before = shown();
    // Its interfaces go before it does, and with them the time of the first attachment.
    for (hour, state) in [(1, "stopping"), (2, "terminated")] {
        world.put(&base().instance("i-1", json!({ "state": state, "created_at": "2026-01-20T00:00:00Z" })));
        world.sync_at(&at(1, hour), 0);
        assert_eq!(shown(), before, "{state}");
        if state == "stopping" {
            assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 1);
        }
    }
    assert_eq!(retired(&world), 1);
}
