//! One batch, worked out in memory: what each write does to the records it touches, and the answer it gets.
//!
//! The rows are loaded first and written afterwards, both by a few statements over the whole batch and inside one transaction,
//! so that a write that cannot be done is refused here by itself, before the database sees anything of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::map::NATIVE_ID;
use crate::model::{Attributes, EdgeId, Key, RelationType};
use crate::target::{Addressed, Delivered, Operation, RecordId, Write};

/// A record's fields by name.
pub(super) type Fields = BTreeMap<String, Value>;

/// An edge by its ends' row ids.
pub(super) type Edge = (i64, RelationType, i64);

/// A row of `record`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) external_id: Option<String>,
    pub(super) estate: Option<String>,
    pub(super) class: String,
    pub(super) kind: Option<String>,
    /// `None` where the row was loaded as the end of an edge only.
    pub(super) fields: Option<Fields>,
    pub(super) retired: bool,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) delivered_at: Option<String>,
}

/// A value before and after; what is absent was or is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
}

/// A row of `history`, without its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) record: i64,
    pub(super) change: &'static str,
    pub(super) fields: BTreeMap<String, Difference>,
    #[serde(rename = "type")]
    pub(super) relation: Option<RelationType>,
    pub(super) to: Option<i64>,
    pub(super) external_id: Option<String>,
}

/// The rows that a batch touches: as loaded at first, then as they are to be, with what has to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    estate: String,
    at: String,
    rows: BTreeMap<i64, Row>,
    by_external_id: BTreeMap<String, i64>,
    edges: BTreeMap<Edge, Attributes>,
    next_id: i64,
    /// Rows that are not in the database yet.
    pub(super) inserted: BTreeSet<i64>,
    /// Rows of which anything may have changed.
    pub(super) updated: BTreeSet<i64>,
    /// Rows of which only the mark of the delivery changed.
    pub(super) marked: BTreeSet<i64>,
    /// Rows to remove; their edges go with them.
    pub(super) removed: BTreeSet<i64>,
    /// Rows that were retired: their edges to records of ours go with them.
    pub(super) severed: BTreeSet<i64>,
    /// Edges to write.
    pub(super) related: BTreeSet<Edge>,
    /// Edges to remove.
    pub(super) unrelated: BTreeSet<Edge>,
    /// What to remember, in order.
    pub(super) history: Vec<Entry>,
}

/// Why a write was refused, in words.
pub(super) type Refusal = String;

/// A row id from a record id; `None` for one that this target never gave.
pub(super) fn row_id(record: &RecordId) -> Option<i64> {
    record.0.parse().ok()
}

impl Batch {
    /// A batch over loaded rows. `at` is the time in its stored form, `last_id` the highest row id ever given.
    pub(super) fn new(estate: String, at: String, rows: Vec<Row>, edges: BTreeMap<Edge, Attributes>, last_id: i64) -> Self {
        let by_external_id = rows.iter().filter_map(|row| Some((row.external_id.clone()?, row.id))).collect();
        let rows = rows.into_iter().map(|row| (row.id, row)).collect();
        Self { estate, at, rows, by_external_id, edges, next_id: last_id.saturating_add(1), ..Self::default() }
    }

    /// The row as it is to be.
    pub(super) fn row(&self, id: i64) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// The attributes of an edge as they are to be.
    pub(super) fn edge(&self, edge: &Edge) -> Option<&Attributes> {
        self.edges.get(edge)
    }

    /// Does one write.
    pub(super) fn run(&mut self, write: &Write) -> Result<Delivered, Refusal> {
        let (record, class) = match &write.operation {
            Operation::Create { class, native_id, fields } => (self.create(write, class, native_id, fields)?, class.clone()),
            Operation::Update { record, class, fields, retired, take_over, .. } => {
                (self.update(write, record, class, fields, *retired, *take_over)?, class.clone())
            }
            Operation::Purge { record } => {
                self.purge(write, record)?;
                return Ok(Delivered::to(record.record.clone(), write.kind.as_str().to_owned()));
            }
            Operation::Relate { edge, from, to, attributes, .. } => {
                let (Some(from), Some(to)) = (from.standing(), to.standing()) else {
                    return Err("an end of the edge does not stand here".to_owned());
                };
                self.relate(edge, from, to, attributes)?
            }
            Operation::Unrelate { edge, from, to, .. } => {
                let class = self.unrelate(edge, from, to)?;
                let class = class.unwrap_or_else(|| write.kind.as_str().to_owned());
                return Ok(Delivered::to(from.record.clone(), class));
            }
        };
        Ok(Delivered::to(RecordId(record.to_string()), class))
    }

    fn create(&mut self, write: &Write, class: &str, native_id: &str, fields: &Fields) -> Result<i64, Refusal> {
        let mut fields = fields.clone();
        fields.entry(NATIVE_ID.to_owned()).or_insert_with(|| native_id.into());
        if let Some(&id) = self.by_external_id.get(write.key.as_str()) {
            // The answer to an earlier create was lost, or the ledger was: the record stands, and this says what it is to be.
            let row = self.known(id)?;
            match &row.estate {
                Some(estate) if *estate == self.estate => {}
                Some(_) => return Err(format!("record {id} carries this key and another estate id")),
                None => return Err(format!("record {id} carries this key and no estate id: it is not ours")),
            }
            let retired = row.retired.then_some(false);
            self.change(id, write, class, &fields, retired, false)?;
            return Ok(id);
        }
        fields.retain(|_, value| !value.is_null());
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        let differences = fields.iter().map(|(name, value)| (name.clone(), Difference { from: None, to: Some(value.clone()) })).collect();
        self.rows.insert(
            id,
            Row {
                id,
                external_id: Some(write.key.as_str().to_owned()),
                estate: Some(self.estate.clone()),
                class: class.to_owned(),
                kind: Some(write.kind.as_str().to_owned()),
                fields: Some(fields),
                retired: false,
                created_at: Some(self.at.clone()),
                updated_at: Some(self.at.clone()),
                delivered_at: Some(self.at.clone()),
            },
        );
        self.by_external_id.insert(write.key.as_str().to_owned(), id);
        self.inserted.insert(id);
        self.remember(id, "create", differences);
        Ok(id)
    }

    fn update(
        &mut self,
        write: &Write,
        record: &Addressed,
        class: &str,
        fields: &Fields,
        retired: Option<bool>,
        take_over: bool,
    ) -> Result<i64, Refusal> {
        let id = self.find(record, &write.key)?;
        if self.known(id)?.estate.is_none() && retired.is_some() && !take_over {
            return Err(format!("record {id} is not ours: it is neither retired nor revived"));
        }
        self.change(id, write, class, fields, retired, take_over)?;
        Ok(id)
    }

    /// Writes fields and marks. A stranger's record that is not taken over gets the fields and nothing else.
    fn change(
        &mut self,
        id: i64,
        write: &Write,
        class: &str,
        fields: &Fields,
        retired: Option<bool>,
        take_over: bool,
    ) -> Result<(), Refusal> {
        let key = write.key.as_str();
        let before = self.known(id)?.clone();
        let adopted = before.estate.is_none() && take_over;
        let ours = before.estate.is_some() || take_over;
        let mut row = before.clone();
        let mut differences = BTreeMap::new();

        let held = row.fields.get_or_insert_default();
        for (name, value) in fields {
            let from = held.get(name).cloned();
            let to = (!value.is_null()).then(|| value.clone());
            if from != to {
                match to.clone() {
                    Some(value) => held.insert(name.clone(), value),
                    None => held.remove(name),
                };
                differences.insert(name.clone(), Difference { from, to });
            }
        }
        if ours {
            if self.by_external_id.get(key).is_some_and(|&other| other != id) {
                return Err(format!("another record carries the key `{key}`"));
            }
            if before.external_id.as_deref() != Some(key) {
                let difference = Difference { from: before.external_id.clone().map(Value::String), to: Some(key.into()) };
                differences.insert("external_id".to_owned(), difference);
            }
            row.external_id = Some(key.to_owned());
            row.estate = Some(self.estate.clone());
            row.kind = Some(write.kind.as_str().to_owned());
            row.delivered_at = Some(self.at.clone());
            class.clone_into(&mut row.class);
            row.retired = retired.unwrap_or(before.retired);
        }
        let what = match (before.retired, row.retired) {
            (false, true) => "retire",
            (true, false) => "revive",
            _ if adopted => "adopt",
            _ => "update",
        };
        let effective = adopted || !differences.is_empty() || row.retired != before.retired || row.class != before.class;
        if effective {
            row.updated_at = Some(self.at.clone());
            self.remember(id, what, differences);
        }
        if row.retired && !before.retired {
            self.forget_edges(id);
            self.severed.insert(id);
        }
        if row != before {
            if let Some(old) = &before.external_id {
                self.by_external_id.remove(old);
            }
            if let Some(new) = &row.external_id {
                self.by_external_id.insert(new.clone(), id);
            }
            self.rows.insert(id, row);
            if !self.inserted.contains(&id) {
                self.updated.insert(id);
            }
        }
        Ok(())
    }

    fn purge(&mut self, write: &Write, record: &Addressed) -> Result<(), Refusal> {
        // A record that is not there is what a purge wants: the answer to an earlier one was lost, or someone else removed it.
        let Some(row) = row_id(&record.record).and_then(|id| self.rows.get(&id)) else { return Ok(()) };
        self.check(row, record, &write.key)?;
        let id = row.id;
        if row.estate.is_none() {
            return Err(format!("record {id} is not ours: it is not removed"));
        }
        let external_id = row.external_id.clone();
        if let Some(key) = &external_id {
            self.by_external_id.remove(key);
        }
        self.rows.remove(&id);
        self.forget_edges(id);
        self.severed.remove(&id);
        self.updated.remove(&id);
        self.marked.remove(&id);
        if !self.inserted.remove(&id) {
            self.removed.insert(id);
        }
        self.history.push(Entry { record: id, change: "purge", fields: BTreeMap::new(), relation: None, to: None, external_id });
        Ok(())
    }

    fn forget_edges(&mut self, id: i64) {
        self.edges.retain(|&(from, _, to), _| from != id && to != id);
        self.related.retain(|&(from, _, to)| from != id && to != id);
    }

    fn relate(&mut self, edge: &EdgeId, from: &Addressed, to: &Addressed, attributes: &Attributes) -> Result<(i64, String), Refusal> {
        let from = self.find(from, &edge.from)?;
        let to = self.find(to, &edge.to)?;
        let class = self.mark(from)?;
        let edge = (from, edge.relation, to);
        let before = self.edges.get(&edge);
        let differences = edge_differences(before.unwrap_or(&Attributes::new()), attributes);
        if before.is_some() && differences.is_empty() {
            return Ok((from, class));
        }
        self.edges.insert(edge, attributes.clone());
        self.related.insert(edge);
        self.unrelated.remove(&edge);
        self.remember_edge(edge, "relate", differences);
        Ok((from, class))
    }

    fn unrelate(&mut self, edge: &EdgeId, from: &Addressed, to: &Addressed) -> Result<Option<String>, Refusal> {
        let ends = [(from, &edge.from), (to, &edge.to)];
        let (Some(from), Some(to)) = (row_id(&from.record), row_id(&to.record)) else { return Ok(None) };
        if !self.rows.contains_key(&from) {
            return Ok(None);
        }
        for (end, key) in ends {
            if let Some(row) = row_id(&end.record).and_then(|id| self.rows.get(&id)) {
                self.check(row, end, key)?;
            }
        }
        let class = self.mark(from)?;
        let edge = (from, edge.relation, to);
        if let Some(before) = self.edges.remove(&edge) {
            self.related.remove(&edge);
            self.unrelated.insert(edge);
            self.remember_edge(edge, "unrelate", edge_differences(&before, &Attributes::new()));
        }
        Ok(Some(class))
    }

    /// Puts the mark of this delivery on the record where an edge starts, if it is ours, and gives its class.
    fn mark(&mut self, id: i64) -> Result<String, Refusal> {
        let Some(row) = self.rows.get_mut(&id) else { return Err(format!("record {id} is not there")) };
        match &row.estate {
            Some(estate) if *estate != self.estate => return Err(format!("record {id} carries another estate id")),
            Some(_) if row.delivered_at.as_ref() != Some(&self.at) => {
                row.delivered_at = Some(self.at.clone());
                if !self.inserted.contains(&id) && !self.updated.contains(&id) {
                    self.marked.insert(id);
                }
            }
            _ => {}
        }
        Ok(row.class.clone())
    }

    /// The row that a write for `key` is addressed to.
    fn find(&self, record: &Addressed, key: &Key) -> Result<i64, Refusal> {
        let row = row_id(&record.record).and_then(|id| self.rows.get(&id));
        let row = row.ok_or_else(|| format!("record {} is not there", record.record.0))?;
        self.check(row, record, key)?;
        Ok(row.id)
    }

    /// Whether a row is the one that a write for `key` is addressed to.
    fn check(&self, row: &Row, addressed: &Addressed, key: &Key) -> Result<(), Refusal> {
        let id = row.id;
        let carried = row.external_id.as_deref().unwrap_or_default();
        match (&row.estate, &addressed.carries) {
            (Some(estate), _) if *estate != self.estate => Err(format!("record {id} carries another estate id")),
            (Some(_), _) if carried == key.as_str() => Ok(()),
            (Some(_), Some(expected)) if carried == expected.as_str() => Ok(()),
            (Some(_), _) => Err(format!("record {id} is that of `{carried}`")),
            (None, None) => Ok(()),
            (None, Some(expected)) => Err(format!("record {id} is not ours: it should carry `{expected}`")),
        }
    }

    fn known(&self, id: i64) -> Result<&Row, Refusal> {
        self.rows.get(&id).ok_or_else(|| format!("record {id} is not there"))
    }

    fn remember(&mut self, record: i64, change: &'static str, fields: BTreeMap<String, Difference>) {
        self.history.push(Entry { record, change, fields, relation: None, to: None, external_id: None });
    }

    fn remember_edge(&mut self, (from, relation, to): Edge, change: &'static str, fields: BTreeMap<String, Difference>) {
        self.history.push(Entry { record: from, change, fields, relation: Some(relation), to: Some(to), external_id: None });
    }
}

/// What differs between an edge's attributes; a `null` stands for "no value".
fn edge_differences(before: &Attributes, after: &Attributes) -> BTreeMap<String, Difference> {
    before
        .keys()
        .chain(after.keys())
        .filter_map(|name| {
            let value = |attributes: &Attributes| attributes.get(name).filter(|value| !value.is_null()).cloned();
            let (from, to) = (value(before), value(after));
            (from != to).then(|| (name.clone(), Difference { from, to }))
        })
        .collect()
}
