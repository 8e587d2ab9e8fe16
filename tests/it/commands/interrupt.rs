//! Ctrl-C: the change in hand is finished and recorded, and the next sync goes on from there.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::support::{CONFIG, Inventory, Ran, World};

/// A CMDB that takes one change at a time.
fn one_by_one() -> World {
    let world = World::empty();
    let target = "  - { name: cmdb, kind: local, path: cmdb.db, batch_size: 1 }\n";
    world.write("dewpoint.yaml", &CONFIG.replace("  - { name: cmdb, kind: local, path: cmdb.db }\n", target));
    world
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Starts a sync that changes ten records, stops it with a signal while its first change waits for the CMDB's lock, and gives what it
/// said. The lock and the program's own words are the synchronisation.
fn interrupted(world: &World, name: &str) -> Ran {
    world.put(&Inventory::new().instances(10));
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.put(
        &(0..10).fold(Inventory::new(), |inventory, n| {
            inventory.instance(&format!("i-{n:04}"), json!({ "attributes": { "size": "t3.large" } }))
        }),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = SqliteConnectOptions::new().filename(world.path("cmdb.db"));
    let mut lock = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
    runtime.block_on(lock.execute("BEGIN IMMEDIATE")).unwrap();

    let mut command = world.command(&["sync", "--at", "2026-02-01T01:00:00Z", "--output", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while world.query("dewpoint.db", "SELECT count(*) FROM in_flight") == [["0"]] {
        assert!(child.try_wait().unwrap().is_none(), "the sync ended without sending anything");
        std::thread::yield_now();
    }
    signal(&child, name);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("Stopping after the change in hand") {
        assert_ne!(err.read_line(&mut told).unwrap(), 0, "it ended without a word: {told}");
    }
    runtime.block_on(lock.execute("ROLLBACK")).unwrap();
    let output = child.wait_with_output().unwrap();
    err.read_to_string(&mut told).unwrap();
    let mut ran = Ran::of(&output);
    ran.err = told;
    ran
}

fn larger(world: &World) -> u64 {
    world.count("SELECT count(*) FROM ci_attribute WHERE name = 'size' AND value = 't3.large'")
}

#[test]
fn an_interrupted_sync_finishes_the_change_in_hand_and_the_next_one_the_rest() {
    for name in ["INT", "TERM"] {
        let world = one_by_one();
        let ran = interrupted(&world, name);
        assert_eq!(ran.code, 130, "{}\n{}", ran.out, ran.err);
        let document = ran.document();
        assert_eq!(document["outcome"], "interrupted");
        assert_eq!(World::counts(&document), [("update".to_owned(), 1)]);
        assert_eq!(document["waiting"]["cmdb"], 9);
        let hint = document["problems"][0]["hint"].as_str().unwrap();
        assert!(hint.contains("run `dewpoint sync` again"), "{hint}");
        assert_eq!(larger(&world), 1, "the change in hand arrived, and no other");
        assert_eq!(world.query("dewpoint.db", "SELECT count(*) FROM in_flight"), [["0"]], "and its answer was noted");
        assert_eq!(world.json(&["runs", "list"], 0)["runs"][0]["outcome"], "interrupted");

        // At once: the leases were given back.
        assert_eq!(World::counts(&world.sync_at("2026-02-01T01:00:01Z", 0)), [("update".to_owned(), 9)]);
        assert_eq!(larger(&world), 10);
        assert_eq!(World::counts(&world.sync_at("2026-02-01T01:00:02Z", 0)), []);
        assert_eq!(world.count("SELECT count(*) FROM ci_history WHERE change = 'update'"), 10);
    }
}
