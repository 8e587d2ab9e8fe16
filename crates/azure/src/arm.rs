//! Calls to Azure Resource Manager: one HTTP client, with a budget for each limit of the platform's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dewpoint_azure_settings::{ApiVersions, Rate, Rates};
use dewpoint_core::model::{Account, SourceName};
use dewpoint_core::source::{Progress, Untold};
use dewpoint_http::{Answer, Budget, Client, Clock, HeaderName, LayeredBudget, Meter, RateBudget, Request};
use jiff::SignedDuration;
use tokio::sync::Semaphore;

use crate::action::{Action, Family};
use crate::error::Fault;

/// Requests of one source that are under way at the same time.
const REQUESTS_AT_ONCE: usize = 16;

/// The client of one source, and its budgets. They outlive a pull: a bucket does not fill because the next pull begins.
pub(crate) struct Arm {
    pub(crate) source: SourceName,
    client: Client,
    clock: Arc<dyn Clock>,
    rates: Rates,
    versions: ApiVersions,
    timeout: Duration,
    budgets: Mutex<Budgets>,
    at_once: Semaphore,
}

/// By subscription, or none for the tenant, and by whose limit it is.
type Budgets = BTreeMap<(Option<Account>, Family), Arc<dyn Budget>>;

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm").field("source", &self.source).field("client", &self.client).finish_non_exhaustive()
    }
}

/// What the client is told beside where Azure is.
pub(crate) struct Terms {
    pub(crate) source: SourceName,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rates: Rates,
    pub(crate) versions: ApiVersions,
    /// Longest time for one call, waits and repeats included.
    pub(crate) timeout: Duration,
}

impl Arm {
    pub(crate) fn new(terms: Terms) -> Self {
        let Terms { source, client, clock, rates, versions, timeout } = terms;
        Self { source, client, clock, rates, versions, timeout, budgets: Mutex::default(), at_once: Semaphore::new(REQUESTS_AT_ONCE) }
    }

    /// The calls of one pull, look-up or check.
    pub(crate) fn calls<'a>(&'a self, progress: &'a dyn Progress) -> Calls<'a> {
        let heard = Arc::new(Heard::default());
        Calls { arm: self, progress, client: self.client.with_meter(Arc::clone(&heard) as Arc<dyn Meter>), heard }
    }

    /// The budget of calls of a family to a subscription, or to the tenant. A provider's own limit counts beside that of Azure Resource Manager; Resource
    /// Graph has one for the identity alone.
    fn budget(&self, account: Option<&Account>, family: Family) -> Arc<dyn Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = |family: Family| {
            let rate = match family {
                Family::ResourceManager => self.rates.resource_manager,
                Family::Compute => self.rates.compute,
                Family::Network => self.rates.network,
                Family::ResourceGraph => self.rates.resource_graph,
            };
            let made = || Arc::new(RateBudget::new(budget_rate(rate), Arc::clone(&self.clock))) as Arc<dyn Budget>;
            Arc::clone(budgets.entry((account.cloned(), family)).or_insert_with(made))
        };
        match family {
            Family::ResourceManager | Family::ResourceGraph => of(family),
            Family::Compute | Family::Network => Arc::new(LayeredBudget::new(of(Family::ResourceManager), of(family))),
        }
    }
}

fn budget_rate(rate: Rate) -> dewpoint_http::Rate {
    dewpoint_http::Rate { per_second: f64::from(rate.per_second.get()), burst: rate.burst }
}

/// The calls of one pull, look-up or check, which tell of themselves as they go.
pub(crate) struct Calls<'a> {
    arm: &'a Arm,
    progress: &'a dyn Progress,
    client: Client,
    heard: Arc<Heard>,
}

/// Requests and waits as the client tells them, which outlives the run.
#[derive(Debug, Default)]
struct Heard(Untold);

impl Meter for Heard {
    fn called(&self, name: &str, operation: &str) {
        self.0.called(name, operation);
    }

    fn waited(&self, name: &str, seconds: f64) {
        self.0.waited(name, seconds);
    }
}

impl Calls<'_> {
    pub(crate) fn progress(&self) -> &dyn Progress {
        self.progress
    }

    /// A request for a path, with the version of the API that is to be asked for.
    pub(crate) fn get(&self, action: Action, path: &str) -> Request {
        Request::get(path).query("api-version", self.version(action))
    }

    /// A query of Resource Graph.
    pub(crate) fn post(&self, action: Action, path: &str) -> Request {
        Request::post(path).query("api-version", self.version(action)).repeat(dewpoint_http::Repeat::Safe)
    }

    fn version(&self, action: Action) -> &str {
        self.arm.versions.get(action.resource_type).unwrap_or(action.version)
    }

    /// Sends a request about a subscription, or about the tenant.
    ///
    /// # Errors
    /// [`Fault`]: why there is no answer with a status of success.
    pub(crate) async fn send(&self, action: Action, account: Option<&Account>, request: Request) -> Result<Answer, Fault> {
        // Closed by nobody; should it ever be, calls go unbounded rather than not at all.
        let _turn = self.arm.at_once.acquire().await.ok();
        let timeout = SignedDuration::try_from(self.arm.timeout).unwrap_or(SignedDuration::MAX);
        let deadline = self.arm.clock.now().checked_add(timeout).unwrap_or(jiff::Timestamp::MAX);
        let request = request.operation(action.name).deadline(deadline).header(CLIENT_REQUEST_ID, &request_id());
        let client = self.client.with_budget(self.arm.budget(account, action.family));
        let sent = Box::pin(client.send(request)).await;
        self.heard.0.tell(self.progress);
        sent.map_err(|error| Fault::of(action, &error))
    }
}

/// Names a request in Azure's own logs, for its support.
///
/// Source: github.com/Azure/azure-resource-manager-rpc, "Common API details", Client request headers.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// A random UUID (RFC 9562, version 4).
fn request_id() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let id = request_id();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        assert!(id.chars().nth(14) == Some('4') && id.chars().nth(19).is_some_and(|c| "89ab".contains(c)), "{id}");
        assert_ne!(id, request_id());
    }
}
