//! Time and waiting, handed in so that tests need neither.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

/// What the client takes the time from, and waits by. Time-outs of sockets are not its affair: they go by Tokio's timer.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time of day, which people may set; for what servers name by it, and for what people read.
    fn now(&self) -> Timestamp;

    /// Time since a fixed instant of the clock's own choice. It never goes back.
    fn elapsed(&self) -> Duration;

    /// Returns once so much time has gone by.
    async fn sleep(&self, time: Duration);
}

/// The machine's clock, with Tokio's timer.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose fixed instant is now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// `from` plus `time`, or the end of time.
pub(crate) fn later(from: Timestamp, time: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(time).ok().and_then(|time| from.checked_add(time).ok()).unwrap_or(Timestamp::MAX)
}

/// How long until `until`; nothing where it is past.
pub(crate) fn until(now: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}
