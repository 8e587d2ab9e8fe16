//! What was asked, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_sim_kit::Record;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request and its answer. Neither credentials nor bodies are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When, by the instance's clock.
    pub at: Timestamp,
    /// The interface: `oauth`, `table`, `identifyreconcile`, `identifyreconcile_query`, `meta`, `cmdb_instance`, `stats`, `batch`, `tinyurl`, or `unknown`.
    pub api: String,
    /// `GET`, …
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query, decoded, without keys.
    pub query: BTreeMap<String, String>,
    /// The table or class that the path names.
    pub table: Option<String>,
    /// Who asked; empty when nobody was let in.
    pub user: String,
    /// The HTTP status of the answer, also of one that never arrived; 0 when there was none.
    pub status: u16,
    /// The size of the body that came.
    pub body_bytes: usize,
    /// Items of the payload by class.
    pub items: BTreeMap<String, usize>,
    /// What the items of the payload name: a record by its `sys_id`, or else what they are by their `source_native_key`.
    pub named: BTreeSet<String>,
    /// Relations of the payload.
    pub relations: usize,
    /// What was done to items and records: `INSERT`, `UPDATE`, `NO_CHANGE`, `DELETE`, … and how often.
    pub operations: BTreeMap<String, usize>,
    /// The same for relations of the payload.
    pub relation_operations: BTreeMap<String, usize>,
    /// Terms of the query that were dropped because they made no sense.
    pub dropped_terms: Vec<String>,
    /// The fault that struck.
    pub fault: Option<String>,
    /// It came inside a batch.
    pub in_batch: bool,
    /// It had to wait for another payload that held a shared parent.
    pub waited_for_lock: bool,
}

impl CallRecord {
    /// Whether it could have changed something.
    pub fn is_write(&self) -> bool {
        match self.api.as_str() {
            "identifyreconcile" => true,
            "table" | "cmdb_instance" => self.method != "GET",
            _ => false,
        }
    }
}

/// Sums over all requests since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All requests, those inside batches too.
    pub requests: u64,
    /// Those that could have changed something.
    pub writes: u64,
    /// Requests by interface.
    pub by_api: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// What was done to items and records.
    pub operations: BTreeMap<String, u64>,
    /// What was done to relations of payloads.
    pub relation_operations: BTreeMap<String, u64>,
    /// Payloads that waited, or wait now, for another that held a shared parent.
    pub lock_waits: u64,
    /// Payloads that are in the engine now.
    pub in_engine: u64,
    /// Requests that were dropped because their session was busy.
    pub sessions_dropped: u64,
    /// Requests that carried a session's cookie.
    pub cookies_seen: u64,
}

impl Record for CallRecord {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        let count = |map: &BTreeMap<String, usize>, sums: &mut BTreeMap<String, u64>| {
            for (name, number) in map {
                *sums.entry(name.clone()).or_default() += u64::try_from(*number).unwrap_or(u64::MAX);
            }
        };
        sums.requests += 1;
        sums.writes += u64::from(self.is_write());
        *sums.by_api.entry(self.api.clone()).or_default() += 1;
        *sums.by_status.entry(self.status).or_default() += 1;
        count(&self.operations, &mut sums.operations);
        count(&self.relation_operations, &mut sums.relation_operations);
    }

    fn reset(sums: &mut Counters) {
        *sums = Counters { in_engine: sums.in_engine, ..Counters::default() };
    }
}
