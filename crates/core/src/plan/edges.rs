//! Relations of a target: which are added, changed and removed.

use std::collections::{BTreeSet, HashMap};

use super::change::{Change, ChangeKind, Reason};
use super::draft::{Class, Drafter, End, change_id};
use super::record::{DeliveryState, RecordEdge};
use super::standing::reason;
use crate::estate::{Fence, FieldChange, KnownEdge};
use crate::model::attributes::is_volatile_on_edge;
use crate::model::{Attributes, Digest, EdgeId, Key, RelationType};

/// Digest of an edge's attributes, without those that move without a cause.
#[must_use]
pub fn edge_basis(relation: RelationType, attributes: &Attributes) -> Digest {
    let still: Vec<_> = attributes.iter().filter(|(name, _)| !is_volatile_on_edge(relation, name)).collect();
    if still.is_empty() {
        return Digest::of_parts([]);
    }
    // Maps with text keys always have a JSON form; the debug form rests on the content as well.
    Digest::of_json(&still).unwrap_or_else(|_| Digest::of_parts([format!("{still:?}").as_bytes()]))
}

impl<'a> Drafter<'a> {
    /// Walks the estate's edges and the target's side by side. An edge is wanted between live records only; one that ends at a record
    /// that ends goes with it. A stranger's record does not end with its resource: our edges there are removed, and its row is kept as long as there are any,
    /// since it says where they are.
    pub(super) fn edges(&mut self, ends: &HashMap<&'a Key, End<'a>>) {
        let input = self.input;
        let mut rows = input.state.edges.iter().peekable();
        let mut from: Option<(&Key, Option<&End<'_>>)> = None;
        for (id, known) in &input.estate.edges {
            while let Some((gone, row)) = rows.next_if(|(row_id, _)| *row_id < id) {
                self.unseen_edge(gone, row, ends);
            }
            let row = rows.next_if(|(row_id, _)| *row_id == id).map(|(_, row)| row);
            // Edges are sorted by their start, which is looked up once for all of them.
            let start = match from {
                Some((key, end)) if *key == id.from => end,
                _ => ends.get(&id.from),
            };
            from = Some((&id.from, start));
            let start = start.filter(|end| end.is_live);
            let stop = start.and_then(|_| ends.get(&id.to)).filter(|end| end.is_live);
            match (start, stop) {
                (Some(start), Some(stop)) if start.is_left || stop.is_left => match row.filter(|row| row.delivered_at.is_some()) {
                    Some(row) => {
                        let why = reason("relation", "it leads to or from what has ended, whose record here is not ours".to_owned());
                        self.unrelate(id, row, start, known.fence, why);
                    }
                    None => self.forget_edge(id, row),
                },
                (Some(start), Some(stop)) => self.edge(id, known, row, start, stop),
                _ => self.forget_edge(id, row),
            }
        }
        for (gone, row) in rows {
            self.unseen_edge(gone, row, ends);
        }
    }

    /// An edge of the estate between two live records.
    fn edge(&mut self, id: &EdgeId, known: &KnownEdge, row: Option<&RecordEdge>, from: &End<'_>, to: &End<'_>) {
        if !self.input.terms.target.relates(id.relation, from.kind, to.kind) {
            match row.filter(|row| row.delivered_at.is_some()) {
                Some(row) => {
                    let why = reason("mapping", "this target does not keep such edges any more".to_owned());
                    self.unrelate(id, row, from, known.fence, why);
                }
                None => self.forget_edge(id, row),
            }
            return;
        }
        let basis = edge_basis(id.relation, &known.attributes);
        let stands = row.is_some_and(|row| {
            let is_newer = |end: &End<'_>| !end.is_fresh && end.created_at.is_none_or(|created| row.delivered_at >= Some(created));
            row.state == DeliveryState::Delivered && row.basis == Some(basis) && is_newer(from) && is_newer(to)
        });
        if stands {
            return;
        }
        // What goes with a record that is made anew is that record's.
        let is_missed = row.is_some_and(RecordEdge::is_missed) && !from.is_fresh && !to.is_fresh;
        let was_delivered = row.is_some_and(|row| row.delivered_at.is_some() && row.basis != Some(basis));
        let why = match (is_missed, was_delivered) {
            (true, _) => reason("drift", "it was delivered, and the target does not show it any more".to_owned()),
            (false, true) => reason("relation", "its attributes differ from what was last delivered".to_owned()),
            (false, false) => reason("relation", "both ends have a record here".to_owned()),
        };
        let fields = known
            .attributes
            .iter()
            .map(|(name, value)| (name.clone(), FieldChange { from: serde_json::Value::Null, to: value.clone() }))
            .collect();
        self.edge_change(ChangeKind::Relate, id, row, from, EdgeWish { fields, fence: known.fence, basis, why, reconnects: is_missed });
    }

    /// An edge of the target that the estate does not have (any more).
    fn unseen_edge(&mut self, id: &EdgeId, row: &RecordEdge, ends: &HashMap<&'a Key, End<'a>>) {
        let live = |key| ends.get(key).filter(|end| end.is_live && !end.is_fresh);
        let (Some(from), Some(_)) = (live(&id.from), live(&id.to)) else { return self.forget_edge(id, Some(row)) };
        if row.delivered_at.is_none() {
            return self.forget_edge(id, Some(row));
        }
        let fence = self.input.estate.resources.get(id.proving_end()).map_or(Fence::default(), |known| known.news_fence);
        let why = reason("relation", "a complete listing shows it no more".to_owned());
        self.unrelate(id, row, from, fence, why);
    }

    fn unrelate(&mut self, id: &EdgeId, row: &RecordEdge, from: &End<'_>, fence: Fence, why: Reason) {
        for end in [&id.from, &id.to] {
            self.draft.forgotten.remove(end);
        }
        let basis = row.basis.unwrap_or_else(|| Digest::of_parts([]));
        self.edge_change(
            ChangeKind::Unrelate,
            id,
            Some(row),
            from,
            EdgeWish { fields: std::collections::BTreeMap::new(), fence, basis, why, reconnects: false },
        );
    }

    fn forget_edge(&mut self, id: &EdgeId, row: Option<&RecordEdge>) {
        if row.is_some_and(|row| row.delivered_at.is_none()) {
            self.draft.forgotten_edges.insert(id.clone());
        }
    }

    fn edge_change(&mut self, change: ChangeKind, id: &EdgeId, row: Option<&RecordEdge>, from: &End<'_>, wish: EdgeWish) {
        let values = wish.fields.iter().filter(|(name, _)| !is_volatile_on_edge(id.relation, name));
        let change_id = change_id(&self.draft.target, change, &id.from, Some(id), values, row.and_then(|row| row.delivered_at));
        let class = match from.class {
            Class::Row(class) => class.to_owned(),
            Class::Wish(place) => self.draft.wishes.get(place).map(|wish| wish.change.class.clone()).unwrap_or_default(),
        };
        let change = Change {
            id: change_id,
            target: self.draft.target.clone(),
            key: id.from.clone(),
            kind: from.kind,
            account: from.account.clone(),
            class,
            change,
            fields: wish.fields,
            relation: Some(id.clone()),
            record: from.record.cloned(),
            revision: row.map_or(0, |row| row.revision),
            fence: wish.fence,
            identifying: false,
            people: BTreeSet::new(),
            recreates: wish.reconnects,
            contributed: false,
            gives_way_to: BTreeSet::new(),
            reason: wish.why,
            basis: wish.basis,
        };
        self.wish(change, None);
    }
}

/// What an edge change says beside its edge.
struct EdgeWish {
    fields: std::collections::BTreeMap<String, FieldChange>,
    fence: Fence,
    basis: Digest,
    why: Reason,
    reconnects: bool,
}
