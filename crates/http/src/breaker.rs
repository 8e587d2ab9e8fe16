//! Leaving an origin alone that fails and fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, later};
use crate::origin::Origin;

/// When an origin is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row after which it is.
    pub failures: u32,
    /// How long, until one request is let through to see.
    pub cooldown: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, cooldown: Duration::from_secs(30) }
    }
}

/// What an attempt says about the origin's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered, as a server does that works.
    Up,
    /// It did not answer, or only what stands in front of it did. In words.
    Down(String),
    /// Neither: the attempt was not made, or the application itself failed at this very request.
    Unknown,
}

/// An origin that is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) last: String,
}

#[derive(Debug, Clone)]
enum State {
    /// So many failures in a row.
    Closed(u32),
    Open {
        since: Timestamp,
        /// By [`Clock::elapsed`].
        until: Duration,
        last: String,
        /// Whether a request is under way to see.
        probing: bool,
    },
}

/// The state of each origin. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    clock: Arc<dyn Clock>,
    states: Arc<Mutex<BTreeMap<Origin, State>>>,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy, clock: Arc<dyn Clock>) -> Self {
        Self { policy, clock, states: Arc::default() }
    }

    /// Asks whether a request may go; says with [`Pass::report`] how it went. A pass that is dropped says nothing.
    pub(crate) fn enter(&self, origin: &Origin) -> Result<Pass, Open> {
        let now = self.clock.elapsed();
        let mut states = self.lock();
        let mut is_probe = false;
        if let Some(State::Open { since, until, last, probing }) = states.get_mut(origin) {
            if now < *until || *probing {
                let left = until.saturating_sub(now);
                return Err(Open { since: *since, until: later(self.clock.now(), left), last: last.clone() });
            }
            *probing = true;
            is_probe = true;
        }
        Ok(Pass { breaker: self.clone(), origin: origin.clone(), is_probe, told: false })
    }

    /// The origin as it is, without a request in mind.
    pub(crate) fn check(&self, origin: &Origin) -> Result<(), Open> {
        let now = self.clock.elapsed();
        match self.lock().get(origin) {
            Some(State::Open { since, until, last, probing }) if now < *until || *probing => {
                Err(Open { since: *since, until: later(self.clock.now(), until.saturating_sub(now)), last: last.clone() })
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Origin, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, origin: &Origin, is_probe: bool, health: Health) {
        let now = self.clock.elapsed();
        let mut states = self.lock();
        let state = states.entry(origin.clone()).or_insert(State::Closed(0));
        match (health, &mut *state) {
            (Health::Up, _) => *state = State::Closed(0),
            (Health::Down(words), State::Closed(failures)) => {
                *failures = failures.saturating_add(1);
                if *failures >= self.policy.failures {
                    tracing::warn!(origin = %origin, failures = *failures, "{origin} is left alone for a while: {words}");
                    *state = State::Open { since: self.clock.now(), until: now + self.policy.cooldown, last: words, probing: false };
                }
            }
            // Requests that were under way when it opened move nothing; the probe does.
            (Health::Down(words), State::Open { until, last, probing, .. }) if is_probe => {
                *until = now + self.policy.cooldown;
                *last = words;
                *probing = false;
            }
            (Health::Unknown, State::Open { probing, .. }) if is_probe => *probing = false,
            (Health::Down(_) | Health::Unknown, _) => {}
        }
    }
}

/// Leave to send one request.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Breaker,
    origin: Origin,
    is_probe: bool,
    told: bool,
}

impl Pass {
    pub(crate) fn report(mut self, health: Health) {
        self.told = true;
        self.breaker.told(&self.origin, self.is_probe, health);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.told(&self.origin, self.is_probe, Health::Unknown);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use async_trait::async_trait;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(Mutex<Duration>);

    impl Hand {
        fn advance(&self, seconds: u64) {
            *self.0.lock().unwrap() += Duration::from_secs(seconds);
        }
    }

    #[async_trait]
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            later(Timestamp::UNIX_EPOCH, self.elapsed())
        }

        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        async fn sleep(&self, _: Duration) {}
    }

    fn breaker() -> (Breaker, Origin, Arc<Hand>) {
        let policy = BreakerPolicy { failures: 3, cooldown: Duration::from_secs(30) };
        let origin = Origin::of(&url::Url::parse("https://a.example").unwrap()).unwrap();
        let clock = Arc::new(Hand::default());
        (Breaker::new(policy, Arc::clone(&clock) as _), origin, clock)
    }

    fn fail(breaker: &Breaker, origin: &Origin, times: u32) {
        for n in 0..times {
            breaker.enter(origin).unwrap().report(Health::Down(format!("failure {n}")));
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_and_lets_one_through_to_see() {
        let (breaker, origin, clock) = breaker();
        fail(&breaker, &origin, 2);
        breaker.enter(&origin).unwrap().report(Health::Up);
        fail(&breaker, &origin, 2);
        breaker.enter(&origin).unwrap().report(Health::Unknown);
        assert!(breaker.enter(&origin).is_ok(), "neither good news between nor no news counts as a failure");

        fail(&breaker, &origin, 1);
        let open = breaker.enter(&origin).unwrap_err();
        assert_eq!(open.last, "failure 0");
        assert!(open.until > open.since);

        clock.advance(29);
        assert!(breaker.enter(&origin).is_err());
        assert!(breaker.check(&origin).is_err());
        clock.advance(1);
        assert!(breaker.check(&origin).is_ok());
        let probe = breaker.enter(&origin).unwrap();
        assert!(breaker.enter(&origin).is_err(), "one at a time");
        probe.report(Health::Down("still".to_owned()));
        assert_eq!(breaker.enter(&origin).unwrap_err().last, "still");

        clock.advance(30);
        drop(breaker.enter(&origin).unwrap());
        breaker.enter(&origin).unwrap().report(Health::Up);
        assert!(breaker.enter(&origin).is_ok());
        fail(&breaker, &origin, 2);
        assert!(breaker.enter(&origin).is_ok(), "it counts from the start again");
    }

    #[test]
    fn origins_fail_for_themselves() {
        let (breaker, origin, _) = breaker();
        fail(&breaker, &origin, 3);
        let other = Origin::of(&url::Url::parse("https://b.example").unwrap()).unwrap();
        assert!(breaker.enter(&other).is_ok());
        assert!(breaker.clone().enter(&origin).is_err(), "clones share what they know");
    }
}
