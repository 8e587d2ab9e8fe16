//! Findings of the online checks, and the check that all of them make: whether clocks agree.

use std::fmt;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::vocabulary;

vocabulary! {
    /// How a check ended.
    Health, "check outcome" {
        /// As it should be.
        Ok => "ok",
        /// Works, but someone should look.
        Warning => "warning",
        /// Does not work.
        Error => "error",
    }
}

/// Name of the check that fails where credentials are not accepted.
pub const CREDENTIALS: &str = "credentials";

/// What one check of a source, a target or the ledger found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked: a source's or target's name, or `ledger`.
    pub subject: String,
    /// Which check, a few words.
    pub check: String,
    /// How it ended.
    pub outcome: Health,
    /// What was found.
    pub text: String,
    /// How to mend it; `None` when there is nothing to mend.
    pub mend: Option<String>,
}

impl Finding {
    /// What a check found.
    pub fn new(
        subject: &(impl fmt::Display + ?Sized),
        check: &str,
        outcome: Health,
        text: impl Into<String>,
        mend: Option<String>,
    ) -> Self {
        Self { subject: subject.to_string(), check: check.to_owned(), outcome, text: text.into(), mend }
    }
}

/// Clock difference that is worth a word. `Date` headers carry whole seconds, and answers take some.
const SKEW_WARNING: SignedDuration = SignedDuration::from_secs(60);

/// How to mend a clock that is off.
pub const SET_CLOCK: &str = "set this machine's clock, best by NTP";

/// How far this machine's clock is ahead of a server's, or, negative, behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew(SignedDuration);

impl Skew {
    /// By the `Date` of an answer, which came at `now`; `None` where that is no date.
    #[must_use]
    pub fn by_date(date: &str, now: Timestamp) -> Option<Self> {
        static PARSER: DateTimeParser = DateTimeParser::new();
        Some(Self(now.duration_since(PARSER.parse_timestamp(date).ok()?)))
    }

    /// Whether it is as much as this, to either side.
    #[must_use]
    pub fn reaches(self, limit: SignedDuration) -> bool {
        self.0.abs() >= limit
    }

    /// Whether it is worth a word.
    #[must_use]
    pub fn is_notable(self) -> bool {
        self.reaches(SKEW_WARNING)
    }

    /// In words: `61 s ahead of AWS`.
    #[must_use]
    pub fn beside(self, whose: &str) -> String {
        let side = if self.0.is_negative() { "behind" } else { "ahead of" };
        format!("{} s {side} {whose}", self.0.as_secs().unsigned_abs())
    }

    /// What a check of clocks comes to, with the mend: from `limit` on, `consequence` goes on to say what happens then.
    #[must_use]
    pub fn judge(self, whose: &str, limit: SignedDuration, consequence: &str) -> (Health, String, Option<String>) {
        let (text, mend) = (self.beside(whose), Some(SET_CLOCK.to_owned()));
        if self.reaches(limit) {
            (Health::Error, format!("{text}, {consequence}"), mend)
        } else if self.is_notable() {
            (Health::Warning, text, mend)
        } else {
            (Health::Ok, text, None)
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(now: &str, outcome: Health, words: &str) {
        let skew = Skew::by_date("Fri, 02 Jan 2026 03:04:05 GMT", now.parse().unwrap()).unwrap();
        let (found, text, mend) = skew.judge("the cloud", SignedDuration::from_mins(5), "which it refuses");
        assert_eq!((found, text.as_str(), mend.is_some()), (outcome, words, outcome != Health::Ok));
    }

    #[test]
    fn clock_skew_has_two_thresholds() {
        expect("2026-01-02T03:04:06Z", Health::Ok, "1 s ahead of the cloud");
        expect("2026-01-02T03:03:06Z", Health::Ok, "59 s behind the cloud");
        expect("2026-01-02T03:05:05Z", Health::Warning, "60 s ahead of the cloud");
        expect("2026-01-02T02:59:05Z", Health::Error, "300 s behind the cloud, which it refuses");
    }

    #[test]
    fn what_is_no_date_is_no_skew() {
        assert_eq!(Skew::by_date("yesterday", Timestamp::UNIX_EPOCH), None);
    }
}
