//! How the simulator behaves, apart from what is in its tenant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How many calls are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// So many calls …
    pub requests: usize,
    /// … in any so many seconds.
    pub window_s: u64,
}

/// Whether a refusal for the rate says when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// It never does.
    Never,
    /// One in two does, by chance.
    Sometimes,
    /// It always does.
    Always,
}

/// What the query parameter `tenant` of the token call is to the authorisation server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantParameter {
    /// It has to be there and right.
    Required,
    /// It may be missing, and has to be right where it is there.
    Optional,
    /// Nobody looks at it, as on a host of one's own.
    Ignored,
}

/// What `fields` of an update does to fields that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldsUpdate {
    /// They are emptied.
    Wipe,
    /// They stay.
    Merge,
}

/// What becomes of a call when one of its elements fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchFailure {
    /// Nothing of it is stored.
    Nothing,
    /// The elements before it are stored.
    Before,
}

/// What a call that posts is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostAnswer {
    /// An object for one element, an array for several.
    ByCount,
    /// Always an array.
    Array,
    /// Always an object: the first element's.
    Object,
}

/// What becomes of a value that is longer than its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongValues {
    /// It is cut without a word.
    Cut,
    /// The call is refused.
    Refuse,
}

/// What an update with an unknown id does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownId {
    /// 404.
    Refuse,
    /// It makes another record, with an id of its own.
    Create,
}

/// What `add_…_assets` does with a pair that is related already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddExisting {
    /// Nothing: the relationship keeps its name.
    Keep,
    /// The relationship takes the new name.
    Change,
}

/// The simulator's settings. Where the product's behaviour is not known, the default is what is harder on a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is left to chance is drawn from this.
    pub seed: u64,
    /// Calls without `User-Agent` get a page of HTML.
    pub user_agent_required: bool,
    /// What `tenant` is on the token call.
    pub tenant_parameter: TenantParameter,
    /// A token can be asked for with several scopes at once.
    pub several_scopes: bool,
    /// How many calls are let in, those for tokens too; any number when missing.
    pub throttle: Option<Throttle>,
    /// Calls that were refused for the rate count, too.
    pub throttle_counts_refused: bool,
    /// Whether a refusal says when to come again.
    pub retry_after: RetryAfter,
    /// The most rows of a page, whatever was asked for; 100 and 1000 have been seen, too.
    pub page_rows_max: usize,
    /// The most rows of a list that is not read by pages.
    pub count_rows_max: usize,
    /// Rows that are not put into an order come in a different one each time, so that pages overlap.
    pub unordered_pages: bool,
    /// `includeassetfields` works only together with `assettype_id`.
    pub fields_need_type: bool,
    /// The list of asset types has their fields. Without it only a type that is read with `includedetails` has.
    pub fields_in_type_list: bool,
    /// What a call that posts is answered with.
    pub post_answer: PostAnswer,
    /// Errors with a message come in any of the shapes that have been seen, by chance; else each in one of its own.
    pub mixed_errors: bool,
    /// What `fields` of an update does to fields that it does not name.
    pub fields_update: FieldsUpdate,
    /// What becomes of a call when one of its elements fails.
    pub batch_failure: BatchFailure,
    /// More elements in one call are refused; no limit when missing.
    pub batch_max: Option<usize>,
    /// What an update with an unknown id does.
    pub unknown_id: UnknownId,
    /// The tenant's setting "Asset Tag must be unique".
    pub unique_tags: bool,
    /// The tenant's setting "Automatically generate next asset number".
    pub automatic_tags: bool,
    /// What becomes of values of more than 4000 characters.
    pub long_values: LongValues,
    /// Values of fields have to be text: numbers and booleans are refused.
    pub text_values_only: bool,
    /// A mandatory field that stays empty is refused.
    pub mandatory_fields: bool,
    /// What `add_…_assets` does with a pair that is related already.
    pub add_existing: AddExisting,
    /// Query parameters that this version does not know, in lower case: they are ignored.
    pub ignored_parameters: BTreeSet<String>,
    /// Members of posted assets that this tenant does not take, as with what sets them by itself: they are ignored.
    pub ignored_members: BTreeSet<String>,
    /// A status that is posted with the `type` of assets is one of assets; else all are of tickets.
    pub asset_statuses_by_type: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            user_agent_required: true,
            tenant_parameter: TenantParameter::Required,
            several_scopes: false,
            throttle: Some(Throttle { requests: 300, window_s: 300 }),
            throttle_counts_refused: true,
            retry_after: RetryAfter::Sometimes,
            page_rows_max: 50,
            count_rows_max: 1000,
            unordered_pages: true,
            fields_need_type: true,
            fields_in_type_list: true,
            post_answer: PostAnswer::ByCount,
            mixed_errors: true,
            fields_update: FieldsUpdate::Wipe,
            batch_failure: BatchFailure::Nothing,
            batch_max: Some(100),
            unknown_id: UnknownId::Refuse,
            unique_tags: false,
            automatic_tags: false,
            long_values: LongValues::Cut,
            text_values_only: true,
            mandatory_fields: true,
            add_existing: AddExisting::Keep,
            ignored_parameters: BTreeSet::new(),
            ignored_members: BTreeSet::new(),
            asset_statuses_by_type: false,
        }
    }
}
