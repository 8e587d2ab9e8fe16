//! Scopes that vanish: their CIs are frozen until people say otherwise.

use serde_json::json;

use super::{at, guardrails, held, hold, live, retired, without};
use crate::support::{Inventory, World};

/// Two regions from two files; the second can be taken out of the configuration.
fn world() -> World {
    let world = World::empty();
    world.write("inventory.json", &Inventory::new().instances(3).to_string());
    let other = Inventory::default().scope_in("eu-central-1", "instance", "complete");
    let theirs = (0..3).fold(other, |all, i| {
        all.raw(json!({ "key": format!("aws:arn:aws:ec2:eu-central-1:123456789012:instance/i-b{i}"), "kind": "instance", "provider": "aws",
            "native_id": format!("i-b{i}"), "account": "123456789012", "region": "eu-central-1", "name": "b", "state": "running", "tags": {},
            "created_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z", "attributes": {} }))
    });
    world.write("other.json", &theirs.to_string());
    configure(&world, true);
    world
}

fn configure(world: &World, both: bool) {
    let second = if both { "  - { name: other, kind: file, path: other.json }\n" } else { "" };
    world.write("dewpoint.yaml", &crate::support::CONFIG.replace("targets:", &format!("{second}targets:")));
}

fn orphaned(world: &World) -> usize {
    let scopes = world.json(&["scopes", "list"], 0)["scopes"].clone();
    scopes.as_array().unwrap().iter().filter(|scope| scope["outcome"] == "orphaned").count()
}

#[test]
fn a_source_that_is_removed_freezes_what_it_held() {
    let world = world();
    world.sync_at(&at(1, 0), 0);
    configure(&world, false);
    for day in 2..6 {
        let document = world.sync_at(&at(day, 0), 0);
        assert!(document["receipts"].as_array().unwrap().iter().any(|receipt| receipt["outcome"] == "orphaned"));
    }
    assert_eq!((live(&world), retired(&world), orphaned(&world)), (6, 0, 1));
    // Put back, everything is as before.
    configure(&world, true);
    assert_eq!(World::counts(&world.sync_at(&at(7, 0), 0)), []);
    assert_eq!(orphaned(&world), 0);
}

#[test]
fn orphaned_scopes_are_retired_only_when_people_ask_and_then_approve() {
    let world = world();
    world.sync_at(&at(1, 0), 0);
    // Only what is orphaned can be retired by hand.
    assert_eq!(world.run(&["scopes", "retire", "--account", "123456789012", "--region", "eu-central-1"]).code, 2);
    configure(&world, false);
    world.sync_at(&at(2, 0), 0);
    let retire = ["scopes", "retire", "--account", "123456789012", "--region", "eu-central-1"];
    assert_eq!(world.json(&retire, 0)["already"], json!([]));
    let again = world.json(&retire, 0);
    assert_eq!((&again["already"], again["already"].as_array().unwrap().is_empty()), (&again["scopes"], false));
    let told = world.run(&retire).out;
    assert!(told.contains("it was asked before and stands") && !told.contains("the next sync proposes"), "{told}");
    let document = world.sync_at(&at(3, 0), 4);
    assert_eq!((guardrails(&document), held(&document), retired(&world)), (vec!["receipts".to_owned()], 3, 0));
    let document = world.sync_at(&at(3, 1), 4);
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(3, 2), 0);
    assert_eq!((live(&world), retired(&world)), (3, 3));
    assert_eq!(World::counts(&world.sync_at(&at(3, 3), 0)), []);
    // They come back with their source.
    configure(&world, true);
    world.sync_at(&at(4, 0), 0);
    assert_eq!((live(&world), retired(&world)), (6, 0));
}

#[test]
fn a_source_that_is_left_out_once_is_skipped_not_orphaned() {
    let world = world();
    world.sync_at(&at(1, 0), 0);
    for day in 2..6 {
        world.json(&["sync", "--at", &at(day, 0), "--source", "estate"], 0);
    }
    assert_eq!((live(&world), orphaned(&world)), (6, 0));
}

#[test]
fn a_source_that_fails_orphans_nothing() {
    let world = world();
    world.sync_at(&at(1, 0), 0);
    std::fs::remove_file(world.path("other.json")).unwrap();
    for day in 2..6 {
        world.sync_at(&at(day, 0), 3);
    }
    assert_eq!((live(&world), retired(&world), orphaned(&world)), (6, 0, 0));
    // Nor does it keep the other source's evidence from counting.
    world.put(&without(&Inventory::new().instances(3), 0..1));
    world.sync_at(&at(7, 0), 3);
    world.sync_at(&at(8, 0), 3);
    assert_eq!((live(&world), retired(&world)), (5, 1));
}
