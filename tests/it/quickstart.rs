//! The quick start as README has it, with the binary that the tests were built with, on a copy of `config/quickstart`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, World};

const README: &str = include_str!("../../README.md");
const CONFIG: &str = "config/quickstart/dewpoint.yaml";
const CMDB: &str = "config/quickstart/cmdb.db";
const LEDGER: &str = "config/quickstart/dewpoint.db";

/// A folder with a copy of the quick start at its place.
fn clone() -> World {
    let world = World::empty();
    fs::create_dir_all(world.path("config/quickstart")).unwrap();
    for name in ["dewpoint.yaml", "inventory.json"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart").join(name);
        fs::copy(from, world.path("config/quickstart").join(name)).unwrap();
    }
    world
}

fn inventory() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart/inventory.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn run(world: &World, args: &[&str]) -> Ran {
    let mut all = args.to_vec();
    all.extend(["-c", CONFIG]);
    let ran = world.run(&all);
    assert_eq!(ran.code, 0, "{args:?}\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
    ran
}

/// The lines of README's shell blocks, without comments.
fn readme_lines() -> Vec<String> {
    let mut lines = Vec::new();
    let mut in_shell = false;
    for line in README.lines() {
        match line {
            "```sh" => in_shell = true,
            "```" => in_shell = false,
            line if in_shell => lines.push(line.split(" #").next().unwrap().trim().to_owned()),
            _ => {}
        }
    }
    lines
}

#[test]
fn the_commands_of_readme_work() {
    let world = clone();
    let mut ran = 0;
    for line in readme_lines() {
        if let Some(args) = line.strip_prefix("cargo run --release -- ") {
            let args: Vec<&str> = args.split_whitespace().collect();
            assert!(args.contains(&CONFIG), "{line}: only the quick start can be run here");
            let first = world.run(&args);
            assert_eq!(first.code, 0, "{line}\n{}\n{}", first.out, first.err);
            assert!(first.out.contains("target    cmdb: 263 create"), "{}", first.out);
            ran += 1;
        } else if let Some(args) = line.strip_prefix("dewpoint ") {
            run(&world, &args.split_whitespace().collect::<Vec<_>>());
            ran += 1;
        } else if let Some(query) = line.strip_prefix(&format!("sqlite3 {CMDB} ")) {
            assert!(!world.query(CMDB, query.trim_matches(['\'', '"'])).is_empty(), "{line}");
            ran += 1;
        }
    }
    assert!(ran >= 6, "README has lost its commands");
}

/// What the sample inventory should become, counted from the file itself: every resource but the machines that had ended before
/// anyone saw them and what ends with such a machine, and one service for each name in the tags.
fn expected() -> BTreeMap<String, u64> {
    let inventory = inventory();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut services = BTreeSet::new();
    for resource in inventory["resources"].as_array().unwrap() {
        let kind = resource["kind"].as_str().unwrap();
        let is_ended = kind == "instance" && resource["state"] == "terminated";
        if !is_ended {
            *counts.entry(kind.to_owned()).or_default() += 1;
            let tag = ["service", "application"].into_iter().find_map(|name| resource["tags"][name].as_str());
            services.extend(tag.filter(|_| kind != "account").map(|name| name.trim().to_lowercase()));
        }
    }
    counts.insert("service".to_owned(), services.len() as u64);
    counts
}

fn classes(world: &World) -> BTreeMap<String, u64> {
    let rows = world.query(CMDB, "SELECT class, count(*) FROM ci WHERE retired = 0 GROUP BY class");
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

#[test]
fn the_first_sync_fills_the_cmdb_as_the_inventory_has_it() {
    let world = clone();
    run(&world, &["sync"]);
    assert_eq!(classes(&world), expected());

    let inventory = inventory();
    let recorded: BTreeSet<String> = world.query(CMDB, "SELECT key FROM ci").into_iter().map(|mut row| row.remove(0)).collect();
    let listed = inventory["relations"].as_array().unwrap().iter().map(|edge| {
        let text = |name: &str| edge[name].as_str().unwrap().to_owned();
        (text("from"), text("type"), text("to"))
    });
    let listed: BTreeSet<_> = listed.filter(|(from, _, to)| recorded.contains(from) && recorded.contains(to)).collect();
    let rows = world.query(CMDB, "SELECT from_key, type, to_key FROM ci_relation WHERE type != 'depends_on'");
    let found: BTreeSet<_> = rows.iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
    assert_eq!(found.len(), rows.len(), "no edge twice");
    assert_eq!(found, listed);
    let services = world.query(CMDB, "SELECT count(*) FROM ci_relation WHERE type = 'depends_on' AND from_key LIKE 'service:%'");
    assert_ne!(services, [["0"]]);
}

#[test]
fn a_second_run_has_nothing_to_do_and_writes_nothing() {
    let world = clone();
    run(&world, &["sync"]);
    let history = |world: &World| world.query(CMDB, "SELECT * FROM ci_history ORDER BY id");
    let journal = |world: &World| world.query(LEDGER, "SELECT count(*), max(rowid) FROM journal");
    let (cmdb, told, noted) = (fs::read(world.path(CMDB)).unwrap(), history(&world), journal(&world));

    let second = run(&world, &["sync"]);
    assert!(second.out.contains("target    cmdb: nothing to do; 263 records\n"), "{}", second.out);
    assert!(second.err.contains("cmdb: nothing to do; 263 records afterwards"), "{}", second.err);
    let third = run(&world, &["sync", "--output", "json"]).document();
    assert_eq!(third["outcome"], "done");
    assert_eq!(third["counts"]["cmdb"], serde_json::json!({}));
    let calls = third["calls"]["cmdb"].as_object().cloned().unwrap_or_default();
    assert!(calls.keys().all(|operation| operation != "apply"), "{calls:?}");

    assert!(fs::read(world.path(CMDB)).unwrap() == cmdb, "the CMDB's file was written to");
    assert_eq!(history(&world), told);
    assert_eq!(journal(&world), noted);
}

#[test]
fn a_plan_before_the_first_sync_writes_nothing() {
    let world = clone();
    let files = |world: &World| {
        let mut names: Vec<_> = fs::read_dir(world.path("config/quickstart")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files(&world);
    let plan = run(&world, &["plan"]);
    assert!(plan.out.starts_with("cmdb: 263 create, "), "{}", plan.out);
    let document = run(&world, &["plan", "--output", "json"]).document();
    assert_eq!(document["forecast"]["cmdb"], 263);
    assert_eq!(files(&world), before);

    // What it said is what the sync then does.
    let sync = run(&world, &["sync", "--output", "json"]).document();
    let created = document["changes"].as_array().unwrap().iter().filter(|change| change["change"] == "create").count();
    assert_eq!(sync["counts"]["cmdb"]["create"], created);
    let plan = run(&world, &["plan", "--exit-code"]);
    assert_eq!(plan.out, "cmdb: nothing to do; 263 records afterwards\n");
}

mod views {
    //! The promise in `src/target/local/mod.rs`, which is where people look a column up.

    use super::{CMDB, LEDGER, clone, inventory, run};

    const PROMISE: &str = include_str!("../../src/target/local/mod.rs");

    const COLUMNS: [(&str, &str); 4] = [
        (
            "ci",
            "id key class kind provider account region native_id name state stage environment service owner support_group cost_center \
             created_at retired recorded_at updated_at delivered_at estate",
        ),
        ("ci_attribute", "ci_id key name value"),
        ("ci_relation", "from_id from_key type to_id to_key attributes"),
        ("ci_history", "id at ci_id key change fields relation_type to_id to_key"),
    ];

    #[test]
    fn they_have_the_columns_that_are_promised() {
        let world = clone();
        run(&world, &["sync"]);
        for (view, columns) in COLUMNS {
            let columns: Vec<&str> = columns.split_whitespace().collect();
            let rows = world.query(CMDB, &format!("SELECT name FROM pragma_table_info('{view}') ORDER BY cid"));
            assert_eq!(rows.concat(), columns, "{view}");
            assert!(columns.iter().all(|column| PROMISE.contains(&format!("`{column}`"))), "a column of {view} is not documented");
        }
        // A view of SQLite can be written to only through triggers.
        assert_eq!(world.query(CMDB, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'ci%'"), [["0"]]);
    }

    #[test]
    fn they_show_what_was_delivered() {
        let world = clone();
        run(&world, &["sync"]);
        let inventory = inventory();
        let web = inventory["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == "shop-web-1").unwrap();
        let key = web["key"].as_str().unwrap();
        let one = |sql: &str| world.query(CMDB, &sql.replace("KEY", key)).remove(0);

        let ci = one(
            "SELECT class, kind, provider, account, region, native_id, name, state, stage, owner, cost_center, environment, created_at, \
                      retired, recorded_at GLOB '????-??-??T??:??:??Z' FROM ci WHERE key = 'KEY'",
        );
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let want = [
            "instance".to_owned(),
            "instance".to_owned(),
            "aws".to_owned(),
            text(&web["account"]),
            text(&web["region"]),
            text(&web["native_id"]),
            "shop-web-1".to_owned(),
            "running".to_owned(),
            "active".to_owned(),
            text(&web["tags"]["owner"]),
            text(&web["tags"]["cost-center"]),
            "production".to_owned(),
            text(&web["created_at"]),
            "0".to_owned(),
            "1".to_owned(),
        ];
        assert_eq!(ci, want);
        assert_eq!(one("SELECT value FROM ci_attribute WHERE key = 'KEY' AND name = 'size'"), [text(&web["attributes"]["size"])]);
        let tags = one("SELECT value FROM ci_attribute WHERE key = 'KEY' AND name = 'tags'").remove(0);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&tags).unwrap(), web["tags"]);
        assert_eq!(one("SELECT count(*) FROM ci_attribute WHERE value IS NULL"), ["0"]);
        let estate = world.query(LEDGER, "SELECT estate FROM meta").remove(0);
        assert_eq!(one("SELECT DISTINCT estate FROM ci"), estate);

        let ends = "SELECT count(*) FROM ci_relation r WHERE NOT EXISTS (SELECT 1 FROM ci WHERE id = r.from_id AND key = r.from_key) \
                    OR NOT EXISTS (SELECT 1 FROM ci WHERE id = r.to_id AND key = r.to_key) OR NOT json_valid(r.attributes)";
        assert_eq!(one(ends), ["0"]);
        let pool = one("SELECT json_extract(attributes, '$.port') FROM ci_relation WHERE type = 'routes_to' AND to_key = 'KEY'");
        assert_ne!(pool, ["null"]);

        let history = one("SELECT change, json_extract(fields, '$.name.to'), ci_id = (SELECT id FROM ci WHERE key = 'KEY') \
                           FROM ci_history WHERE key = 'KEY' AND change = 'create'");
        assert_eq!(history, ["create", "shop-web-1", "1"]);
        let related = one("SELECT count(*) FROM ci_history WHERE change = 'relate' AND (relation_type IS NULL OR to_key IS NULL)");
        assert_eq!(related, ["0"]);
    }

    #[test]
    fn peoples_own_records_stay_as_they_are() {
        let world = clone();
        run(&world, &["sync"]);
        // Word by word from the documentation.
        let insert = PROMISE.split('`').find(|text| text.starts_with("INSERT INTO record")).unwrap();
        world.query(CMDB, insert);
        let stranger = |world: &crate::support::World| {
            world.query(CMDB, "SELECT id, key, class, native_id, stage, estate, updated_at, retired FROM ci WHERE estate IS NULL")
        };
        let before = stranger(&world);
        assert_eq!((before.len(), before[0][1].as_str(), before[0][3].as_str()), (1, "null", "i-1"));
        run(&world, &["sync"]);
        assert_eq!(stranger(&world), before);
    }
}
