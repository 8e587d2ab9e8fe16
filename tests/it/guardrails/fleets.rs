//! Records that give way to their fleet's.

use serde_json::json;

use super::{at, cmdb, live};
use crate::support::{Inventory, World};

const RULES: &str = "lifecycle:
  rules:
    - name: pools are one record
      when: resource.kind == \"instance\" && \"pool\" in resource.tags
      do: fold
      into: resource.tags[\"pool\"]
";

/// Three machines with records of their own, that are in a pool by now.
fn pooled() -> World {
    let world = World::new(RULES);
    world.put(&Inventory::new().instances(3));
    world.sync_at(&at(1, 0), 0);
    let pooled = |inventory: Inventory, id: &str| inventory.instance(id, json!({ "tags": { "pool": "blue" } }));
    world.put(&["i-0000", "i-0001", "i-0002"].into_iter().fold(Inventory::new(), pooled));
    world
}

#[test]
fn members_keep_their_records_until_the_target_takes_their_fleets() {
    let world = pooled();
    cmdb(
        &world,
        "CREATE TRIGGER refuse BEFORE INSERT ON record WHEN new.fields ->> 'native_id' LIKE '%blue' BEGIN \
         SELECT RAISE(ABORT, 'no such pool may be recorded'); END",
    );
    let planned = world.run(&["plan", "--at", &at(2, 0)]).out;
    assert!(planned.contains(": rule `pools are one record` counts it in its fleet's record\n"), "{planned}");

    // It is refused in the run that would have retired them.
    let document = world.sync_at(&at(2, 0), 3);
    assert_eq!((World::counts(&document), live(&world)), (vec![], 3), "{document:#}");
    assert_eq!(document["failed"].as_array().unwrap().len(), 1, "{document:#}");
    assert!(document["failed"][0]["key"].as_str().unwrap().ends_with("blue"), "{document:#}");
    assert_eq!(document["waiting"]["cmdb"], 3, "{document:#}");
    for id in ["i-0000", "i-0001", "i-0002"] {
        assert_eq!(world.json(&["show", id], 0)["targets"]["cmdb"]["state"], "delivered");
    }

    // It is not due again yet, and a plan does not promise their ends.
    let soon = "2026-02-02T00:00:30Z";
    let planned = world.json(&["plan", "--at", soon], 0);
    assert_eq!(planned["changes"].as_array().unwrap().iter().map(|change| &change["change"]).collect::<Vec<_>>(), ["create"]);
    world.sync_at(soon, 3);
    assert_eq!(live(&world), 3);

    // Parked, and then asked again.
    for hour in 1..6 {
        world.sync_at(&at(2, hour), 3);
    }
    let document = world.sync_at(&at(3, 0), 3);
    assert_eq!((document["failed"][0]["parked"].as_bool(), live(&world)), (Some(true), 3), "{document:#}");
    cmdb(&world, "DROP TRIGGER refuse");
    world.json(&["retry"], 0);
    let document = world.sync_at(&at(3, 1), 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("retire".to_owned(), 3)]);
    assert_eq!(live(&world), 1);
    assert_eq!(World::counts(&world.sync_at(&at(3, 2), 0)), []);
}

#[test]
fn the_end_of_a_fleet_and_of_its_rule_are_told_as_what_they_are() {
    let world = pooled();
    world.sync_at(&at(2, 0), 0);
    world.put(&Inventory::new().instances(3));
    let planned = world.run(&["plan", "--at", &at(3, 0)]).out;
    assert_eq!(planned.matches(": no rule keeps it from a record any more, since 2026-02-03T00:00:00Z\n").count(), 3, "{planned}");
    world.sync_at(&at(3, 0), 0);
    let planned = world.run(&["plan", "--at", &at(4, 0)]).out;
    let why = "no member is left, by 2 complete listings, last seen 2026-02-02T00:00:00Z";
    assert!(planned.contains(&format!(" blue: {why}\n")), "{planned}");
    let document = world.sync_at(&at(4, 0), 0);
    assert_eq!((World::counts(&document), live(&world)), (vec![("retire".to_owned(), 1)], 3));
    let explained = world.run(&["explain", "blue"]).out;
    assert!(explained.contains(&format!(": {why}\n")) && !explained.contains("look-up"), "{explained}");
}
