//! Calls as one account in one region: rate budget, retries beyond the SDK's, and what the run is told of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dewpoint_core::model::{Region, SourceName};
use dewpoint_core::source::Progress;
use tokio::time::Instant;

use crate::action::{Action, Family};
use crate::budget::{Budgets, Rates};
use crate::client::Clients;
use crate::error::{Fault, Reason};
use crate::identity::Identity;
use crate::meter::Meter;

/// Longest pause between two tries of a throttled call, once the SDK has used up its own.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// What all calls of a source share.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) source: SourceName,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) rates: Rates,
    /// By owner and region. They outlive the sessions of one pull: a bucket does not fill because the next pull begins.
    pub(crate) budgets: Mutex<BTreeMap<(String, Region), Arc<Budgets>>>,
    /// Longest time for one call, waits and retries included.
    pub(crate) timeout: Duration,
    /// First pause between two tries of a throttled call.
    pub(crate) pause: Duration,
}

/// One account, with the credentials that read it.
#[derive(Debug)]
pub(crate) struct AccountSession {
    pub(crate) identity: Identity,
    shared: SdkConfig,
    terms: Arc<Terms>,
    /// Made on first use, and kept: each has connections, a rate budget and a retry quota.
    regions: Mutex<BTreeMap<Region, Arc<RegionSession>>>,
}

impl AccountSession {
    pub(crate) fn new(identity: Identity, shared: SdkConfig, terms: Arc<Terms>) -> Self {
        Self { identity, shared, terms, regions: Mutex::default() }
    }

    /// The account in one region.
    pub(crate) fn region(&self, region: &Region) -> Arc<RegionSession> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = regions
            .entry(region.clone())
            .or_insert_with(|| Arc::new(RegionSession::new(&self.shared, self.identity.account.as_str(), region, &self.terms)));
        Arc::clone(session)
    }
}

/// One account in one region.
#[derive(Debug)]
pub(crate) struct RegionSession {
    pub(crate) clients: Clients,
    budgets: Arc<Budgets>,
    terms: Arc<Terms>,
}

impl Terms {
    fn budgets(&self, owner: &str, region: &Region) -> Arc<Budgets> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let of_place = budgets.entry((owner.to_owned(), region.clone())).or_insert_with(|| Arc::new(Budgets::new(&self.rates)));
        Arc::clone(of_place)
    }
}

impl RegionSession {
    /// `owner` names whose rate budget and retry quota the calls use: an account, or the source while its account is not known.
    pub(crate) fn new(shared: &SdkConfig, owner: &str, region: &Region, terms: &Arc<Terms>) -> Self {
        Self {
            clients: Clients::new(shared, owner, region, terms.endpoint_url.as_deref()),
            budgets: terms.budgets(owner, region),
            terms: Arc::clone(terms),
        }
    }
}

/// The calls of one pull, look-up or check to one account in one region.
pub(crate) struct Calls<'a> {
    pub(crate) session: &'a RegionSession,
    progress: &'a dyn Progress,
    /// Services that did not answer at all: asking them again would only wait as long again.
    silent: Mutex<BTreeMap<Family, Fault>>,
    /// Actions that are refused, or failed for as long as a call may take: one fault ends a scope, and the next call would fare no better.
    given_up: Mutex<BTreeMap<&'static str, Fault>>,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(session: &'a RegionSession, progress: &'a dyn Progress) -> Self {
        Self { session, progress, silent: Mutex::default(), given_up: Mutex::default() }
    }

    pub(crate) fn clients(&self) -> &'a Clients {
        &self.session.clients
    }

    /// Makes one call within the rate budget. `send` sends it anew, watched by the meter it is given.
    ///
    /// A call that is still throttled when the SDK has used up its attempts is tried again, until the time for one call is over: the quota
    /// for retries is shared by the calls of an account and region, and may have been empty from the start.
    pub(crate) async fn call<T, E, F>(&self, action: Action, send: impl Fn(Meter) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(fault) = self.is_silent(action).or_else(|| self.is_given_up(action)) {
            return Err(fault);
        }
        let deadline = Instant::now() + self.session.terms.timeout;
        let mut pause = self.session.terms.pause;
        loop {
            match tokio::time::timeout_at(deadline, self.session.budgets.take(action.family)).await {
                Ok(waited) => self.waited(waited),
                Err(_) => {
                    let text = "the configured rate left no call within the time allowed".to_owned();
                    return Err(Fault { reason: Reason::Throttled, operation: action.name, text });
                }
            }
            let meter = Meter::default();
            let sent = Box::pin(tokio::time::timeout_at(deadline, send(meter.clone()))).await;
            let fault = match sent {
                Ok(Ok(answer)) => {
                    self.report(action, &meter);
                    return Ok(answer);
                }
                Ok(Err(error)) => Fault::of(action.name, &error),
                Err(_) => Fault::silent(action.name),
            };
            self.report(action, &meter);
            let fault = match (fault.reason, meter.status()) {
                (Reason::Silent, _) if meter.was_throttled() => Fault { reason: Reason::Throttled, ..fault },
                // The time went by between answers, none of which was of use.
                (Reason::Silent, Some(status)) if status >= 400 => Fault {
                    reason: Reason::Failed,
                    text: format!("HTTP status {status} at every attempt within the time allowed"),
                    ..fault
                },
                (reason, _) => Fault { reason, ..fault },
            };
            if fault.reason == Reason::Silent {
                self.silent.lock().unwrap_or_else(PoisonError::into_inner).entry(action.family).or_insert_with(|| fault.clone());
            }
            let next = Instant::now() + pause.mul_f64(0.5 + fastrand::f64());
            if fault.reason != Reason::Throttled || next >= deadline {
                self.give_up(action, &fault, meter.status());
                return Err(fault);
            }
            let since = Instant::now();
            tokio::time::sleep_until(next).await;
            self.waited(since.elapsed());
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn is_silent(&self, action: Action) -> Option<Fault> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = silent.get(&action.family)?;
        let text = format!("{} did not answer {} either: {}", action.family.service(), fault.operation, fault.text);
        Some(Fault { reason: Reason::Silent, operation: action.name, text })
    }

    fn is_given_up(&self, action: Action) -> Option<Fault> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).get(action.name).cloned()
    }

    /// Remembers a fault that is the action's, not the call's: permissions and rate limits know no single balancers and pools.
    fn give_up(&self, action: Action, fault: &Fault, status: Option<u16>) {
        let is_refusal =
            matches!(fault.reason, Reason::Denied | Reason::Unrecognised | Reason::Credentials | Reason::Disabled | Reason::Off);
        let is_out_of_order = fault.reason == Reason::Failed && status.is_some_and(|status| status >= 500);
        if is_refusal || is_out_of_order || fault.reason == Reason::Throttled {
            self.given_up.lock().unwrap_or_else(PoisonError::into_inner).entry(action.name).or_insert_with(|| fault.clone());
        }
    }

    fn report(&self, action: Action, meter: &Meter) {
        let attempts = meter.attempts();
        for _ in 0..attempts {
            self.progress.called(self.session.terms.source.as_str(), action.name);
        }
        // The first attempt was taken from the budget before it was made.
        self.session.budgets.book(action.family, attempts.saturating_sub(1));
        self.waited(meter.waited());
    }

    fn waited(&self, time: Duration) {
        if !time.is_zero() {
            self.progress.waited(self.session.terms.source.as_str(), time.as_secs_f64());
        }
    }
}
