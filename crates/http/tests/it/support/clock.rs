use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_http::Clock;
use jiff::{SignedDuration, Timestamp};

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

/// A clock that stands still while any task has something to do, and then goes to when the next one wakes. For several tasks on one thread, without
/// sockets.
#[derive(Debug, Default)]
pub(crate) struct SteppedClock {
    now: Mutex<Duration>,
    sleepers: Mutex<Vec<Duration>>,
}

/// More steps than any task takes between two sleeps.
const STEPS: usize = 50;

#[async_trait]
impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    async fn sleep(&self, time: Duration) {
        let wakes = self.elapsed() + time;
        self.sleepers.lock().unwrap().push(wakes);
        while self.elapsed() < wakes {
            for _ in 0..STEPS {
                tokio::task::yield_now().await;
            }
            if self.sleepers.lock().unwrap().iter().all(|other| *other >= wakes) {
                let mut now = self.now.lock().unwrap();
                *now = wakes.max(*now);
            }
        }
        let mut sleepers = self.sleepers.lock().unwrap();
        let own = sleepers.iter().position(|other| *other == wakes).unwrap();
        sleepers.swap_remove(own);
    }
}
