//! What one call is watched for: its attempts, the time spent waiting for a rate limit, and the service's clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::error::words;

/// Watches one call: its attempts, the time spent waiting for a rate limit, and the service's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Readings>);

#[derive(Debug, Default)]
struct Readings {
    attempts: AtomicU64,
    throttled: Mutex<Throttled>,
    date: Mutex<Option<String>>,
    /// HTTP status of the last answer.
    status: Mutex<Option<u16>>,
    /// Why the last attempt came to no answer.
    no_answer: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Throttled {
    since: Option<Instant>,
    total: Duration,
}

impl Meter {
    /// Requests sent, the first included.
    pub(crate) fn attempts(&self) -> u64 {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// Whether the service refused the last attempt, or one before it, for the rate limit.
    pub(crate) fn was_throttled(&self) -> bool {
        self.0.throttled.lock().is_ok_and(|throttled| throttled.since.is_some() || !throttled.total.is_zero())
    }

    /// Time between an answer that spoke of the rate limit and the next attempt.
    pub(crate) fn waited(&self) -> Duration {
        self.0.throttled.lock().map(|throttled| throttled.total).unwrap_or_default()
    }

    /// HTTP status of the last answer; `None` where none came.
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.status.lock().ok().and_then(|status| *status)
    }

    /// Why the last attempt came to no answer, where it failed on the way.
    pub(crate) fn no_answer(&self) -> Option<String> {
        self.0.no_answer.lock().ok().and_then(|words| words.clone())
    }

    /// The `Date` header of the last answer.
    pub(crate) fn date(&self) -> Option<String> {
        self.0.date.lock().ok().and_then(|date| date.clone())
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut throttled) = self.0.throttled.lock()
            && let Some(since) = throttled.since.take()
        {
            throttled.total += since.elapsed();
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(mut status) = self.0.status.lock() {
            *status = Some(context.response().status().as_u16());
        }
        if let Ok(mut no_answer) = self.0.no_answer.lock() {
            *no_answer = None;
        }
        if let (Some(date), Ok(mut slot)) = (context.response().headers().get("date"), self.0.date.lock()) {
            *slot = Some(date.to_owned());
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // EC2 throttles with status 503, the query services with 400, newer ones with 429; the first two say other things with them as well.
        let limited = context.response().is_some_and(|response| match response.status().as_u16() {
            429 => true,
            400 | 503 => response.body().bytes().is_some_and(says_throttled),
            _ => false,
        });
        let lost = context.output_or_error().and_then(Result::err).and_then(OrchestratorError::as_connector_error);
        if let (Some(error), Ok(mut no_answer)) = (lost, self.0.no_answer.lock()) {
            *no_answer = Some(words(Some(error)));
        }
        if limited && let Ok(mut throttled) = self.0.throttled.lock() {
            throttled.since = Some(Instant::now());
        }
        Ok(())
    }
}

/// Whether an error document's code is one of those for the rate limit.
fn says_throttled(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(ERROR_HEAD_BYTES)).unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    ["RequestLimitExceeded", "Throttling", "ThrottledException", "TooManyRequestsException"].iter().any(|code| text.contains(code))
}

/// How far into an error document its code stands at the latest.
const ERROR_HEAD_BYTES: usize = 1024;
