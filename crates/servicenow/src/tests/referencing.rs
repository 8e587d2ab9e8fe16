//! Columns that hold ids of other tables' rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use dewpoint_core::doctor::Health;
use dewpoint_core::model::Kind;
use dewpoint_core::target::{Ci, Delivered, LeftValue, Target};
use dewpoint_servicenow_sim::schema::Column;
use dewpoint_servicenow_sim::{Instance, Sim};
use serde_json::{Value, json};

use super::rig::{Rig, config, machine};
use crate::mapping::TAGS;
use crate::{Mapping, Override, OwnField, Reference, ServiceNowConfig, ServiceNowTarget, Statuses, value_of};

fn own(column: &str, value: &str, reference: Option<(&str, &[&str])>) -> (String, OwnField) {
    let reference =
        reference.map(|(table, by)| Reference { table: table.to_owned(), by: by.iter().map(|column| (*column).to_owned()).collect() });
    (column.to_owned(), OwnField { value: value_of(Kind::Instance, value).unwrap(), reference })
}

fn mapping(fields: impl IntoIterator<Item = (String, OwnField)>) -> Mapping {
    let overrides = [(Kind::Instance, Override { class: None, fields: fields.into_iter().collect() })].into();
    Mapping::with(&overrides, &BTreeMap::new(), &Statuses::default()).unwrap()
}

/// An instance with a column of its own, and a target that fills these columns of machines.
fn rig(fields: impl IntoIterator<Item = (String, OwnField)>) -> Rig {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    let like = instance.schema.column("cmdb_ci_vm_instance", "owned_by").unwrap().clone();
    let column = Column { name: "u_app".to_owned(), reference: Some("cmdb_ci_service".to_owned()), ..like };
    instance.schema.add_column("cmdb_ci_vm_instance", column);
    let sim = Sim::start(instance).unwrap();
    let target = ServiceNowTarget::new(&ServiceNowConfig { mapping: Arc::new(mapping(fields)), ..config(&sim) }).unwrap();
    Rig { sim, target }
}

fn tagged(tags: &[(&str, &str)]) -> Ci {
    Ci { tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), ..machine(1) }
}

async fn created(rig: &Rig, ci: &Ci) -> Delivered {
    rig.try_send(0, &[rig.create(ci)]).await.unwrap().remove(0).unwrap()
}

fn shown(rig: &Rig, column: &str) -> String {
    rig.rows("cmdb_ci_vm_instance", "", &[column]).concat().concat()
}

/// Tables in which a text may be looked up; nothing is ever made there.
const LOOKED_UP: &[&str] = &[
    "sys_user",
    "sys_user_group",
    "cmn_cost_center",
    "cmn_location",
    "cmn_department",
    "core_company",
    "business_unit",
    "cmdb_model",
    "cmn_schedule",
    "cmdb_ci_service",
];

fn rows_looked_up(rig: &Rig) -> usize {
    LOOKED_UP.iter().map(|table| rig.sim.rows(table, "").len()).sum()
}

#[tokio::test]
async fn references_are_resolved_or_left_alone() {
    let rig = Rig::new();
    let group = rig.sim.edit(|instance| instance.insert("sys_user_group", &[("name", "Shop Operations")]));
    let mut ci = machine(1);
    ci.attributes.insert("support_group".to_owned(), json!("Shop Operations"));
    ci.attributes.insert("owner".to_owned(), json!("ghost@example.com"));
    let delivered = rig.try_send(0, &[rig.create(&ci)]).await.unwrap().remove(0).unwrap();
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["support_group", "owned_by"]), [[group.as_str(), ""]]);
    assert_eq!(delivered.sent, [("support_group".to_owned(), json!(group))].into(), "so that a read finds what was sent");
    let left: Vec<_> = delivered.left.iter().collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].0 == "owned_by" && left[0].1.contains("ghost@example.com"), "{left:?}");
}

#[tokio::test]
async fn people_who_are_hidden_stop_nothing() {
    let rig = Rig::new();
    rig.sim.edit(|instance| {
        instance.insert("sys_user", &[("user_name", "hidden"), ("email", "hidden@example.com")]);
        let rule = dewpoint_servicenow_sim::RowRule { table: "sys_user".to_owned(), query: String::new(), role: "admin".to_owned() };
        instance.row_rules.push(rule);
    });
    let mut ci = machine(1);
    ci.attributes.insert("owner".to_owned(), json!("hidden@example.com"));
    let delivered = rig.try_send(0, &[rig.create(&ci)]).await.unwrap().remove(0).unwrap();
    assert_eq!(delivered.left.keys().collect::<Vec<_>>(), ["owned_by"]);
}

/// The table of each column, by hand from the descriptions of the tables; the simulator's are those of the product.
#[test]
fn columns_that_every_class_has_are_known() {
    let columns = [
        ("assigned_to", "sys_user"),
        ("attested_by", "sys_user"),
        ("managed_by", "sys_user"),
        ("owned_by", "sys_user"),
        ("supported_by", "sys_user"),
        ("assignment_group", "sys_user_group"),
        ("change_control", "sys_user_group"),
        ("managed_by_group", "sys_user_group"),
        ("support_group", "sys_user_group"),
        ("cost_center", "cmn_cost_center"),
        ("location", "cmn_location"),
        ("department", "cmn_department"),
        ("company", "core_company"),
        ("manufacturer", "core_company"),
        ("vendor", "core_company"),
        ("business_unit", "business_unit"),
        ("model_id", "cmdb_model"),
        ("schedule", "cmn_schedule"),
        ("maintenance_schedule", "cmn_schedule"),
    ];
    let mapping = mapping(columns.iter().map(|(column, _)| own(column, "ci.name", None)));
    let schema = Instance::new().schema;
    for (column, table) in columns {
        let reference = mapping.reference(Kind::Instance, column).unwrap();
        assert_eq!(reference.table, table, "{column}");
        assert_eq!(schema.column("cmdb_ci_vm_instance", column).unwrap().reference.as_deref(), Some(table), "{column}");
        for by in &reference.by {
            assert!(schema.column(table, by).is_some(), "{table}.{by}");
        }
    }
    assert_eq!(mapping.references(Kind::Instance).count(), columns.len());
    assert_eq!(mapping.reference(Kind::Instance, TAGS), None);
}

#[tokio::test]
async fn a_text_in_such_a_column_becomes_an_id() {
    let tags = ["location", "company", "department", "change_control", "managed_by"];
    let rig = rig(tags.map(|column| own(column, &format!(r#""{column}" in ci.tags ? ci.tags["{column}"] : null"#), None)));
    let [place, company, department, group, user] = rig.sim.edit(|instance| {
        instance.insert("cmn_location", &[("name", "Frankfurt"), ("full_name", "US/Kentucky/Frankfurt")]);
        [
            instance.insert("cmn_location", &[("name", "Frankfurt"), ("full_name", "Europe/Frankfurt")]),
            instance.insert("core_company", &[("name", "Example")]),
            instance.insert("cmn_department", &[("name", "Sales"), ("id", "D-7")]),
            instance.insert("sys_user_group", &[("name", "Change")]),
            instance.insert("sys_user", &[("name", "Ann"), ("email", "ann@example.com")]),
        ]
    });
    let before = rows_looked_up(&rig);
    let values = ["Europe/Frankfurt", "Example", "D-7", "Change", "ann@example.com"];
    let ci = tagged(&tags.iter().copied().zip(values).collect::<Vec<_>>());
    let delivered = created(&rig, &ci).await;
    assert_eq!(delivered.left, BTreeMap::new());
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &tags), [[place.as_str(), &company, &department, &group, &user]]);
    assert_eq!(rows_looked_up(&rig), before, "nothing is made");
    // A name that two places have stands for none, and nothing is blanked.
    let location = ("location", json!("Frankfurt"));
    let update = rig.update(&ci, &delivered.record, None, &[location]);
    let answer = rig.try_send(1, &[update]).await.unwrap().remove(0).unwrap();
    assert!(answer.left["location"].contains("more than one, of `cmn_location` has full_name or name `Frankfurt`"), "{:?}", answer.left);
    assert_eq!(shown(&rig, "location"), place);
}

#[tokio::test]
async fn what_two_rows_have_is_not_looked_up_by_another_column() {
    let rig = rig([own("managed_by", "ci.name", None)]);
    rig.sim.edit(|instance| {
        instance.insert("sys_user", &[("email", "web-1"), ("user_name", "a")]);
        instance.insert("sys_user", &[("email", "web-1"), ("user_name", "b")]);
        instance.insert("sys_user", &[("user_name", "web-1")]);
    });
    let delivered = created(&rig, &machine(1)).await;
    assert_eq!(delivered.left.keys().collect::<Vec<_>>(), ["managed_by"]);
    assert_eq!(shown(&rig, "managed_by"), "");
}

#[tokio::test]
async fn an_application_service_is_referred_to_by_name_or_number() {
    let app = r#""app" in ci.tags ? ci.tags["app"] : null"#;
    let rig = rig([own("u_app", app, Some(("cmdb_ci_service", &["number", "name"])))]);
    let [by_number, by_name] = rig.sim.edit(|instance| {
        ["APP-7", "shop"].map(|word| instance.insert("cmdb_ci_service_discovered", &[("name", word), ("number", &format!("{word}-0"))]))
    });
    let record = created(&rig, &tagged(&[("app", "APP-7-0")])).await.record;
    assert_eq!(shown(&rig, "u_app"), by_number);
    let update = rig.update(&machine(1), &record, None, &[("u_app", json!("shop"))]);
    rig.send(1, &[update]).await;
    assert_eq!(shown(&rig, "u_app"), by_name);
    let services = rig.sim.rows("cmdb_ci_service", "").len();
    let update = rig.update(&machine(1), &record, None, &[("u_app", json!("no such service"))]);
    let answer = rig.try_send(2, &[update]).await.unwrap().remove(0).unwrap();
    assert!(answer.left.contains_key("u_app"), "{answer:?}");
    assert_eq!((shown(&rig, "u_app"), rig.sim.rows("cmdb_ci_service", "").len()), (by_name, services));
    // A value that goes empties it: it was ours.
    rig.send(3, &[rig.update(&machine(1), &record, None, &[("u_app", Value::Null)])]).await;
    assert_eq!(shown(&rig, "u_app"), "");
}

#[tokio::test]
async fn a_text_is_not_written_where_an_id_belongs() {
    let rig = rig([own("u_app", "ci.name", None), own("asset_tag", "ci.name", None)]);
    let delivered = created(&rig, &machine(1)).await;
    assert_eq!(delivered.left.keys().collect::<Vec<_>>(), ["u_app"]);
    assert!(delivered.left["u_app"].contains("give `mapping.instance.fields.u_app` a `reference`"), "{:?}", delivered.left);
    assert_eq!([shown(&rig, "u_app"), shown(&rig, "asset_tag")], ["", "web-1"], "the rest is written");
    // An id is what belongs there.
    let service = rig.sim.edit(|instance| instance.insert("cmdb_ci_service_auto", &[("name", "shop")]));
    rig.send(1, &[rig.update(&machine(1), &delivered.record, None, &[("u_app", json!(service))])]).await;
    assert_eq!(shown(&rig, "u_app"), service);
}

async fn findings(rig: Rig) -> Vec<String> {
    let findings = rig.target.doctor().await;
    assert!(findings.iter().all(|finding| finding.outcome != Health::Error), "{findings:?}");
    let bad = findings.into_iter().filter(|finding| finding.outcome != Health::Ok && finding.check == "references");
    bad.map(|finding| format!("{} / {}", finding.text, finding.mend.unwrap())).collect()
}

#[tokio::test]
async fn doctor_tells_columns_apart() {
    let told = findings(rig([own("u_app", "ci.name", None)])).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`cmdb_ci_vm_instance`") && told[0].contains("u_app"), "{told:?}");
    assert!(told[0].contains("mapping.instance.fields.u_app: { value: …, reference: { table: …, by: [name] } }"), "{told:?}");
    let told = findings(rig([own("asset_tag", "ci.name", Some(("cmdb_ci_service", &["name"])))])).await;
    assert!(told.len() == 1 && told[0].contains("mere texts") && told[0].contains("asset_tag"), "{told:?}");
    let told = findings(rig([own("u_app", "ci.name", Some(("u_nowhere", &["name"])))])).await;
    assert!(told.len() == 1 && told[0].contains("table `u_nowhere` cannot be read"), "{told:?}");
    assert_eq!(findings(rig([own("u_app", "ci.name", Some(("cmdb_ci_service", &["name"])))])).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_stands_there_by_now_is_told() {
    let rig = Rig::new();
    let ci = Ci { attributes: super::rig::attributes(&json!({"owner": "ann@example.com"})), ..machine(1) };
    let left =
        |field: &str, value: &str| LeftValue { kind: Kind::Instance, field: field.to_owned(), value: json!(value), had_no_place: false };
    let asked = [left("owned_by", "ann@example.com"), left("owned_by", "bob@example.com"), left("name", "ann@example.com")];
    assert_eq!(created(&rig, &ci).await.left.len(), 1);
    assert_eq!(rig.target.stands_by_now(&asked).await.unwrap(), [false, false, false]);
    let ann = rig.sim.edit(|instance| instance.insert("sys_user", &[("email", "ann@example.com")]));
    assert_eq!(rig.target.stands_by_now(&asked).await.unwrap(), [true, false, false]);
    assert_eq!(rig.target.stands_by_now(&[left("owned_by", &ann)]).await.unwrap(), [false], "an id was left for another reason");
}
