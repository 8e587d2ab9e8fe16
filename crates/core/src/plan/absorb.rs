//! What a full read of a target tells of the records we keep there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::adopt::recovered;
use super::diff;
use super::doubt;
use super::drift::{DriftAction, after_read, drift};
use super::input::Input;
use super::missed;
use super::record::{DeliveryState, RecordBrief, RecordEdge};
use super::standing::{Standing, shown_stage, standing};
use crate::estate::Known;
use crate::model::{EdgeId, Key};
use crate::target::FoundRecord;

/// How the mark of a record's end is named among fields.
const RETIRED: &str = "retired";

/// A field that a read found other than it was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drifted {
    /// The CI.
    pub key: Key,
    /// The field; `retired` for the mark of the record's end.
    pub field: String,
    /// What we want there.
    pub desired: Value,
    /// What the target shows.
    pub found: Value,
    /// What follows.
    pub action: DriftAction,
}

/// A delivered edge that a read lacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The edge.
    pub edge: EdgeId,
    /// It was sent once more already, and is left so; else it is sent.
    pub rests: bool,
}

/// What a full read tells.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Absorbed {
    /// Rows that the read changed, to be stored; the next draft makes corrections from them, in this run or a later one.
    pub rows: BTreeMap<Key, RecordBrief>,
    /// Records, live and retired, that the read did not show. They are looked up; those that are gone become [`gone`] rows.
    pub unseen: BTreeSet<Key>,
    /// Strangers' records that are referred to, which no such read shows. They are looked up; those that are gone become [`gone`] rows.
    pub references: BTreeSet<Key>,
    /// Edges that the read showed, or lacked, other than was known, to be stored likewise.
    pub edges: BTreeMap<EdgeId, RecordEdge>,
    /// Fields found other than written, for the report.
    pub drifted: Vec<Drifted>,
    /// Delivered edges that the read lacked, for the report.
    pub lost: Vec<Lost>,
}

/// Takes in a full read that is provably complete (one that is not must not get here). `found` holds the records that carry our estate
/// id, by external id; the fields of all live rows must be loaded.
pub fn absorb(input: &Input<'_>, found: &BTreeMap<Key, FoundRecord>) -> Absorbed {
    let mut absorbed = Absorbed::default();
    for (key, row) in input.state.records.iter().filter(|(_, row)| row.exists()) {
        match found.get(key) {
            // Its key goes with it: the id that the ledger knows is another record's, or nobody's.
            // What was a stranger's and is marked as ours by now is ours.
            Some(record) if row.record.as_ref() != Some(&record.id) || row.is_reference() => {
                absorbed.rows.extend(recovered(input, key, record).map(|row| (key.clone(), row)));
            }
            Some(record) if row.is_live() => absorb_record(input, key, row, record, &mut absorbed),
            Some(_) => {}
            // A stranger's record does not carry our estate id, so that read does not show it.
            None if row.is_reference() => {
                absorbed.references.insert(key.clone());
            }
            None if row.contributed => {}
            None => {
                absorbed.unseen.insert(key.clone());
            }
        }
    }
    missed::absorb_edges(input, found, &mut absorbed);
    absorbed
}

fn absorb_record(input: &Input<'_>, key: &Key, row: &RecordBrief, found: &FoundRecord, absorbed: &mut Absorbed) {
    let Some(known) = input.estate.resources.get(key) else { return };
    let Some(fields) = &row.fields else { return };
    if standing(input, known, true) != Standing::Wanted {
        return;
    }
    let Some(adapted) = doubt::adapt(input, known, shown_stage(known), row) else { return };
    let mut after = fields.clone();
    let mut is_pending = false;
    let is_ended_there = found.retired && !row.contributed;
    let is_corrected = is_ended_there && !input.terms.target.retires_by_status() && is_shown_alive(input, known);
    if is_ended_there {
        let action = if is_corrected { DriftAction::Correct } else { DriftAction::Report };
        let (desired, found) = (Value::Bool(false), Value::Bool(true));
        absorbed.drifted.push(Drifted { key: key.clone(), field: RETIRED.to_owned(), desired, found, action });
    }
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
    if after != *fields || is_corrected {
        let basis = row.basis.filter(|_| !is_pending);
        let mut row = RecordBrief { basis, fields: Some(after), ..row.clone() };
        if is_corrected {
            row.state = DeliveryState::Retired;
            row.retired_at = found.delivered_at.or(Some(input.at));
        }
        absorbed.rows.insert(key.clone(), row);
    }
}

/// Whether this run's pull shows the resource alive: a record that says retired is revived for nothing less.
fn is_shown_alive(input: &Input<'_>, known: &Known) -> bool {
    known.missing == 0 && !known.recovered && !known.is_ended() && known.last_seen >= input.at
}

/// The row of a record that a complete read did not show and a look-up did not find: where it is wanted it is made again, which counts
/// under guardrail 3; where it had ended its row is forgotten. Its id must not be used again: in another CMDB it is another record's.
/// A stranger's record was none of ours: what is made in its place is new.
#[must_use]
pub fn gone(row: &RecordBrief) -> RecordBrief {
    RecordBrief {
        record: None,
        basis: None,
        state: DeliveryState::Pending,
        created_at: row.created_at.filter(|_| !row.contributed),
        retired_at: None,
        contributed: false,
        carries: None,
        fields: None,
        ..row.clone()
    }
}
