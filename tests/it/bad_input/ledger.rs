//! The ledger: newer, locked, read-only, without room, another program's.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use super::{LATER, files, mode, records, recovers, refused, stands, synced, unprivileged};
use crate::support::{Ran, World};

#[test]
fn from_a_newer_version() {
    let world = synced();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9000, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    world.query("dewpoint.db", newer);
    let before = files(&world);
    for args in [&["sync"][..], &["plan"], &["list"], &["ledger", "prune"]] {
        refused(&world, args, 1, &["was written by a newer Dewpoint", "hint: use the Dewpoint that wrote it"]);
    }
    assert_eq!(files(&world), before);
    world.query("dewpoint.db", "DELETE FROM _sqlx_migrations WHERE version = 9000");
    recovers(&world);
}

#[test]
fn not_a_database_or_another_programs() {
    for make in [(|world: &World| world.write("dewpoint.db", &"not a database at all\n".repeat(40))) as fn(&World), |world| {
        std::fs::remove_file(world.path("dewpoint.db")).unwrap();
        let _ = std::fs::remove_file(world.path("dewpoint.db-wal"));
        std::fs::copy(world.path("cmdb.db"), world.path("dewpoint.db")).unwrap();
    }] {
        let world = synced();
        world.json(&["ledger", "backup", "copy.db"], 0);
        make(&world);
        let before = files(&world);
        for args in [&["sync"][..], &["plan"], &["show", "i-0000"]] {
            refused(&world, args, 1, &["is no usable ledger", "hint: "]);
        }
        assert_eq!(files(&world), before, "what is not ours is left as it is");
        std::fs::rename(world.path("copy.db"), world.path("dewpoint.db")).unwrap();
        recovers(&world);
    }
}

#[test]
fn locked() {
    let world = synced();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = SqliteConnectOptions::new().filename(world.path("dewpoint.db"));
    let mut lock = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
    runtime.block_on(lock.execute("BEGIN IMMEDIATE")).unwrap();
    let before = records(&world);
    refused(&world, &["sync"], 1, &["is locked by another process", "hint: "]);
    // Reading goes on beside a writer.
    refused(&world, &["list"], 0, &["i-0000"]);
    refused(&world, &["plan", "--at", LATER], 0, &["1 create"]);
    assert_eq!(records(&world), before);
    runtime.block_on(lock.execute("ROLLBACK")).unwrap();
    runtime.block_on(lock.close()).unwrap();
    recovers(&world);
}

#[test]
fn read_only() {
    let world = synced();
    world.query("dewpoint.db", "PRAGMA wal_checkpoint(TRUNCATE)");
    let before = files(&world);
    mode(&world, "dewpoint.db", 0o444);
    mode(&world, "", 0o555);
    let ran = unprivileged(&world, &["sync"]);
    mode(&world, "", 0o755);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(
        ran.err.contains("error: the ledger ") && ran.err.contains("hint: give the user that runs Dewpoint leave to write"),
        "{}",
        ran.err
    );
    let list = unprivileged(&world, &["list"]);
    assert_eq!(list.code, 0, "{}", list.err);
    assert_eq!(files(&world), before);
    // In a folder that can be written, SQLite would leave companions as unwritable as the file: they outlast the mending.
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("dewpoint.db{end}")));
    }
    mode(&world, "", 0o777);
    for (args, code) in [(&["list"][..], 0), (&["sync"], 1)] {
        let ran = unprivileged(&world, args);
        assert_eq!(ran.code, code, "{}", ran.err);
        let companions: Vec<&str> = ["dewpoint.db-wal", "dewpoint.db-shm"].into_iter().filter(|name| world.path(name).exists()).collect();
        assert_eq!(companions, Vec::<&str>::new(), "{args:?}");
    }
    mode(&world, "", 0o755);
    mode(&world, "dewpoint.db", 0o600);
    recovers(&world);
}

#[test]
fn in_a_folder_that_is_not_there() {
    let world = synced();
    let there = std::fs::read_to_string(world.path("dewpoint.yaml")).unwrap();
    world.write("dewpoint.yaml", &there.replace("sqlite://dewpoint.db", "sqlite://no/such/dewpoint.db"));
    refused(&world, &["sync"], 1, &["no/such/dewpoint.db", "hint: "]);
    assert!(!world.path("no").exists());
    world.write("dewpoint.yaml", &there);
    recovers(&world);
}

/// The program under a limit on the size of files, in KiB, which is what a full disk looks like to it.
fn limited(world: &World, kib: u32, args: &[&str]) -> Ran {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &format!("ulimit -f {kib}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_dewpoint")]).args(args);
    command.current_dir(world.path("")).env("NO_COLOR", "1").env_remove("DEWPOINT_CONFIG").env_remove("RUST_LOG");
    Ran::of(&command.output().unwrap())
}

/// On a full disk even the lease cannot be given back. It ends by itself after half a minute, which this stands for.
fn wait_for_the_lease(world: &World) {
    world.query("dewpoint.db", "DELETE FROM lease");
}

#[test]
fn on_a_full_disk_from_the_start() {
    let world = World::new("");
    world.put(&super::changed());
    let before = files(&world);
    let ran = limited(&world, 8, &["sync", "--at", LATER]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("no room left for the ledger") && ran.err.contains("hint: make room"), "{}", ran.err);
    assert_eq!(files(&world), before, "nothing half made is left");
    world.sync_at(LATER, 0);
    stands(&world);
}

/// However far a sync gets before the disk is full, the next one completes it.
#[test]
fn on_a_disk_that_becomes_full() {
    let machines = || crate::support::Inventory::new().instances(400);
    let mut reached = std::collections::BTreeSet::new();
    for kib in [200, 400, 600] {
        let world = World::new("");
        world.put(&machines());
        let ran = limited(&world, kib, &["sync", "--at", LATER, "--output", "json"]);
        let document = ran.document();
        let text = document["error"]["text"].as_str().unwrap();
        assert!(ran.code == 1 && text.contains("no room left for the ledger"), "{kib} KiB: {document:#}");
        let arrived = if world.path("cmdb.db").exists() { world.count("SELECT count(*) FROM ci") } else { 0 };
        reached.insert(arrived);
        wait_for_the_lease(&world);
        let sync = world.sync_at("2026-02-01T01:30:00Z", 0);
        let created = World::counts(&sync).into_iter().find(|(name, _)| name == "create").map_or(0, |(_, n)| n);
        assert_eq!(arrived + created, 400, "{arrived} and {created}");
        assert_eq!(world.count("SELECT count(*) FROM ci"), 400, "no record twice");
        assert_eq!(World::counts(&world.sync_at("2026-02-01T02:00:00Z", 0)), []);
        world.json(&["ledger", "check"], 0);
    }
    assert!(reached.first().is_some_and(|arrived| *arrived < 400), "no limit was small enough: {reached:?}");
}
