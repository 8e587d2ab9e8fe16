//! What the engine writes.

use std::collections::BTreeMap;

use super::{
    Engine, find, note,
    request::{End, Item, SourceInfo},
    work::{Fate, Finding, Link, Located, Related, Work},
};
use crate::{
    clock,
    instance::{Instance, ReconciliationRule},
    schema::Schema,
    settings::FailedOperation,
    store::Row,
    table::value::{Kept, keep},
};

/// Columns that the engine keeps itself, besides all that begin with `sys_`.
const ENGINE_COLUMNS: [&str; 3] = ["discovery_source", "first_discovered", "last_discovered"];

/// A change of class: the operation, the setting and the property that forbid it, and what is said then.
struct Move {
    operation: &'static str,
    setting: &'static str,
    property: &'static str,
    skipped: &'static str,
}

const UPGRADE: Move = Move {
    operation: "UPDATE_WITH_UPGRADE",
    setting: "updateWithoutUpgrade",
    property: "glide.class.upgrade.enabled",
    skipped: "SKIPPED_CLASS_UPGRADE",
};
const DOWNGRADE: Move = Move {
    operation: "UPDATE_WITH_DOWNGRADE",
    setting: "updateWithoutDowngrade",
    property: "glide.class.downgrade.enabled",
    skipped: "SKIPPED_CLASS_DOWNGRADE",
};
const SWITCH: Move = Move {
    operation: "UPDATE_WITH_SWITCH",
    setting: "updateWithoutSwitch",
    property: "glide.class.switch.enabled",
    skipped: "SKIPPED_CLASS_SWITCH",
};

impl Engine<'_, '_> {
    fn may_write(&self) -> bool {
        self.endpoint.commits && !self.is_refused
    }

    /// Puts the records that `referenceItems` mean into the values of those that refer to them.
    pub(super) fn resolve_references(&mut self) {
        for reference in &self.payload.references {
            let place = |end: &End| self.payload.item_at(end).and_then(|index| self.place.get(index).copied());
            let (referenced, by) = (place(&reference.referenced), place(&reference.referenced_by));
            let sys_id = referenced.and_then(|place| self.work.get(place)).and_then(|work| work.sys_id().map(str::to_owned));
            let Some(work) = by.and_then(|place| self.work.get_mut(place)) else { continue };
            let is_reference =
                self.call.instance.schema.column(&work.item.class, &reference.field).is_some_and(|column| column.reference.is_some());
            match sys_id {
                Some(sys_id) if is_reference => {
                    work.item.values.insert(reference.field.clone(), sys_id);
                }
                _ => {
                    let message = format!("reference field [{}] could not be set", reference.field);
                    work.warnings.push(Finding::new("INVALID_INPUT_DATA", message));
                }
            }
        }
    }

    /// Writes all items that are sound, hosts first, or finds out what writing would do.
    pub(super) fn write_items(&mut self) {
        let failed = match self.call.settings.failed_operation {
            FailedOperation::Insert => "INSERT",
            FailedOperation::Incomplete => "INSERT_AS_INCOMPLETE",
            FailedOperation::Absent => "",
        };
        for index in 0..self.work.len() {
            let Some(mut work) = self.work.get_mut(index).map(std::mem::take) else { continue };
            match (&work.error, work.fate) {
                (Some(_), Fate::Partial) => work.operation = "INSERT_AS_PARTIAL",
                (Some(_), Fate::Incomplete) => work.operation = "INSERT_AS_INCOMPLETE",
                (Some(_), Fate::Failed) => work.operation = failed,
                (None, _) => self.write_item(&mut work),
            }
            if let Some(slot) = self.work.get_mut(index) {
                *slot = work;
            }
        }
    }

    fn write_item(&mut self, work: &mut Work) {
        let now = clock::stored(self.call.now);
        let located = work.located.clone();
        let (sys_id, is_new) = match &located {
            Located::New(sys_id) => (sys_id.clone(), true),
            Located::Found(sys_id) => (sys_id.clone(), false),
            Located::Nowhere => return,
        };
        let before = self.call.instance.store.get(&sys_id).cloned().unwrap_or_default();
        let class = if is_new { work.item.class.clone() } else { self.class_after(work, &before.table) };
        let mut values = accepted(&self.call.instance.schema, &class, work);
        let is_stale = self.is_stale(work.item.source.as_ref());
        if is_stale {
            values.clear();
        }
        if !is_new {
            let instance = &*self.call.instance;
            let masked = |name: &String| is_masked(&instance.reconciliation, &instance.schema, &class, name, &self.source, &before);
            work.masked = values.keys().filter(|name| masked(name)).cloned().collect();
            values.retain(|name, _| !work.masked.contains(name));
        }
        let changed: BTreeMap<&String, &String> = values.iter().filter(|(name, value)| before.get(name) != value.as_str()).collect();
        work.operation = if is_new {
            "INSERT"
        } else if class != before.table {
            class_move(&self.call.instance.schema, &before.table, &class).operation
        } else if changed.is_empty() {
            "NO_CHANGE"
        } else {
            "UPDATE"
        };
        if !self.may_write() {
            self.write_related(work, &sys_id);
            return;
        }
        work.is_committed = true;
        let user = self.call.caller.user_name.clone();
        let instance = &mut *self.call.instance;
        if is_new {
            let mut row = instance.fresh(&class, values.clone(), &user, self.call.now);
            row.values.insert("first_discovered".to_owned(), stamp(&work.item, "first_discovered", &now));
            instance.store.put(sys_id.clone(), row);
        } else {
            if class != before.table {
                instance.store.reclass(&sys_id, &class);
            }
            for (name, value) in &changed {
                instance.store.set(&sys_id, name, value);
            }
            if work.operation != "NO_CHANGE" {
                instance.touch(&sys_id, &user, self.call.now);
            }
            if work.item.values.contains_key("first_discovered") {
                let first = stamp(&work.item, "first_discovered", before.get("first_discovered"));
                instance.store.set(&sys_id, "first_discovered", &first);
            }
        }
        for name in values.keys() {
            instance.store.set_writer(&sys_id, name, &self.source);
        }
        instance.store.set(&sys_id, "discovery_source", &self.source);
        let last = stamp(&work.item, "last_discovered", &now);
        instance.store.set(&sys_id, "last_discovered", last.as_str().max(before.get("last_discovered")));
        self.mark_duplicates(work, &sys_id);
        self.write_source(work.item.source.as_ref(), &class, &sys_id, is_stale);
        self.unpark(&work.merged);
        self.write_related(work, &sys_id);
    }

    /// The class that a found record has afterwards.
    fn class_after(&self, work: &mut Work, before: &str) -> String {
        let (schema, wanted) = (&self.call.instance.schema, &work.item.class);
        if wanted == before {
            return wanted.clone();
        }
        let change = class_move(schema, before, wanted);
        let is_forbidden = !self.call.instance.is_on(change.property, true)
            && !work.item.settings.get("skipReclassificationRestrictionRules").copied().unwrap_or_default();
        if is_forbidden || work.item.settings.get(change.setting).copied().unwrap_or_default() {
            let message = format!("the class stays [{before}] in place of [{wanted}]");
            work.info.push(Finding::new(change.skipped, message));
            return before.to_owned();
        }
        wanted.clone()
    }

    /// Whether the source itself knew the record later than this.
    fn is_stale(&self, source: Option<&SourceInfo>) -> bool {
        let Some(source) = source.filter(|source| source.is_complete() && !source.recency.is_empty()) else { return false };
        self.call.settings.stale_recency_skips
            && source_row(self.call.instance, source).is_some_and(|(_, row)| source.recency.as_str() <= row.get("source_recency_timestamp"))
    }

    fn write_source(&mut self, source: Option<&SourceInfo>, class: &str, sys_id: &str, is_stale: bool) {
        let Some(source) = source.filter(|source| source.is_complete()) else { return };
        let now = clock::stored(self.call.now);
        let recency = if source.recency.is_empty() { &now } else { &source.recency };
        let known = source_row(self.call.instance, source).map(|(sys_id, row)| (sys_id.clone(), row.clone()));
        match known {
            None => {
                let values = [
                    ("name", source.name.as_str()),
                    ("id", &source.native_key),
                    ("source_feed", &source.feed),
                    ("target_table", class),
                    ("target_sys_id", sys_id),
                    ("last_scan", &now),
                    ("source_recency_timestamp", recency),
                ];
                note(self.call, "sys_object_source", &values);
            }
            Some((row_id, row)) => {
                let last_scan = now.as_str().max(row.get("last_scan"));
                let recency = if is_stale { row.get("source_recency_timestamp") } else { recency };
                let feed = if source.feed.is_empty() { row.get("source_feed") } else { &source.feed };
                let values = [
                    ("source_feed", feed),
                    ("target_table", class),
                    ("target_sys_id", sys_id),
                    ("last_scan", last_scan),
                    ("source_recency_timestamp", recency),
                ];
                self.call.instance.update(&row_id, &values);
            }
        }
    }

    /// The oldest of several records won; people are asked to look at the others.
    fn mark_duplicates(&mut self, work: &Work, winner: &str) {
        for duplicate in &work.duplicates {
            self.call.instance.update(duplicate, &[("duplicate_of", winner)]);
        }
        if !work.duplicates.is_empty() {
            let text = format!("{} duplicates of {winner}", work.duplicates.len());
            note(self.call, "reconcile_duplicate_task", &[("short_description", &text), ("record", winner)]);
        }
    }

    fn write_related(&mut self, work: &mut Work, sys_id: &str) {
        let main = work.indices.first().copied().unwrap_or_default();
        for (items, is_lookup) in [(work.item.related.clone(), false), (work.item.lookup.clone(), true)] {
            let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
            for (sub, item) in items.iter().enumerate() {
                let mut related = Related {
                    class: item.class.clone(),
                    indices: vec![(main, sub)],
                    operation: "",
                    sys_id: None,
                    error: None,
                    internal_id: item.internal_id.clone(),
                };
                let schema = &self.call.instance.schema;
                let (keys, missing, duplicate) = if is_lookup {
                    (schema.lookups.get(&item.class), "IDENTIFICATION_RULE_FOR_LOOKUP_MISSING", "DUPLICATE_LOOKUP_PAYLOAD")
                } else {
                    (schema.related.get(&item.class), "IDENTIFICATION_RULE_FOR_RELATED_ITEM_MISSING", "DUPLICATE_RELATED_PAYLOAD")
                };
                let is_dependent = schema.rule(&work.item.class).is_some_and(|(_, rule)| !rule.independent);
                if is_lookup && is_dependent {
                    let message = format!("no lookup rules for dependent class [{}]", work.item.class);
                    related.error = Some(Finding::new("NO_LOOKUP_RULES_FOR_DEPENDENT_CI", message));
                    work.related.push(related);
                    continue;
                }
                let Some(keys) = keys.cloned() else {
                    related.error = Some(Finding::new(missing, format!("no rule for table [{}]", item.class)));
                    work.related.push(related);
                    continue;
                };
                let own: Vec<String> = keys.iter().skip(1).map(|key| item.values.get(key).cloned().unwrap_or_default()).collect();
                match seen.get(&own).copied() {
                    Some(twin) if self.options.deduplicate_payloads => {
                        if let Some(twin) = work.related.get_mut(twin) {
                            twin.indices.push((main, sub));
                        }
                        continue;
                    }
                    Some(_) => {
                        let message = format!("found duplicate entries for table [{}]: {}", item.class, own.join(","));
                        related.error = Some(Finding::new(duplicate, message));
                    }
                    None if own.first().is_none_or(String::is_empty) => {
                        let message = format!("the entry has no complete set of criterion attributes for table [{}]", item.class);
                        related.error = Some(Finding::new("MISSING_MATCHING_ATTRIBUTES", message));
                    }
                    None => self.write_row(&mut related, item, &keys, sys_id),
                }
                seen.insert(own, work.related.len());
                work.related.push(related);
            }
        }
    }

    fn write_row(&mut self, related: &mut Related, item: &Item, keys: &[String], record: &str) {
        let schema = &self.call.instance.schema;
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &item.values {
            if let Some(Kept::As(value)) =
                schema.column(&item.class, name).filter(|column| !column.read_only).map(|column| keep(column, value))
            {
                values.insert(name.clone(), value);
            }
        }
        if let Some(owner) = keys.first() {
            values.insert(owner.clone(), record.to_owned());
        }
        let instance = &*self.call.instance;
        // The keys of a record are fewer than the records with a key of that name.
        let wanted: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), values.get(key).map_or("", String::as_str))).collect();
        let known = if crate::store::Store::is_indexed(keys.first().map_or("", String::as_str)) {
            find(instance, &item.class, &wanted)
        } else {
            let mut wanted = wanted.clone();
            wanted.rotate_left(1);
            find(instance, &item.class, &wanted)
        };
        let known = known.map(|(sys_id, row)| (sys_id.clone(), row.clone()));
        let may_write = self.may_write();
        match known {
            None => {
                related.operation = "INSERT";
                if may_write {
                    let user = self.call.caller.user_name.clone();
                    related.sys_id = Some(self.call.instance.create(&item.class, values, &user, self.call.now));
                }
            }
            Some((sys_id, row)) => {
                let changed: Vec<(&String, &String)> = values.iter().filter(|(name, value)| row.get(name) != value.as_str()).collect();
                related.operation = if changed.is_empty() { "NO_CHANGE" } else { "UPDATE" };
                if may_write && !changed.is_empty() {
                    for (name, value) in changed {
                        self.call.instance.store.set(&sys_id, name, value);
                    }
                    let user = self.call.caller.user_name.clone();
                    self.call.instance.touch(&sys_id, &user, self.call.now);
                }
                related.sys_id = Some(sys_id);
            }
        }
    }

    /// Writes the relations whose ends are sound.
    pub(super) fn write_relations(&mut self) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let mut seen: BTreeMap<(String, String, String), usize> = BTreeMap::new();
        for (index, relation) in self.payload.relations.iter().enumerate() {
            let mut link = Link { indices: vec![index], operation: "", sys_id: None, error: None, is_parked: false };
            let types: Vec<String> = self
                .call
                .instance
                .store
                .having("name", &relation.kind)
                .filter(|(_, row)| row.table == "cmdb_rel_type")
                .map(|(sys_id, _)| sys_id.clone())
                .collect();
            let ends = (self.end(&relation.parent), self.end(&relation.child));
            match (types.as_slice(), ends) {
                ([kind], (Ok(parent), Ok(child))) => {
                    let key = (parent.clone(), child.clone(), kind.clone());
                    if let Some(twin) = seen.get(&key).and_then(|twin| links.get_mut(*twin)) {
                        twin.indices.push(index);
                        continue;
                    }
                    seen.insert(key, links.len());
                    self.write_relation(&mut link, &parent, &child, kind, relation.source.as_ref());
                }
                ([], _) => {
                    let message = format!("[{}] is not a name in [cmdb_rel_type]", relation.kind);
                    link.error = Some(Finding::new("INVALID_INPUT_DATA", message));
                }
                ([_, _, ..], _) => {
                    let message = format!("[{}] is the name of several rows in [cmdb_rel_type]", relation.kind);
                    link.error = Some(Finding::new("DUPLICATE_RELATIONSHIP_TYPES", message));
                }
                (_, (Err((error, fate)), _) | (_, Err((error, fate)))) => {
                    link.is_parked = fate != Fate::Failed;
                    link.operation = match fate {
                        Fate::Partial => "INSERT_AS_PARTIAL",
                        Fate::Incomplete => "INSERT_AS_INCOMPLETE",
                        Fate::Failed => "",
                    };
                    link.error = Some(error);
                }
            }
            if link.error.is_some() && link.operation.is_empty() {
                link.operation = match (self.options.partial_payloads, self.call.settings.failed_operation) {
                    (true, _) | (false, FailedOperation::Incomplete) => "INSERT_AS_INCOMPLETE",
                    (false, FailedOperation::Insert) => "INSERT",
                    (false, FailedOperation::Absent) => "",
                };
            }
            links.push(link);
        }
        links
    }

    fn write_relation(&mut self, link: &mut Link, parent: &str, child: &str, kind: &str, source: Option<&(String, String)>) {
        let known = self.call.instance.store.relation(parent, child, kind).cloned();
        link.operation = if known.is_some() { "NO_CHANGE" } else { "INSERT" };
        if !self.may_write() {
            link.sys_id = known;
            return;
        }
        let sys_id = known.unwrap_or_else(|| {
            let values = [("parent", parent), ("child", child), ("type", kind)];
            note(self.call, "cmdb_rel_ci", &values)
        });
        if let Some((name, feed)) = source {
            let now = clock::stored(self.call.now);
            let row = find(self.call.instance, "sys_rel_source", &[("target_sys_id", &sys_id), ("name", name)]).map(|(row, _)| row.clone());
            match row {
                Some(row) => self.call.instance.update(&row, &[("last_scan", &now), ("source_feed", feed)]),
                None => {
                    let values = [("name", name.as_str()), ("source_feed", feed), ("target_sys_id", &sys_id), ("last_scan", &now)];
                    note(self.call, "sys_rel_source", &values);
                }
            }
        }
        link.sys_id = Some(sys_id);
    }

    /// The record at an end of a relation.
    fn end(&self, end: &End) -> Result<String, (Finding, Fate)> {
        if let Some(work) = self.payload.item_at(end).and_then(|index| self.place.get(index)).and_then(|place| self.work.get(*place)) {
            return match (&work.error, work.sys_id()) {
                (None, Some(sys_id)) => Ok(sys_id.to_owned()),
                _ => Err((Finding::new("ABANDONED", "an end of the relation could not be identified"), work.fate)),
            };
        }
        let bad = |what: String| Err((Finding::new("INVALID_INPUT_DATA", what), Fate::Failed));
        match end {
            End::Index(index) => bad(format!("index [{index}] is not one of the payload's items")),
            End::Missing => bad("the relation has no parent or no child".to_owned()),
            End::InternalId(id) => {
                let mut related = self.work.iter().flat_map(|work| &work.related);
                match related.find(|related| related.internal_id.as_ref() == Some(id)).and_then(|related| related.sys_id.clone()) {
                    Some(sys_id) => Ok(sys_id),
                    None => bad(format!("internal_id [{id}] is not in the payload")),
                }
            }
        }
    }
}

/// What the columns of the class keep of the values. The rest becomes warnings.
fn accepted(schema: &Schema, class: &str, work: &mut Work) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in &work.item.values {
        if ENGINE_COLUMNS.contains(&name.as_str()) || name == "sys_id" {
            continue;
        }
        let column = schema.column(class, name).filter(|column| !column.read_only && !name.starts_with("sys_"));
        match column.map(|column| keep(column, value)) {
            Some(Kept::As(value)) => {
                values.insert(name.clone(), value);
            }
            Some(Kept::Not) => {
                let message = format!("value [{value}] does not fit field '{name}' in table '{class}'");
                work.warnings.push(Finding::new("INVALID_FIELD_VALUE", message));
            }
            None if name.starts_with("sys_") => {
                work.warnings.push(Finding::new("SYSTEM_FIELD", format!("system field '{name}' in table '{class}' is ignored")));
            }
            None => work.warnings.push(Finding::new("UNKNOWN_FIELD", format!("unknown field '{name}' in table '{class}'"))),
        }
    }
    values
}

/// A time that the item brings, or another.
fn stamp(item: &Item, name: &str, otherwise: &str) -> String {
    item.values.get(name).filter(|text| clock::parse(text).is_some()).map_or_else(|| otherwise.to_owned(), Clone::clone)
}

fn class_move(schema: &Schema, before: &str, wanted: &str) -> Move {
    if schema.is_a(wanted, before) {
        UPGRADE
    } else if schema.is_a(before, wanted) {
        DOWNGRADE
    } else {
        SWITCH
    }
}

/// Whether another source comes before this one in a column.
fn is_masked(rules: &[ReconciliationRule], schema: &Schema, class: &str, column: &str, source: &str, row: &Row) -> bool {
    let is_it = |rule: &&ReconciliationRule| {
        schema.is_a(class, &rule.class) && (rule.columns.is_empty() || rule.columns.iter().any(|known| known == column))
    };
    let Some(rule) = rules.iter().find(is_it) else { return false };
    let rank = |source: &str| rule.sources.iter().position(|known| known == source);
    let writer = row.writers.get(column).and_then(|writer| rank(writer));
    match (rank(source), writer) {
        (None, _) => true,
        (Some(own), Some(writer)) => writer < own,
        (Some(_), None) => false,
    }
}

fn source_row<'a>(instance: &'a Instance, source: &SourceInfo) -> Option<(&'a String, &'a Row)> {
    find(instance, "sys_object_source", &[("id", &source.native_key), ("name", &source.name)])
}
