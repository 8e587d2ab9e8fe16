//! The mapping as data.

use std::collections::BTreeMap;

use dewpoint_core::estate::Stage;
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{Authority, Target};
use dewpoint_servicenow_sim::Instance;
use serde_json::json;

use super::rig::{Rig, machine};
use crate::{Mapping, Override, Statuses, value_of};

#[test]
fn every_kind_has_a_class_and_compiles() {
    let mapping = Mapping::standard().unwrap();
    for kind in Kind::ALL {
        assert!(mapping.class(*kind, dewpoint_core::model::Provider::Aws).is_some(), "{kind}");
    }
    assert!(mapping.edge(RelationType::ProtectedBy, Kind::Instance, Kind::SecurityGroup).is_some());
    assert!(mapping.edge(RelationType::LocatedIn, Kind::Instance, Kind::Subnet).is_none());
}

#[test]
fn the_columns_are_those_of_the_product() {
    let mapping = Mapping::standard().unwrap();
    let instance = Instance::new();
    for (class, kind) in mapping.classes() {
        assert!(instance.schema.tables.contains_key(class), "{class}");
        for column in mapping.columns(*kind).filter(|column| *column != "tags") {
            assert!(instance.schema.column(class, column).is_some(), "{class}.{column}");
        }
    }
}

#[tokio::test]
async fn a_machine_becomes_texts() {
    let rig = Rig::new();
    let (class, fields) = rig.fields(&machine(1));
    assert_eq!(class, "cmdb_ci_vm_instance");
    let expected = json!({
        "name": "web-1", "object_id": "i-0001", "vm_inst_id": "i-0001", "state": "On", "cpus": "2", "memory": "1024",
        "ip_address": "10.0.0.5", "model_number": "t3.micro", "install_status": "1", "operational_status": "1", "tags": {"env": "prod"},
    });
    assert_eq!(json!(fields), expected);
    let mut stopped = machine(1);
    stopped.state = Some("stopped".to_owned());
    stopped.stage = Stage::Inactive;
    let (_, fields) = rig.fields(&stopped);
    assert_eq!((&fields["state"], &fields["operational_status"], &fields["install_status"]), (&json!("Off"), &json!("2"), &json!("1")));
    let adapted = rig.target.adapt(&machine(1)).unwrap();
    assert_eq!(adapted.fields["install_status"].authority, Authority::Transition);
    assert!(adapted.fields["object_id"].identifying);
}

#[test]
fn overrides_take_the_place_of_parts() {
    let fields = [("asset_tag".to_owned(), value_of(Kind::Instance, r#""asset" in ci.tags ? ci.tags["asset"] : null"#).unwrap().into())];
    let overrides: BTreeMap<Kind, Override> =
        [(Kind::Instance, Override { class: Some("cmdb_ci_linux_server".to_owned()), fields: fields.into() })].into();
    let types = [(RelationType::ProtectedBy, "Depends on::Used by".to_owned())].into();
    let mapping = Mapping::with(&overrides, &types, &Statuses::default()).unwrap();
    let mut ci = machine(1);
    ci.tags.insert("asset".to_owned(), "A-1".to_owned());
    let (adapted, failures) = mapping.adapt(&ci, &BTreeMap::new()).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!((adapted.class.as_str(), &adapted.fields["asset_tag"].value), ("cmdb_ci_linux_server", &json!("A-1")));
    assert_eq!(mapping.edge(RelationType::ProtectedBy, Kind::Instance, Kind::SecurityGroup).unwrap().kind, "Depends on::Used by");
    assert_ne!(mapping.digest(), Mapping::standard().unwrap().digest());
    assert!(mapping.fields().contains("asset_tag"));
    assert!(value_of(Kind::Instance, "ci.enviroment").is_err());
}
