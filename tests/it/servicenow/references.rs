//! Columns that hold ids of rows which people keep: users, services and their like.

use serde_json::json;

use super::rig::machines;
use super::trial::{Trial, instance, with};
use crate::support::inventory::Inventory;

const OWNERS: &str = "ownership: { owner: [owner] }";

fn owned(owner: &str) -> Inventory {
    with(machines(4), "i-0002", json!({ "tags": { "owner": owner } }))
}

#[test]
fn what_could_not_be_found_is_tried_again_at_the_next_full_read() {
    let mut trial = Trial::over(instance(), "");
    trial.snow.configure("verify_every: 2h\nheartbeat: never", OWNERS);
    trial.put(&owned("ann@example.com"));
    let sync = trial.sync(0);
    let told = "no row that we may see, or more than one, of `sys_user` has email or user_name or name `ann@example.com`";
    assert!(sync["remarks"].to_string().contains(told), "{sync:#}");
    let users = trial.sim().rows("sys_user", "").len();
    for _ in 0..5 {
        trial.sim().clear_calls();
        let sync = trial.sync(0);
        assert_eq!((trial.snow.writes(), &sync["counts"]["snow"]), (0, &json!({})), "{sync:#}");
    }
    assert_eq!((trial.value("i-0002", "owned_by"), trial.sim().rows("sys_user", "").len()), (String::new(), users));

    let ann = trial.people_add("sys_user", &[("email", "ann@example.com"), ("name", "Ann")]);
    let updates: Vec<u64> = (0..6).map(|_| trial.sync(0)["counts"]["snow"]["update"].as_u64().unwrap_or(0)).collect();
    assert_eq!(updates.iter().sum::<u64>(), 1, "{updates:?}");
    assert_eq!(trial.value("i-0002", "owned_by"), ann);
    trial.assert_strangers();
}

#[test]
fn what_people_wrote_meanwhile_stays() {
    let mut trial = Trial::over(instance(), "");
    trial.snow.configure("verify_every: 2h\nheartbeat: never", OWNERS);
    trial.put(&owned("ann@example.com"));
    trial.sync(0);
    let bob = trial.people_add("sys_user", &[("email", "bob@example.com")]);
    trial.people_edit("i-0002", &[("owned_by", &bob)]);
    trial.people_add("sys_user", &[("email", "ann@example.com")]);
    for _ in 0..6 {
        trial.sim().clear_calls();
        trial.sync(0);
        assert_eq!(trial.snow.writes(), 0);
    }
    assert_eq!(trial.value("i-0002", "owned_by"), bob);
}

#[test]
fn a_column_of_ones_own_names_a_service() {
    let mut trial = Trial::over(instance(), "");
    let reference = "mapping: { instance: { fields: { duplicate_of: { value: ci.service, reference: { table: cmdb_ci_service, by: [number, name] } } } } }";
    trial.snow.configure(&format!("{reference}\ninclude: {{ kinds: [instance] }}"), "ownership: { service: [app] }");
    let shop = trial.people_add("cmdb_ci_service_discovered", &[("name", "Web shop"), ("number", "APP-7")]);
    trial.put(&with(with(machines(4), "i-0001", json!({ "tags": { "app": "APP-7" } })), "i-0002", json!({ "tags": { "app": "other" } })));
    let sync = trial.sync(0);
    assert!(sync["remarks"].to_string().contains("`cmdb_ci_service` has number or name `other`"), "{sync:#}");
    assert_eq!([trial.value("i-0001", "duplicate_of"), trial.value("i-0002", "duplicate_of")], [shop, String::new()]);
    trial.sim().clear_calls();
    trial.sync(0);
    assert_eq!(trial.snow.writes(), 0);
    trial.assert_strangers();
}

#[test]
fn a_column_that_the_class_lacks_is_left_until_it_is_there() {
    let mut trial = Trial::over(instance(), "");
    let fields = "u_app: ci.name, u_team: { value: '\"Linux\"', reference: { table: sys_user_group, by: [name] } }";
    trial.snow.configure(&format!("verify_every: 2h\nheartbeat: never\nmapping: {{ instance: {{ fields: {{ {fields} }} }} }}"), "");
    let linux = trial.people_add("sys_user_group", &[("name", "Linux")]);
    trial.put(&machines(2));
    let sync = trial.sync(0);
    assert!(sync["remarks"].to_string().contains("has no such column on this instance"), "{sync:#}");
    for _ in 0..6 {
        trial.sim().clear_calls();
        trial.sync(0);
        assert_eq!(trial.snow.writes(), 0, "{:?}", trial.sim().calls());
    }
    trial.sim().edit(|instance| {
        for (name, like) in [("u_app", "asset_tag"), ("u_team", "support_group")] {
            let mut column = instance.schema.column("cmdb_ci_vm_instance", like).unwrap().clone();
            column.name = name.to_owned();
            instance.schema.add_column("cmdb_ci_vm_instance", column);
        }
    });
    let updates: Vec<u64> = (0..6).map(|_| trial.sync(0)["counts"]["snow"]["update"].as_u64().unwrap_or(0)).collect();
    assert_eq!(updates.iter().sum::<u64>(), 2, "{updates:?}");
    assert_eq!([trial.value("i-0001", "u_app"), trial.value("i-0001", "u_team")], ["i-0001".to_owned(), linux]);
    trial.assert_strangers();
}
