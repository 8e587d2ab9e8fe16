//! Payloads and parts of payloads that are put aside.

use dewpoint_sim_kit::clock::later;
use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{
    Engine, find, note,
    work::{Fate, Work},
};
use crate::{clock, reply::Reply};

/// How long a partial payload waits for the rest.
const PARTIAL_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

impl Engine<'_, '_> {
    /// Parks a payload that names no data source. Its items look clean.
    pub(super) fn park_all(mut self) -> Reply {
        let payload: Value = serde_json::from_slice(self.call.body).unwrap_or_default();
        let values = [("error", "INVALID_INPUT_DATA"), ("payload", &payload.to_string())];
        let parked = note(self.call, "cmdb_ire_incomplete_payloads", &values);
        self.gather();
        for work in &mut self.work {
            work.fail("INVALID_INPUT_DATA", "the request names no data source");
            work.fate = Fate::Incomplete;
            work.parked = vec![parked.clone()];
            work.looks_clean = true;
            work.operation = "INSERT_AS_INCOMPLETE";
        }
        self.is_refused = true;
        let links = self.write_relations();
        self.report(&links)
    }

    /// Stores what failed and may be stored.
    pub(super) fn park_failed(&mut self) {
        let expires = clock::stored(later(self.call.now, PARTIAL_LIFE));
        for work in &mut self.work {
            let Some(error) = &work.error else { continue };
            let payload = serde_json::json!({"items": [*work.item.raw]}).to_string();
            let class = work.item.class.as_str();
            match work.fate {
                Fate::Failed => {}
                Fate::Incomplete => {
                    let values =
                        [("class_name", class), ("discovery_source", self.source.as_str()), ("payload", &payload), ("error", error.code)];
                    work.parked = vec![note(self.call, "cmdb_ire_incomplete_payloads", &values)];
                }
                Fate::Partial => {
                    let key = parked_key(work);
                    let values = [
                        ("source_native_key", key.as_str()),
                        ("class_name", class),
                        ("discovery_source", &self.source),
                        ("payload", &payload),
                        ("error", error.code),
                        ("expires_on", &expires),
                    ];
                    let known = find(self.call.instance, "cmdb_ire_partial_payloads", &values[..2]).map(|(sys_id, _)| sys_id.clone());
                    work.parked = vec![match known {
                        Some(sys_id) => {
                            self.call.instance.update(&sys_id, &values);
                            sys_id
                        }
                        None => note(self.call, "cmdb_ire_partial_payloads", &values),
                    }];
                }
            }
        }
    }

    /// Fills what an item lacks from what was parked of it, however old that is.
    pub(super) fn merge_parked(&mut self, work: &mut Work) {
        let key = parked_key(work);
        let now = clock::stored(self.call.now);
        let values = [("source_native_key", key.as_str()), ("class_name", &work.item.class)];
        let Some((sys_id, row)) = find(self.call.instance, "cmdb_ire_partial_payloads", &values) else { return };
        if row.get("expires_on") <= now.as_str() {
            return;
        }
        let payload: Value = serde_json::from_str(row.get("payload")).unwrap_or_default();
        let stale = payload.pointer("/items/0/values").and_then(Value::as_object).cloned().unwrap_or_default();
        fill(work, &stale);
        work.merged.push(sys_id.clone());
    }

    /// Takes away what was merged into something that is committed now.
    pub(super) fn unpark(&mut self, merged: &[String]) {
        for sys_id in merged {
            self.call.instance.store.remove(sys_id);
        }
    }
}

fn fill(work: &mut Work, stale: &Map<String, Value>) {
    for (name, value) in stale {
        if let Some(value) = value.as_str() {
            work.item.values.entry(name.clone()).or_insert_with(|| value.to_owned());
        }
    }
}

/// What parked parts of one record have in common.
fn parked_key(work: &Work) -> String {
    match work.item.source.as_ref().filter(|source| source.is_complete()) {
        Some(source) => format!("{} {}", source.name, source.native_key),
        None => format!("object_id {}", work.item.values.get("object_id").map_or("", String::as_str)),
    }
}
