//! The simulator's time.

use jiff::{SignedDuration, Timestamp, tz::Offset};

/// Where the simulator's time comes from.
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

    /// The time on the instance.
    pub fn now(&self) -> Timestamp {
        later(self.frozen_at.unwrap_or_else(Timestamp::now), self.advanced)
    }
}

/// `at` plus `by`, at the end of time at most.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The time as the instance stores it: UTC, without a zone.
pub(crate) fn stored(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A stored time, or nothing when the text is none.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let shape = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if !shape {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// A stored time as people of a time zone see it.
pub(crate) fn displayed(text: &str, offset_minutes: i32) -> String {
    parse(text).map_or_else(|| text.to_owned(), |at| stored(later(at, SignedDuration::from_mins(i64::from(offset_minutes)))))
}
