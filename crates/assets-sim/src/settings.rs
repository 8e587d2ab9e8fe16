//! How the simulator behaves, apart from what is in its site.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What takes the values of an attribute away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clearing {
    /// `"objectAttributeValues": []`; an empty value is an error.
    EmptyList,
    /// `"objectAttributeValues": [{"value": ""}]`; an empty list is an error.
    EmptyValue,
    /// Either.
    Both,
}

/// Where the characters `= ; : ? . "` are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserved {
    /// Nowhere.
    Nowhere,
    /// In names of schemas, object types and attributes.
    Configuration,
    /// In what objects are called, too.
    Everywhere,
}

/// How many requests are let through in a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// By operation (see [`CallRecord::operation`](crate::CallRecord::operation)), for each caller.
    pub by_operation: BTreeMap<String, u64>,
    /// Of each operation that is not named there, for each caller; no limit when missing.
    pub otherwise: Option<u64>,
    /// Of all callers together; no limit when missing.
    pub total: Option<u64>,
}

impl Limits {
    /// None at all.
    pub fn none() -> Self {
        Self { by_operation: BTreeMap::new(), otherwise: None, total: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let by_operation =
            [("object_get", 2000), ("object_create", 2000), ("aql", 500), ("aql_count", 500), ("aql_objects", 500), ("navlist", 500)];
        let by_operation = by_operation.into_iter().map(|(operation, limit)| (operation.to_owned(), limit)).collect();
        Self { by_operation, otherwise: Some(1000), total: Some(10_000) }
    }
}

/// The simulator's settings. Where the product's behaviour is not known, the default is what is harder on a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is left to chance is drawn from this.
    pub seed: u64,
    /// How long a request is worked on, in microseconds.
    pub request_us: u64,
    /// The older path `/rest/servicedeskapi/insight/workspace` answers; it was seen to be 403 with a page.
    pub insight_alias: bool,
    /// The status for a token without the scope: 403 as documented, 401 as gateways give it.
    pub scope_status: u16,
    /// Ids in bodies have to be text on Cloud and numbers on Data Center.
    pub strict_ids: bool,
    /// Attributes whose `objectTypeAttributeId` is text are ignored without a word.
    pub integer_attribute_ids: bool,
    /// A `value` has to be text.
    pub text_values_only: bool,
    /// The longest value of anything but a textarea, in characters; 255 on Cloud and 450 on Data Center when missing.
    pub text_chars_max: Option<usize>,
    /// The longest value of a textarea, in characters.
    pub textarea_chars_max: usize,
    /// IP addresses may be of version 6.
    pub ipv6: bool,
    /// A unique attribute that several types have from one above is unique over all of them.
    pub unique_across_children: bool,
    /// Values that differ by case alone are the same where they have to be unique.
    pub unique_ignores_case: bool,
    /// A status may be given by its name; the documentation says by its id.
    pub status_by_name: bool,
    /// Several values of one attribute come back in an order of their own.
    pub unordered_values: bool,
    /// A path may name an object by its key.
    pub object_by_key: bool,
    /// What takes the values of an attribute away.
    pub clearing: Clearing,
    /// Where reserved characters are refused.
    pub reserved: Reserved,
    /// The status of an update: 200, or 201.
    pub update_status: u16,
    /// The status of a deletion: 200, or 204.
    pub delete_status: u16,
    /// The most objects in a page, whatever is asked for.
    pub page_max: usize,
    /// Pages of as many objects as can be had say that they are the last, although they are not (JSDCLOUD-16556).
    pub early_last: bool,
    /// Pages tell how many objects there are in all.
    pub total: bool,
    /// Objects that a query does not put into an order come in a different one each time, so that pages overlap.
    pub unordered_pages: bool,
    /// For how long searches do not see what was changed, in seconds.
    pub index_lag_s: u64,
    /// The most values in one `IN`.
    pub in_values_max: usize,
    /// The longest query, in characters.
    pub aql_chars_max: usize,
    /// Whether `anyAttribute` is known; it was taken away from Cloud.
    pub any_attribute: bool,
    /// The searches that were taken away from Cloud answer; otherwise they are 410.
    pub deprecated_searches: bool,
    /// Experimental calls on Data Center need the header `X-ExperimentalApi`.
    pub experimental_header: bool,
    /// The largest body. Larger ones are 413.
    pub body_bytes_max: usize,
    /// The longest path with query. Longer ones are 414.
    pub url_bytes_max: usize,
    /// Rates, on Cloud.
    pub limits: Limits,
    /// Rates on Data Center, which has none as it comes.
    pub data_center_limits: Limits,
    /// 429 says when to come again.
    pub retry_after: bool,
    /// A mapping may be put in the place of another.
    pub import_remap: bool,
    /// The most objects in one chunk of an import.
    pub import_chunk_max: usize,
    /// How long an import is worked on once all of it came, in seconds.
    pub import_processing_s: u64,
}

impl Settings {
    /// The same without rates.
    #[must_use]
    pub fn without_limits(mut self) -> Self {
        self.limits = Limits::none();
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            request_us: 0,
            insight_alias: false,
            scope_status: 403,
            strict_ids: true,
            integer_attribute_ids: false,
            text_values_only: true,
            text_chars_max: None,
            textarea_chars_max: 5000,
            ipv6: false,
            unique_across_children: true,
            unique_ignores_case: true,
            status_by_name: false,
            unordered_values: true,
            object_by_key: false,
            clearing: Clearing::EmptyList,
            reserved: Reserved::Configuration,
            update_status: 200,
            delete_status: 200,
            page_max: 1000,
            early_last: true,
            total: false,
            unordered_pages: true,
            index_lag_s: 0,
            in_values_max: 200,
            aql_chars_max: 40_000,
            any_attribute: false,
            deprecated_searches: false,
            experimental_header: true,
            body_bytes_max: 4 * 1024 * 1024,
            url_bytes_max: 8 * 1024,
            limits: Limits::default(),
            data_center_limits: Limits::none(),
            retry_after: true,
            import_remap: false,
            import_chunk_max: 1000,
            import_processing_s: 0,
        }
    }
}
