//! Many new objects at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dewpoint_assets_sim::{Effect, Fault, Mishap, Missing, Site};
use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{Delivered, End, Operation, Sending, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{at, create, estate, key, read_all, send, send_as};
use secrecy::SecretString;

use super::rig::{Rig, SCHEMA, config};
use crate::{ImportConfig, JsmConfig, JsmTarget};

const COUNT: usize = 120;

/// A site with an import source, and a target that uses it from 50 objects on.
async fn rig(keeps_missing: bool) -> Rig {
    let mut rig = Rig::over(Site::new()).await;
    rig.sim.edit(|site| {
        let schema = site.schema(SCHEMA).unwrap().id;
        site.add_import(schema, "Dewpoint");
    });
    rig.target = target(&rig, keeps_missing);
    rig
}

fn target(rig: &Rig, keeps_missing: bool) -> JsmTarget {
    let import = Some(ImportConfig { token: SecretString::from("import-token-1"), from: 50, keeps_missing });
    JsmTarget::new(&JsmConfig { import, ..config(&rig.sim) }).unwrap()
}

/// Machines that refer to the ones before them by threes, and whose owner nobody says: imports do not fill users.
fn batch(rig: &Rig, numbers: std::ops::Range<usize>) -> Vec<Write> {
    let mut writes: Vec<Write> = numbers.clone().map(|number| without_owner(create(&rig.target, number))).collect();
    let first = numbers.start;
    for number in numbers.filter(|number| (number - first) % 3 == 2) {
        let edge = EdgeId { from: key(number - 1), relation: RelationType::RoutesTo, to: key(number) };
        let operation = Operation::Relate {
            from: End::Made(edge.from.clone()),
            to: End::Made(edge.to.clone()),
            edge,
            to_kind: Kind::Instance,
            attributes: Attributes::new(),
        };
        writes.push(Write { key: key(number - 1), operation, ..create(&rig.target, number) });
    }
    writes
}

fn without_owner(mut write: Write) -> Write {
    if let Operation::Create { fields, .. } = &mut write.operation {
        fields.remove("Owner");
    }
    write
}

fn operations(rig: &Rig) -> BTreeMap<String, u64> {
    rig.sim.counters().by_operation
}

async fn answers(rig: &Rig, batch: &[Write]) -> Vec<Result<Delivered, TargetError>> {
    send_as(&rig.target, &estate("ours"), 0, batch).await.unwrap()
}

async fn edges(rig: &Rig) -> usize {
    read_all(&rig.target).await.into_iter().filter_map(|record| record.edges).map(|edges| edges.len()).sum()
}

#[tokio::test]
async fn they_are_made_by_imports_and_stand_as_if_made_one_by_one() {
    let rig = rig(false).await;
    let single = Rig::over(Site::new()).await;
    let records = send(&rig.target, 0, &batch(&rig, 0..COUNT)).await;
    send(&single.target, 0, &batch(&single, 0..COUNT)).await;
    let made = operations(&rig);
    assert!(!made.contains_key("object_create") && !made.contains_key("object_update"), "{made:?}");
    let rows = |rig: &Rig| -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
        let rows = rig.sim.rows("Virtual Machine").into_iter().map(|row| row.into_iter().collect::<BTreeMap<_, _>>());
        let told = |row: BTreeMap<String, Vec<String>>| {
            let other = ["Key", "Created", "Updated", "Dewpoint Data", "Routed From"];
            let row: BTreeMap<_, _> = row.into_iter().filter(|(name, _)| !other.contains(&name.as_str())).collect();
            (row["External ID"][0].clone(), row)
        };
        rows.map(told).collect()
    };
    assert_eq!(rows(&rig), rows(&single));
    assert_eq!((edges(&rig).await, edges(&single).await), (COUNT / 3, COUNT / 3));
    // The same again changes nothing, and makes none a second time.
    assert_eq!(send(&rig.target, 1, &batch(&rig, 0..COUNT)).await, records);
    assert_eq!(rig.sim.objects().len(), COUNT);
}

#[tokio::test]
async fn few_are_made_one_by_one() {
    let rig = rig(false).await;
    send(&rig.target, 0, &batch(&rig, 0..20)).await;
    assert_eq!(operations(&rig)["object_create"], 20);
}

#[tokio::test]
async fn where_objects_stand_it_has_to_be_said_that_they_are_kept() {
    for (keeps_missing, creates) in [(false, COUNT as u64), (true, 0)] {
        let mut rig = rig(keeps_missing).await;
        send(&rig.target, 0, &[create(&rig.target, 1000)]).await;
        rig.target = target(&rig, keeps_missing);
        rig.sim.clear_calls();
        send(&rig.target, 0, &batch(&rig, 0..COUNT)).await;
        assert_eq!(operations(&rig).get("object_create").copied().unwrap_or_default(), creates, "{keeps_missing}");
        assert_eq!(rig.sim.objects().len(), COUNT + 1);
    }
}

#[tokio::test]
async fn a_source_that_takes_things_away_ends_it_at_once() {
    let rig = rig(true).await;
    rig.sim.edit(|site| site.imports[0].missing = Missing::Remove);
    let records = send(&rig.target, 0, &batch(&rig, 0..10)).await;
    assert_eq!(records.len(), 10 + 3);
    let answer = send_as(&rig.target, &estate("ours"), 1, &batch(&rig, 100..100 + COUNT)).await;
    let told = match &answer {
        Ok(answers) => answers.iter().find_map(|answer| answer.as_ref().err().map(ToString::to_string)),
        Err(error) => Some(error.to_string()),
    };
    assert!(told.as_ref().is_some_and(|text| text.contains("takes away")), "{told:?}");
}

#[tokio::test]
async fn whatever_goes_wrong_with_an_import_every_object_is_made_once() {
    let reset = || Fault::new(Mishap::Reset).operation("import_submit").times(1);
    let denied = |operation: &str| Fault::new(Effect::Forbidden).operation(operation);
    let faults = [
        vec![reset().after_commit()],
        vec![reset()],
        vec![denied("import_info")],
        vec![denied("import_start")],
        vec![denied("import_submit")],
        vec![denied("import_status")],
    ];
    for faults in faults {
        let rig = rig(false).await;
        rig.sim.faults(faults.clone());
        let answers = answers(&rig, &batch(&rig, 0..COUNT)).await;
        assert!(answers.iter().all(Result::is_ok), "{faults:?}: {:?}", answers.iter().find(|answer| answer.is_err()));
        assert_eq!((rig.sim.objects().len(), edges(&rig).await), (COUNT, COUNT / 3), "{faults:?}");
    }
}

#[tokio::test]
async fn one_that_cannot_be_made_stops_no_other() {
    let rig = rig(false).await;
    // Somebody wants names from a list now.
    rig.sim.edit(|site| {
        let size = site.attributes.values_mut().find(|attribute| attribute.name == "Name").unwrap();
        size.regex = Some("web-([1-9][0-9]*)?".to_owned());
    });
    let answers = answers(&rig, &batch(&rig, 0..COUNT)).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!((failed, rig.sim.objects().len()), (1, COUNT - 1), "{:?}", answers[0]);
}

#[tokio::test]
async fn an_import_that_takes_longer_than_a_batch_is_waited_for() {
    let rig = rig(false).await;
    rig.sim.settings(|settings| settings.import_processing_s = 3);
    let ours = estate("ours");
    let sending = Sending { estate: &ours, at: at(0), deadline: Instant::now() + Duration::from_secs(3) };
    let writes = batch(&rig, 0..COUNT);
    let answer = rig.target.apply(&writes, &sending).await;
    assert!(matches!(answer, Err(TargetError::Busy { .. })), "{answer:?}");
    rig.sim.advance(jiff::SignedDuration::from_secs(3));
    send(&rig.target, 1, &writes).await;
    let made = operations(&rig);
    assert!(!made.contains_key("object_create"), "{made:?}");
    assert_eq!((rig.sim.objects().len(), edges(&rig).await), (COUNT, COUNT / 3));
}
