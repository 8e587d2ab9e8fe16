//! Edges that a full read lacks.

use std::collections::BTreeMap;

use super::absorb::{Absorbed, Lost};
use super::input::Input;
use super::record::{DeliveryState, Missed, RecordBrief, RecordEdge};
use crate::model::{EdgeId, Key};
use crate::target::FoundRecord;

/// Takes in what a full read tells of edges that the ledger knows as delivered. One that it lacks is sent once more, where it is wanted; lacked
/// again by the next read, it rests. An edge of which the read does not tell stays as it is, and so does one that nobody wants: that is
/// removed anyway.
pub(super) fn absorb_edges(input: &Input<'_>, found: &BTreeMap<Key, FoundRecord>, absorbed: &mut Absorbed) {
    for (id, row) in input.state.edges.iter().filter(|(_, row)| row.delivered_at.is_some()) {
        let (Some(from), Some(_)) = (shown(input, found, &id.from), shown(input, found, &id.to)) else { continue };
        let is_shown = from.edges.as_ref().is_some_and(|edges| edges.contains_key(&(id.relation, id.to.clone())));
        let after = if is_shown { seen(row) } else { lacked(input, id, row, absorbed) };
        absorbed.edges.extend(after.map(|row| (id.clone(), row)));
    }
}

/// The record at an end, live and our own here and there, where the read tells of its edges.
fn shown<'a>(input: &Input<'_>, found: &'a BTreeMap<Key, FoundRecord>, key: &Key) -> Option<&'a FoundRecord> {
    let row = input.state.records.get(key)?;
    let is_known = |record: &&FoundRecord| row.record.as_ref() == Some(&record.id) && !record.retired && record.edges.is_some();
    found.get(key).filter(|_| row.is_live() && !row.is_reference() && !row.contributed).filter(is_known)
}

fn seen(row: &RecordEdge) -> Option<RecordEdge> {
    row.missed?;
    // What was to be sent once more is there: somebody else drew it again.
    let (state, refusal) = if row.is_missed() { (DeliveryState::Delivered, None) } else { (row.state, row.refusal.clone()) };
    Some(RecordEdge { state, refusal, missed: None, revision: row.revision + 1, ..row.clone() })
}

fn lacked(input: &Input<'_>, id: &EdgeId, row: &RecordEdge, absorbed: &mut Absorbed) -> Option<RecordEdge> {
    let kind = |key: &Key| input.state.records.get(key).map(|row: &RecordBrief| row.kind);
    let target = input.terms.target;
    let is_told = |(from, to)| target.relates(id.relation, from, to) && target.tells(id.relation, from, to);
    if !input.estate.edges.contains_key(id) || row.basis.is_none() || !kind(&id.from).zip(kind(&id.to)).is_some_and(is_told) {
        return None;
    }
    let (rests, after) = match (row.missed, row.state) {
        (None, DeliveryState::Delivered) => {
            let missed = Some(Missed::Once);
            (false, Some(RecordEdge { state: DeliveryState::Pending, missed, revision: row.revision + 1, ..row.clone() }))
        }
        (Some(Missed::Once), DeliveryState::Delivered) => {
            (true, Some(RecordEdge { missed: Some(Missed::Rests), revision: row.revision + 1, ..row.clone() }))
        }
        (Some(Missed::Rests), DeliveryState::Delivered) => (true, None),
        // Still to be sent anyway.
        _ => return None,
    };
    absorbed.lost.push(Lost { edge: id.clone(), rests });
    after
}
