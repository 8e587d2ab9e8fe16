//! The timers: when a resource gets its record, and when the record ends.

use serde_json::json;

use super::{at, field, live, retired};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

const ONE: &str = "i-1";

#[test]
fn a_young_machine_waits_and_one_that_dies_young_leaves_no_trace() {
    let world = World::new("");
    let young = |id: &str| Inventory::new().instance(id, json!({ "created_at": at(1, 0) }));
    world.put(&young(ONE));
    let document = world.sync_at("2026-02-01T00:10:00Z", 0);
    assert_eq!((document["deferred"].as_u64(), live(&world)), (Some(1), 0));
    world.sync_at("2026-02-01T00:20:00Z", 0);
    assert_eq!(live(&world), 1);

    let world = World::new("");
    world.put(&young(ONE));
    world.sync_at("2026-02-01T00:10:00Z", 0);
    world.put(&Inventory::new());
    for day in 2..5 {
        world.sync_at(&at(day, 0), 0);
    }
    assert_eq!(world.count("SELECT count(*) FROM ci"), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci_history"), 0);
}

#[test]
fn what_ends_with_a_deferred_machine_waits_with_it() {
    let world = World::new("");
    let volume = json!({ "key": key("volume", "vol-1"), "kind": "volume", "provider": "aws", "native_id": "vol-1", "account": crate::support::inventory::ACCOUNT,
        "region": crate::support::inventory::REGION, "name": "vol-1", "tags": {}, "created_at": at(1, 0), "observed_at": at(1, 0),
        "attributes": { "delete_on_termination": true } });
    world.put(&Inventory::new().scope("volume", "complete").instance(ONE, json!({ "created_at": at(1, 0) })).raw(volume).relation(
        "attached_to",
        &key("volume", "vol-1"),
        &instance_key(ONE),
    ));
    world.sync_at("2026-02-01T00:10:00Z", 0);
    assert_eq!(live(&world), 0);
    world.sync_at("2026-02-01T00:20:00Z", 0);
    assert_eq!((live(&world), world.count("SELECT count(*) FROM ci_relation")), (2, 1));
}

#[test]
fn an_absence_needs_its_count_and_its_time() {
    // Twice absent, but not for long enough.
    let world = World::new("");
    world.put(&Inventory::new().instance(ONE, json!({})));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new());
    for hour in 1..20 {
        world.sync_at(&at(1, hour), 0);
    }
    assert_eq!((live(&world), field(&world, ONE, "stage")), (1, "missing".to_owned()));
    world.sync_at(&at(2, 0), 0);
    assert_eq!((live(&world), retired(&world)), (0, 1));

    // Long enough, but only once.
    let world = World::new("");
    world.put(&Inventory::new().instance(ONE, json!({})));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new());
    world.sync_at(&at(9, 0), 0);
    assert_eq!((live(&world), retired(&world)), (1, 0));
    world.sync_at(&at(9, 1), 0);
    assert_eq!((live(&world), retired(&world)), (0, 1));
}

#[test]
fn the_timers_are_the_configurations() {
    let world = World::new("lifecycle: { defaults: { confirm_missing: 1, retire_after: 2h, min_age: 0s } }\n");
    world.put(&Inventory::new().instance(ONE, json!({ "created_at": at(1, 0) })));
    world.sync_at(&at(1, 0), 0);
    assert_eq!(live(&world), 1);
    world.put(&Inventory::new());
    world.sync_at(&at(1, 1), 0);
    assert_eq!(retired(&world), 0);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(retired(&world), 1);
}

#[test]
fn a_terminated_machine_is_retired_at_once_with_its_last_facts() {
    let world = World::new("");
    let group = key("security_group", "sg-1");
    let inventory = Inventory::new().group("sg-1", json!({}));
    world.put(
        &inventory
            .clone()
            .instance(ONE, json!({ "tags": { "env": "prod" }, "attributes": { "private_addresses": ["10.0.0.1"], "image": "ami-1" } }))
            .relation("protected_by", &instance_key(ONE), &group),
    );
    world.sync_at(&at(1, 0), 0);
    world.put(&inventory.instance(ONE, json!({ "state": "terminated", "attributes": {} })));
    world.sync_at(&at(1, 1), 0);
    assert_eq!(retired(&world), 1);
    assert_eq!(field(&world, ONE, "state"), "terminated");
    assert_eq!(field(&world, ONE, "private_addresses"), "[\"10.0.0.1\"]");
    assert_eq!(field(&world, ONE, "image"), "ami-1");
    let shown = world.json(&["show", ONE], 0);
    assert_eq!(shown["stage"], "retired");
    assert_eq!(shown["relations"].as_array().unwrap().len(), 1, "{shown:#}");
    assert_eq!(shown["attributes"]["private_addresses"], json!(["10.0.0.1"]));
}

#[test]
fn what_comes_back_is_revived_with_its_record_and_history() {
    let world = World::new("");
    let full = Inventory::new().instance(ONE, json!({}));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    let id = world.count("SELECT id FROM ci");
    world.put(&Inventory::new());
    world.sync_at(&at(2, 0), 0);
    world.sync_at(&at(3, 0), 0);
    assert_eq!(retired(&world), 1);
    world.put(&full);
    let document = world.sync_at(&at(4, 0), 0);
    assert_eq!(World::counts(&document), [("revive".to_owned(), 1)]);
    assert_eq!((live(&world), world.count("SELECT id FROM ci"), field(&world, ONE, "stage")), (1, id, "active".to_owned()));
    let history: Vec<Vec<String>> = world.query("cmdb.db", "SELECT change FROM ci_history WHERE relation_type IS NULL ORDER BY id");
    let changes: Vec<&str> = history.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(changes, ["create", "update", "retire", "revive"]);
    assert_eq!(World::counts(&world.sync_at(&at(4, 1), 0)), []);
}

#[test]
fn a_new_life_under_an_old_id_keeps_the_record_and_starts_the_timers_anew() {
    let world = World::new("");
    let life = |life: &str, born: &str, over: serde_json::Value| {
        let mut fields = json!({ "created_at": born, "attributes": { "life": life } });
        fields.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        Inventory::new().instance(ONE, fields)
    };
    world.put(&life("first", &at(1, 0), json!({})));
    world.sync_at(&at(2, 0), 0);
    let id = world.count("SELECT id FROM ci");
    world.put(&life("second", &at(3, 0), json!({})));
    world.sync_at(&at(3, 1), 0);
    assert_eq!((live(&world), world.count("SELECT id FROM ci")), (1, id));
    let history = world.json(&["history", ONE], 0);
    assert!(
        history["entries"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["change"] == "reborn" || entry["cause"].as_str().unwrap().contains("new life")),
        "{history:#}"
    );
    // Terminated and made again under the same id: the same record lives on.
    world.put(&life("second", &at(3, 0), json!({ "state": "terminated" })));
    world.sync_at(&at(4, 0), 0);
    assert_eq!(retired(&world), 1);
    world.put(&life("third", &at(5, 0), json!({})));
    world.sync_at(&at(5, 1), 0);
    assert_eq!((live(&world), retired(&world), world.count("SELECT id FROM ci")), (1, 0, id));
}

#[test]
fn a_machine_that_moved_keeps_its_record_under_its_new_id() {
    let world = World::new("");
    let life = json!({ "attributes": { "life": "vm-1" } });
    world.put(&Inventory::new().instance(ONE, life.clone()));
    world.sync_at(&at(1, 0), 0);
    let id = world.count("SELECT id FROM ci");
    world.put(&Inventory::new().instance("i-2", life));
    let document = world.sync_at(&at(1, 1), 0);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)], "{document:#}");
    assert_eq!(world.query("cmdb.db", "SELECT id, key, native_id FROM ci"), [[id.to_string(), instance_key("i-2"), "i-2".to_owned()]]);
    for day in 2..5 {
        assert_eq!(World::counts(&world.sync_at(&at(day, 0), 0)), [], "day {day}");
    }
    assert_eq!((live(&world), retired(&world)), (1, 0));
}

/// What ended answers to its name only where nothing that lives does.
#[test]
fn a_name_is_that_of_what_lives() {
    let world = World::new("");
    let named = |id: &str, life: &str| Inventory::new().instance(id, json!({ "name": "web", "attributes": { "life": life } }));
    world.put(&named(ONE, "vm-1"));
    world.sync_at(&at(1, 0), 0);
    world.put(&named("i-2", "vm-1"));
    world.sync_at(&at(1, 1), 0);
    for command in ["show", "explain", "history"] {
        assert_eq!(world.json(&[command, "web"], 0)["key"], instance_key("i-2"), "{command}");
    }
    assert_eq!(world.json(&["show", ONE], 0)["key"], instance_key(ONE));
    // With the last of them gone, nobody knows which is meant.
    world.put(&Inventory::new().instance("i-2", json!({ "name": "web", "state": "terminated", "attributes": { "life": "vm-1" } })));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.run(&["show", "web"]).code, 2);
}

#[test]
fn a_move_and_a_full_read_in_one_sync_are_no_recovery() {
    let world = World::empty();
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: cmdb.db }", "path: cmdb.db, verify_every: 1h }"));
    let moved_to = |id: &str| Inventory::new().instance(id, json!({ "attributes": { "life": "vm-1" } })).group("sg-1", json!({}));
    world.put(&moved_to(ONE));
    world.sync_at(&at(1, 0), 0);
    let id = world.query("cmdb.db", &format!("SELECT id FROM ci WHERE native_id = '{ONE}'"))[0][0].clone();
    // There, and back again.
    for (hour, now) in [(2, "i-2"), (4, ONE)] {
        world.put(&moved_to(now));
        let document = world.sync_at(&at(1, hour), 0);
        assert_eq!(World::counts(&document), [("update".to_owned(), 1)], "{document:#}");
        assert!(!document["remarks"].to_string().contains("recovered"), "{document:#}");
        let rows = world.query("cmdb.db", "SELECT id, key FROM ci WHERE kind = 'instance'");
        assert_eq!(rows, [[id.clone(), instance_key(now)]]);
        assert_eq!(World::counts(&world.sync_at(&at(1, hour + 1), 0)), []);
    }
}

#[test]
fn a_listing_that_lags_does_not_revive_what_was_stated_to_have_ended() {
    let world = World::new("");
    let running = Inventory::new().instance(ONE, json!({}));
    world.put(&running);
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instance(ONE, json!({ "state": "terminated" })));
    world.sync_at(&at(1, 1), 0);
    world.put(&running);
    world.sync_at("2026-02-01T01:30:00Z", 0);
    assert_eq!((live(&world), retired(&world)), (0, 1), "within min_dwell");
    world.sync_at(&at(1, 3), 0);
    assert_eq!((live(&world), retired(&world)), (1, 0), "after min_dwell, and a look-up");
}

#[test]
fn what_is_retired_is_purged_after_its_time_where_the_target_says_delete() {
    let purge_after = "lifecycle: { defaults: { purge_after: 3d } }\n";
    for (purge, left) in [("keep", 1), ("delete", 0)] {
        let world = World::empty();
        let target = format!("{{ name: cmdb, kind: local, path: cmdb.db, purge: {purge} }}");
        world.write(
            "dewpoint.yaml",
            &format!("{}{purge_after}", crate::support::CONFIG.replace("{ name: cmdb, kind: local, path: cmdb.db }", &target)),
        );
        world.put(&Inventory::new().instance(ONE, json!({})));
        world.sync_at(&at(1, 0), 0);
        world.put(&Inventory::new());
        for day in 2..6 {
            world.sync_at(&at(day, 0), 0);
        }
        assert_eq!(retired(&world), 1, "{purge}");
        world.sync_at(&at(7, 0), 0);
        assert_eq!(world.count("SELECT count(*) FROM ci"), left, "{purge}");
        assert_eq!(World::counts(&world.sync_at(&at(8, 0), 0)), [], "{purge}");
        // It comes back: a new record where the old one is gone, the old one where it is not.
        world.put(&Inventory::new().instance(ONE, json!({})));
        let document = world.sync_at(&at(9, 0), 0);
        let expected = if purge == "delete" { "create" } else { "revive" };
        assert_eq!(World::counts(&document), [(expected.to_owned(), 1)]);
        assert_eq!((live(&world), retired(&world)), (1, 0), "{purge}");
    }
}
