//! The source against the simulator of Azure.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod agreement;
mod credentials;
mod doctor;
mod estate;
mod evidence;
mod graph;
mod items;
mod lives;
mod machines;
mod paging;
mod permissions;
mod pools;
mod scopes;
mod throttling;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_azure_sim::world::{CLIENT, CLIENT_SECRET, TENANT, World};
use dewpoint_azure_sim::{Clock as SimClock, Settings as SimSettings, Sim, Start};
use dewpoint_core::model::{Account, Key, Kind, Outcome, Relation, RelationType, Resource};
use dewpoint_core::source::{Pull, Source};
use dewpoint_core::testing::{Notes, all_of, one};
use dewpoint_http::{Clock, Proxies, SystemClock};
use jiff::{SignedDuration, Timestamp};

use crate::{ApiVersions, AzureConfig, AzureSource, Collector, Credential, Endpoints, Subscriptions, Tuning};

/// A simulator with a world, over TLS as Azure is.
fn start(world: World) -> Sim {
    start_with(world, |_| {})
}

fn start_with(world: World, change: impl FnOnce(&mut SimSettings)) -> Sim {
    let mut settings = SimSettings::default();
    change(&mut settings);
    Sim::start_with(Start { settings, clock: SimClock::real(), ..Start::new(world) }).unwrap()
}

/// What a source of a test is built from.
struct Setup {
    config: AzureConfig,
    tuning: Tuning,
}

/// The application that reads everything, with its secret.
fn setup(sim: &Sim) -> Setup {
    let url = || sim.url().parse().unwrap();
    let config = AzureConfig {
        name: "azure".parse().unwrap(),
        tenant: TENANT.to_owned(),
        credential: Credential::ClientSecret { client_id: CLIENT.to_owned(), secret: CLIENT_SECRET.to_owned().into() },
        subscriptions: Subscriptions::All,
        collector: Collector::Arm,
        endpoints: Endpoints { authority: url(), resource_manager: url(), audience: "https://management.azure.com".to_owned() },
        ca_pem: Some(sim.authority().unwrap().as_bytes().to_vec()),
        proxies: Proxies::default(),
        api_versions: ApiVersions::default(),
        timeout: Duration::from_secs(60),
        rates: crate::Rates::default(),
        clock: Arc::new(SystemClock::new()),
    };
    Setup { config, tuning: Tuning { pause: Some(Duration::from_millis(5)), ..Tuning::default() } }
}

impl Setup {
    fn with(mut self, change: impl FnOnce(&mut AzureConfig)) -> Self {
        change(&mut self.config);
        self
    }

    fn tuned(mut self, change: impl FnOnce(&mut Tuning)) -> Self {
        change(&mut self.tuning);
        self
    }

    fn build(self) -> AzureSource {
        AzureSource::tuned(self.config, self.tuning).unwrap()
    }

    async fn pull(self) -> Pull {
        pull(&self.build()).await
    }
}

async fn pull(source: &AzureSource) -> Pull {
    source.pull(&Notes::default()).await.unwrap()
}

/// A clock on which a sleep is over at once: it moves the simulator's time on with its own. Sleeps that go on side by side end when the longest does.
#[derive(Debug)]
struct Hurried {
    sim: Arc<Sim>,
    machine: SystemClock,
    ahead: Mutex<Duration>,
}

impl Hurried {
    fn beside(sim: &Arc<Sim>) -> Arc<Self> {
        Arc::new(Self { sim: Arc::clone(sim), machine: SystemClock::new(), ahead: Mutex::default() })
    }

    /// How far it is ahead of the machine's clock.
    fn ahead(&self) -> Duration {
        *self.ahead.lock().unwrap()
    }

    fn advance(&self, time: Duration) {
        let mut ahead = self.ahead.lock().unwrap();
        *ahead += time;
        self.sim.advance(time.try_into().unwrap());
    }
}

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.machine.now() + SignedDuration::try_from(self.ahead()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed() + self.ahead()
    }

    async fn sleep(&self, time: Duration) {
        let end = self.elapsed() + time;
        // Whoever else has something to do does it first.
        tokio::task::yield_now().await;
        self.advance(end.saturating_sub(self.elapsed()));
    }
}

/// How a kind's listing ended in a subscription.
fn outcome(pull: &Pull, account: &str, kind: Kind) -> Outcome {
    let receipt = pull.receipts.iter().find(|(scope, _)| scope.account.as_str() == account && scope.kind == kind);
    receipt.unwrap_or_else(|| panic!("no receipt of {kind} in {account}")).1.outcome
}

/// The error of a kind's receipt.
fn error(pull: &Pull, account: &str, kind: Kind) -> String {
    let receipt = pull.receipts.iter().find(|(scope, _)| scope.account.as_str() == account && scope.kind == kind);
    receipt.unwrap().1.error.clone().unwrap_or_default()
}

/// Every receipt that is not complete, in words.
fn incomplete(pull: &Pull) -> Vec<String> {
    let receipts = pull.receipts.iter().filter(|(_, receipt)| receipt.outcome != Outcome::Complete);
    receipts.map(|(scope, receipt)| format!("{scope}: {} {:?}", receipt.outcome, receipt.error)).collect()
}

/// The resource of an id.
#[track_caller]
fn resource<'a>(pull: &'a Pull, id: &str) -> &'a Resource {
    one(pull, &Key::azure(id).unwrap())
}

/// Where edges of a type lead from an id.
fn targets(pull: &Pull, id: &str, relation: RelationType) -> Vec<String> {
    let key = Key::azure(id).unwrap();
    let edges = pull.relations.values().filter(|edge| edge.from == key && edge.relation == relation);
    edges.map(|edge| edge.to.as_str().to_owned()).collect()
}

fn edge<'a>(pull: &'a Pull, from: &str, relation: RelationType, to: &str) -> &'a Relation {
    let (from, to) = (Key::azure(from).unwrap(), Key::azure(to).unwrap());
    let found = pull.relations.values().find(|edge| edge.from == from && edge.relation == relation && edge.to == to);
    found.unwrap_or_else(|| panic!("no edge {relation} from {from} to {to}"))
}

fn account(text: &str) -> Account {
    text.parse().unwrap()
}
