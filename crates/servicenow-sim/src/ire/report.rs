//! What the engine says it did.

use std::collections::BTreeMap;

use dewpoint_sim_kit::hash::mix;
use serde_json::{Map, Value, json};

use super::{
    Engine,
    work::{Attempt, Fate, Finding, Link, Related, Work},
};
use crate::{
    hash::{base_sys_id, shuffle, sys_id},
    reply::Reply,
};

/// Keys without which an answer cannot be understood. The others may be left out when they are empty.
const NEEDED: [&str; 5] = ["className", "operation", "sysId", "inputIndices", "errors"];

impl Engine<'_, '_> {
    pub(super) fn report(self, links: &[Link]) -> Reply {
        let chance = self.call.chance;
        let items: Vec<Value> = self.work.iter().map(|work| self.item(work)).collect();
        let relations: Vec<Value> = links.iter().map(|link| self.link(link)).collect();
        let is_order_kept = !self.call.settings.shuffle_output;
        let mix_up = |values: Vec<Value>, part: u64| if is_order_kept { values } else { shuffle(mix(chance ^ part), values) };
        let mut result = Map::new();
        result.insert("items".to_owned(), Value::Array(mix_up(items, 1)));
        result.insert("relations".to_owned(), Value::Array(mix_up(relations, 2)));
        if self.endpoint.is_enhanced {
            result.insert("additionalCommittedItems".to_owned(), json!([]));
            result.insert("additionalCommittedRelations".to_owned(), json!([]));
        }
        let is_error = |work: &Work| work.error.is_some() && !work.looks_clean;
        let has_error = self.work.iter().any(is_error) || links.iter().any(|link| link.error.is_some() && !link.is_parked);
        let has_warning = self.work.iter().any(|work| !work.warnings.is_empty() || work.looks_clean);
        if self.options.generate_summary || !self.endpoint.is_enhanced {
            result.insert("hasError".to_owned(), json!(has_error));
            result.insert("hasWarning".to_owned(), json!(has_warning));
        }
        if self.options.generate_summary {
            result.insert("summary".to_owned(), self.summary());
        }
        result.insert("logContextId".to_owned(), json!(sys_id(chance, 0)));
        let mut reply = Reply::result(Value::Object(result));
        for work in self.work.iter().filter(|work| !work.operation.is_empty()) {
            let what = if self.endpoint.commits && (work.is_committed || work.error.is_some()) {
                if work.error.is_some() && work.fate == Fate::Failed { "FAILED" } else { work.operation }
            } else {
                "NOT_COMMITTED"
            };
            *reply.operations.entry(what.to_owned()).or_default() += 1;
        }
        for link in links {
            let what = match (&link.error, self.endpoint.commits && !self.is_refused) {
                (Some(_), _) => "FAILED",
                (None, true) => link.operation,
                (None, false) => "NOT_COMMITTED",
            };
            *reply.relation_operations.entry(what.to_owned()).or_default() += 1;
        }
        reply
    }

    fn item(&self, work: &Work) -> Value {
        let parked_error = work.error.as_ref().filter(|_| work.looks_clean);
        let errors: Vec<&Finding> = work.error.iter().filter(|_| parked_error.is_none()).collect();
        let warnings: Vec<&Finding> = parked_error.into_iter().chain(&work.warnings).collect();
        let sys_id = match work.sys_id() {
            Some(sys_id) if work.error.is_none() && (work.is_committed || work.operation != "INSERT") && !self.is_refused => sys_id,
            _ => "Unknown",
        };
        let entry = work.entry.as_ref().filter(|_| sys_id != "Unknown").map_or_else(|| "Unknown".to_owned(), |entry| base_sys_id(entry));
        let attempts: Vec<Value> = work.attempts.iter().map(attempt).collect();
        let related: Vec<Value> = work.related.iter().map(related).collect();
        let related_ids: Vec<Option<&String>> = work.related.iter().map(|related| related.sys_id.as_ref()).collect();
        let parked = |fate: Fate| if work.fate == fate { work.parked.clone() } else { Vec::new() };
        let mut object = json!({
            "className": work.item.class,
            "sysId": sys_id,
            "identifierEntrySysId": entry,
            "identificationAttempts": attempts,
            "relatedSysIds": related_ids,
            "relatedItems": related,
            "additionalRelatedItems": [],
            "errors": errors.iter().map(|error| finding(error)).collect::<Vec<_>>(),
            "errorCount": errors.len(),
            "warnings": warnings.iter().map(|warning| finding(warning)).collect::<Vec<_>>(),
            "warningCount": warnings.len(),
            "info": work.info.iter().map(|info| json!({"code": info.code, "message": info.message, "ruleSysId": ""})).collect::<Vec<_>>(),
            "maskedAttributes": work.masked,
            "inputIndices": work.indices,
            "markers": [],
            "mergedPayloadIds": work.merged,
            "partialSysIds": parked(Fate::Partial),
            "incompleteSysIds": parked(Fate::Incomplete),
            "duplicateLookupIndices": [],
        });
        if let Some(object) = object.as_object_mut() {
            if !work.operation.is_empty() {
                object.insert("operation".to_owned(), json!(work.operation));
            }
            self.thin(object, work.indices.first().copied().unwrap_or_default());
        }
        object
    }

    fn link(&self, link: &Link) -> Value {
        let errors: Vec<Value> =
            link.error.iter().filter(|_| !link.is_parked || link.operation == "INSERT_AS_INCOMPLETE").map(finding).collect();
        let warnings: Vec<Value> =
            link.error.iter().filter(|_| link.is_parked && link.operation == "INSERT_AS_PARTIAL").map(finding).collect();
        let mut object = json!({
            "className": "cmdb_rel_ci",
            "sysId": link.sys_id.as_deref().filter(|_| !self.is_refused).unwrap_or("Unknown"),
            "errorCount": errors.len(),
            "errors": errors,
            "warningCount": warnings.len(),
            "warnings": warnings,
            "inputIndices": link.indices,
            "markers": [],
            "mergedPayloadIds": [],
            "partialSysIds": [],
            "incompleteSysIds": [],
        });
        if let Some(object) = object.as_object_mut() {
            if !link.operation.is_empty() {
                object.insert("operation".to_owned(), json!(link.operation));
            }
            self.thin(object, 1000 + link.indices.first().copied().unwrap_or_default());
        }
        object
    }

    /// Leaves out what is empty, now and then.
    fn thin(&self, object: &mut Map<String, Value>, number: usize) {
        let number = u64::try_from(number).unwrap_or_default();
        if !self.call.settings.sparse_output || mix(self.call.chance ^ mix(number)).is_multiple_of(2) {
            return;
        }
        object.retain(|name, value| {
            let is_empty = match value {
                Value::Array(values) => values.is_empty(),
                Value::Number(number) => number.as_u64() == Some(0),
                _ => false,
            };
            !is_empty || NEEDED.contains(&name.as_str())
        });
    }

    fn summary(&self) -> Value {
        let mut summary: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        const COUNTS: [&str; 10] = [
            "inserted",
            "updated",
            "unchanged",
            "skipped",
            "partial",
            "incomplete",
            "errors",
            "warnings",
            "additionalInserted",
            "mergedPartialPayloads",
        ];
        for work in &self.work {
            let counts = summary.entry(work.item.class.as_str()).or_insert_with(|| COUNTS.iter().map(|name| (*name, 0)).collect());
            let mut add = |name: &'static str, count: usize| *counts.entry(name).or_default() += count;
            match (&work.error, work.operation) {
                (Some(_), _) => match work.fate {
                    Fate::Partial => add("partial", 1),
                    Fate::Incomplete => add("incomplete", 1),
                    Fate::Failed => add("skipped", 1),
                },
                (None, "INSERT") => add("inserted", 1),
                (None, "NO_CHANGE") => add("unchanged", 1),
                (None, _) => add("updated", 1),
            }
            let is_warning = usize::from(work.looks_clean);
            add("errors", usize::from(work.error.is_some()) - is_warning);
            add("warnings", work.warnings.len() + is_warning);
            add("mergedPartialPayloads", work.merged.len());
        }
        json!(summary)
    }
}

fn finding(finding: &Finding) -> Value {
    json!({"error": finding.code, "message": finding.message})
}

fn attempt(attempt: &Attempt) -> Value {
    let mut object = json!({
        "identifierName": attempt.identifier,
        "attemptResult": attempt.result,
        "attributes": attempt.attributes,
        "hybridEntryCiAttributes": [],
    });
    if let Some(object) = object.as_object_mut() {
        if !attempt.table.is_empty() {
            object.insert("searchOnTable".to_owned(), json!(attempt.table));
        }
        if !attempt.info.is_empty() {
            object.insert("info".to_owned(), json!(attempt.info));
        }
    }
    object
}

fn related(related: &Related) -> Value {
    let indices: Vec<Value> = related.indices.iter().map(|(main, sub)| json!({"mainIndex": main, "subIndex": sub})).collect();
    let errors: Vec<Value> = related.error.iter().map(finding).collect();
    json!({
        "className": related.class,
        "operation": if related.operation.is_empty() { "INSERT" } else { related.operation },
        "sysId": related.sys_id.as_deref().unwrap_or("Unknown"),
        "inputIndices": indices,
        "markers": [],
        "mergedPayloadIds": [],
        "errorCount": errors.len(),
        "errors": errors,
        "warningCount": 0,
    })
}
