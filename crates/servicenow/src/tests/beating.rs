//! Heartbeats, and what stands there afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::RelationType;
use dewpoint_core::target::{Beat, Ci, RecordId, Sending, Target, TargetError};
use serde_json::json;

use super::rig::{Rig, at, machine, ours, relate, thing};

fn beat(ci: &Ci, record: &RecordId, second: i64) -> Beat {
    Beat {
        key: ci.key.clone(),
        kind: ci.kind,
        account: ci.account.clone(),
        region: ci.region.clone(),
        record: ours(ci, record),
        class: "cmdb_ci_vm_instance".to_owned(),
        seen_at: at(second),
    }
}

async fn send_as(rig: &Rig, who: &str, second: i64, beats: &[Beat]) -> Vec<Result<(), TargetError>> {
    let estate = EstateId(who.to_owned());
    let sending = Sending { estate: &estate, at: at(second), deadline: Instant::now() + Duration::from_secs(60) };
    let answers = rig.target.beat(beats, &sending).await.unwrap();
    assert_eq!(answers.len(), beats.len(), "one answer for each beat");
    answers
}

async fn send(rig: &Rig, second: i64, beats: &[Beat]) -> Vec<Result<(), TargetError>> {
    send_as(rig, "ours", second, beats).await
}

/// Columns that are other than before, by row, over all tables; rows that came or went are a difference, too.
type Tables = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

fn moved(before: &Tables, after: &Tables) -> Vec<(String, String, String)> {
    let flat = |tables: &Tables| -> BTreeMap<(String, String, String), String> {
        let cells = |(table, rows): (&String, &BTreeMap<String, BTreeMap<String, String>>)| {
            let table = table.clone();
            let rows = rows.clone();
            rows.into_iter().flat_map(move |(id, row)| {
                let table = table.clone();
                row.into_iter().map(move |(column, value)| ((table.clone(), id.clone(), column), value))
            })
        };
        tables.iter().flat_map(cells).collect()
    };
    let (before, after) = (flat(before), flat(after));
    let names = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// A machine with a disk of its own, and another one.
async fn estate(rig: &Rig) -> (Vec<Ci>, Vec<RecordId>) {
    let volume = thing(dewpoint_core::model::Kind::Volume, "volume/vol-1", "vol-1", &json!({"size_gib": 8}));
    let cis = vec![machine(1), machine(2), volume];
    let batch =
        [rig.create(&cis[0]), rig.create(&cis[1]), rig.create(&cis[2]), relate((&cis[2], None), RelationType::AttachedTo, (&cis[0], None))];
    let records = rig.send(0, &batch).await;
    (cis, records)
}

#[tokio::test]
async fn only_the_time_of_the_sighting_moves() {
    let mut rig = Rig::new();
    let (cis, records) = estate(&rig).await;
    rig.anew();
    let before = rig.sim.snapshot().tables();
    let answers = send(&rig, 90_000, &[beat(&cis[0], &records[0], 86_400), beat(&cis[2], &records[2], 86_401)]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let moved: Vec<_> = moved(&before, &rig.sim.snapshot().tables()).into_iter().map(|(_, id, column)| (id, column)).collect();
    // Its datacenter and account stand there only for its sake: they were seen with it.
    let scaffold = ["cmdb_ci_aws_datacenter", "cmdb_ci_cloud_service_account"].map(|class| rig.sim.rows(class, "").remove(0).0);
    let ids = [records[0].0.clone(), records[2].0.clone()].into_iter().chain(scaffold);
    let expected: std::collections::BTreeSet<_> = ids.map(|id| (id, "last_discovered".to_owned())).collect();
    assert_eq!(moved.into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
    let found = rig.find(&cis[0]).await;
    assert_eq!(found[0].delivered_at, Some(at(86_400)));
    assert_eq!(rig.find(&cis[1]).await[0].delivered_at, Some(at(0)), "what had no beat stays");
}

#[tokio::test]
async fn a_record_whose_mark_is_gone_is_left_alone() {
    let mut rig = Rig::new();
    let (cis, records) = estate(&rig).await;
    let lost = rig.sim.rows("sys_object_source", &format!("target_sys_id={}", records[1].0));
    assert_eq!(lost.len(), 1);
    rig.sim.edit(|instance| instance.delete(&lost[0].0));
    rig.anew();
    let before = rig.sim.snapshot().tables();
    for answer in send(&rig, 90_000, &[beat(&cis[1], &records[1], 86_400)]).await {
        assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{answer:?}");
    }
    assert_eq!(moved(&before, &rig.sim.snapshot().tables()), []);
}

#[tokio::test]
async fn a_record_that_is_gone_is_not_made_again() {
    let mut rig = Rig::new();
    let (cis, records) = estate(&rig).await;
    rig.sim.edit(|instance| instance.delete(&records[1].0));
    rig.anew();
    let answers = send(&rig, 90_000, &[beat(&cis[1], &records[1], 86_400), beat(&cis[0], &records[0], 86_400)]).await;
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]), [["web-1"]]);
}

#[tokio::test]
async fn a_class_that_people_chose_stays() {
    let mut rig = Rig::new();
    let (cis, records) = estate(&rig).await;
    rig.anew();
    let wrong = Beat { class: "cmdb_ci_server".to_owned(), ..beat(&cis[0], &records[0], 86_400) };
    assert!(send(&rig, 90_000, &[wrong]).await[0].is_ok());
    assert_eq!(rig.rows("cmdb_ci_vm_instance", "", &["name"]), [["web-1"], ["web-2"]]);
}

#[tokio::test]
async fn a_batch_is_one_payload_and_a_few_questions() {
    let mut rig = Rig::new();
    let cis: Vec<Ci> = (0..200).map(machine).collect();
    let creates: Vec<_> = cis.iter().map(|ci| rig.create(ci)).collect();
    let records = rig.send(0, &creates).await;
    rig.anew();
    let beats: Vec<Beat> = cis.iter().zip(&records).map(|(ci, record)| beat(ci, record, 86_400)).collect();
    let before = rig.sim.calls().len();
    assert!(send(&rig, 90_000, &beats).await.iter().all(Result::is_ok));
    let requests = rig.sim.calls().len() - before;
    assert_eq!(requests, 7, "one payload, five questions whose 200 records are, and one after their datacenter");
}
