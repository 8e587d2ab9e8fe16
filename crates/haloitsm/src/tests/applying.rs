//! What is sent, how often, and what is left alone.

use std::collections::BTreeMap;

use dewpoint_core::target::{Identity, Operation, RecordId, Target as _, Write};
use dewpoint_core::testing::contract::{
    self, at, create, estate, find, identity, key, native_id, read_all, send, send_as, take_over, update,
};
use dewpoint_halo_sim::RETIRED;
use serde_json::{Value, json};

use super::rig::{Rig, id};

#[tokio::test]
async fn a_batch_of_creates_is_one_request() {
    let rig = Rig::new().await;
    let identities: Vec<Identity> = (0..50).map(identity).collect();
    rig.target.find(&identities).await;
    rig.sim.clear_calls();
    let batch: Vec<Write> = (0..50).map(|number| create(&rig.target, number)).collect();
    send(&rig.target, 0, &batch).await;
    assert_eq!(
        rig.sim.counters().by_operation,
        BTreeMap::from([("asset_post".to_owned(), 1)]),
        "what was just looked for is not looked for again"
    );
    assert_eq!(rig.sim.assets().len(), 50);
    let tag = rig.sim.find("i-0007~").len();
    assert_eq!(tag, 0);
    let first = &rig.sim.assets()[0];
    assert!(first.inventory_number.starts_with("i-0000~"), "{}", first.inventory_number);
}

#[tokio::test]
async fn a_batch_of_updates_is_one_read_and_one_write() {
    let rig = Rig::new().await;
    let batch: Vec<Write> = (0..50).map(|number| create(&rig.target, number)).collect();
    let records = send(&rig.target, 0, &batch).await;
    rig.sim.clear_calls();
    let batch: Vec<Write> = records
        .iter()
        .enumerate()
        .map(|(number, record)| update(&rig.target, number, record, None, &[("Size", json!("t3.large"))]))
        .collect();
    send(&rig.target, 1, &batch).await;
    assert_eq!(rig.sim.counters().by_operation, BTreeMap::from([("asset_list".to_owned(), 1), ("asset_post".to_owned(), 1)]));
    assert!(rig.sim.assets().iter().all(|asset| rig.sim.edit(|tenant| tenant.value(asset.id, "Size") == "t3.large")));
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written() {
    let mut rig = Rig::new().await;
    send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    rig.anew();
    rig.sim.clear_calls();
    send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    assert_eq!(rig.calls("asset_post"), 0);
}

#[tokio::test]
async fn what_people_wrote_stays() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    rig.sim.edit(|tenant| {
        // A field that people added to the type, with a value and a site of their own.
        let field = tenant.field_named("Serial Number").unwrap();
        let asset_type = tenant.type_named("Virtual Machine").unwrap();
        let fields = &mut tenant.types.get_mut(&asset_type).unwrap().fields;
        fields.push(dewpoint_halo_sim::TypeField { id: 99, field_id: field, key: None });
        tenant.set(id(&record), "Serial Number", "by hand");
        tenant.set(id(&record), "Cloud Owner", "people");
        tenant.change(id(&record), |asset| (asset.site_id, asset.notes) = (18, "seen".to_owned()));
    });
    send(&rig.target, 1, &[update(&rig.target, 1, &record, None, &[("Size", json!("t3.large")), ("vCPUs", Value::Null)])]).await;
    let value = |name: &str| rig.sim.edit(|tenant| tenant.value(id(&record), name).to_owned());
    assert_eq!([value("Serial Number"), value("Cloud Owner"), value("Size"), value("vCPUs")], ["by hand", "people", "t3.large", ""]);
    let asset = rig.sim.edit(|tenant| tenant.get(id(&record)).cloned().unwrap());
    assert_eq!((asset.site_id, asset.notes.as_str()), (18, "seen"));
}

#[tokio::test]
async fn retirement_is_a_flag_and_a_status() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    send(&rig.target, 1, &[update(&rig.target, 1, &record, Some(true), &[("Status", json!("Retired"))])]).await;
    let asset = rig.sim.edit(|tenant| tenant.get(id(&record)).cloned().unwrap());
    assert_eq!((asset.inactive, asset.status_id), (true, RETIRED));
    assert_eq!(read_all(&rig.target).await.len(), 1, "lists leave inactive ones out unless they are asked for");
    assert_eq!(find(&rig.target, 1).await.len(), 1);
}

#[tokio::test]
async fn a_status_that_is_not_there_is_left() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    rig.sim.edit(|tenant| tenant.statuses.remove(&RETIRED));
    let target = Rig { sim: rig.sim, target: rig.target };
    let mut rig = target;
    rig.anew();
    let write = update(&rig.target, 1, &record, Some(true), &[("Status", json!("Retired"))]);
    let done = send_as(&rig.target, &estate("ours"), 1, &[write]).await.unwrap().remove(0).unwrap();
    assert_eq!(done.left["Status"], "there is no status `Retired` of assets");
    assert!(find(&rig.target, 1).await[0].retired, "the flag alone tells");
}

#[tokio::test]
async fn a_field_that_takes_no_text_is_left() {
    let mut rig = Rig::new().await;
    rig.sim.edit(|tenant| {
        let field = tenant.field_named("Size").unwrap();
        tenant.fields.get_mut(&field).unwrap().lookup = 150;
    });
    rig.anew();
    let done = send_as(&rig.target, &estate("ours"), 1, &[create(&rig.target, 1)]).await.unwrap().remove(0).unwrap();
    assert_eq!(done.left.keys().collect::<Vec<_>>(), ["Size"]);
    assert!(rig.sim.unknown_properties().is_empty());
}

#[tokio::test]
async fn many_are_looked_for_by_one_listing() {
    let rig = Rig::new().await;
    let batch: Vec<Write> = (0..3).map(|number| create(&rig.target, number)).collect();
    send(&rig.target, 0, &batch).await;
    let stranger = rig.sim.edit(|tenant| {
        let asset_type = tenant.type_named("Virtual Machine").unwrap();
        tenant.insert(asset_type, "i-0030", &[("Name", "by hand")])
    });
    rig.sim.clear_calls();
    let identities: Vec<Identity> = (0..40).map(identity).collect();
    let found = rig.target.find(&identities).await;
    let count = |number: usize| found[&key(number)].as_ref().unwrap().len();
    assert_eq!([count(0), count(2), count(3), count(30)], [1, 1, 0, 1]);
    assert_eq!(found[&key(30)].as_ref().unwrap()[0].id.0, stranger.to_string(), "by its tag");
    assert_eq!(rig.sim.counters().by_operation, BTreeMap::from([("asset_list".to_owned(), 15)]), "one for each type");
    rig.target.find(&identities).await;
    assert_eq!(rig.calls("asset_list"), 15, "it is kept for a while");
}

#[tokio::test]
async fn strangers_of_other_types_are_found_by_their_tag() {
    let rig = Rig::new().await;
    let insert = |tag: &str| rig.sim.edit(|tenant| tenant.insert(130, tag, &[("Name", "made by the integration")]));
    let (tagged, known) = (insert(&native_id(1)), insert(""));
    rig.sim.edit(|tenant| {
        tenant.set(known, "Provider ID", &native_id(1));
        tenant.change(known, |asset| drop(asset.members.insert("aws_id".to_owned(), json!(native_id(1)))));
    });
    let ids: Vec<String> = find(&rig.target, 1).await.into_iter().map(|record| record.id.0).collect();
    assert_eq!(ids, [tagged.to_string(), known.to_string()]);
    // It has no field for what makes an asset ours.
    let answer =
        send_as(&rig.target, &estate("ours"), 1, &[take_over(&rig.target, 1, &RecordId(tagged.to_string()))]).await.unwrap().remove(0);
    assert!(answer.unwrap_err().to_string().contains("Dewpoint Key"));
    assert_eq!(rig.calls("asset_post"), 0);
}

#[tokio::test]
async fn another_writer_is_told_of() {
    let rig = Rig::new().await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    rig.sim.edit(|tenant| tenant.change(id(&record), |asset| drop(asset.members.insert("aws_id".to_owned(), json!("i-0001")))));
    let write = update(&rig.target, 1, &record, None, &[("Size", json!("t3.large"))]);
    let done = send_as(&rig.target, &estate("ours"), 1, &[write]).await.unwrap().remove(0).unwrap();
    assert!(done.left["aws_id"].contains("AWS integration"), "{:?}", done.left);
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "AWS integration"), "{findings:#?}");
}

#[tokio::test]
async fn a_whole_tenant_is_one() {
    let rig = Rig::with(|settings| settings.fields_in_type_list = false).await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    assert_eq!(rig.target.fingerprint(None).await.unwrap().instance, "acme/c0ffee00-0000-4000-8000-000000000001");
    assert_eq!(read_all(&rig.target).await[0].id, record);
    assert_eq!(read_all(&rig.target).await[0].delivered_at, Some(at(0)));
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused_alone() {
    let rig = Rig::new().await;
    let long = Write {
        key: format!("service:{}", "a".repeat(4040)).parse().unwrap(),
        operation: match create(&rig.target, 1).operation {
            Operation::Create { class, native_id, fields } => Operation::Create { class, native_id, fields },
            other => other,
        },
        ..create(&rig.target, 1)
    };
    let answers = send_as(&rig.target, &estate("ours"), 0, &[long, contract::create(&rig.target, 2)]).await.unwrap();
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(rig.sim.assets().len(), 1);
}
