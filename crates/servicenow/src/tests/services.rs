//! Application services: ours where there are none, and people's where there are.

use std::collections::BTreeMap;

use dewpoint_core::model::{Kind, Provider, RelationType};
use dewpoint_core::target::{Addressed, Adopt, Ci, End, Operation, RecordId, Target, Write};
use dewpoint_servicenow_sim::Instance;
use serde_json::json;

use super::rig::{Rig, attributes, config, edge, machine, ours, place};
use crate::{ServiceNowConfig, ServiceNowTarget};

fn service(name: &str) -> Ci {
    Ci {
        key: format!("service:{}", name.to_lowercase()).parse().unwrap(),
        kind: Kind::Service,
        provider: Provider::Any,
        account: "*".parse().unwrap(),
        region: "*".parse().unwrap(),
        native_id: name.to_lowercase(),
        name: name.to_owned(),
        state: None,
        attributes: attributes(&json!({})),
        tags: BTreeMap::new(),
        ..machine(0)
    }
}

/// An instance with these records of people's: class and name.
fn rig(records: &[(&str, &str)]) -> (Rig, Vec<RecordId>) {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let made = records.iter().map(|(class, name)| RecordId(instance.insert(class, &[("name", name)]))).collect();
    (Rig::over(instance), made)
}

async fn found(rig: &Rig, name: &str) -> Vec<RecordId> {
    let mut ids: Vec<RecordId> = rig.find(&service(name)).await.into_iter().map(|record| record.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn tags_are_written_beside_a_service_that_stands_alone() {
    let rig = Rig::new();
    let service = service("shop");
    rig.send(0, &[rig.create(&service)]).await;
    assert_eq!(rig.rows("cmdb_ci_service_auto", "", &["name"]), [["shop"]]);
    assert_eq!(rig.find(&service).await.len(), 1);
}

#[tokio::test]
async fn people_keep_services_in_many_classes() {
    for class in
        ["cmdb_ci_service_auto", "cmdb_ci_service_discovered", "cmdb_ci_service_by_tags", "cmdb_ci_service", "cmdb_ci_service_business"]
    {
        let (rig, made) = rig(&[(class, "shop"), (class, "other"), ("cmdb_ci_business_app", "shop")]);
        assert_eq!(found(&rig, "shop").await, [made[0].clone()], "{class}");
        assert_eq!(rig.find(&service("shop")).await[0].class, class);
        assert_eq!(found(&rig, "none").await, []);
        assert_eq!(found(&rig, "ShOp").await, [made[0].clone()], "in any letter case");
    }
    assert!(Rig::new().target.is_host(Kind::Service));
}

#[tokio::test]
async fn an_application_service_comes_before_a_business_service_of_its_name() {
    let (both, made) = rig(&[("cmdb_ci_service_business", "shop"), ("cmdb_ci_service_discovered", "shop")]);
    assert_eq!(found(&both, "shop").await, [made[1].clone()]);
    let (two, made) = rig(&[("cmdb_ci_service_auto", "shop"), ("cmdb_ci_service_discovered", "shop"), ("cmdb_ci_service", "shop")]);
    let mut expected = made[..2].to_vec();
    expected.sort();
    assert_eq!(found(&two, "shop").await, expected, "which of them is for people to say");
    // Ours comes before all.
    let (own, made) = rig(&[("cmdb_ci_service_business", "shop")]);
    let before = own.sim.rows("cmdb_ci_service", "").len();
    own.sim.edit(|instance| instance.delete(&made[0].0));
    let record = own.send(0, &[own.create(&service("shop"))]).await.remove(0);
    own.sim.edit(|instance| instance.insert("cmdb_ci_service_business", &[("name", "shop")]));
    assert_eq!((found(&own, "shop").await, own.sim.rows("cmdb_ci_service", "").len()), (vec![record], before + 1));
}

#[tokio::test]
async fn what_may_be_adopted_is_of_our_own_class() {
    for adopt in [Adopt::Match, Adopt::Contribute] {
        let (mut rig, made) = rig(&[("cmdb_ci_service_business", "shop"), ("cmdb_ci_service_discovered", "till")]);
        rig.target = ServiceNowTarget::new(&ServiceNowConfig { adopt, ..config(&rig.sim) }).unwrap();
        assert_eq!(found(&rig, "shop").await, [], "a business service does not become ours");
        assert_eq!(found(&rig, "till").await, [made[1].clone()]);
    }
}

/// An edge from a record of people's to one of ours.
fn depends(service: &Ci, stranger: &RecordId, on: (&Ci, &RecordId), is_removed: bool) -> Write {
    let from = Addressed { record: stranger.clone(), carries: None };
    let to = ours(on.0, on.1);
    let edge = edge(service, RelationType::DependsOn, on.0);
    let operation = match is_removed {
        true => Operation::Unrelate { edge, from, to, to_kind: on.0.kind },
        false => {
            let (from, to) = (End::Stands(from), End::Stands(to));
            Operation::Relate { edge, from, to, to_kind: on.0.kind, attributes: attributes(&json!({})) }
        }
    };
    Write { key: service.key.clone(), kind: Kind::Service, place: place(service), operation }
}

#[tokio::test]
async fn edges_begin_at_peoples_service_and_leave_it_as_it_is() {
    for class in ["cmdb_ci_service_discovered", "cmdb_ci_service_business"] {
        let (mut rig, made) = rig(&[(class, "shop")]);
        let record = rig.send(0, &[rig.create(&machine(1))]).await.remove(0);
        let theirs = || rig.sim.rows("cmdb_ci_service", "name=shop").remove(0).1;
        let before = theirs();
        rig.send(1, &[depends(&service("shop"), &made[0], (&machine(1), &record), false)]).await;
        let edges = || rig.relations().into_iter().filter(|(parent, ..)| parent == "shop").collect::<Vec<_>>();
        assert_eq!(edges(), [("shop".to_owned(), "Depends on::Used by".to_owned(), "web-1".to_owned())]);
        let mut after = theirs();
        assert_eq!(after.table, class, "it keeps its class");
        // What the engine moves on whatever a payload names.
        for moved in ["discovery_source", "last_discovered", "sys_updated_on", "sys_updated_by", "sys_mod_count"] {
            match before.values.get(moved) {
                Some(value) => drop(after.values.insert(moved.to_owned(), value.clone())),
                None => drop(after.values.remove(moved)),
            }
        }
        assert_eq!(after.values, before.values);
        assert_eq!(rig.sim.rows("sys_object_source", &format!("target_sys_id={}", made[0].0)), []);

        // People drew one as well: that stays.
        let by_people = rig.sim.edit(|instance| {
            let kind = instance.relation_type("Uses::Used by").unwrap();
            instance.insert("cmdb_rel_ci", &[("parent", &made[0].0), ("child", &record.0), ("type", &kind)])
        });
        let sim = &rig.sim;
        rig.target = ServiceNowTarget::new(&config(sim)).unwrap();
        rig.send(2, &[depends(&service("shop"), &made[0], (&machine(1), &record), true)]).await;
        let left: Vec<String> = rig.sim.rows("cmdb_rel_ci", &format!("parent={}", made[0].0)).into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [by_people]);
    }
}
