//! Tables, columns, identification and relation rules: what the instance knows about its own shape.

mod base;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use self::base::base_data;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type as the dictionary calls it: `string`, `integer`, `boolean`, `glide_date_time`, `reference`, `choice`, …
    pub kind: String,
    /// The longest value, in characters.
    pub max_length: usize,
    /// The table a reference points into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The identification engine refuses records without it.
    #[serde(default)]
    pub mandatory: bool,
    /// Shown in place of a record.
    #[serde(default)]
    pub display: bool,
    /// What a new record has when nothing is said.
    #[serde(default)]
    pub default: String,
    /// Clients cannot write it.
    #[serde(default)]
    pub read_only: bool,
}

impl Column {
    /// What people read above the column.
    pub(crate) fn label(&self) -> String {
        label(&self.name)
    }
}

/// A table of its own or one that extends another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The table it extends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// What people call it.
    pub label: String,
    /// The columns that it adds.
    pub columns: Vec<Column>,
}

/// How the engine tells records of a class apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentificationRule {
    /// Its name.
    pub name: String,
    /// Whether records stand alone. The others need a host.
    pub independent: bool,
    /// Criterion attributes, in the order in which they are tried.
    pub entries: Vec<Vec<String>>,
}

/// One accepted form of the relation between a dependent record and its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRule {
    /// The name of the relationship type.
    pub relation: String,
    /// The class of the host.
    pub host: String,
    /// Whether the host is the parent of the relation (`Contains`, `Owns`) or its child (`Hosted on`).
    pub host_is_parent: bool,
}

/// The shape of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Tables by name.
    pub tables: BTreeMap<String, Table>,
    /// Identification rules by the class they are for; classes without one have that of the class they extend.
    pub rules: BTreeMap<String, IdentificationRule>,
    /// Accepted hosts by class, inherited as rules are.
    pub hosts: BTreeMap<String, Vec<HostRule>>,
    /// Tables whose rows can be sent as `related`, with what tells them apart beside their record.
    pub related: BTreeMap<String, Vec<String>>,
    /// Tables whose rows can be sent as `lookup`, likewise.
    pub lookups: BTreeMap<String, Vec<String>>,
    /// Who extends whom, from the top down. Derived.
    #[serde(skip)]
    descendants: BTreeMap<String, BTreeSet<String>>,
}

impl Schema {
    /// The base system with the cloud classes and the store app "CMDB CI Class Models".
    pub fn with_class_models() -> Self {
        base::schema(true)
    }

    /// The base system alone: a network has neither `object_id` nor `cidr`, a subnet no identification rule.
    pub fn bare() -> Self {
        base::schema(false)
    }

    /// Makes what is derived from `tables` right again after they were changed.
    pub fn complete(&mut self) {
        let mut descendants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in self.tables.keys() {
            for above in self.lineage(name) {
                descendants.entry(above.to_owned()).or_default().insert(name.clone());
            }
        }
        self.descendants = descendants;
    }

    /// Takes a class away with its rules, as on an instance that never had it.
    pub fn remove_class(&mut self, class: &str) {
        self.tables.remove(class);
        self.rules.remove(class);
        self.hosts.remove(class);
        self.complete();
    }

    /// Adds a column to a table.
    pub fn add_column(&mut self, table: &str, column: Column) {
        if let Some(table) = self.tables.get_mut(table) {
            table.columns.push(column);
        }
    }

    /// Takes a column away.
    pub fn remove_column(&mut self, table: &str, column: &str) {
        if let Some(table) = self.tables.get_mut(table) {
            table.columns.retain(|known| known.name != column);
        }
    }

    /// The table and those above it, nearest first.
    pub(crate) fn lineage<'a>(&'a self, table: &'a str) -> Vec<&'a str> {
        let mut names = Vec::new();
        let mut next = self.tables.contains_key(table).then_some(table);
        while let Some(name) = next {
            if names.contains(&name) {
                break;
            }
            names.push(name);
            next = self.tables.get(name).and_then(|table| table.extends.as_deref());
        }
        names
    }

    /// The table and all that extend it.
    pub(crate) fn family(&self, table: &str) -> impl Iterator<Item = &str> {
        self.descendants.get(table).into_iter().flatten().map(String::as_str)
    }

    /// Whether a table is the other or extends it.
    pub(crate) fn is_a(&self, table: &str, ancestor: &str) -> bool {
        table == ancestor || self.descendants.get(ancestor).is_some_and(|family| family.contains(table))
    }

    pub(crate) fn column(&self, table: &str, name: &str) -> Option<&Column> {
        self.lineage(table)
            .into_iter()
            .find_map(|table| self.tables.get(table).and_then(|table| table.columns.iter().find(|column| column.name == name)))
    }

    /// All columns of a table, its own last, with whether they are inherited.
    pub(crate) fn columns(&self, table: &str) -> Vec<(&Column, bool)> {
        let mut columns = Vec::new();
        for name in self.lineage(table).into_iter().rev() {
            let own = self.tables.get(name).map(|table| table.columns.as_slice()).unwrap_or_default();
            columns.extend(own.iter().map(|column| (column, name != table)));
        }
        columns
    }

    /// The column that is shown in place of a record.
    pub(crate) fn display_column(&self, table: &str) -> &str {
        self.columns(table).into_iter().rev().find(|(column, _)| column.display).map_or("sys_id", |(column, _)| column.name.as_str())
    }

    /// The rule for a class, with the class that has it.
    pub(crate) fn rule(&self, class: &str) -> Option<(&str, &IdentificationRule)> {
        self.lineage(class).into_iter().find_map(|name| self.rules.get_key_value(name)).map(|(name, rule)| (name.as_str(), rule))
    }

    pub(crate) fn host_rules(&self, class: &str) -> &[HostRule] {
        self.lineage(class).into_iter().find_map(|name| self.hosts.get(name)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// `install_status` as `Install status`.
pub(crate) fn label(name: &str) -> String {
    let words = name.trim_start_matches("u_").replace('_', " ");
    let mut characters = words.chars();
    characters.next().map(|first| format!("{}{}", first.to_uppercase(), characters.as_str())).unwrap_or_default()
}
