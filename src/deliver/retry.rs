//! When a refused change is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::later;

/// Attempts in a row after which a change is parked until `dewpoint retry`.
pub const ATTEMPTS_MAX: u32 = 5;

/// First wait; it doubles with every attempt.
const FIRST: Duration = Duration::from_secs(60);

/// When a change that failed `attempts` times in a row is due again. Without jitter: a record has one target and one holder, so nothing competes.
#[must_use]
pub fn back_off(at: Timestamp, attempts: u32) -> Timestamp {
    later(at, FIRST * 2_u32.saturating_pow(attempts.saturating_sub(1).min(10)))
}
