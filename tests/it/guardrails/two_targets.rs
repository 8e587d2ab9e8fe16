//! A gate that is closed at one target stays closed, whatever happens at another.

use super::{at, hold_at, retired_at, two_targets, without};
use crate::support::inventory::instance_key;
use crate::support::{Inventory, World};

/// Six machines vanish at once, and so many stay in another region that guardrail 3 has nothing to say. Both CMDBs hold the six.
fn emptied() -> World {
    emptied_of(Inventory::new().instances(6))
}

fn emptied_of(six: Inventory) -> World {
    let world = World::empty();
    world.write("dewpoint.yaml", &two_targets(""));
    let full = (0..60).fold(six.scope_in("us-east-1", "instance", "complete"), |all, n| all.raw(elsewhere(&format!("i-b{n}"))));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..6));
    world.sync_at(&at(2, 1), 0);
    let document = world.sync_at(&at(2, 2), 4);
    assert_eq!((hold_at(&document, "t1").1, hold_at(&document, "t2").1), (6, 6));
    world
}

fn elsewhere(native_id: &str) -> serde_json::Value {
    let key = format!("aws:arn:aws:ec2:us-east-1:123456789012:instance/{native_id}");
    serde_json::json!({ "key": key, "kind": "instance", "provider": "aws", "native_id": native_id, "account": "123456789012",
        "region": "us-east-1", "name": native_id, "state": "running", "tags": {}, "created_at": "2026-01-01T00:00:00Z", "attributes": {} })
}

#[test]
fn an_approval_at_one_target_lifts_no_hold_at_another() {
    let world = emptied();
    let document = world.sync_at(&at(2, 3), 4);
    let (first, _) = hold_at(&document, "t1");
    let document = world.json(&["sync", "--approve", &first, "--at", &at(2, 4)], 4);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2"), hold_at(&document, "t2").1), (6, 0, 6));
    // Nor does time.
    for day in 3..6 {
        let document = world.sync_at(&at(day, 0), 4);
        assert_eq!((retired_at(&world, "t2"), hold_at(&document, "t2").1), (0, 6));
    }
    let (second, _) = hold_at(&world.sync_at(&at(6, 0), 4), "t2");
    world.json(&["sync", "--approve", &second, "--at", &at(6, 1)], 0);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2")), (6, 6));
}

#[test]
fn a_record_found_at_one_target_lifts_no_hold_at_another() {
    let world = emptied();
    // A record of ours that the ledger does not know, in the emptied scope, as a restored CMDB shows it.
    let columns = "estate, class, kind, created_at, updated_at, delivered_at";
    world.query(
        "t2.db",
        &format!(
            "INSERT INTO record (external_id, fields, {columns}) SELECT '{}', json_set(fields, '$.native_id', 'i-x'), {columns} \
             FROM record WHERE external_id = '{}'",
            instance_key("i-x"),
            instance_key("i-0000")
        ),
    );
    // A day later the routine read finds it, and it enters as missing.
    let document = world.sync_at(&at(3, 3), 4);
    assert!(document["remarks"].to_string().contains("recovered 67 records"), "{document:#}");
    assert_eq!((retired_at(&world, "t1"), hold_at(&document, "t1").1), (0, 6));
    // From then on it is one of those that the scope does not list.
    for day in 4..6 {
        world.sync_at(&at(day, 4), 4);
    }
    let document = world.sync_at(&at(6, 4), 4);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2")), (0, 0));
    assert_eq!((hold_at(&document, "t1").1, hold_at(&document, "t2").1), (6, 7));
}

#[test]
fn a_hold_for_a_scope_without_a_source_outlives_runs_that_leave_sources_out() {
    let world = World::empty();
    world.write("dewpoint.yaml", &two_targets("  - { name: other, kind: file, path: other.json }\n"));
    let theirs =
        (0..60).fold(Inventory::default().scope_in("us-east-1", "instance", "complete"), |all, n| all.raw(elsewhere(&format!("i-b{n}"))));
    world.write("other.json", &theirs.to_string());
    world.put(&Inventory::new().instances(4));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::default());
    world.sync_at(&at(1, 1), 0);
    world.json(&["scopes", "retire", "--account", "123456789012", "--kind", "instance"], 0);
    let document = world.sync_at(&at(1, 2), 4);
    let (first, count) = hold_at(&document, "t1");
    assert_eq!((count, hold_at(&document, "t2").1), (4, 4));
    let document = world.json(&["sync", "--approve", &first, "--at", &at(1, 3)], 4);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2"), hold_at(&document, "t2").1), (4, 0, 4));
    // Now nobody calls the scope orphaned: it is skipped, or its receipt failed with a source.
    let document = world.json(&["sync", "--source", "other", "--at", &at(1, 4)], 4);
    assert_eq!((retired_at(&world, "t2"), hold_at(&document, "t2").1), (0, 4));
    std::fs::remove_file(world.path("other.json")).unwrap();
    let document = world.sync_at(&at(1, 5), 4);
    assert_eq!((retired_at(&world, "t2"), hold_at(&document, "t2").1), (0, 4));
    let (second, _) = hold_at(&document, "t2");
    world.write("other.json", &theirs.to_string());
    world.json(&["sync", "--source", "other", "--approve", &second, "--at", &at(1, 6)], 0);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2")), (4, 4));
    // Seen again, they come back everywhere.
    world.put(&Inventory::new().instances(4));
    world.sync_at(&at(1, 7), 0);
    assert_eq!((retired_at(&world, "t1"), retired_at(&world, "t2")), (0, 0));
}

#[test]
fn a_service_is_held_where_its_members_are() {
    let six = Inventory::new().instances(5).without(&["i-0004"]);
    let six = ["i-0004", "i-0005"].iter().fold(six, |all, id| all.instance(id, serde_json::json!({ "tags": { "service": "shop" } })));
    let world = emptied_of(six);
    let services = |target: &str| {
        let rows = world.query(&format!("{target}.db"), "SELECT count(*) FROM ci WHERE retired = 0 AND kind = 'service'");
        rows[0][0].parse::<u64>().unwrap()
    };
    let (first, _) = hold_at(&world.sync_at(&at(2, 3), 4), "t1");
    world.json(&["sync", "--approve", &first, "--at", &at(2, 4)], 4);
    for day in 3..6 {
        world.sync_at(&at(day, 5), 4);
    }
    // Where the members went with people's approval, their service follows them; where they are held, so is it.
    assert_eq!((retired_at(&world, "t1"), services("t1")), (7, 0));
    assert_eq!((retired_at(&world, "t2"), services("t2")), (0, 1));
    let (second, count) = hold_at(&world.sync_at(&at(6, 0), 4), "t2");
    assert_eq!(count, 7);
    world.json(&["sync", "--approve", &second, "--at", &at(6, 1)], 0);
    assert_eq!((retired_at(&world, "t2"), services("t2")), (7, 0));
}
