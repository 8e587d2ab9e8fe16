//! Targets of HaloITSM as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use dewpoint_haloitsm::{FieldShape, Statuses};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::leaf::{AssetField, HaloName, Scopes};
use crate::config::leaf::{Leaf, Written};
use crate::config::mapped::{NameOrRef, ValueText};
use crate::config::secret::SecretRef;

/// As which application a tenant is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HaloAuth", extend("x-help" = "for example `{ oauth: { client_id: env:HALO_ID, client_secret: env:HALO_SECRET } }`"))]
pub(in crate::config) struct RawAuth {
    /// Tokens of an application with the method "Client ID and Secret (Services)".
    pub(super) oauth: RawOAuth,
}

/// An application of Halo.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HaloOAuth", extend("x-help" = "for example `{ client_id: env:HALO_ID, client_secret: env:HALO_SECRET }`"))]
pub(in crate::config) struct RawOAuth {
    /// Id of the application, or a reference to it: `env:NAME` or `file:PATH`.
    pub(super) client_id: Written<NameOrRef>,
    /// Its secret, as a reference: `env:NAME` or `file:PATH`.
    pub(super) client_secret: Written<SecretRef>,
    /// What its tokens are for.
    #[serde(default = "default_scopes")]
    pub(super) scopes: Written<Scopes>,
}

fn default_scopes() -> Written<Scopes> {
    Written(Scopes(dewpoint_haloitsm::SCOPES_DEFAULT.to_owned()))
}

/// What takes the place of parts of the standard mapping of a kind.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HaloMapping", extend("x-help" = "for example `{ class: Server }`"))]
pub(in crate::config) struct RawKindMapping {
    /// Asset type of the kind's records.
    pub(super) class: Option<Written<HaloName>>,
    /// Asset fields and their values: CEL expressions over `ci`. What is null is not written. `{ value, type: lines }` keeps the entries of a list on lines of their
    /// own; `{ value, type: technical_owner }` and `{ value, type: business_owner }` are the asset's own owners, by mail address or name.
    #[schemars(extend("x-key-leaf" = AssetField::NAME))]
    pub(super) fields: BTreeMap<String, RawField>,
}

/// What is written to a field, in the short form or in the long one.
#[derive(Debug)]
pub(in crate::config) struct RawField {
    pub(super) value: Written<ValueText>,
    pub(super) shape: Option<RawShape>,
}

/// A value, and in which form it is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HaloField")]
struct Long {
    /// The value: a CEL expression over `ci`. What is null is not written.
    value: Written<ValueText>,
    /// What the field holds; that of the standard field of this name, or a line, unless said.
    #[serde(default, rename = "type")]
    shape: Option<RawShape>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HaloFieldType")]
pub(in crate::config) enum RawShape {
    /// A line; the entries of a list stand behind one another.
    Text,
    /// Lines; a list has one entry on each.
    Lines,
    /// The asset's own technical owner: the agent with this mail address or name. It needs no field.
    TechnicalOwner,
    /// The asset's own business owner: the user with this mail address or name. It needs no field.
    BusinessOwner,
}

impl From<RawShape> for FieldShape {
    fn from(raw: RawShape) -> Self {
        match raw {
            RawShape::Text => Self::Text,
            RawShape::Lines => Self::Lines,
            RawShape::TechnicalOwner => Self::TechnicalOwner,
            RawShape::BusinessOwner => Self::BusinessOwner,
        }
    }
}

impl Serialize for RawField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shape {
            None => self.value.serialize(serializer),
            shape => json!({ "value": self.value, "type": shape }).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let long = match written.is_string() {
            true => serde_json::from_value(written).map(|value| Long { value, shape: None }),
            false => serde_json::from_value(written),
        };
        long.map(|Long { value, shape }| Self { value, shape }).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RawField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HaloAssetField".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Written<ValueText>>(), generator.subschema_for::<Long>());
        json_schema!({
            "anyOf": [short, long],
            "x-expected": ValueText::EXPECTED,
            "x-help": "write `ci.name` or `{ value: ci.zones, type: lines }`",
        })
    }
}

/// Names of the asset statuses that tell where a resource stands.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HaloStatuses", extend("x-help" = "for example `{ active: In Use, retired: Disposed }`"))]
pub(in crate::config) struct RawStatuses {
    /// Of what runs, and of what is there without running or not: `Active`.
    pub(super) active: Option<Written<HaloName>>,
    /// Of machines that are stopped: `Inactive`.
    pub(super) inactive: Option<Written<HaloName>>,
    /// Of what has ended: `Retired`. Such an asset is inactive as well.
    pub(super) retired: Option<Written<HaloName>>,
}

impl RawStatuses {
    /// The usual names with what takes their place.
    pub(super) fn meant(&self) -> Statuses {
        let usual = Statuses::default();
        let name = |own: &Option<Written<HaloName>>, usual: String| own.as_ref().map_or(usual, |name| name.0.0.clone());
        Statuses {
            active: name(&self.active, usual.active),
            inactive: name(&self.inactive, usual.inactive),
            retired: name(&self.retired, usual.retired),
        }
    }
}

/// How fast a tenant is asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HaloRate", extend("x-help" = "for example `{ requests_per_minute: 50 }`"))]
pub(in crate::config) struct RawRequestRate {
    /// Requests a minute; as many may be made at once.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) requests_per_minute: NonZeroU32,
}

impl Default for RawRequestRate {
    fn default() -> Self {
        Self { requests_per_minute: NonZeroU32::new(dewpoint_haloitsm::REQUESTS_PER_MINUTE_DEFAULT).unwrap_or(NonZeroU32::MIN) }
    }
}

/// The client or site of that name.
pub(in crate::config) fn named(name: &str) -> Written<HaloName> {
    Written(HaloName(name.to_owned()))
}
