//! Machines that kept their life under a new id: their records go with them, whenever a run is killed.

use serde_json::{Value, json};

use crate::guardrails::{at, cmdb, live, retired};
use crate::support::World;

const KEEPS_NOTHING_BACK: &str = "lifecycle: { defaults: { min_age: 0s } }\n";

fn id(group: &str) -> String {
    format!("/subscriptions/sub1/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/vm1")
}

fn key(group: &str) -> String {
    format!("azure:{}", id(group).to_lowercase())
}

/// The one machine of a subscription, in a resource group; none where its listing was not to be had.
fn put(world: &World, group: Option<&str>) {
    let resources: Vec<Value> = group
        .iter()
        .map(|group| {
            json!({
                "key": key(group), "kind": "instance", "provider": "azure", "native_id": id(group), "account": "sub1", "region": "we",
                "name": "vm1", "state": "running", "tags": {}, "created_at": "2026-01-01T00:00:00Z",
                "observed_at": "2026-02-01T00:00:00Z", "attributes": { "life": "L1", "size": "small" },
            })
        })
        .collect();
    let outcome = if group.is_some() { "complete" } else { "denied" };
    let receipt =
        json!({ "source": "estate", "provider": "azure", "account": "sub1", "region": "we", "kind": "instance", "outcome": outcome });
    let file = json!({
        "schema_version": 1, "taken_at": "2026-02-01T00:00:00Z", "receipts": [receipt], "resources": resources, "relations": [],
    });
    world.write("inventory.json", &file.to_string());
}

/// Records with the key that they carry and the mark of their end.
fn records(world: &World) -> Vec<Vec<String>> {
    world.query("cmdb.db", "SELECT external_id, retired FROM record ORDER BY id")
}

/// A ledger in which a write of this kind dies, as under `kill -9`; returns what makes it live again.
fn dies_at(world: &World, event: &str) -> impl Fn() {
    world.query("dewpoint.db", &format!("CREATE TRIGGER killed BEFORE {event} BEGIN SELECT RAISE(ABORT, 'killed here'); END"));
    || {
        world.query("dewpoint.db", "DROP TRIGGER killed");
    }
}

#[test]
fn a_moved_machine_keeps_its_record() {
    let world = World::new(KEEPS_NOTHING_BACK);
    put(&world, Some("rg1"));
    world.sync_at(&at(1, 0), 0);
    put(&world, Some("rg2"));
    let document = world.sync_at(&at(1, 1), 0);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)]);
    let update = world.query("cmdb.db", "SELECT fields FROM history WHERE change = 'update'");
    assert!(!update[0][0].contains("size"), "only what differs is written: {update:?}");
    assert_eq!(records(&world), [[key("rg2"), "0".to_owned()]]);
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
    world.sync_at(&at(9, 0), 0);
    assert_eq!(records(&world), [[key("rg2"), "0".to_owned()]]);
}

/// The sync that saw the move is killed; the next one may not look; the one after sees the machine under its new id again.
#[track_caller]
fn check_killed(event: &str, next_looks: bool) {
    let world = World::new(KEEPS_NOTHING_BACK);
    put(&world, Some("rg1"));
    world.sync_at(&at(1, 0), 0);
    put(&world, Some("rg2"));
    let live_again = dies_at(&world, event);
    assert_eq!(world.run(&["sync", "--at", &at(1, 1)]).code, 1, "{event}");
    live_again();
    put(&world, next_looks.then_some("rg2"));
    world.sync_at(&at(1, 2), if next_looks { 0 } else { 3 });
    assert_eq!((live(&world), retired(&world)), (1, 0), "{event}");
    put(&world, Some("rg2"));
    world.sync_at(&at(1, 3), 0);
    assert_eq!(records(&world), [[key("rg2"), "0".to_owned()]], "{event}");
    for day in [2, 3, 9] {
        assert_eq!(World::counts(&world.sync_at(&at(day, 4), 0)), [], "{event}, day {day}");
    }
    assert_eq!(records(&world), [[key("rg2"), "0".to_owned()]], "{event}");
    world.json(&["ledger", "check"], 0);
}

#[test]
fn a_kill_at_any_instant_of_a_move_retires_nothing() {
    for next_looks in [false, true] {
        // Before the estate is committed; before the rows move; before and after the update was sent.
        for event in ["UPDATE OF version ON meta", "UPDATE OF key_id ON record", "INSERT ON in_flight", "DELETE ON in_flight"] {
            check_killed(event, next_looks);
        }
    }
}

#[test]
fn a_record_that_says_retired_of_a_machine_that_is_shown_is_revived_by_the_next_full_read() {
    let world = World::new(KEEPS_NOTHING_BACK);
    put(&world, Some("rg1"));
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "UPDATE record SET retired = 1");
    // Nobody has looked: it is told, and left.
    put(&world, None);
    let document = world.sync_at(&at(3, 0), 3);
    assert!(document["remarks"].to_string().contains("`retired` is true and should be false"), "{document:#}");
    assert_eq!((live(&world), retired(&world)), (0, 1));
    put(&world, Some("rg1"));
    let document = world.sync_at(&at(5, 0), 0);
    assert_eq!(World::counts(&document), [("revive".to_owned(), 1)]);
    assert_eq!((live(&world), retired(&world)), (1, 0));
    assert_eq!(World::counts(&world.sync_at(&at(7, 0), 0)), []);
}
