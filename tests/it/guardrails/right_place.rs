//! Guardrail 8: the CMDB under an address is the one that the ledger knows.

use super::{at, live};
use crate::support::{Inventory, World};

fn world() -> World {
    let world = World::new("");
    world.put(&Inventory::new().instances(3));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(4));
    world
}

fn move_to(world: &World, path: &str) {
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: cmdb.db }", &format!("path: {path} }}")));
}

#[test]
fn the_same_cmdb_under_another_address_is_refused_until_it_is_rebound() {
    let world = world();
    std::fs::rename(world.path("cmdb.db"), world.path("moved.db")).unwrap();
    move_to(&world, "moved.db");
    let document = world.sync_at(&at(1, 1), 2);
    assert!(document["problems"].to_string().contains("dewpoint target rebind cmdb"), "{document:#}");
    assert_eq!(world.query("moved.db", "SELECT count(*) FROM ci"), [["3"]]);
    assert_eq!(world.json(&["plan", "--at", &at(1, 1)], 2)["changes"], serde_json::json!([]));
    world.json(&["target", "rebind", "cmdb"], 0);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.query("moved.db", "SELECT count(*) FROM ci"), [["4"]]);
}

#[test]
fn a_copy_under_another_address_is_refused_until_someone_decides() {
    let world = world();
    std::fs::copy(world.path("cmdb.db"), world.path("copy.db")).unwrap();
    move_to(&world, "copy.db");
    let document = world.sync_at(&at(1, 1), 2);
    assert!(document["problems"].to_string().contains("dewpoint target recover cmdb"), "{document:#}");
    assert_eq!(world.query("copy.db", "SELECT count(*) FROM ci"), [["3"]]);
    assert_eq!(live(&world), 3);
}

#[test]
fn another_cmdb_under_the_address_is_refused_until_it_is_recovered() {
    let world = world();
    let other = World::new("");
    other.put(&Inventory::new());
    other.sync_at(&at(1, 0), 0);
    std::fs::copy(other.path("cmdb.db"), world.path("cmdb.db")).unwrap();
    let document = world.sync_at(&at(1, 1), 2);
    assert!(document["problems"].to_string().contains("dewpoint target recover cmdb"), "{document:#}");
    assert_eq!(live(&world), 0);
    assert_eq!(world.run(&["target", "rebind", "cmdb"]).code, 2, "it is not the same CMDB");
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 0);
    assert_eq!(live(&world), 4);
}

#[test]
fn a_source_and_its_receipts_do_not_change_with_the_target() {
    let world = world();
    move_to(&world, "new.db");
    // An address where nothing is yet is no fresh start: the ledger knows another place under this name.
    let document = world.sync_at(&at(1, 1), 2);
    assert!(!world.path("new.db").exists(), "{document:#}");
}

#[test]
fn a_recovery_that_failed_leaves_the_next_sync_as_careful_as_before() {
    let world = world();
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.path(&format!("cmdb.db{end}")));
    }
    // Another program's database.
    std::fs::copy(world.path("dewpoint.db"), world.path("cmdb.db")).unwrap();
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 2);
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    world.sync_at(&at(1, 1), 2);
    assert!(!world.path("cmdb.db").exists(), "no CMDB is made in the place of one that is gone");
    // Asked for again, it is.
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 0);
    assert_eq!(live(&world), 4);
}
