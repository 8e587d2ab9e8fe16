//! Holds: what people say of them, and what becomes of that.

use serde_json::{Value, json};

use super::{at, held, hold, live, retired, without};
use crate::support::{Inventory, World};

const QUICK: &str = "lifecycle: { defaults: { confirm_missing: 1, retire_after: 1h } }\n";

/// Forty instances, of which `gone` are not listed any more, an hour before the hold.
fn world(gone: usize) -> (World, Inventory) {
    let world = World::new(QUICK);
    let full = Inventory::new().instances(40);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..gone));
    (world, full)
}

#[test]
fn a_hold_keeps_its_id_until_what_it_holds_changes() {
    let (world, full) = world(12);
    let first = hold(&world.json(&["plan", "--at", &at(1, 2)], 0));
    let second = hold(&world.sync_at(&at(1, 2), 4));
    let third = hold(&world.sync_at(&at(1, 3), 4));
    assert_eq!([&first, &second], [&second, &third]);
    assert_eq!(hold(&world.json(&["holds", "list"], 0)), third);
    assert_eq!(world.json(&["holds", "show", &third], 0)["changes"].as_array().unwrap().len(), 12);
    world.put(&without(&full, 0..13));
    assert_ne!(hold(&world.sync_at(&at(1, 4), 4)), third);
}

#[test]
fn a_hold_that_grows_keeps_what_was_approved() {
    let (world, full) = world(12);
    let id = hold(&world.sync_at(&at(1, 2), 4));
    world.json(&["holds", "approve", &id], 0);
    // Before the next sync, ten more are gone: the approved twelve go, the new ones are asked about.
    world.put(&without(&full, 0..22));
    let document = world.sync_at(&at(1, 3), 4);
    assert_eq!((held(&document), retired(&world)), (10, 12));
}

#[test]
fn what_was_approved_and_came_back_is_not_retired() {
    let (world, full) = world(12);
    let id = hold(&world.sync_at(&at(1, 2), 4));
    world.json(&["holds", "approve", &id], 0);
    world.put(&full);
    world.sync_at(&at(1, 3), 0);
    assert_eq!((live(&world), retired(&world)), (40, 0));
    // The approval spoke of that absence, not of the next.
    world.put(&without(&full, 0..12));
    world.sync_at(&at(1, 5), 4);
    assert_eq!(retired(&world), 0);
}

#[test]
fn rejecting_silences_until_there_is_news() {
    let (world, full) = world(12);
    let id = hold(&world.sync_at(&at(1, 2), 4));
    world.json(&["holds", "reject", &id], 0);
    let document = world.sync_at(&at(1, 3), 0);
    assert_eq!(document["holds"], json!([]));
    world.sync_at(&at(1, 4), 0);
    assert_eq!((live(&world), retired(&world)), (40, 0));
    // Seen and gone again: asked again.
    world.put(&full);
    world.sync_at(&at(1, 5), 0);
    world.put(&without(&full, 0..12));
    world.sync_at(&at(1, 7), 4);
    assert_eq!(retired(&world), 0);
}

#[test]
fn sync_approves_what_only_a_plan_has_shown() {
    let (world, _) = world(12);
    let plan = world.json(&["plan", "--at", &at(1, 2)], 0);
    assert_eq!(world.json(&["holds", "list"], 0)["holds"], json!([]), "a plan writes nothing");
    world.json(&["sync", "--at", &at(1, 2), "--approve", &hold(&plan)], 0);
    assert_eq!((live(&world), retired(&world)), (28, 12));
}

#[test]
fn an_approval_of_something_else_approves_nothing_and_says_so() {
    let (world, _) = world(12);
    let other = "00112233445566778899aabbccddeeff";
    // Alone it would be partly done; the hold comes first.
    assert_eq!(world.json(&["sync", "--at", &at(1, 0), "--approve", other], 3)["outcome"], "partly");
    let document = world.json(&["sync", "--at", &at(1, 2), "--approve", other], 4);
    assert_eq!(retired(&world), 0);
    assert!(document["remarks"].to_string().contains(other) || document["problems"].to_string().contains(other), "{document:#}");
    assert_eq!(world.run(&["holds", "approve", other]).code, 2);
}

#[test]
fn a_held_plan_ends_with_4_only_when_asked() {
    let (world, _) = world(12);
    world.json(&["plan", "--at", &at(1, 2)], 0);
    world.json(&["plan", "--at", &at(1, 2), "--exit-code"], 4);
    assert_eq!(retired(&world), 0);
}

#[test]
fn exit_ok_turns_a_hold_into_success() {
    let world = World::new(&format!("{QUICK}exit_ok: [4]\n"));
    let full = Inventory::new().instances(40);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..20));
    let document = world.sync_at(&at(1, 2), 0);
    assert_eq!((document["outcome"].as_str(), held(&document)), (Some("held"), 20));
}

#[test]
fn writes_can_be_paused_for_one_sync_and_for_one_target() {
    let (world, full) = world(2);
    let document = world.json(&["sync", "--at", &at(1, 2), "--pause-writes"], 0);
    assert_eq!((World::counts(&document), retired(&world)), (vec![], 0));
    // What it saw was remembered all the same.
    assert_eq!(world.json(&["list", "--stage", "retired"], 0)["cis"].as_array().unwrap().len(), 2);

    world.json(&["target", "pause", "cmdb"], 0);
    world.put(&without(&full, 0..3));
    let document: Value = world.sync_at(&at(1, 4), 0);
    assert_eq!((World::counts(&document), live(&world)), (vec![], 40));
    assert!(document["remarks"].to_string().contains("paused"), "{document:#}");
    world.json(&["target", "resume", "cmdb"], 0);
    world.sync_at(&at(1, 5), 0);
    assert_eq!((live(&world), retired(&world)), (37, 3));
}

#[test]
fn a_rejection_is_listed_explained_and_taken_back() {
    let (world, full) = world(12);
    let id = hold(&world.sync_at(&at(1, 2), 4));
    world.json(&["holds", "reject", &id], 0);
    assert_eq!(world.json(&["holds", "list"], 0)["holds"], json!([]));
    assert_eq!(world.sync_at(&at(1, 3), 0)["rejected"], 12);
    let plan = world.json(&["plan", "--at", &at(1, 3)], 0);
    assert_eq!((&plan["rejected"], &plan["changes"]), (&json!(12), &json!([])));
    let text = world.run(&["sync", "--at", &at(1, 3)]);
    assert!(text.out.contains("\nrejected  12 changes (`dewpoint holds list --rejected`)\n"), "{}", text.out);
    let rejected = world.json(&["holds", "list", "--rejected"], 0);
    assert_eq!((hold(&rejected), held(&rejected)), (id.clone(), 12));
    assert_eq!(world.json(&["holds", "show", &id], 0)["changes"].as_array().unwrap().len(), 12);
    let explained = world.json(&["explain", "i-0000"], 0);
    assert_eq!((&explained["rejected"][0]["id"], &explained["holds"]), (&json!(id), &json!([])));
    let next = explained["next"].as_str().unwrap();
    assert!(next.contains("people rejected it") && next.contains(&format!("`dewpoint holds approve {id}`")), "{next}");
    assert_eq!(world.json(&["explain", "i-0020"], 0)["rejected"], json!([]));

    // What comes back is not silent any more; of the rest the rejection is taken back.
    world.put(&without(&full, 1..12));
    world.sync_at(&at(1, 4), 0);
    assert_eq!(held(&world.json(&["holds", "list", "--rejected"], 0)), 11);
    world.json(&["holds", "approve", &id], 0);
    assert_eq!(world.json(&["holds", "list", "--rejected"], 0)["holds"], json!([]));
    let document = world.sync_at(&at(1, 5), 0);
    assert_eq!((&document["rejected"], retired(&world)), (&json!(0), 11));
    assert_eq!(world.json(&["holds", "list"], 0)["holds"], json!([]));
}

#[test]
fn holds_of_a_target_that_left_the_configuration_go_with_it() {
    let (world, _) = world(12);
    let id = hold(&world.sync_at(&at(1, 2), 4));
    world.write(
        "dewpoint.yaml",
        &format!("{}{QUICK}", crate::support::CONFIG.replace("name: cmdb,", "name: other,").replace("cmdb.db", "other.db")),
    );
    assert_eq!(world.json(&["holds", "list"], 0)["holds"], json!([]));
    assert_eq!(world.run(&["holds", "approve", &id]).code, 2);
    assert_eq!(world.query("dewpoint.db", "SELECT count(*) FROM hold"), [["1"]], "only listing changes nothing");
    world.sync_at(&at(1, 3), 0);
    assert_eq!(world.query("dewpoint.db", "SELECT count(*) FROM hold"), [["0"]]);
}
