//! The source from outside, against the simulator of Azure over TLS: what it makes of generated estates, and with how many calls.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and figures are printed"
)]

mod calls;
mod judged;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_azure::{ApiVersions, AzureConfig, AzureSource, Collector, Credential, Endpoints, Proxies, Rates, Subscriptions, SystemClock};
use dewpoint_azure_sim::Sim;
use dewpoint_azure_sim::world::{CLIENT, CLIENT_SECRET, TENANT};
use dewpoint_core::source::{Pull, Source};
use dewpoint_core::testing::Notes;

/// A source that reads everything there is in a simulator.
fn source(sim: &Sim, collector: Collector) -> AzureSource {
    let url = || sim.url().parse().unwrap();
    AzureSource::new(AzureConfig {
        name: "azure".parse().unwrap(),
        tenant: TENANT.to_owned(),
        credential: Credential::ClientSecret { client_id: CLIENT.to_owned(), secret: CLIENT_SECRET.into() },
        subscriptions: Subscriptions::All,
        collector,
        endpoints: Endpoints { authority: url(), resource_manager: url(), audience: "https://management.azure.com".to_owned() },
        ca_pem: Some(sim.authority().unwrap().as_bytes().to_vec()),
        proxies: Proxies::default(),
        api_versions: ApiVersions::default(),
        timeout: Duration::from_secs(120),
        rates: Rates::default(),
        clock: Arc::new(SystemClock::new()),
    })
    .unwrap()
}

/// A whole pull, and the calls that it took.
async fn pull(sim: &Sim, collector: Collector) -> (Pull, BTreeMap<String, u64>) {
    let notes = Notes::default();
    let pull = source(sim, collector).pull(&notes).await.unwrap();
    (pull, notes.calls())
}
