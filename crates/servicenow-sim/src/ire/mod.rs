//! The identification and reconciliation engine.

mod commit;
mod identify;
mod options;
mod park;
mod report;
mod request;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) use self::{options::Options, request::Payload};
use self::{
    request::Item,
    work::{Fate, Located, Work},
};
use crate::{
    call::Call,
    hash::is_sys_id,
    instance::Instance,
    reply::{ApiError, Reply},
    schema::HostRule,
    settings::MergeWinner,
    store::Row,
};

/// Most items of a payload whose parts can be parked as partial.
const PARTIAL_ITEMS_MAX: usize = 1000;

/// One of the four endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) is_enhanced: bool,
    /// Whether it commits.
    pub(crate) commits: bool,
}

impl Endpoint {
    /// The part of the path behind `identifyreconcile`.
    pub(crate) fn of(rest: Option<&str>) -> Option<Self> {
        match rest {
            None => Some(Self { is_enhanced: false, commits: true }),
            Some("enhanced") => Some(Self { is_enhanced: true, commits: true }),
            Some("query") => Some(Self { is_enhanced: false, commits: false }),
            Some("queryEnhanced") => Some(Self { is_enhanced: true, commits: false }),
            Some(_) => None,
        }
    }
}

/// The parents that a payload holds while it is worked on: the hosts of its dependent items.
pub(crate) fn locks(instance: &Instance, payload: &Payload) -> BTreeSet<String> {
    let hosts = identify::hosts(&instance.schema, payload);
    let keys = identify::keys(&instance.schema, payload, &hosts);
    let parents: BTreeSet<usize> = hosts.iter().flatten().map(|(host, _)| *host).collect();
    parents.into_iter().filter_map(|host| keys.get(host).cloned().flatten()).collect()
}

/// One payload on its way through the engine.
pub(crate) struct Engine<'a, 'b> {
    pub(crate) call: &'a mut Call<'b>,
    pub(crate) payload: &'a Payload,
    pub(crate) options: Options,
    pub(crate) endpoint: Endpoint,
    pub(crate) source: String,
    pub(crate) work: Vec<Work>,
    /// By item of the payload, the place among the work.
    pub(crate) place: Vec<usize>,
    /// Nothing is to be committed, since one item failed.
    pub(crate) is_refused: bool,
}

/// Answers a payload. With `is_locked_out` it waited too long for another one.
pub(crate) fn answer(call: &mut Call<'_>, endpoint: Endpoint, payload: &Payload, is_locked_out: bool) -> Result<Reply, ApiError> {
    if !call.caller.has(&["itil", "asset"]) {
        return Err(ApiError::new(403, "Operation Failed", Some("ACL Exception: the user needs the role itil or asset")));
    }
    let options = if endpoint.is_enhanced { Options::parse(call.parameter("options"))? } else { Options::PLAIN };
    if payload.items.len() > call.settings.ire_items_max {
        return Err(ApiError::killed());
    }
    let source = call.parameter("sysparm_data_source").to_owned();
    let mut engine = Engine { call, payload, options, endpoint, source, work: Vec::new(), place: Vec::new(), is_refused: false };
    if engine.source.is_empty() && endpoint.commits {
        return Ok(engine.park_all());
    }
    let hosts = engine.gather();
    if is_locked_out {
        engine.fail_all("LOCK_TIMEOUT", "could not obtain the mutex of the payload's parents in time");
    } else if !is_data_source(engine.call.instance, &engine.source) {
        let message = format!("data source [{}] is not a choice of cmdb_ci.discovery_source", engine.source);
        engine.fail_all("INVALID_INPUT_DATA", &message);
    } else {
        engine.check();
        for index in engine.order(&hosts) {
            engine.identify(index, &hosts);
        }
        // A circle is never reached from outside.
        for work in &mut engine.work {
            if work.located == Located::Nowhere {
                work.fail("ABANDONED", "the item is part of a circle of dependencies");
            }
        }
    }
    engine.judge();
    Ok(engine.finish())
}

/// Whether an administrator registered the source, in the global scope.
fn is_data_source(instance: &Instance, source: &str) -> bool {
    instance.store.having("name", "cmdb_ci").any(|(_, row)| {
        row.table == "sys_choice"
            && row.get("element") == "discovery_source"
            && row.get("value") == source
            && row.get("inactive") != "true"
            && row.get("sys_scope") == "global"
    })
}

impl Engine<'_, '_> {
    /// Turns items into work, duplicates into one, and finds the hosts among the work.
    fn gather(&mut self) -> Vec<Vec<(usize, HostRule)>> {
        let schema = &self.call.instance.schema;
        let hosts = identify::hosts(schema, self.payload);
        let keys = identify::keys(schema, self.payload, &hosts);
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut same: Vec<(usize, usize)> = Vec::new();
        for (index, item) in self.payload.items.iter().enumerate() {
            let own_keys: Vec<String> = keys
                .get(index)
                .cloned()
                .flatten()
                .into_iter()
                .chain(
                    item.source
                        .as_ref()
                        .filter(|source| source.is_complete())
                        .map(|source| format!("{} {} {}", item.class, source.name, source.native_key)),
                )
                .collect();
            let twin = own_keys.iter().find_map(|key| known.get(key).copied());
            match twin.filter(|_| self.options.deduplicate_payloads) {
                Some(twin) => {
                    self.place.push(twin);
                    if let Some(work) = self.work.get_mut(twin) {
                        merge(work, item, index, self.call.settings.merge_winner);
                    }
                }
                None => {
                    if let Some(twin) = twin {
                        same.push((twin, self.work.len()));
                    }
                    for key in own_keys {
                        known.entry(key).or_insert(self.work.len());
                    }
                    self.place.push(self.work.len());
                    self.work.push(Work::new(item.clone(), index));
                }
            }
        }
        for (left, right) in same {
            let indexes = format!("{left},{right}");
            for index in [left, right] {
                if let Some(work) = self.work.get_mut(index) {
                    work.fail("DUPLICATE_PAYLOAD_RECORDS", format!("found duplicate items in the payload (index {indexes})"));
                }
            }
        }
        let mut by_work: Vec<Vec<(usize, HostRule)>> = vec![Vec::new(); self.work.len()];
        for (index, found) in hosts.iter().enumerate() {
            let Some(own) = self.place.get(index).and_then(|place| by_work.get_mut(*place)) else { continue };
            for (host, rule) in found {
                let Some(host) = self.place.get(*host) else { continue };
                if !own.iter().any(|(known, known_rule)| known == host && known_rule == *rule) {
                    own.push((*host, (*rule).clone()));
                }
            }
        }
        by_work
    }

    fn fail_all(&mut self, code: &'static str, message: &str) {
        for work in &mut self.work {
            work.fail(code, message);
        }
    }

    /// What can be said of each item by itself.
    fn check(&mut self) {
        let schema = &self.call.instance.schema;
        let mut internal_ids: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &self.payload.items {
            if let Some(id) = &item.internal_id {
                *internal_ids.entry(id).or_default() += 1;
            }
        }
        for work in &mut self.work {
            let class = work.item.class.clone();
            if class.is_empty() {
                work.fail("NO_CLASS_NAME_FOR_INDEPENDENT_CI", "the item has no className");
            } else if schema.rule(&class).is_none() && !work.item.values.contains_key("sys_id") {
                work.fail("IDENTIFICATION_RULE_MISSING", format!("no identification rule for table [{class}]"));
            } else if !schema.is_a(&class, "cmdb_ci") {
                work.fail("INVALID_INPUT_DATA", format!("class [{class}] is no configuration item"));
            }
            if let Some(id) = work.item.internal_id.clone().filter(|id| internal_ids.get(id.as_str()).is_some_and(|count| *count > 1)) {
                work.fail("INVALID_INPUT_DATA", format!("internal_id [{id}] is not unique in the payload"));
            }
            if let Some(name) = work.item.not_text.first().filter(|_| self.call.settings.text_values_only).cloned() {
                work.fail("INVALID_INPUT_DATA", format!("the value of field [{name}] is not a string"));
            }
            if self.call.settings.strict_references {
                let bad = work.item.values.iter().find(|(name, value)| {
                    let is_reference = schema.column(&class, name).is_some_and(|column| column.reference.is_some());
                    is_reference && !value.is_empty() && !is_sys_id(value)
                });
                if let Some(message) = bad.map(|(name, value)| format!("invalid sys_id [{value}] in field [{name}] of table [{class}]")) {
                    work.fail("INVALID_INPUT_DATA", message);
                }
            }
        }
    }

    /// Hosts before their guests. What is in a circle is not in it.
    fn order(&self, hosts: &[Vec<(usize, HostRule)>]) -> Vec<usize> {
        let mut guests: Vec<Vec<usize>> = vec![Vec::new(); self.work.len()];
        let mut waits: Vec<usize> = vec![0; self.work.len()];
        for (guest, hosts) in hosts.iter().enumerate() {
            let hosts: BTreeSet<usize> = hosts.iter().map(|(host, _)| *host).collect();
            for host in hosts {
                if let (Some(guests), Some(waits)) = (guests.get_mut(host), waits.get_mut(guest)) {
                    guests.push(guest);
                    *waits += 1;
                }
            }
        }
        let mut order: Vec<usize> = waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(index, _)| index).collect();
        let mut next = 0;
        while let Some(index) = order.get(next).copied() {
            next += 1;
            for guest in guests.get(index).into_iter().flatten() {
                if let Some(waits) = waits.get_mut(*guest) {
                    *waits -= 1;
                    if *waits == 0 {
                        order.push(*guest);
                    }
                }
            }
        }
        order
    }

    /// Finds the record of one item, or says why there is none.
    fn identify(&mut self, index: usize, hosts: &[Vec<(usize, HostRule)>]) {
        // It is out of the list while it is looked at; the list is asked for its host.
        let Some(mut work) = self.work.get_mut(index).map(std::mem::take) else { return };
        if work.error.is_none() {
            if self.options.partial_payloads {
                self.merge_parked(&mut work);
            }
            self.locate(&mut work, hosts.get(index).map(Vec::as_slice).unwrap_or_default());
        }
        if work.error.is_none() {
            self.check_columns(&mut work);
        }
        if work.error.is_some() {
            work.located = Located::Nowhere;
        }
        if let Some(slot) = self.work.get_mut(index) {
            *slot = work;
        }
    }

    fn locate(&mut self, work: &mut Work, hosts: &[(usize, HostRule)]) {
        let class = work.item.class.clone();
        let is_dependent = self.call.instance.schema.rule(&class).is_some_and(|(_, rule)| !rule.independent);
        let mut host = None;
        let places: BTreeSet<usize> = hosts.iter().map(|(place, _)| *place).collect();
        if is_dependent && !work.item.values.contains_key("sys_id") {
            match places.len() {
                0 => {}
                1 => host = places.first().copied(),
                _ => {
                    let message = format!("found {} qualifying relations for dependent class [{class}]", places.len());
                    work.fail("MULTIPLE_DEPENDENCIES", message);
                    return;
                }
            }
        }
        work.host = host;
        let host_work = host.and_then(|host| self.work.get(host));
        if host_work.is_some_and(|host| host.error.is_some()) {
            work.fail("ABANDONED", "an item that this one depends on could not be identified");
            return;
        }
        let rules: Vec<HostRule> = hosts.iter().map(|(_, rule)| rule.clone()).collect();
        let host_record = host_work.and_then(|host| match &host.located {
            Located::Found(sys_id) => Some(sys_id.clone()),
            Located::New(_) | Located::Nowhere => None,
        });
        let host_record = host_record.as_deref().map(|sys_id| (sys_id, rules.as_slice()));
        identify::locate(self.call, work, host_record, is_dependent);
        let has_chain = host.is_some() || !is_dependent || work.item.values.contains_key("sys_id");
        let is_source_match = work.attempts.iter().any(|attempt| attempt.result == "MATCHED" && attempt.identifier.is_empty());
        if !has_chain && (!is_source_match || self.call.settings.source_match_needs_chain) {
            let accepted = identify::accepted(&self.call.instance.schema, &class);
            work.fail("MISSING_DEPENDENCY", format!("no relations for dependent class [{class}]: {accepted}"));
        }
    }

    /// Mandatory columns, and who may insert.
    fn check_columns(&mut self, work: &mut Work) {
        let instance = &*self.call.instance;
        let class = work.item.class.clone();
        let is_new = matches!(work.located, Located::New(_));
        for (column, _) in instance.schema.columns(&class).into_iter().filter(|(column, _)| column.mandatory) {
            let sent = work.item.values.get(&column.name);
            if sent.is_some_and(String::is_empty) || (is_new && sent.is_none() && column.default.is_empty()) {
                let message = format!("mandatory field [{}] in table [{class}] is empty", column.name);
                work.fail("REQUIRED_ATTRIBUTE_EMPTY", message);
                return;
            }
        }
        let is_banned = |(source, banned): &(String, String)| *source == self.source && instance.schema.is_a(&class, banned);
        if is_new && instance.insert_bans.iter().any(is_banned) {
            work.fail("INSERT_NOT_ALLOWED_FOR_SOURCE", format!("source [{}] may not insert into table [{class}]", self.source));
        }
    }

    /// What becomes of what failed, and whether that stops all.
    fn judge(&mut self) {
        const PARTIAL: [&str; 4] =
            ["MISSING_MATCHING_ATTRIBUTES", "REQUIRED_ATTRIBUTE_EMPTY", "MISSING_DEPENDENCY", "INSERT_NOT_ALLOWED_FOR_SOURCE"];
        let is_small = self.payload.items.len() <= PARTIAL_ITEMS_MAX;
        let schema = &self.call.instance.schema;
        for work in &mut self.work {
            let Some(error) = &work.error else { continue };
            let has_criteria = |item: &Item| {
                schema.rule(&item.class).is_some_and(|(_, rule)| rule.entries.iter().any(|entry| identify::has_all(item, entry)))
            };
            let is_known = work.item.source.as_ref().is_some_and(request::SourceInfo::is_complete) || has_criteria(&work.item);
            work.fate = if !self.options.partial_payloads {
                Fate::Failed
            } else if PARTIAL.contains(&error.code) && is_known && is_small {
                Fate::Partial
            } else {
                Fate::Incomplete
            };
            work.looks_clean = work.fate == Fate::Partial;
        }
        let has_failed = self.work.iter().any(|work| work.error.is_some());
        self.is_refused = has_failed && !self.options.partial_commits;
    }

    /// Commits and reports.
    fn finish(mut self) -> Reply {
        if self.endpoint.commits && !self.is_refused {
            self.park_failed();
        }
        self.resolve_references();
        self.write_items();
        let links = self.write_relations();
        self.report(&links)
    }
}

/// Makes one item of two that are the same.
fn merge(work: &mut Work, item: &Item, index: usize, winner: MergeWinner) {
    work.indices.push(index);
    for (name, value) in &item.values {
        match winner {
            MergeWinner::First => {
                work.item.values.entry(name.clone()).or_insert_with(|| value.clone());
            }
            MergeWinner::Last => {
                work.item.values.insert(name.clone(), value.clone());
            }
        }
    }
    work.item.related.extend(item.related.iter().cloned());
    work.item.lookup.extend(item.lookup.iter().cloned());
    if work.item.source.is_none() {
        work.item.source.clone_from(&item.source);
    }
}

/// Makes a row of the engine's own.
fn note(call: &mut Call<'_>, table: &str, values: &[(&str, &str)]) -> String {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    call.instance.create(table, values, "system.engine", call.now)
}

/// The row of a table that has these values, the first of which is indexed.
fn find<'a>(instance: &'a Instance, table: &str, values: &[(&str, &str)]) -> Option<(&'a String, &'a Row)> {
    let (first, value) = values.first()?;
    let is_it = |row: &Row| row.table == table && values.iter().all(|(name, value)| row.get(name) == *value);
    instance.store.having(first, value).find(|(_, row)| is_it(row))
}
