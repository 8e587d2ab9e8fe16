//! Ledgers lost or put back, and targets that moved.

mod elsewhere;
mod moved;
mod old_copy;

use serde_json::json;

use crate::guardrails::{at, cmdb, field, guardrails, held, hold, live, retired, without};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Removes the ledger with everything beside it.
fn lose_ledger(world: &World) {
    for name in ["dewpoint.db", "dewpoint.db-wal", "dewpoint.db-shm"] {
        let _ = std::fs::remove_file(world.path(name));
    }
}

/// Puts a backup in the ledger's place.
pub(crate) fn restore(world: &World, backup: &str) {
    lose_ledger(world);
    std::fs::copy(world.path(backup), world.path("dewpoint.db")).unwrap();
}

fn full() -> Inventory {
    let group = key("security_group", "sg-1");
    (0..12).fold(Inventory::new().instances(12).group("sg-1", json!({})), |all, i| {
        all.relation("protected_by", &instance_key(&format!("i-{i:04}")), &group)
    })
}

/// Records without the times of their deliveries, and the edges.
fn content(world: &World) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    (
        world.query("cmdb.db", "SELECT id, external_id, estate, class, fields, retired FROM record ORDER BY id"),
        world.query("cmdb.db", "SELECT from_key, type, to_key, attributes FROM ci_relation ORDER BY 1, 2, 3"),
    )
}

#[test]
fn a_wiped_ledger_takes_the_cmdb_over() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    let before = content(&world);
    lose_ledger(&world);
    let document = world.sync_at(&at(1, 1), 0);
    assert!(document["remarks"].to_string().contains("recovered 13 records"), "{document:#}");
    assert_eq!(content(&world), before, "no duplicate, no other estate id");
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
    // From here on it is served as ever.
    world.put(&without(&full(), 0..2).instance("i-new", json!({})));
    world.sync_at(&at(2, 2), 0);
    world.sync_at(&at(3, 3), 0);
    assert_eq!((live(&world), retired(&world)), (12, 2));
    assert_eq!(world.query("cmdb.db", "SELECT count(DISTINCT estate) FROM record"), [["1"]]);
    assert_eq!(World::counts(&world.sync_at(&at(3, 4), 0)), []);
}

#[test]
fn a_plan_says_what_a_recovery_does_and_writes_nothing() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    lose_ledger(&world);
    let plan = world.json(&["plan", "--at", &at(1, 1)], 0);
    let changes: Vec<&str> = plan["changes"].as_array().unwrap().iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert!(changes.iter().all(|change| *change == "relate"), "{plan:#}");
    assert!(!world.path("dewpoint.db").exists());
}

#[test]
fn what_no_listing_shows_enters_as_missing_and_ends_by_the_usual_timers() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    lose_ledger(&world);
    world.put(&without(&full(), 0..2));
    world.sync_at(&at(5, 0), 0);
    assert_eq!((live(&world), retired(&world)), (13, 0));
    let missing = world.json(&["list", "--stage", "missing"], 0);
    assert_eq!(missing["cis"].as_array().unwrap().len(), 2);
    // Count 0, last seen at the recovery.
    world.sync_at(&at(5, 12), 0);
    world.sync_at(&at(5, 20), 0);
    assert_eq!((live(&world), retired(&world)), (13, 0));
    world.sync_at(&at(6, 0), 0);
    assert_eq!((live(&world), retired(&world)), (11, 2));
    assert_eq!(World::counts(&world.sync_at(&at(6, 1), 0)), []);
}

#[test]
fn what_was_retired_before_the_loss_stays_retired() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    let rest = without(&full(), 0..2).without(&["sg-1"]);
    world.put(&rest);
    world.sync_at(&at(2, 0), 0);
    world.sync_at(&at(3, 0), 0);
    assert_eq!(retired(&world), 3);
    let before = content(&world);
    lose_ledger(&world);
    world.sync_at(&at(3, 1), 0);
    assert_eq!(content(&world), before, "nothing is revived that nobody has seen");
    for day in 4..8 {
        assert_eq!(World::counts(&world.sync_at(&at(day, 0), 0)), [], "day {day}");
    }
    assert_eq!(retired(&world), 3);
    // Seen again, it is revived with its old record.
    world.put(&full());
    let document = world.sync_at(&at(9, 0), 0);
    assert_eq!(World::counts(&document).iter().find(|(name, _)| name == "revive"), Some(&("revive".to_owned(), 3)));
    assert_eq!((live(&world), retired(&world), world.count("SELECT count(*) FROM ci")), (13, 0, 13));
}

#[test]
fn a_ledger_ten_syncs_old_recovers_without_doubles_and_without_ends() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    // Since then: births, an end, changes, an edge less.
    let mut now = full();
    for i in 0..10_u32 {
        now = now.instance(&format!("i-new-{i}"), json!({ "attributes": { "size": format!("size {i}") } }));
        if i == 3 {
            now = now.without(&["i-0000"]);
        }
        world.put(&now);
        world.sync_at(&at(2 + i, 0), 0);
    }
    assert_eq!((live(&world), retired(&world)), (22, 1));
    let before = content(&world);
    restore(&world, "old.db");
    let document = world.sync_at(&at(12, 0), 0);
    assert!(document["remarks"].to_string().contains("recovered"), "{document:#}");
    assert_eq!(content(&world), before);
    assert_eq!(World::counts(&world.sync_at(&at(12, 1), 0)), []);
    assert_eq!(World::counts(&world.sync_at(&at(14, 1), 0)), []);
    assert_eq!(content(&world), before);
}

#[test]
fn an_old_ledger_retires_nothing_in_the_run_that_finds_out() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full(), 0..2));
    world.sync_at(&at(2, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    // They come back after the backup, and vanish again: the old copy's count of their absence is wrong.
    world.put(&full());
    world.sync_at(&at(3, 0), 0);
    world.put(&without(&full(), 0..2));
    restore(&world, "old.db");
    let document = world.sync_at(&at(4, 0), 0);
    assert_eq!((live(&world), retired(&world)), (13, 0), "{document:#}");
}

#[test]
fn an_old_ledger_revives_nothing_that_nobody_has_seen() {
    let world = World::new("");
    let shop = full().instance("i-shop", json!({ "tags": { "service": "shop" } }));
    world.put(&shop);
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    // Since then a machine ends, and the service that only it belonged to.
    world.put(&full());
    for day in 2..5 {
        world.sync_at(&at(day, 0), 0);
    }
    assert_eq!((live(&world), retired(&world)), (13, 2));
    let before = content(&world);

    // The old copy takes both for live, and nobody may look whether they are.
    restore(&world, "old.db");
    let denied = without(&full(), 0..12).scope("instance", "denied");
    world.put(&denied);
    for hour in 1..4 {
        world.sync_at(&at(5, hour), 3);
        assert_eq!(content(&world), before, "hour {hour}");
    }
    let missing = world.json(&["list", "--stage", "missing"], 0);
    assert_eq!(missing["cis"].as_array().unwrap().len(), 14, "what the old copy knows of the others is as old: {missing:#}");

    // A listing without them proves that they are gone, one with them that they are back.
    world.put(&full());
    for day in 6..9 {
        assert_eq!(World::counts(&world.sync_at(&at(day, 0), 0)), [], "day {day}");
    }
    assert_eq!(content(&world), before);
    assert_eq!(world.json(&["list", "--stage", "retired"], 0)["cis"].as_array().unwrap().len(), 2);
    world.put(&shop);
    world.sync_at(&at(9, 0), 0);
    assert_eq!((live(&world), retired(&world)), (15, 0));

    // Neither is anything held back that the reading shows, complete or not.
    world.put(&full());
    for day in 10..13 {
        world.sync_at(&at(day, 0), 0);
    }
    assert_eq!((live(&world), retired(&world)), (13, 2));
    restore(&world, "old.db");
    world.put(&shop.scope("instance", "truncated"));
    world.sync_at(&at(13, 0), 3);
    assert_eq!((live(&world), retired(&world)), (15, 0));
}

#[test]
fn an_old_ledger_that_found_nothing_to_write_serves_as_ever_from_then_on() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    // Changed and changed back: the old copy is right by chance, and newer deliveries stand in the CMDB all the same.
    world.put(&full().without(&["i-0003"]).instance("i-0003", json!({ "name": "other" })).relation(
        "protected_by",
        &instance_key("i-0003"),
        &key("security_group", "sg-1"),
    ));
    world.sync_at(&at(1, 1), 0);
    world.put(&full());
    world.sync_at(&at(1, 2), 0);
    restore(&world, "old.db");
    let first = world.sync_at(&at(1, 3), 0);
    assert!(first["remarks"].to_string().contains("recovered"), "{first:#}");
    let second = world.sync_at(&at(1, 4), 0);
    assert!(!second["remarks"].to_string().contains("recovered"), "{second:#}");
}

/// Edges at the CMDB.
fn edges(world: &World) -> u64 {
    world.count("SELECT count(*) FROM ci_relation")
}

#[test]
fn edges_that_nobody_wants_any_more_go_after_a_recovery() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "INSERT INTO relation (from_id, type, to_id) SELECT 1, 'routes_to', 2");
    lose_ledger(&world);
    // One machine lost its group meanwhile.
    let less = without(&full(), 0..1).instance("i-0000", json!({}));
    world.put(&less);
    assert_eq!(World::counts(&world.sync_at(&at(1, 1), 0)), [], "nothing is related again, and nothing unrelated in this run");
    assert_eq!(edges(&world), 13);
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), [("unrelate".to_owned(), 1)]);
    assert_eq!(edges(&world), 12, "what people drew is theirs");
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), []);

    // All of them at once is what guardrail 3 is for.
    lose_ledger(&world);
    let bare = Inventory::new().instances(12).group("sg-1", json!({}));
    world.put(&bare);
    world.sync_at(&at(1, 4), 0);
    let document = world.sync_at(&at(1, 5), 4);
    assert_eq!((guardrails(&document), held(&document), edges(&world)), (vec!["blast_radius".to_owned()], 11, 12));
}

#[test]
fn edges_stay_after_a_recovery_until_a_complete_listing_shows_them_no_more() {
    let world = World::new("");
    let shop = full().instance("i-shop", json!({ "tags": { "service": "shop" } }));
    world.put(&shop);
    world.sync_at(&at(1, 0), 0);
    let before = content(&world).1;
    lose_ledger(&world);
    // Nobody may look.
    world.put(&without(&full(), 0..12).scope("instance", "denied"));
    for hour in 1..4 {
        world.sync_at(&at(1, hour), 3);
        assert_eq!(content(&world).1, before, "hour {hour}");
    }
    let less = without(&full(), 0..1).instance("i-0000", json!({})).instance("i-shop", json!({}));
    world.put(&less);
    let counts = World::counts(&world.sync_at(&at(1, 4), 0));
    assert!(counts.contains(&("unrelate".to_owned(), 1)), "{counts:?}");
    assert_eq!(edges(&world), 12, "eleven of machines, and the service's until it ends");
    for day in 2..5 {
        world.sync_at(&at(day, 5), 0);
    }
    assert_eq!((edges(&world), retired(&world)), (11, 1));
}

#[test]
fn an_old_ledger_learns_which_edges_stand() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    world.json(&["ledger", "backup", "old.db"], 0);
    // One edge goes, another comes.
    let group = key("security_group", "sg-2");
    let other = without(&full(), 0..1).instance("i-0000", json!({})).group("sg-2", json!({}));
    let other = other.relation("protected_by", &instance_key("i-0000"), &group);
    world.put(&other);
    world.sync_at(&at(1, 1), 0);
    // And back again, which the old copy would take for what it has delivered itself.
    restore(&world, "old.db");
    world.put(&full().group("sg-2", json!({})));
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), [("relate".to_owned(), 1)]);
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), [("unrelate".to_owned(), 1)]);
    assert_eq!(edges(&world), 12);
    assert_eq!(World::counts(&world.sync_at(&at(1, 4), 0)), []);
}

#[test]
fn people_keep_their_fields_in_a_recovery() {
    let world = World::empty();
    world.write(
        "dewpoint.yaml",
        &crate::support::CONFIG
            .replace("path: cmdb.db }", "path: cmdb.db, authority: { owner: initial, support_group: if_empty, stage: transition } }"),
    );
    world.put(&Inventory::new().instance("i-1", json!({ "tags": { "owner": "ann", "support-group": "linux" } })));
    world.sync_at(&at(1, 0), 0);
    cmdb(
        &world,
        "UPDATE record SET fields = json_set(fields, '$.owner', 'bob', '$.support_group', 'windows', '$.stage', 'in maintenance', '$.size', 'by hand')",
    );
    lose_ledger(&world);
    world.sync_at(&at(1, 1), 0);
    let fields = ["owner", "support_group", "stage", "size"].map(|name| field(&world, "i-1", name));
    assert_eq!(fields, ["bob", "windows", "in maintenance", "t3.micro"]);
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
}

#[test]
fn two_estates_in_one_cmdb_are_refused() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    lose_ledger(&world);
    cmdb(&world, "UPDATE record SET estate = 'somebody else' WHERE native_id = 'i-0003'");
    let before = content(&world);
    let document = world.sync_at(&at(1, 1), 2);
    assert!(document["problems"].to_string().contains("another ledger"), "{document:#}");
    assert_eq!(content(&world), before);
}

#[test]
fn strangers_are_no_part_of_a_recovery() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "INSERT INTO record (class, fields) VALUES ('server', '{\"native_id\": \"printer\"}')");
    let before = content(&world);
    lose_ledger(&world);
    world.sync_at(&at(1, 1), 0);
    world.sync_at(&at(3, 1), 0);
    world.sync_at(&at(5, 1), 0);
    assert_eq!(content(&world), before);
}

#[test]
fn a_backup_is_whole_whenever_it_is_taken() {
    let world = World::new("");
    world.put(&Inventory::new().instances(400));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instances(900));
    let mut sync = world.command(&["sync", "-q", "--at", &at(1, 1)]).spawn().unwrap();
    let mut taken = 0;
    while sync.try_wait().unwrap().is_none() {
        world.json(&["ledger", "backup", &format!("backup-{taken}.db")], 0);
        taken += 1;
    }
    assert!(sync.wait().unwrap().success());
    assert!(taken > 0);
    for number in 0..taken {
        restore(&world, &format!("backup-{number}.db"));
        world.json(&["ledger", "check"], 0);
    }
    // The last of them serves, whatever moment it shows.
    world.sync_at(&at(1, 2), 0);
    assert_eq!(live(&world), 900);
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), []);
}

#[test]
fn a_backup_never_overwrites() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    world.write("precious.txt", "precious");
    assert_ne!(world.run(&["ledger", "backup", "precious.txt"]).code, 0);
    assert_eq!(std::fs::read_to_string(world.path("precious.txt")).unwrap(), "precious");
}

#[test]
fn a_cmdb_that_was_deleted_is_an_error_until_it_is_recovered_under_guardrail_3() {
    let world = World::new("");
    world.put(&full());
    world.sync_at(&at(1, 0), 0);
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    let document = world.sync_at(&at(1, 1), 2);
    assert!(document["problems"].to_string().contains("dewpoint target recover cmdb"), "{document:#}");
    assert!(!world.path("cmdb.db").exists());
    world.json(&["plan", "--at", &at(1, 1)], 2);

    // All of it made again at once is what guardrail 3 is for: thirteen records, and the twelve edges between them.
    let document = world.json(&["target", "recover", "cmdb"], 4);
    assert_eq!((guardrails(&document), held(&document), live(&world)), (vec!["blast_radius".to_owned()], 25, 0));
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.json(&["sync"], 0);
    assert_eq!((live(&world), world.count("SELECT count(*) FROM ci_relation")), (13, 12));
    assert_eq!(World::counts(&world.json(&["sync"], 0)), []);
}

#[test]
fn what_was_retired_in_a_lost_cmdb_takes_no_record_of_the_new_one() {
    let world = World::empty();
    world.write(
        "dewpoint.yaml",
        &format!(
            "{}lifecycle: {{ defaults: {{ purge_after: 1d }} }}\n",
            crate::support::CONFIG.replace("path: cmdb.db }", "path: cmdb.db, purge: delete }")
        ),
    );
    // The first record of the CMDB is retired; in a new file its number is another's.
    let five = Inventory::new().instances(5);
    world.put(&five);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&five, 0..1));
    world.sync_at(&at(2, 0), 0);
    world.sync_at(&at(3, 0), 0);
    assert_eq!(retired(&world), 1);
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 0);
    assert_eq!(live(&world), 4);
    // Long after `purge_after`, and when it comes back: no other record suffers.
    let later = "2030-01-01T00:00:00Z";
    world.sync_at(later, 0);
    assert_eq!(live(&world), 4);
    world.put(&five);
    world.sync_at("2030-01-02T00:00:00Z", 0);
    assert_eq!((live(&world), retired(&world)), (5, 0));
    let names = world.query("cmdb.db", "SELECT native_id FROM ci ORDER BY 1");
    assert_eq!(names, [["i-0000"], ["i-0001"], ["i-0002"], ["i-0003"], ["i-0004"]]);
}

#[test]
fn a_service_stays_while_nobody_could_look_for_its_members() {
    let world = World::new("");
    let mut elsewhere = Inventory::default().scope_in("us-east-1", "instance", "complete").raw(json!({
        "key": "aws:arn:aws:ec2:us-east-1:123456789012:instance/i-b", "kind": "instance", "provider": "aws", "native_id": "i-b",
        "account": "123456789012", "region": "us-east-1", "name": "i-b", "state": "running", "tags": {}, "attributes": {} }));
    elsewhere = elsewhere.scope("instance", "complete");
    let full = elsewhere.clone().instance("i-1", json!({ "tags": { "service": "shop" } }));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    lose_ledger(&world);
    world.put(&elsewhere.clone().scope("instance", "denied"));
    for day in 2..7 {
        world.sync_at(&at(day, 0), 3);
    }
    assert_eq!((live(&world), retired(&world)), (3, 0));
    let told = world.json(&["explain", "service:shop"], 0);
    assert_eq!(told["next"], "nothing: frozen, because aws 123456789012 eu-west-1 instance is denied");
    // Looked for and not found: it ends with its member, by the usual timers.
    world.put(&elsewhere);
    for day in 7..12 {
        world.sync_at(&at(day, 0), 0);
    }
    assert_eq!((live(&world), retired(&world)), (1, 2));
    world.put(&full);
    world.sync_at(&at(12, 0), 0);
    assert_eq!((live(&world), retired(&world)), (3, 0));
}

#[test]
fn what_has_a_record_is_not_deferred_again() {
    let world = World::new("");
    // Its age counts from its first sight, which the ledger forgets.
    let birthless = Inventory::new().instance("i-1", json!({ "created_at": null }));
    world.put(&birthless);
    world.sync_at(&at(1, 0), 0);
    assert_eq!(world.json(&["show", "i-1"], 0)["disposition"], "defer");
    world.sync_at(&at(1, 1), 0);
    assert_eq!(live(&world), 1);
    lose_ledger(&world);
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!(document["deferred"], 0);
    let told = world.json(&["show", "i-1"], 0);
    assert_eq!((&told["disposition"], &told["stage"]), (&json!("record"), &json!("active")));
    // Gone from the next listing on, it is missing like any other record's machine, and retired after a look-up.
    world.put(&Inventory::new());
    world.sync_at("2026-02-01T02:05:00Z", 0);
    assert_eq!(world.json(&["show", "i-1"], 0)["stage"], "missing");
    world.sync_at(&at(3, 0), 0);
    assert_eq!(retired(&world), 1);
    let history = world.json(&["history", "i-1"], 0)["entries"].to_string();
    assert!(history.contains("a look-up found it gone"), "{history}");
}
