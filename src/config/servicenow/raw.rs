//! ServiceNow targets as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dewpoint_servicenow::{DISCOVERY_SOURCE_DEFAULT, Reference, Status, Statuses};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::leaf::{ClassName, ColumnName, DiscoverySource, LifeCycleName, LookUpColumn, TableName};
use crate::config::leaf::{Leaf, Written};
use crate::config::mapped::{NameOrRef, ValueText};
use crate::config::secret::SecretRef;

/// As whom an instance is asked: exactly one of `oauth`, `basic` and `api_key`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceNowAuth")]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1, "x-help" = "for example `{ basic: { username: dewpoint, password: env:SNOW_PASSWORD } }`"))]
pub(in crate::config) struct RawAuth {
    /// Tokens of an OAuth application: as its own user, or as the one that is named.
    #[serde(default)]
    pub(super) oauth: Option<RawOAuth>,
    /// A user's name and password with each request.
    #[serde(default)]
    pub(super) basic: Option<RawBasic>,
    /// A REST API key, as a reference: `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) api_key: Option<Written<SecretRef>>,
}

/// Tokens of an OAuth application.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceNowOAuth", extend("x-help" = "for example `{ client_id: env:SNOW_ID, client_secret: env:SNOW_SECRET }`"))]
pub(in crate::config) struct RawOAuth {
    /// Id of the application, or a reference to it: `env:NAME` or `file:PATH`.
    pub(super) client_id: Written<NameOrRef>,
    /// Its secret, as a reference: `env:NAME` or `file:PATH`.
    pub(super) client_secret: Written<SecretRef>,
    /// As which user, or a reference to the name. Without it as the application's own user, by the grant of client credentials.
    #[serde(default)]
    pub(super) username: Option<Written<NameOrRef>>,
    /// The user's password, as a reference: `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub(super) password: Option<Written<SecretRef>>,
}

/// A user's name and password.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceNowBasic", extend("x-help" = "for example `{ username: dewpoint, password: env:SNOW_PASSWORD }`"))]
pub(in crate::config) struct RawBasic {
    /// Name of the user, or a reference to it: `env:NAME` or `file:PATH`.
    pub(in crate::config) username: Written<NameOrRef>,
    /// The password, as a reference: `env:NAME` or `file:PATH`.
    pub(in crate::config) password: Written<SecretRef>,
}

/// What takes the place of parts of the standard mapping of a kind.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ServiceNowMapping", extend("x-help" = "for example `{ class: cmdb_ci_linux_server }`"))]
pub(in crate::config) struct RawKindMapping {
    /// Class of the kind's records.
    pub(super) class: Option<Written<ClassName>>,
    /// Columns and their values: CEL expressions over `ci`. What is null is not written. Where a column holds ids of another table's rows, `value` with a
    /// `reference`.
    #[schemars(extend("x-key-leaf" = ColumnName::NAME))]
    pub(super) fields: BTreeMap<String, RawField>,
}

/// What is written to a column, in the short form or in the long one.
#[derive(Debug)]
pub(in crate::config) struct RawField {
    pub(super) value: Written<ValueText>,
    pub(super) reference: Option<RawReference>,
}

/// A value, and the row that its text stands for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceNowField")]
struct Long {
    /// The value: a CEL expression over `ci`. What is null is not written.
    value: Written<ValueText>,
    /// Where the text's row stands. Without it as is known of the column itself.
    #[serde(default)]
    reference: Option<RawReference>,
}

/// Where the row stands that a text means: the column gets its id. What no row, or more than one, stands for is left as it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServiceNowReference", extend("x-help" = "for example `{ table: cmdb_ci_service, by: [name] }`"))]
pub(in crate::config) struct RawReference {
    /// The table that the column refers to.
    pub(super) table: Written<TableName>,
    /// Columns of it to look the text up in; the first that has it decides.
    #[serde(default = "default_by")]
    #[schemars(extend("minItems" = 1, "uniqueItems" = true))]
    pub(super) by: Vec<Written<LookUpColumn>>,
}

impl From<RawReference> for Reference {
    fn from(RawReference { table, by }: RawReference) -> Self {
        Self { table: table.0.0, by: by.into_iter().map(|column| column.0.0).collect() }
    }
}

fn default_by() -> Vec<Written<LookUpColumn>> {
    vec![Written(LookUpColumn("name".to_owned()))]
}

impl Serialize for RawField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.reference {
            None => self.value.serialize(serializer),
            Some(reference) => json!({ "value": self.value, "reference": reference }).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let long = match written.is_string() {
            true => serde_json::from_value(written).map(|value| Long { value, reference: None }),
            false => serde_json::from_value(written),
        };
        long.map(|Long { value, reference }| Self { value, reference }).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RawField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ServiceNowColumn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Written<ValueText>>(), generator.subschema_for::<Long>());
        json_schema!({
            "anyOf": [short, long],
            "x-expected": ValueText::EXPECTED,
            "x-help": "write `ci.name`, or `{ value: ci.service, reference: { table: cmdb_ci_service, by: [name] } }`",
        })
    }
}

/// What status columns hold, where the usual values are not right.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ServiceNowStatuses", extend("x-help" = "for example `{ retired: { install_status: 7, operational_status: 6 } }`"))]
pub(in crate::config) struct RawStatuses {
    /// Of what runs, and of what is there without running or not: 1, 1, `Operational`, `In Use`.
    pub(super) active: RawStatus,
    /// Of machines that are stopped: 1, 2, `Operational`, `In Use`.
    pub(super) inactive: RawStatus,
    /// Of what has ended: 7, 6, `End of Life`, `Retired`.
    pub(super) retired: RawStatus,
}

/// What the status columns of a record hold.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ServiceNowStatus", extend("x-help" = "for example `{ install_status: 7, operational_status: 6 }`"))]
pub(in crate::config) struct RawStatus {
    /// Value of `install_status`, a number of its choice list.
    pub(super) install_status: Option<u32>,
    /// Value of `operational_status`, a number of its choice list.
    pub(super) operational_status: Option<u32>,
    /// Name of the `life_cycle_stage`; needs `life_cycle: true`.
    pub(super) life_cycle_stage: Option<Written<LifeCycleName>>,
    /// Name of the `life_cycle_stage_status`; needs `life_cycle: true`.
    pub(super) life_cycle_stage_status: Option<Written<LifeCycleName>>,
}

impl RawStatuses {
    /// The usual values with what takes their place.
    pub(in crate::config) fn meant(&self, life_cycle: bool) -> Statuses {
        let Statuses { active, inactive, retired, .. } = Statuses::default();
        Statuses {
            active: self.active.over(active),
            inactive: self.inactive.over(inactive),
            retired: self.retired.over(retired),
            life_cycle,
        }
    }
}

impl RawStatus {
    fn over(&self, usual: Status) -> Status {
        let name = |own: &Option<Written<LifeCycleName>>, usual: String| own.as_ref().map_or(usual, |name| name.0.0.clone());
        Status {
            install_status: self.install_status.unwrap_or(usual.install_status),
            operational_status: self.operational_status.unwrap_or(usual.operational_status),
            life_cycle_stage: name(&self.life_cycle_stage, usual.life_cycle_stage),
            life_cycle_stage_status: name(&self.life_cycle_stage_status, usual.life_cycle_stage_status),
        }
    }
}

/// How fast an API is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RequestRate", extend("x-help" = "for example `{ requests_per_second: 10 }`"))]
pub(in crate::config) struct RawRequestRate {
    /// Requests a second; as many may be made at once.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) requests_per_second: NonZeroU32,
}

impl Default for RawRequestRate {
    fn default() -> Self {
        const TEN: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
        Self { requests_per_second: TEN }
    }
}

pub(in crate::config) fn default_discovery_source() -> Written<DiscoverySource> {
    Written(DiscoverySource(DISCOVERY_SOURCE_DEFAULT.to_owned()))
}
