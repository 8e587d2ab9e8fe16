//! Faults by script.

use dewpoint_sim_kit::{Mishap, Rule, Timing};
use serde::{Deserialize, Serialize};

use crate::reply::Shape;

/// A rule: what it strikes, when, and what it does. The first rule of the list that strikes decides. Calls that the front door, the rate limit or
/// authentication refuses meet no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation, as the log has it (see [`CallRecord::operation`](crate::CallRecord::operation)); any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The method; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Text that the path or the query holds, in whatever case; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Only calls with this text in their body, as for an asset that always fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Which of those calls are struck.
    #[serde(flatten)]
    pub timing: Timing,
    /// The call is carried out first, and what it changes is kept.
    #[serde(default)]
    pub after_commit: bool,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a call that is struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// 429, as the rate limit gives it.
    Throttle {
        /// The header `Retry-After`; missing when this is.
        retry_after_s: Option<u64>,
    },
    /// 401, and the token of the call is dead from now on.
    ExpiredToken,
    /// 403.
    Forbidden,
    /// Any error, in any shape.
    Error {
        /// The HTTP status.
        status: u16,
        /// The shape.
        shape: Shape,
        /// The message.
        message: String,
    },
    /// A list without rows, as for an identity that sees no asset type.
    EmptyList,
    /// A list with this share of its rows, and the count of all of them.
    MissRows {
        /// 0 to 1.
        share: f64,
    },
    /// A list with another count of records.
    WrongCount {
        /// `record_count`.
        count: u64,
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

    /// Whether the answer is another than the call's own.
    pub(crate) fn replaces(&self) -> bool {
        match self {
            Self::Throttle { .. } | Self::ExpiredToken | Self::Forbidden | Self::Error { .. } => true,
            Self::EmptyList | Self::MissRows { .. } | Self::WrongCount { .. } => false,
            Self::Mishap(mishap) => mishap.replaces(),
        }
    }
}

impl From<Mishap> for Effect {
    fn from(mishap: Mishap) -> Self {
        Self::Mishap(mishap)
    }
}

impl Fault {
    /// A fault of every call.
    pub fn new(effect: impl Into<Effect>) -> Self {
        Self {
            operation: None,
            method: None,
            contains: None,
            body_contains: None,
            timing: Timing::default(),
            after_commit: false,
            effect: effect.into(),
        }
    }

    /// Only calls of this operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls of this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only calls with this text in their path or query.
    #[must_use]
    pub fn contains(mut self, text: &str) -> Self {
        self.contains = Some(text.to_owned());
        self
    }

    /// Only calls with this text in their body.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body_contains = Some(text.to_owned());
        self
    }

    /// The call is carried out first, and what it changes is kept.
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
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

impl Rule for Fault {
    type Target<'a> = Target<'a>;

    fn is_about(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let holds = |wanted: &String| {
            let wanted = wanted.to_ascii_lowercase();
            target.path.to_ascii_lowercase().contains(&wanted) || target.query.to_ascii_lowercase().contains(&wanted)
        };
        let has_text = |text: &String| !text.is_empty() && target.body.windows(text.len()).any(|window| window == text.as_bytes());
        same(&self.operation, target.operation)
            && same(&self.method, target.method)
            && self.contains.as_ref().is_none_or(holds)
            && self.body_contains.as_ref().is_none_or(has_text)
    }

    fn timing(&self) -> Timing {
        self.timing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_in_json() {
        let rules: Result<Vec<Fault>, _> = serde_json::from_str(
            r#"[{"operation": "asset_post", "nth": 3, "times": 1, "after_commit": true, "effect": "reset"},
                {"effect": {"error": {"status": 500, "shape": "page", "message": ""}}}, {"effect": {"miss_rows": {"share": 0.5}}}]"#,
        );
        let expected = vec![
            Fault::new(Mishap::Reset).operation("asset_post").nth(3).times(1).after_commit(),
            Fault::new(Effect::Error { status: 500, shape: Shape::Page, message: String::new() }),
            Fault::new(Effect::MissRows { share: 0.5 }),
        ];
        assert_eq!(rules.map_err(|error| error.to_string()), Ok(expected));
    }

    #[test]
    fn a_rule_is_about_what_it_says() {
        let target = Target { operation: "asset_list", method: "GET", path: "/api/Asset", query: "page_no=2", body: b"i-0abc" };
        let about = |fault: Fault| fault.is_about(&target);
        let any = || Fault::new(Effect::Forbidden);
        assert!(about(any().operation("asset_list").method("GET").contains("PAGE_NO=2").body_contains("0a")));
        assert!(!about(any().operation("asset_get")) && !about(any().method("POST")) && !about(any().contains("x")));
        assert!(!about(any().body_contains("0A")));
    }
}
