//! The records of an instance.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

/// Columns by which records are found without looking at all of them.
const INDEXED: [&str; 16] = [
    "object_id",
    "account_id",
    "serial_number",
    "correlation_id",
    "region",
    "id",
    "target_sys_id",
    "parent",
    "child",
    "configuration_item",
    "user_name",
    "email",
    "code",
    "key",
    "name",
    "source_native_key",
];

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The table it is in: for a configuration item its class.
    pub table: String,
    /// Its values; what is empty is not there.
    pub values: BTreeMap<String, String>,
    /// By column, the source that wrote it last through the identification engine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub writers: BTreeMap<String, String>,
}

impl Row {
    /// The value of a column; empty when there is none.
    pub fn get(&self, column: &str) -> &str {
        self.values.get(column).map_or("", String::as_str)
    }
}

/// All records by `sys_id`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Row>", into = "BTreeMap<String, Row>")]
pub(crate) struct Store {
    rows: BTreeMap<String, Row>,
    by_table: HashMap<String, BTreeSet<String>>,
    index: HashMap<&'static str, HashMap<String, BTreeSet<String>>>,
}

impl From<BTreeMap<String, Row>> for Store {
    fn from(rows: BTreeMap<String, Row>) -> Self {
        let mut store = Self::default();
        for (sys_id, row) in rows {
            store.put(sys_id, row);
        }
        store
    }
}

impl From<Store> for BTreeMap<String, Row> {
    fn from(store: Store) -> Self {
        store.rows
    }
}

impl Store {
    pub(crate) fn get(&self, sys_id: &str) -> Option<&Row> {
        self.rows.get(sys_id)
    }

    pub(crate) fn rows(&self) -> &BTreeMap<String, Row> {
        &self.rows
    }

    /// Puts a record in; one with the same identifier goes.
    pub(crate) fn put(&mut self, sys_id: String, mut row: Row) {
        self.remove(&sys_id);
        row.values.retain(|_, value| !value.is_empty());
        for column in INDEXED {
            if let Some(value) = row.values.get(column) {
                self.index.entry(column).or_default().entry(value.clone()).or_default().insert(sys_id.clone());
            }
        }
        self.by_table.entry(row.table.clone()).or_default().insert(sys_id.clone());
        self.rows.insert(sys_id, row);
    }

    pub(crate) fn remove(&mut self, sys_id: &str) -> Option<Row> {
        let row = self.rows.remove(sys_id)?;
        if let Some(ids) = self.by_table.get_mut(&row.table) {
            ids.remove(sys_id);
        }
        for column in INDEXED {
            if let Some(value) = row.values.get(column) {
                self.unindex(column, value, sys_id);
            }
        }
        Some(row)
    }

    /// Sets one value; nothing happens when there is no such record.
    pub(crate) fn set(&mut self, sys_id: &str, column: &str, value: &str) {
        let Some(row) = self.rows.get_mut(sys_id) else { return };
        let old = if value.is_empty() { row.values.remove(column) } else { row.values.insert(column.to_owned(), value.to_owned()) };
        let Some(indexed) = INDEXED.into_iter().find(|indexed| *indexed == column) else { return };
        if let Some(old) = old {
            self.unindex(indexed, &old, sys_id);
        }
        if !value.is_empty() {
            self.index.entry(indexed).or_default().entry(value.to_owned()).or_default().insert(sys_id.to_owned());
        }
    }

    pub(crate) fn set_writer(&mut self, sys_id: &str, column: &str, source: &str) {
        if let Some(row) = self.rows.get_mut(sys_id) {
            row.writers.insert(column.to_owned(), source.to_owned());
        }
    }

    /// Moves a record into another class.
    pub(crate) fn reclass(&mut self, sys_id: &str, table: &str) {
        if let Some(mut row) = self.rows.get(sys_id).cloned() {
            row.table = table.to_owned();
            row.values.insert("sys_class_name".to_owned(), table.to_owned());
            self.put(sys_id.to_owned(), row);
        }
    }

    pub(crate) fn is_indexed(column: &str) -> bool {
        INDEXED.contains(&column)
    }

    /// Records of any table that have this value in an indexed column.
    pub(crate) fn having(&self, column: &str, value: &str) -> impl Iterator<Item = (&String, &Row)> {
        self.index
            .get(column)
            .and_then(|values| values.get(value))
            .into_iter()
            .flatten()
            .filter_map(|sys_id| self.rows.get_key_value(sys_id))
    }

    /// How many these are.
    pub(crate) fn count_having(&self, column: &str, value: &str) -> usize {
        self.index.get(column).and_then(|values| values.get(value)).map_or(0, BTreeSet::len)
    }

    /// The identifiers in one table, not in those that extend it.
    pub(crate) fn ids(&self, table: &str) -> Option<&BTreeSet<String>> {
        self.by_table.get(table)
    }

    /// The relation of this type between two records.
    pub(crate) fn relation(&self, parent: &str, child: &str, kind: &str) -> Option<&String> {
        // Either end can have many; the child of `Hosted on` and the parent of `Contains` most of all.
        let by_parent = self.index.get("parent").and_then(|values| values.get(parent))?;
        let by_child = self.index.get("child").and_then(|values| values.get(child))?;
        let (few, other, end) = if by_parent.len() <= by_child.len() { (by_parent, child, "child") } else { (by_child, parent, "parent") };
        few.iter().find(|sys_id| {
            self.rows.get(*sys_id).is_some_and(|row| row.table == "cmdb_rel_ci" && row.get(end) == other && row.get("type") == kind)
        })
    }

    fn unindex(&mut self, column: &'static str, value: &str, sys_id: &str) {
        if let Some(values) = self.index.get_mut(column)
            && let Some(ids) = values.get_mut(value)
        {
            ids.remove(sys_id);
            if ids.is_empty() {
                values.remove(value);
            }
        }
    }
}
