//! What people, other processes and the index make of a site between two looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dewpoint_assets_sim::{Effect, Fault, Mishap, Site};
use dewpoint_core::model::Kind;
use dewpoint_core::target::{Addressed, Delivered, End, Operation, RecordId, Sending, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{
    at, create, estate, fields, find, identity, key, purge, read_all, relate, send, send_as, take_over, unrelate, update,
};
use serde_json::json;

use super::rig::{Rig, config};
use crate::{JsmTarget, Mapping, Override, OwnField, Statuses, value_of};

const ROUTED_FROM: &str = "Routed From";

fn references(rig: &Rig, record: &RecordId) -> BTreeSet<String> {
    rig.sim.edit(|site| {
        let object = site.find(&record.0).unwrap();
        object.values(site.attribute(object.type_id, ROUTED_FROM).unwrap().id).iter().cloned().collect()
    })
}

fn refer(rig: &Rig, record: &RecordId, others: &[&RecordId]) {
    let values: Vec<(&str, &str)> = others.iter().map(|other| (ROUTED_FROM, other.0.as_str())).collect();
    rig.sim.edit(|site| site.change(record.0.parse().unwrap(), &values));
}

fn change(rig: &Rig, record: &RecordId, values: &[(&str, &str)]) {
    rig.sim.edit(|site| site.change(record.0.parse().unwrap(), values));
}

fn stranger(rig: &Rig, values: &[(&str, &str)]) -> RecordId {
    rig.sim.edit(|site| {
        let object_type = site.type_named("Virtual Machine").unwrap().id;
        RecordId(site.insert(object_type, values).to_string())
    })
}

fn retire(rig: &Rig, number: usize, record: &RecordId) -> Write {
    update(&rig.target, number, record, Some(true), &[("Lifecycle", json!("Retired"))])
}

async fn made(rig: &Rig, count: usize) -> Vec<RecordId> {
    let batch: Vec<Write> = (1..=count).map(|number| create(&rig.target, number)).collect();
    send(&rig.target, 0, &batch).await
}

async fn answers(rig: &Rig, batch: &[Write]) -> Vec<Result<Delivered, TargetError>> {
    send_as(&rig.target, &estate("ours"), 5, batch).await.unwrap()
}

#[tokio::test]
async fn what_people_relate_within_a_moment_stays() {
    let rig = Rig::over(Site::new()).await;
    let records = made(&rig, 4).await;
    send(&rig.target, 1, &[relate((1, 4), &records[0], &records[3], [].into())]).await;
    refer(&rig, &records[3], &[&records[0], &records[1]]);
    send(&rig.target, 2, &[relate((3, 4), &records[2], &records[3], [].into())]).await;
    assert_eq!(references(&rig, &records[3]).len(), 3);
    refer(&rig, &records[3], &[&records[0], &records[1], &records[2]]);
    send(&rig.target, 3, &[unrelate((3, 4), &records[2], &records[3])]).await;
    assert_eq!(references(&rig, &records[3]), [records[0].0.clone(), records[1].0.clone()].into());
    send(&rig.target, 4, &[retire(&rig, 1, &records[0])]).await;
    assert_eq!(references(&rig, &records[3]), [records[1].0.clone()].into());
}

#[tokio::test]
async fn what_people_related_before_us_stays_when_our_edge_goes() {
    let rig = Rig::over(Site::new()).await;
    let records = made(&rig, 3).await;
    refer(&rig, &records[2], &[&records[0]]);
    send(&rig.target, 1, &[relate((1, 3), &records[0], &records[2], [].into())]).await;
    let edges: usize = read_all(&rig.target).await.into_iter().filter_map(|record| record.edges).map(|edges| edges.len()).sum();
    assert_eq!(edges, 1, "it counts as related");
    send(&rig.target, 2, &[unrelate((1, 3), &records[0], &records[2])]).await;
    assert_eq!(references(&rig, &records[2]), [records[0].0.clone()].into());
    // What they take away and we relate again is ours.
    rig.sim.edit(|site| site.change(records[2].0.parse().unwrap(), &[(ROUTED_FROM, "")]));
    send(&rig.target, 3, &[relate((1, 3), &records[0], &records[2], [].into())]).await;
    send(&rig.target, 4, &[unrelate((1, 3), &records[0], &records[2])]).await;
    assert_eq!(references(&rig, &records[2]), [].into());
}

#[tokio::test]
async fn an_edge_goes_though_the_note_is_lost() {
    let rig = Rig::over(Site::new()).await;
    let records = made(&rig, 3).await;
    for note in ["", "{ not json"] {
        send(&rig.target, 1, &[relate((1, 3), &records[0], &records[2], [].into())]).await;
        change(&rig, &records[2], &[("Dewpoint Data", note)]);
        send(&rig.target, 2, &[unrelate((1, 3), &records[0], &records[2])]).await;
        assert_eq!(references(&rig, &records[2]), [].into(), "note {note:?}");
    }
}

#[tokio::test]
async fn references_of_strangers_objects_are_ours_as_far_as_we_made_them() {
    let rig = Rig::over(Site::new()).await;
    let records = made(&rig, 2).await;
    let theirs = stranger(&rig, &[("Name", "kept by hand"), ("Native ID", "i-0003")]);
    refer(&rig, &theirs, &[&records[1]]);
    let mut write = relate((1, 3), &records[0], &theirs, [].into());
    if let Operation::Relate { to, .. } = &mut write.operation {
        *to = End::Stands(Addressed { record: theirs.clone(), carries: None });
    }
    send(&rig.target, 1, &[write]).await;
    assert_eq!(references(&rig, &theirs).len(), 2);
    send(&rig.target, 2, &[retire(&rig, 1, &records[0]), retire(&rig, 2, &records[1])]).await;
    assert_eq!(references(&rig, &theirs), [records[1].0.clone()].into(), "ours goes with the record, theirs is theirs");
}

#[tokio::test]
async fn pages_that_are_smaller_than_asked_for_show_everything() {
    for site in [Site::new(), Site::data_center()] {
        let mut rig = Rig::over(site).await;
        made(&rig, 7).await;
        rig.sim.settings(|settings| settings.page_max = 3);
        rig.anew();
        assert_eq!(read_all(&rig.target).await.len(), 7);
        let identities: Vec<_> = (1..=7).map(identity).collect();
        let found = rig.target.find(&identities).await;
        assert!(found.values().all(|found| found.as_ref().is_ok_and(|found| found.len() == 1)), "{found:?}");
    }
}

#[tokio::test]
async fn long_keys_are_looked_up_as_well() {
    for site in [Site::new(), Site::data_center()] {
        let rig = Rig::over(site).await;
        let identities: Vec<_> = (0..100)
            .map(|number| {
                let native_id = format!("/subscriptions/{}/{number}", "a".repeat(700));
                dewpoint_core::target::Identity { key: format!("azure:{native_id}").parse().unwrap(), native_id, ..identity(number) }
            })
            .collect();
        let found = rig.target.find(&identities).await;
        assert!(found.values().all(Result::is_ok), "{:?}", found.values().find(|found| found.is_err()));
    }
}

#[tokio::test]
async fn nothing_is_made_where_nothing_keeps_it_from_being_made_twice() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.edit(|site| {
        let external_id = site.attributes.values_mut().find(|attribute| attribute.name == "External ID").unwrap();
        external_id.unique = false;
    });
    let answer = answers(&rig, &[create(&rig.target, 1)]).await.remove(0);
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("not unique")), "{answer:?}");
    assert_eq!(rig.sim.objects().len(), 0);
}

#[tokio::test]
async fn what_people_make_of_the_schema_between_runs_is_seen() {
    let rig = Rig::over(Site::new()).await;
    made(&rig, 1).await;
    rig.sim.edit(|site| {
        let external_id = site.attributes.values_mut().find(|attribute| attribute.name == "External ID").unwrap();
        external_id.unique = false;
    });
    // As each run begins.
    rig.target.fingerprint(None).await.unwrap();
    let answer = answers(&rig, &[create(&rig.target, 2)]).await.remove(0);
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("not unique")), "{answer:?}");
}

#[tokio::test]
async fn a_copy_is_never_taken_for_what_it_was_made_from() {
    let mut rig = Rig::over(Site::new()).await;
    let records = made(&rig, 1).await;
    let long =
        dewpoint_core::target::Identity { key: format!("azure:/subscriptions/{}/1", "a".repeat(300)).parse().unwrap(), ..identity(1) };
    let write = Write { key: long.key.clone(), ..create(&rig.target, 1) };
    let whole = send(&rig.target, 0, &[write]).await.remove(0);
    let copied: Vec<(String, String)> = rig.sim.edit(|site| {
        let row = site.row(site.find(&whole.0).unwrap());
        let kept = ["Name", "Estate ID", "Dewpoint Data", "Native ID"];
        row.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).map(|(name, values)| (name, values[0].clone())).collect()
    });
    let copied: Vec<(&str, &str)> = copied.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let copy = stranger(&rig, &copied);
    rig.anew();
    let found = rig.target.find(std::slice::from_ref(&long)).await.remove(&long.key).unwrap().unwrap();
    assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), std::slice::from_ref(&whole));
    let read = read_all(&rig.target).await;
    let keys: BTreeMap<RecordId, bool> = read.into_iter().map(|record| (record.id, record.external_id.is_some())).collect();
    assert_eq!(keys, [(records[0].clone(), true), (whole, true), (copy.clone(), false)].into());
    // Nor is it written.
    let carries = Some(long.key.clone());
    let operation = Operation::Purge { record: Addressed { record: copy, carries } };
    let answer = answers(&rig, &[Write { key: long.key.clone(), operation, ..create(&rig.target, 1) }]).await.remove(0);
    assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{answer:?}");
    assert_eq!(rig.sim.objects().len(), 3);
}

#[tokio::test]
async fn adoption_and_purge_go_by_the_object_and_not_by_the_index() {
    let mut rig = Rig::over(Site::new()).await;
    let records = made(&rig, 1).await;
    let theirs = stranger(&rig, &[("Name", "kept by hand"), ("Native ID", "i-0002")]);
    rig.anew();
    rig.sim.settings(|settings| settings.index_lag_s = 3600);
    // Meanwhile another ledger took both.
    for record in [&records[0], &theirs] {
        change(&rig, record, &[("Estate ID", "theirs"), ("External ID", &format!("other:{}", record.0))]);
    }
    let answers = answers(&rig, &[purge(1, &records[0]), take_over(&rig.target, 2, &theirs)]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(TargetError::Rejected { .. }))), "{answers:?}");
    assert_eq!(rig.sim.objects().len(), 2);
}

#[tokio::test]
async fn a_strangers_object_is_read_as_the_kind_that_is_asked_about() {
    let mut rig = Rig::bare(Site::new());
    let class = || Override { class: Some("Server".to_owned()), fields: BTreeMap::new() };
    let overrides = [(Kind::Instance, class()), (Kind::ScalingGroup, class())].into();
    let mapping = Arc::new(Mapping::with(&overrides, Statuses::default()).unwrap());
    let target = || JsmTarget::new(&crate::JsmConfig { mapping: Arc::clone(&mapping), ..config(&rig.sim) }).unwrap();
    let administrator = crate::JsmConfig { mapping: Arc::clone(&mapping), ..super::rig::config_of(&rig.sim, "admin") };
    JsmTarget::new(&administrator).unwrap().bootstrap(false).await.unwrap();
    let target = target();
    rig.target = target;
    rig.sim.edit(|site| {
        let object_type = site.type_named("Server").unwrap().id;
        site.insert(object_type, &[("Name", "a"), ("Native ID", "i-0001"), ("Minimum Size", "3"), ("vCPUs", "2")])
    });
    for (kind, shown, hidden) in [(Kind::Instance, "vCPUs", "Minimum Size"), (Kind::ScalingGroup, "Minimum Size", "vCPUs")] {
        let asked = dewpoint_core::target::Identity { kind, ..identity(1) };
        let found = rig.target.find(&[asked]).await.remove(&key(1)).unwrap().unwrap();
        assert!(found[0].fields.contains_key(shown) && !found[0].fields.contains_key(hidden), "{kind}: {:?}", found[0].fields);
    }
}

#[tokio::test]
async fn strangers_are_known_by_an_attribute_of_their_own() {
    let mut rig = Rig::bare(Site::new());
    let field = OwnField { value: value_of(Kind::Instance, "ci.native_id").unwrap(), shape: None };
    let own = Override { class: Some("Server".to_owned()), fields: BTreeMap::from([("Instance".to_owned(), field)]) };
    let mapping = Arc::new(Mapping::with(&[(Kind::Instance, own)].into(), Statuses::default()).unwrap());
    let administrator = crate::JsmConfig { mapping: Arc::clone(&mapping), ..super::rig::config_of(&rig.sim, "admin") };
    JsmTarget::new(&administrator).unwrap().bootstrap(false).await.unwrap();
    rig.target = JsmTarget::new(&crate::JsmConfig { mapping, ..config(&rig.sim) }).unwrap();
    let id = rig.sim.edit(|site| {
        let object_type = site.type_named("Server").unwrap().id;
        site.insert(object_type, &[("Name", "kept by hand"), ("Instance", "i-0001")])
    });
    assert_eq!(find(&rig.target, 1).await.into_iter().map(|record| record.id.0).collect::<Vec<_>>(), [id.to_string()]);
    assert_eq!(find(&rig.target, 2).await, []);
}

#[tokio::test]
async fn a_retirement_that_does_not_show_is_not_told_as_done() {
    let mut rig = Rig::over(Site::new()).await;
    let records = made(&rig, 1).await;
    rig.sim.edit(|site| {
        let retired = site.statuses.values().find(|status| status.name == "Retired").unwrap().id;
        site.statuses.remove(&retired);
    });
    rig.anew();
    let answer = answers(&rig, &[retire(&rig, 1, &records[0])]).await.remove(0);
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("Lifecycle")), "{answer:?}");
}

#[tokio::test]
async fn one_type_that_may_not_be_written_stops_no_other() {
    let rig = Rig::over(Site::new()).await;
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("object_create").body_contains(key(2).as_str())]);
    let batch: Vec<Write> = (1..=5).map(|number| create(&rig.target, number)).collect();
    let sent = answers(&rig, &batch).await;
    assert_eq!(sent.iter().filter(|answer| answer.is_ok()).count(), 4, "{sent:?}");
    assert!(matches!(sent[1], Err(TargetError::Forbidden { .. })));
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("object_create")]);
    let batch: Vec<Write> = (6..=9).map(|number| create(&rig.target, number)).collect();
    let sent = send_as(&rig.target, &estate("ours"), 5, &batch).await;
    assert!(matches!(sent, Err(TargetError::Forbidden { .. })), "{sent:?}");
}

#[tokio::test]
async fn keys_that_differ_by_case_alone_are_two_objects() {
    for site in [Site::new(), Site::data_center()] {
        let mut rig = Rig::over(site).await;
        let named = |name: &str| {
            let key = format!("fleet:aws:123456789012:eu-west-1:{name}").parse().unwrap();
            dewpoint_core::target::Identity { key, native_id: name.to_owned(), ..identity(1) }
        };
        let both = [named("web"), named("Web")];
        let writes = both.clone().map(|own| Write { key: own.key, ..create(&rig.target, 1) });
        let records = send(&rig.target, 0, &writes).await;
        assert_ne!(records[0], records[1]);
        rig.anew();
        let found = rig.target.find(&both).await;
        let found: Vec<&RecordId> = both.iter().map(|own| &found[&own.key].as_ref().unwrap()[0].id).collect();
        assert_eq!(found, [&records[0], &records[1]]);
        assert_eq!(send(&rig.target, 1, &writes).await, records, "the same again makes nothing");
        let keys: BTreeSet<_> = read_all(&rig.target).await.into_iter().filter_map(|record| record.external_id).collect();
        assert_eq!(keys, both.map(|own| own.key).into());
    }
}

#[tokio::test]
async fn what_a_create_without_answer_finds_is_written() {
    let mut rig = Rig::over(Site::new()).await;
    let record = made(&rig, 1).await.remove(0);
    change(&rig, &record, &[("Size", "t3.nano")]);
    rig.anew();
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("object_create").times(1)]);
    assert_eq!(send(&rig.target, 1, &[create(&rig.target, 1)]).await, [record]);
    assert_eq!(find(&rig.target, 1).await[0].fields["Size"], json!("t3.micro"));
}

#[tokio::test]
async fn an_attribute_of_another_form_is_left_and_told() {
    let mut rig = Rig::over(Site::new()).await;
    rig.sim.edit(|site| {
        let size = site.attributes.values_mut().find(|attribute| attribute.name == "Image").unwrap();
        size.kind = dewpoint_assets_sim::Attribute::text("Image").kind;
    });
    rig.anew();
    let (class, mut wanted) = fields(&rig.target, &dewpoint_core::testing::contract::ci(1));
    wanted.insert("Image".to_owned(), json!("ami-1"));
    let operation = Operation::Create { class, native_id: "i-0001".to_owned(), fields: wanted };
    let answer = answers(&rig, &[Write { operation, ..create(&rig.target, 1) }]).await.remove(0).unwrap();
    assert!(answer.left["Image"].contains("text"), "{:?}", answer.left);
}

#[tokio::test]
async fn what_there_is_no_time_for_is_put_off() {
    let rig = Rig::over(Site::new()).await;
    let batch: Vec<Write> = (1..=3).map(|number| create(&rig.target, number)).collect();
    let ours = estate("ours");
    let sending = Sending { estate: &ours, at: at(0), deadline: std::time::Instant::now() + std::time::Duration::from_secs(1) };
    let answer = rig.target.apply(&batch, &sending).await;
    assert!(matches!(answer, Err(TargetError::Busy { .. })), "{answer:?}");
    assert_eq!(rig.sim.objects().len(), 0);
    // In the middle the rest is put off, and what was done is told.
    rig.sim.faults(vec![Fault::new(Effect::RateLimited { retry_after_s: Some(3600) }).operation("object_create").nth(2)]);
    let sent = answers(&rig, &batch).await;
    assert!(sent.iter().any(Result::is_ok) && sent.iter().any(|answer| matches!(answer, Err(TargetError::Busy { .. }))), "{sent:?}");
    assert!(sent.iter().all(|answer| matches!(answer, Ok(_) | Err(TargetError::Busy { .. }))), "{sent:?}");
}
