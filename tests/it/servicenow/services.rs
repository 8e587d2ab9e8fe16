//! Application services that people keep: what tags say hangs on them.

use serde_json::json;

use super::rig::machines;
use super::trial::{Trial, instance, with};
use crate::support::inventory::Inventory;

const SERVICES: &str = "ownership: { service: [app] }";
const ALL: &str = "verify_every: 3h\nheartbeat: never\ninclude: { kinds: [instance, service] }";

/// Four machines, of which two say whose they are.
fn tagged(name: &str) -> Inventory {
    let tags = json!({ "tags": { "app": name } });
    with(with(machines(4), "i-0001", tags.clone()), "i-0002", tags)
}

/// An instance on which people keep this service.
fn trial(class: &str, name: &str) -> (Trial, String) {
    let mut instance = instance();
    let id = instance.insert(class, &[("name", name), ("short_description", "by people"), ("operational_status", "1")]);
    let trial = Trial::over(instance, "");
    trial.snow.configure(ALL, SERVICES);
    (trial, id)
}

/// What depends on what: the service's edges, by the machines' names.
fn depends(trial: &Trial, service: &str) -> Vec<String> {
    let snapshot = trial.sim().snapshot();
    let children = snapshot.find("cmdb_rel_ci", &format!("parent={service}")).into_iter().map(|(_, row)| row.values["child"].clone());
    let mut names: Vec<String> = children.map(|id| snapshot.get(&id).unwrap().values["name"].clone()).collect();
    names.sort();
    names
}

/// The service's values, without what the engine moves on what a payload names.
fn theirs(trial: &Trial, service: &str) -> Vec<(String, String)> {
    const MOVED: [&str; 5] = ["discovery_source", "last_discovered", "sys_updated_on", "sys_updated_by", "sys_mod_count"];
    let row = trial.sim().snapshot().get(service).unwrap().clone();
    let mut values: Vec<(String, String)> = row.values.into_iter().filter(|(name, _)| !MOVED.contains(&name.as_str())).collect();
    values.push(("table".to_owned(), row.table));
    values
}

#[test]
fn machines_hang_on_the_service_that_people_keep() {
    for class in ["cmdb_ci_service_discovered", "cmdb_ci_service_business"] {
        let (trial, shop) = trial(class, "shop");
        let (before, services) = (theirs(&trial, &shop), trial.sim().rows("cmdb_ci_service", "").len());
        trial.put(&tagged("shop"));
        let sync = trial.sync(0);
        assert_eq!(sync["counts"]["snow"], json!({ "create": 4, "relate": 2 }), "{class}: {sync:#}");
        assert_eq!(depends(&trial, &shop), ["i-0001", "i-0002"]);
        let show = trial.json(&["show", "service:shop"], 0);
        assert_eq!((&show["targets"]["snow"]["state"], &show["targets"]["snow"]["record"]), (&json!("excluded"), &json!(shop)));
        let check = |at: &str| {
            assert_eq!(trial.sim().rows("cmdb_ci_service", "").len(), services, "{class}: {at}");
            assert_eq!(theirs(&trial, &shop), before, "{class}: {at}");
            assert_eq!(trial.sim().rows("sys_object_source", &format!("target_sys_id={shop}")).len(), 0, "it gets no mark: {at}");
        };
        check("at first");
        // Full reads come in between.
        for _ in 0..5 {
            trial.sim().clear_calls();
            trial.sync(0);
            assert_eq!(trial.snow.writes(), 0, "{class}");
        }
        check("after full reads");

        trial.put(&with(tagged("shop"), "i-0002", json!({ "tags": {} })));
        assert_eq!(trial.sync(0)["counts"]["snow"]["unrelate"], 1);
        assert_eq!(depends(&trial, &shop), ["i-0001"]);
        // Nothing names it any more. Once that is confirmed our edges go, and it stays.
        trial.put(&machines(4));
        assert_eq!(trial.sync(0)["counts"]["snow"], json!({ "update": 1 }), "a machine lost its tag");
        assert_eq!(depends(&trial, &shop), ["i-0001"], "as for all that is missed");
        trial.wait(72);
        let sync = trial.sync(0);
        assert_eq!((&sync["counts"]["snow"], depends(&trial, &shop)), (&json!({ "unrelate": 1 }), Vec::new()), "{class}: {sync:#}");
        for _ in 0..3 {
            let sync = trial.sync(0);
            assert_eq!(sync["counts"]["snow"], json!({}), "{class}: {sync:#}");
        }
        check("in the end");
        // It is named again.
        trial.put(&tagged("shop"));
        trial.sync(0);
        assert_eq!(depends(&trial, &shop), ["i-0001", "i-0002"]);
        check("again");
    }
}

#[test]
fn of_two_services_people_say_which() {
    let (mut trial, first) = trial("cmdb_ci_service_discovered", "shop");
    let second = trial.people_add("cmdb_ci_service_auto", &[("name", "shop")]);
    trial.put(&tagged("shop"));
    let sync = trial.sync(4);
    assert_eq!(sync["holds"][0]["guardrails"], json!(["ownership"]), "{sync:#}");
    assert_eq!((depends(&trial, &first), depends(&trial, &second)), (Vec::new(), Vec::new()));
    trial.sim().edit(|instance| instance.delete(&second));
    trial.sync(0);
    assert_eq!(depends(&trial, &first), ["i-0001", "i-0002"]);
}

#[test]
fn a_service_that_people_remove_is_made() {
    let (trial, shop) = trial("cmdb_ci_service_discovered", "shop");
    trial.put(&tagged("shop"));
    trial.sync(0);
    trial.sim().edit(|instance| instance.delete(&shop));
    trial.wait(3);
    let sync = trial.sync(0);
    assert_eq!(sync["counts"]["snow"]["create"], 1, "{sync:#}");
    let made = trial.sim().rows("cmdb_ci_service_auto", "name=shop").remove(0).0;
    assert_eq!(depends(&trial, &made), ["i-0001", "i-0002"]);
    trial.sim().clear_calls();
    trial.sync(0);
    assert_eq!(trial.snow.writes(), 0);
}
