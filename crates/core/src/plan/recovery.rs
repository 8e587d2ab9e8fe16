//! Edges that a recovering target shows.

use std::collections::BTreeMap;

use super::edges::edge_basis;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief, RecordEdge};
use crate::model::{Attributes, Digest, EdgeId, Key};
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
            let known = input.state.edges.get(&id);
            let basis = shown_basis(input, &id, attributes.as_ref(), known);
            if !known.is_some_and(|row| row.state == DeliveryState::Delivered && row.basis == Some(basis)) {
                rows.insert(id, Some(standing_edge(input, known, basis, [start, stop])));
            }
        }
    }
    let exists = |key: &Key| input.state.records.get(key).is_some_and(RecordBrief::exists);
    let row = |key: &Key| input.state.records.get(key);
    let tells = |(from, to): (&RecordBrief, &RecordBrief), relation| input.terms.target.tells(relation, from.kind, to.kind);
    // Of what leads to a stranger's record no read tells.
    let is_told = |id: &EdgeId| {
        !row(&id.to).is_some_and(RecordBrief::is_reference) && row(&id.from).zip(row(&id.to)).is_none_or(|ends| tells(ends, id.relation))
    };
    for (id, row) in input.state.edges.iter().filter(|(_, row)| row.delivered_at.is_some()) {
        match found.get(&id.from).and_then(|record| record.edges.as_ref()).filter(|_| is_told(id)) {
            Some(edges) if !edges.contains_key(&(id.relation, id.to.clone())) => drop(rows.insert(id.clone(), None)),
            None if exists(&id.from) && exists(&id.to) => drop(rows.insert(id.clone(), Some(row.doubted()))),
            Some(_) | None => {}
        }
    }
    rows
}

/// What an edge that the target shows was made from: where the target does not keep that, what is wanted, so that it is not sent again, or
/// else what the ledger knows.
fn shown_basis(input: &Input<'_>, id: &EdgeId, found: Option<&Attributes>, known: Option<&RecordEdge>) -> Digest {
    let wanted = || input.estate.edges.get(id).map(|wanted| &wanted.attributes);
    let delivered = || known.filter(|row| row.delivered_at.is_some()).and_then(|row| row.basis);
    match found.or_else(wanted) {
        Some(attributes) => edge_basis(id.relation, attributes),
        None => delivered().unwrap_or_else(|| edge_basis(id.relation, &Attributes::new())),
    }
}

/// It was delivered when both of its ends were there, which is all that is known.
fn standing_edge(input: &Input<'_>, known: Option<&RecordEdge>, basis: Digest, ends: [&RecordBrief; 2]) -> RecordEdge {
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
        missed: None,
    }
}
