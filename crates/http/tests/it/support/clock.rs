use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_http::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When all tests begin.
fn start() -> Timestamp {
    "2026-06-01T10:00:00Z".parse().unwrap()
}

fn plus(time: Duration) -> Timestamp {
    start() + SignedDuration::try_from(time).unwrap()
}

/// A clock on which sleeping is over at once and moves it on. For one task at a time, beside real sockets.
#[derive(Debug, Default)]
pub(crate) struct VirtualClock {
    state: Mutex<(Duration, Vec<Duration>)>,
}

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// All sleeps so far.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.state.lock().unwrap().1.clone()
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.state.lock().unwrap().0 += time;
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().0
    }

    async fn sleep(&self, time: Duration) {
        {
            let mut state = self.state.lock().unwrap();
            state.0 += time;
            state.1.push(time);
        }
        tokio::task::yield_now().await;
    }
}

/// Tokio's paused clock, for several tasks without sockets.
#[derive(Debug)]
pub(crate) struct PausedClock(Instant);

impl PausedClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
