//! Guardrail 3: how much may end within a day.

use serde_json::json;

use super::{at, guardrails, held, hold, live, retired, without};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// One absence is enough, an hour later.
const QUICK: &str = "lifecycle: { defaults: { confirm_missing: 1, retire_after: 1h } }\n";

fn quick(extra: &str) -> World {
    World::new(&format!("{QUICK}{extra}"))
}

#[test]
fn without_limits_everything_that_is_not_listed_goes() {
    let world = quick("guardrails: { max_retire_percent: 100 }\n");
    let full = Inventory::new().instances(50);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..49));
    world.sync_at(&at(1, 2), 0);
    assert_eq!((live(&world), retired(&world)), (1, 49));
}

#[test]
fn a_share_above_the_limit_is_held_as_a_whole_and_the_rest_goes_ahead() {
    let world = quick("");
    let full = Inventory::new().instances(50).group("sg-1", json!({}));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..12).instance("i-new", json!({})).without(&["sg-1"]).group("sg-1", json!({ "name": "renamed" })));
    let document = world.sync_at(&at(1, 2), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["blast_radius".to_owned()], 12));
    let text = document["holds"][0]["text"].as_str().unwrap();
    assert!(text.contains("12 of 51") || text.contains("12 of 50"), "{text}");
    assert!(text.contains(&format!("dewpoint holds approve {}", hold(&document))), "{text}");
    assert_eq!((live(&world), retired(&world)), (52, 0));
    assert_eq!(super::field(&world, "sg-1", "name"), "renamed");

    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(1, 3), 0);
    assert_eq!((live(&world), retired(&world)), (40, 12));
}

#[test]
fn a_few_may_go_whatever_their_share() {
    let world = quick("");
    let full = Inventory::new().instances(12);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..9));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(retired(&world), 9);
    // The tenth within a day is one too many.
    world.put(&without(&full, 0..10));
    world.sync_at(&at(1, 4), 4);
    assert_eq!(retired(&world), 9);
    // A day later the window has moved on.
    world.sync_at("2026-02-02T02:00:01Z", 0);
    assert_eq!(retired(&world), 10);
}

#[test]
fn a_number_above_the_limit_is_held_whatever_its_share() {
    let world = quick("guardrails: { max_retire: 15, max_retire_percent: 100 }\n");
    let full = Inventory::new().instances(200);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..16));
    let document = world.sync_at(&at(1, 2), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["blast_radius".to_owned()], 16));
    assert_eq!(document["holds"][0]["limit"].as_f64(), Some(15.0));
    world.put(&without(&full, 0..15));
    world.sync_at(&at(1, 3), 0);
    assert_eq!(retired(&world), 15);
}

#[test]
fn slices_of_a_large_loss_are_counted_together() {
    let world = quick("");
    let full = Inventory::new().instances(60);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    // Twelve of sixty are twenty percent: allowed. One after the other, the thirteenth is not.
    let mut codes = Vec::new();
    for slice in 1..8_usize {
        world.put(&without(&full, 0..slice * 3));
        codes.push(world.run(&["sync", "-q", "--at", &at(1, 2 + u32::try_from(slice).unwrap() * 2)]).code);
    }
    assert_eq!(codes, [0, 0, 0, 0, 4, 4, 4]);
    assert_eq!(retired(&world), 12);
}

#[test]
fn approved_changes_do_not_count() {
    let world = quick("");
    let full = Inventory::new().instances(60);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..20));
    let document = world.sync_at(&at(1, 2), 4);
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(1, 3), 0);
    assert_eq!(retired(&world), 20);
    world.put(&without(&full, 0..29));
    world.sync_at(&at(1, 5), 0);
    assert_eq!(retired(&world), 29);
}

#[test]
fn each_kind_counts_by_itself() {
    // Eleven security groups of twelve are few of all records, and nearly all of their kind.
    let world = quick("");
    let groups: Vec<String> = (0..12).map(|i| format!("sg-{i:02}")).collect();
    let full = groups.iter().fold(Inventory::new().instances(200), |all, id| all.group(id, json!({})));
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    world.put(&without(&full, 0..5).without(&names[..11]));
    let document = world.sync_at(&at(1, 2), 4);
    assert_eq!(held(&document), 11);
    assert!(document["holds"][0]["text"].as_str().unwrap().contains("kind security_group"), "{document:#}");
    assert_eq!(retired(&world), 5, "the instances go ahead");
}

#[test]
fn each_account_counts_by_itself() {
    let world = quick("");
    let other = "210987654321";
    let theirs = |inventory: Inventory, n: usize| {
        (0..n).fold(inventory, |all, i| {
            all.raw(json!({ "key": format!("aws:arn:aws:ec2:eu-west-1:{other}:instance/i-b{i:02}"), "kind": "instance", "provider": "aws",
                "native_id": format!("i-b{i:02}"), "account": other, "region": "eu-west-1", "name": "b", "state": "running", "tags": {},
                "created_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z", "attributes": {} }))
        })
    };
    // Complete receipts of both accounts; their counts would be mixed up by the builder, so they are left out.
    let document = |inventory: &Inventory| {
        let mut value = inventory.value();
        value["receipts"] = json!(
            [super::super::support::inventory::ACCOUNT, other]
                .map(|account| json!({ "source": "estate", "provider": "aws", "account": account, "region": "eu-west-1", "kind": "instance", "outcome": "complete" }))
        );
        value.to_string()
    };
    let ours = Inventory::new().instances(200);
    world.write("inventory.json", &document(&theirs(ours.clone(), 12)));
    world.sync_at(&at(1, 0), 0);
    world.write("inventory.json", &document(&theirs(without(&ours, 0..5), 1)));
    let told = world.sync_at(&at(1, 2), 4);
    assert_eq!(held(&told), 11);
    assert!(told["holds"][0]["text"].as_str().unwrap().contains(other), "{told:#}");
    assert_eq!(retired(&world), 5);
}

#[test]
fn removed_edges_count_by_themselves() {
    let world = quick("");
    let base = Inventory::new().instances(40).group("sg-1", json!({}));
    let related = |n: usize| {
        super::ids(0..n)
            .iter()
            .fold(base.clone(), |all, id| all.relation("protected_by", &instance_key(id), &key("security_group", "sg-1")))
    };
    let edges = |world: &World| world.count("SELECT count(*) FROM ci_relation");
    world.put(&related(40));
    world.sync_at(&at(1, 0), 0);
    world.put(&related(10));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!((guardrails(&document), held(&document), edges(&world)), (vec!["blast_radius".to_owned()], 30, 40));
    // Few are no loss; and edges that end at a retired record go with it and do not count.
    world.put(&related(35));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(edges(&world), 35);
    world.put(&without(&related(35), 0..8));
    world.sync_at(&at(1, 4), 0);
    assert_eq!(retired(&world), 8);
    let document = world.sync_at(&at(1, 5), 0);
    assert_eq!(World::counts(&document), []);
}

#[test]
fn purges_count_by_themselves() {
    let world = World::empty();
    let config = crate::support::CONFIG.replace("path: cmdb.db }", "path: cmdb.db, purge: delete }");
    let rest = "lifecycle: { defaults: { confirm_missing: 1, retire_after: 1h, purge_after: 2d } }\n";
    world.write("dewpoint.yaml", &format!("{config}{rest}"));
    let full = Inventory::new().instances(100);
    world.put(&full);
    world.sync_at(&at(1, 0), 0);
    world.put(&without(&full, 0..15));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(retired(&world), 15);
    // Fifteen of a hundred may be retired; all fifteen that are retired may not be removed unasked.
    let document = world.sync_at(&at(4, 0), 4);
    assert_eq!((guardrails(&document), held(&document), retired(&world)), (vec!["blast_radius".to_owned()], 15, 15));
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(4, 1), 0);
    assert_eq!((live(&world), retired(&world)), (85, 0));
}

#[test]
fn updates_of_what_identifies_a_record_are_limited() {
    let world = quick("");
    let named = |from: usize| {
        (0..40).fold(Inventory::new(), |all, i| {
            let native_id = if i < from { format!("i-other-{i:04}") } else { format!("i-{i:04}") };
            all.instance(&format!("i-{i:04}"), json!({ "native_id": native_id }))
        })
    };
    world.put(&named(0));
    world.sync_at(&at(1, 0), 0);
    world.put(&named(30));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["blast_radius".to_owned()], 30));
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE native_id LIKE 'i-other-%'"), 0);
}

#[test]
fn plain_updates_are_limited_only_where_it_is_asked_for() {
    for (extra, code, changed) in [("", 0, 40), ("guardrails: { max_update_percent: 50 }\n", 4, 0)] {
        let world = quick(extra);
        world.put(&Inventory::new().instances(40));
        world.sync_at(&at(1, 0), 0);
        let larger =
            super::ids(0..40).iter().fold(Inventory::new(), |all, id| all.instance(id, json!({ "attributes": { "size": "t3.large" } })));
        world.put(&larger);
        world.sync_at(&at(1, 1), code);
        assert_eq!(world.count("SELECT count(*) FROM ci_attribute WHERE name = 'size' AND value = 't3.large'"), changed);
    }
}

#[test]
fn kinds_no_longer_included_are_retired_with_that_reason_under_the_limits() {
    let narrowed = |kinds: &str| {
        let target = format!("{{ name: cmdb, kind: local, path: cmdb.db, include: {{ kinds: [{kinds}] }} }}");
        crate::support::CONFIG.replace("{ name: cmdb, kind: local, path: cmdb.db }", &target)
    };
    let world = World::empty();
    let groups = |n: usize| (0..n).fold(Inventory::new().instances(100), |all, i| all.group(&format!("sg-{i:02}"), json!({})));
    world.write("dewpoint.yaml", &narrowed("instance, security_group"));
    world.put(&groups(12));
    world.sync_at(&at(1, 0), 0);
    world.write("dewpoint.yaml", &narrowed("instance"));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!((guardrails(&document), held(&document)), (vec!["blast_radius".to_owned()], 12));
    let reason = &document["holds"][0]["changes"][0]["reason"];
    assert!(reason["rule"] == "include" || reason["text"].as_str().unwrap().contains("include"), "{reason}");
    world.json(&["holds", "approve", &hold(&document)], 0);
    world.sync_at(&at(1, 2), 0);
    assert_eq!(world.count("SELECT count(*) FROM ci WHERE retired = 1 AND kind = 'security_group'"), 12);
    // The resources live on: included again, they are revived.
    world.write("dewpoint.yaml", &narrowed("instance, security_group"));
    world.sync_at(&at(1, 3), 0);
    assert_eq!((live(&world), retired(&world)), (112, 0));
}

#[test]
fn a_target_never_holds_more_than_its_budget() {
    let budget = |n: usize| crate::support::CONFIG.replace("path: cmdb.db }", &format!("path: cmdb.db, max_records: {n} }}"));
    let world = World::empty();
    world.write("dewpoint.yaml", &budget(5));
    world.put(&Inventory::new().instances(8));
    let plan = world.json(&["plan", "--at", &at(1, 0)], 0);
    assert_eq!(plan["forecast"]["cmdb"].as_u64(), Some(5), "{plan:#}");
    let document = world.sync_at(&at(1, 0), 4);
    assert_eq!((guardrails(&document), held(&document), live(&world)), (vec!["budget".to_owned()], 3, 5));
    world.sync_at(&at(1, 1), 4);
    assert_eq!(live(&world), 5);
    world.write("dewpoint.yaml", &budget(8));
    world.sync_at(&at(1, 2), 0);
    assert_eq!(live(&world), 8);
}

#[test]
fn edges_that_were_related_once_more_an_hour_ago_are_still_the_base() {
    let world = World::new("");
    let edges = |from: usize, note: &str| {
        (0..60).fold(Inventory::new().instances(60).group("sg-1", json!({})), |all, n| {
            if n < from {
                return all;
            }
            let note = if n == 0 { "" } else { note };
            let (from, to) = (instance_key(&format!("i-{n:04}")), key("security_group", "sg-1"));
            all.relation_with("protected_by", &from, &to, &json!({ "note": note }))
        })
    };
    world.put(&edges(0, "one"));
    world.sync_at(&at(1, 0), 0);
    world.put(&edges(0, "two"));
    assert_eq!(World::counts(&world.sync_at(&at(5, 0), 0)), [("relate".to_owned(), 59)]);
    world.put(&edges(11, "two"));
    assert_eq!(World::counts(&world.sync_at(&at(5, 1), 0)), [("unrelate".to_owned(), 11)], "11 of 60 is below the limit");
}
