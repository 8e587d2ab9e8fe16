//! Input that is wrong, and places that are: each with a clear message and the right exit code, nothing lost, nothing half written.
//!
//! Every case ends the same way: the mistake is mended, the next sync completes, and one more has nothing to do.

mod cmdb;
mod configuration;
mod inventory;
mod ledger;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use crate::support::{Inventory, Ran, World};

const LATER: &str = "2026-02-01T01:00:00Z";
const STILL_LATER: &str = "2026-02-01T02:00:00Z";

/// Eight machines and a group.
fn estate() -> Inventory {
    Inventory::new().group("sg-1", json!({})).instances(8)
}

/// A world after its first sync, with one more machine waiting for the second.
fn synced() -> World {
    let world = World::new("");
    world.put(&estate());
    world.sync_at("2026-02-01T00:00:00Z", 0);
    world.put(&changed());
    world
}

fn changed() -> Inventory {
    estate().instance("i-new", json!({}))
}

/// What the CMDB shows.
fn records(world: &World) -> Vec<Vec<String>> {
    world.query("cmdb.db", "SELECT key, stage, retired FROM ci ORDER BY key")
}

/// Files of a world, with their bytes; SQLite's companions apart, which come and go.
fn files(world: &World) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

/// The mistake is mended: the next sync does what it should have done, and the one after that finds nothing to do.
#[track_caller]
fn recovers(world: &World) {
    let sync = world.sync_at(LATER, 0);
    assert_eq!(World::counts(&sync), [("create".to_owned(), 1)], "{sync:#}");
    stands(world);
}

/// Everything is there once, and a further sync has nothing to do.
#[track_caller]
fn stands(world: &World) {
    assert_eq!(World::counts(&world.sync_at(STILL_LATER, 0)), []);
    let records = records(world);
    assert_eq!((records.len(), records.iter().filter(|row| row[1] == "active" && row[2] == "0").count()), (10, 10), "{records:?}");
    let findings = world.json(&["ledger", "check"], 0);
    assert!(findings["findings"].as_array().unwrap().iter().all(|finding| finding["outcome"] == "ok"), "{findings:#}");
}

/// Runs it, expects this exit code and these words on standard error, in text and as a document.
#[track_caller]
fn refused(world: &World, args: &[&str], code: i32, words: &[&str]) -> Ran {
    let ran = world.run(args);
    assert_eq!(ran.code, code, "{args:?}\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
    let said = format!("{}{}", ran.err, ran.out);
    for word in words {
        assert!(said.contains(word), "`{word}` is not said by {args:?}:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    ran
}

/// The program as a user who may not do everything: the superuser runs it as nobody, everyone else as themselves.
fn unprivileged(world: &World, args: &[&str]) -> Ran {
    let is_root = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap() == 0;
    if !is_root {
        return world.run(args);
    }
    let program = world.path("dewpoint");
    std::fs::copy(env!("CARGO_BIN_EXE_dewpoint"), &program).unwrap();
    let own = std::fs::metadata(world.path("")).unwrap().permissions().mode();
    mode(world, "", own | 0o055);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(args);
    command.current_dir(world.path("")).env("NO_COLOR", "1").env_remove("DEWPOINT_CONFIG").env_remove("RUST_LOG");
    let ran = Ran::of(&command.output().unwrap());
    std::fs::remove_file(program).unwrap();
    ran
}

fn mode(world: &World, name: &str, mode: u32) {
    std::fs::set_permissions(world.path(name), PermissionsExt::from_mode(mode)).unwrap();
}
