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

#[test]
fn every_edge_that_is_found_is_told_from_all_others() {
    use Kind::{
        Account, Instance as Machine, LoadBalancer, Network, NetworkInterface, Pool, PublicAddress, Region, ResourceGroup, ScalingGroup,
        SecurityGroup, Service, Subnet, Volume, Zone,
    };
    use RelationType::{Allows, AttachedTo, ConnectedTo, Contains, DependsOn, LocatedIn, MemberOf, ProtectedBy, RoutesTo};
    let found: &[(RelationType, &[Kind], &[Kind])] = &[
        (Contains, &[Account], &[Region]),
        (
            Contains,
            &[ResourceGroup],
            &[Machine, Volume, NetworkInterface, LoadBalancer, SecurityGroup, Network, PublicAddress, ScalingGroup],
        ),
        (LocatedIn, &[Zone, ResourceGroup, Network], &[Region]),
        (LocatedIn, &[Machine, Volume, Subnet], &[Zone]),
        (LocatedIn, &[Subnet], &[Network]),
        (MemberOf, &[Machine], &[ScalingGroup]),
        (ProtectedBy, &[Machine, NetworkInterface, Subnet, LoadBalancer, ScalingGroup], &[SecurityGroup]),
        (Allows, &[SecurityGroup], &[SecurityGroup]),
        (AttachedTo, &[Volume, NetworkInterface, PublicAddress], &[Machine, ScalingGroup]),
        (ConnectedTo, &[NetworkInterface], &[Subnet]),
        (RoutesTo, &[LoadBalancer], &[Pool, Machine, ScalingGroup]),
        (RoutesTo, &[Pool], &[Machine, ScalingGroup, LoadBalancer]),
        (DependsOn, &[Service], &[LoadBalancer, Pool, Machine, ScalingGroup]),
    ];
    let one_type = RelationType::ALL.iter().map(|relation| (*relation, "Depends on::Used by".to_owned())).collect();
    for types in [BTreeMap::new(), [(ProtectedBy, "Depends on::Used by".to_owned())].into(), one_type] {
        let mapping = Mapping::with(&BTreeMap::new(), &types, &Statuses::default()).unwrap();
        for (relation, from, to) in found {
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
                assert!(mapping.tells(*relation, from, to), "{relation} from {from} to {to}, with {types:?}");
            }
        }
    }
    let mapping = Mapping::standard().unwrap();
    assert!(!mapping.tells(AttachedTo, SecurityGroup, Machine), "that looks like a machine's group");
    assert!(!mapping.tells(LocatedIn, Machine, Subnet), "that is not kept");
}
