//! How the simulator behaves, apart from what is in its instance.

use serde::{Deserialize, Serialize};

/// What an enhanced payload calls an item that failed when nothing may be parked. The documentation does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedOperation {
    /// `INSERT`, although nothing was inserted: only the missing `sysId` and the errors tell.
    Insert,
    /// `INSERT_AS_INCOMPLETE`, although nothing was stored.
    Incomplete,
    /// No `operation` at all.
    Absent,
}

/// Which values win when duplicates of one payload are merged. The documentation does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeWinner {
    /// The first item's.
    First,
    /// The last item's.
    Last,
}

/// The simulator's settings. Where the product's behaviour is not known, the default is what is harder on a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is left to chance is drawn from this.
    pub seed: u64,
    /// Items and relations of an answer come in an order of their own.
    pub shuffle_output: bool,
    /// Optional keys that are empty are left out of an answer now and then.
    pub sparse_output: bool,
    /// Records that a query does not put into an order come in a different one each time, so that pages overlap.
    pub unordered_pages: bool,
    /// What a failing item is called when nothing may be parked.
    pub failed_operation: FailedOperation,
    /// Which values win when duplicates of one payload are merged.
    pub merge_winner: MergeWinner,
    /// A match through `sys_object_source` needs the chain of hosts in the payload as any other match does.
    pub source_match_needs_chain: bool,
    /// A dependent record is only found by its attributes if it is related to the host that the payload names. A record that people made without that relation
    /// is not found, and a second one is made.
    pub match_needs_relation: bool,
    /// A `source_recency_timestamp` that is not later than the one stored changes nothing but the scan times.
    pub stale_recency_skips: bool,
    /// Numbers and booleans in `values` are an error: they have to be text.
    pub text_values_only: bool,
    /// What a reference column is given has to look like a `sys_id`.
    pub strict_references: bool,
    /// More items than this in one payload are killed by the transaction quota before anything is stored.
    pub ire_items_max: usize,
    /// How long the engine works on one item, in microseconds. Payloads that share a parent wait for each other that long.
    pub ire_item_us: u64,
    /// How long a request is worked on, in microseconds. Without it none ever overlaps with another.
    pub request_us: u64,
    /// Requests that were admitted stop until this is taken back: a test can see to it that they meet.
    pub hold_requests: bool,
    /// The same inside the engine, where payloads hold their parents.
    pub hold_engine: bool,
    /// How long a payload waits for locks, in milliseconds, in place of the instance's property in seconds.
    pub lock_timeout_ms: Option<u64>,
    /// The largest body. Larger ones are answered with `oversize_status`.
    pub body_bytes_max: usize,
    /// The status of the answer to a body that is too large. The documentation does not say.
    pub oversize_status: u16,
    /// The longest path with query. Longer ones are 414.
    pub url_bytes_max: usize,
    /// Requests that are worked on at once; no limit when missing.
    pub semaphore_slots: Option<usize>,
    /// Requests that wait for one of them; more are answered 429 without any of the rate limit's headers.
    pub semaphore_queue: usize,
    /// Answers set a session cookie.
    pub cookies: bool,
    /// How many requests of one session may wait for the one that is worked on. More are answered 202 and dropped.
    pub session_queue: usize,
    /// The time zone of display values, in minutes from UTC. A new instance is on the Pacific coast.
    pub display_offset_minutes: i32,
    /// The largest sum of bodies of a batch's answers.
    pub batch_answer_bytes_max: usize,
    /// How long a batch may take, in simulated milliseconds: each request in it counts [`batch_request_ms`](Self::batch_request_ms).
    pub batch_ms_max: u64,
    /// What each request of a batch costs of that.
    pub batch_request_ms: u64,
    /// The most rows in a page, whatever is asked for; the product has no such limit.
    pub page_rows_max: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            shuffle_output: true,
            sparse_output: true,
            unordered_pages: true,
            failed_operation: FailedOperation::Insert,
            merge_winner: MergeWinner::First,
            source_match_needs_chain: true,
            match_needs_relation: true,
            stale_recency_skips: true,
            text_values_only: true,
            strict_references: true,
            ire_items_max: 1000,
            ire_item_us: 0,
            request_us: 0,
            hold_requests: false,
            hold_engine: false,
            lock_timeout_ms: None,
            body_bytes_max: 10 * 1024 * 1024,
            oversize_status: 413,
            url_bytes_max: 16 * 1024,
            semaphore_slots: None,
            semaphore_queue: 50,
            cookies: true,
            session_queue: 0,
            display_offset_minutes: -480,
            batch_answer_bytes_max: 10 * 1024 * 1024,
            batch_ms_max: 30_000,
            batch_request_ms: 0,
            page_rows_max: None,
        }
    }
}
