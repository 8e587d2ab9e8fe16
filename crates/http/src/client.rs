//! The client: one call, with all that may have to happen before there is an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tracing::Instrument;
use url::Url;

use crate::answer::Answer;
use crate::auth::{Authenticator, NoAuth};
use crate::breaker::{Breaker, Open};
use crate::budget::{Budget, Taken, Unlimited};
use crate::build_error::BuildError;
use crate::clock::{Clock, SystemClock, later, until};
use crate::error::{Call, HttpError, HttpErrorKind, Limit};
use crate::meter::{Meter, NoMeter};
use crate::origin::Origin;
use crate::redact::Redactor;
use crate::request::{Request, To};
use crate::retry::{Jitter, may_repeat};
use crate::settings::Settings;
use crate::transport::{Attempt, Outcome, health, pool};

/// Sends requests to one platform as one credential. Clones share connections, budget and what is known of failing origins.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    auth: Arc<dyn Authenticator>,
    meter: Arc<dyn Meter>,
    budget: Arc<dyn Budget>,
}

struct Shared {
    settings: Settings,
    origins: BTreeSet<Origin>,
    pool: reqwest::Client,
    breaker: Breaker,
    jitter: Jitter,
    clock: Arc<dyn Clock>,
    proxy_secrets: Vec<SecretString>,
}

/// Puts a [`Client`] together.
pub struct Builder {
    settings: Settings,
    auth: Arc<dyn Authenticator>,
    meter: Arc<dyn Meter>,
    budget: Arc<dyn Budget>,
    clock: Arc<dyn Clock>,
    seed: Option<u64>,
}

impl Builder {
    /// Whose credentials; nobody's unless said.
    #[must_use]
    pub fn auth(mut self, auth: Arc<dyn Authenticator>) -> Self {
        self.auth = auth;
        self
    }

    /// The rate budget of these credentials; [`Unlimited`] unless said.
    #[must_use]
    pub fn budget(mut self, budget: Arc<dyn Budget>) -> Self {
        self.budget = budget;
        self
    }

    /// Who is told of calls and waits; nobody unless said.
    #[must_use]
    pub fn meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// The clock; the machine's unless said.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the pauses between attempts the same in each run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`BuildError`] where the CA file or a proxy cannot be used, or there is nobody to trust.
    pub fn build(self) -> Result<Client, BuildError> {
        let Self { settings, auth, meter, budget, clock, seed } = self;
        let shared = Shared {
            origins: settings.origins.iter().chain([settings.base.origin()]).cloned().collect(),
            pool: pool(&settings)?,
            breaker: Breaker::new(settings.breaker, Arc::clone(&clock)),
            jitter: Jitter::new(seed),
            clock,
            proxy_secrets: settings.proxies.secrets(),
            settings,
        };
        Ok(Client { shared: Arc::new(shared), auth, meter, budget })
    }
}

impl Client {
    /// Begins a client.
    #[must_use]
    pub fn builder(settings: Settings) -> Builder {
        Builder {
            settings,
            auth: Arc::new(NoAuth),
            meter: Arc::new(NoMeter),
            budget: Arc::new(Unlimited),
            clock: Arc::new(SystemClock::new()),
            seed: None,
        }
    }

    /// The same client with credentials, such as tokens that the client without them asks for.
    #[must_use]
    pub fn with_auth(&self, auth: Arc<dyn Authenticator>) -> Self {
        Self { auth, ..self.clone() }
    }

    /// The same client, telling somebody else.
    #[must_use]
    pub fn with_meter(&self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self.clone() }
    }

    /// The same client under another budget, such as that of a part of the platform that has limits of its own. Connections, and what is known of failing
    /// origins, are those of both.
    #[must_use]
    pub fn with_budget(&self, budget: Arc<dyn Budget>) -> Self {
        Self { budget, ..self.clone() }
    }

    /// The origin of the base URL.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.shared.settings.base.origin()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// Sends a request, and repeats it where that is safe and promises something, until there is an answer or the time is over.
    ///
    /// # Errors
    /// [`HttpError`]: why there is no answer with a status of success. What was sent and may have been carried out says so
    /// ([`HttpError::is_ambiguous`]).
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let mut tries = Tries {
            call: Call {
                operation: request.operation.clone(),
                origin: self.origin().clone(),
                attempts: 0,
                request_id: None,
                in_doubt: false,
            },
            failures: 0,
            throttles: 0,
            is_renewed: false,
            last: None,
        };
        let url = self.address(&request, &mut tries.call)?;
        let own_limit = later(self.shared.clock.now(), self.shared.settings.limits.call);
        let latest = request.deadline.map_or(own_limit, |deadline| deadline.min(own_limit));
        let begin_by = request.begin_by.map_or(latest, |at| at.min(latest));
        loop {
            let error = match Box::pin(self.attempt(&request, &url, (begin_by, latest), &mut tries)).await {
                Ok(answer) => return Ok(answer),
                Err(Stop::Done(error)) => return Err(tries.last_word(error)),
                Err(Stop::Renewed) => continue,
                Err(Stop::Failed(error)) => error,
            };
            let Some(pause) = self.pause(&request, &error, begin_by, &mut tries) else { return Err(error) };
            tracing::debug!(
                operation = %request.operation,
                outcome = error.outcome(),
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "Trying again: {error}"
            );
            tries.call.in_doubt |= error.leaves_doubt();
            let is_throttle = matches!(error.kind, HttpErrorKind::Throttled { .. });
            tries.last = Some(error);
            self.shared.clock.sleep(pause).await;
            if is_throttle {
                self.waited(pause);
            }
        }
    }

    /// Where the request goes. Credentials leave for configured origins only.
    fn address(&self, request: &Request, call: &mut Call) -> Result<Url, HttpError> {
        let unsendable = |call: &Call, why: &str| HttpError::new(call.clone(), HttpErrorKind::Unsendable { why: why.to_owned() });
        if let Some(flaw) = &request.flaw {
            return Err(unsendable(call, flaw));
        }
        let base = &self.shared.settings.base;
        let url = match &request.to {
            To::Path(path) => base.join(path),
            To::Named(text) => {
                let url = base.resolve(text).map_err(|error| unsendable(call, &format!("the server named a URL that is none: {error}")))?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err(unsendable(call, "the server named a URL with a user or password"));
                }
                let origin = Origin::of(&url);
                match origin {
                    Some(origin) if self.shared.origins.contains(&origin) => call.origin = origin,
                    other => {
                        let named = other.map_or_else(|| format!("a `{}` URL", url.scheme()), |origin| origin.to_string());
                        return Err(HttpError::new(call.clone(), HttpErrorKind::ForeignOrigin { named }));
                    }
                }
                url
            }
        };
        Ok(request.finish(url))
    }

    /// `times` are when it has to be begun with, and when it has to be over.
    async fn attempt(&self, request: &Request, url: &Url, times: (Timestamp, Timestamp), tries: &mut Tries) -> Result<Answer, Stop> {
        let (begin_by, latest) = times;
        let shared = &*self.shared;
        let origin = tries.call.origin.clone();
        let done = |tries: &Tries, kind: HttpErrorKind| Stop::Done(HttpError::new(tries.call.clone(), kind));
        let left_alone = |tries: &Tries, open: Open| {
            let Open { since, until, last } = open;
            done(tries, HttpErrorKind::CircuitOpen { origin: origin.clone(), since, until, last })
        };
        shared.breaker.check(&origin).map_err(|open| left_alone(tries, open))?;
        match self.budget.acquire(request.weight, begin_by).await {
            Ok(waited) => self.waited(waited),
            Err(exhausted) => {
                let said = tries.last.as_ref().and_then(HttpError::said).filter(|said| matches!(said.status, 429 | 503));
                let said = said.cloned().map(Box::new);
                return Err(done(tries, HttpErrorKind::Throttled { until: exhausted.until, said }));
            }
        }
        let taken = Taken::of(&*self.budget);
        let credentials = self.auth.credentials(latest).await.map_err(Stop::Done)?;
        let now = shared.clock.now();
        let left = until(now, latest);
        if left.is_zero() {
            return Err(done(tries, HttpErrorKind::TimedOut { limit: Limit::Deadline, sent: false }));
        }
        let pass = shared.breaker.enter(&origin).map_err(|open| left_alone(tries, open))?;
        tries.call.attempts += 1;
        let name = &shared.settings.name;
        self.meter.called(name, &request.operation);
        let limit = shared.settings.limits.attempt;
        let attempt = Attempt {
            pool: &shared.pool,
            request,
            url,
            credentials: &credentials,
            call: &tries.call,
            redactor: Redactor::new(credentials.secrets.iter().chain(&request.secrets).chain(&shared.proxy_secrets)),
            words: shared.settings.words,
            now,
            limit: if left < limit { (left, Limit::Deadline) } else { (limit, Limit::Attempt) },
            body_bytes_max: request.body_bytes_max.unwrap_or(shared.settings.limits.body_bytes),
            untold_pause: shared.settings.retry.pause,
        };
        let span = tracing::info_span!(
            "request",
            operation = %request.operation,
            method = %request.method,
            origin = %origin,
            path = url.path(),
            attempt = tries.call.attempts,
            status = tracing::field::Empty,
            outcome = tracing::field::Empty,
            elapsed_ms = tracing::field::Empty,
            request_id = tracing::field::Empty,
        );
        let began = shared.clock.elapsed();
        let outcome = attempt.make().instrument(span.clone()).await;
        let took = shared.clock.elapsed().saturating_sub(began);
        self.tell(&span, request, &outcome, took);
        taken.observe(outcome.signal.as_ref());
        pass.report(health(&outcome.result, shared.settings.words));
        tries.call.request_id.clone_from(&outcome.request_id);
        match outcome.result {
            Ok(answer) => Ok(answer),
            // It was not carried out, whatever it was.
            Err(HttpError { kind: HttpErrorKind::Unauthorised { .. }, .. }) if !tries.is_renewed && self.auth.refused(&credentials) => {
                tries.is_renewed = true;
                Err(Stop::Renewed)
            }
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    fn tell(&self, span: &tracing::Span, request: &Request, outcome: &Outcome, took: Duration) {
        let word = outcome.result.as_ref().map_or_else(HttpError::outcome, |_| "ok");
        span.record("outcome", word);
        span.record("elapsed_ms", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        if let Some(status) = outcome.status {
            span.record("status", status);
        }
        if let Some(id) = &outcome.request_id {
            span.record("request_id", id.as_str());
        }
        self.meter.ended(&self.shared.settings.name, &request.operation, word, took.as_secs_f64());
        span.in_scope(|| tracing::debug!("Request ended: {word}"));
    }

    /// How long to wait before the next attempt; `None` where there should be none.
    fn pause(&self, request: &Request, error: &HttpError, begin_by: Timestamp, tries: &mut Tries) -> Option<Duration> {
        let policy = &self.shared.settings.retry;
        if !may_repeat(&error.kind, request.repeat) {
            return None;
        }
        let now = self.shared.clock.now();
        let pause = if let HttpErrorKind::Throttled { until: told, said } = &error.kind {
            tries.throttles += 1;
            if tries.throttles > policy.throttles_max {
                return None;
            }
            let is_told = said.is_some() && until(now, *told) > policy.pause;
            let jitter = self.shared.jitter.pause(policy, tries.throttles);
            if is_told { until(now, *told) } else { jitter }
        } else {
            tries.failures += 1;
            if tries.failures >= policy.attempts_max {
                return None;
            }
            self.shared.jitter.pause(policy, tries.failures)
        };
        // No use in waiting for an attempt that has no time.
        (pause < until(now, begin_by)).then_some(pause)
    }

    fn waited(&self, time: Duration) {
        if !time.is_zero() {
            self.meter.waited(&self.shared.settings.name, time.as_secs_f64());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.shared.settings.name)
            .field("base", &self.shared.settings.base)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// What became of a call so far.
struct Tries {
    call: Call,
    failures: u32,
    throttles: u32,
    is_renewed: bool,
    /// Why the last attempt failed.
    last: Option<HttpError>,
}

impl Tries {
    /// The call's error, where something kept the next attempt from being made: that the origin is left alone by now, or that time is over, says less than
    /// why the last attempt failed. What was in doubt stays so.
    fn last_word(self, stop: HttpError) -> HttpError {
        let says_less = match &stop.kind {
            HttpErrorKind::CircuitOpen { .. } => true,
            HttpErrorKind::TimedOut { limit, .. } => *limit == Limit::Deadline,
            _ => false,
        };
        match self.last {
            Some(last) if says_less => last,
            _ => {
                let mut stop = stop;
                stop.call.in_doubt |= self.call.in_doubt;
                stop
            }
        }
    }
}

/// How an attempt ended without an answer.
enum Stop {
    /// There will be no other: it was not even sent.
    Done(HttpError),
    /// The credentials were refused, and there may be others.
    Renewed,
    /// It was sent, or tried to be.
    Failed(HttpError),
}
