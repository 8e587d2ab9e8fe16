//! The identification and reconciliation engine.

use dewpoint_servicenow_sim::{Instance, ReconciliationRule, SKIP_SOURCE_MATCHING, schema::HostRule};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{
    VISIBLE, account, call, call_as, chain, datacenter, enhanced, errors, hosted, machine, operations, source, start, start_with,
};

#[test]
fn a_chain_is_inserted_once() {
    let sim = start();
    let first = enhanced(&sim, VISIBLE, &chain(&[("i-1", "web-1")]));
    assert_eq!(operations(&first), ["INSERT", "INSERT", "INSERT"]);
    assert_eq!(first["relations"].as_array().unwrap().iter().filter(|relation| relation["operation"] == "INSERT").count(), 2);
    assert_eq!(first["hasError"], false);
    assert_eq!(first["summary"]["cmdb_ci_vm_instance"]["inserted"], 1);

    let rows = sim.rows("cmdb_ci_vm_instance", "");
    let (sys_id, row) = &rows[0];
    assert_eq!(rows.len(), 1);
    assert_eq!(first["items"][2]["sysId"], **sys_id);
    assert_eq!(row.get("discovery_source"), "CloudBridge");
    assert_eq!(row.get("first_discovered"), "2026-06-01 10:00:00");
    assert_eq!(row.get("install_status"), "1");
    let of_source = sim.rows("sys_object_source", &format!("target_sys_id={sys_id}"));
    assert_eq!(of_source[0].1.get("id"), "i-1");
    assert_eq!(of_source[0].1.get("source_feed"), "ec2");

    // The same once more: nothing but the times of the last sight moves.
    sim.advance(SignedDuration::from_secs(60));
    let second = enhanced(&sim, VISIBLE, &chain(&[("i-1", "web-1")]));
    assert_eq!(operations(&second), ["NO_CHANGE", "NO_CHANGE", "NO_CHANGE"]);
    assert!(second["relations"].as_array().unwrap().iter().all(|relation| relation["operation"] == "NO_CHANGE"));
    let after = sim.rows("cmdb_ci_vm_instance", "")[0].1.clone();
    assert_eq!(after.get("last_discovered"), "2026-06-01 10:01:00");
    assert_eq!(after.get("sys_updated_on"), row.get("sys_updated_on"));
    assert_eq!(sim.rows("sys_object_source", &format!("target_sys_id={sys_id}"))[0].1.get("last_scan"), "2026-06-01 10:01:00");

    let third = enhanced(&sim, VISIBLE, &chain(&[("i-1", "web-one")]));
    assert_eq!(operations(&third), ["NO_CHANGE", "NO_CHANGE", "UPDATE"]);
    assert_eq!(sim.counters().operations["INSERT"], 3);
    let call = &sim.calls()[0];
    assert_eq!((call.items["cmdb_ci_vm_instance"], call.items.len(), call.relations), (1, 3, 2));
    assert_eq!((call.user.as_str(), call.query["sysparm_data_source"].as_str(), call.status), ("integration", "CloudBridge", 200));
}

#[test]
fn the_query_endpoints_commit_nothing() {
    let sim = start();
    let before = sim.edit(|instance| instance.tables());
    for endpoint in ["query", "queryEnhanced"] {
        let answer = call(
            &sim,
            "POST",
            &format!("/api/now/identifyreconcile/{endpoint}?sysparm_data_source=CloudBridge"),
            &chain(&[("i-1", "web")]),
        );
        let result = answer.result();
        assert_eq!(operations(&result), ["INSERT", "INSERT", "INSERT"]);
        assert_eq!(result["items"][0]["sysId"], "Unknown");
    }
    assert_eq!(sim.edit(|instance| instance.tables()), before);
    assert_eq!(sim.counters().writes, 0);
}

#[test]
fn a_dependent_class_needs_its_host_in_the_right_direction() {
    let sim = start();
    let group = json!({"className": "cmdb_ci_compute_security_group", "internal_id": "sg", "values": {"name": "web", "object_id": "sg-1"}});
    let network = json!({"className": "cmdb_ci_network", "internal_id": "net", "values": {"name": "vpc", "object_id": "vpc-1"}});
    let chain = |relation: Value| {
        json!({"items": [account(), datacenter(), network, group],
               "relations": [hosted("dc", "account"), hosted("net", "dc"), relation]})
    };
    let wrong = [
        hosted("dc", "sg"),
        json!({"type": "Contains::Contained by", "parent_id": "net", "child_id": "sg"}),
        json!({"type": "Depends on::Used by", "parent_id": "sg", "child_id": "dc"}),
        json!({"type": "Hosted On", "parent_id": "sg", "child_id": "dc"}),
    ];
    for relation in wrong {
        let result = enhanced(&sim, VISIBLE, &chain(relation.clone()));
        assert_eq!(errors(&result), ["", "", "", "MISSING_DEPENDENCY"], "{relation}");
        let message = result["items"][3]["errors"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("[cmdb_ci_compute_security_group >> Hosted on >> cmdb_ci_logical_datacenter]"), "{message}");
        assert_eq!(result["items"][3]["sysId"], "Unknown");
        assert_eq!(result["hasError"], true);
    }
    assert_eq!(sim.rows("cmdb_ci_compute_security_group", "").len(), 0);
    let result = enhanced(&sim, VISIBLE, &chain(hosted("sg", "dc")));
    assert_eq!(errors(&result), ["", "", "", ""]);

    // Containment prints the other way round.
    let zone = json!({"items": [{"className": "cmdb_ci_availability_zone", "values": {"object_id": "eu-west-1a"}}]});
    let result = enhanced(&sim, VISIBLE, &zone);
    let message = result["items"][0]["errors"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("[cmdb_ci_logical_datacenter << Contains << cmdb_ci_availability_zone]"), "{message}");
}

#[test]
fn the_whole_chain_is_needed_unless_the_host_is_named() {
    let sim = start();
    let first = enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let host = first["items"][1]["sysId"].clone();
    // Without the account the datacenter fails, and the machine with it.
    let short = json!({"items": [datacenter(), machine("i-1", "web")], "relations": [hosted("i-1", "dc")]});
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &short)), ["MISSING_DEPENDENCY", "ABANDONED"]);

    let named = json!({"items": [{"className": "cmdb_ci_aws_datacenter", "internal_id": "dc", "values": {"sys_id": host}}, machine("i-2", "db")],
                       "relations": [hosted("i-2", "dc")]});
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &named)), ["NO_CHANGE", "INSERT"]);
    let gone = json!({"items": [{"className": "cmdb_ci_aws_datacenter", "values": {"sys_id": "00000000000000000000000000000000"}}]});
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &gone)), ["INVALID_INPUT_DATA"]);
}

#[test]
fn one_host_and_no_more() {
    let sim = start();
    let other =
        json!({"className": "cmdb_ci_aws_datacenter", "internal_id": "dc2", "values": {"object_id": "eu-west-2", "region": "eu-west-2"}});
    let payload = json!({"items": [account(), datacenter(), other, machine("i-1", "web")],
        "relations": [hosted("dc", "account"), hosted("dc2", "account"), hosted("i-1", "dc"), hosted("i-1", "dc2")]});
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &payload)), ["", "", "", "MULTIPLE_DEPENDENCIES"]);
}

#[test]
fn a_failed_root_takes_its_guests_with_it() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web")]);
    payload["items"][0]["values"]["datacenter_type"] = json!("");
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(errors(&result), ["REQUIRED_ATTRIBUTE_EMPTY", "ABANDONED", "ABANDONED"]);
    let message = result["items"][0]["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("field [datacenter_type] in table [cmdb_ci_cloud_service_account]"), "{message}");
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
    assert_eq!(sim.counters().operations.get("INSERT"), None);
}

#[test]
fn the_plain_endpoint_refuses_all_when_one_fails() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web"), ("i-2", "db")]);
    payload["items"][3]["values"] = json!({"name": "db"});
    let plain = call(&sim, "POST", "/api/now/identifyreconcile?sysparm_data_source=CloudBridge", &payload).result();
    assert_eq!(errors(&plain), ["", "", "", "MISSING_MATCHING_ATTRIBUTES"]);
    assert!(plain["items"].as_array().unwrap().iter().all(|item| item["sysId"] == "Unknown"));
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(errors(&result), ["", "", "", "MISSING_MATCHING_ATTRIBUTES"]);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 3);
}

#[test]
fn an_attempt_is_told() {
    let sim = start();
    let mut payload = chain(&[]);
    payload["items"][1]["values"] = json!({"region": "eu-west-1"});
    payload["items"][1].as_object_mut().unwrap().remove("sys_object_source_info");
    let result = enhanced(&sim, VISIBLE, &payload);
    let attempts = &result["items"][1]["identificationAttempts"];
    assert_eq!(attempts[0]["attemptResult"], "SKIPPED");
    assert_eq!(attempts[0]["attributes"], json!(["object_id"]));
    assert_eq!(attempts[1]["attemptResult"], "NO_MATCH");
    let again = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(again["items"][1]["identificationAttempts"][1]["attemptResult"], "MATCHED");
    assert_eq!(again["items"][0]["identificationAttempts"][0]["info"], "sys_object_source MATCHED");
}

#[test]
fn the_source_key_comes_before_the_attributes() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    // Another object_id under the same native key is the same record.
    let mut renamed = chain(&[("i-1", "web")]);
    renamed["items"][2]["values"]["object_id"] = json!("i-9");
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &renamed))[2], "UPDATE");
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "").len(), 1);
    sim.edit(|instance| instance.properties.insert(SKIP_SOURCE_MATCHING.to_owned(), "true".to_owned()));
    let mut other = chain(&[("i-1", "web")]);
    other["items"][2]["values"]["object_id"] = json!("i-10");
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &other))[2], "INSERT");
}

#[test]
fn a_source_row_of_a_deleted_record_means_nothing() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let sys_id = sim.rows("cmdb_ci_vm_instance", "")[0].0.clone();
    sim.edit(|instance| instance.delete(&sys_id));
    assert_eq!(sim.rows("sys_object_source", &format!("target_sys_id={sys_id}")).len(), 1, "it stays behind");
    assert_eq!(sim.rows("cmdb_rel_ci", &format!("parent={sys_id}")).len(), 0);
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]))), ["NO_CHANGE", "NO_CHANGE", "INSERT"]);
    assert_eq!(sim.rows("sys_object_source", "id=i-1").len(), 1, "and points to the new one");
}

#[test]
fn a_record_of_people_is_found_with_its_relation_only() {
    let sim = start();
    let first = enhanced(&sim, VISIBLE, &chain(&[]));
    let host = first["items"][1]["sysId"].as_str().unwrap().to_owned();
    let manual = sim.edit(|instance| instance.insert("cmdb_ci_vm_instance", &[("name", "theirs"), ("object_id", "i-1")]));
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")])))[2], "INSERT");

    let related = sim.edit(|instance| {
        let related = instance.insert("cmdb_ci_vm_instance", &[("name", "theirs too"), ("object_id", "i-2")]);
        let kind = instance.relation_type("Hosted on::Hosts").unwrap();
        instance.insert("cmdb_rel_ci", &[("parent", &related), ("child", &host), ("type", &kind)]);
        related
    });
    let result = enhanced(&sim, VISIBLE, &chain(&[("i-2", "db")]));
    assert_eq!(result["items"][2]["operation"], "UPDATE");
    assert_eq!(result["items"][2]["sysId"], *related);
    sim.settings(|settings| settings.match_needs_relation = false);
    let mut lenient = chain(&[("i-1", "web")]);
    lenient["items"][2].as_object_mut().unwrap().remove("sys_object_source_info");
    assert_eq!(enhanced(&sim, VISIBLE, &lenient)["items"][2]["sysId"], *manual, "the oldest");
}

#[test]
fn several_matches_are_one_and_its_duplicates() {
    let sim = start();
    let twins: Vec<String> = (0..3)
        .map(|_| sim.edit(|instance| instance.insert("cmdb_ci_linux_server", &[("name", "web"), ("serial_number", "s-1")])))
        .collect();
    let payload =
        json!({"items": [{"className": "cmdb_ci_linux_server", "values": {"name": "web", "serial_number": "s-1", "os": "Linux"}}]});
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(result["items"][0]["identificationAttempts"][0]["attemptResult"], "MULTI_MATCH");
    assert_eq!(result["items"][0]["operation"], "UPDATE");
    let winner = result["items"][0]["sysId"].as_str().unwrap();
    assert!(twins.iter().any(|twin| twin == winner));
    assert_eq!(sim.rows("cmdb_ci_linux_server", &format!("duplicate_of={winner}")).len(), 2);
    assert_eq!(sim.rows("reconcile_duplicate_task", "").len(), 1);

    for _ in 0..6 {
        sim.edit(|instance| instance.insert("cmdb_ci_linux_server", &[("name", "many"), ("serial_number", "s-2")]));
    }
    let payload = json!({"items": [{"className": "cmdb_ci_linux_server", "values": {"name": "many", "serial_number": "s-2"}}]});
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &payload)), ["MULTIPLE_DUPLICATE_RECORDS"]);
}

#[test]
fn duplicates_of_a_payload_are_merged_or_refused() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web"), ("i-1", "web")]);
    payload["items"][3]["internal_id"] = json!("again");
    payload["items"][3]["values"]["ip_address"] = json!("10.0.0.1");
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(result["items"].as_array().unwrap().len(), 3);
    assert_eq!(result["items"][2]["inputIndices"], json!([2, 3]));
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "ip_address=10.0.0.1").len(), 1);

    let refused = enhanced(&sim, "partial_payloads:false,deduplicate_payloads:false", &payload);
    assert_eq!(errors(&refused), ["", "", "DUPLICATE_PAYLOAD_RECORDS", "DUPLICATE_PAYLOAD_RECORDS"]);
    assert!(refused["items"][2]["errors"][0]["message"].as_str().unwrap().contains("2,3"));
}

#[test]
fn one_region_in_two_accounts_is_two_datacenters() {
    let sim = start();
    let mut other = account();
    other["internal_id"] = json!("account2");
    other["values"] = json!({"account_id": "444455556666", "object_id": "444455556666", "datacenter_type": "cmdb_ci_aws_datacenter"});
    other["sys_object_source_info"] = source("444455556666");
    let mut second = datacenter();
    second["internal_id"] = json!("dc2");
    second["sys_object_source_info"] = source("444455556666/eu-west-1");
    let payload =
        json!({"items": [account(), datacenter(), other, second], "relations": [hosted("dc", "account"), hosted("dc2", "account2")]});
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &payload)), ["INSERT"; 4]);
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &payload)), ["NO_CHANGE"; 4]);
}

#[test]
fn another_source_masks_its_columns() {
    let sim = start();
    sim.edit(|instance| {
        instance.reconciliation.push(ReconciliationRule {
            class: "cmdb_ci_vm_instance".to_owned(),
            columns: vec!["name".to_owned()],
            sources: vec!["SG-AWS".to_owned(), "CloudBridge".to_owned()],
        });
    });
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let theirs =
        call(&sim, "POST", "/api/now/identifyreconcile/enhanced?sysparm_data_source=SG-AWS", &chain(&[("i-1", "their-web")])).result();
    assert_eq!(theirs["items"][2]["operation"], "UPDATE");
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "")[0].1.get("discovery_source"), "SG-AWS");
    let mut ours = chain(&[("i-1", "web")]);
    ours["items"][2]["values"]["cpus"] = json!("8");
    let result = enhanced(&sim, VISIBLE, &ours);
    assert_eq!(result["items"][2]["maskedAttributes"], json!(["name"]));
    assert_eq!(result["items"][2]["operation"], "UPDATE");
    assert_eq!(result["items"][2]["errorCount"], 0);
    let row = sim.rows("cmdb_ci_vm_instance", "")[0].1.clone();
    assert_eq!((row.get("name"), row.get("cpus")), ("their-web", "8"));
}

#[test]
fn a_class_changes_unless_it_may_not() {
    let sim = start();
    let server = |class: &str, settings: Value| json!({"items": [{"className": class, "values": {"name": "web", "serial_number": "s-1"}, "settings": settings}]});
    enhanced(&sim, VISIBLE, &server("cmdb_ci_server", json!({})));
    let kept = enhanced(&sim, VISIBLE, &server("cmdb_ci_linux_server", json!({"updateWithoutUpgrade": "true"})));
    assert_eq!(kept["items"][0]["operation"], "NO_CHANGE");
    assert_eq!(kept["items"][0]["info"][0]["code"], "SKIPPED_CLASS_UPGRADE");
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &server("cmdb_ci_linux_server", json!({})))), ["UPDATE_WITH_UPGRADE"]);
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &server("cmdb_ci_computer", json!({})))), ["UPDATE_WITH_DOWNGRADE"]);
    sim.edit(|instance| instance.properties.insert("glide.class.upgrade.enabled".to_owned(), "false".to_owned()));
    let forbidden = enhanced(&sim, VISIBLE, &server("cmdb_ci_server", json!({})));
    assert_eq!(forbidden["items"][0]["info"][0]["code"], "SKIPPED_CLASS_UPGRADE");
    assert_eq!(sim.rows("cmdb_ci_computer", "")[0].1.table, "cmdb_ci_computer");
}

#[test]
fn tags_go_with_their_item() {
    let sim = start();
    let tag = |key: &str, value: &str| json!({"className": "cmdb_key_value", "values": {"key": key, "value": value}});
    let with = |tags: Vec<Value>| {
        let mut payload = chain(&[("i-1", "web")]);
        payload["items"][2]["related"] = json!(tags);
        payload
    };
    let first = enhanced(&sim, VISIBLE, &with(vec![tag("env", "prod"), tag("team", "shop")]));
    assert_eq!(first["items"][2]["relatedItems"][1]["operation"], "INSERT");
    assert_eq!(first["items"][2]["relatedItems"][1]["inputIndices"], json!([{"mainIndex": 2, "subIndex": 1}]));
    let second = enhanced(&sim, VISIBLE, &with(vec![tag("env", "test")]));
    assert_eq!(second["items"][2]["operation"], "NO_CHANGE");
    assert_eq!(second["items"][2]["relatedItems"][0]["operation"], "UPDATE");
    let rows = sim.rows("cmdb_key_value", "ORDERBYkey");
    assert_eq!(rows.len(), 2, "what is no longer sent stays");
    assert_eq!(sim.rows("cmdb_key_value", "key=env")[0].1.get("value"), "test");

    let twice = enhanced(&sim, "partial_payloads:false,deduplicate_payloads:false", &with(vec![tag("a", "1"), tag("a", "2")]));
    assert_eq!(twice["items"][2]["relatedItems"][1]["errors"][0]["error"], "DUPLICATE_RELATED_PAYLOAD");
    let strange = enhanced(&sim, VISIBLE, &with(vec![json!({"className": "sys_user", "values": {"name": "x"}})]));
    assert_eq!(strange["items"][2]["relatedItems"][0]["errors"][0]["error"], "IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING");
}

#[test]
fn ends_of_relations_are_indexes_or_internal_identifiers() {
    let sim = start();
    let payload = |relation: Value| json!({"items": [account(), datacenter()], "relations": [hosted("dc", "account"), relation]});
    let check = |relation: Value, expected: &str| {
        let result = enhanced(&sim, VISIBLE, &payload(relation.clone()));
        let errors = result["relations"].as_array().unwrap().iter().find_map(|found| found["errors"][0]["error"].as_str());
        assert_eq!(errors.unwrap_or(""), expected, "{relation}");
    };
    check(json!({"type": "Depends on::Used by", "parent": 0, "child": "1"}), "");
    check(json!({"type": "Depends on::Used by", "parent": 0, "child": 7}), "INVALID_INPUT_DATA");
    check(json!({"type": "Depends on::Used by", "parent_id": "account", "child_id": "nobody"}), "INVALID_INPUT_DATA");
    check(json!({"type": "Fond of::Loved by", "parent": 0, "child": 1}), "INVALID_INPUT_DATA");
    check(json!({"type": "Depends on::Used by", "parent": 0}), "INVALID_INPUT_DATA");
    let bad = payload(json!({"type": "Depends on::Used by", "parent": 0, "child": "0123456789abcdef0123456789abcdef"}));
    let answer = call(&sim, "POST", "/api/now/identifyreconcile/enhanced?sysparm_data_source=CloudBridge", &bad);
    assert_eq!(answer.status, 500);
    assert!(answer.text.contains("InvalidFormatException"), "{}", answer.text);
}

#[test]
fn references_are_identifiers_or_reference_items() {
    let sim = start();
    let nic = json!({"className": "cmdb_ci_nic", "internal_id": "nic", "values": {"object_id": "eni-1"}});
    let mut payload = chain(&[("i-1", "web")]);
    payload["items"].as_array_mut().unwrap().push(nic);
    payload["relations"].as_array_mut().unwrap().push(hosted("nic", "dc"));
    payload["referenceItems"] = json!([{"referenced": 2, "referencedBy": 3, "referenceField": "cmdb_ci"}]);
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(sim.rows("cmdb_ci_nic", "")[0].1.get("cmdb_ci"), result["items"][2]["sysId"]);
    payload["items"][2]["values"]["assigned_to"] = json!("Beth Anglin");
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &payload)), ["", "", "INVALID_INPUT_DATA", ""]);
}

#[test]
fn what_columns_cannot_hold_is_a_warning() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web")]);
    payload["items"][2]["values"]["colour"] = json!("blue");
    payload["items"][2]["values"]["memory"] = json!("a lot");
    payload["items"][2]["values"]["sys_created_by"] = json!("me");
    payload["items"][2]["values"]["name"] = json!("x".repeat(300));
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(result["items"][2]["operation"], "INSERT");
    let warnings: Vec<&str> =
        result["items"][2]["warnings"].as_array().unwrap().iter().map(|warning| warning["message"].as_str().unwrap()).collect();
    assert!(warnings.contains(&"unknown field 'colour' in table 'cmdb_ci_vm_instance'"), "{warnings:?}");
    assert_eq!(warnings.len(), 3);
    let row = sim.rows("cmdb_ci_vm_instance", "")[0].1.clone();
    assert_eq!((row.get("name").len(), row.get("memory"), row.get("sys_created_by")), (255, "", "integration"));
    // What was cut is the same once more.
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &payload))[2], "NO_CHANGE");

    let mut number = chain(&[("i-2", "db")]);
    number["items"][2]["values"]["cpus"] = json!(2);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &number)), ["", "", "INVALID_INPUT_DATA"]);
}

#[test]
fn times_never_go_back() {
    let sim = start();
    let at = |time: &str| {
        let mut payload = chain(&[("i-1", "web")]);
        payload["items"][2]["values"]["last_discovered"] = json!(time);
        payload
    };
    let last = || sim.rows("cmdb_ci_vm_instance", "")[0].1.get("last_discovered").to_owned();
    enhanced(&sim, VISIBLE, &at("2026-06-01 09:00:00"));
    assert_eq!(last(), "2026-06-01 09:00:00");
    enhanced(&sim, VISIBLE, &at("2026-06-01 08:00:00"));
    assert_eq!(last(), "2026-06-01 09:00:00");
    enhanced(&sim, VISIBLE, &at("2026-06-01 09:30:00"));
    assert_eq!(last(), "2026-06-01 09:30:00");
}

#[test]
fn an_older_recency_changes_nothing() {
    let sim = start();
    let at = |time: &str, name: &str| {
        let mut payload = chain(&[("i-1", name)]);
        payload["items"][2]["sys_object_source_info"]["source_recency_timestamp"] = json!(time);
        enhanced(&sim, VISIBLE, &payload)["items"][2]["operation"].as_str().unwrap().to_owned()
    };
    assert_eq!(at("2026-06-01 09:00:00", "one"), "INSERT");
    assert_eq!(at("2026-06-01 08:00:00", "two"), "NO_CHANGE");
    assert_eq!(at("2026-06-01 09:00:00", "three"), "NO_CHANGE");
    assert_eq!(at("2026-06-01 09:00:01", "four"), "UPDATE");
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "")[0].1.get("name"), "four");
}

#[test]
fn retirement_leaves_relations_in_place() {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    let relations = sim.rows("cmdb_rel_ci", "").len();
    let mut payload = chain(&[("i-1", "web")]);
    payload["items"][2]["values"]["install_status"] = json!("7");
    payload["items"][2]["values"]["operational_status"] = json!("6");
    assert_eq!(operations(&enhanced(&sim, VISIBLE, &payload))[2], "UPDATE");
    assert_eq!(sim.rows("cmdb_rel_ci", "").len(), relations);
    // Being seen again does not revive.
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "web")]));
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "")[0].1.get("install_status"), "7");
}

#[test]
fn answers_come_shuffled_and_thinned() {
    let sim = start_with(Instance::new().with_data_source("CloudBridge"), |start| {
        start.settings.shuffle_output = true;
        start.settings.sparse_output = true;
    });
    let machines: Vec<(String, String)> = (0..30).map(|number| (format!("i-{number}"), format!("web-{number}"))).collect();
    let machines: Vec<(&str, &str)> = machines.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    let result = enhanced(&sim, VISIBLE, &chain(&machines));
    let items = result["items"].as_array().unwrap();
    let places: Vec<i64> = items.iter().map(|item| item["inputIndices"][0].as_i64().unwrap()).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert_ne!(places, sorted);
    assert_eq!(sorted, (0..32).collect::<Vec<i64>>());
    let thin = items.iter().filter(|item| item.get("maskedAttributes").is_none()).count();
    assert!((1..32).contains(&thin), "{thin}");
    assert!(items.iter().all(|item| item.get("sysId").is_some() && item.get("operation").is_some()));
}

#[test]
fn a_class_that_the_instance_lacks_has_no_rule() {
    let sim = start_with(Instance::bare().with_data_source("CloudBridge"), |_| {});
    let network = json!({"className": "cmdb_ci_network", "internal_id": "net", "values": {"object_id": "vpc-1"}});
    let payload = json!({"items": [account(), datacenter(), network], "relations": [hosted("dc", "account"), hosted("net", "dc")]});
    let result = enhanced(&sim, VISIBLE, &payload);
    assert_eq!(errors(&result), ["", "", "IDENTIFICATION_RULE_MISSING"]);
    assert!(result["items"][2]["errors"][0]["message"].as_str().unwrap().contains("table [cmdb_ci_network]"));
    sim.edit(|instance| instance.schema.remove_class("cmdb_ci_aws_datacenter"));
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &payload)), ["", "IDENTIFICATION_RULE_MISSING", "IDENTIFICATION_RULE_MISSING"]);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &json!({"items": [{"values": {"name": "x"}}]}))), ["NO_CLASS_NAME_FOR_INDEPENDENT_CI"]);
}

#[test]
fn a_payload_that_cannot_be_read_is_a_500() {
    let sim = start();
    let target = "/api/now/identifyreconcile/enhanced?sysparm_data_source=CloudBridge";
    for body in [json!([]), json!({}), json!({"items": {}}), json!({"items": ["x"]})] {
        assert_eq!(call(&sim, "POST", target, &body).status, 500, "{body}");
    }
    let answer = call(&sim, "POST", &format!("{target}&options=partial"), &chain(&[]));
    assert_eq!(answer.status, 500);
    assert!(answer.text.contains("Chunk [partial] is not a valid entry"), "{}", answer.text);
    let many: Vec<Value> = (0..1001).map(|number| machine(&format!("i-{number}"), "web")).collect();
    assert_eq!(call(&sim, "POST", target, &json!({"items": many})).status, 500);
    assert_eq!(call_as(&sim, "nobody", "POST", target, &chain(&[])).status, 403);
}

#[test]
fn serial_numbers_are_looked_up_for_what_stands_alone() {
    let sim = start();
    let serial = json!([{"className": "cmdb_serial_number", "internal_id": "serial",
        "values": {"serial_number": "s-1", "serial_number_type": "uuid", "valid": "true"}}]);
    let server = json!({"items": [{"className": "cmdb_ci_server", "values": {"name": "web", "serial_number": "s-1"}, "lookup": serial}]});
    assert_eq!(enhanced(&sim, VISIBLE, &server)["items"][0]["relatedItems"][0]["operation"], "INSERT");
    assert_eq!(enhanced(&sim, VISIBLE, &server)["items"][0]["relatedItems"][0]["operation"], "NO_CHANGE");
    let mut dependent = chain(&[("i-1", "web")]);
    dependent["items"][2]["lookup"] = serial;
    let result = enhanced(&sim, VISIBLE, &dependent);
    assert_eq!(result["items"][2]["relatedItems"][0]["errors"][0]["error"], "NO_LOOKUP_RULES_FOR_DEPENDENT_CI");
}

#[test]
fn a_circle_is_abandoned() {
    let sim = start();
    sim.edit(|instance| {
        let rule = HostRule { relation: "Hosted on::Hosts".to_owned(), host: "cmdb_ci_lb_pool".to_owned(), host_is_parent: false };
        instance.schema.hosts.insert("cmdb_ci_lb_service".to_owned(), vec![rule]);
    });
    let item = |class: &str, id: &str| json!({"className": class, "internal_id": id, "values": {"object_id": id}});
    let payload = json!({"items": [item("cmdb_ci_lb_pool", "pool"), item("cmdb_ci_lb_service", "service")],
        "relations": [hosted("pool", "service"), hosted("service", "pool")]});
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &payload)), ["ABANDONED", "ABANDONED"]);
}

#[test]
fn without_partial_commits_one_failure_refuses_all() {
    let sim = start();
    let mut payload = chain(&[("i-1", "web"), ("i-2", "db")]);
    payload["items"][3]["values"] = json!({"name": "db"});
    let result = enhanced(&sim, "partial_payloads:false,partial_commits:false", &payload);
    assert_eq!(errors(&result), ["", "", "", "MISSING_MATCHING_ATTRIBUTES"]);
    assert_eq!(sim.rows("cmdb_ci", "").len() + sim.rows("cmdb_rel_ci", "").len() + sim.rows("sys_object_source", "").len(), 0);
}

#[test]
fn one_key_for_two_classes_is_one_record_that_changes_its_class() {
    let sim = start();
    let item = |class: &str, name: &str| json!({"className": class, "values": {"name": name}, "sys_object_source_info": source("same")});
    enhanced(&sim, VISIBLE, &json!({"items": [item("cmdb_ci_service", "shop")]}));
    let result = enhanced(&sim, VISIBLE, &json!({"items": [item("cmdb_ci_business_app", "shop app")]}));
    assert_eq!(operations(&result), ["UPDATE_WITH_SWITCH"]);
    assert_eq!((sim.rows("cmdb_ci_service", "").len(), sim.rows("cmdb_ci_business_app", "").len()), (0, 1));
}
