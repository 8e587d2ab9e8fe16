//! Faults by script.

use dewpoint_sim_kit::{Mishap, Rule, Timing};
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
    /// Which of those requests are struck.
    #[serde(flatten)]
    pub timing: Timing,
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
    /// 200 with the page of a hibernating developer instance.
    Hibernating,
    /// All items of the payload report `LOCK_TIMEOUT`.
    LockTimeout,
    /// An administrator takes this data source away just before.
    RemoveDataSource {
        /// Its name.
        name: String,
    },
    /// What may befall any answer. [`Mishap::Reset`] with [`Fault::after_commit`] is the lost reply.
    #[serde(untagged)]
    Mishap(Mishap),
}

impl Effect {
    pub(crate) fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            Ok(serde_json::Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }
}

impl From<Mishap> for Effect {
    fn from(mishap: Mishap) -> Self {
        Self::Mishap(mishap)
    }
}

impl Fault {
    /// A fault of every request.
    pub fn new(effect: impl Into<Effect>) -> Self {
        Self {
            api: None,
            method: None,
            class: None,
            body_contains: None,
            timing: Timing::default(),
            after_commit: false,
            effect: effect.into(),
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

    /// The request is served first, and what it changes is kept.
    #[must_use]
    pub fn after_commit(mut self) -> Self {
        self.after_commit = true;
        self
    }
}

dewpoint_sim_kit::timing_builders!(Fault);

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
        self.timing
    }
}

#[cfg(test)]
mod tests {
    use dewpoint_sim_kit::{Script, Timestamp};

    use super::*;

    fn target<'a>(api: &'a str, classes: &'a [String], body: &'a str) -> Target<'a> {
        Target { api, method: "POST", classes, body: body.as_bytes() }
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        let mut script = Script::new(vec![
            Fault::new(Mishap::Hang).api("table").nth(2).times(1),
            Fault::new(Mishap::Reset).class("a"),
            Fault::new(Effect::Forbidden).body_contains("poison"),
        ]);
        let mut strike =
            |api, classes: &[String], body| script.strike(&target(api, classes, body), Timestamp::UNIX_EPOCH, 1).map(|fault| fault.effect);
        assert_eq!(strike("table", &[], ""), None);
        assert_eq!(strike("table", &[], ""), Some(Effect::Mishap(Mishap::Hang)));
        assert_eq!(strike("table", &["a".to_owned()], ""), Some(Effect::Mishap(Mishap::Reset)));
        assert_eq!(strike("meta", &["b".to_owned()], "x poison x"), Some(Effect::Forbidden));
        assert_eq!(strike("meta", &[], "x"), None);
    }

    #[test]
    fn rules_are_written_in_json() {
        let rules: Result<Vec<Fault>, _> = serde_json::from_str(
            r#"[{"api": "identifyreconcile", "nth": 2, "after_commit": true, "effect": "quota_kill"}, {"effect": {"html": {"status": 503}}}]"#,
        );
        let expected =
            vec![Fault::new(Effect::QuotaKill).api("identifyreconcile").nth(2).after_commit(), Fault::new(Mishap::Html { status: 503 })];
        assert_eq!(rules.ok(), Some(expected));
    }
}
