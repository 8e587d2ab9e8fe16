//! From changes to writes: which records they speak of, and what those are identified beside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::About;
use crate::estate::FieldChange;
use crate::model::{Key, Kind};
use crate::plan::{Change, ChangeKind, FieldState, RecordBrief};
use crate::target::{Addressed, End, Host, Operation, Place, Write};

/// What is known of a target's records while changes go there.
pub(super) struct Writer<'a> {
    pub(super) records: BTreeMap<Key, RecordBrief>,
    /// Records that this run made.
    pub(super) born: BTreeMap<Key, Addressed>,
    pub(super) about: &'a (dyn Fn(&Key) -> About + Sync),
}

impl Writer<'_> {
    /// A change as a write; `None` where a record that it speaks of does not stand.
    pub(super) fn make(&self, change: &Change, made: &BTreeSet<Key>) -> Option<Write> {
        let About { native_id, account, region, seen_at, hosts, .. } = (self.about)(&change.key);
        let operation = self.operation_of(change, native_id, made)?;
        let host = |key: Key| {
            let record = self.end(&key, made)?;
            Some(Host { kind: (self.about)(&key).kind, key, record })
        };
        let hosts = if change.change == ChangeKind::Create { hosts.into_iter().find_map(host).into_iter().collect() } else { Vec::new() };
        Some(Write { key: change.key.clone(), kind: change.kind, place: Place { account, region, seen_at, hosts }, operation })
    }

    /// The record of a CI: one that stands there, or one that the batch makes.
    fn end(&self, key: &Key, made: &BTreeSet<Key>) -> Option<End> {
        self.addressed(key).map(End::Stands).or_else(|| made.contains(key).then(|| End::Made(key.clone())))
    }

    fn operation_of(&self, change: &Change, native_id: String, made: &BTreeSet<Key>) -> Option<Operation> {
        let values = || change.fields.iter().map(|(name, field)| (name.clone(), field.to.clone())).collect::<BTreeMap<String, Value>>();
        let last = self.records.get(&change.key).and_then(|row| row.fields.as_ref());
        let before = || {
            let before = |(name, field): (&String, &FieldChange)| (name.clone(), ours(last.and_then(|last| last.get(name)), &field.from));
            change.fields.iter().map(before).collect::<BTreeMap<String, Value>>()
        };
        let update = |retired| {
            let record = self.addressed(&change.key)?;
            Some(Operation::Update { record, class: change.class.clone(), fields: values(), before: before(), retired, take_over: false })
        };
        match change.change {
            ChangeKind::Create => Some(Operation::Create { class: change.class.clone(), native_id, fields: values() }),
            ChangeKind::Adopt => {
                let record = Addressed { record: change.record.clone()?, carries: None };
                let take_over = !change.contributed;
                Some(Operation::Update {
                    record,
                    class: change.class.clone(),
                    fields: values(),
                    before: before(),
                    retired: None,
                    take_over,
                })
            }
            ChangeKind::Update => update(None),
            ChangeKind::Revive => update(Some(false)),
            ChangeKind::Retire => update(Some(true)),
            ChangeKind::Purge => Some(Operation::Purge { record: self.addressed(&change.key)? }),
            ChangeKind::Relate => {
                let edge = change.relation.clone()?;
                let (from, to) = (self.end(&edge.from, made)?, self.end(&edge.to, made)?);
                let to_kind = self.kind_of(&edge.to);
                Some(Operation::Relate { from, to, to_kind, edge, attributes: values() })
            }
            ChangeKind::Unrelate => {
                let edge = change.relation.clone()?;
                let (from, to) = (self.addressed(&edge.from)?, self.addressed(&edge.to)?);
                let to_kind = self.kind_of(&edge.to);
                Some(Operation::Unrelate { from, to, to_kind, edge })
            }
        }
    }

    pub(super) fn kind_of(&self, key: &Key) -> Kind {
        self.records.get(key).map_or_else(|| (self.about)(key).kind, |row| row.kind)
    }

    pub(super) fn addressed(&self, key: &Key) -> Option<Addressed> {
        self.records.get(key).filter(|row| row.exists()).and_then(|row| row.addressed(key)).or_else(|| self.born.get(key).cloned())
    }
}

/// Of what a field of many values showed what we wrote there, as far as that is known: what people added is not ours to take out.
fn ours(last: Option<&FieldState>, from: &Value) -> Value {
    match (from, last.map(|last| &last.desired)) {
        (Value::Object(shown), Some(Value::Object(wanted))) => Value::Object(
            shown.iter().filter(|(name, _)| wanted.contains_key(*name)).map(|(name, value)| (name.clone(), value.clone())).collect(),
        ),
        _ => from.clone(),
    }
}
