//! Values that a target left as they were, tried again.

use std::collections::HashSet;

use serde_json::Value;

use super::record::{FieldState, RecordBrief};
use crate::target::LeftValue;

/// Whether a target left a field as it was because nothing stood for what was wanted, or there was nowhere to write it to: it has then said nothing of
/// another shape of it.
fn is_left(field: &FieldState) -> bool {
    field.rests && !field.desired.is_null() && (had_no_place(field) || field.sent.as_ref() == Some(&field.desired))
}

fn had_no_place(field: &FieldState) -> bool {
    field.sent.as_ref().is_some_and(Value::is_null)
}

fn value(row: &RecordBrief, name: &str, field: &FieldState) -> LeftValue {
    LeftValue { kind: row.kind, field: name.to_owned(), value: field.desired.clone(), had_no_place: had_no_place(field) }
}

/// The values that a target left in the records of these rows, each once, in the order of the rows. Rows without fields have none.
pub fn left<'r>(rows: impl IntoIterator<Item = &'r RecordBrief>) -> Vec<LeftValue> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for row in rows.into_iter().filter(|row| row.is_live()) {
        for (name, field) in row.fields.iter().flatten().filter(|(_, field)| is_left(field)) {
            let value = value(row, name, field);
            if seen.insert(value.clone()) {
                all.push(value);
            }
        }
    }
    all
}

/// The row where some of these values can be taken by now: they are still to be written, in this run or a later one. `None` where none of them is wanted
/// there.
#[must_use]
pub fn tried_again(row: &RecordBrief, taken: &HashSet<LeftValue>) -> Option<RecordBrief> {
    let is_due = |(name, field): &(&String, &FieldState)| is_left(field) && taken.contains(&value(row, name, field));
    let fields = row.fields.as_ref().filter(|_| row.is_live())?;
    let due: Vec<String> = fields.iter().filter(is_due).map(|(name, _)| name.clone()).collect();
    if due.is_empty() {
        return None;
    }
    let mut fields = fields.clone();
    for name in due {
        if let Some(field) = fields.get_mut(&name) {
            field.sent = None;
            field.rests = false;
        }
    }
    Some(RecordBrief { basis: None, fields: Some(fields), ..row.clone() })
}
