//! What answers say about rate limits, in whatever headers a platform has for it.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// What one answer said about rate limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateSignal {
    /// Whether the request was refused for a rate limit (429, or 503 with `Retry-After`).
    pub is_refusal: bool,
    /// How long to stay away (`Retry-After`, or one of the headers that say it in milliseconds).
    pub retry_after: Option<Duration>,
    /// Calls that a full window has.
    pub limit: Option<u64>,
    /// Calls that the platform itself still lets through: by its plain headers, or Azure's count for the subscription, the tenant or the user. Of
    /// several that it tells, the fewest.
    pub remaining: Option<u64>,
    /// Calls that the part of the platform that answered lets through by limits of its own, as a resource provider of Azure has them
    /// (`x-ms-ratelimit-remaining-resource`). Of several policies, the fewest. [`LayeredBudget`](crate::LayeredBudget) acts upon it.
    pub provider_remaining: Option<u64>,
    /// How long until the window is full again.
    pub reset_after: Option<Duration>,
    /// Which rule of the platform's counts.
    pub rule: Option<String>,
}

/// Longest wait that a platform can ask for: limits are counted by the hour at most, and a slip of a clock must not stop us for years.
pub(crate) const STAY_AWAY_MAX: Duration = Duration::from_secs(3600);

/// Numbers of seconds from here on are points in time, below it they are lengths: some platforms send the one, some the other.
const EPOCH_SECONDS_MIN: u64 = 1_000_000_000;
/// From here on, points in time are in milliseconds.
const EPOCH_MILLISECONDS_MIN: u64 = 100_000_000_000;

impl RateSignal {
    /// Reads an answer's headers. Points in time are taken relative to the answer's own `Date`, where it has one: the clocks may differ.
    ///
    /// Known are `Retry-After` (seconds or a date), `X-RateLimit-Limit`, `-Remaining`, `-Reset` (a point in time in seconds or milliseconds, a number
    /// of seconds, or a date) and `-Rule`, the same names without `X-`, and Azure's `x-ms-ratelimit-remaining-*` and `x-ms-user-quota-*`. Where there is
    /// no `Retry-After`, `retry-after-ms` and `x-ms-retry-after-ms` count.
    ///
    /// Sources: RFC 9110 §10.2.3; ServiceNow, "Inbound REST API rate limiting"; Jira Cloud platform, "Rate limiting"; Azure, "Request limits and
    /// throttling", "Troubleshoot API throttling errors" (compute) and "Guidance for throttled requests in Azure Resource Graph"; Azure SDK
    /// guidelines, retry policy.
    #[must_use]
    pub fn read(status: u16, headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let now = text("date").and_then(date).unwrap_or(now);
        let milliseconds = |name: &str| text(name)?.parse().ok().map(Duration::from_millis);
        let retry_after = text("retry-after").and_then(|value| length(value, now));
        let retry_after = retry_after.or_else(|| ["retry-after-ms", "x-ms-retry-after-ms"].into_iter().find_map(milliseconds));
        let number = |names: [&str; 2]| names.iter().find_map(|name| text(name)?.parse().ok());
        let reset = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|name| length(text(name)?, now));
        let reset_after = reset.or_else(|| text("x-ms-user-quota-resets-after").and_then(clock_length));
        Self {
            is_refusal: status == 429 || (status == 503 && retry_after.is_some()),
            retry_after,
            limit: number(["x-ratelimit-limit", "ratelimit-limit"]),
            remaining: number(["x-ratelimit-remaining", "ratelimit-remaining"]).or_else(|| fewest(headers, is_azures_own)),
            provider_remaining: fewest(headers, |name| name == PROVIDER_REMAINING),
            reset_after,
            rule: text("x-ratelimit-rule").map(str::to_owned),
        }
    }

    /// How long the platform wants to be left alone, as far as it says; an hour at most.
    #[must_use]
    pub fn stay_away(&self) -> Option<Duration> {
        if !self.is_refusal {
            return None;
        }
        self.retry_after.or(self.reset_after).map(|told| told.min(STAY_AWAY_MAX))
    }
}

/// A number of seconds, a point in time as a number, or a date.
fn length(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        let seconds = Duration::try_from_secs_f64(number.max(0.0)).ok()?;
        let at = match seconds.as_secs() {
            ..EPOCH_SECONDS_MIN => return Some(seconds),
            whole @ EPOCH_SECONDS_MIN..EPOCH_MILLISECONDS_MIN => Timestamp::from_second(i64::try_from(whole).ok()?).ok()?,
            whole => Timestamp::from_millisecond(i64::try_from(whole).ok()?).ok()?,
        };
        return Some(crate::clock::until(now, at));
    }
    let at = date(text).or_else(|| text.parse::<Timestamp>().ok())?;
    Some(crate::clock::until(now, at))
}

/// An HTTP date in the form that RFC 9110 wants sent.
fn date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

/// `hh:mm:ss`.
fn clock_length(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    for part in text.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    Some(Duration::from_secs(seconds))
}

/// Azure: what a resource provider still lets through, by its policies.
const PROVIDER_REMAINING: &str = "x-ms-ratelimit-remaining-resource";

/// Whether a header tells what Azure Resource Manager, or Resource Graph for a user, still lets through.
fn is_azures_own(name: &str) -> bool {
    (name.starts_with("x-ms-ratelimit-remaining-") && name != PROVIDER_REMAINING) || name == "x-ms-user-quota-remaining"
}

/// The fewest of the calls left that some of Azure's headers tell: plain numbers, or `policy;left` in a list. Less than none is none.
fn fewest(headers: &HeaderMap, is_one: impl Fn(&str) -> bool) -> Option<u64> {
    let told = headers.iter().filter(|(name, _)| is_one(name.as_str())).filter_map(|(_, value)| value.to_str().ok());
    let numbers = told.flat_map(|value| value.split(',')).filter_map(|part| part.rsplit(';').next()?.trim().parse::<i64>().ok());
    numbers.map(|left| u64::try_from(left).unwrap_or(0)).min()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(status: u16, headers: &[(&str, &str)]) -> RateSignal {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        RateSignal::read(status, &map, "2026-06-01T10:00:00Z".parse().unwrap())
    }

    #[track_caller]
    fn check_retry_after(text: &str, want: Option<u64>) {
        assert_eq!(read(429, &[("retry-after", text)]).retry_after, want.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check_retry_after("812", Some(812));
        check_retry_after(" 5 ", Some(5));
        check_retry_after("-3", Some(0));
        check_retry_after("Mon, 01 Jun 2026 10:01:30 GMT", Some(90));
        check_retry_after("Mon, 01 Jun 2026 09:00:00 GMT", Some(0));
        check_retry_after("soon", None);
        check_retry_after("NaN", None);
        check_retry_after("1e400", None);
    }

    #[test]
    fn resets_are_points_lengths_and_dates() {
        for (text, want) in [("1780308017", 17), ("1780308017000", 17), ("17", 17), ("2026-06-01T10:00:17Z", 17), ("1780307000", 0)] {
            assert_eq!(read(200, &[("x-ratelimit-reset", text)]).reset_after, Some(Duration::from_secs(want)), "{text}");
        }
        let azure = read(200, &[("x-ms-user-quota-remaining", "0"), ("x-ms-user-quota-resets-after", "00:01:05")]);
        assert_eq!((azure.remaining, azure.reset_after), (Some(0), Some(Duration::from_secs(65))));
    }

    #[test]
    fn the_servers_own_clock_counts() {
        let signal = read(
            429,
            &[
                ("date", "Mon, 01 Jun 2026 11:00:00 GMT"),
                ("retry-after", "Mon, 01 Jun 2026 11:00:10 GMT"),
                ("x-ratelimit-reset", "1780311620"),
            ],
        );
        assert_eq!(signal.retry_after, Some(Duration::from_secs(10)));
        assert_eq!(signal.reset_after, Some(Duration::from_secs(20)));
    }

    #[test]
    fn milliseconds_count_where_there_are_no_seconds() {
        let after = |headers: &[(&str, &str)]| read(429, headers).retry_after;
        assert_eq!(after(&[("x-ms-retry-after-ms", "1500")]), Some(Duration::from_millis(1500)));
        assert_eq!(after(&[("retry-after-ms", " 250 "), ("x-ms-retry-after-ms", "1500")]), Some(Duration::from_millis(250)));
        assert_eq!(after(&[("retry-after-ms", "250"), ("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(after(&[("retry-after-ms", "250"), ("retry-after", "soon")]), Some(Duration::from_millis(250)));
        assert_eq!(after(&[("retry-after-ms", "-1")]), None);
        assert!(read(503, &[("x-ms-retry-after-ms", "10")]).is_refusal);
    }

    #[test]
    fn azure_tells_its_own_limits_apart_from_a_providers() {
        let left = |headers: &[(&str, &str)]| {
            let signal = read(200, headers);
            (signal.remaining, signal.provider_remaining)
        };
        let reads = ("x-ms-ratelimit-remaining-subscription-reads", "249");
        let compute = ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/HighCostGet3Min;107,Microsoft.Compute/HighCostGet30Min;827");
        assert_eq!(left(&[reads, compute]), (Some(249), Some(107)));
        assert_eq!(left(&[compute]), (None, Some(107)));
        assert_eq!(left(&[reads, ("x-ms-ratelimit-remaining-subscription-global-reads", "12")]), (Some(12), None), "the fewest counts");
        assert_eq!(left(&[("x-ms-ratelimit-remaining-tenant-reads", "7")]), (Some(7), None));
        assert_eq!(
            left(&[("x-ms-ratelimit-remaining-subscription-resource-requests", "8")]),
            (Some(8), None),
            "Resource Manager's by its name"
        );
        assert_eq!(
            left(&[("x-ms-user-quota-remaining", "3"), ("x-ms-ratelimit-remaining-tenant-resource-requests", "9")]),
            (Some(3), None)
        );
        assert_eq!(left(&[("x-ratelimit-remaining", "5"), compute]), (Some(5), Some(107)));
        assert_eq!(left(&[("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/GetVM3Min;-2")]), (None, Some(0)));
        assert_eq!(left(&[("x-ms-ratelimit-remaining-resource", "many")]), (None, None));
        // A header of its own for each policy.
        assert_eq!(left(&[("x-ms-ratelimit-remaining-resource", "A;46"), ("x-ms-ratelimit-remaining-resource", "B;0")]), (None, Some(0)));
    }

    #[test]
    fn a_refusal_for_the_rate_is_told_from_others() {
        assert!(read(429, &[]).is_refusal);
        assert!(read(503, &[("retry-after", "1")]).is_refusal);
        assert!(!read(503, &[]).is_refusal);
        assert!(!read(200, &[("retry-after", "1")]).is_refusal);
        assert_eq!(read(200, &[("retry-after", "1")]).stay_away(), None);
        assert_eq!(read(429, &[("x-ratelimit-reset", "9"), ("x-ratelimit-rule", "r1")]).stay_away(), Some(Duration::from_secs(9)));
        assert_eq!(read(429, &[("x-ratelimit-reset", "9"), ("retry-after", "3")]).stay_away(), Some(Duration::from_secs(3)));
    }
}
