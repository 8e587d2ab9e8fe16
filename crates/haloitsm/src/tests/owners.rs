//! People as owners of assets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dewpoint_core::doctor::Health;
use dewpoint_core::model::Kind;
use dewpoint_core::target::{Authority, Delivered, LeftValue, Operation, RecordId, Target as _, Write};
use dewpoint_core::testing::contract::{create, read_all, send};
use dewpoint_halo_sim::{Effect, Fault};
use dewpoint_target_kit::{OwnField, value_of};
use serde_json::{Value, json};

use super::rig::{Rig, answer, config, id};
use crate::{FieldShape, HaloConfig, HaloTarget, Mapping, Override, Statuses};

const OTTO: i64 = 8;
const ADA: i64 = 3;
const UMA: i64 = 31;

/// Both owners of machines are mapped.
fn owned(rig: &mut Rig, authority: Authority) {
    let field = |shape| OwnField { value: value_of(Kind::Instance, "ci.owner").unwrap(), shape: Some(shape) };
    let fields = [("Keeper", FieldShape::TechnicalOwner), ("Sponsor", FieldShape::BusinessOwner)];
    let fields = fields.map(|(name, shape)| (name.to_owned(), field(shape))).into();
    let mapping = Mapping::with(&BTreeMap::from([(Kind::Instance, Override { class: None, fields })]), Statuses::default()).unwrap();
    let authority = ["Keeper", "Sponsor"].map(|name| (name.to_owned(), authority)).into();
    rig.target = HaloTarget::new(&HaloConfig { mapping: Arc::new(mapping), authority, ..config(&rig.sim) }).unwrap();
}

async fn put(rig: &Rig, second: i64, record: &RecordId, owners: &[(&str, Value)], before: &[(&str, Value)]) -> Delivered {
    let mut write = dewpoint_core::testing::contract::update(&rig.target, 0, record, None, owners);
    if let Operation::Update { before: known, .. } = &mut write.operation {
        *known = before.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }
    answer(rig, second, write).await.unwrap()
}

fn owners(rig: &Rig, record: &RecordId) -> [Option<i64>; 2] {
    rig.sim.edit(|tenant| {
        let members = &tenant.get(id(record)).unwrap().members;
        ["technical_owner_id", "business_owner_id"].map(|name| members.get(name).and_then(Value::as_i64))
    })
}

async fn machine(rig: &Rig, owners: &[(&str, &str)]) -> (RecordId, Delivered) {
    let write = create(&rig.target, 0);
    let operation = match write.operation.clone() {
        Operation::Create { class, native_id, mut fields } => {
            fields.retain(|name, _| !["Keeper", "Sponsor"].contains(&name.as_str()));
            fields.extend(owners.iter().map(|(name, text)| ((*name).to_owned(), json!(text))));
            Operation::Create { class, native_id, fields }
        }
        other => other,
    };
    let done = answer(rig, 0, Write { operation, ..write }).await.unwrap();
    (done.record.clone(), done)
}

#[tokio::test]
async fn owners_are_found_by_mail_address_or_name() {
    let mut rig = Rig::new().await;
    owned(&mut rig, Authority::Owned);
    let (record, done) = machine(&rig, &[("Keeper", "Otto@acme.example"), ("Sponsor", "uma user")]).await;
    assert_eq!(owners(&rig, &record), [Some(OTTO), Some(UMA)]);
    // It is compared by what it shows.
    let sent = BTreeMap::from([("Keeper".to_owned(), json!("8")), ("Sponsor".to_owned(), json!("31"))]);
    assert_eq!((&done.sent, done.left.len()), (&sent, 0), "{done:?}");
    let shown = read_all(&rig.target).await.remove(0).fields;
    assert_eq!([&shown["Keeper"], &shown["Sponsor"]], [&json!("8"), &json!("31")]);
    // Another one, then nobody.
    put(&rig, 1, &record, &[("Keeper", json!("Ada Admin"))], &[]).await;
    assert_eq!(owners(&rig, &record), [Some(ADA), Some(UMA)]);
    put(&rig, 2, &record, &[("Keeper", Value::Null), ("Sponsor", Value::Null)], &[]).await;
    assert_eq!(read_all(&rig.target).await.remove(0).fields.get("Keeper"), None);
    // Who is known is not asked for again.
    rig.sim.clear_calls();
    put(&rig, 3, &record, &[("Keeper", json!("ada@acme.example"))], &[]).await;
    put(&rig, 4, &record, &[("Keeper", json!("ada@acme.example"))], &[]).await;
    assert_eq!(rig.calls("agent_list"), 1);
}

#[tokio::test]
async fn who_is_not_found_is_told_and_looked_for_again() {
    let mut rig = Rig::new().await;
    owned(&mut rig, Authority::Owned);
    let (record, done) = machine(&rig, &[("Keeper", "gone@acme.example"), ("Sponsor", "former@acme.example")]).await;
    assert!(done.left["Keeper"].contains("no agent") && done.left["Sponsor"].contains("no user"), "{done:?}");
    assert_eq!(owners(&rig, &record), [None, None]);
    let left = ["Keeper", "Sponsor"].map(|field| LeftValue {
        kind: Kind::Instance,
        field: field.to_owned(),
        value: json!(if field == "Keeper" { "gone@acme.example" } else { "former@acme.example" }),
        had_no_place: false,
    });
    assert_eq!(rig.target.stands_by_now(&left).await.unwrap(), [false, false]);
    rig.sim.edit(|tenant| tenant.agents.get_mut(&9).unwrap().disabled = false);
    assert_eq!(rig.target.stands_by_now(&left).await.unwrap(), [true, false]);
    put(&rig, 1, &record, &[("Keeper", json!("gone@acme.example"))], &[]).await;
    assert_eq!(owners(&rig, &record), [Some(9), None]);
    // Two of the same name are nobody.
    rig.sim.edit(|tenant| tenant.users.get_mut(&32).unwrap().inactive = false);
    rig.sim.edit(|tenant| tenant.users.get_mut(&32).unwrap().name = "Uma User".to_owned());
    let done = put(&rig, 2, &record, &[("Sponsor", json!("Uma User"))], &[]).await;
    assert!(done.left["Sponsor"].contains("more than one"), "{done:?}");
}

#[tokio::test]
async fn who_may_not_be_looked_up_stops_nothing() {
    let mut rig = Rig::new().await;
    owned(&mut rig, Authority::Owned);
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("agent_list")]);
    let (record, done) = machine(&rig, &[("Keeper", "otto@acme.example"), ("Sponsor", "uma@acme.example")]).await;
    assert!(done.left["Keeper"].contains("could not be looked up"), "{done:?}");
    assert_eq!(owners(&rig, &record), [None, Some(UMA)]);
    let findings = rig.target.doctor().await;
    let told: BTreeSet<Health> = findings.iter().filter(|finding| finding.check == "owners").map(|finding| finding.outcome).collect();
    assert_eq!(told, BTreeSet::from([Health::Ok, Health::Warning]), "{findings:#?}");
    // A search that was not narrowed names nobody.
    rig.sim.edit(|tenant| {
        let one = tenant.users[&31].clone();
        (100..1200).for_each(|id| drop(tenant.users.insert(id, one.clone())));
    });
    rig.sim.settings(|settings| settings.ignored_parameters = ["search".to_owned()].into());
    owned(&mut rig, Authority::Owned);
    let done = put(&rig, 1, &record, &[("Sponsor", json!("former@acme.example"))], &[]).await;
    assert!(done.left["Sponsor"].contains("more users than"), "{done:?}");
}

#[tokio::test]
async fn an_owner_whom_people_named_stays_where_they_decide() {
    let mut rig = Rig::new().await;
    owned(&mut rig, Authority::IfEmpty);
    let (record, _) = machine(&rig, &[]).await;
    let name = |agent: i64| {
        rig.sim
            .edit(|tenant| tenant.change(id(&record), |asset| drop(asset.members.insert("technical_owner_id".to_owned(), json!(agent)))));
    };
    name(ADA);
    let done = put(&rig, 1, &record, &[("Keeper", json!("otto@acme.example"))], &[]).await;
    assert!(done.left["Keeper"].contains("stands there already"), "{done:?}");
    assert_eq!(owners(&rig, &record)[0], Some(ADA));
    // What the plan knew is no news, whether by id or by name.
    for before in [json!("3"), json!("ada@acme.example")] {
        name(ADA);
        put(&rig, 2, &record, &[("Keeper", json!("ada@acme.example"))], &[]).await;
        put(&rig, 3, &record, &[("Keeper", json!("otto@acme.example"))], &[("Keeper", before)]).await;
        assert_eq!(owners(&rig, &record)[0], Some(OTTO));
    }
    send(&rig.target, 4, &[create(&rig.target, 1)]).await;
}

#[tokio::test]
async fn an_owner_that_is_not_taken_is_told() {
    let mut rig = Rig::new().await;
    owned(&mut rig, Authority::Owned);
    let (record, _) = machine(&rig, &[]).await;
    rig.sim.settings(|settings| settings.ignored_members = ["technical_owner_id".to_owned()].into());
    let done = put(&rig, 1, &record, &[("Keeper", json!("otto@acme.example"))], &[]).await;
    assert!(done.left["Keeper"].contains("not taken"), "{done:?}");
}
