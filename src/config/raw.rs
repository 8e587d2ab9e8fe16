//! The configuration as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dewpoint_core::expression::{Expression, Vocabulary, Wanted};
use dewpoint_core::lifecycle::Timers;
use dewpoint_core::model::{Kind, Region};
use dewpoint_core::plan::{Include, Limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::aws::{All, ListOr, Organization, RawAccount, RawRates, RoleName};
use super::azure::{self, ApiVersion, RawCloud, RawCollector, RawCredential, RawEndpoints, RawSubscriptions, ResourceType, TenantName};
use super::haloitsm::{self, HaloName, HaloTenant};
use super::jsm::{self, SchemaKey};
use super::leaf::{
    AnyDuration, CallTimeout, DurationOrNever, FieldName, FilePath, HttpUrl, Leaf, LedgerAddress, Name, PositiveDuration, Written,
};
use super::mapped::{KindKey, RelationKey};
use super::ownership::RawOwnership;
use super::proxy::ProxyAddress;
use super::rules::{PresetName, RawRule, RecordCondition};
use super::secret::SecretRef;
use super::servicenow::{
    DiscoverySource, InstanceUrl, RawAuth, RawKindMapping, RawRequestRate, RawStatuses, RelationshipType, default_discovery_source,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Configuration of Dewpoint, which keeps a CMDB true about the clouds.
///
/// Relative paths are relative to the folder of this file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Configuration")]
pub(super) struct RawConfig {
    /// Dewpoint's own database: `sqlite://PATH`, `postgres://HOST/DATABASE`, or a reference (`env:NAME`, `file:PATH`) to
    /// the whole address.
    #[serde(default = "default_ledger")]
    pub(super) ledger: Written<LedgerAddress>,
    /// Password of a PostgreSQL ledger, as a reference: `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) ledger_password: Option<Written<SecretRef>>,
    /// How long observations and decisions are kept for `history`, `explain` and backtests; `never` forgets nothing.
    #[serde(default = "default_journal_keep")]
    pub(super) journal_keep: Written<DurationOrNever>,
    /// What to read: the estates.
    #[schemars(length(min = 1))]
    pub(super) sources: Vec<RawSource>,
    /// Which tags say who owns a resource and what it belongs to. The first tag of a list that a resource has wins; an
    /// empty list reads none. Instead of a list, `{ tags: […], values: {…} }` also says what the tags' values mean.
    #[serde(default)]
    pub(super) ownership: RawOwnership,
    /// When a resource gets a record, and when the record ends.
    #[serde(default)]
    pub(super) lifecycle: RawLifecycle,
    /// What to keep true: the CMDBs.
    #[schemars(length(min = 1))]
    pub(super) targets: Vec<RawTarget>,
    /// Limits behind which changes are held until someone approves them.
    #[serde(default)]
    pub(super) guardrails: RawGuardrails,
    /// Exit codes that count as success (the process then ends with 0), for schedulers that should not page: 3 partly
    /// done, 4 held by a guardrail, 6 changes pending.
    #[serde(default)]
    pub(super) exit_ok: BTreeSet<ExitOk>,
}

pub(super) fn default_ledger() -> Written<LedgerAddress> {
    Written(LedgerAddress::Sqlite("dewpoint.db".to_owned()))
}

fn default_journal_keep() -> Written<DurationOrNever> {
    Written(DurationOrNever(Some(90 * DAY)))
}

/// One estate to read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Source")]
#[expect(clippy::large_enum_variant, reason = "there are few, and each is converted as soon as it is read")]
pub(super) enum RawSource {
    /// Accounts of AWS. Credentials come from where the AWS tools look for them: environment, profile, role.
    Aws {
        /// Name of this source; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Accounts to list: all of the `organization`, or these. Without it the account that the credentials belong to.
        #[serde(default)]
        #[schemars(with = "ListOr<Organization, Vec<RawAccount>>")]
        accounts: Option<ListOr<Organization, Vec<RawAccount>>>,
        /// Name of the role to read an account as that has no `role_arn` and is not the credentials' own; with its path, if it has one.
        #[serde(default = "default_role_name")]
        role_name: Written<RoleName>,
        /// External id that the roles' trust policies ask for, as a reference: `env:NAME` or `file:PATH`. An account's own goes before it.
        #[serde(default)]
        external_id: Option<Written<SecretRef>>,
        /// Regions to list in each account: `all` that it has enabled, or these.
        #[serde(default = "default_regions")]
        #[schemars(example = ["eu-west-1", "eu-central-1"])]
        regions: ListOr<All, BTreeSet<Written<Region>>>,
        /// Address to call instead of AWS, for emulators.
        #[serde(default)]
        endpoint_url: Option<Written<HttpUrl>>,
        /// Longest time for one call, with its retries and waits: from `1s` to `1h`.
        #[serde(default = "default_timeout")]
        timeout: Written<CallTimeout>,
        /// How many calls are made at most, by API. Each account has these budgets anew in each region.
        #[serde(default)]
        rate: RawRates,
    },
    /// Subscriptions of an Azure tenant.
    Azure {
        /// Name of this source; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// The tenant that the subscriptions belong to: its id, or one of its domain names.
        #[schemars(example = "contoso.onmicrosoft.com")]
        tenant: Written<TenantName>,
        /// As whom Azure is asked.
        credential: RawCredential,
        /// Subscriptions to list: `all` of the tenant that the credential can see, these, or all below a management group.
        #[serde(default)]
        subscriptions: RawSubscriptions,
        /// How resources are listed.
        #[serde(default)]
        collector: RawCollector,
        /// Which of Microsoft's clouds the tenant is in.
        #[serde(default)]
        cloud: RawCloud,
        /// Addresses that take the place of the cloud's: for emulators and for clouds of one's own. All are https.
        #[serde(default)]
        endpoints: RawEndpoints,
        /// The proxy to go through, as an address or a reference to one with a password; `none` goes directly. As the environment says without it.
        #[serde(default)]
        proxy: Option<Written<ProxyAddress>>,
        /// Versions of APIs to ask for, by type of resource, where a cloud does not have the usual ones yet.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("Microsoft.Compute/virtualMachines", "2024-07-01")]), extend("x-key-leaf" = ResourceType::NAME))]
        api_versions: BTreeMap<String, Written<ApiVersion>>,
        /// Longest time for one call, with its retries and waits: from `1s` to `1h`.
        #[serde(default = "default_request_timeout")]
        timeout: Written<CallTimeout>,
        /// How many calls are made at most, by API. Each subscription has these budgets anew, save that of Resource Graph, which is the tenant's.
        #[serde(default)]
        rate: azure::RawRates,
    },
    /// An inventory file, as `dewpoint export` writes it.
    File {
        /// Name of this source; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Path of the inventory file.
        path: Written<FilePath>,
        /// Largest file that is read, in bytes.
        #[serde(default = "default_max_file_bytes")]
        #[schemars(range(min = 1))]
        max_file_bytes: u64,
    },
}

const fn default_regions() -> ListOr<All, BTreeSet<Written<Region>>> {
    ListOr::word()
}

fn default_role_name() -> Written<RoleName> {
    Written(RoleName("DewpointReader".to_owned()))
}

const fn default_timeout() -> Written<CallTimeout> {
    Written(CallTimeout(Duration::from_secs(180)))
}

const fn default_max_file_bytes() -> u64 {
    8 * 1024 * 1024 * 1024
}

/// When a resource gets a record, and when the record ends.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Lifecycle")]
pub(super) struct RawLifecycle {
    /// Built-in sets of rules; `dewpoint rules show` prints what is in them. They stand behind the rules below: where both speak, the rules
    /// below win.
    #[schemars(extend("uniqueItems" = true), example = ["scaling-group-members", "spot"])]
    pub(super) presets: Vec<Written<PresetName>>,
    /// Timers for every resource.
    pub(super) defaults: RawTimers,
    /// Which resources deserve a record, as what, and under which timers.
    pub(super) rules: Vec<RawRule>,
}

/// Timers of a resource.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Timers")]
pub(super) struct RawTimers {
    /// Instances younger than this are deferred: no record for machines that live ten minutes. `0s` defers none. It
    /// delays no fleet; what a rule sets does.
    pub(super) min_age: Written<AnyDuration>,
    /// Complete listings without a resource before its record may be retired.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) confirm_missing: u32,
    /// How long a resource must not have been seen before its record may be retired.
    pub(super) retire_after: Written<AnyDuration>,
    /// How long after its delivered retirement a record is removed, in targets with `purge: delete`; `never` keeps it.
    pub(super) purge_after: Written<DurationOrNever>,
    /// Least time between being folded and having a record of its own, in either direction, against flapping.
    pub(super) min_dwell: Written<AnyDuration>,
}

impl Default for RawTimers {
    fn default() -> Self {
        let Timers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = Timers::default();
        Self {
            min_age: Written(AnyDuration(min_age)),
            confirm_missing,
            retire_after: Written(AnyDuration(retire_after)),
            purge_after: Written(DurationOrNever(purge_after)),
            min_dwell: Written(AnyDuration(min_dwell)),
        }
    }
}

/// One CMDB to keep true.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(super) enum RawTarget {
    /// The embedded CMDB: one SQLite file with history and read-only views.
    Local {
        /// Name of this target; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Path of the CMDB's file; made when it does not exist.
        path: Written<FilePath>,
        /// Which configuration items this target gets. One that is no longer included is retired there.
        #[serde(default)]
        include: RawInclude,
        /// What to do with records that someone else made for a resource of ours.
        #[serde(default)]
        adopt: RawAdopt,
        /// Who decides about a field, where the default is not right: field and authority.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("support_group", "if_empty")]), extend("x-key-leaf" = FieldName::NAME))]
        authority: BTreeMap<String, RawAuthority>,
        /// How often the target is read in full to find what others changed; `never` does not look.
        #[serde(default = "default_verify_every")]
        verify_every: Written<DurationOrNever>,
        /// Most records this target may hold of ours; creates beyond it are held. Without it there is no limit.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_records: Option<u64>,
        /// What becomes of a retired record after `purge_after`.
        #[serde(default)]
        purge: RawPurge,
        /// Changes that are sent together, in one transaction of the file.
        #[serde(default = "default_batch_size")]
        #[schemars(range(min = 1, max = 20000))]
        batch_size: u32,
        /// Longest that a one-shot sync waits for this target.
        #[serde(default = "default_deadline")]
        deadline: Written<PositiveDuration>,
    },
    /// The CMDB of a ServiceNow instance, through its Identification and Reconciliation API.
    #[serde(rename = "servicenow")]
    ServiceNow {
        /// Name of this target; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Address of the instance.
        #[schemars(example = "https://example.service-now.com")]
        url: Written<InstanceUrl>,
        /// As whom the instance is asked.
        auth: RawAuth,
        /// Dewpoint's name among the instance's discovery sources; it has to be a choice of `cmdb_ci.discovery_source`.
        #[serde(default = "default_discovery_source")]
        discovery_source: Written<DiscoverySource>,
        /// Which configuration items this target gets. One that is no longer included is retired there.
        #[serde(default)]
        include: RawInclude,
        /// What to do with records that someone else made for a resource of ours.
        #[serde(default)]
        adopt: RawAdopt,
        /// Who decides about a column, where the standard mapping is not right: column and authority.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("support_group", "if_empty")]))]
        authority: BTreeMap<String, RawAuthority>,
        /// What takes the place of parts of the standard mapping: by kind a class, and columns with their values in CEL.
        #[serde(default)]
        #[schemars(extend("x-key-leaf" = KindKey::NAME))]
        mapping: BTreeMap<String, RawKindMapping>,
        /// Relationship types that take the place of the standard ones, by type of edge.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("protected_by", "Depends on::Used by")]), extend("x-key-leaf" = RelationKey::NAME))]
        relationships: BTreeMap<String, Written<RelationshipType>>,
        /// What status columns hold of what is active, stopped and retired, where the usual values are not right.
        #[serde(default)]
        statuses: RawStatuses,
        /// Whether `life_cycle_stage` and `life_cycle_stage_status` are written beside the older columns: for instances that do not derive them any more.
        #[serde(default)]
        life_cycle: bool,
        /// How often the target is read in full to find what others changed; `never` does not look.
        #[serde(default = "default_verify_every")]
        verify_every: Written<DurationOrNever>,
        /// About how often a record that did not change is told as seen, so that the instance does not take it for stale; `never` leaves that out.
        #[serde(default = "default_heartbeat")]
        heartbeat: Written<DurationOrNever>,
        /// Most records this target may hold of ours; creates beyond it are held. Without it there is no limit.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_records: Option<u64>,
        /// What becomes of a retired record after `purge_after`.
        #[serde(default)]
        purge: RawPurge,
        /// How fast the instance is asked.
        #[serde(default)]
        rate: RawRequestRate,
        /// Changes that are sent in one request.
        #[serde(default = "default_payload_size")]
        #[schemars(range(min = 1, max = 500))]
        batch_size: u32,
        /// Longest that a one-shot sync waits for this target.
        #[serde(default = "default_deadline")]
        deadline: Written<PositiveDuration>,
        /// Longest time for one request: from `1s` to `1h`.
        #[serde(default = "default_request_timeout")]
        timeout: Written<CallTimeout>,
        /// A file of certificates in PEM to trust beside the system's.
        #[serde(default)]
        ca_file: Option<Written<FilePath>>,
        /// The proxy to go through, as an address or a reference to one with a password; `none` goes directly. As the environment says without it.
        #[serde(default)]
        proxy: Option<Written<ProxyAddress>>,
    },
    /// Assets of Jira Service Management, on Cloud or Data Center.
    Jsm {
        /// Name of this target; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Address of the site.
        #[schemars(example = "https://example.atlassian.net")]
        url: Written<HttpUrl>,
        /// Which product it is.
        #[serde(default)]
        deployment: jsm::RawDeployment,
        /// Where the API of Assets lies, where that is not Atlassian's own on Cloud or the site itself on Data Center: an address below which workspaces are
        /// found as there, or the whole one with workspace and version.
        #[serde(default)]
        api_base: Option<Written<HttpUrl>>,
        /// As whom the site is asked.
        auth: jsm::RawAuth,
        /// Key of the object schema; `dewpoint bootstrap` makes what is missing of it.
        schema: Written<SchemaKey>,
        /// Which configuration items this target gets. One that is no longer included is retired there.
        #[serde(default)]
        include: RawInclude,
        /// What to do with objects that someone else made for a resource of ours.
        #[serde(default)]
        adopt: RawAdopt,
        /// Who decides about an attribute, where the standard mapping is not right: attribute and authority.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("Support Group", "if_empty")]))]
        authority: BTreeMap<String, RawAuthority>,
        /// What takes the place of parts of the standard mapping: by kind an object type, and attributes with their values in CEL.
        #[serde(default)]
        #[schemars(extend("x-key-leaf" = KindKey::NAME))]
        mapping: BTreeMap<String, jsm::RawKindMapping>,
        /// Names of the statuses of what is active, stopped and retired.
        #[serde(default)]
        statuses: jsm::RawStatuses,
        /// How often the target is read in full to find what others changed; `never` does not look.
        #[serde(default = "default_verify_every")]
        verify_every: Written<DurationOrNever>,
        /// About how often an object that did not change is told as seen, by its attribute `Delivered At`; `never` leaves that out.
        #[serde(default = "no_heartbeat")]
        heartbeat: Written<DurationOrNever>,
        /// Most objects this target may hold of ours; creates beyond it are held. Without it there is no limit.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_records: Option<u64>,
        /// What becomes of a retired object after `purge_after`.
        #[serde(default)]
        purge: RawPurge,
        /// How fast the site is asked.
        #[serde(default)]
        rate: jsm::RawRequestRate,
        /// An import source of the schema that makes many new objects at once (Cloud).
        #[serde(default)]
        import: Option<jsm::RawImport>,
        /// Changes that are sent in one go, with a request for each object; with `import` as many as that takes.
        #[serde(default = "default_objects_size")]
        #[schemars(range(min = 1, max = 200))]
        batch_size: u32,
        /// How long after a write searches may still show what was before it.
        #[serde(default = "default_index_lag")]
        index_lag: Written<AnyDuration>,
        /// Longest that a one-shot sync waits for this target.
        #[serde(default = "default_deadline")]
        deadline: Written<PositiveDuration>,
        /// Longest time for one request: from `1s` to `1h`.
        #[serde(default = "default_request_timeout")]
        timeout: Written<CallTimeout>,
        /// A file of certificates in PEM to trust beside the system's.
        #[serde(default)]
        ca_file: Option<Written<FilePath>>,
        /// The proxy to go through, as an address or a reference to one with a password; `none` goes directly. As the environment says without it.
        #[serde(default)]
        proxy: Option<Written<ProxyAddress>>,
    },
    /// Assets of HaloITSM (and of HaloPSA and HaloServiceDesk, which have the same API).
    #[serde(rename = "haloitsm")]
    Halo {
        /// Name of this target; used in logs, metrics and the ledger.
        name: Written<Name>,
        /// Address of the tenant: the API lies behind it at `/api`.
        #[schemars(example = "https://example.haloitsm.com")]
        url: Written<HttpUrl>,
        /// The authorisation server, where that is not behind `url` at `/auth`.
        #[serde(default)]
        auth_url: Option<Written<HttpUrl>>,
        /// Name of the tenant, which hosted tenants want with each request for a token.
        #[serde(default)]
        tenant: Option<Written<HaloTenant>>,
        /// As which application the tenant is asked.
        auth: haloitsm::RawAuth,
        /// Name of the client that assets hang under.
        #[serde(default = "default_halo_client")]
        client: Written<HaloName>,
        /// Name of the client's site that new assets are at.
        #[serde(default = "default_halo_site")]
        site: Written<HaloName>,
        /// Which configuration items this target gets. One that is no longer included is retired there.
        #[serde(default)]
        include: RawInclude,
        /// What to do with assets that someone else made for a resource of ours.
        #[serde(default)]
        adopt: RawAdopt,
        /// Who decides about a field, where the standard mapping is not right: field and authority.
        #[serde(default)]
        #[schemars(example = BTreeMap::from([("Support Group", "if_empty")]))]
        authority: BTreeMap<String, RawAuthority>,
        /// What takes the place of parts of the standard mapping: by kind an asset type, and fields with their values in CEL.
        #[serde(default)]
        #[schemars(extend("x-key-leaf" = KindKey::NAME))]
        mapping: BTreeMap<String, haloitsm::RawKindMapping>,
        /// Names of the statuses of what is active, stopped and retired.
        #[serde(default)]
        statuses: haloitsm::RawStatuses,
        /// How often the target is read in full to find what others changed; `never` does not look.
        #[serde(default = "default_verify_every")]
        verify_every: Written<DurationOrNever>,
        /// About how often an asset that did not change is told as seen, by its field `Dewpoint Delivered At`; `never` leaves that out.
        #[serde(default = "no_heartbeat")]
        heartbeat: Written<DurationOrNever>,
        /// Most assets this target may hold of ours; creates beyond it are held. Without it there is no limit.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_records: Option<u64>,
        /// What becomes of a retired asset after `purge_after`.
        #[serde(default)]
        purge: RawPurge,
        /// How fast the tenant is asked.
        #[serde(default)]
        rate: haloitsm::RawRequestRate,
        /// Changes that are sent in one request.
        #[serde(default = "default_assets_size")]
        #[schemars(range(min = 1, max = 100))]
        batch_size: u32,
        /// Longest that a one-shot sync waits for this target.
        #[serde(default = "default_deadline")]
        deadline: Written<PositiveDuration>,
        /// Longest time for one request: from `1s` to `1h`.
        #[serde(default = "default_request_timeout")]
        timeout: Written<CallTimeout>,
        /// A file of certificates in PEM to trust beside the system's.
        #[serde(default)]
        ca_file: Option<Written<FilePath>>,
        /// The proxy to go through, as an address or a reference to one with a password; `none` goes directly. As the environment says without it.
        #[serde(default)]
        proxy: Option<Written<ProxyAddress>>,
    },
}

fn default_heartbeat() -> Written<DurationOrNever> {
    Written(DurationOrNever(Some(24 * HOUR)))
}

const fn no_heartbeat() -> Written<DurationOrNever> {
    Written(DurationOrNever(None))
}

fn default_verify_every() -> Written<DurationOrNever> {
    Written(DurationOrNever(Some(24 * HOUR)))
}

const fn default_batch_size() -> u32 {
    crate::target::local::BATCH_SIZE_DEFAULT
}

const fn default_payload_size() -> u32 {
    dewpoint_servicenow::BATCH_SIZE_DEFAULT
}

const fn default_assets_size() -> u32 {
    dewpoint_haloitsm::BATCH_SIZE_DEFAULT
}

fn default_halo_client() -> Written<HaloName> {
    haloitsm::named(dewpoint_haloitsm::CLIENT_DEFAULT)
}

fn default_halo_site() -> Written<HaloName> {
    haloitsm::named(dewpoint_haloitsm::SITE_DEFAULT)
}

const fn default_objects_size() -> u32 {
    dewpoint_jsm::BATCH_SIZE_DEFAULT
}

const fn default_index_lag() -> Written<AnyDuration> {
    Written(AnyDuration(dewpoint_jsm::INDEX_LAG_DEFAULT))
}

const fn default_request_timeout() -> Written<CallTimeout> {
    Written(CallTimeout(Duration::from_secs(120)))
}

fn default_deadline() -> Written<PositiveDuration> {
    Written(PositiveDuration(10 * MINUTE))
}

/// Which configuration items a target gets.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Include")]
pub(super) struct RawInclude {
    /// Kinds of resources.
    #[schemars(length(min = 1))]
    pub(super) kinds: BTreeSet<Written<Kind>>,
    /// Of these the ones of which this holds: a CEL expression over `ci`, the record, that is true or false; all where it is left out.
    #[schemars(example = "ci.environment != \"sandbox\"")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<Written<RecordCondition>>,
}

impl RawInclude {
    /// As it is meant; `None` where `when` does not compile, which [`super::rules::cross_check`] tells.
    pub(super) fn meant(self) -> Option<Include> {
        let when = match self.when {
            Some(when) => Some(Expression::compile(&when.0.0, &Vocabulary::records(), Wanted::Condition).ok()?),
            None => None,
        };
        Some(Include { kinds: self.kinds.into_iter().map(|kind| kind.0).collect(), when })
    }
}

impl Default for RawInclude {
    fn default() -> Self {
        Self { kinds: Kind::ALL.iter().copied().map(Written).collect(), when: None }
    }
}

/// What to do with records that someone else made for a resource of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Adopt")]
pub(super) enum RawAdopt {
    /// Leave them alone; the create is held and listed as a would-be duplicate.
    #[default]
    Never,
    /// Take a single match over: it becomes ours.
    Match,
    /// Write our fields into a single match, and never retire or purge it.
    Contribute,
}

/// Who decides about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Authority")]
pub(super) enum RawAuthority {
    /// Ours: what others change is put right.
    Owned,
    /// Written when the record is made, then people's.
    Initial,
    /// Written only where the field is empty.
    IfEmpty,
    /// Never written after the record is made; a difference is reported.
    Report,
    /// Written when the stage changes, then people's until it changes again.
    Transition,
}

/// What becomes of a retired record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Purge")]
pub(super) enum RawPurge {
    /// It stays for ever.
    #[default]
    Keep,
    /// It is removed `purge_after` its retirement was delivered.
    Delete,
}

/// Limits behind which changes are held until someone approves them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Guardrails")]
pub(super) struct RawGuardrails {
    /// Share of a group's records that may be retired, purged or unrelated within 24 hours, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub(super) max_retire_percent: u32,
    /// Below this count within 24 hours the share does not matter.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(super) max_retire_min: u32,
    /// Most records of a group that may be retired, purged or unrelated within 24 hours, whatever the share.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub(super) max_retire: u32,
    /// Share of a group's records that may be updated within 24 hours, in percent; `off` sets no limit.
    pub(super) max_update_percent: PercentOrOff,
    /// Age from which a saved plan is refused.
    pub(super) plan_max_age: Written<PositiveDuration>,
}

impl Default for RawGuardrails {
    fn default() -> Self {
        let Limits { max_retire_percent, max_retire_min, max_retire, max_update_percent, plan_max_age } = Limits::default();
        Self {
            max_retire_percent,
            max_retire_min,
            max_retire,
            max_update_percent: PercentOrOff(max_update_percent),
            plan_max_age: Written(PositiveDuration(plan_max_age)),
        }
    }
}

/// A percentage from 1 to 100, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PercentOrOff(pub(super) Option<u32>);

impl Serialize for PercentOrOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(percent) => serializer.serialize_u32(percent),
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for PercentOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match (value.as_str(), value.as_u64().and_then(|percent| u32::try_from(percent).ok())) {
            (Some("off"), _) => Ok(Self(None)),
            (_, Some(percent @ 1..=100)) => Ok(Self(Some(percent))),
            _ => Err(serde::de::Error::custom("expected `off` or a whole number from 1 to 100")),
        }
    }
}

impl JsonSchema for PercentOrOff {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PercentOrOff".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "off" }, { "type": "integer", "minimum": 1, "maximum": 100 }] })
    }
}

/// An exit code that may count as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub(super) struct ExitOk(pub(super) u8);

/// The exit codes that may count as success: partly done, held by a guardrail, changes pending.
const EXIT_OK: [u8; 3] = [3, 4, 6];

impl TryFrom<u8> for ExitOk {
    type Error = &'static str;

    fn try_from(code: u8) -> Result<Self, Self::Error> {
        if EXIT_OK.contains(&code) { Ok(Self(code)) } else { Err("expected 3, 4 or 6") }
    }
}

impl JsonSchema for ExitOk {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExitOk".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "enum": EXIT_OK,
            "x-help": "3 is partly done, 4 held by a guardrail, 6 changes pending; 0 is success already, and the others always mean that something must be mended",
        })
    }
}
