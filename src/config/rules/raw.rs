//! Rules as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dewpoint_core::rules::ActionWord;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::leaf::{AttributeName, ExpressionText, Flag, RuleName};
use crate::config::leaf::{AnyDuration, DurationOrNever, Leaf, Written};

/// One rule: what it speaks of, and what becomes of that. At least one of `do` and `set`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(in crate::config) struct RawRule {
    /// Its name, as reports and explanations call it; each rule has its own.
    pub(super) name: Written<RuleName>,
    /// When it speaks: a CEL expression over `resource`, `group`, `ci` and `now` that is true or false.
    pub(super) when: Written<ExpressionText>,
    /// What becomes of what it speaks of. The first rule that says so wins.
    #[serde(default, rename = "do")]
    pub(super) action: Option<RawAction>,
    /// With `do: fold`: a CEL expression for the name of a fleet that has no cloud object of its own. Without it machines are folded into
    /// their scaling group.
    #[serde(default)]
    pub(super) into: Option<Written<ExpressionText>>,
    /// What it sets for what it speaks of. Later rules go over earlier ones.
    #[serde(default)]
    pub(super) set: Option<RawSettings>,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Action")]
pub(super) enum RawAction {
    /// A record of its own.
    Record,
    /// No record yet; one that exists stays.
    Defer,
    /// Machines only: no record, but counted in that of their fleet.
    Fold,
    /// No record, no edges.
    Ignore,
}

impl From<RawAction> for ActionWord {
    fn from(raw: RawAction) -> Self {
        match raw {
            RawAction::Record => Self::Record,
            RawAction::Defer => Self::Defer,
            RawAction::Fold => Self::Fold,
            RawAction::Ignore => Self::Ignore,
        }
    }
}

/// What a rule sets; what is left out stays as it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Settings")]
pub(super) struct RawSettings {
    /// Instances younger than this are deferred. A fleet that `into` names waits until one of its members is as old as rules set it.
    pub(super) min_age: Option<Written<AnyDuration>>,
    /// Complete listings without a resource before its record may be retired.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) confirm_missing: Option<u32>,
    /// How long a resource must not have been seen before its record may be retired. Where a rule sets it, what the provider calls
    /// terminated waits as well.
    pub(super) retire_after: Option<Written<AnyDuration>>,
    /// How long after its delivered retirement a record is removed, in targets with `purge: delete`; `never` keeps it.
    pub(super) purge_after: Option<Written<DurationOrNever>>,
    /// Least time between being folded and having a record of its own, in either direction.
    pub(super) min_dwell: Option<Written<AnyDuration>>,
    /// A word that the record carries.
    pub(super) flag: Option<Written<Flag>>,
    /// Values in place of those that were read: attributes of the resource's kind, or `owner`, `support_group`, `cost_center`,
    /// `environment` and `service`.
    #[schemars(example = BTreeMap::from([("environment", "sandbox")]), extend("x-key-leaf" = AttributeName::NAME))]
    pub(super) attributes: BTreeMap<String, AttributeValue>,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct AttributeValue(pub(super) Json);

impl JsonSchema for AttributeValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AttributeValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "number" },
                { "type": "boolean" },
                { "type": "array", "items": { "type": "string" } },
            ],
            "x-expected": "a text, a number, `true`, `false` or a list of texts",
        })
    }
}
