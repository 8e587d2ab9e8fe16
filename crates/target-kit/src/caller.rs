//! Calls to one CMDB.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dewpoint_core::doctor::Skew;
use dewpoint_core::model::TargetName;
use dewpoint_core::target::TargetError;
use dewpoint_http::{Answer, Client, Clock, HttpError, Request};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

/// Calls one CMDB, and says what its failures mean to whoever uses a target.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
    target: TargetName,
    clock: Arc<dyn Clock>,
    /// How far our clock is ahead of the CMDB's, as its answers told last.
    skew: Arc<Mutex<Option<Skew>>>,
    /// When whoever calls has to be done: no request goes on beyond it.
    deadline: Option<Timestamp>,
}

impl Caller {
    /// Calls as this client.
    #[must_use]
    pub fn new(client: Client, target: TargetName, clock: Arc<dyn Clock>) -> Self {
        Self { client, target, clock, skew: Arc::default(), deadline: None }
    }

    /// The same for requests that end before this.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::ZERO);
        let deadline = self.clock.now().checked_add(left).unwrap_or(Timestamp::MAX);
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The target's name.
    #[must_use]
    pub const fn target(&self) -> &TargetName {
        &self.target
    }

    /// The clock of waits and deadlines.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// How far our clock is ahead of the CMDB's, to the second; `None` before the first answer that tells the time.
    #[must_use]
    pub fn skew(&self) -> Option<Skew> {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`HttpError`] as it is, for callers to whom some refusals are answers.
    pub async fn ask(&self, request: Request) -> Result<Answer, HttpError> {
        let request = match self.deadline {
            Some(deadline) => request.deadline(deadline),
            None => request,
        };
        let answer = self.client.send(request).await?;
        let told = answer.header("date").and_then(|date| Skew::by_date(date, self.clock.now()));
        if told.is_some() {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
        Ok(answer)
    }

    /// Sends a request; `operation` is what people are told was tried.
    ///
    /// # Errors
    /// What its failure means ([`Self::failed`]).
    pub async fn send(&self, request: Request, operation: &'static str) -> Result<Answer, TargetError> {
        self.ask(request).await.map_err(|error| self.failed(operation, &error))
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// When it is something else than was asked for.
    pub fn json<T: DeserializeOwned>(&self, answer: &Answer, operation: &'static str) -> Result<T, TargetError> {
        answer.json().map_err(|error| self.failed(operation, &error))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::json`].
    pub async fn get<T: DeserializeOwned>(&self, request: Request, operation: &'static str) -> Result<T, TargetError> {
        self.json(&self.send(request, operation).await?, operation)
    }

    /// No answer, or one that says nothing.
    #[must_use]
    pub fn unreachable(&self, operation: &'static str, text: impl Into<String>) -> TargetError {
        TargetError::Unreachable { target: self.target.clone(), operation, text: text.into() }
    }

    /// A record that is refused.
    #[must_use]
    pub fn rejected(&self, text: impl Into<String>) -> TargetError {
        TargetError::Rejected { target: self.target.clone(), text: text.into() }
    }

    /// A target that cannot be used as it is.
    #[must_use]
    pub fn unusable(&self, text: impl Into<String>, hint: impl Into<String>) -> TargetError {
        TargetError::Unusable { target: self.target.clone(), text: text.into(), hint: hint.into() }
    }

    /// What a failed call means.
    #[must_use]
    pub fn failed(&self, operation: &'static str, error: &HttpError) -> TargetError {
        let target = self.target.clone();
        let text = error.to_string();
        let wait = |until: Timestamp| u64::try_from(until.duration_since(self.clock.now()).as_secs()).unwrap_or(0);
        match (error.outcome(), error.retry_at()) {
            ("unauthorised", _) => TargetError::Credentials { target, text },
            ("forbidden", _) => TargetError::Forbidden { target, operation, text },
            ("throttled" | "circuit_open", Some(until)) => TargetError::Busy { target, seconds: wait(until) },
            ("refused", _) => TargetError::Rejected { target, text },
            ("unsendable" | "foreign_origin" | "redirected", _) => {
                let hint = error.hint().unwrap_or("check `url` in the configuration").to_owned();
                TargetError::Unusable { target, text, hint }
            }
            _ => TargetError::Unreachable { target, operation, text },
        }
    }
}
