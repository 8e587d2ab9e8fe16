//! The source against a server that speaks the protocols of AWS.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test may stop where it fails")]

mod accounts;
mod balancing;
mod call_counts;
mod compute;
mod expiry;
mod fault_table;
mod faults;
mod identity;
mod listings;
mod look_ups;
mod networks;
mod permissions;
mod rates;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use dewpoint_aws_sim::world::World;
use dewpoint_aws_sim::{CallRecord, Sim};
use dewpoint_core::model::{EdgeId, Key, Kind, Outcome, Receipt, Relation, RelationType, Scope};
use dewpoint_core::source::{Pull, Source};
use dewpoint_core::testing::{Notes, all_of, one};
use serde_json::{Value, json};

use self::world::{EU, OWN, US, key};
use crate::client::Tuning;
use crate::{Accounts, AwsConfig, AwsSource, ListedAccount, Rate, Rates, Regions, UsualRole};

/// A budget that nobody waits for.
const UNLIMITED: Rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };

/// A simulator that takes any number of calls: most tests make more of them in a moment than AWS allows.
fn start(world: World) -> Sim {
    let sim = Sim::start(world).unwrap();
    sim.settings(|settings| settings.rates = dewpoint_aws_sim::Rates::unlimited());
    sim
}

/// A source in the making.
#[derive(Debug)]
struct Setup {
    config: AwsConfig,
    tuning: Tuning,
}

/// A source that reads the account of its credentials in these regions (none: all), does not wait between attempts, and goes nowhere but to the
/// simulator.
fn setup(sim: &Sim, account: &str, regions: &[&str]) -> Setup {
    let regions = match regions {
        [] => Regions::All,
        listed => Regions::Listed(listed.iter().map(|region| region.parse().unwrap()).collect()),
    };
    let config = AwsConfig {
        name: "cloud".parse().unwrap(),
        accounts: Accounts::Own,
        usual_role: UsualRole { name: "DewpointReader".to_owned(), external_id: None },
        regions,
        endpoint_url: Some(sim.url()),
        timeout: Duration::from_secs(60),
        rates: Rates { ec2: UNLIMITED, load_balancing: UNLIMITED, auto_scaling: UNLIMITED, organizations: UNLIMITED, sts: UNLIMITED },
        clock: Arc::new(|| "2026-01-02T03:04:06Z".parse().unwrap()),
    };
    let credentials = Credentials::new(format!("AKIA{account:0>16}"), secret(account), None, None, "test");
    let tuning = Tuning {
        pause: Duration::from_millis(1),
        backoff: Duration::from_millis(1),
        proxy: ProxyConfig::disabled(),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        region: Some(EU.parse().unwrap()),
        ..Tuning::default()
    };
    Setup { config, tuning }
}

/// The secret of the simulator's access key for an account.
fn secret(account: &str) -> String {
    format!("secret/of+{account}")
}

impl Setup {
    fn with(mut self, change: impl FnOnce(&mut AwsConfig, &mut Tuning)) -> Self {
        change(&mut self.config, &mut self.tuning);
        self
    }

    fn accounts(self, accounts: Accounts) -> Self {
        self.with(|config, _| config.accounts = accounts)
    }

    /// Throttled once the SDK has used up its attempts, not after a minute.
    fn impatient(self) -> Self {
        self.with(|config, tuning| tuning.pause = config.timeout * 4)
    }

    fn build(self) -> AwsSource {
        AwsSource::tuned(self.config, self.tuning)
    }

    async fn pull(self) -> Pull {
        pull(&self.build()).await
    }
}

fn listed(id: &str) -> ListedAccount {
    ListedAccount { id: id.parse().unwrap(), role_arn: None, external_id: None }
}

async fn pull(source: &AwsSource) -> Pull {
    let notes = Notes::default();
    let pull = source.pull(&notes).await.unwrap();
    assert_eq!(notes.unbegun(), BTreeSet::new());
    pull
}

fn scope(account: &str, region: &str, kind: Kind) -> Scope {
    Scope {
        provider: dewpoint_core::model::Provider::Aws,
        account: account.parse().unwrap(),
        region: if region == "*" { dewpoint_core::model::Region::any() } else { region.parse().unwrap() },
        kind,
    }
}

fn receipts(pull: &Pull) -> BTreeMap<Scope, Receipt> {
    pull.receipts.iter().map(|(scope, receipt)| (scope.clone(), receipt.clone())).collect()
}

/// How each scope ended that is not complete, by `account region kind`.
fn gaps(pull: &Pull) -> BTreeMap<String, Outcome> {
    let gaps = pull.receipts.iter().filter(|(_, receipt)| !receipt.is_complete());
    gaps.map(|(scope, receipt)| (format!("{} {} {}", scope.account, scope.region, scope.kind), receipt.outcome)).collect()
}

/// The gaps of the caller's own account in one region and of one outcome.
fn gaps_of(account: &str, region: &str, kinds: &[Kind], outcome: Outcome) -> BTreeMap<String, Outcome> {
    kinds.iter().map(|kind| (format!("{account} {region} {kind}"), outcome)).collect()
}

#[track_caller]
fn error_of(pull: &Pull, account: &str, region: &str, kind: Kind) -> String {
    let receipt = &receipts(pull)[&scope(account, region, kind)];
    receipt.error.clone().unwrap_or_else(|| panic!("{account} {region} {kind}: {receipt:?}"))
}

/// The kinds that each region has a scope for.
fn regional() -> Vec<Kind> {
    crate::regional_kinds().collect()
}

/// A resource's attributes as JSON.
#[track_caller]
fn attributes(pull: &Pull, key: &Key) -> Value {
    serde_json::to_value(&one(pull, key).attributes).unwrap()
}

/// The edges that start at a resource, with their attributes.
fn edges_from(pull: &Pull, key: &Key) -> Vec<(RelationType, Key, Value)> {
    let edges = pull.relations.values().filter(|edge| edge.from == *key);
    edges.map(|edge| (edge.relation, edge.to.clone(), serde_json::to_value(&edge.attributes).unwrap())).collect()
}

/// What the simulator was asked, by action, with the service where actions of two have one name.
fn calls_by_action(calls: &[CallRecord]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{}:{}", call.service, call.action)).or_default() += 1;
    }
    counts
}

/// How often an action was called.
fn count(sim: &Sim, action: &str) -> usize {
    sim.calls().iter().filter(|call| call.action == action).count()
}

/// What one pull read, in a form that can be compared: everything but the receipts.
fn contents(pull: &Pull) -> (BTreeMap<Key, Value>, BTreeMap<EdgeId, Relation>) {
    let resources = pull.resources.iter().map(|(key, resource)| (key.clone(), serde_json::to_value(&**resource).unwrap()));
    (resources.collect(), pull.relations.clone())
}
