//! Whole runs against a target that fails as it is told to.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod beating;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::sync::watch;

use super::progress::Meter;
use super::report;
use super::{Context, Ended, Mode, Options, RunError, alone, setup};
use crate::clock::{Began, RunClock};
use crate::config::{self, Config};
use crate::doctor::Finding;
use crate::exit::Exit;
use crate::ledger::{self, Ledger, LedgerAddress, RunId, TargetNews};
use crate::model::{Digest, Key, Kind, Outcome, RelationType, TargetName};
use crate::plan::{ChangeKind, DeliveryState};
use crate::target::{
    Acquaintance, Adapted, Beat, Ci, Delivered, Fingerprint, FoundRecord, Identity, Page, Sending, Target, TargetError, Write,
};

/// What is wrong with the CMDB at the moment.
#[derive(Default)]
struct Faults {
    /// It cannot be read in full.
    unreadable: AtomicBool,
    /// It leaves so many writes of each batch unanswered.
    silent: AtomicUsize,
    /// The mapping of instances' names fails.
    unmapped: AtomicBool,
    /// How often records were looked for.
    finds: AtomicUsize,
    /// Its heart, where it has one.
    heart: Mutex<Option<beating::Heart>>,
}

/// The local CMDB with faults in front of it.
struct Faulty {
    inner: Box<dyn Target>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Target for Faulty {
    fn name(&self) -> &TargetName {
        self.inner.name()
    }
    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        let mut adapted = self.inner.adapt(ci)?;
        if self.faults.unmapped.load(Ordering::SeqCst) && ci.kind == Kind::Instance {
            adapted.fields.remove("name");
            adapted.failed.insert("name".to_owned(), "it has no value".to_owned());
        }
        Some(adapted)
    }
    fn is_host(&self, kind: Kind) -> bool {
        kind == Kind::Account
    }
    fn relates(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        self.inner.relates(relation, from, to)
    }
    fn mapping_digest(&self) -> Digest {
        let unmapped = [u8::from(self.faults.unmapped.load(Ordering::SeqCst))];
        Digest::of_parts([self.inner.mapping_digest().as_bytes().as_slice(), &unmapped])
    }
    async fn fingerprint(&self, known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        self.inner.fingerprint(known).await
    }
    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        self.faults.finds.fetch_add(1, Ordering::SeqCst);
        self.inner.find(identities).await
    }
    async fn read(&self, after: Option<&str>) -> Result<Page, TargetError> {
        if self.faults.unreadable.load(Ordering::SeqCst) {
            let text = "connection reset".to_owned();
            return Err(TargetError::Unreachable { target: self.name().clone(), operation: "read", text });
        }
        self.inner.read(after).await
    }
    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        let mut answers = self.inner.apply(batch, sending).await?;
        answers.truncate(answers.len().saturating_sub(self.faults.silent.load(Ordering::SeqCst)));
        Ok(answers)
    }
    fn batch_size(&self) -> usize {
        self.inner.batch_size()
    }
    fn beats_within(&self, time: Duration) -> Option<usize> {
        self.faults.heart.lock().unwrap().as_ref().map(|heart| heart.within(time))
    }
    async fn beat(&self, beats: &[Beat], _: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        self.faults.heart.lock().unwrap().as_mut().unwrap().take(self.name(), beats)
    }
    fn ends_with_sender(&self) -> bool {
        self.inner.ends_with_sender()
    }
    async fn doctor(&self) -> Vec<Finding> {
        self.inner.doctor().await
    }
}

const ACCOUNT_KEY: &str = "aws:arn:aws:iam::123456789012:root";

/// A folder with an inventory, a ledger and a CMDB.
struct World {
    folder: tempfile::TempDir,
    config: Config,
    ledger: Arc<dyn Ledger>,
    faults: Arc<Faults>,
    mode: Mode,
}

const CONFIG: &str = "ledger: sqlite://dewpoint.db\nsources:\n  - { name: estate, kind: file, path: inventory.json }\n\
     targets:\n  - { name: cmdb, kind: local, path: cmdb.db, verify_every: 24h }\n";

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config::load_str("dewpoint.yaml", CONFIG, folder.path()).unwrap();
        let address = LedgerAddress::parse("sqlite://dewpoint.db", folder.path(), None).unwrap();
        let ledger = Arc::from(ledger::open(&address, ledger::Mode::ReadWrite { create: true }).await.unwrap());
        Self { folder, config, ledger, faults: Arc::default(), mode: Mode::Sync }
    }

    /// An inventory of so many instances.
    fn put(&self, instances: usize) {
        self.put_beside(instances, "complete");
    }

    /// An inventory of so many instances, all of which lie in the account.
    fn put_with_account(&self, instances: usize) {
        self.put(instances);
        let file = self.folder.path().join("inventory.json");
        let mut inventory: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let add = |part: &mut Value, value: Value| part.as_array_mut().unwrap().push(value);
        for i in 0..instances {
            let from = format!("aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-{i}");
            add(&mut inventory["relations"], json!({ "type": "located_in", "from": from, "to": ACCOUNT_KEY, "attributes": {} }));
        }
        let place = json!({ "kind": "account", "provider": "aws", "account": "123456789012", "region": "*" });
        let with = |more: Value| {
            let parts = [place.clone(), more].into_iter().flat_map(|part| part.as_object().cloned().unwrap());
            Value::Object(parts.collect())
        };
        add(
            &mut inventory["resources"],
            with(json!({ "key": ACCOUNT_KEY, "native_id": "123456789012", "name": "shop", "tags": {}, "attributes": {} })),
        );
        add(&mut inventory["receipts"], with(json!({ "source": "estate", "outcome": "complete" })));
        std::fs::write(file, inventory.to_string()).unwrap();
    }

    async fn open_cmdb(&self) -> sqlx::SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.folder.path().join("cmdb.db")).foreign_keys(true);
        sqlx::SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// The one number that a query against the CMDB gives.
    async fn cmdb(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.open_cmdb().await).await.unwrap()
    }

    /// What people do to the CMDB.
    async fn cmdb_do(&self, statement: &'static str) {
        sqlx::query(statement).execute(&mut self.open_cmdb().await).await.unwrap();
    }

    /// The same, with another scope that ended so.
    fn put_beside(&self, instances: usize, volumes: &str) {
        self.put_listed(instances, "complete", volumes);
    }

    /// The same where the scope of the instances ended so.
    fn put_listed(&self, instances: usize, listed: &str, volumes: &str) {
        let scope = |kind: &str, outcome: &str| json!({ "source": "estate", "provider": "aws", "account": "123456789012", "region": "eu-west-1", "kind": kind, "outcome": outcome });
        let resources: Vec<Value> = (0..instances)
            .map(|i| {
                json!({ "key": format!("aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-{i}"), "kind": "instance", "provider": "aws",
                    "native_id": format!("i-{i}"), "account": "123456789012", "region": "eu-west-1", "name": format!("web-{i}"), "tags": {},
                    "state": "running", "created_at": "2026-01-01T00:00:00Z", "attributes": {} })
            })
            .collect();
        let inventory = json!({ "schema_version": 1, "taken_at": "2026-02-01T00:00:00Z", "resources": resources, "relations": [],
            "receipts": [scope("instance", listed), scope("volume", volumes)] });
        std::fs::write(self.folder.path().join("inventory.json"), inventory.to_string()).unwrap();
    }

    async fn sync(&self, hour: i64) -> Ended {
        self.sync_with(hour, &|| {}).await.unwrap()
    }

    /// Syncs so many hours after the first day began; `meanwhile` is called when the plan is made and before it is committed.
    async fn sync_with(&self, hour: i64, meanwhile: &(dyn Fn() + Sync)) -> Result<Ended, RunError> {
        let faults = Arc::clone(&self.faults);
        let targets = move |configured: &config::TargetConfig, absent, requests: &_| -> Box<dyn Target> {
            Box::new(Faulty { inner: setup::target(configured, absent, requests), faults: Arc::clone(&faults) })
        };
        let (_stop, interrupt) = watch::channel(false);
        let meter = Meter::new(false);
        let clock = RunClock::new(Some(Timestamp::from_second(1_770_000_000).unwrap() + hour.hours()));
        let context = Context {
            config: &self.config,
            ledger: Arc::clone(&self.ledger),
            clock: Arc::new(clock),
            targets: &targets,
            meter: &meter,
            interrupt,
            mode: self.mode,
            run: RunId(format!("run-{hour}")),
            began: Began::now(&clock),
            holder: format!("test {hour}"),
            leases: Mutex::default(),
        };
        let options = Options::default();
        let sources = setup::sources(&self.config, &options.sources).unwrap();
        let ended = async {
            let reading = super::read(&context, &sources, &options).await?;
            super::run(&context, &sources, reading, &options, None, &|_, _| meanwhile()).await
        };
        let ended = Box::pin(ended).await;
        context.release_leases().await;
        ended
    }

    fn delivered(ended: &Ended, change: ChangeKind) -> u64 {
        ended.report.counts.values().filter_map(|counts| counts.get(&change)).sum()
    }

    /// Accepts the denied scope, as `dewpoint coverage accept` does.
    async fn accept(ledger: &Arc<dyn Ledger>) {
        let denied = |ledger: Arc<dyn Ledger>| async move {
            let scopes = ledger.load_estate().await?.estate.scopes;
            let gaps: Vec<_> =
                scopes.into_keys().filter(|scope| scope.kind == Kind::Volume).map(|scope| (scope, Some(Outcome::Denied))).collect();
            ledger.accept_scopes(&gaps).await
        };
        alone(ledger, Arc::new(RunClock::new(None)), "someone", denied(Arc::clone(ledger))).await.unwrap();
    }
}

#[tokio::test]
async fn a_target_is_served_although_its_routine_read_failed() {
    let world = World::new().await;
    world.put(3);
    world.sync(0).await;
    world.put(4);
    world.faults.unreadable.store(true, Ordering::SeqCst);
    // Not due yet: nobody notices.
    assert_eq!(world.sync(1).await.exit(), Exit::Done);

    world.put(5);
    let ended = world.sync(30).await;
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Create)), (Exit::Partly, 1));
    let text = report::text(&ended.report, false);
    assert!(text.contains("did not answer `read`") && text.contains("served from what the ledger knows"), "{text}");
    let verified = || async { world.ledger.target_row(&"cmdb".parse().unwrap()).await.unwrap().unwrap().verified_at };
    let before = verified().await;

    // It is still due, and done as soon as it can be.
    world.faults.unreadable.store(false, Ordering::SeqCst);
    assert_eq!(world.sync(31).await.exit(), Exit::Done);
    assert!(verified().await > before);
}

#[tokio::test]
async fn a_target_is_not_served_while_a_read_that_is_needed_fails() {
    let world = World::new().await;
    world.put(3);
    world.faults.unreadable.store(true, Ordering::SeqCst);
    let first_contact = world.sync(0).await;
    assert_eq!((first_contact.exit(), World::delivered(&first_contact, ChangeKind::Create)), (Exit::Partly, 0));

    world.faults.unreadable.store(false, Ordering::SeqCst);
    world.sync(1).await;
    let name: TargetName = "cmdb".parse().unwrap();
    world.ledger.note_target(&name, "local", "", &TargetNews::Recover(true)).await.unwrap();
    world.put(4);
    world.faults.unreadable.store(true, Ordering::SeqCst);
    let recovery = world.sync(2).await;
    assert_eq!((recovery.exit(), World::delivered(&recovery, ChangeKind::Create)), (Exit::Partly, 0));
}

#[tokio::test]
async fn what_had_no_answer_is_told_and_looked_up() {
    let world = World::new().await;
    world.put(5);
    world.faults.silent.store(2, Ordering::SeqCst);
    let ended = world.sync(0).await;
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Create)), (Exit::Partly, 3));
    assert_eq!(ended.report.waiting.values().sum::<u64>(), 2);
    let text = report::text(&ended.report, false);
    assert!(text.contains("2 changes may have arrived or not"), "{text}");

    // They had arrived: nothing is sent twice.
    world.faults.silent.store(0, Ordering::SeqCst);
    let next = world.sync(1).await;
    assert_eq!((next.exit(), next.report.counts.values().flat_map(BTreeMap::values).sum::<u64>()), (Exit::Done, 0));
}

#[tokio::test]
async fn requests_are_told_with_what_they_were_for() {
    let world = World::new().await;
    world.put(1);
    let mut report = world.sync(0).await.report;
    assert!(
        report.calls.contains_key("cmdb") && !report::text(&report, true).contains("asked"),
        "batches are no requests: {:?}",
        report.calls
    );

    let calls = |calls: &[(&str, u64)]| calls.iter().map(|(operation, n)| ((*operation).to_owned(), *n)).collect();
    report.calls.insert("snow".to_owned(), calls(&[("table read", 3), ("reconcile", 1200)]));
    report.calls.insert("aws".to_owned(), calls(&[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 1)]));
    report.waited_s = [("snow".to_owned(), 61.25), ("aws".to_owned(), 0.01)].into();
    let text = report::text(&report, false);
    assert!(text.contains("\nasked     snow: 1203 requests: 1200 reconcile, 3 table read; waited 61.2 s\n"), "{text}");
    assert!(text.contains("\nasked     aws: 16 requests: 5 e, 4 d, 3 c, 2 b, 2 of 2 more kinds\n"), "{text}");
    assert!(report::text(&report, true).contains("\nasked     aws: 16 requests: 5 e, 4 d, 3 c, 2 b, 1 a, 1 f\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_of_scopes_waits_for_the_sync_under_way() {
    let world = World::new().await;
    world.put_beside(3, "denied");
    world.sync(0).await;
    let asked = Mutex::new(None);
    let ask = || {
        let ledger = Arc::clone(&world.ledger);
        *asked.lock().unwrap() = Some(tokio::spawn(async move { World::accept(&ledger).await }));
    };
    let ended = world.sync_with(1, &ask).await.unwrap();
    assert_eq!(ended.exit(), Exit::Partly, "the gap is not accepted yet");
    let asked = asked.lock().unwrap().take().unwrap();
    asked.await.unwrap();
    assert_eq!(world.sync(2).await.exit(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estate_that_changed_meanwhile_ends_as_partly_done() {
    let world = World::new().await;
    world.put(3);
    world.sync(0).await;
    world.put(4);
    // Somebody who holds no lease, as a run that lost its own.
    let change = || {
        let ledger = Arc::clone(&world.ledger);
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(ledger.accept_scopes(&[])).unwrap());
    };
    let error = world.sync_with(1, &change).await.err().unwrap();
    assert_eq!(error.exit(), Exit::Partly, "{error}");
    assert!(error.hint().unwrap().contains("run again"));
    let next = world.sync(2).await;
    assert_eq!(World::delivered(&next, ChangeKind::Create), 1, "nothing is lost");
}

#[tokio::test]
async fn a_mapping_that_fails_is_told_by_every_sync_and_leaves_the_field() {
    let world = World::new().await;
    world.put(2);
    world.sync(0).await;
    world.faults.unmapped.store(true, Ordering::SeqCst);
    for hour in 1..3 {
        let ended = world.sync(hour).await;
        let told = report::text(&ended.report, false);
        assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Update)), (Exit::Partly, 0), "{told}");
        assert!(
            told.contains("target `cmdb`: the mapping of `name` failed for 2 records, where it stays as it is; the first is aws:"),
            "{told}"
        );
    }
    let names = "SELECT count(*) FROM ci WHERE name LIKE 'web-%'";
    assert_eq!(world.cmdb(names).await, 2);
    // What is made meanwhile goes without it.
    world.put(3);
    let ended = world.sync(3).await;
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Create)), (Exit::Partly, 1));
    assert_eq!(world.cmdb(names).await, 2);
    world.faults.unmapped.store(false, Ordering::SeqCst);
    let ended = world.sync(4).await;
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Update)), (Exit::Done, 1));
    assert_eq!(world.cmdb(names).await, 3);
}

#[tokio::test]
async fn a_strangers_host_is_referred_to_until_people_remove_it() {
    let world = World::new().await;
    world.put(1);
    world.sync(0).await;
    world
        .cmdb_do("INSERT INTO record (class, fields) VALUES ('cloud', '{\"native_id\": \"123456789012\", \"name\": \"people''s\"}')")
        .await;
    let stranger =
        "SELECT count(*) FROM record WHERE estate IS NULL AND delivered_at IS NULL AND json_extract(fields, '$.name') = 'people''s'";
    world.put_with_account(1);
    let ended = world.sync(1).await;
    let told = report::text(&ended.report, false);
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Create)), (Exit::Done, 0), "{told}");
    assert_eq!(World::delivered(&ended, ChangeKind::Relate), 1, "{told}");
    assert_eq!(world.cmdb(stranger).await, 1);
    let row = || async {
        let key: Key = ACCOUNT_KEY.parse().unwrap();
        world.ledger.records_of(&key).await.unwrap().into_values().next().unwrap()
    };
    assert_eq!((row().await.state, row().await.contributed), (DeliveryState::Excluded, true));

    // An unchanged sync asks nothing.
    let finds = world.faults.finds.load(Ordering::SeqCst);
    let ended = world.sync(2).await;
    assert_eq!((ended.exit(), ended.report.counts.values().flat_map(BTreeMap::values).sum::<u64>()), (Exit::Done, 0));
    assert_eq!(world.faults.finds.load(Ordering::SeqCst), finds);
    // A full read has it looked up, and it is there.
    let ended = world.sync(30).await;
    assert_eq!((ended.exit(), ended.report.counts.values().flat_map(BTreeMap::values).sum::<u64>()), (Exit::Done, 0));
    assert_eq!(world.faults.finds.load(Ordering::SeqCst), finds + 1);
    assert!(row().await.is_reference());

    world.cmdb_do("DELETE FROM relation").await;
    world.cmdb_do("DELETE FROM record WHERE estate IS NULL").await;
    assert_eq!(World::delivered(&world.sync(31).await, ChangeKind::Create), 0, "nobody looked");
    let ended = world.sync(60).await;
    let told = report::text(&ended.report, false);
    assert_eq!((ended.exit(), World::delivered(&ended, ChangeKind::Create)), (Exit::Done, 1), "{told}");
    assert_eq!(World::delivered(&ended, ChangeKind::Relate), 1, "{told}");
    assert_eq!((row().await.state, row().await.contributed), (DeliveryState::Delivered, false));
    let ended = world.sync(61).await;
    assert_eq!((ended.exit(), ended.report.counts.values().flat_map(BTreeMap::values).sum::<u64>()), (Exit::Done, 0));
}
