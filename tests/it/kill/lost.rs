//! A change whose answer was lost, each kind at will: the target took it, the ledger never heard of it, and then the world moved back.

use serde_json::json;

use crate::support::inventory::key;
use crate::support::{Inventory, World};

const BEFORE: &str = "2026-03-01T00:00:00Z";
const LOST: &str = "2026-03-01T01:00:00Z";
const AFTER: &str = "2026-03-01T02:00:00Z";
const LATER: &str = "2026-03-01T03:00:00Z";

const EXTRA: &str = "lifecycle:\n  defaults: { min_age: 0s, confirm_missing: 1, retire_after: 0s, min_dwell: 0s }\n\
     guardrails: { max_retire_min: 1000 }\n";

/// A record that stays, and a group for it.
fn base() -> Inventory {
    Inventory::new().instance("i-1", json!({})).group("sg-1", json!({})).group("sg-2", json!({}))
}

fn protected(inventory: Inventory, group: &str) -> Inventory {
    inventory.relation("protected_by", &key("instance", "i-1"), &key("security_group", group))
}

/// What live records and edges say. Times and ids differ between worlds, all else must not.
fn shown(world: &World) -> [Vec<Vec<String>>; 2] {
    [
        world.query(
            "cmdb.db",
            "SELECT ci_attribute.key, ci_attribute.name, CAST(value AS TEXT) FROM ci_attribute JOIN ci ON ci.id = ci_id \
             WHERE NOT retired ORDER BY 1, 2",
        ),
        world.query("cmdb.db", "SELECT from_key, type, to_key, attributes FROM ci_relation ORDER BY 1, 2, 3"),
    ]
}

/// Syncs `before`; syncs `lost` in such a way that the answers to changes of this kind are lost; syncs `before` again. The CMDB shows
/// `before`, as if nothing had been.
#[track_caller]
fn check(change: &str, before: &Inventory, lost: &Inventory) {
    let world = World::new(EXTRA);
    // One that is there from the start, so that there is something to retire from and to revive.
    world.put(&base().instance("i-2", json!({})));
    world.sync_at("2026-02-28T00:00:00Z", 0);
    world.put(before);
    world.sync_at(BEFORE, 0);

    world.put(lost);
    world.query(
        "dewpoint.db",
        &format!(
            "CREATE TRIGGER lost BEFORE DELETE ON in_flight WHEN json_extract(old.changes, '$[0].change') = '{change}' \
             BEGIN SELECT RAISE(ABORT, 'the answer is lost'); END"
        ),
    );
    let ran = world.run(&["sync", "--at", LOST]);
    assert_eq!(ran.code, 1, "{change}: {}\n{}", ran.out, ran.err);
    let in_flight = world.query("dewpoint.db", "SELECT json_extract(changes, '$[0].change') FROM in_flight");
    assert!(!in_flight.is_empty() && in_flight.iter().all(|row| row[0] == change), "{change}: {in_flight:?}");
    world.query("dewpoint.db", "DROP TRIGGER lost");

    world.put(before);
    world.sync_at(AFTER, 0);
    let fresh = World::new(EXTRA);
    fresh.put(before);
    fresh.sync_at(AFTER, 0);
    assert_eq!(shown(&world), shown(&fresh), "{change}");
    assert_eq!(World::counts(&world.sync_at(LATER, 0)), [], "{change}: the sync after is not empty");
    world.json(&["ledger", "check"], 0);
}

#[test]
fn a_create() {
    check("create", &base(), &base().instance("i-3", json!({})));
}

#[test]
fn an_update_of_a_value() {
    check("update", &base(), &base().without(&["i-1"]).instance("i-1", json!({ "attributes": { "size": "m5.large" } })));
}

#[test]
fn an_update_that_adds_a_field() {
    check("update", &base(), &base().without(&["i-1"]).instance("i-1", json!({ "attributes": { "image": "ami-1" } })));
}

#[test]
fn an_update_that_empties_a_field() {
    let before = base().without(&["i-1"]).instance("i-1", json!({ "attributes": { "image": "ami-1" } }));
    check("update", &before, &base());
}

#[test]
fn a_new_edge() {
    check("relate", &base(), &protected(base(), "sg-1"));
}

#[test]
fn an_edge_less() {
    check("unrelate", &protected(base(), "sg-1"), &base());
}

#[test]
fn a_retirement() {
    check("retire", &base().instance("i-2", json!({})), &base());
}

#[test]
fn a_revival() {
    check("revive", &base(), &base().instance("i-2", json!({})));
}
