//! Writes, and what stands there afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use dewpoint_core::model::{Kind, Provider, RelationType};
use dewpoint_core::target::{Ci, End, FoundRecord, Host, Operation, RecordId, Target, TargetError, Write};
use dewpoint_servicenow_sim::{Instance, Sim};
use serde_json::{Value, json};

use super::rig::{ACCOUNT, REGION, Rig, at, attributes, config, machine, ours, purge, relate, thing, unrelate};
use crate::mapping::stored;
use crate::{Mapping, Override, ServiceNowConfig, ServiceNowTarget, Statuses, value_of};

#[tokio::test]
async fn a_machine_travels_with_its_datacenter_and_account() {
    let rig = Rig::new();
    let records = rig.send(7, &[rig.create(&machine(1)), rig.create(&machine(2))]).await;
    assert_ne!(records[0], records[1]);
    let hosted = |name: &str| (name.to_owned(), "Hosted on::Hosts".to_owned(), REGION.to_owned());
    assert_eq!(rig.relations(), [(REGION.to_owned(), "Hosted on::Hosts".to_owned(), ACCOUNT.to_owned()), hosted("web-1"), hosted("web-2")]);
    assert_eq!(
        rig.rows("cmdb_ci_vm_instance", "", &["name", "object_id", "state", "cpus", "last_discovered", "discovery_source"]),
        [
            ["web-1", "i-0001", "On", "2", "2026-02-02 02:40:07", "Dewpoint"],
            ["web-2", "i-0002", "On", "2", "2026-02-02 02:40:07", "Dewpoint"]
        ]
    );
    assert_eq!(rig.rows("cmdb_key_value", "", &["key", "value"]), [["env", "prod"], ["env", "prod"]]);
    assert_eq!(
        rig.rows("sys_object_source", "source_feed=ours", &["name", "id"]),
        [
            ["Dewpoint", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0001"],
            ["Dewpoint", "arn:aws:ec2:eu-west-1:123456789012:instance/i-0002"]
        ]
    );
    assert_eq!(rig.rows("cmdb_ire_partial_payloads", "", &["class_name"]).len(), 0);
    assert_eq!(rig.rows("cmdb_ire_incomplete_payloads", "", &["class_name"]).len(), 0);
}

#[tokio::test]
async fn a_create_twice_is_one_record() {
    let mut rig = Rig::new();
    let batch = [rig.create(&machine(1)), rig.create(&machine(2))];
    let first = rig.send(0, &batch).await;
    assert_eq!(rig.send(0, &batch).await, first);
    rig.anew();
    assert_eq!(rig.send(0, &batch).await, first, "as after a lost reply, by another process");
    assert_eq!(rig.send(5, &[rig.create(&machine(1)), rig.create(&machine(1))]).await, [first[0].clone(), first[0].clone()]);
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]).len(), 2);
    assert_eq!(rig.rows("cmdb_ci_aws_datacenter", "", &["name"]).len(), 1);
}

#[tokio::test]
async fn what_the_instance_would_mistake_for_another_is_not_sent() {
    // Hardware is identified by serial number, else by name.
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let stranger = instance.insert("cmdb_ci_linux_server", &[("name", "web-3")]);
    let sim = Sim::start(instance).unwrap();
    let class = Some("cmdb_ci_linux_server".to_owned());
    let overrides = [(Kind::Instance, Override { class, fields: BTreeMap::new() })].into();
    let mapping = Arc::new(Mapping::with(&overrides, &BTreeMap::new(), &Statuses::default()).unwrap());
    let target = |sim: &Sim| ServiceNowTarget::new(&ServiceNowConfig { mapping: Arc::clone(&mapping), ..config(sim) }).unwrap();
    let mut rig = Rig { target: target(&sim), sim };
    let native = |number: usize| machine(number).key.to_string().replacen("aws:", "", 1);
    let twin = || Ci { name: "web-1".to_owned(), ..machine(2) };
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({}));
    let edge = |from: &Ci| relate((from, None), RelationType::ProtectedBy, (&group, None));
    let batch = [rig.create(&machine(1)), rig.create(&twin()), rig.create(&machine(3)), rig.create(&machine(4)), rig.create(&group)];
    let batch: Vec<Write> = batch.into_iter().chain([edge(&machine(3)), edge(&machine(4))]).collect();
    let answers = rig.try_send(0, &batch).await.unwrap();
    let text = |number: usize| answers[number].as_ref().unwrap_err().to_string();
    assert!(text(0).contains("the same as") && text(0).contains("i-0002"), "{}", text(0));
    assert!(text(1).contains("i-0001") && text(1).contains("map the kind to a class"), "{}", text(1));
    assert!(text(2).contains(&stranger) && text(2).contains("somebody else made"), "{}", text(2));
    assert!(matches!(answers[5], Err(TargetError::Abandoned { .. })), "{:?}", answers[5]);
    assert!(answers[3].is_ok() && answers[4].is_ok() && answers[6].is_ok(), "{answers:?}");
    let marked = || rig.rows("sys_object_source", "target_table=cmdb_ci_linux_server", &["id"]).concat();
    assert_eq!(
        (rig.rows("cmdb_ci_linux_server", "", &["name"]), marked()),
        (vec![vec!["web-3".to_owned()], vec!["web-4".to_owned()]], vec![native(4)])
    );

    // One that is ours already is no other's, and what is ours is not given to another.
    rig.target = target(&rig.sim);
    rig.send(1, &[rig.create(&machine(4))]).await;
    let answers = rig.try_send(2, &[rig.create(&Ci { name: "web-4".to_owned(), ..machine(5) }), rig.create(&machine(6))]).await.unwrap();
    let text = answers[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("stands for aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0004"), "{text}");
    assert!(answers[1].is_ok(), "{answers:?}");
    assert_eq!(rig.rows("cmdb_ci_linux_server", "", &["name"]), [["web-3"], ["web-4"], ["web-6"]]);
    assert_eq!(rig.rows("sys_object_source", "target_table=cmdb_ci_linux_server", &["id"]), [[native(4)], [native(6)]]);
    let findings = rig.target.doctor().await;
    let told = findings.iter().find(|finding| finding.text.contains("identified by serial_number or name too")).unwrap();
    assert!(told.mend.as_deref().unwrap().contains("asked about first"), "{told:?}");
}

#[tokio::test]
async fn what_people_make_meanwhile_is_not_taken() {
    let rig = Rig::new();
    rig.send(0, &[rig.create(&machine(1))]).await;
    assert_eq!(rig.find(&machine(2)).await, []);
    // Asked a moment ago: what is made after that is met by the engine alone.
    let datacenter = rig.sim.rows("cmdb_ci_aws_datacenter", "").remove(0).0;
    let stranger = rig.sim.edit(|instance| {
        let record = instance.insert("cmdb_ci_vm_instance", &[("name", "theirs"), ("object_id", "i-0002")]);
        let kind = instance.relation_type("Hosted on::Hosts").unwrap();
        instance.insert("cmdb_rel_ci", &[("parent", &record), ("child", &datacenter), ("type", &kind)]);
        record
    });
    let error = rig.try_send(1, &[rig.create(&machine(2))]).await.unwrap().remove(0).unwrap_err().to_string();
    assert!(error.contains(&stranger) && error.contains("an administrator removes row"), "{error}");
    // Such a user may remove it.
    rig.sim.edit(|instance| {
        let (mark, _) = instance.find("sys_object_source", &format!("target_sys_id={stranger}")).remove(0);
        instance.delete(&mark);
        instance.users.iter_mut().for_each(|user| user.roles.push("admin".to_owned()));
    });
    let fresh = ServiceNowTarget::new(&config(&rig.sim)).unwrap();
    let rig = Rig { target: fresh, ..rig };
    let error = rig.try_send(2, &[rig.create(&machine(2))]).await.unwrap().remove(0).unwrap_err().to_string();
    assert!(error.contains(&stranger) && error.contains("stands there by now"), "{error}: it was asked about, and not sent");
    assert_eq!(rig.rows("sys_object_source", &format!("target_sys_id={stranger}"), &["id"]).len(), 0);
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["object_id"]).len(), 2);
}

#[tokio::test]
async fn a_service_of_peoples_is_not_taken() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    // By the rule of its parent class the engine would find it, and make a discovered service of it.
    let business = instance.insert("cmdb_ci_service", &[("name", "Shop")]);
    let own_case = instance.insert("cmdb_ci_service_auto", &[("name", "Orders")]);
    let rig = Rig::over(instance);
    let before = rig.sim.snapshot().tables();
    let service = |name: &str| Ci {
        key: format!("service:{}", name.to_lowercase()).parse().unwrap(),
        kind: Kind::Service,
        provider: Provider::Any,
        account: "*".parse().unwrap(),
        region: "*".parse().unwrap(),
        native_id: name.to_lowercase(),
        name: name.to_owned(),
        state: None,
        attributes: attributes(&json!({})),
        ..machine(0)
    };
    assert_eq!(rig.find(&service("Orders")).await[0].id.0, own_case, "as people spell it");
    let answers = rig.try_send(0, &[rig.create(&service("Shop")), rig.create(&service("Orders"))]).await.unwrap();
    let text = |number: usize| answers[number].as_ref().unwrap_err().to_string();
    assert!(text(0).contains(&business) && text(0).contains("somebody else made"), "{}", text(0));
    assert!(text(1).contains(&own_case), "{}", text(1));
    assert!(rig.sim.snapshot().tables() == before, "nothing was written");
    rig.send(1, &[rig.create(&service("Invoicing"))]).await;
}

#[tokio::test]
async fn a_datacenter_of_peoples_is_referred_to_whatever_its_class_and_spelling() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let kind = instance.relation_type("Hosted on::Hosts").unwrap();
    let account =
        [("account_id", "1234-5678-9012"), ("object_id", ACCOUNT), ("datacenter_type", "cmdb_ci_aws_datacenter"), ("name", "people's")];
    let account = instance.insert("cmdb_ci_cloud_service_account", &account);
    let datacenter = [("object_id", REGION), ("region", "EU (Ireland)"), ("name", "people's")];
    let datacenter = instance.insert("cmdb_ci_logical_datacenter", &datacenter);
    instance.insert("cmdb_rel_ci", &[("parent", &datacenter), ("child", &account), ("type", &kind)]);
    let vm = instance.insert("cmdb_ci_vm_instance", &[("object_id", "i-0001"), ("name", "people's")]);
    instance.insert("cmdb_rel_ci", &[("parent", &vm), ("child", &datacenter), ("type", &kind)]);
    let rig = Rig::over(instance);
    assert_eq!(rig.find(&machine(1)).await[0].id.0, vm, "it lies there under another spelling");
    rig.send(0, &[rig.create(&machine(2))]).await;
    let names = |table: &str| rig.rows(table, "", &["sys_class_name", "name", "sys_id"]);
    assert_eq!(names("cmdb_ci_logical_datacenter"), [["cmdb_ci_logical_datacenter", "people's", ""]]);
    assert_eq!(names("cmdb_ci_cloud_service_account"), [["cmdb_ci_cloud_service_account", "people's", ""]]);
    assert_eq!(rig.rows("sys_object_source", "", &["target_table"]), [["cmdb_ci_vm_instance"]], "our mark is on the machine only");
}

#[tokio::test]
async fn a_name_that_somebody_gave_a_place_does_not_make_it_another() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let kind = instance.relation_type("Hosted on::Hosts").unwrap();
    let account = instance.insert("cmdb_ci_cloud_service_account", &[("account_id", "production")]);
    let hosted = |instance: &mut Instance, vm: &str, region: &str| {
        let datacenter = instance.insert("cmdb_ci_logical_datacenter", &[("region", region)]);
        let vm = instance.insert("cmdb_ci_vm_instance", &[("object_id", vm)]);
        for (parent, child) in [(&datacenter, &account), (&vm, &datacenter)] {
            instance.insert("cmdb_rel_ci", &[("parent", parent), ("child", child), ("type", &kind)]);
        }
        vm
    };
    let named = hosted(&mut instance, "i-0001", "EU (Ireland)");
    hosted(&mut instance, "i-0002", "us-east-1");
    let rig = Rig::over(instance);
    assert_eq!(rig.find(&machine(1)).await.iter().map(|record| record.id.0.as_str()).collect::<Vec<_>>(), [named]);
    assert_eq!(rig.find(&machine(2)).await, [], "another region's id says so");
}

#[tokio::test]
async fn an_edge_of_peoples_stays_and_a_pool_changes_its_balancer() {
    let rig = Rig::new();
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({}));
    let records = rig.send(0, &[rig.create(&machine(1)), rig.create(&group)]).await;
    let uses = rig.sim.edit(|instance| instance.relation_type("Uses::Used by")).unwrap();
    rig.sim.edit(|instance| instance.insert("cmdb_rel_ci", &[("parent", &records[0].0), ("child", &records[1].0), ("type", &uses)]));
    rig.send(1, &[unrelate((&machine(1), &records[0]), RelationType::ProtectedBy, (&group, &records[1]))]).await;
    assert_eq!(rig.rows("cmdb_rel_ci", &format!("type={uses}"), &["parent"]).len(), 1, "people drew it");

    // Made while the configuration had another type for it.
    let types = [(RelationType::ProtectedBy, "Depends on::Used by".to_owned())].into();
    let mapping = Arc::new(Mapping::with(&BTreeMap::new(), &types, &Statuses::default()).unwrap());
    let before = ServiceNowTarget::new(&ServiceNowConfig { mapping, ..config(&rig.sim) }).unwrap();
    let rig = Rig { target: before, ..rig };
    rig.send(1, &[relate((&machine(1), Some(&records[0])), RelationType::ProtectedBy, (&group, Some(&records[1])))]).await;
    let depends = rig.sim.edit(|instance| instance.relation_type("Depends on::Used by")).unwrap();
    let left = |rig: &Rig| [&uses, &depends].map(|kind| rig.rows("cmdb_rel_ci", &format!("type={kind}"), &["parent"]).len());
    assert_eq!(left(&rig), [1, 1]);
    let now = ServiceNowTarget::new(&config(&rig.sim)).unwrap();
    let rig = Rig { target: now, ..rig };
    rig.send(1, &[unrelate((&machine(1), &records[0]), RelationType::ProtectedBy, (&group, &records[1]))]).await;
    assert_eq!(left(&rig), [1, 0], "ours is gone, and theirs is not");

    let balancer = |name: &str| {
        thing(Kind::LoadBalancer, &format!("loadbalancer/app/{name}/1"), name, &json!({"balancer_type": "application", "listeners": []}))
    };
    let (first, second) = (balancer("lb-1"), balancer("lb-2"));
    let pool = thing(Kind::Pool, "targetgroup/pool/1", "pool", &json!({}));
    let beside = vec![Host { key: first.key.clone(), kind: first.kind, record: End::Made(first.key.clone()) }];
    let made = rig.send(2, &[rig.create(&first), rig.create(&second), rig.create_beside(&pool, beside)]).await;
    let hosts = || rig.relations().into_iter().filter(|(from, ..)| from == "pool").map(|(.., to)| to).collect::<Vec<_>>();
    let edge = |lb: &Ci, record: &RecordId| unrelate((lb, record), RelationType::RoutesTo, (&pool, &made[2]));
    rig.send(3, &[edge(&first, &made[0])]).await;
    assert_eq!(hosts(), ["lb-1"], "what it is identified by stays");
    rig.send(4, &[relate((&second, Some(&made[1])), RelationType::RoutesTo, (&pool, Some(&made[2])))]).await;
    rig.send(5, &[edge(&first, &made[0])]).await;
    assert_eq!(hosts(), ["lb-2"]);
}

#[tokio::test]
async fn classes_with_the_usual_rules_are_not_asked_about() {
    let rig = Rig::new();
    rig.send(0, &[rig.create(&machine(1))]).await;
    assert_eq!(rig.sim.counters().by_api.get("identifyreconcile_query"), Some(&1), "its datacenter and account");
    rig.send(1, &[rig.create(&machine(2))]).await;
    assert_eq!(rig.sim.counters().by_api.get("identifyreconcile_query"), Some(&1));
}

#[tokio::test]
async fn columns_that_the_class_lacks_are_named_and_not_sent() {
    let sim = Sim::start(Instance::new().with_data_source("Dewpoint")).unwrap();
    let nowhere = value_of(Kind::Instance, "ci.name").unwrap();
    let overrides = [(Kind::Instance, Override { class: None, fields: [("u_nowhere".to_owned(), nowhere.into())].into() })].into();
    let mapping = Arc::new(Mapping::with(&overrides, &BTreeMap::new(), &Statuses::default()).unwrap());
    let rig = Rig { target: ServiceNowTarget::new(&ServiceNowConfig { mapping, ..config(&sim) }).unwrap(), sim };
    let ci = machine(1);
    let made = rig.try_send(0, &[rig.create(&ci)]).await.unwrap().remove(0).unwrap();
    assert_eq!(made.left.keys().collect::<Vec<_>>(), ["u_nowhere"]);
    assert!(made.left["u_nowhere"].contains("`cmdb_ci_vm_instance`"), "{:?}", made.left);
    let update = rig.update(&ci, &made.record, None, &[("u_nowhere", json!("web-2")), ("cpus", json!("4"))]);
    let changed = rig.try_send(1, &[update]).await.unwrap().remove(0).unwrap();
    assert_eq!(changed.left.keys().collect::<Vec<_>>(), ["u_nowhere"]);
    assert_eq!(rig.find(&ci).await[0].fields["cpus"], json!("4"));
}

#[tokio::test]
async fn what_is_taken_over_hangs_on_its_datacenter() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let mut by_hand = |number: usize| {
        let (name, object_id) = (format!("by hand {number}"), format!("i-000{number}"));
        RecordId(instance.insert("cmdb_ci_vm_instance", &[("name", name.as_str()), ("object_id", object_id.as_str())]))
    };
    let records = [by_hand(1), by_hand(2)];
    // People hung one of them elsewhere, and that is theirs to say.
    let theirs = instance.insert("cmdb_ci_logical_datacenter", &[("name", "their own")]);
    let kind = instance.relation_type("Hosted on::Hosts").unwrap();
    instance.insert("cmdb_rel_ci", &[("parent", &records[1].0), ("child", &theirs), ("type", &kind)]);
    let rig = Rig::over(instance);
    let batch: Vec<Write> = (1..).zip(&records).map(|(number, record)| rig.take_over(&machine(number), record)).collect();
    rig.send(0, &batch).await;
    let hosts: Vec<_> =
        rig.relations().into_iter().filter(|(from, kind, _)| from.starts_with("web") && kind == "Hosted on::Hosts").collect();
    let on = |name: &str, host: &str| (name.to_owned(), "Hosted on::Hosts".to_owned(), host.to_owned());
    assert_eq!(hosts, [on("web-1", REGION), on("web-2", "their own")]);

    // Nothing is made for what hangs somewhere.
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let vm = RecordId(instance.insert("cmdb_ci_vm_instance", &[("object_id", "i-0001")]));
    let theirs = instance.insert("cmdb_ci_aws_datacenter", &[("object_id", REGION), ("region", REGION)]);
    instance.insert("cmdb_rel_ci", &[("parent", &vm.0), ("child", &theirs), ("type", &kind)]);
    let rig = Rig::over(instance);
    rig.send(0, &[rig.take_over(&machine(1), &vm)]).await;
    assert_eq!((rig.rows("cmdb_ci_cloud_service_account", "", &["name"]).len(), rig.relations().len()), (0, 1));
}

#[tokio::test]
async fn a_record_shows_what_was_sent() {
    let mut rig = Rig::new();
    let ci = machine(1);
    let record = rig.send(7, &[rig.create(&ci)]).await.remove(0);
    rig.anew();
    let found = rig.find(&ci).await;
    let [found] = found.as_slice() else { panic!("{found:?}") };
    let (class, fields) = rig.fields(&ci);
    assert_eq!((&found.id, &found.class, &found.fields), (&record, &class, &fields));
    assert_eq!(found.external_id, Some(ci.key.clone()));
    assert_eq!(found.estate.as_ref().map(|estate| estate.0.as_str()), Some("ours"));
    assert_eq!(found.delivered_at, Some(at(7)));
    assert!(!found.retired);
    let subject = found.subject.as_ref().unwrap();
    assert_eq!((subject.kind, subject.account.as_str(), subject.region.as_str()), (Kind::Instance, ACCOUNT, REGION));
    assert_eq!((subject.native_id.as_str(), subject.name.as_deref()), ("i-0001", Some("web-1")));
    let read = FoundRecord { edges: Some(BTreeMap::new()), ..found.clone() };
    assert_eq!(rig.read_all().await, [read], "the datacenter and the account are scaffold");
}

#[tokio::test]
async fn fields_change_and_are_emptied() {
    let rig = Rig::new();
    let ci = machine(1);
    let record = rig.send(0, &[rig.create(&ci)]).await.remove(0);
    rig.send(1, &[rig.update(&ci, &record, None, &[("cpus", json!("4")), ("ip_address", Value::Null)])]).await;
    let found = rig.find(&ci).await.remove(0);
    assert_eq!(found.fields["cpus"], json!("4"));
    assert!(!found.fields.contains_key("ip_address"), "{:?}", found.fields);
    assert_eq!(found.delivered_at, Some(at(1)));
}

#[tokio::test]
async fn edges_come_with_their_last_end_and_go_alone() {
    let rig = Rig::new();
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({"rules": []}));
    let (one, two) = (machine(1), machine(2));
    let batch = [
        rig.create(&group),
        rig.create(&one),
        relate((&one, None), RelationType::ProtectedBy, (&group, None)),
        rig.create(&two),
        relate((&two, None), RelationType::ProtectedBy, (&group, None)),
    ];
    let records = rig.send(0, &batch).await;
    let uses = |name: &str| (name.to_owned(), "Uses::Used by".to_owned(), "sg-1".to_owned());
    assert!(rig.relations().contains(&uses("web-1")) && rig.relations().contains(&uses("web-2")));
    rig.send(1, &[unrelate((&one, &records[1]), RelationType::ProtectedBy, (&group, &records[0]))]).await;
    rig.send(1, &[unrelate((&one, &records[1]), RelationType::ProtectedBy, (&group, &records[0]))]).await;
    assert!(!rig.relations().contains(&uses("web-1")) && rig.relations().contains(&uses("web-2")));
    rig.send(2, &[relate((&one, Some(&records[1])), RelationType::ProtectedBy, (&group, Some(&records[0])))]).await;
    assert!(rig.relations().contains(&uses("web-1")));
}

#[tokio::test]
async fn relations_that_others_drew_before_us_or_keep_as_well_stay() {
    let rig = Rig::new();
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({"rules": []}));
    let cis: Vec<Ci> = (1..=5).map(machine).collect();
    let batch: Vec<Write> = [rig.create(&group)].into_iter().chain(cis.iter().map(|ci| rig.create(ci))).collect();
    let mut records = rig.send(0, &batch).await;
    let group_record = records.remove(0);
    rig.sim.edit(|instance| {
        let kind = instance.relation_type("Uses::Used by").unwrap();
        for record in [&records[0], &records[3]] {
            let drawn =
                [("parent", record.0.as_str()), ("child", &group_record.0), ("type", &kind), ("sys_created_on", "2026-01-01 00:00:00")];
            instance.insert("cmdb_rel_ci", &drawn);
        }
    });
    let ends = |number: usize| (&cis[number], &records[number]);
    let edges: Vec<Write> = (0..5)
        .map(|number| relate((ends(number).0, Some(ends(number).1)), RelationType::ProtectedBy, (&group, Some(&group_record))))
        .collect();
    rig.send(1, &edges).await;
    let relation = rig.sim.rows("cmdb_rel_ci", &format!("parent={}^child={}", records[1].0, group_record.0)).remove(0).0;
    rig.sim.edit(|instance| instance.insert("sys_rel_source", &[("name", "ServiceNow"), ("target_sys_id", &relation)]));
    let gone: Vec<Write> = (0..3).map(|number| unrelate(ends(number), RelationType::ProtectedBy, (&group, &group_record))).collect();
    rig.send(2, &gone).await;
    let retired: Vec<Write> = (3..5).map(|number| rig.update(&cis[number], &records[number], Some(true), &[])).collect();
    rig.send(3, &retired).await;
    let using: Vec<String> = rig.relations().into_iter().filter(|(_, kind, _)| kind == "Uses::Used by").map(|(from, ..)| from).collect();
    assert_eq!(using, ["web-1", "web-2", "web-4"], "drawn by hand, kept by another source, and drawn by hand");
}

#[tokio::test]
async fn retired_records_keep_their_host_and_lose_their_edges() {
    let rig = Rig::new();
    let group = thing(Kind::SecurityGroup, "security-group/sg-1", "sg-1", &json!({"rules": []}));
    let ci = machine(1);
    let records = rig.send(0, &[rig.create(&group), rig.create(&ci), relate((&ci, None), RelationType::ProtectedBy, (&group, None))]).await;
    let people = rig.sim.edit(|instance| {
        let kind = instance.relation_type("Depends on::Used by").unwrap();
        instance.insert("cmdb_rel_ci", &[("parent", &records[1].0), ("child", &records[0].0), ("type", &kind)])
    });
    rig.send(1, &[rig.update(&ci, &records[1], Some(true), &[("state", json!("Terminated"))])]).await;
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["install_status", "operational_status", "state"]), [["7", "6", "Terminated"]]);
    let relations = rig.relations();
    assert!(relations.contains(&("web-1".to_owned(), "Hosted on::Hosts".to_owned(), REGION.to_owned())), "{relations:?}");
    assert!(!relations.iter().any(|(_, kind, _)| kind == "Uses::Used by"), "{relations:?}");
    assert_eq!(rig.sim.rows("cmdb_rel_ci", &format!("sys_id={people}")).len(), 1, "what people drew stays");
    assert!(rig.find(&ci).await[0].retired);
    rig.send(2, &[rig.update(&ci, &records[1], Some(false), &[])]).await;
    assert!(!rig.find(&ci).await[0].retired);
}

#[tokio::test]
async fn purged_records_are_gone() {
    let rig = Rig::new();
    let ci = machine(1);
    let record = rig.send(0, &[rig.create(&ci)]).await.remove(0);
    let refused = rig.try_send(1, &[purge(&ci, &record)]).await.unwrap().remove(0).unwrap_err().to_string();
    assert!(refused.contains("somebody made it live again"), "{refused}");
    rig.send(1, &[rig.update(&ci, &record, Some(true), &[])]).await;
    // Another source found it since then.
    let seen = rig.sim.edit(|instance| {
        let scan = &stored(at(1));
        instance.insert("sys_object_source", &[("name", "SG-AWS"), ("id", "x"), ("target_sys_id", &record.0), ("last_scan", scan)])
    });
    let refused = rig.try_send(1, &[purge(&ci, &record)]).await.unwrap().remove(0).unwrap_err().to_string();
    assert!(refused.contains("SG-AWS"), "{refused}");
    rig.sim.edit(|instance| instance.delete(&seen));
    rig.send(1, &[purge(&ci, &record)]).await;
    rig.send(1, &[purge(&ci, &record)]).await;
    assert_eq!(rig.find(&ci).await, []);
    let again = rig.send(2, &[rig.create(&ci)]).await.remove(0);
    assert_ne!(again, record);
}

#[tokio::test]
async fn a_subnet_hangs_on_its_network_and_a_pool_on_one_balancer() {
    let rig = Rig::new();
    let network = thing(Kind::Network, "vpc/vpc-1", "vpc-1", &json!({"cidrs": ["10.0.0.0/16"]}));
    let subnet = thing(Kind::Subnet, "subnet/subnet-1", "subnet-1", &json!({"cidrs": ["10.0.1.0/24"], "network": "vpc-1"}));
    let balancer = |name: &str| {
        thing(Kind::LoadBalancer, &format!("loadbalancer/app/{name}/1"), name, &json!({"balancer_type": "application", "listeners": []}))
    };
    let (first, second) = (balancer("lb-1"), balancer("lb-2"));
    let pool = thing(Kind::Pool, "targetgroup/pool/1", "pool", &json!({}));
    let beside =
        |host: &dewpoint_core::target::Ci| vec![Host { key: host.key.clone(), kind: host.kind, record: End::Made(host.key.clone()) }];
    let batch = [
        rig.create(&network),
        rig.create_beside(&subnet, beside(&network)),
        rig.create(&first),
        rig.create(&second),
        rig.create_beside(&pool, beside(&first)),
        relate((&first, None), RelationType::RoutesTo, (&pool, None)),
        relate((&second, None), RelationType::RoutesTo, (&pool, None)),
    ];
    rig.send(0, &batch).await;
    let relations = rig.relations();
    let has = |parent: &str, kind: &str, child: &str| relations.contains(&(parent.to_owned(), kind.to_owned(), child.to_owned()));
    assert!(has("vpc-1", "Contains::Contained by", "subnet-1"), "{relations:?}");
    assert!(has("pool", "Hosted on::Hosts", "lb-1") && has("pool", "Hosted on::Hosts", "lb-2"), "{relations:?}");
}

#[tokio::test]
async fn what_lacks_its_host_says_so_and_stops_nothing() {
    let rig = Rig::new();
    let pool = thing(Kind::Pool, "targetgroup/pool/1", "pool", &json!({}));
    let ci = machine(1);
    let answers =
        rig.try_send(0, &[rig.create(&pool), rig.create(&ci), relate((&pool, None), RelationType::RoutesTo, (&ci, None))]).await.unwrap();
    let error = answers[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("load balancer"), "{error}");
    assert!(answers[1].is_ok());
    assert!(matches!(answers[2], Err(TargetError::Abandoned { .. })), "{:?}", answers[2]);
}

#[tokio::test]
async fn other_estates_are_left_alone() {
    let mut rig = Rig::new();
    let (one, two) = (machine(1), machine(2));
    let theirs = rig.send_as("theirs", 0, &[rig.create(&one), rig.create(&two)]).await.unwrap();
    let theirs: Vec<_> = theirs.into_iter().map(|answer| answer.unwrap().record).collect();
    rig.anew();
    let before = rig.sim.snapshot();
    let batch = [
        rig.create(&one),
        rig.update(&one, &theirs[0], None, &[("cpus", json!("8"))]),
        rig.update(&one, &theirs[0], Some(true), &[]),
        rig.take_over(&one, &theirs[0]),
        purge(&one, &theirs[0]),
        relate((&one, Some(&theirs[0])), RelationType::RoutesTo, (&two, Some(&theirs[1]))),
    ];
    for answer in rig.try_send(1, &batch).await.unwrap() {
        assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{answer:?}");
    }
    assert_eq!(rig.sim.snapshot().tables(), before.tables());
    assert_eq!(rig.find(&one).await[0].estate.as_ref().unwrap().0, "theirs");
}

#[tokio::test]
async fn strangers_are_found_left_alone_and_taken_over_when_told() {
    let mut rig = Rig::new();
    let ci = machine(1);
    let stranger = rig.sim.edit(|instance| instance.insert("cmdb_ci_vm_instance", &[("name", "by hand"), ("object_id", "i-0001")]));
    let record = dewpoint_core::target::RecordId(stranger.clone());
    let found = rig.find(&ci).await;
    assert_eq!(found.iter().map(|record| record.id.0.as_str()).collect::<Vec<_>>(), [stranger.as_str()]);
    assert!(found[0].estate.is_none() && found[0].external_id.is_none());
    assert_eq!(rig.read_all().await, []);
    let retire = rig.update(&ci, &record, Some(true), &[]);
    let mut theirs = rig.update(&ci, &record, Some(true), &[]);
    if let Operation::Update { record, .. } = &mut theirs.operation {
        record.carries = None;
    }
    for answer in rig.try_send(0, &[retire, theirs, purge(&ci, &record)]).await.unwrap() {
        assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{answer:?}");
    }
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name", "install_status"]), [["by hand", "1"]]);
    assert_eq!(rig.send(1, &[rig.take_over(&ci, &record)]).await, std::slice::from_ref(&record));
    rig.anew();
    let found = rig.find(&ci).await;
    assert_eq!((found.len(), found[0].external_id.as_ref()), (1, Some(&ci.key)));
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]), [["web-1"]]);
}

#[tokio::test]
async fn many_look_ups_cost_few_requests() {
    let rig = Rig::new();
    let machines: Vec<_> = (0..1000).map(machine).collect();
    let identities: Vec<_> = machines.iter().map(super::rig::identity).collect();
    let reads = |rig: &Rig| rig.sim.calls().len();
    assert!(rig.target.find(&identities).await.values().all(|found| found.as_ref().unwrap().is_empty()));
    assert!(reads(&rig) <= 4, "an instance without machines has none of these: {}", reads(&rig));
    let rig = Rig::new();
    rig.sim.edit(|instance| {
        for number in 0..1500 {
            instance.insert("cmdb_ci_vm_instance", &[("name", "by people"), ("object_id", &format!("i-{:04}", number * 2))]);
        }
    });
    let found = rig.target.find(&identities).await;
    assert_eq!(found.values().filter(|found| found.as_ref().unwrap().len() == 1).count(), 500);
    let asked = rig.sim.calls().iter().filter(|call| call.table.as_deref() == Some("cmdb_ci_vm_instance")).count();
    assert!(asked <= 5, "{asked}");
}

#[tokio::test]
async fn what_the_service_management_connector_left_is_found() {
    let rig = Rig::new();
    let left = rig.sim.edit(|instance| {
        let correlation = |native: &str| format!("{ACCOUNT},{REGION},AWS::EC2::Instance,{native}");
        instance.insert("cmdb_ci_vm_instance", &[("name", "other"), ("correlation_id", &correlation("i-0002"))]);
        instance.insert(
            "cmdb_ci_vm_instance",
            &[("name", "elsewhere"), ("correlation_id", &format!("{ACCOUNT},us-east-1,AWS::EC2::Instance,i-0001"))],
        );
        instance.insert("cmdb_ci_vm_instance", &[("name", "a note"), ("correlation_id", &format!("{ACCOUNT},as people write"))]);
        instance.insert("cmdb_ci_vm_instance", &[("name", "by the connector"), ("correlation_id", &correlation("i-0001"))])
    });
    let found = rig.find(&machine(1)).await;
    assert_eq!(found.iter().map(|record| record.id.0.as_str()).collect::<Vec<_>>(), [left.as_str()]);
    assert!(found[0].estate.is_none());
    assert_eq!(rig.send(1, &[rig.take_over(&machine(1), &found[0].id)]).await, std::slice::from_ref(&found[0].id));
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "object_id=i-0001", &["name"]), [["web-1"]]);
}

#[tokio::test]
async fn a_strangers_parent_is_named_and_not_written() {
    let rig = Rig::new();
    let account = rig.sim.edit(|instance| {
        instance.insert(
            "cmdb_ci_cloud_service_account",
            &[("name", "Their account"), ("account_id", ACCOUNT), ("object_id", ACCOUNT), ("datacenter_type", "cmdb_ci_aws_datacenter")],
        )
    });
    rig.send(0, &[rig.create(&machine(1))]).await;
    assert_eq!(rig.rows("cmdb_ci_cloud_service_account", "", &["name"]), [["Their account"]]);
    assert_eq!(rig.sim.rows("sys_object_source", &format!("target_sys_id={account}")).len(), 0);
    assert_eq!(rig.read_all().await.len(), 1);
}

#[tokio::test]
async fn a_record_that_carries_another_key_is_refused() {
    let rig = Rig::new();
    let (one, two) = (machine(1), machine(2));
    let records = rig.send(0, &[rig.create(&one), rig.create(&two)]).await;
    let mut write = rig.update(&one, &records[1], None, &[("cpus", json!("8"))]);
    if let Operation::Update { record, .. } = &mut write.operation {
        *record = ours(&one, &records[1]);
    }
    let answers = rig.try_send(1, &[write]).await.unwrap();
    assert!(matches!(&answers[0], Err(TargetError::Rejected { text, .. }) if text.contains("i-0002")), "{answers:?}");
}

#[tokio::test]
async fn a_masked_field_is_told_and_the_rest_written() {
    let rig = Rig::new();
    let ci = machine(1);
    let record = rig.send(0, &[rig.create(&ci)]).await.remove(0);
    rig.sim.edit(|instance| {
        instance.reconciliation.push(dewpoint_servicenow_sim::ReconciliationRule {
            class: "cmdb_ci_vm_instance".to_owned(),
            columns: ["cpus".to_owned()].into(),
            sources: vec!["SG-AWS".to_owned()],
        });
    });
    let write = rig.update(&ci, &record, None, &[("cpus", json!("8")), ("memory", json!("2048"))]);
    let delivered = rig.try_send(1, &[write]).await.unwrap().remove(0).unwrap();
    assert_eq!(delivered.left.keys().collect::<Vec<_>>(), ["cpus"]);
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["cpus", "memory"]), [["2", "2048"]]);
}

#[tokio::test]
async fn tags_that_are_gone_are_removed_and_those_of_people_stay() {
    let rig = Rig::new();
    let mut ci = machine(1);
    ci.tags.insert("team".to_owned(), "a".to_owned());
    let record = rig.send(0, &[rig.create(&ci)]).await.remove(0);
    rig.sim
        .edit(|instance| instance.insert("cmdb_key_value", &[("key", "note"), ("value", "by people"), ("configuration_item", &record.0)]));
    let mut write = rig.update(&ci, &record, None, &[("tags", json!({"env": "dev"}))]);
    if let Operation::Update { before, .. } = &mut write.operation {
        before.insert("tags".to_owned(), json!({"env": "prod", "team": "a"}));
    }
    rig.send(1, &[write]).await;
    assert_eq!(rig.rows("cmdb_key_value", "", &["key", "value"]), [["env", "dev"], ["note", "by people"]]);
}

#[tokio::test]
async fn what_another_source_saw_lately_is_left_and_not_retired() {
    let rig = Rig::new();
    let (one, two) = (machine(1), machine(2));
    let records = rig.send(0, &[rig.create(&one), rig.create(&two)]).await;
    let day = |days: i64| crate::mapping::stored(at(-days * 86_400));
    rig.sim.edit(|instance| {
        for (record, days) in [(&records[0], 1), (&records[1], 30)] {
            instance.insert(
                "sys_object_source",
                &[("name", "SG-AWS"), ("id", "theirs"), ("target_sys_id", &record.0), ("last_scan", &day(days))],
            );
        }
    });
    let retire = |ci, record| rig.update(ci, record, Some(true), &[("install_status", json!("7")), ("state", json!("Terminated"))]);
    let answers = rig.try_send(1, &[retire(&one, &records[0]), retire(&two, &records[1])]).await.unwrap();
    let left: Vec<usize> = answers.into_iter().map(|answer| answer.unwrap().left.len()).collect();
    assert_eq!(left, [1, 0]);
    let statuses = rig.rows("cmdb_ci_vm_instance", "", &["name", "install_status", "operational_status"]);
    assert_eq!(statuses, [["web-1", "1", "1"], ["web-2", "7", "6"]]);
}
