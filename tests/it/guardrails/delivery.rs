//! Delivering: a bad record, a bad target, and what is tried again when.

use serde_json::{Value, json};

use super::{at, cmdb, live, without};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Makes the CMDB refuse every record of a native id, as a constraint that people added would.
fn refuse(world: &World, native_id: &str) {
    for moment in ["INSERT", "UPDATE"] {
        cmdb(
            world,
            &format!(
                "CREATE TRIGGER refuse_{moment} BEFORE {moment} ON record WHEN new.fields ->> 'native_id' = '{native_id}' BEGIN \
                 SELECT RAISE(ABORT, 'no such machine may be recorded'); END"
            ),
        );
    }
}

fn relent(world: &World) {
    cmdb(world, "DROP TRIGGER refuse_INSERT");
    cmdb(world, "DROP TRIGGER refuse_UPDATE");
}

/// A world whose CMDB has one record and refuses `i-0007`.
fn world() -> World {
    let world = World::new("");
    world.put(&Inventory::new().group("sg-1", json!({})));
    world.sync_at(&at(1, 0), 0);
    refuse(&world, "i-0007");
    world
}

fn full() -> Inventory {
    Inventory::new()
        .instances(20)
        .group("sg-1", json!({}))
        .relation("protected_by", &instance_key("i-0007"), &key("security_group", "sg-1"))
        .relation("protected_by", &instance_key("i-0008"), &key("security_group", "sg-1"))
}

fn failed(document: &Value) -> Vec<(String, bool)> {
    let failed = document["failed"].as_array().unwrap().iter();
    failed.map(|failed| (failed["key"].as_str().unwrap().to_owned(), failed["parked"].as_bool().unwrap())).collect()
}

#[test]
fn one_bad_record_never_stops_the_others() {
    let world = world();
    world.put(&full());
    let document = world.sync_at(&at(1, 1), 3);
    assert_eq!(live(&world), 20, "nineteen machines and the group");
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 1);
    assert_eq!(failed(&document), [(instance_key("i-0007"), false)]);
    assert!(document["failed"][0]["error"].as_str().unwrap().contains("no such machine may be recorded"), "{document:#}");
    // Halving a batch of twenty down to one record takes a handful of batches, not twenty.
    let calls = document["calls"]["cmdb"]["create"].as_u64().unwrap();
    assert!((3..=11).contains(&calls), "{calls}");
    let shown = world.json(&["show", "i-0007"], 0);
    assert_eq!(shown["targets"]["cmdb"]["state"], "failed");
    assert_eq!(world.json(&["show", "i-0008"], 0)["targets"]["cmdb"]["state"], "delivered");
}

#[test]
fn a_bad_record_is_tried_again_ever_later_then_parked_until_someone_says_so() {
    let world = world();
    world.put(&full());
    let mut calls = Vec::new();
    let mut parked = Vec::new();
    // Every minute; tried at 0, 1, 3, 7 and 15 minutes, which makes five attempts.
    for minute in 0..30 {
        let document = world.sync_at(&format!("2026-02-01T01:{minute:02}:00Z"), 3);
        if document["calls"]["cmdb"]["create"].as_u64().is_some_and(|calls| calls > 0) {
            calls.push(minute);
        }
        parked.push(failed(&document)[0].1);
    }
    assert_eq!(calls, [0, 1, 3, 7, 15]);
    assert_eq!(parked.iter().position(|parked| *parked), Some(15));
    assert_eq!(world.json(&["show", "i-0007"], 0)["targets"]["cmdb"]["state"], "parked");

    // The cause is gone; it stays parked until someone says so.
    relent(&world);
    world.sync_at(&at(3, 0), 3);
    assert_eq!(live(&world), 20);
    assert_eq!(world.json(&["retry"], 0)["retried"].as_u64(), Some(1));
    let document = world.sync_at(&at(3, 1), 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("relate".to_owned(), 1)]);
    assert_eq!((live(&world), world.count("SELECT count(*) FROM ci_relation")), (21, 2));
    assert_eq!(World::counts(&world.sync_at(&at(3, 2), 0)), []);
}

#[test]
fn an_update_that_is_refused_is_sent_when_the_target_relents() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    refuse(&world, "i-0007");
    let larger = |id: &str| json!({ "attributes": { "size": format!("large {id}") } });
    world.put(&full().without(&["i-0006", "i-0007"]).instance("i-0006", larger("six")).instance("i-0007", larger("seven")).relation(
        "protected_by",
        &instance_key("i-0007"),
        &key("security_group", "sg-1"),
    ));
    let document = world.sync_at(&at(1, 1), 3);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)]);
    relent(&world);
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)]);
    assert_eq!(super::field(&world, "i-0007", "size"), "large seven");
}

#[test]
fn what_is_not_wanted_any_more_is_forgotten_with_its_failure() {
    let world = world();
    world.put(&full());
    world.sync_at(&at(1, 1), 3);
    world.put(&without(&full(), 7..8).instance("i-0007", json!({ "state": "terminated" })));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(live(&world), 20);
    world.sync_at(&at(1, 3), 0);
}

/// Two CMDBs side by side, the second of them at this path.
fn two_targets(second: &str) -> World {
    let world = World::empty();
    world.write("dewpoint.yaml", &format!("{}  - {{ name: other, kind: local, path: {second} }}\n", crate::support::CONFIG));
    world
}

#[test]
fn one_broken_target_never_delays_the_others() {
    let world = two_targets("folder/other.db");
    world.put(&full());
    let document = world.sync_at(&at(1, 0), 2);
    assert_eq!(live(&world), 21);
    assert!(document["problems"].to_string().contains("other"), "{document:#}");
    // It catches up when it is mended.
    std::fs::create_dir(world.path("folder")).unwrap();
    let document = world.sync_at(&at(1, 1), 0);
    assert_eq!(document["counts"]["other"]["create"].as_u64(), Some(21));
    assert_eq!(World::counts(&document), []);
    assert_eq!(world.query("folder/other.db", "SELECT count(*) FROM ci"), [["21"]]);
}

#[test]
fn a_target_that_broke_later_is_kept_apart_and_catches_up() {
    let world = two_targets("other.db");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    let kept = std::fs::read(world.path("other.db")).unwrap();
    world.write("other.db", "this is no database");
    world.put(&full().instance("i-new", json!({})));
    let document = world.sync_at(&at(1, 1), 2);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1)]);
    assert_eq!(std::fs::read(world.path("other.db")).unwrap(), b"this is no database");
    std::fs::write(world.path("other.db"), kept).unwrap();
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!(document["counts"]["other"]["create"].as_u64(), Some(1));
    assert_eq!(world.query("other.db", "SELECT count(*) FROM ci"), [["22"]]);
}

#[test]
fn a_target_that_is_left_out_catches_up() {
    let world = two_targets("other.db");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    let life = json!({ "attributes": { "life": "vm-1" } });
    world.put(&full().instance("i-a", life.clone()));
    world.sync_at(&at(1, 1), 0);
    let id = world.query("other.db", "SELECT id FROM ci WHERE native_id = 'i-a'");
    // A machine moves while the second target is left out: it keeps its record there as well.
    world.put(&full().instance("i-b", life));
    world.json(&["sync", "--at", &at(1, 2), "--target", "cmdb"], 0);
    world.sync_at(&at(1, 3), 0);
    assert_eq!(world.query("other.db", "SELECT id FROM ci WHERE native_id = 'i-b'"), id);
    assert_eq!(world.query("other.db", "SELECT count(*) FROM ci WHERE native_id = 'i-a'"), [["0"]]);
}

#[test]
fn each_target_counts_and_holds_by_itself() {
    let world = two_targets("other.db");
    world.write(
        "dewpoint.yaml",
        &format!(
            "{}  - {{ name: other, kind: local, path: other.db, include: {{ kinds: [security_group] }} }}\nlifecycle: {{ defaults: {{ confirm_missing: 1, retire_after: 1h }} }}\n",
            crate::support::CONFIG
        ),
    );
    let groups: Vec<String> = (0..12).map(|i| format!("sg-{i:02}")).collect();
    let full = groups.iter().fold(Inventory::new().instances(100), |all, id| all.group(id, json!({})));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..15));
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!(World::counts(&document), [("retire".to_owned(), 15)]);
    assert_eq!(document["counts"]["other"], json!({}));
}

#[test]
fn edges_of_a_removed_record_wait_until_it_is_made_again() {
    let world = World::empty();
    world.write(
        "dewpoint.yaml",
        &format!(
            "{}lifecycle: {{ defaults: {{ min_age: 0s, confirm_missing: 1, retire_after: 0s, purge_after: 1h }} }}\n",
            crate::support::CONFIG.replace("path: cmdb.db }", "path: cmdb.db, purge: delete }")
        ),
    );
    let (machine, group) = (instance_key("i-0007"), key("security_group", "sg-1"));
    let apart = Inventory::new().instance("i-0001", json!({})).group("sg-1", json!({}));
    let whole = apart.clone().instance("i-0007", json!({})).relation("protected_by", &machine, &group);
    world.put(&whole);
    world.sync_at(&at(1, 0), 0);
    world.put(&apart);
    for hour in 1..4 {
        world.sync_at(&at(1, hour), 0);
    }
    assert_eq!(world.count("SELECT count(*) FROM ci"), 2, "removed");
    refuse(&world, "i-0007");
    world.put(&whole);
    let document = world.sync_at(&at(1, 4), 3);
    assert_eq!(failed(&document), [(machine.clone(), false)], "only the record is refused: {document:#}");
    assert_eq!(document["waiting"]["cmdb"], 1, "{document:#}");
    relent(&world);
    // Once its own back-off is over, both go out; the edge has none.
    let document = world.sync_at(&at(2, 0), 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("relate".to_owned(), 1)]);
    assert_eq!(world.query("cmdb.db", "SELECT from_key, to_key FROM ci_relation"), [[machine, group]]);
}

#[test]
fn a_delivery_that_was_cut_short_is_no_success() {
    let world = World::new("");
    world.put(&Inventory::new().instance("i-1", json!({})));
    world.sync_at(&at(1, 0), 0);
    let succeeded = || world.query("dewpoint.db", "SELECT succeeded_at FROM target");
    let before = succeeded();
    // The last answer cannot be stored: nothing waits and nothing was refused.
    world.query("dewpoint.db", "CREATE TRIGGER lost BEFORE DELETE ON in_flight BEGIN SELECT RAISE(ABORT, 'the answer is lost'); END");
    world.put(&Inventory::new().instance("i-1", json!({ "name": "other" })));
    assert_eq!(world.run(&["sync", "--at", &at(1, 1)]).code, 1);
    assert_eq!(succeeded(), before);
    world.query("dewpoint.db", "DROP TRIGGER lost");
    world.sync_at(&at(1, 2), 0);
    assert_ne!(succeeded(), before);
}
