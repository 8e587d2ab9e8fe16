//! How a CMDB is connected to.

use std::sync::Arc;
use std::time::Duration;

use dewpoint_core::model::TargetName;
use dewpoint_http::{BaseUrl, BuildError, Client, Clock, Meter, Proxies, Rate, RateBudget, Settings};

use crate::Caller;

/// What all clients of one target have in common, whatever they log in with.
#[derive(Clone)]
pub struct Connection {
    /// The target's name from the configuration.
    pub target: TargetName,
    /// Longest that one request may take.
    pub timeout: Duration,
    /// Longest that one call may take with all its waits and repeats: a wait past it is told, and not slept through.
    pub deadline: Duration,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Proxies to go through.
    pub proxies: Proxies,
    /// Who is told of calls and waits.
    pub meter: Arc<dyn Meter>,
    /// The clock of budgets, waits and deadlines.
    pub clock: Arc<dyn Clock>,
}

impl Connection {
    /// A budget of requests that clients share.
    #[must_use]
    pub fn budget(&self, rate: Rate) -> Arc<RateBudget> {
        Arc::new(RateBudget::new(rate, Arc::clone(&self.clock)))
    }

    /// A client of an address that logs in with nothing.
    ///
    /// # Errors
    /// [`BuildError`] where certificates or proxies cannot be used.
    pub fn client(&self, base: &BaseUrl, budget: &Arc<RateBudget>) -> Result<Client, BuildError> {
        let mut settings = Settings::new(self.target.as_str(), base.clone());
        settings.limits.attempt = self.timeout;
        settings.limits.idle = self.timeout;
        settings.limits.call = settings.limits.call.min(self.deadline);
        settings.ca_pem.clone_from(&self.ca_pem);
        settings.proxies = self.proxies.clone();
        let client = Client::builder(settings).budget(budget.clone()).meter(Arc::clone(&self.meter));
        client.clock(Arc::clone(&self.clock)).build()
    }

    /// Calls as this client.
    #[must_use]
    pub fn caller(&self, client: Client) -> Caller {
        Caller::new(client, self.target.clone(), Arc::clone(&self.clock))
    }
}
