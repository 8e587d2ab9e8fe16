//! A pull's edges into the estate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::merge::{differing, is_nothing};
use super::observe::{Observed, Observing, Sight, extend_sorted};
use crate::estate::{Dirty, Estate, FieldChange, JournalEntry, JournalKind, Known, KnownEdge};
use crate::model::attributes::is_volatile_on_edge;
use crate::model::{Attributes, EdgeId, Key, Relation, RelationType};

/// The edges that a pull read.
pub(super) struct EdgesRead<'a> {
    /// How the pull's resources were read, in the order of their keys.
    pub(super) sights: &'a [(Key, Sight)],
    /// Types of edges that were not read, by their proving end.
    pub(super) unread: &'a BTreeMap<Key, BTreeSet<RelationType>>,
    pub(super) relations: BTreeMap<EdgeId, Relation>,
}

/// Takes the edges of a pull in.
///
/// An edge that the pull does not show is removed only if its proving end was seen in a complete scope, its like was read there, and neither end has ended
/// (what has ended keeps its last edges). An edge whose proving end is no known resource therefore stays until that is known.
pub(super) fn take_edges(
    edges: &mut BTreeMap<EdgeId, KnownEdge>,
    resources: &BTreeMap<Key, Known>,
    dirty: &mut Dirty,
    observed: &mut Observed,
    read: EdgesRead<'_>,
    observing: &Observing<'_>,
) {
    let EdgesRead { sights, unread, relations } = read;
    let mut pass = EdgePass { resources, dirty, observed, sights, unread, observing, new: Vec::new(), gone: Vec::new() };
    let mut ledger = edges.iter_mut().peekable();
    for (id, relation) in relations {
        if relation.derived {
            continue;
        }
        while let Some((absent, known)) = ledger.next_if(|(known, _)| **known < id) {
            pass.absent(absent, known);
        }
        match ledger.next_if(|(known, _)| **known == id) {
            Some((_, known)) => pass.seen(&id, known, relation),
            None => pass.first_seen(id, relation),
        }
    }
    for (absent, known) in ledger {
        pass.absent(absent, known);
    }
    let EdgePass { new, gone, .. } = pass;
    for id in gone {
        edges.remove(&id);
    }
    extend_sorted(edges, new);
}

struct EdgePass<'a> {
    resources: &'a BTreeMap<Key, Known>,
    dirty: &'a mut Dirty,
    observed: &'a mut Observed,
    sights: &'a [(Key, Sight)],
    unread: &'a BTreeMap<Key, BTreeSet<RelationType>>,
    observing: &'a Observing<'a>,
    new: Vec<(EdgeId, KnownEdge)>,
    gone: Vec<EdgeId>,
}

impl EdgePass<'_> {
    fn sight(&self, key: &Key) -> Option<Sight> {
        let index = self.sights.binary_search_by(|(seen, _)| seen.cmp(key)).ok()?;
        self.sights.get(index).map(|(_, sight)| *sight)
    }

    /// Whether nobody looked for all edges of this type at their proving end.
    fn is_unread(&self, id: &EdgeId) -> bool {
        self.unread.get(id.proving_end()).is_some_and(|types| types.contains(&id.relation))
    }

    /// Whether something newer than this pull is known of an edge's proving end.
    fn is_superseded(&self, end: &Key, sight: Option<Sight>) -> bool {
        match sight {
            Some(sight) => sight.superseded,
            None => self.resources.get(end).is_some_and(|known| known.fence > self.observing.fence),
        }
    }

    fn first_seen(&mut self, id: EdgeId, relation: Relation) {
        let end = id.proving_end();
        let sight = self.sight(end);
        if self.is_superseded(end, sight) {
            self.observed.superseded += 1;
            return;
        }
        self.observed.related += 1;
        // Edges that a resource had at its first sight are part of that sight.
        if !sight.is_some_and(|sight| sight.first) {
            let now = Value::Object(relation.attributes.clone().into_iter().collect());
            journal(self.dirty, self.observing, &id, "seen", &FieldChange { from: Value::Null, to: now });
        }
        self.dirty.edges.insert(id.clone());
        let known = KnownEdge { attributes: relation.attributes, derived: false, extra: relation.extra, fence: self.observing.fence };
        self.new.push((id, known));
    }

    fn seen(&mut self, id: &EdgeId, known: &mut KnownEdge, mut relation: Relation) {
        if known.attributes == relation.attributes && known.extra == relation.extra && !known.derived {
            return;
        }
        let end = id.proving_end();
        let sight = self.sight(end);
        if known.fence > self.observing.fence || self.is_superseded(end, sight) {
            self.observed.superseded += 1;
            return;
        }
        if self.is_unread(id) || !sight.is_some_and(|sight| sight.proves) {
            fill_unproven(&mut relation, known);
        }
        if known.attributes == relation.attributes && known.extra == relation.extra && !known.derived {
            return;
        }
        let mut firm = false;
        differing(&known.attributes, &relation.attributes, |name, _, _| firm |= !is_volatile_on_edge(id.relation, name));
        if firm {
            self.observed.rerelated += 1;
            let object = |attributes: &Attributes| Value::Object(attributes.clone().into_iter().collect());
            let change = FieldChange { from: object(&known.attributes), to: object(&relation.attributes) };
            journal(self.dirty, self.observing, id, "seen", &change);
        }
        self.dirty.edges.insert(id.clone());
        known.attributes = relation.attributes;
        known.extra = relation.extra;
        known.derived = false;
        known.fence = self.observing.fence;
    }

    fn absent(&mut self, id: &EdgeId, known: &KnownEdge) {
        if known.derived || self.observing.narrow || known.fence > self.observing.fence {
            return;
        }
        if self.is_unread(id) || !self.sight(id.proving_end()).is_some_and(|sight| sight.shows) {
            return;
        }
        if has_ended_end(self.resources, id) {
            self.observed.withheld.push(id.clone());
            return;
        }
        self.observed.unrelated += 1;
        remove(self.dirty, self.observing, id, known);
        self.gone.push(id.clone());
    }
}

fn has_ended_end(resources: &BTreeMap<Key, Known>, id: &EdgeId) -> bool {
    [&id.from, &id.to].into_iter().any(|end| resources.get(end).is_some_and(Known::is_ended))
}

fn remove(dirty: &mut Dirty, observing: &Observing<'_>, id: &EdgeId, known: &KnownEdge) {
    let before = Value::Object(known.attributes.clone().into_iter().collect());
    journal(dirty, observing, id, "no longer listed", &FieldChange { from: before, to: Value::Null });
    dirty.edges.insert(id.clone());
}

/// Removes the edges that [`super::observe`] withheld and whose ends live after all, as look-ups said since.
pub fn release_edges(estate: &mut Estate, withheld: &[EdgeId], observing: &Observing<'_>) {
    let Estate { resources, edges, dirty, .. } = estate;
    for id in withheld.iter().filter(|id| !has_ended_end(resources, id)) {
        if let Some(known) = edges.remove(id) {
            remove(dirty, observing, id, &known);
        }
    }
}

/// Keeps what the pull does not show of an edge that it does not prove.
fn fill_unproven(relation: &mut Relation, known: &KnownEdge) {
    for (name, value) in &known.attributes {
        if relation.attributes.get(name).is_none_or(is_nothing) {
            relation.attributes.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &known.extra {
        if !relation.extra.contains_key(name) {
            relation.extra.insert(name.clone(), value.clone());
        }
    }
}

/// Notes a change of an edge under its proving end, and under its `from` end where that is another. The field is named after the
/// relation and the other end; its values are the edge's attributes, `null` where there is no edge.
pub(super) fn journal(dirty: &mut Dirty, observing: &Observing<'_>, id: &EdgeId, cause: &str, change: &FieldChange) {
    let mut note = |key: &Key, name: String| {
        dirty.journal.push(JournalEntry {
            entry: JournalKind::Related,
            key: key.clone(),
            at: observing.at,
            fence: observing.fence,
            cause: cause.to_owned(),
            fields: BTreeMap::from([(name, change.clone())]),
        });
    };
    let end = id.proving_end();
    if *end != id.from {
        note(end, format!("{} from {}", id.relation, id.from));
    }
    note(&id.from, format!("{} to {}", id.relation, id.to));
}
