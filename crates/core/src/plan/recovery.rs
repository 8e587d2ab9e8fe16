//! Edges that a recovering target shows.

use std::collections::BTreeMap;

use super::edges::edge_basis;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief, RecordEdge};
use crate::model::{EdgeId, Key};
use crate::target::FoundRecord;

/// What a recovery makes of a target's edges, where its read tells of them: rows to store, and (`None`) rows to forget, because the edge
/// does not stand there. Of an edge that the read does not tell of nobody knows: it is sent again where it is wanted. The rows of the records must be bound already ([`super::recovered`]); an edge to a record that is not is left
/// alone.
///
/// Whether an edge is wanted is for later drafts to say: nothing is unrelated while a target is recovered.
#[must_use]
pub fn recovered_edges(input: &Input<'_>, found: &BTreeMap<Key, FoundRecord>) -> BTreeMap<EdgeId, Option<RecordEdge>> {
    let live = |key: &Key| input.state.records.get(key).filter(|row| row.is_live());
    let mut rows = BTreeMap::new();
    for (from, edges) in found.iter().filter_map(|(key, record)| Some((key, record.edges.as_ref()?))) {
        let Some(start) = live(from) else { continue };
        for ((relation, to), attributes) in edges {
            let Some(stop) = live(to) else { continue };
            let id = EdgeId { from: from.clone(), relation: *relation, to: to.clone() };
            let basis = edge_basis(*relation, attributes);
            let known = input.state.edges.get(&id);
            if !known.is_some_and(|row| row.state == DeliveryState::Delivered && row.basis == Some(basis)) {
                rows.insert(id, Some(standing_edge(input, known, basis, [start, stop])));
            }
        }
    }
    let exists = |key: &Key| input.state.records.get(key).is_some_and(RecordBrief::exists);
    for (id, row) in input.state.edges.iter().filter(|(_, row)| row.delivered_at.is_some()) {
        match found.get(&id.from).and_then(|record| record.edges.as_ref()) {
            Some(edges) if !edges.contains_key(&(id.relation, id.to.clone())) => drop(rows.insert(id.clone(), None)),
            None if exists(&id.from) && exists(&id.to) => drop(rows.insert(id.clone(), Some(row.doubted()))),
            Some(_) | None => {}
        }
    }
    rows
}

/// It was delivered when both of its ends were there, which is all that is known.
fn standing_edge(input: &Input<'_>, known: Option<&RecordEdge>, basis: crate::model::Digest, ends: [&RecordBrief; 2]) -> RecordEdge {
    let both_were_there = ends.iter().filter_map(|end| end.created_at).max();
    let known_delivered = known.filter(|row| row.delivered_at.is_some());
    let delivered_at = both_were_there.max(known_delivered.and_then(|row| row.delivered_at));
    RecordEdge {
        basis: Some(basis),
        created_at: known_delivered.map_or(both_were_there, |row| row.created_at),
        delivered_at: delivered_at.or(Some(input.at)),
        state: DeliveryState::Delivered,
        revision: known.map_or(0, |row| row.revision),
        refusal: None,
    }
}
