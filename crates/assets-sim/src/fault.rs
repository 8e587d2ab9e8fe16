//! Faults by script, and what they do to a request and its answer.

use dewpoint_sim_kit::{Mishap, Outcome, Response, Rule, Timing, part};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    quota,
    reply::{ApiError, Reply},
};

/// A rule: what it strikes, when, and what it does. The first rule of the list that strikes decides. Requests that authentication or a rate limit refuses meet no
/// rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation (see [`CallRecord::operation`](crate::CallRecord::operation)); any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The method; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests with this text in their path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_contains: Option<String>,
    /// Only requests with this text in their body, as for an object that always fails.
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
    /// 429.
    RateLimited {
        /// `Retry-After`, in seconds, and `X-RateLimit-Reset`; neither when missing.
        retry_after_s: Option<u64>,
    },
    /// 401.
    Unauthenticated,
    /// 401, and the OAuth access token of the request is dead from now on.
    RevokeToken,
    /// 403.
    Forbidden,
    /// Any other error in the usual envelope.
    Error {
        /// The HTTP status.
        status: u16,
        /// The one entry of `errorMessages`.
        message: String,
    },
    /// A page of a search has only this share of its objects. Where it says that it is not the last this is what servers do.
    ShortPage {
        /// 0 to 1.
        share: f64,
    },
    /// A page of a search says that it is the last.
    LastPage,
    /// What may befall any answer. [`Mishap::Reset`] with [`Fault::after_commit`] is the lost reply.
    #[serde(untagged)]
    Mishap(Mishap),
}

impl Effect {
    pub(crate) fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            Ok(Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
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
            operation: None,
            method: None,
            path_contains: None,
            body_contains: None,
            timing: Timing::default(),
            after_commit: false,
            effect: effect.into(),
        }
    }

    /// Only requests of this operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests with this text in the path.
    #[must_use]
    pub fn path_contains(mut self, text: &str) -> Self {
        self.path_contains = Some(text.to_owned());
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
    pub(crate) operation: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

impl Rule for Fault {
    type Target<'a> = Target<'a>;

    fn is_about(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let has_text = |text: &String| !text.is_empty() && target.body.windows(text.len()).any(|window| window == text.as_bytes());
        same(&self.operation, target.operation)
            && same(&self.method, target.method)
            && self.path_contains.as_ref().is_none_or(|text| target.path.contains(text))
            && self.body_contains.as_ref().is_none_or(has_text)
    }

    fn timing(&self) -> Timing {
        self.timing
    }
}

/// A fault that struck.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    pub(crate) now: Timestamp,
}

impl Struck {
    /// Whether the request is served at all.
    pub(crate) fn serves(&self) -> bool {
        self.fault.after_commit || !self.replaces()
    }

    pub(crate) fn revokes(&self) -> bool {
        self.fault.effect == Effect::RevokeToken
    }

    /// Whether the answer is another than the request's own.
    fn replaces(&self) -> bool {
        match &self.fault.effect {
            Effect::RateLimited { .. } | Effect::Unauthenticated | Effect::RevokeToken | Effect::Forbidden | Effect::Error { .. } => true,
            Effect::ShortPage { .. } | Effect::LastPage => false,
            Effect::Mishap(mishap) => mishap.replaces(),
        }
    }

    /// The answer that comes in place of the request's own.
    pub(crate) fn instead(&self) -> Reply {
        match &self.fault.effect {
            Effect::RateLimited { retry_after_s } => quota::refusal(*retry_after_s, self.now).into(),
            Effect::Unauthenticated | Effect::RevokeToken => ApiError::unauthenticated().into(),
            Effect::Forbidden => ApiError::forbidden("Access denied").into(),
            Effect::Error { status, message } => ApiError::new(*status, message).into(),
            Effect::ShortPage { .. } | Effect::LastPage | Effect::Mishap(_) => Reply::empty(0),
        }
    }

    /// Puts the fault's answer in the place of that of a request that was served.
    pub(crate) fn after(&self, reply: &mut Reply) {
        // What befalls an answer on its way does so later; the log has the answer itself.
        if self.replaces() && !matches!(self.fault.effect, Effect::Mishap(_)) {
            let served = std::mem::replace(reply, self.instead());
            reply.objects = served.objects;
        }
        match (&self.fault.effect, &mut reply.list, &mut reply.body) {
            (Effect::ShortPage { share }, Some((_, list)), _) => list.truncate(part(list.len(), *share)),
            (Effect::LastPage, _, Some(Value::Object(body))) => {
                for member in ["last", "isLast"] {
                    body.insert(member.to_owned(), json!(true));
                }
            }
            _ => {}
        }
    }

    /// The answer as it goes out.
    pub(crate) fn outcome(&self, response: Response) -> Outcome {
        match &self.fault.effect {
            Effect::Mishap(mishap) => mishap.befall(response),
            _ => Outcome::whole(response),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_in_json() {
        let rules: Result<Vec<Fault>, _> = serde_json::from_str(
            r#"[{"operation": "object_create", "nth": 2, "after_commit": true, "effect": {"html": {"status": 503}}}, {"effect": "revoke_token"}]"#,
        );
        let expected = vec![
            Fault::new(Mishap::Html { status: 503 }).operation("object_create").nth(2).after_commit(),
            Fault::new(Effect::RevokeToken),
        ];
        assert_eq!(rules.ok(), Some(expected));
    }
}
