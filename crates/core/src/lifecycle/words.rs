//! Durations and instants, computed without surprises and spelt as the configuration spells them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Time from `since` to `at`; a negative interval is zero.
pub(super) fn elapsed(since: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(since)).unwrap_or(Duration::ZERO)
}

/// The instant a time after another; the last representable one where the sum is beyond.
pub(super) fn after(since: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time).ok().and_then(|time| since.checked_add(time).ok()).unwrap_or(Timestamp::MAX)
}

/// A duration in the largest unit that gives a whole number: `15m`, `24h`, `7d`.
pub(super) fn spelt(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 && s > 86_400 => format!("{}d", s / 86_400),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// `1 complete listing`, `2 complete listings`.
pub(super) fn listings(count: u32) -> String {
    if count == 1 { "1 complete listing".to_owned() } else { format!("{count} complete listings") }
}
