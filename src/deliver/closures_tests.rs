//! The engine against targets that want creates with all that they depend on, or with the edges that their records hold.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;

use super::tests::{change, key, send_to};
use super::{About, Outcome};
use crate::doctor::Finding;
use crate::model::{Account, Digest, EdgeId, Key, Kind, Region, RelationType, TargetName};
use crate::plan::{Change, ChangeKind, DeliveryState, RecordBrief};
use crate::target::{
    Acquaintance, Adapted, Ci, Delivered, End, Fingerprint, FoundRecord, HostEdge, Identity, Operation, Page, RecordId, Sample, Sending,
    Side, Target, TargetError, Together, Write,
};

/// Checks every batch as an engine of identification would.
struct Strict {
    name: TargetName,
    together: Together,
    keeper: Option<Side>,
    batch_size: usize,
    /// A batch that holds this one gets no answer.
    poison: Option<Key>,
    /// This one is refused.
    bad: Option<Key>,
    batches: Mutex<Vec<Vec<String>>>,
    records: Mutex<BTreeSet<Key>>,
}

impl Strict {
    fn new(batch_size: usize) -> Self {
        Self {
            name: "moody".parse().unwrap(),
            together: Together::Places,
            keeper: None,
            batch_size,
            poison: None,
            bad: None,
            batches: Mutex::default(),
            records: Mutex::default(),
        }
    }

    /// One whose edges are part of the records where they end.
    fn holding(batch_size: usize) -> Self {
        Self { together: Together::Edges, keeper: Some(Side::To), ..Self::new(batch_size) }
    }

    fn edges(&self) -> BTreeSet<String> {
        let batches = self.batches.lock().unwrap();
        batches.iter().flatten().filter(|write| write.contains("->")).cloned().collect()
    }
}

fn short(key: &Key) -> &str {
    key.as_str().rsplit('/').next().unwrap()
}

const HOSTS: &[HostEdge] = &[HostEdge { relation: RelationType::LocatedIn, kind: Kind::Network, outgoing: true }];

#[async_trait]
impl Target for Strict {
    fn name(&self) -> &TargetName {
        &self.name
    }
    fn adapt(&self, _: &Ci) -> Option<Adapted> {
        None
    }
    fn relates(&self, _: RelationType, _: Kind, _: Kind) -> bool {
        true
    }
    fn hosts(&self, _: Kind) -> &'static [HostEdge] {
        HOSTS
    }
    fn together(&self) -> Together {
        self.together
    }
    fn keeper(&self, _: RelationType, _: Kind, _: Kind) -> Option<Side> {
        self.keeper
    }
    fn mapping_digest(&self) -> Digest {
        Digest::of_parts([])
    }
    async fn fingerprint(&self, _: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        Ok(Fingerprint { instance: "strict".to_owned(), newest_delivered_at: None, sample: Sample::NotTaken })
    }
    async fn find(&self, _: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        BTreeMap::new()
    }
    async fn read(&self, _: Option<&str>) -> Result<Page, TargetError> {
        Ok(Page { records: Vec::new(), next: None })
    }
    async fn apply(&self, batch: &[Write], _: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        let mut records = self.records.lock().unwrap();
        let mut made = BTreeSet::new();
        let places: BTreeSet<(&Account, &Region)> = batch
            .iter()
            .filter(|write| matches!(write.operation, Operation::Create { .. }))
            .map(|write| (&write.place.account, &write.place.region))
            .collect();
        assert!(self.together != Together::Places || places.len() <= 1, "creates of one account and region to a batch");
        if self.poison.as_ref().is_some_and(|poison| batch.iter().any(|write| write.key == *poison)) {
            let text = "connection reset".to_owned();
            return Err(TargetError::Unreachable { target: self.name.clone(), operation: "apply", text });
        }
        let mut names = Vec::new();
        let mut answers = Vec::new();
        for write in batch {
            let stands = |end: &End| match end {
                End::Stands(addressed) => records.contains(addressed.record.0.as_str()),
                End::Made(key) => made.contains(key),
            };
            let answer = match &write.operation {
                Operation::Create { .. } => {
                    for host in write.place.hosts.iter().filter(|_| self.together == Together::Places) {
                        assert!(stands(&host.record) || self.bad.as_ref() == Some(&host.key), "{host:?} of {}", write.key);
                        assert_eq!(host.kind, Kind::Network);
                    }
                    names.push(short(&write.key).to_owned());
                    if self.bad.as_ref() == Some(&write.key) {
                        Err(TargetError::Rejected { target: self.name.clone(), text: "no".to_owned() })
                    } else {
                        made.insert(write.key.clone());
                        Ok(())
                    }
                }
                Operation::Relate { edge, from, to, .. } if stands(from) && stands(to) => {
                    names.push(format!("{}->{}", short(&edge.from), short(&edge.to)));
                    Ok(())
                }
                Operation::Relate { .. } => Err(TargetError::Abandoned { target: self.name.clone(), text: "its end".to_owned() }),
                other => panic!("{other:?}"),
            };
            let delivered = || Delivered::to(RecordId(write.key.to_string()), "vm".to_owned());
            answers.push(answer.map(|()| delivered()));
        }
        records.extend(made);
        self.batches.lock().unwrap().push(names);
        Ok(answers)
    }
    fn batch_size(&self) -> usize {
        self.batch_size
    }
    async fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Number 0 is the network that every other one of its hundred is identified beside; each hundred is an account.
fn about(asked: &Key) -> About {
    let number = (0..1000).find(|number| key(*number) == *asked).expect("one of ours");
    About {
        kind: if number % 100 == 0 { Kind::Network } else { Kind::Instance },
        native_id: asked.to_string(),
        account: format!("account-{}", number / 100).parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        seen_at: None,
        hosts: if number % 100 == 0 { Vec::new() } else { vec![key(number / 100 * 100)] },
    }
}

fn edge(target: &TargetName, from: usize, to: usize) -> Change {
    let relation = EdgeId { from: key(from), relation: RelationType::RoutesTo, to: key(to) };
    Change {
        id: Digest::of_parts([from.to_le_bytes().as_slice(), to.to_le_bytes().as_slice()]),
        change: ChangeKind::Relate,
        relation: Some(relation),
        ..change(target, from)
    }
}

fn creates(target: &TargetName) -> Vec<Change> {
    let numbers = (0..6).chain(100..103);
    numbers.map(|number| Change { kind: about(&key(number)).kind, ..change(target, number) }).collect()
}

/// The row of a record that was made.
fn standing(change: &Change) -> RecordBrief {
    let record = Some(RecordId(change.key.to_string()));
    RecordBrief { record, state: DeliveryState::Delivered, ..RecordBrief::unborn(change) }
}

async fn send(strict: Strict, changes: Vec<Change>) -> (Outcome, std::sync::Arc<Strict>) {
    let strict = std::sync::Arc::new(strict);
    let (outcome, ..) = send_to(strict.clone(), &about, changes, BTreeMap::new()).await;
    (outcome, strict)
}

#[tokio::test]
async fn creates_go_by_place_with_the_edges_that_they_complete() {
    let strict = Strict::new(3);
    let name = strict.name.clone();
    let edges = [edge(&name, 1, 5), edge(&name, 5, 2), edge(&name, 4, 102), edge(&name, 100, 0)];
    let (outcome, strict) = send(strict, creates(&name).into_iter().chain(edges).collect()).await;
    assert!(outcome.failed.is_empty() && outcome.stopped.is_none() && outcome.waiting == 0, "{outcome:?}");
    let batches = strict.batches.lock().unwrap().clone();
    let expected: [&[&str]; 3] = [
        &["i-0000", "i-0001", "i-0002"],
        &["i-0003", "i-0004", "i-0005", "i-0001->i-0005", "i-0005->i-0002"],
        &["i-0100", "i-0100->i-0000", "i-0101", "i-0102", "i-0004->i-0102"],
    ];
    assert_eq!(batches, expected);
}

#[tokio::test]
async fn a_batch_without_an_answer_is_halved_and_no_edge_is_lost() {
    let mut strict = Strict::new(100);
    strict.poison = Some(key(3));
    let name = strict.name.clone();
    let edges = [edge(&name, 1, 5), edge(&name, 5, 2), edge(&name, 3, 4), edge(&name, 4, 102)];
    let (outcome, strict) = send(strict, creates(&name).into_iter().chain(edges).collect()).await;
    let failed: BTreeSet<&Key> = outcome.failed.iter().map(|failure| &failure.key).collect();
    assert_eq!(failed, BTreeSet::from([&key(3)]));
    assert_eq!(outcome.waiting, 1, "the edge of what was not made: {outcome:?}");
    assert_eq!(strict.records.lock().unwrap().len(), 8);
    assert_eq!(strict.edges(), ["i-0001->i-0005", "i-0004->i-0102", "i-0005->i-0002"].map(str::to_owned).into());
}

#[tokio::test]
async fn edges_of_a_refused_record_wait_and_are_no_failures() {
    let mut strict = Strict::new(100);
    strict.bad = Some(key(5));
    let name = strict.name.clone();
    let edges = [edge(&name, 1, 5), edge(&name, 1, 2)];
    let (outcome, strict) = send(strict, creates(&name).into_iter().chain(edges).collect()).await;
    assert_eq!(outcome.failed.iter().map(|failure| &failure.key).collect::<Vec<_>>(), [&key(5)]);
    assert_eq!((outcome.waiting, outcome.done.get(&ChangeKind::Relate)), (1, Some(&1)), "{outcome:?}");
    assert_eq!(strict.edges(), ["i-0001->i-0002".to_owned()].into());
}

#[tokio::test]
async fn records_go_behind_what_they_lead_to_with_the_edges_that_they_hold() {
    let strict = Strict::holding(3);
    let name = strict.name.clone();
    // What an edge ends at leads to where it starts: 1 to 5, 2 to 1, 3 to 102; 4 and 100 to each other.
    let edges = [edge(&name, 5, 1), edge(&name, 1, 2), edge(&name, 102, 3), edge(&name, 4, 100), edge(&name, 100, 4)];
    let (outcome, strict) = send(strict, creates(&name).into_iter().chain(edges).collect()).await;
    assert!(outcome.failed.is_empty() && outcome.stopped.is_none() && outcome.waiting == 0, "{outcome:?}");
    let batches = strict.batches.lock().unwrap().clone();
    let expected: [&[&str]; 4] = [
        &["i-0000", "i-0005", "i-0001", "i-0005->i-0001"],
        &["i-0002", "i-0001->i-0002", "i-0101", "i-0102"],
        &["i-0003", "i-0102->i-0003", "i-0100", "i-0004", "i-0100->i-0004"],
        &["i-0004->i-0100"],
    ];
    assert_eq!(batches, expected);
}

#[tokio::test]
async fn all_edges_of_a_record_are_sent_at_once() {
    let strict = Strict::holding(2);
    let name = strict.name.clone();
    let (outcome, strict) = send(strict, creates(&name)).await;
    assert!(outcome.failed.is_empty(), "{outcome:?}");
    strict.batches.lock().unwrap().clear();
    let edges = [(1, 5), (2, 5), (3, 5), (1, 4), (2, 4), (5, 2), (4, 102)];
    let changes = edges.map(|(from, to)| edge(&name, from, to)).to_vec();
    let records = creates(&name).into_iter().map(|change| (change.key.clone(), standing(&change))).collect();
    let (outcome, ..) = send_to(strict.clone(), &about, changes, records).await;
    assert!(outcome.failed.is_empty() && outcome.waiting == 0, "{outcome:?}");
    let batches = strict.batches.lock().unwrap().clone();
    let expected: [&[&str]; 2] = [
        &["i-0005->i-0002", "i-0001->i-0004", "i-0002->i-0004"],
        &["i-0001->i-0005", "i-0002->i-0005", "i-0003->i-0005", "i-0004->i-0102"],
    ];
    assert_eq!(batches, expected);
}

#[tokio::test]
async fn edges_of_one_record_count_once_when_a_batch_is_halved() {
    let mut strict = Strict::holding(4);
    let name = strict.name.clone();
    let records = creates(&name).into_iter().map(|change| (change.key.clone(), standing(&change))).collect();
    *strict.records.lock().unwrap() = creates(&name).into_iter().map(|change| change.key).collect();
    strict.poison = Some(key(3));
    let edges = [(1, 5), (2, 5), (3, 5), (1, 4), (2, 4), (5, 2)];
    let changes = edges.map(|(from, to)| edge(&name, from, to)).to_vec();
    let (outcome, strict) = {
        let strict = std::sync::Arc::new(strict);
        let (outcome, ..) = send_to(strict.clone(), &about, changes, records).await;
        (outcome, strict)
    };
    let failed: Vec<_> = outcome.failed.iter().map(|failure| short(&failure.key)).collect();
    assert_eq!(failed, ["i-0003"], "{outcome:?}");
    assert_eq!(strict.edges().len(), 5);
}
