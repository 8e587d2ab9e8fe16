//! What was asked, and what came of it.

use std::collections::BTreeMap;

use dewpoint_sim_kit::Record;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call and its answer. Neither credentials nor bodies are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When, by the simulator's clock.
    pub at: Timestamp,
    /// `GET`, …
    pub method: String,
    /// What was asked for: `token`, `authinfo`, `instance_info`, `swagger`, `asset_next_tag`, `agent_me`, and `_list`, `_get`, `_post`, `_delete` behind
    /// `asset`, `asset_change`, `asset_type`, `asset_group`, `field`, `field_info`, `status`, `lookup`, `client`, `site`, `users`, `agent`, `team`; `unknown`
    /// for anything else.
    pub operation: String,
    /// The path with the query, as they were sent.
    pub path: String,
    /// The client id; empty when nobody was let in.
    pub client: String,
    /// The HTTP status of the answer, also of one that never arrived; 0 when there was none.
    pub status: u16,
    /// What the answer says went wrong.
    pub error: Option<String>,
    /// The fault that struck.
    pub fault: Option<String>,
    /// How many elements were posted.
    pub elements: usize,
    /// The ids of what was written.
    pub ids: Vec<i64>,
    /// What was posted and went nowhere without a word: properties that no schema has, as `colr`, `fields.vlaue` or `add_child_assets.idd`; fields that there are
    /// not or that the asset's type does not have, as `fields[Nmae]`; values that a lookup does not have, as `fields[Environment]=Prod`.
    pub unknown_properties: Vec<String>,
}

/// Sums over all calls since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All calls.
    pub requests: u64,
    /// Calls that posted assets, whatever came of them.
    pub writes: u64,
    /// Calls by operation.
    pub by_operation: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// What was posted and went nowhere, and how often (see [`CallRecord::unknown_properties`]).
    pub unknown_properties: BTreeMap<String, u64>,
}

impl Record for CallRecord {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        sums.requests += 1;
        sums.writes += u64::from(self.operation == "asset_post");
        *sums.by_operation.entry(self.operation.clone()).or_default() += 1;
        *sums.by_status.entry(self.status).or_default() += 1;
        for name in &self.unknown_properties {
            *sums.unknown_properties.entry(name.clone()).or_default() += 1;
        }
    }
}
