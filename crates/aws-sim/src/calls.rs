//! The log of calls.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{Counters, Record};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One call as it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The simulator's time.
    pub at: Timestamp,
    /// The caller's account; empty when the caller is not known.
    pub account: String,
    /// The region called.
    pub region: String,
    /// See [`Service::name`](crate::Service::name).
    pub service: String,
    /// The action.
    pub action: String,
    /// The page of a listing, from 1; 1 for all other calls.
    pub page: u32,
    /// The HTTP status of the answer, whether or not it arrived.
    pub status: u16,
    /// The error's code, if it was one.
    pub error: Option<String>,
    /// The parameters, without tokens of sessions.
    pub parameters: BTreeMap<String, String>,
}

impl Record for CallRecord {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        sums.add(format!("{}:{}", self.service, self.action), self.status);
    }
}
