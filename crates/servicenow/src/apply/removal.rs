//! What ends: edges, tags and records, for which the engine has no word, and records that others keep alive.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Key;
use dewpoint_core::target::{Delivered, Operation, RecordId, TargetError};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Batch;
use crate::api::{Row, Select};
use crate::book;
use crate::ire::{Outcome, Payload};
use crate::keys::native_key;
use crate::mapping::{EdgeParent, TAGS};
use crate::places::{Host, stub};
use crate::query::{Query, lists};
use crate::records::{self, SOURCE_FIELDS, SOURCES};
use crate::status::INSTALL_STATUS;

/// A source that saw a record within this time keeps it alive. Weekly discoveries are common.
const SEEN_LATELY: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Which sources saw a relation.
const REL_SOURCES: &str = "sys_rel_source";
const CREATED: &str = "sys_created_on";

/// The engine makes a relation and the row that says who saw it in one transaction: where the row came later than this, the relation stood there before.
const BORN_TOGETHER: SignedDuration = SignedDuration::from_mins(1);

/// The types of relations that two records can have, and the edges between them that end.
type Between<'a> = (BTreeSet<&'a str>, Vec<usize>);

/// Records, each with the write that speaks of it and the record at the other end of its edge.
type Ends<'a> = BTreeMap<&'a str, (usize, &'a str)>;

impl Batch<'_> {
    /// Whether other sources saw the records lately that are to be retired or removed: those live on without us.
    pub(super) async fn ask_others(&mut self) -> Result<(), TargetError> {
        let mut ending: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            if let (true, Operation::Update { record, retired: Some(true), .. } | Operation::Purge { record }) =
                (self.is_open(number), &write.operation)
            {
                ending.entry(record.record.0.as_str()).or_default().push(number);
            }
        }
        let since = self.sending.at.checked_sub(SEEN_LATELY).unwrap_or(Timestamp::MIN);
        let mut kept: Vec<(usize, String)> = Vec::new();
        for list in lists(ending.keys().copied()) {
            let query = Query::all().any_of("target_sys_id", list.iter().copied());
            let select = Select { table: "sys_object_source", query, fields: &["sys_id", "name", "target_sys_id", "last_scan"] };
            for row in self.reader.api.rows(&select).await? {
                let (Some(name), Some(record), Some(scan)) = (row.get("name"), row.get("target_sys_id"), row.get("last_scan")) else {
                    continue;
                };
                if *name != self.reader.api.source && records::time(scan).is_some_and(|scan| scan >= since) {
                    let why = format!("source {name} saw the record {scan}: it is neither retired nor removed, only left by us");
                    kept.extend(ending.get(record.as_str()).into_iter().flatten().map(|number| (*number, why.clone())));
                }
            }
        }
        for (number, why) in kept {
            if matches!(self.writes.get(number).map(|write| &write.operation), Some(Operation::Purge { .. })) {
                self.reject(number, why);
            } else if let Some(told) = self.told.get_mut(number) {
                told.is_kept = true;
                told.left.insert(INSTALL_STATUS.to_owned(), why);
            }
        }
        Ok(())
    }

    /// Takes our mark off records that the engine took for ours and that somebody else made.
    pub(super) async fn give_back(&mut self) -> Result<(), TargetError> {
        let taken: BTreeMap<String, usize> = self.taken.iter().map(|(number, record)| (record.0.clone(), *number)).collect();
        for list in lists(taken.keys().map(String::as_str)) {
            let query = Query::all().equals("name", &self.reader.api.source).any_of("target_sys_id", list.iter().copied());
            let select = Select { table: "sys_object_source", query, fields: &["sys_id", "name", "id", "target_sys_id"] };
            for row in self.reader.api.rows(&select).await? {
                let (Some(id), Some(native), Some(record)) = (row.get("sys_id"), row.get("id"), row.get("target_sys_id")) else { continue };
                let Some(number) = taken.get(record).copied().filter(|_| row.get("name") == Some(&self.reader.api.source)) else {
                    continue;
                };
                if self.writes.get(number).is_none_or(|write| native_key(&write.key) != native) {
                    continue;
                }
                let removed = self.reader.api.delete(&[("sys_object_source".to_owned(), id.clone())]).await?;
                if let Some(Err(error)) = removed.into_iter().next() {
                    let text = format!(
                        "the instance took it for record {record}, which somebody else made, and noted it as ours: an administrator removes row {id} of \
                         `sys_object_source` ({error})"
                    );
                    self.reject(number, text);
                }
            }
        }
        Ok(())
    }

    /// Takes the marks of their old keys off records that took a new one: what the engine finds by an old key would be the wrong record.
    ///
    /// Of two marks the later one counts, so that one which may not be removed does no harm.
    pub(super) async fn forget_old_keys(&mut self) {
        let mut moved: BTreeMap<String, usize> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            if let (Operation::Update { record, .. }, Some(Some(Ok(_)))) = (&write.operation, self.answers.get(number))
                && record.carries.as_ref().is_some_and(|old| *old != write.key)
            {
                moved.insert(record.record.0.clone(), number);
            }
        }
        for list in lists(moved.keys().map(String::as_str)) {
            if let Err(error) = self.forget_old_keys_of(&list, &moved).await {
                for number in list.iter().filter_map(|record| moved.get(*record)) {
                    self.answer(*number, Err(error.clone()));
                }
            }
        }
    }

    async fn forget_old_keys_of(&self, records: &[&str], moved: &BTreeMap<String, usize>) -> Result<(), TargetError> {
        let api = self.reader.api;
        let query = self.reader.source_rows().any_of("target_sys_id", records.iter().copied());
        let mut old: Vec<(Key, (String, String))> = Vec::new();
        for row in api.rows(&Select { table: SOURCES, query, fields: SOURCE_FIELDS }).await? {
            let (Some(id), Some((record, mark))) = (row.get("sys_id"), book::mark(&row)) else { continue };
            let Some(write) = moved.get(&record.0).and_then(|number| self.writes.get(*number)) else { continue };
            if row.get("name") == Some(&api.source) && mark.estate == *self.sending.estate && mark.key != write.key {
                old.push((mark.key, (SOURCES.to_owned(), id.clone())));
            }
        }
        let rows: Vec<(String, String)> = old.iter().map(|(_, row)| row.clone()).collect();
        for ((key, (_, row)), removed) in old.iter().zip(api.delete(&rows).await?) {
            match removed {
                Ok(()) => self.reader.book.forgot(key),
                Err(error) => {
                    tracing::warn!(target.name = %api.target(), %error, "Row {row} of `sys_object_source` says an old key of a record and stays");
                }
            }
        }
        Ok(())
    }

    /// Removes tags of ours that are not wanted any more: the engine only adds and changes them.
    pub(super) async fn remove_tags(&mut self) -> Result<(), TargetError> {
        let mut gone: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            let Operation::Update { record, fields, before, .. } = &write.operation else { continue };
            let (Some(wanted), Some(Value::Object(before))) = (fields.get(TAGS), before.get(TAGS)) else { continue };
            let unwanted = before.keys().filter(|name| wanted.get(name.as_str()).is_none()).map(String::as_str);
            let unwanted: BTreeSet<&str> = unwanted.collect();
            if !unwanted.is_empty() && matches!(self.answers.get(number), Some(Some(Ok(_)))) {
                gone.insert(&record.record.0, (number, unwanted));
            }
        }
        let mut rows: Vec<(usize, (String, String))> = Vec::new();
        for list in lists(gone.keys().copied()) {
            let query = Query::all().any_of("configuration_item", list.iter().copied());
            let select = Select { table: "cmdb_key_value", query, fields: &["sys_id", "configuration_item", "key"] };
            for row in self.reader.api.rows(&select).await? {
                let (Some(id), Some(record), Some(key)) = (row.get("sys_id"), row.get("configuration_item"), row.get("key")) else {
                    continue;
                };
                if let Some((number, names)) = gone.get(record.as_str())
                    && names.contains(key.as_str())
                {
                    rows.push((*number, ("cmdb_key_value".to_owned(), id.clone())));
                }
            }
        }
        let results = self.reader.api.delete(&rows.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>()).await?;
        for ((number, _), result) in rows.into_iter().zip(results) {
            if let Err(error) = result {
                self.answer(number, Err(error));
            }
        }
        Ok(())
    }

    /// Removes edges: the engine has no word for that.
    pub(super) async fn unrelate(&mut self) -> Result<(), TargetError> {
        let mut wanted: BTreeMap<(&str, &str, &str), Vec<usize>> = BTreeMap::new();
        let mut former: BTreeMap<(&str, &str), Between<'_>> = BTreeMap::new();
        let mut identifying: BTreeSet<usize> = BTreeSet::new();
        let mut hosts: BTreeMap<(String, String), usize> = BTreeMap::new();
        // Strangers' records that are only referred to: of the edges there ours alone are looked at.
        let mut referred: BTreeSet<&RecordId> = BTreeSet::new();
        for (number, write) in self.writes.iter().enumerate() {
            let Operation::Unrelate { edge, from, to, to_kind } = &write.operation else { continue };
            if !self.is_open(number) {
                continue;
            }
            let Some(form) = self.reader.mapping.edge(edge.relation, write.kind, *to_kind) else { continue };
            referred.extend([from, to].into_iter().filter(|end| end.carries.is_none()).map(|end| &end.record));
            let (parent, child, kinds) = match form.parent {
                EdgeParent::From => (from, to, (write.kind, *to_kind)),
                EdgeParent::To => (to, from, (*to_kind, write.kind)),
            };
            // What a record is identified by stays, unless it has another of these by now.
            if self.host_side(form.kind, kinds.0, kinds.1).is_some() {
                identifying.insert(number);
            }
            wanted.entry((form.kind, &parent.record.0, &child.record.0)).or_default().push(number);
            let types = self.reader.mapping.types_between(kinds.0, kinds.1);
            former.entry((&parent.record.0, &child.record.0)).or_insert((types, Vec::new())).1.push(number);
        }
        let parents: BTreeSet<&str> = wanted.keys().map(|(_, parent, _)| *parent).collect();
        let mut rows: Vec<(String, (String, String), Vec<usize>)> = Vec::new();
        let mut made: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
        let mut not_ours: Vec<usize> = Vec::new();
        for list in lists(parents) {
            let query = Query::all().any_of("parent", list.iter().copied());
            let select = Select { table: "cmdb_rel_ci", query, fields: &["sys_id", "parent", "child", "type.name", CREATED] };
            for row in self.reader.api.rows(&select).await? {
                let (Some(id), Some(parent), Some(child), Some(kind)) =
                    (row.get("sys_id"), row.get("parent"), row.get("child"), row.get("type.name"))
                else {
                    continue;
                };
                *hosts.entry((kind.clone(), parent.clone())).or_default() += 1;
                let ends = [parent, child].map(|end| RecordId(end.clone()));
                let is_ours = ends.iter().all(|end| referred.contains(end) || self.reader.book.mark(end).is_some());
                // One of a type that nothing between these kinds has by now was made before `relationships` was changed.
                let stale = || former.get(&(parent.as_str(), child.as_str())).filter(|(types, _)| !types.contains(kind.as_str()));
                let numbers = wanted.get(&(kind.as_str(), parent.as_str(), child.as_str())).or_else(|| Some(&stale()?.1));
                match numbers {
                    Some(numbers) if is_ours => {
                        made.insert(id.clone(), made_at(&row));
                        rows.push((id.clone(), (kind.clone(), parent.clone()), numbers.clone()));
                    }
                    Some(numbers) => not_ours.extend(numbers),
                    None => {}
                }
            }
        }
        let ours = self.our_edges(&made).await?;
        rows.retain(|(id, host, numbers)| {
            let is_last = numbers.iter().any(|number| identifying.contains(number)) && {
                let left = hosts.entry(host.clone()).or_default();
                let is_last = *left < 2;
                *left = left.saturating_sub(1);
                is_last
            };
            ours.contains_key(id) && !is_last
        });
        for number in not_ours {
            self.reject(number, "one of the edge's ends does not carry our mark".to_owned());
        }
        let rows = rows.iter().flat_map(|(id, _, numbers)| ours.get(id).into_iter().flatten().map(move |row| (row.clone(), numbers)));
        let (deletions, numbers): (Vec<(String, String)>, Vec<&Vec<usize>>) = rows.unzip();
        let results = self.reader.api.delete(&deletions).await?;
        for ((row, numbers), result) in deletions.iter().zip(numbers).zip(results) {
            if let Err(error) = result.or_else(|error| forgiven(row, error)) {
                for number in numbers {
                    self.answer(*number, Err(error.clone()));
                }
            }
        }
        self.empty_columns().await?;
        for (number, write) in self.writes.iter().enumerate() {
            if let (true, Operation::Unrelate { from, .. }) = (self.is_open(number), &write.operation) {
                let class = self.reader.book.mark(&from.record).map(|mark| mark.class).unwrap_or_default();
                let delivered = Delivered::to(from.record.clone(), class);
                self.answer(number, Ok(delivered));
            }
        }
        Ok(())
    }

    /// Empties columns that held the id at the other end of an edge which is gone, where they still do.
    async fn empty_columns(&mut self) -> Result<(), TargetError> {
        let mut wanted: BTreeMap<(&str, String), Ends<'_>> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            let Operation::Unrelate { edge, from, to, to_kind } = &write.operation else { continue };
            let column = self.reader.mapping.edge(edge.relation, write.kind, *to_kind).and_then(|form| form.column);
            let class = self.reader.book.mark(&from.record).map(|mark| mark.class).filter(|class| !class.is_empty());
            if let (true, Some(column), Some(class)) = (self.is_open(number), column, class) {
                wanted.entry((column, class)).or_default().insert(&from.record.0, (number, &to.record.0));
            }
        }
        let mut payload = Payload::default();
        let mut numbers = Vec::new();
        for ((column, class), records) in wanted {
            for list in lists(records.keys().copied()) {
                let query = Query::all().any_of("sys_id", list.iter().copied());
                for row in self.reader.api.rows(&Select { table: &class, query, fields: &["sys_id", column] }).await? {
                    let Some((number, to)) = row.get("sys_id").and_then(|id| records.get(id.as_str())).copied() else { continue };
                    let (Some(id), true) = (row.get("sys_id"), row.get(column).is_some_and(|value| value == to)) else { continue };
                    let host = Host { record: RecordId(id.clone()), class: class.clone(), is_ours: true };
                    let mut item = stub(&format!("i{}", payload.items.len()), &host, self.sending.at);
                    item.values.insert(column.to_owned(), String::new());
                    payload.items.push(item);
                    numbers.push(number);
                }
            }
        }
        if payload.items.is_empty() {
            return Ok(());
        }
        let report = self.reader.api.reconcile(&payload).await?;
        for (place, number) in numbers.into_iter().enumerate() {
            if let Some(Err(failure)) = report.item(place).map(Outcome::stands) {
                self.reject(number, failure.text);
            }
        }
        Ok(())
    }

    /// Removes records; where `purge: delete` says so only.
    pub(super) async fn purge(&mut self) -> Result<(), TargetError> {
        let mut numbers = Vec::new();
        let mut rows = Vec::new();
        let open = self.writes.iter().enumerate().filter(|(number, _)| self.is_open(*number));
        let ids: BTreeMap<RecordId, String> = open
            .filter_map(|(_, write)| match &write.operation {
                Operation::Purge { record } => Some((record.record.clone(), self.reader.book.mark(&record.record)?.class)),
                _ => None,
            })
            .collect();
        let standing = self.reader.records(&ids).await?;
        for (number, write) in self.writes.iter().enumerate() {
            let (true, Operation::Purge { record }) = (self.is_open(number), &write.operation) else { continue };
            let Some(mark) = self.reader.book.mark(&record.record) else {
                // Gone already, or a stranger's by now.
                let gone = Delivered::to(record.record.clone(), String::new());
                let is_there = self.reader.api.first("cmdb_ci", &Query::all().equals("sys_id", &record.record.0), &["sys_id"]).await?;
                if is_there.is_some_and(|row| row.get("sys_id") == Some(&record.record.0)) {
                    self.reject(number, format!("record {} does not carry our mark", record.record.0));
                } else {
                    self.answer(number, Ok(gone));
                }
                continue;
            };
            let is_live = |row: &Row| !self.reader.mapping.statuses().says_retired(|column| row.get(column));
            if standing.get(&record.record).is_some_and(is_live) {
                self.reject(number, format!("record {} is not retired any more: somebody made it live again", record.record.0));
                continue;
            }
            numbers.push((number, record.record.clone(), mark.class.clone()));
            let class = if mark.class.is_empty() { "cmdb_ci".to_owned() } else { mark.class };
            rows.push((class, record.record.0.clone()));
        }
        let results = self.reader.api.delete(&rows).await?;
        for ((number, record, class), result) in numbers.into_iter().zip(results) {
            if result.is_ok() {
                self.reader.book.removed(&record);
            }
            self.answer(number, result.map(|()| Delivered::to(record, class)));
        }
        Ok(())
    }

    /// The rows that have to go with each of our edges among these, which are given with the times at which they were made: the relation itself, or, where it
    /// stood there before us or another source keeps it too, only our row that says that we saw it.
    async fn our_edges(&self, made: &BTreeMap<String, Option<Timestamp>>) -> Result<BTreeMap<String, Vec<(String, String)>>, TargetError> {
        let mut ours: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut theirs: BTreeSet<String> = BTreeSet::new();
        for list in lists(made.keys().map(String::as_str)) {
            let query = Query::all().any_of("target_sys_id", list.iter().copied());
            let select = Select { table: REL_SOURCES, query, fields: &["sys_id", "name", "target_sys_id", CREATED] };
            for row in self.reader.api.rows(&select).await? {
                let (Some(id), Some(edge)) = (row.get("sys_id"), row.get("target_sys_id")) else { continue };
                let Some(made) = made.get(edge) else { continue };
                if row.get("name") != Some(&self.reader.api.source) {
                    theirs.insert(edge.clone());
                    continue;
                }
                let is_older = made.zip(made_at(&row)).is_some_and(|(made, noted)| noted.duration_since(made) > BORN_TOGETHER);
                if is_older {
                    theirs.insert(edge.clone());
                }
                ours.entry(edge.clone()).or_default().push((REL_SOURCES.to_owned(), id.clone()));
            }
        }
        for (edge, rows) in &mut ours {
            if !theirs.contains(edge) {
                *rows = vec![("cmdb_rel_ci".to_owned(), edge.clone())];
            }
        }
        Ok(ours)
    }

    /// Removes our edges of records that were retired: retirement by status leaves them in place, and what returns may have others.
    pub(super) async fn forget_edges(&mut self) -> Result<(), TargetError> {
        let mut retired: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            let Operation::Update { record, retired: Some(true), .. } = &write.operation else { continue };
            let is_kept = matches!(self.answers.get(number), Some(Some(Ok(delivered))) if delivered.left.contains_key(INSTALL_STATUS));
            if matches!(self.answers.get(number), Some(Some(Ok(_)))) && !is_kept {
                retired.entry(record.record.0.as_str()).or_default().push(number);
            }
        }
        if retired.is_empty() {
            return Ok(());
        }
        let mut edges: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let mut made: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
        let kind_of = |class: Option<&String>| self.reader.mapping.kind_of(class?);
        for side in ["parent", "child"] {
            for list in lists(retired.keys().copied()) {
                let query = Query::all().any_of(side, list.iter().copied());
                let fields = ["sys_id", "parent", "child", "type.name", "parent.sys_class_name", "child.sys_class_name", CREATED];
                for row in self.reader.api.rows(&Select { table: "cmdb_rel_ci", query, fields: &fields }).await? {
                    let (Some(id), Some(end), Some(kind)) = (row.get("sys_id"), row.get(side), row.get("type.name")) else { continue };
                    let Some(numbers) = retired.get(end.as_str()) else { continue };
                    let ends = (kind_of(row.get("parent.sys_class_name")), kind_of(row.get("child.sys_class_name")));
                    let identifies = matches!(ends, (Some(parent), Some(child)) if self.host_side(kind, parent, child).is_some());
                    if !identifies {
                        made.insert(id.clone(), made_at(&row));
                        edges.entry(id.clone()).or_default().extend(numbers);
                    }
                }
            }
        }
        let ours = self.our_edges(&made).await?;
        let rows: Vec<((String, String), &String)> =
            ours.iter().flat_map(|(edge, rows)| rows.iter().map(move |row| (row.clone(), edge))).collect();
        let results = self.reader.api.delete(&rows.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>()).await?;
        for ((row, edge), result) in rows.into_iter().zip(results) {
            if let Err(error) = result.or_else(|error| forgiven(&row, error)) {
                for number in edges.get(edge).into_iter().flatten().copied().collect::<Vec<_>>() {
                    self.answer(number, Err(error.clone()));
                }
            }
        }
        Ok(())
    }
}

/// When a row was made, as it says itself.
fn made_at(row: &Row) -> Option<Timestamp> {
    row.get(CREATED).and_then(|text| records::time(text))
}

/// A relation that stays is as it should be without our row having gone: few users may remove that.
fn forgiven((table, _): &(String, String), error: TargetError) -> Result<(), TargetError> {
    match error {
        TargetError::Forbidden { .. } if table == REL_SOURCES => Ok(()),
        error => Err(error),
    }
}
