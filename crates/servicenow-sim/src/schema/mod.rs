//! Tables, columns, identification and relation rules: what the instance knows about its own shape.

mod base;

use std::{collections::BTreeMap, iter::successors};

use serde::{Deserialize, Serialize};

pub(crate) use self::base::base_data;

/// No table extends another over more steps: the end of a circle that somebody put in.
const DEPTH_MAX: usize = 32;

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

    /// Takes a class away with its rules, as on an instance that never had it.
    pub fn remove_class(&mut self, class: &str) {
        self.tables.remove(class);
        self.rules.remove(class);
        self.hosts.remove(class);
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
    pub(crate) fn lineage<'a>(&'a self, table: &str) -> impl Iterator<Item = &'a str> {
        self.line(table).map(|(name, _)| name.as_str())
    }

    fn line<'a>(&'a self, table: &str) -> impl Iterator<Item = (&'a String, &'a Table)> {
        let above = |(_, table): &(&'a String, &'a Table)| table.extends.as_deref().and_then(|name| self.tables.get_key_value(name));
        successors(self.tables.get_key_value(table), above).take(DEPTH_MAX)
    }

    /// The table and all that extend it.
    pub(crate) fn family<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a str> {
        self.tables.keys().map(String::as_str).filter(move |name| self.is_a(name, table))
    }

    /// Whether a table is the other or extends it.
    pub(crate) fn is_a(&self, table: &str, ancestor: &str) -> bool {
        table == ancestor || self.lineage(table).any(|name| name == ancestor)
    }

    /// The column of a table, its own or one that it inherits.
    #[must_use]
    pub fn column(&self, table: &str, name: &str) -> Option<&Column> {
        self.line(table).find_map(|(_, table)| table.columns.iter().find(|column| column.name == name))
    }

    /// All columns of a table, its own last, with whether they are inherited.
    pub(crate) fn columns(&self, table: &str) -> Vec<(&Column, bool)> {
        let mut columns = Vec::new();
        let line: Vec<_> = self.line(table).collect();
        for (name, own) in line.into_iter().rev() {
            columns.extend(own.columns.iter().map(|column| (column, name != table)));
        }
        columns
    }

    /// The column that is shown in place of a record.
    pub(crate) fn display_column(&self, table: &str) -> &str {
        self.columns(table).into_iter().rev().find(|(column, _)| column.display).map_or("sys_id", |(column, _)| column.name.as_str())
    }

    /// The rule for a class, with the class that has it.
    pub(crate) fn rule(&self, class: &str) -> Option<(&str, &IdentificationRule)> {
        self.lineage(class).find_map(|name| self.rules.get_key_value(name)).map(|(name, rule)| (name.as_str(), rule))
    }

    pub(crate) fn host_rules(&self, class: &str) -> &[HostRule] {
        self.lineage(class).find_map(|name| self.hosts.get(name)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// `install_status` as `Install status`.
pub(crate) fn label(name: &str) -> String {
    let words = name.trim_start_matches("u_").replace('_', " ");
    let mut characters = words.chars();
    characters.next().map(|first| format!("{}{}", first.to_uppercase(), characters.as_str())).unwrap_or_default()
}
