//! How many calls a credential may make, and how long all of them wait when the platform says so.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::Reference;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jiff::Timestamp;

use crate::clock::{Clock, later, until};
use crate::rate::{RateSignal, STAY_AWAY_MAX};

/// The rate budget of one credential. Everything that is sent with the credential asks the same budget, so replicas may share one.
#[async_trait]
pub trait Budget: Send + Sync + fmt::Debug {
    /// Waits until so many calls may be made, takes them, and says how long that took.
    ///
    /// # Errors
    /// At once, where the wait would go beyond `latest`: [`Exhausted`]. Nothing is taken then.
    async fn acquire(&self, weight: NonZeroU32, latest: Timestamp) -> Result<Duration, Exhausted>;

    /// Told once for each time that calls were acquired: what the answer said, or that none came.
    fn observe(&self, signal: Option<&RateSignal>);
}

/// The budget has nothing left before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// When it will.
    pub until: Timestamp,
}

/// Calls taken from a budget, which hears of them in any case.
pub(crate) struct Taken<'a>(&'a dyn Budget);

impl<'a> Taken<'a> {
    pub(crate) fn of(budget: &'a dyn Budget) -> Self {
        Self(budget)
    }

    pub(crate) fn observe(self, signal: Option<&RateSignal>) {
        self.0.observe(signal);
        std::mem::forget(self);
    }

    /// Somebody else tells the budget.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.observe(None);
    }
}

/// No limit of our own, and deaf to the platform's: what a request is told to wait, it still waits by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

#[async_trait]
impl Budget for Unlimited {
    async fn acquire(&self, _: NonZeroU32, _: Timestamp) -> Result<Duration, Exhausted> {
        Ok(Duration::ZERO)
    }

    fn observe(&self, _: Option<&RateSignal>) {}
}

/// How fast a [`RateBudget`] lets calls go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls per second once the bucket is empty. Less than one is fine: Halo's 50 a minute are 0.83.
    pub per_second: f64,
    /// Size of the bucket: calls that may go at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// So many calls a second, and as many at once (at least one).
    #[must_use]
    pub fn per_second(per_second: f64) -> Self {
        let whole = (1..=1000).rev().find(|n| f64::from(*n) <= per_second).unwrap_or(1);
        Self { per_second, burst: NonZeroU32::new(whole).unwrap_or(NonZeroU32::MIN) }
    }

    fn quota(self) -> Quota {
        // Out of bounds or no number at all: as slow, or as fast, as makes sense.
        let per_second = if self.per_second.is_nan() { PER_SECOND_MIN } else { self.per_second.clamp(PER_SECOND_MIN, PER_SECOND_MAX) };
        let period = Duration::from_secs_f64(1.0 / per_second);
        Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(self.burst)
    }
}

/// One call a day.
const PER_SECOND_MIN: f64 = 1.0 / 86_400.0;
const PER_SECOND_MAX: f64 = 1_000_000.0;

/// First pause after a refusal without a time; it doubles with each in a row.
const UNTOLD_PAUSE: Duration = Duration::from_secs(1);
/// Longest of them.
const UNTOLD_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Where a platform tells how many calls are left but not when there will be more, it refills all the time: this few left, and we slow down.
pub(crate) const FEW_LEFT: u64 = 10;
/// Pause for everybody when few are left.
const FEW_LEFT_PAUSE: Duration = Duration::from_secs(1);

/// A token bucket, slowed by what the platform says: a refusal, or a window with no calls left, stops every request of the credential until then, not
/// only the one that was told.
///
/// A limit that is told without the number of calls left is not acted upon: it may be that of another API of the same platform. Nor is what a part of the
/// platform has left by limits of its own: [`LayeredBudget`](crate::LayeredBudget) is for that.
pub struct RateBudget {
    limiter: RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Moment>>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing goes before; by [`Clock::elapsed`].
    paused_until: Duration,
    /// Refusals without a time, in a row.
    untold: u32,
    /// Acquired, and nothing heard yet.
    under_way: u64,
    window: Option<Window>,
}

/// What is left until the platform's window is full again.
#[derive(Debug, Clone, Copy)]
struct Window {
    left: u64,
    reset_at: Duration,
}

impl RateBudget {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let limiter = RateLimiter::direct_with_clock(rate.quota(), LimiterClock(Arc::clone(&clock)));
        Self { limiter, clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the calls, or says how long to wait before asking again.
    fn try_acquire(&self, weight: NonZeroU32) -> Result<(), Duration> {
        let now = self.clock.elapsed();
        let mut state = self.lock();
        if state.paused_until > now {
            return Err(state.paused_until.saturating_sub(now));
        }
        if let Some(window) = state.window {
            if window.reset_at <= now {
                state.window = None;
            } else if window.left == 0 {
                return Err(window.reset_at.saturating_sub(now));
            }
        }
        // More than the bucket holds can never be had at once: then all that it holds.
        let taken = self.limiter.check_n(weight).unwrap_or_else(|capacity| match NonZeroU32::new(capacity.0) {
            Some(all) => self.limiter.check_n(all).unwrap_or(Ok(())),
            None => Ok(()),
        });
        if let Err(not_until) = taken {
            return Err(not_until.wait_time_from(Moment(now)).max(Duration::from_millis(1)));
        }
        state.under_way = state.under_way.saturating_add(1);
        if let Some(window) = &mut state.window {
            window.left = window.left.saturating_sub(u64::from(weight.get()));
        }
        Ok(())
    }
}

impl fmt::Debug for RateBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateBudget").field("state", &self.state).finish_non_exhaustive()
    }
}

#[async_trait]
impl Budget for RateBudget {
    async fn acquire(&self, weight: NonZeroU32, latest: Timestamp) -> Result<Duration, Exhausted> {
        let since = self.clock.elapsed();
        loop {
            let Err(wait) = self.try_acquire(weight) else {
                return Ok(self.clock.elapsed().saturating_sub(since));
            };
            let now = self.clock.now();
            if wait > until(now, latest) {
                return Err(Exhausted { until: later(now, wait) });
            }
            self.clock.sleep(wait).await;
        }
    }

    fn observe(&self, signal: Option<&RateSignal>) {
        let now = self.clock.elapsed();
        let mut state = self.lock();
        state.under_way = state.under_way.saturating_sub(1);
        let Some(signal) = signal else { return };
        if signal.is_refusal {
            let pause = match signal.stay_away() {
                Some(told) => told,
                // Requests that were under way together are refused together: one lesson, not many.
                None if state.paused_until > now => Duration::ZERO,
                None => {
                    state.untold = state.untold.saturating_add(1);
                    let doublings = state.untold.saturating_sub(1).min(16);
                    UNTOLD_PAUSE.saturating_mul(1 << doublings).min(UNTOLD_PAUSE_MAX)
                }
            };
            state.paused_until = state.paused_until.max(now + pause);
            return;
        }
        state.untold = 0;
        match (signal.remaining, signal.reset_after) {
            (Some(remaining), Some(reset_after)) if !reset_after.is_zero() => {
                let reset_at = now + reset_after.min(STAY_AWAY_MAX);
                let left = remaining.saturating_sub(state.under_way);
                // Answers overtake one another: within a window the fewest counts.
                let known = state.window.filter(|window| window.reset_at.abs_diff(reset_at) < SAME_WINDOW && window.reset_at > now);
                let left = known.map_or(left, |window| window.left.min(left));
                state.window = Some(Window { left, reset_at });
            }
            (Some(remaining), None) if remaining < FEW_LEFT => {
                state.paused_until = state.paused_until.max(now + FEW_LEFT_PAUSE);
            }
            _ => {}
        }
    }
}

/// Two answers speak of the same window when their resets are no further apart: they are told in whole seconds, and answers take time.
const SAME_WINDOW: Duration = Duration::from_secs(3);

/// The limiter's view of our clock.
#[derive(Debug, Clone)]
struct LimiterClock(Arc<dyn Clock>);

impl governor::clock::Clock for LimiterClock {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }
}

/// A point in time by [`Clock::elapsed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Duration);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, time: Nanos) -> Self {
        Self(self.0.saturating_add(time.into()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, time: Nanos) -> Self {
        Self(self.0.checked_sub(time.into()).unwrap_or(self.0))
    }
}
