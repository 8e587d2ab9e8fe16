//! Faults by script.

use dewpoint_sim_kit::{Mishap, Rule, Timing};
use serde::{Deserialize, Serialize};

/// A rule: what it strikes, when, and what it does. The first rule of the list that strikes decides. A call that a rate limit refuses, or whose token is not
/// taken, meets no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The operation, as the log has it (see [`CallRecord::operation`](crate::CallRecord::operation)); any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The subscription that the path names; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Text that the path or the query holds, or what is asked of Resource Graph, in whatever case; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// The page of a list, from 1; any when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Which of those calls are struck.
    #[serde(flatten)]
    pub timing: Timing,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a call that is struck. At the token endpoint and those of managed identities only [`Effect::Error`], [`Effect::Throttle`] and
/// [`Effect::Mishap`] do something; what is about links and items, only in lists and, as far as it makes sense, in answers of Resource Graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// 403 `AuthorizationFailed`.
    Deny,
    /// 429.
    Throttle {
        /// The header `Retry-After`; missing when this is.
        retry_after_s: Option<u64>,
        /// Compute's own limit, with what it counted; the subscription's own count stays high.
        #[serde(default)]
        compute: bool,
    },
    /// The token counts as expired: 401 `ExpiredAuthenticationToken`.
    ExpiredToken,
    /// 502 `ProviderError`.
    ProviderError,
    /// Any other error answer of Azure Resource Manager; for the token endpoint, `code` is the number, as `AADSTS90033`.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// The error's text.
        message: String,
    },
    /// `nextLink` leads to another server. On a last page, too.
    ForeignNextLink {
        /// As `https://example.net`.
        base: String,
    },
    /// `nextLink` leads to the page it is on. On a last page, too.
    RepeatNextLink,
    /// `nextLink` leads to the first page. On a last page, too.
    LoopNextLink,
    /// `nextLink` has blanks and quotes as they are.
    RawNextLink,
    /// `nextLink` has another `api-version`.
    NextLinkVersion {
        /// As `2015-06-15`.
        version: String,
    },
    /// `nextLink` is longer than the front door takes, which answers it 404 with a page of HTML.
    LongNextLink,
    /// The first item of the answer has values that no client knows, wherever there is an enumeration.
    NewEnumValue,
    /// The first item of the answer has nulls where objects and lists belong.
    NullObjects,
    /// The first item of the answer has no location.
    NoLocation,
    /// The first item of the answer has no id.
    NoId,
    /// The first item of the answer is text.
    TextItem,
    /// This item is missing.
    MissItem {
        /// Its id.
        id: String,
    },
    /// The list is empty.
    EmptyList,
    /// What may befall any answer.
    #[serde(untagged)]
    Mishap(Mishap),
}

impl From<Mishap> for Effect {
    fn from(mishap: Mishap) -> Self {
        Self::Mishap(mishap)
    }
}

impl Fault {
    /// A fault of every call.
    pub fn new(effect: impl Into<Effect>) -> Self {
        Self { operation: None, subscription: None, contains: None, page: None, timing: Timing::default(), effect: effect.into() }
    }

    /// Only calls of this operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls about this subscription.
    #[must_use]
    pub fn subscription(mut self, id: &str) -> Self {
        self.subscription = Some(id.to_owned());
        self
    }

    /// Only calls with this text in their path or query.
    #[must_use]
    pub fn contains(mut self, text: &str) -> Self {
        self.contains = Some(text.to_owned());
        self
    }

    /// Only this page of a list.
    #[must_use]
    pub fn page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }
}

dewpoint_sim_kit::timing_builders!(Fault);

/// What a rule is matched against.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub(crate) operation: &'a str,
    pub(crate) subscription: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) page: u32,
}

impl Rule for Fault {
    type Target<'a> = Target<'a>;

    fn is_about(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found));
        let holds = |wanted: &String| {
            let wanted = wanted.to_ascii_lowercase();
            target.path.to_ascii_lowercase().contains(&wanted) || target.query.to_ascii_lowercase().contains(&wanted)
        };
        same(&self.operation, target.operation)
            && same(&self.subscription, target.subscription)
            && self.contains.as_ref().is_none_or(holds)
            && self.page.is_none_or(|page| page == target.page)
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
            r#"[{"operation": "disks.list", "page": 2, "effect": {"cut_body": {"share": 0.5}}}, {"effect": "deny"},
                {"effect": {"throttle": {"retry_after_s": null}}}]"#,
        );
        let expected = vec![
            Fault::new(Effect::Mishap(Mishap::CutBody { share: 0.5 })).operation("disks.list").page(2),
            Fault::new(Effect::Deny),
            Fault::new(Effect::Throttle { retry_after_s: None, compute: false }),
        ];
        assert_eq!(rules.map_err(|error| error.to_string()), Ok(expected));
    }

    #[test]
    fn a_rule_is_about_what_it_says() {
        let target = Target { operation: "disks.list", subscription: "s-1", path: "/subscriptions/S-1/x", query: "a=B", page: 2 };
        let about = |fault: Fault| fault.is_about(&target);
        assert!(about(Fault::new(Effect::Deny).operation("disks.list").subscription("S-1").contains("A=b").page(2)));
        assert!(!about(Fault::new(Effect::Deny).operation("disks.get")));
        assert!(!about(Fault::new(Effect::Deny).subscription("s-2")));
        assert!(!about(Fault::new(Effect::Deny).contains("zz")));
        assert!(!about(Fault::new(Effect::Deny).page(1)));
    }
}
