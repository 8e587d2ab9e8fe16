//! What is repeated, and when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{ConnectFailure, HttpErrorKind};

/// Whether a request may reach the server twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It may: the second time changes nothing, or nothing that matters.
    Safe,
    /// It may not. It is still repeated where the server is known to have done nothing: refused for the rate, or no connection.
    Never,
}

/// How often and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most attempts of one call that fail for other reasons than a rate limit; the first included.
    pub attempts_max: u32,
    /// Most refusals for a rate limit that one call takes; time usually ends it before.
    pub throttles_max: u32,
    /// Longest pause after the first failure; it doubles with each.
    pub pause: Duration,
    /// Longest pause after any.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 5, throttles_max: 30, pause: Duration::from_millis(500), pause_max: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// Longest pause after so many failures: doubling, up to the limit.
    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.pause.saturating_mul(1 << doublings).min(self.pause_max)
    }
}

/// Pauses between attempts, with full jitter: anything from nothing to the ceiling, so that clients that failed together do not come back together.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<fastrand::Rng>);

impl Jitter {
    /// The same seed gives the same pauses.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)))
    }

    pub(crate) fn pause(&self, policy: &RetryPolicy, failures: u32) -> Duration {
        let share = self.0.lock().unwrap_or_else(PoisonError::into_inner).f64();
        policy.ceiling(failures).mul_f64(share)
    }
}

/// Whether a failed attempt may be followed by another.
pub(crate) fn may_repeat(kind: &HttpErrorKind, repeat: Repeat) -> bool {
    match kind {
        // Nothing was sent, or the server says that it did nothing. But trust does not come by waiting.
        HttpErrorKind::Connect { failure, .. } => *failure != ConnectFailure::Tls,
        HttpErrorKind::Throttled { .. } | HttpErrorKind::TimedOut { sent: false, .. } => true,
        // It may have been carried out.
        HttpErrorKind::TimedOut { .. }
        | HttpErrorKind::Lost { .. }
        | HttpErrorKind::Truncated { .. }
        | HttpErrorKind::Empty { .. }
        | HttpErrorKind::NotJson { .. } => repeat == Repeat::Safe,
        // 501 and 505 will not be better next time.
        HttpErrorKind::Unavailable { said, .. } => repeat == Repeat::Safe && !matches!(said.status, 501 | 505),
        // The server gave up waiting for the request.
        HttpErrorKind::Refused { said, .. } => repeat == Repeat::Safe && said.status == 408,
        HttpErrorKind::Unsendable { .. }
        | HttpErrorKind::ForeignOrigin { .. }
        | HttpErrorKind::CircuitOpen { .. }
        | HttpErrorKind::TooLarge { .. }
        | HttpErrorKind::Unexpected { .. }
        | HttpErrorKind::Redirected { .. }
        | HttpErrorKind::Unauthorised { .. }
        | HttpErrorKind::Forbidden { .. }
        | HttpErrorKind::NotFound { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_limit() {
        let policy = RetryPolicy { pause: Duration::from_secs(1), pause_max: Duration::from_secs(10), ..RetryPolicy::default() };
        let ceilings: Vec<u64> = (1..=6).map(|failures| policy.ceiling(failures).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 10, 10]);
        assert_eq!(policy.ceiling(u32::MAX).as_secs(), 10);
    }

    #[test]
    fn jitter_is_full_and_seeded() {
        let policy = RetryPolicy { pause: Duration::from_secs(8), pause_max: Duration::from_secs(8), ..RetryPolicy::default() };
        let (one, other) = (Jitter::new(Some(7)), Jitter::new(Some(7)));
        let pauses: Vec<Duration> = (0..1000).map(|_| one.pause(&policy, 1)).collect();
        assert!(pauses.iter().all(|pause| *pause == other.pause(&policy, 1)), "the same seed gives the same pauses");
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(8)));
        for quarter in 0..4 {
            let (from, to) = (Duration::from_secs(2 * quarter), Duration::from_secs(2 * quarter + 2));
            let share = pauses.iter().filter(|pause| (from..to).contains(*pause)).count();
            assert!((150..350).contains(&share), "{share} of 1000 pauses lie in quarter {quarter}");
        }
    }
}
