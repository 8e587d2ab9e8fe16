//! Payloads for the identification and reconciliation engine, and its reports.
//!
//! Source: ServiceNow, "Identification and Reconciliation API" (enhanced endpoints).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// A payload.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Payload {
    pub(crate) items: Vec<Item>,
    pub(crate) relations: Vec<Relation>,
    #[serde(rename = "referenceItems", skip_serializing_if = "Vec::is_empty")]
    pub(crate) references: Vec<ReferenceItem>,
}

/// A column of an item that gets the id of another item's record, by their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReferenceItem {
    pub(crate) referenced: usize,
    pub(crate) referenced_by: usize,
    pub(crate) reference_field: String,
}

/// A record to find, make or change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) class_name: String,
    #[serde(rename = "internal_id")]
    pub(crate) internal_id: String,
    /// Columns, all as texts.
    pub(crate) values: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related: Vec<Related>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Reclassification>,
    #[serde(rename = "sys_object_source_info", skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<SourceInfo>,
}

impl Item {
    /// Whether a record is to be found or made for it: others name theirs.
    pub(crate) fn is_new(&self) -> bool {
        !self.values.contains_key("sys_id")
    }
}

/// People put records into other classes on purpose: ours never puts them back.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reclassification {
    pub(crate) update_without_switch: &'static str,
    pub(crate) update_without_downgrade: &'static str,
    pub(crate) update_without_upgrade: &'static str,
}

impl Reclassification {
    pub(crate) const NEVER: Self = Self { update_without_switch: "true", update_without_downgrade: "true", update_without_upgrade: "true" };
}

/// A row that hangs on a record.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Related {
    pub(crate) class_name: String,
    #[serde(rename = "internal_id")]
    pub(crate) internal_id: String,
    pub(crate) values: BTreeMap<String, String>,
}

/// Whose a record is: becomes a row of `sys_object_source`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SourceInfo {
    pub(crate) source_name: String,
    pub(crate) source_feed: String,
    pub(crate) source_native_key: String,
}

/// A relation between two items, by their internal ids.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Relation {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) parent_id: String,
    pub(crate) child_id: String,
    #[serde(rename = "sys_rel_source_info")]
    pub(crate) source: RelationSource,
}

/// Whose a relation is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RelationSource {
    pub(crate) source_name: String,
    pub(crate) source_feed: String,
}

/// What the engine says it did. Any key can be missing.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    items: Outcomes,
    #[serde(default)]
    relations: Outcomes,
}

/// What became of the items, or of the relations, of a payload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<Outcome>")]
struct Outcomes {
    outcomes: Vec<Outcome>,
    /// Which of them speaks of which place of the payload. Answers come in an order of their own, and those to duplicates come as one.
    by_place: HashMap<usize, usize>,
}

impl From<Vec<Outcome>> for Outcomes {
    fn from(outcomes: Vec<Outcome>) -> Self {
        let mut by_place = HashMap::with_capacity(outcomes.len());
        for (number, outcome) in outcomes.iter().enumerate() {
            for place in &outcome.input_indices {
                by_place.entry(*place).or_insert(number);
            }
        }
        Self { outcomes, by_place }
    }
}

impl Outcomes {
    fn at(&self, place: usize) -> Option<&Outcome> {
        self.outcomes.get(*self.by_place.get(&place)?)
    }
}

/// What became of an item or a relation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outcome {
    pub(crate) class_name: Option<String>,
    operation: Option<String>,
    sys_id: Option<String>,
    pub(crate) errors: Vec<Said>,
    warnings: Vec<Said>,
    input_indices: Vec<usize>,
    /// Columns that another source may write and we may not.
    pub(crate) masked_attributes: Vec<String>,
    related_items: Vec<RelatedOutcome>,
    identification_attempts: Vec<Attempt>,
}

/// One way in which the engine looked for a record.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attempt {
    attempt_result: Option<String>,
    info: Option<String>,
}

/// What became of a row that hangs on an item.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RelatedOutcome {
    pub(crate) errors: Vec<Said>,
}

/// One thing that the engine says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    /// The code.
    pub(crate) error: String,
    pub(crate) message: String,
}

/// What the engine did to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It made one.
    Insert,
    /// It changed one.
    Update,
    /// All was as sent.
    NoChange,
}

/// Why a record or relation does not stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The engine's code, where it gave one.
    pub(crate) code: String,
    /// In words.
    pub(crate) text: String,
}

impl Failure {
    /// Whether it only says that something else failed.
    pub(crate) fn is_consequence(&self) -> bool {
        self.code == "ABANDONED"
    }
}

impl Report {
    /// What became of the item at this place of the payload.
    pub(crate) fn item(&self, place: usize) -> Option<&Outcome> {
        self.items.at(place)
    }

    /// The engine's words, where it refused all of a payload because it does not know the discovery source.
    pub(crate) fn refuses_source(&self, source: &str) -> Option<String> {
        let said = |outcome: &Outcome| {
            outcome.errors.iter().find(|said| said.error == "INVALID_INPUT_DATA" && said.message.contains(source)).map(Said::words)
        };
        let first = self.items.outcomes.first().and_then(said)?;
        self.items.outcomes.iter().all(|outcome| said(outcome).is_some()).then_some(first)
    }

    /// What became of the relation at this place.
    pub(crate) fn relation(&self, place: usize) -> Option<&Outcome> {
        self.relations.at(place)
    }
}

/// Whether a text is the id of a row.
pub(crate) fn is_sys_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Outcome {
    /// The record and what was done to it. It stands there only where the operation says so and there is a real id: what is parked has no errors either.
    pub(crate) fn stands(&self) -> Result<(&str, Operation), Failure> {
        match (self.operation(), self.sys_id.as_deref()) {
            (Some(operation), Some(sys_id)) if is_sys_id(sys_id) && self.errors.is_empty() => Ok((sys_id, operation)),
            _ => Err(self.failure()),
        }
    }

    /// Whether the record was found by our own row in `sys_object_source`.
    pub(crate) fn is_found_by_source(&self) -> bool {
        let is_it = |attempt: &Attempt| {
            attempt.info.as_deref().is_some_and(|info| info.starts_with("sys_object_source"))
                && attempt.attempt_result.as_deref() == Some("MATCHED")
        };
        self.identification_attempts.iter().any(is_it)
    }

    /// What the query endpoint says would be done, with the record where one stands there: what would be made has no id yet.
    pub(crate) fn would(&self) -> Result<(Operation, Option<&str>), Failure> {
        match self.operation() {
            Some(operation) if self.errors.is_empty() => Ok((operation, self.sys_id.as_deref().filter(|id| is_sys_id(id)))),
            _ => Err(self.failure()),
        }
    }

    fn operation(&self) -> Option<Operation> {
        match self.operation.as_deref() {
            Some("INSERT") => Some(Operation::Insert),
            Some("NO_CHANGE") => Some(Operation::NoChange),
            Some("UPDATE" | "UPDATE_WITH_UPGRADE" | "UPDATE_WITH_DOWNGRADE" | "UPDATE_WITH_SWITCH") => Some(Operation::Update),
            _ => None,
        }
    }

    /// Rows that hang on it and that the engine refused, in words.
    pub(crate) fn related_failures(&self) -> Vec<String> {
        self.related_items.iter().flat_map(|related| related.errors.iter().map(Said::words)).collect()
    }

    fn failure(&self) -> Failure {
        let said = self.errors.first().or_else(|| self.warnings.first());
        let code = said.map(|said| said.error.clone()).unwrap_or_default();
        let words = said.map(Said::words).unwrap_or_default();
        let what = match (self.operation.as_deref(), code.as_str()) {
            (Some("INSERT_AS_PARTIAL"), _) => "parked as a partial payload, nothing stands in the CMDB: ",
            (Some("INSERT_AS_INCOMPLETE"), code) if code != "ABANDONED" => {
                "put away as an incomplete payload, nothing stands in the CMDB: "
            }
            (_, "ABANDONED") => "not tried, since what it depends on failed: ",
            _ => "",
        };
        let text = if words.is_empty() {
            let operation = self.operation.as_deref().unwrap_or("no operation");
            let sys_id = self.sys_id.as_deref().unwrap_or("none");
            format!("{what}the engine gave no reason (operation {operation}, sys_id {sys_id})")
        } else {
            format!("{what}{words}")
        };
        Failure { code, text }
    }
}

impl Said {
    /// Code and message.
    pub(crate) fn words(&self) -> String {
        let Self { error, message } = self;
        match (error.is_empty(), message.is_empty()) {
            (false, false) => format!("{error}: {message}"),
            (false, true) => error.clone(),
            (true, _) => message.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn report(items: &serde_json::Value) -> Report {
        serde_json::from_value(json!({ "items": items })).expect("the shape of a report")
    }

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn answers_are_joined_by_their_inputs() {
        let report = report(&json!([
            {"operation": "INSERT", "sysId": ID, "inputIndices": [2, 0]},
            {"operation": "NO_CHANGE", "sysId": "f".repeat(32), "inputIndices": [1]},
        ]));
        assert_eq!(report.item(0).unwrap().stands().unwrap(), (ID, Operation::Insert));
        assert_eq!(report.item(2).unwrap().stands().unwrap(), (ID, Operation::Insert));
        assert_eq!(report.item(1).unwrap().stands().unwrap().1, Operation::NoChange);
        assert!(report.item(3).is_none());
    }

    #[test]
    fn what_looks_clean_is_no_success() {
        for outcome in [
            json!({"operation": "INSERT_AS_PARTIAL", "sysId": "Unknown", "errorCount": 0, "warnings": [{"error": "MISSING_DEPENDENCY", "message": "no relations"}]}),
            json!({"operation": "INSERT", "sysId": "Unknown"}),
            json!({"operation": "INSERT", "sysId": ID, "errors": [{"error": "LOCK_TIMEOUT", "message": "mutex"}]}),
            json!({"sysId": ID}),
            json!({}),
        ] {
            let outcome: Outcome = serde_json::from_value(outcome).unwrap();
            outcome.stands().unwrap_err();
        }
    }

    #[test]
    fn each_way_to_fail_has_its_own_words() {
        let words = |outcome: serde_json::Value| serde_json::from_value::<Outcome>(outcome).unwrap().stands().unwrap_err();
        let parked = words(
            json!({"operation": "INSERT_AS_PARTIAL", "sysId": "Unknown", "warnings": [{"error": "MISSING_DEPENDENCY", "message": "no relations"}]}),
        );
        assert_eq!(parked.text, "parked as a partial payload, nothing stands in the CMDB: MISSING_DEPENDENCY: no relations");
        let abandoned = words(json!({"operation": "INSERT_AS_INCOMPLETE", "errors": [{"error": "ABANDONED", "message": "host failed"}]}));
        assert!(abandoned.is_consequence());
        assert!(abandoned.text.starts_with("not tried"), "{}", abandoned.text);
        let silent = words(json!({"operation": "INSERT", "sysId": "Unknown"}));
        assert_eq!(silent.text, "the engine gave no reason (operation INSERT, sys_id Unknown)");
    }
}
