//! What every target must do, as one suite: a target's tests run it over a [`Rig`] of their own by [`suite!`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "tests fail by panicking"
)]
#![allow(missing_docs, reason = "the names of tests, and of what they build, say what they are")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::estate::{EstateId, Stage};
use crate::model::{Attributes, EdgeId, Key, Kind, Provider, RelationType};
use crate::target::{
    Addressed, Beat, Ci, Delivered, End, FoundRecord, Identity, Operation, Place, RecordId, Sending, Subject, Target, TargetError, Write,
};

/// An empty CMDB with the target under test, and what the tests must see or do behind its back.
#[async_trait]
pub trait Rig: Send + Sync {
    /// The target.
    fn target(&self) -> &dyn Target;
    /// Adds a record that people keep.
    async fn stranger(&self, stranger: Stranger<'_>) -> RecordId;
    /// A field of [`ci`]'s record, and another value than it has.
    fn changed(&self) -> (&'static str, Value);
    /// A field of [`ci`]'s record that can be emptied.
    fn emptied(&self) -> &'static str;
    /// The field that holds the native id.
    fn native_id_field(&self) -> &'static str;
    /// Fields that say where a resource stands, beside the mark of a retirement.
    fn stage(&self, _stage: Stage) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    /// Every record there is, anybody's, with its fields.
    async fn records(&self) -> BTreeMap<RecordId, BTreeMap<String, Value>>;
    /// Whether a full read tells of edges.
    fn tells_of_edges(&self) -> bool {
        true
    }
    /// Whether a full read tells of the edges that were sent, as the target's records note them, and not of what became of them.
    fn notes_edges(&self) -> bool {
        false
    }
    /// Whether the target keeps attributes of edges.
    fn keeps_edge_attributes(&self) -> bool {
        true
    }
    /// Removes an edge behind the target's back.
    async fn erase(&self, from: &RecordId, relation: RelationType, to: &RecordId);
    /// Adds an edge that people drew.
    async fn draw(&self, from: &RecordId, relation: RelationType, to: &RecordId);
    /// Every edge there is.
    async fn edges(&self) -> BTreeSet<(RecordId, RelationType, RecordId)>;
}

/// Fields as a target shows them after it took them.
fn shown(mut fields: BTreeMap<String, Value>, delivered: &Delivered) -> BTreeMap<String, Value> {
    fields.extend(delivered.sent.clone());
    fields.retain(|name, _| !delivered.left.contains_key(name));
    fields
}

/// A record that people keep, and what it says of the thing it stands for.
#[derive(Clone, Copy)]
pub struct Stranger<'a> {
    pub native_id: &'a str,
    pub account: Option<&'a str>,
    pub region: Option<&'a str>,
    pub kind: Option<Kind>,
}

impl<'a> Stranger<'a> {
    pub fn new(native_id: &'a str, account: Option<&'a str>) -> Self {
        Self { native_id, account, region: None, kind: None }
    }
}

/// The account of the suite's CIs.
pub const ACCOUNT: &str = "123456789012";

pub fn key(number: usize) -> Key {
    Key::aws(&format!("arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{}", native_id(number))).unwrap()
}

pub fn native_id(number: usize) -> String {
    format!("i-{number:04}")
}

pub fn ci(number: usize) -> Ci {
    Ci {
        key: key(number),
        kind: Kind::Instance,
        provider: Provider::Aws,
        account: ACCOUNT.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        native_id: native_id(number),
        name: format!("web-{number}"),
        state: Some("running".to_owned()),
        stage: Stage::Active,
        attributes: [("size".to_owned(), json!("t3.micro")), ("vcpus".to_owned(), json!(2)), ("owner".to_owned(), json!("team-a"))].into(),
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        created_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        attached: None,
    }
}

/// What a record of [`ci`] says that it stands for.
pub fn subject(number: usize) -> Subject {
    let ci = ci(number);
    Subject { kind: ci.kind, account: ci.account, region: ci.region, native_id: ci.native_id, name: Some(ci.name) }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

pub fn estate(name: &str) -> EstateId {
    EstateId(name.to_owned())
}

pub fn identity(number: usize) -> Identity {
    Identity {
        key: key(number),
        kind: Kind::Instance,
        native_id: native_id(number),
        name: ci(number).name,
        account: ACCOUNT.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        record: None,
    }
}

/// The fields a target wants for a CI.
pub fn fields(target: &dyn Target, ci: &Ci) -> (String, BTreeMap<String, Value>) {
    let adapted = target.adapt(ci).expect("the suite's kind has a class everywhere");
    (adapted.class, adapted.fields.into_iter().map(|(name, field)| (name, field.value)).collect())
}

pub fn create(target: &dyn Target, number: usize) -> Write {
    let (class, fields) = fields(target, &ci(number));
    Write {
        key: key(number),
        kind: Kind::Instance,
        place: place(),
        operation: Operation::Create { class, native_id: native_id(number), fields },
    }
}

/// A record of ours as a write for this CI addresses it.
pub fn ours(number: usize, record: &RecordId) -> Addressed {
    Addressed { record: record.clone(), carries: Some(key(number)) }
}

fn stands(number: usize, record: &RecordId) -> End {
    End::Stands(ours(number, record))
}

/// Where all CIs of the suite lie.
fn place() -> Place {
    Place { account: ACCOUNT.parse().unwrap(), region: "eu-west-1".parse().unwrap(), seen_at: None, hosts: Vec::new() }
}

fn theirs(record: &RecordId) -> Addressed {
    Addressed { record: record.clone(), carries: None }
}

/// The same write to a record that is to be found as this.
fn to(addressed: Addressed, mut write: Write) -> Write {
    match &mut write.operation {
        Operation::Update { record, .. } | Operation::Purge { record } => *record = addressed,
        operation => panic!("{operation:?} goes to more than one record, or to none"),
    }
    write
}

pub fn update(target: &dyn Target, number: usize, record: &RecordId, retired: Option<bool>, changed: &[(&str, Value)]) -> Write {
    let (class, _) = fields(target, &ci(number));
    let fields = changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let operation = Operation::Update { record: ours(number, record), class, fields, before: BTreeMap::new(), retired, take_over: false };
    Write { key: key(number), kind: Kind::Instance, place: place(), operation }
}

pub fn take_over(target: &dyn Target, number: usize, record: &RecordId) -> Write {
    let (class, fields) = fields(target, &ci(number));
    let operation = Operation::Update { record: theirs(record), class, fields, before: BTreeMap::new(), retired: None, take_over: true };
    Write { key: key(number), kind: Kind::Instance, place: place(), operation }
}

pub fn purge(number: usize, record: &RecordId) -> Write {
    Write { key: key(number), kind: Kind::Instance, place: place(), operation: Operation::Purge { record: ours(number, record) } }
}

fn edge(from: usize, to: usize) -> EdgeId {
    EdgeId { from: key(from), relation: RelationType::RoutesTo, to: key(to) }
}

pub fn relate(numbers: (usize, usize), from: &RecordId, to: &RecordId, attributes: Attributes) -> Write {
    let operation = Operation::Relate {
        edge: edge(numbers.0, numbers.1),
        from: stands(numbers.0, from),
        to: stands(numbers.1, to),
        to_kind: Kind::Instance,
        attributes,
    };
    Write { key: key(numbers.0), kind: Kind::Instance, place: place(), operation }
}

pub fn unrelate(numbers: (usize, usize), from: &RecordId, to: &RecordId) -> Write {
    let operation = Operation::Unrelate {
        edge: edge(numbers.0, numbers.1),
        from: ours(numbers.0, from),
        to: ours(numbers.1, to),
        to_kind: Kind::Instance,
    };
    Write { key: key(numbers.0), kind: Kind::Instance, place: place(), operation }
}

/// Sends a batch with time enough.
///
/// # Errors
/// Where the target takes none of it.
pub async fn send_as(
    target: &dyn Target,
    who: &EstateId,
    second: i64,
    batch: &[Write],
) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
    let sending = Sending { estate: who, at: at(second), deadline: Instant::now() + Duration::from_secs(60) };
    let answers = target.apply(batch, &sending).await?;
    assert_eq!(answers.len(), batch.len(), "one answer for each write");
    Ok(answers)
}

/// Sends a batch that must go through, and gives the records written.
pub async fn send(target: &dyn Target, second: i64, batch: &[Write]) -> Vec<RecordId> {
    let answers = send_as(target, &estate("ours"), second, batch).await.unwrap();
    answers.into_iter().map(|answer| answer.unwrap().record).collect()
}

/// That the resource of a record was seen.
pub fn beat(target: &dyn Target, number: usize, record: &RecordId, second: i64) -> Beat {
    let Place { account, region, .. } = place();
    let (class, _) = fields(target, &ci(number));
    Beat { key: key(number), kind: Kind::Instance, account, region, record: ours(number, record), class, seen_at: at(second) }
}

async fn send_beats(target: &dyn Target, who: &str, beats: &[Beat]) -> Vec<Result<(), TargetError>> {
    let sending = Sending { estate: &estate(who), at: at(90_000), deadline: Instant::now() + Duration::from_secs(60) };
    let answers = target.beat(beats, &sending).await.unwrap();
    assert_eq!(answers.len(), beats.len(), "one answer for each beat");
    answers
}

pub async fn find(target: &dyn Target, number: usize) -> Vec<FoundRecord> {
    target.find(&[identity(number)]).await.remove(&key(number)).expect("an answer for each identity").unwrap()
}

pub async fn read_all(target: &dyn Target) -> Vec<FoundRecord> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = target.read(after.as_deref()).await.unwrap();
        records.extend(page.records);
        match page.next {
            Some(next) => after = Some(next),
            None => return records,
        }
    }
}

#[track_caller]
fn assert_rejected(answer: &Result<Delivered, TargetError>) {
    assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{answer:?}");
}

pub async fn create_is_idempotent(rig: &dyn Rig) {
    let target = rig.target();
    let batch = [create(target, 1), create(target, 2)];
    let first = send(target, 0, &batch).await;
    // As after a lost reply: the same batch again, within one batch too.
    assert_eq!(send(target, 0, &batch).await, first);
    assert_eq!(send(target, 5, &[create(target, 1), create(target, 1)]).await, [first[0].clone(), first[0].clone()]);
    assert_eq!(rig.records().await.len(), 2);
}

pub async fn a_record_shows_what_was_sent(rig: &dyn Rig) {
    let target = rig.target();
    let delivered = send_as(target, &estate("ours"), 7, &[create(target, 1)]).await.unwrap().remove(0).unwrap();
    let (class, fields) = fields(target, &ci(1));
    let fields = shown(fields, &delivered);
    let expected = FoundRecord {
        id: delivered.record.clone(),
        class,
        external_id: Some(key(1)),
        estate: Some(estate("ours")),
        delivered_at: Some(at(7)),
        retired: false,
        subject: Some(subject(1)),
        fields,
        edges: None,
    };
    assert_eq!(find(target, 1).await, std::slice::from_ref(&expected));
    assert_eq!(read_all(target).await, [FoundRecord { edges: shows_edges(rig).then(BTreeMap::new), ..expected }]);
    assert_eq!(target.fingerprint(None).await.unwrap().newest_delivered_at.unwrap_or(at(7)), at(7));
}

pub async fn one_bad_write_stops_no_other(rig: &dyn Rig) {
    let target = rig.target();
    let nobody = RecordId("999999999".to_owned());
    let batch = [create(target, 1), update(target, 2, &nobody, None, &[rig.changed()]), create(target, 3)];
    let answers = send_as(target, &estate("ours"), 0, &batch).await.unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert_rejected(&answers[1]);
    assert_eq!(read_all(target).await.len(), 2);
}

pub async fn fields_are_changed_and_emptied_one_by_one(rig: &dyn Rig) {
    let target = rig.target();
    let made = send_as(target, &estate("ours"), 0, &[create(target, 1)]).await.unwrap().remove(0).unwrap();
    let record = made.record.clone();
    send(target, 1, &[update(target, 1, &record, None, &[rig.changed(), (rig.emptied(), Value::Null)])]).await;
    let (_, wanted) = fields(target, &ci(1));
    let mut expected = shown(wanted, &made);
    let (name, value) = rig.changed();
    expected.insert(name.to_owned(), value);
    expected.remove(rig.emptied());
    let mut found = find(target, 1).await.remove(0);
    // An emptied field may be shown as `null` or not at all.
    found.fields.retain(|_, value| !value.is_null());
    assert_eq!(found.fields, expected);
    assert_eq!(found.delivered_at, Some(at(1)));
}

pub async fn retire_revive_purge(rig: &dyn Rig) {
    let target = rig.target();
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    let record = &records[0];
    send(target, 0, &[relate((1, 2), record, &records[1], Attributes::new())]).await;
    let retire = update(target, 1, record, Some(true), &rig.stage(Stage::Retired));
    send(target, 1, std::slice::from_ref(&retire)).await;
    send(target, 1, &[retire]).await;
    assert!(find(target, 1).await[0].retired);
    assert_eq!(rig.edges().await.len(), 0, "its edges go with it: what returns may have others");
    send(target, 2, &[update(target, 1, record, None, &[rig.changed()])]).await;
    assert!(find(target, 1).await[0].retired, "an update leaves the mark as it is");
    send(target, 3, &[update(target, 1, record, Some(false), &rig.stage(Stage::Active))]).await;
    assert!(!find(target, 1).await[0].retired);
    send(target, 4, &[relate((1, 2), record, &records[1], Attributes::new())]).await;
    send(target, 4, &[update(target, 1, record, Some(true), &rig.stage(Stage::Retired))]).await;
    send(target, 5, &[purge(1, record)]).await;
    send(target, 5, &[purge(1, record)]).await;
    assert_eq!(find(target, 1).await, []);
    assert_eq!(rig.records().await.len(), 1);
    assert_eq!(rig.edges().await.len(), 0, "edges go with their ends");
    let again = send(target, 6, &[create(target, 1)]).await.remove(0);
    assert_ne!(&again, record, "a purged record's id is not given to another");
}

pub async fn other_estates_are_left_alone(rig: &dyn Rig) {
    let target = rig.target();
    let theirs = send_as(target, &estate("theirs"), 0, &[create(target, 1), create(target, 2)]).await.unwrap();
    let theirs: Vec<_> = theirs.into_iter().map(|answer| answer.unwrap().record).collect();
    let before = (rig.records().await, rig.edges().await);
    let batch = [
        create(target, 1),
        update(target, 1, &theirs[0], None, &[rig.changed()]),
        update(target, 1, &theirs[0], Some(true), &[]),
        take_over(target, 1, &theirs[0]),
        purge(1, &theirs[0]),
        relate((1, 2), &theirs[0], &theirs[1], Attributes::new()),
    ];
    for answer in send_as(target, &estate("ours"), 1, &batch).await.unwrap() {
        assert_rejected(&answer);
    }
    assert_eq!((rig.records().await, rig.edges().await), before);
    // Both reads say whose it is, so that the caller can stop.
    assert_eq!(find(target, 1).await[0].estate, Some(estate("theirs")));
    assert!(read_all(target).await.iter().all(|record| record.estate == Some(estate("theirs")) && record.delivered_at == Some(at(0))));
}

pub async fn strangers_are_found_and_left_alone(rig: &dyn Rig) {
    let target = rig.target();
    let same = rig.stranger(Stranger::new(&native_id(1), Some(ACCOUNT))).await;
    let nowhere = rig.stranger(Stranger::new(&native_id(1), None)).await;
    let elsewhere = rig.stranger(Stranger::new(&native_id(1), Some("999999999999"))).await;
    let found = find(target, 1).await;
    let ids: BTreeSet<_> = found.iter().map(|record| record.id.clone()).collect();
    assert_eq!(ids, BTreeSet::from([same.clone(), nowhere]), "by native id within the account, where the record names one");
    assert!(!ids.contains(&elsewhere));
    assert!(found.iter().all(|record| record.estate.is_none() && record.external_id.is_none()));
    assert_eq!(read_all(target).await, [], "a full read is about records with an estate id");

    let before = rig.records().await;
    let refused = [
        purge(1, &same),
        update(target, 1, &same, Some(true), &[]),
        // However it is addressed.
        to(theirs(&same), purge(1, &same)),
        to(theirs(&same), update(target, 1, &same, Some(true), &[])),
    ];
    for answer in send_as(target, &estate("ours"), 0, &refused).await.unwrap() {
        assert_rejected(&answer);
    }
    // A create makes a record of its own, or is refused where the target's rules would take the stranger's for it.
    match send_as(target, &estate("ours"), 0, &[create(target, 1)]).await.unwrap().remove(0) {
        Ok(own) => drop(send(target, 1, &[purge(1, &own.record)]).await),
        refused => assert_rejected(&refused),
    }
    assert_eq!(rig.records().await, before);
}

pub async fn strangers_that_say_that_they_are_something_else_are_not_found(rig: &dyn Rig) {
    let target = rig.target();
    let id = native_id(1);
    let plain = Stranger::new(&id, Some(ACCOUNT));
    let same = rig.stranger(Stranger { region: Some("eu-west-1"), kind: Some(Kind::Instance), ..plain }).await;
    rig.stranger(Stranger { region: Some("us-east-1"), ..plain }).await;
    rig.stranger(Stranger { kind: Some(Kind::ScalingGroup), ..plain }).await;
    let ids: Vec<_> = find(target, 1).await.into_iter().map(|record| record.id).collect();
    assert_eq!(ids, [same], "native ids repeat between regions and kinds");
}

pub async fn strangers_are_found_as_their_provider_compares_ids(rig: &dyn Rig) {
    let target = rig.target();
    let machine = "/subscriptions/5Ab0/resourceGroups/RG1/providers/Microsoft.Compute/virtualMachines/vm1";
    let key: Key = format!("azure:{machine}").parse().unwrap();
    let azure = rig.stranger(Stranger::new(&machine.to_uppercase(), Some("5aB0"))).await;
    rig.stranger(Stranger::new(&native_id(1).to_uppercase(), Some(ACCOUNT))).await;
    let (native_id, account) = (machine.to_owned(), "5Ab0".parse().unwrap());
    let asked = Identity { key: key.clone(), native_id, account, ..identity(1) };
    let found = target.find(&[asked]).await.remove(&key).unwrap().unwrap();
    assert_eq!(found.into_iter().map(|record| record.id).collect::<Vec<_>>(), [azure], "Azure ignores case");
    assert_eq!(find(target, 1).await, [], "AWS does not");
}

pub async fn a_stranger_that_was_referred_to_is_found_under_any_name(rig: &dyn Rig) {
    let target = rig.target();
    let other = native_id(7);
    let renamed = rig.stranger(Stranger::new(&other, Some(ACCOUNT))).await;
    assert_eq!(find(target, 1).await, []);
    let ask = async |record: &RecordId| {
        let asked = Identity { record: Some(record.clone()), ..identity(1) };
        target.find(&[asked]).await.remove(&key(1)).unwrap().unwrap()
    };
    let found = ask(&renamed).await;
    assert_eq!(found.iter().map(|record| (&record.id, &record.estate)).collect::<Vec<_>>(), [(&renamed, &None)]);
    // It still has its name: it is one record.
    let same = rig.stranger(Stranger::new(&native_id(1), Some(ACCOUNT))).await;
    assert_eq!(ask(&same).await.len(), 1);
    let ours = send(target, 0, &[create(target, 2)]).await.remove(0);
    assert!(ask(&ours).await.iter().all(|record| record.id == same), "it is no stranger's");
}

pub async fn strangers_are_adopted(rig: &dyn Rig) {
    let target = rig.target();
    let record = rig.stranger(Stranger::new(&native_id(1), Some(ACCOUNT))).await;
    // Contribution: our fields, and no mark of ours.
    send(target, 0, &[to(theirs(&record), update(target, 1, &record, None, &[rig.changed()]))]).await;
    let found = find(target, 1).await.remove(0);
    let (name, value) = rig.changed();
    assert_eq!((found.estate, found.external_id, &found.fields[name]), (None, None, &value));
    // Taking over: ours from then on. Twice, as after a lost reply.
    for _ in 0..2 {
        send(target, 1, &[take_over(target, 1, &record)]).await;
    }
    let found = find(target, 1).await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].id, &found[0].estate, &found[0].external_id), (&record, &Some(estate("ours")), &Some(key(1))));
    assert_eq!(send(target, 2, &[create(target, 1)]).await, [record]);
    assert_eq!(rig.records().await.len(), 1);
}

pub async fn a_record_takes_a_new_key(rig: &dyn Rig) {
    let target = rig.target();
    let record = send(target, 0, &[create(target, 1)]).await.remove(0);
    // A machine that moved keeps its record: the update goes by record id and names the new key.
    let moved = to(ours(1, &record), update(target, 2, &record, None, &[(rig.native_id_field(), json!(native_id(2)))]));
    // Twice, as after a lost reply.
    for second in [1, 2] {
        send(target, second, std::slice::from_ref(&moved)).await;
        assert_eq!(find(target, 1).await, []);
        assert_eq!(find(target, 2).await[0].id, record);
    }
}

pub async fn a_record_that_is_not_the_one_meant_is_left_alone(rig: &dyn Rig) {
    let target = rig.target();
    let own = send(target, 0, &[create(target, 1), create(target, 2), create(target, 3)]).await;
    let stranger = rig.stranger(Stranger::new(&native_id(4), Some(ACCOUNT))).await;
    send(target, 0, &[relate((2, 3), &own[1], &own[2], Attributes::new())]).await;
    let before = (rig.records().await, rig.edges().await, read_all(target).await);
    let size = [rig.changed()];
    // Ids of an earlier CMDB: they are those of other records here.
    let refused = [
        update(target, 1, &own[1], None, &size),
        update(target, 1, &own[1], Some(true), &[]),
        update(target, 1, &stranger, None, &size),
        to(ours(4, &own[0]), update(target, 5, &own[0], None, &size)),
        to(theirs(&own[1]), update(target, 4, &own[1], None, &size)),
        take_over(target, 4, &own[1]),
        purge(1, &own[1]),
        to(theirs(&own[1]), purge(4, &own[1])),
        relate((1, 3), &own[1], &own[2], Attributes::new()),
        relate((1, 3), &own[0], &own[1], Attributes::new()),
        relate((1, 4), &own[0], &stranger, Attributes::new()),
        unrelate((1, 3), &own[1], &own[2]),
    ];
    for (write, answer) in refused.iter().zip(send_as(target, &estate("ours"), 1, &refused).await.unwrap()) {
        assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{write:?}: {answer:?}");
    }
    assert_eq!((rig.records().await, rig.edges().await, read_all(target).await), before);
    // The writes beside them go through.
    let mixed = [update(target, 1, &own[1], None, &size), update(target, 1, &own[0], None, &size)];
    let answers = send_as(target, &estate("ours"), 2, &mixed).await.unwrap();
    assert_rejected(&answers[0]);
    assert!(answers[1].is_ok(), "{answers:?}");
}

pub async fn edges_are_idempotent(rig: &dyn Rig) {
    let target = rig.target();
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    let (from, to) = (&records[0], &records[1]);
    let expected = BTreeSet::from([(from.clone(), RelationType::RoutesTo, to.clone())]);
    for port in [80, 80, 443] {
        let answer = send(target, 1, &[relate((1, 2), from, to, [("port".to_owned(), json!(port))].into())]).await;
        assert_eq!(&answer[0], from);
        assert_eq!(rig.edges().await, expected);
    }
    for _ in 0..2 {
        send(target, 2, &[unrelate((1, 2), from, to)]).await;
        assert_eq!(rig.edges().await, BTreeSet::new());
    }
    let nobody = RecordId("999999999".to_owned());
    let answers = send_as(target, &estate("ours"), 3, &[relate((1, 2), from, &nobody, Attributes::new())]).await.unwrap();
    assert_rejected(&answers[0]);
    send(target, 3, &[unrelate((1, 2), from, &nobody)]).await;
}

/// Edges by the numbers of their ends, with their attributes where the target keeps them.
type Told = BTreeMap<(usize, RelationType, usize), Option<Attributes>>;

/// What a full read tells of edges.
async fn told(rig: &dyn Rig) -> Option<Told> {
    let number = |wanted: &Key| (1..5).find(|number| key(*number) == *wanted).unwrap();
    let mut all = Told::new();
    for record in read_all(rig.target()).await {
        assert_eq!(record.edges.is_some(), shows_edges(rig), "all records or none");
        let from = record.external_id.as_ref().map(number).unwrap();
        all.extend(record.edges?.into_iter().map(|((relation, to), attributes)| ((from, relation, number(&to)), attributes)));
    }
    Some(all)
}

#[track_caller]
fn assert_told(rig: &dyn Rig, told: Option<&Told>, expected: &Told, why: &str) {
    let kept = expected.iter().map(|(id, attributes)| (*id, attributes.clone().filter(|_| rig.keeps_edge_attributes())));
    assert_eq!(told, shows_edges(rig).then(|| kept.collect()).as_ref(), "{why}");
}

fn shows_edges(rig: &dyn Rig) -> bool {
    rig.tells_of_edges() || rig.notes_edges()
}

pub async fn a_full_read_tells_of_our_edges(rig: &dyn Rig) {
    let target = rig.target();
    let records = send(target, 0, &[create(target, 1), create(target, 2), create(target, 3)]).await;
    let https = Attributes::from([("port".to_owned(), json!(443))]);
    let batch = [
        relate((1, 2), &records[0], &records[1], https.clone()),
        relate((1, 3), &records[0], &records[2], Attributes::new()),
        relate((3, 1), &records[2], &records[0], Attributes::new()),
    ];
    send(target, 1, &batch).await;
    let stranger = rig.stranger(Stranger::new(&native_id(4), Some(ACCOUNT))).await;
    rig.draw(&records[0], RelationType::RoutesTo, &stranger).await;
    rig.draw(&records[1], RelationType::RoutesTo, &records[2]).await;
    let edge = |from, to, attributes: &Attributes| ((from, RelationType::RoutesTo, to), Some(attributes.clone()));
    let nothing = Attributes::new();
    let all: Told = [edge(1, 2, &https), edge(1, 3, &nothing), edge(3, 1, &nothing)].into();
    assert_told(rig, told(rig).await.as_ref(), &all, "neither more nor less, and none that people drew");

    send(target, 2, &[unrelate((1, 2), &records[0], &records[1]), update(target, 3, &records[2], Some(true), &[])]).await;
    assert_told(rig, told(rig).await.as_ref(), &Told::new(), "those of a retired record go with it");
}

pub async fn a_full_read_lacks_an_edge_that_people_removed(rig: &dyn Rig) {
    let target = rig.target();
    let records = send(target, 0, &[create(target, 1), create(target, 2)]).await;
    let nothing = Attributes::new();
    let both = [relate((1, 2), &records[0], &records[1], nothing.clone()), relate((2, 1), &records[1], &records[0], nothing.clone())];
    send(target, 1, &both).await;
    let edge = |from, to| ((from, RelationType::RoutesTo, to), Some(Attributes::new()));
    let all: Told = [edge(1, 2), edge(2, 1)].into();
    assert_told(rig, told(rig).await.as_ref(), &all, "as they were sent");
    rig.erase(&records[0], RelationType::RoutesTo, &records[1]).await;
    let left = if rig.notes_edges() { all.clone() } else { [edge(2, 1)].into() };
    assert_told(rig, told(rig).await.as_ref(), &left, "one is gone");
    send(target, 2, &both[..1]).await;
    assert_told(rig, told(rig).await.as_ref(), &all, "and was made again");
}

pub async fn reads_go_to_the_end_in_a_stable_order(rig: &dyn Rig) {
    let target = rig.target();
    let count = 2500;
    let writes: Vec<_> = (0..count).map(|number| create(target, number)).collect();
    for batch in writes.chunks(target.batch_size()) {
        send(target, 0, batch).await;
    }
    let first = read_all(target).await;
    let keys: BTreeSet<_> = first.iter().filter_map(|record| record.external_id.clone()).collect();
    assert_eq!((first.len(), keys.len()), (count, count));
    assert_eq!(read_all(target).await, first);
}

pub async fn find_answers_every_identity(rig: &dyn Rig) {
    let target = rig.target();
    send(target, 0, &[create(target, 1)]).await;
    let found = target.find(&[identity(1), identity(2), identity(1)]).await;
    let counts: Vec<_> = found.iter().map(|(key, answer)| (key.clone(), answer.as_ref().unwrap().len())).collect();
    assert_eq!(counts, [(key(1), 1), (key(2), 0)]);
    assert!(target.find(&[]).await.is_empty());
}

pub async fn odd_values_come_back_as_they_went(rig: &dyn Rig) {
    let target = rig.target();
    let mut odd = ci(1);
    odd.name = "quote \" back \\ line\n tab\t nul\u{0} emoji 🌧 rtl \u{202e} 'single' {{x}} $1 %".to_owned();
    odd.tags = [("a.b".to_owned(), String::new()), ("\"q\"".to_owned(), "ü".to_owned()), ("$".to_owned(), "null".to_owned())].into();
    odd.attributes.insert("open_to_world".to_owned(), json!(["0.0.0.0/0:22", "::/0:22"]));
    odd.attributes.insert("memory_mib".to_owned(), json!(u64::MAX));
    let (class, fields) = fields(target, &odd);
    let operation = Operation::Create { class, native_id: native_id(1), fields: fields.clone() };
    let write = Write { key: key(1), kind: Kind::Instance, place: place(), operation };
    let delivered = send_as(target, &estate("ours"), 0, &[write]).await.unwrap().remove(0).unwrap();
    assert_eq!(find(target, 1).await[0].fields, shown(fields, &delivered));
}

/// Of targets that keep a time at which resources were last seen.
pub async fn a_heartbeat_moves_one_time_and_no_time_back(rig: &dyn Rig) {
    let target = rig.target();
    let own = send(target, 0, &[create(target, 1), create(target, 2), create(target, 3)]).await;
    send(target, 0, &[relate((1, 2), &own[0], &own[1], Attributes::new())]).await;
    let (before, edges) = (rig.records().await, rig.edges().await);
    for answer in send_beats(target, "ours", &[beat(target, 1, &own[0], 86_400), beat(target, 2, &own[1], 86_401)]).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let after = rig.records().await;
    for (record, row) in &after {
        let moved: Vec<&String> = row.keys().filter(|column| row.get(*column) != before[record].get(*column)).collect();
        assert_eq!(row.len(), before[record].len());
        assert!(moved.len() <= usize::from(*record != own[2]), "{record:?}: {moved:?}");
    }
    assert_eq!((after.len(), rig.edges().await), (before.len(), edges));
    let mut told = Vec::new();
    for number in 1..=3 {
        told.push(find(target, number).await[0].delivered_at);
    }
    assert_eq!(told, [Some(at(86_400)), Some(at(86_401)), Some(at(0))], "the time of each observation");
    for earlier in [beat(target, 1, &own[0], 3_600), beat(target, 1, &own[0], 86_400)] {
        assert!(send_beats(target, "ours", &[earlier]).await[0].is_ok());
        assert_eq!(rig.records().await, after);
    }
}

/// Of targets that keep a time at which resources were last seen.
pub async fn a_heartbeat_goes_to_the_record_that_is_meant(rig: &dyn Rig) {
    let target = rig.target();
    let own = send(target, 0, &[create(target, 1), create(target, 2), create(target, 3)]).await;
    let stranger = rig.stranger(Stranger::new(&native_id(4), Some(ACCOUNT))).await;
    send(target, 1, &[update(target, 3, &own[2], Some(true), &rig.stage(Stage::Retired))]).await;
    send(target, 2, &[purge(3, &own[2])]).await;
    let before = rig.records().await;
    let refused = [
        Beat { record: theirs(&stranger), ..beat(target, 4, &stranger, 86_400) },
        beat(target, 4, &stranger, 86_400),
        beat(target, 2, &own[0], 86_400),
        beat(target, 3, &own[2], 86_400),
    ];
    for (beat, answer) in refused.iter().zip(send_beats(target, "ours", &refused).await) {
        assert!(matches!(answer, Err(TargetError::Rejected { .. })), "{beat:?}: {answer:?}");
    }
    let of_another = send_beats(target, "another", &[beat(target, 1, &own[0], 86_400)]).await;
    assert!(matches!(of_another[0], Err(TargetError::Rejected { .. })), "{of_another:?}");
    assert_eq!(rig.records().await, before);
    let mixed = send_beats(target, "ours", &[refused[0].clone(), beat(target, 1, &own[0], 86_400)]).await;
    assert_eq!(mixed.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true], "one that is refused holds up no other");
}

pub async fn nothing_is_sent_after_the_deadline(rig: &dyn Rig) {
    let target = rig.target();
    let who = estate("ours");
    let sending = Sending { estate: &who, at: at(0), deadline: Instant::now() };
    let answer = target.apply(&[create(target, 1)], &sending).await;
    assert!(matches!(answer, Err(TargetError::Unreachable { .. })), "{answer:?}");
    assert_eq!(rig.records().await.len(), 0);
}

/// Runs the suite, each test over a rig of its own: `suite!(async_function_that_makes_a_rig)`, or some of its tests:
/// `suite!(async_function_that_makes_a_rig: create_is_idempotent,)`.
#[macro_export]
macro_rules! suite {
    ($rig:path) => { $crate::suite!($rig:
        create_is_idempotent, a_record_shows_what_was_sent, one_bad_write_stops_no_other, fields_are_changed_and_emptied_one_by_one,
        retire_revive_purge, other_estates_are_left_alone, strangers_are_found_and_left_alone,
        strangers_that_say_that_they_are_something_else_are_not_found, strangers_are_found_as_their_provider_compares_ids,
        a_stranger_that_was_referred_to_is_found_under_any_name, strangers_are_adopted, a_record_takes_a_new_key,
        a_record_that_is_not_the_one_meant_is_left_alone, edges_are_idempotent,
        a_full_read_tells_of_our_edges, a_full_read_lacks_an_edge_that_people_removed, reads_go_to_the_end_in_a_stable_order, find_answers_every_identity,
        odd_values_come_back_as_they_went, nothing_is_sent_after_the_deadline,
    ); };
    // Of a target that has heartbeats.
    ($rig:path, heartbeats) => {
        $crate::suite!($rig);
        $crate::suite!($rig: a_heartbeat_moves_one_time_and_no_time_back, a_heartbeat_goes_to_the_record_that_is_meant,);
    };
    ($rig:path: $($test:ident,)+) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::testing::contract::$test(&$rig().await).await;
        })+
    };
}
pub use crate::suite;
