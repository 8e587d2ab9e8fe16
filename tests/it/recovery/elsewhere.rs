//! Record ids that are other records' by now: nothing is written to what is not the record meant.

use serde_json::json;

use crate::guardrails::{at, cmdb, field};
use crate::support::inventory::instance_key;
use crate::support::{Inventory, World};

/// A world whose target says this of itself.
pub fn world(target: &str) -> World {
    let world = World::empty();
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: cmdb.db }", &format!("path: cmdb.db, {target} }}")));
    world
}

/// Native id, estate (or none) and name of every record.
fn records(world: &World) -> Vec<Vec<String>> {
    world.query("cmdb.db", "SELECT native_id, estate IS NOT NULL, json_extract(fields, '$.name') FROM record ORDER BY native_id, id")
}

fn row(native_id: &str, is_ours: bool, name: &str) -> Vec<String> {
    vec![native_id.to_owned(), u8::from(is_ours).to_string(), name.to_owned()]
}

fn three(name: &str) -> Inventory {
    Inventory::new().instance("i-0", json!({})).instance("i-people", json!({ "name": name })).instance("i-z", json!({}))
}

/// One record of people's, to which we contribute, in a CMDB that is then lost.
fn contributed_and_lost() -> World {
    let world = world("adopt: contribute");
    world.put(&Inventory::new().instance("i-0", json!({})));
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "INSERT INTO record (class, fields) VALUES ('server', '{\"native_id\": \"i-people\"}')");
    world.put(&three("first"));
    world.sync_at(&at(1, 1), 0);
    assert_eq!(records(&world), [row("i-0", true, "i-0"), row("i-people", false, "first"), row("i-z", true, "i-z")]);
    std::fs::remove_file(world.path("cmdb.db")).unwrap();
    world
}

#[test]
fn what_we_contributed_to_in_a_lost_cmdb_is_asked_for_in_the_new_one() {
    let world = contributed_and_lost();
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 0);
    // Its number is another record's there: nothing of it is written under that.
    world.put(&three("second"));
    world.json(&["sync"], 0);
    assert_eq!(records(&world), [row("i-0", true, "i-0"), row("i-people", true, "second"), row("i-z", true, "i-z")]);
    world.put(&three("third"));
    world.json(&["sync"], 0);
    assert_eq!(records(&world), [row("i-0", true, "i-0"), row("i-people", true, "third"), row("i-z", true, "i-z")]);
    // What is ours there ends like ours, also when it was a stranger's elsewhere.
    world.put(&three("third").without(&["i-people"]));
    for day in [1, 3] {
        world.sync_at(&format!("2031-01-0{day}T00:00:00Z"), 0);
    }
    assert_eq!(world.query("cmdb.db", "SELECT native_id FROM ci WHERE retired"), [["i-people"]]);
}

#[test]
fn a_strangers_record_of_the_new_cmdb_is_contributed_to_under_its_new_number() {
    let world = contributed_and_lost();
    // The new CMDB has a stranger's record of its own for the same thing, under another number.
    let other = self::world("adopt: contribute");
    other.put(&Inventory::new().instance("i-0", json!({})));
    other.sync_at(&at(1, 0), 0);
    cmdb(&other, "DELETE FROM record");
    cmdb(&other, "INSERT INTO record (id, class, fields) VALUES (50, 'server', '{\"native_id\": \"i-people\"}')");
    std::fs::copy(other.path("cmdb.db"), world.path("cmdb.db")).unwrap();
    world.put(&three("second"));
    assert_eq!(world.run(&["target", "recover", "cmdb"]).code, 0);
    let expected = [row("i-0", true, "i-0"), row("i-people", false, "second"), row("i-z", true, "i-z")];
    assert_eq!(records(&world), expected);
    assert_eq!(World::counts(&world.json(&["sync"], 0)), []);
    world.put(&three("third"));
    world.json(&["sync"], 0);
    assert_eq!(field(&world, "i-people", "name"), "third");
}

#[test]
fn a_record_that_became_anothers_is_not_written_to_until_a_full_read_says_where_ours_is() {
    let world = world("verify_every: 24h");
    let named =
        |name: &str| Inventory::new().instance("i-1", json!({ "name": name })).instance("i-2", json!({ "name": format!("{name}-2") }));
    world.put(&named("old"));
    world.sync_at(&at(1, 0), 0);
    // Someone rebuilt the CMDB by hand: the same records, under each other's numbers.
    let (first, second) = (instance_key("i-1"), instance_key("i-2"));
    cmdb(&world, "UPDATE record SET external_id = 'x' || external_id");
    cmdb(
        &world,
        &format!(
            "UPDATE record SET external_id = CASE external_id WHEN 'x{first}' THEN '{second}' ELSE '{first}' END, \
             fields = (SELECT fields FROM record AS other WHERE other.id <> record.id)"
        ),
    );
    let before = records(&world);
    world.put(&named("new"));
    let document = world.sync_at(&at(1, 1), 3);
    assert!(document["failed"].to_string().contains("is that of"), "{document:#}");
    assert_eq!(records(&world), before);
    // The full read finds each of them where it is.
    world.sync_at(&at(3, 0), 0);
    assert_eq!(records(&world), [row("i-1", true, "new"), row("i-2", true, "new-2")]);
    assert_eq!(world.query("cmdb.db", &format!("SELECT id FROM record WHERE external_id = '{first}'")), [["2"]]);
    assert_eq!(World::counts(&world.sync_at(&at(3, 1), 0)), []);
}
