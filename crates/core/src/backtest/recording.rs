//! The journal read backwards: how the clouds looked, run by run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::estate::{Disposition, End, EndCause, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, KnownEdge, Stage};
use crate::inventory::{TOLD_BY_MEMBERS, without_added};
use crate::lifecycle::RETIRED_SCOPE;
use crate::model::{Attributes, EdgeId, Key, Kind, Receipts, Relation, RelationType, Resource, Vital};

/// One run of the past, as the ledger remembers it.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Its clock.
    pub at: Timestamp,
    /// How each scope's listing ended; `None` where the run left no report (it was killed): then as in the run before it.
    pub receipts: Option<Arc<Receipts>>,
    /// What it wrote to the journal, in order; deliveries are passed over.
    pub entries: Vec<JournalEntry>,
}

/// What the clouds showed in one run that they had not shown in the run before.
#[derive(Debug, Clone)]
pub struct TurnSeen {
    /// The run's clock.
    pub at: Timestamp,
    /// How each scope's listing ended.
    pub receipts: Arc<Receipts>,
    /// What changed, in order.
    pub changes: Vec<Change>,
}

/// A change of what the clouds show.
#[derive(Debug, Clone)]
pub enum Change {
    /// A resource is shown, and looks like this.
    Shown(Arc<Resource>),
    /// A complete listing does not show it any more.
    Hidden(Key),
    /// An edge is shown.
    Related(Relation),
    /// It is not any more.
    Unrelated(EdgeId),
    /// People retired it with its orphaned scope.
    Disowned(Key),
}

/// What was seen from some run on.
#[derive(Debug)]
pub struct Recording {
    /// The estate before the first run.
    pub(super) start: Estate,
    /// What the clouds showed then.
    pub(super) shown: BTreeMap<Key, Arc<Resource>>,
    /// The edges that they showed.
    pub(super) related: BTreeMap<EdgeId, Relation>,
    /// Run by run.
    pub(super) turns: Vec<TurnSeen>,
}

/// A resource on the way back.
struct Past {
    resource: Arc<Resource>,
    is_shown: bool,
    /// When it was last seen before an absence, as far as that is known.
    last_seen: Option<Timestamp>,
    life_since: Timestamp,
    state_since: Timestamp,
    disposition: Disposition,
    disposition_since: Timestamp,
    stage: Stage,
}

/// Edges on the way back. Only those that dispositions rest on: which group a machine is in, and what ends with it.
#[derive(Default)]
struct Edges {
    all: BTreeMap<EdgeId, Attributes>,
    by_end: HashMap<Key, BTreeSet<EdgeId>>,
}

impl Edges {
    fn insert(&mut self, id: EdgeId, attributes: Attributes) {
        self.by_end.entry(id.proving_end().clone()).or_default().insert(id.clone());
        self.all.insert(id, attributes);
    }

    fn remove(&mut self, id: &EdgeId) {
        self.all.remove(id);
        if let Some(edges) = self.by_end.get_mut(id.proving_end()) {
            edges.remove(id);
        }
    }

    /// Takes out the edges that this resource proves.
    fn take_of(&mut self, key: &Key) -> Vec<Relation> {
        let ids = self.by_end.remove(key).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.all.remove(&id).map(|attributes| relation(id, attributes))).collect()
    }
}

fn relation(id: EdgeId, attributes: Attributes) -> Relation {
    let EdgeId { from, relation, to } = id;
    Relation { relation, from, to, attributes, derived: false, extra: serde_json::Map::new() }
}

impl Recording {
    /// Takes `estate` back to before the first of `turns`, which are all its runs from there to the present, in the order of their commits.
    #[must_use]
    pub fn rewind(estate: &Estate, turns: Vec<Turn>) -> Self {
        let mut rewinding = Rewinding::new(estate);
        let start = turns.first().map(|turn| turn.at);
        let mut seen: Vec<TurnSeen> = Vec::new();
        let mut receipts: Vec<Arc<Receipts>> = Vec::new();
        for turn in &turns {
            let last = receipts.last().cloned().unwrap_or_default();
            receipts.push(turn.receipts.clone().unwrap_or(last));
        }
        for (turn, receipts) in turns.into_iter().zip(receipts).rev() {
            let mut changes = Vec::new();
            for entry in turn.entries.iter().rev() {
                rewinding.undo(entry, &mut changes);
            }
            changes.reverse();
            seen.push(TurnSeen { at: turn.at, receipts, changes });
        }
        seen.reverse();
        rewinding.finish(estate, start, seen)
    }

    /// When its first run was; `None` where there is none.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.turns.first().map(|turn| turn.at)
    }

    /// When its last run was.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.turns.last().map(|turn| turn.at)
    }

    /// How many runs it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

struct Rewinding<'a> {
    present: &'a Estate,
    pasts: BTreeMap<Key, Past>,
    edges: Edges,
}

impl<'a> Rewinding<'a> {
    fn new(present: &'a Estate) -> Self {
        let past = |known: &Known| Past {
            resource: without_added(&known.resource),
            is_shown: known.missing == 0,
            last_seen: Some(known.last_seen).filter(|_| known.missing > 0),
            life_since: known.life_since,
            state_since: known.state_since,
            disposition: known.disposition,
            disposition_since: known.disposition_since,
            stage: known.stage,
        };
        let pasts = present.resources.iter().map(|(key, known)| (key.clone(), past(known))).collect();
        let mut rewinding = Self { present, pasts, edges: Edges::default() };
        for (id, edge) in present.edges.iter().filter(|(_, edge)| !edge.derived) {
            if rewinding.counts(id) {
                rewinding.edges.insert(id.clone(), edge.attributes.clone());
            }
        }
        rewinding
    }

    /// Whether dispositions rest on an edge, and a cloud shows it: what is lifted to a fleet is derived anew.
    fn counts(&self, id: &EdgeId) -> bool {
        let is_machine = |key: &Key| self.present.resources.get(key).is_none_or(|known| known.resource.kind == Kind::Instance);
        match id.relation {
            RelationType::MemberOf => !id.to.is_derived(),
            RelationType::AttachedTo => is_machine(&id.to) && !id.from.is_derived(),
            _ => false,
        }
    }

    /// Takes one entry back, and notes what it says the clouds showed; of several changes the last comes first.
    fn undo(&mut self, entry: &JournalEntry, changes: &mut Vec<Change>) {
        match entry.entry {
            JournalKind::Observed | JournalKind::Reborn => self.undo_sight(entry, changes),
            JournalKind::Absent => {
                if let Some(past) = self.pasts.get_mut(&entry.key) {
                    past.is_shown = true;
                    past.last_seen = entry.fields.get("last_seen").and_then(|change| time(&change.to));
                    changes.extend((!entry.key.is_derived()).then(|| Change::Hidden(entry.key.clone())));
                }
            }
            JournalKind::Related => self.undo_edges(entry, changes),
            JournalKind::Decided => self.undo_decision(entry, changes),
            JournalKind::Delivered => {}
        }
    }

    fn undo_sight(&mut self, entry: &JournalEntry, changes: &mut Vec<Change>) {
        // What members tell of their group, and what is derived, is made anew.
        if entry.cause == TOLD_BY_MEMBERS {
            return;
        }
        let key = &entry.key;
        let is_first = entry.fields.get("kind").is_some_and(|change| change.from.is_null());
        if is_first {
            let edges = self.edges.take_of(key);
            if let Some(past) = self.pasts.remove(key).filter(|_| !key.is_derived()) {
                changes.extend(edges.into_iter().map(Change::Related));
                changes.push(Change::Shown(past.resource));
            }
            return;
        }
        let Some(past) = self.pasts.get_mut(key).filter(|_| !key.is_derived()) else { return };
        changes.push(Change::Shown(Arc::clone(&past.resource)));
        undo_fields(Arc::make_mut(&mut past.resource), &entry.fields);
        // A life that had ended was mostly not shown any more, which no entry says.
        past.last_seen = None;
        past.is_shown = !["missing", "ended_at"].iter().any(|name| entry.fields.contains_key(*name));
        if let Some(since) = entry.fields.get("life_since").and_then(|change| time(&change.from)) {
            past.life_since = since;
            past.disposition_since = since;
        }
        if entry.entry == JournalKind::Reborn || entry.fields.contains_key("state") {
            past.state_since = past.life_since;
        }
    }

    fn undo_edges(&mut self, entry: &JournalEntry, changes: &mut Vec<Change>) {
        for (name, change) in &entry.fields {
            // Each change stands under both ends; `from` says as much.
            let Some((word, to)) = name.split_once(" to ") else { continue };
            let (Ok(relation_type), Ok(to)) = (word.parse(), to.parse()) else { continue };
            let id = EdgeId { from: entry.key.clone(), relation: relation_type, to };
            if !self.counts(&id) {
                continue;
            }
            changes.push(match attributes(&change.to) {
                Some(attributes) => Change::Related(relation(id.clone(), attributes)),
                None => Change::Unrelated(id.clone()),
            });
            match attributes(&change.from) {
                Some(attributes) => self.edges.insert(id, attributes),
                None => self.edges.remove(&id),
            }
        }
    }

    fn undo_decision(&mut self, entry: &JournalEntry, changes: &mut Vec<Change>) {
        let Some(past) = self.pasts.get_mut(&entry.key) else { return };
        let from = |name: &str| entry.fields.get(name).and_then(|change| change.from.as_str());
        if let Some(disposition) = from("disposition").and_then(|word| word.parse().ok()) {
            past.disposition = disposition;
            past.disposition_since = past.life_since;
        }
        if let Some(stage) = from("stage").and_then(|word| word.parse().ok()) {
            past.stage = stage;
            let has_ended = entry.fields.get("stage").is_some_and(|change| change.to == Stage::Retired.as_str());
            if has_ended && entry.cause.starts_with(RETIRED_SCOPE) {
                changes.push(Change::Disowned(entry.key.clone()));
            }
        }
    }

    fn finish(self, present: &Estate, start: Option<Timestamp>, turns: Vec<TurnSeen>) -> Recording {
        let mut recording = Recording { start: Estate::default(), shown: BTreeMap::new(), related: BTreeMap::new(), turns };
        let Some(start) = start else { return recording };
        for (key, past) in self.pasts {
            let Some(row) = present.resources.get(&key) else { continue };
            if past.is_shown && !row.resource.derived {
                recording.shown.insert(key.clone(), Arc::clone(&past.resource));
            }
            recording.start.resources.insert(key, known(past, row, start));
        }
        for (id, attributes) in self.edges.all {
            let edge = KnownEdge { attributes: attributes.clone(), derived: false, extra: serde_json::Map::new(), fence: Fence::default() };
            recording.start.edges.insert(id.clone(), edge);
            recording.related.insert(id.clone(), relation(id, attributes));
        }
        recording
    }
}

/// How a resource stood before the first run.
fn known(past: Past, row: &Known, start: Timestamp) -> Known {
    let Past { resource, is_shown, last_seen, life_since, state_since, disposition, disposition_since, stage } = past;
    let has_ended = matches!(stage, Stage::Retired | Stage::Purged);
    let cause = match (row.end.as_ref(), resource.vital()) {
        (Some(end), _) => end.cause,
        (None, Vital::Ended) => EndCause::Stated,
        (None, _) => EndCause::Absent,
    };
    let ended_at = row.end.as_ref().map_or(start, |end| end.at.min(start));
    Known {
        first_seen: row.first_seen,
        last_seen: last_seen.unwrap_or(start).min(start),
        missing: u32::from(!is_shown),
        disposition,
        disposition_since,
        stage,
        stage_since: start,
        end: has_ended.then_some(End { at: ended_at, cause }),
        life_since,
        state_since,
        recovered: row.recovered && !is_shown,
        ..Known::new(resource, row.first_seen, Fence::default())
    }
}

/// Puts what stood there before back into the fields of a resource.
fn undo_fields(resource: &mut Resource, fields: &BTreeMap<String, FieldChange>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for (name, FieldChange { from, .. }) in fields {
        match name.as_str() {
            "name" => resource.name = text(from),
            "state" => resource.state = text(from),
            "created_at" => resource.created_at = time(from),
            "native_id" => resource.native_id = text(from).unwrap_or_default(),
            _ => match name.split_once('.') {
                Some(("tags", tag)) => match text(from) {
                    Some(value) => drop(resource.tags.insert(tag.to_owned(), value)),
                    None => drop(resource.tags.remove(tag)),
                },
                Some(("attributes", attribute)) if from.is_null() => drop(resource.attributes.remove(attribute)),
                Some(("attributes", attribute)) => drop(resource.attributes.insert(attribute.to_owned(), from.clone())),
                _ => {}
            },
        }
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| text.parse().ok())
}

fn attributes(value: &Value) -> Option<Attributes> {
    value.as_object().map(|fields| fields.clone().into_iter().collect())
}
