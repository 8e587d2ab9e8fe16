//! The simulator as others see it: a client in Python, a validator of OpenAPI, the published names; and as a program of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use dewpoint_halo_sim::{CLIENT_ID, CLIENT_SECRET, RelationshipWrites, Sim, Tenant, TenantParameter};
use dewpoint_sim_kit::testing::{self, Program};
use serde_json::{Value, json};

use crate::support::{Caller, start};

/// Has a script judge; what it says against the simulator fails the test.
#[track_caller]
fn judge(script: &str, url: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    if let Err(said) = testing::judge(script, [url, CLIENT_ID, CLIENT_SECRET]) {
        panic!("{said}");
    }
}

#[test]
fn haloitsm_python_works() {
    let sim = Sim::start(Tenant::new()).unwrap();
    sim.settings(|settings| settings.tenant_parameter = TenantParameter::Optional);
    judge("judge_client.py", &sim.url());
    assert!(sim.unknown_properties().is_empty(), "{:?}", sim.unknown_properties());
}

#[test]
fn answers_fit_their_schemas() {
    let sim = start();
    judge("judge_schema.py", &sim.url());
    assert!(sim.unknown_properties().is_empty(), "{:?}", sim.unknown_properties());
}

#[test]
fn it_runs_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("tenant.json");
    fs::write(&saved, serde_json::to_string(&Tenant::new()).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_halo-sim"));
    command.args(["--unthrottled", "--tenant"]).arg(&saved);
    let program = Program::start(&mut command).unwrap();
    judge("judge_schema.py", program.url());
    assert!(program.end().unwrap(), "it ends in order when it is told to");
}

/// The published properties of each schema, and whether only versions of 2026 have them.
fn published() -> BTreeMap<&'static str, BTreeMap<&'static str, bool>> {
    let mut schemas: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    let mut current = "";
    for line in include_str!("../../src/properties.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']');
        } else {
            schemas.entry(current).or_default().insert(line.split(' ').next().unwrap(), line.ends_with(" 2026"));
        }
    }
    schemas
}

#[test]
fn all_published_properties_are_known_and_no_others() {
    let sim = start();
    let caller = Caller::new(&sim);
    let published = published();
    let device = &published["Device"];
    assert!(device.len() > 300 && device["add_child_assets"] && !device["child_assets"]);
    let mut asset = json!({"assettype_id": 130, "site_id": 18});
    for name in device.keys() {
        asset.as_object_mut().unwrap().entry(*name).or_insert(Value::Null);
    }
    caller.put(&asset);
    assert!(sim.unknown_properties().is_empty());
    // An older version knows those of 2026 no more than anything else.
    sim.edit(|tenant| *tenant = tenant.clone().with_relationships(RelationshipWrites::Ignored));
    asset["colr"] = Value::Null;
    caller.put(&asset);
    let recent = device.iter().filter(|(_, is_recent)| **is_recent).map(|(name, _)| (*name).to_owned());
    assert_eq!(sim.unknown_properties().into_keys().collect::<BTreeSet<_>>(), recent.chain(["colr".to_owned()]).collect());
    let described = caller.get("/api/swagger")["components"]["schemas"]["Device"]["properties"].as_object().unwrap().len();
    assert_eq!(described, device.values().filter(|is_recent| !**is_recent).count());
}

/// The names of an answer that its schema does not have.
fn strange(row: &Value, names: &BTreeMap<&str, bool>, recent: bool) -> Vec<String> {
    let is_strange = |name: &&String| names.get(name.as_str()).is_none_or(|is_recent| *is_recent && !recent);
    row.as_object().unwrap().keys().filter(is_strange).cloned().collect()
}

#[test]
fn answers_have_published_names_alone() {
    let published = published();
    for writes in [RelationshipWrites::Lists, RelationshipWrites::Replace] {
        let sim = start();
        sim.edit(|tenant| *tenant = tenant.clone().with_relationships(writes));
        let recent = writes == RelationshipWrites::Lists;
        let caller = Caller::new(&sim);
        let id = caller.put(&json!({"assettype_id": 130, "site_id": 18, "fields": [{"id": 101, "value": "a"}]}));
        sim.edit(|tenant| {
            let other = tenant.insert(120, "s-1", &[]);
            tenant.relate(other, id, 1);
        });
        let single = caller.get(&format!("/api/Asset/{id}?includedetails=true&includeallowedstatus=true"));
        let rows = caller.get("/api/Asset?assettype_id=130&includeassetfields=true&include_custom_fields=214")["assets"].clone();
        for (schema, row) in [
            ("Device", &single),
            ("Device_List", &single["parent_assets"][0]),
            ("FieldHelper", &single["fields"][0]),
            ("CustomField", &single["customfields"][0]),
            ("XTypeStatus", &single["allowed_status"][0]),
            ("Device_List", &rows[0]),
            ("Xtype", &caller.get("/api/AssetType/130?includedetails=true")),
            ("TypeInfo", &caller.get("/api/AssetType")[0]["fields"][0]),
        ] {
            assert_eq!(strange(row, &published[schema], recent), Vec::<String>::new(), "{schema} {writes:?}");
        }
    }
}
