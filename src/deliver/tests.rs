//! The engine against a target that fails as it is told to, over a real ledger.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{About, Aftermath, Delivery, Outcome, Stop, hold};
use crate::clock::RunClock;
use crate::doctor::Finding;
use crate::estate::{EstateId, Fence};
use crate::ledger::{self, Ledger, LedgerAddress, RunId, TargetNews};
use crate::model::{Digest, Key, Kind, RelationType, TargetName};
use crate::plan::{Change, ChangeKind, DeliveryState, Limits, Reason, RecordBrief, Refusal, TargetState};
use crate::target::{
    Acquaintance, Adapted, Ci, Delivered, Fingerprint, FoundRecord, Identity, Page, RecordId, Sample, Sending, Target, TargetError, Write,
};

/// How the target answers a batch.
#[derive(Debug, Clone, Copy)]
enum Mood {
    /// It goes silent on every batch that holds this record.
    Poisoned(usize),
    /// It is down.
    Down,
    /// It goes silent on every batch of more than these.
    Slow(usize),
    /// It asks to wait for so many seconds.
    BusyFor(u64),
    /// It asks to wait a moment, once.
    BusyOnce,
    /// It does so many of a batch and asks to send the rest a moment later.
    Hurried(usize),
    /// It answers for so many of a batch only.
    Curt(usize),
    /// It goes silent on the first batch, and refuses all from then on.
    Shocked,
}

struct Moody {
    /// Someone who asks to stop as soon as it is asked.
    stop: Option<watch::Sender<bool>>,
    name: TargetName,
    mood: Mood,
    batch_size: usize,
    batches: Mutex<Vec<usize>>,
}

#[async_trait]
impl Target for Moody {
    fn name(&self) -> &TargetName {
        &self.name
    }
    fn adapt(&self, _: &Ci) -> Option<Adapted> {
        None
    }
    fn relates(&self, _: RelationType, _: Kind, _: Kind) -> bool {
        true
    }
    fn mapping_digest(&self) -> Digest {
        Digest::of_parts([])
    }
    async fn fingerprint(&self, _: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        Ok(Fingerprint { instance: "moody".to_owned(), newest_delivered_at: None, sample: Sample::NotTaken })
    }
    async fn find(&self, _: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        BTreeMap::new()
    }
    async fn read(&self, _: Option<&str>) -> Result<Page, TargetError> {
        Ok(Page { records: Vec::new(), next: None })
    }
    async fn apply(&self, batch: &[Write], _: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        let before = {
            let mut batches = self.batches.lock().unwrap();
            batches.push(batch.len());
            batches.len() - 1
        };
        let silent = || TargetError::Unreachable { target: self.name.clone(), operation: "apply", text: "connection reset".to_owned() };
        let done = |write: &Write| Ok(Delivered::to(RecordId(write.key.to_string()), "vm".to_owned()));
        if let Some(stop) = &self.stop {
            stop.send_replace(true);
        }
        match self.mood {
            Mood::Down => Err(silent()),
            Mood::Shocked if before == 0 => Err(silent()),
            Mood::Shocked => {
                let refused = || TargetError::Rejected { target: self.name.clone(), text: "locked".to_owned() };
                Ok(batch.iter().map(|_| Err(refused())).collect())
            }
            Mood::BusyFor(seconds) => Err(TargetError::Busy { target: self.name.clone(), seconds }),
            Mood::Slow(most) if batch.len() > most => Err(silent()),
            Mood::Slow(_) => Ok(batch.iter().map(done).collect()),
            Mood::BusyOnce if before == 0 => Err(TargetError::Busy { target: self.name.clone(), seconds: 1 }),
            Mood::BusyOnce => Ok(batch.iter().map(done).collect()),
            Mood::Hurried(most) => {
                let answer = |(number, write)| match number < most {
                    true => done(write),
                    false => Err(TargetError::Busy { target: self.name.clone(), seconds: 0 }),
                };
                Ok(batch.iter().enumerate().map(answer).collect())
            }
            Mood::Curt(answers) => Ok(batch.iter().take(answers).map(done).collect()),
            Mood::Poisoned(bad) if batch.iter().any(|write| write.key == key(bad)) => Err(silent()),
            Mood::Poisoned(_) => Ok(batch.iter().map(done).collect()),
        }
    }
    fn batch_size(&self) -> usize {
        self.batch_size
    }
    async fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }
}

pub(super) fn key(number: usize) -> Key {
    format!("aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-{number:04}").parse().unwrap()
}

pub(super) fn change(target: &TargetName, number: usize) -> Change {
    Change {
        id: Digest::of_parts([number.to_le_bytes().as_slice()]),
        target: target.clone(),
        key: key(number),
        kind: Kind::Instance,
        account: "123456789012".parse().unwrap(),
        class: "vm".to_owned(),
        change: ChangeKind::Create,
        fields: BTreeMap::new(),
        relation: None,
        record: None,
        revision: 0,
        fence: Fence(1),
        identifying: false,
        people: BTreeSet::new(),
        recreates: false,
        contributed: false,
        gives_way_to: BTreeSet::new(),
        reason: Reason { rule: "default".to_owned(), text: "seen".to_owned() },
        basis: Digest::of_parts([]),
    }
}

fn about(key: &Key) -> About {
    About {
        kind: Kind::Instance,
        native_id: key.to_string(),
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        seen_at: None,
        hosts: Vec::new(),
    }
}

type Sent = (Outcome, Vec<usize>, Arc<dyn Ledger>, tempfile::TempDir);

/// Sends a hundred creates in one batch, and gives what came of it, the sizes of the batches, and the ledger.
async fn send(mood: Mood) -> Sent {
    send_in(mood, 200).await
}

async fn send_in(mood: Mood, batch_size: usize) -> Sent {
    let target: TargetName = "moody".parse().unwrap();
    send_changes(mood, batch_size, (0..100).map(|number| change(&target, number)).collect(), BTreeMap::new()).await
}

async fn send_changes(mood: Mood, batch_size: usize, changes: Vec<Change>, records: BTreeMap<Key, RecordBrief>) -> Sent {
    let moody = Arc::new(Moody { stop: None, name: "moody".parse().unwrap(), mood, batch_size, batches: Mutex::default() });
    let (outcome, ledger, folder) = send_to(moody.clone(), &about, changes, records).await;
    let batches = moody.batches.lock().unwrap().clone();
    (outcome, batches, ledger, folder)
}

/// Sends changes to a target of the name `moody`.
pub(super) async fn send_to(
    target: Arc<dyn Target>,
    about: &(dyn Fn(&Key) -> About + Sync),
    changes: Vec<Change>,
    records: BTreeMap<Key, RecordBrief>,
) -> (Outcome, Arc<dyn Ledger>, tempfile::TempDir) {
    send_until(target, about, changes, records, &tokio::sync::watch::channel(false).1).await
}

async fn send_until(
    target: Arc<dyn Target>,
    about: &(dyn Fn(&Key) -> About + Sync),
    changes: Vec<Change>,
    records: BTreeMap<Key, RecordBrief>,
    interrupt: &watch::Receiver<bool>,
) -> (Outcome, Arc<dyn Ledger>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let address = LedgerAddress::parse("sqlite://dewpoint.db", folder.path(), None).unwrap();
    let ledger: Arc<dyn Ledger> = Arc::from(ledger::open(&address, ledger::Mode::ReadWrite { create: true }).await.unwrap());
    let name: TargetName = "moody".parse().unwrap();
    ledger.note_target(&name, "local", "", &TargetNews::Paused(false)).await.unwrap();
    let clock = Arc::new(RunClock::new(Some(Timestamp::UNIX_EPOCH)));
    let lease = hold(Arc::clone(&ledger), clock, &name, "the test", Aftermath::None).await.unwrap();
    let delivery = Delivery {
        target: &target,
        ledger: ledger.as_ref(),
        lease: &lease,
        run: &RunId("run".to_owned()),
        estate: &EstateId("estate".to_owned()),
        at: Timestamp::UNIX_EPOCH,
        deadline: Instant::now() + Duration::from_secs(600),
        interrupt,
        about,
        fill: &|_| {},
        limits: &Limits::default(),
        approved: &BTreeSet::new(),
        progress: &|_| {},
    };
    let state = TargetState {
        target: name.clone(),
        paused: false,
        records,
        edges: BTreeMap::new(),
        tallies: Vec::new(),
        verdicts: BTreeMap::new(),
    };
    let outcome = delivery.deliver(changes, state).await;
    (outcome, ledger, folder)
}

/// What the ledger still counts as in flight, each once.
async fn in_flight(ledger: &dyn Ledger) -> Vec<Key> {
    let sent = ledger.in_flight(&"moody".parse().unwrap()).await.unwrap();
    sent.into_iter().map(|sent| sent.change.key).collect::<BTreeSet<_>>().into_iter().collect()
}

#[tokio::test]
async fn a_record_that_silences_the_target_never_stops_the_others() {
    for bad in [0, 1, 50, 99] {
        let (outcome, batches, ledger, _folder) = send(Mood::Poisoned(bad)).await;
        assert_eq!(in_flight(&*ledger).await, [key(bad)], "what had no answer is looked up by the next run, and nothing else");
        assert_eq!(outcome.done.get(&ChangeKind::Create), Some(&99), "record {bad}");
        assert_eq!(outcome.failed.iter().map(|failure| failure.key.clone()).collect::<Vec<_>>(), [key(bad)]);
        assert!(outcome.stopped.is_none() && outcome.waiting == 0);
        assert!(batches.len() <= 15, "{batches:?}");
    }
}

#[tokio::test]
async fn a_size_that_was_too_much_is_not_sent_again() {
    let (outcome, batches, ledger, _folder) = send_in(Mood::Slow(12), 40).await;
    assert_eq!(outcome.done.get(&ChangeKind::Create), Some(&100));
    // The second batch was noted while the first was on its way.
    let halved = [40, 20, 10, 10, 20, 10, 10];
    assert_eq!(batches, [halved.as_slice(), halved.as_slice(), [10, 10].as_slice()].concat(), "{batches:?}");
    assert_eq!(in_flight(&*ledger).await, []);
}

#[tokio::test]
async fn a_target_that_is_down_is_given_up_soon() {
    let (outcome, batches, ledger, _folder) = send(Mood::Down).await;
    assert!(matches!(outcome.stopped, Some(Stop::Target(TargetError::Unreachable { .. }))), "{:?}", outcome.stopped);
    assert!(batches.len() <= 12, "{batches:?}");
    assert_eq!(outcome.done, BTreeMap::new());
    assert_eq!(in_flight(&*ledger).await, (0..100).map(key).collect::<Vec<_>>(), "all were in a batch that had no answer");
    // Nothing is lost: what was not tried waits, what was tried is tried again.
    assert_eq!(outcome.waiting + outcome.failed.len() as u64, 100);
    assert!(outcome.failed.iter().all(|failure| !failure.parked));
    ledger.close().await;
}

#[tokio::test]
async fn a_target_that_asks_to_wait_is_asked_once() {
    let (outcome, batches, ledger, _folder) = send(Mood::BusyFor(3600)).await;
    assert!(matches!(outcome.stopped, Some(Stop::Target(TargetError::Busy { .. }))), "{:?}", outcome.stopped);
    assert_eq!((batches, outcome.waiting, outcome.failed.len()), (vec![100], 100, 0));
    assert_eq!(in_flight(&*ledger).await, []);
    assert_eq!(ledger.troubles().await.unwrap().len(), 0, "no record is to blame");
}

#[tokio::test]
async fn a_wait_that_there_is_time_for_is_waited_out() {
    let (outcome, batches, ledger, _folder) = send(Mood::BusyOnce).await;
    assert!(outcome.stopped.is_none(), "{:?}", outcome.stopped);
    assert_eq!((batches, outcome.done.get(&ChangeKind::Create), outcome.waiting), (vec![100, 100], Some(&100), 0));
    assert_eq!(in_flight(&*ledger).await, []);
}

#[tokio::test]
async fn what_a_target_puts_off_is_sent_again_and_nobody_is_to_blame() {
    let (outcome, batches, ledger, _folder) = send(Mood::Hurried(40)).await;
    assert!(outcome.stopped.is_none(), "{:?}", outcome.stopped);
    assert_eq!((batches, outcome.done.get(&ChangeKind::Create), outcome.waiting), (vec![100, 60, 20], Some(&100), 0));
    assert_eq!(in_flight(&*ledger).await, []);
    assert_eq!(ledger.troubles().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_wait_ends_when_someone_asks_to_stop() {
    let name: TargetName = "moody".parse().unwrap();
    let (stop, interrupt) = watch::channel(false);
    let changes = (0..3).map(|number| change(&name, number)).collect();
    let moody = Arc::new(Moody { stop: Some(stop), name, mood: Mood::BusyFor(60), batch_size: 200, batches: Mutex::default() });
    let (outcome, ledger, _folder) = send_until(moody, &about, changes, BTreeMap::new(), &interrupt).await;
    assert!(matches!(outcome.stopped, Some(Stop::Interrupted)), "{:?}", outcome.stopped);
    assert_eq!((outcome.waiting, in_flight(&*ledger).await), (3, Vec::new()));
}

#[tokio::test]
async fn what_a_target_leaves_out_of_its_answer_waits_in_flight() {
    let (outcome, batches, ledger, _folder) = send(Mood::Curt(97)).await;
    assert_eq!(batches, [100]);
    assert_eq!(outcome.done.get(&ChangeKind::Create), Some(&97));
    assert_eq!((outcome.waiting, outcome.unanswered, outcome.failed.len()), (3, 3, 0));
    assert_eq!(in_flight(&*ledger).await, (97..100).map(key).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_refused_after_a_silence_may_have_been_done_before_it() {
    let (outcome, batches, ledger, _folder) = send(Mood::Shocked).await;
    assert_eq!((outcome.failed.len(), batches), (100, vec![100, 50, 50]));
    let mut in_flight = in_flight(ledger.as_ref()).await;
    in_flight.sort();
    assert_eq!(in_flight, (0..100).map(key).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_answer_is_stored_however_many_batches() {
    let (outcome, batches, ledger, _folder) = send_in(Mood::Poisoned(1000), 30).await;
    assert_eq!(batches, [30, 30, 30, 10]);
    assert_eq!((outcome.done[&ChangeKind::Create], outcome.waiting, outcome.failed.len()), (100, 0, 0));
    assert_eq!(in_flight(&*ledger).await, []);
    let stored = ledger.load_target(&"moody".parse().unwrap(), Timestamp::MIN).await.unwrap();
    assert_eq!(stored.records.len(), 100);
    assert!(stored.records.values().all(|row| row.state == DeliveryState::Delivered));
}

#[tokio::test]
async fn a_batch_that_was_noted_ahead_is_withdrawn_when_the_target_is_down() {
    let (outcome, _, ledger, _folder) = send_in(Mood::Down, 40).await;
    assert!(matches!(outcome.stopped, Some(Stop::Target(TargetError::Unreachable { .. }))), "{:?}", outcome.stopped);
    assert_eq!(outcome.waiting + outcome.failed.len() as u64, 100);
    assert_eq!(in_flight(&*ledger).await, (0..40).map(key).collect::<Vec<_>>(), "only the first batch may have arrived");
}

#[tokio::test]
async fn a_bad_record_leaves_the_batches_after_it_whole() {
    let (outcome, batches, ledger, _folder) = send_in(Mood::Poisoned(7), 40).await;
    assert_eq!((outcome.done[&ChangeKind::Create], outcome.waiting, outcome.failed.len()), (99, 0, 1));
    assert_eq!((batches.first(), batches.get(batches.len() - 2..)), (Some(&40), Some([40, 20].as_slice())));
    assert_eq!(in_flight(&*ledger).await, [key(7)]);
}

#[tokio::test]
async fn what_was_refused_holds_up_the_same_wish_only() {
    let target: TargetName = "moody".parse().unwrap();
    let wish = |number: usize, kind: ChangeKind| Change {
        id: Digest::of_parts([kind.as_str().as_bytes(), number.to_le_bytes().as_slice()]),
        change: kind,
        record: Some(RecordId(format!("r-{number}"))),
        ..change(&target, number)
    };
    let row = |change: &Change, attempts: u32, next_try_at: Option<Timestamp>| RecordBrief {
        record: change.record.clone(),
        state: DeliveryState::Failed,
        refusal: Some(Box::new(Refusal { change: change.id, attempts, next_try_at, error: "the name is taken".to_owned() })),
        ..RecordBrief::unborn(change)
    };
    let later = Timestamp::UNIX_EPOCH + Duration::from_secs(60);
    let (parked, backing_off) = (wish(1, ChangeKind::Update), wish(2, ChangeKind::Update));
    let records = [(key(1), row(&parked, 5, None)), (key(2), row(&backing_off, 1, Some(later)))].into();
    let changes = vec![parked, backing_off, wish(1, ChangeKind::Retire), wish(2, ChangeKind::Retire)];
    let (outcome, batches, ..) = send_changes(Mood::Poisoned(1000), 200, changes, records).await;
    let waits: Vec<_> = outcome.failed.iter().map(|failure| (failure.change, failure.parked)).collect();
    assert_eq!(waits, [(ChangeKind::Update, true), (ChangeKind::Update, false)]);
    assert_eq!((outcome.done, batches), ([(ChangeKind::Retire, 2)].into(), vec![2]));
}

#[tokio::test]
async fn what_gives_way_to_a_record_goes_only_once_that_stands() {
    let target: TargetName = "moody".parse().unwrap();
    let retire = |number: usize, fleets: &[usize]| Change {
        id: Digest::of_parts([b"retire".as_slice(), number.to_le_bytes().as_slice()]),
        change: ChangeKind::Retire,
        record: Some(RecordId(format!("r-{number}"))),
        gives_way_to: fleets.iter().copied().map(key).collect(),
        ..change(&target, number)
    };
    let retirements = [retire(10, &[0]), retire(11, &[1]), retire(12, &[0, 1]), retire(13, &[])];
    let row =
        |change: &Change| RecordBrief { record: change.record.clone(), state: DeliveryState::Delivered, ..RecordBrief::unborn(change) };
    let records: BTreeMap<_, _> = retirements.iter().map(|change| (change.key.clone(), row(change))).collect();
    let changes = |first: Change| [first, change(&target, 1)].into_iter().chain(retirements.clone()).collect::<Vec<_>>();

    // The target does not take the first of two fleets.
    let (outcome, _, ledger, _folder) = send_changes(Mood::Poisoned(0), 200, changes(change(&target, 0)), records.clone()).await;
    assert_eq!(outcome.done, [(ChangeKind::Create, 1), (ChangeKind::Retire, 2)].into());
    assert_eq!((outcome.waiting, outcome.failed.len()), (2, 1), "what waits has not failed");
    let troubled: Vec<_> = ledger.troubles().await.unwrap().into_iter().map(|trouble| trouble.key).collect();
    assert_eq!(troubled, [key(0)], "nothing is noted against what waits");

    // It is not asked again yet: the same.
    let refused = change(&target, 0);
    let refusal = Refusal { change: refused.id, attempts: 1, next_try_at: Some(Timestamp::MAX), error: "no".to_owned() };
    let row = RecordBrief { state: DeliveryState::Failed, refusal: Some(Box::new(refusal)), ..RecordBrief::unborn(&refused) };
    let backing_off = records.clone().into_iter().chain([(key(0), row)]).collect();
    let (outcome, ..) = send_changes(Mood::Poisoned(1000), 200, changes(refused), backing_off).await;
    assert_eq!((outcome.done.get(&ChangeKind::Retire), outcome.waiting, outcome.failed.len()), (Some(&2), 2, 1));

    // Both stand: all go.
    let (outcome, ..) = send_changes(Mood::Poisoned(1000), 200, changes(change(&target, 0)), records).await;
    assert_eq!((outcome.done.get(&ChangeKind::Retire), outcome.waiting, outcome.failed.len()), (Some(&4), 0, 0));
}
