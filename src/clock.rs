//! Time, injected: a run's clock may be set by `--at`, leases always go by the real one.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The run's clock: what timers, journal entries and `delivered_at` go by. Fixed for the length of a run.
    fn now(&self) -> Timestamp;

    /// The real clock, for leases and for measuring.
    fn real_now(&self) -> Timestamp;
}

/// The machine's clock, read once at the start, or the time given by `--at`.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    now: Timestamp,
}

impl RunClock {
    /// A clock that stands at `at`, or at the present.
    #[must_use]
    pub fn new(at: Option<Timestamp>) -> Self {
        Self { now: to_microseconds(at.unwrap_or_else(Timestamp::now)) }
    }
}

impl Clock for RunClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn real_now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// When a run began.
#[derive(Debug, Clone, Copy)]
pub struct Began {
    /// As its report says it.
    pub at: Timestamp,
    /// On the clock that measures.
    pub instant: Instant,
}

impl Began {
    /// It begins now; its report says so by this clock.
    #[must_use]
    pub fn now(clock: &impl Clock) -> Self {
        Self { at: clock.now(), instant: Instant::now() }
    }
}

/// The ledger keeps microseconds; a run that kept more would see its own times change at the next load.
#[must_use]
pub fn to_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// `time + duration`, at the end of time where it would lie beyond.
#[must_use]
pub fn later(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// `time - duration`, at the beginning of time where it would lie before.
#[must_use]
pub fn earlier(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_sub(duration).unwrap_or(Timestamp::MIN)
}
