//! Which fields of a record are written, by who may write them (guardrail 5, first half).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::record::FieldState;
use crate::estate::FieldChange;
use crate::target::{Adapted, Authority, DesiredField};

/// The fields of one record as the ledger knows them.
pub(super) type Fields = BTreeMap<String, FieldState>;

/// What a change writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Written {
    pub(super) fields: BTreeMap<String, FieldChange>,
    pub(super) people: BTreeSet<String>,
    pub(super) identifying: bool,
    /// Names in `fields` that are a reason for the change; the others ride along.
    pub(super) solid: BTreeSet<String>,
}

/// What has changed since the last delivery, apart from the fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The record goes to another stage: `transition` fields are written.
    pub(super) stage: bool,
    /// The mapping is another: what rests is tried again.
    pub(super) mapping: bool,
    /// The record is a stranger's to which we only contribute.
    pub(super) contributed: bool,
}

pub(super) fn authority(overrides: &BTreeMap<String, Authority>, name: &str, field: &DesiredField) -> Authority {
    overrides.get(name).copied().unwrap_or(field.authority)
}

/// Whether a target shows a field as empty.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A new record's fields: all that have a value. A mapping that gives null is not written.
pub(super) fn create(adapted: &Adapted, overrides: &BTreeMap<String, Authority>) -> Written {
    let valued = || adapted.fields.iter().filter(|(_, field)| !field.value.is_null());
    // Collected in order, so that the map is built packed: a first plan holds very many of these.
    let fields = valued().map(|(name, field)| (name.clone(), FieldChange { from: Value::Null, to: field.value.clone() })).collect();
    let mut written = Written { fields, ..Written::default() };
    for (name, field) in valued() {
        if !field.volatile {
            written.solid.insert(name.clone());
        }
        if authority(overrides, name, field) != Authority::Owned {
            written.people.insert(name.clone());
        }
    }
    written
}

/// The fields of a record that is there, where what we want differs from what we last wanted.
pub(super) fn update(adapted: &Adapted, overrides: &BTreeMap<String, Authority>, fields: &Fields, moment: Moment) -> Written {
    let mut written = Written::default();
    for (name, field) in &adapted.fields {
        let last = fields.get(name);
        let authority = authority(overrides, name, field);
        if !is_due(authority, &field.value, last, moment) {
            continue;
        }
        let from = match last {
            None => Value::Null,
            Some(last) if last.desired == field.value || last.sent.is_none() => last.echoed.clone().unwrap_or(Value::Null),
            Some(last) => last.desired.clone(),
        };
        written.fields.insert(name.clone(), FieldChange { from, to: field.value.clone() });
        if authority != Authority::Owned {
            written.people.insert(name.clone());
        }
        if !field.volatile {
            written.solid.insert(name.clone());
            written.identifying |= field.identifying;
        }
    }
    let is_unmapped = |name: &String| !adapted.fields.contains_key(name) && !adapted.failed.contains_key(name);
    for (name, last) in fields.iter().filter(|(name, _)| is_unmapped(name)) {
        let is_ours = !last.people && overrides.get(name).is_none_or(|authority| *authority == Authority::Owned);
        let (from, is_valued) = match (&last.sent, &last.echoed) {
            (Some(sent), _) => (&last.desired, !last.desired.is_null() && !sent.is_null()),
            // Still to be written, and nothing is wanted any more: what the target shows goes.
            (None, Some(echoed)) => (echoed, !is_empty(echoed)),
            (None, None) => (&last.desired, false),
        };
        if is_ours && is_valued {
            written.fields.insert(name.clone(), FieldChange { from: from.clone(), to: Value::Null });
            written.solid.insert(name.clone());
        }
    }
    written
}

fn is_due(authority: Authority, value: &Value, last: Option<&FieldState>, moment: Moment) -> bool {
    let differs = last.map_or(!value.is_null(), |last| last.desired != *value);
    match authority {
        Authority::Owned => {
            let is_pending =
                last.is_some_and(|last| last.sent.is_none() && (!value.is_null() || last.echoed.as_ref().is_some_and(|e| !is_empty(e))));
            let is_tried_again = moment.mapping && last.is_some_and(|last| last.rests);
            differs || is_pending || is_tried_again
        }
        Authority::IfEmpty => {
            let is_seen_empty = last.is_some_and(|last| last.echoed.as_ref().is_some_and(is_empty));
            !value.is_null() && is_seen_empty && (differs || last.is_some_and(|last| last.sent.is_none()))
        }
        Authority::Transition => moment.stage && differs && !moment.contributed,
        Authority::Initial | Authority::Report => false,
    }
}

/// The fields of a stranger's record that becomes ours or gets our fields. Fields of ours are written even where it shows the same
/// value: that settles them in the ledger. People's fields are left.
pub(super) fn adopt(
    adapted: &Adapted,
    overrides: &BTreeMap<String, Authority>,
    found: &BTreeMap<String, Value>,
    contributes: bool,
) -> Written {
    let mut written = Written::default();
    for (name, field) in adapted.fields.iter().filter(|(_, field)| !field.value.is_null()) {
        let shown = found.get(name).unwrap_or(&Value::Null);
        let authority = authority(overrides, name, field);
        let is_due = match authority {
            Authority::Owned => true,
            Authority::IfEmpty => is_empty(shown),
            Authority::Transition => !contributes,
            Authority::Initial | Authority::Report => false,
        };
        if is_due {
            written.fields.insert(name.clone(), FieldChange { from: shown.clone(), to: field.value.clone() });
            if authority != Authority::Owned {
                written.people.insert(name.clone());
            }
            if !field.volatile {
                written.solid.insert(name.clone());
            }
        }
    }
    written
}

/// The fields of a record after a change to it was delivered, whole: what the ledger stores with the answer.
///
/// `previous` is the row's fields before (empty for a create). A field keeps what it showed when it was written once more for as long as
/// the same value is wanted.
#[must_use]
pub fn delivered_fields(previous: &Fields, change: &super::Change) -> Fields {
    let mut fields = previous.clone();
    for (name, value) in &change.fields {
        let rewritten = previous.get(name).filter(|last| last.desired == value.to).and_then(|last| last.rewritten.clone());
        let state = FieldState { rewritten, ..FieldState::delivered(value.to.clone(), change.people.contains(name)) };
        fields.insert(name.clone(), state);
    }
    fields
}

/// The fields of a record to which a change was sent that may have arrived or not, whole. `shown` are the record's fields as a look-up
/// found them, where it did.
///
/// Nothing is known to be wanted there and nothing to be sent, so that whatever is wanted next is written, the former value too.
#[must_use]
pub fn unsure_fields(previous: &Fields, change: &super::Change, shown: Option<&BTreeMap<String, Value>>) -> Fields {
    let mut fields = previous.clone();
    for (name, value) in &change.fields {
        let people = change.people.contains(name);
        let last = previous.get(name);
        let echoed = match shown {
            Some(shown) => Some(of_ours(shown.get(name).unwrap_or(&Value::Null), &[last.map(|last| &last.desired), Some(&value.to)])),
            // Whether it is empty decides whether people's field may be written: what was seen last stands.
            None if people => last.and_then(|last| last.echoed.clone()),
            None if value.to.is_null() => Some(value.from.clone()),
            None => Some(value.to.clone()),
        };
        fields.insert(name.clone(), FieldState { desired: Value::Null, sent: None, echoed, rewritten: None, rests: false, people });
    }
    fields
}

/// Of what a field of many values shows what was wanted there at some time: the rest is people's.
fn of_ours(shown: &Value, wanted: &[Option<&Value>]) -> Value {
    let Value::Object(values) = shown else { return shown.clone() };
    let is_ours = |name: &String| wanted.iter().any(|wanted| wanted.is_some_and(|wanted| wanted.get(name).is_some()));
    Value::Object(values.iter().filter(|(name, _)| is_ours(name)).map(|(name, value)| (name.clone(), value.clone())).collect())
}
