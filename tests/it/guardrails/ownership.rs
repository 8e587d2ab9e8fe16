//! Guardrail 4: records that are not ours.

use serde_json::json;

use super::{at, cmdb, guardrails, held, hold, live, retired};
use crate::support::{Inventory, World};

fn adopting(how: &str) -> World {
    let world = World::empty();
    let target = format!("path: cmdb.db, adopt: {how} }}");
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: cmdb.db }", &target));
    // The first sync makes the file.
    world.put(&Inventory::new().instance("i-0", json!({})));
    world.sync_at(&at(1, 0), 0);
    world
}

fn stranger(world: &World, native_id: &str, name: &str) {
    cmdb(
        world,
        &format!(
            "INSERT INTO record (class, fields) VALUES ('server', '{{\"native_id\": \"{native_id}\", \"name\": \"{name}\", \"floor\": 3}}')"
        ),
    );
}

fn two() -> Inventory {
    Inventory::new().instance("i-0", json!({})).instance("i-1", json!({}))
}

/// Everything that a stranger's record consists of.
fn strangers(world: &World) -> Vec<Vec<String>> {
    world.query(
        "cmdb.db",
        "SELECT class, fields, retired, estate, external_id, updated_at, delivered_at FROM record WHERE estate IS NULL ORDER BY id",
    )
}

#[test]
fn never_holds_the_would_be_duplicate() {
    let world = adopting("never");
    stranger(&world, "i-1", "old web");
    let before = strangers(&world);
    world.put(&two().instance("i-2", json!({})));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["ownership".to_owned()], 1));
    assert_eq!(strangers(&world), before);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id = 'i-1'"), 1);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id = 'i-2'"), 1, "the rest goes ahead");
    // Approved, ours stands beside it; it is still not touched.
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id = 'i-1'"), 2);
    assert_eq!(strangers(&world), before);
}

#[test]
fn match_makes_it_ours() {
    let world = adopting("match");
    stranger(&world, "i-1", "old web");
    world.put(&two());
    let document = world.sync_at(&at(1, 1), 0);
    assert_eq!(World::counts(&document), [("adopt".to_owned(), 1)]);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id = 'i-1'"), 1);
    assert_eq!(strangers(&world), Vec::<Vec<String>>::new());
    assert_eq!(super::field(&world, "i-1", "name"), "i-1");
    assert_eq!(super::field(&world, "i-1", "floor"), "3", "what is not ours stays");
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
    // And it ends as ours do.
    world.put(&Inventory::new().instance("i-0", json!({})));
    world.sync_at(&at(3, 0), 0);
    world.sync_at(&at(4, 0), 0);
    assert_eq!((live(&world), retired(&world)), (1, 1));
}

#[test]
fn contribute_writes_our_fields_and_never_ends_it() {
    let world = adopting("contribute");
    stranger(&world, "i-1", "old web");
    world.put(&two());
    world.sync_at(&at(1, 1), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id = 'i-1'"), 1);
    assert_eq!(
        world.query("cmdb.db", "SELECT estate, external_id, class, retired FROM record WHERE native_id = 'i-1'"),
        [["null", "null", "server", "0"]]
    );
    assert_eq!(super::field(&world, "i-1", "size"), "t3.micro");
    assert_eq!(super::field(&world, "i-1", "floor"), "3");
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), []);
    world.put(&Inventory::new().instance("i-0", json!({})).instance("i-1", json!({ "attributes": { "size": "t3.large" } })));
    assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), [("update".to_owned(), 1)]);
    assert_eq!(super::field(&world, "i-1", "size"), "t3.large");
    world.put(&Inventory::new().instance("i-0", json!({})));
    for day in 3..7 {
        world.sync_at(&at(day, 0), 0);
    }
    assert_eq!((live(&world), retired(&world)), (2, 0));
}

#[test]
fn more_than_one_match_is_always_held() {
    for how in ["never", "match", "contribute"] {
        let world = adopting(how);
        stranger(&world, "i-1", "one");
        stranger(&world, "i-1", "two");
        let before = strangers(&world);
        world.put(&two());
        let document = world.sync_at(&at(1, 1), 4);
        assert_eq!((guardrails(&document), held(&document)), (vec!["ownership".to_owned()], 1), "{how}");
        assert_eq!(strangers(&world), before, "{how}");
    }
}

#[test]
fn strangers_that_stand_for_nothing_of_ours_are_never_touched() {
    let world = adopting("match");
    stranger(&world, "printer-1", "printer");
    let before = strangers(&world);
    for day in 1..6 {
        world.put(&two());
        world.sync_at(&at(day, 1), 0);
        world.put(&Inventory::new());
        world.sync_at(&at(day, 2), 0);
    }
    assert_eq!(strangers(&world), before);
}

#[test]
fn edges_of_a_create_that_is_held_wait_for_it() {
    let world = adopting("never");
    stranger(&world, "i-1", "old web");
    let (group, machine) = (crate::support::inventory::key("security_group", "sg-1"), crate::support::inventory::instance_key("i-1"));
    world.put(&two().group("sg-1", json!({})).relation("protected_by", &machine, &group));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 0);
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci_relation"), 1);
}

#[test]
fn one_strangers_record_is_not_adopted_for_two() {
    for how in ["match", "contribute"] {
        let world = adopting(how);
        stranger(&world, "asg-web", "web");
        let before = strangers(&world);
        let group = |region: &str| {
            json!({
                "key": format!("aws:arn:aws:autoscaling:{region}:123456789012:autoScalingGroup:1:autoScalingGroupName/asg-web"),
                "kind": "scaling_group", "provider": "aws", "native_id": "asg-web", "account": "123456789012", "region": region,
                "name": "asg-web", "tags": {}, "attributes": {}, "observed_at": "2026-02-01T00:00:00Z",
            })
        };
        let inventory = Inventory::new()
            .scope("scaling_group", "complete")
            .scope_in("us-east-1", "scaling_group", "complete")
            .instance("i-0", json!({}))
            .raw(group("eu-west-1"))
            .raw(group("us-east-1"));
        world.put(&inventory);
        let document = world.sync_at(&at(1, 1), 4);
        assert_eq!((guardrails(&document), held(&document)), (vec!["ownership".to_owned()], 2), "{how}");
        assert_eq!(strangers(&world), before, "{how}");
        // Where it says which of them it is, it is that one's.
        cmdb(&world, "UPDATE record SET fields = json_set(fields, '$.region', 'us-east-1') WHERE estate IS NULL");
        let document = world.sync_at(&at(1, 2), 0);
        let counts = [("adopt".to_owned(), 1), ("create".to_owned(), 1)];
        assert_eq!(World::counts(&document), counts, "{how}");
        assert_eq!(World::counts(&world.sync_at(&at(1, 3), 0)), [], "{how}");
    }
}
