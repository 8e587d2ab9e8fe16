//! What an instance holds, and what a file says that it should: records by name, and relationships between them.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_servicenow_sim::Sim;

/// Columns that the engine fills, not we.
const OF_THE_ENGINE: &[&str] = &[
    "discovery_source",
    "fault_count",
    "first_discovered",
    "last_discovered",
    "sys_class_name",
    "sys_created_by",
    "sys_created_on",
    "sys_id",
    "sys_mod_count",
    "sys_updated_by",
    "sys_updated_on",
];

/// A record: its class, its columns and its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) class: String,
    pub(super) columns: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
}

/// Records by name, and relationships as `PARENT | TYPE | CHILD`.
#[derive(Debug, Default)]
pub(super) struct Holding {
    pub(super) records: BTreeMap<String, Record>,
    pub(super) relations: BTreeSet<String>,
}

/// The names that a file uses.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names by key.
    pub(super) by_key: BTreeMap<String, String>,
    /// What stands behind `{…}`.
    pub(super) values: BTreeMap<String, String>,
}

impl Names {
    fn fill(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
        let (name, after) = rest.split_once('}').unwrap();
        // A fact that a resource does not have is empty.
        let is_fact = name.rsplit_once('.').is_some_and(|(of, _)| self.values.contains_key(of));
        let value = self.values.get(name).cloned().or_else(|| is_fact.then(String::new));
        format!("{before}{}{after}", value.unwrap_or_else(|| panic!("nothing is called {name}")))
    }

    /// The name behind a `source_native_key`; what has none is called by its key.
    fn of_native(&self, native: &str) -> String {
        let key = match native {
            arn if arn.starts_with("arn:") => format!("aws:{arn}"),
            id if id.starts_with("/subscriptions/") => format!("azure:{id}"),
            derived => derived.to_owned(),
        };
        self.by_key.get(&key).cloned().unwrap_or(key)
    }
}

impl Holding {
    /// What a file says. `estate.txt` explains the form.
    pub(super) fn read(text: &str, names: &Names) -> Self {
        let mut holding = Self::default();
        let mut name = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            if let Some(line) = line.strip_prefix("  ") {
                let (column, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no value: {line}"));
                let (record, value) = (holding.record(&name), names.fill(value));
                match column.strip_prefix("tag ") {
                    Some(tag) => drop(record.tags.insert(tag.to_owned(), value)),
                    None if value.is_empty() => {}
                    None => drop(record.columns.insert(column.to_owned(), value)),
                }
            } else if line.contains(" | ") {
                assert!(holding.relations.insert(line.to_owned()), "twice: {line}");
            } else {
                let (class, own) = line.split_once(' ').unwrap();
                name = own.to_owned();
                let columns =
                    [("install_status", "1"), ("operational_status", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
                let record = Record { class: class.to_owned(), columns: columns.into(), tags: BTreeMap::new() };
                assert_eq!(holding.records.insert(name.clone(), record), None, "twice: {name}");
            }
        }
        for relation in &holding.relations {
            let mut ends = relation.split(" | ").step_by(2);
            assert!(ends.by_ref().take(2).all(|end| holding.records.contains_key(end)) && ends.next().is_none(), "{relation}");
        }
        holding
    }

    /// What an instance holds: nothing that is not ours, no record with two marks, and nothing twice.
    pub(super) fn of(sim: &Sim, names: &Names) -> Self {
        let value = |row: &BTreeMap<String, String>, column: &str| row.get(column).cloned().unwrap_or_default();
        let mut by_record: BTreeMap<String, String> = BTreeMap::new();
        for (_, mark) in sim.rows("sys_object_source", "") {
            let twice = by_record.insert(value(&mark.values, "target_sys_id"), names.of_native(&mark.values["id"]));
            assert_eq!(twice, None, "two marks on one record");
        }
        let mut holding = Self::default();
        for (id, row) in sim.rows("cmdb_ci", "") {
            assert_eq!(value(&row.values, "discovery_source"), "Dewpoint");
            assert_eq!(value(&row.values, "sys_class_name"), row.table);
            let mut columns = row.values.clone();
            columns.retain(|column, _| !OF_THE_ENGINE.contains(&column.as_str()));
            for value in columns.values_mut() {
                if let Some(other) = by_record.get(value.as_str()) {
                    *value = format!("@{other}");
                }
            }
            let record = Record { class: row.table, columns, tags: BTreeMap::new() };
            let name = by_record.get(&id).unwrap_or_else(|| panic!("a record without a mark: {record:?}"));
            assert_eq!(holding.records.insert(name.clone(), record), None, "two records of {name}");
        }
        for (_, tag) in sim.rows("cmdb_key_value", "") {
            let record = holding.record(&by_record[&tag.values["configuration_item"]]);
            let twice = record.tags.insert(value(&tag.values, "key"), value(&tag.values, "value"));
            assert_eq!(twice, None, "a tag twice");
        }
        let types = sim.rows("cmdb_rel_type", "").into_iter().map(|(id, row)| (id, value(&row.values, "name")));
        let types: BTreeMap<String, String> = types.collect();
        for (_, row) in sim.rows("cmdb_rel_ci", "") {
            let end = |column: &str| &by_record[&row.values[column]];
            let relation = format!("{} | {} | {}", end("parent"), types[&row.values["type"]], end("child"));
            assert!(holding.relations.insert(relation.clone()), "twice: {relation}");
        }
        holding
    }

    /// Compares record by record, and relationship by relationship.
    #[track_caller]
    pub(super) fn assert_is(&self, expected: &Self) {
        let mut wrong: Vec<String> = Vec::new();
        for name in self.records.keys().chain(expected.records.keys()).collect::<BTreeSet<_>>() {
            match (self.records.get(name), expected.records.get(name)) {
                (Some(found), Some(expected)) if found == expected => {}
                (found, expected) => wrong.push(format!("{name}\n  found    {found:?}\n  expected {expected:?}")),
            }
        }
        wrong.extend(self.relations.difference(&expected.relations).map(|relation| format!("not expected: {relation}")));
        wrong.extend(expected.relations.difference(&self.relations).map(|relation| format!("missing: {relation}")));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    pub(super) fn record(&mut self, name: &str) -> &mut Record {
        self.records.get_mut(name).unwrap_or_else(|| panic!("no {name}"))
    }

    pub(super) fn set(&mut self, name: &str, column: &str, value: &str) {
        self.record(name).columns.insert(column.to_owned(), value.to_owned());
    }

    /// A record that is retired: its edges go with it, it stays hosted where it was.
    pub(super) fn retire(&mut self, name: &str) {
        let is_end = |end: &str| end == name;
        self.relations.retain(|relation| relation.contains(" | Hosted on::Hosts | ") || !relation.split(" | ").any(is_end));
        self.set(name, "install_status", "7");
        self.set(name, "operational_status", "6");
    }
}
