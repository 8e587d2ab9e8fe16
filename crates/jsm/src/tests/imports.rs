//! Many new objects at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dewpoint_assets_sim::{Effect, Fault, Mishap, Missing, Site};
use dewpoint_core::doctor::Health;
use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{Delivered, End, Operation, Sending, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{at, create, estate, key, ours, read_all, send, send_as};
use secrecy::SecretString;

use super::rig::{Rig, SCHEMA, config, config_of};
use crate::{ImportConfig, JsmConfig, JsmTarget};

const COUNT: usize = 120;

/// A site with an import source, and a target that uses it from 50 objects on.
async fn rig() -> Rig {
    rig_over(Site::new(), SCHEMA).await
}

/// With the token of a source of a schema.
async fn rig_over(site: Site, schema: &str) -> Rig {
    let mut rig = Rig::over(site).await;
    rig.sim.edit(|site| {
        let schema = site.schema(schema).unwrap().id;
        site.add_import(schema, "Dewpoint");
    });
    rig.target = target(&rig, 200);
    rig
}

fn target(rig: &Rig, batch_size: u32) -> JsmTarget {
    let import = Some(ImportConfig { token: SecretString::from("import-token-1"), from: 50 });
    JsmTarget::new(&JsmConfig { import, batch_size, ..config(&rig.sim) }).unwrap()
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
    let rig = rig().await;
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
    let rig = rig().await;
    send(&rig.target, 0, &batch(&rig, 0..20)).await;
    assert_eq!(operations(&rig)["object_create"], 20);
}

#[tokio::test]
async fn what_stands_there_stays() {
    let rig = rig().await;
    send(&rig.target, 0, &[create(&rig.target, 1000)]).await;
    rig.sim.clear_calls();
    send(&rig.target, 0, &batch(&rig, 0..COUNT)).await;
    assert!(!operations(&rig).contains_key("object_create"));
    assert_eq!(rig.sim.objects().len(), COUNT + 1);
}

#[tokio::test]
async fn a_source_that_takes_things_away_is_used_once() {
    let mut rig = rig().await;
    send(&rig.target, 0, &batch(&rig, 0..10)).await;
    rig.sim.edit(|site| site.imports[0].missing = Missing::Remove);
    rig.target = target(&rig, 200);
    let writes = batch(&rig, 100..100 + COUNT);
    for _ in 0..2 {
        let answer = send_as(&rig.target, &estate("ours"), 1, &writes).await;
        assert!(matches!(&answer, Err(TargetError::Unusable { text, .. }) if text.contains("takes away")), "{answer:?}");
    }
    let answer = send_as(&rig.target, &estate("ours"), 1, &[create(&rig.target, 5)]).await;
    assert!(matches!(answer, Err(TargetError::Unusable { .. })), "nothing is written before people looked after it: {answer:?}");
    let made = operations(&rig);
    assert_eq!((made["import_start"], made["object_create"]), (1, 10), "{made:?}");
}

/// Sends until the target takes all of it.
async fn deliver(rig: &Rig, writes: &[Write]) -> Vec<Result<Delivered, TargetError>> {
    let mut answers = send_as(&rig.target, &estate("ours"), 0, writes).await;
    for _ in 0..5 {
        if matches!(answers, Err(TargetError::Busy { .. })) {
            answers = send_as(&rig.target, &estate("ours"), 0, writes).await;
        }
    }
    answers.unwrap()
}

#[tokio::test]
async fn whatever_goes_wrong_with_an_import_every_object_is_made_once() {
    let reset = |operation: &str| Fault::new(Mishap::Reset).operation(operation).times(1);
    let denied = |operation: &str| Fault::new(Effect::Forbidden).operation(operation);
    // What fails, and whether objects are made one by one then.
    let faults = [
        (reset("import_submit").after_commit(), false),
        (reset("import_submit"), false),
        (reset("import_start").after_commit(), false),
        (reset("import_start"), false),
        (reset("import_status"), false),
        (denied("import_info"), true),
        (denied("import_get"), false),
        (denied("import_config_status"), true),
        (denied("import_mapping"), true),
        (denied("import_start"), true),
        (denied("import_submit"), true),
    ];
    for (fault, are_single) in faults {
        let rig = rig().await;
        rig.sim.faults(vec![fault.clone()]);
        let answers = deliver(&rig, &batch(&rig, 0..COUNT)).await;
        assert!(answers.iter().all(Result::is_ok), "{fault:?}: {:?}", answers.iter().find(|answer| answer.is_err()));
        assert_eq!((rig.sim.objects().len(), edges(&rig).await), (COUNT, COUNT / 3), "{fault:?}");
        assert_eq!(operations(&rig).contains_key("object_create"), are_single, "{fault:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_while_nobody_knows_whether_an_import_is_done() {
    let denied = |operation: &str| Fault::new(Effect::Forbidden).operation(operation);
    for faults in [vec![denied("import_status")], vec![denied("import_submit"), denied("import_cancel")]] {
        let mut rig = rig().await;
        let writes = batch(&rig, 0..COUNT);
        rig.sim.faults(faults.clone());
        for _ in 0..2 {
            let answer = send_as(&rig.target, &estate("ours"), 0, &writes).await;
            assert!(matches!(answer, Err(TargetError::Unusable { .. })), "{faults:?}: {answer:?}");
        }
        let answer = send_as(&rig.target, &estate("ours"), 0, &[create(&rig.target, 1000)]).await;
        assert!(matches!(answer, Err(TargetError::Unusable { .. })), "{faults:?}: {answer:?}");
        assert!(!operations(&rig).contains_key("object_create"), "{faults:?}");
        // Another process finds what is under way.
        rig.sim.faults(Vec::new());
        rig.target = target(&rig, 200);
        deliver(&rig, &writes).await;
        assert_eq!((rig.sim.objects().len(), edges(&rig).await), (COUNT, COUNT / 3), "{faults:?}");
    }
}

#[tokio::test]
async fn one_that_cannot_be_made_stops_no_other() {
    let rig = rig().await;
    // Somebody wants names from a list now.
    rig.sim.edit(|site| {
        let size = site.attributes.values_mut().find(|attribute| attribute.name == "Name").unwrap();
        size.regex = Some("web-([1-9][0-9]*)?".to_owned());
    });
    let answers = answers(&rig, &batch(&rig, 0..COUNT)).await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!((failed, rig.sim.objects().len()), (1, COUNT - 1), "{:?}", answers[0]);
}

/// Sends with little time left.
async fn send_late(rig: &Rig, writes: &[Write]) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
    let ours = estate("ours");
    let sending = Sending { estate: &ours, at: at(0), deadline: Instant::now() + Duration::from_secs(3) };
    rig.target.apply(writes, &sending).await
}

#[tokio::test]
async fn an_import_that_takes_longer_than_a_batch_is_waited_for() {
    for is_killed in [false, true] {
        let mut rig = rig().await;
        rig.sim.settings(|settings| settings.import_processing_s = 3);
        let writes = batch(&rig, 0..COUNT);
        let answer = send_late(&rig, &writes).await;
        assert!(matches!(answer, Err(TargetError::Busy { .. })), "{answer:?}");
        if is_killed {
            rig.target = target(&rig, 200);
        }
        // Whatever is to be written waits for it.
        let answer = send_late(&rig, &[create(&rig.target, 1000)]).await;
        assert!(matches!(answer, Err(TargetError::Busy { .. })), "{answer:?}");
        rig.sim.advance(jiff::SignedDuration::from_secs(3));
        send(&rig.target, 1, &writes).await;
        assert_eq!((rig.sim.objects().len(), edges(&rig).await), (COUNT, COUNT / 3));
        assert_eq!(operations(&rig).contains_key("object_create"), is_killed, "who does not know what was handed over looks at each");
    }
}

#[tokio::test]
async fn the_token_of_another_schemas_source_makes_nothing_twice() {
    for is_told in [true, false] {
        let rig = rig_over(Site::new().with_schema("OTHER"), "OTHER").await;
        let other = JsmConfig { schema: "OTHER".to_owned(), ..config_of(&rig.sim, "admin") };
        JsmTarget::new(&other).unwrap().bootstrap(false).await.unwrap();
        if !is_told {
            rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("import_get")]);
        }
        let writes = batch(&rig, 0..COUNT);
        for _ in 0..2 {
            let answer = send_as(&rig.target, &estate("ours"), 0, &writes).await;
            assert!(matches!(&answer, Err(TargetError::Unusable { text, .. }) if text.contains("another schema")), "{:?}", answer.err());
        }
        let ours = rig.sim.edit(|site| {
            let ours = site.schema(SCHEMA).unwrap().id;
            site.objects().filter(|object| site.types[&object.type_id].schema_id == ours).count()
        });
        assert_eq!(ours, 0);
        if is_told {
            assert!(rig.sim.objects().is_empty());
            let findings = rig.target.doctor().await;
            assert!(findings.iter().any(|finding| finding.check == "imports" && finding.outcome == Health::Error), "{findings:#?}");
        }
    }
}

#[tokio::test]
async fn keys_that_differ_by_case_alone_are_two_objects() {
    let rig = rig().await;
    let named = |name: &str| format!("fleet:aws:123456789012:eu-west-1:{name}").parse().unwrap();
    let alike = ["web", "Web"].map(|name| Write { key: named(name), ..without_owner(create(&rig.target, 1)) });
    let writes: Vec<Write> = batch(&rig, 0..COUNT).into_iter().chain(alike).collect();
    let records = send(&rig.target, 0, &writes).await;
    let distinct: std::collections::BTreeSet<_> = records[records.len() - 2..].iter().collect();
    assert_eq!((distinct.len(), rig.sim.objects().len()), (2, COUNT + 2));
    // One that differs by case from what stands there.
    let other = Write { key: named("WEB"), ..without_owner(create(&rig.target, 1)) };
    let more: Vec<Write> = batch(&rig, 500..500 + COUNT).into_iter().chain([other]).collect();
    let record = send(&rig.target, 1, &more).await.pop().unwrap();
    assert!(!distinct.contains(&record));
    assert_eq!(rig.sim.objects().len(), 2 * COUNT + 3);
}

#[tokio::test]
async fn an_edge_that_is_refused_is_made_by_no_import() {
    let rig = rig().await;
    let theirs = send_as(&rig.target, &estate("another"), 0, &[create(&rig.target, 1000)]).await.unwrap().remove(0).unwrap().record;
    let edge = EdgeId { from: key(3), relation: RelationType::RoutesTo, to: key(999) };
    let operation = Operation::Relate {
        from: End::Made(edge.from.clone()),
        to: End::Stands(ours(999, &theirs)),
        edge,
        to_kind: Kind::Instance,
        attributes: Attributes::new(),
    };
    let mut writes = batch(&rig, 0..COUNT);
    writes.insert(4, Write { key: key(3), operation, ..create(&rig.target, 3) });
    let answers = answers(&rig, &writes).await;
    assert!(matches!(answers[4], Err(TargetError::Rejected { .. })), "{:?}", answers[4]);
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    assert_eq!(edges(&rig).await, COUNT / 3);
}

#[tokio::test]
async fn where_there_is_no_import_batches_are_small() {
    let mut rig = rig().await;
    rig.target = target(&rig, 20);
    assert_eq!((rig.target.creates_at_once(), rig.target.batch_size()), (1000, 20));
    rig.sim.faults(vec![Fault::new(Effect::Forbidden).operation("import_info")]);
    send(&rig.target, 0, &batch(&rig, 0..1)).await;
    assert_eq!(rig.target.creates_at_once(), 20);
}
