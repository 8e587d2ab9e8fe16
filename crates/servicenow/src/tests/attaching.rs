//! What hangs on machines: interfaces that name theirs, and how much there is.

use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{Attached, Ci, RecordId, Target};
use serde_json::json;

use super::rig::{Rig, attributes, machine, relate, thing, unrelate};
use crate::mapping::EdgeParent;
use crate::{Mapping, Override, Statuses, value_of};

fn interface(number: usize) -> Ci {
    let id = format!("eni-{number}");
    let facts = json!({"private_dns_name": "ip-10-0-0-5.eu-west-1.compute.internal", "public_dns_name": "ec2-192-0-2-7.example"});
    Ci { attributes: attributes(&facts), ..thing(Kind::NetworkInterface, &format!("network-interface/{id}"), &id, &json!({})) }
}

/// Interfaces by name, with the names of their machines.
fn shown(rig: &Rig) -> Vec<(String, String)> {
    let machines = rig.sim.rows("cmdb_ci_vm_instance", "");
    let name = |id: &str| machines.iter().find(|(machine, _)| machine == id).map_or(id.to_owned(), |(_, row)| row.values["name"].clone());
    let rows = rig.rows("cmdb_ci_nic", "", &["name", "cmdb_ci"]);
    rows.into_iter().map(|row| (row[0].clone(), name(&row[1]))).collect()
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(interface, machine)| ((*interface).to_owned(), (*machine).to_owned())).collect()
}

#[tokio::test]
async fn an_interface_names_its_machine_as_long_as_it_hangs_there() {
    let rig = Rig::new();
    let (nic, other) = (interface(1), interface(2));
    let attached = RelationType::AttachedTo;
    let batch = [rig.create(&machine(1)), rig.create(&machine(2)), rig.create(&nic), rig.create(&other)];
    let batch: Vec<_> = batch.into_iter().chain([relate((&nic, None), attached, (&machine(1), None))]).collect();
    let records: Vec<RecordId> = rig.send(0, &batch).await;
    assert_eq!(shown(&rig), expected(&[("eni-1", "web-1"), ("eni-2", "")]));
    let dns = rig.rows("cmdb_ci_nic", "name=eni-1", &["private_dns", "public_dns"]);
    assert_eq!(dns, [["ip-10-0-0-5.eu-west-1.compute.internal", "ec2-192-0-2-7.example"]]);

    let [one, two] = [&records[0], &records[1]];
    let nic_record = &records[2];
    // It moves: whichever comes first.
    let gone = |machine: &Ci, record: &RecordId| unrelate((&nic, nic_record), attached, (machine, record));
    let come = |machine: &Ci, record: &RecordId| relate((&nic, Some(nic_record)), attached, (machine, Some(record)));
    rig.send(1, &[come(&machine(2), two)]).await;
    rig.send(2, &[gone(&machine(1), one)]).await;
    assert_eq!(shown(&rig), expected(&[("eni-1", "web-2"), ("eni-2", "")]));
    rig.send(3, &[gone(&machine(2), two)]).await;
    assert_eq!(shown(&rig), expected(&[("eni-1", ""), ("eni-2", "")]));
    rig.send(4, &[come(&machine(1), one)]).await;
    assert_eq!(shown(&rig)[0].1, "web-1");
    // What people put there is theirs.
    let by_people = rig.sim.edit(|instance| instance.insert("cmdb_ci_linux_server", &[("name", "by people")]));
    rig.sim.edit(|instance| instance.update(&nic_record.0, &[("cmdb_ci", &by_people)]));
    rig.send(5, &[gone(&machine(1), one)]).await;
    assert_eq!(shown(&rig)[0].1, by_people);
}

#[test]
fn a_column_that_the_configuration_fills_is_not_the_edges() {
    let column = |mapping: &Mapping| {
        let form = mapping.edge(RelationType::AttachedTo, Kind::NetworkInterface, Kind::Instance).unwrap();
        (form.column.map(str::to_owned), form.parent)
    };
    assert_eq!(column(&Mapping::standard().unwrap()), (Some("cmdb_ci".to_owned()), EdgeParent::To));
    let own = [("cmdb_ci".to_owned(), value_of(Kind::NetworkInterface, "null").unwrap().into())].into();
    let overrides = [(Kind::NetworkInterface, Override { class: None, fields: own })].into();
    let mapping = Mapping::with(&overrides, &std::collections::BTreeMap::new(), &Statuses::default()).unwrap();
    assert_eq!(column(&mapping), (None, EdgeParent::To));
    let volume = mapping.edge(RelationType::AttachedTo, Kind::Volume, Kind::Instance).unwrap();
    assert_eq!(volume.column, None);
}

#[tokio::test]
async fn a_machine_tells_how_much_is_attached() {
    let rig = Rig::new();
    assert!(rig.target.counts_attached());
    let counts = |ci: &Ci| {
        let (_, fields) = rig.fields(ci);
        ["nics", "disks", "disks_size"].map(|name| fields.get(name).cloned())
    };
    assert_eq!(counts(&machine(1)), [None, None, None]);
    let attached = Attached { interfaces: Some(0), volumes: Some(2), volume_gib: None };
    let ci = Ci { attached: Some(attached), ..machine(1) };
    assert_eq!(counts(&ci), [Some(json!("0")), Some(json!("2")), None]);
    rig.send(0, &[rig.create(&ci)]).await;
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["nics", "disks", "disks_size"]), [["0", "2", ""]]);
}

#[test]
fn accounts_and_balancers_tell_more() {
    let mapping = Mapping::standard().unwrap();
    let fields = |ci: &Ci| mapping.adapt(ci, &std::collections::BTreeMap::new()).unwrap().0.fields;
    let account = |management: Option<&str>| {
        let facts = management.map_or(json!({}), |id| json!({"management_account": id}));
        fields(&Ci { attributes: attributes(&facts), ..thing(Kind::Account, "x", super::rig::ACCOUNT, &json!({})) })
    };
    assert_eq!(account(Some(super::rig::ACCOUNT))["is_master_account"].value, json!("true"));
    assert_eq!(account(Some("210987654321"))["is_master_account"].value, json!("false"));
    assert!(!account(None).contains_key("is_master_account"), "nobody said");
    let balancer = thing(Kind::LoadBalancer, "loadbalancer/app/shop/1", "shop", &json!({"hosted_zone": "Z32O12XQLNTSW2"}));
    assert_eq!(fields(&balancer)["canonical_hosted_zone_name"].value, json!("Z32O12XQLNTSW2"));
}
