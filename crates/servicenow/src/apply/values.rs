//! What goes into the columns of a record.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Kind;
use dewpoint_core::target::{Operation, TargetError};
use serde_json::Value;

use super::{Batch, Ground};
use crate::ire::is_sys_id;
use crate::mapping::TAGS;
use crate::references::Resolved;

impl Batch<'_> {
    /// The rows that texts of these writes stand for.
    pub(super) async fn resolve_references(&self) -> Result<Resolved, TargetError> {
        let mut wanted = BTreeSet::new();
        for (number, write) in self.writes.iter().enumerate() {
            let (fields, retired) = match &write.operation {
                Operation::Create { fields, .. } => (fields, None),
                Operation::Update { fields, retired, .. } => (fields, *retired),
                _ => continue,
            };
            if !self.is_open(number) {
                continue;
            }
            let texts = fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            for (name, text) in self.statuses(retired).chain(texts) {
                if let Some(reference) = self.reader.mapping.reference(write.kind, &name) {
                    wanted.insert((reference, text));
                }
            }
        }
        let wanted = wanted.iter().map(|(reference, text)| (*reference, text.as_str())).collect();
        self.learnt.references.resolve(self.reader.api, &wanted).await
    }

    /// What the status columns are to hold of a record that is retired, or live again.
    fn statuses(&self, retired: Option<bool>) -> impl Iterator<Item = (String, String)> {
        let statuses = self.reader.mapping.statuses();
        let text = move |is_retired| {
            let columns = statuses.columns();
            columns.filter_map(move |column| Some((column.to_owned(), statuses.text(column, is_retired, false)?)))
        };
        retired.into_iter().flat_map(text)
    }

    /// Fields as columns, and tags beside them.
    pub(super) fn values<'w>(
        &mut self,
        number: usize,
        fields: &'w BTreeMap<String, Value>,
        retired: Option<bool>,
        Ground { facts, resolved, .. }: &Ground,
    ) -> (BTreeMap<String, String>, Option<&'w Value>) {
        let mut values = BTreeMap::new();
        let reader = &self.reader;
        let class = self.writes.get(number).and_then(|write| self.class_written(write)).unwrap_or_default();
        let is_kept = self.told.get(number).is_some_and(|told| told.is_kept);
        let statuses = self.statuses(retired.filter(|_| !is_kept)).map(|(name, text)| (name, Value::String(text)));
        let mut wanted: BTreeMap<String, Value> = statuses.collect();
        let is_written = |name: &str| name != TAGS && !(is_kept && reader.mapping.statuses().columns().any(|column| column == name));
        wanted.extend(fields.iter().filter(|(name, _)| is_written(name)).map(|(name, value)| (name.clone(), value.clone())));
        let (Some(write), Some(told)) = (self.writes.get(number), self.told.get_mut(number)) else { return (values, None) };
        for (name, value) in wanted {
            if facts.lacks(&class, &name) {
                told.sent.insert(name.clone(), Value::Null);
                told.left.insert(name.clone(), format!("class `{class}` has no such column on this instance"));
                continue;
            }
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => match reader.mapping.reference(write.kind, &name) {
                    None if !text.is_empty() && !is_sys_id(&text) && facts.is_reference(&class, &name) => {
                        told.left.insert(name.clone(), no_resolver(write.kind, &name));
                        continue;
                    }
                    None => text.clone(),
                    Some(reference) => match resolved.get(&(reference, text.as_str())) {
                        Some(id) => {
                            told.sent.insert(name.clone(), id.into());
                            id.to_owned()
                        }
                        None => {
                            let why = format!(
                                "no row that we may see, or more than one, of `{}` has {} `{text}`",
                                reference.table,
                                reference.by.join(" or ")
                            );
                            told.left.insert(name.clone(), why);
                            continue;
                        }
                    },
                },
                other => other.to_string(),
            };
            values.insert(name, text);
        }
        (values, fields.get(TAGS))
    }
}

fn no_resolver(kind: Kind, column: &str) -> String {
    format!(
        "the column holds ids of another table's rows, and nothing says which: give `mapping.{kind}.fields.{column}` a `reference` with `table` and `by`"
    )
}
