//! The simulated time.

use jiff::{SignedDuration, Timestamp};

/// Where a simulator's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    frozen_at: Option<Timestamp>,
    advanced: SignedDuration,
}

impl Clock {
    /// The machine's clock, plus whatever [`Clock::advance`] added.
    pub fn real() -> Self {
        Self { frozen_at: None, advanced: SignedDuration::ZERO }
    }

    /// A clock that stands at `start` and moves by [`Clock::advance`] only.
    pub fn manual(start: Timestamp) -> Self {
        Self { frozen_at: Some(start), advanced: SignedDuration::ZERO }
    }

    /// Moves the time on.
    pub fn advance(&mut self, by: SignedDuration) {
        self.advanced = self.advanced.checked_add(by).unwrap_or(SignedDuration::MAX);
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        later(self.frozen_at.unwrap_or_else(wall), self.advanced)
    }

    /// The machine's time plus whatever [`Clock::advance`] added, also on a clock that stands: for what clients compare with a clock of their own.
    pub fn moving_now(&self) -> Timestamp {
        later(wall(), self.advanced)
    }
}

/// The machine's time.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// `at` plus `by`, at the end of time at most.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A number of seconds, as settings have it, as a duration.
pub fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A time as the header `Date` has it.
pub fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
