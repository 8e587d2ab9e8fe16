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
use dewpoint_core::doctor::Skew;
use dewpoint_core::model::{Region, SourceName};
use dewpoint_core::source::{Progress, Untold};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::action::{Action, Family};
use crate::budget::Budgets;
use crate::client::{self, Clients};
use crate::error::{Fault, Reason};
use crate::identity::Identity;
use crate::meter::Meter;
use crate::role::RoleCredentials;
use crate::turn;
use dewpoint_aws_settings::Rates;

/// Longest pause between two tries of a throttled call, once the SDK has used up its own.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Clock difference at which AWS refuses signatures.
///
/// Source: IAM User Guide, "Signature Version 4": a request must reach AWS within five minutes of its time stamp.
pub(crate) const SKEW_REFUSED: SignedDuration = SignedDuration::from_mins(5);

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
    /// What no run watched: a role's credentials are renewed in the middle of another call.
    pub(crate) untold: Untold,
}

/// One account, with the credentials that read it.
#[derive(Debug)]
pub(crate) struct AccountSession {
    pub(crate) identity: Identity,
    shared: SdkConfig,
    terms: Arc<Terms>,
}

impl AccountSession {
    pub(crate) fn new(identity: Identity, shared: SdkConfig, terms: Arc<Terms>) -> Self {
        Self { identity, shared, terms }
    }

    /// The account in one region. Made anew each time: clients are large, and an organization has accounts times regions of them. Budgets and
    /// connections are not theirs.
    pub(crate) fn region(&self, region: &Region) -> RegionSession {
        RegionSession::new(&self.shared, self.identity.account.as_str(), region, &self.terms)
    }

    /// The same calls as a role whose credentials the caller was given.
    pub(crate) fn as_role(&self, identity: Identity, credentials: RoleCredentials) -> Self {
        let shared = client::as_role(&self.shared, credentials, self.terms.timeout);
        Self::new(identity, shared, Arc::clone(&self.terms))
    }

    /// The Organizations client.
    pub(crate) fn organizations(&self) -> aws_sdk_organizations::Client {
        let Self { identity, shared, terms } = self;
        client::organizations(shared, identity.account.as_str(), &identity.home, terms.endpoint_url.as_deref())
    }
}

/// One account in one region.
#[derive(Debug)]
pub(crate) struct RegionSession {
    clients: Clients,
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
    /// `owner` names whose rate budget the calls use: an account, or the source while its account is not known.
    pub(crate) fn new(shared: &SdkConfig, owner: &str, region: &Region, terms: &Arc<Terms>) -> Self {
        Self {
            clients: Clients::new(shared, owner, region, terms.endpoint_url.clone()),
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
    /// Longest time for one call.
    timeout: Duration,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(session: &'a RegionSession, progress: &'a dyn Progress) -> Self {
        let timeout = session.terms.timeout;
        Self { session, progress, silent: Mutex::default(), given_up: Mutex::default(), timeout }
    }

    /// Calls in the middle of another, which has to hear of a failure while it still has time.
    pub(crate) fn on_the_side(session: &'a RegionSession) -> Self {
        Self { timeout: session.terms.timeout / 2, ..Self::new(session, &session.terms.untold) }
    }

    pub(crate) fn clients(&self) -> &'a Clients {
        &self.session.clients
    }

    /// Makes one call within the rate budget. `send` sends it anew, watched by the meter it is given.
    ///
    /// A call that is still throttled when the SDK has used up its attempts is tried again, until the time for one call is over: the SDK's quota
    /// for retries is shared by the calls of a client, and may have been empty from the start.
    pub(crate) async fn call<T, E, F>(&self, action: Action, send: impl Fn(Meter) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(fault) = self.is_silent(action).or_else(|| self.is_given_up(action)) {
            return Err(fault);
        }
        let deadline = Instant::now() + self.timeout;
        let mut pause = self.session.terms.pause;
        loop {
            match tokio::time::timeout_at(deadline, self.session.budgets.take(action.family)).await {
                Ok(waited) => self.waited(waited),
                Err(_) => {
                    let text = "the configured rate left no call within the time allowed";
                    return Err(Fault::new(Reason::Throttled, action.name, text));
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
            let fault = self.judge(fault, &meter);
            if fault.reason == Reason::Silent {
                self.silent.lock().unwrap_or_else(PoisonError::into_inner).entry(action.family).or_insert_with(|| fault.clone());
            }
            let next = Instant::now() + pause.mul_f64(0.5 + fastrand::f64());
            if fault.reason != Reason::Throttled || next >= deadline {
                self.give_up(action, &fault);
                return Err(fault);
            }
            let since = Instant::now();
            tokio::time::sleep_until(next).await;
            self.waited(since.elapsed());
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// What a fault comes to with what the meter saw.
    fn judge(&self, fault: Fault, meter: &Meter) -> Fault {
        let fault = Fault { status: fault.status.or(meter.status()), date: fault.date.clone().or(meter.date()), ..fault };
        let skew = fault.date.as_deref().and_then(|date| Skew::by_date(date, self.session.clients.now()?));
        let is_off = skew.is_some_and(|skew| skew.reaches(SKEW_REFUSED));
        let fault = match (&fault.reason, fault.status) {
            (Reason::Silent, _) if meter.was_throttled() => Fault { reason: Reason::Throttled, ..fault },
            // The time went by between answers, none of which was of use.
            (Reason::Silent, Some(status)) if status >= 400 => {
                let text = format!("HTTP status {status} at every attempt within the time allowed");
                Fault { reason: Reason::Failed, text, ..fault }
            }
            (Reason::Silent, _) => match meter.no_answer() {
                Some(why) => Fault { text: format!("{}; the last attempt: {why}", fault.text), ..fault },
                None => fault,
            },
            // EC2 says the same of a session that has ended, and of credentials that are none.
            (Reason::Credentials, _) if fault.text.starts_with("RequestExpired") && is_off => Fault { reason: Reason::Clock, ..fault },
            (Reason::Unrecognised, _) if is_off => Fault { reason: Reason::Clock, ..fault },
            _ => fault,
        };
        match skew {
            Some(skew) if fault.reason == Reason::Clock => {
                let text = format!("this machine's clock is {}: {}", skew.beside("AWS"), fault.text);
                Fault { text, ..fault }
            }
            _ => fault,
        }
    }

    fn is_silent(&self, action: Action) -> Option<Fault> {
        let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = silent.get(&action.family)?;
        let text = format!("{} did not answer {} either: {}", action.family.service(), fault.operation, fault.text);
        Some(Fault::new(Reason::Silent, action.name, text))
    }

    fn is_given_up(&self, action: Action) -> Option<Fault> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).get(action.name).cloned()
    }

    /// Remembers a fault that is the action's, not the call's: permissions and rate limits know no single balancers and pools.
    fn give_up(&self, action: Action, fault: &Fault) {
        let is_refusal = turn::is_refusal(fault) || matches!(fault.reason, Reason::Credentials | Reason::Clock);
        let is_out_of_order = fault.reason == Reason::Failed && fault.status.is_some_and(|status| status >= 500);
        if is_refusal || is_out_of_order || fault.reason == Reason::Throttled {
            self.given_up.lock().unwrap_or_else(PoisonError::into_inner).entry(action.name).or_insert_with(|| fault.clone());
        }
    }

    fn report(&self, action: Action, meter: &Meter) {
        self.session.terms.untold.tell(self.progress);
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
