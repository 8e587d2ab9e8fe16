//! Types, groups, fields, statuses, lookups, clients and sites, and people.

use dewpoint_halo_sim::{Agent, Tenant};
use serde_json::{Value, json};

use crate::support::{Caller, ids, instance, start, start_with};

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn configuration_is_listed_bare() {
    let sim = start();
    let caller = Caller::new(&sim);
    assert_eq!(names(&caller.get("/api/AssetType")), ["Server", "Laptop", "Cloud Instance"]);
    assert_eq!(ids(&caller.get("/api/AssetType?assetgroup_id=112")), [130]);
    assert_eq!(names(&caller.get("/api/AssetGroup")), ["Hardware", "Cloud", "Services"]);
    assert_eq!(caller.get("/api/Field?kind=T").as_array().unwrap().len(), 9);
    assert_eq!(caller.get("/api/Field?kind=S"), json!([]));
    assert_eq!(caller.get("/api/Field/150?kind=T&includedetails=true")["values"][1]["name"], "Test");
    assert_eq!(names(&caller.get("/api/Team")), ["1st Line Support", "Cloud"]);
}

#[test]
fn a_type_has_rows_of_fields() {
    let sim = start();
    let caller = Caller::new(&sim);
    let text = caller.call("GET", "/api/AssetType", &Value::Null).text;
    assert!(text.contains(r#""field_id":101.0"#), "ids are numbers that need not be whole");
    let found = &caller.get("/api/AssetType")[2];
    assert_eq!((found["keyfield_id"].clone(), found["keyfield_name"].clone()), (json!(1), json!("Name")), "a key field is a row, no field");
    assert_eq!((found["fields"][1]["field_name"].clone(), found["fields"][1]["keyfield_id"].clone()), (json!("Provider ID"), json!("2")));
    assert_eq!(found.get("allowed_status"), None);
    sim.edit(|tenant| tenant.types.get_mut(&130).unwrap().statuses = Some([1, 4].into()));
    let details = caller.get("/api/AssetType/130?includedetails=true");
    assert_eq!((details["allowall_status"].clone(), details["allowed_status"][1]["status_name"].clone()), (json!(false), json!("Retired")));
    assert_eq!(caller.get("/api/AssetType/130").get("fields"), None);
    sim.settings(|settings| settings.fields_in_type_list = false);
    assert_eq!(caller.get("/api/AssetType")[0].get("fields"), None);
}

#[test]
fn a_posted_status_is_one_of_tickets_unless_the_version_looks_at_its_type() {
    let sim = start();
    let caller = Caller::new(&sim);
    let post = |name: &str| caller.call("POST", "/api/Status", &json!([{ "name": name, "type": 1 }])).json();
    assert_eq!(post("Stopped")["type"], json!(0));
    sim.settings(|settings| settings.asset_statuses_by_type = true);
    assert_eq!(post("Stopped")["type"], json!(1));
    assert_eq!(names(&caller.get("/api/Status?type=asset")), ["Active", "In stock", "In repair", "Retired", "Stopped"]);
    assert_eq!(names(&caller.get("/api/Status")).iter().filter(|name| **name == "Stopped").count(), 1);
}

#[test]
fn a_version_may_not_know_a_parameter() {
    let sim = start();
    let caller = Caller::new(&sim);
    sim.settings(|settings| settings.ignored_parameters = ["kind".to_owned()].into());
    assert_eq!(caller.get("/api/Field?KIND=S").as_array().unwrap().len(), 9);
}

#[test]
fn statuses_of_tickets_have_the_same_ids() {
    let sim = start();
    let caller = Caller::new(&sim);
    assert_eq!(names(&caller.get("/api/Status")), ["New", "In Progress", "Action Required", "Closed"]);
    assert_eq!(names(&caller.get("/api/Status?type=ticket"))[0], "New");
    assert_eq!(names(&caller.get("/api/Status?type=asset")), ["Active", "In stock", "In repair", "Retired"]);
}

#[test]
fn lookups_are_found_by_their_names() {
    let sim = start();
    let caller = Caller::new(&sim);
    let types = caller.get("/api/Lookup?lookupid=11");
    let id = types.as_array().unwrap().iter().find(|row| row["name"] == "Asset Relationships").unwrap()["id"].as_i64().unwrap();
    assert!(names(&caller.get(&format!("/api/Lookup?lookupid={id}"))).contains(&"Depends on"));
    assert!(caller.get("/api/Lookup").as_array().unwrap().len() > 10, "all codes of all");
    sim.edit(|tenant| {
        let moved = tenant.lookups.remove(&tenant.relationship_lookup).unwrap();
        tenant.lookups.insert(77, moved);
        tenant.relationship_lookup = 77;
    });
    assert_eq!(sim.edit(|tenant| tenant.relationship_named("HOSTS")), Some(2));
}

#[test]
fn clients_and_sites_are_paged() {
    let sim = start_with(Tenant::new().with_site("Branch"), |_| {});
    let caller = Caller::new(&sim);
    let sites = caller.get("/api/Site?pageinate=true&page_size=2&client_id=12");
    assert_eq!((sites["record_count"].clone(), names(&sites["sites"])), (json!(2), vec!["Main", "Branch"]));
    assert_eq!(names(&caller.get("/api/Site?search=branch")["sites"]), ["Branch"]);
    assert_eq!(names(&caller.get("/api/Client")["clients"]), ["Unknown", "Acme"]);
    sim.edit(|tenant| tenant.clients.get_mut(&12).unwrap().inactive = true);
    assert_eq!(names(&caller.get("/api/Client")["clients"]), ["Unknown"]);
    assert_eq!(caller.get("/api/Site/18")["client_id"], 12.0);
}

#[test]
fn owners_are_found_by_mail() {
    let sim = start();
    let caller = Caller::new(&sim);
    assert_eq!(names(&caller.get("/api/Agent")), ["Ada Admin", "Otto Owner"]);
    assert_eq!(ids(&caller.get("/api/Agent?includedisabled=true&search=gone@acme.example")), [9]);
    assert_eq!(ids(&caller.get("/api/Agent?search=otto")), [8]);
    sim.edit(|tenant| {
        let robot = Agent { name: "Robot".to_owned(), email: String::new(), team: String::new(), disabled: false, is_api: true };
        tenant.agents.insert(10, robot);
    });
    assert_eq!([caller.get("/api/Agent"), caller.get("/api/Agent?includeapiagents=true")].map(|rows| ids(&rows).len()), [2, 3]);
    let users = caller.get("/api/Users?pageinate=true&search=uma@acme.example");
    assert_eq!((users["record_count"].clone(), users["users"][0]["id"].clone()), (json!(1), json!(31)));
    assert_eq!(caller.get("/api/Users?includeinactive=true")["users"][0]["name"], "Former User");
    assert_eq!((caller.get("/api/Users/32")["inactive"].clone(), caller.get("/api/Team/2")["name"].clone()), (json!(true), json!("Cloud")));
    assert_eq!(caller.status("POST", "/api/Agent", &json!([{"name": "x"}])), 405);
}

#[test]
fn types_and_fields_are_made() {
    let sim = start();
    let caller = Caller::new(&sim);
    let post = |entity: &str, body: Value| caller.call("POST", &format!("/api/{entity}"), &json!([body]));
    let field = post("Field", json!({"name": "Zone", "kind": "T", "validate": "X"}));
    assert_eq!(field.status, 201);
    let field = field.json()["id"].as_i64().unwrap();
    let group = post("AssetGroup", json!({"name": "Network", "showasequip": true})).json()["id"].as_i64().unwrap();
    let made = post(
        "AssetType",
        json!({"name": "Security Group", "assetgroup_id": group, "fields": [
            {"field_id": 148, "field_name": "Provider ID", "keyfield_id": "2"}, {"field_id": field, "keyfield_id": "1"}],
            "allowall_status": true, "show_to_users": false, "linkedcontracttype": -1, "fiid": -1}),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!((made.json()["keyfield_name"].clone(), made.json()["keyfield2_name"].clone()), (json!("Zone"), json!("Provider ID")));
    let made = made.json()["id"].as_i64().unwrap();
    assert!(sim.unknown_properties().is_empty(), "{:?}", sim.unknown_properties());
    let id = caller.put(&json!({"assettype_id": made, "site_id": 18, "fields": [{"id": field, "value": "z"}]}));
    assert_eq!(caller.get(&format!("/api/Asset/{id}"))["key_field"], "z");
    let renamed = post("AssetType", json!({"id": made, "name": "SG", "keyfield_id": 1})).json();
    assert_eq!(
        (renamed["name"].clone(), renamed["keyfield_name"].clone(), renamed["fields"].as_array().unwrap().len()),
        (json!("SG"), json!("Provider ID"), 2)
    );
    for (entity, body) in [
        ("Field", json!({"kind": "T"})),
        ("Field", json!({"name": "Zone"})),
        ("AssetType", json!({"name": "X", "assetgroup_id": 999})),
        ("Site", json!({"name": "X"})),
    ] {
        assert_eq!(post(entity, body.clone()).status, 400, "{entity} {body}");
    }
    assert_eq!(post("AssetType", json!({"id": 999, "name": "X"})).status, 404);
    assert_eq!(caller.call("POST", "/api/AssetType", &json!({"name": "X"})).status, 400, "an array is needed");
    assert_eq!(post("Site", json!({"name": "Branch", "client_id": 12})).status, 201);
    assert_eq!(post("Lookup", json!({"lookupid": 94, "name": "Shields"})).status, 201);
    assert!(sim.edit(|tenant| tenant.relationship_named("Shields")).is_some());
}

#[test]
fn what_is_in_use_stays() {
    let sim = start();
    let caller = Caller::new(&sim);
    caller.put(&instance("i-1"));
    let delete = |target: &str| caller.status("DELETE", target, &Value::Null);
    assert_eq!(
        [delete("/api/AssetType/130"), delete("/api/Site/18"), delete("/api/Field/101?kind=T"), delete("/api/AssetGroup/112")],
        [400; 4]
    );
    assert_eq!([delete("/api/AssetType/121"), delete("/api/AssetGroup/113"), delete("/api/FieldInfo/214")], [200; 3]);
    assert_eq!([delete("/api/AssetType/121"), delete("/api/Site/999")], [404; 2]);
    assert_eq!(delete("/api/Asset"), 405);
}
