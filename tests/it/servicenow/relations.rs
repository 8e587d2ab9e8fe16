//! Relationships that somebody removes at the instance, and what a full read of it costs.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_servicenow_sim::{Instance, RowRule};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rig::{DAY_2, FIRST, Snow, machines};
use super::{QUICKSTART, quickstart};

/// Nothing is written but what drifted.
const EXTRA: &str = "heartbeat: never";

fn snow() -> Snow {
    Snow::over(Instance::new().with_data_source("Dewpoint"), EXTRA)
}

/// So many days after the first sync, when a full read is due.
fn day(n: i64) -> String {
    (FIRST.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(25 * n)).to_string()
}

/// The relationships between a machine and its groups.
fn of_machine(snow: &Snow, id: &str) -> Vec<String> {
    let (machine, _) = snow.sim.rows("cmdb_ci_vm_instance", &format!("object_id={id}")).remove(0);
    let kind = snow.sim.edit(|instance| instance.relation_type("Uses::Used by")).unwrap();
    snow.sim.rows("cmdb_rel_ci", &format!("parent={machine}^type={kind}")).into_iter().map(|(row, _)| row).collect()
}

fn remove(snow: &Snow, id: &str) {
    let rows = of_machine(snow, id);
    assert_eq!(rows.len(), 1, "{id}");
    snow.sim.edit(|instance| instance.delete(&rows[0]));
}

fn remarks(sync: &Value) -> Vec<String> {
    let remarks = sync["remarks"].as_array().unwrap().iter().map(|remark| remark["text"].as_str().unwrap().to_owned());
    remarks.filter(|text| text.contains("does not show")).collect()
}

#[test]
fn what_somebody_removes_is_restored_once_until_it_is_seen_again() {
    let snow = snow();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    // People's own stays theirs.
    let (from, to) = (
        snow.sim.rows("cmdb_ci_vm_instance", "object_id=i-0001").remove(0).0,
        snow.sim.rows("cmdb_ci_vm_instance", "object_id=i-0002").remove(0).0,
    );
    let drawn = snow.sim.edit(|instance| {
        let kind = instance.relation_type("Depends on::Used by").unwrap();
        instance.insert("cmdb_rel_ci", &[("parent", &from), ("child", &to), ("type", &kind)])
    });
    let whole = snow.inventory();
    remove(&snow, "i-0003");
    assert_eq!(snow.sync_at("2026-02-01T01:00:00Z", 0)["counts"]["snow"], json!({}), "nobody looked");

    let restored = |n: i64| {
        let sync = snow.sync_at(&day(n), 0);
        assert_eq!(sync["counts"]["snow"], json!({ "relate": 1 }), "{sync:#}");
        let told = remarks(&sync);
        assert!(told.len() == 1 && told[0].contains("`protected_by`") && told[0].contains("(related again)"), "{told:?}");
        assert_eq!(of_machine(&snow, "i-0003").len(), 1);
    };
    let quiet = |n: i64| {
        snow.sim.clear_calls();
        let sync = snow.sync_at(&day(n), 0);
        assert_eq!((sync["counts"]["snow"].clone(), snow.writes()), (json!({}), 0), "{sync:#}");
        remarks(&sync)
    };
    restored(1);
    assert_eq!(quiet(2), Vec::<String>::new());
    // It was seen there: somebody removes it anew.
    remove(&snow, "i-0003");
    restored(3);
    // Removed again before anybody looked: it rests, and each read says so.
    remove(&snow, "i-0003");
    for n in 4..=5 {
        let told = quiet(n);
        assert!(told.len() == 1 && told[0].contains("related again before"), "{told:?}");
    }
    assert_eq!(of_machine(&snow, "i-0003"), Vec::<String>::new());
    let left = |inventory: &BTreeMap<String, BTreeSet<String>>| {
        inventory
            .iter()
            .filter(|(table, _)| *table != "cmdb_rel_ci" && *table != "sys_rel_source")
            .map(|(table, rows)| (table.clone(), rows.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(left(&snow.inventory()), left(&whole), "nothing else was made or removed");
    assert!(snow.sim.rows("cmdb_rel_ci", "").iter().any(|(row, _)| *row == drawn), "people's own is there");
}

#[test]
fn many_that_are_gone_wait_for_people() {
    let snow = snow();
    snow.world.put(&machines(30));
    snow.sync_at(FIRST, 0);
    for n in 0..12 {
        remove(&snow, &format!("i-{n:04}"));
    }
    let sync = snow.sync_at(DAY_2, 4);
    assert_eq!(sync["counts"]["snow"], json!({}));
    let hold = &sync["holds"][0];
    assert_eq!(hold["guardrails"], json!(["blast_radius"]), "{hold:#}");
    assert!(hold["text"].as_str().unwrap().contains("12 of 30 edges would be made again"), "{hold:#}");
    snow.json(&["holds", "approve", hold["id"].as_str().unwrap()], 0);
    let sync = snow.sync_at("2026-02-02T13:00:00Z", 0);
    assert_eq!(sync["counts"]["snow"], json!({ "relate": 12 }));
}

#[test]
fn relations_that_may_not_be_read_are_not_made_again() {
    let snow = snow();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    for table in ["cmdb_rel_ci", "sys_rel_source"] {
        let hidden = RowRule { table: table.to_owned(), query: String::new(), role: "admin".to_owned() };
        snow.sim.edit(|instance| instance.row_rules.push(hidden));
        snow.sim.clear_calls();
        let sync = snow.sync_at(&day(if table == "cmdb_rel_ci" { 1 } else { 2 }), 0);
        assert_eq!((sync["counts"]["snow"].clone(), snow.writes()), (json!({}), 0), "{sync:#}");
        snow.sim.edit(|instance| instance.row_rules.clear());
    }
}

#[test]
fn a_full_read_of_the_sample_estate_finds_nothing_amiss_and_is_cheap() {
    let snow = snow();
    snow.configure(EXTRA, QUICKSTART);
    snow.world.write("inventory.json", &quickstart().to_string());
    let first = snow.sync_at(FIRST, 0);
    let related = first["counts"]["snow"]["relate"].as_u64().unwrap();
    assert!(related > 50, "{related}");
    let asked = |at: &str| {
        snow.sim.clear_calls();
        let sync = snow.sync_at(at, 0);
        assert_eq!(sync["counts"]["snow"], json!({}), "{sync:#}");
        let counters = snow.sim.counters();
        assert_eq!(counters.writes, 0, "{:?}", snow.sim.calls());
        let mut asked: BTreeMap<String, u64> = BTreeMap::new();
        for call in snow.sim.calls() {
            *asked.entry(call.table.unwrap_or_default()).or_default() += 1;
        }
        (counters.requests, asked)
    };
    // Beside the question whose instance it is: marks, records by class and tags in lists of 48; and what shows the edges. What people's names did not
    // stand for in the first sync is looked up once more, column by column, after a look at the classes that have these.
    let names = 6 + 7;
    let of_edges = |by_table: &BTreeMap<String, u64>| ["sys_rel_source", "cmdb_rel_ci"].map(|table| by_table[table]);
    let (requests, by_table) = asked(&day(1));
    assert_eq!((requests, of_edges(&by_table)), (30 + names, [1, 2]), "{by_table:?}");

    // A new ledger finds all of it, and relates nothing anew.
    std::fs::remove_file(snow.world.path("dewpoint.db")).unwrap();
    let (requests, by_table) = asked(&day(2));
    assert_eq!((requests, of_edges(&by_table)), (30, [1, 2]), "{by_table:?}");
    let (requests, by_table) = asked(&day(3));
    assert_eq!((requests, of_edges(&by_table)), (30, [1, 2]), "{by_table:?}");
}
