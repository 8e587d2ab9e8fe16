//! The shapes of `--output json`: promises of their own, apart from what the ledger and saved plans store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::change::{Change, ChangeKind, Plan, Reason};
use super::guard::{Guardrail, Hold, HoldId};
use crate::estate::FieldChange;
use crate::lifecycle::DeferredBy;
use crate::model::{EdgeId, Key, Kind, TargetName};

/// Version of the `plan` and `holds` documents.
pub const SCHEMA_VERSION: u32 = 1;

/// A change as documents have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeDocument<'a> {
    /// The target.
    pub target: &'a TargetName,
    /// The CI; for edges the `from` end.
    pub key: &'a Key,
    /// Its kind.
    pub kind: Kind,
    /// The target's class.
    pub class: &'a str,
    /// What is done.
    pub change: ChangeKind,
    /// Fields that differ.
    pub fields: BTreeMap<&'a str, &'a FieldChange>,
    /// The edge, for `relate` and `unrelate`.
    pub relation: Option<&'a EdgeId>,
    /// Why.
    pub reason: &'a Reason,
}

impl<'a> From<&'a Change> for ChangeDocument<'a> {
    fn from(change: &'a Change) -> Self {
        // Adoption also writes fields that are the same already; they are no difference.
        let differing = change.fields.iter().filter(|(_, field)| field.from != field.to);
        Self {
            target: &change.target,
            key: &change.key,
            kind: change.kind,
            class: &change.class,
            change: change.change,
            fields: differing.map(|(name, field)| (name.as_str(), field)).collect(),
            relation: change.relation.as_ref(),
            reason: &change.reason,
        }
    }
}

/// A hold as documents have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldDocument<'a> {
    /// Its identity.
    pub id: HoldId,
    /// The target.
    pub target: &'a TargetName,
    /// Which guards stopped it.
    pub guardrails: &'a [Guardrail],
    /// Why, in words.
    pub text: &'a str,
    /// Share of base, in percent.
    pub share: Option<f64>,
    /// The limit that was passed.
    pub limit: Option<f64>,
    /// What it holds back.
    pub changes: Vec<ChangeDocument<'a>>,
}

impl<'a> From<&'a Hold> for HoldDocument<'a> {
    fn from(hold: &'a Hold) -> Self {
        Self {
            id: hold.id,
            target: &hold.target,
            guardrails: &hold.guardrails,
            text: &hold.text,
            share: hold.share,
            limit: hold.limit,
            changes: hold.changes.iter().map(ChangeDocument::from).collect(),
        }
    }
}

/// A hold as a value, for documents that are stored.
#[must_use]
pub fn hold(hold: &Hold) -> Value {
    // The document has text keys and finite numbers only, so it always has a JSON form.
    serde_json::to_value(HoldDocument::from(hold)).unwrap_or_default()
}

/// The `plan` document. `R` is the shape of a receipt. Changes are turned into their documents one by one while it is written.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a, R> {
    /// Version of this shape.
    pub schema_version: u32,
    /// The run's clock.
    pub taken_at: Timestamp,
    /// What would be sent, in order.
    #[serde(serialize_with = "changes")]
    pub changes: &'a [Change],
    /// What guardrails stopped.
    pub holds: Vec<HoldDocument<'a>>,
    /// Resources that wait: for their age, because a rule defers them, or because they are frozen.
    pub deferred: u64,
    /// The same by what they wait for.
    pub deferred_by: DeferredBy,
    /// Resources folded into fleets.
    pub folded: u64,
    /// Resources ignored by rule.
    pub ignored: u64,
    /// How each scope's listing ended.
    pub receipts: &'a [R],
    /// Records each target would hold afterwards.
    pub forecast: &'a BTreeMap<TargetName, u64>,
}

impl<'a, R: Serialize> PlanDocument<'a, R> {
    /// A plan with the receipts that it rests on.
    #[must_use]
    pub fn new(plan: &'a Plan, receipts: &'a [R]) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            taken_at: plan.taken_at,
            changes: &plan.changes,
            holds: plan.holds.iter().map(HoldDocument::from).collect(),
            deferred: plan.deferred,
            deferred_by: plan.deferred_by,
            folded: plan.folded,
            ignored: plan.ignored,
            receipts,
            forecast: &plan.forecast,
        }
    }
}

fn changes<S: serde::Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().map(ChangeDocument::from))
}
