//! This machine's clock against AWS's, by the `Date` of its answers.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::{SignedDuration, Timestamp};

use crate::map::instant;

/// Clock difference at which AWS refuses signatures.
///
/// Source: IAM User Guide, "Signature Version 4": a request must reach AWS within five minutes of its time stamp.
pub(crate) const REFUSED_FROM: SignedDuration = SignedDuration::from_mins(5);

/// How far `now` is ahead of (or, negative, behind) a `Date` header; `None` when that is none.
pub(crate) fn skew(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let service = DateTime::from_str(date, Format::HttpDate).ok()?;
    Some(now.duration_since(instant(Some(&service))?))
}

/// Whether AWS refuses what is signed by a clock that is so far off.
pub(crate) fn is_refused(skew: SignedDuration) -> bool {
    skew.abs() >= REFUSED_FROM
}

/// In words.
pub(crate) fn words(skew: SignedDuration) -> String {
    let side = if skew.is_negative() { "behind" } else { "ahead of" };
    format!("{} s {side} AWS", skew.as_secs().unsigned_abs())
}
