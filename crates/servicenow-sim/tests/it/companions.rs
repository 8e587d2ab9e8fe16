//! Meta, Instance, aggregates, batch, short URLs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_servicenow_sim::Instance;
use serde_json::{Value, json};

use crate::support::{VISIBLE, call, chain, enhanced, get, start, start_with};

#[test]
fn meta_tells_what_a_class_is_here() {
    let sim = start();
    let meta = get(&sim, "/api/now/cmdb/meta/cmdb_ci_vm_instance").result();
    assert_eq!(meta["parent"], "cmdb_ci_vm_object");
    assert_eq!(meta["identification_rules"]["is_independent"], "false");
    assert_eq!(meta["identification_rules"]["identifiers"][0]["attributes"], "object_id");
    let rules = meta["relationship_rules"].as_array().unwrap();
    let expected = json!({"parent": "cmdb_ci_vm_instance", "child": "cmdb_ci_logical_datacenter", "relation_type": "Hosted on::Hosts"});
    assert!(rules.contains(&expected));
    let name = meta["attributes"].as_array().unwrap().iter().find(|column| column["element"] == "name").unwrap();
    assert_eq!((name["max_length"].clone(), name["is_inherited"].clone()), (json!("255"), json!("true")));
    let account = get(&sim, "/api/now/cmdb/meta/cmdb_ci_cloud_service_account").result();
    let kind = account["attributes"].as_array().unwrap().iter().find(|column| column["element"] == "datacenter_type").unwrap();
    assert_eq!(kind["is_mandatory"], "true");
    assert_eq!(get(&sim, "/api/now/cmdb/meta/cmdb_ci_unheard").status, 404);
    assert_eq!(call(&sim, "POST", "/api/now/cmdb/meta/cmdb_ci", &json!({})).status, 405);

    let bare = start_with(Instance::bare(), |_| {});
    let network = get(&bare, "/api/now/cmdb/meta/cmdb_ci_network").result();
    assert!(network["attributes"].as_array().unwrap().iter().all(|column| column["element"] != "object_id"));
    assert_eq!(get(&bare, "/api/now/cmdb/meta/cmdb_ci_cloud_subnet").result().get("identification_rules"), None);
}

#[test]
fn records_are_counted() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "a"), ("i-2", "b")]));
    let count = get(&sim, "/api/now/stats/cmdb_ci?sysparm_count=true").result();
    assert_eq!(count, json!({"stats": {"count": "4"}}));
    let groups = get(&sim, "/api/now/stats/cmdb_ci?sysparm_count=true&sysparm_group_by=sys_class_name").result();
    assert!(
        groups
            .as_array()
            .unwrap()
            .contains(&json!({"stats": {"count": "2"}, "groupby_fields": [{"field": "sys_class_name", "value": "cmdb_ci_vm_instance"}]}))
    );
}

#[test]
fn the_instance_interface_writes_through_the_engine() {
    let sim = start();
    let result = enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let (host, machine) = (result["items"][1]["sysId"].as_str().unwrap(), result["items"][2]["sysId"].as_str().unwrap());
    let kind = sim.edit(|instance| instance.relation_type("Hosted on::Hosts")).unwrap();
    let body = json!({"attributes": {"name": "db", "object_id": "i-2"}, "source": "CloudBridge", "outbound_relations": [{"type": kind, "target": host}]});
    let made = call(&sim, "POST", "/api/now/cmdb/instance/cmdb_ci_vm_instance", &body);
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.result()["outbound_relations"][0]["target"]["value"], host);
    let lonely = json!({"attributes": {"name": "db", "object_id": "i-3"}, "source": "CloudBridge"});
    assert_eq!(call(&sim, "POST", "/api/now/cmdb/instance/cmdb_ci_vm_instance", &lonely).status, 400);
    assert_eq!(call(&sim, "POST", "/api/now/cmdb/instance/cmdb_ci_vm_instance", &json!({"attributes": {}})).status, 400);

    let one = format!("/api/now/cmdb/instance/cmdb_ci_vm_instance/{machine}");
    assert_eq!(call(&sim, "PATCH", &one, &json!({"attributes": {"name": "web-2"}, "source": "CloudBridge"})).status, 200);
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "name=web-2").len(), 1);
    let relation = get(&sim, &one).result()["outbound_relations"][0]["sys_id"].as_str().unwrap().to_owned();
    assert_eq!(call(&sim, "DELETE", &format!("{one}/relation/{relation}"), &Value::Null).status, 204);
    assert_eq!(call(&sim, "DELETE", &format!("{one}/relation/{relation}"), &Value::Null).status, 404);
    let again = json!({"source": "CloudBridge", "outbound_relations": [{"type": kind, "target": host}]});
    assert_eq!(call(&sim, "POST", &format!("{one}/relation"), &again).result()["outbound_relations"].as_array().unwrap().len(), 1);
    assert_eq!(call(&sim, "DELETE", &one, &Value::Null).status, 405, "there is no deletion");
    let list = get(&sim, "/api/now/cmdb/instance/cmdb_ci_vm_instance?sysparm_query=ORDERBYname").result();
    assert_eq!(list[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "sys_id"]);
}

fn part(id: &str, method: &str, url: &str, body: &Value) -> Value {
    let headers = json!([{"name": "Content-Type", "value": "application/json"}, {"name": "Accept", "value": "application/json"}]);
    let body = if body.is_null() { String::new() } else { STANDARD.encode(body.to_string()) };
    json!({"id": id, "method": method, "url": url, "headers": headers, "body": body})
}

#[test]
fn a_batch_is_served_in_order() {
    let sim = start();
    let parts = json!([
        part("a", "POST", "/api/now/table/cmdb_ci_vm_instance", &json!({"name": "web"})),
        part("b", "GET", "/api/now/table/cmdb_ci?sysparm_fields=name", &Value::Null),
        part("c", "GET", "/api/now/table/nonsense", &Value::Null),
    ]);
    let answer = call(&sim, "POST", "/api/now/v1/batch", &json!({"batch_request_id": 7, "rest_requests": parts})).json();
    assert_eq!(answer["batch_request_id"], "7");
    let serviced = answer["serviced_requests"].as_array().unwrap();
    let statuses: Vec<i64> = serviced.iter().map(|part| part["status_code"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [201, 200, 400]);
    let body: Value = serde_json::from_slice(&STANDARD.decode(serviced[1]["body"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(body["result"], json!([{"name": "web"}]));
    assert_eq!(sim.calls().iter().filter(|call| call.in_batch).count(), 3);
}

#[test]
fn a_batch_that_takes_too_long_leaves_the_rest() {
    let sim = start();
    sim.settings(|settings| settings.batch_request_ms = 12_000);
    let parts: Vec<Value> =
        ["a", "b", "c", "d"].iter().map(|id| part(id, "POST", "/api/now/table/cmdb_ci", &json!({"name": id}))).collect();
    let answer = call(&sim, "POST", "/api/now/v1/batch", &json!({"batch_request_id": "1", "rest_requests": parts})).json();
    assert_eq!(answer["unserviced_requests"], json!(["c", "d"]));
    assert_eq!(sim.rows("cmdb_ci", "").len(), 3, "one was served, and too late");

    sim.settings(|settings| settings.batch_request_ms = 0);
    let large = part("x", "POST", "/api/now/table/cmdb_ci", &json!({"comments": "x".repeat(6 * 1024 * 1024)}));
    let answer = call(&sim, "POST", "/api/now/v1/batch", &json!({"batch_request_id": "2", "rest_requests": [large]})).json();
    assert_eq!(answer["unserviced_requests"], json!(["x"]));
}

#[test]
fn a_long_url_has_a_short_one() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let long = format!("/api/now/table/cmdb_ci?sysparm_query=nameIN{}web&sysparm_fields=name", "x,".repeat(10_000));
    assert_eq!(get(&sim, &long).status, 414);
    let short = call(&sim, "POST", "/api/now/tinyurl", &json!({"url": long})).result();
    let key = short.as_str().unwrap().split("sysparm_tiny=").nth(1).unwrap().to_owned();
    assert_eq!(get(&sim, &format!("/api/now/table/cmdb_ci?sysparm_tiny={key}")).result(), json!([{"name": "web"}]));
}

#[test]
fn a_clone_is_an_instance_of_its_own() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let text = serde_json::to_string(&sim.snapshot()).unwrap();
    let instance: Instance = serde_json::from_str(&text).unwrap();
    let clone = start_with(instance, |_| {});
    assert_eq!(clone.edit(|instance| instance.tables()), sim.edit(|instance| instance.tables()));
    enhanced(&clone, VISIBLE, &chain(&[("i-2", "db")]));
    assert_eq!((clone.rows("cmdb_ci_vm_instance", "").len(), sim.rows("cmdb_ci_vm_instance", "").len()), (2, 1));
    sim.restore(clone.snapshot());
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "").len(), 2);
}
