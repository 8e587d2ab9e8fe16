//! What goes wrong on the way, and what comes of it.

use std::collections::BTreeSet;

use dewpoint_assets_sim::{Clearing, Effect, Fault, Mishap, Reserved, Site};
use dewpoint_core::target::{Operation, RecordId, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{create, estate, fields, find, key, purge, read_all, relate, send, send_as, update};
use serde_json::{Value, json};

use super::rig::Rig;

fn objects(rig: &Rig) -> usize {
    rig.sim.edit(|site| site.objects().count())
}

#[tokio::test]
async fn a_create_without_an_answer_is_looked_for_and_not_repeated() {
    for lag in [0, 5] {
        let rig = Rig::over(Site::new()).await;
        rig.sim.settings(|settings| settings.index_lag_s = lag);
        rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("object_create").nth(2).times(1).after_commit()]);
        let batch: Vec<Write> = (1..=3).map(|number| create(&rig.target, number)).collect();
        let records: BTreeSet<RecordId> = send(&rig.target, 0, &batch).await.into_iter().collect();
        assert_eq!((records.len(), objects(&rig)), (3, 3), "with a lag of {lag} s");
        assert_eq!(rig.sim.counters().by_operation["object_create"], 3, "none was sent twice");
    }
}

#[tokio::test]
async fn a_create_that_never_arrived_is_sent_again() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("object_create").times(1)]);
    send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    assert_eq!(objects(&rig), 1);
}

#[tokio::test]
async fn what_the_index_does_not_show_yet_is_not_made_twice() {
    let mut rig = Rig::over(Site::new()).await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await;
    // Another process, which the index hides the object from for longer than any process waits for it.
    rig.sim.settings(|settings| settings.index_lag_s = 3600);
    let hidden = send(&rig.target, 0, &[create(&rig.target, 2)]).await;
    rig.anew();
    let answers = send_as(&rig.target, &estate("ours"), 1, &[create(&rig.target, 1), create(&rig.target, 2)]).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().record, record[0]);
    assert!(matches!(answers[1], Err(TargetError::Unreachable { .. })), "{answers:?}");
    assert_eq!(objects(&rig), 2);
    rig.sim.settings(|settings| settings.index_lag_s = 0);
    assert_eq!(send(&rig.target, 2, &[create(&rig.target, 2)]).await, hidden);
}

#[tokio::test]
async fn references_are_added_to_what_stands_and_not_to_what_the_index_shows() {
    let mut rig = Rig::over(Site::new()).await;
    let batch: Vec<Write> = (1..=3).map(|number| create(&rig.target, number)).collect();
    let records = send(&rig.target, 0, &batch).await;
    rig.sim.settings(|settings| settings.index_lag_s = 3600);
    send(&rig.target, 1, &[relate((1, 3), &records[0], &records[2], [].into())]).await;
    rig.anew();
    send(&rig.target, 2, &[relate((2, 3), &records[1], &records[2], [].into())]).await;
    let held = rig.sim.edit(|site| {
        let object = site.find(&records[2].0).unwrap();
        object.values(site.attribute(object.type_id, "Routed From").unwrap().id).len()
    });
    assert_eq!(held, 2);
}

#[tokio::test]
async fn one_object_that_always_fails_stops_no_other() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("object_create").body_contains(key(2).as_str())]);
    let batch: Vec<Write> = (1..=5).map(|number| create(&rig.target, number)).collect();
    let answers = send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap();
    let failed: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.is_err()).map(|(number, _)| number + 1).collect();
    assert_eq!((failed, objects(&rig)), (vec![2], 4));
}

#[tokio::test]
async fn a_site_that_lets_nobody_in_ends_the_batch() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.faults(vec![Fault::new(Effect::Unauthenticated)]);
    let batch: Vec<Write> = (1..=5).map(|number| create(&rig.target, number)).collect();
    let answer = send_as(&rig.target, &estate("ours"), 0, &batch).await;
    assert!(matches!(answer, Err(TargetError::Credentials { .. })), "{answer:?}");
    // In the middle the rest is left, and what was done is told.
    rig.sim.faults(vec![Fault::new(Effect::Unauthenticated).operation("object_create").nth(2)]);
    let answers = send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap();
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), objects(&rig));
}

#[tokio::test]
async fn a_batch_of_which_something_may_be_done_is_not_told_as_put_off() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.settings(|settings| settings.index_lag_s = 3600);
    let lost = Fault::new(Mishap::Reset).operation("object_create").body_contains(key(1).as_str()).after_commit();
    let throttled = Fault::new(Effect::RateLimited { retry_after_s: Some(3600) }).operation("object_create").body_contains(key(2).as_str());
    rig.sim.faults(vec![lost, throttled]);
    let batch: Vec<Write> = (1..=2).map(|number| create(&rig.target, number)).collect();
    let answers = send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap();
    assert!(matches!(answers[0], Err(TargetError::Unreachable { .. })), "{answers:?}");
    assert!(matches!(answers[1], Err(TargetError::Busy { .. })), "{answers:?}");
}

/// Who loses a role in a schema is told of each of its objects that there is none.
#[tokio::test]
async fn what_is_hidden_is_not_gone() {
    let rig = Rig::over(Site::new()).await;
    let records = send(&rig.target, 0, &[create(&rig.target, 1), create(&rig.target, 2)]).await;
    send(&rig.target, 1, &[update(&rig.target, 1, &records[0], Some(true), &[("Lifecycle", json!("Retired"))])]).await;
    let schema = rig.sim.edit(|site| site.schema(super::rig::SCHEMA).unwrap().id);
    rig.sim.edit(|site| site.user_mut("integration").unwrap().roles = [(schema, None)].into());
    let changed = update(&rig.target, 2, &records[1], None, &[("Size", json!("t3.large"))]);
    for write in [purge(1, &records[0]), changed] {
        let answer = send_as(&rig.target, &estate("ours"), 2, &[write]).await;
        assert!(matches!(answer, Err(TargetError::Forbidden { .. })), "{answer:?}");
    }
    assert_eq!(objects(&rig), 2);
    rig.sim.edit(|site| site.user_mut("integration").unwrap().roles.clear());
    send(&rig.target, 3, &[purge(1, &records[0])]).await;
    assert_eq!(objects(&rig), 1);
    // The last one.
    send(&rig.target, 4, &[update(&rig.target, 2, &records[1], Some(true), &[("Lifecycle", json!("Retired"))])]).await;
    send(&rig.target, 5, &[purge(2, &records[1])]).await;
    send(&rig.target, 5, &[purge(2, &records[1])]).await;
}

#[tokio::test]
async fn a_list_that_lacks_something_says_nothing() {
    let rig = Rig::over(Site::new()).await;
    let batch: Vec<Write> = (1..=5).map(|number| create(&rig.target, number)).collect();
    send(&rig.target, 0, &batch).await;
    let empty = Mishap::Answer { status: 200, headers: [].into(), body: r#"{"values":[],"isLast":true}"#.to_owned() };
    rig.sim.faults(vec![Fault::new(empty).operation("aql")]);
    let read = rig.target.read(None).await;
    assert!(matches!(read, Err(TargetError::Unreachable { .. })), "{read:?}");
    rig.sim.faults(Vec::new());
    assert_eq!(read_all(&rig.target).await.len(), 5);
}

#[tokio::test]
async fn values_that_the_site_refuses_are_left_and_told() {
    let rig = Rig::over(Site::new()).await;
    // Somebody wants sizes from a list now.
    rig.sim.edit(|site| {
        let size = site.attributes.values_mut().find(|attribute| attribute.name == "Size").unwrap();
        size.regex = Some("m5\\..*".to_owned());
    });
    let answer = send_as(&rig.target, &estate("ours"), 0, &[create(&rig.target, 1)]).await.unwrap().remove(0).unwrap();
    assert!(answer.left.contains_key("Size"), "{answer:?}");
    assert_eq!(find(&rig.target, 1).await[0].fields.get("Size"), None);
}

#[tokio::test]
async fn odd_sites_are_served_as_well() {
    let site = Site::new();
    let rig = Rig::over(site).await;
    rig.sim.settings(|settings| {
        settings.clearing = Clearing::EmptyValue;
        settings.reserved = Reserved::Everywhere;
        settings.update_status = 201;
        settings.delete_status = 204;
    });
    let (class, mut wanted) = fields(&rig.target, &dewpoint_core::testing::contract::ci(1));
    wanted.insert("Name".to_owned(), json!("web: 1"));
    let operation = Operation::Create { class, native_id: "i-0001".to_owned(), fields: wanted };
    let made = send_as(&rig.target, &estate("ours"), 0, &[Write { operation, ..create(&rig.target, 1) }]).await.unwrap().remove(0).unwrap();
    assert_eq!(made.sent.get("Name"), Some(&json!("web  1")));
    send(&rig.target, 1, &[update(&rig.target, 1, &made.record, None, &[("vCPUs", Value::Null)])]).await;
    let found = find(&rig.target, 1).await.remove(0);
    assert_eq!((found.fields.get("vCPUs"), found.fields.get("Name")), (None, Some(&json!("web  1"))));
}

#[tokio::test]
async fn a_site_that_ignores_what_it_is_sent_is_not_believed() {
    let rig = Rig::over(Site::new()).await;
    let record = send(&rig.target, 0, &[create(&rig.target, 1)]).await.remove(0);
    rig.sim.settings(|settings| settings.integer_attribute_ids = true);
    let batch = [update(&rig.target, 1, &record, None, &[("Size", json!("t3.large"))]), create(&rig.target, 2)];
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(TargetError::Rejected { .. }))), "{answers:?}");
    assert_eq!(objects(&rig), 1);
    // What it did not take is sent again.
    rig.sim.settings(|settings| settings.integer_attribute_ids = false);
    send(&rig.target, 2, &batch[..1]).await;
    assert_eq!(find(&rig.target, 1).await[0].fields["Size"], json!("t3.large"));
}
