//! Times as the instance writes them.

use dewpoint_sim_kit::clock::later;
use jiff::{SignedDuration, Timestamp, tz::Offset};

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
