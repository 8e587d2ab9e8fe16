//! What an old copy of the ledger knows, beside what its targets show: neither its values nor its clocks are taken for today's.

use serde_json::json;

use super::restore;
use crate::guardrails::{at, field, live, retired};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

const NORTH: &str = "us-east-1";

/// Machines that are always shown, in a region of their own, so that no guardrail is in the way.
fn base(outcome: &str) -> Inventory {
    let north = |number: u32| {
        json!({
            "key": format!("aws:arn:aws:ec2:{NORTH}:123456789012:instance/i-n{number}"), "kind": "instance", "provider": "aws",
            "native_id": format!("i-n{number}"), "account": "123456789012", "region": NORTH, "name": format!("n{number}"),
            "state": "running", "tags": {}, "created_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z", "attributes": {},
        })
    };
    let base = Inventory::new().scope("instance", outcome).scope_in(NORTH, "instance", "complete");
    (0..20).fold(base, |all, number| all.raw(north(number)))
}

fn sized(inventory: Inventory, size: &str) -> Inventory {
    inventory.instance("i-1", json!({ "attributes": { "size": size } })).instance("i-2", json!({}))
}

/// A ledger that is nine days older than its CMDB: since then `i-1` has grown, and both machines were seen an hour ago.
fn nine_days_old() -> World {
    let world = World::new("");
    world.put(&sized(base("complete"), "small"));
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    for day in 2..=10 {
        world.put(&sized(base("complete"), "large"));
        world.sync_at(&at(day, 0), 0);
    }
    world.put(&sized(base("complete"), "large").instance("i-new", json!({})));
    world.sync_at(&at(10, 1), 0);
    restore(&world, "old.db");
    world
}

#[test]
fn values_of_what_nobody_has_seen_since_are_not_written() {
    let world = nine_days_old();
    for hour in 2..4 {
        world.put(&base("denied"));
        world.sync_at(&at(10, hour), 3);
        assert_eq!(field(&world, "i-1", "size"), "large");
    }
    // Shown again, with the value that the old copy knew: now that is true, and written.
    world.put(&sized(base("complete"), "small").instance("i-new", json!({})));
    world.sync_at(&at(10, 4), 0);
    assert_eq!(field(&world, "i-1", "size"), "small");
    assert_eq!(World::counts(&world.sync_at(&at(10, 5), 0)), []);
}

#[test]
fn what_ends_unseen_keeps_its_last_values() {
    let world = nine_days_old();
    world.put(&base("complete"));
    for hour in [2, 3, 4] {
        world.sync_at(&at(10, hour), 0);
    }
    assert_eq!(retired(&world), 0, "the lost ledger saw them two hours ago");
    world.sync_at(&at(11, 3), 0);
    assert_eq!((live(&world), retired(&world)), (20, 3));
    assert_eq!((field(&world, "i-1", "size"), field(&world, "i-1", "stage")), ("large".to_owned(), "retired".to_owned()));
    assert_eq!(World::counts(&world.sync_at(&at(12, 0), 0)), []);
}

#[test]
fn an_end_that_the_old_copy_knows_and_its_record_does_not_is_not_sent_unseen() {
    let world = World::new("lifecycle: { defaults: { min_dwell: 0s } }\n");
    world.put(&sized(base("complete"), "small"));
    world.sync_at(&at(1, 0), 0);
    world.put(&base("complete"));
    world.sync_at(&at(2, 0), 0);
    world.sync_at(&at(3, 0), 0);
    assert_eq!(retired(&world), 2);
    world.json(&["ledger", "backup", "old.db"], 0);
    world.put(&sized(base("complete"), "small"));
    world.sync_at(&at(4, 0), 0);
    assert_eq!(retired(&world), 0);
    restore(&world, "old.db");
    for day in 5..8 {
        world.put(&base("denied"));
        world.sync_at(&at(day, 0), 3);
        assert_eq!((live(&world), retired(&world)), (22, 0), "day {day}");
    }
}

#[test]
fn edges_of_which_the_old_copy_says_that_they_stand_there_are_sent_again() {
    let world = World::new("");
    let (machine, group) = (instance_key("i-1"), key("security_group", "sg-1"));
    let apart = Inventory::new().instance("i-1", json!({})).group("sg-1", json!({}));
    let related = apart.clone().relation("protected_by", &machine, &group);
    world.put(&related);
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    world.put(&apart);
    world.sync_at(&at(1, 1), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 0);
    restore(&world, "old.db");
    world.put(&related);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.query("cmdb.db", "SELECT from_key, to_key FROM ci_relation"), [[machine, group]]);
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), []);
}
