//! Rate limits, by the minute.

use std::collections::HashMap;

use dewpoint_sim_kit::clock::{later, seconds};
use jiff::Timestamp;

use crate::{reply::ApiError, settings::Limits, value};

/// How often each caller met each limit in the present minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Levels {
    minute: i64,
    counts: HashMap<(String, &'static str), u64>,
    total: u64,
}

impl Levels {
    /// Counts a request, or refuses it.
    pub(crate) fn count(
        &mut self,
        limits: &Limits,
        caller: &str,
        operation: &'static str,
        retry_after: bool,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let minute = now.as_second().div_euclid(60);
        if self.minute != minute {
            *self = Self { minute, ..Self::default() };
        }
        let count = self.counts.entry((caller.to_owned(), operation)).or_default();
        let limit = limits.by_operation.get(operation).copied().or(limits.otherwise);
        if limit.is_some_and(|limit| *count >= limit) || limits.total.is_some_and(|limit| self.total >= limit) {
            let wait = u64::try_from((minute + 1) * 60 - now.as_second()).unwrap_or(60).max(1);
            return Err(refusal(retry_after.then_some(wait), now));
        }
        *count += 1;
        self.total += 1;
        Ok(())
    }
}

/// 429, with how long to wait where that is told.
pub(crate) fn refusal(retry_after_s: Option<u64>, now: Timestamp) -> ApiError {
    let error = ApiError::new(429, "Rate limit exceeded");
    match retry_after_s {
        None => error,
        Some(wait) => error.header("Retry-After", wait.to_string()).header("X-RateLimit-Reset", value::stamp_s(later(now, seconds(wait)))),
    }
}
