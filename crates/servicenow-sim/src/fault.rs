//! Faults by script.

use dewpoint_sim_kit::{Mishap, Rule, Timing};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A rule: what it strikes, when, and what it does. The first rule of the list that strikes decides. Requests that authentication or a rate limit refuses meet no
/// rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The interface (see [`CallRecord::api`](crate::CallRecord::api)); any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The method; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The table or class in the path, or a class in the payload; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Only requests with this text in their body, as for an item that always fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// The first matching request that is struck, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// How many requests are struck from then on; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// No request is struck from this time of the instance on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of those, this share by chance; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The request is served first, and what it changes is kept.
    #[serde(default)]
    pub after_commit: bool,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a request that is struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// 429 of the rate limit, with its headers and `Retry-After`.
    RateLimited {
        /// `Retry-After`, in seconds.
        retry_after_s: u64,
    },
    /// 429 of the semaphore, without any of those headers.
    SemaphoreFull,
    /// 500: the transaction quota killed it. With [`Fault::after_commit`] the change is there nevertheless.
    QuotaKill,
    /// 200 with a part of the result and an error beside it.
    PartialResult {
        /// 0 to 1.
        share: f64,
    },
    /// 202 without a body; the request is dropped.
    Dropped,
    /// 401.
    Unauthenticated,
    /// 401, and the access token of the request is dead from now on.
    RevokeToken,
    /// 403.
    Forbidden,
    /// Any other error in the usual envelope.
    Error {
        /// The HTTP status.
        status: u16,
        /// `error.message`.
        message: String,
        /// `error.detail`.
        detail: Option<String>,
    },
    /// This status with a page of HTML, as from a node that restarts.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// 200 with the page of a hibernating developer instance.
    Hibernating,
    /// This status with an empty body.
    Empty {
        /// The HTTP status.
        status: u16,
    },
    /// The answer ends after this share of its bytes, and its length says so too.
    CutBody {
        /// 0 to 1.
        share: f64,
    },
    /// The answer's length is announced in full, and the connection closed after this share of it.
    CutConnection {
        /// 0 to 1.
        share: f64,
    },
    /// The same, and the connection is reset.
    ResetBody {
        /// 0 to 1.
        share: f64,
    },
    /// The connection is reset before the answer. With [`Fault::after_commit`] this is the lost reply.
    Reset,
    /// No answer ever comes.
    Hang,
    /// The answer trickles.
    Slow {
        /// So many bytes at a time.
        bytes: usize,
        /// The pause after each.
        pause_ms: u64,
    },
    /// The answer comes late.
    Latency {
        /// How late.
        ms: u64,
    },
    /// All items of the payload report `LOCK_TIMEOUT`.
    LockTimeout,
    /// An administrator takes this data source away just before.
    RemoveDataSource {
        /// Its name.
        name: String,
    },
}

impl Effect {
    pub(crate) fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            Ok(serde_json::Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// What befalls the answer on its way, where it is nothing of the product's own.
    pub(crate) fn mishap(&self) -> Option<Mishap> {
        Some(match *self {
            Self::Html { status } => Mishap::Html { status },
            Self::Empty { status } => Mishap::Empty { status },
            Self::CutBody { share } => Mishap::CutBody { share },
            Self::CutConnection { share } => Mishap::CutConnection { share },
            Self::ResetBody { share } => Mishap::ResetBody { share },
            Self::Reset => Mishap::Reset,
            Self::Hang => Mishap::Hang,
            Self::Slow { bytes, pause_ms } => Mishap::Slow { bytes, pause_ms },
            Self::Latency { ms } => Mishap::Latency { ms },
            _ => return None,
        })
    }
}

impl Fault {
    /// A fault of every request.
    pub fn new(effect: Effect) -> Self {
        Self {
            api: None,
            method: None,
            class: None,
            body_contains: None,
            nth: None,
            times: None,
            until: None,
            probability: None,
            after_commit: false,
            effect,
        }
    }

    /// Only requests to this interface.
    #[must_use]
    pub fn api(mut self, api: &str) -> Self {
        self.api = Some(api.to_owned());
        self
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests about this table or class.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    /// Only requests with this text in the body.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body_contains = Some(text.to_owned());
        self
    }

    /// From the nth matching request on.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// So many requests and no more.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// None from this time of the instance on.
    #[must_use]
    pub fn until(mut self, end: Timestamp) -> Self {
        self.until = Some(end);
        self
    }

    /// This share of them, by chance.
    #[must_use]
    pub fn probability(mut self, share: f64) -> Self {
        self.probability = Some(share);
        self
    }

    /// The request is served first, and what it changes is kept.
    #[must_use]
    pub fn after_commit(mut self) -> Self {
        self.after_commit = true;
        self
    }
}

/// What a rule is matched against.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub(crate) api: &'a str,
    pub(crate) method: &'a str,
    pub(crate) classes: &'a [String],
    pub(crate) body: &'a [u8],
}

impl Rule for Fault {
    type Target<'a> = Target<'a>;

    fn is_about(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let has_text = |text: &String| !text.is_empty() && target.body.windows(text.len()).any(|window| window == text.as_bytes());
        same(&self.api, target.api)
            && same(&self.method, target.method)
            && self.class.as_ref().is_none_or(|class| target.classes.contains(class))
            && self.body_contains.as_ref().is_none_or(has_text)
    }

    fn timing(&self) -> Timing {
        Timing { nth: self.nth, times: self.times, until: self.until, probability: self.probability }
    }
}

#[cfg(test)]
mod tests {
    use dewpoint_sim_kit::Script;

    use super::*;

    fn target<'a>(api: &'a str, classes: &'a [String], body: &'a str) -> Target<'a> {
        Target { api, method: "POST", classes, body: body.as_bytes() }
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        let mut script = Script::new(vec![
            Fault::new(Effect::Hang).api("table").nth(2).times(1),
            Fault::new(Effect::Reset).class("a"),
            Fault::new(Effect::Forbidden).body_contains("poison"),
        ]);
        let mut strike =
            |api, classes: &[String], body| script.strike(&target(api, classes, body), Timestamp::UNIX_EPOCH, 1).map(|fault| fault.effect);
        assert_eq!(strike("table", &[], ""), None);
        assert_eq!(strike("table", &[], ""), Some(Effect::Hang));
        assert_eq!(strike("table", &["a".to_owned()], ""), Some(Effect::Reset));
        assert_eq!(strike("meta", &["b".to_owned()], "x poison x"), Some(Effect::Forbidden));
        assert_eq!(strike("meta", &[], "x"), None);
    }

    #[test]
    fn a_rule_ends_when_it_says() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let mut script = Script::new(vec![Fault::new(Effect::Hibernating).until(at(2))]);
        let struck = [0, 1, 2].map(|second| script.strike(&target("table", &[], ""), at(second), 1).is_some());
        assert_eq!(struck, [true, true, false]);
    }

    #[test]
    fn chance_is_drawn_from_the_seed() {
        let count = |seed| {
            let mut script = Script::new(vec![Fault::new(Effect::Reset).probability(0.3)]);
            (0..1000).filter(|_| script.strike(&target("table", &[], ""), Timestamp::UNIX_EPOCH, seed).is_some()).count()
        };
        assert_eq!(count(7), count(7));
        assert!((250..350).contains(&count(7)), "{}", count(7));
    }

    #[test]
    fn rules_are_written_in_json() {
        let rules: Result<Vec<Fault>, _> = serde_json::from_str(
            r#"[{"api": "identifyreconcile", "nth": 2, "after_commit": true, "effect": "quota_kill"}, {"effect": {"html": {"status": 503}}}]"#,
        );
        let expected =
            vec![Fault::new(Effect::QuotaKill).api("identifyreconcile").nth(2).after_commit(), Fault::new(Effect::Html { status: 503 })];
        assert_eq!(rules.ok(), Some(expected));
    }
}
