//! What a full read of a target tells of the records we keep there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::diff;
use super::drift::{DriftAction, after_read, drift};
use super::input::Input;
use super::record::{DeliveryState, RecordBrief};
use super::standing::{Standing, shown_stage, standing};
use crate::ci::ci;
use crate::model::Key;
use crate::target::FoundRecord;

/// A field that a read found other than it was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drifted {
    /// The CI.
    pub key: Key,
    /// The field.
    pub field: String,
    /// What we want there.
    pub desired: Value,
    /// What the target shows.
    pub found: Value,
    /// What follows.
    pub action: DriftAction,
}

/// What a full read tells.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Absorbed {
    /// Rows that the read changed, to be stored; the next draft makes corrections from them, in this run or a later one.
    pub rows: BTreeMap<Key, RecordBrief>,
    /// Records, live and retired, that the read did not show. They are looked up; those that are gone become [`gone`] rows.
    pub unseen: BTreeSet<Key>,
    /// Fields found other than written, for the report.
    pub drifted: Vec<Drifted>,
}

/// Takes in a full read that is provably complete (one that is not must not get here). `found` holds the records that carry our estate
/// id, by external id; the fields of all live rows must be loaded.
pub fn absorb(input: &Input<'_>, found: &BTreeMap<Key, FoundRecord>) -> Absorbed {
    let mut absorbed = Absorbed::default();
    for (key, row) in input.state.records.iter().filter(|(_, row)| row.exists()) {
        match found.get(key) {
            Some(record) if row.is_live() => absorb_record(input, key, row, record, &mut absorbed),
            Some(_) => {}
            // A stranger's record does not carry our estate id, so that read does not show it.
            None if row.contributed => {}
            None => {
                absorbed.unseen.insert(key.clone());
            }
        }
    }
    absorbed
}

fn absorb_record(input: &Input<'_>, key: &Key, row: &RecordBrief, found: &FoundRecord, absorbed: &mut Absorbed) {
    let Some(known) = input.estate.resources.get(key) else { return };
    let Some(fields) = &row.fields else { return };
    if standing(input, known, true) != Standing::Wanted {
        return;
    }
    let Some(adapted) = input.terms.target.adapt(&ci(known, shown_stage(known), input.ownership)) else { return };
    let mut after = fields.clone();
    let mut is_pending = false;
    for (name, state) in &mut after {
        let Some(field) = adapted.fields.get(name) else { continue };
        let authority = diff::authority(input.terms.authority, name, field);
        let shown = found.fields.get(name).unwrap_or(&Value::Null);
        let action = drift(state, shown, authority);
        *state = after_read(state, shown, action);
        is_pending |= matches!(action, DriftAction::WriteOnceMore | DriftAction::Correct) && !field.volatile;
        if action != DriftAction::None {
            let drifted = Drifted { key: key.clone(), field: name.clone(), desired: state.desired.clone(), found: shown.clone(), action };
            absorbed.drifted.push(drifted);
        }
    }
    if after != *fields {
        let basis = row.basis.filter(|_| !is_pending);
        absorbed.rows.insert(key.clone(), RecordBrief { basis, fields: Some(after), ..row.clone() });
    }
}

/// The row of a record that a complete read did not show and a look-up did not find: where it is wanted it is made again, which counts
/// under guardrail 3; where it had ended its row is forgotten. Its id must not be used again: in another CMDB it is another record's.
#[must_use]
pub fn gone(row: &RecordBrief) -> RecordBrief {
    RecordBrief { record: None, basis: None, state: DeliveryState::Pending, retired_at: None, fields: None, ..row.clone() }
}
