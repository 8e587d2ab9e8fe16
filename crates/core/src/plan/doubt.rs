//! What is wanted of a record while a rule that may set values of it cannot be asked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::diff::Fields;
use super::input::Input;
use super::record::{FieldState, RecordBrief};
use crate::estate::{Known, Stage};
use crate::target::{Adapted, Ci, DesiredField};

/// A resource in the target's own form, as its record should read at `stage`; `None` where the target has no class for it.
///
/// Fields that would read otherwise if a rule applied that could not be asked keep what was last wanted of them: else they would change with
/// every failure and every recovery of the rule. A record of which nothing was wanted yet is made from what was read.
pub(super) fn adapt(input: &Input<'_>, known: &Known, stage: Stage, row: &RecordBrief) -> Option<Adapted> {
    let target = input.terms.target;
    let ci = input.ci(known, stage);
    let read = target.adapt(&ci)?;
    let unknown = &input.verdicts.of(&known.resource.key).unknown;
    let Some(last) = row.fields.as_ref().filter(|_| !unknown.is_empty()) else { return Some(read) };
    let mut wanted = read.clone();
    for other in others(&ci, unknown) {
        if let Some(other) = target.adapt(&other) {
            keep(&mut wanted, &read, &other, last);
        }
    }
    Some(wanted)
}

/// The CI as it would be if rules set the values that are in doubt: each by itself, and all of them.
pub(super) fn others(ci: &Ci, unknown: &BTreeMap<String, Vec<Value>>) -> Vec<Ci> {
    let with = |values: &[(&String, &Value)]| {
        let mut other = ci.clone();
        other.attributes.extend(values.iter().map(|&(name, value)| (name.clone(), value.clone())));
        other
    };
    let single = unknown.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let all: Vec<_> = unknown.iter().filter_map(|(name, values)| Some((name, values.last()?))).collect();
    single.map(|one| with(&[one])).chain((all.len() > 1).then(|| with(&all))).collect()
}

/// Takes the last wanted value of each field that differs between two forms, where there is one.
fn keep(wanted: &mut Adapted, read: &Adapted, other: &Adapted, last: &Fields) {
    let value = |adapted: &Adapted, name: &String| adapted.fields.get(name).map(|field| field.value.clone());
    let differing = read.fields.iter().chain(&other.fields).filter(|(name, _)| value(read, name) != value(other, name));
    for (name, field) in differing {
        if let Some(last) = last.get(name).filter(|last| is_known(last)) {
            wanted.fields.insert(name.clone(), DesiredField { value: last.desired.clone(), ..field.clone() });
        }
    }
}

/// Whether the row says what was wanted; where nobody knows what became of a write it does not.
fn is_known(last: &FieldState) -> bool {
    last.sent.is_some() || !last.desired.is_null()
}
