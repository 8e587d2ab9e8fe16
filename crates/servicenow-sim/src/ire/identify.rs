//! Which record an item means.

use std::collections::BTreeSet;

use super::{
    request::{Item, Payload},
    work::{Attempt, Located, Work},
};
use crate::{
    call::Call,
    hash::is_sys_id,
    instance::{SKIP_DUPLICATES, SKIP_DUPLICATES_THRESHOLD, SKIP_SOURCE_MATCHING},
    schema::{HostRule, Schema},
    store::Store,
};

/// By item: the items that its relations name as its host, each with the rule that accepts it.
pub(crate) type Hosts<'a> = Vec<Vec<(usize, &'a HostRule)>>;

/// Finds the hosts of all items.
pub(crate) fn hosts<'a>(schema: &'a Schema, payload: &Payload) -> Hosts<'a> {
    let mut hosts: Hosts<'a> = vec![Vec::new(); payload.items.len()];
    for relation in &payload.relations {
        let (Some(parent), Some(child)) = (payload.item_at(&relation.parent), payload.item_at(&relation.child)) else { continue };
        let class = |index: usize| payload.items.get(index).map_or("", |item| item.class.as_str());
        for (guest, host, host_is_parent) in [(child, parent, true), (parent, child, false)] {
            for rule in schema.host_rules(class(guest)) {
                let fits = rule.host_is_parent == host_is_parent && rule.relation == relation.kind && schema.is_a(class(host), &rule.host);
                if let (true, Some(hosts)) = (fits, hosts.get_mut(guest)) {
                    hosts.push((host, rule));
                }
            }
        }
    }
    hosts
}

/// What tells each item from the others of its payload: its `sys_id`, or class, criterion attributes and host. Nothing where attributes are missing.
pub(crate) fn keys(schema: &Schema, payload: &Payload, hosts: &Hosts<'_>) -> Vec<Option<String>> {
    let mut keys = vec![None; payload.items.len()];
    let mut is_known = vec![false; payload.items.len()];
    for index in 0..payload.items.len() {
        key(schema, payload, hosts, index, &mut keys, &mut is_known);
    }
    keys
}

fn key(
    schema: &Schema,
    payload: &Payload,
    hosts: &Hosts<'_>,
    index: usize,
    keys: &mut [Option<String>],
    is_known: &mut [bool],
) -> Option<String> {
    match is_known.get_mut(index) {
        Some(is_known) if !*is_known => *is_known = true,
        // Also the way out of a circle.
        _ => return keys.get(index).cloned().flatten(),
    }
    let item = payload.items.get(index)?;
    let made = if let Some(sys_id) = item.values.get("sys_id") {
        format!("sys_id {sys_id}")
    } else {
        let (class, rule) = schema.rule(&item.class)?;
        let entry = rule.entries.iter().find(|entry| has_all(item, entry))?;
        let values: Vec<&str> = entry.iter().map(|attribute| value(item, attribute)).collect();
        let host = hosts.get(index).and_then(|hosts| hosts.first()).filter(|_| !rule.independent);
        let host = host.and_then(|(host, _)| key(schema, payload, hosts, *host, keys, is_known));
        format!("{class} {}={} in {}", entry.join(","), values.join("\u{1f}"), host.unwrap_or_default())
    };
    if let Some(slot) = keys.get_mut(index) {
        *slot = Some(made.clone());
    }
    Some(made)
}

/// The text that says which relations a class accepts.
pub(crate) fn accepted(schema: &Schema, class: &str) -> String {
    let rules: Vec<String> = schema
        .host_rules(class)
        .iter()
        .map(|rule| {
            let verb = rule.relation.split("::").next().unwrap_or_default();
            if rule.host_is_parent { format!("{} << {verb} << {class}", rule.host) } else { format!("{class} >> {verb} >> {}", rule.host) }
        })
        .collect();
    format!("[{}]", rules.join(", "))
}

pub(crate) fn has_all(item: &Item, entry: &[String]) -> bool {
    entry.iter().all(|attribute| !value(item, attribute).is_empty())
}

fn value<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.values.get(attribute).map_or("", String::as_str)
}

/// Finds the record, in the order of the product: `sys_id`, `sys_object_source`, identification entries. `host` is the record of the host, if it has one already.
pub(crate) fn locate(call: &mut Call<'_>, work: &mut Work, host: Option<(&str, &[HostRule])>, is_dependent: bool) {
    if let Some(sys_id) = work.item.values.get("sys_id") {
        let is_ci = call.instance.store.get(sys_id).is_some_and(|row| call.instance.schema.is_a(&row.table, "cmdb_ci"));
        if is_sys_id(sys_id) && is_ci {
            work.located = Located::Found(sys_id.clone());
        } else {
            let message = format!("sys_id [{sys_id}] is invalid or its record does not exist");
            work.fail("INVALID_INPUT_DATA", message);
        }
        return;
    }
    if let Some(found) = by_source(call, work) {
        work.located = Located::Found(found);
        return;
    }
    let schema = &call.instance.schema;
    let Some((class, rule)) = schema.rule(&work.item.class) else { return };
    let mut is_skipped = true;
    let mut matched: Vec<String> = Vec::new();
    for entry in &rule.entries {
        let mut attempt = Attempt {
            identifier: rule.name.clone(),
            attributes: entry.clone(),
            table: class.to_owned(),
            result: "SKIPPED",
            info: String::new(),
        };
        if has_all(&work.item, entry) {
            is_skipped = false;
            matched = candidates(call, &work.item, class, entry, host, is_dependent);
            attempt.result = match matched.len() {
                0 => "NO_MATCH",
                1 => "MATCHED",
                _ => "MULTI_MATCH",
            };
        }
        work.attempts.push(attempt);
        if !matched.is_empty() {
            work.entry = Some(format!("{class} {}", entry.join(",")));
            break;
        }
    }
    if is_skipped {
        let message = format!("the item has no complete set of criterion attributes for table [{class}]");
        work.fail("MISSING_MATCHING_ATTRIBUTES", message);
        return;
    }
    match matched.len() {
        0 => work.located = Located::New(call.instance.next_sys_id()),
        count => {
            let threshold = call.instance.property(SKIP_DUPLICATES_THRESHOLD).and_then(|text| text.parse().ok()).unwrap_or(5);
            if count > 1 && (count > threshold || !call.instance.is_on(SKIP_DUPLICATES, true)) {
                let message = format!("found {count} duplicate records in table [{class}]: {}", matched.join(","));
                work.fail("MULTIPLE_DUPLICATE_RECORDS", message);
                return;
            }
            let mut matched = matched.into_iter();
            if let Some(oldest) = matched.next() {
                work.located = Located::Found(oldest);
            }
            work.duplicates = matched.collect();
        }
    }
}

/// The record that this source calls by this key.
fn by_source(call: &Call<'_>, work: &mut Work) -> Option<String> {
    let source = work.item.source.as_ref().filter(|source| source.is_complete())?;
    if call.instance.is_on(SKIP_SOURCE_MATCHING, false) {
        return None;
    }
    let store = &call.instance.store;
    let found = store
        .having("id", &source.native_key)
        .filter(|(_, row)| row.table == "sys_object_source" && row.get("name") == source.name)
        .map(|(_, row)| row.get("target_sys_id"))
        // A row whose record was deleted stays behind, and means nothing.
        .find(|target| store.get(target).is_some_and(|row| call.instance.schema.is_a(&row.table, "cmdb_ci")))
        .map(str::to_owned);
    let result = if found.is_some() { "MATCHED" } else { "NO_MATCH" };
    work.attempts.push(Attempt { result, info: format!("sys_object_source {result}"), ..Attempt::default() });
    found
}

/// Records that have the attributes and, when dependent, the host; the oldest first.
fn candidates(
    call: &Call<'_>,
    item: &Item,
    class: &str,
    entry: &[String],
    host: Option<(&str, &[HostRule])>,
    is_dependent: bool,
) -> Vec<String> {
    let instance = &*call.instance;
    let Some(first) = entry.first() else { return Vec::new() };
    let has_host = |sys_id: &str| {
        if !is_dependent || !call.settings.match_needs_relation {
            return true;
        }
        let Some((host, rules)) = host else { return false };
        rules.iter().any(|rule| {
            let (parent, child) = if rule.host_is_parent { (host, sys_id) } else { (sys_id, host) };
            instance.relation_type(&rule.relation).is_some_and(|kind| instance.store.relation(parent, child, &kind).is_some())
        })
    };
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    let rows: Vec<_> = if Store::is_indexed(first) {
        instance.store.having(first, value(item, first)).collect()
    } else {
        instance.store.rows().iter().collect()
    };
    for (sys_id, row) in rows {
        let same = entry.iter().all(|attribute| row.get(attribute) == value(item, attribute));
        if same && instance.schema.is_a(&row.table, class) && row.get("duplicate_of").is_empty() && has_host(sys_id) {
            found.insert((row.get("sys_created_on"), sys_id));
        }
    }
    found.into_iter().map(|(_, sys_id)| sys_id.to_owned()).collect()
}
