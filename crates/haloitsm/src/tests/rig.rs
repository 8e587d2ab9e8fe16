//! A tenant with the target that writes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dewpoint_core::target::{Delivered, RecordId, StepOutcome, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{create, estate, send, send_as};
use dewpoint_halo_sim::{Application, CLIENT_ID, CLIENT_SECRET, Settings, Sim, Start, Status, Tenant};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::OnceCell;

use crate::{BaseUrl, Connection, HaloConfig, HaloTarget, Mapping, NoMeter, Plaintext, Proxies, SystemClock};

/// An application that keeps assets and may not configure anything.
pub(super) const WORKER: &str = "worker";

pub(super) struct Rig {
    pub(super) sim: Sim,
    pub(super) target: HaloTarget,
}

/// The machine's clock, but nobody waits by it: pauses between attempts take no time.
#[derive(Debug)]
struct Hurried(SystemClock);

#[async_trait::async_trait]
impl crate::Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// A clock that tests set forward.
#[derive(Debug)]
pub(super) struct Forward(SystemClock, AtomicU64);

impl Forward {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(SystemClock::new(), AtomicU64::new(0)))
    }

    pub(super) fn by(&self, seconds: u64) {
        self.1.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl crate::Clock for Forward {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed() + Duration::from_secs(self.1.load(Ordering::Relaxed))
    }
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// As one of the tenant's applications.
pub(super) fn config_of(sim: &Sim, client_id: &str, secret: &str) -> HaloConfig {
    HaloConfig {
        connection: Connection {
            target: "halo".parse().unwrap(),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(600),
            ca_pem: None,
            proxies: Proxies::default(),
            meter: Arc::new(NoMeter),
            clock: Arc::new(Hurried(SystemClock::new())),
        },
        url: BaseUrl::parse(&sim.url(), Plaintext::Loopback).unwrap(),
        auth_url: None,
        tenant: Some("acme".to_owned()),
        client_id: client_id.to_owned(),
        client_secret: SecretString::from(secret),
        scopes: "all".to_owned(),
        client: "Cloud".to_owned(),
        site: "Cloud".to_owned(),
        mapping: Arc::new(Mapping::standard().unwrap()),
        authority: BTreeMap::new(),
        batch_size: 50,
        requests_per_minute: NonZeroU32::new(60_000).unwrap(),
    }
}

/// As the application that keeps assets.
pub(super) fn config(sim: &Sim) -> HaloConfig {
    config_of(sim, WORKER, &format!("{WORKER}-secret"))
}

/// A tenant in which all statuses stand: none can be made.
pub(super) fn tenant() -> Tenant {
    let mut tenant = Tenant::new();
    tenant.statuses.insert(5, Status { name: "Inactive".to_owned() });
    tenant.with_application(Application { administrator: false, ..Application::new(WORKER) })
}

impl Rig {
    /// A tenant without our types.
    pub(super) fn bare(tenant: Tenant, change: impl FnOnce(&mut Settings)) -> Self {
        let mut start = Start::new(tenant);
        start.settings.throttle = None;
        change(&mut start.settings);
        let sim = Sim::start_with(start).unwrap();
        let target = HaloTarget::new(&config(&sim)).unwrap();
        Self { sim, target }
    }

    /// A tenant with all that has to be there, which is made once for all tests.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        static SET_UP: OnceCell<Tenant> = OnceCell::const_new();
        let set_up = SET_UP.get_or_init(async || Self::over(tenant(), |_| {}).await.sim.snapshot()).await;
        Self::bare(set_up.clone(), change)
    }

    /// The same over another tenant.
    pub(super) async fn over(tenant: Tenant, change: impl FnOnce(&mut Settings)) -> Self {
        let rig = Self::bare(tenant, change);
        let steps = rig.of_administrator().bootstrap(false).await.unwrap();
        let refused: Vec<_> = steps.iter().filter(|step| step.outcome == StepOutcome::Refused).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        rig.sim.clear_calls();
        rig
    }

    /// As strict as it gets.
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A target that acts as somebody who administers the tenant.
    pub(super) fn of_administrator(&self) -> HaloTarget {
        HaloTarget::new(&config_of(&self.sim, CLIENT_ID, CLIENT_SECRET)).unwrap()
    }

    /// The same tenant as another process sees it.
    pub(super) fn anew(&mut self) {
        self.target = HaloTarget::new(&config(&self.sim)).unwrap();
    }

    /// How many calls of an operation were made.
    pub(super) fn calls(&self, operation: &str) -> usize {
        self.sim.calls().iter().filter(|call| call.operation == operation).count()
    }
}

/// The id of an asset.
pub(super) fn id(record: &RecordId) -> i64 {
    record.0.parse().unwrap()
}

/// So many of the suite's assets; what it took is not counted.
pub(super) async fn made(rig: &Rig, count: usize) -> Vec<RecordId> {
    let batch: Vec<Write> = (0..count).map(|number| create(&rig.target, number)).collect();
    let mut records = Vec::new();
    for part in batch.chunks(50) {
        records.extend(send(&rig.target, 0, part).await);
    }
    rig.sim.clear_calls();
    records
}

/// Relationships, by parent and child.
pub(super) fn pairs(rig: &Rig) -> BTreeSet<(i64, i64)> {
    rig.sim.relationships().into_iter().map(|edge| (edge.parent, edge.child)).collect()
}

/// What a field shows.
pub(super) fn value(rig: &Rig, record: &RecordId, field: &str) -> String {
    rig.sim.edit(|tenant| tenant.value(id(record), field).to_owned())
}

/// Fills a field as people do.
pub(super) fn set(rig: &Rig, record: &RecordId, field: &str, value: &str) {
    rig.sim.edit(|tenant| tenant.set(id(record), field, value));
}

/// What becomes of a write that is sent by itself.
pub(super) async fn answer(rig: &Rig, second: i64, write: Write) -> Result<Delivered, TargetError> {
    send_as(&rig.target, &estate("ours"), second, &[write]).await.map(|mut answers| answers.remove(0)).unwrap_or_else(Err)
}

/// A copy of an asset, as people make one.
pub(super) fn copied(rig: &Rig, record: &RecordId, tag: &str) -> i64 {
    rig.sim.edit(|tenant| {
        let original = tenant.get(id(record)).unwrap().clone();
        let copy = tenant.insert(original.assettype_id, tag, &[]);
        tenant.change(copy, |asset| asset.values = original.values);
        copy
    })
}
