//! Every guardrail: the damage without it, and the hold with it.

mod authority;
mod blast;
mod delivery;
mod evidence;
mod fleets;
mod holds;
mod include;
mod one_writer;
mod ownership;
mod plans;
mod right_place;
mod scopes;
mod timers;
mod two_targets;

use serde_json::Value;

use crate::support::{Inventory, World};

/// An instant in February 2026.
pub(crate) fn at(day: u32, hour: u32) -> String {
    format!("2026-02-{day:02}T{hour:02}:00:00Z")
}

/// Live records of the CMDB.
pub(crate) fn live(world: &World) -> u64 {
    world.count("SELECT count(*) FROM ci WHERE retired = 0")
}

/// Retired records of the CMDB.
pub(crate) fn retired(world: &World) -> u64 {
    world.count("SELECT count(*) FROM ci WHERE retired = 1")
}

/// Id of the one hold of a document of `sync`, `plan` or `holds list`.
#[track_caller]
pub(crate) fn hold(document: &Value) -> String {
    let holds = document["holds"].as_array().unwrap();
    assert_eq!(holds.len(), 1, "{holds:#?}");
    holds[0]["id"].as_str().unwrap().to_owned()
}

/// A configuration with one source and two CMDBs, `t1.db` and `t2.db`; `extra` keys of further sources.
pub(crate) fn two_targets(sources: &str) -> String {
    let targets = "  - { name: t1, kind: local, path: t1.db }\n  - { name: t2, kind: local, path: t2.db }\n";
    let one = "  - { name: cmdb, kind: local, path: cmdb.db }\n";
    crate::support::CONFIG.replace(one, targets).replace("targets:", &format!("{sources}targets:"))
}

/// Id of the one hold of a target, and how many changes it holds.
#[track_caller]
pub(crate) fn hold_at(document: &Value, target: &str) -> (String, usize) {
    let holds: Vec<&Value> = document["holds"].as_array().unwrap().iter().filter(|hold| hold["target"] == target).collect();
    assert_eq!(holds.len(), 1, "{document:#}");
    (holds[0]["id"].as_str().unwrap().to_owned(), holds[0]["changes"].as_array().unwrap().len())
}

/// Retired records of one of two CMDBs.
pub(crate) fn retired_at(world: &World, target: &str) -> u64 {
    world.query(&format!("{target}.db"), "SELECT count(*) FROM ci WHERE retired = 1")[0][0].parse().unwrap()
}

/// Guardrails of the one hold.
#[track_caller]
pub(crate) fn guardrails(document: &Value) -> Vec<String> {
    hold(document);
    document["holds"][0]["guardrails"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// How many changes the one hold holds.
#[track_caller]
pub(crate) fn held(document: &Value) -> usize {
    hold(document);
    document["holds"][0]["changes"].as_array().unwrap().len()
}

/// Native ids `i-0000…` as [`Inventory::instances`] gives them.
pub(crate) fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("i-{i:04}")).collect()
}

/// An inventory without some of its instances.
pub(crate) fn without(inventory: &Inventory, range: std::ops::Range<usize>) -> Inventory {
    let ids = ids(range);
    inventory.clone().without(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `SELECT` of one field of one record, as JSON or text; `null` where it has none.
#[track_caller]
pub(crate) fn field(world: &World, native_id: &str, name: &str) -> String {
    let sql =
        format!("SELECT (SELECT value FROM ci_attribute WHERE ci_id = ci.id AND name = '{name}') FROM ci WHERE native_id = '{native_id}'");
    world.query("cmdb.db", &sql)[0][0].clone()
}

/// Runs a statement on the CMDB, as people and other programs do.
pub(crate) fn cmdb(world: &World, sql: &str) {
    world.query("cmdb.db", sql);
}
