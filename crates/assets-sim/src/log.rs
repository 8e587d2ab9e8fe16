//! What was asked, and what came of it.

use std::collections::BTreeMap;

use dewpoint_sim_kit::Record;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request and its answer. Neither credentials nor bodies are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When, by the simulated clock.
    pub at: Timestamp,
    /// What was asked for: `object_create`, `object_update`, `object_get`, `object_delete`, `aql`, `schema_attributes`, … or `unknown`.
    pub operation: String,
    /// `GET`, …
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// Who asked, by their address or name; empty when nobody was let in.
    pub user: String,
    /// The HTTP status of the answer, also of one that never arrived; 0 when there was none.
    pub status: u16,
    /// The size of the body that came.
    pub body_bytes: usize,
    /// The AQL that was asked, where some was.
    #[serde(default)]
    pub aql: Option<String>,
    /// The fault that struck.
    pub fault: Option<String>,
    /// The objects that were made, changed or deleted.
    pub objects: Vec<u64>,
}

impl CallRecord {
    /// Whether it was a call that makes, changes or deletes an object.
    pub fn is_write(&self) -> bool {
        matches!(self.operation.as_str(), "object_create" | "object_update" | "object_delete" | "object_archive" | "object_restore")
    }
}

/// Sums over all requests since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All requests.
    pub requests: u64,
    /// Those that could have made, changed or deleted an object.
    pub writes: u64,
    /// Objects that were made, changed or deleted, by imports too.
    pub objects_written: u64,
    /// Requests by operation.
    pub by_operation: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
}

impl Record for CallRecord {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        sums.requests += 1;
        sums.writes += u64::from(self.is_write());
        sums.objects_written += u64::try_from(self.objects.len()).unwrap_or(u64::MAX);
        *sums.by_operation.entry(self.operation.clone()).or_default() += 1;
        *sums.by_status.entry(self.status).or_default() += 1;
    }
}
