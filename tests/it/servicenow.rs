//! The ServiceNow target as its user has it: an inventory file, the program, and a simulated instance.

mod calls;
mod estate;
mod expected;
mod faults;
mod heartbeat;
mod kill;
mod ledgers;
mod references;
mod relations;
mod rig;
mod sample;
mod services;
mod strangers;
mod throughput;
mod trial;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;

use dewpoint_servicenow_sim::Instance;
use serde_json::{Value, json};

use crate::support::Ran;
use crate::support::inventory::{instance_key, key};

use rig::{DAY_2, DAY_3, FIRST, Snow, machines};

/// The sample estate.
fn quickstart() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart/inventory.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The rest of the quick start's configuration.
const QUICKSTART: &str = "ownership:
  service: [service, application]
  environment: { tags: [env, Env, environment], values: { prod: production, prd: production, dev: development } }";

/// The class of a kind's records, by hand from "Discovery and Service Mapping Patterns" and the connectors' resource types.
fn class(kind: &str, provider: &str) -> &'static str {
    match (kind, provider) {
        ("account", _) => "cmdb_ci_cloud_service_account",
        ("region", "azure") => "cmdb_ci_azure_datacenter",
        ("region", _) => "cmdb_ci_aws_datacenter",
        ("zone", _) => "cmdb_ci_availability_zone",
        ("resource_group", _) => "cmdb_ci_resource_group",
        ("network", _) => "cmdb_ci_network",
        ("subnet", _) => "cmdb_ci_cloud_subnet",
        ("security_group", _) => "cmdb_ci_compute_security_group",
        ("instance", _) => "cmdb_ci_vm_instance",
        ("scaling_group", _) => "cmdb_ci_instance_scale_set",
        ("network_interface", _) => "cmdb_ci_nic",
        ("volume", _) => "cmdb_ci_storage_volume",
        ("public_address", _) => "cmdb_ci_cloud_public_ipaddress",
        ("load_balancer", _) => "cmdb_ci_cloud_load_balancer",
        ("pool", _) => "cmdb_ci_lb_pool",
        ("service", _) => "cmdb_ci_service_auto",
        other => panic!("{other:?} has no class"),
    }
}

#[test]
fn the_sample_estate_arrives_once_and_in_few_calls() {
    let snow = Snow::new();
    snow.configure("", QUICKSTART);
    let inventory = quickstart();
    snow.world.write("inventory.json", &inventory.to_string());

    let plan = snow.json(&["plan"], 0);
    assert_eq!(snow.writes(), 0, "a plan writes nothing");
    let sync = snow.json(&["sync"], 0);
    assert_eq!(sync["outcome"], "done", "{sync:#}");
    let changes = |change: &str| plan["changes"].as_array().unwrap().iter().filter(|one| one["change"] == change).count();
    assert_eq!(sync["counts"]["snow"]["create"], changes("create"), "what the plan said");
    assert_eq!(sync["counts"]["snow"]["relate"], changes("relate"), "what the plan said");

    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for change in plan["changes"].as_array().unwrap().iter().filter(|change| change["change"] == "create") {
        let key = change["key"].as_str().unwrap();
        let class = class(change["kind"].as_str().unwrap(), key.split(':').next().unwrap());
        *expected.entry(class.to_owned()).or_default() += 1;
    }
    assert_eq!(snow.marked(), expected);

    // Six pairs of account and region and what lies in none: far below the promise of ceil(N/batch_size) * 1.15 + 20 for each.
    let posts = snow.sim.counters().by_api["identifyreconcile"];
    assert!(posts <= 12, "{posts} payloads");
    assert!(sync["calls"]["snow"]["reconcile"].as_u64().is_some_and(|calls| calls > 0), "{}", sync["calls"]);

    snow.sim.clear_calls();
    let second = snow.json(&["sync"], 0);
    assert_eq!(second["counts"]["snow"], json!({}));
    let counters = snow.sim.counters();
    assert_eq!((counters.writes, counters.requests), (0, 1), "{:?}", snow.sim.calls());
    let plan = snow.json(&["plan", "--exit-code"], 0);
    assert_eq!(plan["changes"], json!([]));
}

#[test]
fn a_change_is_one_update() {
    let snow = Snow::new();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    let before = snow.marked();
    snow.sim.clear_calls();
    let changed = machines(8).without(&["i-0003"]).instance("i-0003", json!({ "name": "renamed" }));
    let changed = changed.relation("protected_by", &instance_key("i-0003"), &key("security_group", "sg-1"));
    snow.world.put(&changed);
    let sync = snow.sync_at("2026-02-01T01:00:00Z", 0);
    assert_eq!(sync["counts"]["snow"], json!({ "update": 1 }));
    assert_eq!((snow.writes(), snow.sim.counters().operations.clone()), (1, [("UPDATE".to_owned(), 1)].into()));
    assert_eq!(snow.values("cmdb_ci_vm_instance", "object_id=i-0003", &["name"]), [["renamed"]]);
    assert_eq!(snow.marked(), before);
}

#[test]
fn a_terminated_machine_is_retired_by_its_status() {
    let snow = Snow::new();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    let ended = machines(8).without(&["i-0003"]).instance("i-0003", json!({ "state": "terminated" }));
    snow.world.put(&ended);
    let sync = snow.sync_at(DAY_2, 0);
    assert_eq!(sync["counts"]["snow"]["retire"], 1, "{sync:#}");
    let status = |query: &str| snow.values("cmdb_ci_vm_instance", query, &["install_status", "operational_status"]);
    assert_eq!(status("object_id=i-0003"), [["7", "6"]]);
    assert_eq!(status("object_id!=i-0003"), vec![["1", "1"]; 7]);
    snow.sim.clear_calls();
    snow.sync_at("2026-02-02T13:00:00Z", 0);
    assert_eq!(snow.writes(), 0);
    assert_eq!(snow.marked()["cmdb_ci_vm_instance"], 8, "nothing is deleted");
}

#[test]
fn statuses_are_as_the_configuration_says() {
    let snow = Snow::new();
    snow.configure("life_cycle: true\nstatuses: { inactive: { operational_status: 4, life_cycle_stage: End of Operation, life_cycle_stage_status: On Hold }, retired: { install_status: 100 } }", "");
    let named = |table: &str, id: &str| snow.values(table, &format!("sys_id={id}"), &["name"]).concat().concat();
    let shown = |id: &str| {
        let columns = ["install_status", "operational_status", "life_cycle_stage", "life_cycle_stage_status"];
        let row = snow.values("cmdb_ci_vm_instance", &format!("object_id={id}"), &columns).concat();
        format!("{} {} {}, {}", row[0], row[1], named("life_cycle_stage", &row[2]), named("life_cycle_stage_status", &row[3]))
    };
    let state = |state: &str| machines(2).without(&["i-0001"]).instance("i-0001", json!({ "state": state }));
    for (at, word, expected) in [
        (FIRST, "running", "1 1 Operational, In Use"),
        ("2026-02-01T01:00:00Z", "stopped", "1 4 End of Operation, On Hold"),
        ("2026-02-01T02:00:00Z", "running", "1 1 Operational, In Use"),
        ("2026-02-01T03:00:00Z", "terminated", "100 6 End of Life, Retired"),
        // What returns after its end is another life of the same machine.
        ("2026-02-01T06:00:00Z", "running", "1 1 Operational, In Use"),
    ] {
        snow.world.put(&state(word));
        snow.sync_at(at, 0);
        assert_eq!(shown("i-0001"), expected, "{word} at {at}");
        assert_eq!(shown("i-0000"), "1 1 Operational, In Use");
        snow.sim.clear_calls();
        snow.sync_at(at, 0);
        assert_eq!(snow.writes(), 0, "{word} at {at}: a second sync");
    }

    let ran = |extra: &str| {
        snow.configure(extra, "");
        let ran = snow.run_as("integration-password", &["validate"]);
        assert_eq!(ran.code, 2, "{}", ran.out);
        ran.out
    };
    let same = ran("statuses: { retired: { install_status: 1, operational_status: 2 } }");
    assert!(same.contains("neither `install_status` nor `operational_status` of what is retired differs") && same.contains(":9"), "{same}");
    snow.configure("statuses: { retired: { life_cycle_stage: End of Life } }", "");
    let unused = snow.run_text(&["validate"]);
    assert!(unused.code == 0 && unused.out.contains("is not written") && unused.out.contains("life_cycle: true"), "{}", unused.out);
    let mapped = ran("mapping: { instance: { fields: { install_status: '\"1\"' } } }");
    assert!(mapped.contains("set its values under `statuses`"), "{mapped}");
}

#[test]
fn a_lost_ledger_finds_its_records_again() {
    let snow = Snow::new();
    snow.world.put(&machines(8));
    snow.sync_at(FIRST, 0);
    let before = snow.inventory();
    std::fs::remove_file(snow.world.path("dewpoint.db")).unwrap();
    snow.sim.clear_calls();
    let sync = snow.sync_at(DAY_2, 0);
    assert!(sync["remarks"].to_string().contains("recovered 9 records"), "{sync:#}");
    assert_eq!(sync["counts"]["snow"]["create"], Value::Null, "{sync:#}");
    assert!(snow.inventory() == before, "something was made or removed");

    // When people ask for it, the same. The datacenter and the account came along with the machines.
    let places = [("cmdb_ci_aws_datacenter", 1), ("cmdb_ci_cloud_service_account", 1)];
    let expected = places.into_iter().chain([("cmdb_ci_compute_security_group", 1), ("cmdb_ci_vm_instance", 8)]);
    let expected: BTreeMap<String, u64> = expected.map(|(class, n)| (class.to_owned(), n)).collect();
    snow.json(&["target", "recover", "snow"], 0);
    snow.sync_at(DAY_3, 0);
    assert_eq!(snow.marked(), expected);
    assert_eq!(snow.values("cmdb_ci_vm_instance", "", &["sys_id"]).len(), 8);
}

#[test]
fn credentials_that_are_refused_end_with_5_and_their_lack_with_2() {
    let snow = Snow::new();
    snow.world.put(&machines(2));
    let ran = snow.run_as("wrong", &["sync", "--at", FIRST]);
    assert_eq!(ran.code, 5, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("did not accept the credentials"), "{}", ran.out);
    assert!(!format!("{}{}", ran.out, ran.err).contains("wrong"), "the password was told");
    let doctor = snow.run_as("wrong", &["doctor"]);
    assert_eq!(doctor.code, 5, "{}\n{}", doctor.out, doctor.err);

    let ran = Ran::of(&snow.world.command(&["sync", "--at", FIRST, "--output", "json"]).env_remove("SNOW_PASSWORD").output().unwrap());
    assert_eq!(ran.code, 2, "{}\n{}", ran.out, ran.err);
    for told in ["targets.snow.auth.basic.password", "env:SNOW_PASSWORD", "dewpoint.yaml:7:"] {
        assert!(ran.out.contains(told), "{told} is not in\n{}", ran.out);
    }
    let doctor = Ran::of(&snow.world.command(&["doctor", "--output", "json"]).env_remove("SNOW_PASSWORD").output().unwrap());
    assert!(doctor.out.contains("set the environment variable `SNOW_PASSWORD`"), "{}", doctor.out);
    assert_eq!(snow.writes(), 0);
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_told() {
    let snow = Snow::over(Instance::new(), "ca_file: none.pem");
    snow.world.put(&machines(1));
    let document = snow.sync_at(FIRST, 2);
    assert!(document.to_string().contains("none.pem"), "{document:#}");
    snow.world.write("none.pem", "not PEM");
    let document = snow.json(&["doctor"], 1);
    assert!(document["findings"].to_string().contains("the CA file cannot be used"), "{document:#}");
}

#[test]
fn doctor_names_what_the_instance_lacks() {
    let snow = Snow::new();
    snow.world.put(&machines(1));
    let findings = snow.json(&["doctor"], 0);
    let of_snow: Vec<&Value> = findings["findings"].as_array().unwrap().iter().filter(|finding| finding["subject"] == "snow").collect();
    assert!(of_snow.len() >= 4 && of_snow.iter().all(|finding| finding["outcome"] != "error"), "{of_snow:#?}");
    assert_eq!(snow.marked(), BTreeMap::new());

    let bare = Snow::over(Instance::new(), "");
    bare.world.put(&machines(1));
    let findings = bare.json(&["doctor"], 1);
    let source = findings["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "data source").unwrap();
    assert_eq!(source["outcome"], "error");
    assert!(source["mend"].as_str().unwrap().contains("dewpoint bootstrap snow"), "{source}");

    // The user of the tests may not add choices; nor can be asked who has no password.
    let refused = bare.json(&["bootstrap", "snow"], 1);
    assert_eq!(refused["steps"][0]["outcome"], "refused", "{refused:#}");
    let ran = Ran::of(&bare.world.command(&["bootstrap", "snow", "--output", "json"]).env_remove("SNOW_PASSWORD").output().unwrap());
    assert_eq!(ran.code, 2, "{}", ran.out);
}

#[test]
fn an_own_mapping_takes_the_place_of_the_standard_one() {
    let mapping = r#"mapping: { instance: { fields: { asset_tag: '"asset" in ci.tags ? ci.tags["asset"] : null' } } }
relationships: { protected_by: "Depends on::Used by" }
authority: { asset_tag: initial }
include: { kinds: [instance, security_group] }"#;
    let snow = Snow::over(Instance::new().with_data_source("Dewpoint"), mapping);
    snow.world.put(&machines(1).without(&["i-0000"]).instance("i-0000", json!({ "tags": { "asset": "A-7" } })));
    let plan = snow.json(&["plan"], 0);
    assert_eq!(snow.writes(), 0);
    assert!(plan["changes"].to_string().contains("A-7"), "{plan:#}");
    snow.sync_at(FIRST, 0);
    assert_eq!(snow.values("cmdb_ci_vm_instance", "", &["asset_tag"]), [["A-7"]]);
}

#[test]
fn a_strangers_record_is_held() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    instance.insert("cmdb_ci_vm_instance", &[("name", "made by people"), ("object_id", "i-0001")]);
    let snow = Snow::over(instance, "");
    snow.world.put(&machines(3));
    let sync = snow.sync_at(FIRST, 4);
    assert_eq!(sync["holds"].as_array().map(Vec::len), Some(1), "{sync:#}");
    assert_eq!(snow.marked()["cmdb_ci_vm_instance"], 2);
    assert_eq!(snow.values("cmdb_ci_vm_instance", "object_id=i-0001", &["name"]), [["made by people"]]);
}
