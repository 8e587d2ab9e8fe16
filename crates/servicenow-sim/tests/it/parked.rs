//! What is put aside: partial and incomplete payloads.

use jiff::SignedDuration;
use serde_json::json;

use crate::support::{VISIBLE, account, call, chain, datacenter, enhanced, errors, hosted, operations, source, start};

fn group() -> serde_json::Value {
    json!({"items": [{"className": "cmdb_ci_compute_security_group", "internal_id": "sg", "values": {"name": "web", "object_id": "sg-1"},
        "sys_object_source_info": source("sg-1")}], "relations": []})
}

#[test]
fn a_partial_item_looks_clean() {
    let sim = start();
    let result = enhanced(&sim, "generate_summary:true", &group());
    let item = &result["items"][0];
    assert_eq!(item["operation"], "INSERT_AS_PARTIAL");
    assert_eq!(item["sysId"], "Unknown");
    assert_eq!((item["errors"].clone(), item["errorCount"].clone(), item["warningCount"].clone()), (json!([]), json!(0), json!(1)));
    assert_eq!(item["warnings"][0]["error"], "MISSING_DEPENDENCY");
    assert_eq!((result["hasError"].clone(), result["hasWarning"].clone()), (json!(false), json!(true)));
    assert_eq!(item["partialSysIds"][0], *sim.rows("cmdb_ire_partial_payloads", "")[0].0);
    assert_eq!(item["identificationAttempts"][0]["info"], "sys_object_source NO_MATCH");
    assert_eq!(result["summary"]["cmdb_ci_compute_security_group"]["partial"], 1);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
}

#[test]
fn a_partial_item_is_merged_with_its_stale_values() {
    let sim = start();
    let mut stale = group();
    stale["items"][0]["values"]["short_description"] = json!("of old");
    enhanced(&sim, "", &stale);
    let mut whole = group();
    whole["items"].as_array_mut().unwrap().extend([account(), datacenter()]);
    whole["relations"] = json!([hosted("dc", "account"), hosted("sg", "dc")]);
    let result = enhanced(&sim, "", &whole);
    assert_eq!(operations(&result), ["INSERT", "INSERT", "INSERT"]);
    assert_eq!(result["items"][0]["mergedPayloadIds"].as_array().unwrap().len(), 1);
    assert_eq!(sim.rows("cmdb_ci_compute_security_group", "")[0].1.get("short_description"), "of old");
    assert_eq!(sim.rows("cmdb_ire_partial_payloads", "").len(), 0);
}

#[test]
fn a_partial_item_is_forgotten_after_ninety_days() {
    let sim = start();
    let mut stale = group();
    stale["items"][0]["values"]["short_description"] = json!("of old");
    enhanced(&sim, "", &stale);
    sim.advance(SignedDuration::from_hours(24 * 91));
    let mut whole = group();
    whole["items"].as_array_mut().unwrap().extend([account(), datacenter()]);
    whole["relations"] = json!([hosted("dc", "account"), hosted("sg", "dc")]);
    enhanced(&sim, "", &whole);
    assert_eq!(sim.rows("cmdb_ci_compute_security_group", "")[0].1.get("short_description"), "");
}

#[test]
fn everything_else_is_incomplete() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web")]);
    // Neither a source key nor criterion attributes: it cannot be found again.
    payload["items"][0] = json!({"className": "cmdb_ci_cloud_service_account", "internal_id": "account", "values": {"name": "x"}});
    let result = enhanced(&sim, "", &payload);
    assert_eq!(operations(&result), ["INSERT_AS_INCOMPLETE"; 3]);
    assert_eq!(errors(&result), ["MISSING_MATCHING_ATTRIBUTES", "ABANDONED", "ABANDONED"]);
    assert!(result["relations"].as_array().unwrap().iter().all(|relation| relation["operation"] == "INSERT_AS_INCOMPLETE"));
    assert_eq!(sim.rows("cmdb_ire_incomplete_payloads", "").len(), 3);
    assert_eq!(result["items"][0]["incompleteSysIds"].as_array().unwrap().len(), 1);
}

#[test]
fn without_parking_nothing_is_stored() {
    let sim = start();
    let result = enhanced(&sim, VISIBLE, &group());
    assert_eq!(errors(&result), ["MISSING_DEPENDENCY"]);
    assert_eq!(operations(&result), ["INSERT"], "the word says nothing");
    assert_eq!(sim.rows("cmdb_ire_partial_payloads", "").len() + sim.rows("cmdb_ire_incomplete_payloads", "").len(), 0);
}

#[test]
fn an_unregistered_source_fails_every_item() {
    let sim = start();
    for name in ["Unheard", "cloudbridge"] {
        let target = format!("/api/now/identifyreconcile/enhanced?sysparm_data_source={name}&options={VISIBLE}");
        let answer = call(&sim, "POST", &target, &chain(&[("i-1", "web")]));
        assert_eq!(answer.status, 200);
        assert_eq!(errors(&answer.result()), ["INVALID_INPUT_DATA"; 3]);
    }
    // A choice in the scope of an application is not seen.
    sim.edit(|instance| {
        instance.remove_data_source("CloudBridge");
        let values = [("name", "cmdb_ci"), ("element", "discovery_source"), ("value", "CloudBridge"), ("sys_scope", "x_app")];
        instance.insert("sys_choice", &values);
    });
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[]))), ["INVALID_INPUT_DATA"; 2]);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
}

#[test]
fn without_a_source_the_payload_is_put_aside() {
    let sim = start();
    for path in ["/api/now/identifyreconcile", "/api/now/identifyreconcile/enhanced"] {
        let answer = call(&sim, "POST", path, &chain(&[("i-1", "web")]));
        assert_eq!(answer.status, 200);
        let result = answer.result();
        assert_eq!(operations(&result), ["INSERT_AS_INCOMPLETE"; 3]);
        assert_eq!(errors(&result), [""; 3], "it looks clean");
    }
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
    assert_eq!(sim.rows("cmdb_ire_incomplete_payloads", "").len(), 2);
}

#[test]
fn a_source_that_may_not_insert_may_update() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    sim.edit(|instance| instance.insert_bans.push(("CloudBridge".to_owned(), "cmdb_ci_vm_instance".to_owned())));
    let result = enhanced(&sim, VISIBLE, &chain(&[("i-1", "changed"), ("i-2", "new")]));
    assert_eq!(errors(&result), ["", "", "", "INSERT_NOT_ALLOWED_FOR_SOURCE"]);
    assert_eq!(result["items"][2]["operation"], "UPDATE");
}
