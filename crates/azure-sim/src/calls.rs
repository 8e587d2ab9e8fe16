//! The log of calls.

use dewpoint_sim_kit::{Counters, Record};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One call as it was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The simulator's time.
    pub at: Timestamp,
    /// `GET`, …
    pub method: String,
    /// What was asked for, as `virtualMachines.list`, `virtualMachines.get`, `resourceGraph`, `token`; `unknown` where nothing is served.
    pub operation: String,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent.
    pub query: String,
    /// The client id; empty when the caller is not known.
    pub client: String,
    /// The subscription that the path names, in lower case; empty when it names none.
    pub subscription: String,
    /// The page of a list, from 1; 1 for all other calls.
    pub page: u32,
    /// Whether a bearer token came with it.
    pub has_token: bool,
    /// The header `x-ms-client-request-id`.
    pub client_request_id: Option<String>,
    /// The HTTP status of the answer, whether or not it arrived.
    pub status: u16,
    /// The error's code, if it was one; the number for errors of the token endpoint, as `AADSTS7000215`.
    pub error: Option<String>,
}

impl Record for CallRecord {
    type Sums = Counters;

    fn add_to(&self, sums: &mut Counters) {
        sums.add(self.operation.clone(), self.status);
    }
}
