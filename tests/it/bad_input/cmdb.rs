//! The `local` target's file: deleted, swapped, damaged, without leave to write.

use serde_json::Value;

use super::{LATER, files, mode, records, recovers, refused, synced, unprivileged};
use crate::support::World;

#[test]
fn deleted() {
    let world = synced();
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    let said = ["it is gone or empty, and records were delivered to it", "`dewpoint target recover cmdb`"];
    for args in [&["sync", "--at", LATER][..], &["plan", "--at", LATER]] {
        refused(&world, args, 2, &said);
    }
    assert!(!world.path("cmdb.db").exists(), "none is made in its place unasked");
    refused(&world, &["doctor"], 1, &said);
    let recovered = world.json(&["target", "recover", "cmdb"], 0);
    assert_eq!(World::counts(&recovered), [("create".to_owned(), 10)], "{recovered:#}");
    let real_now = world.json(&["sync"], 0);
    assert_eq!(World::counts(&real_now), []);
    assert_eq!(records(&world).len(), 10);
}

#[test]
fn put_back() {
    let world = synced();
    std::fs::rename(world.path("cmdb.db"), world.path("away.db")).unwrap();
    refused(&world, &["sync", "--at", LATER], 2, &["it is gone or empty"]);
    std::fs::rename(world.path("away.db"), world.path("cmdb.db")).unwrap();
    recovers(&world);
}

#[test]
fn swapped_for_another() {
    let (world, other) = (synced(), synced());
    std::fs::rename(world.path("cmdb.db"), world.path("away.db")).unwrap();
    std::fs::copy(other.path("cmdb.db"), world.path("cmdb.db")).unwrap();
    let before = std::fs::read(world.path("cmdb.db")).unwrap();
    let said = ["is not the CMDB that the ledger knows under this name", "`dewpoint target recover cmdb`"];
    for args in [&["sync", "--at", LATER][..], &["plan", "--at", LATER]] {
        refused(&world, args, 2, &said);
    }
    refused(&world, &["doctor"], 1, &["this is not the CMDB that the ledger knows"]);
    refused(&world, &["target", "rebind", "cmdb"], 2, &["is another CMDB than the one that the ledger knows"]);
    // It holds the records of another estate: even recovery does not write there.
    refused(&world, &["target", "recover", "cmdb"], 2, &["holds records of another ledger"]);
    assert_eq!(std::fs::read(world.path("cmdb.db")).unwrap(), before);

    std::fs::rename(world.path("away.db"), world.path("cmdb.db")).unwrap();
    let sync = world.run(&["sync"]);
    assert_eq!(sync.code, 0, "{}{}", sync.out, sync.err);
    assert_eq!(records(&world).len(), 10);
    assert_eq!(World::counts(&world.json(&["sync"], 0)), []);
}

#[test]
fn not_a_cmdb() {
    for (bytes, words) in [(b"not a database at all\n".repeat(40), "no SQLite database"), (Vec::new(), "it is gone or empty")] {
        let world = synced();
        std::fs::rename(world.path("cmdb.db"), world.path("away.db")).unwrap();
        std::fs::write(world.path("cmdb.db"), &bytes).unwrap();
        refused(&world, &["sync", "--at", LATER], 2, &[words, "hint: "]);
        assert_eq!(std::fs::read(world.path("cmdb.db")).unwrap(), bytes);
        std::fs::rename(world.path("away.db"), world.path("cmdb.db")).unwrap();
        recovers(&world);
    }
    let world = synced();
    std::fs::rename(world.path("cmdb.db"), world.path("away.db")).unwrap();
    world.json(&["ledger", "backup", "cmdb.db"], 0);
    let before = std::fs::read(world.path("cmdb.db")).unwrap();
    refused(&world, &["sync", "--at", LATER], 2, &["cmdb.db", "hint: "]);
    assert_eq!(std::fs::read(world.path("cmdb.db")).unwrap(), before, "another program's database is left as it is");
    std::fs::rename(world.path("away.db"), world.path("cmdb.db")).unwrap();
    recovers(&world);
}

#[test]
fn read_only() {
    let world = synced();
    world.query("dewpoint.db", "PRAGMA wal_checkpoint(TRUNCATE)");
    mode(&world, "cmdb.db", 0o444);
    for name in ["dewpoint.db", "dewpoint.db-wal", "dewpoint.db-shm"] {
        if world.path(name).exists() {
            mode(&world, name, 0o666);
        }
    }
    mode(&world, "", 0o777);
    let before = records(&world);
    let ran = unprivileged_in(&world, &["sync", "--at", LATER, "--output", "json"]);
    assert_ne!(ran.code, 0);
    let problem: &Value = &ran.document()["problems"][0].clone();
    assert_eq!(problem["subject"], "cmdb", "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("let the user that runs Dewpoint write"), "{problem}");
    assert_eq!(records(&world), before);
    mode(&world, "cmdb.db", 0o644);
    recovers(&world);
    assert!(files(&world).contains_key("cmdb.db"));
}

/// [`unprivileged`], in a folder that anyone may write.
fn unprivileged_in(world: &World, args: &[&str]) -> crate::support::Ran {
    let ran = unprivileged(world, args);
    mode(world, "", 0o700);
    ran
}
