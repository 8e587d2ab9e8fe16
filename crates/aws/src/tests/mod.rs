//! The source against a server that speaks EC2's protocol.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test may stop where it fails")]

mod fake;
mod faults;
mod listings;
mod look_ups;
mod permissions;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use dewpoint_core::model::{Key, Kind, Outcome, Receipt, Region, Scope, SourceName};
use dewpoint_core::source::{Progress, Pull, Source};

use self::fake::{ACCOUNT, Fake, SECRET};
use crate::client::Tuning;
use crate::{AwsConfig, AwsSource};

const EU: &str = "eu-test-1";
const US: &str = "us-test-1";

fn source(fake: &Fake, regions: &[&str]) -> AwsSource {
    tuned(fake, regions, tuning())
}

/// Credentials of the test's own, and no waiting between attempts.
fn tuning() -> Tuning {
    let credentials = Credentials::new("AKIDTEST", SECRET, None, None, "test");
    Tuning {
        backoff: Duration::from_millis(1),
        proxy: ProxyConfig::disabled(),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        ..Tuning::default()
    }
}

fn tuned(fake: &Fake, regions: &[&str], tuning: Tuning) -> AwsSource {
    let config = AwsConfig {
        name: "cloud".parse().unwrap(),
        regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
        endpoint_url: Some(fake.url.clone()),
        clock: Arc::new(|| "2026-01-02T03:04:06Z".parse().unwrap()),
    };
    AwsSource::tuned(config, tuning)
}

/// Notes what a pull tells of itself.
#[derive(Debug, Default)]
struct Notes {
    scopes: Mutex<BTreeMap<Scope, (Outcome, u64)>>,
    calls: Mutex<BTreeMap<String, u64>>,
    waits: Mutex<Vec<f64>>,
}

impl Progress for Notes {
    fn scope_started(&self, _: &SourceName, scope: &Scope) {
        assert!(!self.scopes.lock().unwrap().contains_key(scope), "{scope} ended before it began");
    }

    fn scope_finished(&self, _: &SourceName, scope: &Scope, outcome: Outcome, count: u64) {
        self.scopes.lock().unwrap().insert(scope.clone(), (outcome, count));
    }

    fn called(&self, _: &str, operation: &str) {
        *self.calls.lock().unwrap().entry(operation.to_owned()).or_default() += 1;
    }

    fn waited(&self, _: &str, seconds: f64) {
        self.waits.lock().unwrap().push(seconds);
    }
}

async fn pull(source: &AwsSource) -> Pull {
    source.pull(&Notes::default()).await.unwrap()
}

fn receipt<'a>(pull: &'a Pull, region: &str, kind: Kind) -> &'a Receipt {
    pull.receipts.iter().find(|(scope, _)| scope.region.as_str() == region && scope.kind == kind).unwrap().1
}

#[track_caller]
fn outcome(pull: &Pull, region: &str, kind: Kind, wanted: Outcome) {
    let receipt = receipt(pull, region, kind);
    assert_eq!(receipt.outcome, wanted, "{receipt:?}");
    assert_eq!(receipt.error.is_none(), wanted == Outcome::Complete);
}

/// Every other scope of the pull is complete.
#[track_caller]
fn others_complete(pull: &Pull, region: &str, kind: Kind) {
    for (scope, receipt) in pull.receipts.iter() {
        if (scope.region.as_str(), scope.kind) != (region, kind) {
            assert!(receipt.is_complete(), "{scope}: {receipt:?}");
        }
    }
}

fn key(region: &str, path: &str) -> Key {
    format!("aws:arn:aws-test:ec2:{region}:{ACCOUNT}:{path}").parse().unwrap()
}

fn scope(account: &str, region: &str, kind: Kind) -> Scope {
    let region: Region = region.parse().unwrap();
    Scope { provider: dewpoint_core::model::Provider::Aws, account: account.parse().unwrap(), region, kind }
}

/// A reservation with one running instance and nothing but the necessary.
fn plain_instance(id: &str) -> String {
    reservation(&format!(
        "<instanceId>{id}</instanceId><instanceState><code>16</code><name>running</name></instanceState>\
         <instanceType>m7g.large</instanceType><launchTime>2026-01-01T10:00:00.000Z</launchTime>"
    ))
}

fn reservation(instance: &str) -> String {
    format!("<reservationId>r-1</reservationId><ownerId>{ACCOUNT}</ownerId><instancesSet><item>{instance}</item></instancesSet>")
}

fn plain_interface(id: &str) -> String {
    format!("<networkInterfaceId>{id}</networkInterfaceId><ownerId>{ACCOUNT}</ownerId><status>in-use</status>")
}

fn plain_group(id: &str) -> String {
    format!("<groupId>{id}</groupId><groupName>{id}-name</groupName><ownerId>{ACCOUNT}</ownerId>")
}

/// `count` plain items of each kind in a region.
fn populate(fake: &Fake, region: &str, count: usize) {
    for n in 0..count {
        let (instance, interface, group) = (format!("i-{n:04}"), format!("eni-{n:04}"), format!("sg-{n:04}"));
        fake.put(region, "DescribeInstances", &instance, plain_instance(&instance));
        fake.put(region, "DescribeNetworkInterfaces", &interface, plain_interface(&interface));
        fake.put(region, "DescribeSecurityGroups", &group, plain_group(&group));
    }
}
