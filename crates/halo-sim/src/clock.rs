//! Times as the API writes them: UTC, without a zone.

use jiff::{Timestamp, civil, tz::Offset};

/// A date that was never set.
pub(crate) const UNSET: &str = "1900-01-01T00:00:00";

/// A time as answers have it, without trailing zeros of its fraction.
pub(crate) fn written(at: Timestamp) -> String {
    let text = at.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A date of a request as it is stored, or nothing when the text is none. What names no zone is UTC.
pub(crate) fn stored(text: &str) -> Option<String> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let time = text.parse::<civil::DateTime>().ok()?;
        Offset::UTC.to_timestamp(time).ok()
    })?;
    Some(written(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_lose_their_zone() {
        let cases = [
            ("2026-01-29T20:00:00.000Z", Some("2026-01-29T20:00:00")),
            ("2026-01-29T20:00:00.120Z", Some("2026-01-29T20:00:00.12")),
            ("2026-01-29T20:00:00+02:00", Some("2026-01-29T18:00:00")),
            ("2026-01-29T20:00:00", Some("2026-01-29T20:00:00")),
            ("2026-01-29", Some("2026-01-29T00:00:00")),
            ("soon", None),
        ];
        for (text, expected) in cases {
            assert_eq!(stored(text).as_deref(), expected, "{text}");
        }
    }
}
