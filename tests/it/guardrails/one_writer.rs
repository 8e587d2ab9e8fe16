//! Guardrail 7: one writer per target.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{at, live};
use crate::support::{Inventory, Ran, World};

#[test]
fn two_syncs_at_once_write_every_record_once() {
    let world = World::new("");
    world.put(&Inventory::new().instances(300));
    let start = || world.command(&["sync", "-q", "--at", &at(1, 0)]).spawn().unwrap();
    let mut running: Vec<_> = (0..4).map(|_| start()).collect();
    for child in &mut running {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    assert_eq!(live(&world), 300);
    assert_eq!(world.count("SELECT count(*) FROM ci_history WHERE change = 'create'"), 300);
    assert_eq!(World::counts(&world.sync_at(&at(1, 1), 0)), []);
}

/// A lease of somebody else, held until then.
fn lease(world: &World, target: &str, until: &str) {
    world.query(
        "dewpoint.db",
        &format!("INSERT OR REPLACE INTO lease (target, token, holder, expires) VALUES ('{target}', 1000, 'another host', CAST(strftime('%s', '{until}') AS INTEGER) * 1000000)"),
    );
}

#[test]
fn a_lease_of_one_that_is_gone_is_waited_for_at_most_its_time() {
    let world = World::new("");
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(3));
    // It ended a moment ago.
    lease(&world, "cmdb", "now");
    world.sync_at(&at(1, 1), 0);
    assert_eq!(live(&world), 3);
}

#[test]
fn a_sync_that_waits_for_a_lease_can_be_interrupted() {
    let world = World::new("");
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    lease(&world, "cmdb", "2199-01-01");
    let began = Instant::now();
    let child = world.command(&["sync", "--at", &at(1, 1)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It waits once its run is noted and the estate is its own.
    let waits = "SELECT count(*) FROM lease WHERE target = '*estate*' AND expires > 0";
    while world.query("dewpoint.db", waits)[0][0] == "0" {
        assert!(began.elapsed().as_secs() < 20, "it never began");
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert!(began.elapsed().as_secs() < 25, "{:?}", began.elapsed());
}

#[test]
fn a_target_that_another_serves_ends_as_partly_done_after_one_lease() {
    let world = World::empty();
    world.write("dewpoint.yaml", &format!("{}  - {{ name: other, kind: local, path: other.db }}\n", crate::support::CONFIG));
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(3));
    // One target's holder was killed while its clock ran ahead; that of the other is at work, and renews its lease.
    lease(&world, "cmdb", "2199-01-01");
    lease(&world, "other", "now', '+20 seconds");
    let began = Instant::now();
    let mut sync =
        world.command(&["sync", "--at", &at(1, 1), "--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while sync.try_wait().unwrap().is_none() {
        lease(&world, "other", "now', '+20 seconds");
        std::thread::sleep(Duration::from_secs(1));
    }
    let ran = Ran::of(&sync.wait_with_output().unwrap());
    assert!(began.elapsed().as_secs() < 50, "{:?}", began.elapsed());
    assert_eq!(ran.code, 3);
    assert!(ran.document()["problems"].to_string().contains("another host"), "{}", ran.out);
    assert_eq!(live(&world), 3, "nobody had renewed the first lease for all that time");
    assert_eq!(world.query("other.db", "SELECT count(*) FROM ci"), [["2"]]);
    // The lease that was taken over does not last as long as the clock that ran ahead.
    world.put(&Inventory::new().instances(4));
    lease(&world, "other", "now");
    world.sync_at(&at(1, 2), 0);
    assert_eq!(live(&world), 4);
}

#[test]
fn what_people_say_of_scopes_waits_for_the_estate() {
    let world = World::new("");
    let gap = Inventory::new().instances(2).scope("volume", "denied");
    world.put(&gap);
    world.sync_at(&at(1, 0), 3);
    for args in [&["coverage", "accept"][..], &["coverage", "accept", "--undo"], &["scopes", "retire", "--account", "1"]] {
        // Somebody's sync, which ends without giving it back.
        lease(&world, "*estate*", "now', '+2 seconds");
        let began = Instant::now();
        let ran = world.run(args);
        assert!(began.elapsed() > Duration::from_millis(900), "{args:?} did not wait: {:?}", began.elapsed());
        assert_eq!(ran.code, if args[0] == "scopes" { 2 } else { 0 }, "{}", ran.err);
    }
    let began = Instant::now();
    world.sync_at(&at(1, 1), 3);
    assert!(began.elapsed() < Duration::from_secs(20), "the estate was given back");
}

#[test]
fn a_record_of_another_estate_stops_the_target() {
    let world = World::new("");
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    let key = crate::support::inventory::instance_key("i-new");
    super::cmdb(
        &world,
        &format!(
            "INSERT INTO record (external_id, estate, class, fields) VALUES ('{key}', 'somebody else', 'instance', '{{\"native_id\": \"i-new\"}}')"
        ),
    );
    world.put(&Inventory::new().instances(3).instance("i-new", json!({})));
    let document = world.sync_at(&at(1, 1), 2);
    assert_eq!(live(&world), 3, "nothing was sent: {document:#}");
    assert!(document["problems"].to_string().contains("another ledger"), "{document:#}");
    // Also where nothing stands in the way: the next full read finds it.
    super::cmdb(
        &world,
        "UPDATE record SET external_id = 'aws:arn:aws:ec2:eu-west-1:123456789012:instance/elsewhere' WHERE estate = 'somebody else'",
    );
    world.sync_at(&at(3, 0), 2);
    super::cmdb(&world, "DELETE FROM record WHERE estate = 'somebody else'");
    world.sync_at(&at(3, 1), 0);
    assert_eq!(live(&world), 4);
}

#[test]
fn no_lease_outlives_its_sync() {
    let world = World::new("");
    world.put(&Inventory::new().instances(2));
    world.sync_at(&at(1, 0), 0);
    world.write("inventory.json", "no inventory");
    world.sync_at(&at(1, 1), 1);
    let held = world.query("dewpoint.db", "SELECT target FROM lease WHERE expires > CAST(strftime('%s', 'now') AS INTEGER) * 1000000");
    assert_eq!(held, Vec::<Vec<String>>::new());
}
