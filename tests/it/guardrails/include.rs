//! What a target gets at all (`include.when`).

use serde_json::{Value, json};

use super::{at, guardrails, held, live, retired};
use crate::support::{Inventory, World, inventory};

fn including(when: &str) -> String {
    crate::support::CONFIG.replace("path: cmdb.db }", &format!("path: cmdb.db, include: {{ when: '{when}' }} }}"))
}

fn machines(environments: &[(&str, &str)]) -> Inventory {
    environments.iter().fold(Inventory::new(), |all, (id, environment)| all.instance(id, json!({ "tags": { "env": environment } })))
}

fn shown(world: &World, id: &str) -> Value {
    world.json(&["show", &inventory::instance_key(id)], 0)["targets"]["cmdb"].clone()
}

#[test]
fn it_chooses_and_what_it_lets_go_is_retired_with_that_reason() {
    let world = World::empty();
    world.write("dewpoint.yaml", &including("ci.environment != \"sandbox\""));
    world.put(&machines(&[("i-1", "prod"), ("i-2", "prod"), ("i-3", "sandbox")]));
    world.sync_at(&at(1, 0), 0);
    assert_eq!((live(&world), retired(&world)), (2, 0));
    assert_eq!((&shown(&world, "i-1")["state"], &shown(&world, "i-3")["state"]), (&json!("delivered"), &json!("excluded")));
    assert_eq!(World::counts(&world.sync_at(&at(1, 1), 0)), []);

    world.put(&machines(&[("i-1", "prod"), ("i-2", "sandbox"), ("i-3", "sandbox")]));
    let plan = world.json(&["plan", "--at", &at(1, 2)], 0);
    assert_eq!(plan["changes"].as_array().map(Vec::len), Some(1), "{plan:#}");
    assert_eq!(plan["changes"][0]["reason"], json!({ "rule": "include", "text": "this target's `include.when` does not hold any more" }));
    assert_eq!(World::counts(&world.sync_at(&at(1, 2), 0)), [("retire".to_owned(), 1)]);
    assert_eq!((live(&world), retired(&world)), (1, 1));

    // The condition changes, and no resource does.
    world.write("dewpoint.yaml", &including("ci.environment == \"sandbox\""));
    let document = world.sync_at(&at(1, 3), 0);
    assert_eq!(World::counts(&document), [("create".to_owned(), 1), ("retire".to_owned(), 1), ("revive".to_owned(), 1)]);
    assert_eq!((live(&world), retired(&world)), (2, 1));
    assert_eq!(World::counts(&world.sync_at(&at(1, 4), 0)), []);
}

#[test]
fn a_condition_that_lets_everything_go_is_held() {
    let world = World::new("");
    world.put(&Inventory::new().instances(40));
    world.sync_at(&at(1, 0), 0);
    world.write("dewpoint.yaml", &including("ci.environment == \"prod\""));
    let document = world.sync_at(&at(1, 1), 4);
    assert_eq!((guardrails(&document), held(&document), live(&world)), (vec!["blast_radius".to_owned()], 40, 40));
}

#[test]
fn where_it_fails_membership_stays_and_is_told() {
    let world = World::empty();
    world.write("dewpoint.yaml", &including("ci.tags[\"env\"] == \"prod\""));
    world.put(&machines(&[("i-1", "prod")]));
    world.sync_at(&at(1, 0), 0);
    world.put(&Inventory::new().instance("i-1", json!({ "attributes": { "size": "t3.large" } })).instance("i-2", json!({})));
    let told = |document: &Value| {
        let problem = &document["problems"][0];
        assert_eq!(problem["subject"], "target `cmdb`", "{document:#}");
        let text = problem["text"].as_str().unwrap();
        assert!(text.starts_with("`include.when` could not be asked about 2 CIs"), "{text}");
        assert!(text.contains(&inventory::instance_key("i-1")), "{text}");
        assert!(problem["hint"].as_str().unwrap().contains("in ci.tags"), "{problem}");
    };
    told(&world.json(&["plan", "--at", &at(1, 1)], 3));
    let document = world.sync_at(&at(1, 1), 3);
    told(&document);
    assert_eq!(World::counts(&document), [("update".to_owned(), 1)], "what has a record is kept up to date");
    // By every sync, also where nothing changed.
    told(&world.sync_at(&at(1, 2), 3));
    let text = world.run(&["sync", "--at", &at(1, 3)]);
    assert!(text.code == 3 && text.out.contains("problem   target `cmdb`: `include.when` could not be asked about 2 CIs"), "{text:?}");
    world.put(&machines(&[("i-1", "prod"), ("i-2", "prod")]));
    assert_eq!(World::counts(&world.sync_at(&at(1, 4), 0)), [("create".to_owned(), 1), ("update".to_owned(), 1)]);
}
