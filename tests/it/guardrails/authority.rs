//! Guardrail 5: who may write a field, and when writing it again ends.

use serde_json::json;

use super::{at, cmdb, field};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

fn world(target: &str) -> World {
    let world = World::empty();
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("path: cmdb.db }", &format!("path: cmdb.db{target} }}")));
    world
}

fn sized(size: &str) -> Inventory {
    Inventory::new().instance("i-1", json!({ "attributes": { "size": size }, "tags": { "owner": "ann", "support-group": "linux" } }))
}

fn set(world: &World, name: &str, value: &str) {
    cmdb(world, &format!("UPDATE record SET fields = json_set(fields, '$.{name}', '{value}') WHERE native_id = 'i-1'"));
}

#[test]
fn drift_of_an_owned_field_is_corrected_when_the_next_verification_is_due() {
    let world = world(", verify_every: 12h");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.sync_at(&at(1, 12), 0);
    set(&world, "size", "by hand");
    assert_eq!(World::counts(&world.sync_at(&at(1, 14), 0)), [], "not due");
    assert_eq!(field(&world, "i-1", "size"), "by hand");
    let document = world.sync_at(&at(2, 0), 0);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)]);
    assert_eq!(field(&world, "i-1", "size"), "t3.micro");
    assert!(document["remarks"].to_string().contains("by hand"), "{document:#}");
    assert_eq!(World::counts(&world.sync_at(&at(2, 12), 0)), []);
}

#[test]
fn a_relation_that_somebody_removes_is_made_again_once_until_it_is_seen_there() {
    let world = world(", verify_every: 1h");
    let machines = Inventory::new().group("sg-1", json!({})).instances(3);
    let group = key("security_group", "sg-1");
    world.put(&crate::guardrails::ids(0..3).iter().fold(machines, |all, id| all.relation("protected_by", &instance_key(id), &group)));
    world.sync_at(&at(1, 0), 0);
    let relations = || world.count("SELECT count(*) FROM ci_relation WHERE type = 'protected_by'");
    let remove = || cmdb(&world, "DELETE FROM relation WHERE type = 'protected_by' AND from_id = (SELECT min(from_id) FROM relation)");
    let related = |hour, count: usize| {
        let document = world.sync_at(&at(1, hour), 0);
        let expected: Vec<_> = (count > 0).then(|| ("relate".to_owned(), 1)).into_iter().collect();
        assert_eq!(World::counts(&document), expected, "{document:#}");
        document["remarks"].to_string()
    };
    assert_eq!(relations(), 3);
    remove();
    let told = related(2, 1);
    assert!(told.contains("does not show `protected_by`") && told.contains("(related again)"), "{told}");
    assert_eq!(relations(), 3);
    related(4, 0);
    remove();
    related(6, 1);
    // Removed again before a read showed it.
    remove();
    let told = related(8, 0);
    assert!(told.contains("it was related again before"), "{told}");
    assert_eq!(relations(), 2);
}

#[test]
fn drift_is_not_looked_for_where_verification_is_off() {
    let world = world(", verify_every: never");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    set(&world, "size", "by hand");
    for day in 2..10 {
        assert_eq!(World::counts(&world.sync_at(&at(day, 0), 0)), []);
    }
    assert_eq!(field(&world, "i-1", "size"), "by hand");
}

#[test]
fn people_keep_what_is_theirs() {
    let world = world(", verify_every: 1h, authority: { owner: initial, support_group: if_empty, size: report }");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    assert_eq!(
        (field(&world, "i-1", "owner"), field(&world, "i-1", "support_group"), field(&world, "i-1", "size")),
        ("ann".into(), "linux".into(), "t3.micro".into())
    );
    world.sync_at(&at(1, 2), 0);
    for (name, value) in [("owner", "bob"), ("support_group", "windows"), ("size", "special")] {
        set(&world, name, value);
    }
    let document = world.sync_at(&at(1, 4), 0);
    assert_eq!(World::counts(&document), []);
    // What is `report` is told of, the others are people's.
    let remarks = document["remarks"].to_string();
    assert!(remarks.contains("special") && !remarks.contains("bob") && !remarks.contains("windows"), "{remarks}");
    // Another wish of ours does not overwrite them either.
    world.put(&Inventory::new().instance(
        "i-1",
        json!({ "attributes": { "size": "t3.large", "image": "ami-2" }, "tags": { "owner": "cid", "support-group": "unix" } }),
    ));
    world.sync_at(&at(1, 6), 0);
    assert_eq!(
        (field(&world, "i-1", "owner"), field(&world, "i-1", "support_group"), field(&world, "i-1", "size")),
        ("bob".into(), "windows".into(), "special".into())
    );
    assert_eq!(field(&world, "i-1", "image"), "ami-2");
    // Emptied, `if_empty` is filled again; `initial` is not.
    set(&world, "owner", "");
    set(&world, "support_group", "");
    world.sync_at(&at(1, 8), 0);
    assert_eq!((field(&world, "i-1", "owner"), field(&world, "i-1", "support_group")), ("".into(), "unix".into()));
}

#[test]
fn a_transition_field_is_written_when_the_stage_changes_and_peoples_until_then() {
    let world = world(", verify_every: 1h, authority: { stage: transition }");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    world.sync_at(&at(1, 2), 0);
    set(&world, "stage", "in maintenance");
    assert_eq!(World::counts(&world.sync_at(&at(1, 4), 0)), []);
    world.put(&sized("t3.large"));
    world.sync_at(&at(1, 6), 0);
    assert_eq!((field(&world, "i-1", "stage"), field(&world, "i-1", "size")), ("in maintenance".into(), "t3.large".into()));
    world.put(&Inventory::new().instance("i-1", json!({ "state": "stopped", "attributes": { "size": "t3.large" } })));
    world.sync_at(&at(1, 8), 0);
    assert_eq!(field(&world, "i-1", "stage"), "inactive");
}

#[test]
fn a_platform_that_reshapes_a_value_is_not_rewritten_for_ever() {
    let world = world(", verify_every: 1h");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    // The platform keeps sizes in capitals, whoever writes them.
    cmdb(
        &world,
        "CREATE TRIGGER capitals AFTER UPDATE ON record WHEN new.fields ->> 'size' <> upper(new.fields ->> 'size') BEGIN \
         UPDATE record SET fields = json_set(fields, '$.size', upper(fields ->> 'size')) WHERE id = new.id; END",
    );
    world.put(&sized("t3.large"));
    assert_eq!(World::counts(&world.sync_at(&at(1, 1), 0)), [("update".to_owned(), 1)]);
    assert_eq!(field(&world, "i-1", "size"), "T3.LARGE");
    // The first read shows another value than was sent: written once more; then it rests, for good.
    let mut updates = Vec::new();
    for hour in (3..23).step_by(2) {
        updates.push(World::counts(&world.sync_at(&at(1, hour), 0)).iter().map(|(_, n)| n).sum::<u64>());
    }
    assert_eq!(updates, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Drift from there on is what differs from the platform's own form.
    set(&world, "size", "BY HAND");
    assert_eq!(World::counts(&world.sync_at(&at(2, 1), 0)), [("update".to_owned(), 1)]);
    assert_eq!(field(&world, "i-1", "size"), "T3.LARGE");
    // Another wish is tried again.
    world.put(&sized("m5.large"));
    assert_eq!(World::counts(&world.sync_at(&at(2, 2), 0)), [("update".to_owned(), 1)]);
    assert_eq!(field(&world, "i-1", "size"), "M5.LARGE");
}

#[test]
fn what_people_write_between_two_reads_does_not_rest() {
    let world = world(", verify_every: 1h");
    world.put(&sized("t3.micro"));
    world.sync_at(&at(1, 0), 0);
    // Each time before the first read after a delivery, and each time something else.
    for (hour, text) in [(2, "by hand"), (4, "by another hand"), (6, "by hand again")] {
        set(&world, "size", text);
        assert_eq!(World::counts(&world.sync_at(&at(1, hour), 0)), [("update".to_owned(), 1)], "{text}");
        assert_eq!(field(&world, "i-1", "size"), "t3.micro");
    }
    assert_eq!(World::counts(&world.sync_at(&at(1, 8), 0)), []);
}

#[test]
fn a_record_that_someone_removed_is_looked_up_and_made_again() {
    let world = world(", verify_every: 1h");
    let (group, machine) = (crate::support::inventory::key("security_group", "sg-1"), crate::support::inventory::instance_key("i-1"));
    world.put(&sized("t3.micro").group("sg-1", json!({})).relation("protected_by", &machine, &group));
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "DELETE FROM relation");
    cmdb(&world, "DELETE FROM record WHERE native_id = 'i-1'");
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("relate".to_owned(), 1)]);
    assert_eq!((super::live(&world), world.count("SELECT count(*) FROM ci_relation")), (2, 1));
    assert_eq!(World::counts(&world.sync_at(&at(1, 4), 0)), []);
}

#[test]
fn many_records_that_someone_removed_are_held() {
    let world = world(", verify_every: 1h");
    world.put(&Inventory::new().instances(40));
    world.sync_at(&at(1, 0), 0);
    cmdb(&world, "DELETE FROM record WHERE native_id < 'i-0030'");
    let document = world.sync_at(&at(1, 2), 4);
    assert_eq!((super::guardrails(&document), super::held(&document)), (vec!["blast_radius".to_owned()], 30));
    world.json(&["holds", "approve", &super::hold(&document)], 0);
    world.sync_at(&at(1, 3), 0);
    assert_eq!(super::live(&world), 40);
}

#[test]
fn a_retired_record_that_someone_removed_is_forgotten() {
    let world = world(", verify_every: 1h");
    let full = Inventory::new().instances(2);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&super::without(&full, 0..1));
    world.sync_at(&at(2, 0), 0);
    world.sync_at(&at(3, 0), 0);
    assert_eq!(super::retired(&world), 1);
    cmdb(&world, "DELETE FROM record WHERE retired = 1");
    assert_eq!(World::counts(&world.sync_at(&at(4, 0), 0)), []);
    world.put(&full);
    let document = world.sync_at(&at(5, 0), 0);
    assert_eq!((World::counts(&document), super::live(&world)), (vec![("create".to_owned(), 1)], 2));
}
